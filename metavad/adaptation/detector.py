"""The detector of one camera, as one folder on disk."""

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from metavad.adaptation.adapt import Method, Normality, adapt, strengths_of
from metavad.adaptation.threshold import Promise, promise_threshold
from metavad.calibration.tails import BaseTail, PlaceTail
from metavad.config import config_of
from metavad.episodes import Clip, Shots
from metavad.errors import BundleError, MetavadError, VideoError
from metavad.experts import build_experts
from metavad.features.library import Library, side_by_side, stretches
from metavad.files import atomic_directory
from metavad.meta.base import Base
from metavad.progress import SILENT, Progress
from metavad.scenes.scene import Crop
from metavad.scenes.video import read_colours
from metavad.types import ByteArray

__all__ = ["Camera", "Detector", "load_detector", "make_detector", "save_detector"]

TENSORS, FACTS, PICTURES = "detector.safetensors", "detector.json", "pictures"
FORMAT = 1
PICTURE_HEIGHT = 120


@dataclass(frozen=True)
class Camera:
    """Shape of the pictures (pixels, after cropping) and frames a second that the shots had."""

    height: int
    width: int
    fps: float
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

    def was_shown(self, video: str, frame: int) -> bool:
        """Whether a frame of a normal video was in one of the shots."""
        spans = self._spans.get(video, [])
        place = bisect_right(spans, (frame, math.inf)) - 1
        return place >= 0 and frame < spans[place][1]

    @cached_property
    def _spans(self) -> dict[str, list[tuple[int, float]]]:
        """By video the frames [first, end) of the shots, ascending; of those that begin alike or overlap, one."""
        found: dict[str, list[tuple[int, float]]] = {}
        for clip in sorted(self.shots):
            spans = found.setdefault(clip.video, [])
            if spans and clip.first <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(spans[-1][1], clip.end)
            else:
                spans.append((clip.first, clip.end))
        return found


def make_detector(
    base: Base,
    library: Library,
    scene: str,
    shots: Shots,
    *,
    alarms_per_day: float,
    pictures: bool = True,
    progress: Progress = SILENT,
) -> Detector:
    """Adapt the base to one scene of the library by these shots (none: zero-shot)."""
    _same_shape(library, shots)
    support = library.sample(shots.clips) if shots.clips else library.nothing(scene)
    normality = adapt(base, support, progress)
    ticks = int(base.facts.get("normal_ticks", 0))
    threshold, promise = promise_threshold(normality, alarms_per_day, normal_ticks=ticks)
    first = shots.clips[0].video if shots.clips else library.scenes[scene].normal[0].name
    facts = library.facts(scene, "normal", first)
    camera = Camera(facts.height, facts.width, facts.rate, library.scenes[scene].crop)
    small = _pictures(library, shots.clips, progress) if pictures else ()
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
    tensors = save(_flat(detector))
    facts = {"format": FORMAT, "sha256": hashlib.sha256(tensors).hexdigest(), **_facts(detector)}
    with atomic_directory(folder) as beside:
        (beside / TENSORS).write_bytes(tensors)
        (beside / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        if detector.pictures:
            (beside / PICTURES).mkdir()
        for number, picture in enumerate(detector.pictures):
            (beside / PICTURES / f"{number:03d}.jpg").write_bytes(picture)


def load_detector(folder: Path) -> Detector:
    """Open a detector; raises :class:`BundleError` where it is missing, damaged or of another version."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        content = (folder / TENSORS).read_bytes()
        if facts["format"] != FORMAT or hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise BundleError(
                f"{folder}: expected a detector as it was written, found it changed or of another version; "
                "make it again with `metavad adapt`"
            )
        pictures = tuple(path.read_bytes() for path in sorted((folder / PICTURES).glob("*.jpg")))
        return _of(load(content), facts, pictures, folder)
    except FileNotFoundError:
        raise BundleError(
            f"{folder}: expected a detector ({FACTS} and {TENSORS}), found none; make one with `metavad adapt`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, MetavadError):
            raise
        raise BundleError(f"{folder}: the detector is damaged ({error}); make it again with `metavad adapt`") from None


def _facts(detector: Detector) -> dict[str, Any]:
    return {
        "scene": detector.scene,
        "base": detector.base,
        "threshold": detector.threshold,
        "promise": asdict(detector.promise),
        "camera": asdict(detector.camera),
        "shots": [asdict(clip) for clip in detector.shots],
        "independent": detector.independent,
        "evidence": detector.normality.evidence,
        "config": detector.normality.method.config.model_dump(mode="json"),
    }


def _flat(detector: Detector) -> dict[str, Tensor]:
    model = detector.normality
    tails = model.method.tails
    parts: dict[str, Mapping[str, Tensor]] = {
        "params": model.params,
        "memory": model.memory,
        "places": {name: place.log_tail for name, place in model.places.items()},
        "tail-shots": {name: tail.shots for name, tail in tails.items()},
        "tail-scores": {name: tail.scores for name, tail in tails.items()},
        "weights": model.method.weights,
        "loudness": model.loudness,
        "frame": {"surprise": model.frame_surprise},
    }
    return {
        f"{group}/{name}": tensor.detach().cpu().clone().contiguous()
        for group, part in parts.items()
        for name, tensor in part.items()
    }


def _of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], pictures: tuple[bytes, ...], folder: Path) -> Detector:
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, name = key.split("/", 1)
        groups.setdefault(group, {})[name] = tensor
    config = config_of(facts["config"], str(folder))
    tails = {name: BaseTail(groups["tail-shots"][name], scores) for name, scores in groups["tail-scores"].items()}
    experts = build_experts(config).requires_grad_(False)
    stray = groups["params"].keys() - dict(experts.named_parameters()).keys() | set(config.experts) - tails.keys()
    if stray:
        raise KeyError(f"{min(stray)} does not fit its settings")
    strengths = strengths_of(config.calibration)
    method = Method(experts, groups["params"], {}, 0, tails, groups["weights"], config, strengths)
    places = {name: PlaceTail(tensor) for name, tensor in groups["places"].items()}
    shots = tuple(Clip(**clip) for clip in facts["shots"])
    frame = groups["frame"]["surprise"]
    memory, loudness = groups.get("memory", {}), groups.get("loudness", {})
    model = Normality(method, len(shots), facts["evidence"], groups["params"], memory, places, loudness, frame)
    camera = Camera(**{**facts["camera"], "crop": Crop(**facts["camera"]["crop"])})
    return Detector(
        model,
        float(facts["threshold"]),
        Promise(**facts["promise"]),
        camera,
        facts["scene"],
        shots,
        facts["independent"],
        facts["base"],
        pictures,
    )


def _pictures(library: Library, clips: Sequence[Clip], progress: Progress) -> tuple[bytes, ...]:
    """The middle frame of each clip, small, as JPEG."""
    found: dict[Clip, bytes] = {}
    with progress.task("Pictures of the clips", len(clips)) as task:

        def make(stretch: Sequence[Clip]) -> None:
            found.update(_pictures_beside(library, stretch))
            task.advance(len(stretch))

        side_by_side(make, stretches(clips))
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
