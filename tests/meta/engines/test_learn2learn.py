import sys
from importlib.util import find_spec

import pytest
import torch
from meta_toys import Foresight, Level, Recurrent, resolve, sampler, toy_config, toy_experts

from metavad.errors import UsageError
from metavad.meta.control import joint_train
from metavad.meta.engines.learn2learn import learn2learn_engine
from metavad.meta.engines.loop import loop_engine
from metavad.meta.outer import Task, initialise, plan_at
from metavad.meta.train import meta_train

installed = find_spec("learn2learn") is not None
needs_it = pytest.mark.skipif(not installed, reason="pip install --no-deps -r requirements-learn2learn.txt")
NETS = [(Foresight,), (Level,), (Recurrent,)]


def both(kinds, *overrides):
    settings = toy_config(*overrides).meta
    experts = toy_experts(kinds).double()
    start, plan = initialise(experts, settings), plan_at(settings, 30, before=True)
    episodes = [sampler(shots=(3, 3))(number) for number in range(3)]
    tasks = [Task(episode, resolve(episode.support), resolve(episode.query)) for episode in episodes]
    return loop_engine(experts, start, tasks, plan), learn2learn_engine(experts, start, tasks, plan)


@needs_it
@pytest.mark.parametrize("kinds", NETS)
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sizes", ["fixed", "tensor", "element", "step"])
def test_meta_gradients_agree_to_the_last_bit(sizes, order, steps, kinds):
    """float64, three nets: ``fixed`` is its MAML, the others its MetaSGD."""
    ours, theirs = both(kinds, f"meta.step_sizes={sizes}", f"meta.order={order}", f"meta.inner_steps={steps}")
    for one, other in zip(ours, theirs, strict=True):
        assert one.gradient.keys() == other.gradient.keys()
        assert all(torch.equal(part, other.gradient[name]) for name, part in one.gradient.items())
        assert all(torch.equal(loss, other.losses[name]) for name, loss in one.losses.items())
        assert all(torch.equal(loss, other.before[name]) for name, loss in one.before.items())


@needs_it
@pytest.mark.parametrize("algorithm", ["maml++", "anil"])
def test_algorithms_that_it_does_not_have_agree_through_its_meta_sgd(algorithm):
    """Sizes by step are set before each step; what does not adapt has the size zero."""
    ours, theirs = both((Foresight, Level), f"meta.algorithm={algorithm}", "meta.inner_steps=2")
    for one, other in zip(ours, theirs, strict=True):
        for name, part in one.gradient.items():
            torch.testing.assert_close(part, other.gradient[name], rtol=1e-11, atol=1e-15)


@needs_it
@pytest.mark.parametrize("sizes", ["fixed", "tensor"])
def test_a_parameter_that_the_support_loss_does_not_use_stays(sizes):
    """A bug once: MetaSGD stopped with an error of autograd."""

    class Spare(Level):
        name = "spare"

        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.ones(3))

    ours, theirs = both((Spare,), f"meta.step_sizes={sizes}", "meta.inner_steps=2")
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(part, other.gradient[name]) for name, part in one.gradient.items())


@needs_it
def test_whole_runs_of_both_engines_end_with_the_same_bits():
    runs = [
        [*meta_train(toy_experts().double(), sampler(), resolve, toy_config(f"meta.engine={engine}"))][-1].state()
        for engine in ("torch-func", "learn2learn")
    ]
    assert all(torch.equal(runs[0].params[name], runs[1].params[name]) for name in runs[0].params)


@needs_it
@pytest.mark.parametrize("algorithm", ["reptile", "joint"])
def test_what_has_no_inner_loop_is_refused(algorithm):
    with pytest.raises(UsageError, match=r"use meta\.engine=torch-func"):
        both((Level,), f"meta.algorithm={algorithm}")


@needs_it
def test_the_control_of_a_run_is_the_default_engine_s():
    settings = toy_config("meta.engine=learn2learn", "meta.control_steps=1")
    assert len(list(joint_train(toy_experts(), sampler(), resolve, settings))) == 1


@needs_it
@pytest.mark.parametrize("setting", ["meta.precision=bfloat16", "meta.recompute=true"])
def test_settings_that_it_would_ignore_are_refused(setting):
    with pytest.raises(UsageError, match=r"expected meta\.precision=float32 and no meta\.recompute"):
        both((Level,), setting)


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(sys.modules["metavad.meta.engines.learn2learn"], "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install --no-deps -r requirements-learn2learn.txt"):
        both((Level,), "meta.step_sizes=fixed")
