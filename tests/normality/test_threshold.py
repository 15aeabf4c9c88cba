"""The threshold from a camera's own footage: simulated cameras whose tail is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from metavad.episodes import Shots
from metavad.features.footage import gather
from metavad.features.library import Library
from metavad.normality.distribution import PopulationScores
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.threshold import SECONDS_PER_DAY, alarms_at, checked_threshold, promise_threshold, window_seconds
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite


@pytest.fixture(scope="module")
def model(cameras, tiny_base):
    """A model whose frame scores are nats as they are."""
    library = Library(load_suite(str(cameras)).scenes, tiny_base.config.data, tiny_base.features, Store())
    nothing = gather(library, next(iter(library.scenes)), Shots((), 0), thumbnails=False)
    plain = fit(Adapted(tiny_base), nothing.support, nothing.grid)
    return replace(plain, frames=PopulationScores.unit())


def daily(model, share):
    """Alarms a day, where this share of windows has one."""
    return share * 86_400 / window_seconds(model)


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.5])
@pytest.mark.parametrize("windows", [60, 400])
def test_the_promise_is_kept_on_most_simulated_cameras(model, scale, windows):
    generator = np.random.default_rng(0)
    for share in (0.05, 0.002):
        kept = []
        for _ in range(60):
            peaks = generator.exponential(scale, windows)
            threshold, _ = checked_threshold(model, peaks, daily(model, share))
            kept.append(math.exp(-threshold / scale) <= 1.2 * share)
        assert np.mean(kept) >= 0.8


def test_a_calm_camera_gets_a_lower_threshold_than_a_lively_one(model):
    peaks = np.random.default_rng(1).exponential(1.0, 200)
    calm, lively = (checked_threshold(model, scale * peaks, daily(model, 0.002))[0] for scale in (0.3, 2.0))
    assert calm < 0.5 * lively


def test_fewer_alarms_need_a_higher_threshold(model):
    peaks = np.random.default_rng(2).exponential(1.0, 200)
    thresholds = [checked_threshold(model, peaks, daily(model, share))[0] for share in (0.3, 0.05, 0.001, 1e-5)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


@pytest.mark.parametrize("share", [0.001, 0.02, 0.05])
def test_the_footage_itself_keeps_the_promise(model, share):
    peaks = np.random.default_rng(3).exponential(0.1, 100)
    peaks[[20, 50, 80]] = 9.0, 8.0, 7.0
    threshold, _ = checked_threshold(model, peaks, daily(model, share))
    assert (peaks > threshold).sum() <= 100 * share


def test_neighbours_are_one_peak_and_what_was_shown_parts_them(model):
    single, several, parted = (np.full(100, 0.1) for _ in range(3))
    single[50] = several[50] = parted[50] = 9.0
    several[51], several[52], parted[51], parted[52] = 8.5, 8.7, np.nan, 8.7
    one, two, three = (checked_threshold(model, each, daily(model, 0.01))[0] for each in (single, several, parted))
    assert one == two != three


def test_what_the_footage_can_prove_is_reported(model):
    peaks = np.random.default_rng(4).exponential(1.0, 1000)
    least = 3 * daily(model, 1 / 1000)
    for alarms, proven in ((1.1 * least, True), (0.5 * least, False)):
        _, promise = checked_threshold(model, peaks, alarms)
        assert promise.supported is proven
        assert promise.alarms_per_day == alarms
        assert "23.3 min of this camera's normal footage" in promise.text
        assert ("an estimate" in promise.text) is not proven


@pytest.mark.parametrize("alarms", [5000.0, 10.0, 0.01])
def test_the_alarms_of_a_threshold_are_what_a_promise_of_so_many_would_set(model, alarms):
    """There and back, from a threshold of any other promise."""
    threshold, _ = promise_threshold(model, 100.0, normal_ticks=1000)
    score, _ = promise_threshold(model, alarms, normal_ticks=1000)
    assert alarms_at(model, score, threshold, 100.0) == pytest.approx(alarms, rel=1e-3)


def test_no_more_alarms_fit_into_a_day_than_windows(model):
    assert alarms_at(model, -5.0, 1e6, 10.0) == pytest.approx(SECONDS_PER_DAY / window_seconds(model))
