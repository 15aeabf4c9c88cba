"""Progress of long work: silent, on a terminal, or as JSON lines. Passed in, never global.

>>> with SILENT.task("train", total=3) as task:
...     task.advance()
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from metavad.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBars

__all__ = ["SILENT", "JsonProgress", "Progress", "RichProgress", "Task"]


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        """Say that ``steps`` more are done; ``note`` replaces what stands beside the bar."""


class Progress(Protocol):
    """Whoever wants to know how far the work is."""

    def task(self, title: str, total: float | None) -> AbstractContextManager[Task]:
        """Open a task of ``total`` steps (``None`` where nobody knows)."""


class _SilentTask:
    def advance(self, steps: float = 1, note: str | None = None) -> None:
        pass


class _Silent:
    @contextmanager
    def task(self, title: str, total: float | None) -> Iterator[Task]:
        yield _SilentTask()


SILENT: Progress = _Silent()
"""Says nothing."""


class RichProgress:
    """Bars with an estimate, on a terminal; plain lines once a task ends where output is piped."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._bars: RichBars | None = None

    def _open(self) -> "RichBars":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        return Progress(
            TextColumn("{task.description}", markup=False),  # names in brackets are no markup
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=self._console,
        )

    @contextmanager
    def task(self, title: str, total: float | None) -> Iterator[Task]:
        """Show a bar; a task opened inside another is a line below it and goes when it ends."""
        outer, bars = self._bars, self._bars or self._open()
        if outer is None:
            self._bars = bars
            bars.start()
        bar = bars.add_task(printable(title), total=total, note="")
        try:
            yield _RichTask(bars, int(bar))
        finally:
            if outer is None:
                bars.stop()
                self._bars = None
            else:
                bars.remove_task(bar)


@dataclass(frozen=True)
class _RichTask:
    bars: "RichBars"
    bar: int

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        from rich.progress import TaskID

        if note is not None:
            self.bars.update(TaskID(self.bar), note=printable(note))
        self.bars.advance(TaskID(self.bar), steps)


class JsonProgress:
    """One JSON object a line: ``{"task", "done", "total", "seconds", "note"}``; the clock is injected."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock

    @contextmanager
    def task(self, title: str, total: float | None) -> Iterator[Task]:
        """Write a line for every advance."""
        yield _JsonTask(self._stream, self._clock, title, total, self._clock())


@dataclass
class _JsonTask:
    stream: TextIO
    clock: Callable[[], float]
    title: str
    total: float | None
    started: float
    done: float = 0

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        self.done += steps
        record = {"task": self.title, "done": self.done, "total": self.total}
        record |= {"seconds": round(self.clock() - self.started, 3), "note": note}
        self.stream.write(json.dumps(record) + "\n")
        self.stream.flush()
