"""SlowFast: a slow path that sees what things are, and a thin fast one that sees how they move.

Feichtenhofer, Fan, Malik and He 2019, https://arxiv.org/abs/1812.03982, table 1 with a ResNet-50, 8 frames in the slow
path and 32 in the fast one (8 x 8, R50). Modules are called as in the weights that pytorchvideo publishes, so that
those load.
"""

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from metavad.features.backbones.backbone import Backbone, preprocessing_of, seeded
from metavad.features.networks.weights import load_weights, weights_of

__all__ = ["SlowFast", "slowfast_backbone"]

ALPHA, BETA, FUSED = 4, 8, 2
"""Fast frames to one slow frame, slow channels to one fast channel, fused channels to one fast channel."""
DEPTHS, INNER = (3, 4, 6, 3), (64, 128, 256, 512)
DIMENSION = 2048 + 2048 // BETA


def slowfast_backbone(weights: str) -> Backbone:
    """SlowFast 8 x 8, R50: 2304 numbers a clip; ``weights`` is a file, ``default`` or ``random``."""
    settings = preprocessing_of("slowfast_r50")
    return Backbone("slowfast_r50", DIMENSION, settings, weights, partial(_made, weights))


class SlowFast(nn.Module):
    """Clips (N, 3, T, S, S), T a multiple of 4, to (N, ``2304 / thinner``).

    ``thinner`` and ``depths`` make smaller ones, for tests.
    """

    def __init__(self, thinner: int = 1, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        slow, fast = 64 // thinner, 64 // thinner // BETA
        self.blocks = nn.ModuleList([_Stage([_Stem(slow, 1), _Stem(fast, 5)], _Fuse(fast))])
        for number, depth in enumerate(depths):
            inner = INNER[number] // thinner
            stride, last = 1 if number == 0 else 2, number == len(depths) - 1
            paths = [
                _Path(slow + FUSED * fast, inner, depth, stride, 1 if number < 2 else 3),
                _Path(fast, inner // BETA, depth, stride, 3),
            ]
            slow, fast = 4 * inner, 4 * inner // BETA
            self.blocks.append(_Stage(paths, None if last else _Fuse(fast)))

    def forward(self, clips: Tensor) -> Tensor:
        """Both paths' means over time and place, joined."""
        frames = clips.shape[2]
        picked = torch.linspace(0, frames - 1, frames // ALPHA, device=clips.device).long()
        paths = clips[:, :, picked], clips
        for block in self.blocks:
            paths = block(paths)
        return torch.cat([path.mean((2, 3, 4)) for path in paths], dim=1)


class _Stage(nn.Module):
    """One stage of both paths, and what the slow one then learns of the fast one."""

    def __init__(self, paths: Sequence[nn.Module], fusion: nn.Module | None) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList(paths)
        self.multipathway_fusion = fusion

    def forward(self, paths: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        slow, fast = (block(path) for block, path in zip(self.multipathway_blocks, paths, strict=True))
        if self.multipathway_fusion is not None:
            slow = torch.cat([slow, self.multipathway_fusion(fast)], dim=1)
        return slow, fast


class _Stem(nn.Module):
    def __init__(self, channels: int, time: int) -> None:
        super().__init__()
        self.conv = _convolution(3, channels, (time, 7, 7), (1, 2, 2))
        self.norm = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, clips: Tensor) -> Tensor:
        pooled: Tensor = self.pool(torch.relu(self.norm(self.conv(clips))))
        return pooled


class _Fuse(nn.Module):
    """Fast features in the slow path's rate: a convolution over seven frames, every fourth of them."""

    def __init__(self, fast: int) -> None:
        super().__init__()
        self.conv_fast_to_slow = _convolution(fast, FUSED * fast, (7, 1, 1), (ALPHA, 1, 1))
        self.norm = nn.BatchNorm3d(FUSED * fast)

    def forward(self, fast: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv_fast_to_slow(fast)))


class _Path(nn.Module):
    def __init__(self, inside: int, inner: int, depth: int, stride: int, time: int) -> None:
        super().__init__()
        first = _Residual(inside, inner, stride, time)
        self.res_blocks = nn.ModuleList([first, *(_Residual(4 * inner, inner, 1, time) for _ in range(depth - 1))])

    def forward(self, values: Tensor) -> Tensor:
        for block in self.res_blocks:
            values = block(values)
        return values


class _Residual(nn.Module):
    def __init__(self, inside: int, inner: int, stride: int, time: int) -> None:
        super().__init__()
        self.branch1_conv = (
            _convolution(inside, 4 * inner, (1, 1, 1), (1, stride, stride)) if inside != 4 * inner else None
        )
        self.branch1_norm = nn.BatchNorm3d(4 * inner) if inside != 4 * inner else None
        self.branch2 = _Bottleneck(inside, inner, stride, time)

    def forward(self, values: Tensor) -> Tensor:
        beside = values
        if self.branch1_conv is not None and self.branch1_norm is not None:
            beside = self.branch1_norm(self.branch1_conv(values))
        return torch.relu(beside + self.branch2(values))


class _Bottleneck(nn.Module):
    def __init__(self, inside: int, inner: int, stride: int, time: int) -> None:
        super().__init__()
        self.conv_a = _convolution(inside, inner, (time, 1, 1), (1, 1, 1))
        self.norm_a = nn.BatchNorm3d(inner)
        self.conv_b = _convolution(inner, inner, (1, 3, 3), (1, stride, stride))
        self.norm_b = nn.BatchNorm3d(inner)
        self.conv_c = _convolution(inner, 4 * inner, (1, 1, 1), (1, 1, 1))
        self.norm_c = nn.BatchNorm3d(4 * inner)

    def forward(self, values: Tensor) -> Tensor:
        values = torch.relu(self.norm_a(self.conv_a(values)))
        values = torch.relu(self.norm_b(self.conv_b(values)))
        return cast(Tensor, self.norm_c(self.conv_c(values)))


def _convolution(inside: int, outside: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> nn.Conv3d:
    time, down, across = kernel
    return nn.Conv3d(inside, outside, kernel, stride, (time // 2, down // 2, across // 2), bias=False)


def _made(weights: str) -> nn.Module:
    network = seeded(SlowFast)
    if weights != "random":
        state = weights_of("slowfast_r50", weights)
        load_weights(network, state, "embedding.weights", spare=("blocks.5.", "blocks.6."))
    return network.eval()
