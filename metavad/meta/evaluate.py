"""How a function of the experts is evaluated in training: precision, recomputation, randomness."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVarTuple

import torch
from torch.utils.checkpoint import checkpoint

from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under

__all__ = ["Evaluation", "repeatable"]

Given = TypeVarTuple("Given")


@dataclass(frozen=True)
class Evaluation:
    """The switches; the plain evaluation by default."""

    precision: Literal["float32", "bfloat16"] = "float32"
    recompute: bool = False
    """Keep no activations for the backward pass but compute them again: less memory, more time."""

    def __call__(
        self,
        experts: ExpertSet,
        parameters: Parameters,
        function: Callable[[ExpertSet, *Given], Any],
        *arguments: *Given,
    ) -> Any:
        """``function(experts, *arguments)`` under these parameters; losses come back in the parameters' type."""
        run: Callable[..., Any] = _recomputing if self.recompute and torch.is_grad_enabled() else under
        if self.precision == "float32":
            return run(experts, parameters, function, *arguments)
        first = next(iter(parameters.values()))
        with torch.autocast(first.device.type, torch.bfloat16, cache_enabled=False):
            result = run(experts, parameters, function, *arguments)
        return _as(result, first.dtype)


@contextmanager
def repeatable(number: int, device: torch.device) -> Iterator[None]:
    """Randomness inside is a function of ``number`` alone; outside, nothing has changed."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(number)
        for each in devices:
            torch.cuda.default_generators[each.index or 0].manual_seed(number)
        yield


def _recomputing(*arguments: Any) -> Any:
    return checkpoint(under, *arguments, use_reentrant=False)


def _as(result: Any, dtype: torch.dtype) -> Any:
    if isinstance(result, dict):
        return {name: tensor.to(dtype) for name, tensor in result.items()}
    return result.to(dtype)
