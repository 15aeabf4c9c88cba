import pytest
import torch
from meta_toys import Foresight, Level, Recurrent, resolve, sampler, toy_config, toy_experts

from metavad.errors import UsageError
from metavad.meta.engines.batched import batched_engine
from metavad.meta.engines.choice import engine_of
from metavad.meta.engines.loop import loop_engine
from metavad.meta.outer import Task, initialise, plan_at

NETS = [(Foresight,), (Level,), (Recurrent,), (Foresight, Level)]


def tasks_of(count=4, **changes):
    episodes = [sampler(**({"shots": (3, 3)} | changes))(number) for number in range(count)]
    return [Task(episode, resolve(episode.support), resolve(episode.query)) for episode in episodes]


@pytest.mark.parametrize("kinds", NETS)
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "meta-sgd", "maml++", "anil"])
def test_all_scenes_at_once_give_the_gradients_of_one_after_the_other(algorithm, steps, kinds):
    settings = toy_config(f"meta.algorithm={algorithm}", f"meta.inner_steps={steps}").meta
    experts = toy_experts(kinds).double()
    start, plan = initialise(experts, settings), plan_at(settings, 30, before=True)
    tasks = tasks_of()
    for one, many in zip(
        loop_engine(experts, start, tasks, plan), batched_engine(experts, start, tasks, plan), strict=True
    ):
        for name, part in one.gradient.items():
            assert float((part - many.gradient[name]).norm()) <= 1e-10 * float(part.norm()) + 1e-15, name
        for losses, others in ((one.losses, many.losses), (one.before, many.before)):
            torch.testing.assert_close(losses, others, rtol=1e-10, atol=1e-12)


def test_scenes_of_other_shapes_go_one_by_one_and_the_order_is_kept():
    settings = toy_config().meta
    experts = toy_experts().double()
    start, plan = initialise(experts, settings), plan_at(settings, 0)
    tasks = tasks_of(6, shots=(1, 3))
    assert len({task.support.clips for task in tasks}) > 1
    for one, many in zip(
        loop_engine(experts, start, tasks, plan), batched_engine(experts, start, tasks, plan), strict=True
    ):
        torch.testing.assert_close(one.losses, many.losses, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("algorithm", ["reptile", "joint"])
def test_what_has_no_inner_graph_goes_one_by_one(algorithm):
    settings = toy_config(f"meta.algorithm={algorithm}").meta
    experts = toy_experts().double()
    start, plan, tasks = initialise(experts, settings), plan_at(settings, 0), tasks_of(2)
    one, many = (engine(experts, start, tasks, plan) for engine in (loop_engine, batched_engine))
    assert all(
        torch.equal(a.gradient[name], b.gradient[name]) for a, b in zip(one, many, strict=True) for name in a.gradient
    )


def test_an_expert_that_cannot_be_batched_is_one_line():
    class Masked(Level):
        name = "masked"

        def condition(self, support):
            kept = support["speed"][support.known["speed"]]
            return {"mean": kept.mean(0)}

    settings = toy_config("meta.engine=batched").meta
    experts = toy_experts((Masked,)).double()
    start, plan = initialise(experts, settings), plan_at(settings, 0)
    with pytest.raises(UsageError, match=r"found one that it cannot .* use meta\.engine=torch-func"):
        engine_of(settings)(experts, start, tasks_of(4), plan)
