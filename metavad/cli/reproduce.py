"""A record of ``metavad benchmark`` against the same experiment run again."""

from pathlib import Path
from typing import Any

__all__ = ["changed_figures", "changed_sources", "read_record"]


def read_record(path: Path) -> dict[str, Any]:
    """The record; raises :class:`DataError` where the file is none."""
    import json

    from metavad.errors import DataError

    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = {"target", "base_from", "rows", "shots", "draws", "methods", "shot_frames", "seed"} - set(record)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected a record that `metavad benchmark --json` wrote ({error})") from None
    if missing:
        raise DataError(f"{path}: expected a record of `metavad benchmark`, found one without {sorted(missing)[0]!r}")
    return dict(record)


def changed_sources(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The base and footage that are not the same."""
    lines = [] if before["base"] == after["base"] else [f"base: was {before['base']}, is {after['base']}"]
    footage = {scene["scene"]: scene["data"] for scene in before["scenes"]}
    return lines + [
        f"{scene['scene']}: other footage than before"
        for scene in after["scenes"]
        if footage.get(scene["scene"]) != scene["data"]
    ]


def changed_figures(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each figure that is not the same; what is measured (time) is not compared."""
    from metavad.protocol import MEASURED

    key = ("suite", "scene", "method", "score", "shots")
    found = {tuple(row.get(name) for name in key): row for row in after["rows"]}
    lines = []
    for row in before["rows"]:
        other = found.get(tuple(row.get(name) for name in key), {})
        names = [name for name in row if name not in MEASURED and not _same(row[name], other.get(name))]
        where = " ".join(str(row[name]) for name in ("scene", "method", "score") if name in row)
        lines += [f"{where} K={row['shots']}: {n} was {row[n]}, is {other.get(n)}" for n in names]
    return lines


def _same(one: object, other: object) -> bool:
    """Equal, or numbers that agree to six digits: other machines round differently."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-6
    return one == other
