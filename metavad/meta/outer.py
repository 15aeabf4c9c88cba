"""The outer loop of MAML and its family: what it descends, from where, and what each task of a step gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor

from metavad.config import MetaConfig
from metavad.episodes import Episode
from metavad.errors import ConfigError, nearest
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample
from metavad.meta.evaluate import Evaluation
from metavad.meta.inner import Order, adapting, free_of, positive

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Engine",
    "Initialisation",
    "Plan",
    "SceneGradient",
    "Task",
    "algorithm_of",
    "initialise",
    "plan_at",
    "step_size",
]

Kind: TypeAlias = Literal["adapt", "reptile", "joint"]
Sizes: TypeAlias = Literal["fixed", "tensor", "element", "step"]


@dataclass(frozen=True)
class Algorithm:
    """One way to meta-learn: what the outer loop descends, and what the inner loop may change."""

    name: str
    summary: str
    paper: str
    equation: str
    kind: Kind = "adapt"
    order: Order = 2
    step_sizes: Sizes = "tensor"
    multi_step: bool = False
    head_only: bool = False


ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(
            "maml",
            "second-order MAML; a learned step size for each tensor, or meta.step_sizes=fixed as in the paper",
            "Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400",
            "min_p sum_s Q_s(p - a dS_s(p)/dp)",
        ),
        Algorithm(
            "fomaml",
            "first-order MAML: the inner gradients are constants",
            "Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400",
            "p <- p - b sum_s dQ_s/dp at p - a dS_s(p)/dp",
            order=1,
        ),
        Algorithm(
            "anil",
            "only the parameters of meta.adapts are adapted, by default each expert's head",
            "Raghu et al. 2020, https://arxiv.org/abs/1909.09157",
            "min_{p,h} sum_s Q_s(p, h - a dS_s(p, h)/dh)",
            head_only=True,
        ),
        Algorithm(
            "meta-sgd",
            "a learned step size for each element; meta.step_sizes=tensor for one a tensor",
            "Li et al. 2017, https://arxiv.org/abs/1707.09835",
            "min_{p,a} sum_s Q_s(p - a * dS_s(p)/dp), a > 0 elementwise",
            step_sizes="element",
        ),
        Algorithm(
            "maml++",
            "learned step sizes for each tensor and inner step, multi-step loss, first order annealed to second",
            "Antoniou, Edwards and Storkey 2019, https://arxiv.org/abs/1810.09502",
            "min_{p,a} sum_s sum_i w_i Q_s(p_i), p_i = p_{i-1} - a_i dS_s(p_{i-1})/dp",
            step_sizes="step",
            multi_step=True,
        ),
        Algorithm(
            "reptile",
            "moves towards what adapts to support and query together; no second derivative, no split",
            "Nichol, Achiam and Schulman 2018, https://arxiv.org/abs/1803.02999",
            "p <- p + b mean_s(U_s(p) - p), U_s = inner steps on all clips",
            kind="reptile",
            order=1,
            step_sizes="fixed",
        ),
        Algorithm(
            "joint",
            "no inner loop: one model for all scenes on the same clips; the control",
            "plain stochastic gradient descent",
            "min_p sum_s S_s(p) over support and query clips together",
            kind="joint",
            order=1,
            step_sizes="fixed",
        ),
    )
}
"""Every algorithm by name."""


@dataclass(frozen=True)
class Initialisation:
    """What the outer loop learns: parameters, and free tensors whose softplus are the step sizes."""

    params: Parameters
    free: Parameters

    @property
    def step_sizes(self) -> Parameters:
        """The positive step sizes, detached."""
        return {name: tensor.detach() for name, tensor in positive(self.free).items()}

    def leaves(self) -> Parameters:
        """Everything that takes a meta-gradient, by ``"params/<name>"`` and ``"free/<name>"``."""
        named = {f"params/{name}": tensor for name, tensor in self.params.items()}
        named |= {f"free/{name}": tensor for name, tensor in self.free.items()}
        return {name: tensor for name, tensor in named.items() if tensor.requires_grad}


@dataclass(frozen=True)
class Task:
    """An episode whose clips are resolved."""

    episode: Episode
    support: Sample
    query: Sample
    abnormal: Sample | None = None


@dataclass(frozen=True)
class Plan:
    """What one outer step does with each task."""

    kind: Kind
    steps: int
    order: Order
    weights: tuple[float, ...]
    """Of the query loss after 0, 1, ... inner steps; they sum to 1."""
    separation: float = 0.0
    before: bool = False
    """Also measure the query loss before adapting."""
    gradient: bool = True
    """Give the meta-gradient; without it, only the losses (validation)."""
    run: Evaluation = field(default_factory=Evaluation)
    """How the experts are evaluated."""


@dataclass(frozen=True)
class SceneGradient:
    """One task's query losses by expert (adapted, and before that where asked), and its meta-gradient."""

    losses: dict[str, Tensor]
    gradient: Parameters
    before: dict[str, Tensor] = field(default_factory=dict)


