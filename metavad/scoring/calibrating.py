"""A detector's threshold from normal footage of its camera that it was not shown; what stands out of that footage."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metavad.arguments import checked
from metavad.errors import UsageError
from metavad.normality.detector import Detector
from metavad.normality.own_footage import (
    Cluster,
    OwnFootage,
    clusters,
    joined,
    window_means,
    window_peaks,
    window_starts,
)
from metavad.normality.own_regimes import Look, named, own_regimes
from metavad.normality.regimes import LIGHT
from metavad.normality.threshold import needed_seconds, outstanding
from metavad.progress import SILENT, Progress, along
from metavad.recordings import frame_ends, without_gaps
from metavad.scenes.cache import Store, content_key, video_facts
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe, read_colour
from metavad.scoring.events import Event, EventMerger, in_events
from metavad.scoring.stream import score
from metavad.threads import one_thread
from metavad.types import FloatArray

__all__ = [
    "Calibrated",
    "NotableCluster",
    "Piece",
    "calibrate",
    "pace",
    "pieces_of",
    "planned_seconds",
    "standing_out",
    "with_regimes",
]

SPARE = 1.05
"""Footage that is scored, by what the promise needs: a little of each piece does not count."""
PIECES, SHORTEST, LONGEST = 60, 10.0, 300.0
"""Into how many pieces a budget is spread, about, and the seconds that one has at least and at most."""
TRIED = 20.0
"""Seconds of footage by which it is known how long all of it takes."""
NAMED = 10
"""Moments that are explained."""


@dataclass(frozen=True)
class Piece:
    """Frames of a normal video that are scored in one go."""

    video: Video
    frames: tuple[int, int]
    """Half-open."""
    seconds: float


@dataclass(frozen=True)
class NotableCluster:
    """A cluster of the camera's own normal footage that alarms, or stands out, with what surprised in it."""

    cluster: Cluster
    """When: its video, start and end."""
    stands_out: bool
    """It does not count for the threshold, unless somebody says that it is normal."""
    event: Event
    """What surprised in it, where and why."""
    second: float
    """In the video, of what surprised most: what to show, for it to be known as normal."""


@dataclass(frozen=True)
class Calibrated:
    """What came of a detector and its camera's own normal footage."""

    detector: Detector
    """With the threshold that this footage gives; that of other cameras where it is too little."""
    seconds: float
    """Footage that was scored, without what was shown."""
    notable: tuple[NotableCluster, ...]
    """The highest first."""


@checked
@one_thread()
def calibrate(
    detector: Detector,
    scene: Scene,
    *,
    budget: float | None = None,
    store: Store | None = None,
    progress: Progress = SILENT,
) -> Calibrated:
    """Take the threshold from normal videos of a detector's camera, but for the clips that it was shown.

    Args:
        detector: of this camera; it is not changed.
        scene: the camera; all frames of its normal videos count as normal.
        budget: seconds of footage that are scored, spread over all of it; by default what the promise needs, 3 / A
            days for A alarms a day. What was scored is kept in the cache: whoever was stopped goes on from there.
        store: the cache of decoded and derived arrays; by default the one that ``METAVAD_CACHE`` or the system names.
        progress: is told how far the work is; silent by default.

    Returns:
        The detector with its new threshold, and the times that alarm in this footage.

    Raises:
        VideoError: a video cannot be read, or has pictures of another size than the camera's.
        UsageError: a negative budget.
    """
    store = store or Store()
    model, parts, lights = _model_digest(detector), list[tuple[str, FloatArray, FloatArray]](), [np.zeros((0, LIGHT))]
    for piece in along(progress, "Calibrating", pieces_of(detector, scene, budget=budget, store=store)):
        key = _key(detector, model, piece)
        rows = store.array(key, lambda piece=piece: _scored(detector, piece, progress))  # type: ignore[misc]
        parts.append((piece.video.name, rows[0], rows[1]))
        lights.append(rows[2:].T)
    calibrated = with_regimes(detector, scene, joined(parts), np.concatenate(lights))
    own = calibrated.own
    length = float(np.count_nonzero(own.known)) * (detector.model.scoring.past + detector.model.scoring.future)
    return Calibrated(calibrated, length, _notable(calibrated, scene, store, progress))


