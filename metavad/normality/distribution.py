"""How an expert's scores are distributed on normal footage: over many cameras, at one camera, at one location of it.

Every score s becomes a surprise in nats, -log P(score >= s | normal), under three levels of one hierarchy:

1. the *population*, from held-out normal clips of many cameras after adapting with as many clips, maps scores to
   nats, so that all experts have one unit and one that is often wrong after few clips is worth little;
2. the *camera*'s, from the shots' own scores (cross-fitted), shrunk towards the population's;
3. each *location*'s, from the shots' scores near it, shrunk towards the camera's.

How strongly a level is shrunk is a count of clips: few clips correct the level above, they do not replace it. This is
empirical Bayes (Efron and Morris 1973, https://doi.org/10.1080/01621459.1973.10481350), on distributions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "LEVELS",
    "SHRINKAGE",
    "PopulationScores",
    "ScoreDistribution",
    "Shrinkage",
    "levels",
    "location_distribution",
    "population_everywhere",
]

LEVELS = 48
"""Levels of surprise at which distributions are tabulated."""
STEP = 1.0 / 3.0
"""Nats between two levels."""


def levels(like: Tensor | None = None) -> Tensor:
    """The surprises (nats) at which distributions are tabulated: 0, 1/3, 2/3, ... up to 47/3."""
    grid = torch.arange(LEVELS, dtype=torch.float32) * STEP
    return grid if like is None else grid.to(like)


@dataclass(frozen=True)
class ScoreDistribution:
    """Surprise as a function of a value: piecewise linear, beyond the table by its last slope.

    At a location by no more than a nat for each, as the population's has it.

    ``values`` (L,) rise; ``surprises`` is (L,), or (L, h, w) where every location has a distribution of its own. The
    values of a population are scores; those of a camera and its locations are the population's surprises, at the
    evenly spaced :func:`levels`.
    """

    values: Tensor
    surprises: Tensor

    def surprise(self, values: Tensor) -> Tensor:
        """Nats of ``values``, of any shape, or (..., h, w) at locations; higher = more anomalous."""
        return self._located(values) if self.surprises.ndim == 3 else _interpolate(values, self.values, self.surprises)

    def value(self, surprise: float) -> float:
        """The value whose surprise this is: the inverse, of a distribution without locations."""
        return float(_interpolate(torch.tensor([surprise]).to(self.values), self.surprises, self.values))

    def _located(self, values: Tensor) -> Tensor:
        upper = (values.detach() / STEP).floor().long().clamp(0, LEVELS - 2) + 1
        at = upper.flatten(0, -3)
        left, right = torch.gather(self.surprises, 0, at - 1), torch.gather(self.surprises, 0, at)
        share = values.flatten(0, -3) / STEP - (at - 1)
        found = left + share * (right - left)
        # A clip whose scores end just below the end of the table would make what is beyond it rarer than anything.
        steep = (share > 1) & (right - left > _STEEP * STEP)
        return torch.where(steep, right + (share - 1) * STEP, found).reshape(values.shape)


_STEEP = 1.01
"""Nats for a nat, but for rounding, that are more than the population has."""


def _interpolate(values: Tensor, knots: Tensor, outputs: Tensor) -> Tensor:
    """Piecewise linear, never below the first output, beyond the last knot by the last slope."""
    piece = torch.searchsorted(knots[1:-1].contiguous(), values.detach().contiguous(), out_int32=True)
    pieces = torch.stack([knots[:-1], knots.diff(), outputs[:-1], outputs.diff()], dim=-1)
    # One look-up for each value: four by themselves take twice as long.
    begin, width, lowest, rise = functional.embedding(piece, pieces).unbind(-1)
    return (lowest + (values - begin) / width * rise).maximum(outputs[0])


@dataclass(frozen=True)
class PopulationScores:
    """The population's distribution of a score, which depends on how many clips the models were adapted to.

    ``scores`` (N, LEVELS) have the surprises :func:`levels` after ``sample_sizes`` (N,) clips.
    """

    sample_sizes: Tensor
    scores: Tensor

    def after(self, sample_size: float) -> ScoreDistribution:
        """The distribution after so many clips; between tabulated numbers linear in log(1 + K)."""
        return ScoreDistribution(self._scores(sample_size), levels(self.scores))

    def _scores(self, sample_size: float) -> Tensor:
        place = torch.log1p(self.sample_sizes.to(self.scores))
        at = torch.log1p(torch.tensor(float(sample_size))).to(place).clamp(place[0], place[-1])
        above = int(torch.searchsorted(place, at).clamp(1, len(place) - 1)) if len(place) > 1 else 0
        if above == 0:
            return self.scores[0]
        share = (at - place[above - 1]) / (place[above] - place[above - 1])
        return self.scores[above - 1] * (1 - share) + self.scores[above] * share

    @classmethod
    def unit(cls) -> "PopulationScores":
        """A score is its own surprise: where nothing is known yet."""
        return cls(torch.tensor([0]), levels()[None])

    @classmethod
    def fit(cls, scores: Sequence[Tensor], sample_sizes: Sequence[int]) -> "PopulationScores":
        """From pooled normal scores for each number of clips; the far levels follow the last tenth's slope."""
        return cls(torch.tensor(sample_sizes), torch.stack([_quantiles(each) for each in scores]))


