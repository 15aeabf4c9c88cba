"""Frames to scores, in bounded memory: of a video as it is read, and of frames as they are given.

Each frame's score looks ahead at most half a second.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from pathlib import Path

import numpy as np

from metavad.arguments import checked
from metavad.errors import FootageWarning, UsageError, VideoError
from metavad.features.feature import Feature, Reading
from metavad.features.library import Library, VideoFeatures, features_of
from metavad.normality.accumulation import smooth
from metavad.normality.detector import Detector
from metavad.normality.memory_bank import NOVELTY, bank_feature
from metavad.normality.model import SceneModel
from metavad.normality.regimes import light_of
from metavad.progress import SILENT, Progress, Task
from metavad.recordings import Gaps, recordings
from metavad.scenes.listing import scene_of_files
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import (
    CameraPictures,
    Frame,
    Picture,
    Ticks,
    VideoFacts,
    probe,
    read_frames,
    tick_frames,
    working_size,
)
from metavad.scenes.video.black_or_frozen import watched
from metavad.scoring.chunks import CHUNK, LIGHT, RecordingScorer, Row, chunks, overlap, score_chunk
from metavad.scoring.explain import Explanation, explain
from metavad.scoring.frames import FrameScore
from metavad.scoring.novelty import Stood
from metavad.scoring.prefetch import prefetch
from metavad.scoring.unknown_light import UnknownLight, warning_of
from metavad.threads import one_thread
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = [
    "PushedFrames",
    "VideoScores",
    "check_video",
    "explain_peak",
    "hold",
    "read_by",
    "score",
    "score_after",
    "score_features",
]

_SILENT = 0.1
"""Share of frames that nothing can be said of from which that is said."""


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
    detector: Detector,
    video: str | Path | Video | Iterable[tuple[Picture, float]],
    *,
    crop: Crop | None = None,
    frames: tuple[int, int] | None = None,
    progress: Progress = SILENT,
) -> Iterator[FrameScore]:
    """Score every frame of a video of the detector's camera, as it is read. Memory does not grow with its length.

    Args:
        detector: of this camera.
        video: its path, a video of a scene, or (frame, seconds) pairs; a frame is an ``av.VideoFrame`` or a uint8
            array, grey (H, W) or red-green-blue (H, W, 3): see :meth:`metavad.Live.push`.
        crop: pixels to cut off at each side; by default what the camera was cropped by.
        frames: first and last + 1 of the frames to score, as if nothing came before; the whole video by default.
        progress: is told how far the work is; silent by default.

    Yields:
        The score of each frame, in order; higher = more anomalous, in weighted nats.

    Raises:
        VideoError: the video cannot be read, or its pictures have another shape than the camera's. Raised by the call,
            before the first score; for pushed frames, when the frame comes.
        UsageError: a part of pushed frames.
    """
    crop = detector.camera.crop if crop is None else crop
    if not isinstance(video, str | Path | Video):
        if frames is not None:
            raise UsageError("expected a video of which to score a part, found its frames; push only some of them")
        return _pushed(PushedFrames(detector, crop), video)
    video = video if isinstance(video, Video) else _video_at(video)
    return score_after((), detector, video, crop=crop, frames=frames, progress=progress)


def score_after(
    stood: Sequence[Stood],
    detector: Detector,
    video: Video,
    *,
    crop: Crop | None = None,
    frames: tuple[int, int] | None = None,
    progress: Progress = SILENT,
) -> Iterator[FrameScore]:
    """What :func:`score` yields of a video, or a part of it, before which ``stood`` was there, by the video's times."""
    crop = detector.camera.crop if crop is None else crop
    facts = probe(video, crop)
    _check_shape(detector, facts, video)
    ticks, inside = tick_frames(facts.seconds, detector.model.rate), (0, facts.frames) if frames is None else frames
    reading = Reading(video, facts, crop, ticks[slice(*np.searchsorted(ticks, inside))])
    return _frames(detector, reading, inside, tuple(stood), progress)


def check_video(detector: Detector, video: Video) -> None:
    """Raises :class:`VideoError` unless its pictures have the shape of the detector's camera."""
    _check_shape(detector, probe(video, detector.camera.crop), video)


