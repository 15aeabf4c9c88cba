"""What was found in videos as one HTML file: scores over time, events with pictures; a click seeks in the video."""

import base64
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import jinja2
import numpy as np
from markupsafe import Markup
from natsort import natsort_keygen

from metavad import __version__
from metavad.clock import length_text, time_at, when_text
from metavad.errors import MetavadWarning, OutputError, printable
from metavad.files import write_text
from metavad.scoring.results import ANNOTATED, EventRecord, EventsRecord, Outline, PeakRecord, read_result

__all__ = ["Introduction", "rate_text", "write_scores_page"]

EMBEDDED = 300
"""Pictures that the page holds itself; those beyond are loaded from their folders."""
WIDTH, HEIGHT = 1000, 100
"""Units of a plot."""
BEFORE = 1.0
"""Seconds before an event at which a click begins."""
_BEYOND = 2.5
"""Of the highest score: a threshold that would press the curve flat has no line."""
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
"""Seconds between two marks of an axis."""


@dataclass(frozen=True)
class Introduction:
    """What stands above the videos, where somebody has more to say than how many events there are."""

    title: str
    lines: Sequence[str]
    links: Sequence[tuple[str, str]] = field(default=())
    """Text and address, from the page."""


@dataclass(frozen=True)
class _Mark:
    """A mark of the time axis: where, in per cent, and what it is called."""

    place: float
    text: str


@dataclass(frozen=True)
class _Shown:
    """An event, or a high score, as it is shown."""

    when: str
    inside: str
    """Seconds in the file, where ``when`` is another time."""
    score: str
    text: str
    picture: str
    """Address; empty where there is none."""
    at: float | None
    """Where a click begins, in seconds of what plays; none where nothing does."""
    left: float
    """On the time axis, in per cent."""
    width: float


@dataclass(frozen=True)
class _Section:
    """A video as it is shown."""

    name: str
    anchor: str
    folder: str
    begins: str
    length: str
    count: str
    highest: str
    player: str
    annotated: bool
    events: list[_Shown]
    peaks: list[_Shown]
    line: str
    area: str
    level: float | None
    """Of the threshold's line, from above; none where it is far above all scores."""
    threshold: str
    gaps: list[float]
    marks: list[_Mark]
    data: Markup


def write_scores_page(path: Path, folders: Sequence[Path], introduction: Introduction | None = None) -> None:
    """Write a page about folders that ``metavad score`` wrote, whole or not at all; addresses are from its place.

    A folder that cannot be read is left out with a warning.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_on_one_line
    )
    template = environment.from_string(Path(__file__).with_name("scores.html.j2").read_text(encoding="utf-8"))
    read = _in_order(_read(folders))
    pictures = _Pictures(path.parent)
    sections = [_section(path.parent, number, each, pictures) for number, each in enumerate(read)]
    texts = dict.fromkeys(each.record.promise.text for each in read if each.record.promise is not None)
    page = template.render(
        title=_headline([each.record for each in read]) if introduction is None else introduction.title,
        lines=[] if introduction is None else introduction.lines,
        links=[] if introduction is None else introduction.links,
        promise=next(iter(texts)) if len(texts) == 1 else "",
        sections=sections,
        version=__version__,
    )
    write_text(path, page)


def rate_text(alarms_per_day: float) -> str:
    """A rate of alarms to two digits, since it is an estimate.

    >>> rate_text(12345), rate_text(3.14), rate_text(0.001)
    ('about 12,000 alarms a day', 'about 3.1 alarms a day', 'under 0.1 alarms a day')
    """
    if alarms_per_day < 0.1:
        return "under 0.1 alarms a day"
    digits = 1 - math.floor(math.log10(alarms_per_day))
    rounded = round(alarms_per_day, digits)
    return f"about {rounded:,.{max(digits, 0)}f} alarms a day"


@dataclass(frozen=True)
class _Read:
    folder: Path
    record: EventsRecord
    outline: Outline


def _read(folders: Sequence[Path]) -> Iterator[_Read]:
    for folder in folders:
        try:
            yield _Read(folder, *read_result(folder))
        except OutputError as error:
            warnings.warn(f"{error}; the page leaves it out", MetavadWarning, stacklevel=3)


def _in_order(read: Iterator[_Read]) -> list[_Read]:
    """By when they were taken, where that is known of all, else by their names."""
    found, natural = list(read), natsort_keygen()
    starts = [each.record.start_time for each in found]
    if (known := [start for start in starts if start is not None]) and len(known) == len(found):
        return [found[place] for place in sorted(range(len(found)), key=lambda place: known[place])]
    return sorted(found, key=lambda each: natural(each.folder.name))


def _on_one_line(value: object) -> object:
    """Names of files as they can be shown; what is HTML already stays."""
    return printable(value) if type(value) is str else value


def _headline(records: Sequence[EventsRecord]) -> str:
    videos = f"{len(records)} video{'s' * (len(records) != 1)}"
    return f"{_counted(sum(len(record.events) for record in records))} in {videos}"


def _counted(events: int) -> str:
    return "No event" if not events else f"{events} event{'s' * (events != 1)}"


class _Pictures:
    """Addresses of pictures: the pictures themselves, as long as there are few."""

    def __init__(self, place: Path) -> None:
        self._place, self._left = place, EMBEDDED

    def address(self, path: Path) -> str:
        try:
            content = path.read_bytes() if self._left > 0 else None
        except OSError:
            return ""
        self._left -= 1
        if content is None:
            return _address(path, self._place)
        return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def _address(path: Path, place: Path) -> str:
    """Of a file, from the folder of the page; as a browser follows it."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path.absolute(), place.absolute())).as_posix()))
    except ValueError:  # another drive
        return path.absolute().as_uri()