def _quantiles(scores: Tensor) -> Tensor:
    """Scores passed with probability exp(-level); extended linearly where fewer than 20 scores remain."""
    ordered = scores.flatten().double().sort().values
    count = len(ordered)
    wanted = levels().double()
    reach = max(2, int((torch.log(torch.tensor(count / 20.0)) / STEP).floor()) + 1) if count > 20 else 2
    index = ((1 - torch.exp(-wanted)) * (count - 1)).clamp(0, count - 1)
    low = index.floor().long()
    high = (low + 1).clamp_max(count - 1)
    knots = ordered[low] + (ordered[high] - ordered[low]) * (index - low)
    last = min(reach, LEVELS) - 1
    slope = ((knots[last] - knots[max(0, last - 6)]) / max(1, min(6, last))).clamp_min(1e-3)
    beyond = knots[last] + slope * torch.arange(1, LEVELS - last)
    knots = torch.cat([knots[: last + 1], beyond])
    return _increasing(knots).float()


def _increasing(knots: Tensor) -> Tensor:
    """Strictly increasing, so that the inverse is defined where many scores are equal."""
    spread = (knots[-1] - knots[0]).clamp_min(1e-6)
    return torch.cummax(knots, 0).values + torch.arange(len(knots)) * spread * 1e-6


@dataclass(frozen=True)
class Shrinkage:
    """What the level above counts for, in clips, and how far a location borrows, in heights of the frame."""

    location: float
    """Clips that the camera's distribution counts for, at one location."""
    camera: float
    """Clips that the population's distribution counts for, at one camera."""
    down: float
    across: float
    """Standard deviation of the neighbourhood from which a location borrows."""

    def against(self, clip: float) -> "Shrinkage":
        """The same where each clip counts for only ``clip`` of an independent one."""
        return replace(self, location=self.location / clip, camera=self.camera / clip)


SHRINKAGE = Shrinkage(location=0.2, camera=2.0, down=0.1, across=0.233)


def location_distribution(surprises: Tensor, known: Tensor, shrinkage: Shrinkage) -> ScoreDistribution:
    """A camera's distribution at each location, from its shots.

    ``surprises`` (K, T, h, w) of the shots under the population, cross-fitted; ``known`` (K, T). One clip counts
    once, however long. With K = 0 the population's.
    """
    share, clips = _exceedance(surprises, known)
    population = torch.exp(-levels(surprises))
    camera = _shrunk(share.mean((1, 2)), clips, population, shrinkage.camera)
    near = _smooth(share, shrinkage.down, shrinkage.across)
    location = _shrunk(near, clips, camera[:, None, None], shrinkage.location)
    return ScoreDistribution(levels(surprises), -torch.log(location.clamp_min(1e-30)))


def population_everywhere(grid: tuple[int, int]) -> ScoreDistribution:
    """The population's distribution at each location of a ``grid`` (h, w)."""
    nothing = torch.zeros(0, 1, *grid), torch.zeros(0, 1, dtype=torch.bool)
    return location_distribution(*nothing, Shrinkage(1.0, 1.0, 0.1, 0.1))


def _shrunk(exceedance: Tensor, clips: Tensor, above: Tensor, strength: float) -> Tensor:
    """Survival at each level: what the clips show, and the level above as ``strength`` clips more.

    The posterior mean of each share under a beta prior with the mean ``above``, worth that many clips.
    """
    return (exceedance + strength * above) / (clips + strength)


def _exceedance(surprises: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """For each level and cell, the sum over clips of the share of ticks at or over it; and the clips that know."""
    height, width = surprises.shape[2:]
    weight = known.to(surprises)
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1)
    cell = torch.arange(height * width, device=surprises.device).reshape(height, width)
    counts = surprises.new_zeros(LEVELS * height * width)
    for some, each in zip(torch.split(surprises, _TOGETHER), torch.split(weight, _TOGETHER), strict=True):
        level = (some / STEP + 1e-4).floor().long().clamp(0, LEVELS - 1)
        spread = each[:, :, None, None].expand_as(some)
        counts = counts.index_add(0, (level * height * width + cell).flatten(), spread.flatten())
    over = counts.reshape(LEVELS, height, width).flip(0).cumsum(0).flip(0)
    return over, known.any(1).sum().to(surprises)


_TOGETHER = 8
"""Clips that are counted at once."""


def _smooth(maps: Tensor, down: float, across: float) -> Tensor:
    """(C, h, w) averaged with Gaussian weights; at the border over what is inside."""
    rows = min(maps.shape[-2:])
    ones = maps.new_ones((1, *maps.shape[1:]))
    return _gaussian(maps, down * rows, across * rows) / _gaussian(ones, down * rows, across * rows)


def _gaussian(maps: Tensor, down: float, across: float) -> Tensor:
    vertical, horizontal = _kernel(down, maps), _kernel(across, maps)
    columns = functional.conv2d(maps[:, None], vertical[None, None, :, None], padding=(len(vertical) // 2, 0))
    return functional.conv2d(columns, horizontal[None, None, None], padding=(0, len(horizontal) // 2))[:, 0]


def _kernel(width: float, like: Tensor) -> Tensor:
    reach = max(1, round(3 * width))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / max(width, 1e-3)) ** 2)
    return (weights / weights.sum()).to(like)
