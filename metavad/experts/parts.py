"""Many clips part by part: the memory of one part at a time, also where gradients are wanted."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor
from torch.utils.checkpoint import checkpoint

from metavad.features.sample import Sample

__all__ = ["TICKS", "WHOLE", "by_parts", "is_many"]

Result = TypeVar("Result")

WHOLE = 25
"""Clips up to which a gradient is taken of all at once, half of 50 shots; that of more rounds otherwise."""
TICKS = 64
"""Ticks gone through at once where no gradient is wanted: what a processor's cache holds of their maps."""


def is_many(sample: Sample) -> bool:
    """Whether these are more clips than 50 shots, or than half of them for a gradient: what rounds otherwise may."""
    return sample.clips > (WHOLE if torch.is_grad_enabled() else 2 * WHOLE)


def by_parts(function: Callable[..., Result], sample: Sample, *tensors: Tensor) -> list[Result]:
    """``function(part, *tensors)`` of every part of a sample.

    For a gradient a part is computed again in the backward pass instead of kept, when parameters may be others'
    again: so the function has to take all that it is differentiated by from ``tensors``.
    """
    parts = sample.parts(TICKS // max(1, sample.seconds.shape[1]))
    if not torch.is_grad_enabled():
        return [function(part, *tensors) for part in parts]
    if sample.clips <= WHOLE or any(map(is_batchedtensor, tensors)):  # ``vmap`` cannot compute again what it batched
        return [function(sample, *tensors)]
    return [
        cast(Result, checkpoint(function, part, *tensors, use_reentrant=False, preserve_rng_state=False))
        for part in parts
    ]
