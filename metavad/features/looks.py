"""What a region looks like: a histogram of gradients, or features of a network in ONNX that the user names."""

import hashlib
import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from metavad.config import AppearanceConfig
from metavad.features.networks.onnx_runner import OnnxRunner
from metavad.features.networks.registry import Input, digest_named, file_named
from metavad.types import ByteArray, FloatArray

__all__ = [
    "CELL",
    "CROP",
    "LOOKS",
    "ORIENTATIONS",
    "Looks",
    "gradient_histogram",
    "looks_key",
    "looks_of",
    "pooled",
    "projected",
]

Looks: TypeAlias = Callable[[ByteArray], FloatArray]
"""A crop (H, W) to its numbers."""
CROP, CELL, ORIENTATIONS = (32, 24), 8, 8
"""Pixels (down, across) that a region is scaled to, of a cell in it, and directions of a gradient in a cell."""
LOOKS = ORIENTATIONS * (CROP[0] // CELL) * (CROP[1] // CELL)
"""Numbers of a histogram of gradients."""
CONTRAST = 100.0
"""Gradients (grey steps in a crop) under which looks fade to nothing."""


def looks_of(settings: AppearanceConfig) -> Looks:
    """Crops to what the settings say: ``LOOKS`` numbers of gradients, or 2 x ``numbers`` of a network.

    The network sees the crop squeezed into a square, (1, 3, side, side), in three equal channels. Its output, averaged
    over places, is projected onto ``numbers`` fixed directions and has length 1: first of the crop, then of the same
    crop turned by a quarter, which is what ``appearance`` learns by. Raises :class:`ConfigError` for a file that is
    not there or is no such network.
    """
    if settings.features == "gradients":
        return gradient_histogram
    file = file_named(settings.network, "appearance.network")
    scaled = Input(white=255.0, mean=(settings.mean,) * 3, deviation=(settings.deviation,) * 3)
    network = OnnxRunner(file, "appearance.network", scaled, layer=settings.layer)

    def looks(crop: ByteArray) -> FloatArray:
        square = cv2.resize(crop, (settings.network_side, settings.network_side), interpolation=cv2.INTER_AREA)
        seen = network([np.asarray(square), np.rot90(square)])
        return np.concatenate([projected(pooled(each), settings.numbers) for each in seen])

    return looks


def looks_key(settings: AppearanceConfig) -> dict[str, object]:
    """What looks depend on, for the cache; nothing for gradients."""
    if settings.features == "gradients":
        return {}
    plain = settings.model_dump(exclude={"features", "network", "prototypes"})
    return {"looks": {**plain, "network": digest_named(settings.network)}}


def pooled(found: FloatArray) -> FloatArray:
    """A network's output to one number a channel (C,): of (1, C, h, w) and (1, tokens, C) the mean, (1, C) itself."""
    return np.asarray(found.mean((0, 2, 3)) if found.ndim == 4 else found.reshape(-1, found.shape[-1]).mean(0))


def projected(features: FloatArray, numbers: int) -> FloatArray:
    """Features (C,) on fixed random directions, (``numbers``,) of length 1: distances nearly stay.

    Directions are of signs alone (Achlioptas 2003, https://doi.org/10.1016/S0022-0000(03)00025-4), the same
    everywhere and for ever, so that the width is known before the network is.
    """
    bits = np.frombuffer(hashlib.shake_256(b"directions").digest(-(-numbers * len(features) // 8)), np.uint8)
    signs = 2.0 * np.unpackbits(bits)[: numbers * len(features)].reshape(numbers, -1) - 1.0
    found = signs @ features
    return np.asarray(found / max(float(np.linalg.norm(found)), LEAST))


LEAST = 1e-6
"""Length under which features are nothing."""


def gradient_histogram(crop: ByteArray) -> FloatArray:
    """Histogram of gradients (``LOOKS``,) of a crop scaled to ``CROP``: length 1; zero where it is flat."""
    small = cv2.resize(crop, CROP[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    right, down = cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=1)
    length = np.hypot(right, down)
    turn = np.arctan2(down, right) * (ORIENTATIONS / np.pi) % ORIENTATIONS
    low = np.minimum(turn.astype(int), ORIENTATIONS - 1)
    rows, columns = np.indices(CROP) // CELL
    cell = (rows * (CROP[1] // CELL) + columns) * ORIENTATIONS
    table = np.bincount((cell + low).ravel(), (length * (1 - turn + low)).ravel(), LOOKS)
    table += np.bincount((cell + (low + 1) % ORIENTATIONS).ravel(), (length * (turn - low)).ravel(), LOOKS)
    return np.asarray(table / math.hypot(float(np.linalg.norm(table)), CONTRAST), dtype=np.float32)