def _section(place: Path, number: int, read: _Read, pictures: _Pictures) -> _Section:
    record, outline, folder = read.record, read.outline, read.folder
    player, annotated = _player(folder, record)
    axis = _Axis(outline, record, annotated=annotated)
    plays = bool(player)
    highest = float(outline.highest.max())
    top = 1.08 * max(highest, record.threshold) if 0 < record.threshold < _BEYOND * highest else 1.3 * max(highest, 0.1)
    heights = HEIGHT * (1 - np.clip(outline.highest / top, 0, 1))
    points = [f"{axis.share(second) * WIDTH:.1f},{y:.1f}" for second, y in zip(outline.seconds, heights, strict=True)]
    first, last = (axis.share(outline.seconds[end]) * WIDTH for end in (0, -1))
    return _Section(
        name=record.video,
        anchor=f"video-{number}",
        folder=_address(folder, place),
        begins="" if record.start_time is None else f"{record.start_time:%Y-%m-%d %H:%M:%S}{_whose(record)}",
        length=length_text(axis.length),
        count=_counted(len(record.events)),
        highest=f"{highest:.1f}",
        player=_address(player, place) if player else "",
        annotated=annotated,
        events=[_event(each, axis, pictures.address, folder, plays=plays) for each in record.events],
        peaks=[_peak(each, axis, pictures.address, folder, plays=plays) for each in record.highest],
        line="M" + "L".join(points),
        area=f"M{first:.1f},{HEIGHT}L{'L'.join(points)}L{last:.1f},{HEIGHT}Z",
        level=round(100 * (1 - record.threshold / top), 2) if record.threshold <= top else None,
        threshold=f"{record.threshold:.1f}",
        gaps=[round(axis.share(clock) * WIDTH, 1) for clock in outline.gaps[:, 0].tolist()],
        marks=list(axis.marks()),
        data=axis.data(),
    )


def _whose(record: EventsRecord) -> str:
    return ", as the file says" if record.start_time_source == "file" else ""


def _player(folder: Path, record: EventsRecord) -> tuple[Path | None, bool]:
    """What plays: the annotated video, else the video itself, else nothing; and whether it is the first."""
    if (folder / ANNOTATED).is_file():
        return folder / ANNOTATED, True
    own = None if record.file is None else folder / record.file
    return (own, False) if own is not None and own.is_file() else (None, False)


