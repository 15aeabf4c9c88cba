"""How a function of the experts is evaluated in training: precision, recomputation, compilation, randomness."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVarTuple

import torch
from torch.utils.checkpoint import checkpoint

from metavad.config import MetaConfig
from metavad.errors import ConfigError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under

__all__ = ["Evaluation", "compiled", "evaluation_of", "repeatable"]

Given = TypeVarTuple("Given")


@dataclass(frozen=True)
class Evaluation:
    """The switches; the plain evaluation by default."""

    precision: Literal["float32", "bfloat16"] = "float32"
    recompute: bool = False
    """Keep no activations for the backward pass but compute them again: less memory, more time."""
    compile: bool = False

    def __call__(
        self,
        experts: ExpertSet,
        parameters: Parameters,
        function: Callable[[ExpertSet, *Given], Any],
        *arguments: *Given,
    ) -> Any:
        """``function(experts, *arguments)`` under these parameters; losses come back in the parameters' type."""
        run: Callable[..., Any] = compiled if self.compile else under
        if self.recompute and torch.is_grad_enabled():
            run = _recomputing(run)
        if self.precision == "float32":
            return run(experts, parameters, function, *arguments)
        first = next(iter(parameters.values()))
        with torch.autocast(first.device.type, torch.bfloat16, cache_enabled=False):
            result = run(experts, parameters, function, *arguments)
        return _as(result, first.dtype)


def evaluation_of(settings: MetaConfig, order: int) -> Evaluation:
    """The settings' switches; raises :class:`ConfigError` for compilation of second-order steps.

    What ``torch.compile`` makes has a backward pass, but no backward pass of that.
    """
    if settings.compile and order == 2:
        raise ConfigError(
            "meta.compile: expected first-order meta-gradients (torch.compile cannot differentiate twice), found "
            "second; set meta.order=1, meta.algorithm=fomaml or meta.compile=false"
        )
    return Evaluation(settings.precision, settings.recompute, settings.compile)


def compiled(*arguments: Any) -> Any:
    """:func:`under` by ``torch.compile``, again for every new shape; the same numbers to rounding.

    Raises :class:`ConfigError` where this machine or these experts cannot be compiled.
    """
    with warnings.catch_warnings():
        # The tracer looks at .grad of adapted parameters.
        warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
        try:
            return torch.compile(under)(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(
                f"expected what torch.compile can compile here, found what it cannot ({reason}); leave compiling off"
            ) from error


@contextmanager
def repeatable(number: int, device: torch.device) -> Iterator[None]:
    """Randomness inside is a function of ``number`` alone; outside, nothing has changed."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(number)
        for each in devices:
            torch.cuda.default_generators[each.index or 0].manual_seed(number)
        yield


def _recomputing(run: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: checkpoint(run, *arguments, use_reentrant=False)


def _as(result: Any, dtype: torch.dtype) -> Any:
    if isinstance(result, dict):
        return {name: tensor.to(dtype) for name, tensor in result.items()}
    return result.to(dtype)
