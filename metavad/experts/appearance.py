"""What things look like here, and how large they are where: neighbours of a region among those that were shown."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import AppearanceConfig, Config
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.placing import cells_of, place, thing_at
from metavad.features.looks import CELL, CROP, LOOKS, ORIENTATIONS
from metavad.features.regions import shapes
from metavad.features.sample import Sample

__all__ = ["Appearance", "spread_choice"]

HIDDEN, CODE = 32, 12
BANK = 256
"""Regions of the shots that are remembered."""
QUERIES = 192
"""Regions drawn of a sample for one evaluation of the loss."""
SPREAD = 4.0
"""What codes are stretched by, so that at the start not all of them are one neighbourhood."""
LEVEL = 0.1
"""Weight of the density itself beside the ranking."""
GRID = (CROP[0] // CELL, CROP[1] // CELL)


class Appearance(Expert):
    """Density of a region's code (looks, size, aspect, place) among those of the shots and the base's prototypes.

    Looks are a histogram of gradients, or what a network that the user names gives of the region's crop.

    A kernel density in a small learned space: neighbours in it are what one camera shows as normal. The space is
    learned by ranking (Goldberger et al. 2004, https://papers.nips.cc/paper/2566, learn neighbourhoods so): every
    region of other clips must be more likely than the same region turned on its side, nearer, farther, and elsewhere.
    Score of a cell: nats of surprise of the region that covers it (higher = more anomalous).
    """

    name: ClassVar[str] = "appearance"
    reads: ClassVar[tuple[str, ...]] = ("frames", "regions")
    head: ClassVar[tuple[str, ...]] = ("prototypes", "shares", "log_prior_count", "leak")
    floor: float = 0.0

    def __init__(self, rows: int, horizon: float, settings: AppearanceConfig = AppearanceConfig()) -> None:
        super().__init__()
        self.rows, self.history = rows, horizon
        self.network = settings.features == "network"
        self.numbers = settings.numbers if self.network else LOOKS
        self.enter = nn.Linear(self.numbers + 5, HIDDEN)
        self.leave = nn.Linear(HIDDEN, CODE)
        self.prototypes = nn.Parameter(torch.randn(settings.prototypes, CODE))
        """The base's memory: what regions of many cameras are like."""
        self.shares = nn.Parameter(torch.zeros(settings.prototypes))
        """Logits of the prototypes' weights."""
        self.log_prior_count = nn.Parameter(torch.zeros(()))
        """Log of the clips that the prototypes count for."""
        self.leak = nn.Parameter(torch.tensor(-6.0))
        """Log density of what is like nothing: the highest surprise."""

    @classmethod
    def build(cls, config: Config) -> "Appearance":
        """On the config's grid, with the features of the section ``appearance``."""
        return cls(config.data.rows, config.flow.horizon, config.appearance)

    def condition(self, support: Sample) -> Memory:
        """{"codes": (n, D), "weights": (n,)} of at most ``BANK`` regions of the shots; a clip's weights sum to 1.

        {"clips": (n,), "heights": (n,), "shots": (K,)}: which shot each is of and its height in the frame's, to
        explain by.
        """
        there = _there(support)
        weights = there / there.sum((1, 2), keepdim=True).clamp_min(1.0)
        chosen = spread_choice(there.flatten(), BANK)
        regions = support["regions"].flatten(0, 2)[chosen]
        weights = weights.flatten()[chosen]
        kept = weights.sum().clamp_min(1e-6)
        each = there.shape[1] * there.shape[2]
        return {
            "codes": self._codes(*_facts(regions)),
            "weights": weights * (_clips(there) / kept),
            "clips": torch.div(chosen, max(1, each), rounding_mode="floor"),
            "heights": (regions[:, 4] - regions[:, 2]) * regions[:, 0],
            "shots": there.new_zeros(support.clips),
        }

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Mean softplus of (what a changed region's likelihood has over the true one's), and a little surprise."""
        there = _there(sample)
        chosen = spread_choice(there.flatten(), QUERIES)
        weight = there.flatten()[chosen]
        looks, sizes = _facts(sample["regions"].flatten(0, 2)[chosen])
        true = self._log_density(self._codes(looks, sizes), memory)
        others = _changes(looks, self._turned(looks), sizes)
        changed = torch.stack([self._log_density(self._codes(*other), memory) for other in others])
        each = functional.softplus(changed - true).mean(0) - LEVEL * true
        return (each * weight).sum() / weight.sum().clamp_min(1e-3)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats (B, T, h, w) of what is there; the floor where nothing is or nothing is known."""
        nats = -self._log_density(self._codes(*_facts(sample["regions"])), memory)
        sure = self.floor + (nats - self.floor).clamp_min(0) * _there(sample)
        return place(sure, shapes(sample["regions"])[0], self.floor, cells_of(sample, self.rows))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """Its height against everything shown, and how far its code is from the nearest of each shot."""
        regions = sample["regions"][0, -1]
        codes = self._codes(*_facts(regions))
        one = thing_at(
            sample,
            regions[:, 1:5],
            torch.where(regions[:, 0] > 0, -self._log_density(codes, memory), -torch.inf),
            place,
        )
        if one is None:
            return None
        shown = memory["weights"] > 0
        if not bool(shown.any()):
            return Reason("looks unlike what other cameras show")
        away = _squares(codes[one], memory["codes"]).clamp_min(0).sqrt()
        distances = tuple(
            float(torch.where(shown & (memory["clips"] == clip), away, FAR).min())
            for clip in range(len(memory["shots"]))
        )
        sentence = _sentence(float(regions[one, 4] - regions[one, 2]), memory["heights"][shown], distances)
        return Reason(sentence, distances)

    def _codes(self, looks: Tensor, sizes: Tensor) -> Tensor:
        """Codes (..., D) of looks and size, aspect and place (..., 5)."""
        seen = torch.cat([4.0 * looks[..., : self.numbers], sizes], dim=-1)
        code: Tensor = self.leave(functional.silu(self.enter(seen)))
        return SPREAD * code

    def _turned(self, looks: Tensor) -> Tensor:
        """Looks of the same crops turned by a quarter: a network's come with them."""
        return looks.roll(self.numbers, dims=-1) if self.network else _turned(looks)

    def _log_density(self, codes: Tensor, memory: Memory) -> Tensor:
        """Log kernel density (...,), relative to its peak, mixed of shots, prototypes and the leak."""
        prior = self.log_prior_count.exp()
        total = torch.log(memory["weights"].sum() + prior)
        known = torch.cat([memory["codes"], self.prototypes])
        weights = torch.cat(
            [memory["weights"].clamp_min(1e-12).log(), torch.log_softmax(self.shares, 0) + self.log_prior_count]
        )
        near = -0.5 * _squares(codes, known) + weights - total
        return torch.logaddexp(torch.logsumexp(near, dim=-1), self.leak)


def _sentence(height: float, shown: Tensor, distances: Sequence[float]) -> str:
    """A height against those of the regions that were shown (n,), in heights of the frame; else the nearest shot."""
    tallest = float(shown.max())
    if height > 1.2 * tallest:
        return f"is {height / max(tallest, 0.01):.1f} times as tall as anything shown"
    nearest = min(range(len(distances)), key=distances.__getitem__)
    return f"looks unlike anything shown, nearest to shot {nearest + 1}"


FAR = 1e3
"""Distance of a shot in which nothing was seen."""


def spread_choice(weights: Tensor, count: int) -> Tensor:
    """Indices of at most ``count`` of the largest ``weights`` (n,), evenly spread among equal ones.

    Which they are depends on the weights alone; how many, on shapes alone.
    """
    order = torch.arange(len(weights), device=weights.device)
    golden = (order * 0.6180339887) % 1.0
    return torch.topk(weights.detach() + 1e-3 * golden, min(count, len(weights))).indices


def _there(sample: Sample) -> Tensor:
    """Whether a region is there and known (B, T, N), 0 or 1."""
    regions = sample["regions"]
    return regions[..., 0] * sample.known["regions"].to(regions)[..., None]


def _clips(there: Tensor) -> Tensor:
    """Clips in which anything is there."""
    return (there.sum((1, 2)) > 0).sum().to(there)


def _facts(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Looks and log height, log aspect, and place of the middle and the foot (..., 5)."""
    boxes, looks = shapes(regions)
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0.01).unbind(-1)
    middle, foot = (boxes[..., 0] + boxes[..., 2]) / 2, boxes[..., 3]
    return looks, torch.stack(
        [height.log() + 1.5, (width / height).log() + 0.7, 2 * middle - 1.4, 2 * foot - 1, (2 * foot - 1).square()], -1
    )


def _changes(looks: Tensor, aside: Tensor, sizes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What a region is not: turned by a quarter, nearer, farther, and where it would be too large or too small."""
    upright = sizes[..., 1] - 0.7
    wide = torch.stack([sizes[..., 0] + upright, 0.7 - upright], dim=-1)
    turned = torch.cat([wide, sizes[..., 2:]], dim=-1)
    return [
        (aside, turned),
        *((looks, torch.cat([sizes[..., :1] + grow, sizes[..., 1:]], dim=-1)) for grow in (0.6, -0.6)),
        *((looks, _moved(sizes, down)) for down in (0.6, -0.6)),
    ]


def _moved(sizes: Tensor, down: float) -> Tensor:
    foot = sizes[..., 3] + down
    return torch.cat([sizes[..., :3], torch.stack([foot, foot.square()], dim=-1)], dim=-1)


def _turned(looks: Tensor) -> Tensor:
    """Histograms (..., ``LOOKS``) of the same crops turned by a quarter."""
    cells = torch.unflatten(looks, -1, (*GRID, ORIENTATIONS)).roll(ORIENTATIONS // 2, dims=-1)
    back = torch.einsum("ia,bj,...jak->...ibk", _stretch(GRID[1], GRID[0], looks), _stretch(*GRID, looks), cells)
    return back.flatten(-3)


def _stretch(before: int, after: int, like: Tensor) -> Tensor:
    """Matrix (after, before) that scales a row of cells to another number of cells, linearly."""
    rows = functional.interpolate(torch.eye(before)[None], size=after, mode="linear", align_corners=True)[0].T
    return rows.to(like)


def _squares(codes: Tensor, known: Tensor) -> Tensor:
    """Squared distances (..., n) of codes (..., D) to (n, D)."""
    return codes.square().sum(-1, keepdim=True) + known.square().sum(-1) - 2 * codes @ known.T
