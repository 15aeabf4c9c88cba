"""The threshold from a camera's own footage: simulated cameras whose tail is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from metavad.episodes import Shots
from metavad.errors import UsageError
from metavad.features.footage import gather
from metavad.features.library import Library
from metavad.normality.distribution import PopulationScores
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.own_footage import OwnFootage, clusters, joined, ruled, window_seconds
from metavad.normality.threshold import (
    SECONDS_PER_DAY,
    alarms_at,
    calibrated_threshold,
    outstanding,
    own_threshold,
    promise_of_threshold,
    promise_threshold,
    rates,
    recurring,
)
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite


@pytest.fixture(scope="module")
def model(cameras, tiny_base):
    """A model whose frame scores are nats as they are."""
    library = Library(load_suite(str(cameras)).scenes, tiny_base.config.data, tiny_base.features, Store())
    nothing = gather(library, next(iter(library.scenes)), Shots((), 0), thumbnails=False)
    plain = fit(Adapted(tiny_base), nothing.support, nothing.grid)
    return replace(plain, frames=PopulationScores.unit())


def one_video(peaks):
    """Footage of one video whose windows have these peaks (N,)."""
    return joined([("gate", 1.4 * np.arange(len(peaks)), peaks)])


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
            threshold, _ = own_threshold(model, one_video(peaks), daily(model, share))
            kept.append(math.exp(-threshold / scale) <= 1.2 * share)
        assert np.mean(kept) >= 0.8


def test_a_calm_camera_gets_a_lower_threshold_than_a_lively_one(model):
    peaks = np.random.default_rng(1).exponential(1.0, 200)
    calm, lively = (own_threshold(model, one_video(scale * peaks), daily(model, 0.002))[0] for scale in (0.3, 2.0))
    assert calm < 0.5 * lively


def test_fewer_alarms_need_a_higher_threshold(model):
    peaks = np.random.default_rng(2).exponential(1.0, 200)
    thresholds = [own_threshold(model, one_video(peaks), daily(model, share))[0] for share in (0.3, 0.05, 0.001, 1e-5)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


@pytest.mark.parametrize("share", [0.001, 0.007, 0.02, 0.05])
def test_the_footage_itself_keeps_the_promise(model, share):
    peaks = np.random.default_rng(3).pareto(1.5, 400).astype(np.float32)
    threshold, promise = own_threshold(model, one_video(peaks), daily(model, share))
    assert (peaks > threshold).sum() <= 400 * share
    assert promise.supported == (400 * share >= 3.0)


def test_neighbours_are_one_peak_and_what_was_shown_parts_them(model):
    single, several, parted = (np.full(100, 0.1) for _ in range(3))
    single[50] = several[50] = parted[50] = 9.0
    several[51], several[52], parted[51], parted[52] = 8.5, 8.7, np.nan, 8.7
    one, two, three = (
        own_threshold(model, one_video(each), daily(model, 0.01))[0] for each in (single, several, parted)
    )
    assert one == two != three


def test_what_the_footage_can_prove_is_reported(model):
    peaks = np.random.default_rng(4).exponential(1.0, 1000)
    least = 3 * daily(model, 1 / 1000)
    for alarms, proven in ((1.1 * least, True), (0.5 * least, False)):
        _, promise = own_threshold(model, one_video(peaks), alarms)
        assert promise.supported is proven
        assert promise.alarms_per_day == alarms
        assert "23 min of this camera's normal footage" in promise.text
        assert ("an estimate" in promise.text) is not proven


@pytest.mark.parametrize("alarms", [5000.0, 10.0, 0.01])
def test_the_alarms_of_a_threshold_are_what_a_promise_of_so_many_would_set(model, alarms):
    """There and back, from a threshold of any other promise."""
    threshold, _ = promise_threshold(model, 100.0, normal_ticks=1000)
    score, _ = promise_threshold(model, alarms, normal_ticks=1000)
    assert alarms_at(model, score, threshold, 100.0) == pytest.approx(alarms, rel=1e-3)


def test_no_more_alarms_fit_into_a_day_than_windows(model):
    assert alarms_at(model, -5.0, 1e6, 10.0) == pytest.approx(SECONDS_PER_DAY / window_seconds(model))


def test_what_another_threshold_would_mean_is_counted_on_the_cameras_own_footage(model):
    peaks = np.random.default_rng(3).exponential(1.0, 2000)
    own = one_video(peaks)
    for score in np.quantile(peaks, [0.9, 0.99, 0.999]):
        (counted,) = rates(model, own, np.array([score]))
        for threshold, promised in ((20.0, 10.0), (15.0, 30.0)):
            assert alarms_at(model, float(score), threshold, promised, own) == pytest.approx(counted)
    assert alarms_at(model, float(np.quantile(peaks, 0.9)), 20.0, 5e4, own) == 5e4


def test_a_lower_threshold_never_means_fewer_alarms(model):
    own = one_video(np.random.default_rng(3).exponential(1.0, 2000))
    found = [alarms_at(model, score, 20.0, 10.0, own) for score in np.linspace(20.0, 0.0, 200)]
    assert found == sorted(found)


def test_beyond_what_was_counted_it_follows_the_cameras_own_tail(model):
    """Of a tail twice as wide, a score a few nats lower is passed less often."""
    rng, alarms = np.random.default_rng(3), []
    threshold, lower, far = (frames(model).value(nats) for nats in (16.0, 14.0, 8.5))
    for scale in (0.5, 1.0):
        peaks = np.array([frames(model).value(nats) for nats in np.minimum(rng.exponential(scale, 2000), 8.0)])
        own = one_video(peaks)
        alarms.append(alarms_at(model, lower, threshold, 0.01, own))
        once = 1 / (2000 * window_seconds(model) / SECONDS_PER_DAY)
        assert alarms_at(model, far, threshold, 1.0, own) == pytest.approx(once)
    assert alarms[0] == pytest.approx(0.01 * math.exp(4.0), rel=0.35)
    assert alarms[1] == pytest.approx(0.01 * math.exp(2.0), rel=0.35)


def frames(model):
    """The base's tail of frame scores."""
    return model.frames.after(model.support.sample_size)


