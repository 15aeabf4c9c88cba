"""Invertible steps over small pictures: activation normalisation, 1x1 mixing, affine coupling, on several levels.

Kingma and Dhariwal 2018, https://arxiv.org/abs/1807.03039, on the levels of Dinh, Sohl-Dickstein and Bengio 2017,
https://arxiv.org/abs/1605.08803. No statistics of a batch anywhere: the normalisation's scale and offset are learned
like all else, so that one input's density never depends on another's, and MAML can differentiate twice.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ActNorm", "Coupling", "Glow", "Mixing"]

BOUND = 2.0
"""A coupling's log-scale stays within this, so that what repeats exactly has no infinite density."""


class ActNorm(nn.Module):
    """A learned scale and offset for each channel; identity to begin with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to the same shape, and the log-determinant (N,)."""
        moved = (values + self.offset[:, None, None]) * self.log_scale.exp()[:, None, None]
        places = values.shape[-2] * values.shape[-1]
        return moved, (self.log_scale.sum() * places).expand(len(values))

    def inverse(self, values: Tensor) -> Tensor:
        """What :meth:`forward` was given."""
        return values * (-self.log_scale).exp()[:, None, None] - self.offset[:, None, None]


class Mixing(nn.Module):
    """An invertible C x C matrix at every place, W = P L (U + diag(s)); it begins as a random rotation.

    The permutation P and the signs of s stay; L, U and log abs s are learned.
    """

    order: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("order", permutation.contiguous())
        self.register_buffer("sign", diagonal.sign().contiguous())
        self.lower = nn.Parameter(lower.tril(-1).contiguous())
        self.upper = nn.Parameter(upper.triu(1).contiguous())
        self.log_diagonal = nn.Parameter(diagonal.abs().log().contiguous())

    def matrix(self) -> Tensor:
        """W (C, C)."""
        below = self.lower.tril(-1) + torch.eye(len(self.sign)).to(self.lower)
        above = self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
        return self.order @ below @ above

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to the same shape, and the log-determinant (N,)."""
        places = values.shape[-2] * values.shape[-1]
        mixed = functional.conv2d(values, self.matrix()[:, :, None, None])
        return mixed, (self.log_diagonal.sum() * places).expand(len(values))

    def inverse(self, values: Tensor) -> Tensor:
        """What :meth:`forward` was given."""
        return functional.conv2d(values, torch.linalg.inv(self.matrix())[:, :, None, None])


class Coupling(nn.Module):
    """One half of the channels moves and scales the other, by a small network: y = (b + t(a)) exp(s(a))."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.kept = channels // 2
        last = nn.Conv2d(hidden, 2 * (channels - self.kept), 3, padding=1)
        with torch.no_grad():
            for name, tensor in last.named_parameters():
                tensor.mul_(0.05 if name == "weight" else 0.0)
        self.network = nn.Sequential(
            nn.Conv2d(self.kept, hidden, 3, padding=1), nn.SiLU(), nn.Conv2d(hidden, hidden, 1), nn.SiLU(), last
        )

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to the same shape, and the log-determinant (N,)."""
        kept, moved = values[:, : self.kept], values[:, self.kept :]
        shift, log_scale = self._affine(kept)
        return torch.cat([kept, (moved + shift) * log_scale.exp()], dim=1), log_scale.sum((1, 2, 3))

    def inverse(self, values: Tensor) -> Tensor:
        """What :meth:`forward` was given."""
        kept, moved = values[:, : self.kept], values[:, self.kept :]
        shift, log_scale = self._affine(kept)
        return torch.cat([kept, moved * (-log_scale).exp() - shift], dim=1)

    def _affine(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        # Far out the network hears the logarithm: what it never saw must not be moved without bound.
        shift, raw = self.network(torch.asinh(kept)).chunk(2, dim=1)
        return shift, BOUND * torch.tanh(raw / BOUND)


class Step(nn.Module):
    """Normalisation, mixing, coupling."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([ActNorm(channels), Mixing(channels), Coupling(channels, hidden)])

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to the same shape, and the log-determinant (N,)."""
        total = values.new_zeros(len(values))
        for part in self.parts:
            values, log_determinant = part(values)
            total = total + log_determinant
        return values, total

    def inverse(self, values: Tensor) -> Tensor:
        """What :meth:`forward` was given."""
        for part in reversed(self.parts):
            values = part.inverse(values)  # type: ignore[operator]
        return values


class Glow(nn.Module):
    """``steps`` steps on each of ``levels`` levels; between levels half of the channels is done.

    Pictures (N, ``channels``, H, W) whose sides are multiples of 2^levels. The latents are standard normal.
    """

    def __init__(self, channels: int, *, steps: int, levels: int, hidden: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for _ in range(levels):
            channels *= 4
            self.levels.append(nn.ModuleList([Step(channels, hidden) for _ in range(steps)]))
            channels //= 2

    def forward(self, values: Tensor) -> tuple[list[Tensor], Tensor]:
        """Latents, one for each level, and the log-determinant (N,)."""
        latents, total = [], values.new_zeros(len(values))
        for number, level in enumerate(self.levels):
            values = functional.pixel_unshuffle(values, 2)
            for step in level:  # type: ignore[attr-defined]
                values, log_determinant = step(values)
                total = total + log_determinant
            if number + 1 < len(self.levels):
                done, values = values.chunk(2, dim=1)
                latents.append(done)
        return [*latents, values], total

    def inverse(self, latents: list[Tensor]) -> Tensor:
        """The pictures that have these latents."""
        values = latents[-1]
        for number in reversed(range(len(self.levels))):
            if number + 1 < len(self.levels):
                values = torch.cat([latents[number], values], dim=1)
            for step in reversed(self.levels[number]):  # type: ignore[call-overload]
                values = step.inverse(values)
            values = functional.pixel_shuffle(values, 2)
        return values

    def log_prob(self, values: Tensor) -> Tensor:
        """Log-likelihood (N,) in nats: log N(z; 0, 1) + log abs det dz/dx."""
        latents, total = self(values)
        for latent in latents:
            total = total - 0.5 * (latent.square() + math.log(2 * math.pi)).sum((1, 2, 3))
        likelihood: Tensor = total
        return likelihood
