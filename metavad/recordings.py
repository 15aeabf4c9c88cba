"""From the times of frames to recordings: what a gap is, for ticks, features, events and figures alike.

A file may hold several recordings one after the other: those of a camera that records when something moves, joined.
No picture lies between two of them, so no motion, mean or event reaches from one to the next, and each begins like a
file of its own; only what a memory bank saw standing there is known in the next.
"""

from collections import deque

import numpy as np

from metavad.types import FloatArray, IntArray

__all__ = ["ROUNDING", "Gaps", "frame_ends", "median_frame", "recordings", "without_gaps"]

GAP, FRAMES = 1.0, 5.0
"""Seconds, and usual frames of the file, that a gap is longer than: a slow camera has none."""
PAST = 9
"""Times between frames whose median is the usual one."""
FIRST = 10.0
"""Seconds that a gap after the very first frame is longer than: nothing is usual yet."""
ROUNDING = 1e-3
"""Seconds: some containers round times to milliseconds."""


def recordings(seconds: FloatArray) -> IntArray:
    """Half-open intervals of frames (R, 2), those of a file with frames at ``seconds`` (T,), rising.

    Between two recordings lies a gap: more than a second, and more than five of what has lately been usual from one
    frame to the next. It is told by the times before it alone.

    >>> recordings(np.array([0.0, 0.1, 0.2, 3600.0, 3600.1])).tolist()
    [[0, 3], [3, 5]]
    """
    apart = np.diff(seconds)
    starts = [int(n) + 1 for n in np.flatnonzero(apart > GAP + ROUNDING) if apart[n] > _longest(apart[:n])]
    edges = np.unique([0, *starts, len(seconds)])
    return np.column_stack([edges[:-1], edges[1:]])


class Gaps:
    """The same for frames that come one by one: which of them begin a recording. Holds a few times."""

    def __init__(self) -> None:
        self.last: float | None = None
        """Seconds of the last frame; none before the first."""
        self._past = deque[float](maxlen=PAST)

    def is_before(self, seconds: float) -> bool:
        """Whether a frame that comes next, at this time, begins a recording; as the first one does."""
        if self.last is None:
            return True
        apart = seconds - self.last
        return apart > GAP + ROUNDING and apart > _longest(np.array(self._past))

    def add(self, seconds: float) -> None:
        """The next frame has come."""
        if self.last is not None:
            self._past.append(seconds - self.last)
        self.last = seconds


def frame_ends(seconds: FloatArray) -> FloatArray:
    """When each frame ends (T,): where the next one begins, the last of a recording after its median frame.

    The only frame of a recording has no neighbour to tell and ends where it begins.
    """
    ends = np.append(seconds[1:], seconds[-1:]).astype(float)
    for start, stop in recordings(seconds):
        ends[stop - 1] = seconds[stop - 1] + median_frame(seconds[start:stop])
    return ends


def median_frame(seconds: FloatArray) -> float:
    """Seconds from one frame to the next of a recording with frames at ``seconds`` (T,); 0 where there is but one."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0


def without_gaps(seconds: FloatArray) -> FloatArray:
    """The times (T,) of frames on a clock that stands still in gaps: there the last frame ends and the next begins."""
    starts = recordings(seconds)[1:, 0]
    left_out = np.zeros(len(seconds))
    left_out[starts] = seconds[starts] - frame_ends(seconds)[starts - 1]
    return np.asarray(seconds - np.cumsum(left_out))


def _longest(past: FloatArray) -> float:
    """Seconds up to which the next frame comes without a gap, after these times between frames (n,)."""
    return FRAMES * float(np.median(past[-PAST:])) if len(past) else FIRST
