"""Ticks of one recording to scores, some at once: of frames as they come, and of features that are computed already."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
import torch

from metavad.features.feature import Feature
from metavad.features.library import sample_of
from metavad.features.sample import Sample
from metavad.normality.accumulation import Smoothing, strongest
from metavad.normality.detector import Detector
from metavad.normality.memory_bank import NOVELTY
from metavad.normality.model import SceneModel, Surprise
from metavad.normality.regimes import Light, LightNow, RegimeWatch, common_score
from metavad.scenes.scene import Crop
from metavad.scoring.explain import Explanation, explain
from metavad.scoring.frames import FrameScore, TickScore
from metavad.scoring.novelty import Novelty, NoveltyTrace, Stood
from metavad.scoring.regions import find_regions
from metavad.types import Box, ByteArray, FloatArray

__all__ = ["CHUNK", "LIGHT", "RecordingScorer", "Row", "chunks", "overlap", "score_chunk"]

CHUNK = 32
"""Ticks scored at once."""

Row: TypeAlias = Mapping[str, ByteArray]
"""What each feature, by name, made of one tick; and its light."""
LIGHT = "light"
"""The name of the light in a row."""


class RecordingScorer:
    """The frames of one recording, as they come, to their scores, as soon as these are final; in bounded memory.

    A score is final when all ticks that it looks ahead to are scored. Ticks are scored by the chunk; with ``wait``, a
    part of a chunk is scored once its first tick is so many seconds old, for the price of a whole one. The scores are
    the same bits.
    """

    def __init__(
        self,
        detector: Detector,
        features: Mapping[str, Feature],
        number: int,
        *,
        wait: float = math.inf,
        is_whole: bool = False,
        stood: Sequence[Stood] = (),
    ) -> None:
        """``number`` is that of the recording, which its scores carry; ``is_whole`` as that of :class:`Smoothing`;
        ``stood`` as that of :class:`NoveltyTrace`."""
        scoring, self._past = detector.model.scoring, overlap(detector.model)
        self._detector, self._number, self.wait = detector, number, wait
        self._features = {name: feature for name, feature in features.items() if name != NOVELTY}
        self._begin, self._ticks, self._final = 0.0, 0, 0
        self._rows = deque[tuple[float, Row]](maxlen=self._past + CHUNK)
        self._unscored = list[_Tick]()
        self._latest = deque[_Tick](maxlen=CHUNK)
        self._smoothing = Smoothing[tuple[TickScore, _Tick]](scoring.past, scoring.future, is_whole=is_whole)
        self._recent = deque[_Explainable]()
        self._frames = deque[tuple[int, float, int]]()
        self._current: _Final | None = None
        self._watch = RegimeWatch(detector.regimes)
        self._novelty = None if detector.bank is None else NoveltyTrace(detector.bank, stood)

    @property
    def stood(self) -> tuple[Stood, ...]:
        """What was there in the last ten minutes, for the recording that goes on from this one."""
        return () if self._novelty is None else self._novelty.stood

    def push(self, index: int, seconds: float, row: Row | None) -> list[FrameScore]:
        """The next frame, with its row where it is a tick, as the first one is; the scores that are final by now."""
        if row is not None:
            self._begin = self._begin if self._ticks else seconds
            self._rows.append((seconds, row))
            novelty = None if self._novelty is None else self._novelty.push(row[NOVELTY], seconds)
            self._unscored.append(_Tick(index, seconds, self._watch.push(row[LIGHT], seconds), novelty))
            self._latest.append(self._unscored[-1])
            self._ticks += 1
        self._frames.append((index, seconds, self._ticks - 1))
        if self._unscored and (self._ticks % CHUNK == 0 or seconds - self._unscored[0].seconds >= self.wait - _SLACK):
            self._score()
        return self._released(self._unscored[0].seconds if self._unscored else seconds)

    def finish(self) -> list[FrameScore]:
        """The other scores, once the recording is over."""
        if self._unscored:
            self._score()
        return self._released(math.inf)

    def use(self, detector: Detector) -> bool:
        """Score by another version of the detector from now on; false where that is not between two chunks.

        The last chunk is scored again, so that every mean is of one version's scores: those that are not final yet are
        the very ones of a recording that it scored from the beginning.
        """
        if self._unscored or self._ticks % CHUNK:
            return False
        if detector.regimes != self._detector.regimes:
            self._look_again(detector)
        if self._novelty is not None and detector.bank is not None and detector.bank is not self._detector.bank:
            now = self._novelty.use(detector.bank, [tick.novelty for tick in self._latest if tick.novelty is not None])
            self._latest.extend([replace(tick, novelty=each) for tick, each in zip(self._latest, now, strict=True)])
        self._detector = detector
        if self._latest:
            ticks = self._ticks_scored(list(self._latest))
            for place in range(1, min(len(self._recent), len(ticks)) + 1):
                self._recent[-place] = ticks[-place]
            each = zip(ticks, self._latest, strict=True)
            self._smoothing.correct([(one.tick.seconds, one.tick.raw, (one.tick, now)) for one, now in each])
        return True

    def _look_again(self, detector: Detector) -> None:
        """The light of the last ticks, by the regimes of another version."""
        self._watch = self._watch.among(detector.regimes)
        self._latest.extend([replace(tick, light=self._watch.of(tick.light.averages)) for tick in self._latest])

    def _score(self) -> None:
        """Score the ticks that are not."""
        for each, now in zip(self._ticks_scored(self._unscored), self._unscored, strict=True):
            self._recent.append(each)
            self._smoothing.push(now.seconds, each.tick.raw, (each.tick, now))
        self._unscored.clear()

    def _ticks_scored(self, last: Sequence["_Tick"]) -> list["_Explainable"]:
        """The last ticks, in their chunk as far as it has come."""
        model, ticks = self._detector.model, self._ticks
        start = (ticks - 1) // CHUNK * CHUNK
        first = max(0, start - self._past)
        rows = list(self._rows)[first - ticks :]
        sample = _sample(self._features, rows, self._begin)
        whole = _whole(sample, start - first)
        found = model.score(whole, start - first)
        chosen = slice(ticks - len(last) - start, ticks - start)
        maps = found.fused[0, chosen].numpy()
        scores, boxes = _frame_scores(model, found)[chosen], _boxes(self._detector, maps)
        each = list[_Explainable]()
        for place, now in enumerate(last):
            raw, heat = float(scores[place]), maps[place].copy()
            tick = TickScore(now.index, now.seconds, raw, boxes[place], heat=heat, novelty=now.distance)
            each.append(_Explainable(tick, partial(explain, model, whole, found, start - first + chosen.start + place)))
        return each

    def _released(self, seconds: float) -> list[FrameScore]:
        """The frames whose score is final when no tick is scored any more before ``seconds``."""
        scores = list[FrameScore]()
        for mean, (tick, now) in self._smoothing.until(seconds):
            self._current = self._settled(mean, tick, now)
            self._final += 1
            scores += self._held()
        scores += self._held()
        return scores

    def _held(self) -> Iterator[FrameScore]:
        """The frames up to the next tick: the score of each tick holds until then."""
        current = self._current
        while current is not None and self._frames and self._frames[0][2] < self._final:
            index, seconds, _ = self._frames.popleft()
            yield current.at(index, seconds, self._number)

    def _settled(self, mean: float, tick: TickScore, now: "_Tick") -> "_Final":
        detector, light = self._detector, now.light
        score, name = common_score(detector.regimes, light.number, mean), light.name(detector.regimes)
        settings, alarm = detector.model.scoring, score > detector.threshold
        highest = _highest(self._recent, tick.seconds - settings.past, tick.seconds + settings.future)
        if now.novelty is not None and now.novelty.score > score:
            return _Final(now.novelty.score, *_lasting(detector, tick, now.novelty), light.averages, name)
        cause = None if highest is None else highest.explained if alarm else highest.tick
        return _Final(score, alarm, tick, cause, light.averages, name)


@dataclass(frozen=True)
class _Tick:
    """What is known of a tick before it is scored."""

    index: int
    seconds: float
    light: LightNow
    novelty: Novelty | None

    @property
    def distance(self) -> float:
        return math.nan if self.novelty is None else self.novelty.distance


@dataclass(frozen=True)
class _Final:
    """What holds of a tick and the frames after it."""

    score: float
    alarm: bool
    tick: TickScore
    cause: TickScore | None
    light: Light
    regime: str

    def at(self, index: int, seconds: float, recording: int) -> FrameScore:
        """The score of a frame in this recording."""
        return FrameScore(
            index,
            seconds,
            self.score,
            self.alarm,
            self.tick.box,
            self.cause,
            recording,
            self.tick.heat,
            self.light,
            self.regime,
            self.tick.novelty,
        )


@dataclass(frozen=True)
class _Explainable:
    """A tick, and its chunk while somebody may still ask why."""

    tick: TickScore
    explain: Callable[[], Explanation | None]

    @cached_property
    def explained(self) -> TickScore:
        return replace(self.tick, why=self.explain())


def overlap(model: SceneModel) -> int:
    """Ticks before a chunk that its experts look back on."""
    return max(model.lookback.values())


def chunks(model: SceneModel, first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Of a recording's ticks [first, end) each chunk: the first that it looks back on, its first, its end."""
    for start in range(first, end, CHUNK):
        yield max(first, start - overlap(model)), start, min(start + CHUNK, end)


