"""Pixel masks as the datasets write them: pictures, arrays, maps of objects."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metavad.errors import LabelError
from metavad.scenes.formats.reading import array_at, matlab_at, picture_at
from metavad.scenes.listing import frame_files, is_junk, natural
from metavad.scenes.scene import LabelSource, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = ["MaskFormat", "mask_images", "mat_masks", "npy_masks", "object_id_maps", "object_maps"]


MaskFormat: TypeAlias = Callable[[LabelSource, Video, int], "Iterator[BoolArray] | None"]
"""Masks (H, W), one per frame, or nothing where the dataset has none for this video."""


def mask_images(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """A folder of images, one per frame in natural order; any value but 0 is abnormal."""
    folder = source.of(video)
    if not folder.is_dir():
        return None
    files = frame_files(folder)
    if len(files) != frames:
        raise LabelError(f"{folder}: expected {frames} masks, as many as frames, found {len(files)}")
    return (_mask(file) for file in files)


def _mask(path: Path) -> BoolArray:
    picture = picture_at(path)
    return np.asarray(picture[..., :3].any(axis=2) if picture.ndim == 3 else picture > 0, bool)  # not how opaque it is


def mat_masks(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray]:
    """``volLabel``: one cell a frame, each a mask."""
    path = source.of(video)
    content = matlab_at(path)
    if "volLabel" not in content:
        raise LabelError(f"{path}: expected variable 'volLabel', found none")
    masks = np.ravel(content["volLabel"])
    if len(masks) != frames:
        raise LabelError(f"{path}: expected {frames} masks, as many as frames, found {len(masks)}")
    return (np.asarray(mask) > 0 for mask in masks)


def npy_masks(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """One array (T, H, W) a video; read as a memory map."""
    path = source.of(video)
    if not path.exists():
        return None
    masks = array_at(path)
    if masks.ndim != 3 or len(masks) != frames:
        raise LabelError(f"{path}: expected masks ({frames}, H, W), one per frame, found {masks.shape}")
    return (np.asarray(mask) != 0 for mask in masks)


def object_maps(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray]:
    """A folder of maps ``..._0007_gt.png``: what is not 0 is abnormal; a frame without map is normal."""
    return (ids > 0 for ids in object_id_maps(source, video, frames))


def object_id_maps(source: LabelSource, video: Video, frames: int) -> Iterator[NDArray[Any]]:
    """Object ids (H, W) of every frame."""
    files = _maps_by_frame(source.of(video))
    if not files and source.normal_throughout(video):
        facts = probe(video)
        return (np.zeros((facts.height, facts.width), np.uint8) for _ in range(frames))
    if not files:
        raise LabelError(f"{source.of(video)}: expected object maps (*_gt.png), found none")
    if max(files) >= frames:
        raise LabelError(f"{source.of(video)}: expected maps up to frame {frames - 1}, found {max(files)}")
    blank = np.zeros_like(_object_ids(next(iter(files.values()))))
    return (_object_ids(files[frame]) if frame in files else blank for frame in range(frames))


def _object_ids(path: Path) -> NDArray[Any]:
    """A map (H, W): in a picture of colours, every colour but black is an object."""
    picture = picture_at(path)
    return picture if picture.ndim == 2 else picture[..., :3].astype(np.int32) @ np.array([1, 256, 65536], np.int32)


def _maps_by_frame(folder: Path) -> dict[int, Path]:
    found = folder.glob("*_gt.png") if folder.is_dir() else iter(())
    maps: dict[int, Path] = {}
    for file in sorted((file for file in found if not is_junk(file)), key=lambda file: natural(file.name)):
        match = re.search(r"_(\d+)_gt$", file.stem)
        if match and (other := maps.setdefault(int(match[1]), file)) is not file:
            raise LabelError(f"{folder}: expected a map for each frame, found {other.name} and {file.name} of one")
    return maps