def pieces_of(
    detector: Detector, scene: Scene, *, budget: float | None = None, store: Store | None = None
) -> list[Piece]:
    """The footage that is scored: all, or as much as the budget says in pieces that are spread evenly."""
    if budget is not None and not 0 <= budget < math.inf:
        raise UsageError(f"budget: expected seconds of footage from 0 on, found {budget:g}")
    wanted = SPARE * needed_seconds(detector.promise.alarms_per_day) if budget is None else budget
    clocks = [_clock(detector, scene, video, store or Store()) for video in scene.normal]
    total = sum(clock[-1] for _, clock in clocks)
    length = min(max(wanted / PIECES, SHORTEST), LONGEST)
    count = math.ceil(wanted / length)
    if not count or total <= wanted:
        stretches = [(0.0, total)] if count else []
    else:
        stretches = [(middle - length / 2, middle + length / 2) for middle in (np.arange(count) + 0.5) * total / count]
    return list(_cut(scene.normal, clocks, stretches))


def planned_seconds(pieces: Sequence[Piece]) -> float:
    """How long the footage of pieces is."""
    return sum(piece.seconds for piece in pieces)


def pace(detector: Detector, piece: Piece) -> float:
    """Seconds that this machine takes for a second of footage, by the begin of a piece."""
    first, end = piece.frames
    some = max(1, round((end - first) * min(1.0, TRIED / piece.seconds)))
    begun = time.perf_counter()
    for _ in score(replace(detector, threshold=math.inf), piece.video, frames=(first, first + some)):
        pass
    return (time.perf_counter() - begun) / min(piece.seconds, TRIED)


def standing_out(detector: Detector) -> list[tuple[Cluster, bool]]:
    """The clusters of a detector's own footage that have a number, and whether each stands out."""
    odd = outstanding(detector.model, detector.own)
    return [(cluster, bool(odd[slice(*cluster.windows)].any())) for cluster in clusters(detector.model, detector.own)]


def _clock(detector: Detector, scene: Scene, video: Video, store: Store) -> tuple[int, FloatArray]:
    """The first normal frame of a video, and when each ends or begins on a clock without gaps: (T + 1,) from 0."""
    seconds = video_facts(store, video, detector.camera.crop).seconds
    first, end = scene.normal_frames or (0, len(seconds))
    clock = without_gaps(seconds)
    over = clock[-1:] + (frame_ends(seconds) - seconds)[-1:]
    part = np.concatenate([clock, over])[first : min(end, len(seconds)) + 1]
    return first, part - part[0]


def _cut(
    videos: Sequence[Video], clocks: Sequence[tuple[int, FloatArray]], stretches: Sequence[tuple[float, float]]
) -> Iterator[Piece]:
    """The pieces of stretches of all videos' time, one after the other."""
    begun = 0.0
    for video, (first, clock) in zip(videos, clocks, strict=True):
        for start, end in stretches:
            low, high = np.searchsorted(clock, [start - begun - _TIE, end - begun - _TIE]).tolist()
            high = min(high, len(clock) - 1)
            if end > begun and low < high:
                yield Piece(video, (first + low, first + high), float(clock[high] - clock[low]))
        begun += clock[-1]


_TIE = 1e-6
"""Seconds."""


def _model_digest(detector: Detector) -> str:
    """Of all that scores depend on: not the threshold, nor what is kept for people."""
    promise = replace(detector.promise, alarms_per_day=1.0, supported=False, text="")
    return replace(detector, threshold=0.0, promise=promise, own=OwnFootage(), pictures=(), regimes=()).digest


def _key(detector: Detector, model: str, piece: Piece) -> dict[str, object]:
    crop = detector.camera.crop
    return {
        "kind": "calibration",
        "version": 2,
        "detector": model,
        "video": [piece.video.name, content_key(piece.video)],
        "crop": [crop.top, crop.bottom, crop.left, crop.right],
        "frames": list(piece.frames),
    }


