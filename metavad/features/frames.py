"""Small grey frames, for the future-frame predictor."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from metavad.features.feature import Feature
from metavad.types import ByteArray

__all__ = ["FramesFeature"]


class FramesFeature(Feature):
    """The working frame, made smaller by averaging: rows (H, W), 0 to 1 as tensors."""

    name = "frames"

    def __init__(self, short_side: int) -> None:
        self.short_side = short_side

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Known from the first tick on."""

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            height, width = self.shape(*frame.shape)
            return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))

        return row

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(H, W), both even so that cells of two pixels fit."""
        scale = self.short_side / min(height, width)
        return 2 * max(1, round(height * scale / 2)), 2 * max(1, round(width * scale / 2))

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, H, W) float32 from 0 to 1."""
        return torch.from_numpy(np.asarray(rows).astype(np.float32) / 255.0)

    def key(self) -> Mapping[str, object]:
        """Size."""
        return {"feature": "frames", "version": 1, "short_side": self.short_side}
