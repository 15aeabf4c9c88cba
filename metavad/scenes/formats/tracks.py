"""Boxes over time as the datasets write them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from metavad.errors import LabelError
from metavad.scenes.formats.masks import object_id_maps
from metavad.scenes.formats.reading import number_of, number_rows, text_at, whole_number
from metavad.scenes.scene import LabelSource, Video
from metavad.types import BoolArray

__all__ = ["TrackFormat", "TrackedBox", "object_boxes", "street_scene_boxes", "track_rows"]


TrackedBox: TypeAlias = tuple[int, int, int, int, int, int]
"""Track, frame, x0, y0, x1, y1: pixels of the cropped picture, half-open."""


TrackFormat: TypeAlias = Callable[[LabelSource, Video, int], list[TrackedBox]]
"""Boxes of all tracks of a video."""


def object_boxes(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    """The largest contour of each object in each frame, while a tracks file beside the maps lists it."""
    spans = _spans(source.of(video), video)
    boxes = []
    for frame, ids in enumerate(object_id_maps(source, video, frames)):
        for name in (int(value) for value in np.unique(ids) if value):
            if spans is None or any(name == own and a <= frame <= b for own, a, b in spans):
                boxes.append((name, frame, *_largest_box(ids == name)))
    return boxes


def _spans(folder: Path, video: Video) -> list[list[float]] | None:
    """Rows of the tracks file; where there is one called new, it replaces the other."""
    for ending in ("new_tracks", "tracks"):
        path = folder / f"{video.name}_{ending}.txt"
        if path.exists() and path.read_bytes()[:6] != b"\x93NUMPY":
            return [row for _, row in number_rows(path, 3)]
    return None


def _largest_box(mask: BoolArray) -> tuple[int, int, int, int]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = max(map(cv2.boundingRect, contours), key=lambda box: box[2] * box[3])
    return int(x), int(y), int(x + width), int(y + height)


def street_scene_boxes(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    """``.../007.jpg TRACK X Y W H`` a line: frame from 1, top-left and size."""
    path = source.of(video)
    boxes = []
    for number, line in enumerate(text_at(path).splitlines(), 1):
        where, match = f"{path}, line {number}", re.fullmatch(r"(?:.*\D)?(\d+)\.\w+((?:\s+\S+){5})\s*", line)
        if line.strip() and not match:
            raise LabelError(f"{where}: expected NAME.jpg TRACK X Y W H, found {line.strip()!r}")
        if match:
            frame, track, *sides = (number_of(text, where) for text in (match[1], *match[2].split()))
            x, y, width, height = map(round, sides)
            boxes.append((whole_number(track, where), int(frame) - 1, x, y, x + width, y + height))
    return _inside(boxes, frames, path)


def track_rows(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    """``track,frame,xmin,ymin,xmax,ymax`` a line, frames from 0, last pixels inside; no file: no track."""
    path = source.of(video)
    if source.normal_throughout(video):
        return []
    boxes = []
    for where, (track, frame, *sides) in number_rows(path, 6):
        x, y, xx, yy = map(int, sides)
        boxes.append((whole_number(track, where), whole_number(frame, where), x, y, xx + 1, yy + 1))
    return _inside(boxes, frames, path)


def _inside(boxes: list[TrackedBox], frames: int, path: Path) -> list[TrackedBox]:
    """The same boxes, all of them in frames that exist and with an area."""
    for box in boxes:
        if not 0 <= box[1] < frames:
            raise LabelError(f"{path}: expected frames 0 to {frames - 1}, found a box in frame {box[1]}")
        if box[2] >= box[4] or box[3] >= box[5]:
            raise LabelError(f"{path}: expected boxes with an area, found {box[2:]} in frame {box[1]}")
    return boxes
