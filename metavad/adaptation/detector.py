"""The detector of one camera, as one folder on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Self

import cv2
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from metavad.adaptation.adapt import Method, Normality, adapt, strengths_of
from metavad.adaptation.threshold import Promise, promise_threshold
from metavad.bundle import (
    Bundle,
    Kind,
    bundle_digest,
    check_tensors,
    damaged,
    facts_as,
    flattened,
    grouped,
    load_bundle,
    save_bundle,
)
from metavad.calibration.tails import LEVELS, PlaceTail
from metavad.config import Config
from metavad.episodes import Clip, Shots
from metavad.errors import VideoError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.base import grid_of
from metavad.features.library import Library, blank_sample, features_of, side_by_side, stretches
from metavad.meta.base import Base, check_tails, known_experts, tail_tensors, tails_of
from metavad.scenes.scene import Crop
from metavad.scenes.video import read_colours, working_size
from metavad.types import ByteArray

__all__ = ["Camera", "Detector", "load_detector", "make_detector", "save_detector"]

KIND = Kind(
    "detector",
    "a detector",
    version=2,
    make="make one with `metavad adapt`",
    mend="make it again with `metavad adapt`",
    gaps=("loudness", "frame"),
)
PICTURE_HEIGHT = 120

_Pixels = Annotated[int, Field(ge=1, le=1 << 16)]


@dataclass(frozen=True)
class Camera:
    """Shape of the pictures (pixels, after cropping) and frames a second that the shots had."""

    height: _Pixels
    width: _Pixels
    fps: Annotated[float, Field(gt=0)]
    crop: Crop


@dataclass(frozen=True)
class Detector:
    """Adapted weights, calibration and threshold of one scene."""

    normality: Normality
    threshold: float
    """Frame score (nats, weighted) over which an alarm is raised."""
    promise: Promise
    camera: Camera
    scene: str
    shots: tuple[Clip, ...]
    independent: int
    """Shots that share no frame with an earlier one."""
    base: str
    """Digest of the base."""
    pictures: tuple[bytes, ...] = ()
    """A small JPEG of the middle of each shot."""

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that is kept of it: tensors, threshold, promise, settings, pictures."""
        return bundle_digest(KIND, _bundle(self))

    def was_shown(self, video: str, frame: int) -> bool:
        """Whether a frame of a normal video was in one of the shots."""
        return any(clip.video == video and clip.first <= frame < clip.end for clip in self.shots)


def make_detector(
    base: Base, library: Library, scene: str, shots: Shots, *, alarms_per_day: float, pictures: bool = True
) -> Detector:
    """Adapt the base to one scene of the library by these shots (none: zero-shot)."""
    _same_shape(library, shots)
    support = library.sample(shots.clips) if shots.clips else library.nothing(scene)
    normality = adapt(base, support)
    ticks = int(base.facts.get("normal_ticks", 0))
    threshold, promise = promise_threshold(normality, alarms_per_day, normal_ticks=ticks)
    first = shots.clips[0].video if shots.clips else library.scenes[scene].normal[0].name
    facts = library.facts(scene, "normal", first)
    camera = Camera(facts.height, facts.width, facts.rate, library.scenes[scene].crop)
    small = _pictures(library, shots.clips) if pictures else ()
    return Detector(normality, threshold, promise, camera, scene, shots.clips, shots.independent, base.digest, small)


def _same_shape(library: Library, shots: Shots) -> None:
    """Raises :class:`VideoError` where the clips are of cameras with pictures of different sizes."""
    sizes = {clip.video: library.facts(clip.scene, clip.side, clip.video) for clip in shots.clips}
    named = {(facts.width, facts.height): video for video, facts in sizes.items()}
    if len(named) > 1:
        (one, first), (other, second) = list(named.items())[:2]
        raise VideoError(
            f"expected videos of one camera, found {one[0]}x{one[1]} pixels in {first} and {other[0]}x{other[1]} in "
            f"{second}; give the videos of one camera"
        )


def save_detector(folder: Path, detector: Detector) -> None:
    """Write a new folder: tensors, facts and pictures; whole or not at all."""
    save_bundle(folder, KIND, _bundle(detector))


def load_detector(folder: Path) -> Detector:
    """Open a detector; raises :class:`BundleError` where it is missing, damaged or of another version."""
    bundle = load_bundle(folder, KIND)
    told = facts_as(folder, KIND, bundle, _Facts)
    groups = grouped(folder, KIND, bundle.tensors, _GROUPS)
    experts = known_experts(folder, KIND, told.config)
    _check(folder, told, experts, groups)
    pictures = tuple(bundle.files[name] for name in sorted(bundle.files, key=lambda name: (len(name), name)))
    if len(pictures) not in (0, len(told.shots)):
        raise damaged(folder, KIND, f"{len(pictures)} pictures of {len(told.shots)} shots")
    return Detector(
        _normality(told, experts, groups),
        told.threshold,
        told.promise,
        told.camera,
        told.scene,
        told.shots,
        told.independent,
        told.base,
        pictures,
    )


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scene: str
    base: str
    threshold: float
    promise: Promise
    camera: Camera
    shots: tuple[Clip, ...]
    independent: Annotated[int, Field(ge=0)]
    evidence: Annotated[float, Field(ge=0)]
    config: Config

    @model_validator(mode="after")
    def _of_these_shots(self) -> Self:
        shots = len(self.shots)
        if any(clip.first < 0 or clip.length < 1 for clip in self.shots):
            raise ValueError("expected shots of frames from 0 on")
        if self.independent > shots or self.evidence > shots + 1e-6:
            raise ValueError(f"expected {shots} shots to count for at most {shots}")
        return self


