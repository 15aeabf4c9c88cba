"""Which grey a value is in pictures of more than 8 bits: by the range that the data use, not by what would fit.

Cameras of 10, 12 or 14 bits and thermal ones write 16 bits a pixel and use a part of them; divided by 256, as
decoders do, such pictures are black or nearly of one grey.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from metavad.types import ByteArray

__all__ = ["BEFOREHAND", "DARK", "FIRST", "GreyRange", "from_light", "grey_range_of"]

Item = TypeVar("Item")

BEFOREHAND, FIRST = 0.5, 16
"""Seconds of pictures that tell the range of values, and so many at most: no score may depend on later ones."""
DARK = 256
"""Pictures of one value that may come before those."""
LOST = 0.05
"""Share of a picture beyond the range from which it is said."""
LEAST = 1 / 8
"""Share of the values that so many bits allow which pictures must use, or the range that they use is taken."""


@dataclass(frozen=True)
class GreyRange:
    """Values from ``low`` to ``low + span`` are grey 0 to 255; what is beyond is black or white."""

    low: float
    span: float

    @property
    def high(self) -> float:
        """The first value that is beyond white."""
        return self.low + self.span

    def grey(self, picture: NDArray[np.generic]) -> ByteArray:
        """``picture`` of any numbers as bytes, of the same shape; what is no number is black."""
        values = np.clip(np.asarray(picture, np.float64), self.low, self.high) - self.low
        return np.minimum(np.nan_to_num(values) * (256 / self.span), 255).astype(np.uint8)

    def note(self, bits: int, pictures: int) -> str:
        """What a user should know of it, by so many pictures of so many bits."""
        return (
            f"pictures of {bits} bits; grey 0 to 255 stands for the values {self.low:g} to {self.high:g}, "
            f"by the first {pictures}"
        )

    def lost(self, picture: NDArray[np.generic]) -> float:
        """Share of ``picture`` that lies beyond the range."""
        values = np.asarray(picture, np.float64)
        return float(np.mean((values < self.low) | (values >= self.high)))

    def loss_note(self, picture: NDArray[np.generic], name: str) -> str:
        """What a user should know of a picture of which much lies beyond the range; nothing of a dark one."""
        if (lost := self.lost(picture)) <= LOST or _is_dark(picture):
            return ""
        return (
            f"{lost:.0%} of {name} lie beyond the values {self.low:g} to {self.high:g} that the first pictures use, "
            "and are black or white"
        )


def from_light(pictures: Iterable[Item], values: Callable[[Item], NDArray[np.generic]]) -> Iterator[Item]:
    """The pictures from the first on that shows more than one value; where all are dark, the first of them."""
    rest, dark = iter(pictures), list[Item]()
    for picture in islice(rest, DARK):
        if not _is_dark(values(picture)):
            return chain([picture], rest)
        dark += [picture] if len(dark) <= FIRST else []
    return iter(dark)


def _is_dark(picture: NDArray[np.generic]) -> bool:
    """Whether it is of one value: it shows nothing in any range."""
    return bool(picture.min() == picture.max())


def grey_range_of(pictures: Iterable[NDArray[np.generic]]) -> GreyRange:
    """The range of a camera by its first ``pictures``, which are not of bytes.

    Of whole numbers: all values of 8, 10, 12, 14 or 16 bits, whichever are the fewest that hold them, where the
    pictures use a good part of these; else, as of thermal cameras, what they use with room at both sides, on a
    coarse scale, so that another folder of the same camera most often gets the same. A thousandth of the values at
    each end is left out: pixels that are dead or hot.
    """
    values = np.concatenate([_some(picture) for picture in pictures])
    if not len(values):
        return GreyRange(0.0, 1.0)
    low, high = (float(value) for value in np.quantile(values, (0.001, 0.999), method="nearest"))
    if not np.issubdtype(values.dtype, np.integer):
        return _used(low, high)
    bits = next((bits for bits in (8, 10, 12, 14, 16) if high < 2**bits), 32)
    return GreyRange(0.0, 2.0**bits) if low >= 0 and high - low >= LEAST * 2**bits else _used(low, high, floor=low >= 0)


def _some(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    """Up to a hundred thousand values of a picture, of every part of it."""
    step = math.ceil(math.sqrt(picture.size / 10**5)) or 1
    values = np.ravel(picture[::step, ::step])
    return values[np.isfinite(values)]


def _used(low: float, high: float, *, floor: bool = False) -> GreyRange:
    """The range [low, high] and a step more at each side, in steps of a power of two."""
    if low == high:
        return GreyRange(low - 0.5, 1.0)
    step = 2.0 ** math.floor(math.log2((high - low) / 2))
    first, last = (math.floor(low / step) - 1) * step, (math.floor(high / step) + 2) * step
    first = max(first, 0.0) if floor else first
    return GreyRange(first, last - first)
