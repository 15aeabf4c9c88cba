"""``metavad benchmark`` on a suite of classes: whole clips, allowed or forbidden."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metavad.benchmark.record import Source
    from metavad.progress import Progress
    from metavad.recognition.record import RecognitionRecord
    from metavad.recognition.suite import ClassSuite

__all__ = ["asked_classes", "print_recognition", "run_recognition", "source_of"]


def asked_classes(target: str, data: Path | None) -> "ClassSuite | None":
    """The classes that a target names; none where it names cameras."""
    from metavad.errors import UsageError
    from metavad.recognition.suite import class_suite_of

    if "," in target:
        return None
    try:
        return class_suite_of(target, data)
    except UsageError:  # no suite by itself, such as SUITE:SCENE; who reads cameras says what is wrong
        return None


def run_recognition(
    suite: "ClassSuite",
    base: Path | None,
    target: str,
    asked: dict[str, Any],
    *,
    device: str | None = None,
    quiet: bool,
    progress: "Progress",
) -> "RecognitionRecord":
    """The record; ``asked`` holds shots, draws, methods and seed."""
    from metavad.cli.bases import open_base
    from metavad.cli.terminal import say
    from metavad.recognition.experiment import RECOGNISERS, recognise

    found, where = open_base(base, device)
    undefined = [name for name in asked["methods"] if name not in RECOGNISERS] + ["K = 0"] * (0 in asked["shots"])
    if not quiet:
        say(f"base {found.digest}: {where}")
        if undefined:
            say(f"left out, since only shown clips say which classes are allowed: {', '.join(undefined)}")
    return recognise(suite, found, **asked, source=source_of(target, where), progress=progress)


def source_of(target: str, base_from: Path) -> "Source":
    """What a record says of the command that is running."""
    import shlex

    from metavad.benchmark.record import Source

    return Source(shlex.join(["metavad", *sys.argv[1:]]), target, str(base_from))


def print_recognition(record: "RecognitionRecord", style: str) -> None:
    """The table and what its figures are."""
    from metavad.cli.terminal import console, say, say_text
    from metavad.recognition.table import format_recognition, notes, recognition_table

    if style != "table":
        say_text(format_recognition(record, style))
        return
    console().print(recognition_table(record))
    say(*notes(record))
