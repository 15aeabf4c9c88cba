"""The command line: one file per command. Heavy imports stay inside the functions."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from metavad import __version__
from metavad.cli import (
    adapt,
    benchmark,
    data,
    demo,
    detector,
    events,
    feedback,
    meta_train,
    networks,
    report,
    score,
    show,
    threshold,
    watch,
)
from metavad.cli.options import Commands
from metavad.cli.terminal import STARTS_OVER, STOPPED, Interrupted, resuming, signals_as_interrupts

__all__ = ["app", "main"]

app = Commands(
    name="metavad",
    help="Few-shot video anomaly detection: show it K clips of a camera it has never seen, and it detects what "
    "does not belong there.",
    epilog="Begin with: metavad demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"metavad {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from; before or after the command.")
    ] = False,
) -> None:
    """Options that stand before the command."""


demo.register(app)
data.register(app)
meta_train.register(app)
adapt.register(app)
score.register(app)
watch.register(app)
events.register(app)
threshold.register(app)
feedback.register(app)
detector.register(app)
benchmark.register(app)
report.register(app)
show.register(app)
networks.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0, 1 for data and runs, 2 for usage, 130 or 143 when stopped."""
    # Threads that wait must sleep, or a busy machine takes four times as long; read when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _open_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    with signals_as_interrupts() as stopped:
        try:
            with _libraries_muted(not debug), _warnings_as_lines(), resuming(STARTS_OVER):
                result = app([text for text in given if text != "--debug"], standalone_mode=False, prog_name="metavad")
                if result == STOPPED:  # what is left of Ctrl-C where nothing else was to be said
                    raise KeyboardInterrupt
        except Exception as error:
            if debug and not isinstance(error, typer.Exit):
                raise
            code = _explain(error)
        else:
            code = result if isinstance(result, int) else 0
    return 128 + stopped[0] if stopped and code == STOPPED else code


def _open_closed_streams() -> None:
    """Standard output and error that a caller has closed go nowhere.

    Else files that are opened get their numbers, to which libraries in C write whatever they are.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


@contextmanager
def _libraries_muted(muted: bool) -> Iterator[None]:
    """What libraries in C write past Python (libpng, libjpeg, OpenCV) goes nowhere: what matters of it is said by us.

    Only where standard error is that of the process, not one that somebody has put in its place.
    """
    if not muted or not _is_of_the_process(sys.stderr):
        yield
        return
    ours = sys.stderr
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=ours.encoding, errors=ours.errors)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(sys.stderr.fileno(), 2)
        sys.stderr.close()
        sys.stderr = ours


def _is_of_the_process(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file
        return False


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Each warning of metavad's as one line on stderr, once; those of other packages as ever."""
    from metavad.errors import MetavadWarning

    printed: set[str] = set()
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: object) -> None:
            if not issubclass(category, MetavadWarning):
                before(message, category, *where)  # type: ignore[arg-type]
            elif str(message) not in printed:
                printed.add(str(message))
                _say(f"warning: {message}", 0)

        warnings.simplefilter("always", MetavadWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _explain(error: Exception) -> int:
    """One line on stderr, and the exit code."""
    from metavad.errors import MetavadError, printable

    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, Interrupted):
        return _say(str(error), error.exit_code)
    if isinstance(error, MetavadError):
        code = _say(str(error), error.exit_code)
        for line in getattr(error, "details", ()):
            typer.echo(f"  {printable(line)}".rstrip(), err=True)
        return code
    if hasattr(error, "format_message"):
        return _misused(error)
    return _unforeseen(error)


def _misused(error: Exception) -> int:
    """An unknown command or option: what click says, in one line."""
    message = error.format_message()  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError":  # no command at all: the help
        typer.echo(message)
        return 2
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "metavad"
    return _say(f"{message.rstrip('.')}; see `{command} --help`", 2)


def _unforeseen(error: Exception) -> int:
    """What the system refuses, in its words; anything else is a mistake of ours."""
    if isinstance(error, OSError):
        return _say(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    return _say(f"{type(error).__name__}: {error} (a mistake of metavad's; --debug shows where)", 1)


def _say(text: str, code: int) -> int:
    from metavad.errors import printable

    typer.echo(f"metavad: {printable(' '.join(text.split()))}", err=True)
    return code
