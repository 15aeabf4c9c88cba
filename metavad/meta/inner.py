"""The inner loop of MAML: a few gradient steps from an initialisation; training and adaptation share it.

Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from metavad.errors import ConfigError, nearest
from metavad.experts.base import Parameters

__all__ = ["Order", "StepSizes", "adapting", "free_of", "inner_loop", "inner_path", "positive", "size_at"]

Order: TypeAlias = Literal[1, 2]
"""2 differentiates through the inner gradients, 1 takes them as constants."""
StepSizes: TypeAlias = Mapping[str, Tensor]
"""Positive; a scalar a tensor, the tensor's own shape, or one more axis in front: the inner step."""
Shown = TypeVar("Shown")


def inner_loop(
    loss: Callable[[Parameters, Shown], Tensor],
    params: Parameters,
    step_sizes: StepSizes,
    support: Shown,
    *,
    steps: int,
    order: Order,
) -> Parameters:
    """``steps`` steps of gradient descent, params <- params - step size * d loss(params, support) / d params.

    ``loss`` gives a scalar. Parameters without a step size, and those that the loss does not touch, stay.
    The result is differentiable in ``params`` and ``step_sizes``; with order 1 the inner gradients are
    constants, which is also what adaptation at test time uses. The arguments are not changed.
    """
    path = inner_path(loss, params, step_sizes, support, steps=steps, order=order)
    return deque(path, maxlen=1).pop()


def inner_path(
    loss: Callable[[Parameters, Shown], Tensor],
    params: Parameters,
    step_sizes: StepSizes,
    support: Shown,
    *,
    steps: int,
    order: Order,
) -> Iterator[Parameters]:
    """The parameters before the first inner step, and after each; see :func:`inner_loop`.

    Under ``torch.no_grad`` the steps are the same, and what is given carries no graph.
    """
    yield params
    for step in range(steps):
        params = _ready(params, step_sizes)
        with torch.enable_grad():
            gradients = inner_gradients(loss(params, support), params, step_sizes, order)
        sizes = {name: size_at(step_sizes[name], step, params[name]) for name in gradients}
        moved = {name: params[name] - sizes[name] * gradient for name, gradient in gradients.items()}
        params = {**params, **moved}
        yield params


def _ready(params: Parameters, names: Container[str]) -> Parameters:
    """The same values, such that gradients can be asked for those that move."""
    return {
        name: tensor.detach().requires_grad_() if name in names and not tensor.requires_grad else tensor
        for name, tensor in params.items()
    }


def inner_gradients(loss: Tensor, params: Parameters, names: Iterable[str], order: Order) -> Parameters:
    """Gradients for the parameters of these names, without those that the loss does not touch."""
    kept = [name for name in names if name in params]
    if not kept:
        return {}
    found = torch.autograd.grad(loss, [params[name] for name in kept], create_graph=order == 2, allow_unused=True)
    return {name: gradient for name, gradient in zip(kept, found, strict=True) if gradient is not None}


def size_at(size: Tensor, step: int, parameter: Tensor) -> Tensor:
    """The step size of one inner step; beyond the last learned one, that one holds."""
    if size.ndim <= parameter.ndim:
        return size
    return size[min(step, len(size) - 1)]


def positive(free: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Step sizes of free tensors, by softplus; what the outer loop learns are the free ones."""
    return {name: functional.softplus(tensor) for name, tensor in free.items()}


def free_of(size: float) -> float:
    """The free number whose softplus is ``size``.

    >>> round(float(functional.softplus(torch.tensor(free_of(0.01), dtype=torch.float64))), 12)
    0.01
    """
    wanted = torch.tensor(size, dtype=torch.float64)
    return float(torch.log(torch.expm1(wanted)) if size < 30 else wanted)


def adapting(names: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """The parameter names that match at least one pattern, ``*`` for anything.

    Raises :class:`ConfigError` naming a pattern that matches nothing.
    """
    known = list(names)
    wanted = list(patterns)
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise ConfigError(
                f"meta.adapts: expected patterns of parameter names, found {pattern!r}; {nearest(pattern, known)}"
            )
    return tuple(name for name in known if any(fnmatchcase(name, pattern) for pattern in wanted))
