"""``metavad events``: events again, from the scores that ``metavad score`` kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from metavad.scoring.results import EventRecord, EventsRecord

__all__ = ["event_line", "number_of_events", "register"]

EPILOG = "Example: metavad events scores --threshold 6.5"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("events", epilog=EPILOG, short_help="Find events again, with another threshold.")(events)


def events(
    scores: Annotated[Path, typer.Argument(metavar="DIR", help="What `metavad score` wrote: of one video, or all.")],
    threshold: Annotated[float, typer.Option(metavar="X", help="Score over which a frame alarms.")],
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write them, in the form of events.json.", show_default=False),
    ] = None,
) -> None:
    """Find events with another threshold in scores that are there; the files of score stay as they are.

    What was an event before keeps its reason. Nothing is decoded or scored.
    """
    import math

    from metavad.cli.terminal import say
    from metavad.errors import UsageError
    from metavad.files import write_text
    from metavad.scoring.results import events_again, folders_of_scores

    if not math.isfinite(threshold):
        raise UsageError(f"--threshold: expected a score, found {threshold:g}")
    folders = folders_of_scores(scores)
    if json is not None and len(folders) > 1:
        raise UsageError(f"--json: expected the scores of one video, found {len(folders)} in {scores}; name one folder")
    for folder in folders:
        found = events_again(folder, threshold)
        say(_head(found, threshold), *(event_line(event, found.start_time) for event in found.events))
        if json is not None:
            write_text(json, found.model_dump_json(indent=1, by_alias=True) + "\n")


def _head(found: "EventsRecord", threshold: float) -> str:
    return f"{found.video}: {number_of_events(found)} over {threshold:.2f}"


def number_of_events(found: "EventsRecord") -> str:
    """How many there are, for people."""
    return "1 event" if len(found.events) == 1 else f"{len(found.events)} events"


def event_line(event: "EventRecord", start: "datetime | None" = None) -> str:
    """An event, for people; ``start`` is when the video was taken."""
    from metavad.clock import when_text

    reason = f": {event.reason}" if event.reason else ""
    if start is not None:
        first, last = (when_text(second, start) for second in (event.start, event.end))
        inside = f"{event.start:.1f} to {event.end:.1f} s"
        return f"  {first} to {last} ({inside}), score {event.score:.1f}{reason}"
    return f"  {event.start:8.1f} s to {event.end:8.1f} s, score {event.score:.1f}{reason}"
