"""Does a known network give what its table says? Its file is read and run once, on a grey picture."""

import re

import numpy as np
import torch

from metavad.errors import DataError
from metavad.features.backbones import backbone_of, clip_of
from metavad.features.networks.efficientnet_lite import patch_network
from metavad.features.networks.onnx_runner import OnnxRunner
from metavad.features.networks.registry import Network, network_named, required_file
from metavad.features.networks.torch_runner import TorchRunner

__all__ = ["check_network"]

SIDE = 64
"""Pixels of the picture for a network that takes any."""


def check_network(name: str) -> str:
    """The shapes that a known network gives, such as ``(1, 3549, 85)``.

    Raises :class:`DataError` where its file is missing, has another digest or gives other shapes than its table says,
    and what reading and running it raises.
    """
    network = network_named(name)
    found, expected = ", ".join(map(str, _shapes(name, network))), _expected(network.output.shape)
    if found != expected:
        raise DataError(f"{name}: expected outputs {expected}, found {found}; mend its table or its file")
    return found


def _shapes(name: str, network: Network) -> list[tuple[int, ...]]:
    grey = np.full((network.input.height or SIDE, network.input.width or SIDE), 128, np.uint8)
    if network.gives == "embedding":
        backbone = backbone_of(name, "default")
        with torch.inference_mode():
            return [tuple(backbone.make()(clip_of([grey], backbone.preprocessing)).shape)]
    file = required_file(name)
    if file.suffix == ".onnx":
        return [found.shape for found in OnnxRunner(file, name, network.input)([grey])]
    return [tuple(output.shape) for output in TorchRunner(patch_network(file), network.input)([grey])]


def _expected(shape: str) -> str:
    """With the numbers of one picture in place of the axis letters."""
    return re.sub(r"[HW] / (\d+)", lambda found: str(SIDE // int(found[1])), shape).replace("B", "1")
