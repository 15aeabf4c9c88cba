"""Frames of a video to scores, in bounded memory; each frame's score looks ahead at most half a second."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch

from metavad.adaptation.adapt import Normality, Surprise, lookback, surprises
from metavad.adaptation.detector import Detector
from metavad.calibration.accumulation import smooth, stream_smooth, strongest
from metavad.errors import VideoError
from metavad.features.base import Feature, Reading
from metavad.features.library import Library, Track, features_of, sample_of
from metavad.features.sample import Sample
from metavad.progress import SILENT, Progress
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import VideoFacts, probe, read_frames, tick_frames
from metavad.scoring.ahead import ahead
from metavad.scoring.explain import Explanation, explain
from metavad.scoring.regions import Box, find_regions
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = ["FrameScore", "Moment", "TrackScores", "explain_peak", "hold", "score", "score_track"]

CHUNK = 32
"""Ticks scored at once."""


@dataclass(frozen=True)
class FrameScore:
    """The score of one frame of the file; higher = more anomalous."""

    index: int
    seconds: float
    score: float
    """Mean over the smoothing window, in weighted nats."""
    alarm: bool
    box: Box | None
    """x0, y0, x1, y1 in pixels of the file: the region of the tick's strongest place."""
    cause: "Moment | None" = None
    """The tick with the highest score before smoothing among those that the mean is of."""


@dataclass(frozen=True)
class Moment:
    """One tick by itself."""

    index: int
    """Its frame of the file."""
    seconds: float
    raw: float
    """Its score before smoothing; NaN where nothing is known yet."""
    box: Box | None
    """As that of :class:`FrameScore`."""
    why: Explanation | None = None
    """Where it is the cause of an alarm."""


@dataclass(frozen=True)
class _Tick:
    """A moment, and its chunk while somebody may still ask why."""

    moment: Moment
    explain: Callable[[], Explanation | None]

    @cached_property
    def explained(self) -> Moment:
        return replace(self.moment, why=self.explain())


@dataclass(frozen=True)
class TrackScores:
    """Scores of every tick of one video."""

    frames: IntArray
    """Frame of the file at each tick (T,)."""
    seconds: FloatArray
    scores: FloatArray
    """Smoothed frame scores (T,)."""
    raw: FloatArray
    """Before smoothing; NaN where nothing is known yet."""
    fused: FloatArray | None = None
    """Surprise maps (T, h, w), where asked for."""


def score(
    detector: Detector, video: Video, *, crop: Crop | None = None, progress: Progress = SILENT
) -> Iterator[FrameScore]:
    """Score every frame of a video of the detector's camera, as it is read; what is wrong is raised at once.

    ``crop`` defaults to what the camera was cropped by. Raises :class:`VideoError` when the pictures have
    another shape than the camera's.
    """
    crop = detector.camera.crop if crop is None else crop
    facts = probe(video, crop)
    _check_shape(detector, facts, video)
    return _frames(detector, video, crop, facts, progress)


def check_video(detector: Detector, video: Video) -> None:
    """Raises :class:`VideoError` unless its pictures have the shape of the detector's camera."""
    _check_shape(detector, probe(video, detector.camera.crop), video)


def _frames(
    detector: Detector, video: Video, crop: Crop, facts: VideoFacts, progress: Progress
) -> Iterator[FrameScore]:
    settings = detector.normality.method.config.scoring
    ticks = tick_frames(facts.seconds, detector.normality.method.config.data.rate)
    recent: deque[_Tick] = deque()
    found = _noted(_stream(detector, Reading(video, facts, crop, ticks), progress), recent)
    smoothed = stream_smooth(found, settings.past, settings.ahead)
    ends = [*ticks[1:].tolist(), facts.frames]
    for (mean, moment), start, end in zip(smoothed, ticks.tolist(), ends, strict=True):
        alarm = mean > detector.threshold
        loudest = _loudest(recent, moment.seconds - settings.past, moment.seconds + settings.ahead)
        cause = None if loudest is None else loudest.explained if alarm else loudest.moment
        for index in range(start, end):
            yield FrameScore(index, float(facts.seconds[index]), mean, alarm, moment.box, cause)


def _noted(ticks: Iterator[_Tick], recent: deque[_Tick]) -> Iterator[tuple[float, float, Moment]]:
    """What smoothing wants of each tick, which is also put down."""
    for tick in ticks:
        recent.append(tick)
        yield tick.moment.seconds, tick.moment.raw, tick.moment


def _loudest(recent: deque[_Tick], first: float, last: float) -> _Tick | None:
    """The highest of the ticks between two times; those before the first are forgotten."""
    while recent and recent[0].moment.seconds < first - _SLACK:
        recent.popleft()
    inside = [each for each in recent if each.moment.seconds <= last + _SLACK and not np.isnan(each.moment.raw)]
    return max(inside, key=lambda each: each.moment.raw, default=None)


_SLACK = 1e-6
"""Seconds, as in smoothing."""


def score_track(model: Normality, library: Library, track: Track, *, maps: bool = False) -> TrackScores:
    """The same scores from features that are computed already."""
    settings = model.method.config.scoring
    parts = []
    for start in range(0, len(track), CHUNK):
        before = max(0, start - overlap(model))
        sample = library.part(track, before, min(start + CHUNK, len(track)))
        parts.append(_chunk(model, sample, start - before))
    raw = np.concatenate([part[0] for part in parts])
    smoothed = smooth(raw, track.seconds, settings.past, settings.ahead)
    fused = np.concatenate([part[1] for part in parts]) if maps else None
    return TrackScores(track.frames, track.seconds, smoothed, raw, fused)


