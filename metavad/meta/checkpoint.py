"""The state of a training run on disk: whole or not there, and continued to the last bit."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from metavad.bundle import Bundle, Kind, facts_as, flattened, grouped, load_bundle, save_bundle
from metavad.experts.base import Parameters

__all__ = ["Best", "TrainingState", "latest", "load_state", "save_state"]

_OTHERWISE = "remove it to go on from an earlier one"
KIND = Kind("state", "a training state", version=2, make=_OTHERWISE, mend=_OTHERWISE)
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


def save_state(run: Path, state: TrainingState) -> Path:
    """Write ``run/state-<step>`` in one piece and drop all but the newest two; gives the folder.

    Killed at any moment, the run still has its earlier states. What a kill left behind is swept up here.
    """
    folder = run / f"state-{state.step:08d}"
    _sweep(run)
    if folder.exists():
        _drop(folder)
    save_bundle(folder, KIND, Bundle(_flat(state), _facts(state)))
    for older in _states(run)[:-2]:
        _drop(older)
    return folder


def latest(run: Path) -> Path | None:
    """The newest state of a run, or nothing."""
    states = _states(run)
    return states[-1] if states else None


def load_state(folder: Path) -> TrainingState:
    """Read one state; raises :class:`BundleError` where a bit of it is not as it was written."""
    bundle = load_bundle(folder, KIND)
    noted = facts_as(folder, KIND, bundle, _Facts)
    groups = grouped(folder, KIND, bundle.tensors, GROUPS)
    params, free, moments, best_params, best_free = (groups[name] for name in GROUPS)
    best = None if noted.best is None else Best(noted.best.losses, noted.best.steps, best_params, best_free)
    return TrainingState(noted.step, params, free, moments, noted.seed, noted.settings, best)


class _BestFacts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    losses: dict[str, float]
    steps: dict[str, int]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    step: int = Field(ge=1)
    seed: int
    settings: dict[str, Any]
    best: _BestFacts | None


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
    parts = (state.params, state.free, state.moments, *best)
    return flattened(dict(zip(GROUPS, parts, strict=True)))


def _facts(state: TrainingState) -> dict[str, Any]:
    best = None if state.best is None else {"losses": state.best.losses, "steps": state.best.steps}
    return {name: getattr(state, name) for name in ("step", "seed", "settings")} | {"best": best}
