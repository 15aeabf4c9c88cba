"""All parts of all scenes, and what comes of them."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from metavad.benchmark.bench import Bench
from metavad.benchmark.differences import Draws, differences, mean_differences
from metavad.benchmark.figures import frame_scores, row
from metavad.benchmark.parts import Scored, scored_part
from metavad.benchmark.record import record_of
from metavad.benchmark.settings import METHODS, Part, checked_settings
from metavad.benchmark.stories import Story, story_of
from metavad.errors import DataError, FootageWarning
from metavad.normality.base import Base
from metavad.progress import SILENT, Progress, along
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.threads import one_thread
from metavad.types import FloatArray

__all__ = ["Outcome", "run_benchmark"]


@dataclass(frozen=True)
class Outcome:
    """The record of an experiment, a story of each camera, and the scores that the figures were made from."""

    record: dict[str, Any]
    stories: tuple[Story, ...]
    scores: dict[str, FloatArray] = field(default_factory=dict)
    """By ``SUITE:SCENE/VIDEO/METHOD/K/DRAW``: one score for each frame that counts (T,); beside them
    ``.../labels`` (1 = abnormal), ``.../seconds``, ``.../raw`` before smoothing (NaN: not known yet), and
    ``.../boxes`` (N, 7): tick, x0, y0, x1, y1, score, track."""


@dataclass(frozen=True)
class _Found:
    """What one scene gives."""

    rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    scores: dict[str, FloatArray]


def run_benchmark(
    scenes: Sequence[Scene],
    base: Base,
    *,
    shots: Sequence[int] = (0, 1, 5, 10),
    draws: int = 5,
    methods: Sequence[str] = METHODS,
    shot_frames: int = 16,
    seed: int = 0,
    store: Store | None = None,
    parts: Path | None = None,
    stories: bool = True,
    paper: bool = False,
    undefined: bool = False,
    jobs: int = 1,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> Outcome:
    """Few-shot against zero-shot on labelled scenes.

    ``parts`` is a folder in which every finished part is kept, so that a run that was stopped goes on; ``jobs``
    scenes are worked on side by side. ``paper`` adds columns that look at the test set, as the field's published
    figures do; they are called so. ``undefined`` goes on where no scene has an abnormal frame, so that no figure is
    defined. ``facts`` are added to the record. Raises :class:`ShotsError`, before
    anything is computed, where the normal footage of a scene is too little, and :class:`UsageError` for an
    unknown method.
    """
    settings = checked_settings(shots, draws, methods, shot_frames, seed, paper=paper)
    store = store or Store()
    folder = None if parts is None else parts.absolute()  # a worker may have been started elsewhere
    benches = [Bench(scene, scenes, base, settings, store, folder) for scene in scenes]
    for bench in along(progress, "Looking at footage and labels", benches):
        bench.check()
    _check_something_is_labelled(benches, refuse=not undefined)
    found = _all(benches, jobs, len(settings.parts), progress)
    apart = [each for one in found for each in one.differences]
    joined = {
        "rows": [each for one in found for each in one.rows],
        "differences": [*apart, *mean_differences(apart, seed)],
    }
    record = record_of(benches, base, settings, joined, dict(facts or {}))
    told = tuple(story_of(bench) for bench in along(progress, "Stories", benches)) if stories else ()
    return Outcome(record, told, {name: scores for one in found for name, scores in one.scores.items()})


def _check_something_is_labelled(benches: Sequence[Bench], *, refuse: bool) -> None:
    """Refuse what would be dashes from end to end; say which of several scenes would be."""
    normal = [bench.scene.key for bench in benches if not any(labels.any() for labels, _ in bench.truth.values())]
    if refuse and len(normal) == len(benches):
        raise DataError(
            f"{normal[0]}: expected test videos with abnormal frames, found none labelled; mend the labels, or score "
            "them instead"
        )
    for key in normal:
        warnings.warn(f"{key}: no frame is labelled abnormal, so it has no AUC", FootageWarning, stacklevel=3)


def _all(benches: Sequence[Bench], jobs: int, parts: int, progress: Progress) -> list[_Found]:
    """Scene by scene, in order; with several jobs the bar moves a scene at a time."""
    alone, found = jobs == 1, []
    with progress.task("Benchmark", parts * len(benches)) as task:
        finished = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(_scene)(bench, task.advance if alone else None) for bench in benches
        )
        for bench, one in zip(benches, finished, strict=True):
            found.append(one)
            if not alone:
                task.advance(parts, note=bench.scene.key)
    return found


@one_thread()
def _scene(bench: Bench, advance: Callable[..., None] | None) -> _Found:
    """All rows of one scene, the differences between its methods, and its scores."""
    scored: dict[tuple[str, int], list[Scored]] = {}
    for method, shots, draw in bench.settings.parts:
        part = Part(bench.scene.key, method, shots, draw)
        scored.setdefault((method, shots), []).append(scored_part(bench, part))
        if advance is not None:
            advance(1, note=f"{bench.scene.key} {method} K={shots}")
    rows = [row(bench, method, shots, draws) for (method, shots), draws in scored.items()]
    return _Found(rows, differences(bench, scored), _named_scores(bench, scored))


def _named_scores(bench: Bench, scored: Draws) -> dict[str, FloatArray]:
    named: dict[str, FloatArray] = {}
    for name, (labels, counted) in bench.truth.items():
        place = f"{bench.scene.key}/{name}"
        named[f"{place}/labels"] = labels[counted].astype(np.float32)
        named[f"{place}/seconds"] = bench.facts(name).seconds[counted]
    for (method, shots), draws in scored.items():
        for number, draw in enumerate(draws):
            held = zip(bench.truth, frame_scores(bench, draw.smoothed), frame_scores(bench, draw.raw), strict=True)
            for name, smoothed, raw in held:
                place = f"{bench.scene.key}/{name}/{method}/{shots}/{number}"
                named |= {place: smoothed.astype(np.float32), f"{place}/raw": raw.astype(np.float32)}
                named |= {f"{place}/boxes": draw.detections[name]} if name in draw.detections else {}
    return named