def _scored(detector: Detector, piece: Piece, progress: Progress) -> FloatArray:
    """When each window of a piece begins, its peak, and its light (2 + 6, N), as if no regime were known."""
    silent = replace(detector, threshold=math.inf, regimes=())
    frames = score(silent, piece.video, frames=piece.frames, progress=progress)
    rows = np.array([(frame.index, frame.seconds, frame.score, *frame.light) for frame in frames])
    if not len(rows):
        return np.zeros((2 + LIGHT, 0))
    index, seconds, scores = rows.T[:3]
    shown = np.array([detector.was_shown(piece.video.name, int(frame)) for frame in index])
    model = detector.model
    peaks = window_peaks(model, scores, seconds, shown)
    lights = window_means(model, rows[:, 3:], seconds)
    return np.stack([window_starts(model, seconds), peaks, *lights.T])


def with_regimes(detector: Detector, scene: Scene, own: OwnFootage, lights: FloatArray) -> Detector:
    """The detector with this footage, and with the regimes that are found in it, each with a name.

    ``own`` has the peaks of windows without regard to regimes, ``lights`` (N, 6) the light of each window.
    """
    own, regimes = own_regimes(detector.model, own, lights)
    looks = [_look(detector, scene, own, lights, number) for number in range(len(regimes))] if len(regimes) > 1 else []
    names = named(looks) if looks else [regime.name for regime in regimes]
    regimes = tuple(replace(regime, name=name) for regime, name in zip(regimes, names, strict=True))
    return replace(detector, regimes=regimes).with_footage(own)


LOOKED = 5
"""Pictures of a regime by which it is known whether it has colour."""


def _look(detector: Detector, scene: Scene, own: OwnFootage, lights: FloatArray, number: int) -> Look:
    """A regime, and how much colour its most typical pictures have."""
    inside = np.flatnonzero(own.known & (own.regime == number))
    middle = np.median(lights[inside], axis=0)
    ranked = inside[np.argsort(np.abs(lights[inside] - middle).sum(1), kind="stable")]
    videos, found = {video.name: video for video in scene.normal}, []
    for window in ranked[:LOOKED]:
        video = videos[own.videos[own.video[window]]]
        frame = int(np.searchsorted(probe(video, detector.camera.crop).seconds, own.starts[window] - _TIE))
        found.append(float(np.ptp(read_colour(video, frame, detector.camera.crop), axis=2).mean()))
    return Look(tuple(middle.tolist()), float(np.median(found)))


def _notable(detector: Detector, scene: Scene, store: Store, progress: Progress) -> tuple[NotableCluster, ...]:
    """Moments over the threshold, or that stand out; the highest are scored once more, for their reasons."""
    over = [each for each in standing_out(detector) if each[1] or each[0].score > detector.threshold]
    videos = {video.name: video for video in scene.normal}
    return tuple(
        _explained(detector, videos[cluster.video], cluster, odd, store)
        for cluster, odd in along(progress, "Looking again", over[:NAMED])
    )


def _explained(detector: Detector, video: Video, cluster: Cluster, odd: bool, store: Store) -> NotableCluster:
    """The highest event of a cluster; without a reason where scoring from nearby finds none."""
    model = detector.model
    before = max(model.lookback.values()) / model.rate + 2 * (model.scoring.past + model.scoring.future)
    seconds = video_facts(store, video, detector.camera.crop).seconds
    first, end = np.searchsorted(seconds, [cluster.start - before, cluster.end + model.scoring.future + _TIE]).tolist()
    lower = replace(detector, threshold=0.99 * cluster.score)
    merger = EventMerger(model.scoring.merge, model.scoring.longest)
    for _ in in_events(score(lower, video, frames=(first, end)), merger, seconds):
        pass
    found = max(merger.events, key=lambda each: each.event.score, default=None)
    if found is None or found.cause is None:
        event = Event(cluster.start, cluster.end, cluster.start, cluster.score, None)
        return NotableCluster(cluster, odd, event, (cluster.start + cluster.end) / 2)
    return NotableCluster(cluster, odd, found.event, found.cause.seconds)
