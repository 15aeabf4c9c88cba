"""What a method must beat to have seen anything: a score without pixels, and one without training."""

import numpy as np

from metavad.types import BoolArray, ByteArray, FloatArray

__all__ = ["motion", "position"]


def position(seconds: FloatArray) -> FloatArray:
    """Closeness of each tick (T,) to the middle of the test video, in [0, 1]; looks at no pixel.

    1 in the middle, 0 at both ends: test clips are often cut around their event.

    >>> position(np.array([0.0, 1.0, 2.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    first, last = float(seconds[0]), float(seconds[-1])
    if last <= first:
        return np.ones(len(seconds))
    place = (np.asarray(seconds) - first) / (last - first)
    return np.asarray(1.0 - np.abs(2.0 * place - 1.0))


def motion(flow: ByteArray, known: BoolArray) -> FloatArray:
    """Largest local mean speed of each tick (T,), of stored flow rows (T, 3, h, w); no training, no clips.

    The unit is that of the stored bytes, which grow with the speed: only their order counts. NaN where no motion is
    ``known`` (T,) yet: as zeros, the first ticks of short videos, which mostly begin normally, would earn what nothing
    saw.
    """
    speed = np.asarray(flow)[:, 2]
    return np.where(known, speed.reshape(len(speed), -1).max(axis=1), np.nan)
