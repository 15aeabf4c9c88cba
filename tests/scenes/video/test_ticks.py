"""Which frames are ticks: at constant rates as ever, at variable ones by what is past, after a gap anew."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.recordings import recordings
from metavad.scenes.scene import Video
from metavad.scenes.video import Ticks, probe, tick_frames
from tests.footage import write_video


def by_the_mean_of_the_file(seconds, rate):
    """Ticks as they were when half a frame was half the mean frame of the whole file."""
    since = seconds - seconds[0]
    grace = 0.5 * since[-1] / (len(seconds) - 1) + 1e-3
    due = np.arange(int((since[-1] + grace) * rate) + 1) / rate - grace
    return np.unique(np.searchsorted(since, np.maximum(due, 0.0)))


@pytest.mark.parametrize("fps", [1, 5, 7, 7.5, 9, 10, 12.5, 14.985, 15, 16, 20, 24, 25, 29.97, 30, 50, 60, 120])
@pytest.mark.parametrize("unit", [None, 1e-3, 1 / 90_000])
def test_of_a_constant_rate_the_mean_so_far_is_that_of_the_file(fps, unit):
    for begin in (0.0, 0.0003, 0.0127):
        seconds = begin + np.arange(4000) / fps
        seconds = seconds if unit is None else np.round(seconds / unit) * unit
        np.testing.assert_array_equal(tick_frames(seconds, 10), by_the_mean_of_the_file(seconds, 10))
        for first in range(60):
            clip = seconds[first : first + 16]
            np.testing.assert_array_equal(tick_frames(clip, 10), by_the_mean_of_the_file(clip, 10))


variable = st.lists(st.sampled_from([0.01, 0.033, 0.04, 0.067, 0.1, 0.15, 0.4, 0.9, 5.0, 3600.0]), max_size=60)


@given(variable)
def test_whether_a_frame_is_a_tick_depends_on_no_later_frame(apart):
    seconds = np.cumsum([0.0, *apart])
    ticks = tick_frames(seconds, 10)
    for frames in range(1, len(seconds) + 1):
        np.testing.assert_array_equal(tick_frames(seconds[:frames], 10), ticks[ticks < frames])


@given(variable, st.sampled_from([0.5, 10.0, 29.97]))
def test_frames_that_come_one_by_one_are_the_same_ticks(apart, rate):
    seconds, found = np.cumsum([0.0, *apart]), []
    for start, stop in recordings(seconds).tolist():
        ticks = Ticks(rate)
        for place, time in enumerate(seconds[start:stop].tolist(), start):
            found += [place] if ticks.is_tick(time) else []
            ticks.add(time)
    assert found == tick_frames(seconds, rate).tolist()


@given(variable)
def test_at_variable_rates_ticks_come_ten_times_a_second_or_with_every_frame(apart):
    seconds = np.cumsum([0.0, *apart])
    ticks = tick_frames(seconds, 10)
    late = np.diff(seconds) > 0.101
    assert set(np.flatnonzero(late) + 1) <= set(ticks.tolist())
    assert (np.add.reduceat(np.ones(len(ticks)), np.searchsorted(ticks, recordings(seconds)[:, 0])) >= 1).all()
    for start, stop in recordings(seconds):
        inside = ticks[(ticks >= start) & (ticks < stop)]
        assert inside[0] == start
        assert len(inside) <= 10 * (seconds[stop - 1] - seconds[start]) + 2


def test_after_a_gap_ticks_begin_anew_and_cost_follows_frames():
    alone = np.arange(100) / 25
    seconds = np.concatenate([np.arange(5) / 25, 1.7e9 + alone])
    tracemalloc.start()
    ticks = tick_frames(seconds, 10)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    np.testing.assert_array_equal(ticks, [0, 2, *(5 + tick_frames(alone, 10))])


def test_the_rate_of_a_file_is_that_of_its_pictures(tmp_path):
    milliseconds = [*range(0, 1000, 100), *range(3_600_000, 3_601_000, 100)]
    facts = probe(Video("a", write_video(tmp_path / "a.mkv", range(20), milliseconds=milliseconds)))
    assert facts.seconds[-1] == pytest.approx(3600.9)
    assert facts.rate == pytest.approx(10.0)
