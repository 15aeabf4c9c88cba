"""Scores of things to maps of places: a cell takes the highest score of the boxes that cover it."""

import torch
from torch import Tensor

from metavad.features.base import grid_of
from metavad.features.sample import Sample

__all__ = ["cells_of", "place"]


def cells_of(sample: Sample, rows: int) -> tuple[int, int]:
    """Cells (h, w) of the sample's frames."""
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


def _covered(low: Tensor, high: Tensor, edges: Tensor, cell: float) -> Tensor:
    """Which of the cells that begin at ``edges`` (n,) an interval (...,) covers: (..., n)."""
    low, high = low[..., None], high[..., None]
    middle = edges + cell / 2
    centre = (low + high) / 2
    return ((low <= middle) & (middle < high)) | ((edges <= centre) & (centre < edges + cell))
