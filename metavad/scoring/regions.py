"""From score maps to boxes, and from boxes to things that last."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
from scipy import ndimage

from metavad.errors import DataError
from metavad.types import FloatArray, IntArray

__all__ = [
    "Box",
    "Region",
    "Tracks",
    "detect",
    "detection_rows",
    "find_regions",
    "follow",
    "to_pixels",
    "track_regions",
]

Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1, half-open: ``[x0, x1) x [y0, y1)``."""

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


def detection_rows(frame: int, regions: Sequence[Region]) -> FloatArray:
    """Regions of one frame as rows (N, 6) for RBDC and TBDC: frame, x0, y0, x1, y1, score."""
    return np.array([(frame, *region.box, region.score) for region in regions], dtype=float).reshape(-1, 6)


@dataclass(frozen=True)
class Tracks:
    """What is being followed: the last box, the number and the ticks without a sight of each."""

    boxes: tuple[Box, ...] = ()
    numbers: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    next_number: int = 0


def follow(
    tracks: Tracks, regions: Sequence[Region], *, overlap: float = 0.1, patience: int = 5
) -> tuple[Tracks, list[int]]:
    """One tick on: the tracks after it, and the track number of each region.

    Regions go to tracks so that the sum of their IoU is greatest; a pair under ``overlap`` is none. A track
    unseen for more than ``patience`` ticks ends, a region without a track begins one.
    """
    matched = _match(tracks.boxes, [region.box for region in regions], overlap)
    fresh = [number for number in range(len(regions)) if number not in matched]
    numbers = {region: tracks.numbers[track] for region, track in matched.items()}
    numbers |= {region: tracks.next_number + n for n, region in enumerate(fresh)}
    seen = set(matched.values())
    waiting = [n for n, unseen in enumerate(tracks.unseen) if n not in seen and unseen < patience]
    after = Tracks(
        (*(tracks.boxes[n] for n in waiting), *(region.box for region in regions)),
        (*(tracks.numbers[n] for n in waiting), *(numbers[n] for n in range(len(regions)))),
        (*(tracks.unseen[n] + 1 for n in waiting), *(0 for _ in regions)),
        tracks.next_number + len(fresh),
    )
    return after, [numbers[n] for n in range(len(regions))]


def track_regions(ticks: Sequence[Sequence[Region]], *, overlap: float = 0.1, patience: int = 5) -> list[list[int]]:
    """Track numbers of the regions of all ticks, tick by tick with :func:`follow`; numbers count from 0."""
    tracks, numbers = Tracks(), []
    for regions in ticks:
        tracks, found = follow(tracks, regions, overlap=overlap, patience=patience)
        numbers.append(found)
    return numbers


def detect(
    maps: FloatArray, size: tuple[int, int], *, share: float = 0.5, recordings: IntArray | None = None
) -> FloatArray:
    """Boxes of all ticks as rows (N, 7): tick, x0, y0, x1, y1 (pixels), score, track; the first six for RBDC and TBDC.

    ``maps`` are (T, h, w), ``size`` the picture's (H, W). A box is a connected region of what is higher than
    ``share`` of the tick's highest cell, so that nothing depends on a threshold that somebody would have to
    choose; its score is its highest cell. Boxes are followed over time by :func:`follow`. (Smoothing scores
    along tracks was measured on generated cameras: it lowers TBDC and gains nothing in RBDC.) No track is of two
    ``recordings``, half-open intervals of ticks (R, 2); without them all ticks are of one.
    """
    ticks = [find_regions(each, share * float(each.max()), size) if each.max() > 0 else [] for each in maps]
    parts = [[0, len(ticks)]] if recordings is None else recordings.tolist()
    tracked, begun = list[list[int]](), 0
    for start, stop in parts:
        part = track_regions(ticks[start:stop])
        tracked += [[begun + number for number in numbers] for numbers in part]
        begun += 1 + max(chain(*part), default=-1)
    rows = [
        (tick, *region.box, region.score, number)
        for tick, (regions, numbers) in enumerate(zip(ticks, tracked, strict=True))
        for region, number in zip(regions, numbers, strict=True)
    ]
    return np.array(rows, dtype=float).reshape(-1, 7)


def _match(tracks: Sequence[Box], regions: Sequence[Box], overlap: float) -> dict[int, int]:
    """Region -> track, by the assignment of greatest total IoU among pairs that overlap enough."""
    from scipy.optimize import linear_sum_assignment  # most of a second, and most runs need none

    if not tracks or not regions:
        return {}
    shared = _intersection_over_union(np.array(regions), np.array(tracks))
    shared[shared < overlap] = 0
    rows, columns = linear_sum_assignment(-shared)
    return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if shared[r, c] > 0}


def _intersection_over_union(left: FloatArray, right: FloatArray) -> FloatArray:
    """Of boxes (N, 4) and (M, 4): (N, M)."""
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (left, right)]
    ratio: FloatArray = shared / (areas[0][:, None] + areas[1][None, :] - shared)
    return ratio