def footage(peaks):
    """Windows of two videos, a gap between them."""
    half = len(peaks) // 2
    parts = [("monday", peaks[:half]), ("tuesday", peaks[half:])]
    return joined([(name, 1.4 * np.arange(len(each) + 1), np.append(each, np.nan)) for name, each in parts])


PLANTED = [(100, 3), (400, 5), (900, 2), (1500, 4), (1700, 6)]


def windows_of():
    """Where the planted events are in it: a window between the videos is nothing."""
    return [(start + (start >= 1000), start + (start >= 1000) + length) for start, length in PLANTED]


@pytest.fixture
def planted():
    """Half an hour and more, of which one per cent is events that a base finds easily."""
    generator = np.random.default_rng(5)
    peaks = generator.exponential(0.4, 2000)
    for start, length in PLANTED:
        peaks[start : start + length] = generator.uniform(9, 30, length)
    return footage(peaks)


@pytest.mark.parametrize("share", [0.01, 0.002, 0.0005])
def test_planted_events_do_not_ruin_the_threshold(model, planted, share):
    odd = outstanding(model, planted)
    assert all(odd[slice(*each)].all() for each in windows_of())
    assert odd.sum() < 2 * sum(length for _, length in PLANTED)
    clean = replace(planted, peaks=np.where(odd, np.float32(np.nan), planted.peaks))
    alarms = daily(model, share)
    threshold, promise = calibrated_threshold(model, planted, alarms, normal_ticks=1000)
    assert (threshold, promise.text) == (
        calibrated_threshold(model, clean, alarms, normal_ticks=1000)[0],
        calibrated_threshold(model, clean, alarms, normal_ticks=1000)[1].text,
    )
    assert (
        threshold
        < 9
        < calibrated_threshold(model, replace(planted, ruling=odd.astype(np.int8)), 0.1 * alarms, normal_ticks=1000)[0]
    )


