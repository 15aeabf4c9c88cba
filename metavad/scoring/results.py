"""Scores of a video as they come to files: nothing here grows with the video's length but the list of events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from metavad import __version__
from metavad.adaptation.detector import Detector
from metavad.errors import OutputError
from metavad.files import atomic_path
from metavad.scenes.cache import content_key
from metavad.scenes.scene import Video
from metavad.scoring.events import Event
from metavad.scoring.stream import FrameScore, Moment
from metavad.types import FloatArray

__all__ = [
    "RESULT",
    "EventFinder",
    "Found",
    "Outline",
    "Result",
    "check_place",
    "result_of",
    "settled",
    "write_stream",
]

RESULT = "result.json"
"""What a folder of scores is the result of."""

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


class Result(BaseModel):
    """All that scores follow from: where it is the same, so are they."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metavad: str = __version__
    detector: str
    """Digest."""
    fps: float | None
    compiled: bool
    video: dict[str, Any]
    """What identifies its content."""


def result_of(detector: Detector, video: Video, *, compiled: bool = False) -> Result:
    """What scores of this video by this detector are the result of."""
    return Result(detector=detector.digest, fps=video.fps, compiled=compiled, video=content_key(video))


def check_place(place: Path, result: Result) -> bool:
    """Whether a folder holds this very result already; raises :class:`OutputError` where it holds anything else."""
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return False
    try:
        found = Result.model_validate_json((place / RESULT).read_bytes())
    except (OSError, ValidationError):
        raise OutputError(f"{place}: expected a free place for scores, found something; name another --out") from None
    if found != result:
        what = next(name for name in Result.model_fields if getattr(found, name) != getattr(result, name))
        raise OutputError(
            f"{place}: expected a free place for scores, found those of another {_OTHER[what]}; name another --out"
        )
    return True


_OTHER = {
    "metavad": "version of metavad",
    "detector": "detector",
    "fps": "--fps",
    "compiled": "setting of --compile",
    "video": "video of this name",
}
