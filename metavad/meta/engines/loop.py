"""One scene after the other: the gradient of each one's share of an outer step."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.sample import join
from metavad.meta.evaluate import Evaluation, repeatable
from metavad.meta.inner import inner_loop, inner_path, positive
from metavad.meta.objective import query_losses, separation_losses, support_loss, total
from metavad.meta.outer import Initialisation, Plan, SceneGradient, Task

__all__ = ["gradient_of", "loop_engine", "scene_gradient", "task_gradient"]


def loop_engine(experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan) -> list[SceneGradient]:
    """One task after the other: the memory of one graph at a time."""
    return [scene_gradient(experts, start, task, plan) for task in tasks]


def scene_gradient(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    """The query losses of one task after adapting, and their gradient for all leaves of ``start``."""
    with repeatable(task.episode.number, next(iter(start.params.values())).device):
        return task_gradient(experts, start, task, plan)


def task_gradient(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    """The same in whatever state torch's random generator is."""
    ways = {"adapt": _adapted, "reptile": _reptile, "joint": _joint}
    return ways[plan.kind](experts, start, task, plan)


def query_objective(
    experts: ExpertSet, params: Parameters, task: Task, run: Evaluation, separation: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """What adapted parameters are asked for: low query loss and, weighted, separation; and the losses alone."""
    losses: dict[str, Tensor] = run(experts, params, query_losses, task.query, task.support)
    if not separation or task.abnormal is None:
        return total(losses), losses
    apart = run(experts, params, separation_losses, task.query, task.abnormal, task.support)
    return total(losses) + separation * total(apart), losses


def gradient_of(objective: Tensor, leaves: Parameters) -> Parameters:
    """Gradient by name, zero where the objective does not reach."""
    if not leaves:
        return {}
    found = torch.autograd.grad(objective, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }


def _adapted(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    path = inner_path(
        lambda params, support: plan.run(experts, params, support_loss, support),
        start.params,
        positive(start.free),
        task.support,
        steps=plan.steps,
        order=plan.order,
    )
    before: dict[str, Tensor] = {}
    terms: list[Tensor] = []
    for taken, (params, weight) in enumerate(zip(path, plan.weights, strict=True)):
        if taken == 0 and plan.before:
            with torch.no_grad():
                before = query_objective(experts, params, task, plan.run)[1]
        if weight:
            objective, losses = query_objective(experts, params, task, plan.run, plan.separation)
            terms.append(objective if weight == 1.0 else weight * objective)
    leaves = start.leaves() if plan.gradient else {}
    gradient = gradient_of(torch.stack(terms).sum() if len(terms) > 1 else terms[0], leaves)
    return SceneGradient(_detached(losses), gradient, before)


def _joint(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    with torch.no_grad():
        losses = query_objective(experts, start.params, task, plan.run)[1]
    if not plan.gradient:
        return SceneGradient(losses, {}, losses)
    objective = plan.run(experts, start.params, support_loss, join([task.support, task.query]))
    return SceneGradient(losses, gradient_of(objective, start.leaves()), losses)


def _reptile(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    """The way back from where the inner steps on all clips led, as a gradient."""
    adapted = inner_loop(
        lambda params, support: plan.run(experts, params, support_loss, support),
        start.params,
        positive(start.free),
        join([task.support, task.query]) if plan.gradient else task.support,
        steps=plan.steps,
        order=1,
    )
    with torch.no_grad():
        way = {f"params/{name}": tensor - adapted[name] for name, tensor in start.params.items()}
        before = query_objective(experts, start.params, task, plan.run)[1] if plan.before else {}
        losses = query_objective(experts, adapted, task, plan.run)[1]
    return SceneGradient(losses, way if plan.gradient else {}, before)


def _detached(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: loss.detach() for name, loss in losses.items()}
