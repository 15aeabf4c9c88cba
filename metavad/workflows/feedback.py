"""A detector corrected by those who watch it: an event was normal, or it was not and never will be."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from metavad.arguments import checked
from metavad.episodes import Clip, Shots, VideoSpan
from metavad.errors import BundleError, MetavadError, UsageError, VideoError
from metavad.features.feature import Feature
from metavad.features.footage import small_pictures
from metavad.features.library import Library, VideoFeatures, blank_sample, sample_of_stored
from metavad.features.sample import Sample
from metavad.features.stored import StoredClip
from metavad.normality.accumulation import smooth, strongest
from metavad.normality.base import Base
from metavad.normality.confirmed import ConfirmedEvent, likeness_of, overlapping, patterned
from metavad.normality.detector import Detector
from metavad.normality.fit import fit
from metavad.normality.likeness import Likeness, Pattern
from metavad.normality.memory_bank import LASTS, NOVELTY, MemoryBank
from metavad.normality.methods import Adapted
from metavad.normality.model import SceneModel
from metavad.normality.own_footage import OwnFootage, also, left_out, window_peaks, window_seconds, window_starts
from metavad.normality.regimes import Light, common_scores, light_of
from metavad.progress import SILENT, Progress, along
from metavad.recordings import recordings
from metavad.scenes.cache import Store, content_digest
from metavad.scenes.listing import FILES
from metavad.scenes.scene import Scene
from metavad.scenes.video import working_size
from metavad.scoring.event_clip import EventClip
from metavad.scoring.novelty import novelty_scores
from metavad.scoring.stream import VideoScores, read_by, score_features
from metavad.threads import one_thread
from metavad.types import BoolArray, FloatArray

__all__ = ["Correction", "RescoredEvent", "feedback"]

MOST_CLIPS = 6
"""Clips of one event that are shown."""
FEWEST_CLIPS = 2
"""One for each half of the clips, so that none is held out from all that shows the like of it."""
KEPT = 3.0
"""Seconds before and after its peak that are kept of a confirmed event."""
PLACES = 32
"""Most surprising places that a confirmed event is known by."""
BOOST, MOST_BOOST = 0.5, 1.0
"""Of the threshold: by how much what is just like a confirmed event is raised, and by how much at most."""
_TIE = 1e-6
"""Seconds, and nats."""


@dataclass(frozen=True)
class RescoredEvent:
    """What became of an earlier alarm, or of a confirmed event."""

    name: str
    before: float
    """Its score then; higher = more anomalous."""
    after: float | None
    """Its score now; none where it cannot be scored again."""
    alarms: bool
    """Whether it is over the threshold now; as before where it cannot be scored again."""
    reason: str = ""
    """Why it cannot."""
    is_lost: bool = False
    """Whether it was over the threshold before, and is not any more."""


@dataclass(frozen=True)
class Correction:
    """A corrected detector, and what has changed."""

    detector: Detector
    shown: int
    """Clips that it was shown in addition; negative where some were taken back."""
    alarms: tuple[RescoredEvent, ...]
    """Of the alarms that were to be looked at again, in their order."""
    confirmed: tuple[RescoredEvent, ...]
    """Of the events that are confirmed as abnormal."""

    @property
    def lost(self) -> tuple[RescoredEvent, ...]:
        """Confirmed events that alarmed before and do not alarm any more."""
        return tuple(each for each in self.confirmed if each.is_lost)


@checked
@one_thread()
def feedback(
    detector: Detector,
    event: EventClip,
    verdict: Literal["normal", "abnormal"],
    *,
    base: Base | None = None,
    alarms: Sequence[EventClip] = (),
    footage: Scene | None = None,
    store: Store | None = None,
    progress: Progress = SILENT,
) -> Correction:
    """The detector after somebody said that an event was normal, or that it was not; the given one stays as it is.

    A normal event is shown beside the clips that were, and everything is calibrated again. An abnormal one is never
    shown from now on, and what is like it, near its place, scores higher; nothing scores lower than before.

    Args:
        detector: it stays as it is; :func:`metavad.save_version` keeps the new one beside it.
        event: where it is to be seen.
        verdict: ``"normal"`` or ``"abnormal"``.
        base: the one that the detector was made of; an abnormal event needs it only where the clips showed it.
        alarms: other events, which are scored again, to tell which of them go.
        footage: the normal videos that the detector was shown, where it keeps no pictures of them.
        store: the cache; the usual one where none is given.
        progress: is told how far it is.

    Raises:
        BundleError: the base is another one.
        UsageError: a normal event was confirmed as abnormal before, or an abnormal one already; or ``footage`` is
            needed.
        VideoError: the event's video is missing, too short, or of another camera.
    """
    if verdict not in ("normal", "abnormal"):
        raise UsageError(f"feedback: expected 'normal' or 'abnormal', found {verdict!r}")
    reader = _Reader(detector, store or Store(), progress)
    work = _Work(detector, base, reader, footage, progress)
    changed = work.as_normal(event) if verdict == "normal" else work.as_abnormal(event)
    shown = len(changed.shots) - len(detector.shots)
    confirmed = tuple(_rescored_event(changed, detector.threshold, each) for each in changed.confirmed)
    looked = along(progress, "Looking again", alarms)
    return Correction(changed, shown, tuple(_outcome(changed, reader, each) for each in looked), confirmed)


class _Reader:
    """Events to stored clips, by the features of one detector."""

    def __init__(self, detector: Detector, store: Store, progress: Progress) -> None:
        self._read = read_by(detector)
        self.features = {name: feature for name, feature in self._read.items() if name != NOVELTY}
        self._detector, self.store, self._progress = detector, store, progress

    def library(self, event: EventClip) -> tuple[Library, str]:
        """That of the event's video, and the key of its scene; raises :class:`VideoError` for another camera's."""
        camera, data = self._detector.camera, self._detector.config.data
        if not event.video.path.exists():
            raise VideoError(f"{event.video.path}: expected the video of the event, found nothing; put it back")
        scene = Scene(
            FILES,
            event.video.name,
            event.video.path.parent,
            normal=(event.video,),
            crop=camera.crop if event.crop is None else event.crop,
        )
        library = Library([scene], data, self._read, self.store, whole=False, progress=self._progress)
        facts = library.facts(scene.key, "normal", event.video.name)
        sizes = {(camera.height, camera.width), working_size(camera.height, camera.width, data.short_side)}
        if (facts.height, facts.width) not in sizes:
            raise VideoError(
                f"{event.video.path}: expected pictures of the detector's camera ({camera.width}x{camera.height}), "
                f"found {facts.width}x{facts.height}; name the detector of this camera"
            )
        return library, scene.key

    def clip(self, event: EventClip, start: float, end: float) -> tuple[StoredClip, float, Light | None]:
        """The seconds of its video from what a score at ``start`` looks back on, to what one at ``end`` looks ahead to.

        Gives the clip, the second at which it begins, and its light where that counts.
        """
        library, key = self.library(event)
        model = self._detector.model
        seconds = library.facts(key, "normal", event.video.name).seconds
        first, stop = _recording(seconds, event.peak)
        before = max(model.lookback.values()) / model.rate + model.scoring.past
        before = before if self._detector.bank is None else max(before, LASTS)
        times = [start - before - _TIE, end + model.scoring.future + _TIE]
        low, high = np.clip(np.searchsorted(seconds, times), first, stop).tolist()
        if high - low < 2:
            raise VideoError(
                f"{event.name}: expected at least two frames of the event, found {high - low} in its video"
            )
        part = Clip(key, event.video.name, low, high - low)
        (clip,) = library.stored([part])
        light = None
        if len(self._detector.regimes) > 1:
            lights = np.stack([light_of(picture) for picture in library.pictures(part)[0]])
            light = tuple(lights.mean(0).tolist())
        return clip, float(seconds[low]), light

    def joint(self, detector: Detector, clip: StoredClip, light: Light | None, *, is_lasting: bool) -> FloatArray:
        """Of every tick of a clip (T,), the frame score by what a detector's experts and its memory bank say together.

        ``light`` is that of the clip; without ``is_lasting`` only the experts count.
        """
        scores = _common(detector, light, self.scores(detector.model, clip).scores)
        return np.fmax(scores, self.novelty(detector, clip)) if is_lasting else scores

    def novelty(self, detector: Detector, clip: StoredClip) -> FloatArray:
        """Of every tick of a clip (T,), what its memory bank says; NaN where that is nothing."""
        if detector.bank is None or NOVELTY not in clip.rows:
            return np.full(len(clip.seconds), np.nan)
        return novelty_scores(detector.bank, clip.rows[NOVELTY], clip.seconds)

    def scores(self, model: SceneModel, clip: StoredClip, *, maps: bool = False) -> VideoScores:
        """Of every tick of a clip, what the experts say."""
        ticks = len(clip.seconds)
        library = Library([], self._detector.config.data, self.features, self.store)
        found = VideoFeatures(np.arange(ticks), clip.seconds, dict(clip.rows), np.array([[0, ticks]]))
        return score_features(model, library, found, maps=maps)


def _regime(detector: Detector, light: Light | None) -> int:
    """The number of the regime that a light is of."""
    if light is None or len(detector.regimes) < 2:
        return 0
    return int(np.argmin([float(regime.distance(np.array(light))) for regime in detector.regimes]))


def _common(detector: Detector, light: Light | None, scores: FloatArray) -> FloatArray:
    """Frame scores of a clip of this light on the scale of all regimes."""
    number = _regime(detector, light)
    return common_scores(detector.regimes, number, scores) if number else scores


def _recording(seconds: FloatArray, second: float) -> tuple[int, int]:
    """The frames [first, stop) of the recording that a second lies in."""
    parts = recordings(seconds)
    place = int(np.searchsorted(seconds[parts[:, 0]], second + _TIE, side="right")) - 1
    first, stop = parts[max(place, 0)].tolist()
    return first, stop


@dataclass(frozen=True)
class _Work:
    """One correction of a detector."""

    detector: Detector
    base: Base | None
    reader: _Reader
    footage: Scene | None
    progress: Progress

    def as_normal(self, event: EventClip) -> Detector:
        """With clips of the event shown, and calibrated again."""
        source, start, end = _of_source(event)
        if known := overlapping(self.detector.confirmed, event.video.name, source, start, end):
            raise UsageError(
                f"{event.name}: expected an event that may be normal, found one that was confirmed as abnormal "
                f"({known.name}); to take that back: metavad detector rollback"
            )
        if self.detector.stored is None and self.detector.sources.get(event.video.name, source) != source:
            raise UsageError(
                f"{event.name}: expected a video that the detector can ask for by its name, found another one called "
                f"{event.video.name!r}; rename it, or adapt without --no-pictures"
            )
        base, library, clips = self._its_base(), *self._clips(event, source)
        pictures = small_pictures(library, clips, self.progress) if self.detector.pictures else ()
        name = event.video.name  # by which its footage is asked for, where no clips are kept
        name = _named(self.detector, name, source) if self.detector.stored is not None else name
        new = _Shown(
            tuple(replace(clip, video=name) for clip in clips),
            tuple(event.offset + _begins(library, clip) for clip in clips),
            library.stored(clips),
            tuple(pictures),
            (True,) * len(clips),
        )
        shown = _of_detector(self.detector, self._stored(self.detector)).with_halves(new)
        detector = self._refitted(base, shown, {new.clips[0].video: source})
        detector = replace(detector, bank=_also_known(detector.bank, new))
        own = _windows(detector, self.reader, event)
        return detector.with_footage(detector.own if own is None else also(detector.own, *own))

    def as_abnormal(self, event: EventClip) -> Detector:
        """With the event confirmed: taken out of what is normal, and what is like it raised."""
        source, start, end = _of_source(event)
        if overlapping(self.detector.confirmed, event.video.name, source, start, end):
            raise UsageError(f"{event.name}: expected an event to confirm, found one that is confirmed already")
        detector = self._taken_back(event.video.name, source, start, end)
        low, high = max(event.start, event.peak - KEPT), min(event.end, event.peak + KEPT)
        clip, begins, light = self.reader.clip(event, low, high)
        found = self.reader.scores(detector.model, clip, maps=True)
        seen = low - begins, high - begins
        cells = _most_surprising(found, _inside(clip, seen))
        nothing = Pattern(torch.zeros(0, 0), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0), 0.0)
        nothing = replace(nothing, boost=BOOST * max(detector.threshold, 0.0))
        fresh = ConfirmedEvent(
            event.name,
            event.video.name,
            source,
            start,
            end,
            0.0,
            nothing,
            cells,
            clip,
            seen=seen,
            light=light,
            is_lasting=event.is_lasting,
        )
        detector = self._alike(replace(detector, confirmed=(*detector.confirmed, fresh)))
        scores = self.reader.joint(detector, clip, light, is_lasting=event.is_lasting)
        peak = _peak(scores, _inside(clip, seen))
        last = replace(detector.confirmed[-1], score=peak, clip=clip if detector.stored is not None else None)
        detector = replace(detector, confirmed=(*detector.confirmed[:-1], last))
        lasts = end if detector.bank is None else end + LASTS
        own = left_out(detector.own, _named(detector, event.video.name, source), start, lasts)
        is_as_before = detector.shots == self.detector.shots and np.array_equal(own.ruling, detector.own.ruling)
        return detector if is_as_before else detector.with_footage(own)

    def _its_base(self) -> Base:
        if self.base is None or self.base.digest != self.detector.base:
            found = "none" if self.base is None else self.base.digest
            raise BundleError(
                f"expected the base that the detector was made of ({self.detector.base}), found {found}; "
                "give it with --base"
            )
        return self.base

    def _stored(self, detector: Detector) -> tuple[StoredClip, ...]:
        """The clips that it was shown, as it keeps them, or read once more."""
        if detector.stored is not None:
            return detector.stored
        if self.footage is None:
            raise UsageError(
                "expected a detector that keeps its clips, found one made with --no-pictures; give the footage that it "
                "was made of with --footage"
            )
        names = {video.name for video in self.footage.normal}
        if missing := sorted({clip.video for clip in detector.shots} - names):
            raise UsageError(
                f"--footage: expected the videos that the detector was shown, found no {missing[0]!r}; give that too"
            )
        scene = replace(self.footage, crop=detector.camera.crop)
        data, store = detector.config.data, self.reader.store
        library = Library([scene], data, self.reader.features, store, whole=False, progress=self.progress)
        return library.stored([replace(clip, scene=scene.key, side="normal") for clip in detector.shots])

    def _clips(self, event: EventClip, source: str) -> tuple[Library, tuple[Clip, ...]]:
        """Clips over an event, as long as the shots are, none in a confirmed one."""
        library, key = self.reader.library(event)
        (span,) = library.spans(key)
        seconds = library.facts(key, "normal", event.video.name).seconds
        scoring = self.detector.model.scoring
        drawn = [number for number in range(len(self.detector.shots)) if number not in self.detector.corrections]
        usual = self.detector.config.data.clip_frames / self.detector.camera.fps
        lasts = self.detector.lasts(drawn[0]) if drawn else usual
        clips = _spread(span, seconds, _widened(event, self.detector), lasts)
        kept = tuple(
            clip
            for clip in clips
            if not overlapping(
                self.detector.confirmed,
                event.video.name,
                source,
                event.offset + float(seconds[clip.first]) - scoring.future,
                event.offset + float(seconds[clip.end - 1]) + scoring.past,
            )
        )
        if not kept:
            raise UsageError(f"{event.name}: expected a clip that may be normal, found none beside confirmed events")
        return library, kept

    def _refitted(self, base: Base, shown: "_Shown", sources: Mapping[str, str]) -> Detector:
        """The detector of other shots, calibrated by them; its threshold is yet to be taken."""
        shots = Shots((), 0).also(shown.clips)
        grid = _grid(self.detector.model)
        support = _support(self.detector, self.reader.features, shown)
        corrections = tuple(number for number, is_one in enumerate(shown.corrections) if is_one)
        model = fit(Adapted(base), support, grid, self.progress, corrections=corrections)
        detector = replace(
            self.detector,
            model=replace(model, likeness=self.detector.model.likeness),
            shots=shown.clips,
            began=shown.began,
            independent=shots.independent,
            corrections=corrections,
            pictures=shown.pictures if self.detector.pictures else (),
            stored=shown.stored if self.detector.stored is not None else None,
            sources={**self.detector.sources, **(sources if self.detector.stored is not None else {})},
            own=_earlier(self.detector.own),
        )
        detector = self._alike(detector, support)
        return detector.with_footage(detector.own)

    def _taken_back(self, video: str, source: str, start: float, end: float) -> Detector:
        """Without shots that show these seconds; as it is where there are none."""
        detector = self.detector
        shown = [
            number
            for number, (clip, began) in enumerate(zip(detector.shots, detector.began, strict=True))
            if _is_same(detector, clip.video, video, source) and began < end and start < began + detector.lasts(number)
        ]
        if not shown:
            return detector
        kept = _of_detector(detector, self._stored(detector)).without(shown)
        seconds = [
            (clip.video, began, began + detector.lasts(number))
            for number, (clip, began) in enumerate(zip(detector.shots, detector.began, strict=True))
            if number in shown
        ]
        bank = None if detector.bank is None else detector.bank.without(seconds)
        return replace(self._refitted(self._its_base(), kept, {}), bank=bank)

    def _alike(self, detector: Detector, support: Sample | None = None) -> Detector:
        """With the likeness of its confirmed events to what it was shown; none of them scores lower than before."""
        if not detector.confirmed:
            return detector
        grid, features = _grid(detector.model), self.reader.features
        if support is None:
            support = _support(detector, features, _of_detector(detector, self._stored(detector)))
        view, shown = patterned(features, support if support.clips else None, grid)
        clips = [
            None if event.clip is None else sample_of_stored(features, [event.clip]) for event in detector.confirmed
        ]
        likeness = likeness_of(detector.confirmed, detector.model.likeness.view, view, shown, clips, grid)
        bare = replace(detector.model, likeness=Likeness())
        patterns = tuple(
            _raised_to(self.reader, detector, bare, likeness, number) for number, event in enumerate(detector.confirmed)
        )
        events = tuple(
            replace(event, pattern=pattern) for event, pattern in zip(detector.confirmed, patterns, strict=True)
        )
        model = replace(detector.model, likeness=Likeness(view, patterns))
        return replace(detector, model=model, confirmed=events)


@dataclass(frozen=True)
class _Shown:
    """The shots of a detector, as fitting needs them."""

    clips: tuple[Clip, ...]
    began: tuple[float, ...]
    stored: tuple[StoredClip, ...]
    pictures: tuple[bytes, ...]
    """Empty where none are kept."""
    corrections: tuple[bool, ...]
    """Whether each was shown because somebody said that an alarm was normal."""

    def with_halves(self, new: "_Shown") -> "_Shown":
        """With half of the new ones before these and half after.

        The folds of cross-fitting are stretches: each has some, and none is held out from all that is like it.
        """
        half = (len(new.clips) + 1) // 2
        first, last = (new.only(range(half)), new.only(range(half, len(new.clips))))
        return _Shown(
            (*first.clips, *self.clips, *last.clips),
            (*first.began, *self.began, *last.began),
            (*first.stored, *self.stored, *last.stored),
            (*first.pictures, *self.pictures, *last.pictures),
            (*first.corrections, *self.corrections, *last.corrections),
        )

    def without(self, numbers: Sequence[int]) -> "_Shown":
        return self.only([number for number in range(len(self.clips)) if number not in numbers])

    def only(self, numbers: Sequence[int]) -> "_Shown":
        pictures = tuple(self.pictures[number] for number in numbers) if self.pictures else ()
        return _Shown(
            tuple(self.clips[number] for number in numbers),
            tuple(self.began[number] for number in numbers),
            tuple(self.stored[number] for number in numbers),
            pictures,
            tuple(self.corrections[number] for number in numbers),
        )


def _also_known(bank: MemoryBank | None, new: _Shown) -> MemoryBank | None:
    """The bank with what new clips show, each picture once."""
    if bank is None:
        return None
    for clip, began, stored in zip(new.clips, new.began, new.stored, strict=True):
        rows = stored.rows[NOVELTY]
        looks = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any((1, 2, 3))])
        bank = bank.also(rows[looks], [(clip.video, began + float(stored.seconds[tick])) for tick in looks])
    return bank


def _of_detector(detector: Detector, stored: tuple[StoredClip, ...]) -> _Shown:
    corrections = tuple(number in detector.corrections for number in range(len(detector.shots)))
    return _Shown(detector.shots, detector.began, stored, detector.pictures, corrections)


def _support(detector: Detector, features: Mapping[str, Feature], shown: _Shown) -> Sample:
    """The shots as one sample (B = K; B = 0 where there are none)."""
    camera = detector.camera
    if not shown.clips:
        size = working_size(camera.height, camera.width, detector.config.data.short_side)
        return blank_sample(features, size).select([])
    videos = list(dict.fromkeys(clip.video for clip in shown.clips))
    begins = dict.fromkeys(videos, 0.0)
    for clip, began in zip(shown.clips, shown.began, strict=True):
        if began > _CLOCK:  # single precision counts no seconds of a clock that began in 1970
            begins[clip.video] = min(begins[clip.video] or began, began)
    origins = [
        torch.tensor([[float(videos.index(clip.video)), began - begins[clip.video]]])
        for clip, began in zip(shown.clips, shown.began, strict=True)
    ]
    return sample_of_stored(features, shown.stored, origins)


_CLOCK = 1e6
"""Seconds from which on they are those of a clock, not of a file."""


def _of_source(event: EventClip) -> tuple[str, float, float]:
    """What its seconds are of, and those at which it begins and ends."""
    source = event.source
    if not source:
        if not event.video.path.exists():
            raise VideoError(f"{event.video.path}: expected the video of the event, found nothing; put it back")
        source = content_digest(event.video)
    return source, event.offset + event.start, event.offset + event.end


def _named(detector: Detector, video: str, source: str) -> str:
    """What the video is called among the detector's footage: not as another one of the same name."""
    return video if detector.sources.get(video, source) == source else f"{video}-{source[:8]}"


