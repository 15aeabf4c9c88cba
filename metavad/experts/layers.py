"""Layers that several experts share: smooth, without statistics over a batch, so that MAML differentiates twice."""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ChannelAttention", "SelfAttention", "VarianceAttention", "block", "huber"]


def block(inside: int, outside: int) -> nn.Sequential:
    """Two 3x3 convolutions; GroupNorm, since statistics over a batch would leak between tasks."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.GroupNorm(4, outside),
        nn.SiLU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.SiLU(),
    )


def huber(error: Tensor) -> Tensor:
    """Square for small errors, linear beyond a grey step of 0.05: one flash must not throw the inner steps off."""
    return torch.sqrt(1.0 + (error / 0.05).square()) - 1.0


class VarianceAttention(nn.Module):
    """More weight where features vary over channels: what moves (Chang et al. 2022,
    https://doi.org/10.1016/j.patcog.2021.108213).

    Published: features x exp(softmax over places of the variance). Of hundreds of places each has a share near 0
    and every weight is 1; here the share is taken relative to an even one, a, and the weight is exp(a / (1 + a)),
    between 1 and e.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        variance = self.project(values).var(1, correction=0)
        flat = variance.flatten(1)
        relative = (torch.softmax(flat, dim=1) * flat.shape[1]).reshape(variance.shape)
        weight = torch.exp(relative / (1 + relative))
        return weight[:, None] * values


class ChannelAttention(nn.Module):
    """Each channel weighted by what the whole picture holds (Hu, Shen and Sun 2018,
    https://arxiv.org/abs/1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(channels, channels // 4)
        self.widen = nn.Linear(channels // 4, channels)

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        weight = torch.sigmoid(self.widen(functional.silu(self.narrow(values.mean((-1, -2))))))
        return values * weight[:, :, None, None]


class SelfAttention(nn.Module):
    """Every place looks at every other (Zhang et al. 2019, https://arxiv.org/abs/1805.08318).

    Written out: the fused kernels for it have no second derivative. The gain starts at 0.1 instead of 0, so that
    the first inner step already reaches what is behind it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ask = nn.Conv2d(channels, channels // 4, 1)
        self.key = nn.Conv2d(channels, channels // 4, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; (H W)^2 weights a picture."""
        ask, key, value = (part(values).flatten(2) for part in (self.ask, self.key, self.value))
        look = torch.softmax(ask.transpose(1, 2) @ key / ask.shape[1] ** 0.5, dim=-1)
        seen: Tensor = self.gain * (value @ look.transpose(1, 2)).reshape(values.shape)
        return values + seen
