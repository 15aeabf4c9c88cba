"""What ablation.py reads: labelled videos of a camera, and the experts' surprises over them."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metavad.config import ScoringConfig
from metavad.evaluation import micro_auc
from metavad.features.library import Library, VideoFeatures
from metavad.normality.accumulation import smooth
from metavad.normality.model import SceneModel, Surprise
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.scoring.chunks import CHUNK, overlap
from metavad.scoring.stream import hold
from metavad.types import BoolArray, FloatArray

__all__ = ["Seen", "auc_of", "on_frames", "seen_of", "surprise_of"]

"""Surprise maps (T, h, w) of the experts."""


@dataclass(frozen=True)
class Seen:
    """A test video: its ticks; of every frame its label, whether it counts, and its kind of event ("": none)."""

    features: VideoFeatures
    labels: BoolArray
    counted: BoolArray
    kinds: np.ndarray


def seen_of(library: Library, scene: Scene) -> list[Seen]:
    """All test videos of a scene; kinds where a camera is a generated one."""
    return [_seen(library, scene, number) for number in range(len(scene.test))]


def _seen(library: Library, scene: Scene, number: int) -> Seen:
    video = scene.test[number]
    facts = library.facts(scene.key, "test", video.name)
    counted, kinds = np.ones(facts.frames, bool), np.full(facts.frames, "", dtype=object)
    shown = scene.shown(video)
    if shown is not None:
        counted[slice(*shown)] = False
    events = scene.root / "events.csv"
    if events.is_file():
        with events.open(newline="") as file:
            for event in csv.DictReader(file):
                if event["video"] == video.name:
                    kinds[int(event["start"]) : int(event["end"])] = event["kind"]
    features = library.video_features(scene.key, "test", video.name)
    return Seen(features, frame_labels(scene, video, facts.frames), counted, kinds)


def surprise_of(model: SceneModel, library: Library, features: VideoFeatures) -> Surprise:
    """The surprise (T, h, w) over a whole video, and which ticks are known (T,)."""
    parts = []
    for start in range(0, len(features), CHUNK):
        before = max(0, start - overlap(model))
        parts.append(model.score(library.part(features, before, min(start + CHUNK, len(features))), start - before))

    def whole(of: Callable[[Surprise], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.cat([of(part)[name][0] for part in parts]) for name in model.calibrations}

    fused, known = torch.cat([part.fused[0] for part in parts]), torch.cat([part.known[0] for part in parts])
    return Surprise(whole(lambda part: part.maps), fused, known, whole(lambda part: part.known_by))


def on_frames(
    raw: Tensor, known: Tensor, video: Seen, scoring: ScoringConfig, *, future: float | None = None
) -> FloatArray:
    """Scores of ticks (T,) to smoothed scores of frames."""
    ticks = torch.where(known, raw, torch.nan).numpy()
    smoothed = smooth(ticks, video.features.seconds, scoring.past, scoring.future if future is None else future)
    return hold(video.features.frames, smoothed, len(video.labels))


def auc_of(scores: Sequence[FloatArray], seen: Sequence[Seen]) -> float:
    """Micro AUC of the frames that count."""
    pairs = list(zip(scores, seen, strict=True))
    return micro_auc([row[each.counted] for row, each in pairs], [each.labels[each.counted] for _, each in pairs])
