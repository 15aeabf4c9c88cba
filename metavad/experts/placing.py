"""Scores of things to maps of places: a cell takes the highest score of the boxes that cover it."""

import torch
from torch import Tensor

from metavad.features.feature import grid_of
from metavad.features.sample import Sample

__all__ = ["cells_of", "place", "thing_at"]


def cells_of(sample: Sample, rows: int) -> tuple[int, int]:
    """The grid of score maps.

    Args:
        sample: with the feature ``frames``, (B, T, H, W).
        rows: cells from top to bottom of a picture: ``config.data.rows``.

    Returns:
        Cells (h, w), about as high as wide.
    """
    height, width = sample["frames"].shape[-2:]
    return grid_of(int(height), int(width), rows)


def place(scores: Tensor, boxes: Tensor, floor: float, grid: tuple[int, int]) -> Tensor:
    """Map (..., h, w) of scores (..., N) of boxes (..., N, 4) in heights of the frame; uncovered cells: the floor.

    A box covers the cells whose middle it holds, and the one that holds its own middle; never less than the floor.
    """
    cell = 1.0 / min(grid)
    rows, columns = (torch.arange(count).to(boxes) * cell for count in grid)
    found = scores.new_full((*scores.shape[:-1], *grid), floor)
    for one in range(scores.shape[-1]):
        across = _covered(boxes[..., one, 0], boxes[..., one, 2], columns, cell)
        down = _covered(boxes[..., one, 1], boxes[..., one, 3], rows, cell)
        covered = down[..., :, None] & across[..., None, :]
        found = torch.maximum(found, torch.where(covered, scores[..., one, None, None], found.new_tensor(floor)))
    return found


def thing_at(sample: Sample, boxes: Tensor, scores: Tensor, where: tuple[float, float]) -> int | None:
    """Which of N boxes (N, 4) of the sample's frames scores highest (N,) among those over a place; none: none is.

    ``where`` is the share of the height from the top and of the width from the left.
    """
    height, width = sample["frames"].shape[-2:]
    down, across = (share * length / min(height, width) for share, length in zip(where, (height, width), strict=True))
    slack = 0.5 / min(height, width) + REACH
    over = (boxes[:, 0] - slack <= across) & (across <= boxes[:, 2] + slack)
    over = over & (boxes[:, 1] - slack <= down) & (down <= boxes[:, 3] + slack)
    best = torch.where(over, scores, -torch.inf)
    return int(best.argmax()) if bool((best > -torch.inf).any()) else None


REACH = 0.04
"""Heights: a cell is covered a little beyond its box."""


def _covered(low: Tensor, high: Tensor, edges: Tensor, cell: float) -> Tensor:
    """Which of the cells that begin at ``edges`` (n,) an interval (...,) covers: (..., n)."""
    low, high = low[..., None], high[..., None]
    middle = edges + cell / 2
    centre = (low + high) / 2
    return ((low <= middle) & (middle < high)) | ((edges <= centre) & (centre < edges + cell))
