"""Each player of the adversarial game is moved by its own loss, and the discriminator never by the shots."""

import pytest
import torch

from metavad.config import Config
from metavad.experts import build_experts
from metavad.experts.adversary import Discriminator, adversarial_loss
from metavad.experts.base import call
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample
from metavad.meta.inner import inner_loop
from metavad.meta.outer import initialise

CONFIG = Config.model_validate(
    {"experts": ["prediction"], "prediction": {"short_side": 12, "channels": 4, "adversarial_weight": 0.5}}
)


def experts():
    torch.manual_seed(0)
    return build_experts(CONFIG)


def sample(seed):
    frames = torch.rand(1, 7, 12, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Sample({"frames": frames}, {"frames": torch.ones(1, 7, dtype=torch.bool)}, torch.zeros(1, 7))


def test_each_player_has_the_gradient_of_its_own_loss():
    torch.manual_seed(0)
    discriminator, true = Discriminator().double(), torch.rand(2, 12, 16, dtype=torch.float64)
    predicted = torch.rand(2, 12, 16, dtype=torch.float64, requires_grad=True)
    weights = list(discriminator.parameters())
    loss = adversarial_loss(discriminator, predicted, true).sum()
    found = torch.autograd.grad(loss, [predicted, *weights])
    convinced = (discriminator(predicted) - 1).square().mean((-1, -2)).sum() / 2
    torch.testing.assert_close(found[0], torch.autograd.grad(convinced, predicted)[0])
    distinguished = (discriminator(true) - 1).square() + discriminator(predicted.detach()).square()
    expected = torch.autograd.grad(distinguished.mean((-1, -2)).sum() / 2, weights)
    for mine, theirs in zip(found[1:], expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_discriminator_has_no_step_size_and_stays_where_it_is():
    start = initialise(experts(), CONFIG.meta)
    fixed = [name for name in start.params if ".discriminator." in name]
    assert fixed
    assert not set(fixed) & set(start.free)
    assert set(start.params) == {*fixed, *start.free}


def convinced_alone(discriminator, predicted, true):
    return (discriminator(predicted) - 1).square().mean((-1, -2)) / 2


def test_second_order_of_the_predictor_agrees_with_finite_differences_of_its_own_loss(monkeypatch):
    expert = experts().double()["prediction"]
    every = {name: tensor.detach() for name, tensor in expert.named_parameters()}
    held = {name: tensor for name, tensor in every.items() if name.startswith("discriminator.")}
    start = {name: tensor.requires_grad_() for name, tensor in every.items() if name not in held}
    sizes = {name: torch.tensor(0.05, dtype=torch.float64) for name in start}

    def loss(params, shown):
        return call(expert, {**held, **params}, "loss", shown, {})

    def objective(params):
        return loss(inner_loop(loss, params, sizes, sample(1), steps=1, order=2), sample(2))

    gradient = torch.autograd.grad(objective(start), list(start.values()))
    monkeypatch.setattr("metavad.experts.prediction.adversarial_loss", convinced_alone)
    generator = torch.Generator().manual_seed(3)
    way = [torch.randn(tensor.shape, generator=generator, dtype=torch.float64) for tensor in start.values()]
    slope = sum((found * direction).sum() for found, direction in zip(gradient, way, strict=True)).item()
    ends = []
    for step in (1e-5, -1e-5):
        moved = [tensor.detach() + step * each for tensor, each in zip(start.values(), way, strict=True)]
        ends.append(objective({name: each.requires_grad_() for name, each in zip(start, moved, strict=True)}).item())
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4)


def test_one_outer_gradient_moves_both():
    both = experts().double()
    params = {name: tensor.detach().requires_grad_() for name, tensor in both.named_parameters()}
    loss = under(both, params, ExpertSet.loss, sample(0), {})
    gradient = dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))
    assert all(found.any() for found in gradient.values())
