"""Tiny ONNX files written by hand, for tests: a protobuf of a few nodes (https://onnx.ai, onnx.proto)."""

from pathlib import Path

import numpy as np

FLOAT, INT32, INT64 = 1, 6, 7


def write_onnx(path: Path, nodes, constants, *, given, result, kind=FLOAT) -> Path:
    """``nodes``: (operator, inputs, output, {integer attribute: value}); ``given``: shape of the input ``x``."""
    graph = b"".join(_of(1, _node(*node)) for node in nodes) + _of(2, b"toy")
    graph += b"".join(_of(5, _tensor(name, values)) for name, values in constants.items())
    graph += _of(11, _value("x", given, kind)) + _of(12, _value(nodes[-1][2], result))
    path.write_bytes(_number(1, 8) + _of(7, graph) + _of(8, _number(2, 13)))
    return path


def write_line(path: Path, weights, offsets, *, side, result) -> Path:
    """y = offsets + weights x of a picture (1, 3, side, side), laid out as ``result``: weights (3 side^2, D)."""
    nodes = [
        ("Flatten", ["x"], "flat", {"axis": 1}),
        ("MatMul", ["flat", "weights"], "sum", {}),
        ("Add", ["sum", "offsets"], "line", {}),
        ("Reshape", ["line", "shape"], "y", {}),
    ]
    shape = np.array(result, np.int64)
    constants = {"weights": np.float32(weights), "offsets": np.float32(offsets).reshape(1, -1), "shape": shape}
    return write_onnx(path, nodes, constants, given=(1, 3, side, side), result=result)


def _node(operator, inputs, output, attributes):
    each = [_of(1, name.encode()) for name in inputs] + [_of(2, output.encode()), _of(4, operator.encode())]
    each += [_of(5, _of(1, name.encode()) + _number(3, value) + _number(20, 2)) for name, value in attributes.items()]
    return b"".join(each)


def _tensor(name, values):
    kind = INT64 if values.dtype == np.int64 else FLOAT
    dims = b"".join(_number(1, length) for length in values.shape)
    return dims + _number(2, kind) + _of(8, name.encode()) + _of(9, np.ascontiguousarray(values).tobytes())


def _value(name, shape, kind=FLOAT):
    dims = b"".join(_of(1, _number(1, length)) for length in shape)
    return _of(1, name.encode()) + _of(2, _of(1, _number(1, kind) + _of(2, dims)))


def _of(field, content):
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _varint(value):
    return bytes([value & 127 | 128]) + _varint(value >> 7) if value > 127 else bytes([value])
