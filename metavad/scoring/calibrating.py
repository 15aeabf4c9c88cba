"""A detector's threshold from normal footage of its camera that it was not shown; what stands out of that footage."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from metavad.arguments import checked
from metavad.errors import UsageError
from metavad.normality.detector import Detector
from metavad.normality.memory_bank import LASTS, MINUTE, MemoryBank, bank_feature, novelty_scale
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
from metavad.scenes.scene import Crop, Scene, Video
from metavad.scenes.video import probe, read_colour, read_frames, working_size
from metavad.scoring.events import Event, EventMerger, in_events
from metavad.scoring.stream import score
from metavad.threads import one_thread
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = [
    "BANK_SECONDS",
    "Calibrated",
    "NotableCluster",
    "Piece",
    "calibrate",
    "crossed_banks",
    "pace",
    "pieces_of",
    "planned_seconds",
    "standing_out",
    "whole_bank",
]

SPARE = 1.05
"""Footage that is scored, by what the promise needs: a little of each piece does not count."""
PIECES, SHORTEST, LONGEST = 60, 10.0, 300.0
"""Into how many pieces a budget is spread, about, and the seconds that one has at least and at most."""
TRIED = 20.0
"""Seconds of footage by which it is known how long all of it takes."""
NAMED = 10
"""Moments that are explained."""
BANK_SECONDS, LOOKS, APART = 3600.0, 256, 900.0
"""Footage from which on a memory bank is kept of it, of how many pictures about; and what of it lies nearer together
than so many seconds is in the same half."""


@dataclass(frozen=True)
class Piece:
    """Frames of a normal video that are scored in one go."""

    video: Video
    frames: tuple[int, int]
    """Half-open."""
    seconds: float
    clock: float
    """When it begins, on a clock that goes on from video to video."""


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
            days for A alarms a day, and an hour at least. What was scored is kept in the cache: whoever was stopped
            goes on from there.
        store: the cache of decoded and derived arrays; by default the one that ``METAVAD_CACHE`` or the system names.
        progress: is told how far the work is; silent by default.

    Returns:
        The detector with its new threshold, and the times that alarm in this footage.

    Raises:
        VideoError: a video cannot be read, or has pictures of another size than the camera's.
        UsageError: a negative budget.
    """
    store = store or Store()
    pieces = pieces_of(detector, scene, budget=budget, store=store)
    banks = crossed_banks(replace(detector, bank=None), pieces, store, progress)
    windows, digests = _Windows(), dict[int, str]()
    for piece, bank in along(progress, "Calibrating", list(zip(pieces, banks, strict=True))):
        silent = replace(detector, threshold=math.inf, regimes=(), bank=bank)
        if id(bank) not in digests:
            digests[id(bank)] = _model_digest(silent)
        key = _key(detector.camera.crop, digests[id(bank)], piece)
        windows.add(piece.video.name, store.array(key, lambda: _scored(silent, piece, progress)))  # noqa: B023
    calibrated = windows.calibrated(detector, scene, whole_bank(banks))
    own = calibrated.own
    length = float(np.count_nonzero(own.known)) * (detector.model.scoring.past + detector.model.scoring.future)
    crossed = {piece: bank for piece, bank in zip(pieces, banks, strict=True) if bank is not None}
    return Calibrated(calibrated, length, _notable(calibrated, scene, crossed, store, progress))


def pieces_of(
    detector: Detector, scene: Scene, *, budget: float | None = None, store: Store | None = None
) -> list[Piece]:
    """The footage that is scored: all, or as much as the budget says in pieces that are spread evenly."""
    if budget is not None and not 0 <= budget < math.inf:
        raise UsageError(f"budget: expected seconds of footage from 0 on, found {budget:g}")
    needed = max(SPARE * needed_seconds(detector.promise.alarms_per_day), BANK_SECONDS)
    wanted = needed if budget is None else budget
    clocks = [_clock(detector, scene, video, store or Store()) for video in scene.normal]
    total = sum(clock[-1] for _, clock in clocks)
    length = min(max(wanted / PIECES, SHORTEST), LONGEST)
    count = math.ceil(wanted / length)
    if not count:
        stretches = []
    elif total <= wanted:
        # A memory bank is made of pieces; of less footage there is none.
        edges = np.arange(0.0, total, LONGEST if total >= BANK_SECONDS - _SLACK else math.inf).tolist()
        stretches = list(zip(edges, [*edges[1:], total], strict=True))
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
                yield Piece(video, (first + low, first + high), float(clock[high] - clock[low]), begun + clock[low])
        begun += clock[-1]


