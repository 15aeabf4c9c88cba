import numpy as np
import pytest

from metavad.errors import DataError, UsageError
from metavad.evaluation import (
    FEWEST,
    Difference,
    auc_difference,
    auc_interval,
    mean_difference,
    mean_interval,
    micro_auc,
)


def videos(count=12, frames=60, seed=0):
    generator = np.random.default_rng(seed)
    labels = [np.arange(frames) % 5 == 0 for _ in range(count)]
    noise = [generator.normal(size=frames) for _ in range(count)]
    return noise, labels


def difference(a, b, labels, **settings):
    settings.setdefault("resamples", 200)
    return auc_difference(a, b, labels, generator=np.random.default_rng(0), **settings)


def resampled(figure, a, b, labels, *, seed, resamples):
    """The oracle, slow: whole videos are drawn again, and the figure of what was drawn computed anew."""
    picks = np.random.default_rng(seed).integers(len(labels), size=(resamples, len(labels)))

    def gain(chosen):
        ours, theirs, truth = ([side[i] for i in chosen] for side in (a, b, labels))
        return figure(ours, truth) - figure(theirs, truth)

    draws = np.array([gain(pick) for pick in picks])
    known = draws[~np.isnan(draws)]
    low, high = np.quantile(known, [0.025, 0.975])
    above = np.mean(known > 0) + np.mean(known == 0) / 2
    return Difference(gain(range(len(labels))), low, high, 0.95, above, len(labels), resamples - len(known))


def test_a_method_against_itself_is_exactly_no_different():
    noise, labels = videos()
    result = difference(noise, noise, labels)
    assert (result.value, result.low, result.high, result.share_above) == (0, 0, 0, 0.5)
    assert not result.certain


def test_a_better_method_is_certain_and_the_mirror_is_its_negative():
    noise, labels = videos()
    better = [score + label for score, label in zip(noise, labels, strict=True)]
    ours, theirs = difference(better, noise, labels), difference(noise, better, labels)
    assert 0 < ours.low < ours.value < ours.high
    assert ours.certain
    assert ours.share_above == 1
    assert (theirs.value, theirs.low, theirs.high) == pytest.approx((-ours.value, -ours.high, -ours.low))


def test_the_interval_of_a_figure_is_that_of_resampled_videos():
    """Against the oracle: a method minus one that is right in half of all pairs is its AUC minus one half."""
    noise, labels = videos()
    scores = [row + 0.5 * label for row, label in zip(noise, labels, strict=True)]
    found = auc_interval(scores, labels, generator=np.random.default_rng(0), resamples=50)
    chance = [np.zeros(len(row)) for row in noise]
    oracle = resampled(micro_auc, scores, chance, labels, seed=0, resamples=50)
    assert found.value == pytest.approx(micro_auc(scores, labels))
    assert (found.low, found.high) == pytest.approx((oracle.low + 0.5, oracle.high + 0.5))
    assert found.units == len(labels)


def test_a_few_videos_give_no_interval():
    noise, labels = videos(count=FEWEST - 1)
    found = auc_interval(noise, labels, generator=np.random.default_rng(0), resamples=50)
    assert found.value == pytest.approx(micro_auc(noise, labels))
    assert np.isnan([found.low, found.high]).all()
    values = np.linspace(0.5, 0.9, FEWEST)
    generator = np.random.default_rng(0)
    assert np.isnan(mean_interval(values[1:], generator=generator).low)
    whole = mean_interval(values, generator=generator)
    assert whole.value == pytest.approx(0.7)
    assert 0.5 <= whole.low < 0.7 < whole.high <= 0.9


def test_the_interval_of_a_mean_agrees_with_theory():
    generator = np.random.default_rng(0)
    values = generator.normal(size=400)
    mean = mean_difference(values, generator=generator, resamples=2000)
    deviation = np.std(values) / 20
    assert mean.high - mean.value == pytest.approx(1.96 * deviation, rel=0.1)
    assert mean.value - mean.low == pytest.approx(1.96 * deviation, rel=0.1)


