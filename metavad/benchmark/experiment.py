"""All parts of all scenes, and what comes of them."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from metavad.arguments import checked
from metavad.benchmark.differences import Draws, differences
from metavad.benchmark.examples import scene_example
from metavad.benchmark.figures import frame_scores, row
from metavad.benchmark.head import head_of
from metavad.benchmark.means import mean_differences, mean_figures
from metavad.benchmark.parts import Scored, scored_part
from metavad.benchmark.protocol import METHODS
from metavad.benchmark.record import BenchmarkRecord, Difference, Row, SceneExample, SceneFacts, Source
from metavad.benchmark.scene_trial import SceneTrial
from metavad.benchmark.settings import Part, Settings, checked_settings
from metavad.errors import DataError, FootageWarning
from metavad.normality.base import Base
from metavad.progress import SILENT, Progress, along
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.side_by_side import side_by_side
from metavad.threads import one_thread
from metavad.types import FloatArray

__all__ = ["Outcome", "run_benchmark"]


@dataclass(frozen=True)
class Outcome:
    """The record of an experiment, an example of each scene, and the scores that the figures were made from."""

    record: BenchmarkRecord
    """What is written as JSON: settings, digests, a row for each scene, method and K, differences with intervals."""
    examples: tuple[SceneExample, ...]
    """Of each scene, pictures for a page."""
    scores: dict[str, FloatArray] = field(default_factory=dict)
    """By ``SUITE:SCENE/VIDEO/METHOD/K/DRAW``: one score for each frame that counts (T,); beside them
    ``.../labels`` (1 = abnormal), ``.../seconds``, ``.../raw`` before smoothing (NaN: not known yet), and
    ``.../boxes`` (N, 6): tick, x0, y0, x1, y1, score."""


@dataclass(frozen=True)
class _Found:
    """What one scene gives."""

    rows: list[Row]
    differences: list[Difference]
    scores: dict[str, FloatArray]


@checked
def run_benchmark(
    scenes: Sequence[Scene],
    base: Base,
    *,
    shots: Sequence[int] = (0, 1, 5, 10),
    draws: int = 5,
    methods: Sequence[str] = tuple(METHODS),
    shot_frames: int = 16,
    seed: int = 0,
    store: Store | None = None,
    parts: str | Path | None = None,
    examples: bool = True,
    paper: bool = False,
    undefined: bool = False,
    jobs: int = 1,
    source: Source = Source(),
    progress: Progress = SILENT,
) -> Outcome:
    """Few-shot against zero-shot and against baselines, on labelled scenes: the experiment of a paper's table.

    Args:
        scenes: cameras with labelled test videos.
        base: what is adapted.
        shots: each K; 0 is zero-shot.
        draws: seeded draws of the shots, for mean and spread.
        methods: names of methods, as the protocol has them; all by default.
        shot_frames: T, frames of each clip.
        seed: of the draws and of the intervals.
        store: the cache of decoded and derived arrays; by default the one that ``METAVAD_CACHE`` or the system names.
        parts: a folder in which every finished part is kept, so that a run that was stopped goes on.
        examples: whether to keep pictures of each scene for a page.
        paper: add columns that look at the test set, as the field's published figures do; they are called so.
        undefined: go on where no scene has an abnormal frame, so that no figure is defined.
        jobs: scenes that are worked on side by side.
        source: what the record says of the command.
        progress: is told how far the work is; silent by default.

    Raises:
        ShotsError: the normal footage of a scene is too little; before anything is computed.
        LabelError: labels that do not fit their video.
        UsageError: an unknown method, or a count out of range.
        DataError: no scene has an abnormal frame.
    """
    settings = checked_settings(shots, draws, methods, shot_frames, seed, paper=paper)
    store = store or Store()
    folder = None if parts is None else Path(parts)
    trials = [SceneTrial(scene, scenes, base, settings, store, folder) for scene in scenes]
    for trial in along(progress, "Looking at footage and labels", trials):
        trial.check()
    _check_something_is_labelled(trials, refuse=not undefined)
    found = _all(trials, jobs, len(settings.parts), progress)
    record = _record(trials, base, settings, found, source, jobs)
    shown = tuple(scene_example(trial) for trial in along(progress, "Examples", trials)) if examples else ()
    return Outcome(record, shown, {name: scores for one in found for name, scores in one.scores.items()})


def _record(
    trials: Sequence[SceneTrial], base: Base, settings: Settings, found: Sequence[_Found], source: Source, jobs: int
) -> BenchmarkRecord:
    apart = [each for one in found for each in one.differences]
    rows = [each for one in found for each in one.rows]
    return BenchmarkRecord(
        **head_of(base, source),
        kind="benchmark",
        methods=settings.methods,
        shots=settings.shots,
        draws=settings.draws,
        seed=settings.seed,
        draw_seeds=tuple(settings.draw_seed(draw) for draw in range(settings.draws)),
        shot_frames=settings.shot_frames,
        paper_protocol=settings.paper,
        jobs=jobs,
        scenes=tuple(_scene_facts(trial) for trial in trials),
        rows=tuple(rows),
        differences=(*apart, *mean_differences(apart, settings.seed)),
        means=tuple(mean_figures(rows, settings.seed)),
    )


def _scene_facts(trial: SceneTrial) -> SceneFacts:
    scene, settings = trial.scene, trial.settings
    independent = {str(k): trial.shots(k, 0).independent for k in settings.shots if k and settings.shows_clips}
    return SceneFacts(
        scene=scene.key,
        layout=scene.layout,
        labels=scene.label_set,
        test_videos=len(scene.test),
        normal_videos=len(scene.normal),
        independent_shots=independent,
        wrong_scene=next(iter(trial.other_scene.scenes)) if "wrong-scene" in settings.methods else None,
        data=trial.digest,
        truth=trial.truth_digest,
    )


def _check_something_is_labelled(trials: Sequence[SceneTrial], *, refuse: bool) -> None:
    """Refuse what would be dashes from end to end; say which of several scenes would be."""
    normal = [trial.scene.key for trial in trials if not any(labels.any() for labels, _ in trial.truth.values())]
    if refuse and len(normal) == len(trials):
        raise DataError(
            f"{normal[0]}: expected test videos with abnormal frames, found none labelled; mend the labels, or score "
            "them instead"
        )
    for key in normal:
        warnings.warn(f"{key}: no frame is labelled abnormal, so it has no AUC", FootageWarning, stacklevel=3)


def _all(trials: Sequence[SceneTrial], jobs: int, parts: int, progress: Progress) -> list[_Found]:
    """Scene by scene, in order; with several jobs the bar moves a scene at a time."""
    alone, found = jobs == 1, []
    with progress.task("Benchmark", parts * len(trials)) as task:
        work = [partial(_scene, trial, task.advance if alone else None) for trial in trials]
        with closing(side_by_side(work, jobs)) as finished:
            for trial, one in zip(trials, finished, strict=True):
                found.append(one)
                if not alone:
                    task.advance(parts, note=trial.scene.key)
    return found


@one_thread()
def _scene(trial: SceneTrial, advance: Callable[..., None] | None) -> _Found:
    """All rows of one scene, the differences between its methods, and its scores."""
    scored: dict[tuple[str, int], list[Scored]] = {}
    for method, shots, draw in trial.settings.parts:
        part = Part(trial.scene.key, method, shots, draw)
        scored.setdefault((method, shots), []).append(scored_part(trial, part))
        if advance is not None:
            advance(1, note=f"{trial.scene.key} {method} K={shots}")
    rows = [row(trial, method, shots, draws) for (method, shots), draws in scored.items()]
    return _Found(rows, differences(trial, scored), _named_scores(trial, scored))


def _named_scores(trial: SceneTrial, scored: Draws) -> dict[str, FloatArray]:
    named: dict[str, FloatArray] = {}
    for name, (labels, counted) in trial.truth.items():
        place = f"{trial.scene.key}/{name}"
        named[f"{place}/labels"] = labels[counted].astype(np.float32)
        named[f"{place}/seconds"] = trial.facts(name).seconds[counted]
    for (method, shots), draws in scored.items():
        for number, draw in enumerate(draws):
            held = zip(trial.truth, frame_scores(trial, draw.smoothed), frame_scores(trial, draw.raw), strict=True)
            for name, smoothed, raw in held:
                place = f"{trial.scene.key}/{name}/{method}/{shots}/{number}"
                named |= {place: smoothed.astype(np.float32), f"{place}/raw": raw.astype(np.float32)}
                named |= {f"{place}/boxes": draw.detections[name]} if name in draw.detections else {}
    return named
