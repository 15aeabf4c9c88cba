"""What scoring gives: a score for every frame of the file, and the tick that it comes from."""

import math
from dataclasses import dataclass, field

from metavad.normality.regimes import Light
from metavad.scoring.explain import Explanation
from metavad.types import Box, FloatArray

__all__ = ["FrameScore", "TickScore"]


@dataclass(frozen=True)
class TickScore:
    """One tick by itself."""

    index: int
    """Its frame of the file."""
    seconds: float
    """Its time in the file."""
    raw: float
    """Its score before smoothing; NaN where nothing is known yet. As the cause of what stays, what its novelty is
    worth."""
    box: Box | None
    """As that of :class:`FrameScore`."""
    why: Explanation | None = None
    """Where it is the cause of an alarm."""
    heat: FloatArray | None = field(default=None, compare=False, repr=False)
    """As that of :class:`FrameScore`."""
    novelty: float = math.nan
    """As that of :class:`FrameScore`."""


@dataclass(frozen=True)
class FrameScore:
    """The score of one frame."""

    index: int
    """Number of the frame, from 0."""
    seconds: float
    """Its time in the file, or on the clock that it was pushed with."""
    score: float
    """Higher = more anomalous: the mean over the smoothing window, in weighted nats, or what its novelty is worth."""
    alarm: bool
    """Whether the score is over the detector's threshold."""
    box: Box | None
    """x0, y0, x1, y1 in pixels of the file: the region of the tick's strongest place, of novelty where that makes the
    score."""
    cause: TickScore | None = None
    """The tick with the highest score before smoothing among those that the mean is of; the frame's own tick where
    novelty makes the score."""
    recording: int = 0
    """Number of its recording in the file: between two of them lies a gap in time, over which nothing reaches."""
    heat: FloatArray | None = field(default=None, compare=False, repr=False)
    """Surprise of each cell (h, w) of the picture inside the crop, in weighted nats, of the last tick; higher = more
    anomalous."""
    light: Light = ()
    """Slow averages of what describes the light of its picture: five quantiles of grey, and grain."""
    regime: str = ""
    """Name of the camera's regime that it is of, such as night; empty where only one is known, and it is of that."""
    novelty: float = math.nan
    """How far what stayed for ten seconds is from all that a detector's memory bank knows there: mean of the three
    farthest places, in standard deviations. NaN where there is no bank, or the ten seconds are not over. The score is
    at least what that is worth."""
