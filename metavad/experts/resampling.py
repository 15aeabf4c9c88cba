"""Finer and coarser maps: torch's own operations to the last bit, at a fraction of their price on a processor.

Torch walks through maps number by number where whole rows could go at once. Where gradients are asked for, or on a GPU,
its operations are called as they are.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["enlarged", "halved", "is_plain", "means_around", "pixels_to_channels"]


def is_plain(maps: Tensor) -> bool:
    """Whether maps are computed on a processor, and nobody asks for gradients."""
    return maps.device.type == "cpu" and not torch.is_grad_enabled()


def pixels_to_channels(maps: Tensor) -> Tensor:
    """Four pixels at a time: (B, C, 2h, 2w) to (B, 4C, h, w), as :func:`~torch.nn.functional.pixel_unshuffle`."""
    batch, channels, height, width = maps.shape
    apart = maps.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return apart.reshape(batch, 4 * channels, height // 2, width // 2)


def halved(maps: Tensor) -> Tensor:
    """(B, C, h, w) to means of four, (B, C, ceil(h / 2), ceil(w / 2)); at an odd border of those inside."""
    if not is_plain(maps) or maps.shape[-1] % 2 or maps.shape[-2] % 2:
        return functional.avg_pool2d(maps, 2, ceil_mode=True)
    upper, lower = maps[..., 0::2, :], maps[..., 1::2, :]
    total = (upper[..., 0::2] + upper[..., 1::2]).add_(lower[..., 0::2]).add_(lower[..., 1::2])
    return total.mul_(0.25)


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) to (B, C, H, W) of another ``size``, bilinear."""
    if is_plain(maps) and maps.shape[1] > 3 and sum(size) <= _SMALL:
        maps = maps.contiguous(memory_format=torch.channels_last)
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def means_around(maps: Tensor, reach: int) -> Tensor:
    """Mean of the square of 2 ``reach`` + 1 pixels around each of (B, H, W), at the border of those inside."""
    side = 2 * reach + 1
    if not is_plain(maps):
        return functional.avg_pool2d(maps[:, None], side, 1, reach, count_include_pad=False)[:, 0]
    beside = maps[None].contiguous(memory_format=torch.channels_last)  # the same pixel of all maps goes at once
    return functional.avg_pool2d(beside, side, 1, reach, count_include_pad=False)[0]


_SMALL = 128
"""Rows and columns up to which torch takes other layouts to this one, and back; larger maps it rounds otherwise."""
