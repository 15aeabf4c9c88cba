"""Pictures as arrays: converted from what a decoder or a caller gives, cropped and resized."""

from typing import TypeAlias

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from metavad.errors import VideoError
from metavad.scenes.scene import Crop
from metavad.scenes.video.orientation import display_matrix, shown, shown_size
from metavad.types import ByteArray

__all__ = ["CameraPictures", "Picture", "converted", "resized"]

Picture: TypeAlias = VideoFrame | NDArray[np.uint8]
"""What a caller gives of a camera: a decoded frame, or an array: grey (H, W), or red-green-blue (H, W, 3)."""


def converted(name: str, converter: VideoReformatter, frame: VideoFrame, form: str) -> ByteArray:
    """The picture of ``frame`` as numbers; colours in a space that is not known are taken for those of television.

    Raises :class:`VideoError`, of the video of this name, where they do not convert.
    """
    for space in (None, Colorspace.ITU601):
        try:
            return np.asarray(converter.reformat(frame, format=form, src_colorspace=space).to_ndarray(), np.uint8)
        except av.FFmpegError as error:
            reason = str(error.strerror).lower()
    raise VideoError(f"{name}: expected pictures, found {frame.format.name} that does not convert ({reason})")


def resized(picture: NDArray[np.generic], size: tuple[int, int]) -> ByteArray:
    """``picture`` (H, W) as bytes of this height and width."""
    image = np.ascontiguousarray(picture).astype(np.uint8, copy=False)
    if image.shape == size:
        return image
    method = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=method), np.uint8)


class CameraPictures:
    """What a caller gives of one camera, as grey working pictures of this ``size`` (height, width).

    ``cropped`` is the height and width of the camera's pictures after the crop.
    """

    def __init__(self, cropped: tuple[int, int], crop: Crop, size: tuple[int, int]) -> None:
        self._whole = cropped[0] + crop.top + crop.bottom, cropped[1] + crop.left + crop.right
        self._crop, self._size = crop, size
        self._converter = VideoReformatter()

    def check(self, picture: object) -> None:
        """Raises :class:`VideoError` for what is no picture of the camera."""
        size = shown_size(picture) if isinstance(picture, VideoFrame) else _array_size(picture)
        if size != self._whole:
            (height, width), found = self._whole, f"{size[1]}x{size[0]}"
            raise VideoError(
                f"expected frames of the detector's camera ({width}x{height}), found {found}; give them as the camera "
                "shows them, not resized or cropped"
            )
        if isinstance(picture, VideoFrame) and picture.format.name.startswith("gray16"):
            raise VideoError("expected frames of 8 bits, found 16 bits of grey; bring them to 8 bits as the clips were")

    def working(self, picture: Picture) -> ByteArray:
        """A picture of the camera as a working picture, which shares no memory with it."""
        image = resized(self._crop.apply(self._grey(picture)), self._size)
        return image.copy() if isinstance(picture, np.ndarray) and np.may_share_memory(image, picture) else image

    def _grey(self, picture: Picture) -> ByteArray:
        if isinstance(picture, VideoFrame):
            return shown(converted("frame", self._converter, picture, "gray"), display_matrix(picture))
        return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _array_size(picture: object) -> tuple[int, int]:
    """Height and width of an array; raises :class:`VideoError` for anything else."""
    mend = "give uint8 arrays, grey (H, W) or red-green-blue (H, W, 3), or an av.VideoFrame"
    if not isinstance(picture, np.ndarray):
        raise VideoError(f"expected a frame, found a {type(picture).__name__}; {mend}")
    if picture.dtype != np.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise VideoError(f"expected a frame, found an array {picture.dtype}{list(picture.shape)}; {mend}")
    return int(picture.shape[0]), int(picture.shape[1])
