"""Several experts as one: disjoint parameters, so that the sum of their losses trains each by itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar, TypeVarTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metavad.experts.base import Expert, Memory
from metavad.features.sample import Sample

__all__ = ["ExpertSet", "memory_of", "under"]

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


class ExpertSet(nn.ModuleDict):
    """Experts by name; parameters are called ``"<expert>.<parameter>"``, memory likewise."""

    def __init__(self, experts: Iterable[Expert]) -> None:
        super().__init__({expert.name: expert for expert in experts})

    def each(self) -> Iterator[tuple[str, Expert]]:
        """Names and experts, in their order."""
        return cast(Iterator[tuple[str, Expert]], iter(self.items()))

    @property
    def reads(self) -> tuple[str, ...]:
        """The features that at least one expert reads."""
        return tuple(dict.fromkeys(name for _, expert in self.each() for name in expert.reads))

    @property
    def kept_buffers(self) -> dict[str, Tensor]:
        """What is neither learned nor a setting, and has to be kept with the parameters."""
        parameters = dict(self.named_parameters())
        return {name: tensor for name, tensor in self.state_dict().items() if name not in parameters}

    @property
    def adaptable(self) -> tuple[str, ...]:
        """Names of the parameters that inner steps may change: all but those that their expert calls fixed."""
        fixed = [f"{name}.{pattern}" for name, expert in self.each() for pattern in expert.fixed]
        return tuple(
            name for name, _ in self.named_parameters() if not any(fnmatchcase(name, pattern) for pattern in fixed)
        )

    @property
    def heads(self) -> tuple[str, ...]:
        """Those of them that make up the experts' heads; of an expert that names none, its last layer."""
        names = self.adaptable
        patterns = [f"{name}.{pattern}" for name, expert in self.each() for pattern in expert.head]
        last = {name.partition(".")[0]: name.rpartition(".")[0] for name in names}
        layers = {last[name] for name, expert in self.each() if not expert.head and name in last}
        return tuple(
            name
            for name in names
            if name.rpartition(".")[0] in layers or any(fnmatchcase(name, pattern) for pattern in patterns)
        )

    def condition(self, support: Sample) -> Memory:
        """All experts' memories, each key with its expert's name before it; B = 0 means nothing was shown."""
        return {
            f"{name}.{key}": tensor for name, expert in self.each() for key, tensor in expert.condition(support).items()
        }

    def losses(self, sample: Sample, memory: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each expert's loss, a scalar."""
        return {name: expert.loss(sample, memory_of(name, memory)) for name, expert in self.each()}

    def loss(self, sample: Sample, memory: Mapping[str, Tensor]) -> Tensor:
        """The sum of the experts' losses."""
        return torch.stack(list(self.losses(sample, memory).values())).sum()

    def score(
        self, sample: Sample, memory: Mapping[str, Tensor], starts: Mapping[str, int] | None = None
    ) -> dict[str, Tensor]:
        """Each expert's score map (B, T, h, w), higher = more anomalous.

        ``starts`` names for each expert the tick from which on it reads the sample; its map then begins there.
        """
        starts = starts or {}
        return {
            name: expert.score(sample.since(starts.get(name, 0)), memory_of(name, memory))
            for name, expert in self.each()
        }

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(self, *arguments)``: the way in for ``functional_call``; use :func:`under`."""
        return function(self, *arguments)


def under(
    experts: ExpertSet,
    parameters: Mapping[str, Tensor],
    function: Callable[[ExpertSet, *Given], Result],
    *arguments: *Given,
) -> Result:
    """``function(experts, *arguments)`` with these parameters in place of its own; nothing is changed.

    >>> under(experts, adapted, ExpertSet.score, sample, memory)  # doctest: +SKIP
    """
    return cast(Result, functional_call(experts, dict(parameters), (function, *arguments)))


def memory_of(name: str, memory: Mapping[str, Tensor]) -> Memory:
    """The part of a joint memory that belongs to one expert."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in memory.items() if key.startswith(prefix)}
