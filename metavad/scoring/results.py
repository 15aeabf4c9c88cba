"""Scores of a video as they come to files: nothing here grows with the video's length but the list of events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metavad.files import atomic_path
from metavad.scoring.events import Event
from metavad.scoring.stream import FrameScore, Moment
from metavad.types import FloatArray

__all__ = ["EventFinder", "Found", "Outline", "settled", "write_stream"]

COLUMNS = 1000
"""Columns of a timeline: about its pixels."""
SCORES_HEADER = "frame,seconds,score,alarm"


def settled(frames: Iterable[FrameScore], gap: int) -> Iterator[tuple[FrameScore, bool]]:
    """Every frame with whether it lies in an event; alarms at most ``gap`` frames apart are one event.

    A frame waits until that is known: for at most ``gap`` frames.
    """
    waiting: list[FrameScore] = []
    inside = False
    for frame in frames:
        waiting.append(frame)
        if frame.alarm or not inside or len(waiting) > gap:
            inside = frame.alarm
            yield from ((each, inside) for each in waiting)
            waiting = []
    yield from ((each, False) for each in waiting)


@dataclass(frozen=True)
class Found:
    """An event, and the tick that surprises most before smoothing: what there is to explain and to show."""

    event: Event
    cause: Moment | None


class EventFinder:
    """What :func:`~metavad.scoring.events.find_events` finds, one frame at a time."""

    def __init__(self, frame_seconds: float) -> None:
        self.found: list[Found] = []
        """Those that are over, in order of time."""
        self._frame_seconds = frame_seconds
        self._start: float | None = None
        self._peak: FrameScore | None = None
        self._cause: Moment | None = None
        self._last = 0.0

    def add(self, frame: FrameScore, inside: bool) -> None:
        """One frame, as :func:`settled` gives it."""
        if inside:
            self._start = frame.seconds if self._start is None else self._start
            self._peak = frame if self._peak is None or frame.score > self._peak.score else self._peak
            if frame.alarm and frame.cause is not None and (self._cause is None or frame.cause.raw > self._cause.raw):
                self._cause = frame.cause
        else:
            self._close(frame.seconds)
        self._last = frame.seconds

    def finish(self) -> list[Found]:
        """All events once the last frame was given."""
        self._close(self._last + self._frame_seconds)
        return self.found

    def _close(self, end: float) -> None:
        if self._start is not None and self._peak is not None:
            event = Event(self._start, end, self._peak.seconds, self._peak.score, self._peak.box, "")
            self.found.append(Found(event, self._cause))
        self._start = self._peak = self._cause = None


@dataclass(frozen=True)
class Outline:
    """Scores over time, a column for some frames: the middle of their time, their highest and their mean (N,)."""

    seconds: FloatArray
    highest: FloatArray
    mean: FloatArray


class _Columns:
    """An outline of so many frames while they come."""

    def __init__(self, frames: int) -> None:
        self._frames, self._count = max(1, frames), min(COLUMNS, max(1, frames))
        self._highest = np.full(self._count, -np.inf)
        self._sums = np.zeros((3, self._count))

    def add(self, frame: FrameScore) -> None:
        column = min(frame.index * self._count // self._frames, self._count - 1)
        self._highest[column] = max(self._highest[column], frame.score)
        self._sums[:, column] += (1.0, frame.seconds, frame.score)

    def outline(self) -> Outline:
        number, seconds, scores = self._sums[:, self._sums[0] > 0]
        return Outline(seconds / number, self._highest[self._sums[0] > 0], scores / number)


def write_stream(
    path: Path, frames: Iterable[FrameScore], *, count: int, gap: int, frame_seconds: float
) -> tuple[list[Found], Outline]:
    """Write scores.csv while the scores come; give the events, in order of time, and an outline of all scores.

    Columns ``frame, seconds, score, alarm``, a row for each frame of the file; whole or not at all. ``count``
    is how many frames will come, ``gap`` the frames between alarms of one event, ``frame_seconds`` how long
    the last frame lasts.
    """
    finder, columns = EventFinder(frame_seconds), _Columns(count)
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8") as table:
        table.write(SCORES_HEADER + "\n")
        for frame, inside in settled(frames, gap):
            table.write(f"{frame.index},{frame.seconds:.3f},{frame.score:.9g},{int(inside)}\n")
            finder.add(frame, inside)
            columns.add(frame)
    return finder.finish(), columns.outline()
