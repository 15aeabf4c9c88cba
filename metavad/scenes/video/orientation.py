"""Pictures as a player shows them: turned and mirrored as the file asks for."""

from typing import TypeAlias

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from numpy.typing import NDArray

__all__ = ["Matrix", "display_matrix", "shown", "shown_size"]

Matrix: TypeAlias = tuple[int, int, int, int]
"""a, b, c, d of a display matrix: a pixel at (x, y) is shown at (ax + cy, bx + dy), but for a shift."""

AS_IS: Matrix = (1, 0, 0, 1)


def display_matrix(frame: VideoFrame) -> Matrix:
    """What ``frame`` asks a player to do to its picture."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return AS_IS
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d


def shown(picture: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """``picture`` (H, W, ...) by the nearest of the eight turns and mirrorings; a view.

    >>> shown(np.array([[1, 2], [3, 4]], np.uint8), (-1, 0, 0, 1)).tolist()
    [[2, 1], [4, 3]]
    """
    a, b, c, d = matrix
    across, down = a, d
    if _lies(matrix):
        picture, across, down = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def shown_size(frame: VideoFrame) -> tuple[int, int]:
    """Height and width of ``frame`` as shown."""
    return (frame.width, frame.height) if _lies(display_matrix(frame)) else (frame.height, frame.width)


def _lies(matrix: Matrix) -> bool:
    """Whether rows are shown as columns."""
    a, b, c, d = map(abs, matrix)
    return a + d < b + c
