"""From scores over time to events that an operator reads: one way for frames that come and for whole arrays."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from metavad.arguments import checked
from metavad.errors import DataError
from metavad.recordings import frame_ends, median_frame, recordings
from metavad.runs import runs
from metavad.scoring.frames import FrameScore, TickScore
from metavad.types import BoolArray, Box, FloatArray, IntArray

__all__ = ["LONGEST", "Event", "EventMerger", "FoundEvent", "alarm_intervals", "find_events", "in_events"]


@dataclass(frozen=True)
class Event:
    """An interval over the threshold: when, where, how high, and why."""

    start: float
    """Seconds in the file."""
    end: float
    """Seconds; when the first frame after it begins, before a gap when the last frame in it ends."""
    peak: float
    """Seconds of the frame with the highest score."""
    score: float
    """That score; higher = more anomalous."""
    box: Box | None
    """x0, y0, x1, y1 in pixels of the file; none when nobody knows."""
    reason: str = ""
    """A sentence for an operator; empty when nobody knows."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Each expert's share of the surprise where it is highest; they sum to 1. Empty when nobody knows."""
    regime: str = ""
    """Name of the camera's regime at its peak; empty where only one is known, and it is of that."""


@dataclass(frozen=True)
class FoundEvent:
    """An event, its frames, and the tick that surprises most before smoothing: what there is to explain and to show."""

    event: Event
    frames: tuple[int, int]
    """Half-open."""
    cause: TickScore | None


@dataclass
class _Open:
    """An event that may still go on: its first, last and highest alarm, and the first frame after the last one."""

    first: FrameScore
    last: FrameScore
    peak: FrameScore
    cause: TickScore | None = None
    after: FrameScore | None = None

    def take(self, frame: FrameScore) -> None:
        """One alarm more."""
        self.last, self.after = frame, None
        self.peak = frame if frame.score > self.peak.score else self.peak
        if frame.cause is not None and (self.cause is None or frame.cause.raw > self.cause.raw):
            self.cause = frame.cause

    def until(self, merge: float) -> float:
        """Seconds up to which an alarm still belongs to it: to half a frame, the only one that is known by then."""
        if self.after is None:
            return math.inf
        return self.after.seconds + merge + (self.after.seconds - self.last.seconds) / 2 - _TIE

    def found(self, end: float) -> FoundEvent:
        """What has become of it, when a recording that it lasts to the end of is over after ``end`` seconds."""
        why, box = (None, self.peak.box) if self.cause is None else (self.cause.why, self.cause.box)
        reason, shares = ("", {}) if why is None else (why.text, why.shares)
        end, stop = (end, self.last.index + 1) if self.after is None else (self.after.seconds, self.after.index)
        event = Event(
            self.first.seconds, end, self.peak.seconds, self.peak.score, box, reason, shares, self.peak.regime
        )
        return FoundEvent(event, (self.first.index, stop), self.cause)


LONGEST = 300.0
"""Seconds that an event lasts at most."""
MARGIN = 1.0
"""Nats over the peak of what lasts: e times as rare."""
_TIE = 1e-6
"""Seconds: what lies in the middle between two frames is too late."""


@dataclass
class _Lasting:
    """What goes on after it was an event for as long as one may last: it is no alarm any more, but for more than it."""

    level: float
    """Score over which something else alarms while it lasts."""
    last: float
    """Seconds of its last frame."""


class EventMerger:
    """Scores of one camera to events, one frame at a time; alarms at most ``merge`` seconds apart are one event.

    An event ends after ``longest`` seconds. What still lasts then is none again, until the score was below the
    threshold for ``merge`` seconds; a score ``MARGIN`` over its peak is another event. What this holds does not grow
    with time but for the events.
    """

    def __init__(self, merge: float, longest: float = LONGEST) -> None:
        self.events: list[FoundEvent] = []
        """Those that are over, in order of time."""
        self._merge, self._longest = merge, longest
        self._open: _Open | None = None
        self._lasting: _Lasting | None = None
        self._waiting: list[FrameScore] = []

    @property
    def open(self) -> FoundEvent | None:
        """The event that still goes on, up to its last alarm by now."""
        return None if self._open is None else self._open.found(self._open.last.seconds)

    def push(self, frame: FrameScore) -> list[tuple[FrameScore, bool]]:
        """The frames of which it is known by now whether they lie in an event, in order of time.

        A frame waits for that for at most ``merge`` seconds and a frame. Frames after a gap belong to another
        recording: :meth:`finish` the last one first.
        """
        over = self._open is not None and frame.seconds > self._open.until(self._merge)
        decided = self._close(frame.seconds) if over else []
        if self._open is not None and frame.seconds - self._open.first.seconds > self._longest:
            self._lasting = _Lasting(self._open.peak.score + MARGIN, self._open.last.seconds)
            decided += self._close(frame.seconds)
        if self._is_alarm(frame):
            self._open = _Open(frame, frame, frame) if self._open is None else self._open
            self._open.take(frame)
            return [*decided, *self._settled(inside=True), (frame, True)]
        if self._open is None:
            return [*decided, (frame, False)]
        self._open.after = self._open.after or frame
        self._waiting.append(frame)
        return decided

    def finish(self, end: float) -> list[tuple[FrameScore, bool]]:
        """The frames that still waited, once a recording is over: its last frame ends after ``end`` seconds."""
        self._lasting = None
        return self._close(end)

    def _is_alarm(self, frame: FrameScore) -> bool:
        """Over the threshold, and more than what lasts."""
        lasting = self._lasting
        if lasting is not None and frame.seconds - lasting.last > self._merge:
            lasting = self._lasting = None
        if lasting is None or not frame.alarm:
            return frame.alarm
        lasting.last = frame.seconds
        return frame.score > lasting.level

    def _close(self, end: float) -> list[tuple[FrameScore, bool]]:
        if self._open is not None:
            self.events.append(self._open.found(end))
        self._open = None
        return self._settled(inside=False)

    def _settled(self, inside: bool) -> list[tuple[FrameScore, bool]]:
        waiting, self._waiting = self._waiting, []
        return [(frame, inside) for frame in waiting]