class _Axis:
    """Times of one video: in its file, on the clock of its outline, in what plays, and as they are called."""

    def __init__(self, outline: Outline, record: EventsRecord, *, annotated: bool) -> None:
        self._outline, self._start, self._annotated = outline, record.start_time, annotated
        columns = np.diff(outline.seconds)
        self.length = float(outline.seconds[-1] + (columns[-1] / 2 if len(columns) else 0.0)) or 1.0

    def share(self, clock: float) -> float:
        """Of the axis, from the left."""
        return min(max(clock / self.length, 0.0), 1.0)

    def left(self, second: float) -> float:
        """Where a second of the file is, in per cent."""
        return round(100 * self.share(self._outline.clock(second)), 3)

    def plays_at(self, second: float) -> float:
        """Where a second of the file is in what plays: an annotated video has no gaps."""
        return round(self._outline.clock(second) if self._annotated else second, 3)

    def _second(self, clock: float) -> float:
        """Of the file."""
        past = self._outline.gaps[self._outline.gaps[:, 0] <= clock]
        return clock + float(past[-1, 1] - past[-1, 0]) if len(past) else clock

    def when(self, second: float) -> str:
        return length_text(second + 1e-6) if self._start is None else when_text(second, self._start)

    def marks(self) -> Iterator[_Mark]:
        """At whole minutes or the like, of the day where that is known; only what lies within the axis."""
        step = next((each for each in _STEPS if self.length / each <= 7), _STEPS[-1])
        clock = _until_mark(self._start, step) if len(self._outline.gaps) == 0 else 0.0
        while clock <= self.length:
            yield _Mark(round(100 * self.share(clock), 2), self._mark_text(self._second(clock), step))
            clock += step

    def _mark_text(self, second: float, step: int) -> str:
        time = time_at(self._start, second + 1e-3)
        if time is None:
            return length_text(second + 1e-6)
        return f"{time:%H:%M:%S}" if step < 60 else f"{time:%H:%M}"

    def data(self) -> Markup:
        """What the page's script reads: of each column its place, its score, where it plays, and its time."""
        seconds = [self._second(float(clock)) for clock in self._outline.seconds]
        columns = {
            "place": [round(self.share(float(clock)), 5) for clock in self._outline.seconds],
            "score": [round(float(score), 2) for score in self._outline.highest],
            "at": [self.plays_at(second) for second in seconds],
            "when": [self.when(second) for second in seconds],
        }
        return Markup(json.dumps(columns, separators=(",", ":")).replace("<", "\\u003c"))


def _until_mark(start: datetime | None, step: int) -> float:
    """Seconds from the start to the first time of the day that a step divides."""
    if start is None:
        return 0.0
    passed = (start - start.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(seconds=1)
    return -passed % step


def _event(event: EventRecord, axis: _Axis, address: Callable[[Path], str], folder: Path, *, plays: bool) -> _Shown:
    left, right = axis.left(event.start), axis.left(event.end)
    times = f"{axis.when(event.start)} to {axis.when(event.end)}"
    return _Shown(
        when=times,
        inside=f"{event.start:.1f} to {event.end:.1f} s",
        score=f"{event.score:.1f}",
        text=event.reason,
        picture=address(folder / event.picture) if event.picture else "",
        at=axis.plays_at(max(0.0, event.start - BEFORE)) if plays else None,
        left=left,
        width=round(max(right - left, 0.25), 3),
    )


def _peak(peak: PeakRecord, axis: _Axis, address: Callable[[Path], str], folder: Path, *, plays: bool) -> _Shown:
    return _Shown(
        when=axis.when(peak.second),
        inside=f"{peak.second:.1f} s",
        score=f"{peak.score:.1f}",
        text=f"A threshold here would mean {rate_text(peak.alarms_per_day)}.",
        picture=address(folder / peak.picture),
        at=axis.plays_at(max(0.0, peak.second - BEFORE)) if plays else None,
        left=axis.left(peak.second),
        width=0.25,
    )
