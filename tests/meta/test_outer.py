from dataclasses import replace

import pytest
import torch
from meta_toys import Foresight, Level, Recurrent, resolve, sampler, toy_config, toy_experts

from metavad.errors import ConfigError
from metavad.experts.set import under
from metavad.features.sample import join
from metavad.meta.engines.loop import loop_engine, scene_gradient
from metavad.meta.inner import inner_loop
from metavad.meta.objective import clip_scores, query_losses, support_loss, total
from metavad.meta.outer import ALGORITHMS, Task, initialise, plan_at


def setting(*overrides, kinds=(Foresight, Level), number=0, step=0, **plan):
    settings = toy_config(*overrides).meta
    experts = toy_experts(kinds).double()
    episode = sampler(shots=(3, 3))(number)
    task = Task(episode, resolve(episode.support), resolve(episode.query))
    return experts, initialise(experts, settings), task, plan_at(settings, step, **plan)


def finite_difference(value, tensor, index, width=1e-5):
    with torch.no_grad():
        flat, kept = tensor.view(-1), float(tensor.view(-1)[index])
        flat[index] = kept + width
        above = value()
        flat[index] = kept - width
        below = value()
        flat[index] = kept
    return (above - below) / (2 * width)


@pytest.mark.parametrize("kinds", [(Foresight,), (Level,), (Recurrent,), (Foresight, Level)])
@pytest.mark.parametrize("algorithm", ["maml", "meta-sgd", "maml++", "anil"])
def test_meta_gradients_are_those_of_finite_differences(algorithm, kinds):
    """Of the whole objective, for parameters and for free step sizes, in float64."""
    experts, start, task, plan = setting(
        f"meta.algorithm={algorithm}", "meta.inner_steps=2", kinds=kinds, step=30 if algorithm == "maml++" else 0
    )
    found = scene_gradient(experts, start, task, plan).gradient

    def value():
        outcome = {
            kept: float(torch.stack(list(scene_gradient(experts, start, task, single).losses.values())).sum())
            for kept, single in at_each_step(plan)
        }
        return sum(weight * outcome[taken] for taken, weight in enumerate(plan.weights) if weight)

    for name, leaf in list(start.leaves().items())[::3]:
        expected = finite_difference(value, leaf, leaf.numel() // 2)
        assert float(found[name].view(-1)[leaf.numel() // 2]) == pytest.approx(expected, rel=2e-5, abs=2e-8), name


def at_each_step(plan):
    """The plan cut after each number of inner steps whose query loss counts; only losses."""
    from dataclasses import replace

    for taken, weight in enumerate(plan.weights):
        if weight:
            yield taken, replace(plan, steps=taken, weights=(*[0.0] * taken, 1.0), gradient=False)


def test_first_order_maml_is_the_query_gradient_at_the_adapted_point():
    experts, start, task, plan = setting("meta.algorithm=fomaml", "meta.inner_steps=2", "meta.step_sizes=fixed")
    found = scene_gradient(experts, start, task, plan).gradient
    params = {name: tensor.detach().clone().requires_grad_() for name, tensor in start.params.items()}
    sizes = start.step_sizes
    for _ in range(2):
        loss = under(experts, params, support_loss, task.support)
        gradients = torch.autograd.grad(loss, list(params.values()))
        params = {
            name: (tensor - sizes[name] * gradient).detach().requires_grad_()
            for (name, tensor), gradient in zip(params.items(), gradients, strict=True)
        }
    query = total(under(experts, params, query_losses, task.query, task.support))
    for name, gradient in zip(params, torch.autograd.grad(query, list(params.values())), strict=True):
        torch.testing.assert_close(found[f"params/{name}"], gradient, rtol=1e-12, atol=1e-14)


def test_reptile_goes_where_the_inner_steps_on_all_clips_lead():
    experts, start, task, plan = setting("meta.algorithm=reptile", "meta.inner_steps=1")
    found = scene_gradient(experts, start, task, plan).gradient
    pooled = join([task.support, task.query])
    loss = under(experts, start.params, support_loss, pooled)
    gradients = torch.autograd.grad(loss, list(start.params.values()))
    for (name, size), gradient in zip(start.step_sizes.items(), gradients, strict=True):
        torch.testing.assert_close(found[f"params/{name}"], size * gradient, rtol=1e-9, atol=1e-14)


def test_joint_training_descends_the_pooled_loss_without_an_inner_loop():
    experts, start, task, plan = setting("meta.algorithm=joint")
    outcome = scene_gradient(experts, start, task, plan)
    loss = under(experts, start.params, support_loss, join([task.support, task.query]))
    for name, gradient in zip(start.params, torch.autograd.grad(loss, list(start.params.values())), strict=True):
        assert torch.equal(outcome.gradient[f"params/{name}"], gradient)
    assert outcome.losses == outcome.before


def test_anil_adapts_the_last_layer_of_each_expert_or_what_the_settings_name():
    experts = toy_experts()
    heads = initialise(experts, toy_config("meta.algorithm=anil").meta)
    assert set(heads.free) == {
        "foresight.leave.weight", "foresight.leave.bias", "level.net.2.weight", "level.net.2.bias",
    }  # fmt: skip
    assert set(heads.params) == {name for name, _ in experts.named_parameters()}
    named = initialise(experts, toy_config("meta.algorithm=anil", 'meta.adapts=["level.*"]').meta)
    assert set(named.free) == {name for name, _ in experts.named_parameters() if name.startswith("level.")}


@pytest.mark.parametrize(
    ("algorithm", "sizes", "shape", "learned"),
    [
        ("maml", "auto", (), True),
        ("maml", "fixed", (), False),
        ("meta-sgd", "auto", (4, 1, 3, 3), True),
        ("meta-sgd", "tensor", (), True),
        ("maml++", "auto", (2, 1, 1, 1, 1), True),
        ("reptile", "auto", (), False),
        ("joint", "auto", (), False),
    ],
)
def test_step_sizes_have_the_shape_of_their_algorithm_and_start_as_set(algorithm, sizes, shape, learned):
    settings = toy_config(f"meta.algorithm={algorithm}", f"meta.step_sizes={sizes}", "meta.inner_steps=2").meta
    start = initialise(toy_experts().double(), settings)
    size = start.step_sizes["foresight.enter.weight"]
    assert tuple(size.shape) == shape
    torch.testing.assert_close(size, torch.full_like(size, settings.step_size))
    assert start.free["foresight.enter.weight"].requires_grad == learned
    assert any(name.startswith("free/") for name in start.leaves()) == learned


def test_mamlplusplus_moves_from_all_inner_steps_to_the_last():
    settings = toy_config("meta.algorithm=maml++", "meta.inner_steps=4", "meta.multi_step_steps=10").meta
    weights = [plan_at(settings, step).weights for step in (0, 5, 10, 50)]
    assert weights[0] == (0.0, 0.25, 0.25, 0.25, 0.25)
    assert weights[1] == pytest.approx((0.0, 0.125, 0.125, 0.125, 0.625))
    assert weights[2] == weights[3] == (0.0, 0.0, 0.0, 0.0, 1.0)


def test_a_share_of_what_is_learned_is_the_loss_before_any_inner_step():
    settings = toy_config("meta.zero_shot=0.25").meta
    assert plan_at(settings, 0).weights == (0.25, 0.75)
    experts, start, task, plain = setting("meta.separation=0")
    none = replace(plain, weights=(1.0, 0.0))
    gradients = [
        scene_gradient(experts, start, task, plan).gradient
        for plan in (plain, none, replace(plain, weights=plan_at(settings, 0).weights))
    ]
    for name, after in gradients[0].items():
        torch.testing.assert_close(gradients[2][name], 0.75 * after + 0.25 * gradients[1][name])
    assert not any(tensor.any() for name, tensor in gradients[1].items() if name.startswith("free/"))


def test_the_order_is_annealed_from_first_to_second():
    settings = toy_config("meta.first_order_steps=3").meta
    assert [plan_at(settings, step).order for step in range(5)] == [1, 1, 1, 2, 2]
    assert plan_at(toy_config("meta.order=1").meta, 9).order == 1
    assert plan_at(toy_config("meta.algorithm=fomaml").meta, 9).order == 1


def test_first_and_second_order_differ_and_annealing_chooses_between_them():
    experts, start, task, second = setting("meta.first_order_steps=1", step=1)
    first = plan_at(toy_config("meta.first_order_steps=1").meta, 0)
    gradients = [scene_gradient(experts, start, task, plan).gradient for plan in (first, second)]
    assert any(not torch.allclose(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_the_loss_before_adapting_is_measured_where_asked_for():
    experts, start, task, plan = setting(before=True)
    outcome = loop_engine(experts, start, [task], plan)[0]
    expected = under(experts, start.params, query_losses, task.query, task.support)
    torch.testing.assert_close(outcome.before, {name: loss.detach() for name, loss in expected.items()})
    assert loop_engine(experts, start, [task], plan_at(toy_config().meta, 0))[0].before == {}


def test_separation_adds_the_slope_of_ranking_after_adapting():
    """Finite differences of query loss plus ranking at the adapted point; the unit of scores is held constant."""
    experts, start, _, plan = setting("meta.separation=0.5")
    episode = sampler(shots=(3, 3))(0)
    support, query, abnormal = (resolve(clips) for clips in (episode.support, episode.query, episode.abnormal))
    found = scene_gradient(experts, start, Task(episode, support, query, abnormal), plan).gradient
    without = scene_gradient(experts, start, Task(episode, support, query), plan).gradient
    assert any(not torch.allclose(found[name], without[name]) for name in found)

    units = {}

    def ranking(scores):
        terms = []
        for name in scores:
            low, high = (clip_scores(part) for part in scores[name])
            spread = units.setdefault(name, torch.cat([low, high]).std(correction=0))
            terms.append(torch.nn.functional.softplus((low[:, None] - high) / spread).mean())
        return torch.stack(terms).sum()

    def value():
        params = {name: tensor.detach() for name, tensor in start.params.items()}
        adapted = inner_loop(
            lambda these, shown: under(experts, these, support_loss, shown),
            params, start.step_sizes, support, steps=plan.steps, order=1,
        )  # fmt: skip
        losses = under(experts, adapted, query_losses, query, support)
        memory = under(experts, adapted, type(experts).condition, support)
        maps = [under(experts, adapted, type(experts).score, sample, memory) for sample in (query, abnormal)]
        scores = {name: [each[name] for each in maps] for name in losses}
        return float((total(losses) + 0.5 * ranking(scores)).detach())

    value()
    for name, leaf in list(start.leaves().items())[::3]:
        expected = finite_difference(value, leaf, leaf.numel() // 2)
        assert float(found[name].view(-1)[leaf.numel() // 2]) == pytest.approx(expected, rel=2e-5, abs=2e-8), name


def test_every_algorithm_says_where_it_comes_from():
    for name, algorithm in ALGORITHMS.items():
        assert algorithm.name == name
        assert algorithm.summary
        assert algorithm.equation
        assert "https://" in algorithm.paper or name == "joint"


def test_an_unknown_algorithm_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="'mamel'; did you mean 'maml'"):
        initialise(toy_experts(), toy_config("meta.algorithm=mamel").meta)


def test_recomputing_activations_gives_the_same_meta_gradient():
    for order in (1, 2):
        experts, start, task, plain = setting(f"meta.order={order}")
        *_, saving = setting(f"meta.order={order}", "meta.recompute=true")
        one, two = (scene_gradient(experts, start, task, plan).gradient for plan in (plain, saving))
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=1e-12, atol=1e-15)


def test_bfloat16_is_near_float32_and_keeps_the_parameters_type():
    settings = toy_config("meta.precision=bfloat16").meta
    experts = toy_experts()
    start = initialise(experts, settings)
    episode = sampler(shots=(3, 3))(0)
    task = Task(episode, resolve(episode.support, torch.float32), resolve(episode.query, torch.float32))
    rough = scene_gradient(experts, start, task, plan_at(settings, 0))
    fine = scene_gradient(experts, start, task, plan_at(toy_config().meta, 0))
    assert {part.dtype for part in rough.gradient.values()} == {torch.float32}
    exact, near = (torch.cat([part.flatten() for part in one.gradient.values()]) for one in (fine, rough))
    assert not torch.equal(exact, near)
    assert float((exact - near).norm() / exact.norm()) < 0.1


def test_random_experts_are_a_function_of_the_episode():
    """Dropout draws the same for the same episode, and the global generator is as before."""

    class Noisy(Level):
        name = "noisy"

        def loss(self, sample, memory):
            return super().loss(sample, memory) * torch.rand(())

    experts, start, task, plan = setting(kinds=(Noisy,))
    before = torch.random.get_rng_state()
    one, two = (scene_gradient(experts, start, task, plan).losses["noisy"] for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(before, torch.random.get_rng_state())
