"""Prototypes of what is normal: soft k-means over codes, and a memory that a network reads from."""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Prototypes", "on_sphere", "soft_distance"]

SHARPNESS = 16.0
"""Of the soft assignment, per squared distance of codes of length 1."""
MARGIN = 1.0
"""Squared distance that two prototypes should keep."""


def on_sphere(codes: Tensor) -> Tensor:
    """Codes (B, D, ...) of length 1; short ones stay short, so that it is smooth at 0."""
    return codes / codes.square().sum(1, keepdim=True).add(1e-4).sqrt()


def soft_distance(codes: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance (B, h, w) of codes (B, D, h, w) to their centres of (N, D), and the assignment (B, h, w, N).

    Soft k-means, smooth: sum over n of p_n |r - c_n|^2 with p = softmax(-sharpness |r - c|^2). Fard, Thonet and
    Gaussier 2020, https://arxiv.org/abs/1806.10069.
    """
    vectors = codes.movedim(1, -1)
    squared = vectors.square().sum(-1, keepdim=True) - 2 * vectors @ centres.T + centres.square().sum(1)
    share = torch.softmax(-SHARPNESS * squared, dim=-1)
    return (share * squared).sum(-1), share


class Prototypes(nn.Module):
    """A memory of N vectors that features are told apart by, and that is added to them.

    Park, Noh and Ham 2020 (MNAD), https://arxiv.org/abs/2003.13228: items read by similarity, compactness and
    separateness; Lv et al. 2021 (MPN), https://arxiv.org/abs/2104.06689: they are what adapts to a scene. Where it
    leaves them: items are parameters, moved by gradients alone, never by test frames; the reading is added as in
    MPN; all distances are squared and assignments soft, so that MAML can differentiate twice.
    """

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.items = nn.Parameter(functional.normalize(torch.randn(count, channels), dim=1))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, h, w) to features with what was read, and squared distances (B, h, w) to the prototypes."""
        distance, share = soft_distance(on_sphere(values), self.items)
        return values + (share @ self.items).movedim(-1, 1), distance

    def crowding(self) -> Tensor:
        """How close the prototypes are to each other, a scalar: mean softplus(margin - squared distance) of pairs."""
        items = self.items
        lengths = items.square().sum(1)
        squared = lengths[:, None] + lengths - 2 * items @ items.T
        pairs = torch.ones_like(squared).triu(1)
        each = functional.softplus(4 * (MARGIN - squared)) / 4
        return (each * pairs).sum() / pairs.sum().clamp_min(1.0)
