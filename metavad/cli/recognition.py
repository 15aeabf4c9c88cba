"""``metavad benchmark`` on a suite of classes: whole clips, allowed or forbidden."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metavad.progress import Progress
    from metavad.scenes.recognition import Recognition

__all__ = ["asked_classes", "print_recognition", "run_recognition"]


def asked_classes(target: str, data: Path | None) -> "Recognition | None":
    """The classes that a target names; none where it names cameras."""
    from metavad.errors import UsageError
    from metavad.scenes.recognition import recognition_of

    if "," in target:
        return None
    try:
        return recognition_of(target, data)
    except UsageError:  # no suite by itself, such as SUITE:SCENE; who reads cameras says what is wrong
        return None


def run_recognition(
    suite: "Recognition",
    base: Path | None,
    asked: dict[str, Any],
    facts: dict[str, Any],
    *,
    quiet: bool,
    progress: "Progress",
) -> dict[str, Any]:
    """The record."""
    from metavad.benchmark.recognition import RECOGNISERS, recognise
    from metavad.cli.bases import open_base
    from metavad.cli.terminal import say
    from metavad.workflows.machine import describe_machine

    found, where = open_base(base)
    undefined = [name for name in asked["methods"] if name not in RECOGNISERS] + ["K = 0"] * (0 in asked["shots"])
    if not quiet:
        say(f"base {found.digest}: {where}")
        if undefined:
            say(f"left out, since only shown clips say which classes are allowed: {', '.join(undefined)}")
    told = {**facts, "base_from": str(where), **describe_machine("cpu")}
    wanted = {name: asked[name] for name in ("shots", "draws", "methods", "seed")}
    return recognise(suite, found, **wanted, facts=told, progress=progress)


def print_recognition(record: dict[str, Any], style: str) -> None:
    """The table and what its figures are."""
    from metavad.cli.terminal import console, say, say_text
    from metavad.report.recognition import format_recognition, recognition_table, recognition_told

    if style != "table":
        say_text(format_recognition(record, style))
        return
    console().print(recognition_table(record))
    say(*recognition_told(record))
