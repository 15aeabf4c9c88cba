"""An event in a picture: its frame with a box, and beside it the clip shown that is nearest to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from metavad.errors import printable
from metavad.normality.detector import Detector
from metavad.scenes.scene import Video
from metavad.scenes.video import read_colour
from metavad.scoring.explain import Explanation
from metavad.scoring.frames import TickScore
from metavad.scoring.lettering import fitting, font
from metavad.scoring.patch_pictures import PatchPictures, patch_pictures
from metavad.types import Box, ByteArray, FloatArray

__all__ = ["EventPicture", "around", "decoded", "event_picture", "framed", "nearest_shot", "side_by_side"]

HEIGHT = 240
"""Pixels."""

ALARM = (43, 57, 192)
"""Blue, green, red."""
PAPER, INK = (255, 255, 255), (60, 48, 40)
GAP, BAR, WORDS = 10, 24, 130
"""Pixels between two pictures, of the line of words below them, and for words beside a patch."""


@dataclass(frozen=True)
class EventPicture:
    """What surprised most in an event beside the clip shown that is nearest to it."""

    picture: ByteArray
    """(H, W, 3), blue-green-red."""
    nearest: int | None
    """Which clip that is, from 0; none where nothing is there to compare with."""
    patches: PatchPictures | None = None
    """The two patches that stand below them, where the reason is about patches."""


def event_picture(detector: Detector, video: Video, cause: TickScore) -> EventPicture:
    """The picture of an event: what surprised most, the nearest clip, and the two patches that the reason is about."""
    box, crop = cause.box, detector.camera.crop
    inside = None if box is None else (box[0] - crop.left, box[1] - crop.top, box[2] - crop.left, box[3] - crop.top)
    frame, shots = read_colour(video, cause.index, crop), decoded(detector.pictures)
    nearest = nearest_shot(cause.why, frame, inside, shots)
    pictures, words = [framed(frame, inside, HEIGHT)], [f"{cause.seconds:.1f} s"]
    if nearest is not None and nearest < len(shots):
        pictures.append(framed(shots[nearest], None, HEIGHT))
        words.append(f"nearest clip shown: {detector.shots[nearest].video}")
    patches = patch_pictures(detector, cause.why, frame, words[0])
    sheet = side_by_side(pictures, words)
    return EventPicture(sheet if patches is None else _above(sheet, pictures, patches), nearest, patches)


def _above(sheet: ByteArray, pictures: Sequence[ByteArray], patches: PatchPictures) -> ByteArray:
    """A sheet with the patches below it, each below one of its pictures where there are two."""
    one = pictures[0].shape[1] + GAP if len(pictures) > 1 else sheet.shape[1] // 2
    second = max(one, patches.here.shape[1] + WORDS)
    width = max(sheet.shape[1], second + patches.there.shape[1] + WORDS)
    row = patches.row((0, second), width)
    found = np.full((sheet.shape[0] + GAP // 2 + row.shape[0], width, 3), PAPER, np.uint8)
    found[: sheet.shape[0], : sheet.shape[1]] = sheet
    found[-row.shape[0] :] = row
    return found


def decoded(pictures: Sequence[bytes]) -> list[ByteArray]:
    """Pictures (H, W, 3), blue-green-red, of JPEGs; one that is damaged is black."""
    found = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) if each else None for each in pictures]
    return [np.zeros((8, 8, 3), np.uint8) if each is None else np.asarray(each, np.uint8) for each in found]


def nearest_shot(why: Explanation | None, frame: ByteArray, box: Box | None, shots: Sequence[ByteArray]) -> int | None:
    """Which shot, from 0, is nearest to an event; ``None`` where there is none to compare with.

    By what the expert with the largest share of those that can say reads at that place, else by looks: the pictures
    ``shots`` (one of each, (H, W, 3)) against the ``frame`` (H, W, 3), grey, inside the ``box`` (pixels of the frame).
    """
    if why is not None and why.distances:
        return int(np.argmin(why.distances))
    if not shots:
        return None
    here = _patch(frame, box, frame.shape)
    return int(np.argmin([np.abs(here - _patch(shot, box, frame.shape)).mean() for shot in shots]))


def around(place: tuple[float, float], shape: tuple[int, ...]) -> Box:
    """A box of a fifth of the height around a place (shares of height and width) of a picture of this shape."""
    height, width = shape[:2]
    down, across, reach = place[0] * height, place[1] * width, 0.1 * height
    return max(0.0, across - reach), max(0.0, down - reach), min(width, across + reach), min(height, down + reach)


def framed(frame: ByteArray, box: Box | None, height: int) -> ByteArray:
    """A frame (H, W, 3) at this height with the box (pixels of the frame) drawn in it."""
    scale = height / frame.shape[0]
    size = max(1, round(frame.shape[1] * scale)), height
    picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if box is not None:
        x0, y0, x1, y1 = (round(value * scale) for value in box)
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), PAPER, 4, cv2.LINE_AA)
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), ALARM, 2, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def side_by_side(pictures: Sequence[ByteArray], words: Sequence[str]) -> ByteArray:
    """Pictures of one height beside each other, each with its words below it."""
    height = pictures[0].shape[0]
    width = sum(each.shape[1] for each in pictures) + GAP * (len(pictures) - 1)
    sheet = np.full((height + BAR, width, 3), PAPER, np.uint8)
    bar, left = Image.new("RGB", (width, BAR), PAPER), 0
    for picture, text in zip(pictures, words, strict=True):
        sheet[:height, left : left + picture.shape[1]] = picture
        draw = ImageDraw.Draw(bar)
        draw.text((left, 4), fitting(draw, printable(text), picture.shape[1], 13), INK, font(13))
        left += picture.shape[1] + GAP
    sheet[height:] = np.asarray(bar)
    return sheet


def _patch(picture: ByteArray, box: Box | None, shape: tuple[int, ...]) -> FloatArray:
    """The part of a picture under a box of a frame of another ``shape``, grey, 16x16, without its mean."""
    down, across = picture.shape[0] / shape[0], picture.shape[1] / shape[1]
    x0, y0, x1, y1 = (0.0, 0.0, float(shape[1]), float(shape[0])) if box is None else box
    rows = slice(int(y0 * down), max(int(np.ceil(y1 * down)), int(y0 * down) + 1))
    columns = slice(int(x0 * across), max(int(np.ceil(x1 * across)), int(x0 * across) + 1))
    grey = cv2.cvtColor(picture[rows, columns], cv2.COLOR_BGR2GRAY).astype(np.float32)
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA)
    return np.asarray(small - small.mean())
