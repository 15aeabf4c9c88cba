"""Which way of meta-learning is worth its cost: AUC after K shots on held-out generated cameras, three seeds.

    metavad data synthesize --out cameras/train --scenes 21 --seed 11 --normal-videos 4 --normal-seconds 10 \\
        --test-videos 6 --test-seconds 8
    metavad data synthesize --out cameras/held --scenes 14 --seed 12 --normal-videos 4 --normal-seconds 10 \\
        --test-videos 8 --test-seconds 8
    python benchmarks/algorithms.py --train cameras/train/suite.toml --held cameras/held/suite.toml

One expert, ``velocity``: small, so that one core trains it in seconds, and with both kinds of knowledge of a camera,
a memory in closed form and parameters that inner steps move. Every algorithm sees the same episodes. The control
(``joint``) is fine-tuned by step sizes chosen on training cameras, one for every number of shots. ``... + ranking``
also learns from the labelled anomalies of training cameras: adapted parameters must rank them above normal clips. Its
own control learns the same unadapted.

A tick's score is the mean of the highest hundredth of the map, smoothed as in detectors, with no other calibration. The
AUC is that of a camera's ticks, averaged over cameras; each seed has its own weights, episodes and draw of shots.
Results of a base are kept in algorithms.json as they come, and a run goes on there. ``--validate 7`` takes the last
seven training cameras instead of held-out ones: for choosing settings.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from metavad.calibration.accumulation import smooth
from metavad.config import Config, load_config
from metavad.episodes import Episode, EpisodeSampler, Reel, draw_shots
from metavad.evaluation.ranking import micro_auc
from metavad.experts import build_experts
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.library import Library
from metavad.features.sample import Sample, join
from metavad.files import write_text
from metavad.meta.control import choose_step_sizes
from metavad.meta.inner import inner_loop, positive
from metavad.meta.objective import clip_scores, query_losses, support_loss, total
from metavad.meta.outer import Initialisation, Plan, SceneGradient, Task, loop_engine
from metavad.meta.train import meta_train
from metavad.runs import runs
from metavad.scenes.cache import Store
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite

HERE = Path(__file__).resolve().parent
SHOTS = (1, 5, 10)
EXPERT = "velocity"
EVERY = 3
"""Every n-th tick of test videos is scored."""
GRID = (0.3, 1.0, 3.0, 10.0, 30.0)
"""From which a control's step sizes are chosen."""
EPISODES = 8
"""Of training cameras, on which step sizes are chosen."""
SETTINGS = [
    "meta.inner_steps=2", "meta.step_size=0.3", "meta.step_size_rate=1e-1", "meta.scenes_per_step=2",
    "meta.shots=[1,10]", "meta.queries=4", "meta.gap=0.5", "meta.learning_rate=2e-2",
    "meta.before_every=1000000", "meta.multi_step_steps=40",
]  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One row of the table."""

    algorithm: str
    settings: tuple[str, ...] = ()
    adapts: bool = True
    """Whether its outer loop adapts; a control is fine-tuned afterwards."""
    ranks: bool = False


HEADS = 'meta.adapts=["velocity.means"]'
RANKING = "meta.separation=3.0"
WAYS = {
    "maml": Way("maml"),
    "fomaml": Way("fomaml"),
    "anil": Way("anil", (HEADS,)),
    "meta-sgd": Way("meta-sgd"),
    "maml++": Way("maml++", ("meta.first_order_steps=20",)),
    "reptile": Way("reptile"),
    "joint": Way("joint", adapts=False),
    "maml + ranking": Way("maml", (RANKING,), ranks=True),
    "joint + ranking": Way("maml", (RANKING,), adapts=False, ranks=True),
}
CONTROLS = {name: "joint + ranking" if way.ranks else "joint" for name, way in WAYS.items()}


def config_of(way: Way, options: argparse.Namespace) -> Config:
    own = [f"meta.algorithm={way.algorithm}", f"meta.outer_steps={options.steps}"]
    config = load_config("default", [*SETTINGS, *own, *way.settings, *options.set])
    return config.model_copy(update={"experts": (EXPERT,)})


class Cameras:
    """A suite's normal reels, its test videos by tick with labels, and as reels whose anomalies are known."""

    def __init__(self, scenes: Sequence[Scene], config: Config, store: Store) -> None:
        self.library = Library(scenes, config, build_experts(config).reads, store)
        self.reels: dict[str, list[Reel]] = {scene.key: self.library.reels(scene.key) for scene in scenes}
        self.tests = {scene.key: self._together(scene) for scene in scenes}
        self.abnormal = {scene.key: [self._marked(scene, reel) for reel in self._of_test(scene)] for scene in scenes}

    def _together(self, scene: Scene) -> tuple[Sample, list[np.ndarray]]:
        """All test videos as one sample, a clip each; the labels of each."""
        samples, labels = zip(*(self._test(scene, reel) for reel in self._of_test(scene)), strict=True)
        return join(samples), list(labels)

    def _of_test(self, scene: Scene) -> list[Reel]:
        return self.library.reels(scene.key, "test")

    def _labels(self, scene: Scene, reel: Reel) -> np.ndarray:
        labels = frame_labels(scene, self.library.video(reel.scene, "test", reel.video), reel.frames)
        return np.asarray(labels, bool)

    def _test(self, scene: Scene, reel: Reel) -> tuple[Sample, np.ndarray]:
        track = self.library.track(reel.scene, "test", reel.video)
        some = range(0, len(track), EVERY)
        ticks = self.library.part(track, 0, len(track))
        kept = Sample(
            {name: tensor[:, some] for name, tensor in ticks.features.items()},
            {name: tensor[:, some] for name, tensor in ticks.known.items()},
            ticks.seconds[:, some],
        )
        return kept, self._labels(scene, reel)[track.frames][some]

    def _marked(self, scene: Scene, reel: Reel) -> Reel:
        spans = tuple((int(start), int(end)) for start, end in runs(self._labels(scene, reel)))
        return replace(reel, abnormal=spans)


