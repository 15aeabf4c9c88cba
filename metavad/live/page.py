"""The last events of a folder as one page: thumbnails and clips beside it, nothing fetched, light and dark."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path

import jinja2

from metavad.errors import printable
from metavad.files import write_text
from metavad.live.index import Index, StoredEvent
from metavad.live.records import spelled_time, watched_event
from metavad.live.types import Clock, Condition

__all__ = ["PAGE", "render_page", "when", "why_withheld", "write_page"]

PAGE = "events.html"
LAST = 100
"""Events on the page."""
_WITHHELD = {
    "short": "too short",
    "cooldown": "soon after another",
    "schedule": "outside the schedule",
    "linked": "goes on from another",
    "light": "the light changed",
    "shaking": "the camera shook",
    "moved": "the view has changed",
    "covered": "the lens was covered",
    "frozen": "the picture was frozen",
}


def write_page(folder: Path, index: Index) -> None:
    """Write the page of a folder; whole or not at all."""
    events = index.events(last=LAST)
    clocks = index.clocks()
    conditions = [(camera, each, clocks[camera]) for camera, each in index.conditions()[-LAST // 5 :]]
    write_text(folder / PAGE, render_page(events, conditions))


def render_page(
    events: Sequence[StoredEvent],
    conditions: Sequence[tuple[str, Condition, Clock]] = (),
    zone: tzinfo | None = None,
) -> str:
    """The page as HTML text, the latest event first; times in this zone, else in that of the machine."""
    cameras = sorted({stored.event.camera for stored in events} | {camera for camera, _, _ in conditions})
    return _template().render(
        cameras=cameras,
        events=[
            {
                "record": watched_event(stored, zone),
                "when": when(stored.event.start, stored.event.clock, zone),
                "why": why_withheld(stored),
            }
            for stored in reversed(events)
        ],
        conditions=[
            {
                "camera": camera,
                "text": each.text,
                "kind": each.kind,
                "start": when(each.start, clock, zone),
                "end": None if each.end is None else when(each.end, clock, zone),
            }
            for camera, each, clock in reversed(conditions)
        ],
    )


@cache
def _template() -> jinja2.Template:
    """Compiled once: the page is written with every event."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_on_one_line
    )
    return environment.from_string(Path(__file__).with_name("events.html.j2").read_text(encoding="utf-8"))


def when(seconds: float, clock: Clock, zone: tzinfo | None = None) -> str:
    """A time for people, to the second.

    >>> when(75.2, "file")
    '1:15.2'
    """
    spelled = spelled_time(seconds, clock, zone)
    if isinstance(spelled, float):
        tenths = round(10 * spelled)
        return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
    return datetime.fromisoformat(spelled).strftime("%Y-%m-%d %H:%M:%S")


def why_withheld(stored: StoredEvent) -> str:
    """Why nobody was told of an event, in words; empty where somebody was."""
    return "" if stored.withheld is None or stored.announced is not None else _WITHHELD[stored.withheld]


def _on_one_line(value: object) -> object:
    """Names as they can be shown; what is HTML already stays."""
    return printable(value) if type(value) is str else value
