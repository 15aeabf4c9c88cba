"""What a backbone is: a network from a clip to one vector, and the pictures that it wants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metavad.types import ByteArray

__all__ = ["Backbone", "Preprocessing", "clip_of"]


@dataclass(frozen=True)
class Preprocessing:
    """How many frames, how large, in how many equal channels, and what is taken off and divided by."""

    frames: int
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


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
