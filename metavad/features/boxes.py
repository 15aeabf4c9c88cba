"""Boxes of things in one picture, by a network in ONNX that the user names."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from metavad.errors import ConfigError
from metavad.features.networks.onnx_runner import OnnxRunner
from metavad.features.networks.pictures import fitted
from metavad.features.networks.registry import Input, file_named, networks
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = ["BoxDetector", "box_detector", "decode_fastestdet", "decode_yolox", "surest"]

BoxDetector: TypeAlias = Callable[[ByteArray], FloatArray]
"""A grey picture (H, W) to boxes (M, 5): x0, y0, x1, y1 in pixels and confidence 0 to 1."""
SURE = 0.3
"""Confidence from which a box counts."""
FASTESTDET_SURE = 0.65
"""The same of FastestDet, whose scores are higher: its authors' default."""
SAME = 0.5
"""Overlap from which two boxes are one thing."""
STRIDES = (8, 16, 32)
RAW = Input(white=255.0, fit="letterbox")
OBJECT = 0.6
"""Weight of FastestDet's objectness beside that of the class, as powers."""


def box_detector(named: str | Path, side: int) -> BoxDetector:
    """A detector by the name of a known network, or from an ONNX file: YOLOX as released, or one that gives boxes.

    A file sees the picture in the upper left of a square of ``side`` pixels, (1, 3, side, side) of 0 to 255. More than
    6 columns are raw outputs of YOLOX (Ge et al. 2021, https://arxiv.org/abs/2107.08430): (1, A, 5 + classes); else
    they are x0, y0, x1, y1 in pixels of the square, confidence, and perhaps a class. A known network sees what its
    table says. Raises :class:`ConfigError` for a file that is not there or is no such network.
    """
    known = networks().get(str(named))
    decode = _decoder(known.output.layout, named) if known else _yolox_or_rows
    wanted = known.input if known else RAW.model_copy(update={"height": side, "width": side})
    runner = OnnxRunner(file_named(named, "regions.detector"), "regions.detector", wanted)

    def detect(picture: ByteArray) -> FloatArray:
        seen, across, down = fitted(picture, wanted)
        (raw,) = runner([seen])
        return np.asarray(decode(raw, runner) / np.array([across, down, across, down, 1.0]))

    return detect


def _decoder(layout: str, named: str | Path) -> Callable[[FloatArray, OnnxRunner], FloatArray]:
    """What makes boxes (M, 5), in pixels of what the network saw, of its output in this layout."""
    known = {"yolox": _yolox, "fastestdet": _fastestdet, "rows": _rows}
    if layout not in known:
        raise ConfigError(f"regions.detector: expected a network of boxes, found {named}, whose layout is {layout}")
    return known[layout]


def _yolox_or_rows(raw: FloatArray, runner: OnnxRunner) -> FloatArray:
    return _yolox(raw, runner) if raw.shape[-1] > 6 else _rows(raw, runner)


def _yolox(raw: FloatArray, runner: OnnxRunner) -> FloatArray:
    found, side = raw.reshape(-1, raw.shape[-1]), runner.wanted.width
    if found.shape[1] < 6 or len(found) != len(_anchors(side)[0]):
        raise _other(raw, runner, "the outputs of a YOLOX for this side")
    return decode_yolox(found, side)


def _rows(raw: FloatArray, runner: OnnxRunner) -> FloatArray:
    if raw.shape[-1] not in (5, 6):
        raise _other(raw, runner, "boxes (M, 5)")
    return _sure(raw.reshape(-1, raw.shape[-1])[:, :5])


def _fastestdet(raw: FloatArray, runner: OnnxRunner) -> FloatArray:
    if raw.ndim != 4 or raw.shape[1] < 6:
        raise _other(raw, runner, "the outputs of a FastestDet")
    width, height = runner.wanted.width, runner.wanted.height
    return _sure(decode_fastestdet(raw[0]) * np.array([width, height, width, height, 1.0]), FASTESTDET_SURE)


def _other(raw: FloatArray, runner: OnnxRunner, expected: str) -> ConfigError:
    return ConfigError(
        f"{runner.path}: expected {expected}, found {raw.shape}; name another network or set regions.detector_side"
    )


def decode_fastestdet(found: FloatArray) -> FloatArray:
    """Raw FastestDet outputs (5 + classes, h, w) to a box of each cell (h w, 5) in shares of the picture.

    Objectness, then the middle's distance from the cell's corner (before tanh), sizes (before the logistic function),
    probabilities of classes; as its authors decode it (https://github.com/dog-qiuqiu/FastestDet, deploy examples).
    """
    height, width = found.shape[1:]
    down, across = np.indices((height, width))
    middle = np.stack([(across + np.tanh(found[1])) / width, (down + np.tanh(found[2])) / height])
    half = 0.5 / (1.0 + np.exp(-found[3:5]))
    sure = found[0] ** OBJECT * found[5:].max(0) ** (1.0 - OBJECT)
    return np.concatenate([middle - half, middle + half, sure[None]]).reshape(5, -1).T


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


def surest(boxes: FloatArray, least: float) -> IntArray:
    """Which of the boxes (M, 5) are at least so sure, without those that overlap a surer one, the surest first."""
    corners = np.column_stack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corners.tolist(), boxes[:, 4].tolist(), least, SAME) if len(boxes) else []
    return np.array(kept, dtype=np.int64).reshape(-1)


def _sure(boxes: FloatArray, least: float = SURE) -> FloatArray:
    boxes = boxes[boxes[:, 4] >= least]
    return boxes[surest(boxes, least)]
