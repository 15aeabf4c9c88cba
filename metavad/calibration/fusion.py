"""Many experts' surprises to one map."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["compress", "fuse", "heard", "weight_at"]

LOUD = 6.5
"""Nats from which one expert's surprise counts a third, so that the others stay heard."""


def compress(surprise: Tensor) -> Tensor:
    """Nats, those above ``LOUD`` divided by three; monotone."""
    return torch.minimum(surprise, LOUD + (surprise - LOUD) / 3.0)


def weight_at(pair: Tensor, shots: float) -> Tensor:
    """An expert's weight after K shots: softplus(a + b log(1 + K)), from its pair (a, b)."""
    return functional.softplus(pair[0] + pair[1] * torch.log1p(torch.tensor(float(shots))).to(pair))


def heard(surprise: Tensor, level: Tensor | float, leak: float = 0.0) -> Tensor:
    """Compressed nats above ``level``; below it only the share ``leak`` of them.

    The level is what an expert says of ordinary footage anyway: only more than that is news, so that an expert
    which is loud at one camera (people stand everywhere, light flickers) does not drown the others there.
    """
    nats = compress(surprise)
    return (nats - level).clamp_min(0) + leak * nats.clamp_max(level)


def fuse(
    maps: Mapping[str, Tensor],
    weights: Mapping[str, Tensor | float],
    levels: Mapping[str, Tensor | float],
    leaks: Mapping[str, float],
) -> Tensor:
    """Weighted sum of what is heard of every expert, (..., h, w); higher = more anomalous."""
    return torch.stack(
        [weights[name] * heard(surprise, levels[name], leaks[name]) for name, surprise in maps.items()]
    ).sum(0)
