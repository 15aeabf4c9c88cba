"""Progress of long work: silent, as bars, as lines of text or of JSON. Passed in, never global.

>>> with SILENT.task("train", total=3) as task:
...     task.advance()
"""

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from metavad.durations import spelled
from metavad.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

__all__ = ["SILENT", "JsonProgress", "LineProgress", "Progress", "RichProgress", "Task", "along"]

Item = TypeVar("Item")
Clock = Callable[[], float]


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Say that more is done.

        Args:
            steps: how many more.
            note: replaces what stands beside the bar.
        """


class Progress(Protocol):
    """Whoever wants to know how far the work is: any object with this method."""

    def task(self, title: str, total: float | None) -> AbstractContextManager[Task]:
        """Open a task. One that is opened inside another is a part of that one's current step.

        Args:
            title: for people; data, which may hold anything.
            total: steps; ``None`` where nobody knows.
        """


class _SilentTask:
    def advance(self, steps: float = 1, note: str | None = None) -> None:
        pass


class _Silent:
    @contextmanager
    def task(self, title: str, total: float | None) -> Iterator[Task]:
        yield _SilentTask()


SILENT: Progress = _Silent()
"""Says nothing."""


def along(progress: Progress, title: str, items: Sequence[Item]) -> Iterator[Item]:
    """The items, each a step of one task; a single one needs no count."""
    if len(items) < 2:
        yield from items
        return
    with progress.task(title, len(items)) as task:
        for item in items:
            yield item
            task.advance()


@dataclass(eq=False)
class _Work:
    """A task that is open, and what is known of its pace."""

    title: str
    total: float | None
    started: float
    outer: "_Work | None"
    done: float = 0
    note: str = ""
    inner: "list[_Work]" = field(default_factory=list)
    over: int = 0
    """Tasks inside the current step that are over."""
    usual: int = 1
    """Tasks inside one step, as the last one had them."""
    seen: list[tuple[float, float]] = field(default_factory=list)
    """Times and shares, the latest last."""

    def path(self) -> "list[_Work]":
        """From the outermost to this one."""
        return [*(self.outer.path() if self.outer else []), self]

    def advance(self, steps: float, note: str | None) -> None:
        self.done += steps
        self.note = self.note if note is None else printable(note)
        self.usual, self.over = self.over or self.usual, 0

    def share(self) -> float:
        """How much of it is done, 0 to 1, the part of the current step included."""
        if not self.total:
            return 0.0
        begun = self.over + (self.inner[-1].share() if self.inner else 0.0)
        return min(1.0, (self.done + min(begun / max(self.usual, self.over + len(self.inner), 1), 1.0)) / self.total)

    def note_pace(self, now: float) -> None:
        """Keep time and share; of many, every other one."""
        self.seen.append((now, self.share()))
        if len(self.seen) > _KEPT:
            self.seen = [*self.seen[:-1:2], self.seen[-1]]

    def left(self, now: float) -> float | None:
        """Seconds that the rest takes at the pace of the later half; ``None`` while there is none.

        The later half: what was kept from an earlier run goes by in no time, and says nothing of the rest.
        """
        if not self.seen:
            return None
        last, share = self.seen[-1]
        halfway = self.started + (last - self.started) / 2
        since, before = next((each for each in reversed(self.seen) if each[0] <= halfway), (self.started, 0.0))
        if share <= before or last <= since:
            return None
        return max(0.0, (1 - share) * (last - since) / (share - before) - (now - last))


_KEPT = 64
"""Times and shares that are kept of one task."""


class _Display(ABC):
    """Keeps the open tasks, whatever thread they are of; what is shown of them is the variants' work."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock, self._lock = clock, RLock()
        self._open: list[_Work] = []

    @contextmanager
    def task(self, title: str, total: float | None) -> Iterator[Task]:
        """Open a task, inside of the one opened last."""
        with self._lock:
            outer = self._open[-1] if self._open else None
            work = _Work(printable(title), total, self._clock(), outer)
            self._open.append(work)
            if outer is not None:
                outer.inner.append(work)
            self._begun(work)
        try:
            yield _Handle(self, work)
        finally:
            with self._lock:
                self._open.remove(work)
                if outer is not None:
                    outer.inner.remove(work)
                    outer.over += 1
                self._over(work)

    def advance(self, work: _Work, steps: float, note: str | None) -> None:
        with self._lock:
            work.advance(steps, note)
            for each in work.path():
                each.note_pace(self._clock())
            self._moved(work)

    @abstractmethod
    def _begun(self, work: _Work) -> None:
        """It was opened just now."""

    @abstractmethod
    def _moved(self, work: _Work) -> None:
        """It advanced."""

    @abstractmethod
    def _over(self, work: _Work) -> None:
        """It was closed just now."""


@dataclass(frozen=True)
class _Handle:
    display: _Display
    work: _Work

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        self.display.advance(self.work, steps, note)


