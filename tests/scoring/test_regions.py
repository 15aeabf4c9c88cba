import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metavad.errors import DataError
from metavad.scoring.regions import Region, detect, find_regions, to_pixels

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


def test_pixels_of_cells():
    assert to_pixels((1, 2, 3, 4), (10, 20), (100, 400)) == (20, 20, 60, 40)


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
        [0, 0, 10, 30, 30, 4],
        [1, 10, 10, 40, 30, 5],
        [1, 70, 50, 80, 60, 3],
        [2, 20, 10, 50, 30, 6],
    ]
    assert detect(np.zeros((3, 2, 2)), (2, 2)).shape == (0, 6)


@given(arrays(float, (3, 5, 5), elements=st.integers(0, 4).map(float)), st.integers(1, 9))
def test_boxes_do_not_depend_on_the_unit_of_scores_and_are_causal(scores, unit):
    found = detect(scores, (5, 5))
    scaled = detect(unit * scores, (5, 5))
    np.testing.assert_allclose(scaled[:, :5], found[:, :5])
    np.testing.assert_allclose(scaled[:, 5], unit * found[:, 5])
    np.testing.assert_array_equal(detect(scores[:2], (5, 5)), found[found[:, 0] < 2])
