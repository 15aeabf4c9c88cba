"""Which way of meta-learning is worth its cost: AUC after K shots on held-out generated cameras, three seeds.

    metavad data synthesize --size tiny --scenes 14 --seed 101 --out cameras/train \\
        --normal-videos 4 --normal-seconds 8 --test-videos 0
    metavad data synthesize --size tiny --scenes 8 --seed 202 --out cameras/held \\
        --normal-videos 4 --normal-seconds 8 --test-videos 4 --test-seconds 10
    python benchmarks/algorithms.py --train cameras/train/suite.toml --held cameras/held/suite.toml

Small experts on small frames, so that one core does it in half an hour. Every algorithm sees the same episodes;
the control (``joint``) is fine-tuned by a step size chosen on the training cameras. A tick's score is the mean of the
highest hundredth of an expert's map, smoothed as in detectors; "fused" is the mean over experts, each in standard
deviations of its scores on training cameras after as many shots. No other calibration. The AUC is that of a camera's
ticks, averaged over cameras; each seed has its own weights, episodes and draw of shots. Results of a base are kept in
algorithms.json as they come, and a run goes on there.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch

from metavad.calibration.accumulation import smooth
from metavad.config import Config, load_config
from metavad.episodes import EpisodeSampler, Reel, draw_shots
from metavad.evaluation.ranking import micro_auc
from metavad.experts import build_experts
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.library import Library
from metavad.features.sample import Sample
from metavad.files import write_text
from metavad.meta.control import choose_step_sizes
from metavad.meta.inner import inner_loop, positive
from metavad.meta.objective import clip_scores, support_loss
from metavad.meta.outer import ALGORITHMS
from metavad.meta.train import meta_train
from metavad.scenes.labels import frame_labels
from metavad.scenes.store import Store
from metavad.scenes.suite import load_suite

HERE = Path(__file__).resolve().parent
SHOTS = (0, 1, 5, 10)
EXPERTS = ("flow_density", "direction", "presence", "stillness")
COLUMNS = ("fused", *EXPERTS)
SETTINGS = [
    "data.short_side=72", "data.rows=12", "data.clip_frames=8",
    "flow_density.cells=512", "flow_density.hidden=16",
    "meta.inner_steps=2", "meta.scenes_per_step=2", "meta.shots=[1,10]", "meta.queries=4", "meta.gap=0.2",
    "meta.before_every=1000000", "meta.multi_step_steps=50", "meta.learning_rate=5e-3", "adaptation.steps=2",
]  # fmt: skip
FAMILY = ("maml", "fomaml", "anil", "meta-sgd", "maml++")


def config_of(algorithm: str, steps: int) -> Config:
    config = load_config("default", [*SETTINGS, f"meta.algorithm={algorithm}", f"meta.outer_steps={steps}"])
    return config.model_copy(update={"experts": EXPERTS})


class Cameras:
    """A suite's normal reels, and its test videos with labels by tick."""

    def __init__(self, suite: str, config: Config) -> None:
        scenes = load_suite(suite).scenes
        self.library = Library(scenes, config, build_experts(config).reads, Store())
        self.reels: dict[str, list[Reel]] = {scene.key: self.library.reels(scene.key) for scene in scenes}
        self.tests = {scene.key: self._tests(scene) for scene in scenes}

    def _tests(self, scene: object) -> list[tuple[Sample, np.ndarray]]:
        found = []
        for reel in self.library.reels(scene.key, "test"):  # type: ignore[attr-defined]
            labels = frame_labels(scene, self.library.video(reel.scene, "test", reel.video), reel.frames)  # type: ignore[arg-type]
            track = self.library.track(reel.scene, "test", reel.video)
            found.append((self.library.part(track, 0, len(track)), np.asarray(labels, bool)[track.frames]))
        return found


def sampler(cameras: Cameras, config: Config, seed: int, shots: tuple[int, int]) -> EpisodeSampler:
    meta, length = config.meta, config.data.clip_frames
    return EpisodeSampler(cameras.reels, seed=seed, shots=shots, queries=meta.queries, length=length, gap=meta.gap)


