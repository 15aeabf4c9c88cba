"""learn2learn at the wheel: the same experts and episodes under its MAML and MetaSGD.

Arnold et al. 2020, https://arxiv.org/abs/2008.12284. Install it by ``requirements-learn2learn.txt``.
"""

import contextlib
import copy
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from metavad.errors import UsageError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.meta.engines.loop import gradient_of
from metavad.meta.evaluate import Evaluation
from metavad.meta.inner import positive, size_at
from metavad.meta.objective import query_losses, separation_losses, support_loss, total
from metavad.meta.outer import Initialisation, Plan, SceneGradient, Task

__all__ = ["learn2learn_engine"]


def learn2learn_engine(
    experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan
) -> list[SceneGradient]:
    """Meta-gradients by ``learn2learn.algorithms``: ``MAML`` for one fixed step size, else ``MetaSGD``.

    The same numbers as the default engine's loop, bit by bit. What does not adapt has the step size zero.
    Raises :class:`UsageError` for algorithms and settings that learn2learn does not have.
    """
    if plan.kind != "adapt":
        raise UsageError(
            f"meta.engine=learn2learn: expected an algorithm with an inner loop, found {plan.kind!r}; "
            "use meta.engine=torch-func"
        )
    if plan.run != Evaluation():
        raise UsageError(
            "meta.engine=learn2learn: expected meta.precision=float32 and no meta.recompute, found others; "
            "use meta.engine=torch-func"
        )
    return [_scene(experts, start, task, plan) for task in tasks]


def _scene(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    before: dict[str, Tensor] = {}
    terms: list[Tensor] = []
    learner, sizes = _learner(experts, start, plan), positive(start.free)
    for taken, weight in enumerate(plan.weights):
        if taken:
            _set_step(learner, start.params, sizes, taken - 1)
            learner.adapt(_touching(learner, support_loss(learner.module, task.support)))
        elif plan.before:
            with torch.no_grad():
                before = query_losses(learner.module, task.query, task.support)
        if weight:
            objective, losses = _asked(learner.module, task, plan.separation)
            terms.append(objective if weight == 1.0 else weight * objective)
    objective = torch.stack(terms).sum() if len(terms) > 1 else terms[0]
    gradient = gradient_of(objective, start.leaves() if plan.gradient else {})
    return SceneGradient({name: loss.detach() for name, loss in losses.items()}, gradient, before)


def _asked(experts: ExpertSet, task: Task, separation: float) -> tuple[Tensor, dict[str, Tensor]]:
    losses = query_losses(experts, task.query, task.support)
    if not separation or task.abnormal is None:
        return total(losses), losses
    apart = separation_losses(experts, task.query, task.abnormal, task.support)
    return total(losses) + separation * total(apart), losses


def _learner(experts: ExpertSet, start: Initialisation, plan: Plan) -> Any:
    algorithms, module = _import().algorithms, _with(experts, start.params)
    first_order, alone = plan.order == 1, _single_size(start)
    if alone is not None:
        learner = algorithms.MAML(module, lr=alone, first_order=first_order, allow_unused=True)
    else:
        learner = algorithms.MetaSGD(module, lrs=[], first_order=first_order)
    return learner.clone()


def _touching(learner: Any, loss: Tensor) -> Tensor:
    """The loss plus zero times all parameters: MetaSGD fails on one that the loss does not use."""
    if not hasattr(learner, "lrs"):
        return loss
    return loss + 0.0 * torch.stack([tensor.sum() for tensor in learner.module.parameters()]).sum()


def _set_step(learner: Any, params: Parameters, sizes: Mapping[str, Tensor], step: int) -> None:
    """MetaSGD's rates of this inner step, in the order of the module's parameters."""
    if hasattr(learner, "lrs"):
        learner.lrs = [
            size_at(sizes[name], step, params[name]) if name in sizes else torch.zeros_like(params[name])
            for name, _ in learner.module.named_parameters()
        ]


def _single_size(start: Initialisation) -> float | None:
    """The one fixed step size of all parameters, which is all that learn2learn's MAML takes."""
    sizes = start.step_sizes
    learned = any(tensor.requires_grad for tensor in start.free.values())
    if learned or set(sizes) != set(start.params) or any(size.ndim for size in sizes.values()):
        return None
    values = {float(size) for size in sizes.values()}
    return values.pop() if len(values) == 1 else None


def _with(experts: ExpertSet, params: Parameters) -> ExpertSet:
    """A copy of the module that holds these very tensors as its parameters."""
    module = copy.deepcopy(experts)
    for name, tensor in params.items():
        owner, _, last = name.rpartition(".")
        module.get_submodule(owner)._parameters[last] = tensor  # type: ignore[assignment]
    return module


def _import() -> Any:
    if find_spec("learn2learn") is None:
        raise UsageError(
            "learn2learn: expected the package, found none; "
            "install it by: pip install --no-deps -r requirements-learn2learn.txt"
        )
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), _operators():
        warnings.simplefilter("ignore")
        import learn2learn
    return learn2learn


_LIBRARY: list[Any] = []
"""Kept alive: its operators go when it goes."""


@contextlib.contextmanager
def _operators() -> Iterator[None]:
    """Declare the two torchvision operators without which its Python parts cannot be imported on a CPU build."""
    if not _LIBRARY and not hasattr(torch.ops.torchvision, "nms"):
        _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
        _LIBRARY[0].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARY[0].define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield
