"""Clips as they are stored: what each feature made of their ticks, in bytes, and nothing that needs their video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from metavad.types import ByteArray, FloatArray

__all__ = ["StoredClip", "stored_tensors", "unstored"]


@dataclass(frozen=True)
class StoredClip:
    """The T ticks of one clip: a sample of it can be made without its video."""

    rows: Mapping[str, ByteArray]
    """By feature, as :class:`~metavad.features.feature.Feature` stores them (T, ...)."""
    seconds: FloatArray
    """Of each tick (T,), from the first one on."""

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return sum(each.nbytes for each in self.rows.values()) + self.seconds.nbytes


def stored_tensors(clips: Sequence[StoredClip], names: Sequence[str]) -> dict[str, Tensor]:
    """Clips one after the other: ``rows.<feature>`` and ``seconds`` of all ticks, and how many ``ticks`` each has."""
    if not clips:
        return {"ticks": torch.zeros(0, dtype=torch.int64)}
    rows = {f"rows.{name}": torch.from_numpy(np.concatenate([clip.rows[name] for clip in clips])) for name in names}
    seconds = torch.from_numpy(np.concatenate([clip.seconds for clip in clips]).astype(np.float64))
    return rows | {"seconds": seconds, "ticks": torch.tensor([len(clip.seconds) for clip in clips])}


def unstored(tensors: Mapping[str, Tensor]) -> tuple[StoredClip, ...]:
    """The clips again; raises :class:`ValueError` where their ticks are not those that are there."""
    ticks = tensors["ticks"].tolist()
    rows = {name.removeprefix("rows."): each for name, each in tensors.items() if name.startswith("rows.")}
    together = int(tensors["seconds"].numel()) if "seconds" in tensors else 0
    if sum(ticks) != together or min(ticks, default=1) < 1 or {len(each) for each in rows.values()} - {together}:
        raise ValueError(f"{together} ticks, its clips have {sum(ticks)}")
    edges = np.cumsum([0, *ticks]).tolist()
    return tuple(
        StoredClip({name: each[a:b].numpy() for name, each in rows.items()}, tensors["seconds"][a:b].numpy())
        for a, b in pairwise(edges)
    )
