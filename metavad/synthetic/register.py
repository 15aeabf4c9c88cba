"""Which videos the generator has written. Nothing else makes a camera a generated one, whose test labels may teach.

The generator notes in the cache, outside of every dataset, the bytes of each test video and the labels that it drew
for them. What a file beside a video says of it counts for nothing, nor do names and folders.
"""

import hashlib
from pathlib import Path

import numpy as np

from metavad.files import write_text
from metavad.scenes.cache import cache_folder
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = ["Print", "is_generated", "is_noted", "note", "print_of"]

Print = tuple[str, str]
"""Digests of a video's bytes and of its labels."""


def print_of(video: Path, labels: BoolArray) -> Print:
    """What a video and its labels (T,) are known by, wherever they lie."""
    with video.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return content, _digest(labels)


def note(found: Print) -> None:
    """Remember what the generator has just written: for the generator alone to call."""
    write_text(_entry(found[0]), found[1])


def is_noted(found: Print) -> bool:
    """Whether the generator has written just this."""
    return _noted_labels(found[0]) == found[1]


def is_generated(scene: Scene) -> bool:
    """Whether the generator wrote every test video of ``scene`` and the labels that it has there."""
    labelled = scene.labels is not None or scene.pixel_masks is not None
    return labelled and bool(scene.test) and all(_is_generated(scene, video) for video in scene.test)


def _is_generated(scene: Scene, video: Video) -> bool:
    if not video.path.is_file():
        return False
    with video.path.open("rb") as file:
        noted = _noted_labels(hashlib.file_digest(file, "sha256").hexdigest())
    return noted is not None and noted == _digest(frame_labels(scene, video, probe(video).frames))


def _digest(labels: BoolArray) -> str:
    return hashlib.sha256(np.asarray(labels, dtype=bool).tobytes()).hexdigest()


def _entry(content: str) -> Path:
    return cache_folder() / "generated" / content[:2] / content


def _noted_labels(content: str) -> str | None:
    path = _entry(content)
    return path.read_text(encoding="utf-8") if path.is_file() else None
