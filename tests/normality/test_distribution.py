"""Score distributions against closed forms and counts."""

import math

import pytest
import torch

from metavad.normality.distribution import (
    LEVELS,
    SHRINKAGE,
    PopulationScores,
    Shrinkage,
    levels,
    location_distribution,
)


def known_ticks(*shape):
    return torch.ones(*shape, dtype=torch.bool)


def located(surprises, known, shrinkage=SHRINKAGE):
    return location_distribution(surprises, known, shrinkage)


def exponential(*shape, seed=0):
    return -torch.log(torch.rand(*shape, generator=torch.Generator().manual_seed(seed)))


def test_exponential_scores_are_their_own_nats():
    """P(score >= s) = exp(-s): the surprise of s is s, also where the table is extrapolated."""
    tail = PopulationScores.fit([exponential(200_000)], [0])
    asked = torch.tensor([0.5, 1.0, 3.0, 6.0])
    torch.testing.assert_close(tail.after(0).surprise(asked), asked, rtol=0.05, atol=0.03)
    assert float(tail.after(0).surprise(torch.tensor(12.0))) == pytest.approx(12.0, rel=0.25)


def test_nats_rise_with_the_score_for_any_scores():
    tail = PopulationScores.fit([torch.randn(5000, generator=torch.Generator().manual_seed(1)) ** 3], [0])
    asked = torch.linspace(-40, 80, 500)
    assert (tail.after(0).surprise(asked).diff() >= 0).all()


def test_many_equal_scores_are_no_surprise():
    tail = PopulationScores.fit([torch.cat([torch.zeros(9000), exponential(1000) + 1])], [0])
    assert float(tail.after(0).surprise(torch.tensor(0.0))) < 0.2
    assert float(tail.after(0).surprise(torch.tensor(5.0))) > 3


def test_the_table_is_read_between_its_shots():
    tail = PopulationScores(torch.tensor([0, 3]), torch.stack([levels(), 2 * levels()]))
    middle = math.sqrt(4) - 1  # halfway in log(1 + K)
    low, between, high = (float(tail.after(shots).surprise(torch.tensor(6.0))) for shots in (3, middle, 0))
    assert low == pytest.approx(3.0)
    assert between == pytest.approx(4.0)
    assert high == pytest.approx(6.0)
    assert float(tail.after(50).surprise(torch.tensor(6.0))) == pytest.approx(low)


def test_many_values_are_read_as_each_by_itself():
    """The line through two neighbouring entries of the table, to the last bit; before, on and beyond all of them."""
    knots = PopulationScores.fit([exponential(300)], [0]).scores[0]
    asked = torch.cat([exponential(200, seed=3) * 4, knots, torch.tensor([-5.0, 1e6])])
    found = PopulationScores(torch.tensor([0]), knots[None]).after(0).surprise(asked.reshape(2, -1)).flatten()
    for value, surprise in zip(asked, found, strict=True):
        right = min(max(int((knots < value).sum()), 1), LEVELS - 1)
        low, high = levels()[right - 1], levels()[right]
        line = low + (value - knots[right - 1]) / (knots[right] - knots[right - 1]) * (high - low)
        assert surprise == max(line, levels()[0])


def test_without_shots_a_location_has_the_population_s():
    tail = located(torch.zeros(0, 3, 5, 6), torch.zeros(0, 3, dtype=torch.bool))
    nats = exponential(4, 3, 5, 6)
    torch.testing.assert_close(tail.surprise(nats), nats, rtol=1e-4, atol=1e-4)


def test_uniform_evidence_gives_the_counted_distribution():
    """K clips that all show 4 nats everywhere, against the formula by hand."""
    clips = 6
    tail = located(torch.full((clips, 2, 5, 6), 4.01), known_ticks(clips, 2))
    for level, shown in ((3, True), (6, False)):
        prior = math.exp(-level)
        scene = (clips * shown + 2.0 * prior) / (clips + 2.0)
        place = (clips * shown + 0.2 * scene) / (clips + 0.2)
        found = -float(tail.surprises[3 * level, 2, 3])
        assert found == pytest.approx(math.log(place), abs=1e-4)


def test_what_was_shown_at_a_place_is_less_surprising_there_than_elsewhere():
    nats = torch.zeros(8, 4, 20, 30)
    nats[:, :, 10, 5] = 5.0
    tail = located(nats, known_ticks(8, 4))
    asked = tail.surprise(torch.full((1, 20, 30), 4.5))[0]
    assert asked[10, 5] < asked[10, 25] - 1


def test_more_shots_weigh_more():
    asked = []
    for clips in (1, 5, 20):
        tail = location_distribution(torch.full((clips, 2, 5, 6), 4.0), known_ticks(clips, 2), SHRINKAGE)
        asked.append(float(tail.surprise(torch.full((1, 5, 6), 3.9)).mean()))
    assert asked[0] > asked[1] > asked[2]


def test_ticks_that_are_not_known_do_not_count():
    nats, known = exponential(4, 6, 5, 6), known_ticks(4, 6)
    known[:, 3:] = False
    garbage = nats.clone()
    garbage[:, 3:] = 99.0
    torch.testing.assert_close(
        located(garbage, known).surprises,
        located(nats, known).surprises,
    )


def test_surprise_never_falls_and_is_differentiable_in_the_shrinkage():
    location = torch.tensor(0.2, requires_grad=True)
    camera = torch.tensor(2.0, requires_grad=True)
    tail = location_distribution(exponential(3, 4, 5, 6), known_ticks(3, 4), Shrinkage(location, camera, 0.1, 0.2))
    assert (tail.surprises.diff(dim=0) >= -1e-5).all()
    assert tail.surprises.shape[0] == LEVELS
    tail.surprise(exponential(4, 5, 6, seed=2)).mean().backward()
    assert location.grad is not None
    assert float(location.grad) != 0
    assert camera.grad is not None
    assert float(camera.grad) != 0


def test_the_order_of_shots_does_not_matter():
    nats, known = exponential(5, 4, 5, 6), known_ticks(5, 4)
    torch.testing.assert_close(
        located(nats.flip(0), known).surprises,
        located(nats, known).surprises,
    )


@pytest.mark.parametrize("shots", [0, 1, 4, 50])
def test_the_score_of_so_many_nats_has_so_many_nats(shots):
    generator = torch.Generator().manual_seed(3)
    tail = PopulationScores.fit([torch.randn(5000, generator=generator) * scale - 40 for scale in (1.0, 3.0)], [0, 10])
    for nats in (0.5, 1.9, 6.0, 30.0):
        score = tail.after(shots).value(nats)
        assert float(tail.after(shots).surprise(torch.tensor([score]))) == pytest.approx(nats, abs=1e-2)


def test_beyond_the_table_a_nat_is_no_more_than_a_nat():
    """Clips whose scores end just below the end of the table do not make what is beyond it infinitely rare."""
    highest = float(levels()[-1])
    tail = located(torch.full((6, 2, 5, 6), highest - 0.1), known_ticks(6, 2))
    asked = highest + torch.tensor([0.0, 1.0, 10.0])
    found = tail.surprise(asked[:, None, None].expand(3, 5, 6))[:, 2, 3]
    torch.testing.assert_close(found.diff(), asked.diff(), rtol=1e-4, atol=1e-4)
    assert (tail.surprise(torch.linspace(0, 30, 200)[:, None, None].expand(200, 5, 6)).diff(dim=0) >= -1e-3).all()
