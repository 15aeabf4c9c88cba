"""Clips as they are stored: what each feature made of their ticks, in bytes, and nothing that needs their video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    looks: Mapping[int, bytes] = field(default_factory=dict)
    """By tick its working frame as a grey JPEG, of some ticks; none where no feature asks for them."""

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        looks = sum(map(len, self.looks.values()))
        return sum(each.nbytes for each in self.rows.values()) + self.seconds.nbytes + looks


def stored_tensors(clips: Sequence[StoredClip], names: Sequence[str]) -> dict[str, Tensor]:
    """Clips one after the other: ``rows.<feature>`` and ``seconds`` of all ticks, and how many ``ticks`` each has.

    Where any has looks: ``looks.jpeg``, their bytes one after the other, and (clip, tick, bytes) of each, ``looks.of``.
    """
    if not clips:
        return {"ticks": torch.zeros(0, dtype=torch.int64)}
    rows = {f"rows.{name}": torch.from_numpy(np.concatenate([clip.rows[name] for clip in clips])) for name in names}
    seconds = torch.from_numpy(np.concatenate([clip.seconds for clip in clips]).astype(np.float64))
    found = rows | {"seconds": seconds, "ticks": torch.tensor([len(clip.seconds) for clip in clips])}
    looks = [(number, tick, jpeg) for number, clip in enumerate(clips) for tick, jpeg in sorted(clip.looks.items())]
    if looks:
        joined = np.frombuffer(b"".join(jpeg for _, _, jpeg in looks), np.uint8)
        found["looks.jpeg"] = torch.from_numpy(joined.copy())
        found["looks.of"] = torch.tensor([(number, tick, len(jpeg)) for number, tick, jpeg in looks])
    return found


def unstored(tensors: Mapping[str, Tensor]) -> tuple[StoredClip, ...]:
    """The clips again; raises :class:`ValueError` where their ticks are not those that are there."""
    ticks = tensors["ticks"].tolist()
    rows = {name.removeprefix("rows."): each for name, each in tensors.items() if name.startswith("rows.")}
    together = int(tensors["seconds"].numel()) if "seconds" in tensors else 0
    if sum(ticks) != together or min(ticks, default=1) < 1 or {len(each) for each in rows.values()} - {together}:
        raise ValueError(f"{together} ticks, its clips have {sum(ticks)}")
    edges, looks = np.cumsum([0, *ticks]).tolist(), _looks(tensors, ticks)
    return tuple(
        StoredClip({name: each[a:b].numpy() for name, each in rows.items()}, tensors["seconds"][a:b].numpy(), kept)
        for (a, b), kept in zip(pairwise(edges), looks, strict=True)
    )


def _looks(tensors: Mapping[str, Tensor], ticks: Sequence[int]) -> list[dict[int, bytes]]:
    """The looks of clips of so many ticks."""
    found: list[dict[int, bytes]] = [{} for _ in ticks]
    if "looks.of" not in tensors:
        return found
    whole, place = tensors["looks.jpeg"].numpy().tobytes(), 0
    for clip, tick, length in tensors["looks.of"].tolist():
        if not (0 <= clip < len(ticks) and 0 <= tick < ticks[clip] and 0 < length <= len(whole) - place):
            raise ValueError(f"{len(whole)} bytes of looks, and one of {length} of tick {tick} of clip {clip}")
        found[clip][tick] = whole[place : place + length]
        place += length
    return found
