"""How fast meta-training is, and where its cost goes: engines, ranks, adaptation, scaling.

    python benchmarks/engine.py --only engines --repeats 5 --json FILE
    python benchmarks/engine.py --only adapt,cost --threads 1 --repeats 4 --json FILE --picture FILE

engine.md says what came out and on which machine. Data are
random tensors of the shapes that the default settings give a 4:3 camera at 25 frames a second, so that nothing
is decoded. Engines take turns within one process, so that a busy machine is busy for all; the figure is the
median, and the ratio the median of ratios of neighbours. Peak memory is that of a process of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from record import begin, busy, options, record_of, write

from metavad.config import Config, MetaConfig, load_config
from metavad.episodes import Clip, Episode
from metavad.experts import build_experts
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample
from metavad.meta.distributed import joined
from metavad.meta.engines.batched import batched_engine
from metavad.meta.engines.learn2learn import learn2learn_engine
from metavad.meta.engines.loop import loop_engine
from metavad.meta.engines.threads import threaded_engine
from metavad.meta.inner import inner_loop
from metavad.meta.objective import support_loss
from metavad.meta.outer import Engine, Task, initialise, plan_at
from metavad.meta.train import meta_train

ENGINES: dict[str, Engine] = {
    "learn2learn": learn2learn_engine,
    "loop": loop_engine,
    "threads": threaded_engine,
    "batched": batched_engine,
}
BASE = load_config("default").experts
SMALL = ("flow_density",)  # small operations: where batching pays
TICKS = 7  # of 16 frames at 25 frames a second


def scaled(config: Config, scale: float) -> Config:
    """The same for frames and a grid so many times as large."""
    data = config.data.model_copy(update={"rows": round(config.data.rows * scale)})
    short = round(config.prediction.short_side * scale)
    prediction = config.prediction.model_copy(update={"short_side": short})
    return config.model_copy(update={"data": data, "prediction": prediction})


def sample(config: Config, clips: int, *, seed: int = 0, device: str = "cpu") -> Sample:
    """Clips of noise in the shapes of the features."""
    generator = torch.Generator().manual_seed(seed)
    height, rows = config.prediction.short_side, config.data.rows
    known = torch.ones(clips, TICKS, dtype=torch.bool)
    flow = torch.rand(clips, TICKS, 3, rows, rows * 4 // 3, generator=generator) * 0.2
    frames = torch.rand(clips, TICKS, height, height * 4 // 3, generator=generator)
    seconds = torch.arange(TICKS).expand(clips, TICKS) / 10
    return Sample({"frames": frames, "flow": flow}, {"frames": known, "flow": known}, seconds).to(device)


def tasks_of(config: Config, *, scenes: int = 4, shots: int = 5, device: str = "cpu") -> list[Task]:
    return [
        Task(
            Episode(number, f"scene {number}", (), ()),
            sample(config, shots, seed=2 * number, device=device),
            sample(config, config.meta.queries, seed=2 * number + 1, device=device),
        )
        for number in range(scenes)
    ]


def fresh(config: Config) -> ExpertSet:
    torch.manual_seed(0)
    return build_experts(config)


def outer_step(config: Config, engine: Engine, device: str, scale: float = 1.0, **shape: float) -> Callable[[], object]:
    """One outer step without the optimiser, ready to be timed."""
    config = scaled(config, scale)
    experts, settings = fresh(config).to(device), config.meta
    start, plan = initialise(experts, settings), plan_at(settings, 0)
    tasks = tasks_of(config, device=device, **shape)  # type: ignore[arg-type]

    def step() -> None:
        engine(experts, start, tasks, plan)
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def timed(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def engines(config: Config, repeats: int, device: str) -> dict[str, object]:
    found = {}
    for experts, order in ((BASE, 2), (BASE, 1), (SMALL, 2), (SMALL, 1)):
        settings = with_meta(config.model_copy(update={"experts": experts}), order=order)
        names = [name for name in ENGINES if name != "batched" or experts == SMALL]
        steps = {name: outer_step(settings, ENGINES[name], device) for name in names}
        for step in steps.values():
            step()  # warm-up
        rounds = [{name: timed_both(step) for name, step in steps.items()} for _ in range(repeats)]
        found[f"{'+'.join(experts)}, order {order}"] = {
            name: compared(rounds, name) | {"peak MiB": peak(name, order, experts)} for name in names
        }
        print(list(found.items())[-1], flush=True)
    return found


def timed_both(step: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall and of this process on all cores; the second stands other work on the machine."""
    began = time.process_time()
    wall = timed(step)
    return wall, time.process_time() - began


def compared(rounds: Sequence[dict[str, tuple[float, float]]], name: str) -> dict[str, float]:
    found = {}
    for place, clock in enumerate(("seconds", "cpu seconds")):
        found[clock] = statistics.median(times[name][place] for times in rounds)
        found[f"times faster than learn2learn, {clock}"] = statistics.median(
            times["learn2learn"][place] / times[name][place] for times in rounds
        )
    return found


