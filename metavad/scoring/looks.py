"""What a camera's memory bank is made of: patches of single pictures of its footage."""

from collections.abc import Iterator

import numpy as np

from metavad.normality.detector import Detector
from metavad.normality.memory_bank import bank_feature
from metavad.scenes.cache import Store, content_key
from metavad.scenes.scene import Video
from metavad.scenes.video import read_frames, working_size
from metavad.types import ByteArray, IntArray

__all__ = ["bank_size", "looks", "looks_key"]


def bank_size(detector: Detector) -> tuple[int, int]:
    """Height and width of the working pictures."""
    camera = detector.camera
    return working_size(camera.height, camera.width, detector.config.data.short_side)


def looks(detector: Detector, video: Video, frames: IntArray, store: Store) -> ByteArray:
    """Patches (N, 152, h, w) of these frames (N,) of a video, rising and each once."""
    crop, short_side = detector.camera.crop, detector.config.data.short_side
    feature = bank_feature(bank_size(detector), detector.model.device)

    def rows() -> Iterator[ByteArray]:
        for frame in read_frames(video, short_side=short_side, crop=crop, every=frames):
            yield feature.start()(frame.image, frame.seconds)

    key = looks_key(detector) | {"video": content_key(video), "frames": np.asarray(frames).tolist()}
    return store.array(key, rows)


def looks_key(detector: Detector) -> dict[str, object]:
    """All that its patches of a picture depend on, but the picture."""
    return {
        "kind": "memory bank",
        "version": 2,
        "feature": bank_feature(bank_size(detector), detector.model.device).key(),
        "size": list(bank_size(detector)),
        "crop": list(detector.camera.crop.sides),
    }
