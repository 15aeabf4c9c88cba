"""What is abnormal: per frame, per pixel, per track; 1, true = abnormal, whatever the dataset writes."""

import difflib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import cv2
import numpy as np

from metavad.errors import FootageWarning, LabelError, nearest
from metavad.scenes.formats import FORMATS, MASK_FORMATS, TRACK_FORMATS, has_rows
from metavad.scenes.formats.intervals import interval_rows, names_of, own_rows
from metavad.scenes.formats.reading import Row, checked_labels, is_of_one_video
from metavad.scenes.formats.tracks import TrackedBox
from metavad.scenes.listing import VIDEO_SUFFIXES
from metavad.scenes.scene import Crop, LabelSource, Scene, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = [
    "FORMATS",
    "MASK_FORMATS",
    "TRACK_FORMATS",
    "TrackedBox",
    "check_rows",
    "frame_labels",
    "pixel_masks",
    "region_tracks",
    "unlabelled",
]


def frame_labels(scene: Scene, video: Video, frames: int) -> BoolArray:
    """Whether each of the ``frames`` frames of ``video`` is abnormal: (T,).

    Where the labels are pixel masks, a frame is abnormal when any of its pixels is.
    Raises :class:`LabelError` when labels are missing, of another length, or other than 0 and 1.
    """
    source = scene.labels or scene.pixel_masks
    if source is None:
        raise LabelError(f"{scene.key}: expected labels, found none; `metavad data label` writes a table and names it")
    if source.normal_throughout(video):
        return np.zeros(frames, bool)
    if source.format in FORMATS:
        return checked_labels(FORMATS[source.format](source, video, frames), source.of(video), frames)
    masks = _masks(source, video, frames, FORMATS | MASK_FORMATS)
    if masks is None:
        raise LabelError(f"{scene.key}: expected labels or masks of {video.name}, found neither")
    return np.array([mask.any() for mask in masks], bool)