def trained(algorithm: str, seed: int, steps: int, cameras: Cameras) -> tuple[ExpertSet, Parameters, Parameters, float]:
    """Experts, initialisation, step sizes, CPU seconds."""
    config = config_of(algorithm, steps)
    torch.manual_seed(seed)
    experts, began = build_experts(config), time.process_time()
    episodes = sampler(cameras, config, seed, config.meta.shots)
    for step in meta_train(experts, episodes, cameras.library.sample, config, seed=seed):
        state = step.state() if step.step == steps else None
    params, sizes = state.params, {name: size.detach() for name, size in positive(state.free).items()}
    if algorithm == "joint":
        tuning = sampler(cameras, config, seed + 1000, (5, 5))
        sizes = choose_step_sizes(experts, params, tuning, cameras.library.sample, steps=2, count=8)
    return experts, params, sizes, time.process_time() - began


def adapted(
    experts: ExpertSet, params: Parameters, sizes: Parameters, support: Sample
) -> tuple[Parameters, Mapping[str, torch.Tensor]]:
    """Parameters after two inner steps (none without shots), and the memory."""
    if support.clips:
        params = inner_loop(
            lambda params, shown: under(experts, params, support_loss, shown), params, sizes, support, steps=2, order=1
        )
    with torch.no_grad():
        return params, under(experts, params, ExpertSet.condition, support)


def levels(
    experts: ExpertSet, params: Parameters, sizes: Parameters, train: Cameras, shots: int
) -> dict[str, tuple[float, float]]:
    """Each expert's median and standard deviation on normal clips of training cameras after so many shots."""
    config = config_of("maml", 1)
    episodes, found = sampler(train, config, 77, (max(1, shots), max(1, shots))), []
    for episode in map(episodes, range(10)):
        nothing = train.library.nothing(episode.scene)
        support = train.library.sample(episode.support) if shots else nothing
        tuned, memory = adapted(experts, params, sizes, support)
        with torch.no_grad():
            found.append(scored(experts, tuned, train.library.sample(episode.query), memory))
    every = {name: np.concatenate([each[name] for each in found]) for name in EXPERTS}
    return {name: (float(np.median(each)), max(float(each.std()), 1e-3)) for name, each in every.items()}


def scores_after(
    experts: ExpertSet, params: Parameters, sizes: Parameters, cameras: Cameras, scene: str, shots: int, draw: int
) -> dict[str, list[np.ndarray]]:
    """Each expert's smoothed scores of every tick of a camera's test videos."""
    clips = draw_shots(cameras.reels[scene], shots, 8, draw).clips if shots else ()
    support = cameras.library.sample(clips) if shots else cameras.library.nothing(scene)
    params, memory = adapted(experts, params, sizes, support)
    found: dict[str, list[np.ndarray]] = {name: [] for name in EXPERTS}
    for sample, _ in cameras.tests[scene]:
        with torch.no_grad():
            scores = scored(experts, params, sample, memory)
        for name in EXPERTS:
            found[name].append(smooth(scores[name], sample.seconds[0].double().numpy(), 0.9, 0.5))
    return found


def scored(
    experts: ExpertSet, params: Parameters, sample: Sample, memory: Mapping[str, torch.Tensor]
) -> dict[str, np.ndarray]:
    maps = under(experts, params, ExpertSet.score, sample, memory)
    known = {name: expert.known(sample).flatten() for name, expert in experts.each()}
    ticks = {name: clip_scores(each.flatten(0, 1)[:, None]).double() for name, each in maps.items()}
    return {name: torch.where(known[name], each, each[known[name]].min()).numpy() for name, each in ticks.items()}


def evaluated(
    experts: ExpertSet, params: Parameters, sizes: Parameters, train: Cameras, held: Cameras, draw: int
) -> dict[str, dict[str, float]]:
    """``"<expert> K=<shots>"`` to each held-out camera's AUC."""
    table: dict[str, dict[str, float]] = {}
    scales = {shots: levels(experts, params, sizes, train, shots) for shots in SHOTS}
    for shots, scene in product(SHOTS, held.tests):
        labels = [truth for _, truth in held.tests[scene]]
        scores = scores_after(experts, params, sizes, held, scene, shots, draw)
        units = [[(each - middle) / width for each in scores[name]] for name, (middle, width) in scales[shots].items()]
        scores["fused"] = [np.mean(each, axis=0) for each in zip(*units, strict=True)]
        for name, each in scores.items():
            table.setdefault(f"{name} K={shots}", {})[scene] = micro_auc(each, labels)
    return table


