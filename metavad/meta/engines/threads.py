"""The scenes and experts of an outer step on several cores: a thread for each, the same bits as one by one."""

import copy
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakSet

import torch

from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.meta.engines.loop import loop_engine, task_gradient
from metavad.meta.outer import Initialisation, Plan, SceneGradient, Task
from metavad.threads import one_thread, workers

__all__ = ["threaded_engine"]

_DRAW: WeakSet[ExpertSet] = WeakSet()
"""Experts that were seen to draw random numbers: torch has one generator for all threads."""


@one_thread()
def threaded_engine(
    experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan
) -> list[SceneGradient]:
    """Each expert on each scene by itself, in as many threads at most as torch's caller allowed it.

    Operations on small frames gain little from a second thread inside, and autograd holds no lock. Experts have
    parameters of their own, so the gradient of one does not need the others' graphs, which also saves memory.
    The results do not depend on the number of threads. Experts that draw random numbers go scene by scene, in the
    episode's own randomness.
    """
    threads = workers()
    if _is_alone(experts, tasks, plan, threads):
        return loop_engine(experts, start, tasks, plan)
    before = torch.get_rng_state()
    found = _shared_out(experts, start, tasks, plan, threads)
    if not torch.equal(before, torch.get_rng_state()):
        torch.set_rng_state(before)
        _DRAW.add(experts)
        return loop_engine(experts, start, tasks, plan)
    names = [name for name, _ in experts.each()]
    return [_merged([found[place][name] for name in names], start, plan) for place in range(len(tasks))]


def _is_alone(experts: ExpertSet, tasks: Sequence[Task], plan: Plan, threads: int) -> bool:
    """Whether there is nothing to share out, or it cannot be."""
    every = [tensor for _, tensor in experts.named_parameters(remove_duplicate=False)]
    tied = len({id(tensor) for tensor in every}) < len(every)
    elsewhere = any(task.support.seconds.device.type != "cpu" for task in tasks)
    return threads < 2 or len(tasks) * len(experts) < 2 or tied or elsewhere or experts in _DRAW


def _shared_out(
    experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan, threads: int
) -> list[dict[str, SceneGradient]]:
    """For each task, each expert's outcome. Every thread has modules of its own, whose parameters are replaced."""
    own = threading.local()

    def begin() -> None:
        own.experts = {name: ExpertSet([copy.deepcopy(expert)]) for name, expert in experts.each()}

    def work(name: str, task: Task) -> SceneGradient:
        return task_gradient(own.experts[name], _part(start, name), task, plan)

    with ThreadPoolExecutor(min(threads, len(tasks) * len(experts)), initializer=begin) as pool:
        pending = {name: [pool.submit(work, name, task) for task in tasks] for name in _largest_first(experts)}
        done = {name: [future.result() for future in futures] for name, futures in pending.items()}
    return [{name: found[place] for name, found in done.items()} for place in range(len(tasks))]


def _largest_first(experts: ExpertSet) -> list[str]:
    """So that no thread begins the longest work last."""
    sizes = {name: sum(part.numel() for part in expert.parameters()) for name, expert in experts.each()}
    return sorted(sizes, key=lambda name: -sizes[name])


def _part(start: Initialisation, name: str) -> Initialisation:
    """What belongs to one expert; the same tensors."""
    return Initialisation(_of(start.params, name), _of(start.free, name))


def _of(tensors: Parameters, name: str) -> Parameters:
    return {key: tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}


def _merged(parts: Sequence[SceneGradient], start: Initialisation, plan: Plan) -> SceneGradient:
    gradient = {name: tensor for part in parts for name, tensor in part.gradient.items()}
    order = [name for name in start.leaves() if name in gradient] if plan.gradient else []
    return SceneGradient(
        {name: loss for part in parts for name, loss in part.losses.items()},
        {name: gradient[name] for name in order},
        {name: loss for part in parts for name, loss in part.before.items()},
    )
