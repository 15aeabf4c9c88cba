"""What a gap is, and the clock that stands still in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.recordings import Gaps, frame_ends, median_frame, recordings, without_gaps

times = st.lists(st.sampled_from([0.033, 0.04, 0.1, 0.5, 0.9, 1.2, 2.0, 3.0, 3600.0, 1.7e9]), max_size=40).map(
    lambda apart: np.cumsum([0.0, *apart])
)


def joined(*parts):
    """Recordings (start, frames, rate) as one row of times."""
    return np.concatenate([start + np.arange(frames) / rate for start, frames, rate in parts])


def test_an_hour_between_two_recordings_is_a_gap():
    assert recordings(joined((0, 60, 15), (3604, 60, 15))).tolist() == [[0, 60], [60, 120]]
    assert recordings(joined((0, 5, 25), (1.7e9, 100, 10))).tolist() == [[0, 5], [5, 105]]
    assert recordings(joined((0, 1, 25), (3600, 50, 10))).tolist() == [[0, 1], [1, 51]]


def test_a_single_frame_between_two_gaps_is_a_recording():
    assert recordings(joined((0, 20, 10), (500, 1, 10), (900, 20, 10))).tolist() == [[0, 20], [20, 21], [21, 41]]


@pytest.mark.parametrize("rate", [120, 30, 29.97, 15, 7, 2, 1, 0.5, 0.2])
@pytest.mark.parametrize("digits", [3, 9])
def test_a_constant_rate_has_no_gap_however_slow(rate, digits):
    assert recordings(np.round(np.arange(200) / rate, digits)).tolist() == [[0, 200]]


def test_neither_lost_frames_nor_a_camera_that_slows_down_to_one_a_second_make_a_gap():
    assert recordings(np.delete(np.arange(60) / 15, range(20, 34))).tolist() == [[0, 46]]
    assert recordings(joined((0, 50, 10), (5, 50, 1))).tolist() == [[0, 100]]
    assert recordings(joined((0, 50, 0.5), (108, 50, 0.5))).tolist() == [[0, 100]]


@given(times)
def test_a_gap_is_known_by_the_times_before_it(seconds):
    whole = recordings(seconds)
    for frames in range(1, len(seconds) + 1):
        starts = recordings(seconds[:frames])[:, 0]
        np.testing.assert_array_equal(starts, whole[whole[:, 0] < frames, 0])


@given(times)
def test_frames_that_come_one_by_one_begin_the_same_recordings(seconds):
    gaps, starts = Gaps(), []
    for place, time in enumerate(seconds.tolist()):
        starts += [place] if gaps.is_before(time) else []
        gaps.add(time)
    assert starts == recordings(seconds)[:, 0].tolist()


@given(times)
def test_recordings_are_all_frames_once_and_end_before_the_gap(seconds):
    found, ends, clock = recordings(seconds), frame_ends(seconds), without_gaps(seconds)
    assert np.concatenate([np.arange(*part) for part in found]).tolist() == list(range(len(seconds)))
    for start, stop in found:
        np.testing.assert_array_equal(ends[start : stop - 1], seconds[start + 1 : stop])
        assert ends[stop - 1] == seconds[stop - 1] + median_frame(seconds[start:stop])
        np.testing.assert_allclose(np.diff(clock[start:stop]), np.diff(seconds[start:stop]), atol=2e-6)
    lengths = sum((ends - seconds)[:-1])
    assert clock[-1] == pytest.approx(lengths, abs=1e-4)


def test_without_a_gap_the_clock_is_the_file_s():
    seconds = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.9, 500))
    assert (without_gaps(seconds) == seconds).all()
    assert len(recordings(np.zeros(0))) == len(frame_ends(np.zeros(0))) == len(without_gaps(np.zeros(0))) == 0
