"""What a space-time network makes of the last moments: does this camera's autoencoder know it, was it shown?"""

import copy
import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, EmbeddingConfig
from metavad.experts.base import Expert, Memory
from metavad.features.backbones import backbone_of, cut_of
from metavad.features.feature import grid_of
from metavad.features.sample import Sample

__all__ = ["Embedding", "EmbeddingMemory"]

SHARPNESS = 10.0
"""How nearly a distance to many is that to the nearest."""
ROUNDS = 8
"""Of k-means."""


class _OfClips(Expert):
    """One number a tick, the same at every place: an embedding has no place."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "embeddings")

    def __init__(self, settings: EmbeddingConfig, *, dimension: int, rows: int = 30) -> None:
        super().__init__()
        self.settings, self.dimension, self.rows = settings, dimension, rows
        self.history = settings.horizon

    @classmethod
    def build(cls, config: Config) -> "_OfClips":
        """From the section ``embedding``."""
        dimension = backbone_of(config.embedding.backbone, config.embedding.weights).dimension
        return cls(config.embedding, dimension=dimension, rows=config.data.rows)

    def nats(self, embeddings: Tensor, memory: Memory) -> Tensor:
        """Scores (...) of normalised embeddings (..., D), higher = more anomalous."""
        raise NotImplementedError

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Mean over known ticks; of many, every n-th counts."""
        step = max(1, sample.seconds.numel() // self.settings.draws)
        while math.gcd(step, sample.seconds.shape[1]) > 1:  # else only some ticks of each clip would count
            step -= 1
        values = self.strangeness(sample["embeddings"][..., 0, 0].flatten(0, 1)[::step], memory)
        weight = self.known(sample).to(values).flatten()[::step]
        loss: Tensor = (values * weight).sum() / weight.sum().clamp_min(1e-6)
        return loss

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """(B, T, h, w), the same at every place."""
        height, width = sample["frames"].shape[-2:]
        grid = grid_of(height, width, self.rows)
        values = self.strangeness(sample["embeddings"][..., 0, 0], memory)
        values = torch.where(self.known(sample), values, values.new_tensor(self.floor))
        return values[:, :, None, None].expand(-1, -1, *grid)

    def embeddings(self, sample: Sample) -> Tensor:
        """(B, T, D), each with mean 0 and mean square 1: of its own numbers, never over a batch."""
        return self.normed(sample["embeddings"][..., 0, 0])

    def normed(self, rows: Tensor) -> Tensor:
        """The embeddings in rows (..., n), normalised: (..., D)."""
        return functional.layer_norm(rows[..., : self.dimension], (self.dimension,))

    def strangeness(self, rows: Tensor, memory: Memory) -> Tensor:
        """Scores (...) of what the feature's rows (..., n) hold."""
        return self.nats(self.normed(rows), memory)


class Embedding(_OfClips):
    """An autoencoder of embeddings, D -> 128 -> D; what it cannot rebuild is strange.

    Layer normalisation in place of batch normalisation: one clip's error must not depend on the others'. Score: log
    of the mean squared error of the rebuilt embedding (higher = more anomalous). With ``unfrozen`` the last blocks of
    the backbone are parameters of its own, from the backbone's weights on, and what they make goes into the code; what
    is rebuilt is the frozen backbone's embedding, since blocks that could move their own target would send everything
    to one place, where nothing is strange. Backbones
    (Tran et al. 2018, https://arxiv.org/abs/1711.11248; Bertasius et al. 2021, https://arxiv.org/abs/2102.05095;
    Feichtenhofer et al. 2019, https://arxiv.org/abs/1812.03982).
    """

    name: ClassVar[str] = "embedding"
    head: ClassVar[tuple[str, ...]] = ("decoder.3.*",)
    floor: float = -4.0

    def __init__(self, settings: EmbeddingConfig, *, dimension: int, rows: int = 30) -> None:
        super().__init__(settings, dimension=dimension, rows=rows)
        self.blocks, self.shape = _blocks(settings)
        self.encoder = _layers(dimension, settings.hidden, settings.code)
        self.decoder = _layers(settings.code, settings.hidden, dimension)

    def condition(self, support: Sample) -> Memory:
        """Nothing: what it learns of a scene is in its weights."""
        return {}

    def nats(self, embeddings: Tensor, memory: Memory) -> Tensor:
        """Log of the mean squared error."""
        return self._strange(embeddings, embeddings)

    def strangeness(self, rows: Tensor, memory: Memory) -> Tensor:
        """From what its own blocks make of what goes into them, where it has some."""
        if self.blocks is None:
            return super().strangeness(rows, memory)
        passing = rows[..., self.dimension :].reshape(-1, *self.shape)
        embeddings = self.normed(rows)
        return self._strange(self.normed(self.blocks(passing)).reshape(embeddings.shape), embeddings)

    def _strange(self, seen: Tensor, embeddings: Tensor) -> Tensor:
        error = (self.decoder(self.encoder(seen)) - embeddings).square().mean(-1)
        return torch.log(error + 1e-3)


class EmbeddingMemory(_OfClips):
    """Distance to what was shown: each clip's mean embedding, or centroids of all ticks (k-means).

    A kernel density in which every number has its own learned width, so that the base learns over cameras which
    directions of the embedding vary within one camera's normal life; what was shown counts against a prior over
    all cameras, of a learned count. Score: minus the log density in nats per dimension, a soft minimum over
    neighbours (higher = more anomalous). Distance to neighbours: Reiss and Hoshen 2022,
    https://arxiv.org/abs/2212.00789.
    """

    name: ClassVar[str] = "embedding_memory"
    head: ClassVar[tuple[str, ...]] = ("middle", "log_spread", "log_prior_count")
    floor: float = -2.0

    def __init__(self, settings: EmbeddingConfig, *, dimension: int, rows: int = 30) -> None:
        super().__init__(settings, dimension=dimension, rows=rows)
        self.log_width = nn.Parameter(torch.full((dimension,), -0.7))
        """Log of the kernel's deviation, for each number."""
        self.middle = nn.Parameter(torch.zeros(dimension))
        self.log_spread = nn.Parameter(torch.zeros(dimension))
        """Mean and log deviation over all cameras."""
        self.log_prior_count = nn.Parameter(torch.zeros(()))
        """Log of the clips that the prior counts for."""

    def condition(self, support: Sample) -> Memory:
        """{"places": (n, D), "weights": (n,)}: what was shown, and how many clips each place stands for."""
        values, known = self.embeddings(support), self.known(support).to(support["embeddings"])
        if self.settings.memory == "neighbours" or support.clips == 0:
            share = known / known.sum(1, keepdim=True).clamp_min(1.0)
            return {"places": (values * share[..., None]).sum(1), "weights": known.amax(1)}
        places, counts = centroids(values.flatten(0, 1), known.flatten(), self.settings.centroids)
        clips = known.amax(1).sum()
        return {"places": places, "weights": counts * clips / counts.sum().clamp_min(1.0)}

    def nats(self, embeddings: Tensor, memory: Memory) -> Tensor:
        """Minus the log density in nats per dimension."""
        shown = _normal(embeddings[..., None, :] - memory["places"], self.log_width)
        usual = _normal(embeddings - self.middle, self.log_spread)[..., None]
        parts = torch.cat([shown, usual], dim=-1) * SHARPNESS
        counts = torch.cat([(memory["weights"] + 1e-6).log(), self.log_prior_count[None]])
        total = torch.logsumexp(counts, 0)
        return -torch.logsumexp(parts + counts - total, -1) / SHARPNESS


def centroids(values: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """K-means (Lloyd 1982, https://doi.org/10.1109/TIT.1982.1056489): centres (n, D) and the weight of each (n,).

    It begins with the values that are farthest from those before them; values of weight 0 do not count.
    """
    chosen = [int(weights.argmax())]
    away = (values - values[chosen[0]]).square().sum(-1) * weights
    for _ in range(min(count, len(values)) - 1):
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (values - values[chosen[-1]]).square().sum(-1) * weights)
    centres = values[chosen]
    for _ in range(ROUNDS):
        near = torch.cdist(values, centres).argmin(-1)
        member = functional.one_hot(near, len(centres)).to(values) * weights[:, None]
        held = member.sum(0)
        centres = torch.where(held[:, None] > 0, member.T @ values / held.clamp_min(1e-6)[:, None], centres)
    return centres, held


def _normal(away: Tensor, log_width: Tensor) -> Tensor:
    """Log density of a diagonal normal distribution at distances (..., D), per dimension, without its constant."""
    return (-0.5 * (away / log_width.exp()).square() - log_width).mean(-1)


def _blocks(settings: EmbeddingConfig) -> tuple[nn.Module | None, tuple[int, ...]]:
    """The unfrozen blocks with the backbone's weights, and the shape of what goes into them; none where all is frozen.

    Their statistics over batches, where they have some, stay those of the backbone.
    """
    if not settings.unfrozen:
        return None, ()
    cut = cut_of(settings.backbone, settings.weights, settings.unfrozen)
    return copy.deepcopy(cut.after), cut.shape


def _layers(inside: int, hidden: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inside, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, outside))
