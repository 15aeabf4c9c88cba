"""What one camera gives to learn it by, gathered once: shots, their features, the camera's shape, thumbnails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import cv2
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from metavad.episodes import Clip, Shots
from metavad.errors import VideoError
from metavad.features.feature import Feature
from metavad.features.library import Library, side_by_side, stretches
from metavad.features.sample import Sample
from metavad.features.stored import StoredClip
from metavad.progress import SILENT, Progress
from metavad.scenes.cache import content_digest
from metavad.scenes.scene import Crop
from metavad.scenes.video import read_colours
from metavad.scenes.video.black_or_frozen import Glance
from metavad.types import ByteArray

__all__ = ["Camera", "Footage", "gather", "regridded", "small_pictures"]

THUMBNAIL_HEIGHT = 120

_Pixels = Annotated[int, Field(ge=1, le=1 << 16)]


@dataclass(frozen=True)
class Camera:
    """Shape of the pictures (pixels, after cropping) and frames a second that the shots had."""

    height: _Pixels
    width: _Pixels
    fps: Annotated[float, Field(gt=0)]
    crop: Crop


@dataclass(frozen=True)
class Footage:
    """Everything that the adapter learns of one camera; whoever holds it opens no video again."""

    scene: str
    camera: Camera
    shots: Shots
    began: tuple[float, ...]
    """Seconds in its video at which each shot begins, by the file's own times."""
    support: Sample
    """The shots (B = K; B = 0 where there are none)."""
    grid: tuple[int, int]
    """Cells (h, w) of its score maps."""
    thumbnails: tuple[bytes, ...] = ()
    """A small JPEG of the middle of each shot; empty where none are kept."""
    stored: tuple[StoredClip, ...] | None = None
    """The shots as they are stored, for whoever adds to them later; none where they are not kept."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """By video of the shots a digest of its content; empty where they are not kept."""
    glances: Mapping[tuple[str, float], Glance] = field(default_factory=dict)
    """By video and seconds whether a shot that was decoded shows anything at all."""


def gather(
    library: Library, scene: str, shots: Shots, *, thumbnails: bool = True, progress: Progress = SILENT
) -> Footage:
    """The footage of these shots of a scene of the library; without ``thumbnails`` nothing is kept of their pictures.

    Raises :class:`VideoError` where they are of cameras with pictures of different sizes.
    """
    _check_shape(library, shots)
    stored = library.stored(shots.clips)
    side = "normal" if shots.clips or library.scenes[scene].normal else "test"
    support = library.sample(shots.clips, stored) if shots.clips else library.nothing(scene, side)
    first = shots.clips[0].video if shots.clips else getattr(library.scenes[scene], side)[0].name
    facts = library.facts(scene, side, first)
    camera = Camera(facts.height, facts.width, facts.rate, library.scenes[scene].crop)
    small = small_pictures(library, shots.clips, progress) if thumbnails else ()
    keeps = thumbnails and len(stored) == len(shots.clips)
    return Footage(
        scene,
        camera,
        shots,
        tuple(_began(library, clip) for clip in shots.clips),
        support,
        library.grid_of(facts),
        small,
        stored if keeps else None,
        _sources(library, shots.clips) if keeps else {},
        dict(library.glances),
    )


def _began(library: Library, clip: Clip) -> float:
    return float(library.facts(clip.scene, clip.side, clip.video).seconds[clip.first])


def _sources(library: Library, clips: Sequence[Clip]) -> dict[str, str]:
    videos = {clip.video: library.video(clip.scene, clip.side, clip.video) for clip in clips}
    return {name: content_digest(video) for name, video in sorted(videos.items())}


def _check_shape(library: Library, shots: Shots) -> None:
    sizes = {clip.video: library.facts(clip.scene, clip.side, clip.video) for clip in shots.clips}
    named = {(facts.width, facts.height): video for video, facts in sizes.items()}
    if len(named) > 1:
        (one, first), (other, second) = list(named.items())[:2]
        raise VideoError(
            f"expected videos of one camera, found {one[0]}x{one[1]} pixels in {first} and {other[0]}x{other[1]} in "
            f"{second}; give the videos of one camera"
        )


def small_pictures(library: Library, clips: Sequence[Clip], progress: Progress = SILENT) -> tuple[bytes, ...]:
    """The middle frame of each clip, small, as JPEG."""
    found: dict[Clip, bytes] = {}
    with progress.task("Small pictures", len(clips)) as task:

        def make(stretch: Sequence[Clip]) -> None:
            found.update(_of_stretch(library, stretch))
            task.advance(len(stretch))

        side_by_side(make, stretches(clips))
    return tuple(found[clip] for clip in clips)


def _of_stretch(library: Library, clips: Sequence[Clip]) -> dict[Clip, bytes]:
    """Of clips of one video, in the order of time."""
    first = clips[0]
    video, crop = library.video(first.scene, first.side, first.video), library.scenes[first.scene].crop
    middles = [clip.first + clip.length // 2 for clip in clips]
    frames = sorted(set(middles))
    made = dict(zip(frames, map(_thumbnail, read_colours(video, frames, crop)), strict=True))
    return {clip: made[middle] for clip, middle in zip(clips, middles, strict=True)}


def _thumbnail(picture: ByteArray) -> bytes:
    """A frame (H, W, 3) as a small JPEG."""
    size = round(picture.shape[1] * THUMBNAIL_HEIGHT / picture.shape[0]), THUMBNAIL_HEIGHT
    _, encoded = cv2.imencode(".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return encoded.tobytes()


def regridded(sample: Sample, features: Mapping[str, Feature], own: tuple[int, int], grid: tuple[int, int]) -> Sample:
    """A sample of another camera, whose grid is its ``own`` (h, w), stretched to this one's ``grid``.

    Pictures of cells are; lists of things, such as regions and poses, stay.
    """

    def stretched(tensor: Tensor) -> Tensor:
        size = round(tensor.shape[-2] * grid[0] / own[0]), round(tensor.shape[-1] * grid[1] / own[1])
        flat = tensor.reshape(-1, 1, *tensor.shape[-2:])
        whole = flat.dtype if flat.is_floating_point() else torch.float32
        back: Tensor = functional.interpolate(flat.to(whole), size=size, mode="bilinear", align_corners=False)
        if not flat.is_floating_point():
            back = back.round()
        return back.to(flat.dtype).reshape(*tensor.shape[:-2], *size)

    if own == grid:
        return sample
    fitted = {name: stretched(tensor) if features[name].picture else tensor for name, tensor in sample.features.items()}
    return replace(sample, features=fitted)
