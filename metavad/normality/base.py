"""The base: what is meta-learned, and what many cameras say about normal scores, as one folder on disk."""

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

from metavad.arguments import checked
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
from metavad.config import Config
from metavad.errors import BundleError, ConfigError
from metavad.experts import build_experts, expert_type
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.feature import Feature
from metavad.features.library import features_of
from metavad.meta.outer import step_size
from metavad.normality.distribution import PopulationScores
from metavad.shipped import shipped_base

__all__ = ["Base", "Control", "ExpertPopulation", "known_experts", "load_base", "save_base"]

KIND = Kind(
    "base",
    "a base",
    version=3,
    make="make one with `metavad meta-train --scenes synthetic`",
    mend="make it again with `metavad meta-train`",
)


@dataclass(frozen=True)
class ExpertPopulation:
    """How one expert's scores are distributed on normal footage of the base's cameras."""

    scores: PopulationScores = field(default_factory=PopulationScores.unit)
    """Of its scores at single places."""
    frames: PopulationScores = field(default_factory=PopulationScores.unit)
    """Of its frame scores by itself, in compressed nats."""


@dataclass(frozen=True)
class Control:
    """The same experts trained jointly on the same clips, and the step sizes they are fine-tuned with."""

    params: Parameters
    step_sizes: Parameters
    population: Mapping[str, ExpertPopulation]


@dataclass(frozen=True)
class Base:
    """Initialisation, step sizes, and what many cameras say about normal scores."""

    config: Config
    """The settings that it was made with."""
    params: Parameters
    """The initialisation that adapting starts from."""
    step_sizes: Parameters
    """One positive number for each tensor that adapts."""
    buffers: Parameters
    """What experts hold that is neither learned nor a setting."""
    population: Mapping[str, ExpertPopulation]
    """Of each expert, how its scores are distributed on normal footage."""
    frames: PopulationScores
    """Of fused frame scores."""
    weights: Mapping[str, Tensor]
    """For each expert the two numbers of its fusion weight, softplus(a + b log(1 + K))."""
    control: Control
    """The same experts trained without meta-learning."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What it was trained on, how, by which versions."""
    device: str | None = None
    """Where experts compute: the CPU where none is named. What is calibrated stays there, small as it is."""

    @cached_property
    def experts(self) -> ExpertSet:
        """The experts, whose own parameters are never used."""
        return build_experts(self.config, self.buffers).requires_grad_(False).to(self.device or "cpu")

    @cached_property
    def features(self) -> dict[str, Feature]:
        """What the experts read, by name, with the config's settings."""
        return features_of(self.config, self.experts.reads, self.device)

    def on(self, device: str | None) -> "Base":
        """The base whose experts learn and score elsewhere.

        Args:
            device: such as ``"cuda"``; where none is named, the CPU, with the network of ``patches`` on a GPU where
                there is one.
        """

        def moved(tensors: Parameters) -> Parameters:
            return {name: tensor.to(device or "cpu") for name, tensor in tensors.items()}

        control = replace(self.control, params=moved(self.control.params), step_sizes=moved(self.control.step_sizes))
        params, step_sizes = moved(self.params), moved(self.step_sizes)
        return replace(self, params=params, step_sizes=step_sizes, control=control, device=device)

    def only(self, names: Sequence[str]) -> "Base":
        """The base of some of its experts; the first works zero-shot where none of them does.

        Args:
            names: of experts, as in ``config.experts``.
        """

        def kept(tensors: Parameters) -> Parameters:
            return {key: tensor for key, tensor in tensors.items() if key.partition(".")[0] in names}

        control = replace(
            self.control,
            params=kept(self.control.params),
            step_sizes=kept(self.control.step_sizes),
            population={name: self.control.population[name] for name in names},
        )
        return replace(
            self,
            config=self._config_of(names),
            params=kept(self.params),
            step_sizes=kept(self.step_sizes),
            buffers=kept(self.buffers),
            population={name: self.population[name] for name in names},
            weights={name: self.weights[name] for name in names},
            control=control,
        )

    def _config_of(self, names: Sequence[str]) -> Config:
        plugins = {name: table for name, table in self.config.plugins.items() if name in names}
        return self.config.model_copy(update={"experts": tuple(names), "plugins": plugins})

    @property
    def digest(self) -> str:
        """sha256 of all tensors and of the settings that are not the default ones, 12 digits."""
        text = hashlib.sha256(save(_flat(self)))
        text.update(self.config.model_dump_json(exclude_defaults=True).encode())
        return text.hexdigest()[:12]


def save_base(folder: str | Path, base: Base) -> None:
    """Write a base into a new folder, whole or not at all."""
    facts = {"config": base.config.model_dump(mode="json"), "facts": base.facts}
    save_bundle(Path(folder), KIND, Bundle(_flat(base), facts))


