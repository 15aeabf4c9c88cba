"""Which way things move here: the density of motion's direction at a place, as the shots showed it."""

import math
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.distinct import distinct_ways
from metavad.experts.parts import by_parts, is_many
from metavad.experts.resampling import is_plain
from metavad.experts.shown import cell_at, headings
from metavad.features.octants import NAMES, OCTANTS, octant, octants_apart
from metavad.features.sample import Sample

__all__ = ["Direction"]

MOVING = 0.05
"""Heights/second at which a cell counts half as moving."""


class Direction(Expert):
    """A von Mises kernel density of direction by place, shrunk towards no preference.

    Clips in which something moved at a place are counted there; what was never seen moving has
    no preferred direction. Score: nats by which this direction is rarer here than chance, where something moves
    (higher = more anomalous); 0 where nothing was seen moving.
    """

    name: ClassVar[str] = "direction"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    head: ClassVar[tuple[str, ...]] = ("log_prior_count", "leak")
    needs_support: ClassVar[bool] = True

    def __init__(self, horizon: float) -> None:
        super().__init__()
        self.history = horizon
        self.log_prior_count = nn.Parameter(torch.zeros(()))
        """Log of the clips that "no preference" counts for."""
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        """Log concentration of the kernel."""
        self.leak = nn.Parameter(torch.tensor(-3.0))
        """Logit of the share of motion that goes anywhere."""

    @classmethod
    def build(cls, config: Config) -> "Direction":
        """With the horizon of the flow."""
        return cls(config.flow.horizon)

    def condition(self, support: Sample) -> Memory:
        """{"ways": (8, h, w)}: clips in which something moved this way near this place.

        {"headings": (8, h, w)}: the highest speed of each direction that was shown near there, to explain by.
        """
        seen = torch.cat(by_parts(partial(_seen, is_many(support)), support, self.sharpness))
        return {"ways": _blur(seen.sum(0).movedim(-1, 0)), "headings": headings(support)}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Mean negative log-likelihood of the direction of what moves, in nats."""
        weighted = partial(_weighted, is_many(sample))
        parts = by_parts(weighted, sample, self._density(memory), self.sharpness, self.leak)
        total, weight = (torch.stack(each).sum() for each in zip(*parts, strict=True))
        return -total / weight.clamp_min(1e-3)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats under chance (B, T, h, w)."""
        flow = sample["flow"].movedim(2, -1)
        rarer = -math.log(OCTANTS) - _log_density(flow, self._density(memory), self.sharpness, self.leak)
        known = sample.known["flow"][:, :, None, None]
        return torch.where(known, rarer * _motion(flow), rarer.new_tensor(self.floor))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """Its direction there against those that the shots showed near there."""
        flow = sample["flow"][0, -1]
        row, column = cell_at(flow, place)
        if "headings" not in memory:
            return None
        way = int(octant(flow[0, row, column], flow[1, row, column]))
        shown = {other for other in range(OCTANTS) if memory["headings"][other, row, column] >= MOVING}
        return Reason(_sentence(way, shown)) if shown else None

    def _density(self, memory: Memory) -> Tensor:
        """Probability (8, h, w) of each octant at a place."""
        ways, prior = memory["ways"], self.log_prior_count.exp()
        density: Tensor = (ways + prior / OCTANTS) / (ways.sum(0) + prior)
        return density


def _seen(many: bool, part: Sample, sharpness: Tensor) -> Tensor:
    """How much of the motion of each clip goes each way (B, h, w, 8); sums to at most 1."""
    flow = part["flow"].movedim(2, -1)
    share = _motion(flow) * part.known["flow"].to(flow)[:, :, None, None]
    kernel = _kernel(flow, sharpness, many)
    return (share[..., None] * kernel).sum(1) / share.sum(1).clamp_min(1.0)[..., None]


def _weighted(many: bool, part: Sample, density: Tensor, sharpness: Tensor, leak: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of log likelihoods, each by how much moves, and sum of the weights."""
    flow = part["flow"].movedim(2, -1)
    weight = _motion(flow) * part.known["flow"].to(flow)[:, :, None, None]
    return (_log_density(flow, density, sharpness, leak, many) * weight).sum(), weight.sum()


def _log_density(flow: Tensor, density: Tensor, sharpness: Tensor, leak: Tensor, many: bool = False) -> Tensor:
    """Log probability (..., h, w) of the octant that the motion goes into."""
    leak = torch.sigmoid(leak)
    likely = (_kernel(flow, sharpness, many) * density.movedim(0, -1)).sum(-1)
    return torch.log((1 - leak) * likely + leak / OCTANTS)


def _kernel(flow: Tensor, sharpness: Tensor, many: bool) -> Tensor:
    """Soft octant (..., 8) of each motion; it sums to 1.

    With ``many`` the ways go first, where torch's softmax is ten times as fast and rounds otherwise.
    """
    few = distinct_ways(flow[..., :2]) if is_plain(flow) and not many else None
    return few.spread(_octants(few.values, sharpness, many)) if few is not None else _octants(flow, sharpness, many)


def _octants(flow: Tensor, sharpness: Tensor, many: bool) -> Tensor:
    angle = torch.arange(OCTANTS).to(flow) * (2 * math.pi / OCTANTS)
    along = flow[..., :1] * angle.cos() + flow[..., 1:2] * angle.sin()
    length = flow[..., :2].square().sum(-1, keepdim=True).add(1e-6).sqrt()
    logits = sharpness.exp() * along / length
    return logits.movedim(-1, 0).contiguous().softmax(0).movedim(0, -1) if many else logits.softmax(-1)


def _sentence(way: int, shown: set[int]) -> str:
    """An octant against those shown, of which there are some."""
    apart = {octants_apart(way, other) for other in shown}
    if min(apart) <= 1:
        return f"moves {NAMES[way]}, which is rare here"
    if min(apart) >= OCTANTS // 2 - 1:
        return f"moves {NAMES[way]}, against every direction shown here"
    return f"moves {NAMES[way]}, which nothing shown here did"


def _motion(flow: Tensor) -> Tensor:
    """How much a cell moves in one direction, 0 to 1: coherent speed against what counts as moving."""
    coherent = flow[..., :2].square().sum(-1).add(1e-8).sqrt()
    return coherent.square() / (coherent.square() + MOVING**2)


def _blur(maps: Tensor) -> Tensor:
    """(C, h, w) averaged over a tenth of the height and a fifth of it across."""
    rows = maps.shape[1]
    down, across = max(1, round(rows * 0.1)) | 1, max(1, round(rows * 0.2)) | 1
    return functional.avg_pool2d(
        maps, (down, across), stride=1, padding=(down // 2, across // 2), count_include_pad=False
    )