def score_chunk(model: SceneModel, sample: Sample, skip: int) -> tuple[FloatArray, FloatArray]:
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


def _sample(features: Mapping[str, Feature], rows: Iterable[tuple[float, Row]], begin: float) -> Sample:
    """Ticks in a row as a sample of one clip; ``begin`` is the time of the recording's first one."""
    seconds, each = zip(*rows, strict=True)
    stacked = {name: np.stack([row[name] for row in each]) for name in features}
    times = np.array(seconds)
    return sample_of(features, stacked, times - times[0], times - begin, over=False)


def _highest(recent: deque[_Explainable], first: float, last: float) -> _Explainable | None:
    """The highest of the ticks between two times; those before the first are forgotten."""
    while recent and recent[0].tick.seconds < first - _SLACK:
        recent.popleft()
    inside = [each for each in recent if each.tick.seconds <= last + _SLACK and not np.isnan(each.tick.raw)]
    return max(inside, key=lambda each: each.tick.raw, default=None)


_SLACK = 1e-6
"""Seconds, as in smoothing."""


def _lasting(detector: Detector, tick: TickScore, novelty: Novelty) -> tuple[bool, TickScore, TickScore]:
    """Of a tick whose novelty is worth more than anything else: whether it alarms, itself, and as the cause of that."""
    alarm, heat = novelty.score > detector.threshold, novelty.heat(detector.grid)
    shown = replace(tick, raw=novelty.score, box=_boxes(detector, heat[None])[0], heat=heat)
    return alarm, shown, replace(shown, why=replace(novelty.explain(), heat=heat)) if alarm else shown


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