@checked
def load_base(folder: str | Path | None = None) -> Base:
    """Open a base.

    Args:
        folder: of a base, as ``metavad meta-train`` writes it to ``RUN/base``; without one, the base that ships.

    Returns:
        The base, ready for :func:`metavad.adapt`.

    Raises:
        BundleError: it is missing, damaged, of another version, or needs an expert of a package that is not installed.
    """
    folder = shipped_base() if folder is None else Path(folder)
    bundle = load_bundle(folder, KIND)
    noted = facts_as(folder, KIND, bundle, _Facts)
    groups = grouped(folder, KIND, bundle.tensors, _GROUPS)
    _check(folder, noted.config, groups)
    names = noted.config.experts
    control = Control(
        groups["control"], groups["control-step-sizes"], _population_of(groups["control-population"], names)
    )
    return Base(
        noted.config,
        groups["params"],
        groups["step-sizes"],
        groups["buffers"],
        _population_of(groups["population"], names),
        _scores_of(groups["frames"], ""),
        groups["weights"],
        control,
        noted.facts,
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


_GROUPS = (
    "params",
    "step-sizes",
    "buffers",
    "population",
    "frames",
    "weights",
    "control",
    "control-step-sizes",
    "control-population",
)


def _flat(base: Base) -> dict[str, Tensor]:
    parts: list[Mapping[str, Tensor]] = [
        base.params,
        base.step_sizes,
        base.buffers,
        _population_tensors(base.population),
        _score_tensors(base.frames, ""),
        base.weights,
        base.control.params,
        base.control.step_sizes,
        _population_tensors(base.control.population),
    ]
    found = flattened(dict(zip(_GROUPS, parts, strict=True)))
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


_KINDS = ("scores", "frames")


def _population_tensors(population: Mapping[str, ExpertPopulation]) -> Parameters:
    """``"<expert>.scores.values"`` and the like, as a flat table."""
    tensors: Parameters = {}
    for name, each in population.items():
        for kind in _KINDS:
            tensors |= _score_tensors(getattr(each, kind), f"{name}.{kind}.")
    return tensors


def _score_tensors(scores: PopulationScores, prefix: str) -> Parameters:
    return {f"{prefix}sample_sizes": scores.sample_sizes, f"{prefix}values": scores.scores}


def _population_of(tensors: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, ExpertPopulation]:
    return {name: ExpertPopulation(*(_scores_of(tensors, f"{name}.{kind}.") for kind in _KINDS)) for name in names}


def _scores_of(tensors: Mapping[str, Tensor], prefix: str) -> PopulationScores:
    return PopulationScores(tensors[f"{prefix}sample_sizes"], tensors[f"{prefix}values"])


def _check_scores(folder: Path, kind: Kind, group: str, tensors: Mapping[str, Tensor], prefixes: Iterable[str]) -> None:
    """Raises :class:`BundleError` unless these are tables of scores, one for each prefix."""
    unit = PopulationScores.unit()
    twice = PopulationScores(unit.sample_sizes.repeat(2), unit.scores.repeat(2, 1))
    one: Parameters = {}
    two: Parameters = {}
    for prefix in prefixes:
        one, two = one | _score_tensors(unit, prefix), two | _score_tensors(twice, prefix)
    check_tensors(folder, kind, group, tensors, one, two)
    for prefix in prefixes:
        found = _scores_of(tensors, prefix)
        if not 1 <= len(found.sample_sizes) == len(found.scores):
            raise damaged(
                folder, kind, f"{group}/{prefix}values has {len(found.scores)} rows, not {len(found.sample_sizes)}"
            )


def known_experts(folder: Path, kind: Kind, config: Config, buffers: Mapping[str, Tensor]) -> ExpertSet:
    """The experts that a folder's settings name; raises :class:`BundleError` where they cannot be made."""
    for name in config.plugins:
        _check_installed(folder, name)
    try:
        plain = build_experts(config)
        check_tensors(folder, kind, "buffers", buffers, plain.kept_buffers)
        return build_experts(config, buffers).requires_grad_(False)
    except ConfigError as error:
        raise damaged(folder, kind, str(error)) from None


def _check_installed(folder: Path, name: str) -> None:
    try:
        expert_type(name)
    except ConfigError as error:
        raise BundleError(
            f"{folder}: expected the package that its expert {name!r} comes from to be installed, found: {error}"
        ) from None


def _check(folder: Path, config: Config, groups: Mapping[str, Parameters]) -> None:
    """Every tensor is what the settings say."""
    experts = known_experts(folder, KIND, config, groups["buffers"])
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
    tables = [f"{name}.{kind}." for name in config.experts for kind in _KINDS]
    _check_scores(folder, KIND, "frames", groups["frames"], [""])
    _check_scores(folder, KIND, "population", groups["population"], tables)
    _check_scores(folder, KIND, "control-population", groups["control-population"], tables)
