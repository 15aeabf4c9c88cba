"""The base: what is meta-learned, with the settings that made it, as one folder on disk."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from metavad.calibration.tails import BaseTail
from metavad.config import Config, config_of
from metavad.errors import BundleError, MetavadError
from metavad.experts import build_experts
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.files import atomic_directory

__all__ = ["Base", "Control", "load_base", "save_base"]

TENSORS, FACTS = "base.safetensors", "base.json"
FORMAT = 1


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
    """Write ``base.safetensors`` and ``base.json`` into a new folder, whole or not at all."""
    tensors = save(_flat(base))
    facts = {
        "format": FORMAT,
        "sha256": hashlib.sha256(tensors).hexdigest(),
        "config": base.config.model_dump(mode="json"),
        "facts": base.facts,
    }
    with atomic_directory(folder) as beside:
        (beside / TENSORS).write_bytes(tensors)
        (beside / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def load_base(folder: Path) -> Base:
    """Open a base; raises :class:`BundleError` where it is missing, damaged or of another version."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        content = (folder / TENSORS).read_bytes()
        if facts["format"] != FORMAT or hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise BundleError(
                f"{folder}: expected a base as it was written, found it changed or of another version; "
                "make it again with `metavad meta-train`"
            )
        base = _of(load(content), facts, folder)
        _check(base, folder)
        return base
    except FileNotFoundError:
        raise BundleError(
            f"{folder}: expected a base ({FACTS} and {TENSORS}), found none; "
            "make one with `metavad meta-train --scenes synthetic`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, MetavadError):
            raise
        raise BundleError(f"{folder}: the base is damaged ({error}); make it again with `metavad meta-train`") from None


def _of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], folder: Path) -> Base:
    groups: dict[str, Parameters] = {name: {} for name in _GROUPS}
    for key, tensor in sorted(tensors.items()):  # a file gives them in any order, and `refit` draws in this one
        group, name = key.split("/", 1)
        groups[group][name] = tensor
    control = Control(groups["control"], groups["control-step-sizes"], _tails(groups["control-tails"]))
    config = config_of(facts["config"], str(folder))
    return Base(
        config,
        groups["params"],
        groups["step-sizes"],
        _tails(groups["tails"]),
        groups["weights"],
        control,
        facts["facts"],
    )


_GROUPS = ("params", "step-sizes", "tails", "weights", "control", "control-step-sizes", "control-tails")


def _flat(base: Base) -> dict[str, Tensor]:
    parts: list[Mapping[str, Tensor]] = [
        base.params,
        base.step_sizes,
        _untailed(base.tails),
        base.weights,
        base.control.params,
        base.control.step_sizes,
        _untailed(base.control.tails),
    ]
    return {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, part in zip(_GROUPS, parts, strict=True)
        for name, tensor in sorted(part.items())
    }


def _untailed(tails: Mapping[str, BaseTail]) -> Parameters:
    return {f"{name}.{part}": getattr(tail, part) for name, tail in tails.items() for part in ("shots", "scores")}


def _tails(tensors: Mapping[str, Tensor]) -> dict[str, BaseTail]:
    names = {name.rpartition(".")[0] for name in tensors}
    return {name: BaseTail(tensors[f"{name}.shots"], tensors[f"{name}.scores"]) for name in sorted(names)}


def _check(base: Base, folder: Path) -> None:
    wanted = {name: tensor.shape for name, tensor in base.experts.named_parameters()}
    for params in (base.params, base.control.params):
        if {name: tensor.shape for name, tensor in params.items()} != wanted:
            raise BundleError(f"{folder}: its tensors do not fit its settings; make it again with `metavad meta-train`")
    if not all(torch.isfinite(tensor).all() for tensor in base.params.values()):
        raise BundleError(f"{folder}: its tensors are not finite; make it again with `metavad meta-train`")
