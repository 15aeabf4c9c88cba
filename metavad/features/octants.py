"""Octants of direction in the picture: number 0 is right, 2 down, 4 left, 6 up."""

import math

import torch
from torch import Tensor

__all__ = ["NAMES", "OCTANTS", "octant", "octants_apart"]

OCTANTS = 8
NAMES = ("right", "down and right", "down", "down and left", "left", "up and left", "up", "up and right")


def octant(right: Tensor, down: Tensor) -> Tensor:
    """Number of the octant that each motion goes into."""
    return torch.remainder(torch.round(torch.atan2(down, right) / (2 * math.pi / OCTANTS)), OCTANTS).long()


def octants_apart(one: int, other: int) -> int:
    """How many octants lie from one to another, 0 to 4.

    >>> octants_apart(0, 1), octants_apart(0, 7), octants_apart(6, 2)
    (1, 1, 4)
    """
    return min((one - other) % OCTANTS, (other - one) % OCTANTS)