def peak(name: str, order: int, experts: Sequence[str]) -> float:
    command = [sys.executable, __file__, "--peak", name, "--order", str(order)]
    command += ["--threads", str(torch.get_num_threads())]
    command += ["--experts", ",".join(experts)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_peak(config: Config, name: str, order: int) -> None:
    """MiB of this process at its largest, torch and learn2learn included, after two steps."""
    step = outer_step(with_meta(config, order=order), ENGINES[name], "cpu")
    step()
    step()
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin at the parent's
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def ranks(repeats: int) -> dict[str, float]:
    """Outer steps a second of whole runs, one thread a rank."""
    found: dict[str, list[float]] = {"1 rank": [], "2 ranks": []}
    for _ in range(repeats):
        for size in (1, 2):
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            run = subprocess.run(
                [*command, __file__, "--rank"], check=True, capture_output=True, text=True, env=environment
            )
            found[f"{size} rank{'s' if size > 1 else ''}"].append(float(run.stdout))
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratio = statistics.median(two / one for one, two in zip(found["1 rank"], found["2 ranks"], strict=True))
    return {f"steps a second, {name}": value for name, value in medians.items()} | {"times faster": ratio}


def train_as_rank(config: Config, steps: int = 4) -> None:
    def resolve(clips: Sequence[Clip]) -> Sample:
        return sample(config, len(clips), seed=clips[0].first)

    def episode(number: int) -> Episode:
        clips = [Clip("scene", "video", number * 100 + each, 16) for each in range(5 + config.meta.queries)]
        return Episode(number, "scene", tuple(clips[:5]), tuple(clips[5:]))

    torch.set_num_threads(1)
    with joined() as group:
        run = meta_train(fresh(config), episode, resolve, with_meta(config, outer_steps=steps + 1), group=group)
        next(run)  # warm-up
        seconds = timed(lambda: [*run])
        if group.rank == 0:
            print(steps / seconds)


def adapt(config: Config, repeats: int, device: str) -> dict[str, float]:
    experts = fresh(config).to(device)
    start, support = initialise(experts, config.meta), sample(config, 10, device=device)
    params = {name: tensor.detach() for name, tensor in start.params.items()}

    def step() -> object:
        tuned = inner_loop(
            lambda params, shown: under(experts, params, support_loss, shown),
            params, start.step_sizes, support, steps=config.meta.inner_steps, order=1,
        )  # fmt: skip
        return under(experts, tuned, ExpertSet.condition, support)

    step()
    times = [timed_both(step) for _ in range(repeats)]
    wall, own = (statistics.median(clocks) for clocks in zip(*times, strict=True))
    return {"seconds, 10 shots": wall, "cpu seconds, 10 shots": own}


def cost(config: Config, repeats: int, device: str) -> dict[str, object]:
    """CPU seconds of an outer step against one size at a time, and the exponent of a straight line in logarithms."""
    base: dict[str, float] = {"scenes": 2, "shots": 5, "scale": 1.0}
    axes: dict[str, Sequence[float]] = {
        "shots": (2, 5, 10), "inner steps": (1, 2, 4), "scenes": (1, 2, 4), "scale": (0.5, 1.0, 2.0),
    }  # fmt: skip
    found: dict[str, object] = {}
    for axis, values in axes.items():
        seconds = []
        for value in values:
            settings = with_meta(config, inner_steps=value) if axis == "inner steps" else config
            shape = base if axis == "inner steps" else base | {axis: value}
            step = outer_step(settings, loop_engine, device, **shape)
            step()
            seconds.append(statistics.median(timed_both(step)[1] for _ in range(repeats)))
        logs = torch.tensor([list(values), seconds], dtype=torch.float64).log()
        away = logs - logs.mean(1, keepdim=True)
        exponent = float((away[0] * away[1]).sum() / away[0].square().sum())
        found[axis] = {"values": list(values), "cpu seconds": seconds, "exponent": exponent}
    return found


def draw(costs: dict[str, dict[str, object]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (axis, found) in enumerate(costs.items(), start=1):
        axes = figure.add_subplot(1, len(costs), place)
        axes.loglog(found["values"], found["cpu seconds"], marker="o")
        axes.set(title=f"exponent {found['exponent']:.2f}", xlabel=axis, ylabel="CPU seconds an outer step")
        axes.set_xticks(found["values"], [f"{value:g}" for value in found["values"]])
        axes.set_yticks(found["cpu seconds"], [f"{seconds:.2f}" for seconds in found["cpu seconds"]])
        axes.minorticks_off()
    figure.savefig(path, dpi=110)


def with_meta(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"meta": MetaConfig.model_validate(config.meta.model_dump() | changes)})


def arguments() -> argparse.ArgumentParser:
    """The command line; what it does not name, a run asks of itself in a process of its own."""
    parser = options(__doc__, base=False, threads=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="engines,ranks,adapt,cost")
    parser.add_argument("--picture", type=Path, help="draw what grows how here")
    parser.add_argument("--experts", help="others than those of the default base, by comma")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--order", type=int, default=2, help=argparse.SUPPRESS)
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Measure, print as it comes, write the record."""
    given, state = begin(arguments()), busy()
    config = load_config("default")
    if given.experts:
        config = config.model_copy(update={"experts": tuple(given.experts.split(","))})
    if given.rank:
        return train_as_rank(config)
    if given.peak:
        return measure_peak(config, given.peak, given.order)
    parts = {
        "engines": lambda: engines(config, given.repeats, given.device),
        "ranks": lambda: ranks(max(1, given.repeats // 2)),
        "adapt": lambda: adapt(config, given.repeats, given.device),
        "cost": lambda: cost(config, max(1, given.repeats // 2), given.device),
    }
    rows = {}
    for name in given.only.split(","):
        rows[name] = parts[name]()
        print(name, json.dumps(rows[name], indent=1), flush=True)
    write(given.json, record_of(rows, base=None, device=given.device, **state))
    if given.picture:
        draw(rows["cost"], given.picture)
    return None


if __name__ == "__main__":
    main()
