"""Spatio-temporal dissociation: what a place looks like and how it changes, told apart and held together."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, DissociationConfig
from metavad.experts.base import Expert, Memory
from metavad.experts.layers import VarianceAttention, block, huber
from metavad.experts.prototypes import on_sphere, soft_distance
from metavad.features.feature import grid_of
from metavad.features.sample import Sample

__all__ = ["Dissociation"]

COARSE = 4
"""Pixels along the side of one code."""
PAST = 4
"""Ticks of a clip before its last one."""
WINDOWS = 24
"""Clips drawn of a sample for one evaluation of the loss."""


class Dissociation(Expert):
    """Two autoencoders and clusters over their codes.

    Chang et al. 2022, https://doi.org/10.1016/j.patcog.2021.108213; first as Chang et al. 2020, ECCV.

    The spatial one sees the first frame of a clip and gives it back; the motion one sees the clip without its last
    frame and predicts last - first. Deep k-means on both codes together. Score: of a cell's worst patch, the mean
    of (last - first as given back - predicted difference)^2 x squared distance to the cluster centres, in decibels
    (higher = more anomalous).
    """

    name: ClassVar[str] = "dissociation"
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    head: ClassVar[tuple[str, ...]] = ("centres", "picture.3.*", "change.3.*")
    floor: float = -80.0

    def __init__(self, settings: DissociationConfig, *, rate: float = 10.0, rows: int = 30) -> None:
        super().__init__()
        self.settings, self.past, self.rows = settings, PAST, rows
        self.history = PAST / rate
        self.spatial = _encoder(1, settings.channels, settings.code, nn.Identity)
        self.motion = _encoder(PAST, settings.channels, settings.code, VarianceAttention)
        self.centres = nn.Parameter(torch.randn(settings.clusters, 2 * settings.code) / (2 * settings.code) ** 0.5)
        self.picture = _decoder(settings.code, settings.channels)
        self.change = _decoder(settings.code, settings.channels)

    @classmethod
    def build(cls, config: Config) -> "Dissociation":
        """From the section ``dissociation``."""
        return cls(config.dissociation, rate=config.data.rate, rows=config.data.rows)

    def condition(self, support: Sample) -> Memory:
        """Nothing: what it learns of a scene is in its weights and cluster centres."""
        return {}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Reconstruction, difference and cluster loss, weighted; of many clips, every n-th counts."""
        start, settings = self.first(sample), self.settings
        known = self.known(sample)[:, start:].flatten()
        step = max(1, known.numel() // WINDOWS)
        clips = self._clips(sample, start, step)
        picture, change, distance = self._seen(clips)
        each = huber(clips[:, 0] - picture).mean((-1, -2))
        each = each + settings.difference_weight * huber(clips[:, -1] - clips[:, 0] - change).mean((-1, -2))
        each = each + settings.cluster_weight * distance.mean((-1, -2))
        weight = known[::step].to(each)
        return (each * weight).sum() / weight.sum().clamp_min(1e-6)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Fused error times distance, in decibels (B, T, h, w)."""
        start, (batch, ticks) = self.first(sample), sample.seconds.shape
        clips = self._clips(sample, start, 1)
        picture, change, distance = self._seen(clips)
        fused = (clips[:, -1] - picture - change).square()[:, None] * _stretched(distance.clamp_min(0), clips)
        patches = functional.avg_pool2d(fused, 5, 1, 2, count_include_pad=False)
        height, width = grid_of(clips.shape[-2], clips.shape[-1], self.rows)
        cells = functional.adaptive_max_pool2d(patches, (height, width))
        decibels = 10.0 * torch.log10(cells + 1e-8).reshape(batch, ticks - start, height, width)
        decibels = functional.pad(decibels, (0, 0, 0, 0, start, 0))
        return torch.where(self.known(sample)[:, :, None, None], decibels, decibels.new_tensor(self.floor))

    def _clips(self, sample: Sample, start: int, step: int) -> Tensor:
        """Every n-th clip (S, past + 1, H, W) that ends at a tick from ``start`` on, its mean grey level taken out.

        Before the first tick stands the first tick.
        """
        frames, past = sample["frames"], self.past
        before = torch.cat([frames[:, :1].expand(-1, past, -1, -1), frames], dim=1)[:, start:]
        clips = before.unfold(1, past + 1, 1)
        number = torch.arange(0, len(clips) * clips.shape[1], step, device=frames.device)
        drawn = clips[number // clips.shape[1], number % clips.shape[1]].movedim(-1, 1)
        return drawn - drawn[:, :-1].mean((1, 2, 3), keepdim=True)

    def _seen(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First frame given back and difference predicted (S, H, W), and squared distance to the centres (S, h, w)."""
        height, width = clips.shape[-2:]
        padded = functional.pad(clips, (0, -width % COARSE, 0, -height % COARSE), mode="replicate")
        look, movement = self.spatial(padded[:, :1]), self.motion(padded[:, :-1])
        distance, _ = soft_distance(on_sphere(torch.cat([look, movement], dim=1)), self.centres)
        picture, change = self.picture(look), self.change(movement)
        return picture[:, 0, :height, :width], change[:, 0, :height, :width], distance


def _encoder(frames: int, channels: int, code: int, attention: Callable[[int], nn.Module]) -> nn.Sequential:
    """(S, frames, H, W) to codes (S, code, H / 4, W / 4)."""
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        block(4 * frames, channels),
        attention(channels),
        nn.AvgPool2d(2),
        block(channels, 2 * channels),
        attention(2 * channels),
        nn.Conv2d(2 * channels, code, 1),
    )


def _decoder(code: int, channels: int) -> nn.Sequential:
    """Codes to one picture, two pixel shuffles up."""
    return nn.Sequential(
        nn.Conv2d(code, 4 * channels, 3, padding=1),
        nn.PixelShuffle(2),
        block(channels, channels),
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.PixelShuffle(2),
    )


def _stretched(distance: Tensor, clips: Tensor) -> Tensor:
    """Distances (S, h, w) at the places of pixels (S, 1, H, W)."""
    fine = functional.interpolate(distance[:, None], scale_factor=COARSE, mode="bilinear", align_corners=False)
    return fine[..., : clips.shape[-2], : clips.shape[-1]]