class PushedFrames:
    """Frames of the detector's camera, as a caller gives them, to their scores; holds what the next ones need.

    Where there is a gap in time, another recording begins, that knows what stood there before. ``wait``, ``is_whole``
    and ``stood`` are those of :class:`~metavad.scoring.chunks.RecordingScorer`; ``on_unknown_light`` is that of
    :class:`~metavad.scoring.live.Live`.
    """

    def __init__(
        self,
        detector: Detector,
        crop: Crop,
        *,
        wait: float = math.inf,
        is_whole: bool = False,
        stood: Sequence[Stood] = (),
        on_unknown_light: Callable[[float], None] | None = None,
    ) -> None:
        self.recordings = 0
        """How many have begun."""
        self._detector, self._wait, self._is_whole = detector, wait, is_whole
        cropped = detector.camera.height, detector.camera.width
        self._pictures = CameraPictures(cropped, crop, working_size(*cropped, detector.config.data.short_side))
        self._features = read_by(detector)
        if beside := [name for name, feature in self._features.items() if feature.needs_files]:
            raise UsageError(
                f"expected a detector of what pictures show, found one that reads {beside[0]} from files; "
                "score the videos, or adapt a detector with a network that finds them"
            )
        self._count, self._gaps, self._lights = 0, Gaps(), UnknownLight(on_unknown_light or warning_of("the camera"))
        self._recording: _Recording | None = None
        self._stood = _checked_stood(detector, stood)

    @property
    def stood(self) -> tuple[Stood, ...]:
        """What was there in the last ten minutes."""
        return self._stood if self._recording is None else self._recording.scorer.stood

    @one_thread()
    def push(self, picture: Picture, seconds: float) -> list[FrameScore]:
        """The next frame, and its time; the scores that are final by now.

        Raises :class:`VideoError` for what is no frame of the camera, or comes before the last one: nothing has changed
        then.
        """
        self._pictures.check(picture)
        seconds = self._checked(seconds)
        begins = self._recording is None or self._gaps.is_before(seconds)
        recording = self._begun() if begins or self._recording is None else self._recording
        image = self._pictures.working(picture) if recording.ticks.is_tick(seconds) else None
        scores = self._over() if begins else []
        self._recording = recording
        self.recordings += begins
        self._gaps.add(seconds)
        scores += recording.push(self._count, seconds, image)
        self._count += 1
        return self._with_light(scores)

    def finish(self) -> list[FrameScore]:
        """The other scores; what comes next begins another recording, maybe on another clock."""
        self._gaps = Gaps()
        return self._with_light(self._over())

    def use(self, detector: Detector) -> bool:
        """Score by another version of the detector; false where that is not between two chunks: ask again later.

        Raises :class:`UsageError` for one that is not of this camera, or was not made of such a base.
        """
        _check_version(self._detector, detector)
        if self._recording is not None and not self._recording.scorer.use(detector):
            return False
        self._detector = detector
        return True

    def postpone(self, wait: float) -> None:
        """Another ``wait`` from now on."""
        self._wait = wait
        if self._recording is not None:
            self._recording.scorer.wait = wait

    def _begun(self) -> "_Recording":
        scorer = RecordingScorer(
            self._detector,
            self._features,
            self.recordings,
            wait=self._wait,
            is_whole=self._is_whole,
            stood=self.stood,
        )
        makers = {name: feature.start() for name, feature in self._features.items()}
        return _Recording(scorer, Ticks(self._detector.model.rate), makers)

    def _with_light(self, scores: list[FrameScore]) -> list[FrameScore]:
        """The same; where their light is unknown, that is said once."""
        for frame in scores:
            self._lights.add(frame)
        return scores

    def _over(self) -> list[FrameScore]:
        self._stood = self.stood
        recording, self._recording = self._recording, None
        return [] if recording is None else recording.scorer.finish()

    def _checked(self, seconds: object) -> float:
        """The time of a frame, where it can be that of the next one."""
        if isinstance(seconds, bool) or not isinstance(seconds, Real) or not math.isfinite(seconds):
            raise VideoError(f"expected the seconds of a frame, found {seconds!r}; give a finite number")
        last = self._gaps.last
        if last is not None and seconds < last:
            raise VideoError(
                f"expected a frame at {last:.3f} s or later, where the last one was, found {float(seconds):.3f} s; "
                "leave it out, or flush where the clock was set back"
            )
        return float(seconds)


@dataclass(frozen=True)
class _Recording:
    """One that goes on: what scores it, its clock of ticks, and what each feature makes of a tick."""

    scorer: RecordingScorer
    ticks: Ticks
    makers: Mapping[str, Callable[[ByteArray, float], ByteArray]]

    def push(self, index: int, seconds: float, image: ByteArray | None) -> list[FrameScore]:
        """The next frame, with its working picture where it is a tick."""
        self.ticks.add(seconds)
        row = None if image is None else _row(self.makers, image, seconds)
        return self.scorer.push(index, seconds, row)


def _pushed(stream: PushedFrames, frames: Iterable[tuple[Picture, float]]) -> Iterator[FrameScore]:
    for each in frames:
        if not isinstance(each, tuple) or len(each) != 2:
            raise UsageError(f"expected (frame, seconds) of each frame, found a {type(each).__name__}; give pairs")
        yield from stream.push(*each)
    yield from stream.finish()


def _video_at(path: str | Path) -> Video:
    videos = scene_of_files([path]).normal
    if len(videos) != 1:
        raise VideoError(f"{path}: expected one video, found {len(videos)}; score them one by one")
    return videos[0]


