"""Flow in bytes, by a square-root law with a stated error.

Two-stream networks store flow as linear bytes (Simonyan and Zisserman 2014, https://arxiv.org/abs/1406.2199, section
5). Here the error grows with the speed, so that slow motion is kept finely.
"""

import numpy as np

from metavad.types import ByteArray, FloatArray

__all__ = ["FASTEST", "compress", "expand", "expand_speed"]

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


def expand_speed(stored: ByteArray) -> FloatArray:
    """Heights/second of a stored speed, for which there are all 256 steps."""
    return np.asarray((stored.astype(np.float32) / 255.0) ** 2 * FASTEST)
