"""What a backbone is: a network from a clip to one vector, and the pictures that it wants."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metavad.errors import ConfigError
from metavad.features.networks.registry import network_named
from metavad.types import ByteArray

__all__ = ["Backbone", "Cut", "Preprocessing", "clip_of", "cut", "preprocessing_of", "seeded"]


@dataclass(frozen=True)
class Preprocessing:
    """How many frames, how large, in how many equal channels, and what is taken off and divided by."""

    frames: int
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def preprocessing_of(name: str) -> Preprocessing:
    """What a known network over clips wants, by its table."""
    wanted = network_named(name).input
    return Preprocessing(wanted.frames, wanted.height, wanted.mean, wanted.deviation)


@dataclass(frozen=True)
class Backbone:
    """A network (N, C, T, S, S) -> (N, D), made only when it is used."""

    name: str
    dimension: int
    preprocessing: Preprocessing
    weights: str
    """A file, ``default`` or ``random``."""
    make: Callable[[], nn.Module]
    """The network with its weights, in evaluation mode."""
    blocks: Callable[[nn.Module], Sequence[nn.Module]] | None = None
    """The network as blocks that follow one another; none where it cannot be cut."""


@dataclass(frozen=True)
class Cut:
    """A network in two: what comes before its last blocks, and these."""

    before: nn.Module
    after: nn.Module
    shape: tuple[int, ...]
    """Of what passes from one to the other, for one clip."""


def cut(backbone: Backbone, unfrozen: int) -> Cut:
    """The network before and after the start of its last ``unfrozen`` blocks.

    Raises :class:`ConfigError` where it cannot be cut, or has no block before these.
    """
    if backbone.blocks is None:
        raise ConfigError(
            f"embedding.unfrozen: expected 0 for {backbone.name}, whose blocks do not follow one another, found "
            f"{unfrozen}; choose tiny, r3d_18, mc3_18 or r2plus1d_18 as embedding.backbone"
        )
    blocks = backbone.blocks(backbone.make())
    if not 0 < unfrozen < len(blocks):
        raise ConfigError(
            f"embedding.unfrozen: expected 0 to {len(blocks) - 1} for {backbone.name}, found {unfrozen}; unfreeze fewer"
        )
    before, after = (nn.Sequential(*part).eval() for part in (blocks[:-unfrozen], blocks[-unfrozen:]))
    for part in after.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False  # changes in place stand in the way of second derivatives
    return Cut(before, after, _passing(before, backbone.preprocessing))


def _passing(before: nn.Module, settings: Preprocessing) -> tuple[int, ...]:
    """Shape of what leaves it for one clip: without any computing."""
    clip = torch.empty(1, len(settings.mean), settings.frames, settings.size, settings.size, device="meta")
    with torch.no_grad():
        return tuple(copy.deepcopy(before).to("meta")(clip).shape[1:])


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """A network with random weights that are the same every time: what is cached of it stays true."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(0)
        return make()


def clip_of(frames: Sequence[ByteArray], settings: Preprocessing) -> Tensor:
    """Grey frames (H, W), oldest first, spread over what the backbone wants: (1, C, T, S, S).

    The whole picture is squeezed into the square: a crop from the middle would be blind to its sides.
    """
    places = np.round(np.linspace(0, len(frames) - 1, settings.frames)).astype(int)
    small = {place: _square(frames[place], settings.size) for place in set(places.tolist())}
    clip = torch.from_numpy(np.stack([small[place] for place in places.tolist()])).float() / 255.0
    mean, deviation = torch.tensor(settings.mean), torch.tensor(settings.deviation)
    return ((clip - mean[:, None, None, None]) / deviation[:, None, None, None])[None]


def _square(frame: ByteArray, size: int) -> ByteArray:
    how = cv2.INTER_AREA if min(frame.shape) >= size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (size, size), interpolation=how))