def run(options: argparse.Namespace, path: Path) -> dict[str, object]:
    record = json.loads(path.read_text()) if path.exists() else {"steps": options.steps, "bases": {}}
    bases = record["bases"]
    wanted = [(seed, name) for seed in range(options.seeds) for name in ALGORITHMS]
    left = [(seed, name) for seed, name in wanted if f"{name} {seed}" not in bases]
    if left:
        config = config_of("maml", options.steps)
        train, held = Cameras(options.train, config), Cameras(options.held, config)
    for seed, name in left:
        experts, params, sizes, seconds = trained(name, seed, options.steps, train)
        table = evaluated(experts, params, sizes, train, held, seed)
        bases[f"{name} {seed}"] = {"cpu seconds": seconds, "auc": table}
        write_text(path, json.dumps(record, indent=1) + "\n")
        print(seed, name, round(seconds, 1), *(round(mean(table[f"fused K={k}"]), 3) for k in SHOTS), flush=True)
    return record


def mean(table: Mapping[str, float]) -> float:
    return statistics.mean(table.values())


def difference(bases: Mapping[str, dict], name: str, key: str, seeds: int) -> tuple[float, float, float]:
    """AUC minus that of the fine-tuned control: mean and 95 % interval, cameras and seeds resampled in pairs."""
    generator = np.random.default_rng(0)
    tables = [(bases[f"{name} {seed}"]["auc"][key], bases[f"joint {seed}"]["auc"][key]) for seed in range(seeds)]
    pairs = np.array([[one[scene] - other[scene] for scene in sorted(one)] for one, other in tables])
    draws = [
        pairs[np.ix_(generator.integers(0, seeds, seeds), generator.integers(0, pairs.shape[1], pairs.shape[1]))].mean()
        for _ in range(4000)
    ]
    return float(pairs.mean()), *(float(edge) for edge in np.percentile(draws, [2.5, 97.5]))


def tables(bases: Mapping[str, dict], seeds: int) -> str:
    """Markdown: the AUCs with their spread over seeds, and the paired differences."""
    lines: list[str] = []
    for expert in COLUMNS:
        lines += [
            "",
            f"**{expert}**",
            "",
            "| algorithm | K = 0 | 1 | 5 | 10 | CPU s of training |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(bases, name, expert, seeds) for name in ALGORITHMS]
    lines += ["", "| minus the fine-tuned control | scores | K = 1 | K = 5 |", "|---|---|---|---|"]
    for name, expert in product((*FAMILY, "reptile"), COLUMNS):
        cells = [difference(bases, name, f"{expert} K={shots}", seeds) for shots in (1, 5)]
        shown = [f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for value, low, high in cells]
        lines.append(f"| {name} | {expert} | {' | '.join(shown)} |")
    return "\n".join(lines).strip()


def _row(bases: Mapping[str, dict], name: str, expert: str, seeds: int) -> str:
    cells = []
    for shots in SHOTS:
        values = [mean(bases[f"{name} {seed}"]["auc"][f"{expert} K={shots}"]) for seed in range(seeds)]
        cells.append(f"{statistics.mean(values):.3f} ± {statistics.pstdev(values):.3f}")
    seconds = statistics.mean(bases[f"{name} {seed}"]["cpu seconds"] for seed in range(seeds))
    return f"| {name} | {' | '.join(cells)} | {seconds:.0f} |"


def draw(bases: Mapping[str, dict], seeds: int, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(COLUMNS), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, expert in enumerate(COLUMNS, start=1):
        axes = figure.add_subplot(1, len(COLUMNS), place)
        for name in ALGORITHMS:
            points = [
                statistics.mean(mean(bases[f"{name} {seed}"]["auc"][f"{expert} K={k}"]) for seed in range(seeds))
                for k in SHOTS
            ]
            axes.plot(range(len(SHOTS)), points, marker="o", label=name, linestyle="--" if name == "joint" else "-")
        axes.set(title=expert, xlabel="shots", ylabel="AUC, mean of cameras and seeds")
        axes.set_xticks(range(len(SHOTS)), [str(k) for k in SHOTS])
    axes.legend(fontsize="x-small")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--held", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--out", type=Path, default=HERE / "algorithms.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    bases: Sequence[str] = run(options, options.out)["bases"]  # type: ignore[assignment]
    seeds = min(options.seeds, sum(key.startswith("joint ") for key in bases))
    print(tables(bases, seeds))  # type: ignore[arg-type]
    draw(bases, seeds, options.out.with_suffix(".png"))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
