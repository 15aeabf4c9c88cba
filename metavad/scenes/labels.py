"""What is abnormal, as the datasets say it: per frame, per pixel, per track.

A format is a function and one entry in :data:`FORMATS` (frames), :data:`MASK_FORMATS` (pixels) or
:data:`TRACK_FORMATS` (boxes over time). Everywhere 1, true = abnormal.
"""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from metavad.errors import LabelError, nearest
from metavad.scenes.suite import LabelSource, Scene, Video, frame_files
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = [
    "FORMATS",
    "MASK_FORMATS",
    "TRACK_FORMATS",
    "Box",
    "FrameFormat",
    "MaskFormat",
    "TrackFormat",
    "frame_labels",
    "pixel_masks",
    "region_tracks",
]

_F = TypeVar("_F")

Box: TypeAlias = tuple[int, int, int, int, int, int]
"""Track, frame, x0, y0, x1, y1: pixels of the cropped picture, half-open."""
FrameFormat: TypeAlias = Callable[[LabelSource, Video, int], BoolArray]
"""Labels (T,) of a video with so many frames."""
MaskFormat: TypeAlias = Callable[[LabelSource, Video, int], "Iterator[BoolArray] | None"]
"""Masks (H, W), one per frame, or nothing where the dataset has none for this video."""
TrackFormat: TypeAlias = Callable[[LabelSource, Video, int], list[Box]]
"""Boxes of all tracks of a video."""


def frame_labels(scene: Scene, video: Video, frames: int) -> BoolArray:
    """Whether each of the ``frames`` frames of ``video`` is abnormal: (T,).

    Where a scene has pixel masks and no frame labels, a frame is abnormal when any pixel is.
    Raises :class:`LabelError` when labels are missing, of another length, or other than 0 and 1.
    """
    source = scene.labels or scene.pixel_masks
    if source is None:
        raise LabelError(f"{scene.key}: expected labels, found none; say labels = {{ format, path }}")
    if scene.labels is None and source.format not in FORMATS:
        return _any_pixel(scene, video, frames)
    labels = _format(FORMATS, source)(source, video, frames)
    return _checked(labels, source.of(video), frames)


