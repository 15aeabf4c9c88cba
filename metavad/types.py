"""Axis letters, array aliases, and boxes.

Axes appear in this order, in every docstring and annotation:

====== ============================= ====== =========================
letter axis                          letter axis
====== ============================= ====== =========================
``B``  batch                         ``C``  channels
``K``  shots                         ``H``  ``W`` pixels
``Q``  queries                       ``h``  ``w`` grid cells
``T``  time (frames or ticks)        ``N``  regions
\\                                    ``D``  features
====== ============================= ====== =========================
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "Box", "ByteArray", "FloatArray", "IntArray", "intersection_over_union"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Any real array; the axes stand in the docstring."""
IntArray: TypeAlias = NDArray[np.integer[Any]]
"""Indices, frame numbers, counts."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""Masks and labels; true = abnormal."""
ByteArray: TypeAlias = NDArray[np.uint8]
"""Grey pictures, 0 to 255."""
Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1, half-open: ``[x0, x1) x [y0, y1)``."""


def intersection_over_union(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Of boxes (..., 4) and others (..., 4) that broadcast: (...); boxes without area overlap nothing.

    >>> box, others = np.array([0.0, 0.0, 2.0, 2.0]), np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]])
    >>> intersection_over_union(box, others).round(3).tolist()
    [1.0, 0.333]
    """
    low, high = np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = _area(boxes) + _area(others) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0))


def _area(boxes: FloatArray) -> FloatArray:
    return np.asarray(np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1))
