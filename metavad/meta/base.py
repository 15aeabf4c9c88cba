"""The base: what is meta-learned, with the settings that made it, as one folder on disk."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, field_validator
from safetensors.torch import save
from torch import Tensor

from metavad.bundle import (
    Bundle,
    Kind,
    check_tensors,
    damaged,
    facts_as,
    flattened,
    grouped,
    load_bundle,
    save_bundle,
)
from metavad.calibration.tails import BaseTail
from metavad.config import Config
from metavad.errors import ConfigError
from metavad.experts import build_experts
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.meta.outer import step_size

__all__ = ["Base", "Control", "check_tails", "known_experts", "load_base", "save_base", "tail_tensors", "tails_of"]

KIND = Kind(
    "base",
    "a base",
    version=2,
    make="make one with `metavad meta-train --scenes synthetic`",
    mend="make it again with `metavad meta-train`",
)


@dataclass(frozen=True)
class Control:
    """The same experts trained jointly on the same clips, and the step sizes they are fine-tuned with."""

    params: Parameters
    step_sizes: Parameters
    tails: Mapping[str, BaseTail]


@dataclass(frozen=True)
class Base:
    """Initialisation, step sizes, and what many cameras say about normal scores."""

    config: Config
    params: Parameters
    step_sizes: Parameters
    tails: Mapping[str, BaseTail]
    """For each expert the tail of its scores, and under ``"frame"`` that of frame scores."""
    weights: Mapping[str, Tensor]
    """For each expert the two numbers of its fusion weight, softplus(a + b log(1 + K))."""
    control: Control
    facts: dict[str, Any] = field(default_factory=dict)
    """What it was trained on, how, by which versions."""

    @cached_property
    def experts(self) -> ExpertSet:
        """The experts, whose own parameters are never used."""
        return build_experts(self.config).requires_grad_(False)

    def only(self, names: Sequence[str]) -> "Base":
        """The base of some of its experts, with their tensors; the first leads where the leader is not among them."""

        def kept(tensors: Parameters) -> Parameters:
            return {key: tensor for key, tensor in tensors.items() if key.partition(".")[0] in names}

        return replace(
            self,
            config=self.config.model_copy(update={"experts": tuple(names)}),
            params=kept(self.params),
            step_sizes=kept(self.step_sizes),
            weights={name: self.weights[name] for name in names},
            control=replace(self.control, params=kept(self.control.params), step_sizes=kept(self.control.step_sizes)),
        )

    @property
    def digest(self) -> str:
        """sha256 of all tensors and of the settings that are not the default ones, 12 digits."""
        text = hashlib.sha256(save(_flat(self)))
        text.update(self.config.model_dump_json(exclude_defaults=True).encode())
        return text.hexdigest()[:12]


def save_base(folder: Path, base: Base) -> None:
    """Write a base into a new folder, whole or not at all."""
    facts = {"config": base.config.model_dump(mode="json"), "facts": base.facts}
    save_bundle(folder, KIND, Bundle(_flat(base), facts))


def load_base(folder: Path) -> Base:
    """Open a base; raises :class:`BundleError` where it is missing, damaged or of another version."""
    bundle = load_bundle(folder, KIND)
    told = facts_as(folder, KIND, bundle, _Facts)
    groups = grouped(folder, KIND, bundle.tensors, _GROUPS)
    _check(folder, told.config, groups)
    control = Control(groups["control"], groups["control-step-sizes"], tails_of(groups["control-tails"]))
    return Base(
        told.config,
        groups["params"],
        groups["step-sizes"],
        tails_of(groups["tails"]),
        groups["weights"],
        control,
        told.facts,
    )


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    config: Config
    facts: dict[str, Any]

    @field_validator("facts")
    @classmethod
    def _counts_ticks(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """The promise of every threshold rests on this number."""
        ticks = facts.get("normal_ticks", 0)
        if type(ticks) is not int or ticks < 0:
            raise ValueError("expected a number of normal_ticks")
        return facts


_GROUPS = ("params", "step-sizes", "tails", "weights", "control", "control-step-sizes", "control-tails")


def _flat(base: Base) -> dict[str, Tensor]:
    parts: list[Mapping[str, Tensor]] = [
        base.params,
        base.step_sizes,
        tail_tensors(base.tails),
        base.weights,
        base.control.params,
        base.control.step_sizes,
        tail_tensors(base.control.tails),
    ]
    found = flattened(dict(zip(_GROUPS, parts, strict=True)))
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def tail_tensors(tails: Mapping[str, BaseTail]) -> Parameters:
    """Tails as a flat table of tensors."""
    return {f"{name}.{part}": getattr(tail, part) for name, tail in tails.items() for part in _PARTS}


def tails_of(tensors: Mapping[str, Tensor]) -> dict[str, BaseTail]:
    """The tails of such a table."""
    return {name: BaseTail(*(tensors[f"{name}.{part}"] for part in _PARTS)) for name in _tailed(tensors)}


_PARTS = ("shots", "scores")


def _tailed(tensors: Iterable[str]) -> list[str]:
    return sorted({name.rpartition(".")[0] for name in tensors})


def check_tails(folder: Path, kind: Kind, group: str, tensors: Mapping[str, Tensor], needed: Iterable[str]) -> None:
    """Raises :class:`BundleError` unless these are the tails of at least what is needed."""
    unit = BaseTail.unit()
    twice = BaseTail(unit.shots.repeat(2), unit.scores.repeat(2, 1))
    names = sorted({*_tailed(tensors), *needed})
    one, two = (tail_tensors(dict.fromkeys(names, tail)) for tail in (unit, twice))
    check_tensors(folder, kind, group, tensors, one, two)
    for name, tail in tails_of(tensors).items():
        if not 1 <= len(tail.shots) == len(tail.scores):
            raise damaged(folder, kind, f"{group}/{name} has {len(tail.scores)} rows for {len(tail.shots)} shots")


def known_experts(folder: Path, kind: Kind, config: Config) -> ExpertSet:
    """The experts that a folder's settings name; raises :class:`BundleError` where they cannot be made."""
    try:
        return build_experts(config).requires_grad_(False)
    except ConfigError as error:
        raise damaged(folder, kind, str(error)) from None


def _check(folder: Path, config: Config, groups: Mapping[str, Parameters]) -> None:
    """Every tensor is what the settings say."""
    experts = known_experts(folder, KIND, config)
    params = dict(experts.named_parameters())
    sizes = {name: step_size(config.meta, params[name]) for name in experts.adaptable}
    each: dict[str, Mapping[str, Tensor]] = {
        "params": params,
        "control": params,
        "step-sizes": {name: sizes[name] for name in groups["step-sizes"].keys() & sizes.keys()},
        "control-step-sizes": {name: torch.zeros(()) for name in groups["step-sizes"]},
        "weights": {name: torch.zeros(2) for name in config.experts},
    }
    for group, wanted in each.items():
        check_tensors(folder, KIND, group, groups[group], wanted)
    check_tails(folder, KIND, "tails", groups["tails"], (*config.experts, "frame"))
    check_tails(folder, KIND, "control-tails", groups["control-tails"], config.experts)
