"""Times of frames: every stamp that can be believed is kept, the others are found from what is around them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.scenes.video.timestamps import LONGEST_GAP, MOST, UNKNOWN, frame_seconds, in_shown_order

MILLISECOND = 1e-3
EVEN = np.arange(0, 4000, 40)
"""Stamps of a hundred frames at 25 frames a second."""


def of(pts, dts=None, *, period=0.1):
    """Seconds and what is said, in milliseconds, of frames with these stamps."""
    pts = np.array(pts, np.int64)
    none = np.full_like(pts, UNKNOWN)
    return frame_seconds(pts, none if dts is None else np.array(dts, np.int64), MILLISECOND, period)


def changed(**stamps):
    """Even stamps, but for those of some frames: ``f30=2513``."""
    pts = EVEN.copy()
    for frame, stamp in stamps.items():
        pts[int(frame[1:])] = stamp
    return pts


def test_rising_stamps_are_the_times_bit_for_bit():
    pts = np.array([7, 47, 90, 127, 5000, 5040])
    seconds, notes = of(pts)
    np.testing.assert_array_equal(seconds, (pts - 7) * MILLISECOND)
    assert notes == ()


@pytest.mark.parametrize(
    "pts",
    [
        changed(f30=UNKNOWN),
        changed(f30=UNKNOWN, f31=UNKNOWN, f32=UNKNOWN),
        changed(f0=UNKNOWN),
        changed(f99=UNKNOWN),
        changed(f30=29 * 40),
        changed(f30=31 * 40),
        changed(f30=30 * 40 + 2013),
        changed(f30=30 * 40 - 813),
        changed(f30=10**12),
        changed(f30=0, f60=10**12, f61=UNKNOWN),
        changed(f0=5000),
        changed(f99=0),
        changed(**{f"f{n}": n * 40 + 2013 for n in range(30, 40)}),
    ],
    ids=str,
)
def test_a_wrong_stamp_costs_no_other_its_own(pts):
    seconds, notes = of(pts)
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND, atol=1e-9)
    assert len(notes) == 1
    assert "of 100 frames" in notes[0]


def test_of_two_equal_stamps_the_one_that_leaves_time_even_stays():
    np.testing.assert_allclose(of([0, 40, 120, 120, 160, 200])[0], np.arange(6) * 0.04)
    np.testing.assert_allclose(of([0, 40, 40, 120, 160, 200])[0], np.arange(6) * 0.04)


def test_stamps_of_whole_seconds_are_spread():
    seconds, notes = of(np.arange(100) // 25 * 1000)
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND, atol=1e-9)
    assert len(notes) == 1


def test_stamps_around_a_gap_stay_where_they_are():
    pts = np.concatenate([EVEN[:50], EVEN[50:] + 3_600_000])
    pts[20] = pts[19]
    seconds, _ = of(pts)
    np.testing.assert_allclose(np.delete(seconds, 20), np.delete(pts, 20) * MILLISECOND)
    assert seconds[20] == pytest.approx(0.8)


@pytest.mark.parametrize("frame", [49, 50])
def test_a_frame_beside_a_gap_is_not_put_into_its_middle(frame):
    pts = np.concatenate([EVEN[:50], EVEN[50:] + 3_600_000])
    pts[frame] = UNKNOWN
    assert of(pts)[0][frame] == pytest.approx(frame * 0.04, abs=0.041)


def test_the_other_clock_tells_where_a_missing_stamp_belongs():
    """Frames at a varying rate, one without a stamp of presentation: that of decoding says where in between."""
    pts = np.cumsum([0, 40, 40, 40, 200, 40, 40])
    dts = pts - 80
    wrong = pts.copy()
    wrong[4] = UNKNOWN
    np.testing.assert_allclose(of(wrong, dts)[0], pts * MILLISECOND)


def test_stamps_out_of_order_throughout_give_way_to_those_of_decoding():
    """H.264 in AVI and ASF: the stamps of presentation are made up, in the order of decoding."""
    made_up = EVEN.reshape(-1, 4)[:, [0, 2, 3, 1]].ravel()
    dts = np.append(EVEN[2:], [UNKNOWN, UNKNOWN])
    seconds, notes = of(made_up, dts)
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND, atol=1e-9)
    assert notes == ("its times of presentation are out of order; those of decoding are used",)
    seconds, notes = of(np.full(100, UNKNOWN), dts)
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND, atol=1e-9)
    assert notes == ()


@pytest.mark.parametrize("pts", [np.full(100, UNKNOWN), EVEN[::-1], np.full(100, 2**62)], ids=["none", "back", "wild"])
def test_without_usable_stamps_the_rate_is_a_guess_and_reported(pts):
    seconds, notes = of(pts, period=0.04)
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND)
    assert "25 frames a second are assumed" in notes[0]


@pytest.mark.parametrize(("later", "spelled"), [(1.7e9, "54 years"), (3 * 86400, "3 days")])
def test_a_clock_that_is_set_leaves_no_gap(later, spelled):
    seconds, notes = of(EVEN + round(later * 1000) * (EVEN >= 200))
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND, atol=1e-6)
    assert len(notes) == 1
    assert f"ahead by {spelled} at frame 5 (0.2 s)" in notes[0]


@pytest.mark.parametrize(("back", "spelled"), [(2, "2 s"), (4 * 3600, "4 h")])
def test_time_that_begins_anew_goes_on(back, spelled):
    pts = np.concatenate([EVEN, EVEN + EVEN[-1] - 1000 * back])
    seconds, notes = of(pts)
    np.testing.assert_allclose(seconds, np.arange(200) * 0.04, atol=1e-6)
    assert len(notes) == 1
    assert f"its clock jumps back by {spelled} at frame 100 (4.0 s)" in notes[0]


def test_a_counter_that_wraps_goes_on():
    ticks = (np.arange(100) * 3600 + 2**33 - 180_000) % 2**33
    seconds, notes = frame_seconds(ticks, np.full(100, UNKNOWN), 1 / 90_000, 0.1)
    np.testing.assert_allclose(seconds, np.arange(100) * 0.04, atol=1e-6)
    assert notes == ()


def test_a_gap_of_hours_is_kept():
    pts = EVEN + round((LONGEST_GAP - 60) * 1000) * (EVEN >= 2000)
    np.testing.assert_allclose(of(pts)[0], pts * MILLISECOND)
    assert of(pts)[1] == ()


@given(
    pts=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 50).map(lambda n: 40 * n), min_size=1, max_size=80),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_the_stamps_time_rises_from_zero(pts, seed):
    dts = np.random.default_rng(seed).permutation(np.array(pts, np.int64))
    seconds, notes = of(pts, dts)
    assert seconds.shape == (len(pts),)
    assert seconds[0] == 0
    assert np.isfinite(seconds).all()
    assert (np.diff(seconds) > 0).all()
    assert all("\n" not in text for text in notes)


@given(st.lists(st.integers(1, 500), min_size=6, max_size=60), st.data())
def test_one_wrong_stamp_moves_no_other(steps, data):
    pts = np.cumsum([0, *steps])
    frame = data.draw(st.integers(2, len(pts) - 4))
    wrong = pts.copy()
    wrong[frame] = data.draw(st.just(UNKNOWN) | st.integers(2 * pts[-1] + 1, 10**9))
    seconds, _ = of(wrong)
    np.testing.assert_allclose(np.delete(seconds, frame), np.delete(pts, frame) * MILLISECOND, atol=1e-9)


# --- the order of decoding -----------------------------------------------------------------------------------

REORDERED = EVEN.reshape(-1, 4)[:, [0, 3, 1, 2]].ravel()
"""Stamps in the order of decoding, with two pictures in four that refer to both sides."""


@pytest.mark.parametrize("stamps", [EVEN, REORDERED, EVEN**2, REORDERED**2 // 100, EVEN[:1], EVEN[:3], EVEN[:0]])
def test_stamps_that_fit_the_order_of_decoding(stamps):
    assert in_shown_order(np.asarray(stamps))


@pytest.mark.parametrize("stamps", [EVEN, REORDERED])
@pytest.mark.parametrize("later", [2013, -1013, 220])
def test_a_stamp_that_does_not(stamps, later):
    wrong = np.array(stamps)
    wrong[50] += later
    assert not in_shown_order(wrong)


def test_a_recording_that_begins_anew_does_not():
    assert not in_shown_order(np.concatenate([EVEN + 10_000, EVEN]))
    assert len(EVEN) > MOST


@pytest.mark.parametrize("count", [17, 60, 99])
def test_frames_that_are_crowded_into_no_time_are_given_theirs(count):
    """What an MP4 holds behind a clock that was set: a unit from one frame to the next."""
    pts = EVEN.copy()
    pts[100 - count :] = pts[100 - count] + np.arange(count)
    seconds, notes = of(pts, pts)
    np.testing.assert_allclose(seconds, EVEN * MILLISECOND, atol=1e-6)
    assert f"holds no usable time for {count - 1} of 100 frames" in notes[0]


def test_a_thousand_frames_a_second_may_lie_one_unit_apart():
    seconds, notes = frame_seconds(np.arange(100), np.arange(100), MILLISECOND, 0.001)
    np.testing.assert_allclose(seconds, np.arange(100) * 0.001)
    assert notes == ()
