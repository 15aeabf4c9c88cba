"""From a row of yes and no to intervals: what an event is, for thresholds, alarms and figures alike."""

import numpy as np

from metavad.errors import UsageError
from metavad.types import BoolArray, IntArray

__all__ = ["runs"]


def runs(over: BoolArray, *, merge: int = 0) -> IntArray:
    """Maximal runs of true, joined where at most ``merge`` frames part them.

    ``over`` is (T,); the intervals are (N, 2), half-open frame numbers in order of time. Raises :class:`UsageError` on
    another shape or a negative length.

    >>> runs(np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], dtype=bool), merge=1).tolist()
    [[1, 5], [8, 9]]
    """
    if np.ndim(over) != 1 or merge < 0:
        raise UsageError(
            f"runs: expected one axis and merge >= 0, found {np.ndim(over)} axes and {merge}; "
            "pass one video's row and whole frames"
        )
    padded = np.concatenate(([False], np.asarray(over, dtype=bool), [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    starts, ends = edges[::2], edges[1::2]
    apart = starts[1:] - ends[:-1] > merge
    starts = starts[np.concatenate((np.ones(starts[:1].size, dtype=bool), apart))]
    ends = ends[np.concatenate((apart, np.ones(ends[:1].size, dtype=bool)))]
    return np.stack([starts, ends], axis=1)
