"""Frames to what a network wants to see."""

import cv2
import numpy as np
import torch
from torch import Tensor

from metavad.features.networks.registry import Input
from metavad.types import ByteArray

__all__ = ["fitted", "letter_box", "pictures_of"]

GREY = 114
"""What YOLOX and its relatives pad with."""
WHITE = 255


def pictures_of(frames: Tensor, wanted: Input) -> Tensor:
    """Frames (B, H, W), grey, or (B, H, W, 3), RGB, of 0..255 as a network takes them.

    (B, 3, H, W), or (B, H, W, 3) where it wants that; channels last in memory either way, which costs no copy.
    """
    colours = frames[..., None].expand(*frames.shape, 3) if frames.ndim == 3 else frames
    if wanted.channels == "BGR" and frames.ndim == 4:
        colours = colours.flip(-1)
    deviation = torch.tensor(wanted.deviation, device=frames.device)
    mean = torch.tensor(wanted.mean, device=frames.device)
    scaled = colours.float().mul_(wanted.white / WHITE / deviation).sub_(mean / deviation)
    if wanted.dtype == "int32":
        scaled = scaled.round_().int()
    return scaled if wanted.layout == "NHWC" else scaled.permute(0, 3, 1, 2)


def fitted(picture: ByteArray, wanted: Input) -> tuple[ByteArray, float, float]:
    """The picture (H, W) or (H, W, 3) in the size that a network wants, and its scales there, across and down."""
    if wanted.fit == "letterbox":
        square, scale = letter_box(picture, wanted.width)
        return square, scale, scale
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (wanted.width, wanted.height), interpolation=cv2.INTER_AREA)
    return np.asarray(small), wanted.width / width, wanted.height / height


def letter_box(picture: ByteArray, side: int) -> tuple[ByteArray, float]:
    """The picture (H, W) or (H, W, 3) in the upper left of a grey square, and its scale there."""
    scale = side / max(picture.shape[:2])
    height, width = (max(1, round(length * scale)) for length in picture.shape[:2])
    square = np.full((side, side, *picture.shape[2:]), GREY, dtype=np.uint8)
    square[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return square, scale