_TIE, _SLACK = 1e-6, 1.0
"""Seconds; an hour of pieces is shorter by rounding."""


def _model_digest(detector: Detector) -> str:
    """Of all that scores depend on: not the threshold, nor what is kept for people."""
    promise = replace(detector.promise, alarms_per_day=1.0, supported=False, text="")
    return replace(detector, threshold=0.0, promise=promise, own=OwnFootage(), pictures=(), regimes=()).digest


def _key(crop: Crop, digest: str, piece: Piece) -> dict[str, object]:
    return {
        "kind": "calibration",
        "version": 3,
        "detector": digest,
        "video": [piece.video.name, content_key(piece.video)],
        "crop": _cut_off(crop),
        "frames": list(piece.frames),
    }


def _cut_off(crop: Crop) -> list[int]:
    return [crop.top, crop.bottom, crop.left, crop.right]


def _scored(detector: Detector, piece: Piece, progress: Progress) -> FloatArray:
    """When each window of a piece begins, its peak, its novelty, and its light (3 + 6, N)."""
    frames = score(detector, piece.video, frames=piece.frames, progress=progress)
    rows = np.array([(frame.index, frame.seconds, frame.score, frame.novelty, *frame.light) for frame in frames])
    if not len(rows):
        return np.zeros((3 + LIGHT, 0))
    index, seconds, scores, novelty = rows.T[:4]
    shown = np.array([detector.was_shown(piece.video.name, int(frame)) for frame in index])
    model = detector.model
    peaks = (window_peaks(model, each, seconds, shown) for each in (scores, novelty))
    return np.stack([window_starts(model, seconds), *peaks, *window_means(model, rows[:, 4:], seconds).T])


@dataclass
class _Windows:
    """The windows of a camera's own footage, as they are scored, piece after piece."""

    parts: list[tuple[str, FloatArray, FloatArray]] = field(default_factory=list)
    """Of each piece its video, the starts and the peaks of its windows, without regard to regimes."""
    novelty: list[FloatArray] = field(default_factory=list)
    lights: list[FloatArray] = field(default_factory=list)
    minutes: list[IntArray] = field(default_factory=list)

    def add(self, video: str, rows: FloatArray) -> None:
        """A piece (3 + 6, N): when each window begins, its peak, its novelty, its light."""
        starts, peaks, novelty = rows[:3]
        begins = 0 if not self.minutes else int(self.minutes[-1][-1]) + 1
        if len(starts):
            self.minutes.append(begins + ((starts - starts[0]) / MINUTE).astype(int))
        self.parts.append((video, starts, peaks))
        self.novelty.append(novelty)
        self.lights.append(rows[3:].T)

    def calibrated(self, detector: Detector, scene: Scene, bank: MemoryBank | None) -> Detector:
        """The detector with this footage, its regimes, and this bank on the scale of all scores."""
        lights = np.concatenate([np.zeros((0, LIGHT)), *self.lights])
        found = _with_regimes(replace(detector, bank=None), scene, joined(self.parts), lights)
        if bank is None:
            return found
        novelty, own = np.concatenate(self.novelty), found.own
        scale = novelty_scale(own.peaks, novelty, np.concatenate(self.minutes))
        if scale is None:
            return found
        worth = np.where(np.isnan(own.peaks), np.nan, scale.of(novelty)).astype(np.float32)
        own = replace(own, peaks=np.where(np.isnan(own.peaks), np.nan, np.fmax(own.peaks, worth)), novelty=worth)
        return replace(found, bank=replace(bank, scale=scale)).with_footage(own)


