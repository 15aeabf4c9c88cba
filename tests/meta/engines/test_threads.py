import pytest
import torch
from meta_toys import Foresight, Level, Recurrent, resolve, sampler, toy_config, toy_experts

from metavad.meta.engines.choice import engine_of
from metavad.meta.engines.loop import loop_engine
from metavad.meta.engines.threads import threaded_engine
from metavad.meta.outer import Task, initialise, plan_at


class Noisy(Level):
    """A loss with randomness of its own."""

    name = "noisy"

    def loss(self, sample, memory):
        return super().loss(sample, memory) * (1 + torch.rand(()))


def tasks_of(count):
    episodes = [sampler(shots=(1, 3))(number) for number in range(count)]
    return [Task(each, *(resolve(clips) for clips in (each.support, each.query, each.abnormal))) for each in episodes]


def both(kinds, *overrides, threads=2, count=3):
    """The loop's outcomes on one thread, and those of several."""
    settings = toy_config(*overrides).meta
    experts = toy_experts(kinds).double()
    start, plan, tasks = initialise(experts, settings), plan_at(settings, 30, before=True), tasks_of(count)
    torch.set_num_threads(1)
    alone = loop_engine(experts, start, tasks, plan)
    torch.set_num_threads(threads)
    shared = threaded_engine(experts, start, tasks, plan)
    assert torch.get_num_threads() == threads
    return alone, shared


def assert_same_bits(alone, shared):
    for one, other in zip(alone, shared, strict=True):
        assert list(one.gradient) == list(other.gradient)
        assert list(one.losses) == list(other.losses)
        for part in ("gradient", "losses", "before"):
            assert all(torch.equal(tensor, getattr(other, part)[name]) for name, tensor in getattr(one, part).items())


@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "meta-sgd", "maml++", "anil", "reptile", "joint"])
def test_threads_give_the_bits_of_one_scene_after_the_other(algorithm, threads):
    assert_same_bits(*both((Foresight, Level, Recurrent), f"meta.algorithm={algorithm}", threads=threads))


def test_so_they_do_with_separation_and_on_a_single_scene():
    assert_same_bits(*both((Foresight, Level), "meta.separation=0.5"))
    assert_same_bits(*both((Foresight, Level), count=1))


def test_experts_that_draw_random_numbers_go_in_the_randomness_of_their_episode():
    before = torch.get_rng_state()
    assert_same_bits(*both((Noisy, Foresight)))
    assert torch.equal(before, torch.get_rng_state())


def test_a_failure_in_a_thread_is_the_callers_and_threads_are_given_back():
    class Broken(Level):
        name = "broken"

        def loss(self, sample, memory):
            raise ValueError("broken on purpose")

    settings = toy_config().meta
    experts = toy_experts((Broken, Foresight)).double()
    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="on purpose"):
        threaded_engine(experts, initialise(experts, settings), tasks_of(2), plan_at(settings, 0))
    assert torch.get_num_threads() == 2


def test_it_is_the_default_engine():
    assert engine_of(toy_config().meta) is threaded_engine