def test_planted_events_are_named_with_video_and_time(model, planted):
    odd = outstanding(model, planted)
    named = [cluster for cluster in clusters(model, planted) if odd[slice(*cluster.windows)].any()]
    assert [cluster.number for cluster in named] == [1, 2, 3, 4, 5]
    assert sorted(cluster.windows for cluster in named) == windows_of()
    found = sorted((cluster.video, round(cluster.start / 1.4), round(cluster.end / 1.4)) for cluster in named)
    places = [("monday" if start < 1000 else "tuesday", start % 1000, length) for start, length in PLANTED]
    assert found == [(video, start, start + length) for video, start, length in places]


def test_what_stays_stands_out_of_its_own_tail(model):
    generator = np.random.default_rng(0)
    motion, stays = generator.exponential(9.0, 2000), generator.exponential(1.0, 2000)
    stays[700:705] = 25.0
    own = one_video(np.maximum(motion, stays))
    assert not outstanding(model, own)[700:705].any()
    both = replace(own, novelty=stays.astype(np.float32))
    assert np.flatnonzero(outstanding(model, both)).tolist() == [700, 701, 702, 703, 704]
    again = replace(both, novelty=both.novelty.copy())
    again.novelty[100:2000:200] = 25.0
    assert not outstanding(model, again).any(), "what comes ten times belongs to the camera"


def test_a_long_tail_does_not_stand_out(model):
    flagged = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        for peaks in (generator.exponential(1.0, 1000), generator.gamma(2.0, 1.0, 1000)):
            flagged.append(outstanding(model, footage(peaks)).any())
    assert np.mean(flagged) <= 0.05


def test_what_half_of_the_time_is_so_is_normal(model):
    peaks = np.random.default_rng(6).exponential(0.1, 1000)
    peaks[::8] += 10
    assert not outstanding(model, footage(peaks)).any()


def test_what_comes_often_belongs_to_the_camera(model, planted):
    """A room that is empty for most of the day: whoever walks through it is no exception."""
    peaks = np.random.default_rng(5).exponential(0.4, 2000)
    for start in range(50, 2000, 200):
        peaks[start : start + 2] = 12
    assert not outstanding(model, footage(peaks)).any()
    assert recurring(model, footage(peaks)) == 10
    threshold, _ = calibrated_threshold(model, footage(peaks), 10, normal_ticks=1000)
    assert threshold >= 12
    assert recurring(model, planted) == 0
    peaks[1990] = 1000
    assert outstanding(model, footage(peaks)).sum() == 1
    assert recurring(model, footage(peaks)) == 10  # without the one that stands out of these too


def test_of_long_footage_no_more_may_stand_out(model):
    """Half a day and more in which something ordinary comes six times: it is no exception because the day is long."""
    peaks = np.minimum(np.random.default_rng(5).exponential(0.4, 40_000), 4.0)
    peaks[3000:39_000:6000] = 12
    own = one_video(peaks)
    assert window_seconds(model) * len(peaks) > 0.6 * SECONDS_PER_DAY
    assert not outstanding(model, own).any()
    assert recurring(model, own) == 6


def test_leaving_out_never_lets_others_count(model):
    """Five events that just stand out of the rest together: without the highest, the others are no longer so odd."""
    generator = np.random.default_rng(5)
    peaks = generator.exponential(1.0, 2000)
    level = 0.5
    for start, _ in PLANTED:
        peaks[start - 3 : start + 4] = 0.0
    top = np.sort(peaks)[-1]
    while True:
        peaks[[start for start, _ in PLANTED]] = top + level
        if outstanding(model, one_video(peaks)).sum() == len(PLANTED):
            break
        level += 0.05
    own = one_video(peaks)
    without = ruled(model, own, normal=[], left_out=[1])
    alone = replace(own, peaks=np.where(without.ruling < 0, np.float32(np.nan), own.peaks))
    assert not outstanding(model, alone).any(), "or this test shows nothing"
    assert outstanding(model, without).sum() == len(PLANTED) - 1
    assert own_threshold(model, without, 10)[0] <= own_threshold(model, own, 10)[0]


