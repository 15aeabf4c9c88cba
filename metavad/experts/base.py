"""The contract of every expert, and the one way in which experts are called.

An expert never keeps state: parameters and memory go in, losses and score maps come out, so that MAML can
differentiate through adaptation (Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.func import functional_call

from metavad.config import Config
from metavad.features.sample import Sample
from metavad.types import Box

__all__ = ["Expert", "Memory", "NearestPatch", "NoSettings", "Parameters", "Reason", "call"]

Parameters: TypeAlias = dict[str, Tensor]
"""Names to tensors; what the inner loop changes."""
Memory: TypeAlias = dict[str, Tensor]
"""What an expert knows of the support in closed form; ``{}`` when it needs none."""


class NoSettings(BaseModel):
    """Of an expert without settings of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class NearestPatch:
    """A patch that surprises, and what of the shots is nearest to it. Boxes are shares of the width and the height."""

    here: Box
    """Where the patch is."""
    shot: int
    """Which shot showed the nearest, from 0."""
    tick: int
    """At which of that shot's ticks, from 0."""
    there: Box
    """Where that was."""


@dataclass(frozen=True)
class Reason:
    """Why a place surprises an expert, for people."""

    text: str
    """What goes after "something": "moves 3.1 times as fast as anything shown at this place"."""
    distances: tuple[float, ...] = ()
    """How far each shot is from it in what the expert reads at that place; empty where the expert cannot say."""
    nearest: NearestPatch | None = None
    """Two patches to be shown as pictures; none where the expert does not compare any."""


class Expert(nn.Module, ABC):
    """A model of normality: a loss to meta-learn and adapt by, and a score map.

    It keeps no state beside parameters and buffers: the memory of a support goes in and out.
    :func:`metavad.testing.check_expert` holds it to what stands here.
    """

    name: ClassVar[str]
    """The key of its settings, its tensors and its column."""
    reads: ClassVar[tuple[str, ...]]
    """Names of the features that must be computed for it."""
    settings_model: ClassVar[type[BaseModel]] = NoSettings
    """Of an expert from another package: the model of ``[plugins.<name>]``, frozen, with a default for everything."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """Patterns of its parameters that no inner step changes."""
    head: ClassVar[tuple[str, ...]] = ()
    """Patterns of the parameters that read the representation: what ANIL adapts by default. Empty: the last layer."""
    needs_support: ClassVar[bool] = False
    """Whether its scores mean nothing before anything was shown."""
    zero_shot: ClassVar[bool] = False
    """Whether it is active without support; the others are from an effective sample size of a few clips on."""
    initial_weight: ClassVar[float] = 1.0
    """Fusion weight that it starts from."""
    past: int = 0
    """Ticks before a tick without which it says nothing of it."""
    history: float = 0.0
    """Seconds of past that a score may use; less at the start of a video."""
    floor: float = 0.0
    """Score of a place where it has nothing to say."""

    @classmethod
    @abstractmethod
    def build(cls, config: Config) -> "Expert":
        """A new expert with the config's settings.

        Args:
            config: all settings; :func:`~metavad.config.plugin_settings` gives those of an expert from another package.

        Raises:
            ConfigError: a setting of the expert that is unknown or out of range.
        """

    @abstractmethod
    def condition(self, support: Sample) -> Memory:
        """Closed-form knowledge of the support, differentiable in the parameters.

        Args:
            support: K clips of T ticks; K may be 0.

        Returns:
            Named tensors, finite, of one form whatever was shown, but for how many things are kept; ``{}`` if it needs
            none.
        """

    @abstractmethod
    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """The MAML objective, smooth and twice differentiable.

        Args:
            sample: B clips of T ticks.
            memory: what :meth:`condition` gave.

        Returns:
            The mean loss, a scalar; lower = the sample fits better.
        """

    @abstractmethod
    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Score each place of each tick; a tick's scores depend on no later tick.

        Args:
            sample: B clips of T ticks.
            memory: what :meth:`condition` gave.

        Returns:
            The score map (B, T, h, w), higher = more anomalous, best in nats; ``floor`` at ticks that are not
            :meth:`known`.
        """

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """Why the last tick surprises at a place; none where the expert has nothing to tell.

        What it says must be true of the shots as its memory holds them.

        Args:
            sample: one clip of T ticks.
            memory: what :meth:`condition` gave.
            place: shares of the height from the top and of the width from the left, 0 to 1.
        """
        return None

    def known(self, sample: Sample) -> Tensor:
        """Ticks with a whole past before them; of a shorter clip, its last.

        Args:
            sample: B clips of T ticks.

        Returns:
            True where the expert has something to say, (B, T).
        """
        flags = torch.stack([sample.known[name] for name in self.reads]).all(0)
        flags[:, : self.first(sample)] = False
        return flags

    def first(self, sample: Sample) -> int:
        """The first tick with a whole past; of a shorter clip, its last.

        Args:
            sample: B clips of T ticks.
        """
        return max(0, min(self.past, sample.seconds.shape[1] - 1))

    def forward(self, method: str, *arguments: Any) -> Any:
        """Dispatch, so that ``functional_call`` reaches every method; use :func:`call`.

        Args:
            method: its name.
            arguments: what it takes.
        """
        return getattr(self, method)(*arguments)


def call(expert: Expert, parameters: Mapping[str, Tensor], method: str, *arguments: Any) -> Any:
    """Call a method of an expert with other parameters than its own; nothing is changed.

    Args:
        expert: whose method.
        parameters: tensors by name, in place of its own.
        method: such as ``"score"``.
        arguments: what the method takes.

    Returns:
        What the method gives, differentiable in ``parameters``.
    """
    return functional_call(expert, dict(parameters), (method, *arguments))