class RichProgress(_Display):
    """Bars with an estimate, on a terminal; a task inside another is a line below it and goes when it ends."""

    def __init__(self, console: "Console | None" = None, clock: Clock = time.monotonic) -> None:
        from rich.console import Console

        super().__init__(clock)
        self._console = console or Console(stderr=True)
        self._bars: RichBars | None = None
        self._rows: dict[_Work, TaskID] = {}

    def _begun(self, work: _Work) -> None:
        if self._bars is None:
            self._bars = self._new_bars()
            self._bars.start()
        self._rows[work] = self._bars.add_task(work.title, total=work.total, note="", left=lambda: self._left(work))

    def _moved(self, work: _Work) -> None:
        if self._bars is not None:
            self._bars.update(self._rows[work], completed=work.done, note=work.note)

    def _over(self, work: _Work) -> None:
        row, bars = self._rows.pop(work), self._bars
        if bars is not None and self._open:
            bars.remove_task(row)
        elif bars is not None:
            bars.stop()
            self._bars = None

    def _left(self, work: _Work) -> str:
        """For rich's own thread, which must not wait for a lock of ours while it holds its own."""
        left = work.left(self._clock())
        return "" if left is None else f"about {spelled(left)}"

    def _new_bars(self) -> "RichBars":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
        from rich.progress import Task as Row
        from rich.text import Text

        class Left(ProgressColumn):
            def render(self, task: Row) -> Text:
                return Text(task.fields["left"](), style="cyan")

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            Left(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=self._console,
            redirect_stdout=sys.stdout.isatty(),  # else what is said would not reach the file that it is to go to
        )


class LineProgress(_Display):
    """A line of text now and then, where output is piped: what, how far, how long so far and still.

    At most one every ``every`` seconds, also while nothing advances; of what takes less, none.

    ``Scoring: 1 of 3 > Scoring tuesday: 300 of 900, 61 s so far, about 84 s still``
    """

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic, every: float = 30.0, pulse: float = 1.0) -> None:
        super().__init__(clock)
        self._stream, self._every, self._last = stream, every, clock()
        self._pulse, self._stopped = pulse, Event()

    def beat(self) -> None:
        """Write a line if one is due."""
        with self._lock:
            now = self._clock()
            if self._open and now - self._last >= self._every:
                self._write(_line(self._open[-1].path(), now), now)

    def _begun(self, work: _Work) -> None:
        if work.outer is None:
            self._stopped = Event()
            Thread(target=self._beats, args=(self._stopped,), daemon=True).start()

    def _moved(self, work: _Work) -> None:
        self.beat()

    def _over(self, work: _Work) -> None:
        if self._open:
            return
        self._stopped.set()
        now = self._clock()
        if now - work.started >= self._every and (work.total is None or work.done >= work.total):
            self._write(f"{work.title}: done in {spelled(now - work.started)}", now)

    def _write(self, line: str, now: float) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
        self._last = now

    def _beats(self, stopped: Event) -> None:
        """Look every ``pulse`` seconds whether a line is due."""
        while not stopped.wait(self._pulse):
            self.beat()


class JsonProgress(_Display):
    """One JSON object a line, for programs: as a task begins, at most once a second while it goes on, and once over.

    ``{"task", "within": [titles], "state": "begun" | "going" | "over", "done", "total", "note", "seconds", "left"}``;
    ``seconds`` are those since it began, ``left`` is the estimate of those to come, or null.
    """

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic, every: float = 1.0) -> None:
        super().__init__(clock)
        self._stream, self._every = stream, every
        self._written: dict[_Work, float] = {}

    def _begun(self, work: _Work) -> None:
        self._write(work, "begun")

    def _moved(self, work: _Work) -> None:
        if self._clock() - self._written[work] >= self._every:
            self._write(work, "going")

    def _over(self, work: _Work) -> None:
        self._write(work, "over")
        del self._written[work]

    def _write(self, work: _Work, state: str) -> None:
        now = self._clock()
        self._written[work] = now
        left = work.left(now)
        record = {
            "task": work.title,
            "within": [each.title for each in work.path()[:-1]],
            "state": state,
            "done": work.done,
            "total": work.total,
            "note": work.note,
            "seconds": round(now - work.started, 1),
            "left": None if left is None else round(left, 1),
        }
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()


def _line(works: Sequence[_Work], now: float) -> str:
    """All open tasks, from the outermost on; the times are its."""
    left = next((found for found in (work.left(now) for work in works) if found is not None), None)
    still = "" if left is None else f", about {spelled(left)} still"
    return f"{' > '.join(map(_described, works))}, {spelled(now - works[0].started)} so far{still}"


def _described(work: _Work) -> str:
    note = f" ({work.note})" if work.note else ""
    return f"{work.title}: {_counted(work)}{note}"


def _counted(work: _Work) -> str:
    """Steps, and where nobody counts so far (bytes), their share."""
    if work.total is None:
        return f"{work.done:,.0f}"
    if work.total >= _COUNTLESS:
        return f"{100 * work.share():.0f} %"
    return f"{work.done:,.0f} of {work.total:,.0f}"


_COUNTLESS = 1e6
