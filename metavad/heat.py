"""A surprise map over its frame, as snapshots, pictures of events and reports show one; a video has its own scale."""

import cv2
import numpy as np

from metavad.types import ByteArray, FloatArray

__all__ = ["warmed", "warmth"]


def warmed(frame: ByteArray, heat: FloatArray) -> ByteArray:
    """A frame (H, W, 3), blue-green-red, under its surprise map (h, w): colour and cover grow with :func:`warmth`."""
    size = frame.shape[1], frame.shape[0]
    smooth = np.clip(cv2.resize(warmth(heat), size, interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap(np.round(255 * (0.25 + 0.7 * smooth)).astype(np.uint8), cv2.COLORMAP_INFERNO)
    cover = 0.55 * smooth[..., None] ** 0.8  # what is there must stay to be seen
    return np.asarray(np.round(frame * (1 - cover) + colours * cover), np.uint8)


def warmth(heat: FloatArray) -> FloatArray:
    """A surprise map (h, w) from 0 at its median to 1 at its peak; all 0 where it is flat."""
    values = np.nan_to_num(np.asarray(heat, np.float32))
    middle, peak = float(np.median(values)), float(values.max())
    if peak <= middle:
        return np.zeros_like(values)
    # The lowest tenth is how a quiet place flickers: it would tint the whole picture.
    return np.asarray(np.clip(((values - middle) / (peak - middle) - 0.1) / 0.9, 0, 1))
