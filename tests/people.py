"""People whose poses are known, for tests."""

from pathlib import Path

import numpy as np

from metavad.features.base import Reading
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import VideoFacts

JOINTS = 17


def walker(frames: int, *, fps: float = 10.0, start=(20.0, 30.0), speed=20.0, height=24.0, swing=0.15, beat=2.0):
    """Points (frames, 17, 2) in pixels of somebody who walks right at ``speed`` pixels/second, limbs swinging."""
    seconds = np.arange(frames) / fps
    level = np.linspace(-0.5, 0.5, JOINTS)
    side = np.where(np.arange(JOINTS) % 2, 1.0, -1.0)
    lift = swing * np.sin(2 * np.pi * beat * seconds)[:, None] * side * np.maximum(level, 0)
    x = start[0] + speed * seconds[:, None] + height * (0.1 * side + lift)
    y = start[1] + height * np.broadcast_to(level, x.shape)
    return np.stack([x, y], axis=-1)


def write_people(path: Path, people: list[np.ndarray]) -> Path:
    """As generated cameras write them: everybody in every frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(people[0])
    np.savez(
        path,
        frames=np.tile(np.arange(count, dtype=np.int32), len(people)),
        tracks=np.repeat(np.arange(len(people), dtype=np.int32), count),
        points=np.concatenate(people).astype(np.float32),
        names=np.array(["joint"] * JOINTS),
    )
    return path


def reading_of(path: Path, frames: int, *, fps: float = 10.0, size=(48, 64), crop=Crop(), every=1) -> Reading:
    """What a stream is told of a video of so many frames, ``size`` after cropping, whose poses are at ``path``."""
    facts = VideoFacts(frames, *size, np.arange(frames) / fps, fps)
    return Reading(Video("walk", path.with_suffix(".mp4"), None, path), facts, crop, np.arange(0, frames, every))
