"""Options that several commands share, and the texts that they take."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

__all__ = [
    "BaseFolder",
    "Commands",
    "Consecutive",
    "Data",
    "DetectorAlarms",
    "DetectorThreshold",
    "Device",
    "ManyFootage",
    "ManyPaths",
    "NoFileTime",
    "ProgressKind",
    "Scenes",
    "Seed",
    "ShotFrames",
    "between",
    "device_named",
    "length",
    "numbers",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def between(least: int, most: int) -> Callable[[int], int]:
    """A check of an option's number; the help stays free of its limits."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise typer.BadParameter(f"expected {least} to {most:,}, found {value}")
        return value

    return check


Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Root of the datasets, else METAVAD_DATA.", show_default=False),
]
BaseFolder = Annotated[
    Path | None,
    typer.Option(
        "--base",
        metavar="DIR",
        help="The base, else the newest complete run under runs/, else the one that ships.",
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda",
        help="Where to compute; auto: the CPU, and on a GPU only the network of the expert patches.",
    ),
]
DetectorAlarms = Annotated[
    float | None,
    typer.Option(
        metavar="A", help="At most so many false alarms a day, else as the detector has it.", show_default=False
    ),
]
DetectorThreshold = Annotated[
    float | None, typer.Option(metavar="X", help="Alarm over this score instead.", show_default=False)
]
Consecutive = Annotated[
    bool,
    typer.Option(
        "--consecutive",
        help="Each video goes on where the one named before it ends, so what stands there is not new again. Without "
        "it, that holds where the times of the videos say so.",
    ),
]
NoFileTime = Annotated[
    bool, typer.Option("--no-file-time", help="Do not believe the time that a file says it was recorded at.")
]
Seed = Annotated[
    int, typer.Option(metavar="N", callback=between(0, 2**32 - 1), help="Seed of everything that is drawn at random.")
]
ShotFrames = Annotated[int, typer.Option(metavar="T", help="Frames in one clip.")]
ProgressKind = Annotated[
    str,
    typer.Option(
        "--progress",
        metavar="bar|line|json|none",
        help="How to show progress, on standard error.",
        show_default="bar on a terminal, otherwise line",
    ),
]
Scenes = "SUITE[:SCENE][,...]"


def device_named(name: str) -> str | None:
    """Where experts compute: none for ``auto``; raises :class:`UsageError` where the device is not there.

    To be called before anything else: what is missing must not show after an hour. Loads torch for a GPU alone.
    """
    from metavad.errors import UsageError

    if name in ("auto", "cpu"):
        return None if name == "auto" else name
    if name != "cuda":
        raise UsageError(f"--device: expected auto, cpu or cuda, found {name!r}")
    from metavad.workflows.machine import device_of

    return device_of(name)


class PlainHelp(TyperCommand):
    """A command whose help names its arguments for people: ``VIDEO``, not ``VIDEO <list[Path]>``."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The sections of arguments and of options."""
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            params = [param for param in self.get_params(ctx) if param.param_type_name == kind]
            if records := [record for param in params if (record := param.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl([(name.partition(" <")[0], text) for name, text in records])


class Commands(typer.Typer):
    """Commands with a plain help."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = PlainHelp, **more: Any
    ) -> Callable[[Command], Command]:
        """As :class:`typer.Typer` registers one."""
        return super().command(name, cls=cls, **more)


class ManyPaths(PlainHelp):
    """A command whose ``--normal`` takes several paths, as a shell's glob gives them."""

    several = "--normal"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--normal a b`` is ``--normal a --normal b``."""
        return super().parse_args(ctx, _repeated(args, self.several))


class ManyFootage(ManyPaths):
    """A command whose ``--footage`` does."""

    several = "--footage"


def _repeated(arguments: list[str], option: str) -> list[str]:
    """Every plain argument after ``option`` gets one of its own.

    >>> _repeated(["--normal", "a", "b", "--shots", "5"], "--normal")
    ['--normal', 'a', '--normal', 'b', '--shots', '5']
    """
    result: list[str] = []
    taking, first = False, False
    for text in arguments:
        if text == option:
            taking, first = True, True
        elif text.startswith("-") and len(text) > 1:
            taking = False
        elif taking and not first:
            result.append(option)
        first = text == option
        result.append(text)
    return result


def numbers(text: str, option: str) -> tuple[int, ...]:
    """``"0,1,5"`` to numbers; raises :class:`UsageError` on anything else."""
    from metavad.errors import UsageError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and len(part) <= _DIGITS for part in parts):
        raise UsageError(f"{option}: expected whole numbers such as 0,1,5,10, found {text[:80]!r}")
    return tuple(int(part) for part in parts)


def length(text: str, option: str) -> float:
    """Seconds of a length such as ``5m``; raises :class:`UsageError` on anything else.

    >>> [length(text, "--budget") for text in ("90", "90s", "5m", "1.5h")]
    [90.0, 90.0, 300.0, 5400.0]
    """
    from metavad.errors import UsageError

    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option}: expected a length such as 90s, 5m or 2h, found {text[:80]!r}")
    return float(found[1]) * _UNITS[found[2]]


_LENGTH, _UNITS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smh]?)", re.ASCII), {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DIGITS = 18
"""Of a number that any machine has."""
