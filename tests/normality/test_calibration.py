"""Many experts to one map: what is heard of each."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from metavad.normality.calibration import compress, fuse, heard, weight_at
from metavad.normality.distribution import BaseTail

NATS = st.floats(0, 40)


@given(NATS, NATS)
def test_compressing_keeps_the_order(low, high):
    low, high = sorted((low, high))
    assert compress(torch.tensor(low)) <= compress(torch.tensor(high))


@given(NATS)
def test_up_to_the_loud_part_nothing_is_compressed(nats):
    expected = nats if nats <= 6.5 else 6.5 + (nats - 6.5) / 3
    assert_close(compress(torch.tensor(nats)), torch.tensor(expected))


def tail_of(scores):
    """The tail of frame scores that are common on ordinary footage."""
    return BaseTail.fit([torch.as_tensor(scores)], [0])


@given(NATS, NATS, st.floats(-3, 3))
def test_what_is_heard_keeps_the_order(low, high, louder):
    low, high = sorted((low, high))
    usual = tail_of(torch.arange(200.0) / 40)
    one, other = (float(heard(torch.tensor(nats), usual, 0, louder)) for nats in (low, high))
    assert 0 <= one <= other + 1e-6


def test_an_expert_that_is_often_loud_has_to_say_more():
    quiet, noisy = (tail_of(scale * torch.linspace(0, 1, 2000)) for scale in (1.0, 5.0))
    assert float(heard(torch.tensor(0.99), quiet, 0)) == pytest.approx(float(heard(torch.tensor(4.95), noisy, 0)))
    assert heard(torch.tensor(0.99), noisy, 0) < 0.02
    assert heard(torch.tensor(0.99), quiet, 0) > 1


@pytest.mark.parametrize(("nats", "counted"), [(0.0, 0.0), (0.1, 0.1**2 / 6), (30.0, 27.0)])
def test_what_is_common_counts_for_little(nats, counted):
    unit = BaseTail.unit()
    loud = nats if nats <= 6.5 else 3 * nats - 2 * 6.5  # what is 30 nats after compressing
    assert float(heard(torch.tensor(loud), unit, 0)) == pytest.approx(counted, rel=0.05, abs=1e-6)


def test_at_a_camera_where_an_expert_is_louder_it_is_heard_less():
    usual = tail_of(torch.linspace(0, 5, 2000))
    assert_close(heard(torch.tensor(4.9), usual, 0, 2.0), heard(torch.tensor(2.9), usual, 0))
    assert heard(torch.tensor(4.9), usual, 0, 2.0) < heard(torch.tensor(4.9), usual, 0)
    assert heard(torch.tensor(0.0), usual, 0, 2.0) == 0


def test_fusing_is_the_weighted_sum():
    said = {"one": torch.tensor([2.0]), "other": torch.tensor([9.5])}
    assert_close(fuse(said, {"one": 0.5, "other": 2.0}), torch.tensor([20.0]))


def test_weights_follow_the_number_of_shots():
    pair = torch.tensor([0.0, 1.0])
    assert weight_at(pair, 0) == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert weight_at(pair, 10) > weight_at(pair, 1) > weight_at(pair, 0) > 0
