import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from meta_toys import resolve, sampler, toy_experts
from torch.func import functional_call

from metavad.errors import ConfigError
from metavad.experts.set import under
from metavad.meta.inner import adapting, free_of, inner_loop, inner_path, positive
from metavad.meta.objective import support_loss

CURVATURE = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=torch.float64)


def bowl(params, centre):
    away = params["p"] - centre
    return 0.5 * away @ CURVATURE @ away


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_on_a_quadratic_the_adapted_point_is_the_closed_form(steps):
    start, centre = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.tensor([0.5, 0.5], dtype=torch.float64)
    size = torch.tensor(0.1, dtype=torch.float64)
    adapted = inner_loop(bowl, {"p": start}, {"p": size}, centre, steps=steps, order=1)["p"]
    shrink = torch.linalg.matrix_power(torch.eye(2, dtype=torch.float64) - size * CURVATURE, steps)
    torch.testing.assert_close(adapted, centre + shrink @ (start - centre), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("order", "steps"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_on_a_quadratic_the_meta_gradient_is_the_closed_form(order, steps):
    """Second order carries the factor (I - a A)^steps, first order does not."""
    start = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    seen, new = torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([-1.0, 0.0], dtype=torch.float64)
    size = torch.tensor(0.1, dtype=torch.float64)
    adapted = inner_loop(bowl, {"p": start}, {"p": size}, seen, steps=steps, order=order)
    (found,) = torch.autograd.grad(bowl(adapted, new), start)
    shrink = torch.linalg.matrix_power(torch.eye(2, dtype=torch.float64) - size * CURVATURE, steps)
    query = CURVATURE @ (seen + shrink @ (start.detach() - seen) - new)
    torch.testing.assert_close(found, shrink @ query if order == 2 else query, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("order", [1, 2])
def test_the_step_size_gets_the_closed_form_gradient(order):
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    seen, new = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    size = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    adapted = inner_loop(bowl, {"p": start}, {"p": size}, seen, steps=1, order=order)
    (found,) = torch.autograd.grad(bowl(adapted, new), size)
    expected = -(CURVATURE @ (start - seen)) @ (CURVATURE @ (adapted["p"].detach() - new))
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 3])
def test_second_order_passes_gradcheck_on_experts(steps):
    """torch.autograd.gradcheck: finite differences of the query loss after adapting, all parameters and sizes."""
    experts = toy_experts().double()
    episode = sampler(shots=(3, 3))(0)
    support, query = resolve(episode.support), resolve(episode.query)
    names = [name for name, _ in experts.named_parameters()]

    def query_loss(size, *tensors):
        params = dict(zip(names, tensors, strict=True))
        adapted = inner_loop(
            lambda params, shown: under(experts, params, support_loss, shown),
            params, dict.fromkeys(names, size), support, steps=steps, order=2,
        )  # fmt: skip
        return under(experts, adapted, lambda these: these.loss(query, these.condition(support)))

    tensors = [tensor.detach().clone().requires_grad_() for tensor in experts.parameters()]
    size = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(query_loss, (size, *tensors), atol=1e-6, fast_mode=True)


def test_nothing_is_changed_and_the_same_answer_comes_twice():
    experts = toy_experts()
    params = {name: tensor.detach().clone() for name, tensor in experts.named_parameters()}
    kept = {name: tensor.clone() for name, tensor in params.items()}
    sizes = {name: torch.tensor(0.05) for name in params}
    support = resolve(sampler()(0).support, torch.float32)

    def loss(params, shown):
        return under(experts, params, support_loss, shown)

    one, two = (inner_loop(loss, params, sizes, support, steps=2, order=1) for _ in range(2))
    assert all(torch.equal(params[name], kept[name]) and not params[name].requires_grad for name in params)
    assert all(torch.equal(one[name], two[name]) for name in params)
    assert any(not torch.equal(one[name], params[name]) for name in params)


def test_first_order_without_wish_for_gradients_is_the_training_loop():
    """Adaptation at test time, on plain tensors, gives the bits of first-order training.

    Second-order training takes gradients by torch's twice differentiable formulas, which round otherwise.
    """
    experts = toy_experts().double()
    support = resolve(sampler()(1).support)
    plain = {name: tensor.detach() for name, tensor in experts.named_parameters()}
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in plain.items()}
    sizes = dict.fromkeys(plain, torch.tensor(0.1, dtype=torch.float64))

    def loss(params, shown):
        return under(experts, params, support_loss, shown)

    first, second = (inner_loop(loss, leaves, sizes, support, steps=3, order=order) for order in (1, 2))
    adapted = inner_loop(loss, plain, sizes, support, steps=3, order=1)
    assert all(torch.equal(first[name], adapted[name]) for name in plain)
    for name in plain:
        torch.testing.assert_close(second[name], adapted[name], rtol=1e-12, atol=1e-14)