def sampler(cameras: Cameras, config: Config, seed: int, shots: tuple[int, int], *, ranks: bool) -> EpisodeSampler:
    meta, length = config.meta, config.data.clip_frames
    abnormal = cameras.abnormal if ranks else None
    return EpisodeSampler(
        cameras.reels, seed=seed, shots=shots, queries=meta.queries, length=length, gap=meta.gap, abnormal=abnormal
    )


@dataclass(frozen=True)
class Learned:
    """A base after meta-training: for every number of shots, the step sizes that it adapts with."""

    experts: ExpertSet
    params: Parameters
    sizes: Mapping[int, Parameters]
    steps: int

    def after(self, support: Sample) -> Parameters:
        """Parameters after the inner steps on a support of 1, 5 or 10 clips."""
        loss = partial(under, self.experts)
        return inner_loop(
            lambda params, shown: loss(params, support_loss, shown),
            self.params, self.sizes[support.clips], support, steps=self.steps, order=1,
        )  # fmt: skip


def unadapted(experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan) -> list[SceneGradient]:
    """An engine whose outer loop asks for the same as MAML's, without a single inner step."""
    return loop_engine(experts, start, tasks, replace(plan, steps=0, weights=(1.0,)))


def learned(way: Way, seed: int, cameras: Cameras, options: argparse.Namespace) -> tuple[Learned, float]:
    """The base, and CPU seconds of training."""
    config = config_of(way, options)
    torch.manual_seed(seed)
    experts, began = build_experts(config), time.process_time()
    episodes = sampler(cameras, config, seed, config.meta.shots, ranks=way.ranks)
    engine = unadapted if way.ranks and not way.adapts else None
    steps = meta_train(experts, episodes, cameras.library.sample, config, seed=seed, engine=engine)
    state = next(step.state() for step in steps if step.step == config.meta.outer_steps)
    own = {name: size.detach() for name, size in positive(state.free).items()}
    sizes = dict.fromkeys(SHOTS, own)
    if not way.adapts:
        sizes = {count: chosen(experts, state.params, cameras, config, seed, count) for count in SHOTS}
    return Learned(experts, state.params, sizes, config.meta.inner_steps), time.process_time() - began


def chosen(
    experts: ExpertSet, params: Parameters, cameras: Cameras, config: Config, seed: int, shots: int
) -> Parameters:
    """The control's step sizes for so many shots, by the query loss on training cameras."""
    episodes = sampler(cameras, config, seed + 1000, (shots, shots), ranks=False)
    return choose_step_sizes(
        experts,
        params,
        episodes,
        cameras.library.sample,
        steps=config.meta.inner_steps,
        count=EPISODES,
        grid=GRID,
        names=experts.adaptable,
    )


def scored(
    experts: ExpertSet, params: Parameters, tests: Sample, lengths: Sequence[int], support: Sample
) -> list[np.ndarray]:
    """Smoothed scores (T,) of the ticks of each video (a clip of the sample), under the memory of the support."""
    with torch.no_grad():
        memory = under(experts, params, ExpertSet.condition, support)
        maps = under(experts, params, ExpertSet.score, tests, memory)[EXPERT]
        ticks = clip_scores(maps.flatten(0, 1)[:, None]).reshape(maps.shape[:2])
        known = torch.where(experts[EXPERT].known(tests), ticks, torch.nan)  # type: ignore[operator]
    rows = zip(known.double().numpy(), tests.seconds.double().numpy(), lengths, strict=True)
    return [smooth(row[:length], seconds[:length], 0.9, 0.5) for row, seconds, length in rows]


