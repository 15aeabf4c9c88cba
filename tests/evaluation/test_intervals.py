import numpy as np
import pytest

from metavad.errors import DataError, UsageError
from metavad.evaluation import FEWEST, auc_difference, mean_difference, micro_auc, paired_bootstrap


def videos(count=12, frames=60, seed=0):
    generator = np.random.default_rng(seed)
    labels = [np.arange(frames) % 5 == 0 for _ in range(count)]
    noise = [generator.normal(size=frames) for _ in range(count)]
    return noise, labels


def difference(a, b, labels, **settings):
    settings.setdefault("resamples", 200)
    return paired_bootstrap(micro_auc, a, b, labels, generator=np.random.default_rng(0), **settings)


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


def test_the_interval_of_a_mean_agrees_with_theory():
    generator = np.random.default_rng(0)
    a, b = ([generator.normal(size=1) for _ in range(400)] for _ in range(2))
    mean = paired_bootstrap(
        lambda scores, _: float(np.mean(scores)),
        a,
        b,
        [np.zeros(1, bool)] * 400,
        generator=generator,
        resamples=2000,
    )
    deviation = np.std(np.array(a) - np.array(b)) / 20
    assert mean.high - mean.value == pytest.approx(1.96 * deviation, rel=0.1)
    assert mean.value - mean.low == pytest.approx(1.96 * deviation, rel=0.1)


def test_scenes_are_resampled_whole():
    noise, labels = videos(6)
    better = [score + label * (i < 3) for i, (score, label) in enumerate(zip(noise, labels, strict=True))]
    by_scene = difference(better, noise, labels, scenes=["x"] * 3 + ["y"] * 3)
    assert by_scene.units == 2
    # Only three mixtures of two cameras exist: the interval runs from one camera alone to the other alone.
    assert by_scene.low == 0
    assert by_scene.high == pytest.approx(micro_auc(better[:3], labels[:3]) - micro_auc(noise[:3], labels[:3]))


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


@pytest.mark.parametrize("scenes", [None, list("xxyyyzzzz")])
def test_the_quick_bootstrap_of_auc_is_the_slow_one_to_the_last_resample(scenes):
    """The oracle resamples frames and sorts them every time; scores have ties, some videos one class."""
    generator = np.random.default_rng(3)
    labels = [np.asarray(generator.integers(2, size=n), bool) for n in (3, 9, 1, 7, 4, 12, 5, 6, 8)]
    labels[4][:], labels[7][:] = True, False
    ours, theirs = ([generator.integers(4, size=(2, len(row))).astype(float) for row in labels] for _ in range(2))

    def mean_auc(scores, truth):
        return np.mean([micro_auc([row[draw] for row in scores], truth) for draw in (0, 1)])

    asked = {"scenes": scenes, "resamples": 300}
    slow = paired_bootstrap(mean_auc, ours, theirs, labels, generator=np.random.default_rng(5), **asked)
    quick = auc_difference(ours, theirs, labels, generator=np.random.default_rng(5), **asked)
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


def test_the_mean_over_cameras_agrees_with_the_paired_bootstrap_of_one_number_a_camera():
    generator = np.random.default_rng(5)
    ours, theirs = generator.normal(0.3, 1, (2, 12))

    def mean(scores, _labels):
        return float(np.mean(np.concatenate(scores)))

    rows = [[np.array([value]) for value in side] for side in (ours, theirs)]
    labels = [np.array([True])] * 12
    slow = paired_bootstrap(mean, *rows, labels, generator=np.random.default_rng(1), resamples=200)
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
