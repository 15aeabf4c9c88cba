"""What the shots showed near a place, kept in a memory to explain by; no score and no loss reads it."""

import torch
from torch import Tensor
from torch.nn import functional

from metavad.experts.parts import by_parts
from metavad.features.octants import OCTANTS, octant
from metavad.features.sample import Sample

__all__ = ["ACROSS", "DOWN", "cell_at", "fastest", "headings", "largest", "share_word"]

DOWN, ACROSS = 0.1, 0.2
"""How far "at this place" reaches, in heights of the frame from end to end."""


def fastest(support: Sample) -> Tensor:
    """Highest speed (K, h, w) in heights/second that each shot showed near each cell."""
    with torch.no_grad():
        return largest(torch.cat(by_parts(_speeds, support)))


def headings(support: Sample) -> Tensor:
    """Highest speed (8, h, w) of one direction that any shot showed near each cell, by octant (right, then down)."""
    with torch.no_grad():
        return largest(torch.stack(by_parts(_headings, support)).amax(0))


def _speeds(part: Sample) -> Tensor:
    return (part["flow"][:, :, 2] * part.known["flow"][:, :, None, None]).amax(1)


def _headings(part: Sample) -> Tensor:
    flow = part["flow"][:, :, :2] * part.known["flow"][:, :, None, None, None]
    speed = flow.square().sum(2).sqrt()
    ways = octant(flow[:, :, 0], flow[:, :, 1])
    each = torch.stack([torch.where(ways == way, speed, 0.0) for way in range(OCTANTS)])
    nothing = each.new_zeros((OCTANTS, 1, *each.shape[3:]))
    return torch.cat([nothing, each.flatten(1, 2)], dim=1).amax(1)


def largest(maps: Tensor) -> Tensor:
    """Maps (N, h, w), each cell the largest of its neighbourhood."""
    if len(maps) == 0:
        return maps
    rows = min(maps.shape[-2:])
    down, across = round(rows * DOWN) | 1, round(rows * ACROSS) | 1
    wide: Tensor = functional.max_pool2d(maps[:, None], (down, across), 1, (down // 2, across // 2))
    return wide[:, 0]


def cell_at(maps: Tensor, place: tuple[float, float]) -> tuple[int, int]:
    """Row and column of maps (..., h, w) at a place: shares of the height from the top and of the width from left.

    >>> cell_at(torch.zeros(30, 40), (0.5, 0.99))
    (15, 39)
    """
    height, width = maps.shape[-2:]
    return min(int(place[0] * height), height - 1), min(int(place[1] * width), width - 1)


def share_word(share: float) -> str:
    """A share of something in words: ``42 %``."""
    return f"{100 * share:.0f} %"
