import pytest
import torch
from meta_toys import Foresight, Level, resolve, sampler, toy_config, toy_experts

from metavad.experts.set import under
from metavad.meta.control import STEP_SIZES, choose_step_sizes, joint_train
from metavad.meta.inner import inner_loop
from metavad.meta.objective import query_losses, support_loss


def params_of(experts):
    return {name: tensor.detach().clone() for name, tensor in experts.named_parameters()}


def fine_tuned(experts, params, size, steps, count):
    """Oracle: plain SGD on each episode's support, mean query losses."""
    found = {name: 0.0 for name, _ in experts.each()}
    for number in range(count):
        episode = sampler()(number)
        support, query = resolve(episode.support), resolve(episode.query)
        tuned = {name: tensor.clone() for name, tensor in params.items()}
        for _ in range(steps):
            leaves = {name: tensor.requires_grad_() for name, tensor in tuned.items()}
            gradients = torch.autograd.grad(under(experts, leaves, support_loss, support), list(leaves.values()))
            pairs = zip(leaves.items(), gradients, strict=True)
            tuned = {name: (tensor - size * gradient).detach() for (name, tensor), gradient in pairs}
        with torch.no_grad():
            for name, loss in under(experts, tuned, query_losses, query, support).items():
                found[name] += loss.item() / count
    return found


def test_the_chosen_step_size_is_the_best_of_the_grid_for_each_expert():
    experts = toy_experts().double()
    params, grid = params_of(experts), (1e-3, 1e-2, 1e-1)
    chosen = choose_step_sizes(experts, params, sampler(), resolve, steps=2, count=3, grid=grid)
    losses = {size: fine_tuned(experts, params, size, 2, 3) for size in grid}
    assert chosen.keys() == params.keys()
    for name, size in chosen.items():
        expert = name.partition(".")[0]
        best = min(grid, key=lambda size, expert=expert: losses[size][expert])
        assert size.item() == pytest.approx(best)
        assert size.shape == ()


def test_only_the_named_parameters_are_fine_tuned_and_the_size_is_chosen_for_them():
    experts = toy_experts([Foresight]).double()
    params, grid = params_of(experts), (1e-4, 1.0, 30.0)
    names = ("foresight.leave.bias",)
    chosen = choose_step_sizes(experts, params, sampler(), resolve, steps=2, count=3, grid=grid, names=names)
    assert tuple(chosen) == names
    losses = {}
    for size in grid:
        losses[size] = 0.0
        for number in range(3):
            support, query = resolve(sampler()(number).support), resolve(sampler()(number).query)
            tuned = {name: tensor.clone() for name, tensor in params.items()}
            for _ in range(2):
                leaf = tuned[names[0]].requires_grad_()
                (slope,) = torch.autograd.grad(under(experts, tuned, support_loss, support), [leaf])
                tuned[names[0]] = (leaf - size * slope).detach()
            losses[size] += under(experts, tuned, query_losses, query, support)["foresight"].item()
    assert chosen[names[0]].item() == pytest.approx(min(losses, key=losses.get))


def test_a_step_size_that_diverges_loses():
    experts = toy_experts([Foresight]).double()
    chosen = choose_step_sizes(experts, params_of(experts), sampler(), resolve, steps=6, count=2, grid=(1e300, 1e-3))
    assert all(size.item() == pytest.approx(1e-3) for size in chosen.values())


def test_what_is_chosen_goes_into_the_inner_loop():
    experts = toy_experts([Level]).double()
    params = params_of(experts)
    sizes = choose_step_sizes(experts, params, sampler(), resolve, steps=1, count=2)
    assert min(abs(next(iter(sizes.values())).item() - size) for size in STEP_SIZES) < 1e-9
    support = resolve(sampler()(0).support)
    tuned = inner_loop(
        lambda params, shown: under(experts, params, support_loss, shown), params, sizes, support, steps=1, order=1
    )
    before, after = (under(experts, these, support_loss, support).item() for these in (params, tuned))
    assert after < before


def test_the_control_trains_jointly_for_its_own_number_of_steps():
    config = toy_config("meta.control_steps=4", "meta.outer_steps=9")
    steps = [*joint_train(toy_experts(), sampler(), resolve, config, seed=3)]
    assert len(steps) == 4
    assert all(scene.after == scene.before for step in steps for scene in step.scenes)
    assert steps[-1].state().settings["meta"]["algorithm"] == "joint"
    second = next(step for step in joint_train(toy_experts(), sampler(), resolve, config, seed=3) if step.step == 2)
    resumed = [*joint_train(toy_experts(), sampler(), resolve, config, seed=3, resume=second.state())]
    assert torch.equal(resumed[-1].state().params["level.prior"], steps[-1].state().params["level.prior"])
