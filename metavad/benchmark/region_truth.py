"""Where it is abnormal, and whether the maps say so: pixel AUC, RBDC and TBDC of one scene.

What depends on labels alone (masks counted cell by cell, tracks) is read once for all methods and draws. A map
stands for the frames from its tick to the next one, as a score does.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from metavad.evaluation.ranking import abnormal_pixels, cell_auc
from metavad.evaluation.regions import rbdc_tbdc
from metavad.scenes.labels import pixel_masks, region_tracks
from metavad.scenes.scene import Scene, Video
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = ["RegionTruth", "pixel_figure", "region_figures", "region_truth_of"]


@dataclass(frozen=True)
class VideoRegions:
    """What somebody drew into one test video; frames are those that count, from 0."""

    ticks: IntArray
    """The tick whose map stands for each frame (T,)."""
    pixels: tuple[IntArray, IntArray] | None
    """Abnormal and all pixels (ticks, h, w) of each cell over the frames of a tick; none without masks."""
    tracks: FloatArray | None
    """(N, 6): track, frame, box in pixels; none where something is abnormal and nobody drew where."""
    size: tuple[int, int]
    """Height and width of its picture, pixels."""


@dataclass(frozen=True)
class RegionTruth:
    """What is drawn into the test videos of one scene."""

    videos: Mapping[str, VideoRegions]

    @property
    def known(self) -> bool:
        """Whether anything is drawn at all: else nobody needs maps."""
        return any(video.pixels is not None or _any(video.tracks) for video in self.videos.values())

    @property
    def digest(self) -> str:
        """Of the masks, 12 digits; empty without any."""
        summed = hashlib.sha256()
        masked = [video.pixels for video in self.videos.values() if video.pixels is not None]
        for abnormal, pixels in masked:
            summed.update(abnormal.tobytes() + pixels.tobytes())
        return summed.hexdigest()[:12] if masked else ""


def region_truth_of(
    scene: Scene,
    truth: Mapping[str, tuple[BoolArray, BoolArray]],
    ticks: Mapping[str, IntArray],
    grid: tuple[int, int],
    sizes: Mapping[str, tuple[int, int]],
) -> RegionTruth:
    """Masks and tracks of every test video in ``truth``, which holds its labels and which frames count.

    ``sizes`` (H, W) are those of their pictures in pixels.
    """
    drawn = scene.pixel_masks is not None or scene.tracks is not None
    videos = {
        video.name: _video_regions(scene, video, *truth[video.name], ticks[video.name], grid, sizes[video.name])
        for video in scene.test
        if drawn and video.name in truth
    }
    return RegionTruth(videos)


def pixel_figure(regions: RegionTruth, maps: Mapping[str, FloatArray]) -> float:
    """Pixel AUC over the videos that have masks; NaN where none has. Maps are (ticks, h, w)."""
    counted = [(maps[name], *video.pixels) for name, video in regions.videos.items() if video.pixels is not None]
    return cell_auc(*zip(*counted, strict=True)) if counted else float("nan")


def region_figures(regions: RegionTruth, detections: Mapping[str, FloatArray]) -> tuple[float, float]:
    """RBDC and TBDC over the videos in which what is abnormal is drawn; NaN without any track.

    ``detections`` (N, 6) stand at ticks, as :func:`metavad.scoring.regions.detect` gives them.
    """
    tracks = {name: video.tracks for name, video in regions.videos.items() if video.tracks is not None}
    if not any(len(rows) for rows in tracks.values()):
        return float("nan"), float("nan")
    frames = [len(regions.videos[name].ticks) for name in tracks]
    return rbdc_tbdc(
        list(tracks.values()), [_held(detections[name], regions.videos[name].ticks) for name in tracks], frames
    )


def _any(tracks: FloatArray | None) -> bool:
    return tracks is not None and len(tracks) > 0


def _video_regions(
    scene: Scene,
    video: Video,
    labels: BoolArray,
    counted: BoolArray,
    ticks: IntArray,
    grid: tuple[int, int],
    size: tuple[int, int],
) -> VideoRegions:
    place = np.searchsorted(ticks, np.arange(len(labels)), side="right") - 1
    masks = pixel_masks(scene, video, len(labels))
    pixels = None if masks is None else _counted_pixels(masks, counted, place, len(ticks), grid)
    return VideoRegions(place[counted], pixels, _tracks(scene, video, labels, counted), size)


def _counted_pixels(
    masks: Iterator[BoolArray], counted: BoolArray, place: IntArray, ticks: int, grid: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    abnormal, pixels = (np.zeros((ticks, *grid), np.int32) for _ in range(2))
    whole: IntArray | None = None
    for mask, counts, tick in zip(masks, counted, place, strict=True):
        if counts:
            whole = abnormal_pixels(np.ones_like(mask), grid) if whole is None else whole
            abnormal[tick] += abnormal_pixels(mask, grid) if mask.any() else 0
            pixels[tick] += whole
    return abnormal, pixels


def _tracks(scene: Scene, video: Video, labels: BoolArray, counted: BoolArray) -> FloatArray | None:
    """Boxes of the frames that count, numbered by these; none where they are missing."""
    drawn = np.array(region_tracks(scene, video, len(labels)), float).reshape(-1, 6)
    rows: FloatArray = drawn[counted[drawn[:, 1].astype(int)]]
    if not len(rows) and labels[counted].any():
        return None
    rows[:, 1] = (np.cumsum(counted) - 1)[rows[:, 1].astype(int)]
    return rows


def _held(detections: FloatArray, ticks: IntArray) -> FloatArray:
    """Detections at ticks (N, 6) as detections (N, 6) of every frame that a tick stands for."""
    order = np.argsort(detections[:, 0], kind="stable")
    rows = detections[order]
    first, last = (np.searchsorted(rows[:, 0], ticks, side=side) for side in ("left", "right"))
    count = last - first
    frames = np.repeat(np.arange(len(ticks)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    held: FloatArray = rows[np.repeat(first, count) + within].astype(float)
    held[:, 0] = frames
    return held
