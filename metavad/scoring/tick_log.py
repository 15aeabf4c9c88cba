"""Maps and boxes of the ticks of a video, kept on disk for whoever draws them afterwards."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

import numpy as np

from metavad.scoring.frames import FrameScore
from metavad.types import Box, FloatArray

__all__ = ["DrawnTick", "TickLog"]

_HIGHEST = 60_000.0
"""Nats that two bytes hold."""


@dataclass(frozen=True)
class DrawnTick:
    """What is drawn of a tick, from its frame to the next one's."""

    index: int
    """Its frame of the file."""
    box: Box | None
    heat: FloatArray
    """As that of :class:`FrameScore`."""


class TickLog:
    """Some bytes a tick in a file without a name, gone when the block ends; memory does not grow with the video."""

    def __init__(self, folder: Path) -> None:
        """The file lies on the disk of this folder."""
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it is read after what writes it
        self._form: np.dtype[np.void] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def watch(self, frames: Iterable[FrameScore]) -> Iterator[FrameScore]:
        """The same frames, with each tick kept when its first frame comes by."""
        last = None
        for frame in frames:
            if frame.heat is not None and frame.heat is not last:
                self._keep(frame, frame.heat)
                last = frame.heat
            yield frame

    def _keep(self, frame: FrameScore, heat: FloatArray) -> None:
        if self._form is None:
            self._form = np.dtype([("index", "<i8"), ("box", "<f4", (4,)), ("heat", "<f2", heat.shape)])
        row = np.zeros((), self._form)
        row["index"], row["heat"] = frame.index, np.clip(heat, -_HIGHEST, _HIGHEST)
        row["box"] = np.nan if frame.box is None else frame.box
        self._file.write(row.tobytes())

    def ticks(self) -> Iterator[DrawnTick]:
        """What was kept, in order of time."""
        self._file.seek(0)
        while self._form is not None and (content := self._file.read(self._form.itemsize)):
            row = np.frombuffer(content, self._form)[0]
            x0, y0, x1, y1 = row["box"].tolist()
            yield DrawnTick(int(row["index"]), None if np.isnan(x0) else (x0, y0, x1, y1), row["heat"].astype(float))
