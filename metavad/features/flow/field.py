"""Flow from one tick to the next as a small field: what stacks of several frames are made of."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from metavad.config import FlowConfig
from metavad.features.feature import Feature, grid_of
from metavad.features.flow.feature import way_of
from metavad.features.flow.methods import FlowMethod, flow_method
from metavad.features.flow.steadying import steadied
from metavad.features.flow.storage import compress, expand
from metavad.types import ByteArray, FloatArray

__all__ = ["SCALE", "FlowFieldFeature"]

SCALE = 3
"""Pixels of the working picture along the side of a cell over which flow is averaged before it is stored."""


class FlowFieldFeature(Feature):
    """Flow since the last tick, averaged over cells of ``scale`` pixels: rows (2, H, W), heights/second.

    With ``both`` also the flow back to the last tick, (4, H, W): forward right, down, backward right, down.
    """

    name = "flow_field"

    def __init__(
        self,
        rate: float,
        rows: int,
        *,
        scale: int = SCALE,
        both: bool = False,
        settings: FlowConfig = FlowConfig(),
    ) -> None:
        self.scale, self.rows, self.both, self.settings = scale, rows, both, settings
        self.past = 0.5 / rate

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """The last frame is kept, nothing else."""
        method = flow_method(self.settings.method, self.settings.weights)
        last: list[tuple[ByteArray, float]] = []

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            before = last.pop() if last else (frame, seconds)
            last.append((frame, seconds))
            return self._row(method, before[0], frame, seconds - before[1])

        return row

    def _row(self, method: FlowMethod, before: ByteArray, after: ByteArray, span: float) -> ByteArray:
        if span <= 0:
            return compress(np.zeros(self.shape(*after.shape), np.float32))
        ways = ((before, after), (after, before)) if self.both else ((before, after),)
        return compress(np.concatenate([self._field(method, *way) for way in ways]) / (min(after.shape) * span))

    def _field(self, method: FlowMethod, before: ByteArray, after: ByteArray) -> FloatArray:
        """(2, H, W) in pixels of the working frame."""
        motion = steadied(method(before, after), self.settings.steady)
        height, width = self.shape(*after.shape)[1:]
        return np.moveaxis(cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA), -1, 0)

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(2 or 4, H, W); a side may be off by a cell or two, so that cells of scores come out as for the frame."""
        near = max(1, round(height / self.scale)), max(1, round(width / self.scale))
        wanted = grid_of(height, width, self.rows)
        tries = [(max(1, near[0] + down), max(1, near[1] + across)) for down, across in _OFF]
        fitting = next((sides for sides in tries if grid_of(*sides, self.rows) == wanted), near)
        return 4 if self.both else 2, *fitting

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, 2 or 4, H, W) float32, heights/second."""
        return torch.from_numpy(expand(np.asarray(rows)))

    def key(self) -> Mapping[str, object]:
        """Method and settings."""
        return {
            "feature": "flow_field",
            "version": 1,
            **way_of(self.settings),
            "scale": self.scale,
            "rows": self.rows,
            "both": self.both,
        }


_OFF = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (0, 2), (0, -2), (2, 0), (-2, 0)]
"""Cells by which the sides may be off, the nearest first."""
