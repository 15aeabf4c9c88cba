"""A detector's threshold from normal footage of its camera that it was not shown."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from metavad.arguments import checked
from metavad.normality.detector import Detector
from metavad.normality.memory_bank import MINUTE, RATE, MemoryBank, novelty_scale
from metavad.normality.own_footage import OwnFootage, joined, window_means, window_peaks, window_seconds, window_starts
from metavad.normality.own_regimes import RegimeLight, named, own_regimes
from metavad.normality.regimes import LIGHT
from metavad.progress import SILENT, Progress, along
from metavad.scenes.cache import Store, content_digest, content_key
from metavad.scenes.scene import Crop, Scene, Video
from metavad.scenes.video import probe, read_colour
from metavad.scoring.before import Clocks, Past, digest_of, stood_in
from metavad.scoring.crossed_banks import blank_bank, crossed_banks, whole_bank
from metavad.scoring.notable import NotableCluster, notable_clusters
from metavad.scoring.novelty import Stood
from metavad.scoring.pieces import TIE, Piece, has_a_bank, pieces_of
from metavad.scoring.stream import score, score_after
from metavad.threads import one_thread
from metavad.types import FloatArray, IntArray

__all__ = ["Calibrated", "calibrate", "pace"]

TRIED = 20.0
"""Seconds of footage by which it is known how long all of it takes."""


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
    begins: Mapping[Video, float] | None = None,
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
        begins: where the times of normal videos are 0, in seconds on one clock, where that is known: what stood at the
            end of one is not new in the next.
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
    clocks = Clocks(detector.camera.crop, store, begins)
    pasts = [
        () if bank is None else clocks.past(piece.video, piece.frames[0])
        for piece, bank in zip(pieces, banks, strict=True)
    ]
    stood = stood_in(detector, pasts, store, progress)
    windows, digests = _Windows(), dict[int, str]()
    for piece, bank, past, there in along(progress, "Calibrating", list(zip(pieces, banks, pasts, stood, strict=True))):
        silent = replace(detector, threshold=math.inf, regimes=(), bank=bank)
        if id(bank) not in digests:
            digests[id(bank)] = _model_digest(silent)
        key = _key(detector.camera.crop, digests[id(bank)], piece, past)
        windows.add(piece.video.name, store.array(key, lambda: _scored(silent, piece, there, progress)))  # noqa: B023
    calibrated = windows.calibrated(detector, scene, whole_bank(detector, scene, banks, store))
    sources = {piece.video.name: content_digest(piece.video) for piece in pieces}
    calibrated = replace(calibrated, sources={**sources, **detector.sources})
    crossed = {piece: bank for piece, bank in zip(pieces, banks, strict=True) if bank is not None}
    return Calibrated(
        calibrated, _unshown_seconds(calibrated), notable_clusters(calibrated, scene, crossed, clocks, store, progress)
    )


def _unshown_seconds(detector: Detector) -> float:
    """Seconds of its own footage that count, without those of clips that were shown inside them."""
    own, window = detector.own, window_seconds(detector.model)
    seconds = window * float(np.count_nonzero(own.known))
    for number, (clip, began) in enumerate(zip(detector.shots, detector.began, strict=True)):
        if clip.video in own.videos:
            starts = own.starts[own.known & (own.video == own.videos.index(clip.video))]
            end = began + detector.lasts(number)
            inside = np.minimum(starts + window, end) - np.maximum(starts, began)
            seconds -= float(np.clip(inside, 0, None).sum())
    return seconds


def pace(detector: Detector, pieces: Sequence[Piece]) -> float:
    """Seconds that this machine takes for a second of such footage, by the begin of the longest piece."""
    piece, bank = max(pieces, key=lambda each: each.seconds), blank_bank(detector) if has_a_bank(pieces) else None
    first, end = piece.frames
    some = max(1, round((end - first) * min(1.0, TRIED / piece.seconds)))
    begun = time.perf_counter()
    for _ in score(replace(detector, threshold=math.inf, bank=bank), piece.video, frames=(first, first + some)):
        pass
    return (time.perf_counter() - begun) / min(piece.seconds, TRIED)


def _model_digest(detector: Detector) -> str:
    """Of all that scores depend on: not the threshold, nor what is kept for people."""
    return replace(detector, pictures=(), regimes=(), sources={}).scores_digest


def _key(crop: Crop, digest: str, piece: Piece, past: Sequence[Past]) -> dict[str, object]:
    return {
        "kind": "calibration",
        "version": 5,
        "detector": digest,
        "looks": RATE,
        "video": [piece.video.name, content_key(piece.video)],
        "crop": crop.sides,
        "frames": list(piece.frames),
        "before": digest_of(past),
    }


def _scored(detector: Detector, piece: Piece, stood: Sequence[Stood], progress: Progress) -> FloatArray:
    """When each window of a piece begins, its peak, its novelty, and its light (3 + 6, N)."""
    frames = score_after(stood, detector, piece.video, frames=piece.frames, progress=progress)
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


def _look(detector: Detector, scene: Scene, own: OwnFootage, lights: FloatArray, number: int) -> RegimeLight:
    """A regime, and how much colour its most typical pictures have."""
    inside = np.flatnonzero(own.known & (own.regime == number))
    middle = np.median(lights[inside], axis=0)
    ranked = inside[np.argsort(np.abs(lights[inside] - middle).sum(1), kind="stable")]
    videos, found = {video.name: video for video in scene.normal}, []
    for window in ranked[:LOOKED]:
        video = videos[own.videos[own.video[window]]]
        frame = int(np.searchsorted(probe(video, detector.camera.crop).seconds, own.starts[window] - TIE))
        found.append(float(np.ptp(read_colour(video, frame, detector.camera.crop), axis=2).mean()))
    return RegimeLight(tuple(middle.tolist()), float(np.median(found)))
