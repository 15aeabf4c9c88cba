"""Options of ``metavad watch`` that say who is told of which events, and where in the picture nothing counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import length

if TYPE_CHECKING:
    from metavad.live.notify import Target
    from metavad.live.rules import Polygon, Rules
    from metavad.normality.detector import Detector

__all__ = ["Cooldown", "Ignore", "Keep", "Minimum", "Notify", "Schedule", "Telling", "TimeZone", "telling_of"]

Notify = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TARGET",
        help="Tell of events: https://..., mqtt://host/topic, run:COMMAND, or env:NAME of a variable with one; more "
        "than once for several.",
        show_default=False,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CORNERS",
        help="Nothing counts inside these corners: x,y in shares of width and height, such as '0,0 1,0 1,0.2 0,0.2'; "
        "more than once for several.",
        show_default=False,
    ),
]
Cooldown = Annotated[
    str, typer.Option(metavar="LENGTH", help="Tell of no event so soon after another that was told, such as 5m.")
]
Minimum = Annotated[
    str, typer.Option(metavar="LENGTH", help="Tell of an event once it has lasted so long, such as 2s.")
]
Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="TIMES",
        help="Tell of events at these times only, such as 'mon-fri 18:00-07:00; sat,sun 00:00-24:00'.",
        show_default=False,
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Of --schedule, such as Europe/Berlin; else that of the machine.", show_default=False
    ),
]
Keep = Annotated[
    str | None,
    typer.Option(
        metavar="DAYS",
        help="Days that events and scores are kept, but for events that somebody ruled on; else for ever.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Telling:
    """What was asked for, checked."""

    rules: "Rules"
    targets: tuple["Target", ...]
    regions: tuple["Polygon", ...]
    keep: float | None
    """Seconds."""

    def ignoring(self, detector: "Detector") -> "Detector":
        """The detector for which nothing counts in the regions."""
        from metavad.live.rules import ignored_cells

        camera = detector.camera
        cells = ignored_cells(self.regions, detector.grid, (camera.height, camera.width), camera.crop)
        return detector if cells is None else detector.ignoring(cells)


def telling_of(
    notify: Sequence[str] | None,
    ignore: Sequence[str] | None,
    cooldown: str,
    minimum: str,
    schedule: str | None,
    time_zone: str | None,
    keep: str | None,
) -> Telling:
    """Raises :class:`UsageError` for what is none of these."""
    from metavad.live import rules
    from metavad.live.notify import target_of

    zone = rules.time_zone(time_zone)
    return Telling(
        rules.Rules(
            length(cooldown, "--cooldown"),
            length(minimum, "--minimum"),
            None if schedule is None else rules.Schedule.parse(schedule, zone),
        ),
        tuple(target_of(text) for text in notify or ()),
        tuple(rules.Polygon.parse(text) for text in ignore or ()),
        None if keep is None else _days(keep),
    )


def _days(text: str) -> float:
    from metavad.errors import UsageError

    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days < 36_525:
        raise UsageError(f"--keep: expected days, such as 30, found {text[:80]!r}")
    return 86_400.0 * days
