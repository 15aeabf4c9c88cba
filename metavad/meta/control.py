"""The control that MAML must beat: one model trained jointly, fine-tuned with a step size of its own."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from metavad.config import Config
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.meta.checkpoint import TrainingState
from metavad.meta.distributed import Group
from metavad.meta.engines.loop import scene_gradient
from metavad.meta.inner import free_of
from metavad.meta.outer import Initialisation, Plan, Task
from metavad.meta.train import Episodes, MetaStep, Resolve, meta_train
from metavad.progress import SILENT, Progress, along

__all__ = ["STEP_SIZES", "choose_step_sizes", "joint_train"]

STEP_SIZES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""From which the control's step size is chosen."""


class Options(TypedDict, total=False):
    """Passed on to :func:`meta_train`."""

    validation: Episodes | None
    resume: TrainingState | None
    seed: int
    device: torch.device | str
    group: Group


def joint_train(
    experts: ExpertSet, episodes: Episodes, resolve: Resolve, config: Config, **options: Unpack[Options]
) -> Iterator[MetaStep]:
    """Train one model for all scenes on the clips of the same episodes, ``meta.control_steps`` long.

    learn2learn has nothing for that: the default engine computes it.
    """
    change: dict[str, Any] = {"algorithm": "joint", "outer_steps": config.meta.control_steps, "separation": 0.0}
    if config.meta.engine == "learn2learn":
        change["engine"] = "torch-func"
    control = config.model_copy(update={"meta": config.meta.model_copy(update=change)})
    return meta_train(experts, episodes, resolve, control, **options)


def choose_step_sizes(
    experts: ExpertSet,
    params: Parameters,
    episodes: Episodes,
    resolve: Resolve,
    *,
    steps: int,
    count: int = 8,
    grid: Sequence[float] = STEP_SIZES,
    names: Sequence[str] | None = None,
    progress: Progress = SILENT,
) -> Parameters:
    """For each expert, the step size of the grid with the lowest query loss after fine-tuning.

    Measured on the first ``count`` episodes of meta-training scenes, never on a target. Gives a scalar for each of
    the parameters ``names`` (all that may adapt), as :func:`metavad.meta.inner.inner_loop` takes them: only those are
    fine-tuned, so that the control changes what adaptation changes. A size that diverges loses.
    """
    tuned = experts.adaptable if names is None else tuple(names)
    tasks = [_task(episodes, resolve, number, params) for number in range(count)]
    sizes = along(progress, "Step sizes of the control", grid)
    losses = {size: _fine_tuned(experts, params, tasks, size, steps, tuned) for size in sizes}
    best = {name: min(grid, key=lambda size: losses[size][name]) for name, _ in experts.each()}
    return {name: params[name].new_tensor(best[name.partition(".")[0]]) for name in tuned}


def _task(episodes: Episodes, resolve: Resolve, number: int, params: Parameters) -> Task:
    like, episode = next(iter(params.values())), episodes(number)
    support, query = (resolve(clips).to(like.device, like.dtype) for clips in (episode.support, episode.query))
    return Task(episode, support, query)


def _fine_tuned(
    experts: ExpertSet, params: Parameters, tasks: Sequence[Task], size: float, steps: int, names: Sequence[str]
) -> Mapping[str, float]:
    """Each expert's mean query loss; infinite where it is not finite."""
    free = {name: params[name].new_tensor(free_of(size)) for name in names}
    start = Initialisation(params, free)
    plan = Plan("adapt", steps, 1, (*(0.0 for _ in range(steps)), 1.0), gradient=False)
    found = [scene_gradient(experts, start, task, plan).losses for task in tasks]
    return {name: _mean([losses[name] for losses in found]) for name in found[0]}


def _mean(losses: Sequence[Tensor]) -> float:
    mean = float(torch.stack(list(losses)).mean())
    return mean if math.isfinite(mean) else math.inf
