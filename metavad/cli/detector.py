"""``metavad detector``: the versions of a detector."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import Commands

if TYPE_CHECKING:
    from metavad.normality.versions import Version

__all__ = ["register"]

HISTORY = "Example: metavad detector history detectors/lobby"
ROLLBACK = "Example: metavad detector rollback detectors/lobby --to 1"

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A detector.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = Commands(help="Look at the versions of a detector, and go back to one.", rich_markup_mode=None)
    app.add_typer(group, name="detector", no_args_is_help=True)
    group.command("history", epilog=HISTORY, short_help="Show all versions.")(history)
    group.command("rollback", epilog=ROLLBACK, short_help="Use another version.")(rollback)


def history(detector: Folder) -> None:
    """Show each version: when it was made, what was said of which event, its threshold, how many clips it was shown."""
    from metavad.cli.terminal import say_table
    from metavad.normality.versions import current, history

    used = current(detector)
    rows = [_row(detector, version, version.number == used) for version in history(detector)]
    narrow = [
        [f"{row[0]}{row[5] and ' (' + row[5] + ')'}: {row[1]}, {row[2]}; {row[3]}; {row[4]} clips"] for row in rows
    ]
    say_table(["version", "date (UTC)", "what was said", "threshold", "clips", "now"], rows, narrow)


def rollback(
    detector: Folder,
    to: Annotated[
        int | None,
        typer.Option(metavar="N", help="Version to use, else the one that this one was made of.", show_default=False),
    ] = None,
) -> None:
    """Use another version of a detector. Nothing is removed: the same command brings the newer one back."""
    from metavad.cli.terminal import say
    from metavad.normality.detector import load_detector
    from metavad.normality.versions import current, history, rollback

    before, known = current(detector), history(detector)
    target = known[before - 1].after if to is None else to
    if 1 <= (target or 1) <= len(known):  # else rollback says so
        load_detector(detector, version=target or 1)  # what is damaged is not put to use
    used = rollback(detector, to)
    found = load_detector(detector)
    say(f"version {used.number} is in use, {len(found.shots)} clips, threshold {found.threshold:.2f}")
    if before != used.number:
        say(f"  back to the other one? metavad detector rollback {detector} --to {before}")


def _row(folder: Path, version: "Version", is_used: bool) -> list[str]:
    from metavad.errors import BundleError
    from metavad.normality.detector import load_detector

    what = f"{version.kind}: {version.about}" if version.about else version.kind
    begun = [str(version.number), f"{version.date:%Y-%m-%d %H:%M}", what]
    try:
        found = load_detector(folder, version=version.number)
    except BundleError:
        if version.number == 1 and is_used:
            raise
        return [*begun, "-", "-", "damaged"]
    return [*begun, f"{found.threshold:.2f}", str(len(found.shots)), "in use" if is_used else ""]