def _frames(
    detector: Detector, reading: Reading, inside: tuple[int, int], stood: tuple[Stood, ...], progress: Progress
) -> Iterator[FrameScore]:
    """Every frame of a file inside these, recording by recording; the next chunk is read meanwhile."""
    features, facts, data = read_by(detector), reading.facts, detector.config.data
    read = read_frames(reading.video, short_side=data.short_side, crop=reading.crop, every=reading.frames)
    whole = inside == (0, facts.frames)
    rows = prefetch(_rows(features, reading, watched(reading.video, read) if whole else read), CHUNK)
    is_tick = np.zeros(facts.frames, bool)
    is_tick[reading.frames] = True
    begin, unknown = [*reading.frames[:1].tolist(), facts.frames][0], 0
    lights = UnknownLight(warning_of(str(reading.video.path)))
    with progress.task(f"Scoring {reading.video.name}", len(reading.frames)) as task:
        for number, (start, stop) in enumerate(recordings(facts.seconds).tolist()):
            frames = range(max(start, begin), min(stop, inside[1]))
            if not frames:
                continue
            scorer, known = RecordingScorer(detector, features, number, stood=stood), False
            for frame in _read(scorer, reading, frames, is_tick, rows, task):
                known = known or frame.cause is not None
                lights.add(frame)
                yield frame
            unknown, stood = unknown + (0 if known else stop - start), scorer.stood
    if whole and unknown > _SILENT * facts.frames:
        warnings.warn(
            f"{reading.video.path}: {unknown} of {facts.frames} frames are in recordings too short to be scored, about "
            "half a second and less; their score is 0",
            FootageWarning,
            stacklevel=2,
        )


def _read(
    scorer: RecordingScorer, reading: Reading, frames: range, is_tick: BoolArray, rows: Iterator[Row], task: Task
) -> Iterator[FrameScore]:
    """The frames of one recording of a file; ``rows`` are those of its ticks."""
    for index in frames:
        row = next(rows) if is_tick[index] else None
        if row is not None:
            task.advance()
        yield from scorer.push(index, float(reading.facts.seconds[index]), row)
    yield from scorer.finish()


def _rows(features: Mapping[str, Feature], reading: Reading, frames: Iterator[Frame]) -> Iterator[Row]:
    """What is computed of each tick; after a gap every feature begins anew."""
    for part in reading.recordings():
        makers = {name: feature.of(part).start() for name, feature in features.items()}
        for frame, time in zip(islice(frames, len(part.frames)), part.seconds, strict=True):
            yield _row(makers, frame.image, float(time))
    next(frames, None)  # whoever watches the frames learns that they are over


def _row(makers: Mapping[str, Callable[[ByteArray, float], ByteArray]], image: ByteArray, seconds: float) -> Row:
    return {LIGHT: light_of(image), **{name: make(image, seconds) for name, make in makers.items()}}


def score_features(model: SceneModel, library: Library, features: VideoFeatures, *, maps: bool = False) -> VideoScores:
    """The same scores from features that are computed already."""
    settings = model.scoring
    parts = []
    for first, end in features.recordings.tolist():
        for before, start, stop in chunks(model, first, end):
            parts.append(score_chunk(model, library.part(features, before, stop), start - before))
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


def read_by(detector: Detector) -> dict[str, Feature]:
    """The features that its experts read, and its memory bank."""
    found = features_of(detector.config, detector.model.experts.reads, detector.model.device)
    if detector.bank is not None:
        camera, short_side = detector.camera, detector.config.data.short_side
        size = working_size(camera.height, camera.width, short_side)
        found[NOVELTY] = bank_feature(size, detector.model.device)
    return found


def _checked_stood(detector: Detector, stood: Sequence[Stood]) -> tuple[Stood, ...]:
    """What can be compared with its bank; raises :class:`UsageError` for anything else."""
    if detector.bank is None:
        return ()
    shape = tuple(detector.bank.rows.shape[1:])
    for _, row in stood:
        if row.shape != shape or row.dtype != np.uint8:
            raise UsageError(
                f"stood: expected looks of this detector's camera, uint8 {shape}, found {row.dtype} {row.shape}; "
                "give what its own Live.stood said, or nothing"
            )
    return tuple(stood)


def _check_version(before: Detector, now: Detector) -> None:
    """Raises :class:`UsageError` unless what was computed for one detector can be scored by the other."""
    one, other = ((each.scene, each.camera.width, each.camera.height, each.camera.crop) for each in (before, now))
    same_settings = (before.config, before.model.experts.reads) == (now.config, now.model.experts.reads)
    if one == other and same_settings:
        if (before.bank is None) == (now.bank is None):
            return
        there, found = ("no", "one") if before.bank is None else ("a", "none")
        raise UsageError(f"expected a version with {there} memory bank, found {found}; score anew with that detector")
    scene, width, height, crop = other
    found = f"one of {scene} ({width}x{height}{'' if crop == one[-1] else ', cropped otherwise'})"
    raise UsageError(
        f"expected another version of the detector of {one[0]} ({one[1]}x{one[2]}), found "
        f"{'one made of a base with other settings' if one == other else found}"
    )


def _check_shape(detector: Detector, facts: VideoFacts, video: Video) -> None:
    camera = detector.camera
    if (facts.height, facts.width) != (camera.height, camera.width):
        turned = ", as large but turned" if (facts.width, facts.height) == (camera.height, camera.width) else ""
        raise VideoError(
            f"{video.path}: expected pictures of the detector's camera ({camera.width}x{camera.height}), found "
            f"{facts.width}x{facts.height}{turned}; score videos of that camera, or adapt a new detector to this one"
        )
