"""The index of what was watched: one SQLite file of events, scores, conditions and what is still to be told.

Written ahead (WAL), so that readers and writers of other processes do not stop each other, and flushed to disk with
every event. Its form has a number; older forms are brought up to date when it is opened.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from metavad import __version__
from metavad.errors import OutputError
from metavad.live.score_parts import ScorePart
from metavad.live.types import CameraEvent, Clock, Condition

__all__ = ["INDEX", "Index", "Message", "Session", "StoredEvent", "Verdict", "Withheld", "is_passing"]

INDEX = "events.sqlite"
"""Name of the file in its folder."""
PATIENCE = 2.0
"""Seconds that a writer waits for another one."""

Verdict: TypeAlias = Literal["normal", "abnormal"]
"""What a person said of an event."""
Withheld: TypeAlias = Literal[
    "short", "cooldown", "schedule", "linked", "light", "shaking", "moved", "covered", "frozen"
]
"""Why nobody is told of an event: a rule, or what happened to the whole picture."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE sessions (
            number INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, clock TEXT NOT NULL, detector TEXT NOT NULL,
            threshold REAL NOT NULL, merge REAL NOT NULL, longest REAL NOT NULL, metavad TEXT NOT NULL)""",
        """CREATE TABLE events (
            id TEXT PRIMARY KEY, camera TEXT NOT NULL, clock TEXT NOT NULL, detector TEXT NOT NULL,
            start REAL NOT NULL, "end" REAL NOT NULL, peak REAL NOT NULL, score REAL NOT NULL, threshold REAL NOT NULL,
            box TEXT, reason TEXT NOT NULL, shares TEXT NOT NULL, is_over INTEGER NOT NULL, is_cut INTEGER NOT NULL,
            linked_to TEXT, condition TEXT,
            height INTEGER, width INTEGER, announced REAL, withheld TEXT, verdict TEXT,
            snapshot TEXT, clip TEXT, frames TEXT, missing TEXT)""",
        "CREATE INDEX events_in_time ON events (start)",
        """CREATE TABLE scores (
            session INTEGER NOT NULL REFERENCES sessions (number), hour INTEGER NOT NULL, recording INTEGER NOT NULL,
            first REAL NOT NULL, last REAL NOT NULL, count INTEGER NOT NULL, data BLOB NOT NULL,
            PRIMARY KEY (session, hour, recording, first))""",
        """CREATE TABLE conditions (
            camera TEXT NOT NULL, kind TEXT NOT NULL, start REAL NOT NULL, "end" REAL, text TEXT NOT NULL,
            PRIMARY KEY (camera, kind, start))""",
        """CREATE TABLE outbox (
            number INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
            due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT, delivered REAL,
            UNIQUE (target, key))""",
    ),
    ("ALTER TABLE events ADD COLUMN is_local INTEGER NOT NULL DEFAULT 0",),
    ("ALTER TABLE events ADD COLUMN patches TEXT",),
)
"""What brings the form of this number, counted from 0, to the next one."""


@dataclass(frozen=True)
class Session:
    """One run of ``watch`` on one camera: what its scores are scores of."""

    camera: str
    clock: Clock
    detector: str
    """Digest."""
    threshold: float
    merge: float
    """Seconds up to which alarms are one event."""
    longest: float
    """Seconds that an event lasts at most."""


@dataclass(frozen=True)
class StoredEvent:
    """An event as it is kept."""

    event: CameraEvent
    size: tuple[int, int] | None = None
    """Height and width of the camera's whole picture, in whose pixels the box is."""
    announced: float | None = None
    """When somebody was told, on the camera's clock; none where nobody was."""
    withheld: Withheld | None = None
    """Why not."""
    verdict: Verdict | None = None
    snapshot: str | None = None
    """Path in the folder: a picture with box and heat map."""
    patches: str | None = None
    """Path in the folder: the patch that surprises beside the nearest shown, where the reason is about these."""
    clip: str | None = None
    """Path in the folder: a video from before to after, with the box drawn."""
    frames: str | None = None
    """Path in the folder: the working pictures (grey) around the peak, lossless: what may become a shot."""
    missing: str | None = None
    """Why a picture or a clip is not there."""


