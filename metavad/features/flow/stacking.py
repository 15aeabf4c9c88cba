"""Flow of several frames as the channels of one input (Simonyan and Zisserman 2014, section 3.1).

https://arxiv.org/abs/1406.2199. All functions take flow in pixels per frame, (..., L, 2, H, W) with right before
down, oldest first, and give (..., 2 L, H, W): x and y alternate.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["bidirectional_stack", "plain_stack", "trajectory_stack"]


def plain_stack(flows: Tensor) -> Tensor:
    """The displacements at the same place in L consecutive frames: I(u, v, 2k) = d_k(u, v)."""
    return flows.flatten(-4, -3)


def trajectory_stack(flows: Tensor) -> Tensor:
    """The displacements met along the way: I(u, v, 2k) = d_k(p_k), p_1 = (u, v), p_{k+1} = p_k + d_k(p_k).

    Paths are followed between pixels (bilinear); what leaves the picture keeps reading its nearest pixel.
    """
    batch, length, height, width = flows.shape[:-4], *flows.shape[-4:-3], *flows.shape[-2:]
    fields = flows.reshape(-1, length, 2, height, width)
    place = _pixels(height, width, fields).expand(len(fields), -1, -1, -1)
    read = []
    for number in range(length):
        found = _sampled(fields[:, number], place)
        read.append(found)
        place = place + found
    return torch.stack(read, 1).reshape(*batch, 2 * length, height, width)


def bidirectional_stack(forward: Tensor, backward: Tensor) -> Tensor:
    """L / 2 forward flows from a middle frame on, and L / 2 backward flows from it: the same L flows in two halves.

    ``forward[k]`` leads from frame k to k + 1, ``backward[k]`` from k + 1 back to k. The middle frame is L // 2, so
    that nothing after the last frame is needed.
    """
    length = forward.shape[-4]
    middle = length // 2
    past = backward[..., :middle, :, :, :].flip(-4)
    return torch.cat([forward[..., middle:, :, :, :], past], dim=-4).flatten(-4, -3)


def _pixels(height: int, width: int, like: Tensor) -> Tensor:
    """(1, 2, H, W): x and y of every pixel."""
    down = torch.arange(height).to(like)[:, None].expand(height, width)
    across = torch.arange(width).to(like)[None].expand(height, width)
    return torch.stack([across, down])[None]


def _sampled(field: Tensor, place: Tensor) -> Tensor:
    """A field (N, 2, H, W) read at places (N, 2, H, W) in pixels."""
    height, width = field.shape[-2:]
    scale = torch.tensor([2.0 / max(1, width - 1), 2.0 / max(1, height - 1)]).to(field)
    grid = place.movedim(1, -1) * scale - 1.0
    found: Tensor = functional.grid_sample(field, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return found
