"""The state of a training run on disk: whole or not there, and continued to the last bit."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from metavad.errors import BundleError
from metavad.experts.base import Parameters
from metavad.files import atomic_directory

__all__ = ["Best", "TrainingState", "latest", "load_state", "save_state"]

TENSORS, FACTS = "state.safetensors", "state.json"
FORMAT = 1
GROUPS = ("params", "free", "moments", "best-params", "best-free")


@dataclass(frozen=True)
class Best:
    """For each expert, its lowest validation loss so far, the step of it, and the tensors of that step."""

    losses: dict[str, float]
    steps: dict[str, int]
    params: Parameters
    free: Parameters


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next outer step depends on; episodes and randomness are functions of numbers."""

    step: int
    """Outer steps done."""
    params: Parameters
    free: Parameters
    moments: Parameters
    """Adam's running means, ``"exp_avg/<leaf>"`` and ``"exp_avg_sq/<leaf>"``."""
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    best: Best | None = None


def save_state(run: Path, state: TrainingState, *, keep: int = 2) -> Path:
    """Write ``run/state-<step>`` in one piece and drop all but the newest ``keep``; gives the folder.

    Killed at any moment, the run still has its earlier states. What a kill left behind is swept up here.
    """
    folder = run / f"state-{state.step:08d}"
    _sweep(run)
    if folder.exists():
        _drop(folder)
    tensors = save({name: tensor.contiguous() for name, tensor in _flat(state).items()})
    facts = _facts(state) | {"sha256": hashlib.sha256(tensors).hexdigest()}
    with atomic_directory(folder) as beside:
        (beside / TENSORS).write_bytes(tensors)
        (beside / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")
    for older in _states(run)[:-keep]:
        _drop(older)
    return folder


def latest(run: Path) -> Path | None:
    """The newest state of a run, or nothing."""
    states = _states(run)
    return states[-1] if states else None


def load_state(folder: Path) -> TrainingState:
    """Read one state; raises :class:`BundleError` where a bit of it is not as it was written."""
    facts = _read_facts(folder)
    try:
        content = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise _damaged(folder, str(error)) from None
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise _damaged(folder, f"{TENSORS} does not have the digest that {FACTS} names")
    try:
        return _state(facts, load(content))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, f"{type(error).__name__} {error}") from None


def _states(run: Path) -> list[Path]:
    return sorted(run.glob("state-*"))


def _drop(folder: Path) -> None:
    """Out of sight in one step, then deleted: a half-deleted state is never visible."""
    hidden = folder.with_name(f".{folder.name}.dropped")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _sweep(run: Path) -> None:
    for rest in run.glob(".state-*"):
        shutil.rmtree(rest, ignore_errors=True)


def _flat(state: TrainingState) -> dict[str, Tensor]:
    best = ({}, {}) if state.best is None else (state.best.params, state.best.free)
    groups = zip(GROUPS, (state.params, state.free, state.moments, *best), strict=True)
    return {f"{group}/{name}": tensor for group, tensors in groups for name, tensor in tensors.items()}


def _facts(state: TrainingState) -> dict[str, Any]:
    best = None if state.best is None else {"losses": state.best.losses, "steps": state.best.steps}
    facts = {name: getattr(state, name) for name in ("step", "seed", "settings")}
    return {"format": FORMAT, **facts, "best": best}


def _state(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TrainingState:
    params, free, moments, *kept = (dict(_group(tensors, group)) for group in GROUPS)
    known = {name: facts[name] for name in ("step", "seed", "settings")}
    best = None if facts["best"] is None else Best(facts["best"]["losses"], facts["best"]["steps"], *kept)
    return TrainingState(params=params, free=free, moments=moments, **known, best=best)


def _group(tensors: Mapping[str, Tensor], group: str) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in tensors.items():
        first, _, name = key.partition("/")
        if first == group:
            yield name, tensor


def _read_facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _damaged(folder, f"{FACTS}: {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or "sha256" not in facts:
        raise _damaged(folder, f"{FACTS} is not of format {FORMAT}")
    return facts


def _damaged(folder: Path, found: str) -> BundleError:
    return BundleError(
        f"{folder}: expected a training state, found a damaged one ({found}); remove it to go on from an earlier one"
    )