@dataclass(frozen=True)
class Message:
    """What is to be told to somebody, and is kept until it is."""

    number: int
    target: str
    key: str
    """The same in every try: whoever has got it knows it again."""
    body: Mapping[str, Any]
    attempts: int = 0


@dataclass
class Index:
    """The file, opened by one process; not for several threads at once.

    Raises :class:`OutputError` where there is none (unless ``make``), where it is no index, or a newer one.
    """

    folder: Path
    make: bool = False
    patience: float = PATIENCE
    _connection: sqlite3.Connection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        path = self.folder / INDEX
        if not self.make and not path.is_file():
            raise OutputError(f"{self.folder}: expected what `metavad watch` wrote, found no {INDEX}; check the path")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=self.patience, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            self._execute("PRAGMA journal_mode = WAL")
            self._execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise OutputError(f"{path}: expected an index of events, found another file or none ({error})") from error

    def __enter__(self) -> Self:
        """The index; it is closed where the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def wait(self, seconds: float | None = None) -> None:
        """Wait so long for another writer from now on; without seconds, as at the beginning."""
        self._execute(f"PRAGMA busy_timeout = {round(1000 * (self.patience if seconds is None else seconds))}")

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.transaction():
            version = self._version()
            if version > len(MIGRATIONS):
                raise OutputError(
                    f"{self.folder / INDEX}: expected an index of form {len(MIGRATIONS)} or older, found form "
                    f"{version}; use the newer metavad that wrote it"
                )
            for statement in (text for step in MIGRATIONS[version:] for text in step):
                self._execute(statement)
            self._execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        return int(self._execute("PRAGMA user_version").fetchone()[0])

    def _execute(self, text: str, values: Sequence[object] | Mapping[str, object] = ()) -> sqlite3.Cursor:
        return self._connection.execute(text, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is there when the block ends, or nothing of it; may stand in another one."""
        if self._connection.in_transaction:
            yield
            return
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite has done it itself where the disk is full
                self._execute("ROLLBACK")
            raise

    # What is written

    def begin(self, session: Session) -> int:
        """A session begins; its number."""
        values = [getattr(session, each.name) for each in fields(session)]
        names = ", ".join(each.name for each in fields(session))
        text = f"INSERT INTO sessions ({names}, metavad) VALUES ({_marks(len(values) + 1)})"
        with self.transaction():
            return int(self._execute(text, [*values, __version__]).lastrowid or 0)

    def put_event(self, event: CameraEvent) -> None:
        """An event as far as it is known; what else is kept of it stays."""
        row = _row(event)
        names, updates = (
            ", ".join(f'"{name}"' for name in row),
            ", ".join(f'"{name}" = excluded."{name}"' for name in row),
        )
        text = f"INSERT INTO events ({names}) VALUES ({_marks(len(row))}) ON CONFLICT (id) DO UPDATE SET {updates}"
        with self.transaction():
            self._execute(text, list(row.values()))

    def note(self, id: str, **columns: object) -> None:
        """Other columns of an event that is there: those of :class:`StoredEvent`."""
        unknown = columns.keys() - _NOTED
        if unknown:
            raise ValueError(f"expected {sorted(_NOTED)}, found {sorted(unknown)}")
        text = f"UPDATE events SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?"
        with self.transaction():
            self._execute(text, [*columns.values(), id])

    def put_scores(self, session: int, part: ScorePart) -> None:
        """A part of the scores of a session; one that begins at the same time takes its place."""
        values = (session, part.hour, part.recording, part.first, part.last, part.count, part.data)
        with self.transaction():
            self._execute(f"INSERT OR REPLACE INTO scores VALUES ({_marks(len(values))})", values)

    def join_scores(self, session: int, before_hour: int) -> None:
        """Parts of hours that are over, as one part each."""
        with self.transaction():
            several = self._execute(
                "SELECT hour, recording FROM scores WHERE session = ? AND hour < ? "
                "GROUP BY hour, recording HAVING count(*) > 1",
                (session, before_hour),
            ).fetchall()
            for hour, recording in several:
                where, which = "session = ? AND hour = ? AND recording = ?", (session, hour, recording)
                rows = self._execute(f"SELECT * FROM scores WHERE {where} ORDER BY first", which).fetchall()
                self._execute(f"DELETE FROM scores WHERE {where}", which)
                self.put_scores(session, ScorePart.joined([_part(row) for row in rows]))

    def put_condition(self, camera: str, condition: Condition) -> None:
        """A condition that begins, or is over."""
        values = (camera, condition.kind, condition.start, condition.end, condition.text)
        with self.transaction():
            self._execute("INSERT OR REPLACE INTO conditions VALUES (?, ?, ?, ?, ?)", values)

    def put_message(self, target: str, key: str, body: Mapping[str, Any], due: float) -> None:
        """Something to be told; nothing changes where it is there already."""
        text = "INSERT OR IGNORE INTO outbox (target, key, body, due) VALUES (?, ?, ?, ?)"
        with self.transaction():
            self._execute(text, (target, key, json.dumps(body), due))

    def delivered(self, number: int, seconds: float) -> None:
        """A message has arrived."""
        with self.transaction():
            self._execute("UPDATE outbox SET delivered = ?, error = NULL WHERE number = ?", (seconds, number))

    def postpone(self, number: int, due: float, error: str) -> None:
        """A message has not arrived; it is tried again."""
        text = "UPDATE outbox SET attempts = attempts + 1, due = ?, error = ? WHERE number = ?"
        with self.transaction():
            self._execute(text, (due, error, number))

    def release(self, seconds: float) -> None:
        """All that waits is due then at the latest."""
        with self.transaction():
            self._execute("UPDATE outbox SET due = ? WHERE delivered IS NULL AND due > ?", (seconds, seconds))

    def forget(self, before: float) -> list[StoredEvent]:
        """Leave out what is older than this, but events that somebody ruled on and what is not told yet; its events."""
        rows = self._execute(f'{_EVENTS} WHERE "end" < ? AND is_over AND verdict IS NULL', (before,)).fetchall()
        with self.transaction():
            self._connection.executemany("DELETE FROM events WHERE id = ?", [(row["id"],) for row in rows])
            self._execute("DELETE FROM scores WHERE last < ?", (before,))
            self._execute('DELETE FROM conditions WHERE "end" < ?', (before,))
            self._execute("DELETE FROM outbox WHERE delivered < ?", (before,))
        return [_stored(row) for row in rows]

    # What is read

    def event(self, id: str) -> StoredEvent:
        """One event; raises :class:`OutputError` where there is none of this id."""
        row = self._execute(f"{_EVENTS} WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise OutputError(f"{self.folder}: expected the id of an event, found {id!r}; `metavad events` lists them")
        return _stored(row)

    def events(
        self,
        *,
        camera: str | None = None,
        since: float | None = None,
        until: float | None = None,
        last: int | None = None,
    ) -> list[StoredEvent]:
        """Events in order of their start: of a camera, of those that overlap a time, only the last ones."""
        wheres: list[tuple[str, object]] = [("camera = ?", camera), ('"end" >= ?', since), ("start < ?", until)]
        given = [(text, value) for text, value in wheres if value is not None]
        where = " AND ".join(["1", *(text for text, _ in given)])
        limit = "" if last is None else f" LIMIT {int(last)}"
        text = f"{_EVENTS} WHERE {where} ORDER BY start DESC, id DESC{limit}"
        return [_stored(row) for row in self._execute(text, [value for _, value in given])][::-1]

    def unfinished(self, camera: str) -> list[StoredEvent]:
        """Events of a camera that are not over."""
        return [
            _stored(row)
            for row in self._execute(f"{_EVENTS} WHERE camera = ? AND NOT is_over ORDER BY start, id", (camera,))
        ]

    def last_announced(self, camera: str) -> StoredEvent | None:
        """The last event of a camera that somebody was told of."""
        row = self._execute(
            f"{_EVENTS} WHERE camera = ? AND announced IS NOT NULL ORDER BY start DESC LIMIT 1", (camera,)
        ).fetchone()
        return None if row is None else _stored(row)

    def cameras(self) -> list[str]:
        """Those that were watched."""
        return [row[0] for row in self._execute("SELECT DISTINCT camera FROM sessions ORDER BY camera")]

    def clocks(self) -> dict[str, Clock]:
        """What the seconds of each camera are."""
        return {row["camera"]: row["clock"] for row in self._execute("SELECT DISTINCT camera, clock FROM sessions")}

    def last_score(self, camera: str) -> float | None:
        """Seconds of the last frame of a camera whose score is kept, in its last session; none where none is.

        An earlier session may be of another clock.
        """
        latest = "SELECT max(session) FROM scores JOIN sessions ON session = number WHERE camera = ?"
        text = f"SELECT max(last) FROM scores WHERE session = ({latest})"
        found: float | None = self._execute(text, (camera,)).fetchone()[0]
        return found

    def scores(
        self, *, camera: str | None = None, since: float | None = None, until: float | None = None
    ) -> Iterator[tuple[Session, list[ScorePart]]]:
        """The parts of the scores of each session, in order of recording and time; those that overlap a time."""
        sessions = self._execute("SELECT * FROM sessions WHERE ? IS NULL OR camera = ?", (camera, camera)).fetchall()
        low, high = -1e300 if since is None else since, 1e300 if until is None else until
        for each in sessions:
            rows = self._execute(
                "SELECT * FROM scores WHERE session = ? AND last >= ? AND first < ? ORDER BY recording, first",
                (each["number"], low, high),
            ).fetchall()
            session = Session(**{one.name: each[one.name] for one in fields(Session)})
            if rows:
                yield session, [_part(row) for row in rows]

    def conditions(self, *, camera: str | None = None) -> list[tuple[str, Condition]]:
        """What happened to whole pictures: the camera, and what, in order of time."""
        text = "SELECT * FROM conditions WHERE ? IS NULL OR camera = ? ORDER BY start"
        return [
            (row["camera"], Condition(row["kind"], row["start"], row["end"], row["text"]))
            for row in self._execute(text, (camera, camera))
        ]

    def due(self, target: str, seconds: float) -> list[Message]:
        """What is to be told to a target by now, oldest first."""
        text = "SELECT * FROM outbox WHERE target = ? AND delivered IS NULL AND due <= ? ORDER BY number"
        return [_message(row) for row in self._execute(text, (target, seconds))]

    def waiting_for(self) -> dict[str, int]:
        """By target the messages that have not arrived."""
        text = "SELECT target, count(*) FROM outbox WHERE delivered IS NULL GROUP BY target ORDER BY target"
        return {row[0]: int(row[1]) for row in self._execute(text)}

    def waiting(self) -> int:
        """Messages that have not arrived."""
        return int(self._execute("SELECT count(*) FROM outbox WHERE delivered IS NULL").fetchone()[0])


_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def is_passing(error: BaseException) -> bool:
    """Whether something cannot be written now and may be later: no room, or somebody else is at it."""
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _PASSING
    return isinstance(error, OSError)


_EVENTS = "SELECT * FROM events"
_NOTED = {"height", "width", *(each.name for each in fields(StoredEvent))} - {"event", "size"}


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _row(event: CameraEvent) -> dict[str, object]:
    """An event as columns."""
    row = {each.name: getattr(event, each.name) for each in fields(event)}
    box = None if event.box is None else json.dumps([round(value, 2) for value in event.box])
    return row | {"box": box, "shares": json.dumps(dict(event.shares))}


def _stored(row: sqlite3.Row) -> StoredEvent:
    values = {each.name: row[each.name] for each in fields(CameraEvent)}
    box = None if values["box"] is None else tuple(json.loads(values["box"]))
    flags = {name: bool(values[name]) for name in ("is_over", "is_cut", "is_local")}
    event = CameraEvent(**values | flags | {"box": box, "shares": json.loads(values["shares"])})
    size = None if row["height"] is None else (row["height"], row["width"])
    rest = {each.name: row[each.name] for each in fields(StoredEvent) if each.name not in ("event", "size")}
    return StoredEvent(event, size, **rest)


def _part(row: sqlite3.Row) -> ScorePart:
    return ScorePart(row["recording"], row["first"], row["last"], row["count"], row["data"])


def _message(row: sqlite3.Row) -> Message:
    return Message(row["number"], row["target"], row["key"], json.loads(row["body"]), row["attempts"])
