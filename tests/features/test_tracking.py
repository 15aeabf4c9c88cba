"""Tracks of boxes that move on known paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from metavad.features.tracking import Follower


def box(x, y, size=0.1):
    return [x, y, x + size, y + 2 * size]


def test_two_who_cross_keep_their_numbers_and_slots():
    follower = Follower(4)
    seen = []
    for tick in range(10):
        boxes = np.array([box(0.1 + 0.03 * tick, 0.2), box(0.5 - 0.03 * tick, 0.6)])
        order = [0, 1] if tick % 2 else [1, 0]
        slots, tracks, _ = follower.step(boxes[order], tick / 10)
        seen.append((slots[order].tolist(), tracks[order].tolist()))
    assert all(each == seen[0] for each in seen)
    assert len(set(seen[0][1])) == 2


def test_who_was_away_for_long_is_somebody_else_and_who_was_not_is_not():
    follower = Follower(4)
    first = follower.step(np.array([box(0.1, 0.1)]), 0.0)[1]
    follower.step(np.zeros((0, 4)), 0.2)
    assert follower.step(np.array([box(0.11, 0.1)]), 0.4)[1] == first
    follower.step(np.zeros((0, 4)), 0.8)
    assert follower.step(np.array([box(0.11, 0.1)]), 1.2)[1] != first


@pytest.mark.parametrize("rate", [1.0, 1.5, 2.5])
def test_who_stands_before_a_slow_camera_is_one_person(rate):
    follower = Follower(4)
    tracks = [follower.step(np.array([box(0.3, 0.3)]), tick / rate)[1].item() for tick in range(5)]
    assert tracks == [1] * 5


def test_standing_is_counted_in_seconds_and_ends_with_leaving():
    follower = Follower(2)
    for tick in range(21):
        still = follower.step(np.array([box(0.3 + 0.001 * (tick % 3), 0.3)]), tick / 10)[2]
    assert still[0] == pytest.approx(2.0)
    for tick in range(21, 31):
        still = follower.step(np.array([box(0.3 + 0.05 * (tick - 20), 0.3)]), tick / 10)[2]
    assert still[0] < 0.3


@settings(max_examples=40)
@given(some.lists(some.lists(some.tuples(some.floats(0, 2), some.floats(0, 1)), max_size=5), max_size=12))
def test_slots_are_within_bounds_and_never_shared(ticks):
    follower = Follower(5)
    for tick, corners in enumerate(ticks):
        boxes = np.array([box(*corner) for corner in corners]).reshape(-1, 4)
        slots, tracks, still = follower.step(boxes, tick / 10)
        assert len(set(slots)) == len(set(tracks)) == len(boxes)
        assert ((slots >= 0) & (slots < 5)).all()
        assert (still >= 0).all()
        assert len(follower._tracks) <= 5