Engine: TypeAlias = Callable[[ExpertSet, Initialisation, Sequence[Task], Plan], list[SceneGradient]]
"""Tasks of one outer step to their gradients, in the same order."""


def algorithm_of(settings: MetaConfig) -> Algorithm:
    """The algorithm that the settings name; raises :class:`ConfigError` with the nearest right name."""
    if settings.algorithm not in ALGORITHMS:
        raise ConfigError(
            f"meta.algorithm: expected one of `metavad show algorithms`, found {settings.algorithm!r}; "
            f"{nearest(settings.algorithm, ALGORITHMS)}"
        )
    return ALGORITHMS[settings.algorithm]


def initialise(experts: ExpertSet, settings: MetaConfig) -> Initialisation:
    """The experts' own parameters as the start, and step sizes of the algorithm's kind at their start."""
    algorithm = algorithm_of(settings)
    params = {name: tensor.detach().clone().requires_grad_() for name, tensor in experts.named_parameters()}
    kind, start = _sizes(settings), free_of(settings.step_size)
    learned = kind != "fixed" and algorithm.kind == "adapt"
    free = {
        name: step_size(settings, params[name]).fill_(start) for name in _adapted_names(experts, algorithm, settings)
    }
    return Initialisation(params, {name: tensor.requires_grad_(learned) for name, tensor in free.items()})


def step_size(settings: MetaConfig, parameter: Tensor) -> Tensor:
    """Zeros in the shape and type that the step size of a parameter has."""
    return parameter.detach().new_zeros(_size_shape(_sizes(settings), parameter, settings.inner_steps))


def plan_at(settings: MetaConfig, step: int, *, before: bool = False) -> Plan:
    """The plan of outer step ``step``: order and weights may be annealed."""
    algorithm = algorithm_of(settings)
    first_order = 1 in (algorithm.order, settings.order) or step < settings.first_order_steps
    weights = _weights(settings.inner_steps, step / settings.multi_step_steps if algorithm.multi_step else 1.0)
    weights = (settings.zero_shot, *((1.0 - settings.zero_shot) * each for each in weights[1:]))
    order: Order = 1 if first_order else 2
    run = Evaluation(settings.precision, settings.recompute)
    return Plan(algorithm.kind, settings.inner_steps, order, weights, settings.separation, before, run=run)


def _adapted_names(experts: ExpertSet, algorithm: Algorithm, settings: MetaConfig) -> tuple[str, ...]:
    if algorithm.head_only and settings.adapts == ("*",):
        return experts.heads
    return adapting(experts.adaptable, settings.adapts)


def _sizes(settings: MetaConfig) -> Sizes:
    """What a step size is learned for."""
    return algorithm_of(settings).step_sizes if settings.step_sizes == "auto" else settings.step_sizes


def _size_shape(kind: Sizes, parameter: Tensor, steps: int) -> tuple[int, ...]:
    if kind == "element":
        return tuple(parameter.shape)
    return (steps, *(1 for _ in parameter.shape)) if kind == "step" else ()


def _weights(steps: int, done: float) -> tuple[float, ...]:
    """All inner steps alike at first, the last one alone once ``done`` reaches 1 (MAML++, section 4)."""
    early = max(0.0, 1.0 - done) / steps
    return (0.0, *(early for _ in range(steps - 1)), 1.0 - early * (steps - 1))
