"""Frames of a video to scores, in bounded memory; each frame's score looks ahead at most half a second."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice

import numpy as np
import torch

from metavad.arguments import checked
from metavad.errors import FootageWarning, VideoError
from metavad.features.base import Feature, Reading
from metavad.features.library import Library, VideoFeatures, features_of, sample_of
from metavad.features.sample import Sample
from metavad.normality.accumulation import smooth, stream_smooth, strongest
from metavad.normality.detector import Detector
from metavad.normality.model import SceneModel, Surprise
from metavad.progress import SILENT, Progress, Task
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import Frame, VideoFacts, probe, read_frames, tick_frames
from metavad.scenes.video.black_or_frozen import watched
from metavad.scoring.explain import Explanation, explain
from metavad.scoring.frames import FrameScore, TickScore
from metavad.scoring.prefetch import prefetch
from metavad.scoring.regions import find_regions
from metavad.types import Box, ByteArray, FloatArray, IntArray

__all__ = ["VideoScores", "check_video", "explain_peak", "hold", "score", "score_features"]

CHUNK = 32
"""Ticks scored at once."""

_SILENT = 0.1
"""Share of frames that nothing can be said of from which that is said."""


@dataclass(frozen=True)
class _Explainable:
    """A tick, and its chunk while somebody may still ask why."""

    tick: TickScore
    explain: Callable[[], Explanation | None]

    @cached_property
    def explained(self) -> TickScore:
        return replace(self.tick, why=self.explain())


@dataclass(frozen=True)
class VideoScores:
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


@checked
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
    rate = detector.model.rate
    reading = Reading(video, facts, crop, tick_frames(facts.seconds, rate))
    ticks, parts = _stream(detector, reading, progress), reading.recordings()
    ends = [*(int(part.frames[0]) for part in parts[1:]), facts.frames]
    unknown = 0
    for number, (part, end) in enumerate(zip(parts, ends, strict=True)):
        known = False
        for frame in _held(detector, islice(ticks, len(part.frames)), part, end, number):
            known = known or frame.cause is not None
            yield frame
        unknown += 0 if known else end - int(part.frames[0])
    if unknown > _SILENT * facts.frames:
        warnings.warn(
            f"{video.path}: {unknown} of {facts.frames} frames are in recordings too short to be scored, about half a "
            "second and less; their score is 0",
            FootageWarning,
            stacklevel=2,
        )


def _held(
    detector: Detector, ticks: Iterator[_Explainable], reading: Reading, stop: int, number: int
) -> Iterator[FrameScore]:
    """The frames of a recording up to ``stop``: the score of each tick holds until the next one."""
    settings, seconds = detector.model.scoring, reading.facts.seconds
    ends = [*reading.frames[1:].tolist(), stop]
    recent: deque[_Explainable] = deque()
    smoothed = stream_smooth(_noted(ticks, recent), settings.past, settings.future)
    for (mean, tick), end in zip(smoothed, ends, strict=True):
        alarm = mean > detector.threshold
        highest = _highest(recent, tick.seconds - settings.past, tick.seconds + settings.future)
        cause = None if highest is None else highest.explained if alarm else highest.tick
        for index in range(tick.index, end):
            yield FrameScore(index, float(seconds[index]), mean, alarm, tick.box, cause, number)


def _noted(ticks: Iterator[_Explainable], recent: deque[_Explainable]) -> Iterator[tuple[float, float, TickScore]]:
    """What smoothing wants of each tick, which is also put down."""
    for each in ticks:
        recent.append(each)
        yield each.tick.seconds, each.tick.raw, each.tick


def _highest(recent: deque[_Explainable], first: float, last: float) -> _Explainable | None:
    """The highest of the ticks between two times; those before the first are forgotten."""
    while recent and recent[0].tick.seconds < first - _SLACK:
        recent.popleft()
    inside = [each for each in recent if each.tick.seconds <= last + _SLACK and not np.isnan(each.tick.raw)]
    return max(inside, key=lambda each: each.tick.raw, default=None)


_SLACK = 1e-6
"""Seconds, as in smoothing."""


def score_features(model: SceneModel, library: Library, features: VideoFeatures, *, maps: bool = False) -> VideoScores:
    """The same scores from features that are computed already."""
    settings = model.scoring
    parts = []
    for first, end in features.recordings.tolist():
        for start in range(first, end, CHUNK):
            before = max(first, start - overlap(model))
            sample = library.part(features, before, min(start + CHUNK, end))
            parts.append(_chunk(model, sample, start - before))
    raw = np.concatenate([part[0] for part in parts])
    smoothed = smooth(raw, features.seconds, settings.past, settings.future, features.recordings)
    fused = np.concatenate([part[1] for part in parts]) if maps else None
    return VideoScores(features.frames, features.seconds, smoothed, raw, fused)


def explain_peak(
    model: SceneModel, library: Library, features: VideoFeatures, scores: VideoScores
) -> tuple[int, Explanation | None]:
    """The tick that drives the highest smoothed score, and why it surprises."""
    settings = model.scoring
    peak = int(np.argmax(scores.scores))
    first, end = next(part for part in features.recordings.tolist() if part[0] <= peak < part[1])
    away = scores.seconds[first:end] - scores.seconds[peak]
    inside = (away >= -settings.past) & (away <= settings.future) & ~np.isnan(scores.raw[first:end])
    tick = first + int(np.argmax(np.where(inside, scores.raw[first:end], -np.inf)))
    sample = library.part(features, max(first, tick - overlap(model)), tick + 1)
    last = int(sample.seconds.shape[1]) - 1
    return tick, explain(model, sample, model.score(sample, last), last)


def hold(ticks: IntArray, values: FloatArray, frames: int) -> FloatArray:
    """Values of ticks (T,) to every frame of the file (frames,): between ticks the last one holds.

    >>> hold(np.array([0, 3]), np.array([1.0, 2.0]), 5)
    array([1., 1., 1., 2., 2.])
    """
    place = np.searchsorted(ticks, np.arange(frames), side="right") - 1
    return np.asarray(values[np.maximum(place, 0)])


def overlap(model: SceneModel) -> int:
    """Ticks before a chunk that its experts look back on."""
    return max(model.lookback.values())


def _chunk(model: SceneModel, sample: Sample, skip: int) -> tuple[FloatArray, FloatArray]:
    """Frame scores (T,), NaN where not known, and maps (T, h, w) of one clip's ticks after the first ``skip``."""
    found = model.score(_whole(sample, skip), skip)
    ticks = int(sample.seconds.shape[1]) - skip
    return _frame_scores(model, found)[:ticks], found.fused[0, :ticks].numpy()


