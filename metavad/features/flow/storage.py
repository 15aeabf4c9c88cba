"""Flow in bytes: two laws with a stated error, and what they take on disk as PNG and JPEG.

Two-stream networks store flow as linear bytes in JPEG files (Simonyan and Zisserman 2014,
https://arxiv.org/abs/1406.2199, section 5). Features of metavad are stored by a square-root law instead, whose error
grows with the speed, so that slow motion is kept finely.
"""

from typing import Literal, TypeAlias

import cv2
import numpy as np

from metavad.errors import DataError
from metavad.types import ByteArray, FloatArray

__all__ = ["FASTEST", "Codec", "compress", "decoded", "encoded", "expand", "from_linear", "to_linear"]

Codec: TypeAlias = Literal["raw", "png", "jpeg"]
FASTEST = 3.0
"""Heights of the frame per second that a byte can hold; faster motion is clipped."""


def compress(values: FloatArray) -> ByteArray:
    """Signed speeds in heights/second to bytes, by a square-root law: the error grows with the speed.

    The error is at most sqrt(|v| FASTEST) / 127.5 + FASTEST / 127.5^2, in heights/second.

    >>> np.abs(expand(compress(np.array([0.01, -0.1, 1.0]))) - [0.01, -0.1, 1.0]).max() < 0.01
    np.True_
    """
    scaled = np.sign(values) * np.sqrt(np.minimum(np.abs(values) / FASTEST, 1.0))
    return np.round(127.5 + 127.5 * scaled).astype(np.uint8)


def expand(stored: ByteArray) -> FloatArray:
    """The inverse of :func:`compress`; a still pixel comes back within 0.0001 of zero."""
    scaled = (stored.astype(np.float32) - 127.5) / 127.5
    return np.asarray(np.sign(scaled) * scaled**2 * FASTEST)


def to_linear(values: FloatArray, largest: float) -> ByteArray:
    """Signed values to bytes by the linear law of two-stream networks; larger than ``largest`` is clipped.

    The error is at most ``largest`` / 254; zero comes back as zero.

    >>> from_linear(to_linear(np.array([-9.0, 0.0, 0.52]), 2.0), 2.0).round(2).tolist()
    [-2.0, 0.0, 0.52]
    """
    return np.asarray(np.round(np.clip(values / largest, -1.0, 1.0) * 127.0 + 128.0), dtype=np.uint8)


def from_linear(stored: ByteArray, largest: float) -> FloatArray:
    """The inverse of :func:`to_linear`."""
    return np.asarray((stored.astype(np.float32) - 128.0) / 127.0 * largest)


def encoded(planes: ByteArray, codec: Codec, quality: int = 95) -> bytes:
    """Byte planes (C, H, W), one below the other, as one grey picture: lossless PNG, JPEG of a quality, or raw."""
    picture = np.ascontiguousarray(planes).reshape(-1, planes.shape[-1])
    if codec == "raw":
        return picture.tobytes()
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if codec == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 6]
    return bytes(cv2.imencode(f".{codec}", picture, settings)[1].tobytes())


def decoded(data: bytes, codec: Codec, shape: tuple[int, int, int]) -> ByteArray:
    """The planes (C, H, W) back; raises :class:`DataError` where the data holds something else."""
    flat = np.frombuffer(data, np.uint8)
    picture = flat if codec == "raw" else cv2.imdecode(flat, cv2.IMREAD_GRAYSCALE)
    if picture is None or picture.size != np.prod(shape):
        raise DataError(f"stored flow: expected planes {shape} as {codec}, found something else; store it again")
    return np.asarray(picture).reshape(shape)