_GROUPS = ("params", "memory", "places", "tails", "weights", "loudness", "frame")


def _bundle(detector: Detector) -> Bundle:
    told = _Facts(
        scene=detector.scene,
        base=detector.base,
        threshold=detector.threshold,
        promise=detector.promise,
        camera=detector.camera,
        shots=detector.shots,
        independent=detector.independent,
        evidence=detector.normality.evidence,
        config=detector.normality.method.config,
    )
    pictures = {f"pictures/{number:03d}.jpg": picture for number, picture in enumerate(detector.pictures)}
    return Bundle(_flat(detector.normality), told.model_dump(mode="json"), pictures)


def _flat(model: Normality) -> dict[str, Tensor]:
    parts: list[Mapping[str, Tensor]] = [
        model.params,
        model.memory,
        {name: place.log_tail for name, place in model.places.items()},
        tail_tensors(model.method.tails),
        model.method.weights,
        model.loudness,
        {"surprise": model.frame_surprise},
    ]
    return flattened(dict(zip(_GROUPS, parts, strict=True)))


def _normality(told: _Facts, experts: ExpertSet, groups: Mapping[str, Parameters]) -> Normality:
    params, strengths = groups["params"], strengths_of(told.config.calibration)
    method = Method(experts, params, {}, 0, tails_of(groups["tails"]), groups["weights"], told.config, strengths)
    places = {name: PlaceTail(tensor) for name, tensor in groups["places"].items()}
    loudness, frame = groups["loudness"], groups["frame"]["surprise"]
    return Normality(method, len(told.shots), told.evidence, params, groups["memory"], places, loudness, frame)


def _check(folder: Path, told: _Facts, experts: ExpertSet, groups: Mapping[str, Parameters]) -> None:
    """Every tensor is what the settings, the camera and the shots say."""
    names, size = told.config.experts, (told.camera.height, told.camera.width)
    size = working_size(*size, told.config.data.short_side)
    ticks = groups["frame"].get("surprise", torch.zeros(0)).shape[1:]
    frames = torch.empty(len(told.shots), *ticks[:1], device="meta")
    each: dict[str, Mapping[str, Tensor]] = {
        "params": dict(experts.named_parameters()),
        "places": {name: torch.empty(LEVELS, *grid_of(*size, told.config.data.rows), device="meta") for name in names},
        "weights": {name: torch.empty(2, device="meta") for name in names},
        "loudness": dict.fromkeys(names, frames) if told.shots else {},
        "frame": {"surprise": frames},
    }
    for group, wanted in each.items():
        check_tensors(folder, KIND, group, groups[group], wanted)
    check_tails(folder, KIND, "tails", groups["tails"], (*names, "frame"))
    features = features_of(told.config, experts.reads)
    shown = [blank_sample(features, size, ticks) for ticks in (1, 2)]
    with torch.no_grad():
        none, one = (
            under(experts, groups["params"], ExpertSet.condition, sample) for sample in (shown[0].select([]), shown[1])
        )
    check_tensors(folder, KIND, "memory", groups["memory"], none, one)


def _pictures(library: Library, clips: Sequence[Clip]) -> tuple[bytes, ...]:
    """The middle frame of each clip, small, as JPEG."""
    found = {
        clip: picture
        for each in side_by_side(partial(_pictures_beside, library), stretches(clips))
        for clip, picture in each.items()
    }
    return tuple(found[clip] for clip in clips)


def _pictures_beside(library: Library, clips: Sequence[Clip]) -> dict[Clip, bytes]:
    """Of clips of one video, in the order of time."""
    first = clips[0]
    video, crop = library.video(first.scene, first.side, first.video), library.scenes[first.scene].crop
    middles = [clip.first + clip.length // 2 for clip in clips]
    frames = sorted(set(middles))
    made = dict(zip(frames, map(_small, read_colours(video, frames, crop)), strict=True))
    return {clip: made[middle] for clip, middle in zip(clips, middles, strict=True)}


def _small(picture: ByteArray) -> bytes:
    """A frame (H, W, 3) as JPEG of 120 pixels' height."""
    size = round(picture.shape[1] * PICTURE_HEIGHT / picture.shape[0]), PICTURE_HEIGHT
    _, encoded = cv2.imencode(".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return encoded.tobytes()