def explain_peak(
    model: Normality, library: Library, track: Track, scores: TrackScores
) -> tuple[int, Explanation | None]:
    """The tick that drives the highest smoothed score, and why it surprises."""
    settings = model.method.config.scoring
    peak = scores.seconds[int(np.argmax(scores.scores))]
    inside = (scores.seconds >= peak - settings.past) & (scores.seconds <= peak + settings.ahead)
    tick = int(np.argmax(np.where(inside & ~np.isnan(scores.raw), scores.raw, -np.inf)))
    sample = library.part(track, max(0, tick - overlap(model)), tick + 1)
    last = int(sample.seconds.shape[1]) - 1
    return tick, explain(model, sample, surprises(model, sample, last), last)


def hold(ticks: IntArray, values: FloatArray, frames: int) -> FloatArray:
    """Values of ticks (T,) to every frame of the file (frames,): between ticks the last one holds.

    >>> hold(np.array([0, 3]), np.array([1.0, 2.0]), 5)
    array([1., 1., 1., 2., 2.])
    """
    place = np.searchsorted(ticks, np.arange(frames), side="right") - 1
    return np.asarray(values[np.maximum(place, 0)])


def overlap(model: Normality) -> int:
    """Ticks before a chunk that its experts look back on."""
    return max(lookback(model).values())


def _chunk(model: Normality, sample: Sample, skip: int) -> tuple[FloatArray, FloatArray]:
    """Frame scores (T,), NaN where not known, and maps (T, h, w) of one clip's ticks after the first ``skip``."""
    found = surprises(model, sample, skip)
    return _frame_scores(model, found), found.fused[0].numpy()


def _frame_scores(model: Normality, found: Surprise) -> FloatArray:
    """Frame scores (T,) of one clip, NaN where not known."""
    scores = strongest(found.fused, model.method.config.scoring.top)
    return np.asarray(torch.where(found.known, scores, torch.nan)[0].numpy())


def _ticks(detector: Detector, sample: Sample, frames: IntArray, seconds: FloatArray) -> Iterator[_Tick]:
    """The last ticks of a clip, as many as ``frames`` and ``seconds`` (T,) name."""
    model, skip = detector.normality, int(sample.seconds.shape[1]) - len(frames)
    found = surprises(model, sample, skip)
    scores, boxes = _frame_scores(model, found), _boxes(detector, found.fused[0].numpy())
    for number, (index, time) in enumerate(zip(frames.tolist(), seconds.tolist(), strict=True)):
        moment = Moment(index, time, float(scores[number]), boxes[number])
        yield _Tick(moment, partial(explain, model, sample, found, skip + number))


def _stream(detector: Detector, reading: Reading, progress: Progress) -> Iterator[_Tick]:
    """Every tick; holds one chunk and its overlap."""
    model, ticks, seconds = detector.normality, reading.frames, reading.facts.seconds[reading.frames]
    config, keep = model.method.config, overlap(model)
    features = {name: each.of(reading) for name, each in features_of(config, model.method.experts.reads).items()}
    frames = read_frames(reading.video, short_side=config.data.short_side, crop=reading.crop, every=ticks)
    rows: deque[dict[str, ByteArray]] = deque(maxlen=keep + CHUNK)
    streams = {name: feature.start() for name, feature in features.items()}
    made = (
        {name: row(frame.image, float(time)) for name, row in streams.items()}
        for frame, time in zip(frames, seconds, strict=True)
    )
    new = 0
    with progress.task(f"Scoring {reading.video.name}", len(ticks)) as task:
        for number, row in enumerate(ahead(made, CHUNK)):
            rows.append(row)
            new += 1
            task.advance()
            if new == CHUNK or number == len(ticks) - 1:
                sample = _sample(features, rows, seconds[: number + 1])
                these = slice(number + 1 - new, number + 1)
                yield from _ticks(detector, sample, ticks[these], seconds[these])
                new = 0


def _sample(features: Mapping[str, Feature], rows: Iterable[dict[str, ByteArray]], seconds: FloatArray) -> Sample:
    stacked = {name: np.stack([row[name] for row in rows]) for name in features}
    times = seconds[-len(next(iter(stacked.values()))) :]
    return sample_of(features, stacked, times - times[0], times - seconds[0])


def _boxes(detector: Detector, maps: FloatArray) -> list[Box | None]:
    """In pixels of the file, the region around each tick's strongest cell: what is at least half as high."""
    camera = detector.camera
    boxes: list[Box | None] = []
    for each in maps:
        regions = find_regions(each, float(each.max()) / 2, (camera.height, camera.width)) if each.max() > 0 else []
        boxes.append(_uncropped(regions[0].box, camera.crop) if regions else None)
    return boxes


def _uncropped(box: Box, crop: Crop) -> Box:
    x0, y0, x1, y1 = box
    return x0 + crop.left, y0 + crop.top, x1 + crop.left, y1 + crop.top


def _check_shape(detector: Detector, facts: VideoFacts, video: Video) -> None:
    camera = detector.camera
    if (facts.height, facts.width) != (camera.height, camera.width):
        raise VideoError(
            f"{video.path}: expected pictures of the detector's camera ({camera.width}x{camera.height}), found "
            f"{facts.width}x{facts.height}; score videos of that camera, or adapt a new detector to this one"
        )