def _is_same(detector: Detector, shot: str, video: str, source: str) -> bool:
    """Whether the video of a shot is that of an event."""
    known = detector.sources.get(shot)
    return shot == video if known is None else known == source


def _begins(library: Library, clip: Clip) -> float:
    return float(library.facts(clip.scene, clip.side, clip.video).seconds[clip.first])


def _widened(event: EventClip, detector: Detector) -> EventClip:
    """With all the frames that its scores are means of."""
    scoring = detector.model.scoring
    return replace(event, start=event.start - scoring.past, end=event.end + scoring.future)


def _spread(span: VideoSpan, seconds: FloatArray, event: EventClip, lasts: float) -> tuple[Clip, ...]:
    """Clips of about so many seconds, spread over an event, one of them around its peak."""
    length = max(2, round(lasts * span.rate))
    count = min(max(round((event.end - event.start) / lasts), FEWEST_CLIPS), MOST_CLIPS)
    middles = np.linspace(event.start, event.end, 2 * count + 1)[1::2]
    middles[np.argmin(np.abs(middles - event.peak))] = event.peak
    frames = np.clip(np.searchsorted(seconds, middles), 0, len(seconds) - 1).tolist()
    first, stop = _recording(seconds, event.peak)
    inside = replace(span, first=max(span.first, first), frames=min(span.frames, stop))
    return tuple(dict.fromkeys(inside.around(frame, length) for frame in frames))


