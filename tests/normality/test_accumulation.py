"""Smoothing in one go and as a stream, against plain loops."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as some

from metavad.normality.accumulation import Smoothing, smooth, strongest

scores_of = some.lists(some.one_of(some.floats(-5, 20), some.just(float("nan"))), min_size=1, max_size=40)


def by_hand(scores, seconds, past, future):
    means = []
    for now in seconds:
        inside = [
            score
            for score, time in zip(scores, seconds, strict=True)
            if now - past - 1e-6 <= time <= now + future + 1e-6 and not np.isnan(score)
        ]
        means.append(np.mean(inside) if inside else 0.0)
    return np.array(means)


@given(scores_of, some.sampled_from([0.0, 0.3, 0.9]), some.sampled_from([0.0, 0.5]))
def test_smooth_is_the_mean_of_the_window(scores, past, future):
    seconds = np.arange(len(scores)) / 10
    np.testing.assert_allclose(
        smooth(np.array(scores), seconds, past, future), by_hand(scores, seconds, past, future), atol=1e-9
    )


@given(scores_of, some.sampled_from([0.0, 0.5]))
def test_the_stream_gives_the_same(scores, future):
    seconds = np.cumsum(np.resize([0.08, 0.12], len(scores)))
    smoothing, found = Smoothing(0.9, future), []
    for number, (time, score) in enumerate(zip(seconds, scores, strict=True)):
        found += smoothing.until(float(time))
        smoothing.push(float(time), score, number)
    found += smoothing.until(math.inf)
    np.testing.assert_allclose([mean for mean, _ in found], smooth(np.array(scores), seconds, 0.9, future), atol=1e-9)
    assert [item for _, item in found] == list(range(len(scores)))


@given(scores_of, scores_of, some.sampled_from([0.0, 0.9, 5.0]))
def test_no_mean_is_of_two_recordings(before, after, past):
    seconds = np.concatenate([np.arange(len(before)) / 10, 2 + len(before) / 10 + np.arange(len(after)) / 10])
    parts = np.array([[0, len(before)], [len(before), len(seconds)]])
    alone = [smooth(np.array(scores), np.arange(len(scores)) / 10, past, 0.5) for scores in (before, after)]
    found = smooth(np.array(before + after), seconds, past, 0.5, parts)
    np.testing.assert_allclose(found, np.concatenate(alone), atol=1e-9)


def test_the_stream_waits_no_longer_than_its_lookahead():
    smoothing = Smoothing(0.9, 0.5)
    for number in range(100):
        final = [tick for _, tick in smoothing.until(number / 10)]
        assert final == ([number - 6] if number >= 6 else [])
        smoothing.push(number / 10, 0.0, number)


def test_strongest_is_the_mean_of_the_top_cells():
    maps = torch.arange(200.0).reshape(1, 10, 20)
    assert float(strongest(maps, 0.01)) == 198.5
    assert float(strongest(maps, 1e-9)) == 199.0


@given(some.lists(some.floats(0, 20), min_size=1, max_size=60), some.integers(0, 4))
def test_whole_windows_count_what_is_not_there_as_nothing(scores, unknown):
    """Where a recording begins or ends; anywhere else the means are those of every stream."""
    values = [math.nan] * unknown + scores
    seconds = [number / 10 for number in range(len(values))]
    plain, whole = (Smoothing(0.9, 0.5, is_whole=each) for each in (False, True))
    for smoothing in (plain, whole):
        for time, score in zip(seconds, values, strict=True):
            smoothing.push(time, score, None)
    means, found = (np.array([mean for mean, _ in each.until(math.inf)]) for each in (plain, whole))
    assert (found <= means + 1e-9).all()
    np.testing.assert_array_equal(found[unknown + 9 : -5], means[unknown + 9 : -5])
    if len(scores) > 15:  # 15 ticks of a window: of the first known one six are there
        np.testing.assert_allclose(found[unknown], sum(scores[:6]) / 14, atol=1e-6)
        np.testing.assert_allclose(found[-1], sum(scores[-10:]) / 14, atol=1e-6)
