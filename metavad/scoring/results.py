"""Scores of a video as they come to files: nothing here grows with the video's length but the list of events."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from metavad import __version__
from metavad.errors import OutputError
from metavad.files import atomic_path, is_free
from metavad.normality.detector import Detector
from metavad.recordings import median_frame, recordings, without_gaps
from metavad.scenes.cache import content_key
from metavad.scenes.scene import Video
from metavad.scoring.events import Event, merged_until
from metavad.scoring.stream import FrameScore, TickScore
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


def settled(frames: Iterable[FrameScore], merge: float) -> Iterator[tuple[FrameScore, bool]]:
    """Every frame with whether it lies in an event; alarms at most ``merge`` seconds apart in a recording are one.

    A frame waits until that is known: for at most ``merge`` seconds and a frame.
    """
    waiting: list[FrameScore] = []
    last: FrameScore | None = None
    limit = -math.inf
    for frame in frames:
        if last is not None and frame.recording != last.recording:
            limit = -math.inf
        elif last is not None and last.alarm and not frame.alarm:
            limit = merged_until(frame.seconds, frame.seconds - last.seconds, merge)
        if frame.seconds > limit:
            yield from ((each, False) for each in waiting)
            waiting, limit = [], -math.inf
        waiting.append(frame)
        if frame.alarm or limit == -math.inf:
            yield from ((each, frame.alarm) for each in waiting)
            waiting = []
        limit = math.inf if frame.alarm else limit
        last = frame
    yield from ((each, False) for each in waiting)


@dataclass(frozen=True)
class Found:
    """An event, and the tick that surprises most before smoothing: what there is to explain and to show."""

    event: Event
    cause: TickScore | None


class EventFinder:
    """What :func:`~metavad.scoring.events.find_events` finds, one frame at a time; ``seconds`` (T,) of the file."""

    def __init__(self, seconds: FloatArray) -> None:
        self.found: list[Found] = []
        """Those that are over, in order of time."""
        self._seconds, self._recordings = seconds, recordings(seconds)
        self._start: float | None = None
        self._peak: FrameScore | None = None
        self._cause: TickScore | None = None
        self._last: FrameScore | None = None

    def add(self, frame: FrameScore, inside: bool) -> None:
        """One frame, as :func:`settled` gives it."""
        if not inside or (self._last is not None and frame.recording != self._last.recording):
            self._close(frame)
        if inside:
            self._start = frame.seconds if self._start is None else self._start
            self._peak = frame if self._peak is None or frame.score > self._peak.score else self._peak
            if frame.alarm and frame.cause is not None and (self._cause is None or frame.cause.raw > self._cause.raw):
                self._cause = frame.cause
        self._last = frame

    def finish(self) -> list[Found]:
        """All events once the last frame was given."""
        self._close(None)
        return self.found

    def _close(self, following: FrameScore | None) -> None:
        if self._start is not None and self._peak is not None and self._last is not None:
            end = self._end(self._last, following)
            event = Event(self._start, end, self._peak.seconds, self._peak.score, self._peak.box, "")
            self.found.append(Found(event, self._cause))
        self._start = self._peak = self._cause = None

    def _end(self, last: FrameScore, following: FrameScore | None) -> float:
        if following is not None and following.recording == last.recording:
            return following.seconds
        return last.seconds + median_frame(self._seconds[slice(*self._recordings[last.recording])])


@dataclass(frozen=True)
class Outline:
    """Scores over time, a column for some frames: the middle of their time, their highest and their mean (N,)."""

    seconds: FloatArray
    """On a clock that stands still in gaps between recordings."""
    highest: FloatArray
    mean: FloatArray
    gaps: FloatArray
    """Where a recording begins after a gap (R - 1, 2): by that clock, and in the file."""


class _Columns:
    """An outline of the frames at these seconds (T,) while they come."""

    def __init__(self, seconds: FloatArray) -> None:
        starts, clock = recordings(seconds)[:, 0], without_gaps(seconds)
        self._frames, self._count = max(1, len(seconds)), min(COLUMNS, max(1, len(seconds)))
        self._left_out = (seconds - clock)[starts]
        self._gaps = np.column_stack([clock, seconds])[starts[1:]]
        self._highest = np.full(self._count, -np.inf)
        self._sums = np.zeros((3, self._count))

    def add(self, frame: FrameScore) -> None:
        column = min(frame.index * self._count // self._frames, self._count - 1)
        self._highest[column] = max(self._highest[column], frame.score)
        self._sums[:, column] += (1.0, frame.seconds - self._left_out[frame.recording], frame.score)

    def outline(self) -> Outline:
        number, seconds, scores = self._sums[:, self._sums[0] > 0]
        return Outline(seconds / number, self._highest[self._sums[0] > 0], scores / number, self._gaps)


def write_stream(
    path: Path, frames: Iterable[FrameScore], *, seconds: FloatArray, merge: float
) -> tuple[list[Found], Outline]:
    """Write scores.csv while the scores come; give the events, in order of time, and an outline of all scores.

    Columns ``frame, seconds, score, alarm``, a row for each frame of the file; whole or not at all. ``seconds`` (T,)
    are the times of all frames that will come, ``merge`` the seconds between alarms of one event.
    """
    finder, columns = EventFinder(seconds), _Columns(seconds)
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8") as table:
        table.write(SCORES_HEADER + "\n")
        for frame, inside in settled(frames, merge):
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
    video: dict[str, Any]
    """What identifies its content."""


def result_of(detector: Detector, video: Video) -> Result:
    """What scores of this video by this detector are the result of."""
    return Result(detector=detector.digest, fps=video.fps, video=content_key(video))


def check_place(place: Path, result: Result) -> bool:
    """Whether a folder holds this very result already; raises :class:`OutputError` where it holds anything else."""
    if is_free(place):
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
    if gone := [name for name in _WRITTEN if not (place / name).is_file()]:
        raise OutputError(f"{place}: expected whole scores, found no {gone[0]}; remove the folder to score again")
    return True


_WRITTEN = ("scores.csv", "events.json", "timeline.png")

_OTHER = {
    "metavad": "version of metavad",
    "detector": "detector",
    "fps": "--fps",
    "video": "video of this name",
}
