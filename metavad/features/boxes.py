"""Boxes of things in one picture, by a network in ONNX that the user names."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from metavad.errors import ConfigError
from metavad.types import ByteArray, FloatArray

__all__ = ["BoxDetector", "decode_yolox", "digest_of", "onnx_detector"]

BoxDetector: TypeAlias = Callable[[ByteArray], FloatArray]
"""A grey picture (H, W) to boxes (M, 5): x0, y0, x1, y1 in pixels and confidence 0 to 1."""
SURE = 0.3
"""Confidence from which a box counts."""
SAME = 0.5
"""Overlap from which two boxes are one thing."""
STRIDES = (8, 16, 32)
GREY = 114
"""What YOLOX pads with."""


def onnx_detector(path: Path, side: int) -> BoxDetector:
    """A detector from an ONNX file: YOLOX as released, or one that gives (M, 5 or 6) boxes itself.

    It sees the picture in the upper left of a square of ``side`` pixels, (1, 3, side, side) of 0 to 255. More than 6
    columns are raw outputs of YOLOX (Ge et al. 2021, https://arxiv.org/abs/2107.08430): (1, A, 5 + classes); else
    they are x0, y0, x1, y1 in pixels of the square, confidence, and perhaps a class. Runs in ``cv2.dnn``.
    Raises :class:`ConfigError` for a file that is not there or is no such network.
    """
    network = _network(path)

    def detect(picture: ByteArray) -> FloatArray:
        square, scale = _letter_box(picture, side)
        found = _run(network, square, path)
        boxes = decode_yolox(found, side) if found.shape[-1] > 6 else _sure(found[:, :5])
        return np.asarray(boxes / np.array([scale, scale, scale, scale, 1.0]))

    return detect


def digest_of(path: Path) -> str:
    """sha256 of a network's file, for the cache; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def decode_yolox(found: FloatArray, side: int) -> FloatArray:
    """Raw YOLOX outputs (A, 5 + classes) for a square of ``side`` pixels to boxes (M, 5), overlaps left out."""
    rows, steps = _anchors(side)
    centres = (found[:, :2] + rows) * steps
    sizes = np.exp(found[:, 2:4]) * steps
    sure = found[:, 4] * found[:, 5:].max(-1)
    return _sure(np.column_stack([centres - sizes / 2, centres + sizes / 2, sure]))


def _anchors(side: int) -> tuple[FloatArray, FloatArray]:
    """Cell (A, 2) and stride (A, 1) of every output row."""
    cells, steps = [], []
    for stride in STRIDES:
        down, across = np.indices((side // stride, side // stride)).reshape(2, -1)
        cells.append(np.column_stack([across, down]))
        steps.append(np.full((len(down), 1), float(stride)))
    return np.concatenate(cells).astype(np.float64), np.concatenate(steps)


def _sure(boxes: FloatArray) -> FloatArray:
    """Boxes (M, 5) that are sure enough, the surest of those that overlap."""
    boxes = boxes[boxes[:, 4] >= SURE]
    corners = np.column_stack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corners.tolist(), boxes[:, 4].tolist(), SURE, SAME) if len(boxes) else []
    return boxes[np.array(kept, dtype=np.int64).reshape(-1)]


def _letter_box(picture: ByteArray, side: int) -> tuple[ByteArray, float]:
    """The picture in the upper left of a grey square, and its scale there."""
    scale = side / max(picture.shape)
    height, width = (round(length * scale) for length in picture.shape)
    square = np.full((side, side, 3), GREY, dtype=np.uint8)
    square[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return square, scale


def _network(path: Path) -> cv2.dnn.Net:
    if not path.is_file():
        raise ConfigError(f"regions.detector: expected an ONNX file, found nothing at {str(path)!r}; set its path")
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise ConfigError(f"{path}: expected an ONNX network, OpenCV could not read it ({error.err})") from None


def _run(network: cv2.dnn.Net, picture: ByteArray, path: Path) -> FloatArray:
    """Output rows (A, D) for a picture (H, W, 3)."""
    network.setInput(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32))
    try:
        found = np.asarray(network.forward())
    except cv2.error as error:
        raise ConfigError(
            f"{path}: expected a detector that takes {picture.shape[:2]} pixels, found another ({error.err}); "
            "set regions.detector_side"
        ) from None
    found = found.reshape(-1, found.shape[-1]).astype(np.float64)
    if found.shape[1] < 5 or (found.shape[1] > 6 and len(found) != len(_anchors(picture.shape[0])[0])):
        raise ConfigError(
            f"{path}: expected boxes (M, 5) or the outputs of a YOLOX for this side, found {found.shape}; "
            "name another network or set regions.detector_side"
        )
    return found