def _grid(model: SceneModel) -> tuple[int, int]:
    return next(iter(model.calibrations.values())).grid


def _earlier(own: OwnFootage) -> OwnFootage:
    """What was scored by the detector before."""
    return replace(own, is_earlier=bool(own.known.any()))


def _windows(detector: Detector, reader: _Reader, event: EventClip) -> tuple[str, FloatArray, FloatArray, int] | None:
    """The windows of a normal event that were not shown; none where none is.

    Its video, their starts and peaks (N,), and the number of their regime.
    """
    clip, begins, light = reader.clip(event, event.start, event.end)
    found = reader.joint(detector, clip, light, is_lasting=event.is_lasting)
    inside = _inside(clip, (event.start - begins, event.end - begins))
    seconds, scores = begins + clip.seconds[inside], found[inside]
    if not len(seconds) or seconds[-1] - seconds[0] < window_seconds(detector.model):
        return None
    name = _named(detector, event.video.name, _of_source(event)[0])
    among = name if detector.stored is not None else event.video.name
    shown = [
        (began - event.offset, began - event.offset + detector.lasts(number))
        for number, (clip, began) in enumerate(zip(detector.shots, detector.began, strict=True))
        if clip.video == among
    ]
    flags = np.array([any(low - _TIE <= second < high for low, high in shown) for second in seconds])
    return (
        name,
        event.offset + window_starts(detector.model, seconds),
        window_peaks(detector.model, scores, seconds, flags),
        _regime(detector, light),
    )