def crossed_banks(
    detector: Detector, pieces: Sequence[Piece], store: Store, progress: Progress
) -> Sequence[MemoryBank | None]:
    """For each piece a bank that knows nothing of it; none where there is too little.

    The footage is cut into stretches of a quarter of an hour or more, of which every other one is in the other bank.
    """
    total = planned_seconds(pieces)
    if total < BANK_SECONDS - _SLACK:
        return [None] * len(pieces)
    sides = _sides(pieces)
    known: list[list[tuple[ByteArray, str, float]]] = [[], []]
    begun, every = 0.0, total / LOOKS
    for piece, side in along(progress, "Looking at what is there", list(zip(pieces, sides, strict=True))):
        wanted = np.arange(math.ceil(begun / every - 0.5), math.ceil((begun + piece.seconds) / every - 0.5)) + 0.5
        shares = (wanted * every - begun) / piece.seconds
        begun += piece.seconds
        known[side] += _looked(detector, piece, shares, store)
    if not all(known):
        return [None] * len(pieces)
    halves = [
        MemoryBank(torch.from_numpy(np.stack([row for row, *_ in each]).view(np.int8)), tuple(one[1:] for one in each))
        for each in known
    ]
    return [halves[1 - side] for side in sides]


def whole_bank(banks: Sequence[MemoryBank | None]) -> MemoryBank | None:
    """Of both halves; none where there are none."""
    halves = list({id(bank): bank for bank in banks if bank is not None}.values())
    return halves[0].joined(halves[1]) if halves else None


def _sides(pieces: Sequence[Piece]) -> list[int]:
    """To which of two halves each piece belongs."""
    sides, begin, side = list[int](), -math.inf, 1
    for piece in pieces:
        if piece.clock - begin >= APART:
            begin, side = piece.clock, 1 - side
        sides.append(side)
    return sides


def _looked(detector: Detector, piece: Piece, shares: FloatArray, store: Store) -> list[tuple[ByteArray, str, float]]:
    """Patches (152, h, w) of pictures at these shares of a piece, with their video and second."""
    if not len(shares):
        return []
    camera, short_side = detector.camera, detector.config.data.short_side
    feature = bank_feature(working_size(camera.height, camera.width, short_side), detector.model.device)
    first, end = piece.frames
    frames = np.unique(np.minimum(first + (shares * (end - first)).astype(int), end - 1))

    def rows() -> Iterator[ByteArray]:
        for frame in read_frames(piece.video, short_side=short_side, crop=camera.crop, every=frames):
            yield feature.start()(frame.image, frame.seconds)

    kind = {"kind": "memory bank", "version": 1, "feature": feature.key(), "crop": _cut_off(camera.crop)}
    key = kind | {"video": content_key(piece.video), "frames": frames.tolist(), "short_side": short_side}
    seconds = video_facts(store, piece.video, camera.crop).seconds[frames]
    found = store.array(key, rows)
    return [(row, piece.video.name, float(second)) for row, second in zip(found, seconds, strict=True)]


def _with_regimes(detector: Detector, scene: Scene, own: OwnFootage, lights: FloatArray) -> Detector:
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


def _notable(
    detector: Detector, scene: Scene, crossed: Mapping[Piece, MemoryBank], store: Store, progress: Progress
) -> tuple[NotableCluster, ...]:
    """Moments over the threshold, or that stand out; the highest are scored once more, for their reasons."""
    over = [each for each in standing_out(detector) if each[1] or each[0].score > detector.threshold]
    videos = {video.name: video for video in scene.normal}
    return tuple(
        _explained(_not_knowing(detector, cluster, crossed), videos[cluster.video], cluster, odd, store)
        for cluster, odd in along(progress, "Looking again", over[:NAMED])
    )


def _not_knowing(detector: Detector, cluster: Cluster, crossed: Mapping[Piece, MemoryBank]) -> Detector:
    """The detector whose bank is of the half that a cluster is not in."""
    if detector.bank is None:
        return detector
    for piece, bank in crossed.items():
        seconds = probe(piece.video, detector.camera.crop).seconds[piece.frames[0] : piece.frames[1]]
        if piece.video.name == cluster.video and seconds[0] <= cluster.start <= seconds[-1]:
            return replace(detector, bank=replace(bank, scale=detector.bank.scale))
    return detector


def _explained(detector: Detector, video: Video, cluster: Cluster, odd: bool, store: Store) -> NotableCluster:
    """The highest event of a cluster; without a reason where scoring from nearby finds none."""
    model = detector.model
    before = max(model.lookback.values()) / model.rate + 2 * (model.scoring.past + model.scoring.future)
    before += 0.0 if detector.bank is None else LASTS
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
