"""Which base a command uses: the one given, else the newest complete run, else the one that ships."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metavad.normality.base import Base

__all__ = ["RUNS", "base_of_digest", "open_base"]

RUNS = Path("runs")
FACTS = "base.json"


def _found(given: Path | None) -> Path | None:
    """The folder of the base, or none where there is none; a run's folder stands for the base in it."""
    if given is not None:
        return given / "base" if (given / "base" / FACTS).is_file() else given
    complete = sorted(RUNS.glob(f"*/base/{FACTS}"), key=lambda path: path.stat().st_mtime_ns)
    if complete:
        return complete[-1].parent
    from metavad.shipped import shipped_base

    ships = shipped_base()
    return ships if (ships / FACTS).is_file() else None


def open_base(given: Path | None, device: str | None = None) -> "tuple[Base, Path]":
    """The base on a device, and where it lies; raises :class:`BundleError` with how to make one."""
    from metavad.errors import BundleError
    from metavad.normality.base import load_base

    folder = _found(given)
    if folder is None:
        raise BundleError(
            "expected a base, found none under runs/; make one with `metavad meta-train --scenes synthetic`"
        )
    return load_base(folder).on(device), folder


def base_of_digest(digest: str, given: Path | None) -> "Base":
    """The base of this digest: the given one, else one under runs/, else the one that ships.

    Raises :class:`BundleError` where none of them is that.
    """
    from metavad.errors import BundleError
    from metavad.normality.base import load_base
    from metavad.shipped import shipped_base

    if given is not None:
        places = [_found(given) or given]
    else:
        places = [*(path.parent for path in sorted(RUNS.glob(f"*/base/{FACTS}"))), shipped_base()]
    for place in places:
        if (place / FACTS).is_file() or given is not None:
            base = load_base(place)
            if base.digest == digest:
                return base
    looked = ", ".join(map(str, places))
    raise BundleError(
        f"expected the base that the detector was made of ({digest}), found others ({looked}); give it with --base, or "
        "adapt again"
    )
