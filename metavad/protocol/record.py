"""What an experiment says of itself: enough to run it again and see whether it matches."""

import hashlib
from collections.abc import Sequence
from typing import Any

from metavad import __version__
from metavad.meta.base import Base
from metavad.protocol.bench import Bench
from metavad.protocol.settings import SHOWN, Settings

__all__ = ["record_of"]


def record_of(
    benches: Sequence[Bench], base: Base, settings: Settings, found: dict[str, Any], facts: dict[str, Any]
) -> dict[str, Any]:
    """A plain object for JSON; ``found`` holds its rows and differences."""
    config = base.config.model_dump(mode="json")
    return {
        "metavad": __version__,
        "command": facts.pop("command", ""),
        "base": base.digest,
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
        "wrong_scene": next(iter(bench.stranger.scenes)) if "wrong-scene" in bench.settings.methods else None,
        "data": bench.digest,
        "truth": _truth_digest(bench),
    }


def _truth_digest(bench: Bench) -> str:
    """sha256 over all frame labels, 12 digits."""
    summed = hashlib.sha256()
    for labels in bench.labels:
        summed.update(labels.tobytes() + b"/")
    return summed.hexdigest()[:12]
