"""A record of ``metavad benchmark`` against the same experiment run again."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["changed_differences", "changed_figures", "changed_sources", "read_record"]


class _Part(BaseModel):
    """A part of a record that may say more: what it is of tells rows, differences and scenes apart."""

    model_config = ConfigDict(extra="allow")


class _ScenePart(_Part):
    scene: str


class _RowPart(_Part):
    suite: str | None = None
    scene: str | None = None
    method: str | None = None
    score: str | None = None
    minus: str | None = None
    figure: str | None = None
    shots: int


class _Record(_Part):
    target: str
    base: str
    base_from: str
    shots: list[int]
    draws: int
    methods: list[str]
    shot_frames: int | None
    seed: int
    scenes: list[_ScenePart]
    rows: list[_RowPart]
    differences: list[_RowPart] = []


def read_record(path: Path) -> dict[str, Any]:
    """The record; raises :class:`DataError` where the file is none."""
    from metavad.errors import DataError

    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _Record.model_validate(record, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise DataError(
            f"{path}: expected a record that `metavad benchmark --json` wrote, found {where}: {first['msg'].lower()}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected a record that `metavad benchmark --json` wrote ({error})") from None
    return record


def changed_sources(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The base (and with it the settings), footage and labels that are not the same."""
    lines = [] if before["base"] == after["base"] else [f"base: was {before['base']}, is {after['base']}"]
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
    from metavad.protocol import MEASURED

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
