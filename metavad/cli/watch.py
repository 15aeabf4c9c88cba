"""``metavad watch``: one camera, for as long as it runs."""

import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import BaseFolder, DetectorAlarms, DetectorThreshold, Device, device_named, length
from metavad.cli.telling import (
    Cooldown,
    Ignore,
    Keep,
    Minimum,
    Notify,
    Schedule,
    Telling,
    TimeZone,
    telling_of,
)

if TYPE_CHECKING:
    from metavad.live.health import Health, Note, Notes
    from metavad.live.latest import LatestDetector
    from metavad.live.sources import Source
    from metavad.live.store import EventStore
    from metavad.normality.detector import Detector

__all__ = ["register", "watch"]

EPILOG = "Example: metavad watch rtsp://camera/stream --detector detectors/lobby --out lobby"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch", epilog=EPILOG, short_help="Watch a live camera, or a video as if it were one.")(watch)


def watch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="An address (rtsp, http, ...), env:NAME of a variable that holds one, the number of a webcam, - for a "
            "pipe, a video file, or a folder into which files come.",
        ),
    ],
    detector: Annotated[
        Path, typer.Option(metavar="DIR", help="What `metavad adapt` wrote; with --commission where to write it.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where events are kept; the same command goes on there.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the camera; else as --out ends.", show_default=False),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Score every frame, as fast as they come; wait for nothing, drop nothing.")
    ] = False,
    commission: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="First make the detector, from so much of the source, such as 10m; not where it is there already.",
            show_default=False,
        ),
    ] = None,
    shots: Annotated[int, typer.Option(metavar="K", help="Number of clips to show, with --commission.")] = 10,
    base: BaseFolder = None,
    alarms_per_day: DetectorAlarms = None,
    threshold: DetectorThreshold = None,
    notify: Notify = None,
    cooldown: Cooldown = "0s",
    minimum: Minimum = "0s",
    schedule: Schedule = None,
    time_zone: TimeZone = None,
    ignore: Ignore = None,
    keep: Keep = None,
    conditions: Annotated[
        bool, typer.Option(help="Tell other light, a camera that shakes or was moved, a covered lens from events.")
    ] = True,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="[HOST:]PORT", help="Serve metrics for Prometheus there.", show_default=False),
    ] = None,
    log: Annotated[
        str, typer.Option("--log", metavar="text|json", help="A line for people, or one of JSON, for what happens.")
    ] = "text",
    device: Device = "auto",
) -> None:
    """Watch a camera: events with time, place, reason, picture and clip, kept in OUT while they happen.

    A stream that breaks is opened again. Where the process is killed, the same command goes on. A detector that is
    corrected meanwhile is used without a restart.
    """
    from metavad.cli.terminal import Interrupted
    from metavad.cli.threshold import check_moved, moved_to
    from metavad.errors import UsageError
    from metavad.files import claimed
    from metavad.live.health import Health
    from metavad.live.sources import source_of

    where = device_named(device)
    telling = telling_of(notify, ignore, cooldown, minimum, schedule, time_zone, keep)
    camera = name or out.resolve().name
    notes, found = _notes(log, camera), source_of(source, fast=fast)
    if keep is not None and found.clock == "file":
        raise UsageError(f"--keep: expected a camera, found {found.name}, whose events have no date; leave it out")
    check_moved(alarms_per_day, threshold)  # before an hour of commissioning, not after it
    if shots < 1:
        raise UsageError(f"--shots: expected a number of clips from 1 on, found {shots}")
    health = Health(camera)
    out.mkdir(parents=True, exist_ok=True)
    with claimed(out / "watch"), _stopping() as stopped, _served(health, metrics, notes):
        since = None
        if commission is not None:
            wanted = length(commission, "--commission")
            since = _commission(
                found, detector, out, camera, wanted, shots, alarms_per_day, base, where, notes, stopped
            )
        if stopped.signal is None:
            from metavad.live.latest import LatestDetector
            from metavad.normality.detector import load_detector

            def load() -> "Detector":
                return telling.ignoring(moved_to(load_detector(detector).on(where), alarms_per_day, threshold))

            latest, opened = LatestDetector(detector, load), load()
            _watch(found, opened, latest, out, since, telling, notes, health, stopped, conditions=conditions)
    if stopped.signal is not None:
        raise Interrupted("stopped; all is written, and the same command goes on", 128 + stopped.signal)


