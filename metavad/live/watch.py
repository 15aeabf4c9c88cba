"""The loop that watches one camera: from its source to what a sink takes."""

import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Any

import numpy as np

from metavad.durations import spelled
from metavad.errors import MetavadError, VideoError
from metavad.live.health import Health, Note, Notes
from metavad.live.latest import LatestDetector
from metavad.live.page import when
from metavad.live.pictures import CameraView
from metavad.live.reader import Backlog, Ended, Reader, Taken
from metavad.live.rules import is_local
from metavad.live.sources import Source
from metavad.live.state import KNOWN, CutEvent, KnownEvent, WatchState, load_state, load_stood, save_state, save_stood
from metavad.live.timeline import SAME_CLOCK, Timeline
from metavad.live.types import CameraEvent, Clock, Conditions, EventSink, ScoredFrame, Snapshot
from metavad.normality.detector import Detector
from metavad.recordings import Gaps
from metavad.scenes.video import Picture, Ticks
from metavad.scoring.events import Event
from metavad.scoring.frames import FrameScore, TickScore
from metavad.scoring.live import Live
from metavad.scoring.patch_pictures import patch_pictures
from metavad.scoring.unknown_light import UNKNOWN_LIGHT
from metavad.types import ByteArray

__all__ = ["LINK", "Watch", "event_id", "event_text"]

KEPT = 12.0
"""Seconds for which pictures are kept here, to show the moment that surprised most."""
LINK = 5.0
"""Seconds after a gap within which an event goes on from one that the gap has cut."""
WAIT, LONG_WAIT = 0.5, 3.2
"""Seconds that ticks wait to be scored together, and where scoring falls behind: a chunk costs the same for more."""
BEHIND, RECOVERED = 1.0, 0.25
"""Seconds of waiting frames from which on they wait longer, and from which on no more."""
LONGEST_WAIT = 300.0
"""Seconds between two frames of a slow camera, or of one that sends its frames in parts, at most."""
FORGETTING = 0.999
"""Share of the longest wait that stays with each frame, so that one late frame is not expected for ever."""
HELD = 30.0
"""Seconds that frames wait longer, at least, and between two notes about dropped frames."""
UPDATED = 1.0
"""Seconds between two times that the sink is told of an event that goes on."""
SAVED = 2.0
"""Seconds between two times that the state is written, at most."""


def event_id(clock: Clock, start: float) -> str:
    """The name of an event that begins then: the time in UTC, or the second of the file.

    >>> event_id("utc", 1_700_000_000.25), event_id("file", 12.34)
    ('20231114-221320.2', '000012.3')
    """
    tenths = math.floor(10 * start + 1e-6)
    if clock == "file":
        return f"{tenths // 10:06d}.{tenths % 10}"
    return f"{datetime.fromtimestamp(tenths // 10, UTC):%Y%m%d-%H%M%S}.{tenths % 10}"


@dataclass
class _Recording:
    """Frames without a gap, as far as they are scored."""

    number: int
    first: float
    last: float


@dataclass(frozen=True)
class _Small:
    """A tick's pictures."""

    jpeg: bytes
    grey: ByteArray


class _Causes:
    """The moments that surprise most, with their pictures, while alarms come."""

    def __init__(self) -> None:
        self._pictures = deque[tuple[float, bytes]]()
        self._alarms = list[tuple[float, TickScore]]()

    def picture(self, seconds: float, jpeg: bytes) -> None:
        """A picture has come."""
        self._pictures.append((seconds, jpeg))

    def scored(self, seconds: float) -> None:
        """All frames up to this time are scored: what is older than ``KEPT`` is forgotten."""
        while self._pictures and self._pictures[0][0] < seconds - KEPT:
            self._pictures.popleft()

    def alarm(self, seconds: float, cause: TickScore) -> None:
        """A frame alarms."""
        self._alarms.append((seconds, cause))

    def highest(self, start: float, end: float) -> TickScore | None:
        """Of the alarms of this time; those that are lower, or earlier, are forgotten."""
        inside = [each for each in self._alarms if start <= each[0] <= end]
        best = max(inside, key=lambda each: each[1].raw, default=None)
        self._alarms = [each for each in self._alarms if each is best or each[0] > end]
        return None if best is None else best[1]

    def clear(self) -> None:
        """No event goes on."""
        self._alarms.clear()

    def near(self, seconds: float) -> tuple[float, bytes] | None:
        """The picture nearest to a time."""
        near = min(self._pictures, key=lambda each: abs(each[0] - seconds), default=None)
        return near if near is not None and abs(near[0] - seconds) < 1.0 else None


