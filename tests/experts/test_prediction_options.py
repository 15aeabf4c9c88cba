"""The predictor's options: what each adds, and that none of them is there by default."""

import pytest
import torch

from metavad.config import Config, load_config
from metavad.experts import build_experts
from metavad.experts.layers import SelfAttention, VarianceAttention
from metavad.experts.prediction import Prediction
from metavad.features.sample import Sample
from metavad.meta.outer import initialise

SMALL = {"short_side": 12, "channels": 4}


def expert(**options):
    torch.manual_seed(0)
    return Prediction(Config.model_validate({"prediction": SMALL | options}).prediction)


def moving(pixels=1):
    """A bright square that moves to the right over nothing (1, 7, 12, 24)."""
    frames = torch.zeros(1, 7, 12, 24)
    for tick in range(7):
        frames[:, tick, 4:8, 2 + pixels * tick : 6 + pixels * tick] = 1.0
    return Sample({"frames": frames}, {"frames": torch.ones(1, 7, dtype=torch.bool)}, torch.zeros(1, 7))


def test_options_come_before_the_head_and_not_by_default():
    plain = [name for name, _ in expert().named_parameters()]
    whole = [name for name, _ in expert(attention="self", prototypes=3, adversarial_weight=0.1).named_parameters()]
    assert whole[: len(plain) - 2] == plain[:-2]
    assert whole[-2:] == plain[-2:] == ["leave.weight", "leave.bias"]
    assert {name.partition(".")[0] for name in set(whole) - set(plain)} == {"attention", "prototypes", "discriminator"}


def test_weights_of_zero_leave_only_what_is_weighted():
    nothing = expert(intensity_weight=0, gradient_weight=0)
    assert nothing.loss(moving(), {}).item() == 0
    parts = [
        expert(intensity_weight=1, gradient_weight=0),
        expert(intensity_weight=0, gradient_weight=1),
        expert(intensity_weight=0, gradient_weight=0, flow_weight=2),
    ]
    whole = expert(flow_weight=2).loss(moving(), {}).item()
    assert sum(part.loss(moving(), {}).item() for part in parts) == pytest.approx(whole, rel=1e-5)


def test_distance_to_prototypes_is_part_of_the_score():
    memory, sample = expert(prototypes=3), moving()
    before = memory.score(sample, {})
    with torch.no_grad():
        memory.prototypes.items.mul_(0).add_(5.0)
        memory.leave.weight.zero_()
    assert (memory.score(sample, {}) > before)[:, 4:].all()


def test_self_attention_is_that_of_torch():
    torch.manual_seed(0)
    layer, values = SelfAttention(8), torch.randn(2, 8, 3, 5)
    ask, key, value = (part(values).flatten(2).transpose(1, 2) for part in (layer.ask, layer.key, layer.value))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        seen = torch.nn.functional.scaled_dot_product_attention(ask, key, value)
    expected = values + 0.1 * seen.transpose(1, 2).reshape(values.shape)
    torch.testing.assert_close(layer(values), expected)


def test_variance_attention_looks_where_channels_differ():
    layer, values = VarianceAttention(4), torch.zeros(1, 4, 3, 3)
    values[0, :, 1, 2] = torch.tensor([3.0, -3.0, 3.0, -3.0])
    values[0, :, 0, 0] = 0.1
    with torch.no_grad():
        layer.project.weight.copy_(torch.eye(4)[:, :, None, None])
    weight = layer(values + 1) / (values + 1)
    assert weight[0, 0].argmax().item() == 5
    assert 1 <= weight.min() < weight.max() < torch.e


def test_of_the_prototypes_preset_prototypes_and_head_adapt():
    config = load_config("prototypes")
    start = initialise(build_experts(config), config.meta)
    assert set(start.free) == {"prediction.prototypes.items", "prediction.leave.weight", "prediction.leave.bias"}
    share = sum(start.params[name].numel() for name in start.free) / sum(each.numel() for each in start.params.values())
    assert share < 0.02