@contextmanager
def _served(health: "Health", metrics: str | None, notes: "Notes") -> Iterator[None]:
    """Serve metrics meanwhile, where they are asked for."""
    from metavad.live.health import Note, serve_metrics

    if metrics is None:
        yield
        return
    end, port = serve_metrics(health, metrics)
    notes(Note("metrics", f"metrics at port {port}", facts={"port": port}))
    try:
        yield
    finally:
        end()


def _commission(
    source: "Source",
    place: Path,
    out: Path,
    camera: str,
    seconds: float,
    shots: int,
    alarms_per_day: float | None,
    base: Path | None,
    device: str | None,
    notes: "Notes",
    stopped: "_Stopped",
) -> float | None:
    """Make the detector, unless it is there; the time of the last frame that it was made of, where that is dated."""
    from metavad.cli.bases import open_base
    from metavad.durations import spelled
    from metavad.files import is_free
    from metavad.live.commission import commission, put_aside_later
    from metavad.live.health import Note
    from metavad.normality.detector import save_detector

    if not is_free(place):
        return None
    found, _ = open_base(base, device)
    text = f"commissioning from {spelled(seconds)} of {source.name}; what it shows is taken for normal"
    notes(Note("commissioning", text, facts={"seconds": 0.0, "of": seconds}))
    made = commission(
        found,
        source,
        out,
        camera=camera,
        seconds=seconds,
        shots=shots,
        alarms_per_day=alarms_per_day,
        notes=notes,
        is_over=lambda: stopped.signal is not None,
    )
    if made is None:
        return None
    save_detector(place, made.detector)
    put_aside_later(out)
    shown = len(made.detector.shots)
    text = f"{place}: shown {shown} clips, threshold from {spelled(made.seconds)} of other footage"
    notes(Note("commissioned", text, facts={"shots": shown, "left_out": len(made.odd)}))
    return made.last if source.is_dated else None


def _watch(
    source: "Source",
    detector: "Detector",
    latest: "LatestDetector",
    out: Path,
    since: float | None,
    telling: "Telling",
    notes: "Notes",
    health: "Health",
    stopped: "_Stopped",
    *,
    conditions: bool,
) -> None:
    from metavad.live.conditions import PictureConditions
    from metavad.live.health import Note
    from metavad.live.watch import Watch

    camera = health.camera
    with ExitStack() as stack:
        wake = stack.enter_context(_notifying(out, telling, notes))
        sink = _store(detector, source, out, camera, telling, wake, notes)
        stack.callback(sink.close)
        watch = Watch(
            detector,
            source,
            sink,
            out,
            camera=camera,
            since=-math.inf if since is None else since,
            latest=latest,
            conditions=PictureConditions() if conditions else None,
            health=health,
            notes=notes,
        )
        stopped.calls(watch.stop)
        facts = {"source": source.name, "detector": detector.scores_digest, "threshold": round(detector.threshold, 3)}
        text = f"watching {source.name} over {detector.threshold:.2f}: {detector.promise.text}"
        notes(Note("started", text, facts=facts))
        watch.run()
    notes(Note("ended", _ended(health), facts=_counts(health)))


@contextmanager
def _notifying(out: Path, telling: "Telling", notes: "Notes") -> Iterator[Callable[[], None]]:
    """Deliver what is to be told meanwhile; gives what to call when something waits."""
    from metavad.live.health import Note
    from metavad.live.index import Index
    from metavad.live.notify import Notifier

    note_left(out, {target.name for target in telling.targets}, notes)
    if not telling.targets:
        yield lambda: None
        return

    def trouble(name: str, why: str) -> None:
        notes(Note("not_delivered", f"{name}: {why}; it is kept, and tried again", "warning", {"target": name}))

    Index(out, make=True).close()  # it is there before two threads open it
    with Notifier(out, telling.targets, on_trouble=trouble) as notifier:
        yield notifier.wake


