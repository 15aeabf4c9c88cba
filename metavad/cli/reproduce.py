"""A record of ``metavad benchmark`` against the same experiment run again."""

from typing import Any, TypeAlias

__all__ = ["changed_differences", "changed_figures", "changed_sources"]


def changed_sources(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The base (and with it the settings), footage and labels that are not the same."""
    names = (after["base"], after.get("base_was"))
    lines = [] if before["base"] in names else [f"base: was {before['base']}, is {after['base']}"]
    scenes = {scene["scene"]: scene for scene in before["scenes"]}
    there = {scene["scene"] for scene in after["scenes"]}
    lines += [f"{name}: was there, is not" for name in scenes if name not in there]
    for scene in after["scenes"]:
        was = scenes.get(scene["scene"], {})
        lines += [f"{scene['scene']}: was not there, is"] if not was else []
        lines += [
            f"{scene['scene']}: other {what} than before"
            for name, what in _SOURCES.items()
            if name in was and was[name] != scene.get(name)
        ]
    return lines


_SOURCES = {"data": "footage", "truth": "labels", "layout": "layout", "wrong_scene": "wrong scene"}


def changed_figures(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each figure that is not the same; what is measured (time) is not compared."""
    from metavad.benchmark import MEASURED

    key = ("suite", "scene", "method", "score", "shots")
    return [line for pair in _pairs(before["rows"], after["rows"], key) for line in _changed(*pair, MEASURED)]


def changed_differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each difference between methods whose value, interval or certainty is not the same."""
    key = ("suite", "scene", "method", "shots", "minus", "figure")
    pairs = _pairs(before.get("differences", []), after.get("differences", []), key)
    return [line for row, other in pairs if row for line in _changed(row, other, ())]


_Row: TypeAlias = dict[str, Any]


def _pairs(before: list[_Row], after: list[_Row], key: tuple[str, ...]) -> list[tuple[_Row, _Row]]:
    """Rows that agree in ``key``; an empty one where a row is on one side only."""
    sides = [{tuple(row.get(name) for name in key): row for row in rows} for rows in (before, after)]
    return [(sides[0].get(each, {}), sides[1].get(each, {})) for each in {**sides[0], **sides[1]}]


def _changed(row: _Row, other: _Row, measured: tuple[str, ...]) -> list[str]:
    """Names that only the later row has are of a later version: nothing was said about them."""
    where = _where(row or other)
    if not row or not other:
        return [f"{where}: {'was there, is not' if row else 'was not there, is'}"]
    names = [name for name in row if name not in measured and not _same(row[name], other.get(name))]
    return [f"{where}: {name} was {row[name]}, is {other.get(name)}" for name in names]


def _where(row: _Row) -> str:
    """Such as ``ped2 adapted K=10 minus zero-shot``."""
    said = [str(row[name]) for name in ("scene", "method", "score") if name in row]
    return " ".join([*said, f"K={row['shots']}", *([f"minus {row['minus']}"] if "minus" in row else [])])


def _same(one: object, other: object) -> bool:
    """Equal, or numbers that agree to six digits: other machines round differently."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-6
    return one == other
