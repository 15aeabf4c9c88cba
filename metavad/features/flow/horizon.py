"""Flow over a fixed time, frame by frame: what cells and regions measure motion by."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from metavad.config import FlowConfig
from metavad.features.flow.methods import flow_method
from metavad.features.flow.steadying import steadied
from metavad.types import ByteArray, FloatArray

__all__ = ["HorizonFlow", "Motion", "horizon_past"]


@dataclass(frozen=True)
class Motion:
    """From a picture (H, W) to a later one: motion (H, W, 2), right and down in heights/second, without the camera's.

    ``camera`` (H, W, 2) is what was taken out, in pixels; none where nothing is.
    """

    before: ByteArray
    after: ByteArray
    flow: FloatArray
    camera: FloatArray | None = None

    @property
    def unmoved(self) -> ByteArray:
        """The later picture (H, W) as a camera that had not moved would have taken it."""
        if self.camera is None:
            return self.after
        rows, columns = np.indices(self.after.shape, dtype=np.float32)
        x, y = columns + self.camera[..., 0], rows + self.camera[..., 1]
        return np.asarray(cv2.remap(self.after, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


class HorizonFlow:
    """A stream of working frames to the motion over the last ``horizon`` seconds, by the method of the settings.

    Frames of the horizon are kept, nothing else.
    """

    def __init__(self, settings: FlowConfig) -> None:
        self.settings = settings
        self._method = flow_method(settings.method, settings.weights)
        self._past: deque[tuple[ByteArray, float]] = deque()

    def step(self, frame: ByteArray, seconds: float) -> Motion | None:
        """The motion up to this frame (H, W); none at the first."""
        while len(self._past) > 1 and self._past[1][1] <= seconds - self.settings.horizon + _SLACK:
            self._past.popleft()
        before, since = self._past[0] if self._past else (frame, seconds)
        self._past.append((frame, seconds))
        return self._between(before, frame, seconds - since) if seconds > since else None

    def _between(self, before: ByteArray, after: ByteArray, span: float) -> Motion:
        found = self._method(before, after)
        scale = min(after.shape) * span
        if self.settings.steady == "off":
            return Motion(before, after, found / scale)
        own = steadied(found, self.settings.steady)
        return Motion(before, after, own / scale, found - own)


def horizon_past(settings: FlowConfig) -> float:
    """Seconds of past without which motion is not known."""
    return settings.horizon * _ENOUGH


_SLACK = 0.02
"""Seconds by which ticks may be off the rate's grid (25 frames a second at 10 ticks: 0.08 and 0.12)."""
_ENOUGH = 0.7
"""Share of the horizon that must be there for motion to be known."""
