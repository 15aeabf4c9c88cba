import numpy as np

from metavad.types import intersection_over_union


def test_intersection_over_union_by_hand():
    boxes = np.array([[0.0, 0.0, 2.0, 2.0]])
    others = np.array([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    np.testing.assert_allclose(intersection_over_union(boxes[:, None], others), [[1 / 7, 1.0, 0.0]])
    np.testing.assert_allclose(intersection_over_union(boxes, others), [1 / 7, 1.0, 0.0])


def test_a_box_without_area_overlaps_nothing():
    point, inverted = np.array([1.0, 1.0, 1.0, 1.0]), np.array([2.0, 2.0, 0.0, 0.0])
    whole = np.array([0.0, 0.0, 2.0, 2.0])
    assert intersection_over_union(point, point) == 0
    assert intersection_over_union(np.stack([point, inverted]), whole).tolist() == [0, 0]
