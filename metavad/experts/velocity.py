"""How things move here, thing by thing: a Gaussian mixture over the motion of regions."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.placing import cells_of, place, thing_at
from metavad.experts.shown import ACROSS, DOWN
from metavad.features.octants import NAMES, OCTANTS, octants_apart
from metavad.features.regions import MAGNITUDES, moved
from metavad.features.sample import Sample

__all__ = ["Velocity"]

COMPONENTS = 8
VARIABLES = 1 + OCTANTS + len(MAGNITUDES)
SLOW = 0.05
"""Heights/second at which a region counts half as moving."""
LEAST = 0.2
"""Smallest deviation of a component: no shot is a spike."""


class Velocity(Expert):
    """Density of a moving region's histogram of flow (Reiss and Hoshen 2022, https://arxiv.org/abs/2212.00789).

    A mixture of Gaussians whose components are meta-learned and moved towards the shots in closed form:
    responsibilities under the prior's components, then means, variances and weights shrunk by what the prior counts
    for (one step of EM for the maximum a posteriori, Gauvain and Lee 1994, https://doi.org/10.1109/89.279278).
    Score of a cell: nats of surprise, -log p, of the region that covers it (higher = more anomalous).
    """

    name: ClassVar[str] = "velocity"
    reads: ClassVar[tuple[str, ...]] = ("frames", "regions")
    head: ClassVar[tuple[str, ...]] = ("shares", "log_prior_count", "rarity")
    floor: float = -20.0

    def __init__(self, rows: int, horizon: float) -> None:
        super().__init__()
        self.rows, self.history = rows, horizon
        self.means = nn.Parameter(0.5 * torch.randn(COMPONENTS, VARIABLES))
        self.scales = nn.Parameter(torch.zeros(COMPONENTS, VARIABLES))
        """Free scales: variance = softplus squared + ``LEAST`` squared."""
        self.shares = nn.Parameter(torch.zeros(COMPONENTS))
        """Logits of the components' weights."""
        self.log_prior_count = nn.Parameter(torch.zeros(()))
        """Log of the clips that a component of the prior counts for."""
        self.rarity = nn.Parameter(torch.zeros(()))
        """Log of the clips that the prior's weights count for."""

    @classmethod
    def build(cls, config: Config) -> "Velocity":
        """On the config's grid, with the horizon of the flow."""
        return cls(config.data.rows, config.flow.horizon)

    def condition(self, support: Sample) -> Memory:
        """The mixture after the shots: {"shares": (C,) logs, "means", "deviations": (C, D)}; empty: the prior's.

        {"regions": (K, n, 6)}: box, speed and octant of each shot's regions, to explain by.
        """
        values, weight = _drawn(support)
        clips = weight / weight.sum((1, 2), keepdim=True).clamp_min(1.0)  # a clip counts once, however full it is
        prior = self._prior()
        held = clips[..., None] * torch.softmax(_components(values, prior), dim=-1)
        count, prior_count = held.sum((0, 1, 2)), self.log_prior_count.exp()
        total = (count + prior_count)[:, None]
        means = (torch.einsum("btnc,btnd->cd", held, values) + prior_count * prior["means"]) / total
        apart = (values[..., None, :] - means).square()
        spread = torch.einsum("btnc,btncd->cd", held, apart)
        drift = prior["deviations"].square() - LEAST**2 + (means - prior["means"]).square()
        variances = (spread + prior_count * drift) / total
        shares = prior["shares"].exp() * self.rarity.exp() + count
        return {
            "shares": torch.log(shares / shares.sum()),
            "means": means,
            "deviations": (variances + LEAST**2).sqrt(),
            "regions": _shown(support),
        }

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Negative log-likelihood of moving regions in nats per variable, each by how surely it moves."""
        values, weight = _drawn(sample)
        likelihood = torch.logsumexp(_components(values, memory), dim=-1)
        return -(likelihood * weight).sum() / (VARIABLES * weight.sum().clamp_min(1e-3))

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats (B, T, h, w) of what moves there; the floor where nothing does or nothing is known."""
        values, weight = _drawn(sample)
        nats = -torch.logsumexp(_components(values, memory), dim=-1)
        sure = self.floor + (nats - self.floor).clamp_min(0) * weight
        return place(sure, sample["regions"][..., 1:5], self.floor, cells_of(sample, self.rows))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """The speed and direction of what is there against those of the regions that were shown near there."""
        regions = sample["regions"][0, -1]
        fastest = torch.where(regions[:, 0] > 0, regions[:, 6], -torch.inf)
        one = thing_at(sample, regions[:, 1:5], fastest, place)
        if one is None:
            return None
        speed, histogram = moved(regions[one])
        near = _near(memory["regions"], sample, place)
        sentence = _sentence(float(speed), int(histogram.sum(-1).argmax()), near)
        return Reason(sentence, tuple((near.amax((1, 2)) - speed).abs().tolist()))

    def _prior(self) -> Memory:
        deviations = (functional.softplus(self.scales).square() + LEAST**2).sqrt()
        return {"shares": torch.log_softmax(self.shares, 0), "means": self.means, "deviations": deviations}


def _drawn(sample: Sample) -> tuple[Tensor, Tensor]:
    """Variables (B, T, N, D) of all regions, and how surely each is there and moves (B, T, N), 0 to 1."""
    regions = sample["regions"]
    speed, histogram = moved(regions)
    known = sample.known["regions"].to(regions)[..., None]
    moves = speed.square() / (speed.square() + SLOW**2)
    return _variables(speed, histogram), regions[..., 0] * known * moves


def _variables(speed: Tensor, histogram: Tensor) -> Tensor:
    """(..., D): log speed, mean speed towards each octant (logarithmic), shares of each magnitude; all about 1."""
    levels = torch.tensor(MAGNITUDES).to(histogram)
    ways = torch.log1p((histogram * levels).sum(-1) / SLOW)
    return torch.cat([((speed + 0.01).log() + 2.0)[..., None], ways, 2.0 * histogram.sum(-2)], dim=-1)


def _shown(support: Sample) -> Tensor:
    """Boxes, speeds and octants (K, T x N, 6) of the regions of each shot; what is not there has no speed."""
    regions = support["regions"].detach()
    speed, histogram = moved(regions)
    speed = speed * regions[..., 0] * support.known["regions"][..., None]
    way = histogram.sum(-1).argmax(-1)
    return torch.cat([regions[..., 1:5], speed[..., None], way[..., None].to(speed)], dim=-1).flatten(1, 2)


def _near(shown: Tensor, sample: Sample, where: tuple[float, float]) -> Tensor:
    """Speeds (K, n, 8), by octant, of the regions shown near a place of the sample's frames; 0 of all others."""
    height, width = sample["frames"].shape[-2:]
    down, across = (share * length / min(height, width) for share, length in zip(where, (height, width), strict=True))
    left, top, right, bottom, speed, way = shown.unbind(-1)
    over = (left - ACROSS / 2 <= across) & (across <= right + ACROSS / 2)
    over = over & (top - DOWN / 2 <= down) & (down <= bottom + DOWN / 2)
    return (speed * over)[..., None] * functional.one_hot(way.long(), OCTANTS)


def _sentence(speed: float, way: int, near: Tensor) -> str:
    """A speed in a direction against those that the shots showed near there (K, n, 8)."""
    if speed < STILL:
        return "is there and hardly moves"
    if len(near) == 0:
        return "moves unlike what other cameras show"
    ways = near.amax((0, 1))
    most = float(ways.max())
    if most < STILL:
        return "moves where nothing shown ever moved"
    if speed > FASTER * most:
        return f"moves {speed / most:.1f} times as fast as anything shown at this place"
    if all(ways[other] < STILL for other in range(OCTANTS) if octants_apart(way, other) <= 1):
        return f"moves {NAMES[way]}, which nothing shown did at this place"
    return "moves in a way that the clips hardly show"


FASTER = 1.05
"""Ratio of speeds from which one is faster than another."""
STILL = 0.03
"""Heights/second under which a region stands."""


def _components(values: Tensor, mixture: Memory) -> Tensor:
    """Log of weight times density (..., C) of values (..., D)."""
    apart = (values[..., None, :] - mixture["means"]) / mixture["deviations"]
    logs = -0.5 * apart.square() - mixture["deviations"].log() - 0.5 * math.log(2 * math.pi)
    return mixture["shares"] + logs.sum(-1)
