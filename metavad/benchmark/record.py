"""What an experiment says of itself: enough to run it again and see whether it matches."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from metavad import __version__
from metavad.benchmark.bench import Bench
from metavad.benchmark.settings import SHOWN, Settings
from metavad.errors import DataError
from metavad.normality.base import Base

__all__ = ["read_record", "record_of"]


def record_of(
    benches: Sequence[Bench], base: Base, settings: Settings, found: dict[str, Any], facts: dict[str, Any]
) -> dict[str, Any]:
    """A plain object for JSON; ``found`` holds its rows and differences."""
    config = base.config.model_dump(mode="json")
    return {
        "metavad": __version__,
        "command": facts.pop("command", ""),
        "base": base.digest,
        **({"base_was": base.facts["converted_from"]} if "converted_from" in base.facts else {}),
        "config": config,
        "seed": settings.seed,
        "rows": found["rows"],
        "shots": list(settings.shots),
        "draws": settings.draws,
        "methods": list(settings.methods),
        "shot_frames": settings.shot_frames,
        "draw_seeds": [settings.draw_seed(draw) for draw in range(settings.draws)],
        "config_digest": base.config.digest,
        "scenes": [_scene_facts(bench) for bench in benches],
        **facts,
        "differences": found["differences"],
    }


def _scene_facts(bench: Bench) -> dict[str, Any]:
    scene = bench.scene
    shown = bool(set(SHOWN) & set(bench.settings.methods))
    independent = {str(k): bench.shots(k, 0).independent for k in bench.settings.shots if k and shown}
    return {
        "scene": scene.key,
        "layout": scene.layout,
        "labels": scene.label_set,
        "test_videos": len(scene.test),
        "normal_videos": len(scene.normal),
        "independent_shots": independent,
        "wrong_scene": next(iter(bench.other_scene.scenes)) if "wrong-scene" in bench.settings.methods else None,
        "data": bench.digest,
        "truth": _truth_digest(bench),
    }


def _truth_digest(bench: Bench) -> str:
    """sha256 over all frame labels, 12 digits."""
    summed = hashlib.sha256()
    for labels in bench.labels:
        summed.update(labels.tobytes() + b"/")
    return summed.hexdigest()[:12]


def read_record(path: Path) -> dict[str, Any]:
    """The record; raises :class:`DataError` where the file is none."""
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
