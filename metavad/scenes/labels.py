"""What is abnormal: per frame, per pixel, per track; 1, true = abnormal, whatever the dataset writes."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from metavad.errors import LabelError, nearest
from metavad.scenes.formats import FORMATS, MASK_FORMATS, TRACK_FORMATS, Box, checked_labels
from metavad.scenes.scene import Crop, LabelSource, Scene, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = [
    "FORMATS",
    "MASK_FORMATS",
    "TRACK_FORMATS",
    "Box",
    "frame_labels",
    "pixel_masks",
    "region_tracks",
]


def frame_labels(scene: Scene, video: Video, frames: int) -> BoolArray:
    """Whether each of the ``frames`` frames of ``video`` is abnormal: (T,).

    Where the labels are pixel masks, a frame is abnormal when any of its pixels is.
    Raises :class:`LabelError` when labels are missing, of another length, or other than 0 and 1.
    """
    source = scene.labels or scene.pixel_masks
    if source is None:
        raise LabelError(f"{scene.key}: expected labels, found none; say labels = {{ format, path }}")
    if source.format in FORMATS:
        return checked_labels(FORMATS[source.format](source, video, frames), source.of(video), frames)
    masks = _masks(source, video, frames, FORMATS | MASK_FORMATS)
    if masks is None:
        raise LabelError(f"{scene.key}: expected labels or masks of {video.name}, found neither")
    return np.array([mask.any() for mask in masks], bool)


def pixel_masks(scene: Scene, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """Abnormal pixels of each frame, (H, W) of the cropped picture; ``None`` where there are no masks.

    Raises :class:`LabelError` when there are fewer or more masks than frames.
    """
    if scene.pixel_masks is None:
        return None
    masks = _masks(scene.pixel_masks, video, frames, MASK_FORMATS)
    return None if masks is None else (np.asarray(scene.crop.apply(mask), bool) for mask in masks)


def region_tracks(scene: Scene, video: Video, frames: int) -> list[Box]:
    """Boxes of every abnormal track as (track, frame, x0, y0, x1, y1), half-open, in the cropped picture.

    Taken from track files; where there are only masks, from their connected regions, which become a track
    as long as they overlap from frame to frame. Empty where there is neither.
    """
    if scene.tracks is not None and (scene.pixel_masks is None or scene.tracks.of(video).parent.exists()):
        return _cropped_boxes(scene, video, _boxes(scene.tracks, video, frames))
    masks = pixel_masks(scene, video, frames)
    return [] if masks is None else _tracks_of_masks(masks)


def _boxes(source: LabelSource, video: Video, frames: int) -> list[Box]:
    if source.format not in TRACK_FORMATS:
        hint = nearest(source.format, TRACK_FORMATS)
        raise LabelError(f"tracks: expected a known format, found {source.format!r}; {hint}")
    return TRACK_FORMATS[source.format](source, video, frames)


def _masks(source: LabelSource, video: Video, frames: int, known: Iterable[str]) -> Iterator[BoolArray] | None:
    if source.format not in MASK_FORMATS:
        hint = nearest(source.format, known)
        raise LabelError(f"labels: expected a known format, found {source.format!r}; {hint}")
    return MASK_FORMATS[source.format](source, video, frames)


def _cropped_boxes(scene: Scene, video: Video, boxes: list[Box]) -> list[Box]:
    """Boxes in the cropped picture; those that the crop leaves nothing of go."""
    if scene.crop == Crop():
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
