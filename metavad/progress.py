"""Progress of long work: silent, or on a terminal. Passed in, never global.

>>> with SILENT.task("train", total=3) as task:
...     task.advance()
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from metavad.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBars

__all__ = ["SILENT", "Progress", "RichProgress", "Task"]


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