def pixel_masks(scene: Scene, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """Abnormal pixels of each frame, (H, W) of the cropped picture; ``None`` where there are no masks.

    Raises :class:`LabelError` when there are fewer or more masks than frames, or of another size.
    """
    if scene.pixel_masks is None:
        return None
    masks = _masks(scene.pixel_masks, video, frames, MASK_FORMATS)
    return None if masks is None else _cropped_masks(scene, scene.pixel_masks, video, masks)


def _cropped_masks(scene: Scene, source: LabelSource, video: Video, masks: Iterable[BoolArray]) -> Iterator[BoolArray]:
    facts = probe(video)
    for frame, mask in enumerate(masks):
        if mask.shape != (facts.height, facts.width):
            size = "x".join(str(side) for side in reversed(mask.shape))
            raise LabelError(
                f"{source.of(video)}: expected masks of the picture's size, mask {frame} is {size}, the picture "
                f"{facts.width}x{facts.height}"
            )
        yield np.asarray(scene.crop.apply(mask), bool)


def region_tracks(scene: Scene, video: Video, frames: int) -> list[TrackedBox]:
    """Boxes of every abnormal track as (track, frame, x0, y0, x1, y1), half-open, in the cropped picture.

    Taken from track files; where there are only masks, from their connected regions, which become a track
    as long as they overlap from frame to frame. Empty where there is neither.
    """
    if scene.tracks is not None and (scene.pixel_masks is None or scene.tracks.of(video).parent.exists()):
        return _cropped_boxes(scene, video, _boxes(scene.tracks, video, frames))
    masks = pixel_masks(scene, video, frames)
    return [] if masks is None else _tracks_of_masks(masks)


def check_rows(scene: Scene) -> None:
    """Raises :class:`LabelError` for a row about no video, or about several: its video would count as normal.

    A table may have rows about videos of other cameras whose files lie near it, and about the videos that a dataset
    is known to have and that are not here.
    """
    source = scene.labels
    if source is None or source.format != "intervals":
        return
    videos = list({video.path: video for video in (*scene.normal, *scene.test)}.values())
    unknown: list[tuple[Row, Path]] = []
    for path in dict.fromkeys(source.of(video) for video in scene.test if not source.normal_throughout(video)):
        about = [video for video in videos if source.of(video) == path]
        for row in interval_rows(source, path):
            if "video" in row.cells and not _is_known(row, about, scene.test):
                unknown.append((row, path))
    _warn_of_shown(scene, source)
    known_missing = max(0, max(scene.expect.test_videos, len(scene.expect.test_lengths)) - len(scene.test))
    lost = [row for row, _ in unknown] if is_of_one_video(source) else _nowhere(unknown, scene.root)
    if len({row["video"] for row in lost}) > known_missing:
        raise LabelError(_unknown_video(lost[0], scene.test))


def _warn_of_shown(scene: Scene, source: LabelSource) -> None:
    """A table that calls seconds of a normal video abnormal: shots may be drawn from them all the same.

    A test video of the same name is the one that is meant.
    """
    files = {source.of(video) for video in scene.test}
    names = set().union(*map(names_of, scene.test))
    for video in scene.normal:
        path = source.of(video)
        if not path.is_file() or (is_of_one_video(source) and path in files):
            continue
        rows = [row for row in own_rows(source, video) if row.cells.get("video") not in names]
        if rows:
            warnings.warn(
                f"{rows[0].where}: {video.name} is a normal video of {scene.key}; shots may be drawn from what this "
                "row calls abnormal: make it a test video, or leave the row out",
                FootageWarning,
                stacklevel=4,
            )


def _is_known(row: Row, videos: Iterable[Video], test: Iterable[Video]) -> bool:
    meant = [video for video in test if row["video"] in names_of(video)]
    if len(meant) > 1:
        raise LabelError(
            f"{row.where}: expected the name of one video, found {row['video']!r} for {meant[0].name!r} and "
            f"{meant[1].name!r}; write it as here"
        )
    return any(row["video"] in names_of(video) for video in videos)


def _nowhere(unknown: list[tuple[Row, Path]], root: Path) -> list[Row]:
    """Rows about no file or folder near them, by name alone: a path is no name."""
    wanted = {row["video"] for row, _ in unknown}
    there: set[str] = set()
    for folder in {root, *(path.parent for _, path in unknown)} if wanted else ():
        for _, folders, files in os.walk(folder):
            videos = [file for file in files if PurePath(file).suffix.lower() in VIDEO_SUFFIXES]
            there |= wanted & {*folders, *videos, *(PurePath(file).stem for file in videos)}
    return [row for row, _ in unknown if row["video"] not in there]


def _unknown_video(row: Row, videos: Iterable[Video]) -> str:
    names = [video.name for video in videos]
    last = PurePath(row["video"].replace("\\", "/")).name
    close = difflib.get_close_matches(PurePath(last).stem, names, n=1) or names[:1]
    return f"{row.where}: expected the name of a video such as {close[0]!r}, found {row['video']!r}; mend that line"


def unlabelled(scene: Scene) -> list[Video]:
    """Test videos that a table has no row about, and nobody said are normal: they count as normal throughout."""
    source = scene.labels
    return [] if source is None else [video for video in scene.test if not has_rows(source, video)]


def _boxes(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    if source.format not in TRACK_FORMATS:
        hint = nearest(source.format, TRACK_FORMATS)
        raise LabelError(f"tracks: expected a known format, found {source.format!r}; {hint}")
    return TRACK_FORMATS[source.format](source, video, frames)


def _masks(source: LabelSource, video: Video, frames: int, known: Iterable[str]) -> Iterator[BoolArray] | None:
    if source.format not in MASK_FORMATS:
        hint = nearest(source.format, known)
        raise LabelError(f"labels: expected a known format, found {source.format!r}; {hint}")
    return MASK_FORMATS[source.format](source, video, frames)


def _cropped_boxes(scene: Scene, video: Video, boxes: list[TrackedBox]) -> list[TrackedBox]:
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


def _tracks_of_masks(masks: Iterator[BoolArray]) -> list[TrackedBox]:
    """Connected regions, linked to the region of the frame before that they overlap most."""
    boxes: list[TrackedBox] = []
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
