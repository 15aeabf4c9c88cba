"""Networks in ONNX that the user names: opened and run on the processor by OpenCV."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from metavad.errors import ConfigError
from metavad.types import ByteArray, FloatArray

__all__ = ["Network", "digest_of", "letter_box", "open_network", "picture_of"]

Network: TypeAlias = Callable[[FloatArray], FloatArray]
"""A batch of one picture (1, 3, side, side) to an output, in double precision."""
GREY = 114
"""What YOLOX and its relatives pad with."""


def open_network(path: Path, setting: str, layer: str = "") -> Network:
    """The network of an ONNX file; ``layer`` names the tensor that it gives, by default its first output.

    ``setting`` is the key under which the user named it, for messages. Raises :class:`ConfigError` for a file that is
    not there or is no network, and the network itself for a size that it does not take.
    """
    network = _read(path, setting, layer)

    def run(picture: FloatArray) -> FloatArray:
        network.setInput(np.ascontiguousarray(picture, dtype=np.float32))
        try:
            found = network.forward(layer) if layer else network.forward()
        except cv2.error as error:
            raise ConfigError(
                f"{path}: expected a network that takes {picture.shape[2:]} pixels, found another "
                f"({_line(error)}); set {setting}_side"
            ) from None
        if np.ndim(found) < 2:  # what OpenCV gives of a tensor that is not there, or that it merged with the next one
            raise ConfigError(f"{path}: expected numbers from the tensor {layer!r}, found none; name another one")
        return np.asarray(found, dtype=np.float64)

    return run


def digest_of(path: Path) -> str:
    """sha256 of a network's file, for the cache; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def letter_box(picture: ByteArray, side: int) -> tuple[ByteArray, float]:
    """The picture (H, W) in the upper left of a grey square, and its scale there."""
    scale = side / max(picture.shape)
    height, width = (max(1, round(length * scale)) for length in picture.shape)
    square = np.full((side, side), GREY, dtype=np.uint8)
    square[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return square, scale


def picture_of(grey: ByteArray, scale: float = 1.0) -> FloatArray:
    """Input (1, 3, H, W) of a grey picture (H, W): three equal channels, times ``scale``."""
    return np.repeat((grey * np.float32(scale))[None, None], 3, axis=1)


def _read(path: Path, setting: str, layer: str) -> cv2.dnn.Net:
    if not path.is_file():
        raise ConfigError(f"{setting}: expected an ONNX file, found nothing at {str(path)!r}; set its path")
    try:
        # Of a tensor within the network OpenCV gives what lies in its memory after the run; an output it keeps.
        content = path.read_bytes() + (_output(layer) if layer else b"")
        return cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    except cv2.error as error:
        raise ConfigError(f"{path}: expected an ONNX network, OpenCV could not read it ({_line(error)})") from None


def _output(name: str) -> bytes:
    """What makes a tensor an output when it follows an ONNX file: protobuf merges a message that comes twice.

    ModelProto.graph (7) . GraphProto.output (12) . ValueInfoProto: name (1), type (2) . tensor_type (1): float, shape.
    """
    tensor = b"\x08\x01" + _field(2, b"")
    return _field(7, _field(12, _field(1, name.encode()) + _field(2, _field(1, tensor))))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + _varint(rest) if rest else bytes([head])


def _line(error: cv2.error) -> str:
    """What OpenCV says, on one line."""
    return " ".join(str(error.err).split())
