"""A generated camera on which things were planted: one comes again and again, one rushes through, one only stands."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import read_frames

__all__ = ["LASTS", "planted_camera"]

RATE = 10
LASTS = {"disc": 1.6, "block": 1.2, "bag": 8.0}
"""Seconds."""


def planted_camera(
    folder: Path, scene: Scene, planted: dict[str, tuple[int, Sequence[tuple[str, float]]]]
) -> dict[str, Video]:
    """Videos by name, each of so many seconds of a scene's normal pictures again and again, with what was planted."""
    pictures = [frame.image for video in scene.normal for frame in read_frames(video, short_side=None)]
    found = {}
    for name, (seconds, what) in planted.items():
        drawn = [pictures[number % len(pictures)].copy() for number in range(seconds * RATE)]
        for kind, begin in what:
            for number in range(round(begin * RATE), round((begin + LASTS[kind]) * RATE)):
                DRAW[kind](drawn[number], (number / RATE - begin) / LASTS[kind])
        found[name] = Video(name, _written(folder / f"{name}.mkv", drawn))
    return found


def _disc(picture: np.ndarray, share: float) -> None:
    """Falls in the upper left."""
    height, width = picture.shape
    down, across = (0.05 + 0.35 * share) * height, 0.2 * width
    rows, columns = np.mgrid[:height, :width]
    picture[(rows - down) ** 2 + (columns - across) ** 2 < (0.1 * height) ** 2] = 250


def _block(picture: np.ndarray, share: float) -> None:
    """Crosses the lower half."""
    height, width = picture.shape
    left, top = int((0.05 + 0.7 * share) * width), int(0.6 * height)
    picture[top : top + height // 4, left : left + height // 4] = 5


def _bag(picture: np.ndarray, share: float) -> None:
    """Stands in the lower left, and does nothing."""
    height, width = picture.shape
    part = picture[height // 2 :, : width // 3]
    part[:] = 230
    part[::4] = 20


DRAW = {"disc": _disc, "block": _block, "bag": _bag}


def _written(path: Path, pictures: Sequence[np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = "gray"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
