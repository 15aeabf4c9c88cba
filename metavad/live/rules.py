"""When somebody is told of an event: how long it lasts, how soon after another, at which times. Where nothing counts.

Rules keep nothing from being found and kept: they say who is told.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import cv2
import numpy as np

from metavad.errors import UsageError
from metavad.live.index import Withheld
from metavad.live.types import CameraEvent, ConditionKind
from metavad.scenes.scene import Crop
from metavad.types import BoolArray, FloatArray

__all__ = ["DAYS", "Polygon", "Rules", "Schedule", "Span", "ignored_cells", "is_local", "time_zone"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
SEEN_THROUGH: tuple[ConditionKind, ...] = ("light", "shaking", "moved")
"""What may happen to the picture while something in it is seen all the same."""
AROUND, AS_HIGH, ELSEWHERE = 0.25, 0.5, 0.05
"""Heights around the highest cell that are its place; share of its surprise that is high, and share of the cells
elsewhere that are as high, from which on it is all over the picture."""


@dataclass(frozen=True)
class Polygon:
    """A region of the picture: corners (x, y) in shares of its width and height, from the upper left."""

    corners: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, text: str, option: str = "--ignore") -> Self:
        """Such as ``"0,0.5 1,0.5 1,1 0,1"``, the lower half; raises :class:`UsageError` on anything else."""
        pairs = [pair.split(",") for pair in text.split()]
        try:
            corners = tuple((float(x), float(y)) for x, y in pairs)
        except ValueError:
            corners = ()
        if len(corners) < 3 or not all(0 <= value <= 1 for corner in corners for value in corner):
            raise UsageError(
                f"{option}: expected three corners or more as shares of width and height, such as "
                f"'0,0.5 1,0.5 1,1 0,1' for the lower half, found {text[:80]!r}"
            )
        return cls(corners)

    def contains(self, x: float, y: float) -> bool:
        """Whether a place (shares of width and height) lies inside or on its edge."""
        corners = np.array(self.corners, np.float32).reshape(-1, 1, 2)
        return cv2.pointPolygonTest(corners, (float(x), float(y)), False) >= 0


def ignored_cells(
    regions: Sequence[Polygon], grid: tuple[int, int], size: tuple[int, int], crop: Crop
) -> BoolArray | None:
    """The cells (h, w) of a detector whose middle lies in a region; none where no region is given.

    ``size`` is the height and width of the camera's cropped picture; regions are shares of the whole one. Raises
    :class:`UsageError` where nothing of the picture is left.
    """
    if not regions:
        return None
    height, width = size[0] + crop.top + crop.bottom, size[1] + crop.left + crop.right
    down = (crop.top + (np.arange(grid[0]) + 0.5) / grid[0] * size[0]) / height
    across = (crop.left + (np.arange(grid[1]) + 0.5) / grid[1] * size[1]) / width
    found = np.array([[any(each.contains(x, y) for each in regions) for x in across] for y in down])
    if found.all():
        raise UsageError("--ignore: expected regions that leave something of the picture, found all of it ignored")
    return found


def is_local(heat: FloatArray) -> bool:
    """Whether the surprise (h, w) is high in one place alone: within a quarter of the height around the highest cell.

    Other light, or another view, surprises all over the picture; what is high in one place is something else.
    """
    down, across = np.unravel_index(int(np.argmax(heat)), heat.shape)
    rows, columns = np.indices(heat.shape)
    reach = max(1.0, AROUND * len(heat))
    elsewhere = heat[(abs(rows - down) > reach) | (abs(columns - across) > reach)]
    return bool(heat.max() > 0 and elsewhere.size and np.mean(elsewhere >= AS_HIGH * heat.max()) <= ELSEWHERE)


def time_zone(name: str | None) -> tzinfo | None:
    """The time zone of this name, such as ``Europe/Berlin``; none is that of the machine.

    Raises :class:`UsageError` for one that nobody knows.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"--time-zone: expected a name such as Europe/Berlin, found {name[:80]!r}") from None


