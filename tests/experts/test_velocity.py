"""The mixture over motion: against an oracle, and on regions whose motion is known."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from metavad.config import Config
from metavad.experts.velocity import Velocity, _components, _drawn
from tests.things import region, sample_of_regions

CONFIG = Config.model_validate({"data": {"rows": 6}})


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return Velocity.build(CONFIG)


def walkers(count=5):
    return sample_of_regions([[region(speed=0.12 + 0.01 * n, way=0)] for n in range(count)])


def test_the_density_is_that_of_scikit_learn(expert):
    memory = {key: tensor.detach().double() for key, tensor in expert.condition(walkers()).items()}
    oracle = GaussianMixture(len(memory["means"]), covariance_type="diag")
    oracle.weights_ = memory["shares"].exp().numpy()
    oracle.means_, oracle.covariances_ = memory["means"].numpy(), memory["deviations"].square().numpy()
    oracle.precisions_cholesky_ = 1 / memory["deviations"].numpy()
    values = np.random.default_rng(0).normal(size=(20, memory["means"].shape[1]))
    ours = torch.logsumexp(_components(torch.from_numpy(values), memory), -1)
    np.testing.assert_allclose(ours, oracle.score_samples(values), rtol=1e-6)


def test_nothing_shown_is_the_prior_and_much_shown_is_the_shots(expert):
    prior, nothing = expert._prior(), expert.condition(walkers().select([]))
    for key in prior:
        torch.testing.assert_close(nothing[key], prior[key], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        expert.log_prior_count.fill_(-12.0)
    memory = expert.condition(walkers(50))
    values, weight = _drawn(walkers(50))
    mean = (values * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    mixed = (memory["shares"].exp()[:, None] * memory["means"]).sum(0)
    assert (mixed - mean).abs().max() < 0.3


def test_a_clip_counts_once_however_full_it_is(expert):
    full = sample_of_regions([[region(speed=0.15)] * 4])
    one = sample_of_regions([[region(speed=0.15)]])
    for key in ("shares", "means", "deviations"):
        torch.testing.assert_close(expert.condition(full)[key], expert.condition(one)[key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("odd", [{"speed": 1.5}, {"speed": 0.15, "way": 4}])
def test_what_was_not_shown_scores_higher_where_it_is_and_nowhere_else(expert, odd):
    memory = expert.condition(walkers(10))
    usual, strange = (expert.score(sample_of_regions([[one]]), memory) for one in (region(), region(**odd)))
    assert strange.amax() > usual.amax()
    covered = strange[0, 0] > expert.floor
    assert covered[3, 3]  # cells of a sixth of the height: the middle one
    assert not covered[:2].any()
    assert not covered[:, :2].any()


def test_what_stands_says_nothing(expert):
    memory = expert.condition(walkers(3))
    still = expert.score(sample_of_regions([[region(speed=0.0)]]), memory)
    assert (still == expert.floor).all()


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (region(speed=0.48), "moves 3.0 times as fast as anything shown at this place"),
        (region(speed=0.15, way=4), "moves left, which nothing shown did at this place"),
        (region(speed=0.14), "moves in a way that the clips hardly show"),
        (region(speed=0.02), "is there and hardly moves"),
        # Elsewhere the clips show nothing: no speed and no direction there to compare with.
        (region(box=(0.0, 0.0, 0.2, 0.15), speed=0.14), "moves where nothing shown ever moved"),
        (region(box=(0.0, 0.0, 0.2, 0.15), speed=0.48), "moves where nothing shown ever moved"),
    ],
)
def test_it_says_why(expert, one, sentence):
    memory = expert.condition(walkers(5))
    middle = tuple(float(length) for length in (one[[2, 1]] + one[[4, 3]]) / 2 / torch.tensor([1.0, 4 / 3]))
    reason = expert.explain(sample_of_regions([[one]]), memory, middle)
    assert reason.text == sentence
    nearest = [0.12 + 0.01 * n for n in range(5)] if "this place" in sentence else [0.0] * 5
    if "hardly" not in sentence:
        assert reason.distances == pytest.approx([abs(each - float(one[6])) for each in nearest], abs=1e-6)
    assert expert.explain(sample_of_regions([[one]]), memory, (0.95, 0.95)) is None


def test_it_says_so_where_the_clips_show_no_motion_or_there_are_none(expert):
    still = sample_of_regions([[region(speed=0.0)], []])
    sentence = expert.explain(sample_of_regions([[region()]]), expert.condition(still), (0.6, 0.375)).text
    assert sentence == "moves where nothing shown ever moved"
    sentence = expert.explain(sample_of_regions([[region()]]), expert.condition(still.select([])), (0.6, 0.375)).text
    assert sentence == "moves unlike what other cameras show"


def test_what_was_fast_elsewhere_is_no_measure_here(expert):
    shown = sample_of_regions([[region(speed=0.15), region(box=(1.0, 0.7, 1.2, 0.9), speed=1.35, way=4)]])
    memory = expert.condition(shown)
    sentence = expert.explain(sample_of_regions([[region(speed=0.45, way=4)]]), memory, (0.6, 0.375)).text
    assert sentence == "moves 3.0 times as fast as anything shown at this place"
