"""The folder of what was watched: an index, and for each event a snapshot, a clip, and what it may be learned from.

``DIR/events.sqlite``, ``DIR/events/<id>/snapshot.jpg``, ``clip.mp4``, ``frames.mkv``, and a page, ``DIR/events.html``.
Where a reason is about patches, pictures of these: ``patches.png``.

An event is written down before anybody is told of it: what is told lies in the index too, until it has arrived. Where
the disk is full, or somebody has locked the file, nothing is told; what was to be written waits in memory and is tried
again with every call. A small file holds room for the index, and makes way when the disk is full. Pictures and clips
are given up before an event is.
"""

import errno
import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import Any

import av
import numpy as np

from metavad.errors import OutputError
from metavad.files import is_full_disk
from metavad.live.clips import (
    CLIP,
    FRAMES,
    PATCHES,
    SNAPSHOT,
    ClipWriter,
    finish_clip,
    unfinished_clip,
    write_frames,
    write_patches,
    write_snapshot,
)
from metavad.live.index import Index, Session, is_passing
from metavad.live.page import write_page
from metavad.live.records import condition_record, watched_event
from metavad.live.rules import Rules
from metavad.live.score_parts import ScorePart
from metavad.live.types import CameraEvent, Condition, ConditionKind, ScoredFrame, Snapshot
from metavad.types import Box, ByteArray

__all__ = ["EVENTS", "EventStore"]

EVENTS = "events"
"""Folder of the folders of events."""
AROUND = 5.0
"""Seconds of a clip before and after its event."""
REACH = 12.0
"""Seconds of working pictures before and after the peak: what stays is looked at for ten."""
LATE = 3.0
"""Seconds by which an event may come after its frames."""
SCORES_EVERY = 10.0
"""Seconds of scores that are written at once, and lost by a process that is killed."""
AGAIN = 1.0, 10.0
"""Seconds until what could not be written is tried again, at first and at most."""
WAITING = 1000
"""Works that wait for room, from which on scores and pictures are given up."""
RESERVE, RESERVE_BYTES = ".reserve", 4 << 20
"""A file that makes way for the index."""
ROOM = 16 << 20
"""Bytes that are free on the disk, below which no picture or clip is written."""
ANNOUNCED_CONDITIONS: tuple[ConditionKind, ...] = ("moved", "covered", "frozen", "shaking")
"""Light changes are written down, and nobody is told."""


@dataclass
class _Work:
    """Something to be written, whole or not at all; doing it twice is doing it once."""

    what: str
    run: Callable[[], None]
    is_vital: bool
    state: str | None = None
    """Of what it writes how that is now, if so: while it waits, a later one takes its place."""
    notes: Mapping[str, str | None] = field(default_factory=dict)
    """What it notes of an event."""


@dataclass
class _Session:
    """What scores are scores of, and its number in the index, once it is written down."""

    what: Session
    number: int = 0


@dataclass
class _Recorded:
    """The clip of an event while its frames come."""

    id: str
    start: float
    peak: float
    writer: ClipWriter | None
    until: float | None = None
    """Seconds up to which frames still come, once it is over."""
    working: list[tuple[float, ByteArray]] = field(default_factory=list)
    missing: str | None = None


class EventStore:
    """Takes what ``watch`` finds of one camera, and keeps it in a folder of its own.

    ``size`` is the height and width of the camera's whole picture, ``crop`` the part of it (x0, y0, x1, y1) that is
    scored. ``targets`` name whom to tell, ``keep`` how many seconds an event is kept that nobody has ruled on, of a
    camera whose clock is that of the day. It is an :class:`~metavad.live.types.EventSink`, but for one thing: what
    cannot be written is kept in memory until it can be, and :attr:`trouble` says why.
    """

    def __init__(
        self,
        folder: Path,
        session: Session,
        *,
        size: tuple[int, int],
        crop: Box | None = None,
        rules: Rules | None = None,
        targets: Sequence[str] = (),
        around: float = AROUND,
        keep: float | None = None,
        now: Callable[[], float] = time.time,
        on_change: Callable[[], None] = lambda: None,
        on_trouble: Callable[[str], None] = lambda why: None,
    ) -> None:
        """``now`` is the clock of tries and of messages; ``on_change`` is called when messages wait, or an event has
        changed; ``on_trouble`` learns why something cannot be written, once until it can."""
        self.trouble: str | None = None
        """Why something could not be written; none where all is."""
        self.given_up = 0
        """Pictures, clips and parts of scores that were given up for want of room."""
        self._folder, self._size, self._crop = folder, size, crop
        self._rules, self._targets, self._around, self._keep = rules or Rules(), tuple(targets), around, keep
        self._now, self._on_change, self._on_trouble = now, on_change, on_trouble
        self._index = Index(folder, make=True)
        self._running = _Session(session)
        self._begin()
        self._works = deque[_Work]()
        self._next_try, self._pause = 0.0, AGAIN[0]
        self._pictures = deque[ScoredFrame]()
        self._working = deque[tuple[float, ByteArray]]()
        self._recorded: dict[str, _Recorded] = {}
        self._scores: list[tuple[float, float]] = []
        self._recording: int | None = None
        self._hour: int | None = None
        self._is_closed = False
        self._reserve()
        self._recover()
        self._end_conditions()

    def _begin(self) -> None:
        """Write down that this run begins; raises :class:`OutputError` where there is no room for that either."""

        def run() -> None:
            self._running.number = self._index.begin(self._running.what)

        try:
            self._run(_Work("the beginning", run, is_vital=True))
        except Exception as error:
            self._index.close()
            if not is_passing(error):
                raise
            why = _reason(error)
            raise OutputError(f"{self._folder}: expected to write down what is found, could not ({why})") from None

    # What watch calls

    def opened(self, event: CameraEvent, snapshot: Snapshot | None) -> None:
        """An event has begun: it is written down, and whoever is to be told is told."""
        if event.id not in self._recorded:
            self._recorded[event.id] = self._begun(event)
        self._changed(event, snapshot, "began")
        self._render()

    def ongoing(self, event: CameraEvent, snapshot: Snapshot | None) -> None:
        """The same event, later."""
        self._changed(event, snapshot, "began")

    def closed(self, event: CameraEvent, snapshot: Snapshot | None) -> None:
        """An event is over; its clip goes on for a while."""
        self._changed(replace(event, is_over=True), snapshot, "ended")
        recorded = self._recorded.get(event.id)
        if recorded is not None:
            recorded.until = event.end + self._around
            if event.is_cut:
                self._finish(recorded)
        self._render()

    def unfinished(self) -> Sequence[CameraEvent]:
        """Events of this camera that are not over."""
        return [stored.event for stored in self._index.unfinished(self._session.camera)]

    def known_until(self) -> float:
        """Seconds up to which the scores of this camera are kept."""
        last = self._index.last_score(self._session.camera)
        return -math.inf if last is None else last

    def frames(self, frames: Sequence[ScoredFrame]) -> None:
        """The next frames: to the clips of events that go on, and to the scores that are kept."""
        for frame in frames:
            if frame.recording != self._recording:
                self._break()
                self._recording = frame.recording
            self._scores.append((frame.seconds, frame.score))
            self._show(frame)
            for recorded in [each for each in self._recorded.values() if _is_done(each, frame.seconds)]:
                self._finish(recorded)
        if self._scores and self._scores[-1][0] - self._scores[0][0] >= SCORES_EVERY:
            self._put_scores()
        self._work()

    def version(self, detector: str, threshold: float) -> None:
        """The next scores are those of another session: nobody finds events again by those of two versions."""
        self._put_scores()
        self._hour = None
        begun = self._running = _Session(replace(self._session, detector=detector, threshold=threshold))

        def run() -> None:
            begun.number = self._index.begin(begun.what)

        self._do(_Work(f"a version of the detector of {self._session.camera}", run, is_vital=True))

    def condition(self, condition: Condition) -> None:
        """Something happens to the whole picture: it is written down, and told as what it is."""
        what = "began" if condition.end is None else "ended"

        def run() -> None:
            with self._index.transaction():
                self._index.put_condition(self._session.camera, condition)
                if condition.kind in ANNOUNCED_CONDITIONS:
                    record = condition_record(self._session.camera, condition, self._session.clock)
                    key = f"{self._session.camera}/{condition.kind}/{condition.start:.3f}/{what}"
                    self._tell(key, {"kind": "condition", "what": what, "condition": record.model_dump(mode="json")})

        self._do(_Work(f"what happened to the picture of {self._session.camera}", run, is_vital=True))
        self._render()

    def close(self) -> None:
        """Finish clips, write what is left, close the file; raises :class:`OutputError` where an event could not be."""
        if self._is_closed:
            return
        self._is_closed = True
        self._break()
        deadline = self._now() + AGAIN[1]
        while self._works and self._now() < deadline:
            self._next_try = 0.0
            self._work()
            if self._works:
                time.sleep(0.05)
        self._render()
        left = sum(work.is_vital for work in self._works)
        self._index.close()
        with suppress(OSError):
            (self._folder / RESERVE).unlink(missing_ok=True)
        if left:
            raise OutputError(f"{self._folder}: expected to write {left} changes of events, could not: {self.trouble}")

    @property
    def _session(self) -> Session:
        return self._running.what

    # Events and messages

    def _changed(self, event: CameraEvent, snapshot: Snapshot | None, what: str) -> None:
        """Write down how an event is now, and tell of it where that is due."""
        notes: Mapping[str, str | None] = {} if snapshot is None else self._put_snapshot(event.id, snapshot)
        state = f"{event.id}/{what}"
        place = next((number for number, each in enumerate(self._works) if each.state == state), None)
        if place is not None:
            notes = {**self._works[place].notes, **notes}
        recorded = self._recorded.get(event.id)
        if recorded is not None and event.peak != recorded.peak:
            recorded.peak = event.peak
            recorded.working = _near(self._working, event.peak)

        def run() -> None:
            with self._index.transaction():
                self._index.put_event(event)
                self._index.note(event.id, height=self._size[0], width=self._size[1], **notes)
                self._rule(event, what)

        work = _Work(f"event {event.id}", run, is_vital=True, state=state, notes=notes)
        if place is None:
            self._do(work)
        else:  # else they would be one more a second, for as long as nothing can be written
            self._works[place] = work
            self._work()

    def _rule(self, event: CameraEvent, what: str) -> None:
        """Whether somebody is told of it, and why not."""
        stored = self._index.event(event.id)
        if stored.announced is None:
            last = self._index.last_announced(event.camera)
            withheld = self._rules.withheld(
                event, None if last is None else last.event, is_link_announced=self._is_announced(event.linked_to)
            )
            if withheld is not None:
                self._index.note(event.id, withheld=withheld)
                return
            self._index.note(event.id, announced=event.end, withheld=None)
            self._tell_of(event.id, "began")
        if what == "ended":
            self._tell_of(event.id, "ended")

    def _is_announced(self, id: str | None) -> bool:
        """Whether somebody was told of the event of this id, or of the one that goes on in it."""
        seen: set[str] = set()
        while id is not None and id not in seen:
            seen.add(id)
            try:
                stored = self._index.event(id)
            except OutputError:  # forgotten meanwhile
                return False
            if stored.announced is not None:
                return True
            id = stored.event.linked_to
        return False

    def _tell_of(self, id: str, what: str) -> None:
        record = watched_event(self._index.event(id)).model_dump(mode="json")
        self._tell(f"{self._session.camera}/{id}/{what}", {"kind": "event", "what": what, "event": record})

    def _tell(self, key: str, body: dict[str, Any]) -> None:
        for target in self._targets:
            self._index.put_message(target, key, {"schema": 1, "key": key, **body}, self._now())

    # Clips and scores

    def _begun(self, event: CameraEvent) -> _Recorded:
        recorded = _Recorded(event.id, event.start, event.peak, None, working=_near(self._working, event.peak))
        try:
            self._check_room()
            recorded.writer = ClipWriter(self._place(event.id) / CLIP)
        except (OSError, av.FFmpegError) as error:
            self._lose(recorded, error)
        for frame in self._pictures:
            if frame.seconds >= event.start - self._around:
                self._add(recorded, frame)
        return recorded

    def _show(self, frame: ScoredFrame) -> None:
        """A frame to the clips that go on, and to those that may begin."""
        if frame.working is not None:
            self._working.append((frame.seconds, frame.working))
            _forget(self._working, frame.seconds - REACH - LATE)
            for recorded in self._recorded.values():
                if frame.seconds <= recorded.peak + REACH:
                    recorded.working.append((frame.seconds, frame.working))
        if frame.jpeg is not None:
            self._pictures.append(frame)
            while self._pictures[0].seconds < frame.seconds - self._around - LATE:
                self._pictures.popleft()
            for recorded in self._recorded.values():
                self._add(recorded, frame)

    def _add(self, recorded: _Recorded, frame: ScoredFrame) -> None:
        if recorded.writer is None or frame.jpeg is None:
            return
        try:
            self._check_room()
            recorded.writer.add(frame.seconds, frame.jpeg, frame.box if frame.alarm else None, self._size[0])
        except (OSError, av.FFmpegError) as error:
            recorded.writer.drop()
            recorded.writer = None
            self._lose(recorded, error)

    def _lose(self, recorded: _Recorded, error: BaseException) -> None:
        """A clip is given up for an event."""
        self.given_up += 1
        recorded.missing = f"not whole: {_reason(error)}"

    def _finish(self, recorded: _Recorded) -> None:
        """The clip of an event is whole."""
        del self._recorded[recorded.id]
        notes: dict[str, str] = {}
        place = self._place(recorded.id)
        try:
            if recorded.writer is not None and recorded.writer.finish():
                notes["clip"] = self._inside(recorded.id, CLIP)
            if recorded.working:
                self._check_room()
                write_frames(place / FRAMES, recorded.working)
                notes["frames"] = self._inside(recorded.id, FRAMES)
        except (OSError, av.FFmpegError) as error:
            if recorded.writer is not None:
                recorded.writer.drop()
            self._lose(recorded, error)
        if recorded.missing is not None:
            notes["missing"] = recorded.missing
        if notes:
            self._note(recorded.id, **notes)
        self._render()

    def _render(self) -> None:
        """The page of the last events; where it cannot be written now, the next event writes it."""
        try:
            write_page(self._folder, self._index)
        except Exception as error:
            if not is_passing(error):
                raise

    def _break(self) -> None:
        """No frame of this recording comes any more."""
        for recorded in list(self._recorded.values()):
            if recorded.until is not None:
                self._finish(recorded)
        self._put_scores()
        self._pictures.clear()
        self._working.clear()

    def _put_scores(self) -> None:
        if not self._scores or self._recording is None:
            return
        seconds, scores = np.array(self._scores).T
        part, session = ScorePart.of(self._recording, seconds, scores), self._running
        self._scores.clear()
        hour_before, self._hour = self._hour, part.hour

        def run() -> None:
            self._index.put_scores(session.number, part)
            if hour_before is not None and hour_before != part.hour:
                self._index.join_scores(session.number, part.hour)
                self._forget()

        self._do(_Work("scores", run, is_vital=False))

    def _put_snapshot(self, id: str, snapshot: Snapshot) -> dict[str, str | None]:
        """Write it, where there is room; what is to be noted of it."""
        try:
            self._check_room()
            write_snapshot(self._place(id) / SNAPSHOT, snapshot, self._crop)
            if snapshot.patches is not None:
                write_patches(self._place(id) / PATCHES, snapshot.patches)
        except (OSError, av.FFmpegError) as error:
            self.given_up += 1
            return {"missing": f"no picture: {_reason(error)}"}
        patches = None if snapshot.patches is None else self._inside(id, PATCHES)
        return {"snapshot": self._inside(id, SNAPSHOT), "patches": patches}

    def _note(self, id: str, **columns: object) -> None:
        self._do(_Work(f"event {id}", lambda: self._index.note(id, **columns), is_vital=True))

    def _check_room(self) -> None:
        """Raises :class:`OSError` where what is free is to be kept for the index."""
        if disk_usage(self._folder).free < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._folder))

    def _place(self, id: str) -> Path:
        return self._folder / EVENTS / id

    def _inside(self, id: str, name: str) -> str:
        return f"{EVENTS}/{id}/{name}"

    # Writing

    def _do(self, work: _Work) -> None:
        self._works.append(work)
        while len(self._works) > WAITING and (idle := next((w for w in self._works if not w.is_vital), None)):
            self._works.remove(idle)
            self.given_up += 1
        self._work()

    def _work(self) -> None:
        """Write what waits, in order, until something cannot be written."""
        if not self._works or self._now() < self._next_try:
            return
        while self._works:
            try:
                self._run(self._works[0])
            except Exception as error:
                if not is_passing(error):
                    raise
                if _is_full(error) and not self._works[0].is_vital:
                    self._works.popleft()
                    self.given_up += 1
                    continue
                is_new, self.trouble = self.trouble is None, f"{self._works[0].what}: {_reason(error)}"
                if is_new:
                    self._on_trouble(self.trouble)
                self._next_try, self._pause = self._now() + self._pause, min(2 * self._pause, AGAIN[1])
                self._index.wait(0.0)  # whoever is late does not wait for others every time
                return
            self._works.popleft()
        if self.trouble is not None:
            self.trouble, self._pause = None, AGAIN[0]
            self._index.wait()
            self._reserve()
        self._on_change()

    def _run(self, work: _Work) -> None:
        """Do it; where the disk is full, once more with the room that was held for it."""
        try:
            work.run()
        except Exception as error:
            if not (work.is_vital and is_passing(error) and _is_full(error) and (self._folder / RESERVE).exists()):
                raise
            (self._folder / RESERVE).unlink()
            work.run()

    def _reserve(self) -> None:
        """Hold some room for the index; where there is too little, none is taken."""
        place = self._folder / RESERVE
        if place.exists():
            return
        try:
            place.write_bytes(bytes(RESERVE_BYTES))
        except OSError:
            with suppress(OSError):
                place.unlink(missing_ok=True)

    def _recover(self) -> None:
        """Finish the clips that a killed process has left of this camera."""
        for part in (self._folder / EVENTS).glob(f"*/{unfinished_clip(Path(CLIP)).name}"):
            with suppress(OutputError, OSError):
                stored = self._index.event(part.parent.name)
                if stored.event.camera == self._session.camera and finish_clip(part.parent / CLIP):
                    self._note(stored.event.id, clip=self._inside(stored.event.id, CLIP))

    def _end_conditions(self) -> None:
        """What a process before left open is over where its scores end.

        What lasts is found again, but for a view that has changed: that is the usual one from now on, and nobody is
        told that it is over.
        """
        camera = self._session.camera
        last = self._index.last_score(camera)
        for _, left in [each for each in self._index.conditions(camera=camera) if each[1].end is None]:
            over = replace(left, end=max(left.start, -math.inf if last is None else last))
            if left.kind == "moved":
                put = partial(self._index.put_condition, camera, over)
                self._do(_Work(f"what happened to the picture of {camera}", put, is_vital=True))
            else:
                self.condition(over)

    def _forget(self) -> None:
        """Leave out what is older than it is to be kept."""
        if self._keep is None or self._session.clock == "file":
            return
        for gone in self._index.forget(self._now() - self._keep):
            rmtree(self._place(gone.event.id), ignore_errors=True)


def _is_done(recorded: _Recorded, seconds: float) -> bool:
    return recorded.until is not None and seconds > recorded.until


def _near(
    working: Sequence[tuple[float, ByteArray]] | deque[tuple[float, ByteArray]], peak: float
) -> list[tuple[float, ByteArray]]:
    """The working pictures around a peak that have come by now."""
    return [each for each in working if abs(each[0] - peak) <= REACH]


def _forget(working: deque[tuple[float, ByteArray]], before: float) -> None:
    while working and working[0][0] < before:
        working.popleft()


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return is_full_disk(error)
    return "full" in str(error) or "disk I/O" in str(error)


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).lower()