class Watch:
    """One camera, watched: :meth:`run` until the source ends, or :meth:`stop` is called.

    What goes on when the source breaks is cut; what begins within ``LINK`` seconds after the gap goes on from it, and
    says so. Events that the sink does not know to be over, since the process before was killed, are cut too. No gap
    raises an alarm by itself (:class:`~metavad.scoring.live.Live` without ``gaps_alarm``); a file has no such gaps, and
    gives the events of :func:`metavad.score`.
    """

    def __init__(
        self,
        detector: Detector,
        source: Source,
        sink: EventSink,
        folder: Path,
        *,
        camera: str,
        since: float = -math.inf,
        latest: LatestDetector | None = None,
        conditions: Conditions | None = None,
        health: Health | None = None,
        notes: Notes = lambda note: None,
    ) -> None:
        self._detector, self._source, self._sink, self._folder = detector, source, sink, folder
        self._camera, self._conditions, self._notes = camera, conditions, notes
        self.health = health or Health(camera)
        self.health.threshold = detector.threshold
        self._timeline = Timeline(is_dated=source.is_dated, is_paced=source.is_live)
        self._backlog = Backlog(is_live=source.is_live, health=self.health)
        wait = self._set_wait(LONG_WAIT if source.is_dated else WAIT)
        stood = load_stood(folder, detector, camera)
        is_file, unlit = source.clock == "file", self._note_unknown_light
        self._live = Live(detector, wait=wait, gaps_alarm=is_file, stood=stood, on_unknown_light=unlit)
        self._stood = stood[-1][0] if stood else -math.inf
        self._pictures, self._causes = CameraView(detector), _Causes()
        self._pending = deque[tuple[float, _Small | None, float]]()
        self._gaps, self._ticks = Gaps(), Ticks(detector.model.rate)
        self._recordings = deque[_Recording](maxlen=4)
        self._state = WatchState(camera=camera, source=source.name, clock=source.clock)
        self._base = 0
        self._event: CameraEvent | None = None
        self._shown: TickScore | None = None
        self._since = since
        self._pushed = self._saved = self._updated = -math.inf
        self._paced = self._drops_noted = -math.inf
        self._dropped = 0
        self._came, self._is_flushed, self._is_wrong = time.monotonic(), True, False
        self._longest_wait, self._arrived = 0.0, math.inf
        self._latest = latest
        self._version: Detector | None = None
        self._is_unsaved = self._is_dated_late = False
        self._stop = Flag()

    def stop(self) -> None:
        """End soon, in good order; from any thread or signal."""
        self._stop.set()

    def run(self) -> None:
        """Watch; raises what ended the source where that is an error, once everything is written."""
        self._resume()
        if self._source.is_live:
            self._warm_up()
        reader = Reader(self._source, self._backlog, self._timeline, self.health, self._notes)
        reader.start()
        try:
            error, is_end = self._loop()
            self._scored(self._live.flush(), is_end=is_end)
        finally:
            reader.stop()
            self._save()
        if error is not None:
            raise error

    def _warm_up(self) -> None:
        """Load what the first scores load (more than a second of a processor) before a frame waits for it."""
        live, blank = Live(self._detector), np.zeros(self._pictures.size, np.uint8)
        for number in range(2):
            live.push(blank, number / 10)
        live.flush()

    # --- frames --------------------------------------------------------------------------------------------------

    def _loop(self) -> tuple[MetavadError | None, bool]:
        """What ended it, where that is an error, and whether the source has ended for good."""
        while not self._stop.is_set():
            item = self._backlog.take(0.2)
            if isinstance(item, Ended):
                return item.error, item.error is None
            if item is not None:
                self._push(item)
            elif not self._is_flushed and time.monotonic() - self._came > self._patience:
                self._is_flushed = True
                self._scored(self._live.flush())
            self._pace()
            self._follow()
        return None, False

    @property
    def _patience(self) -> float:
        """Seconds without a frame after which what went on is over: more than have passed where none was missing."""
        return max(self._source.patience, 2 * self._longest_wait)

    def _push(self, taken: Taken) -> None:
        """One frame, where it is a new one of the camera."""
        self._came = time.monotonic()
        waited, self._arrived = taken.came - self._arrived, taken.came
        if self._pushed < taken.seconds and not self._gaps.is_before(taken.seconds):
            self._longest_wait = max(FORGETTING * self._longest_wait, min(waited, LONGEST_WAIT))
        if taken.seconds <= self._pushed:  # sent once more, after a break or a restart
            self.health.refused += 1
            return
        self._note_clock(taken.seconds)
        picture = self._pictures.fitted(taken.picture)
        try:
            scores = self._live.push(picture, taken.seconds)
        except VideoError as error:
            self._refuse(error)
            return
        self._is_wrong, self._is_flushed, self._pushed = False, False, taken.seconds
        self.health.frames += 1
        self._pending.append((taken.seconds, self._small(picture, taken.seconds), taken.came))
        self._scored(scores)

    def _refuse(self, error: VideoError) -> None:
        """A frame that is none of the camera, said once until the next good one."""
        self.health.refused += 1
        if not self._is_wrong:
            self._notes(Note("refused", f"{self._source.name}: {error}", "error"))
        self._is_wrong = True

    def _note_clock(self, seconds: float) -> None:
        """Times never go back: where they are ahead of this machine's clock, that is said, once."""
        if not self._source.is_live or self._source.is_dated:
            return
        late = seconds - time.time()
        if late > SAME_CLOCK and not self._is_dated_late:
            text = (
                f"events are dated {spelled(late)} ahead of this machine's clock, and times never go back; that stays "
                "until nothing was watched for so long"
            )
            self._notes(Note("clock", text, "warning", {"seconds": round(late, 1)}))
        self._is_dated_late = late > SAME_CLOCK

    def _note_unknown_light(self, seconds: float) -> None:
        """No normal footage showed the light from then on."""
        since = when(seconds, self._source.clock)
        self._notes(Note("unknown_light", f"from {since} on, {UNKNOWN_LIGHT}", "warning", {"seconds": seconds}))

    def _small(self, picture: Picture, seconds: float) -> _Small | None:
        """The pictures of a tick that are kept; the conditions see them too."""
        if self._gaps.is_before(seconds):
            self._ticks = Ticks(self._detector.model.rate)
        is_tick = self._ticks.is_tick(seconds)
        self._gaps.add(seconds)
        self._ticks.add(seconds)
        if not is_tick:
            return None
        jpeg = self._pictures.jpeg(picture)
        grey = self._pictures.grey(picture)
        self._causes.picture(seconds, jpeg)
        if self._conditions is not None:
            for condition in self._conditions.push(grey, seconds):
                self._sink.condition(condition)
                self.health.conditions += condition.end is None
                word, level = ("begins", "warning") if condition.end is None else ("is over", "info")
                self._notes(Note("condition", f"{condition.kind} {word}: {condition.text}", level))  # type: ignore[arg-type]
        return _Small(jpeg, grey)

    def _set_wait(self, seconds: float) -> float:
        self.health.wait = seconds
        return seconds

    def _pace(self) -> None:
        """Ticks wait longer for each other where scoring falls behind; it costs less then."""
        if not self._source.is_live:
            return
        waits, now = self._backlog.seconds, time.monotonic()
        if waits > BEHIND and self.health.wait != LONG_WAIT:
            self._live.postpone(self._set_wait(LONG_WAIT))
            self._paced = now
        elif waits < RECOVERED and self.health.wait != WAIT and now - self._paced > HELD:
            self._live.postpone(self._set_wait(WAIT))
        if self.health.dropped > self._dropped and now - self._drops_noted > HELD:
            count, self._dropped, self._drops_noted = self.health.dropped - self._dropped, self.health.dropped, now
            text = f"scoring falls behind, {count} frames dropped; give it a faster machine, or a smaller stream"
            self._notes(Note("dropped", text, "warning", {"frames": count}))

    # --- versions of the detector --------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Score by the version that is in use by now; where it cannot be, that is said once, and this one stays."""
        if self._latest is None:
            return
        try:
            self._version = self._latest.changed() or self._version
            if self._version is None or self._version.digest == self._detector.digest:
                self._version = None
            elif self._live.use(self._version):
                self._switched(self._version)
                self._version = None
        except MetavadError as error:
            self._version = None
            text = f"{error}; the version that was used is used on"
            self._notes(Note("version_refused", text, "warning"))

    def _switched(self, detector: Detector) -> None:
        before, self._detector, self.health.threshold = self._detector, detector, detector.threshold
        self._sink.version(detector.scores_digest, detector.threshold)
        assert self._latest is not None
        facts: dict[str, Any] = {"detector": detector.scores_digest, "before": before.scores_digest}
        facts["version"] = self._latest.number
        facts["threshold"] = round(detector.threshold, 3)
        what = f"{self._latest.folder}: version {self._latest.number} is used from now on"
        text = f"{what}, over {detector.threshold:.2f}: {detector.promise.text}"
        self._notes(Note("version", text, facts=facts))

    # --- scores and events ---------------------------------------------------------------------------------------

    def _scored(self, scores: Sequence[FrameScore], *, is_end: bool = False) -> None:
        """What follows of frames whose scores are final. ``is_end``: the source has no more."""
        if frames := [self._frame(score) for score in scores]:
            self._sink.frames(frames)
            self.health.last_frame, self.health.score = frames[-1].seconds, frames[-1].score
        for change in self._live.events():
            if change.is_over:
                self._closed(change.event, is_end=is_end)
            else:
                self._opened(change.event)
        self._update()
        self._causes.scored(self.health.last_frame)
        current = self._recordings[-1] if self._recordings else None
        if self._event is None:
            self._causes.clear()
            cut = self._state.cut
            if cut is not None and current is not None and current.last - max(current.first, cut.end) > LINK:
                self._state = self._state.model_copy(update={"cut": None})
        if time.monotonic() - self._saved > SAVED:
            self._save()

    def _frame(self, score: FrameScore) -> ScoredFrame:
        seconds, small, came = self._pending.popleft()
        self.health.delayed(time.monotonic() - came)
        number = self._base + score.recording
        if not self._recordings or self._recordings[-1].number != number:
            self._recordings.append(_Recording(number, seconds, seconds))
        self._recordings[-1].last = seconds
        if score.alarm and score.cause is not None:
            self._causes.alarm(seconds, score.cause)
        jpeg, grey = (None, None) if small is None else (small.jpeg, small.grey)
        return ScoredFrame(seconds, score.score, score.alarm, number, score.box, jpeg, grey)

    def _opened(self, found: Event) -> None:
        known = next((each for each in self._state.known if each.start <= found.start <= each.end), None)
        name = event_id(self._source.clock, found.start) if known is None else known.id
        linked = self._linked_to(found) if known is None else None
        event = self._event = self._of(found, name, linked)
        self.health.events += known is None
        self.health.linked += linked is not None
        snapshot = self._snapshot(event)
        self._sink.opened(event, snapshot)
        self._updated = time.monotonic()
        self._note_event("event_opened", event)
        self._save()

    def _update(self) -> None:
        """What is known by now of an event that goes on, about once a second."""
        change = self._live.ongoing()
        if self._event is None or change is None or time.monotonic() - self._updated < UPDATED:
            return
        self._updated = time.monotonic()
        self._event = self._of(change.event, self._event.id, self._event.linked_to, self._event)
        self._sink.ongoing(self._event, self._snapshot(self._event))

    def _closed(self, found: Event, *, is_end: bool) -> None:
        before, self._event = self._event, None
        if before is None:
            return
        place = next(
            (each for each in self._recordings if each.first <= found.start <= each.last), self._recordings[-1]
        )
        is_last = place is self._recordings[-1]
        merge, longest = self._detector.model.scoring.merge, self._detector.model.scoring.longest
        goes_on = place.last - found.end < merge and found.end - found.start < longest
        is_cut = goes_on and not (is_last and is_end)
        event = replace(self._of(found, before.id, before.linked_to, before), is_over=True, is_cut=is_cut)
        self._sink.closed(event, self._snapshot(event))
        self._shown = None
        self._remember(event)
        self._note_event("event_closed", event)
        self._save()

    def _of(self, found: Event, name: str, linked: str | None, before: CameraEvent | None = None) -> CameraEvent:
        """An event as far as it is known; it stays one of the version that raised it."""
        condition = None if self._conditions is None else self._conditions.during(found.start, found.end)
        cause = None if condition is None else self._causes.highest(found.start, found.end)
        heat = None if cause is None or cause.why is None else cause.why.heat
        return CameraEvent(
            name,
            self._camera,
            self._detector.scores_digest if before is None else before.detector,
            self._source.clock,
            found.start,
            found.end,
            found.peak,
            found.score,
            self._detector.threshold if before is None else before.threshold,
            found.box,
            found.reason,
            found.shares,
            linked_to=linked,
            condition=condition,
            is_local=heat is not None and is_local(heat),
        )

    def _linked_to(self, found: Event) -> str | None:
        """The event before the gap that goes on in this one."""
        cut, place = self._state.cut, self._recordings[-1]
        if cut is None or found.start - place.first > LINK:
            return None
        return cut.id if place.first - cut.end <= self._detector.model.scoring.longest else None

    def _snapshot(self, event: CameraEvent) -> Snapshot | None:
        """The moment that surprises most, where it is another one than before."""
        cause = self._causes.highest(event.start, event.end)
        if cause is None or (self._shown is not None and cause.raw <= self._shown.raw):
            return None
        picture = self._causes.near(cause.seconds)
        if picture is None:
            return None
        self._shown = cause
        heat = None if cause.why is None else cause.why.heat
        patches = self._patches(event, cause, picture[1])
        return Snapshot(picture[0], picture[1], self._pictures.size, cause.box, heat, patches)

    def _patches(self, event: CameraEvent, cause: TickScore, jpeg: bytes) -> ByteArray | None:
        """What surprises and the nearest that was shown, where the reason is about these and of this version."""
        if cause.why is None or cause.why.nearest is None or event.detector != self._detector.scores_digest:
            return None
        at = when(cause.seconds, self._source.clock)
        found = patch_pictures(self._detector, cause.why, self._pictures.decoded(jpeg), at)
        return None if found is None else found.sheet()

    def _note_event(self, kind: str, event: CameraEvent) -> None:
        facts = {"event": event.id, "start": event.start, "end": event.end, "score": round(event.score, 3)}
        facts |= {"reason": event.reason, "linked_to": event.linked_to, "cut": event.is_cut}
        facts |= {"detector": event.detector}
        self._notes(Note(kind, event_text(event), facts=facts))

    # --- what is remembered --------------------------------------------------------------------------------------

    def _remember(self, event: CameraEvent) -> None:
        known = (*self._state.known, KnownEvent(id=event.id, start=event.start, end=event.end))[-KNOWN:]
        cut = CutEvent(id=event.id, end=event.end) if event.is_cut else None
        self._state = self._state.model_copy(update={"known": known, "cut": cut})

    def _resume(self) -> None:
        """Go on where another run was, however it ended."""
        state = load_state(self._folder)
        if state is not None:
            self._state = state.of(self._camera, self._source.name, self._source.clock, self._folder)
            self._base = state.recordings
            self._timeline.resume(state.offset, state.last, state.wall)
        left = self._sink.unfinished()
        known = -math.inf if self._state.last is None else self._state.last
        if state is not None:  # a killed process has written more than it noted here
            known = max([known, self._sink.known_until(), *(event.end for event in left)])
        for event in left:
            cut = replace(event, is_over=True, is_cut=True)
            self._sink.closed(cut, None)
            self._remember(cut)
            self._note_event("event_closed", cut)
        self._pushed = max(self._since, known)
        self._source.since = self._pushed
        self._save()

    def _save(self) -> None:
        last = self._recordings[-1] if self._recordings else None
        update = {
            "offset": self._timeline.offset,
            "last": self._state.last if last is None else last.last,
            "wall": time.time(),
            "recordings": self._base if last is None else last.number + 1,
        }
        self._state = self._state.model_copy(update=update)
        try:
            save_state(self._folder, self._state)
            self._is_unsaved = False
        except (MetavadError, OSError) as error:  # no reason to stop watching
            if not self._is_unsaved:
                text = f"where it goes on after a restart cannot be written, and is tried again: {error}"
                self._notes(Note("not_written", text, "error"))
            self._is_unsaved = True
        if (stood := self._live.stood) and stood[-1][0] != self._stood:
            with suppress(MetavadError, OSError):  # no reason to stop watching
                save_stood(self._folder, self._detector, self._camera, stood)
            self._stood = stood[-1][0]
        self._saved = time.monotonic()


def event_text(event: CameraEvent) -> str:
    """An event as a line for people.

    >>> event_text(CameraEvent("000012.3", "lobby", "", "file", 12.3, 14.0, 13.0, 5.0, 4.0, None, "something moves"))
    'event 000012.3 begins, score 5.0: something moves'
    """
    reason = f": {event.reason}" if event.reason else ""
    goes_on = f", goes on from {event.linked_to}" if event.linked_to else ""
    whole = f" ({event.condition})" if event.condition else ""
    if not event.is_over:
        return f"event {event.id} begins{goes_on}{whole}, score {event.score:.1f}{reason}"
    how = "is cut by a gap" if event.is_cut else "is over"
    return (
        f"event {event.id} {how} after {event.end - event.start:.1f} s{goes_on}{whole}, score {event.score:.1f}{reason}"
    )
