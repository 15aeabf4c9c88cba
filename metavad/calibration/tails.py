"""Tails with hierarchical shrinkage: place, scene, all cameras.

Every expert's score s becomes a surprise in nats, -log P(score >= s | this place, this camera, normal):

1. the *base tail*, from held-out normal clips of many cameras after adapting with as many shots, maps scores to
   nats, so that all experts speak one unit and a channel that is often wrong after few shots says little;
2. the shots' own scores (cross-fitted) give the tail of this scene, shrunk towards the base's, and the tail of
   each place, shrunk towards the scene's. The strengths are counts of clips: few clips correct the prior, they
   do not replace it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LEVELS", "BaseTail", "PlaceTail", "Strengths", "levels", "place_tail", "surprise"]

LEVELS = 48
"""Levels of surprise at which tails are kept."""
STEP = 1.0 / 3.0
"""Nats between two levels."""


def levels(like: Tensor | None = None) -> Tensor:
    """The surprises (nats) at which tails are kept: 0, 1/3, 2/3, ... up to 47/3."""
    grid = torch.arange(LEVELS, dtype=torch.float32) * STEP
    return grid if like is None else grid.to(like)


@dataclass(frozen=True)
class BaseTail:
    """Scores (shots, LEVELS) whose tail over normal footage of many cameras is exp(-level), by number of shots."""

    shots: Tensor
    scores: Tensor

    def nats(self, score: Tensor, shots: float) -> Tensor:
        """Surprise of scores of any shape after adapting with that many shots; beyond the table by its slope."""
        return _interpolate(score, self._knots(shots), levels(score))

    def score(self, nats: float, shots: float) -> float:
        """The score whose surprise is ``nats``: the inverse of :meth:`nats`."""
        return float(_interpolate(torch.tensor([nats]).to(self.scores), levels(self.scores), self._knots(shots)))

    def _knots(self, shots: float) -> Tensor:
        """The table at this number of shots, between its rows linear in log(1 + K)."""
        place = torch.log1p(self.shots.to(self.scores))
        at = torch.log1p(torch.tensor(float(shots))).to(place).clamp(place[0], place[-1])
        above = int(torch.searchsorted(place, at).clamp(1, len(place) - 1)) if len(place) > 1 else 0
        if above == 0:
            return self.scores[0]
        share = (at - place[above - 1]) / (place[above] - place[above - 1])
        return self.scores[above - 1] * (1 - share) + self.scores[above] * share

    @classmethod
    def unit(cls) -> "BaseTail":
        """A score is its own surprise: where nothing is known yet."""
        return cls(torch.tensor([0]), levels()[None])

    @classmethod
    def fit(cls, scores: Sequence[Tensor], shots: Sequence[int]) -> "BaseTail":
        """From pooled normal scores for each number of shots; the far levels follow the last tenth's slope."""
        return cls(torch.tensor(shots), torch.stack([_quantiles(each) for each in scores]))


def _quantiles(scores: Tensor) -> Tensor:
    """Scores at which the empirical tail is exp(-level); extended linearly where fewer than 20 scores remain."""
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
    """Strictly increasing, so that the map back is defined where many scores are equal."""
    spread = (knots[-1] - knots[0]).clamp_min(1e-6)
    return torch.cummax(knots, 0).values + torch.arange(len(knots)) * spread * 1e-6


def _interpolate(values: Tensor, knots: Tensor, outputs: Tensor) -> Tensor:
    """Piecewise linear, never below the first output, beyond the last knot by the last slope."""
    upper = torch.searchsorted(knots.contiguous(), values.detach().contiguous()).clamp(1, len(knots) - 1)
    left, right = knots[upper - 1], knots[upper]
    share = (values - left) / (right - left)
    return (outputs[upper - 1] + share * (outputs[upper] - outputs[upper - 1])).maximum(outputs[0])


@dataclass(frozen=True)
class Strengths:
    """Clips that a prior counts for, and how far a place borrows (in heights of the frame)."""

    place: Tensor | float
    scene: Tensor | float
    down: float
    across: float

    def against(self, clip: float) -> "Strengths":
        """The same priors where a clip is only a part of the evidence that it would be by itself."""
        return replace(self, place=self.place / clip, scene=self.scene / clip)


@dataclass(frozen=True)
class PlaceTail:
    """Log tail (LEVELS, h, w) of one camera at each level of base surprise."""

    log_tail: Tensor


def place_tail(nats: Tensor, known: Tensor, strengths: Strengths) -> PlaceTail:
    """The camera's tail from its shots' surprises.

    ``nats`` (K, T, h, w), surprises of the shots under the base tail, cross-fitted; ``known`` (K, T). One clip
    is one unit of evidence, however long. With K = 0 the base tail itself.
    """
    share, clips = _exceedance(nats, known)
    prior = torch.exp(-levels(nats))
    scene = (share.mean((1, 2)) + strengths.scene * prior) / (clips + strengths.scene)
    near = _smooth(share, strengths.down, strengths.across)
    place = (near + strengths.place * scene[:, None, None]) / (clips + strengths.place)
    return PlaceTail(torch.log(place.clamp_min(1e-30)))


def _exceedance(nats: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """For each level and cell, the sum over clips of the share of ticks at or over it; and the clips that know."""
    height, width = nats.shape[2:]
    weight = known.to(nats)
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1)
    cell = torch.arange(height * width, device=nats.device).reshape(height, width)
    counts = nats.new_zeros(LEVELS * height * width)
    for some, each in zip(torch.split(nats, _TOGETHER), torch.split(weight, _TOGETHER), strict=True):
        level = (some / STEP + 1e-4).floor().long().clamp(0, LEVELS - 1)
        spread = each[:, :, None, None].expand_as(some)
        counts = counts.index_add(0, (level * height * width + cell).flatten(), spread.flatten())
    over = counts.reshape(LEVELS, height, width).flip(0).cumsum(0).flip(0)
    return over, known.any(1).sum().to(nats)


_TOGETHER = 8
"""Clips that are counted at once."""


def surprise(nats: Tensor, tail: PlaceTail) -> Tensor:
    """Minus the log tail (nats) of base surprises (..., h, w) at each place; higher = more anomalous."""
    table = -tail.log_tail
    upper = (nats.detach() / STEP).floor().long().clamp(0, LEVELS - 2) + 1
    at = upper.flatten(0, -3)
    left, right = torch.gather(table, 0, at - 1), torch.gather(table, 0, at)
    share = nats.flatten(0, -3) / STEP - (at - 1)
    return (left + share * (right - left)).reshape(nats.shape)


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
