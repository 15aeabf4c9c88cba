"""All scenes of an outer step in one graph, by ``vmap``: fewer and larger operations, more memory."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.func import vmap

from metavad.errors import UsageError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample
from metavad.meta.engines.loop import scene_gradient
from metavad.meta.evaluate import Evaluation
from metavad.meta.inner import inner_path, positive
from metavad.meta.objective import query_losses, support_loss
from metavad.meta.outer import Initialisation, Plan, SceneGradient, Task

__all__ = ["batched_engine"]

Tensors: TypeAlias = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]
"""A sample as ``vmap`` takes it: features, known, seconds."""


def batched_engine(experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan) -> list[SceneGradient]:
    """Tasks of the same shapes together, the others one by one; the same gradients to rounding.

    Reptile, joint training, separation and recomputation go one by one. Raises :class:`UsageError` where an
    expert's operations depend on its data (a boolean mask as an index, say), which ``vmap`` cannot batch.
    """
    found: dict[int, SceneGradient] = {}
    for places in _alike(tasks):
        group = [tasks[place] for place in places]
        if len(group) == 1 or plan.kind != "adapt" or plan.separation or plan.run != Evaluation():
            outcomes = [scene_gradient(experts, start, task, plan) for task in group]
        else:
            outcomes = _together_or_why_not(experts, start, group, plan)
        found |= zip(places, outcomes, strict=True)
    return [found[place] for place in range(len(tasks))]


def _together_or_why_not(
    experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan
) -> list[SceneGradient]:
    try:
        return together(experts, start, tasks, plan)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise UsageError(
            f"meta.engine=batched: expected experts that vmap can batch, found one that it cannot ({error}); "
            "use meta.engine=torch-func"
        ) from None


def together(experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan) -> list[SceneGradient]:
    """Adapt on S tasks of the same shapes at once: parameters (S, ...), and one loss that sums over scenes."""
    scenes = len(tasks)
    params, free = _repeated(start.params, scenes), _repeated(start.free, scenes)
    support, query = _stacked([task.support for task in tasks]), _stacked([task.query for task in tasks])

    def shown(params: Parameters, clips: Tensors) -> Tensor:
        losses: Tensor = vmap(lambda one, old: plan.run(experts, one, support_loss, Sample(*old)))(params, clips)
        return losses.sum()

    def ask(one: Parameters, new: Tensors, old: Tensors) -> Any:
        return plan.run(experts, one, query_losses, Sample(*new), Sample(*old))

    def asked(params: Parameters) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], vmap(ask)(params, query, support))

    sizes = _aligned(positive(free), start)
    path = inner_path(shown, params, sizes, support, steps=plan.steps, order=plan.order)
    before: dict[str, Tensor] = {}
    terms: list[Tensor] = []
    for taken, (adapted, weight) in enumerate(zip(path, plan.weights, strict=True)):
        if taken == 0 and plan.before:
            with torch.no_grad():
                before = asked(adapted)
        if weight:
            losses = asked(adapted)
            terms.append(weight * torch.stack(list(losses.values())).sum())
    objective = torch.stack(terms).sum()
    return _apart(objective, losses, before, Initialisation(params, free), start, plan)


def _apart(
    objective: Tensor,
    losses: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    repeated: Initialisation,
    start: Initialisation,
    plan: Plan,
) -> list[SceneGradient]:
    leaves = {name: leaf for name, leaf in repeated.leaves().items() if plan.gradient and name in start.leaves()}
    found = torch.autograd.grad(objective, list(leaves.values()), allow_unused=True) if leaves else ()
    whole = {
        name: torch.zeros_like(leaf) if part is None else part
        for (name, leaf), part in zip(leaves.items(), found, strict=True)
    }
    return [
        SceneGradient(
            {name: loss[scene].detach() for name, loss in losses.items()},
            {name: part[scene] for name, part in whole.items()},
            {name: loss[scene] for name, loss in before.items()},
        )
        for scene in range(len(next(iter(losses.values()))))
    ]


def _alike(tasks: Sequence[Task]) -> list[list[int]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for place, task in enumerate(tasks):
        groups[(_shape(task.support), _shape(task.query))].append(place)
    return list(groups.values())


def _shape(sample: Sample) -> tuple[object, ...]:
    return tuple((name, tuple(tensor.shape)) for name, tensor in sorted(sample.features.items()))


def _repeated(tensors: Mapping[str, Tensor], scenes: int) -> Parameters:
    """Each scene's own copy (S, ...), a leaf, so that scenes have gradients of their own."""
    return {
        name: tensor.detach().expand(scenes, *tensor.shape).clone().requires_grad_(tensor.requires_grad)
        for name, tensor in tensors.items()
    }


def _stacked(samples: Sequence[Sample]) -> Tensors:
    first = samples[0]
    return (
        {name: torch.stack([sample.features[name] for sample in samples]) for name in first.features},
        {name: torch.stack([sample.known[name] for sample in samples]) for name in first.known},
        torch.stack([sample.seconds for sample in samples]),
    )


def _aligned(sizes: Mapping[str, Tensor], start: Initialisation) -> Parameters:
    """Step sizes (S, ...) so that they meet parameters (S, ...); a step axis comes first again."""
    aligned = {}
    for name, size in sizes.items():
        axes = start.params[name].ndim
        if size.ndim - 1 > axes:
            aligned[name] = size.movedim(0, 1)
        else:
            aligned[name] = size.reshape(size.shape + (1,) * (axes - size.ndim + 1))
    return aligned