def _inside(clip: StoredClip, seen: tuple[float, float] | None) -> BoolArray:
    """The ticks of a clip (T,) in some of its seconds, or all."""
    first, last = (0.0, math.inf) if seen is None else seen
    return np.asarray((clip.seconds >= first - _TIE) & (clip.seconds <= last + _TIE))


def _most_surprising(found: VideoScores, inside: np.ndarray) -> Tensor:
    """The most surprising places (M, 3: tick, row, column) of those ticks, at least half as surprising as the most."""
    if found.fused is None:
        raise ValueError("expected maps, found none")
    maps = np.where((inside & ~np.isnan(found.raw))[:, None, None], found.fused, 0.0)
    order = np.argsort(-maps, axis=None, kind="stable")[:PLACES]
    kept = order[maps.reshape(-1)[order] >= max(maps.max() / 2, _TIE)]
    return torch.from_numpy(np.stack(np.unravel_index(kept, maps.shape), axis=1).astype(np.int64))


def _raised_to(reader: _Reader, detector: Detector, bare: SceneModel, likeness: Likeness, number: int) -> Pattern:
    """A confirmed event's pattern, with so much boost, within the most, that it scores as when it was confirmed."""
    event, most = detector.confirmed[number], MOST_BOOST * detector.threshold
    pattern = likeness.patterns[number]
    if event.clip is None or not len(pattern.values):
        return pattern
    found, inside = reader.scores(bare, event.clip, maps=True), _inside(event.clip, event.seen)
    novelty = reader.novelty(detector, event.clip) if event.is_lasting else np.full(len(inside), np.nan)
    sample = sample_of_stored(reader.features, [event.clip])
    alike = replace(pattern, boost=1.0).raised(likeness.view.described(sample, _grid(bare)))[0]
    alike = alike * likeness.view.known(sample)[0][:, None, None]

    def peak(boost: float) -> float:
        fused = torch.from_numpy(np.asarray(found.fused)) + boost * alike
        raw = np.where(np.isnan(found.raw), np.nan, strongest(fused, bare.scoring.top).numpy())
        smoothed = smooth(raw, found.seconds, bare.scoring.past, bare.scoring.future)
        return _peak(np.fmax(_common(detector, event.light, smoothed), novelty), inside)

    if peak(pattern.boost) >= event.score:
        return pattern
    return replace(pattern, boost=_least(lambda boost: peak(boost) >= event.score, pattern.boost, most))


