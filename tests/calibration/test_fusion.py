"""Many experts to one map: what is heard of each."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from metavad.calibration.fusion import compress, fuse, heard, weight_at

NATS = st.floats(0, 40)
SILENT = {"leading": 0.0, "noise": 0.0}


@given(NATS, NATS)
def test_compressing_keeps_the_order(low, high):
    low, high = sorted((low, high))
    assert compress(torch.tensor(low)) <= compress(torch.tensor(high))


@given(NATS)
def test_up_to_the_loud_part_nothing_is_compressed(nats):
    expected = nats if nats <= 6.5 else 6.5 + (nats - 6.5) / 3
    assert_close(compress(torch.tensor(nats)), torch.tensor(expected))


@given(NATS, st.floats(0, 10))
def test_below_its_level_an_expert_is_not_heard(nats, level):
    said = float(heard(torch.tensor(nats), level))
    assert said == pytest.approx(max(0.0, float(compress(torch.tensor(nats))) - level), abs=1e-5)


@given(NATS, NATS, st.floats(0, 10))
def test_what_leaks_keeps_the_order_below_the_level(low, high, level):
    low, high = sorted((low, high))
    one, other = (float(heard(torch.tensor(nats), level, 0.03)) for nats in (low, high))
    assert one <= other + 1e-6
    if high - low > 0.1:
        assert one < other


def test_an_expert_that_is_loud_everywhere_changes_no_order():
    leading, noise = torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0, 4.0]])
    weights = {"leading": 1.0, "noise": 1.0}
    levels = {"leading": 0.0, "noise": 5.0}
    assert_close(fuse({"leading": leading, "noise": noise}, weights, levels, SILENT), leading)
    drowned = fuse({"leading": leading, "noise": noise * 1.3}, weights, {"leading": 0.0, "noise": 0.0}, SILENT)
    assert drowned[0, 1] - drowned[0, 0] < 2.0, "without a level the noise eats into the lead"


def test_fusing_is_the_weighted_sum():
    maps = {"one": torch.tensor([2.0]), "other": torch.tensor([9.5])}
    fused = fuse(maps, {"one": 0.5, "other": 2.0}, {"one": 1.0, "other": 0.5}, {"one": 0.0, "other": 0.1})
    assert_close(fused, torch.tensor([0.5 * 1.0 + 2.0 * (7.0 + 0.05)]))


def test_weights_follow_the_number_of_shots():
    pair = torch.tensor([0.0, 1.0])
    assert weight_at(pair, 0) == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert weight_at(pair, 10) > weight_at(pair, 1) > weight_at(pair, 0) > 0