def in_events(
    frames: Iterable[FrameScore], merger: EventMerger, seconds: FloatArray
) -> Iterator[tuple[FrameScore, bool]]:
    """Every frame with whether it lies in an event of the merger; ``seconds`` (T,) are the times of the whole file."""
    parts = recordings(seconds).tolist()
    usual = [median_frame(seconds[start:stop]) for start, stop in parts]

    def finish(last: FrameScore) -> list[tuple[FrameScore, bool]]:
        following = last.index + 1
        is_last = following >= parts[last.recording][1]
        return merger.finish(last.seconds + usual[last.recording] if is_last else float(seconds[following]))

    last = None
    for frame in frames:
        if last is not None and last.recording != frame.recording:
            yield from finish(last)
        yield from merger.push(frame)
        last = frame
    if last is not None:
        yield from finish(last)


@checked
def find_events(
    scores: FloatArray,
    seconds: FloatArray,
    threshold: float,
    *,
    boxes: Sequence[Box | None] | None = None,
    merge: float = 1.0,
    longest: float = LONGEST,
) -> list[Event]:
    """The events of one video, in order of time: its frames with a score over the threshold.

    Args:
        scores: (T,), one for each frame of the file; higher = more anomalous.
        seconds: (T,), the time of each frame.
        threshold: a frame alarms with a score over it; one equal to it does not.
        boxes: for each frame where its score comes from, x0, y0, x1, y1 in pixels, or none.
        merge: alarms at most so many seconds apart, to half a frame, are one event; none reaches over a gap between
            recordings.
        longest: seconds that one event lasts at most.

    Returns:
        The events; without a reason, which only scoring knows.

    Raises:
        DataError: arrays of different lengths, NaN, or times that go back.
    """
    if boxes is not None and len(boxes) != len(scores):
        raise DataError(f"expected a box or none for each of {len(scores)} frames, found {len(boxes)} boxes")
    return [found.event for found in _found(scores, seconds, threshold, boxes, merge, longest)]


def alarm_intervals(
    scores: FloatArray, seconds: FloatArray, threshold: float, *, merge: float = 1.0, longest: float = LONGEST
) -> IntArray:
    """Half-open intervals of frames (N, 2): those of the events that :func:`find_events` finds."""
    intervals = [found.frames for found in _found(scores, seconds, threshold, None, merge, longest)]
    return np.array(intervals, dtype=int).reshape(-1, 2)


def _found(
    scores: FloatArray,
    seconds: FloatArray,
    threshold: float,
    boxes: Sequence[Box | None] | None,
    merge: float,
    longest: float,
) -> list[FoundEvent]:
    if np.ndim(scores) != 1 or np.shape(scores) != np.shape(seconds) or np.isnan(scores).any():
        raise DataError(
            f"expected a score and a time for each frame, found shapes {np.shape(scores)} and "
            f"{np.shape(seconds)} or NaN; score every frame of the file"
        )
    values, times, merger = np.asarray(scores), np.asarray(seconds, dtype=float), EventMerger(merge, longest)
    over, ends = values > threshold, frame_ends(times)
    for start, stop in recordings(times).tolist():
        is_long = times[stop - 1] - times[start] > longest
        for index in range(start, stop) if is_long else _telling(values, over, start, stop):
            box = None if boxes is None else boxes[index]
            merger.push(FrameScore(index, float(times[index]), float(values[index]), bool(over[index]), box))
        merger.finish(float(ends[stop - 1]))
    return merger.events


def _telling(scores: FloatArray, over: BoolArray, start: int, stop: int) -> Iterator[int]:
    """Frames of a recording that events depend on: of each run of alarms the first, highest, last, and the next one."""
    for first, end in (start + runs(over[start:stop])).tolist():
        yield from sorted({first, first + int(np.argmax(scores[first:end])), end - 1, min(end, stop - 1)})
