"""A clip resolved: what experts read, as tensors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["Sample", "chosen", "gathered", "join"]


@dataclass(frozen=True)
class Sample:
    """The features of B clips of one camera, T ticks each; ``sample["frames"]`` is one of them."""

    features: Mapping[str, Tensor]
    """By name, (B, T, ...): ``frames`` (B, T, H, W) from 0, black, to 1, white."""
    known: Mapping[str, Tensor]
    """By name, (B, T): false where the clip is too short for the feature (no past yet) or already over."""
    seconds: Tensor
    """(B, T), from the clip's first tick."""
    origins: Tensor | None = None
    """(B, 2): of each clip the number of its video, and the second at which it begins there; without it every clip is
    of a time of its own."""

    def __getitem__(self, name: str) -> Tensor:
        return self.features[name]

    @property
    def clips(self) -> int:
        """B."""
        return int(self.seconds.shape[0])

    def select(self, clips: Sequence[int]) -> "Sample":
        """Only some clips.

        Args:
            clips: their numbers, from 0; of a range, nothing is copied.
        """
        return self._each(lambda tensor: chosen(tensor, clips))

    def parts(self, most: int) -> list["Sample"]:
        """The clips in their order, in few parts of about the same length.

        Args:
            most: clips of a part, at most.
        """
        count = max(1, -(-self.clips // max(1, most)))
        edges = [self.clips * part // count for part in range(count + 1)]
        return [self] if count == 1 else [self.select(range(*edge)) for edge in pairwise(edges)]

    def since(self, tick: int) -> "Sample":
        """Every clip without its first ticks; seconds still count from where the clip began.

        Args:
            tick: the first that is kept.
        """
        return self._ticks(slice(tick, None))

    def until(self, tick: int) -> "Sample":
        """Every clip up to a tick.

        Args:
            tick: the last that is kept.
        """
        return self._ticks(slice(tick + 1))

    def lasting(self, ticks: int) -> "Sample":
        """Every clip with so many ticks in all: of those after its own, nothing is known.

        Args:
            ticks: T of what is given.
        """
        longer = replace(self, origins=None)._each(lambda tensor: _pad(tensor, ticks))
        return replace(longer, origins=self.origins)

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Sample":
        """On another device.

        Args:
            device: such as ``"cuda"``.
            dtype: of floating features.
        """
        return self._each(lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))

    def on(self, device: torch.device | str | None) -> "Sample":
        """On another device, as it is.

        Args:
            device: such as ``"cuda"``; where none is named, the same.
        """
        return self if device is None else self._each(lambda tensor: tensor.to(device))

    def _ticks(self, part: slice) -> "Sample":
        return replace(self._each(lambda tensor: tensor[:, part]), origins=self.origins)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        return Sample(
            {name: change(tensor) for name, tensor in self.features.items()},
            {name: change(tensor) for name, tensor in self.known.items()},
            change(self.seconds),
            None if self.origins is None else change(self.origins),
        )

    def _tensors(self) -> list[Tensor]:
        return [*self.features.values(), *self.known.values(), self.seconds]

    def effective_sample_size(self, apart: float) -> float:
        """How many independent clips these are worth, at most B: those of one video by the time that they span.

        Two clips a second apart show the same people at the same places: of one video, clips count as one and one
        more for every ``apart`` seconds from the first to the last.

        Args:
            apart: seconds after which a clip counts as another.
        """
        if self.origins is None:
            return float(self.clips)
        begins: dict[float, list[float]] = {}
        for video, second in self.origins.tolist():
            begins.setdefault(video, []).append(second)
        return sum(min(len(each), 1.0 + (max(each) - min(each)) / apart) for each in begins.values())


def chosen(tensor: Tensor, clips: Sequence[int]) -> Tensor:
    """What a tensor (K, ...) holds of clips of these numbers; of a range, without a copy."""
    return tensor[slice(clips.start, clips.stop, clips.step) if isinstance(clips, range) else list(clips)]


def join(samples: Sequence[Sample]) -> Sample:
    """One sample of all clips; shorter clips are padded with ticks that are not known."""
    clips, ticks = sum(sample.clips for sample in samples), max(int(sample.seconds.shape[1]) for sample in samples)
    return gathered(samples, clips, ticks)


def gathered(samples: Iterable[Sample], clips: int, ticks: int) -> Sample:
    """The same as they come, of so many clips in all and at most so many ticks: each is copied and not kept."""
    whole: Sample | None = None
    origins, place = list[Tensor](), 0
    for sample in samples:
        padded = replace(sample, origins=None)._each(lambda tensor: _pad(tensor, ticks))
        if whole is None:
            whole = padded._each(lambda tensor: tensor.new_empty((clips, *tensor.shape[1:])))
        for into, tensor in zip(whole._tensors(), padded._tensors(), strict=True):
            into[place : place + sample.clips] = tensor
        origins += [] if sample.origins is None else [sample.origins]
        place += sample.clips
    if whole is None:
        raise ValueError("expected at least one sample, found none")
    known = bool(origins) and sum(map(len, origins)) == clips
    return replace(whole, origins=torch.cat(origins) if known else None)


def _pad(tensor: Tensor, length: int) -> Tensor:
    missing = length - tensor.shape[1]
    if missing == 0:
        return tensor
    return torch.cat([tensor, tensor.new_zeros((tensor.shape[0], missing, *tensor.shape[2:]))], dim=1)
