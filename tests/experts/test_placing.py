"""Scores of boxes on a grid."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from metavad.experts.placing import place

SHARES = some.floats(0, 1)


@given(some.lists(some.tuples(SHARES, SHARES, SHARES, SHARES, some.floats(-5, 5)), min_size=1, max_size=4))
def test_a_cell_has_the_highest_score_of_the_boxes_over_its_middle(found):
    boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h, _ in found])
    scores = torch.tensor([score for *_, score in found])
    maps = place(scores, boxes, -1.0, (6, 8))
    for row in range(6):
        for column in range(8):
            y, x = (row + 0.5) / 6, (column + 0.5) / 6
            over = (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
            if over.any():
                assert maps[row, column] >= max(float(scores[over].max()), -1.0)
    assert maps.min() >= -1.0
    assert maps.max() <= max(float(scores.max()), -1.0) + 1e-6


def test_a_box_that_is_smaller_than_a_cell_has_its_cell():
    maps = place(torch.tensor([3.0]), torch.tensor([[0.51, 0.51, 0.52, 0.52]]), 0.0, (6, 8))
    assert (maps > 0).nonzero().tolist() == [[3, 3]]


def test_batches_are_places_of_their_own():
    scores, boxes = torch.tensor([[1.0], [2.0]]), torch.tensor([[[0.0, 0.0, 0.2, 0.2]], [[0.5, 0.5, 0.9, 0.9]]])
    maps = place(scores, boxes, 0.0, (6, 8))
    assert maps.shape == (2, 6, 8)
    assert maps[0, 0, 0] == 1.0
    assert maps[1, 3, 3] == 2.0
    assert maps[0, 3, 3] == pytest.approx(0.0)
