"""Future-frame prediction: what cannot be foreseen from the last frames is surprising."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, PredictionConfig
from metavad.experts.adversary import Discriminator, adversarial_loss
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.layers import ChannelAttention, SelfAttention, block, huber
from metavad.experts.lucas_kanade import flow_difference
from metavad.experts.prototypes import Prototypes
from metavad.experts.resampling import enlarged, halved, is_plain, means_around, pixels_to_channels
from metavad.features.feature import grid_of
from metavad.features.sample import Sample

__all__ = ["Prediction"]

PAST = 4
"""Ticks that it sees (Liu et al. 2018)."""
COMPACTNESS, SEPARATENESS = 0.1, 0.01
"""Weights of the squared distance of features to their prototypes, and of keeping the prototypes apart."""
ATTENTION: dict[str, type[nn.Module]] = {"none": nn.Identity, "channel": ChannelAttention, "self": SelfAttention}


class Prediction(Expert):
    """A U-Net that foresees the next small frame (Liu et al. 2018, https://arxiv.org/abs/1712.09867).

    It predicts the change from the last frame, four pixels at a time; intensity and gradient loss, and by the
    settings flow difference, a patch discriminator, attention, and prototypes (MNAD, MPN). GroupNorm, since
    statistics over a batch would leak between tasks; smooth activations, since MAML differentiates twice.
    Score: minus the PSNR of the patch around each cell, in decibels, with prototypes plus the distance to them
    (higher = more anomalous).
    """

    name: ClassVar[str] = "prediction"
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    fixed: ClassVar[tuple[str, ...]] = ("discriminator.*",)
    head: ClassVar[tuple[str, ...]] = ("leave.*",)
    initial_weight: ClassVar[float] = 0.25
    floor: float = -60.0

    def __init__(self, settings: PredictionConfig, *, rate: float = 10.0, rows: int = 30) -> None:
        super().__init__()
        self.settings, self.past, self.rows, self.windows = settings, PAST, rows, settings.windows
        self.history = PAST / rate
        narrow, wide = settings.channels, 2 * settings.channels
        self.enter = block(4 * PAST, narrow)
        self.down = block(narrow, wide)
        self.deep = block(wide, wide)
        self.up = block(wide + narrow, narrow)
        self.attention = ATTENTION[settings.attention](wide)
        self.prototypes = Prototypes(settings.prototypes, wide) if settings.prototypes else None
        self.discriminator = Discriminator() if settings.adversarial_weight else None
        self.leave = nn.Conv2d(narrow, 4, 3, padding=1)

    @classmethod
    def build(cls, config: Config) -> "Prediction":
        """From the section ``prediction``."""
        return cls(config.prediction, rate=config.data.rate, rows=config.data.rows)

    def condition(self, support: Sample) -> Memory:
        """Nothing: what it learns of a scene is in its weights."""
        return {}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """The settings' losses, frames in grey steps of 0.05; of many windows, every n-th counts."""
        start = self.first(sample)
        weight = self.known(sample)[:, start:].flatten()
        step = max(1, weight.numel() // self.windows)
        windows, targets = self._windows(sample, start, step)
        change, distance = self._foresee(windows)
        error = targets - windows[:, -1] - change
        weight = weight[::step].to(error)
        slopes = huber(error.diff(dim=-1)).mean((-1, -2)) + huber(error.diff(dim=-2)).mean((-1, -2))
        each = self.settings.intensity_weight * huber(error).mean((-1, -2)) + self.settings.gradient_weight * slopes
        each = each + self._further(windows, targets, change, distance)
        return (each * weight).sum() / weight.sum().clamp_min(1e-6)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Minus PSNR of patches (B, T, h, w), and with prototypes the distance to them, in decibels."""
        start, (batch, ticks) = self.first(sample), sample.seconds.shape
        windows, targets = self._windows(sample, start, 1)
        change, distance = self._foreseen(windows)
        error = targets - windows[:, -1] - change
        grid = grid_of(error.shape[-2], error.shape[-1], self.rows)
        patches = means_around(error.square(), 2)
        decibels = 10.0 * torch.log10(functional.adaptive_max_pool2d(patches, grid) + 1e-6)
        if distance is not None:
            far = functional.interpolate(distance[:, None], size=grid, mode="bilinear", align_corners=False)[:, 0]
            decibels = decibels + 10.0 * torch.log10(far.clamp_min(0) + 0.01)
        decibels = functional.pad(decibels.reshape(batch, ticks - start, *grid), (0, 0, 0, 0, start, 0))
        return torch.where(self.known(sample)[:, :, None, None], decibels, decibels.new_tensor(self.floor))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason:
        """It keeps no picture of the shots: only that the change was not foreseen."""
        return Reason("changes in a way that the moments before do not foretell")

    def _windows(self, sample: Sample, start: int, step: int) -> tuple[Tensor, Tensor]:
        """Pasts (S, past, H, W) and targets (S, H, W): of the ticks from ``start`` on, clip after clip, every n-th.

        Before the first tick stands the first tick.
        """
        frames = sample["frames"]
        ticks = frames.shape[1] - start
        number = torch.arange(0, len(frames) * ticks, step, device=frames.device)
        clip, tick = number // max(1, ticks), start + number % max(1, ticks)
        past = tick[:, None] + torch.arange(-self.past, 0, device=frames.device)
        return frames[clip[:, None], past.clamp_min(0)], frames[clip, tick]

    def _further(self, windows: Tensor, targets: Tensor, change: Tensor, distance: Tensor | None) -> Tensor:
        """The losses that are off by default, for each window (B,); zeros when all of them are."""
        settings, last = self.settings, windows[:, -1]
        each = change.new_zeros(len(change))
        if settings.flow_weight:
            each = each + settings.flow_weight * flow_difference(last, last + change, targets)
        if self.discriminator is not None:
            level = windows.mean((1, 2, 3))[:, None, None]
            game = adversarial_loss(self.discriminator, last + change - level, targets - level)
            each = each + settings.adversarial_weight * game
        if self.prototypes is not None and distance is not None:
            each = each + COMPACTNESS * distance.mean((-1, -2))
            each = each + SEPARATENESS * self.prototypes.crowding()
        return each

    def _foreseen(self, windows: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same bits as :meth:`_foresee`, a few windows at a time, so that what lies between stays in the cache."""
        if not is_plain(windows) or self.settings.attention == "self":  # whose products round by how many there are
            return self._foresee(windows)
        changes, distances = zip(*map(self._foresee, torch.split(windows, _parts(len(windows)))), strict=True)
        return torch.cat(changes), None if self.prototypes is None else torch.cat(distances)

    def _foresee(self, windows: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, past, H, W) to the expected change (B, H, W), the mean grey level taken out; distances (B, h, w)."""
        windows = windows - windows.mean((1, 2, 3), keepdim=True)
        fine = self.enter(pixels_to_channels(windows))
        coarse = self.down(halved(fine))
        coarse, distance = self.attention(self.deep(coarse) + coarse), None
        if self.prototypes is not None:
            coarse, distance = self.prototypes(coarse)
        back = enlarged(coarse, (fine.shape[-2], fine.shape[-1]))
        change: Tensor = self.leave(self.up(torch.cat([fine, back], dim=1)))
        return functional.pixel_shuffle(change, 2)[:, 0], distance


_TOGETHER = 8
"""Windows that are foreseen at once."""


def _parts(windows: int) -> list[int]:
    """How many at a time: the last part takes the rest, for a network rounds otherwise when it is asked for one."""
    parts = max(1, windows // _TOGETHER)
    return [_TOGETHER] * (parts - 1) + [windows - _TOGETHER * (parts - 1)]