def _whole(sample: Sample, skip: int) -> Sample:
    """A sample with a whole chunk after its first ``skip`` ticks.

    The last bits of what a network says depend on how much it is asked at once, so a score would tell that the file
    ends; and of a clip shorter than its past, an expert knows the last tick, of which there is none before the end.
    """
    return sample.lasting(skip + CHUNK)


def _frame_scores(model: SceneModel, found: Surprise) -> FloatArray:
    """Frame scores (T,) of one clip, NaN where not known."""
    scores = strongest(found.fused, model.scoring.top)
    return np.asarray(torch.where(found.known, scores, torch.nan)[0].numpy())


def _ticks(detector: Detector, sample: Sample, frames: IntArray, seconds: FloatArray) -> Iterator[_Explainable]:
    """The last ticks of a clip, as many as ``frames`` and ``seconds`` (T,) name."""
    model, skip = detector.model, int(sample.seconds.shape[1]) - len(frames)
    whole = _whole(sample, skip)
    found = model.score(whole, skip)
    scores, boxes = _frame_scores(model, found), _boxes(detector, found.fused[0, : len(frames)].numpy())
    for number, (index, time) in enumerate(zip(frames.tolist(), seconds.tolist(), strict=True)):
        tick = TickScore(index, time, float(scores[number]), boxes[number])
        yield _Explainable(tick, partial(explain, model, whole, found, skip + number))


def _stream(detector: Detector, reading: Reading, progress: Progress) -> Iterator[_Explainable]:
    """Every tick, recording by recording; holds one chunk and its overlap."""
    config, ticks = detector.config, reading.frames
    features = features_of(config, detector.model.experts.reads)
    read = read_frames(reading.video, short_side=config.data.short_side, crop=reading.crop, every=ticks)
    made = prefetch(_rows(features, reading, watched(reading.video, read)), CHUNK)
    with progress.task(f"Scoring {reading.video.name}", len(ticks)) as task:
        for part in reading.recordings():
            yield from _recording(detector, features, part, made, task)


def _rows(features: Mapping[str, Feature], reading: Reading, frames: Iterator[Frame]) -> Iterator[dict[str, ByteArray]]:
    """What is computed of each tick; after a gap every feature begins anew."""
    for part in reading.recordings():
        streams = {name: feature.of(part).start() for name, feature in features.items()}
        for frame, time in zip(islice(frames, len(part.frames)), part.seconds, strict=True):
            yield {name: row(frame.image, float(time)) for name, row in streams.items()}
    next(frames, None)  # whoever watches the frames learns that they are over


def _recording(
    detector: Detector,
    features: Mapping[str, Feature],
    reading: Reading,
    made: Iterator[dict[str, ByteArray]],
    task: Task,
) -> Iterator[_Explainable]:
    ticks, seconds = reading.frames, reading.seconds
    rows: deque[dict[str, ByteArray]] = deque(maxlen=overlap(detector.model) + CHUNK)
    for start in range(0, len(ticks), CHUNK):
        these = slice(start, min(start + CHUNK, len(ticks)))
        for row in islice(made, these.stop - start):
            rows.append(row)
            task.advance()
        yield from _ticks(detector, _sample(features, rows, seconds[: these.stop]), ticks[these], seconds[these])


def _sample(features: Mapping[str, Feature], rows: Iterable[dict[str, ByteArray]], seconds: FloatArray) -> Sample:
    stacked = {name: np.stack([row[name] for row in rows]) for name in features}
    times = seconds[-len(next(iter(stacked.values()))) :]
    return sample_of(features, stacked, times - times[0], times - seconds[0], over=False)


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
