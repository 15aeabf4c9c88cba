"""Motion as its distinct values: it is stored in bytes, so that all cells of a chunk of ticks share some hundred.

What is computed of each distinct value once is what would be computed of every cell, to the last bit.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from metavad.features.flow import FASTEST, expand, expand_speed

__all__ = ["Distinct", "distinct_speeds", "distinct_ways", "looked_up"]


@dataclass(frozen=True)
class Distinct:
    """Values (...) as the N distinct ones."""

    values: Tensor
    """(N, ...)."""
    place: Tensor
    """The number of each among them (...)."""

    def spread(self, found: Tensor) -> Tensor:
        """What was found of the distinct ones (N, ...), for each."""
        return looked_up(found, self.place)


def looked_up(table: Tensor, numbers: Tensor) -> Tensor:
    """``table[numbers]``, some times as fast."""
    return table.index_select(0, numbers.flatten()).reshape(*numbers.shape, *table.shape[1:])


def distinct_ways(motion: Tensor) -> Distinct | None:
    """Motions (..., 2), right and down in heights/second; none where they do not come from bytes."""
    levels = _ways().to(motion)
    scaled = motion.sign() * (motion.abs() / FASTEST).sqrt()
    codes = torch.where(motion == 0, len(levels) - 1, (127.5 + 127.5 * scaled).round().long().clamp(0, 255))
    if not motion.numel() or not torch.equal(looked_up(levels, codes), motion):
        return None
    found, place = _found(codes[..., 0] * len(levels) + codes[..., 1], len(levels) ** 2)
    return Distinct(levels[torch.stack([found // len(levels), found % len(levels)], dim=-1)], place)


def distinct_speeds(speeds: Tensor) -> Distinct | None:
    """Speeds (...) in heights/second; none where they do not come from bytes."""
    levels = _speeds().to(speeds)
    codes = (255.0 * (speeds / FASTEST).clamp_min(0).sqrt()).round().long().clamp(0, 255)
    if not speeds.numel() or not torch.equal(looked_up(levels, codes), speeds):
        return None
    found, place = _found(codes, len(levels))
    return Distinct(levels[found], place)


def _found(codes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Which of ``count`` codes occur (N,), and the number of each among them."""
    occurs = torch.zeros(count, dtype=torch.bool, device=codes.device)
    occurs.index_fill_(0, codes.flatten(), True)
    return occurs.nonzero()[:, 0], looked_up(occurs.cumsum(0) - 1, codes)


@cache
def _ways() -> Tensor:
    """What each byte stands for (257,), and what none stands for: of a tick that is not known, zero."""
    return torch.from_numpy(np.append(expand(np.arange(256, dtype=np.uint8)), np.float32(0)))


@cache
def _speeds() -> Tensor:
    """What each byte stands for (256,)."""
    return torch.from_numpy(expand_speed(np.arange(256, dtype=np.uint8)))