def _least(holds: Callable[[float], bool], low: float, high: float) -> float:
    """About the least number between two for which something holds; the higher one where it holds of none."""
    if high <= low or not holds(high):
        return max(low, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


_HALVINGS = 12


def _peak(scores: FloatArray, inside: BoolArray) -> float:
    return float(scores[inside].max()) if inside.any() else 0.0


def _rescored_event(detector: Detector, threshold: float, event: ConfirmedEvent) -> RescoredEvent:
    """A confirmed event by the corrected detector; ``threshold`` is the one before."""
    if event.clip is None:
        return RescoredEvent(event.name, event.score, None, True, "no pictures of it are kept")
    reader = _Reader(detector, Store(), SILENT)
    scores = reader.joint(detector, event.clip, event.light, is_lasting=event.is_lasting)
    after = _peak(scores, _inside(event.clip, event.seen))
    alarms = after > detector.threshold
    return RescoredEvent(event.name, event.score, after, alarms, is_lost=event.score > threshold and not alarms)


def _outcome(detector: Detector, reader: _Reader, event: EventClip) -> RescoredEvent:
    """An alarm, scored again; whatever keeps it from that is named."""
    try:
        clip, begins, light = reader.clip(event, event.start, event.end)
    except MetavadError as error:
        return RescoredEvent(event.name, event.score, None, True, str(error))
    inside = _inside(clip, (event.start - begins, event.end - begins))
    after = _peak(reader.joint(detector, clip, light, is_lasting=event.is_lasting), inside)
    return RescoredEvent(event.name, event.score, after, after > detector.threshold)
