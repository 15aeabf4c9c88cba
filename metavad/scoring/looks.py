"""What a camera's memory bank is made of: patches of single pictures of its footage."""

from collections.abc import Iterator

import numpy as np

from metavad.normality.detector import Detector
from metavad.normality.memory_bank import bank_feature
from metavad.scenes.cache import Store, content_key
from metavad.scenes.scene import Video
from metavad.scenes.video import read_frames, working_size
from metavad.types import ByteArray, IntArray

__all__ = ["bank_size", "looks"]


def bank_size(detector: Detector) -> tuple[int, int]:
    """Height and width of the working pictures."""
    camera = detector.camera
    return working_size(camera.height, camera.width, detector.config.data.short_side)


def looks(detector: Detector, video: Video, frames: IntArray, store: Store) -> ByteArray:
    """Patches (N, 152, h, w) of these frames (N,) of a video, rising and each once."""
    camera, short_side = detector.camera, detector.config.data.short_side
    feature = bank_feature(bank_size(detector), detector.model.device)

    def rows() -> Iterator[ByteArray]:
        for frame in read_frames(video, short_side=short_side, crop=camera.crop, every=frames):
            yield feature.start()(frame.image, frame.seconds)

    kind = {
        "kind": "memory bank",
        "version": 1,
        "feature": feature.key(),
        "crop": list(camera.crop.model_dump().values()),
    }
    key = kind | {"video": content_key(video), "frames": np.asarray(frames).tolist(), "short_side": short_side}
    return store.array(key, rows)