def test_one_occasion_may_have_many_peaks(model):
    peaks = np.random.default_rng(5).exponential(0.4, 2000)
    peaks[100:140:3] = 20
    assert outstanding(model, footage(peaks))[100:140:3].all()


@pytest.mark.parametrize("seed", range(5))
def test_of_short_footage_a_cluster_is_not_all_of_it(model, seed):
    """Two minutes of one video, neighbours alike."""
    noise = np.random.default_rng(seed).exponential(1.0, 100)
    own = one_video(np.convolve(noise, [0.4, 0.3, 0.2, 0.1])[:86])
    found = clusters(model, own)
    assert 1 < len(found) <= 20
    left = ruled(model, own, normal=[], left_out=[1])
    assert 70 <= np.count_nonzero(left.known) < 86
    assert found[0].score == pytest.approx(float(own.peaks.max()))


def test_rulings_of_clusters_count(model, planted):
    plain, _ = calibrated_threshold(model, planted, 60, normal_ticks=1000)
    normal, _ = calibrated_threshold(
        model, ruled(model, planted, normal=[1, 2, 3, 4, 5], left_out=[]), 60, normal_ticks=1000
    )
    assert normal > 9 > plain
    lively = footage(np.random.default_rng(7).exponential(1.0, 2000))
    left_out = ruled(model, lively, normal=[], left_out=[1, 2])
    assert (
        calibrated_threshold(model, left_out, 10, normal_ticks=1000)[0]
        < calibrated_threshold(model, lively, 10, normal_ticks=1000)[0]
    )
    assert [each.score for each in clusters(model, left_out)] == [each.score for each in clusters(model, lively)]
    with pytest.raises(UsageError, match="--leave-out 21: expected the number of a moment"):
        ruled(model, lively, normal=[], left_out=[21])


def test_the_promise_is_one_sentence(model):
    peaks = np.random.default_rng(8).exponential(1.0, 20_000)
    hours = 20_000 * 1.4 / 3600
    _, kept = calibrated_threshold(model, footage(peaks), 10, normal_ticks=1000)
    assert kept.supported
    assert kept.text == f"at most 10 false alarms a day, proven on {hours:.1f} h of this camera's normal footage"
    _, hoped = calibrated_threshold(model, footage(peaks), 5, normal_ticks=1000)
    assert not hoped.supported
    assert hoped.text.endswith("of this camera's normal footage proves 10, and 6.6 h more would prove it")


def test_a_threshold_of_ones_own_promises_what_the_footage_proves(model):
    own = footage(np.random.default_rng(9).exponential(1.0, 20_000))
    promises = [promise_of_threshold(model, own, each, normal_ticks=1000) for each in (2.0, 4.0, 99.0)]
    rates_a_day = [promise.alarms_per_day for promise in promises]
    assert rates_a_day == sorted(rates_a_day, reverse=True)
    assert rates_a_day[-1] == 9.3
    assert all(promise.supported for promise in promises)
    found = rates(model, own, np.array([2.0, 4.0, 99.0]))
    assert (found <= rates_a_day).all()
    assert found[-1] == 0


@pytest.mark.parametrize("alarms", [2000.0, 10.0])
def test_without_footage_a_threshold_promises_what_other_cameras_say(model, alarms):
    threshold, promise = calibrated_threshold(model, OwnFootage(), alarms, normal_ticks=1000)
    again = promise_of_threshold(model, OwnFootage(), threshold, normal_ticks=1000)
    assert again.alarms_per_day == pytest.approx(promise.alarms_per_day, rel=0.11)
    assert promise_of_threshold(model, OwnFootage(), 1e9, normal_ticks=1000).alarms_per_day < 0.01
