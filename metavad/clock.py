"""When footage was taken: the time of its first frame, and what times in it are called."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from metavad.errors import UsageError

__all__ = ["StartTime", "StartTimeSource", "given_start_time", "is_plausible", "length_text", "time_at", "when_text"]

StartTimeSource: TypeAlias = Literal["given", "file"]
"""Who says so: the user, or the file itself."""

_YEARS = 1980, 2200
"""Cameras with a clock that is not set are in 1904, 1970 or so."""
_MEND = "give it as 2026-11-30T08:00, with +01:00 behind it where the zone is not this machine's"


@dataclass(frozen=True)
class StartTime:
    """When the first frame of a video was taken, and who says so."""

    time: datetime
    """With its zone."""
    source: StartTimeSource


def given_start_time(text: str, video: str) -> StartTime:
    """The time that a user gives, of the video of this name; without a zone it is of this machine's.

    With ``%`` in it, ``text`` is a pattern of :func:`datetime.strptime` that is looked for in the video's name. Raises
    :class:`UsageError` for what is no time.

    >>> given_start_time("gate %Y-%m-%d_%H.%M%z", "gate 2026-11-30_08.15+0100").time.isoformat()
    '2026-11-30T08:15:00+01:00'
    """
    if "%" in text:
        return StartTime(_checked(_in_name(text, video), text), "given")
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"--start-time: expected a date and a time, found {text!r}; {_MEND}") from None
    if not re.search(r"\d[T ]\d", text):
        raise UsageError(f"--start-time: expected a time of day too, found {text!r}; {_MEND}")
    return StartTime(_checked(found, text), "given")


def _in_name(pattern: str, name: str) -> datetime:
    try:
        return datetime.strptime(name, pattern)
    except (ValueError, re.error):
        raise UsageError(
            f"--start-time: expected video names such as {pattern!r} describes, found {name!r}; "
            "give a pattern of the whole name, such as lobby_%Y%m%d_%H%M%S"
        ) from None


def _checked(time: datetime, text: str) -> datetime:
    if not _YEARS[0] <= time.year < _YEARS[1]:
        years = f"{_YEARS[0]} to {_YEARS[1] - 1}"
        raise UsageError(f"--start-time: expected a time of {years}, found the year {time.year} in {text!r}; {_MEND}")
    return time if time.tzinfo is not None else time.astimezone()


def is_plausible(time: datetime) -> bool:
    """Whether a camera's clock was set when it wrote this: not long ago, and not to come."""
    return time.year >= _YEARS[0] and time <= datetime.now(UTC) + timedelta(days=1)


def time_at(start: datetime | None, seconds: float) -> datetime | None:
    """When it is ``seconds`` after the first frame; none where nobody knows."""
    try:
        return None if start is None else start + timedelta(seconds=seconds)
    except OverflowError:
        return None


def when_text(seconds: float, start: datetime | None) -> str:
    """A time in a video for people: of the day where that is known, with the date where it is not that of the start.

    >>> when_text(12.44, None)
    '12.4 s'
    >>> when_text(12.44, datetime(2026, 11, 30, 23, 59, 50))
    '2026-12-01 00:00:02'
    """
    time = time_at(start, seconds)
    if time is None or start is None:
        return f"{seconds:.1f} s"
    return f"{time:%H:%M:%S}" if time.date() == start.date() else f"{time:%Y-%m-%d %H:%M:%S}"


def length_text(seconds: float) -> str:
    """A length as players show it.

    >>> length_text(59.9), length_text(605), length_text(3661)
    ('0:59', '10:05', '1:01:01')
    """
    whole = int(seconds)
    minutes = f"{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.removeprefix("0")
