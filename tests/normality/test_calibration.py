"""Many experts to one map: calibrated surprise, offsets, weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from metavad.normality.calibration import Calibration, compress, contributions, fuse, weight_after
from metavad.normality.distribution import PopulationScores, population_everywhere

NATS = st.floats(0, 40)


@given(NATS, NATS)
def test_compressing_keeps_the_order(low, high):
    low, high = sorted((low, high))
    assert compress(torch.tensor(low)) <= compress(torch.tensor(high))


@given(NATS)
def test_up_to_six_and_a_half_nats_nothing_is_compressed(nats):
    expected = nats if nats <= 6.5 else 6.5 + (nats - 6.5) / 3
    assert_close(compress(torch.tensor(nats)), torch.tensor(expected))


def calibration(frames=None, *, offset=0.0, weight=1.0, is_active=True):
    """Of an expert whose frame scores on ordinary footage are these; without any, a score is its own surprise."""
    unit = PopulationScores.unit()
    known = unit if frames is None else PopulationScores.fit([torch.as_tensor(frames)], [0])
    location = population_everywhere((2, 3))
    return Calibration(unit.after(0), location, known.after(0), offset, torch.tensor(weight), is_active)


def rarity(nats, frames=None, offset=0.0):
    return float(calibration(frames, offset=offset).rarity(torch.tensor(nats)))


@given(NATS, NATS, st.floats(-3, 3))
def test_calibrating_keeps_the_order(low, high, offset):
    low, high = sorted((low, high))
    one, other = (rarity(nats, torch.arange(200.0) / 40, offset) for nats in (low, high))
    assert -1e-6 <= one <= other + 1e-6  # near zero what is left of two equal numbers is rounding


def test_the_same_surprise_is_worth_less_of_an_expert_that_often_surprises():
    quiet, noisy = (scale * torch.linspace(0, 1, 2000) for scale in (1.0, 5.0))
    assert rarity(0.99, quiet) == pytest.approx(rarity(4.95, noisy))
    assert rarity(0.99, noisy) < 0.02
    assert rarity(0.99, quiet) > 1


@pytest.mark.parametrize(("nats", "counted"), [(0.0, 0.0), (0.1, 0.1**2 / 6), (30.0, 27.0)])
def test_what_is_common_counts_for_little(nats, counted):
    before = nats if nats <= 6.5 else 3 * nats - 2 * 6.5  # what is 30 nats after compressing
    assert rarity(before) == pytest.approx(counted, rel=0.05, abs=1e-6)


def test_what_an_expert_scores_more_at_this_camera_is_taken_off():
    frames = torch.linspace(0, 5, 2000)
    assert rarity(4.9, frames, 2.0) == pytest.approx(rarity(2.9, frames))
    assert rarity(4.9, frames, 2.0) < rarity(4.9, frames)
    assert rarity(0.0, frames, 2.0) == 0


SURE = {"one": torch.tensor([True]), "other": torch.tensor([True])}


def test_fusing_is_the_weighted_sum_of_calibrated_surprises():
    experts = {"one": calibration(weight=0.5), "other": calibration(weight=2.0)}
    nats = {"one": torch.tensor([2.0]), "other": torch.tensor([5.5])}
    parts = contributions(experts, nats, SURE)
    assert_close(parts["one"], torch.tensor([0.5 * rarity(2.0)]))
    assert_close(fuse(experts, nats, SURE), torch.tensor([0.5 * rarity(2.0) + 2.0 * rarity(5.5)]))


def test_an_expert_that_does_not_know_a_tick_yet_adds_nothing_to_it():
    experts = {"one": calibration(), "other": calibration(offset=-9.0)}
    nats = {"one": torch.tensor([2.0, 2.0]), "other": torch.tensor([5.5, 5.5])}
    later = {"one": torch.tensor([True, True]), "other": torch.tensor([False, True])}
    both = fuse(experts, nats, SURE)
    assert_close(fuse(experts, nats, later), torch.stack([torch.tensor(rarity(2.0)), both[1]]))


def test_an_expert_that_is_not_active_adds_nothing_however_high_it_scores():
    experts = {"one": calibration(), "other": calibration(offset=-9.0, is_active=False)}
    nats = {"one": torch.tensor([2.0]), "other": torch.tensor([30.0])}
    assert_close(fuse(experts, nats, SURE), torch.tensor([rarity(2.0)]))


def test_a_finer_map_gives_each_cell_its_highest_score():
    fine = torch.zeros(1, 1, 4, 6)
    fine[0, 0, 1, 5] = 6.0
    found = calibration().surprise(fine)
    assert found.shape == (1, 1, 2, 3)
    assert found[0, 0, 0, 2] > 5
    assert (found.flatten().sort().values[:-1] < 0.01).all()


def test_weights_follow_the_number_of_clips():
    pair = torch.tensor([0.0, 1.0])
    assert weight_after(pair, 0) == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert weight_after(pair, 10) > weight_after(pair, 1) > weight_after(pair, 0) > 0
