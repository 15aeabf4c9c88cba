"""Many experts' surprises to one map."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from metavad.calibration.tails import BaseTail

__all__ = ["compress", "discounted", "fuse", "heard", "weight_at"]

LOUD = 6.5
"""Nats from which one expert's surprise counts a third, so that the others stay heard."""


def compress(surprise: Tensor) -> Tensor:
    """Nats, those above ``LOUD`` divided by three; monotone."""
    return torch.minimum(surprise, LOUD + (surprise - LOUD) / 3.0)


def weight_at(pair: Tensor, shots: float) -> Tensor:
    """An expert's weight after K shots: softplus(a + b log(1 + K)), from its pair (a, b)."""
    return functional.softplus(pair[0] + pair[1] * torch.log1p(torch.tensor(float(shots))).to(pair))


QUIET = 3.0
"""Nats up to which what is said counts for little: three are said of one ordinary frame in twenty."""


def heard(surprise: Tensor, usual: BaseTail, shots: float, louder: float = 0.0) -> Tensor:
    """How rarely an expert says as much of an ordinary frame, in nats, from its ``surprise`` of any shape.

    ``usual`` is the tail of its frame scores on ordinary footage of many cameras after ``shots``: an expert that is
    often wrong there has to say more to be heard as well as one that is not. ``louder``: by how many compressed nats it
    is louder at this camera than at those.
    """
    return discounted(usual.nats(compress(surprise) - louder, shots))


def discounted(nats: Tensor) -> Tensor:
    """What n nats count for: n - QUIET (1 - exp(-n / QUIET)). What is common counts for little; monotone."""
    return nats - QUIET * (1 - torch.exp(-nats / QUIET))


def fuse(said: Mapping[str, Tensor], weights: Mapping[str, Tensor | float]) -> Tensor:
    """Weighted sum of what is heard of every expert, (..., h, w); higher = more anomalous.

    After Fisher's way to put independent tests together, the sum of -log p (Statistical Methods for Research Workers,
    4th edition, 1932, section 21.1).
    """
    return torch.stack([weights[name] * each for name, each in said.items()]).sum(0)
