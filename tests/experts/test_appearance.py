"""Neighbours of regions: what was shown is near, and learning puts odd ones further away."""

import numpy as np
import pytest
import torch

from metavad.config import Config
from metavad.experts.appearance import Appearance, _changes, _facts, _turned, spread_choice
from metavad.experts.base import call
from metavad.features.looks import LOOKS
from metavad.meta.inner import inner_loop
from tests.things import bars, region, sample_of_regions

CONFIG = Config.model_validate({"data": {"rows": 6}})


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return Appearance.build(CONFIG)


def people(count=4):
    return sample_of_regions([[region(box=(0.1 * n, 0.4, 0.1 * n + 0.15, 0.8))] for n in range(count)])


def test_what_was_shown_is_less_surprising_than_before_it_was(expert):
    before = expert.score(people(), expert.condition(people().select([])))
    after = expert.score(people(), expert.condition(people()))
    assert after.amax() < before.amax()


@torch.no_grad()
def test_the_density_is_that_of_neighbours_among_the_shots_and_the_memory_of_the_base():
    """Against a sum of kernels in NumPy: three clips of one region each, four prototypes that count for e^0.7 clips."""
    torch.manual_seed(0)
    expert = Appearance.build(Config.model_validate({"data": {"rows": 6}, "appearance": {"prototypes": 4}}))
    expert.log_prior_count.fill_(0.7)
    expert.shares.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    shown, one = people(3), people(4).select([3])
    codes = [expert._codes(*_facts(clips["regions"][:, 0, 0])).double().numpy() for clips in (shown, one)]
    known = codes[0], expert.prototypes.double().numpy()
    kernels = [np.exp(-0.5 * ((each - codes[1]) ** 2).sum(1)) for each in known]
    shares = np.exp(expert.shares.double().numpy())
    prior, leak = (kernels[1] * shares / shares.sum()).sum(), np.exp(float(expert.leak))
    density = (kernels[0].sum() + np.exp(0.7) * prior) / (3 + np.exp(0.7)) + leak
    for memory, wanted in [(shown, density), (shown.select([]), prior + leak)]:
        found = expert.score(one, expert.condition(memory)).amax()
        assert found == pytest.approx(-np.log(wanted), rel=1e-3)


def test_the_surprise_is_bounded_by_the_leak(expert):
    odd = sample_of_regions([[region(box=(0.0, 0.0, 1.3, 1.0), looks=bars(3))]])
    assert expert.score(odd, expert.condition(people())).amax() <= -expert.leak


def test_learning_ranks_changed_regions_behind_true_ones(expert):
    start = {key: tensor.detach().clone().requires_grad_() for key, tensor in expert.named_parameters()}
    support, query = people(4), people(3)

    def loss(at, shown):
        return call(expert, at, "loss", shown, call(expert, at, "condition", support))

    learned = inner_loop(loss, start, {key: torch.tensor(0.2) for key in start}, query, steps=25, order=1)
    memory = call(expert, learned, "condition", support)
    true = call(expert, learned, "score", query, memory).amax()
    lying = sample_of_regions([[region(box=(0.1, 0.65, 0.5, 0.8), looks=_turned(bars()))]])
    near = sample_of_regions([[region(box=(0.1, 0.0, 0.5, 1.0))]])
    for odd in (lying, near):
        assert call(expert, learned, "score", odd, memory).amax() > true + 0.5


def test_a_quarter_turn_twice_is_half_a_turn_of_the_looks():
    stripes = bars(0)
    assert torch.allclose(_turned(stripes), bars(4), atol=1e-5)
    assert torch.allclose(_turned(_turned(stripes)), stripes, atol=1e-5)


def test_changed_boxes_keep_their_foot_or_their_size():
    looks, sizes = _facts(region(box=(0.4, 0.4, 0.5, 0.8)))
    turned, larger, smaller, lower, higher = (other for _, other in _changes(looks, _turned(looks), sizes))
    wide = region(box=(0.25, 0.7, 0.65, 0.8))
    torch.testing.assert_close(turned[:2], _facts(wide)[1][:2], rtol=1e-4, atol=1e-4)
    assert larger[0] > sizes[0] > smaller[0]
    assert lower[3] > sizes[3] > higher[3]
    assert torch.equal(lower[:3], sizes[:3])


def test_a_choice_takes_what_is_there_and_spreads_it():
    weights = torch.zeros(1000)
    weights[::10] = 1.0
    few, all_ = spread_choice(weights, 20), spread_choice(weights, 100)
    assert set(all_.tolist()) == set(range(0, 1000, 10))
    assert weights[few].all()
    assert few.max() - few.min() > 800
    assert len(spread_choice(weights[:5], 20)) == 5


@torch.no_grad()
def test_it_says_why(expert):
    memory = expert.condition(people(3))
    tall = sample_of_regions([[region(box=(0.1, 0.0, 0.5, 1.0))]])
    reason = expert.explain(tall, memory, (0.5, 0.2))
    assert reason.text == "is 2.5 times as tall as anything shown"
    assert len(reason.distances) == 3
    odd = sample_of_regions([[region(box=(0.1, 0.4, 0.25, 0.8), looks=torch.ones(LOOKS) / LOOKS**0.5)]])
    unlike = expert.explain(odd, memory, (0.5, 0.15))
    nearest = unlike.distances.index(min(unlike.distances))
    assert unlike.text == f"looks unlike anything shown, nearest to shot {nearest + 1}"
    assert expert.explain(odd, memory, (0.05, 0.9)) is None
    nothing = expert.condition(people(3).select([]))
    assert "other cameras" in expert.explain(odd, nothing, (0.5, 0.15)).text
