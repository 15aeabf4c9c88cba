"""What a network that has seen real pictures makes of each patch of the picture."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import PatchesConfig
from metavad.errors import ConfigError
from metavad.features.feature import Feature
from metavad.features.networks.efficientnet_lite import patch_network
from metavad.features.networks.registry import Output, digest_named, network_named
from metavad.features.networks.torch_runner import TorchRunner
from metavad.types import ByteArray

__all__ = ["CHANNELS", "LONGEST", "STEPS", "STRIDE", "PatchesFeature", "average_patches"]

NETWORK = "efficientnet-lite0"
CHANNELS = 40 + 112
"""Of the two outputs."""
STRIDE = 16
"""Pixels of the network's input from one patch to the next."""
STEPS = 20
"""Stored steps in one standard deviation of a channel: 6 deviations fit into a byte."""
LONGEST = 448 / 240
"""Longer side of the network's input at most, in shorter sides of the setting."""


class PatchesFeature(Feature):
    """Two outputs of EfficientNet-Lite0 at every patch: rows (152, h, w) of signed bytes.

    Each is averaged over 3 x 3, as PatchCore does (Roth et al. 2022, https://arxiv.org/abs/2106.08265), the finer one
    then over 2 x 2, so that both have one vector for every 16 x 16 pixels. Channels are in standard deviations from
    their mean, as the network's table states these. Computed at most ``patches.rate`` times a second, and not again
    while the picture stays the same; between, the last row holds. On ``device``, else on a
    GPU where there is one.
    """

    name = "patches"

    def __init__(self, settings: PatchesConfig = PatchesConfig(), device: str | None = None) -> None:
        self.settings = settings
        self.frames_kept = settings.rate
        self.device = device or _device()

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Keeps the last picture that was looked at, its row, and when that was."""
        before: ByteArray | None = None
        last, looked = np.zeros(0, np.uint8), -np.inf

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            nonlocal before, last, looked
            if seconds >= looked + 1 / self.settings.rate - SLACK:
                looked = seconds
                if before is None or not np.array_equal(frame, before):
                    before, last = np.array(frame), self._row(frame)
            return last

        return row

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(152, h, w), whatever the file's own size."""
        down, across = _input_size(height, width, self.settings.short_side, self.settings.short_side)
        return CHANNELS, down // STRIDE, across // STRIDE

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, 152, h, w) int8, ``STEPS`` to a standard deviation: floats would take four times as much."""
        return torch.from_numpy(np.array(rows).view(np.int8))

    def key(self) -> Mapping[str, object]:
        """Network, size, rate."""
        output = network_named(NETWORK).output
        return {
            "feature": "patches",
            "version": 1,
            "network": digest_named(NETWORK),
            "channels": [list(output.mean), list(output.deviation)],
            "short_side": self.settings.short_side,
            "rate": self.settings.rate,
            "device": self.device,
        }

    def _row(self, frame: ByteArray) -> ByteArray:
        """Signed bytes (152, h, w) as bytes."""
        size = _input_size(frame.shape[0], frame.shape[1], self.settings.short_side, min(frame.shape))
        method = cv2.INTER_AREA if size[0] < frame.shape[0] else cv2.INTER_LINEAR
        values = _runner(self.device)([cv2.resize(frame, size[::-1], interpolation=method)])[0].cpu()
        grid = self.shape(*frame.shape)[1:]
        if values.shape[-2:] != grid:
            values = functional.interpolate(values, size=grid, mode="bilinear", align_corners=False)
        steps = (STEPS * values[0]).round().clamp(-127, 127).to(torch.int8)
        return np.ascontiguousarray(steps.numpy()).view(np.uint8)


SLACK = 0.02
"""Seconds by which ticks may be off the rate's grid."""


class _Standardised(nn.Module):
    """Averaged outputs of a network's blocks (B, 152, h, w), in standard deviations from each channel's mean."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, output: Output) -> None:
        super().__init__()
        self.network = network
        if {len(output.mean), len(output.deviation)} != {CHANNELS}:
            raise ConfigError(
                f"{NETWORK}: expected output.mean and output.deviation of {CHANNELS} channels, found "
                f"{len(output.mean)} and {len(output.deviation)}; take them from the table that ships"
            )
        self.register_buffer("mean", torch.tensor(output.mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(output.deviation)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        return (average_patches(*self.network(pictures)) - self.mean) / self.deviation


def average_patches(fine: Tensor, coarse: Tensor) -> Tensor:
    """Outputs of strides 8 and 16 together at stride 16 (B, C, h, w), each averaged over the 3 x 3 around."""
    near = [functional.avg_pool2d(each, 3, 1, 1, count_include_pad=False) for each in (fine, coarse)]
    return torch.cat([functional.avg_pool2d(near[0], 2), near[1]], dim=1)


@lru_cache(maxsize=2)
def _runner(device: str) -> TorchRunner:
    network = network_named(NETWORK)
    return TorchRunner(_Standardised(patch_network(), network.output), network.input, device=device, batch=1)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _input_size(height: int, width: int, short_side: int, sharpest: float) -> tuple[int, int]:
    """Height and width of the network's input for a picture: whole patches, its aspect ratio as near as these allow.

    >>> _input_size(240, 427, 240, 240), _input_size(240, 800, 240, 240), _input_size(240, 320, 240, 96)
    ((240, 368), (128, 448), (96, 128))
    """
    scale = min(short_side, sharpest) / min(height, width)
    scale = min(scale, LONGEST * short_side / max(height, width))
    down, across = (STRIDE * max(1, round(side * scale / STRIDE)) for side in (height, width))
    return down, across