def test_undefined_resamples_are_left_out_and_counted():
    scores = [np.array([0.0, 1]), np.array([0.0, 1])]
    labels = [np.array([0, 1], bool), np.zeros(2, bool)]
    result = difference(scores, scores, labels)
    assert 20 < result.undefined < 80
    assert result.low == 0
    nothing = difference(scores, scores, [labels[1]] * 2)
    assert nothing.undefined == 200
    assert np.isnan([nothing.value, nothing.low, nothing.share_above]).all()


def test_the_same_generator_gives_the_same_interval():
    noise, labels = videos()
    assert difference(noise, noise[::-1], labels) == difference(noise, noise[::-1], labels)


def test_what_does_not_fit_is_an_error():
    noise, labels = videos(3)
    with pytest.raises(DataError, match="same videos"):
        difference(noise, noise[:2], labels)
    with pytest.raises(DataError, match="same videos"):
        difference([], [], [])
    with pytest.raises(UsageError, match="level"):
        difference(noise, noise, labels, level=95)


def test_the_quick_bootstrap_of_auc_is_the_slow_one_to_the_last_resample():
    """The oracle resamples frames and sorts them every time; scores have ties, some videos one class."""
    generator = np.random.default_rng(3)
    labels = [np.asarray(generator.integers(2, size=n), bool) for n in (3, 9, 1, 7, 4, 12, 5, 6, 8)]
    labels[4][:], labels[7][:] = True, False
    ours, theirs = ([generator.integers(4, size=(2, len(row))).astype(float) for row in labels] for _ in range(2))

    def mean_auc(scores, truth):
        return np.mean([micro_auc([row[draw] for row in scores], truth) for draw in (0, 1)])

    slow = resampled(mean_auc, ours, theirs, labels, seed=5, resamples=300)
    quick = auc_difference(ours, theirs, labels, generator=np.random.default_rng(5), resamples=300)
    for name, value in vars(slow).items():
        assert vars(quick)[name] == pytest.approx(value, abs=1e-12)


def test_one_class_alone_is_undefined():
    labels = [np.ones(3, bool)] * 7
    found = auc_difference([np.arange(3.0)] * 7, [np.zeros(3)] * 7, labels, generator=np.random.default_rng(0))
    assert np.isnan([found.value, found.low, found.high]).all()
    assert not found.certain


def test_few_videos_are_never_certain():
    for count in (FEWEST - 1, FEWEST):
        noise, labels = videos(count)
        better = [score + 9 * label for score, label in zip(noise, labels, strict=True)]
        found = auc_difference(better, noise, labels, generator=np.random.default_rng(0))
        assert found.low > 0
        assert found.certain == (count == FEWEST)


def test_the_mean_over_cameras_is_the_slow_bootstrap_of_one_number_a_camera():
    generator = np.random.default_rng(5)
    ours, theirs = generator.normal(0.3, 1, (2, 12))

    def mean(scores, _labels):
        return float(np.mean(np.concatenate(scores)))

    rows = [[np.array([value]) for value in side] for side in (ours, theirs)]
    labels = [np.array([True])] * 12
    slow = resampled(mean, *rows, labels, seed=1, resamples=200)
    quick = mean_difference(ours - theirs, generator=np.random.default_rng(1), resamples=200)
    assert vars(quick) == pytest.approx(vars(slow))
    assert quick.units == 12


def test_few_cameras_are_never_certain():
    for cameras, certain in ((FEWEST - 1, False), (FEWEST, True)):
        found = mean_difference(np.full(cameras, 0.1), generator=np.random.default_rng(0))
        assert (found.certain, found.low) == (certain, pytest.approx(0.1))
    for values in (np.zeros(0), np.zeros((2, 2))):
        with pytest.raises(DataError, match="each camera"):
            mean_difference(values, generator=np.random.default_rng(0))
