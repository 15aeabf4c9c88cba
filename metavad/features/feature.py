"""What a feature is: a causal function of working frames, cheap to store, computed once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from metavad.recordings import recordings
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import VideoFacts
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = ["Feature", "Reading", "grid_of"]


@dataclass(frozen=True)
class Reading:
    """What a stream is about to see: a video, what is known of it (after cropping), and the frame of each tick."""

    video: Video
    facts: VideoFacts
    crop: Crop
    frames: IntArray

    @property
    def seconds(self) -> FloatArray:
        """Time of each tick in the file (T,)."""
        return self.facts.seconds[self.frames]

    def recordings(self) -> "list[Reading]":
        """Each recording by itself: nothing that keeps the past may take it across a gap."""
        edges = np.searchsorted(self.frames, recordings(self.facts.seconds))
        return [replace(self, frames=self.frames[start:stop]) for start, stop in edges if start < stop]


class Feature(ABC):
    """Pixels to what an expert reads. Rows are bytes, so that a cached hour is small."""

    name: ClassVar[str]
    past: float = 0.0
    """Seconds of past without which a row is not known."""
    picture: ClassVar[bool] = True
    """Whether the last two axes of a row are down and across the frame; else it is a list of things."""
    frames_kept: float = 0.0
    """Working frames a second that are kept of a clip beside its rows, for people to see what was there; 0: none."""

    @property
    def needs_files(self) -> bool:
        """Whether it reads what lies beside the video, so that pictures alone are not enough."""
        return False

    def of(self, reading: Reading) -> Self:
        """The same for one video, where more than its pictures counts (a file of poses beside it)."""
        return self

    @abstractmethod
    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """A fresh stream: each working frame (H, W) and its time in seconds to that tick's row."""

    @abstractmethod
    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Shape of one row for working frames of this size."""

    @abstractmethod
    def tensor(self, rows: np.ndarray) -> Tensor:
        """Stored rows (T, ...) as the floats that experts read."""

    @abstractmethod
    def key(self) -> Mapping[str, object]:
        """What its values depend on, for the cache."""


def grid_of(height: int, width: int, rows: int) -> tuple[int, int]:
    """Cells (h, w) of a picture of this size: square, ``rows`` along the shorter side.

    >>> grid_of(240, 360, 30), grid_of(60, 90, 30), grid_of(30, 45, 30)
    ((30, 45), (30, 45), (30, 45))
    """
    cell = min(height, width) / rows
    return max(1, round(height / cell)), max(1, round(width / cell))
