"""Axis letters and array aliases.

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

__all__ = ["BoolArray", "ByteArray", "FloatArray", "IntArray"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Any real array; the axes stand in the docstring."""
IntArray: TypeAlias = NDArray[np.integer[Any]]
"""Indices, frame numbers, counts."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""Masks and labels; true = abnormal."""
ByteArray: TypeAlias = NDArray[np.uint8]
"""Grey pictures, 0 to 255."""