def evaluated(base: Learned, cameras: Cameras, config: Config, seed: int) -> dict[str, dict[str, float]]:
    """By camera: AUC at every K, that of the memory without inner steps, and how far the steps change the order."""
    kinds = ("auc", "memory", "moved")
    table: dict[str, dict[str, float]] = {f"{kind} K={k}": {} for k in SHOTS for kind in kinds} | {"auc K=0": {}}
    for scene, (tests, labels) in cameras.tests.items():
        lengths = [len(truth) for truth in labels]
        nothing = scored(base.experts, base.params, tests, lengths, cameras.library.nothing(scene))
        table["auc K=0"][scene] = micro_auc(nothing, labels)
        for count in SHOTS:
            clips = draw_shots(cameras.reels[scene], count, config.data.clip_frames, seed).clips
            support = cameras.library.sample(clips)
            plain = scored(base.experts, base.params, tests, lengths, support)
            tuned = scored(base.experts, base.after(support), tests, lengths, support)
            figures = (micro_auc(tuned, labels), micro_auc(plain, labels), 1 - agreement(plain, tuned))
            for kind, value in zip(kinds, figures, strict=True):
                table[f"{kind} K={count}"][scene] = value
    return table


def agreement(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Spearman's correlation of the scores of all ticks."""
    ranks = [np.concatenate(each).argsort().argsort() for each in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def losses(base: Learned, cameras: Cameras, config: Config, seed: int, count: int) -> dict[str, tuple[float, float]]:
    """Query loss before and after adapting on so many clips, for each camera: normal footage alone."""
    episodes = sampler(cameras, config, seed + 500, (count, count), ranks=False)
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(len(cameras.reels)):
        episode: Episode = episodes(number)
        support, query = (cameras.library.sample(clips) for clips in (episode.support, episode.query))
        if support.clips != count:
            continue
        pair = []
        for params in (base.params, base.after(support)):
            with torch.no_grad():
                pair.append(float(total(under(base.experts, params, query_losses, query, support))))
        found.setdefault(episode.scene, []).append((pair[0], pair[1]))
    return {scene: tuple(np.mean(pairs, axis=0).tolist()) for scene, pairs in found.items()}  # type: ignore[misc]


def run(options: argparse.Namespace, path: Path) -> dict[str, dict]:
    record = json.loads(path.read_text()) if path.exists() else {"steps": options.steps, "bases": {}}
    bases: dict[str, dict] = record["bases"]
    wanted = [(seed, name) for seed in range(options.seeds) for name in options.ways]
    left = [(seed, name) for seed, name in wanted if f"{name} {seed}" not in bases]
    train, held = footage(options) if left else (None, None)
    for seed, name in left:
        config = config_of(WAYS[name], options)
        base, seconds = learned(WAYS[name], seed, train, options)
        found = bases[f"{name} {seed}"] = {"cpu seconds": seconds, **evaluated(base, held, config, seed)}
        found |= {f"loss K={count}": losses(base, held, config, seed, count) for count in SHOTS}
        found["step sizes"] = {
            count: {key: float(size.mean()) for key, size in sizes.items()} for count, sizes in base.sizes.items()
        }
        write_text(path, json.dumps(record, indent=1) + "\n")
        print(seed, name, round(seconds, 1), *(round(mean(found[f"auc K={k}"]), 3) for k in (0, *SHOTS)), flush=True)
        print("   loss", *("{:.3f} {:.3f}".format(*np.mean([*found[f"loss K={k}"].values()], 0)) for k in SHOTS))
    return bases


def footage(options: argparse.Namespace) -> tuple[Cameras, Cameras]:
    """Cameras to train on, and others to measure on."""
    config, store, scenes = config_of(WAYS["maml"], options), Store(), load_suite(options.train).scenes
    if options.validate:
        cut = len(scenes) - options.validate
        return Cameras(scenes[:cut], config, store), Cameras(scenes[cut:], config, store)
    return Cameras(scenes, config, store), Cameras(load_suite(options.held).scenes, config, store)


def mean(table: Mapping[str, float]) -> float:
    return statistics.mean(table.values())


def difference(
    bases: Mapping[str, dict], one: tuple[str, str], other: tuple[str, str], seeds: int
) -> tuple[float, float, float]:
    """A way's figure minus another's: mean and 95 % interval, cameras and seeds resampled in pairs."""
    generator = np.random.default_rng(0)
    tables = [[bases[f"{name} {seed}"][key] for name, key in (one, other)] for seed in range(seeds)]
    pairs = np.array([[first[scene] - second[scene] for scene in sorted(first)] for first, second in tables])
    draws = [
        pairs[np.ix_(generator.integers(0, seeds, seeds), generator.integers(0, pairs.shape[1], pairs.shape[1]))].mean()
        for _ in range(4000)
    ]
    return float(pairs.mean()), *(float(edge) for edge in np.percentile(draws, [2.5, 97.5]))


def tables(bases: Mapping[str, dict], ways: Sequence[str], seeds: int) -> str:
    """Markdown: the AUCs with their spread over seeds, the paired differences, and what adapting does."""
    counts = (0, *SHOTS)
    lines = ["| way | " + " | ".join(f"K = {count}" for count in counts) + " | CPU s of training |"]
    lines += ["|:--|" + "--:|" * (len(counts) + 1)]
    lines += [_row(bases, name, counts, seeds) for name in ways]
    heads = " | ".join(f"K = {count}" for count in SHOTS)
    lines += ["", f"| minus its fine-tuned control | control | {heads} |", "|:--|:--|" + "--:|" * len(SHOTS)]
    pairs = [(name, CONTROLS[name]) for name in ways if name != CONTROLS[name]] + [("maml + ranking", "joint")]
    for name, control in pairs:
        if {name, control} <= {*ways}:
            cells = [difference(bases, (name, f"auc K={k}"), (control, f"auc K={k}"), seeds) for k in SHOTS]
            lines.append(f"| {name} | {control} | {_cells(cells)} |")
    lines += ["", f"| minus the same base without inner steps | {heads} |", "|:--|" + "--:|" * len(SHOTS)]
    for name in ways:
        cells = [difference(bases, (name, f"auc K={k}"), (name, f"memory K={k}"), seeds) for k in SHOTS]
        lines.append(f"| {name} | {_cells(cells)} |")
    marks = [f"query loss, K = {k}: before, after" for k in SHOTS] + [f"order changed, K = {k}" for k in SHOTS]
    lines += ["", "| way | " + " | ".join(marks) + " |", "|:--|" + "--:|" * len(marks)]
    lines += [_effect(bases, name, seeds) for name in ways]
    return "\n".join(lines)


def _row(bases: Mapping[str, dict], name: str, counts: Sequence[int], seeds: int) -> str:
    cells = []
    for count in counts:
        values = [mean(bases[f"{name} {seed}"][f"auc K={count}"]) for seed in range(seeds)]
        cells.append(f"{statistics.mean(values):.3f} ± {statistics.pstdev(values):.3f}")
    seconds = statistics.mean(bases[f"{name} {seed}"]["cpu seconds"] for seed in range(seeds))
    return f"| {name} | {' | '.join(cells)} | {seconds:.0f} |"


def _cells(found: Sequence[tuple[float, float, float]]) -> str:
    return " | ".join(f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for value, low, high in found)


def _effect(bases: Mapping[str, dict], name: str, seeds: int) -> str:
    cells = []
    for count in SHOTS:
        pairs = [pair for seed in range(seeds) for pair in bases[f"{name} {seed}"][f"loss K={count}"].values()]
        cells.append("{:.3f}, {:.3f}".format(*np.mean(pairs, axis=0)))
    for count in SHOTS:
        cells.append(
            f"{statistics.mean(mean(bases[f'{name} {seed}'][f'moved K={count}']) for seed in range(seeds)):.3f}"
        )
    return f"| {name} | {' | '.join(cells)} |"


def draw(bases: Mapping[str, dict], ways: Sequence[str], seeds: int, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in ways:
        points = [
            statistics.mean(mean(bases[f"{name} {seed}"][f"auc K={count}"]) for seed in range(seeds))
            for count in (0, *SHOTS)
        ]
        axes.plot(range(len(points)), points, marker="o", label=name, linestyle="-" if WAYS[name].adapts else "--")
    axes.set(xlabel="shots", ylabel="AUC, mean of cameras and seeds")
    axes.set_xticks(range(len(SHOTS) + 1), [str(count) for count in (0, *SHOTS)])
    axes.legend(fontsize="x-small")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--held", default="")
    parser.add_argument("--validate", type=int, default=0, help="measure on the last N training cameras instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=[*WAYS], help="by comma; all by default")
    parser.add_argument("--set", action="append", default=[], help="a setting other than this script's")
    parser.add_argument("--out", type=Path, default=HERE / "algorithms.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    bases = run(options, options.out)
    seeds = min(options.seeds, *(sum(key.rpartition(" ")[0] == name for key in bases) for name in options.ways))
    print(tables(bases, options.ways, seeds))
    draw(bases, options.ways, seeds, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
