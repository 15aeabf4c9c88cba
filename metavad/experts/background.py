"""What the shots showed when nothing was there: a background, and how far a picture is from it."""

import torch
from torch import Tensor

from metavad.experts.base import Memory
from metavad.features.sample import Sample

__all__ = ["MOST", "background_of", "contrast", "residual"]

MOST = 64
"""Frames of the shots that make the background."""


def contrast(frames: Tensor) -> Tensor:
    """Frames (..., H, W) without the light's level and strength: local mean 0, local deviation about 1."""
    flat = frames.reshape(-1, 1, *frames.shape[-2:])
    reach = 2 * (min(frames.shape[-2:]) // 10) + 1
    mean = _mean(flat, reach)
    deviation = (_mean(flat.square(), reach) - mean.square()).clamp_min(0).add(0.03**2).sqrt()
    return ((flat - mean) / deviation).reshape(frames.shape)


def background_of(support: Sample) -> Memory:
    """{"background", "spread": (H, W), "clips": ()}: median of the shots and the mean distance from it."""
    frames = support["frames"]
    clips = torch.tensor(float(support.clips)).to(frames)
    if support.seconds.numel() == 0:
        nothing = torch.zeros(support["frames"].shape[-2:]).to(frames)
        return {"background": nothing, "spread": nothing.clone(), "clips": clips}
    ticks = support.seconds.shape[1]
    known = support.known["frames"].flatten().nonzero()[:, 0]
    known = known[:: max(1, len(known) // MOST)]
    frames = contrast(frames[known // ticks, known % ticks])
    background = frames.median(0).values
    return {"background": background, "spread": (frames - background).abs().mean(0), "clips": clips}


def residual(frames: Tensor, memory: Memory) -> Tensor:
    """Distance of local contrast from the background, frames (..., H, W); 0 while there is none."""
    distance = (contrast(frames) - memory["background"]).abs()
    return distance * (memory["clips"] > 0)


def _mean(maps: Tensor, reach: int) -> Tensor:
    """Mean over a square neighbourhood, at the border over what is inside: two products of matrices."""
    return _window(maps.shape[-2], reach, maps) @ maps @ _window(maps.shape[-1], reach, maps).T


def _window(size: int, reach: int, like: Tensor) -> Tensor:
    """(size, size): row i averages what lies at most ``reach // 2`` from i."""
    place = torch.arange(size, device=like.device)
    near = ((place[:, None] - place[None]).abs() <= reach // 2).to(like)
    return near / near.sum(1, keepdim=True)
