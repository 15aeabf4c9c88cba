"""The thread that reads a source, and the frames that wait to be scored."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from threading import Condition as Signal
from threading import Event as Flag
from threading import Thread

from metavad.errors import MetavadError, VideoError
from metavad.live.health import Health, Note, Notes
from metavad.live.pictures import size_of
from metavad.live.sources import LeftOutError, Shown, Source
from metavad.live.timeline import Timeline
from metavad.scenes.video import Picture

__all__ = ["BACKOFF", "ENOUGH", "LEAST", "Backlog", "Ended", "Reader", "Taken"]

LEAST = ((1.0, 0.0), (5.0, 0.095), (15.0, 0.4))
"""Seconds of frames that may wait, and how far apart in seconds another one is then, at least, to wait too."""
DEPTH = 32
"""Frames of a source that waits."""
BACKOFF = 0.5, 60.0
"""Seconds until a source is opened again: at first, and at most; twice as long each time it gave nothing."""
ENOUGH = 25
"""Frames by which a connection is known to work."""
BURST, LONGEST_BURST = 0.5, 5.0
"""Share of the time between two frames within which the second one comes while frames come that have waited, and
seconds of these."""


@dataclass(frozen=True)
class Taken:
    """A frame that has come, on the camera's clock."""

    picture: Picture
    seconds: float
    came: float
    """By this machine's monotonic clock."""


@dataclass(frozen=True)
class Ended:
    """No frame comes any more: why, where that is an error."""

    error: MetavadError | None


class Backlog:
    """Frames that wait to be scored.

    Of a live source, by :data:`LEAST`: while more than a second waits, frames beyond ten a second are dropped, which
    costs no score; while more than five do, those closer than 0.4 seconds to the one before; while more than fifteen
    do, all. Of any other source, whoever brings them waits.
    """

    def __init__(self, *, is_live: bool, health: Health) -> None:
        self._is_live, self._health = is_live, health
        self._items = deque[Taken | Ended]()
        self._signal, self._is_over = Signal(), False

    def put(self, item: Taken | Ended) -> None:
        """One more, at the end."""
        with self._signal:
            if not self._is_live:
                self._signal.wait_for(lambda: self._is_over or len(self._items) < DEPTH)
            if isinstance(item, Taken) and self._is_live and self._is_dropped(item):
                self._health.dropped += 1
                return
            self._items.append(item)
            self._health.waiting = len(self._items)
            self._signal.notify_all()

    def take(self, timeout: float) -> Taken | Ended | None:
        """The first one; none where none comes in so many seconds."""
        with self._signal:
            self._signal.wait_for(lambda: bool(self._items), timeout)
            item = self._items.popleft() if self._items else None
            self._health.waiting = len(self._items)
            self._signal.notify_all()
            return item

    @property
    def seconds(self) -> float:
        """How long the waiting frames last."""
        ends = (self._items[0], self._items[-1]) if self._items else ()
        times = [each.seconds for each in ends if isinstance(each, Taken)]
        return times[-1] - times[0] if times else 0.0

    def close(self) -> None:
        """Whoever brings frames need not wait any more."""
        with self._signal:
            self._is_over = True
            self._signal.notify_all()

    def _is_dropped(self, item: Taken) -> bool:
        last = self._items[-1] if self._items else None
        if not isinstance(last, Taken):
            return False
        waits, apart = self.seconds, item.seconds - last.seconds
        least = next((least for most, least in LEAST if waits <= most), math.inf)
        return 0 <= apart < least


class Reader:
    """The thread that opens a source, again and again where it is endless, and brings its frames to the backlog."""

    def __init__(self, source: Source, backlog: Backlog, timeline: Timeline, health: Health, notes: Notes) -> None:
        self._source, self._backlog, self._timeline = source, backlog, timeline
        self._health, self._notes = health, notes
        self._is_over = Flag()
        self._thread = Thread(target=self._run, name=f"reader of {health.camera}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a connection that hangs is left to its timeout."""
        self._is_over.set()
        self._backlog.close()
        self._thread.join(2.0)

    def _run(self) -> None:
        wait = BACKOFF[0]
        try:
            while not self._is_over.is_set():
                frames, error = self._connection()
                if isinstance(error, LeftOutError):
                    self._notes(Note("left_out", str(error), "warning"))
                    continue
                if not self._source.is_endless or self._is_over.is_set():
                    self._backlog.put(Ended(error))
                    return
                wait = BACKOFF[0] if frames >= ENOUGH else wait
                why = f"{self._source.name}: the stream ended" if error is None else str(error)
                facts = {"frames": frames, "seconds": wait}
                self._notes(Note("disconnected", f"{why}; opening it again in {wait:g} s", "warning", facts))
                self._is_over.wait(wait)
                wait = min(2 * wait, BACKOFF[1])
        except MemoryError as error:
            self._backlog.put(Ended(VideoError(f"{self._source.name}: no memory for its frames ({error})")))
        except Exception as error:  # a mistake of ours is no reason to look alive
            mistake = f"{type(error).__name__} while reading {self._source.name} (a mistake of metavad's)"
            self._backlog.put(Ended(_Mistaken(mistake)))

    def _connection(self) -> tuple[int, MetavadError | None]:
        """How many frames one connection gave, and what broke it."""
        count, error = 0, None
        try:
            with closing(self._source.frames()) as frames:  # type: ignore[type-var]
                for frame, came, ago in self._dated(frames):
                    if self._is_over.is_set():
                        break
                    if not count:
                        self._connected(frame)
                    count += 1
                    seconds = self._timeline.seconds(frame.seconds, ago=ago)
                    self._backlog.put(Taken(frame.picture, seconds, came))
        except MetavadError as found:
            error = found
        if (self._health.is_connected or error is not None) and not isinstance(error, LeftOutError):
            self._health.breaks += 1
        self._health.is_connected = False
        return count, error

    def _dated(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, float, float]]:
        """Each frame, when it came, and how long the first one has waited by then.

        While a stream is opened, some seconds of it are read to see what it is, and come at once then: the last of
        them is of now.
        """
        held, error = deque[tuple[Shown, float]](), None
        rest = iter(frames)
        try:
            while self._source.is_live and not self._source.is_dated:
                frame, came = next(rest), time.monotonic()
                passed = frame.seconds - held[-1][0].seconds if held else 0.0
                is_more = passed <= 0 or came - held[-1][1] < BURST * passed  # some repeat the time of the first frame
                held.append((frame, came))
                if not is_more or frame.seconds - held[0][0].seconds > LONGEST_BURST:
                    break
        except StopIteration:
            pass
        except MetavadError as found:
            error = found
        ago = held[-1][0].seconds - held[0][0].seconds if held else 0.0
        for frame, came in held:
            yield frame, came, ago
            ago = 0.0
        if error is not None:
            raise error
        for frame in rest:
            yield frame, time.monotonic(), 0.0

    def _connected(self, frame: Shown) -> None:
        self._health.is_connected = True
        self._health.connections += 1
        height, width = size_of(frame.picture)
        text = f"{self._source.name}: connected, {width}x{height}"
        self._notes(Note("connected", text, facts={"width": width, "height": height}))


class _Mistaken(MetavadError):
    """A mistake of metavad's in a thread."""
