"""The patch that surprises and the nearest that was shown: two small pictures, every pixel of which can be seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from metavad.errors import printable
from metavad.experts.base import NearestPatch
from metavad.features.stored import StoredClip
from metavad.normality.detector import Detector
from metavad.scenes.scene import Crop
from metavad.scenes.video import working_size
from metavad.scoring.explain import Explanation
from metavad.scoring.lettering import fitting, font
from metavad.types import Box, ByteArray

__all__ = ["PatchPictures", "inside_crop", "patch_pictures"]

SIDE = 144
"""Pixels, about, of the height of one of the two."""
AROUND, LEAST = 1.0, 48
"""Patches that are shown beyond each edge of the patch, and pixels of the working frame at least: what the network's
average of 3 x 3 sees."""
PAPER, INK, MUTED = (255, 255, 255), (60, 48, 40), (140, 125, 112)
HERE, SHOWN = (43, 57, 192), (178, 114, 0)
"""Blue, green, red: of the frame around a patch that surprises, and around one that was shown."""
GAP, LINE, LETTERS = 10, 17, 13
"""Pixels between two pictures, from line to line, and of the letters."""


@dataclass(frozen=True)
class PatchPictures:
    """What surprises and the nearest that was shown, each with what lies around it."""

    here: ByteArray
    """(H, W, 3), blue-green-red, with the patch framed."""
    there: ByteArray
    """The same of what was shown, of the same size."""
    nearest: NearestPatch
    when: str
    """When the frame that was scored was taken, in words."""
    video: str
    """That the nearest was shown in."""
    second: float
    """Of that video."""

    @property
    def words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The lines that belong to each, the first one its title."""
        return ("what is there", self.when), ("nearest shown", printable(self.video), f"{self.second:.1f} s")

    def sheet(self) -> ByteArray:
        """Both beside each other, each with its lines below it, (H, W, 3)."""
        return _beside([_lines_below(*each) for each in zip((self.here, self.there), self.words, strict=True)])

    def row(self, left: Sequence[int], width: int) -> ByteArray:
        """Both in a row of this width, each from a column on, with its lines to the right of it, (H, W, 3)."""
        edges = [*left[1:], width + GAP]
        sheet = np.full((self.here.shape[0], width, 3), PAPER, np.uint8)
        for picture, lines, start, end in zip((self.here, self.there), self.words, left, edges, strict=True):
            room = max(0, end - GAP - start - picture.shape[1] - GAP)
            block = _beside([picture, _written(lines, room, picture.shape[0])])[:, : end - start]
            sheet[:, start : start + block.shape[1]] = block
        return sheet


def patch_pictures(detector: Detector, why: Explanation | None, frame: ByteArray, when: str) -> PatchPictures | None:
    """The two patches of an explanation; none where it names none, or the detector keeps no pictures.

    ``frame`` (H, W, 3) is the picture that was scored, blue-green-red, without what the crop leaves out, and ``when``
    its time in words.
    """
    if why is None or why.nearest is None or detector.stored is None:
        return None
    nearest = why.nearest
    clip = detector.stored[nearest.shot]
    kept = _look(clip, nearest.tick)
    if kept is None:
        return None
    tick, look = kept
    size = working_size(detector.camera.height, detector.camera.width, detector.config.data.short_side)
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), size[::-1], interpolation=cv2.INTER_AREA)
    return PatchPictures(
        _cut(grey, nearest.here, HERE),
        _cut(cv2.resize(look, size[::-1], interpolation=cv2.INTER_AREA), nearest.there, SHOWN),
        nearest,
        when,
        detector.shots[nearest.shot].video,
        detector.began[nearest.shot] + float(clip.seconds[tick]),
    )


def inside_crop(share: Box, size: tuple[int, int], crop: Crop) -> Box:
    """A box in shares of the cropped picture of this ``size`` (height, width), in pixels of the whole one.

    >>> inside_crop((0.0, 0.5, 0.25, 1.0), (100, 200), Crop(top=10, left=20))
    (20.0, 60.0, 70.0, 110.0)
    """
    (x0, y0, x1, y1), (height, width) = share, size
    return x0 * width + crop.left, y0 * height + crop.top, x1 * width + crop.left, y1 * height + crop.top


def _look(clip: StoredClip, tick: int) -> tuple[int, ByteArray] | None:
    """The working frame (H, W) of a tick of a clip, or of the nearest tick that is kept, and its tick."""
    for kept in sorted(clip.looks, key=lambda each: abs(each - tick))[:1]:
        found = cv2.imdecode(np.frombuffer(clip.looks[kept], np.uint8), cv2.IMREAD_GRAYSCALE)
        if found is not None:
            return kept, np.asarray(found, np.uint8)
    return None


def _cut(picture: ByteArray, share: Box, colour: tuple[int, int, int]) -> ByteArray:
    """What lies around a patch of a grey picture (H, W), enlarged without smoothing, and the patch framed."""
    (y0, y1), (x0, x1) = (
        (round(low * length), max(round(low * length) + 1, round(high * length)))
        for low, high, length in ((share[1], share[3], picture.shape[0]), (share[0], share[2], picture.shape[1]))
    )
    top, bottom = _window(y0, y1, picture.shape[0])
    left, right = _window(x0, x1, picture.shape[1])
    times = max(1, round(SIDE / (bottom - top)))
    wide = picture[top:bottom, left:right].repeat(times, 0).repeat(times, 1)
    found = cv2.cvtColor(np.ascontiguousarray(wide), cv2.COLOR_GRAY2BGR)
    corners = ((x0 - left) * times, (y0 - top) * times), ((x1 - left) * times - 1, (y1 - top) * times - 1)
    cv2.rectangle(found, *corners, PAPER, 4)
    cv2.rectangle(found, *corners, colour, 2)
    return np.asarray(found, np.uint8)


def _window(start: int, stop: int, length: int) -> tuple[int, int]:
    """From start to stop with what lies around, inside a length; as long at its ends as elsewhere.

    >>> _window(16, 32, 240), _window(0, 16, 240), _window(224, 240, 240), _window(20, 24, 64), _window(0, 4, 8)
    ((0, 48), (0, 48), (192, 240), (0, 48), (0, 8))
    """
    margin = max(round(AROUND * (stop - start)), (LEAST - (stop - start) + 1) // 2)
    size = min(length, stop - start + 2 * margin)
    low = min(max(0, start - margin), length - size)
    return low, low + size


def _lines_below(picture: ByteArray, lines: Sequence[str]) -> ByteArray:
    written = _written(lines, max(picture.shape[1], SIDE), LINE * 3 + 3)
    sheet = np.full((picture.shape[0] + written.shape[0], written.shape[1], 3), PAPER, np.uint8)
    sheet[: picture.shape[0], : picture.shape[1]] = picture
    sheet[picture.shape[0] :] = written
    return sheet


def _written(lines: Sequence[str], width: int, height: int) -> ByteArray:
    """Lines on paper (H, W, 3), as much of each as there is room for; the first one stands out."""
    sheet = Image.new("RGB", (max(1, width), height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        text = fitting(draw, line, width, LETTERS)
        draw.text((0, 3 + LINE * number), text, MUTED if number else INK, font(LETTERS))
    return np.asarray(sheet)


def _beside(pictures: Sequence[ByteArray]) -> ByteArray:
    """Pictures of one height beside each other."""
    gap = np.full((pictures[0].shape[0], GAP, 3), PAPER, np.uint8)
    return np.concatenate([pictures[0], *(each for picture in pictures[1:] for each in (gap, picture))], axis=1)
