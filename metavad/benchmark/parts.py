"""One method on one scene, with so many shots, in one draw: made, scored, and kept on disk."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from metavad import __version__
from metavad.benchmark.region_truth import pixel_figure
from metavad.benchmark.scene_trial import SceneTrial
from metavad.benchmark.settings import Part
from metavad.features.footage import regridded
from metavad.features.library import Library, VideoFeatures
from metavad.files import atomic_path
from metavad.normality.accumulation import smooth
from metavad.normality.base import Base
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted, method_of
from metavad.normality.model import SceneModel
from metavad.normality.threshold import promise_threshold
from metavad.scenes.array_files import archived_arrays
from metavad.scenes.cache import cache_folder
from metavad.scoring.baselines import motion, position
from metavad.scoring.regions import detect
from metavad.scoring.stream import VideoScores, score_features
from metavad.types import FloatArray

__all__ = ["Scored", "parts_folder", "scored_part"]


@dataclass(frozen=True)
class Scored:
    """What a part gives: scores of every tick of every test video, boxes, and what it cost."""

    raw: dict[str, FloatArray]
    """NaN where nothing is known yet."""
    smoothed: dict[str, FloatArray]
    adapt_seconds: float | None = None
    fps: float | None = None
    """Frames of the file a second: decoding, features and scoring."""
    threshold: float | None = None
    """Frame score that keeps the promise of the base's config; none for what promises nothing."""
    pixel_auc: float | None = None
    detections: dict[str, FloatArray] = field(default_factory=dict)
    """For each video (N, 6): tick, box in pixels, score; empty where nobody drew what is abnormal."""


def scored_part(trial: SceneTrial, part: Part) -> Scored:
    """From disk where it is kept, else made now and kept."""
    found = _kept(trial, part)
    if found is None:
        found = _score_part(trial, part)
        _keep(trial, part, found)
    return found


def parts_folder(base: Base, shot_frames: int, seed: int) -> Path:
    """Where the parts of one experiment are kept: by base, settings, and the code that makes them."""
    code = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        if not {"report", "recognition", "cli", "synthetic"} & set(path.relative_to(package).parts):
            code.update(path.read_bytes())
    where = [] if base.device in (None, "cpu") else [base.device]  # another device rounds differently
    facts = json.dumps([__version__, code.hexdigest(), base.digest, shot_frames, seed, *where])
    return cache_folder() / "benchmarks" / hashlib.sha256(facts.encode()).hexdigest()[:16]


# ---------------------------------------------------------------- making


def _score_part(trial: SceneTrial, part: Part) -> Scored:
    if part.method == "position":
        raw = {name: position(features.seconds) for name, features in trial.test_features()}
        return Scored(raw, raw)
    if part.method == "motion":
        return _scored(trial, partial(_speed, trial), None, None, trial.moving)
    started = time.perf_counter()
    model, waited = _model(trial, part)
    seconds = time.perf_counter() - started + waited
    maps, threshold = trial.regions.known, _threshold(trial, model)
    return _scored(trial, partial(score_features, model, trial.library, maps=maps), seconds, threshold)


def _threshold(trial: SceneTrial, model: SceneModel) -> float:
    """The promise's, by the base's frame scores for every method."""
    base = trial.base
    ticks = int(base.facts.get("normal_ticks", 0))
    alarms = base.config.adaptation.alarms_per_day
    return promise_threshold(model, alarms, normal_ticks=ticks)[0]


def _speed(trial: SceneTrial, features: VideoFeatures) -> VideoScores:
    """The baseline without a model, smoothed as scores of a model are; its map is the speed of each cell."""
    settings, flow = trial.base.config.scoring, trial.moving.features["flow"]
    raw = motion(features.rows["flow"], features.begun(0, len(features.seconds)) >= flow.past)
    smoothed = smooth(raw, features.seconds, settings.past, settings.future, features.recordings)
    return VideoScores(features.frames, features.seconds, smoothed, raw, np.asarray(features.rows["flow"])[:, 2])


