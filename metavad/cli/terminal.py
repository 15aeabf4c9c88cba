"""What the commands write for people: names are never cut, also where output is piped."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from metavad.progress import Progress

__all__ = [
    "STARTS_OVER",
    "STOPPED",
    "Interrupted",
    "answering",
    "console",
    "progress_of",
    "resuming",
    "say",
    "say_table",
    "say_text",
    "signals_as_interrupts",
]

STOPPED = 130
"""What a shell calls a command that Ctrl-C ended."""
ENDLESS = 100_000
"""Columns where nobody looks at a terminal: nothing is wrapped or cut."""


STARTS_OVER = "the same command starts over"
"""What is true of a command that has kept nothing."""


class Interrupted(Exception):
    """Stopped in the middle, by somebody or for want of room; its text says how to go on."""

    def __init__(self, text: str, code: int = STOPPED) -> None:
        super().__init__(text)
        self.exit_code = code


@contextmanager
def resuming(hint: str | Callable[[], str]) -> Iterator[None]:
    """What is stopped inside, or finds no room on the disk, says how to go on: as it is at that moment."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(f"interrupted; {_text(hint)}") from stop
    except OSError as error:
        from metavad.files import is_full_disk

        if not is_full_disk(error):
            raise
        reason = str(error) if error.errno is None else f"{error.filename or 'a file'}: {error.strerror}; make room"
        raise Interrupted(f"{reason}, then {_text(hint)}", 1) from error


def _text(hint: str | Callable[[], str]) -> str:
    return hint if isinstance(hint, str) else hint()


@contextmanager
def answering(option: str) -> Iterator[None]:
    """A question inside that nobody is there to answer is a :class:`UsageError` that names the option for it."""
    import typer

    from metavad.errors import UsageError

    try:
        yield
    except typer.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from abort
        typer.echo(err=True)  # the question stands on a line of its own
        raise UsageError(f"expected an answer, found the end of the input; say {option}") from None


@contextmanager
def signals_as_interrupts() -> Iterator[list[int]]:
    """What asks a program to end ends it as Ctrl-C does; gives the signals that came."""
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    with ExitStack() as stack:
        for number in _signals():
            stack.callback(signal.signal, number, signal.signal(number, stop))
        yield came


def _signals() -> list[int]:
    """Those that would end the program at once: what ``nohup`` ignores stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []  # only there can anything be done about them
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [number for number in known if signal.getsignal(number) is signal.SIG_DFL]


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


def say_table(headings: Sequence[str], rows: Sequence[Sequence[str]], narrow: Sequence[Sequence[str]]) -> None:
    """A table without borders; ``narrow``: lines for each row where the terminal would cut the names."""
    from rich.measure import Measurement
    from rich.table import Table

    from metavad.errors import printable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*map(printable, row))
    screen = console()
    if Measurement.get(screen, screen.options.update(max_width=10_000), table).maximum <= screen.width:
        screen.print(table)
    else:
        say(*(line for lines in narrow for line in lines))


def say_text(text: str) -> None:
    """A text of several lines, as it is."""
    say(*text.splitlines())