def pixel_masks(scene: Scene, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """Abnormal pixels of each frame, (H, W) of the cropped picture; ``None`` where there are no masks.

    Raises :class:`LabelError` when there are fewer or more masks than frames.
    """
    if scene.pixel_masks is None:
        return None
    source = scene.pixel_masks
    masks = _format(MASK_FORMATS, source)(source, video, frames)
    if masks is None:
        return None
    return (np.asarray(scene.crop.apply(mask), bool) for mask in masks)


def region_tracks(scene: Scene, video: Video, frames: int) -> list[Box]:
    """Boxes of every abnormal track as (track, frame, x0, y0, x1, y1), half-open, in the cropped picture.

    Taken from track files; where there are only masks, from their connected regions, which become a track
    as long as they overlap from frame to frame. Empty where there is neither.
    """
    if scene.tracks is not None:
        boxes = _format(TRACK_FORMATS, scene.tracks)(scene.tracks, video, frames)
        return _cropped_boxes(scene, video, boxes)
    masks = pixel_masks(scene, video, frames)
    return [] if masks is None else _tracks_of_masks(masks)


def _format(formats: dict[str, _F], source: LabelSource) -> _F:
    if source.format not in formats:
        hint = nearest(source.format, formats)
        raise LabelError(f"labels: expected a known format, found {source.format!r}; {hint}")
    return formats[source.format]


def _checked(labels: NDArray[np.generic], path: Path, frames: int) -> BoolArray:
    """Labels as booleans, after every check that a label array deserves."""
    if labels.shape != (frames,):
        found = labels.shape[0] if labels.ndim == 1 else f"an array of shape {labels.shape}"
        raise LabelError(f"{path}: expected {frames} labels, as many as frames, found {found}")
    other = ~np.isin(labels, (0, 1))
    if other.any():
        value = labels[other][0]
        raise LabelError(f"{path}: expected labels 0 or 1, found {value} at frame {int(np.argmax(other))}")
    return labels.astype(bool)


def _any_pixel(scene: Scene, video: Video, frames: int) -> BoolArray:
    """Frame labels of a scene that has masks only; a video without masks has no labels."""
    masks = pixel_masks(scene, video, frames)
    if masks is None:
        raise LabelError(f"{scene.key}: expected labels or masks of {video.name}, found neither")
    return np.array([mask.any() for mask in masks], bool)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise LabelError(f"{path}: expected labels, found nothing; complete the folder or mend the suite")
    return path


def _array(path: Path, *, memory_map: bool = False) -> NDArray[np.generic]:
    """An array file; pickled objects are refused, since reading one runs what it says."""
    try:
        loaded = np.load(_existing(path), mmap_mode="r" if memory_map else None, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        what = "pickled objects" if "allow_pickle" in str(error) else "something else"
        raise LabelError(f"{path}: expected an array of numbers, found {what}; save it again") from error
    if not isinstance(loaded, np.ndarray):
        raise LabelError(f"{path}: expected one array (.npy), found an archive of arrays")
    return loaded


def _npy(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """One value per frame."""
    return _checked(_array(source.of(video)), source.of(video), frames)


def _from_intervals(intervals: list[tuple[int, int]], frames: int, path: Path) -> BoolArray:
    """Labels (T,) of half-open intervals; one that leaves the video is an error."""
    labels = np.zeros(frames, bool)
    for start, stop in intervals:
        if not 0 <= start <= stop <= frames:
            raise LabelError(
                f"{path}: expected intervals inside 0 to {frames}, the length of the video, "
                f"found {start} to {stop}"
            )
        labels[start:stop] = True
    return labels


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table with a header, without blank lines and comments; keys in lower case."""
    text = _existing(path).read_text(encoding="utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [
        {str(key).strip().lower(): (value or "").strip() for key, value in row.items()}
        for row in csv.DictReader(lines)
    ]


def _intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A table ``video,start,end`` for one or many videos; the column ``video`` may be left out."""
    path = source.of(video)
    rows = _rows(path)
    if rows and not {"start", "end"} <= set(rows[0]):
        raise LabelError(f"{path}: expected columns video,start,end, found {','.join(rows[0])}")
    own = [row for row in rows if row.get("video", video.name) in (video.name, video.path.name)]
    if source.unit == "seconds":
        return _in_seconds(own, path, video, frames)
    shift, end = source.first, 1 if source.inclusive else 0
    pairs = [
        (round(_number(row["start"], path)) - shift, round(_number(row["end"], path)) - shift + end)
        for row in own
    ]
    return _from_intervals(pairs, frames, path)


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise LabelError(f"{path}: expected a number, found {text!r}") from error


def _in_seconds(rows: list[dict[str, str]], path: Path, video: Video, frames: int) -> BoolArray:
    """A frame is abnormal when its time lies in [start, end)."""
    seconds = probe(video).seconds
    if len(seconds) != frames:
        raise LabelError(f"{path}: expected {frames} frames in {video.path}, found {len(seconds)}")
    labels = np.zeros(frames, bool)
    for row in rows:
        start, end = _number(row["start"], path), _number(row["end"], path)
        if not 0 <= start <= end:
            raise LabelError(f"{path}: expected 0 <= start <= end in seconds, found {start:g} to {end:g}")
        labels |= (seconds >= start) & (seconds < end)
    return labels


def _ucsd_m(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``TestVideoFile{end+1}.gt_frame = [60:152];``: one line a clip, counted from 1, both ends inside."""
    path = source.of(video)
    lines = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", _existing(path).read_text(encoding="latin-1"))
    number = int((re.findall(r"\d+", video.name) or ["0"])[-1])
    if not 1 <= number <= len(lines):
        raise LabelError(f"{path}: expected a line for clip {number} ({video.name}), found {len(lines)}")
    pairs = re.findall(r"(\d+)\s*:\s*(\d+)", lines[number - 1])
    return _from_intervals([(int(start) - 1, int(end)) for start, end in pairs], frames, path)


def _mask_images(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """A folder of images, one per frame in natural order; any value but 0 is abnormal."""
    folder = source.of(video)
    if not folder.is_dir():
        return None
    files = frame_files(folder)
    if len(files) != frames:
        raise LabelError(f"{folder}: expected {frames} masks, as many as frames, found {len(files)}")
    return (_mask(file) for file in files)


def _mask(path: Path) -> BoolArray:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if picture is None:
        raise LabelError(f"{path}: expected a mask image, found something unreadable; fetch it again")
    picture = np.asarray(picture)
    return np.asarray(picture.any(axis=2) if picture.ndim == 3 else picture > 0, bool)


def _cropped_boxes(scene: Scene, video: Video, boxes: list[Box]) -> list[Box]:
    """Boxes in the cropped picture; those that the crop leaves nothing of go."""
    if scene.crop == type(scene.crop)():
        return boxes
    facts = probe(video, scene.crop)
    left, top = scene.crop.left, scene.crop.top
    moved = []
    for track, frame, x0, y0, x1, y1 in boxes:
        x, xx = max(x0 - left, 0), min(x1 - left, facts.width)
        y, yy = max(y0 - top, 0), min(y1 - top, facts.height)
        if x < xx and y < yy:
            moved.append((track, frame, x, y, xx, yy))
    return moved


def _tracks_of_masks(masks: Iterator[BoolArray]) -> list[Box]:
    """Connected regions, linked to the region of the frame before that they overlap most."""
    boxes: list[Box] = []
    last, tracks, count = np.zeros((0, 0), np.int32), np.zeros(1, np.int64), 0
    for frame, mask in enumerate(masks):
        number, regions, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        own = np.full(number, -1, np.int64)
        for region in range(1, number):
            before = last[regions == region] if last.shape == regions.shape else np.zeros(0, np.int32)
            before = tracks[before[before > 0]]
            before = before[~np.isin(before, own)]
            own[region] = np.bincount(before).argmax() if len(before) else count
            count = max(count, int(own[region]) + 1)
            x, y, width, height = (int(value) for value in facts[region][:4])
            boxes.append((int(own[region]), frame, x, y, x + width, y + height))
        last, tracks = regions, own
    return boxes


FORMATS: dict[str, FrameFormat] = {"intervals": _intervals, "npy": _npy, "ucsd-m": _ucsd_m}
"""Frame labels by format."""

MASK_FORMATS: dict[str, MaskFormat] = {"png": _mask_images, "bmp": _mask_images}
"""Pixel masks by format."""

TRACK_FORMATS: dict[str, TrackFormat] = {}
"""Boxes over time by format."""