def note_left(out: Path, names: set[str], notes: "Notes") -> None:
    """Say for whom messages wait that nobody names any more."""
    from metavad.live.health import Note
    from metavad.live.index import INDEX, Index

    if not (out / INDEX).is_file():
        return
    with Index(out) as index:
        left = {name: count for name, count in index.waiting_for().items() if name not in names}
    for name, count in left.items():
        many = "1 message waits" if count == 1 else f"{count} messages wait"
        text = f"{name}: {many} for it, and it is not named any more; name it with --notify to deliver"
        notes(Note("not_delivered", text, "warning", {"target": name}))


def _store(
    detector: "Detector",
    source: "Source",
    out: Path,
    camera: str,
    telling: "Telling",
    wake: Callable[[], None],
    notes: "Notes",
) -> "EventStore":
    from metavad.live.health import Note
    from metavad.live.index import Session
    from metavad.live.store import EventStore

    shape, crop, scoring = detector.camera, detector.camera.crop, detector.model.scoring
    size = shape.height + crop.top + crop.bottom, shape.width + crop.left + crop.right
    inside = (float(crop.left), float(crop.top), float(crop.left + shape.width), float(crop.top + shape.height))
    session = Session(camera, source.clock, detector.scores_digest, detector.threshold, scoring.merge, scoring.longest)
    return EventStore(
        out,
        session,
        size=size,
        crop=inside,
        rules=telling.rules,
        targets=[target.name for target in telling.targets],
        keep=telling.keep,
        on_change=wake,
        on_trouble=lambda why: notes(Note("not_written", f"not written yet, {why}; it is tried again", "error")),
    )


def _ended(health: "Health") -> str:
    """What came of it, for people."""
    lost = f", {health.dropped} dropped" if health.dropped else ""
    events = "1 event" if health.events == 1 else f"{health.events} events"
    linked = f", {health.linked} of them going on after a gap" if health.linked else ""
    return f"{events}{linked}; {health.frames} frames{lost}"


def _counts(health: "Health") -> dict[str, int]:
    names = ("frames", "dropped", "refused", "events", "linked", "connections", "breaks")
    return {name: getattr(health, name) for name in names}


# --- notes ---------------------------------------------------------------------------------------------------


def _notes(kind: str, camera: str) -> "Notes":
    """What happens, as lines on standard output; raises :class:`UsageError` for an unknown kind."""
    from metavad.errors import UsageError, nearest

    kinds: dict[str, Callable[[str, Note], str]] = {"text": _text_line, "json": _json_line}
    if kind not in kinds:
        raise UsageError(f"--log: expected a known kind, found {kind!r}; {nearest(kind, kinds)}")
    lock, line = threading.Lock(), kinds[kind]

    def write(note: "Note") -> None:
        with lock, suppress(OSError):  # nobody reads any more, or a full disk: no reason to stop watching
            sys.stdout.write(line(camera, note) + "\n")
            sys.stdout.flush()

    return write


def _text_line(camera: str, note: "Note") -> str:
    from metavad.errors import printable

    mark = "" if note.level == "info" else f"{note.level}: "
    return printable(f"{datetime.now().astimezone():%H:%M:%S} {camera}: {mark}{note.text}")


def _json_line(camera: str, note: "Note") -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": now, "level": note.level, "camera": camera, "kind": note.kind, "text": note.text, **note.facts}
    return json.dumps(line, ensure_ascii=False)


# --- stopping ------------------------------------------------------------------------------------------------


class _Stopped:
    """What asks the process to end: the first time in good order, the second time at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._call: Callable[[], None] = lambda: None

    def calls(self, call: Callable[[], None]) -> None:
        """What ends it in good order."""
        self._call = call
        if self.signal is not None:
            call()

    def __call__(self, number: int, _: object) -> None:
        """A signal has come."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._call()


@contextmanager
def _stopping() -> Iterator[_Stopped]:
    """Ctrl-C, and what a supervisor sends, end it in good order."""
    stopped = _Stopped()
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            names = ("SIGINT", "SIGTERM", "SIGHUP")
            for number in [getattr(signal, name) for name in names if hasattr(signal, name)]:
                if signal.getsignal(number) is not signal.SIG_IGN:  # what nohup ignores stays ignored
                    stack.callback(signal.signal, number, signal.signal(number, stopped))
        yield stopped
