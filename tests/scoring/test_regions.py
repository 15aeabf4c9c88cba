import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metavad.errors import DataError
from metavad.scoring.regions import (
    Region,
    Tracks,
    detect,
    detection_rows,
    find_regions,
    follow,
    to_pixels,
    track_regions,
)

maps = arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(-2, 3).map(float))


def test_regions_of_a_map_by_hand():
    scores = np.zeros((4, 6))
    scores[0, 0], scores[1, 1] = 2, 5  # diagonal neighbours: one region
    scores[3, 4:6] = 3
    first, second = find_regions(scores, 1, (240, 360))
    assert first == Region((0, 0, 120, 120), (0, 0, 2, 2), 5, (1, 1))
    assert second == Region((240, 180, 360, 240), (4, 3, 6, 4), 3, (3, 4))


def test_a_region_inside_the_box_of_another_keeps_its_own_peak():
    scores = np.ones((5, 5))
    scores[1:4, 1:4] = 0
    scores[2, 2] = 9
    inner, outer = find_regions(scores, 0.5, (5, 5))
    assert (inner.box, inner.score) == ((2, 2, 3, 3), 9)
    assert (outer.box, outer.score) == ((0, 0, 5, 5), 1)


@given(maps, st.integers(-3, 3))
def test_regions_cover_what_is_over_the_threshold_and_hold_their_peak(scores, threshold):
    found = find_regions(scores, threshold, scores.shape)
    covered = np.zeros(scores.shape, bool)
    for region in found:
        x0, y0, x1, y1 = (int(value) for value in region.cells)
        covered[y0:y1, x0:x1] = True
        assert scores[region.place] == region.score > threshold
        assert y0 <= region.place[0] < y1
        assert x0 <= region.place[1] < x1
        assert region.box == region.cells
    assert covered[scores > threshold].all()
    assert [region.score for region in found] == sorted((region.score for region in found), reverse=True)
    assert bool(found) == bool((scores > threshold).any())


def test_pixels_of_cells_and_rows_for_rbdc():
    assert to_pixels((1, 2, 3, 4), (10, 20), (100, 400)) == (20, 20, 60, 40)
    assert detection_rows(7, []).shape == (0, 6)
    region = Region((1, 2, 3, 4), (0, 0, 1, 1), 9, (0, 0))
    assert detection_rows(7, [region]).tolist() == [[7, 1, 2, 3, 4, 9]]


def at(x, y=0.0, size=10.0):
    return Region((x, y, x + size, y + size), (0, 0, 1, 1), 1, (0, 0))


def test_two_things_that_pass_each_other_keep_their_numbers():
    ticks = [[at(2 * t), at(60 - 2 * t, y=30)] for t in range(20)]
    ticks = [regions[:: 1 - 2 * (t % 2)] for t, regions in enumerate(ticks)]  # order of regions is no cue
    assert track_regions(ticks) == [[0, 1] if t % 2 == 0 else [1, 0] for t in range(20)]


def test_a_short_gap_is_bridged_a_long_one_is_not():
    assert track_regions([[at(0)], [], [], [at(1)]], patience=2) == [[0], [], [], [0]]
    assert track_regions([[at(0)], [], [], [at(1)]], patience=1) == [[0], [], [], [1]]


def test_the_greatest_sum_of_overlaps_wins_over_greed():
    # Greed would give the region at 2 to the track at 3, and the one at 5 to the track at 0.
    tracks, _ = follow(Tracks(), [at(0), at(3)])
    _, numbers = follow(tracks, [at(2), at(5)], overlap=0.3)
    assert numbers == [0, 1]


def test_what_does_not_overlap_is_something_new():
    _, numbers = follow(follow(Tracks(), [at(0)])[0], [at(100)])
    assert numbers == [1]


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4), max_size=6))
def test_numbers_are_unique_within_a_tick_and_dense(ticks):
    numbers = track_regions([[at(x, y) for x, y in tick] for tick in ticks])
    assert [len(row) for row in numbers] == [len(tick) for tick in ticks]
    assert all(len(set(row)) == len(row) for row in numbers)
    used = {number for row in numbers for number in row}
    assert used == set(range(len(used)))


def test_what_is_no_map_is_an_error():
    with pytest.raises(DataError, match=r"\(h, w\)"):
        find_regions(np.zeros(3), 0, (1, 1))
    with pytest.raises(DataError, match="NaN"):
        find_regions(np.full((2, 2), np.nan), 0, (2, 2))


def test_boxes_of_a_video_by_hand():
    """Two things: one walks to the right, one appears for a tick; nothing where nothing is."""
    maps = np.zeros((4, 6, 8))
    for tick in range(3):
        maps[tick, 1:3, tick : tick + 3] = 4 + tick
    maps[1, 5, 7] = 3.0
    maps[2, 5, 0] = 1.0  # less than half of the tick's highest
    found = detect(maps, (60, 80))
    assert found.tolist() == [
        [0, 0, 10, 30, 30, 4, 0],
        [1, 10, 10, 40, 30, 5, 0],
        [1, 70, 50, 80, 60, 3, 1],
        [2, 20, 10, 50, 30, 6, 0],
    ]
    assert detect(np.zeros((3, 2, 2)), (2, 2)).shape == (0, 7)


def test_no_track_reaches_over_a_gap():
    maps = np.zeros((4, 6, 8))
    maps[:, 2:4, 3:5] = 1.0
    assert detect(maps, (60, 80))[:, 6].tolist() == [0, 0, 0, 0]
    assert detect(maps, (60, 80), recordings=np.array([[0, 1], [1, 4]]))[:, 6].tolist() == [0, 1, 1, 1]


@given(arrays(float, (3, 5, 5), elements=st.integers(0, 4).map(float)), st.integers(1, 9))
def test_boxes_do_not_depend_on_the_unit_of_scores_and_are_causal(scores, unit):
    found = detect(scores, (5, 5))
    scaled = detect(unit * scores, (5, 5))
    np.testing.assert_allclose(scaled[:, [0, 1, 2, 3, 4, 6]], found[:, [0, 1, 2, 3, 4, 6]])
    np.testing.assert_allclose(scaled[:, 5], unit * found[:, 5])
    np.testing.assert_array_equal(detect(scores[:2], (5, 5)), found[found[:, 0] < 2])
