"""``metavad events``: what ``metavad watch`` kept, and events again from the scores of ``watch`` or ``score``."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import length

if TYPE_CHECKING:
    from metavad.live.index import Index, StoredEvent
    from metavad.live.records import ConditionRecord, WatchedEvent
    from metavad.scoring.results import EventRecord, EventsRecord

__all__ = ["event_line", "number_of_events", "register"]

EPILOG = "Example: metavad events lobby --since 24h --csv today.csv"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("events", epilog=EPILOG, short_help="List events; find them again, with another threshold.")(events)


def events(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `metavad watch` or `metavad score` wrote: of one video, or all.")
    ],
    threshold: Annotated[
        float | None,
        typer.Option(metavar="X", help="Find events again, over this score, in the scores kept.", show_default=False),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write them as JSON.", show_default=False),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write them as a table.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From 2026-05-28, 2026-05-28T18:00, or 24h ago on.", show_default=False),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Up to such a time.", show_default=False)] = None,
    camera: Annotated[str | None, typer.Option(metavar="NAME", help="Of this camera only.", show_default=False)] = None,
    score: Annotated[
        float | None, typer.Option(metavar="X", help="Of this score or a higher one only.", show_default=False)
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Only there: words such as 'bottom left', or corners as --ignore of `metavad watch` has them.",
            show_default=False,
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of times, such as Europe/Berlin; else that of the machine.", show_default=False
        ),
    ] = None,
) -> None:
    """List the events that watch kept, or find events again in the scores of watch or score.

    Files of watch and score stay as they are; nothing is decoded or scored. Those that `metavad feedback` takes have
    a number or an id.
    """
    import math

    from metavad.errors import OutputError, UsageError

    for option, value in (("--threshold", threshold), ("--score", score)):
        if value is not None and not math.isfinite(value):
            raise UsageError(f"{option}: expected a score, found {value:g}")
    from metavad.live.index import INDEX, Index

    if (folder / INDEX).is_file():
        with Index(folder) as index:
            _list(index, folder, threshold, json, csv, _Filter(since, until, camera, score, place, time_zone))
        return
    given = {"--since": since, "--until": until, "--camera": camera, "--score": score, "--place": place, "--csv": csv}
    given["--time-zone"] = time_zone
    if not (folder / "scores.csv").is_file() and not any(folder.glob("*/scores.csv")):
        raise OutputError(
            f"{folder}: expected what `metavad watch` or `metavad score` wrote, found neither {INDEX} nor scores.csv; "
            "check the path"
        )
    asked = [option for option, value in given.items() if value is not None]
    if asked:
        raise UsageError(f"{asked[0]}: expected a folder of `metavad watch`, found {folder} of `metavad score`")
    _find_again(folder, threshold, json)


# --- what score wrote ----------------------------------------------------------------------------------------


def _find_again(scores: Path, threshold: float | None, json: Path | None) -> None:
    """In the scores that ``metavad score`` kept: those that it found, or those over another threshold.

    Each that `metavad feedback` knows has its number.
    """
    from metavad.cli.terminal import say
    from metavad.errors import UsageError
    from metavad.files import write_text
    from metavad.scoring.results import events_again, folders_of_scores, read_result

    folders = folders_of_scores(scores)
    if json is not None and len(folders) > 1:
        raise UsageError(f"--json: expected the scores of one video, found {len(folders)} in {scores}; name one folder")
    for folder in folders:
        before, _ = read_result(folder)
        found = before if threshold is None else events_again(folder, threshold)
        numbers = {event.picture: number for number, event in enumerate(before.events, 1)}
        lines = [event_line(event, found.start_time, numbers.get(event.picture)) for event in found.events]
        say(_head(found, found.threshold), *lines)
        if json is not None:
            write_text(json, found.model_dump_json(indent=1, by_alias=True) + "\n")


def _head(found: "EventsRecord", threshold: float) -> str:
    return f"{found.video}: {number_of_events(found)} over {threshold:.2f}"


def number_of_events(found: "EventsRecord") -> str:
    """How many there are, for people."""
    return _number(len(found.events))


def _number(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def event_line(event: "EventRecord", start: datetime | None = None, number: int | None = None) -> str:
    """An event, for people; ``start`` is when the video was taken, ``number`` what `metavad feedback` knows it by."""
    from metavad.clock import when_text

    reason, head = f": {event.reason}" if event.reason else "", "" if number is None else f"{number:3d}."
    if start is not None:
        first, last = (when_text(second, start) for second in (event.start, event.end))
        inside = f"{event.start:.1f} to {event.end:.1f} s"
        return f"{head}  {first} to {last} ({inside}), score {event.score:.1f}{reason}"
    return f"{head}  {event.start:8.1f} s to {event.end:8.1f} s, score {event.score:.1f}{reason}"


# --- what watch kept -----------------------------------------------------------------------------------------


class _Filter:
    """Which events are asked for; raises :class:`UsageError` for what cannot be one."""

    def __init__(
        self,
        since: str | None,
        until: str | None,
        camera: str | None,
        score: float | None,
        place: str | None,
        time_zone: str | None,
    ) -> None:
        from metavad.live import rules

        self.zone = rules.time_zone(time_zone)
        self.since, self.until = _time(since, "--since", self.zone), _time(until, "--until", self.zone)
        self.camera, self._score = camera, score
        self._region = rules.Polygon.parse(place, "--place") if place and "," in place else None
        self._words = None if place is None or self._region else " ".join(place.lower().split())
        if self._words is not None and self._words not in _PLACES:
            from metavad.errors import UsageError, nearest

            raise UsageError(f"--place: expected a known place, found {place!r}; {nearest(self._words, _PLACES)}")

    def takes(self, stored: "StoredEvent") -> bool:
        """Whether an event is one of them, but for its time and camera."""
        from metavad.live.records import place_of

        if self._score is not None and stored.event.score < self._score:
            return False
        if self._words is not None:
            return place_of(stored) == self._words
        box, size = stored.event.box, stored.size
        if self._region is None:
            return True
        if box is None or size is None:
            return False
        return self._region.contains((box[0] + box[2]) / 2 / size[1], (box[1] + box[3]) / 2 / size[0])


_PLACES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")


def _time(text: str | None, option: str, zone: tzinfo | None) -> float | None:
    """Seconds since 1970 of a time, or of so long ago; raises :class:`UsageError` on anything else."""
    from metavad.errors import UsageError

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            found = datetime.now().astimezone() - timedelta(seconds=length(text, option))
        except (UsageError, OverflowError):
            raise _no_time(text, option) from None
    try:
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone) if zone is not None else found.astimezone()
        return found.timestamp()
    except (ValueError, OverflowError):  # of years that the machine's clock does not know
        raise _no_time(text, option) from None


def _no_time(text: str, option: str) -> Exception:
    from metavad.errors import UsageError

    return UsageError(
        f"{option}: expected a time such as 2026-05-28T18:00, or a length such as 24h, found {text[:80]!r}"
    )


def _list(
    index: "Index", folder: Path, threshold: float | None, json: Path | None, csv: Path | None, asked: _Filter
) -> None:
    from metavad.cli.terminal import say, say_table
    from metavad.errors import UsageError, nearest
    from metavad.files import write_text
    from metavad.live.again import watched_again
    from metavad.live.page import PAGE
    from metavad.live.records import watched_event

    camera, cameras = asked.camera, index.cameras()
    if camera is not None and camera not in cameras:
        raise UsageError(f"--camera: expected one that was watched, found {camera!r}; {nearest(camera, cameras)}")
    if (asked.since, asked.until) != (None, None) and "utc" not in index.clocks().values():
        raise UsageError("--since, --until: expected a camera, found a file, whose events have no date; leave it out")
    if threshold is None:
        found = index.events(camera=camera, since=asked.since, until=asked.until)
    else:
        found = watched_again(index, threshold, camera=camera, since=asked.since, until=asked.until)
    chosen = [each for each in found if asked.takes(each)]
    conditions = list(_conditions(index, asked))
    over = "" if threshold is None else f" over {threshold:.2f}"
    if chosen:
        rows = [_row(each, asked.zone) for each in chosen]
        say_table(_HEADINGS, rows, [_lines(row) for row in rows])
    number = sum(each.announced is not None for each in chosen)
    announced = "" if threshold is not None or not chosen else f", {number} of them told"
    page = f"; {folder / PAGE}" if threshold is None and (folder / PAGE).is_file() else ""
    say(f"{_number(len(chosen))}{over}{announced}{page}", *map(_condition_line, conditions))
    records = [watched_event(each, asked.zone) for each in chosen]
    if json is not None:
        write_text(json, _as_json(records, conditions, threshold))
    if csv is not None:
        write_text(csv, _as_csv(records))


_HEADINGS = ("start", "lasts", "camera", "score", "place", "told", "reason", "event")


def _row(stored: "StoredEvent", zone: tzinfo | None) -> list[str]:
    from metavad.live.page import when, why_withheld
    from metavad.live.records import place_of

    event = stored.event
    lasts = f"{event.end - event.start:.1f} s" if event.is_over else "goes on"
    announced = "yes" if stored.announced is not None else why_withheld(stored) or "-"
    known = event.reason or "not among the events that were found"
    return [
        when(event.start, event.clock, zone),
        lasts,
        event.camera,
        f"{event.score:.1f}",
        place_of(stored) or "-",
        f"{announced}, {stored.verdict}" if stored.verdict else announced,
        known,
        event.id or "-",
    ]


def _lines(row: Sequence[str]) -> list[str]:
    start, lasts, camera, score, place, announced, reason, name = row
    return [f"{start} ({lasts}), {camera}, score {score}, {place}, told: {announced}", f"  {reason}", f"  {name}"]


def _conditions(index: "Index", asked: _Filter) -> Iterable["ConditionRecord"]:
    """What happened to whole pictures in the time that is asked for."""
    from metavad.live.records import condition_record

    clocks = index.clocks()
    for camera, each in index.conditions(camera=asked.camera):
        ends_before = asked.since is not None and each.end is not None and each.end < asked.since
        if not ends_before and (asked.until is None or each.start < asked.until):
            yield condition_record(camera, each, clocks[camera], asked.zone)


def _condition_line(condition: "ConditionRecord") -> str:
    until = "still" if condition.end is None else f"to {_plain(condition.end)}"
    return f"  {condition.camera}, {_plain(condition.start)} {until}: {condition.text}"


def _plain(time: str | float) -> str:
    return f"{time:.1f} s" if isinstance(time, float) else time[:19].replace("T", " ")


def _as_json(
    records: Sequence["WatchedEvent"], conditions: Sequence["ConditionRecord"], threshold: float | None
) -> str:
    from metavad.live.records import WatchedEvents

    made = WatchedEvents(threshold=threshold, events=tuple(records), conditions=tuple(conditions))
    return made.model_dump_json(indent=1, by_alias=True) + "\n"


def _as_csv(records: Iterable["WatchedEvent"]) -> str:
    from metavad.live.records import CSV_COLUMNS, csv_row
    from metavad.report.escaping import csv_text

    return csv_text(CSV_COLUMNS, map(csv_row, records))
