"""From the scores of many experts to one map: each expert's calibration, and their fusion.

The common currency is surprise in nats. How loud an expert's surprises are on ordinary frames differs, between experts
and between cameras; so each is measured once more against the population's frame scores of that expert, less what the
expert says more of at this camera than at others (its camera offset), and weighted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from metavad.normality.distribution import ScoreDistribution

__all__ = ["Calibration", "compress", "contributions", "fuse", "on_grid", "weight_after"]

COMPRESS_FROM = 6.5
"""Nats from which one expert's surprise counts a third, so that it does not drown the others."""
COMMON = 3.0
"""Nats up to which a surprise counts for little: one ordinary frame in twenty has three."""


@dataclass(frozen=True)
class Calibration:
    """What turns one expert's scores at one camera into its contribution to the fused map."""

    population: ScoreDistribution
    """Of scores, over the base's cameras after as many clips."""
    location: ScoreDistribution
    """Of the population's surprises, at each location of this camera."""
    frames: ScoreDistribution
    """Of this expert's compressed frame scores on ordinary footage, over the base's cameras."""
    offset: float
    """Compressed nats by which its frame scores are higher at this camera than at the base's."""
    weight: Tensor
    """Fusion weight, a scalar."""
    is_active: bool
    """Whether it takes part; an expert that needs support waits until the shots can check it."""

    @property
    def grid(self) -> tuple[int, int]:
        """Cells (h, w) of its maps."""
        height, width = self.location.surprises.shape[-2:]
        return int(height), int(width)

    def surprise(self, score: Tensor) -> Tensor:
        """Nats of a score map (..., h, w) at this camera's locations; a finer map gives each cell its highest score."""
        return self.location.surprise(self.population.surprise(on_grid(score, self.grid)))

    def rarity(self, surprise: Tensor) -> Tensor:
        """How rarely the expert surprises as much on an ordinary frame, in nats; what is common counts for little."""
        return _discounted(self.frames.surprise(compress(surprise) - self.offset))

    @property
    def share(self) -> Tensor:
        """Its factor in the fused sum; zero where it is not active."""
        return self.weight * self.is_active


def on_grid(score: Tensor, grid: tuple[int, int]) -> Tensor:
    """A score map (..., h, w) on the camera's grid; a finer one gives each cell its highest score."""
    if score.shape[-2:] == grid:
        return score
    pooled: Tensor = functional.adaptive_max_pool2d(score, grid)
    return pooled


def contributions(
    calibrations: Mapping[str, Calibration], surprises: Mapping[str, Tensor], known: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What each expert adds to the fused map, from its surprises of any shape; they sum to :func:`fuse`.

    Where it is not ``known`` (flags that broadcast with the surprises) it adds nothing.
    """
    return {
        name: torch.where(known[name], calibrations[name].share * calibrations[name].rarity(each), 0.0)
        for name, each in surprises.items()
    }


def fuse(
    calibrations: Mapping[str, Calibration], surprises: Mapping[str, Tensor], known: Mapping[str, Tensor]
) -> Tensor:
    """The weighted sum of the calibrated surprises, (..., h, w), of those experts that know the tick.

    Higher = more anomalous. After Fisher's way to put independent tests together, the sum of -log p (Statistical
    Methods for Research Workers, 4th edition, 1932, section 21.1).
    """
    return torch.stack(list(contributions(calibrations, surprises, known).values())).sum(0)


def compress(surprise: Tensor) -> Tensor:
    """Nats, those above ``COMPRESS_FROM`` divided by three; monotone."""
    return torch.minimum(surprise, COMPRESS_FROM + (surprise - COMPRESS_FROM) / 3.0)


def weight_after(pair: Tensor, sample_size: float) -> Tensor:
    """A fusion weight after K clips: softplus(a + b log(1 + K)), from the expert's pair (a, b)."""
    return functional.softplus(pair[0] + pair[1] * torch.log1p(torch.tensor(float(sample_size))).to(pair))


def _discounted(nats: Tensor) -> Tensor:
    """What n nats count for: n - COMMON (1 - exp(-n / COMMON)); monotone, and never below zero by rounding."""
    return (nats - COMMON * (1 - torch.exp(-nats / COMMON))).clamp_min(0.0)
