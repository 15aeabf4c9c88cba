"""A small optical flow without weights that gradients can pass through twice.

Lucas and Kanade 1981, "An iterative image registration technique with an application to stereo vision" (IJCAI); one
step of it, at two scales.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["displacement", "flow_difference"]

SCALES = (2, 4)
"""Pixels averaged to one: a step of the method holds for motion of about a pixel."""
REACH = 5
"""Pixels along the side of the window that moves as one."""
NOISE = 1e-4
"""Squared slope (grey levels per pixel, 0 to 1) that is noise: flat places do not move."""


def displacement(frames: Tensor, change: Tensor) -> Tensor:
    """Motion (B, 2, H, W), right and down in pixels, that turns frames (B, H, W) into frames + change.

    Least squares over a window w of |change + slope . d|^2: d = -(sum_w slope slope' + noise)^-1 sum_w slope change.
    """
    down, across = torch.gradient(frames, dim=(-2, -1))
    xx, xy, yy = (_window(product) for product in (across.square(), across * down, down.square()))
    xx, yy = xx + NOISE, yy + NOISE
    x, y = _window(across * change), _window(down * change)
    return torch.stack([xy * y - yy * x, xy * x - xx * y], dim=1) / (xx * yy - xy.square())[:, None]


def flow_difference(last: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """How differently things move to the predicted and to the true frame (B, H, W), a loss for each (B,).

    Mean of sqrt(1 + |d|^2) - 1, d in pixels of each scale. Since the estimate is linear in the change of the
    picture, the difference of the two flows is the flow of the difference: convex in the prediction.
    """
    terms = []
    for scale in SCALES:
        small, error = (functional.avg_pool2d(frames[:, None], scale)[:, 0] for frames in (last, predicted - true))
        moved = displacement(small, error).square().sum(1)
        terms.append((torch.sqrt(1 + moved) - 1).mean((-1, -2)))
    return torch.stack(terms).sum(0)


def _window(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values[:, None], REACH, 1, REACH // 2, count_include_pad=False)[:, 0]
