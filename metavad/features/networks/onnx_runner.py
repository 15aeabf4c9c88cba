"""A network in ONNX over pictures: one at a time, on one thread inside, so that bits depend on nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metavad.errors import ConfigError
from metavad.features.networks.pictures import pictures_of
from metavad.features.networks.registry import Input
from metavad.features.networks.torch_runner import side_by_side
from metavad.types import ByteArray, FloatArray

__all__ = ["OnnxRunner"]


class OnnxRunner:
    """``runner(pictures)``: what an ONNX file gives of each picture, by onnxruntime (extra ``people``).

    ``setting`` is the key under which the user named the file, for messages; ``layer`` names the tensor that is
    wanted, by default the first output. Raises :class:`ConfigError` where onnxruntime is not installed, for a file
    that is no network or has no such tensor, and when called for a size that it does not take.
    """

    def __init__(
        self, path: Path, setting: str, wanted: Input = Input(), *, layer: str = "", device: str = "cpu"
    ) -> None:
        self.path, self.setting, self.wanted = path, setting, wanted
        self._session = _session(path, setting, layer, device)
        self._input = self._session.get_inputs()[0].name
        self._output = layer or self._session.get_outputs()[0].name

    def __call__(self, pictures: Sequence[ByteArray], threads: int | None = None) -> list[FloatArray]:
        """An output for each picture, grey (H, W) or RGB (H, W, 3), in double precision, with its batch axis of 1."""
        return side_by_side(self._run, pictures, threads)

    def _run(self, picture: ByteArray) -> FloatArray:
        given = pictures_of(torch.from_numpy(np.ascontiguousarray(picture))[None], self.wanted).contiguous().numpy()
        try:
            (found,) = self._session.run([self._output], {self._input: given})
        except Exception as error:  # onnxruntime's have no common ancestor
            raise ConfigError(
                f"{self.path}: expected a network that takes {picture.shape[:2]} pixels, found another "
                f"({_line(error)}); set {self.setting}_side"
            ) from None
        return np.asarray(found, dtype=np.float64)


def _session(path: Path, setting: str, layer: str, device: str) -> Any:
    library = _onnxruntime(setting)
    options = library.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what is wrong is raised; nothing is written
    content = path.read_bytes()
    try:
        session = library.InferenceSession(content + _output(layer), options, providers=_providers(library, device))
    except Exception as error:  # onnxruntime's have no common ancestor
        if layer and layer in str(error):
            raise ConfigError(
                f"{path}: expected numbers from the tensor {layer!r}, found none; name another one"
            ) from None
        raise ConfigError(f"{path}: expected an ONNX network, could not read it ({_line(error)})") from None
    return session


def _providers(library: Any, device: str) -> list[str]:
    if device == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in library.get_available_providers():
        raise ConfigError(
            f"expected onnxruntime with CUDA for {device}, found one without; pip install onnxruntime-gpu"
        )
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]


def _onnxruntime(setting: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            f"{setting}: expected the package onnxruntime, found none; pip install 'metavad[people]'"
        ) from None
    return onnxruntime


def _output(name: str) -> bytes:
    """What makes a tensor an output when it follows an ONNX file: protobuf merges a message that comes twice.

    ModelProto.graph (7) . GraphProto.output (12) . ValueInfoProto: name (1), type (2) . tensor_type (1): float.
    """
    if not name:
        return b""
    tensor = b"\x08\x01"
    return _field(7, _field(12, _field(1, name.encode()) + _field(2, _field(1, tensor))))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + _varint(rest) if rest else bytes([head])


def _line(error: Exception) -> str:
    """What onnxruntime says, on one line, without its lists of the dimensions expected."""
    return " ".join(str(error).split("Please fix")[0].split())[:200]
