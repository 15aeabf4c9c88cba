"""From score maps to boxes."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from metavad.errors import DataError
from metavad.types import Box, FloatArray

__all__ = ["Region", "detect", "find_regions", "to_pixels"]

_EVERY_NEIGHBOUR = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Region:
    """One connected region of a score map over a threshold."""

    box: Box
    """In pixels of the file."""
    cells: Box
    """In cells of the map."""
    score: float
    """Its highest cell; higher = more anomalous."""
    place: tuple[int, int]
    """Row and column of that cell."""


def find_regions(scores: FloatArray, threshold: float, size: tuple[int, int]) -> list[Region]:
    """Connected regions (diagonal neighbours count) of cells over ``threshold``, the highest first.

    ``scores`` is a map (h, w), ``size`` the picture's (H, W) in pixels. A cell equal to the threshold is not
    over it. Raises :class:`DataError` on another shape or NaN.
    """
    if np.ndim(scores) != 2 or np.isnan(scores).any():
        raise DataError(
            f"expected a score map (h, w) of numbers, found shape {np.shape(scores)} or NaN in it; "
            "give cells where an expert has nothing to say its floor"
        )
    labels, _ = ndimage.label(scores > threshold, structure=_EVERY_NEIGHBOUR)
    found = [
        _region(np.where(labels[part] == number, scores[part], -np.inf), part, scores.shape, size)
        for number, part in enumerate(ndimage.find_objects(labels), start=1)
    ]
    return sorted(found, key=lambda region: -region.score)


def _region(scores: FloatArray, part: tuple[slice, slice], grid: tuple[int, ...], size: tuple[int, int]) -> Region:
    rows, columns = part
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    cells = (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
    place = (int(row) + rows.start, int(column) + columns.start)
    return Region(to_pixels(cells, grid, size), cells, float(scores[row, column]), place)


def to_pixels(cells: Box, grid: tuple[int, ...], size: tuple[int, int]) -> Box:
    """A box in cells of a ``grid`` (h, w), in pixels of a picture of ``size`` (H, W)."""
    across, down = size[1] / grid[1], size[0] / grid[0]
    return cells[0] * across, cells[1] * down, cells[2] * across, cells[3] * down


def detect(maps: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Boxes of all ticks as rows (N, 6) for RBDC and TBDC: tick, x0, y0, x1, y1 (pixels), score.

    ``maps`` are (T, h, w), ``size`` the picture's (H, W). A box is a connected region of what is higher than
    half of the tick's highest cell, so that nothing depends on a threshold that somebody would have to
    choose; its score is its highest cell. (Smoothing scores along tracks of boxes was measured on generated
    cameras: it lowers TBDC and gains nothing in RBDC.)
    """
    ticks = [find_regions(each, 0.5 * float(each.max()), size) if each.max() > 0 else [] for each in maps]
    rows = [(tick, *region.box, region.score) for tick, regions in enumerate(ticks) for region in regions]
    return np.array(rows, dtype=float).reshape(-1, 6)
