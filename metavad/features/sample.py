"""A clip resolved: what experts read, as tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Sample", "join"]


@dataclass(frozen=True)
class Sample:
    """The features of B clips of one camera, T ticks each.

    ``features[name]`` has the shape (B, T, ...); ``known[name]`` (B, T) is false where the clip is too short
    for the feature (no past yet) or already over; ``seconds`` (B, T) counts from the clip's first tick.
    ``origins`` (B, 2) says of each clip the number of its video and the second at which it begins there; without
    it every clip is of a time of its own.
    """

    features: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    seconds: Tensor
    origins: Tensor | None = None

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

    def since(self, tick: int) -> "Sample":
        """Every clip without its ticks before this one; seconds still count from where the clip began."""
        return self._ticks(slice(tick, None))

    def until(self, tick: int) -> "Sample":
        """Every clip up to this tick, and with it."""
        return self._ticks(slice(tick + 1))

    def lasting(self, ticks: int) -> "Sample":
        """Every clip with so many ticks in all: of those after its own, nothing is known."""
        longer = replace(self, origins=None)._each(lambda tensor: _pad(tensor, ticks))
        return replace(longer, origins=self.origins)

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Sample":
        """On another device, floating features in ``dtype``."""
        return self._each(lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))

    def _ticks(self, part: slice) -> "Sample":
        return replace(self._each(lambda tensor: tensor[:, part]), origins=self.origins)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        return Sample(
            {name: change(tensor) for name, tensor in self.features.items()},
            {name: change(tensor) for name, tensor in self.known.items()},
            change(self.seconds),
            None if self.origins is None else change(self.origins),
        )

    def moments(self, apart: float) -> float:
        """How many times of the camera the clips show, at most B: those of one video by the time that they span.

        Two clips a second apart show the same people at the same places: of one video, clips count as one and one
        more for every ``apart`` seconds from the first to the last.
        """
        if self.origins is None:
            return float(self.clips)
        begins: dict[float, list[float]] = {}
        for video, second in self.origins.tolist():
            begins.setdefault(video, []).append(second)
        return sum(min(len(each), 1.0 + (max(each) - min(each)) / apart) for each in begins.values())


def join(samples: Sequence[Sample]) -> Sample:
    """One sample of all clips; shorter clips are padded with ticks that are not known."""
    longest = max(int(sample.seconds.shape[1]) for sample in samples)
    padded = [replace(sample, origins=None)._each(lambda tensor: _pad(tensor, longest)) for sample in samples]
    first = padded[0]
    return Sample(
        {name: torch.cat([sample.features[name] for sample in padded]) for name in first.features},
        {name: torch.cat([sample.known[name] for sample in padded]) for name in first.known},
        torch.cat([sample.seconds for sample in padded]),
        _origins(samples),
    )


def _origins(samples: Sequence[Sample]) -> Tensor | None:
    known = [sample.origins for sample in samples if sample.origins is not None]
    return torch.cat(known) if len(known) == len(samples) else None


def _pad(tensor: Tensor, length: int) -> Tensor:
    missing = length - tensor.shape[1]
    if missing == 0:
        return tensor
    return torch.cat([tensor, tensor.new_zeros((tensor.shape[0], missing, *tensor.shape[2:]))], dim=1)
