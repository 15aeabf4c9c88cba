"""What the commands write for people: names are never cut, also where output is piped."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from metavad.progress import Progress

__all__ = ["Interrupted", "console", "progress_of", "resuming", "say", "say_text"]

ENDLESS = 100_000
"""Columns where nobody looks at a terminal: nothing is wrapped or cut."""


class Interrupted(Exception):
    """Stopped by Ctrl-C; its text says how to go on."""


@contextmanager
def resuming(hint: str) -> Iterator[None]:
    """Ctrl-C inside says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(hint) from stop


def console() -> "Console":
    """Standard output: as wide as the terminal, endless where it is piped; what is in brackets stands for itself."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else ENDLESS
    return Console(width=width, highlight=False, soft_wrap=True, markup=False, emoji=False)


def progress_of(kind: str) -> "Progress":
    """Progress on standard error; ``auto``: bars on a terminal, else a line now and then.

    Raises :class:`UsageError` for an unknown kind.
    """
    from metavad.errors import UsageError, nearest
    from metavad.progress import SILENT, JsonProgress, LineProgress, RichProgress

    kinds: dict[str, Callable[[], Progress]] = {
        "bar": RichProgress,
        "line": lambda: LineProgress(sys.stderr),
        "json": lambda: JsonProgress(sys.stderr),
        "none": lambda: SILENT,
    }
    chosen = kind if kind != "auto" else "bar" if sys.stderr.isatty() else "line"
    if chosen not in kinds:
        raise UsageError(f"--progress: expected a known kind, found {kind!r}; {nearest(kind, [*kinds, 'auto'])}")
    return kinds[chosen]()


def say(*lines: str) -> None:
    """Plain lines on standard output, never wrapped; a name in them never makes two of one, nor an escape code."""
    from metavad.errors import printable

    for line in lines:
        print(printable(line))  # noqa: T201 - the command line is what prints


def say_text(text: str) -> None:
    """A text of several lines, as it is."""
    say(*text.splitlines())
