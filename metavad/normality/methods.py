"""Ways to learn a camera from its clips: the rows of the protocol differ only in this."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metavad.config import AdaptationConfig, ScoringConfig
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample
from metavad.meta.inner import StepSizes
from metavad.normality.base import Base, ExpertPopulation
from metavad.normality.distribution import SHRINKAGE, Shrinkage

__all__ = ["Adapted", "FineTuned", "Method", "Refit", "Start", "method_of"]

REFIT_STEPS, REFIT_STEP = 8, 0.003


@dataclass(frozen=True)
class Start:
    """Where the inner loop begins, and how far it goes."""

    params: Parameters
    step_sizes: StepSizes
    steps: int


@dataclass(frozen=True)
class Method(ABC):
    """A way to learn a camera: gradient steps on its clips, a memory of them, and calibration by them."""

    base: Base

    @property
    def experts(self) -> ExpertSet:
        """The base's, whose own parameters are never used."""
        return self.base.experts

    @property
    def adaptation(self) -> AdaptationConfig:
        """How the clips are held out and counted."""
        return self.base.config.adaptation

    @property
    def scoring(self) -> ScoringConfig:
        """From score maps to frame scores."""
        return self.base.config.scoring

    @property
    def shrinkage(self) -> Shrinkage:
        """How the clips' own scores are shrunk towards the population's."""
        return SHRINKAGE

    def remembered(self, support: Sample) -> Sample:
        """The clips of which a memory is kept, and by which it is calibrated: all of them."""
        return support

    def calibrated_by(self, sample_size: float) -> float:
        """The effective sample size of the remembered clips, where that of all is ``sample_size``."""
        return sample_size

    @property
    @abstractmethod
    def start(self) -> Start:
        """Initialisation, step sizes and number of inner steps."""

    @property
    @abstractmethod
    def population(self) -> Mapping[str, ExpertPopulation]:
        """What the base's cameras say about each expert's scores under this method."""


class Adapted(Method):
    """The base: learned initialisation and step sizes, memory, calibration."""

    @property
    def start(self) -> Start:
        """What was meta-learned."""
        return Start(self.base.params, self.base.step_sizes, self.base.config.meta.inner_steps)

    @property
    def population(self) -> Mapping[str, ExpertPopulation]:
        """The base's."""
        return self.base.population


class FineTuned(Method):
    """The jointly trained control: gradient steps on the clips, its step sizes chosen on training scenes.

    It remembers no clips, and is calibrated by the population alone.
    """

    def remembered(self, support: Sample) -> Sample:
        """None of them."""
        return support.select([])

    def calibrated_by(self, sample_size: float) -> float:
        """Nothing."""
        return 0.0

    @property
    def start(self) -> Start:
        """The control's parameters and step sizes."""
        return Start(self.base.control.params, self.base.control.step_sizes, self.base.config.meta.inner_steps)

    @property
    def population(self) -> Mapping[str, ExpertPopulation]:
        """The control's, before any step."""
        return self.base.control.population


@dataclass(frozen=True)
class Refit(Method):
    """Fitted on the clips alone: random networks trained on them, distributions without a prior."""

    seed: int

    @property
    def start(self) -> Start:
        """Random parameters, and steps enough to learn from them."""
        generator = torch.Generator().manual_seed(self.seed)
        control = sorted(self.base.control.params.items())
        params = {name: _scrambled(tensor, generator) for name, tensor in control}
        sizes = {name: torch.tensor(REFIT_STEP) for name in self.base.experts.adaptable}
        return Start(params, sizes, REFIT_STEPS)

    @property
    def population(self) -> Mapping[str, ExpertPopulation]:
        """The control's scores, for their unit; of frame scores nothing is known."""
        control = self.base.control.population
        return {name: ExpertPopulation(each.scores) for name, each in control.items()}

    @property
    def shrinkage(self) -> Shrinkage:
        """Next to none."""
        return replace(SHRINKAGE, location=1e-3, camera=1e-3)


def method_of(name: str, base: Base, seed: int) -> Method:
    """The method that learns from clips, by its name in the protocol; ``seed`` is of random weights."""
    methods = {"adapted": Adapted(base), "fine-tune": FineTuned(base), "refit": Refit(base, seed)}
    return methods[name]


def _scrambled(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Fresh random weights of the usual scale; vectors (gains, offsets) start where a new layer's do."""
    if tensor.ndim < 2:
        return torch.full_like(tensor, float(tensor.ndim == 1 and tensor.mean() > 0.5))
    bound = 1.0 / max(1, tensor[0].numel()) ** 0.5
    uniform: Tensor = (torch.rand(tensor.shape, generator=generator) * 2 - 1) * bound
    return uniform.to(tensor)
