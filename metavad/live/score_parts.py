"""Scores of a while as a few bytes: kept so that another threshold can be tried on them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from metavad.types import FloatArray

__all__ = ["HOUR", "ScorePart"]

HOUR = 3600.0
_MICROSECONDS = 1e6


@dataclass(frozen=True)
class ScorePart:
    """Scores of frames in a row, of one recording and one hour: times to the microsecond, scores as float32.

    The bytes of all numbers lie by their place in a number (the first ones of all, then the second ones), since
    neighbours are alike, and are compressed by zlib: about a tenth of a megabyte for an hour.
    """

    recording: int
    first: float
    """Seconds of the first frame."""
    last: float
    count: int
    data: bytes

    @classmethod
    def of(cls, recording: int, seconds: FloatArray, scores: FloatArray) -> Self:
        """``seconds`` (T,), rising, and ``scores`` (T,); of at least one frame."""
        times = np.round(np.asarray(seconds, np.float64) * _MICROSECONDS).astype(np.int64)
        apart = np.diff(times, prepend=times[:1]).astype(np.uint32)
        data = zlib.compress(_shuffled(apart) + _shuffled(np.asarray(scores, np.float32)))
        return cls(recording, float(times[0] / _MICROSECONDS), float(times[-1] / _MICROSECONDS), len(times), data)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Parts of one recording, in order of time, as one."""
        arrays = [part.arrays() for part in parts]
        seconds, scores = (np.concatenate(each) for each in zip(*arrays, strict=True))
        return cls.of(parts[0].recording, seconds, scores)

    @property
    def hour(self) -> int:
        """In which it begins, counted from the clock's 0."""
        return int(self.first // HOUR)

    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """Seconds (T,) and scores (T,)."""
        data = zlib.decompress(self.data)
        half = len(data) // 2
        apart = _unshuffled(data[:half], np.dtype(np.uint32)).astype(np.int64)
        times = round(self.first * _MICROSECONDS) + np.cumsum(apart)
        return times / _MICROSECONDS, _unshuffled(data[half:], np.dtype(np.float32)).astype(np.float64)


def _shuffled(numbers: np.ndarray) -> bytes:
    return np.ascontiguousarray(numbers.view(np.uint8).reshape(len(numbers), -1).T).tobytes()


def _unshuffled(data: bytes, kind: np.dtype) -> np.ndarray:
    rows = np.frombuffer(data, np.uint8).reshape(kind.itemsize, -1)
    return np.ascontiguousarray(rows.T).view(kind).reshape(-1)
