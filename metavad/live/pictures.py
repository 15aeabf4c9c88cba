"""Frames of a stream brought to the camera's size, and small for people."""

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from metavad.normality.detector import Detector
from metavad.scenes.video import CameraPictures, Picture, working_size
from metavad.scenes.video.orientation import display_matrix, shown, shown_size
from metavad.scenes.video.pictures import converted
from metavad.scoring.pictures import decoded
from metavad.types import ByteArray

__all__ = ["PICTURE_HEIGHT", "CameraView", "size_of"]

PICTURE_HEIGHT = 360
"""Pixels of the pictures that are kept for clips."""
SAME_VIEW = 0.03
"""By which height to width may differ where a stream changes its resolution."""


class CameraView:
    """Frames of a stream brought to the camera's size, and as small pictures for people and for conditions."""

    def __init__(self, detector: Detector) -> None:
        camera = detector.camera
        crop = self._crop = camera.crop
        self._inside = camera.height, camera.width
        self.size = camera.height + crop.top + crop.bottom, camera.width + crop.left + crop.right
        working = working_size(camera.height, camera.width, detector.config.data.short_side)
        self._grey = CameraPictures((camera.height, camera.width), crop, working)
        self._converter = VideoReformatter()

    def fitted(self, picture: Picture) -> Picture:
        """The same, resized where the same view comes in another resolution."""
        height, width = size_of(picture)
        if (height, width) == self.size or abs(width * self.size[0] / (height * self.size[1]) - 1) > SAME_VIEW:
            return picture
        if isinstance(picture, VideoFrame):
            return self._converter.reformat(picture, width=self.size[1], height=self.size[0])
        return np.asarray(cv2.resize(picture, self.size[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def grey(self, picture: Picture) -> ByteArray:
        """A working picture (H, W)."""
        return self._grey.working(picture)

    def jpeg(self, picture: Picture) -> bytes:
        """A small picture."""
        height = min(PICTURE_HEIGHT, self.size[0])
        width = max(1, round(self.size[1] * height / self.size[0]))
        if isinstance(picture, VideoFrame):
            image = self._colours(picture, height, width)
        else:
            image = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            image = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())

    def decoded(self, jpeg: bytes) -> ByteArray:
        """What the crop leaves of such a small picture, (H, W, 3), blue-green-red."""
        picture = decoded([jpeg])[0]
        down, across = picture.shape[0] / self.size[0], picture.shape[1] / self.size[1]
        height, width = self._inside
        rows = slice(round(self._crop.top * down), max(1, round((self._crop.top + height) * down)))
        columns = slice(round(self._crop.left * across), max(1, round((self._crop.left + width) * across)))
        return picture[rows, columns]

    def _colours(self, frame: VideoFrame, height: int, width: int) -> ByteArray:
        image = shown(converted("frame", self._converter, frame, "bgr24"), display_matrix(frame))
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def size_of(picture: Picture) -> tuple[int, int]:
    return shown_size(picture) if isinstance(picture, VideoFrame) else (picture.shape[0], picture.shape[1])
