"""Optical flow over a fixed time, on the grid of cells.

By default DIS flow (Kroeger et al. 2016, https://arxiv.org/abs/1603.03590) between two ticks ``horizon`` seconds apart,
averaged over windows of three cells. Longer baselines than one frame make slow motion measurable.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from metavad.config import FlowConfig
from metavad.features.feature import Feature, grid_of
from metavad.features.flow.horizon import HorizonFlow, horizon_past
from metavad.features.flow.storage import FASTEST, compress, expand, expand_speed
from metavad.features.networks.registry import digest_of
from metavad.types import ByteArray, FloatArray

__all__ = ["WINDOW", "FlowFeature", "speed_of", "way_of"]

WINDOW = 3
"""Cells along the side of the window that is averaged."""


class FlowFeature(Feature):
    """Mean motion (right, down) and mean speed of each cell's window: rows (3, h, w), heights/second."""

    name = "flow"

    def __init__(self, rows: int, settings: FlowConfig = FlowConfig()) -> None:
        self.rows, self.settings = rows, settings
        self.past = horizon_past(settings)

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Frames of the last ``horizon`` seconds are kept; nothing else."""
        motion = HorizonFlow(self.settings)

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            found = motion.step(frame, seconds)
            return self._still(frame) if found is None or not found.flow.any() else self.row(found.flow)

        return row

    def row(self, flow: FloatArray) -> ByteArray:
        """The row of a motion (H, W, 2) in heights/second."""
        right, down = cv2.split(flow)
        channels = cv2.merge([right, down, speed_of(right, down)])
        cell = min(right.shape) // self.rows
        channels = cv2.blur(channels, (cell * WINDOW, cell * WINDOW), borderType=cv2.BORDER_REFLECT)
        height, width = self.shape(*right.shape)[1:]
        grid = cv2.resize(channels, (width, height), interpolation=cv2.INTER_LINEAR)
        return _stored(np.moveaxis(grid, -1, 0))

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(3, h, w)."""
        return 3, *grid_of(height, width, self.rows)

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, 3, h, w) float32, heights/second."""
        rows = np.asarray(rows)
        return torch.from_numpy(np.concatenate([expand(rows[:, :2]), expand_speed(rows[:, 2:])], axis=1))

    def key(self) -> Mapping[str, object]:
        """Method and settings."""
        return {
            "feature": "flow",
            "version": 2,
            **way_of(self.settings),
            "horizon": self.settings.horizon,
            "rows": self.rows,
        }

    def _still(self, frame: ByteArray) -> ByteArray:
        return _stored(np.zeros(self.shape(*frame.shape), dtype=np.float32))


def speed_of(right: FloatArray, down: FloatArray) -> FloatArray:
    """Length of every motion (H, W), 32-bit floats.

    Where its output begins in memory decides how OpenCV rounds the first and last pixels: here at 64 bytes, always.
    """
    size = 4 * right.size
    space = np.empty(size + 64, np.uint8)
    start = -space.ctypes.data % 64
    into = space[start : start + size].view(np.float32).reshape(right.shape)
    return np.asarray(cv2.magnitude(right, down, into))


def way_of(settings: FlowConfig) -> dict[str, object]:
    """What flow depends on beside the frames and the time between them, for the cache."""
    steady = {} if settings.steady == "off" else {"steady": settings.steady}
    weights = {"weights": digest_of(settings.weights)} if settings.weights else {}
    return {"method": _CACHED.get(settings.method, settings.method), **steady, **weights}


def _stored(grid: FloatArray) -> ByteArray:
    """Signed bytes for the two directions, all 256 steps for the speed."""
    # Running sums of the blur may leave a zero a little below zero.
    speed = np.sqrt(np.clip(grid[2:] / FASTEST, 0.0, 1.0)) * 255.0
    return np.concatenate([compress(grid[:2]), np.round(speed).astype(np.uint8)])


_CACHED = {"dis": "dis-medium"}
"""The name under which caches know the default."""
