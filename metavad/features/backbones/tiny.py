"""A space-time network of a few thousand parameters that is trained here, on generated cameras, without labels.

What it learns to tell apart is how a clip was played: forwards, backwards, at double speed, or not moving (the proxy
tasks of Georgescu et al. 2021, https://arxiv.org/abs/2011.07491, in small).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.errors import DataError
from metavad.features.backbones.backbone import Backbone, Preprocessing, clip_of, seeded
from metavad.features.networks.weights import load_weights, read_weights
from metavad.types import ByteArray

__all__ = ["Tiny", "tiny_backbone", "train_tiny"]

PREPROCESSING = Preprocessing(8, 48, (0.45,), (0.225,))
SHIPPED = Path(__file__).parent / "tiny.safetensors"
PLACES, CHANNELS, GAIN = 3, 24, 4.0
DIMENSION = CHANNELS * PLACES**2
WAYS = 4
"""Forwards, backwards, fast, still."""


def tiny_backbone(weights: str) -> Backbone:
    """216 numbers a clip; ``weights`` is a file, ``random``, or empty: those that ship."""
    weights = weights or str(SHIPPED)
    return Backbone("tiny", DIMENSION, PREPROCESSING, weights, partial(_made, weights), _blocks)


class Tiny(nn.Module):
    """Clips (N, 1, 8, 48, 48) to (N, 216): 24 channels in each ninth of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.apart, self.ninths = _Apart(), _Ninths()
        self.layers = nn.Sequential(
            nn.Conv3d(2, 8, (3, 5, 5), (1, 2, 2), (1, 2, 2)),
            nn.SiLU(),
            nn.Conv3d(8, 16, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
            nn.SiLU(),
            nn.Conv3d(16, CHANNELS, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
            nn.SiLU(),
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Means over time and ninths of the picture."""
        found: Tensor = self.ninths(self.layers(self.apart(clips)))
        return found


class _Apart(nn.Module):
    """The mean picture and what differs from it, four times as strong: what moves is small."""

    def forward(self, clips: Tensor) -> Tensor:
        mean = clips.mean(2, keepdim=True)
        return torch.cat([mean.expand_as(clips), GAIN * (clips - mean)], dim=1)


class _Ninths(nn.Module):
    """Means over time and ninths of the picture."""

    def forward(self, maps: Tensor) -> Tensor:
        return functional.adaptive_avg_pool3d(maps, (1, PLACES, PLACES)).flatten(1)


def _blocks(network: nn.Module) -> list[nn.Module]:
    """A convolution each, with what is before the first and after the last."""
    assert isinstance(network, Tiny)  # made here
    first, bend, second, again, third, last = network.layers
    return [
        nn.Sequential(network.apart, first, bend),
        nn.Sequential(second, again),
        nn.Sequential(third, last, network.ninths),
    ]


def train_tiny(
    videos: Sequence[ByteArray], *, steps: int = 300, batch: int = 16, seed: int = 0
) -> Iterator[tuple[Tiny, float]]:
    """The network after each step, and the share of clips whose way of playing it told right.

    ``videos`` are grey frames (T, H, W) at the working rate. Raises :class:`DataError` where none is long enough.
    """
    long = [video for video in videos if len(video) >= 2 * PREPROCESSING.frames]
    if not long:
        raise DataError(f"training: expected videos of {2 * PREPROCESSING.frames} ticks or more, found none")
    generator = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        network, head = Tiny(), nn.Linear(DIMENSION, WAYS)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=2e-3)
    for _ in range(steps):
        clips, ways = _drawn(long, batch, generator)
        logits = head(network(clips))
        loss = functional.cross_entropy(logits, ways)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield network, float((logits.argmax(1) == ways).float().mean())


def _drawn(videos: Sequence[ByteArray], batch: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Clips, each played in one way, and the ways."""
    ways = generator.integers(0, WAYS, batch)
    return torch.cat([_played(videos, int(way), generator) for way in ways]), torch.from_numpy(ways)


def _played(videos: Sequence[ByteArray], way: int, generator: np.random.Generator) -> Tensor:
    frames = PREPROCESSING.frames
    video = videos[int(generator.integers(len(videos)))]
    start = int(generator.integers(0, len(video) - 2 * frames + 1))
    number = np.arange(frames)
    order = (number, number[::-1], 2 * number, np.full(frames, frames // 2))[way]
    return clip_of([np.asarray(video[start + place]) for place in order.tolist()], PREPROCESSING)


def _made(weights: str) -> nn.Module:
    if weights == "random":
        return seeded(Tiny).eval()
    network = Tiny()
    load_weights(network, read_weights(Path(weights), "embedding.weights"), "embedding.weights")
    return network.eval()
