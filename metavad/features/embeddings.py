"""One vector a tick that says what a space-time network made of the last moments."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from metavad.config import EmbeddingConfig
from metavad.features.backbones import Backbone, Cut, backbone_of, clip_of, cut_of
from metavad.features.feature import Feature
from metavad.features.networks.registry import digest_of
from metavad.types import ByteArray

__all__ = ["EmbeddingsFeature"]


class EmbeddingsFeature(Feature):
    """Embeddings of the last ``horizon`` seconds, by a network that is not trained here: rows of D half floats.

    The network runs once a tick (or every n-th) and its vectors are cached like any feature, so that meta-learning
    and adapting see vectors only. Where its last blocks are unfrozen, what goes into these is kept behind each vector,
    flat: from there on an expert has blocks of its own.
    """

    name = "embeddings"

    def __init__(self, settings: EmbeddingConfig) -> None:
        self.settings = settings
        self.backbone: Backbone = backbone_of(settings.backbone, settings.weights)
        self.past = settings.horizon * _ENOUGH
        self.cut = cut_of(settings.backbone, settings.weights, settings.unfrozen) if settings.unfrozen else None
        self.numbers = self.backbone.dimension + (math.prod(self.cut.shape) if self.cut else 0)
        """Of a row."""

    @cached_property
    def network(self) -> nn.Module:
        """With its weights, read when the first vector is needed."""
        return _Both(self.cut) if self.cut else self.backbone.make()

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Frames of the last ``horizon`` seconds are kept."""
        past: deque[tuple[ByteArray, float]] = deque()
        count, last = 0, np.zeros(0, np.uint8)

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            nonlocal count, last
            past.append((np.array(frame), seconds))
            while len(past) > 1 and past[0][1] < seconds - self.settings.horizon - _SLACK:
                past.popleft()
            if count % self.settings.every == 0:
                last = self._vector([each for each, _ in past])
            count += 1
            return last

        return row

    def _vector(self, frames: list[ByteArray]) -> ByteArray:
        """Bytes of half floats (2 numbers, 1, 1)."""
        with torch.no_grad():
            found = self.network(clip_of(frames, self.backbone.preprocessing))[0]
        return np.asarray(found.to(torch.float16).numpy().view(np.uint8).reshape(-1, 1, 1))

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(2 numbers, 1, 1) bytes, whatever the picture's size."""
        return 2 * self.numbers, 1, 1

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, numbers, 1, 1) float32."""
        flat = np.ascontiguousarray(np.asarray(rows).reshape(len(rows), 2 * self.numbers))
        return torch.from_numpy(flat.view(np.float16).astype(np.float32))[..., None, None]

    def key(self) -> Mapping[str, object]:
        """Backbone, its weights by digest, and how often it runs."""
        return {
            "feature": "embeddings",
            "version": 1,
            "backbone": self.settings.backbone,
            "weights": digest_of(self.backbone.weights) or self.backbone.weights,
            "horizon": self.settings.horizon,
            "every": self.settings.every,
            **({"unfrozen": self.settings.unfrozen} if self.cut else {}),
        }


class _Both(nn.Module):
    """The embedding, and behind it what goes into the last blocks, flat."""

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.cut = cut

    def forward(self, clips: Tensor) -> Tensor:
        passing = self.cut.before(clips)
        return torch.cat([self.cut.after(passing), passing.flatten(1)], dim=1)


_SLACK = 0.02
"""Seconds by which ticks may be off the rate's grid."""
_ENOUGH = 0.7
"""Share of the horizon that must be there for an embedding to be known."""