def _scored(
    trial: SceneTrial,
    score: Callable[[VideoFeatures], VideoScores],
    adapt_seconds: float | None,
    threshold: float | None,
    library: Library | None = None,
) -> Scored:
    found, frames = {}, sum(len(labels) for labels, _ in trial.truth.values())
    videos = list(trial.test_features(library))
    started = time.perf_counter()
    for name, features in videos:
        found[name] = score(features)
    spent = time.perf_counter() - started + frames * trial.feature_seconds
    regions = trial.regions
    maps = {name: each.fused for name, each in found.items() if each.fused is not None} if regions.known else {}
    return Scored(
        {name: each.raw.astype(np.float32) for name, each in found.items()},
        {name: each.scores.astype(np.float32) for name, each in found.items()},
        adapt_seconds,
        frames / spent,
        threshold,
        pixel_figure(regions, maps) if maps else None,
        {name: detect(each, regions.videos[name].size).astype(np.float32) for name, each in maps.items()},
    )


def _model(trial: SceneTrial, part: Part) -> tuple[SceneModel, float]:
    """The adapted model, and the seconds that reading the shots took when that was done before."""
    base, seed = trial.base, trial.settings.draw_seed(part.draw)
    if part.method == "zero-shot":
        return fit(Adapted(base), trial.library.nothing(trial.scene.key, "test"), trial.grid), 0.0
    library = trial.other_scene if part.method == "wrong-scene" else trial.library
    started = time.perf_counter()
    sample, seconds = trial.support(library, part.shots, part.draw)
    waited = seconds - (time.perf_counter() - started)
    method = Adapted(base) if part.method == "wrong-scene" else method_of(part.method, base, seed)
    fitting = regridded(sample, library.features, library.grid(next(iter(library.scenes))), trial.grid)
    return fit(method, fitting, trial.grid), max(0.0, waited)


# ---------------------------------------------------------------- keeping


def _file(folder: Path, trial: SceneTrial, part: Part) -> Path:
    """A file for each part, under the digest of the footage that it saw, and of what is drawn into it.

    No label is known to what is kept but the count of abnormal pixels in its pixel AUC: suites of the same footage
    whose labels differ share their parts, those with and without masks do not.
    """
    digest = trial.shown if part.method != "wrong-scene" else f"{trial.shown}-{trial.other_shown}"
    drawn = f"-drawn{trial.regions.digest}" if trial.regions.known else ""
    return folder / digest / f"{part.method}-{part.shots}-{part.draw}{drawn}.npz"


_NUMBERS = ("adapt_seconds", "fps", "threshold", "pixel_auc")
_ARRAYS = ("raw", "smoothed", "detections")


def _keep(trial: SceneTrial, part: Part, scored: Scored) -> None:
    if trial.folder is None:
        return
    facts = {name: getattr(scored, name) for name in _NUMBERS}
    facts |= {name: list(getattr(scored, name)) for name in _ARRAYS}
    arrays: dict[str, Any] = {
        f"{name}-{number}": row for name in _ARRAYS for number, row in enumerate(getattr(scored, name).values())
    }
    text = json.dumps(facts)
    with atomic_path(_file(trial.folder, trial, part)) as beside, beside.open("wb") as file:
        np.savez(file, facts=np.frombuffer(text.encode(), np.uint8), **arrays)


def _kept(trial: SceneTrial, part: Part) -> Scored | None:
    """What was kept; nothing where there is none, or what there is has been damaged."""
    if trial.folder is None or not _file(trial.folder, trial, part).is_file():
        return None
    try:
        return _read(_file(trial.folder, trial, part))
    except (KeyError, OSError, ValueError):
        return None


_MOST = 1 << 34
"""Bytes of one array that is kept: the scores of a video, or its boxes."""


def _read(path: Path) -> Scored:
    kept = {name: array.values(_MOST) for name, array in archived_arrays(path).items()}
    facts = json.loads(kept["facts"].tobytes())
    arrays = {name: {video: kept[f"{name}-{number}"] for number, video in enumerate(facts[name])} for name in _ARRAYS}
    numbers: dict[str, Any] = {name: facts[name] for name in _NUMBERS}
    return Scored(arrays["raw"], arrays["smoothed"], **numbers, detections=arrays["detections"])