def test_only_parameters_with_a_step_size_move_and_untouched_ones_stay():
    params = {"p": torch.ones(2), "fixed": torch.ones(2), "unused": torch.ones(2)}
    sizes = {"p": torch.tensor(0.1), "unused": torch.tensor(0.1), "absent": torch.tensor(0.1)}
    moved = inner_loop(lambda params, _: (params["p"] * params["fixed"]).sum(), params, sizes, None, steps=2, order=2)
    assert moved["p"].tolist() == pytest.approx([0.8, 0.8])
    assert torch.equal(moved["fixed"], params["fixed"])
    assert torch.equal(moved["unused"], params["unused"])


def test_without_any_step_size_nothing_moves():
    params = {"p": torch.ones(2)}
    moved = inner_loop(lambda params, _: params["p"].sum(), params, {}, None, steps=2, order=2)
    assert torch.equal(moved["p"], params["p"])


def test_a_step_axis_gives_each_inner_step_its_size_and_the_last_one_holds():
    params, sizes = {"p": torch.zeros(2)}, {"p": torch.tensor([[0.1, 0.2], [1.0, 1.0]])}
    path = inner_path(lambda params, _: -params["p"].sum(), params, sizes, None, steps=3, order=1)
    values = torch.stack([step["p"].detach() for step in path])
    expected = torch.tensor([[0.0, 0.0], [0.1, 0.2], [1.1, 1.2], [2.1, 2.2]])
    torch.testing.assert_close(values, expected)


def test_a_size_of_the_parameters_own_shape_is_by_element():
    params, sizes = {"p": torch.zeros(2)}, {"p": torch.tensor([0.1, 0.2])}
    moved = inner_loop(lambda params, _: -params["p"].sum(), params, sizes, None, steps=2, order=1)
    torch.testing.assert_close(moved["p"].detach(), torch.tensor([0.2, 0.4]))


def test_memory_does_not_grow_over_episodes():
    """No graph survives an episode: the number of live tensors stays flat (a test learn2learn taught)."""
    import gc

    experts = toy_experts()
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in experts.named_parameters()}
    sizes = dict.fromkeys(leaves, torch.tensor(0.05))
    counts = []
    for number in range(4):
        support = resolve(sampler()(number).support, torch.float32)
        adapted = inner_loop(
            lambda params, shown: under(experts, params, support_loss, shown),
            leaves, sizes, support, steps=2, order=2,
        )  # fmt: skip
        torch.autograd.grad(under(experts, adapted, support_loss, support), list(leaves.values()))
        del adapted, support
        gc.collect()
        counts.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    assert counts[1] == counts[2] == counts[3]


@given(st.floats(-40.0, 40.0))
def test_step_sizes_are_positive(free):
    assert float(positive({"p": torch.tensor(free, dtype=torch.float64)})["p"]) > 0


@given(st.floats(1e-6, 100.0))
def test_free_of_inverts_softplus(size):
    found = float(positive({"p": torch.tensor(free_of(size), dtype=torch.float64)})["p"])
    assert found == pytest.approx(size, rel=1e-9)


def test_adapting_matches_patterns_and_names_the_nearest_where_one_matches_nothing():
    names = ["flow.net.weight", "flow.net.bias", "prediction.leave.weight"]
    assert adapting(names, ["flow.*"]) == ("flow.net.weight", "flow.net.bias")
    assert adapting(names, ["*.weight"]) == ("flow.net.weight", "prediction.leave.weight")
    with pytest.raises(ConfigError, match=r"'flow.net.weigth'; did you mean 'flow.net.weight'"):
        adapting(names, ["flow.net.weigth"])


def test_the_oracle_of_plain_modules_agrees():
    """Two hand-written SGD steps on a real module give the same parameters."""
    net = torch.nn.Linear(3, 1).double()
    shown, wanted = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)
    params = {name: tensor.detach().clone() for name, tensor in net.named_parameters()}
    adapted = inner_loop(
        lambda params, given: (functional_call(net, params, (given,)) - wanted).square().mean(),
        params, dict.fromkeys(params, torch.tensor(0.1)), shown, steps=2, order=1,
    )  # fmt: skip
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        (net(shown) - wanted).square().mean().backward()
        optimiser.step()
    for name, tensor in net.named_parameters():
        torch.testing.assert_close(adapted[name].detach(), tensor.detach(), rtol=1e-6, atol=1e-7)
