"""Future-frame prediction: what cannot be foreseen from the last frames is surprising."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, PredictionConfig
from metavad.experts.base import Expert, Memory
from metavad.features.base import grid_of
from metavad.features.sample import Sample

__all__ = ["Prediction"]


class Prediction(Expert):
    """A U-Net that foresees the next small frame (Liu et al. 2018, https://arxiv.org/abs/1712.09867).

    It predicts the change from the last frame, four pixels at a time; intensity and gradient loss. GroupNorm,
    since statistics over a batch would leak between tasks; smooth activations, since MAML differentiates twice.
    Score: minus the PSNR of the patch around each cell, in decibels (higher = more anomalous).
    """

    name: ClassVar[str] = "prediction"
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    floor: float = -60.0

    def __init__(self, settings: PredictionConfig, *, rate: float = 10.0, rows: int = 30) -> None:
        super().__init__()
        self.past, self.rows, self.windows = settings.past, rows, settings.windows
        self.history = settings.past / rate
        self.gradient_weight = settings.gradient_weight
        narrow, wide = settings.channels, 2 * settings.channels
        self.enter = _block(4 * settings.past, narrow)
        self.down = _block(narrow, wide)
        self.deep = _block(wide, wide)
        self.up = _block(wide + narrow, narrow)
        self.leave = nn.Conv2d(narrow, 4, 3, padding=1)

    @classmethod
    def build(cls, config: Config) -> "Prediction":
        """From the section ``prediction``."""
        return cls(config.prediction, rate=config.data.rate, rows=config.data.rows)

    def condition(self, support: Sample) -> Memory:
        """Nothing: what it learns of a scene is in its weights."""
        return {}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Intensity and gradient error, in grey steps of 0.05; of many windows, every n-th counts."""
        start = self._start(sample)
        weight = self.known(sample)[:, start:].flatten()
        step = max(1, weight.numel() // self.windows)
        error = self._errors(*(part[::step] for part in self._windows(sample, start)))
        weight = weight[::step].to(error)
        slopes = _huber(error.diff(dim=-1)).mean((-1, -2)) + _huber(error.diff(dim=-2)).mean((-1, -2))
        each = _huber(error).mean((-1, -2)) + self.gradient_weight * slopes
        return (each * weight).sum() / weight.sum().clamp_min(1e-6)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Minus PSNR of patches (B, T, h, w)."""
        start, (batch, ticks) = self._start(sample), sample.seconds.shape
        error = self._errors(*self._windows(sample, start))
        height, width = grid_of(error.shape[-2], error.shape[-1], self.rows)
        patches = functional.avg_pool2d(error.square()[:, None], 5, 1, 2, count_include_pad=False)
        cells = functional.adaptive_max_pool2d(patches, (height, width))[:, 0]
        decibels = 10.0 * torch.log10(cells + 1e-6).reshape(batch, ticks - start, height, width)
        decibels = functional.pad(decibels, (0, 0, 0, 0, start, 0))
        return torch.where(self.known(sample)[:, :, None, None], decibels, decibels.new_tensor(self.floor))

    def known(self, sample: Sample) -> Tensor:
        """Ticks with a whole past before them; of a shorter clip, its last."""
        flags = sample.known["frames"].clone()
        flags[:, : self._start(sample)] = False
        return flags

    def _start(self, sample: Sample) -> int:
        """The first tick that is foreseen: a window before it would be evaluated and not count."""
        return max(0, min(self.past, sample.seconds.shape[1] - 1))

    def _windows(self, sample: Sample, start: int) -> tuple[Tensor, Tensor]:
        """Pasts (B n, past, H, W) and targets (B n, H, W) of the n ticks from ``start`` on.

        Before the first tick stands the first tick.
        """
        frames = sample["frames"]
        before = torch.cat([frames[:, :1].expand(-1, self.past, -1, -1), frames], dim=1)[:, start:-1]
        return before.unfold(1, self.past, 1).movedim(-1, 2).flatten(0, 1), frames[:, start:].flatten(0, 1)

    def _errors(self, windows: Tensor, targets: Tensor) -> Tensor:
        """Target minus prediction (..., H, W)."""
        return targets - windows[:, -1] - self._foresee(windows)

    def _foresee(self, windows: Tensor) -> Tensor:
        """(B, past, H, W) to the expected change (B, H, W); the mean grey level is taken out."""
        windows = windows - windows.mean((1, 2, 3), keepdim=True)
        fine = self.enter(functional.pixel_unshuffle(windows, 2))
        coarse = self.down(functional.avg_pool2d(fine, 2, ceil_mode=True))
        coarse = self.deep(coarse) + coarse
        back = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        change: Tensor = self.leave(self.up(torch.cat([fine, back], dim=1)))
        return functional.pixel_shuffle(change, 2)[:, 0]


def _huber(error: Tensor) -> Tensor:
    """Square for small errors, linear beyond a grey step of 0.05: one flash must not throw the inner steps off."""
    return torch.sqrt(1.0 + (error / 0.05).square()) - 1.0


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.GroupNorm(4, outside),
        nn.SiLU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.SiLU(),
    )
