"""Poses of people in one picture, by a network in ONNX that the user names."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from metavad.errors import ConfigError
from metavad.features.boxes import surest
from metavad.features.networks.onnx_runner import OnnxRunner
from metavad.features.networks.pictures import letter_box
from metavad.features.networks.registry import file_named
from metavad.scenes.keypoints import JOINTS
from metavad.types import ByteArray, FloatArray

__all__ = ["PoseFinder", "decode_poses", "onnx_poses"]

PoseFinder: TypeAlias = Callable[[ByteArray], tuple[FloatArray, FloatArray]]
"""A grey picture (H, W) to points (M, 17, 2) in its pixels and how sure each pose is (M,), the surest first."""
RAW = 5 + 3 * JOINTS
"""Numbers of a person: box and confidence; x, y and confidence of each joint."""


def onnx_poses(named: str | Path, side: int, least: float) -> PoseFinder:
    """Poses by an ONNX file, or a known network, of one of the layouts that :func:`decode_poses` reads.

    It sees the picture in the upper left of a square of ``side`` pixels, (1, 3, side, side) of 0 to 1. Poses less sure
    than ``least`` are left out. Raises :class:`ConfigError` for a file that is not there or is no such network.
    """
    network = OnnxRunner(file_named(named, "pose.network"), "pose.network")

    def find(picture: ByteArray) -> tuple[FloatArray, FloatArray]:
        square, scale = letter_box(picture, side)
        (found,) = network([square])
        try:
            points, sure = decode_poses(found, least)
        except ValueError as error:
            raise ConfigError(f"{network.path}: {error}; name another network in pose.network") from None
        return points / scale, sure

    return find


def decode_poses(found: FloatArray, least: float) -> tuple[FloatArray, FloatArray]:
    """A network's output to points (M, 17, 2) in pixels of its square, and how sure they are (M,), the surest first.

    Layouts of YOLO's pose networks (Maji et al. 2022, https://arxiv.org/abs/2204.06806) with the 17 keypoints of COCO,
    all lengths in pixels: (1, 56, N) or (1, N, 56), as YOLOv8-pose and later ones are exported: a box by its middle and
    size, confidence, then x, y, confidence for each joint; (1, N, 57), as they are exported with their own suppression
    of overlaps, and YOLOv7-pose: the same with a class after the confidence, the box in any form. Of people who overlap
    the surest is kept. Raises :class:`ValueError` for another layout.
    """
    rows = found[0] if found.ndim == 3 and len(found) == 1 else np.zeros((0, 0))
    if RAW in rows.shape:
        rows = rows.T if rows.shape[0] == RAW else rows
        boxes = np.column_stack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2])
    elif rows.shape[1] == RAW + 1:
        rows = np.delete(rows, 5, axis=1)
        boxes = np.column_stack([_joints(rows).min(1), _joints(rows).max(1)])
    else:
        raise ValueError(
            f"expected poses (1, {RAW}, N), (1, N, {RAW}) or (1, N, {RAW + 1}) of {JOINTS} joints, found {found.shape}"
        )
    rows = rows[surest(np.column_stack([boxes, rows[:, 4]]), least)]
    return _joints(rows), rows[:, 4].clip(0, 1)


def _joints(rows: FloatArray) -> FloatArray:
    """Points (N, 17, 2) of rows (N, 56)."""
    return rows[:, 5:].reshape(-1, JOINTS, 3)[..., :2]