@dataclass(frozen=True)
class Span:
    """A time of some days of the week, by the clock on the wall; it may go over midnight."""

    days: frozenset[int]
    """On which it begins; 0 is Monday."""
    begin: int
    """Minutes since midnight."""
    end: int
    """The same; where it is not later than the beginning, it is on the next day."""

    def contains(self, day: int, minutes: float) -> bool:
        """Whether a time of a day lies in it."""
        if self.begin < self.end:
            return day in self.days and self.begin <= minutes < self.end
        return (day in self.days and minutes >= self.begin) or ((day - 1) % 7 in self.days and minutes < self.end)


@dataclass(frozen=True)
class Schedule:
    """The times of the week at which somebody is told.

    By the clock on the wall: where an hour comes twice, both count, and one that is left out does not come.
    """

    spans: tuple[Span, ...]
    zone: tzinfo | None = None
    """None: that of the machine."""

    @classmethod
    def parse(cls, text: str, zone: tzinfo | None = None) -> Self:
        """Such as ``"mon-fri 18:00-07:00; sat,sun 00:00-24:00"``; raises :class:`UsageError` on anything else."""
        return cls(tuple(_span(part.strip()) for part in text.split(";")), zone)

    def contains(self, seconds: float) -> bool:
        """Whether a time (seconds since 1970, UTC) is one of them."""
        local = (
            datetime.fromtimestamp(seconds, self.zone) if self.zone else datetime.fromtimestamp(seconds).astimezone()
        )
        minutes = 60 * local.hour + local.minute
        return any(span.contains(local.weekday(), minutes) for span in self.spans)


_SPAN = re.compile(r"([a-z,-]+) +(\d{1,2}):(\d{2}) *- *(\d{1,2}):(\d{2})")


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text.lower())
    days = None if found is None else _days(found[1])
    times = [] if found is None else [60 * int(found[2]) + int(found[3]), 60 * int(found[4]) + int(found[5])]
    minutes = [] if found is None else [int(found[3]), int(found[5])]
    if days is None or max(times) > _DAY or times[0] == _DAY or max(minutes) > 59:
        raise UsageError(
            "--schedule: expected days and times such as 'mon-fri 18:00-07:00; sat,sun 00:00-24:00', found "
            f"{text[:80]!r}"
        )
    return Span(days, times[0], times[1])


def _days(text: str) -> frozenset[int] | None:
    """``mon-fri,sun`` or ``daily`` as numbers; none for anything else."""
    if text == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, is_range, last = part.partition("-")
        last = last if is_range else first
        if first not in DAYS or last not in DAYS:
            return None
        begin, count = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7 + 1
        found |= {(begin + step) % 7 for step in range(count)}
    return frozenset(found)


@dataclass(frozen=True)
class Rules:
    """Of which events somebody is told. An event that goes on is asked about again until somebody is."""

    cooldown: float = 0.0
    """Seconds after an event that somebody was told of in which another one does not matter."""
    minimum: float = 0.0
    """Seconds that an event lasts at least."""
    schedule: Schedule | None = None
    """None: always. It needs the time of day: where the camera's clock is that of a file, it says nothing."""

    def __post_init__(self) -> None:
        """Raises :class:`UsageError` for a time below 0."""
        for option, value in (("--cooldown", self.cooldown), ("--minimum", self.minimum)):
            if not value >= 0:
                raise UsageError(f"{option}: expected 0 seconds or more, found {value:g}")

    def withheld(
        self, event: CameraEvent, last: CameraEvent | None, *, is_link_announced: bool = False
    ) -> Withheld | None:
        """Why nobody is told of an event as far as it is known; none where somebody is.

        ``last`` is the last event of the camera that somebody was told of, ``is_link_announced`` whether somebody was
        told of the one that goes on in this one.
        """
        if event.linked_to is not None and is_link_announced:
            return "linked"
        if event.condition is not None and not (event.is_local and event.condition in SEEN_THROUGH):
            return event.condition
        if self.schedule is not None and event.clock == "utc" and not self._is_in_schedule(event):
            return "schedule"
        if self.cooldown and last is not None and last.id != event.id and event.start < last.end + self.cooldown:
            return "cooldown"
        return "short" if event.end - event.start < self.minimum else None

    def _is_in_schedule(self, event: CameraEvent) -> bool:
        return self.schedule is None or self.schedule.contains(event.start) or self.schedule.contains(event.end)
