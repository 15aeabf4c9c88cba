import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from meta_toys import Foresight, Level, resolve, sampler, toy_experts
from sklearn.metrics import roc_auc_score

from metavad.features.sample import Sample
from metavad.meta.objective import (
    clip_scores,
    query_losses,
    separation_loss,
    separation_losses,
    support_loss,
)


def shots(count, number=0):
    return resolve(sampler(shots=(count, count))(number).support)


def test_two_shots_each_stand_under_the_memory_of_the_other():
    experts = toy_experts([Level]).double()
    level, pair = experts["level"], shots(2)
    one, two = pair.select([0]), pair.select([1])
    expected = 0.5 * (level.loss(one, level.condition(two)) + level.loss(two, level.condition(one)))
    torch.testing.assert_close(support_loss(experts, pair), expected)


def test_one_shot_stands_under_the_memory_of_nothing():
    experts = toy_experts([Level]).double()
    level, one = experts["level"], shots(1)
    expected = level.loss(one, level.condition(one.select([])))
    torch.testing.assert_close(support_loss(experts, one), expected)


def test_an_odd_number_of_shots_weighs_clips_and_not_halves():
    experts = toy_experts([Level]).double()
    level, five = experts["level"], shots(5)
    even, odd = five.select([0, 2, 4]), five.select([1, 3])
    expected = (3 * level.loss(even, level.condition(odd)) + 2 * level.loss(odd, level.condition(even))) / 5
    torch.testing.assert_close(support_loss(experts, five), expected)


def test_without_memory_all_shots_are_taken_at_once():
    experts = toy_experts([Foresight]).double()
    three = shots(3)
    assert torch.equal(support_loss(experts, three), experts["foresight"].loss(three, {}))


def test_a_shot_is_never_judged_by_its_own_memory():
    """Leak: a loss under one's own memory is lower, and its value is not what the support loss gives."""
    experts = toy_experts([Level]).double()
    pair = shots(2)
    own = experts.loss(pair, experts.condition(pair))
    assert support_loss(experts, pair).item() > own.item() + 1e-3


def test_query_losses_are_by_expert():
    experts = toy_experts().double()
    episode = sampler()(0)
    support, query = resolve(episode.support), resolve(episode.query)
    losses = query_losses(experts, query, support)
    assert set(losses) == {"foresight", "level"}
    torch.testing.assert_close(
        torch.stack(list(losses.values())).sum(), experts.loss(query, experts.condition(support))
    )


def test_clip_scores_are_the_mean_of_the_top_share():
    scores = torch.arange(400.0).reshape(2, 2, 10, 10)
    assert clip_scores(scores, top=0.01).tolist() == [198.5, 398.5]
    assert clip_scores(scores[:, :1, :2, :2]).tolist() == [11.0, 211.0]


@settings(max_examples=40)
@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=6),
    st.lists(st.floats(-5, 5), min_size=2, max_size=6),
    st.floats(0.1, 100),
)
def test_separation_falls_with_the_gap_and_ignores_the_unit(low, high, unit):
    normal, abnormal = (torch.tensor(values, dtype=torch.float64) for values in (low, high))
    apart = float(separation_loss(normal, abnormal + 20))
    mixed = float(separation_loss(normal, abnormal))
    wrong = float(separation_loss(normal + 20, abnormal))
    assert apart < wrong
    assert min(apart, mixed, wrong) > 0
    if torch.cat([normal, abnormal]).std() > 1e-3:
        assert float(separation_loss(normal * unit, abnormal * unit)) == pytest.approx(mixed, rel=1e-6)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=8, unique=True), st.integers(1, 7))
def test_a_wrong_pair_costs_more_than_log_two_and_a_right_one_less(scores, cut):
    """One pair: above log 2 exactly where sklearn's AUC of the two is 0."""
    normal, abnormal = float(scores[0]), float(scores[min(cut, len(scores) - 1)])
    loss = float(separation_loss(torch.tensor([normal]), torch.tensor([abnormal])))
    assert (loss > math.log(2)) == (roc_auc_score([0, 1], [normal, abnormal]) == 0)


def test_descending_separation_ranks_abnormal_clips_above_normal_ones():
    """What is abnormal here is calm: at first it scores lowest."""
    experts = toy_experts([Level], seed=3).double()
    episode = sampler()(2)
    support, query = resolve(episode.support), resolve(episode.query)
    calm = Sample({"speed": torch.full_like(query["speed"], 0.3)}, query.known, query.seconds)
    optimiser = torch.optim.Adam(experts.parameters(), lr=0.03)

    def ranked():
        memory = experts.condition(support)
        low, high = (clip_scores(experts.score(sample, memory)["level"]) for sample in (query, calm))
        return bool(low.max() < high.min())

    assert not ranked()
    for _ in range(60):
        optimiser.zero_grad()
        separation_losses(experts, query, calm, support)["level"].backward()
        optimiser.step()
    assert ranked()
