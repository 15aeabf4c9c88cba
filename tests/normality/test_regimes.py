"""Regimes: found in footage that has several, not in one that has none; chosen without looking ahead."""

from dataclasses import replace

import numpy as np
import pytest

from metavad.normality.own_footage import joined, window_means
from metavad.normality.own_regimes import LEAST, RegimeLight, named, own_regimes, split
from metavad.normality.regimes import LIGHT, Regime, RegimeWatch, common_score, light_of

DAY, NIGHT = np.array([50.0, 95, 135, 165, 195, 55]), np.array([97.0, 126, 134, 148, 174, 31])


def lights(rng, middle, count, spread=2.0):
    return middle + rng.normal(0, spread, (count, LIGHT))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def model(tiny_base, cameras):
    from metavad.scenes.suite import load_suite
    from metavad.workflows.few_shot import adapt

    return adapt(tiny_base, load_suite(str(cameras)).scenes[0], shots=2, pictures=False).model


def pictures(rng, level=120.0, contrast=40.0, noise=2.0):
    """A still scene (240, 320), seen so light, with so much contrast and noise."""
    scene = np.add.outer(np.sin(np.arange(240) / 25), np.cos(np.arange(320) / 35)) / 2
    return np.clip(level + contrast * scene + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("other", [{"level": 70.0}, {"contrast": 90.0}, {"noise": 9.0}])
def test_the_light_of_a_picture_tells_brightness_contrast_and_noise(rng, other):
    day, again, night = (light_of(pictures(rng, **each)).astype(float) for each in ({}, {}, other))
    assert day.shape == (LIGHT,)
    assert np.sqrt(np.mean((night - day) ** 2)) > 10 > 5 * np.sqrt(np.mean((again - day) ** 2))


def test_the_light_of_one_grey_is_that_grey():
    assert light_of(np.full((7, 1), 90, np.uint8)).tolist() == [90] * 5 + [0]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_two_lights_are_two_regimes(rng, share):
    count = round(share * 2000)
    number = split(np.concatenate([lights(rng, DAY, count), lights(rng, NIGHT, 2000 - count)]))
    assert len(set(number[:count])) == len(set(number[count:])) == 1
    assert number[0] != number[-1]


def test_three_lights_are_three_regimes(rng):
    parts = [lights(rng, DAY, 400), lights(rng, NIGHT, 400), lights(rng, NIGHT - 60, 400)]
    number = split(np.concatenate(parts)).reshape(3, 400)
    assert (number == number[:, :1]).all()
    assert len(set(number[:, 0])) == 3


def drifting(rng):
    return np.linspace(DAY, NIGHT, 2000) + rng.normal(0, 2, (2000, LIGHT))


def few(rng):
    return np.concatenate([lights(rng, DAY, 2000), lights(rng, NIGHT, LEAST - 1)])


def near(rng):
    return np.concatenate([lights(rng, DAY, 1000, 0.5), lights(rng, DAY + 6, 1000, 0.5)])


@pytest.mark.parametrize("footage", [drifting, few, near, lambda rng: lights(rng, DAY, 2000, 12.0)])
def test_what_does_not_stand_clearly_apart_is_one_regime(rng, footage):
    assert not split(footage(rng)).any()


def test_few_windows_between_do_not_hide_two_regimes(rng):
    between = np.linspace(DAY, NIGHT, 20)
    number = split(np.concatenate([lights(rng, DAY, 1000), between, lights(rng, NIGHT, 1000)]))
    assert len(set(number.tolist())) == 2


def own_of(peaks):
    return joined([("monday", np.arange(len(peaks)) * 1.4, peaks)])


def two(rng, *, quiet=0.2, day=3000, night=1500):
    """Peaks and lights of a day, and of a night that scores a fifth as high."""
    peaks = np.concatenate([rng.exponential(1.0, day), quiet * rng.exponential(1.0, night)])
    return own_of(peaks), np.concatenate([lights(rng, DAY, day), lights(rng, NIGHT, night)])


def test_scores_mean_the_same_in_both_regimes(rng, model):
    own, light = two(rng)
    found, regimes = own_regimes(model, own, light)
    assert len(regimes) == 2
    np.testing.assert_array_equal(found.regime, np.repeat([0, 1], [3000, 1500]))
    np.testing.assert_array_equal(found.peaks[:3000], own.peaks[:3000])
    for share in (0.5, 0.9, 0.99):
        day, night = (np.quantile(part, share) for part in np.split(found.peaks, [3000]))
        assert night == pytest.approx(day, rel=0.25)
    ranked = np.argsort(own.peaks[3000:])
    np.testing.assert_array_equal(np.argsort(found.peaks[3000:]), ranked)


def test_what_would_be_an_alarm_at_night_is_none_by_day(rng, model):
    _, regimes = own_regimes(model, *two(rng))
    assert common_score(regimes, 1, 2.0) > 5 > common_score(regimes, 0, 2.0) == 2.0
    scores = [common_score(regimes, 1, each) for each in np.linspace(0, 3, 50)]
    assert scores == sorted(scores)
    assert scores[0] == 0


def test_one_regime_changes_no_score(rng, model):
    own = own_of(rng.exponential(1.0, 2000))
    found, regimes = own_regimes(model, own, lights(rng, DAY, 2000))
    assert len(regimes) == 1
    np.testing.assert_array_equal(found.peaks, own.peaks)
    assert not found.regime.any()
    assert common_score(regimes, 0, 1.25) == 1.25


def test_too_little_footage_has_no_regime(rng, model):
    assert own_regimes(model, own_of(np.ones(40)), lights(rng, DAY, 40))[1] == ()


def test_an_event_at_night_is_no_measure_of_nights(rng, model):
    own, light = two(rng)
    planted = own.peaks.copy()
    planted[4000:4010] = 30.0
    _, without = own_regimes(model, own, light)
    found, regimes = own_regimes(model, replace(own, peaks=planted), light)
    assert regimes[1].scale == pytest.approx(without[1].scale, rel=0.1)
    assert found.peaks[4000:4010].min() > 10 * np.quantile(found.peaks, 0.99)


def test_scores_are_stretched_within_reason(rng, model):
    _, regimes = own_regimes(model, *two(rng, quiet=0.001))
    assert regimes[0].scale / regimes[1].scale == pytest.approx(4.0)


REGIMES = (Regime("colour", tuple(DAY), 20.0), Regime("infrared", tuple(NIGHT), 20.0))


def watched(each, regimes=REGIMES):
    watch = RegimeWatch(regimes)
    return [watch.push(light.astype(np.uint8), n / 10) for n, light in enumerate(each)]


def test_the_regime_follows_the_light_after_some_seconds_and_not_before():
    found = watched([DAY] * 50 + [NIGHT] * 100)
    numbers = [each.number for each in found]
    assert numbers == sorted(numbers)
    assert 50 + 10 < numbers.index(1) < 50 + 60
    assert [each.name(REGIMES) for each in found[::149]] == ["colour", "infrared"]


def test_no_tick_depends_on_a_later_one():
    rng = np.random.default_rng(1)
    each = np.clip(np.concatenate([lights(rng, DAY, 40), lights(rng, NIGHT, 40), lights(rng, DAY, 40)]), 0, 255)
    whole = watched(each)
    for stop in (1, 39, 60, 85):
        assert watched(each[:stop]) == whole[:stop]


def test_a_light_in_the_middle_changes_nothing():
    middle = (DAY + NIGHT) / 2
    rng = np.random.default_rng(2)
    for begin, number in ((DAY, 0), (NIGHT, 1)):
        found = watched([begin] * 10 + [middle + rng.normal(0, 5, LIGHT) for _ in range(200)])
        assert {each.number for each in found} == {number}


def test_a_light_that_nothing_showed_is_unknown_and_who_walks_by_is_not():
    dark = np.full(LIGHT, 5.0)
    found = watched([DAY] * 50 + [DAY - 35] * 20 + [DAY] * 50)
    assert all(each.is_known for each in found)
    found = watched([DAY] * 50 + [dark] * 100)
    assert [each.is_known for each in found[:50]] == [True] * 50
    assert not found[-1].is_known
    assert found[-1].name(REGIMES) == found[-1].name(REGIMES[:1]) == "unknown light"


def test_without_regimes_every_light_is_known_and_none_is_named():
    found = watched([DAY, NIGHT], ())
    assert [(each.number, each.is_known, each.name(())) for each in found] == [(-1, True, "")] * 2
    assert watched([DAY], REGIMES[:1])[0].name(REGIMES[:1]) == ""


def test_regimes_are_called_after_what_tells_them_apart():
    day, night, lamp = tuple(DAY), tuple(NIGHT), tuple(DAY + 25)
    assert named([RegimeLight(day, 25.0)]) == [""]
    assert named([RegimeLight(day, 25.0), RegimeLight(night, 1.0)]) == ["colour", "infrared"]
    assert named([RegimeLight(lamp, 25.0), RegimeLight(night, 1.0), RegimeLight(day, 24.0)]) == [
        "bright colour",
        "infrared",
        "dark colour",
    ]
    assert named([RegimeLight(day, 1.0), RegimeLight(tuple(DAY + 25), 1.0)]) == ["dark", "bright"]
    wide = (day[0] - 30, *day[1:4], day[4] + 30, day[5])
    assert named([RegimeLight(wide, 1.0), RegimeLight(day, 1.0)]) == ["strong", "flat"]
    assert named([RegimeLight(day, 1.0), RegimeLight((*day[:5], 99.0), 1.0)]) == ["light 1", "light 2"]


def test_means_are_of_each_window(model):
    seconds = np.concatenate([np.arange(33) / 10, 1e6 + np.arange(20) / 10])
    values = np.arange(53.0)[:, None] * [1.0, 2.0]
    expected = [6.5, 20.5, 30.0, 39.5, 49.5]
    np.testing.assert_allclose(window_means(model, values, seconds), np.outer(expected, [1, 2]))
