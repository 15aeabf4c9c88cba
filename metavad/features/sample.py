"""A clip resolved: what experts read, as tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sample", "join"]


@dataclass(frozen=True)
class Sample:
    """The features of B clips of one camera, T ticks each.

    ``features[name]`` has the shape (B, T, ...); ``known[name]`` (B, T) is false where the clip is too short
    for the feature (no past yet) or already over; ``seconds`` (B, T) counts from the clip's first tick.
    """

    features: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    seconds: Tensor

    def __getitem__(self, name: str) -> Tensor:
        return self.features[name]

    @property
    def clips(self) -> int:
        """B."""
        return int(self.seconds.shape[0])

    def select(self, clips: Sequence[int]) -> "Sample":
        """Only the clips of these numbers."""
        index = list(clips)
        return self._each(lambda tensor: tensor[index])

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Sample":
        """On another device, floating features in ``dtype``."""
        return self._each(lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        return Sample(
            {name: change(tensor) for name, tensor in self.features.items()},
            {name: change(tensor) for name, tensor in self.known.items()},
            change(self.seconds),
        )


def join(samples: Sequence[Sample]) -> Sample:
    """One sample of all clips; shorter clips are padded with ticks that are not known."""
    longest = max(int(sample.seconds.shape[1]) for sample in samples)
    padded = [sample._each(lambda tensor: _pad(tensor, longest)) for sample in samples]
    first = padded[0]
    return Sample(
        {name: torch.cat([sample.features[name] for sample in padded]) for name in first.features},
        {name: torch.cat([sample.known[name] for sample in padded]) for name in first.known},
        torch.cat([sample.seconds for sample in padded]),
    )


def _pad(tensor: Tensor, length: int) -> Tensor:
    missing = length - tensor.shape[1]
    if missing == 0:
        return tensor
    return torch.cat([tensor, tensor.new_zeros((tensor.shape[0], missing, *tensor.shape[2:]))], dim=1)
