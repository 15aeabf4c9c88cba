"""What an annotated video shows: a picture under its score map, boxes in it, and a strip with the score below it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from metavad.clock import length_text, time_at
from metavad.errors import printable
from metavad.scenes.scene import Crop
from metavad.scoring.lettering import fitting, font
from metavad.scoring.results import EventRecord, EventsRecord, Outline
from metavad.scoring.tick_log import DrawnTick
from metavad.types import Box, ByteArray, FloatArray

__all__ = ["Painter", "Shown", "picture_size"]

MOST, LEAST = (720, 960), 640
"""Height and width that a picture fits into; and a width that small ones are brought to, in that height."""
STRIP, EDGE = 108, 12
"""Pixels of the strip below the picture, and beside its curve."""
CURVE = 54, 100
"""Rows of the strip between which the curve lies."""
PAPER, INK, MUTED, LINE, CURVE_INK, ALARM = (
    (28, 22, 18),
    (240, 235, 231),
    (181, 166, 154),
    (65, 53, 44),
    (233, 180, 86),
    (93, 107, 255),
)
"""Blue, green, red."""
WARM = 0.5, 1.5
"""Of the threshold: the surprise of a cell from which the map is seen, and at which it covers most."""
COVER = 0.5
"""Of the picture, where the map covers most."""


@dataclass(frozen=True)
class Shown:
    """What is known of the frame that is painted."""

    seconds: float
    """In the file."""
    clock: float
    """The same on the clock of the outline."""
    score: float
    inside: bool
    """Whether it lies in an event."""


def picture_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture is shown, even: large ones fit, small ones can be made out.

    >>> picture_size(1080, 1920), picture_size(64, 128), picture_size(1920, 1080), picture_size(360, 480)
    ((540, 960), (320, 640), (720, 404), (480, 640))
    """
    most = min(MOST[0] / height, MOST[1] / width)
    scale = min(most, max(1.0, LEAST / width))
    return max(2, round(height * scale / 2) * 2), max(2, int(width * scale / 2) * 2)


class Painter:
    """Paints the frames of one video; what is the same in all of them is painted once."""

    def __init__(self, size: tuple[int, int], crop: Crop, record: EventsRecord, outline: Outline) -> None:
        """``size`` is the height and width of the file's pictures."""
        self._inner = picture_size(*size)
        self._scale = self._inner[0] / size[0], self._inner[1] / size[1]
        width = max(self._inner[1], LEAST)
        self._left = (width - self._inner[1]) // 2
        self.size = self._inner[0] + STRIP, width
        """Height and width of what is painted."""
        self._crop, self._record, self._outline = crop, record, outline
        self._axis = _Axis(width, float(outline.seconds[-1]), _top(record, outline))
        self._strip = _strip(self._axis, record, outline)

    def paint(self, picture: ByteArray, frame: Shown, tick: DrawnTick | None) -> ByteArray:
        """A frame (H, W, 3) of the file, blue-green-red, with all that is drawn, (h, w, 3) of ``size``."""
        sheet = np.full((*self.size, 3), PAPER, np.uint8)
        inner = self._resized(picture)
        if tick is not None:
            self._warm(inner, tick.heat)
            if frame.inside and tick.box is not None and tick.heat.max() > WARM[0] * self._level:
                _boxed(inner, self._scaled(tick.box), f"{frame.score:.1f}")
        sheet[: self._inner[0], self._left : self._left + self._inner[1]] = inner
        sheet[self._inner[0] :] = self._strip
        self._write(sheet[self._inner[0] :], frame)
        return sheet

    @property
    def _level(self) -> float:
        """The threshold, where it can be a measure of warmth."""
        return max(self._record.threshold, 1.0)

    def _resized(self, picture: ByteArray) -> ByteArray:
        colours = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        method = cv2.INTER_AREA if self._scale[0] < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(colours, self._inner[::-1], interpolation=method), np.uint8)

    def _warm(self, inner: ByteArray, heat: FloatArray) -> None:
        """Lay the map over the part of the picture that the camera's crop leaves."""
        low, high = (share * self._level for share in WARM)
        warmth = np.clip((heat - low) / (high - low), 0, 1).astype(np.float32)
        if not warmth.any():
            return
        down, across = self._scale
        rows = slice(round(self._crop.top * down), self._inner[0] - round(self._crop.bottom * down))
        columns = slice(round(self._crop.left * across), self._inner[1] - round(self._crop.right * across))
        part = inner[rows, columns]
        smooth = cv2.resize(warmth, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        colours = cv2.applyColorMap((70 + 170 * smooth).astype(np.uint8), cv2.COLORMAP_INFERNO)
        cover = (COVER * np.sqrt(smooth))[..., None]
        inner[rows, columns] = (part * (1 - cover) + colours * cover).astype(np.uint8)

    def _scaled(self, box: Box) -> tuple[int, int, int, int]:
        (down, across), (x0, y0, x1, y1) = self._scale, box
        return round(x0 * across), round(y0 * down), round(x1 * across), round(y1 * down)

    def _write(self, strip: ByteArray, frame: Shown) -> None:
        """The cursor and the words of one frame."""
        x, y = self._axis.x(frame.clock), self._axis.y(frame.score)
        cv2.line(strip, (x, CURVE[0] - 2), (x, CURVE[1] + 2), INK, 1)
        cv2.circle(strip, (x, y), 4, ALARM if frame.inside else CURVE_INK, -1, cv2.LINE_AA)
        cv2.circle(strip, (x, y), 4, INK, 1, cv2.LINE_AA)
        event = self._event(frame.seconds) if frame.inside else None
        words = Image.fromarray(strip[: CURVE[0] - 4])
        draw, right = ImageDraw.Draw(words), words.width - EDGE
        draw.text((EDGE, 6), self._time(frame.seconds), INK, font(16, bold=True))
        draw.text((right, 8), self._threshold(), MUTED, font(13), "ra")
        right -= round(draw.textlength(self._threshold(), font(13))) + 14
        draw.text((right, 6), f"score {frame.score:.1f}", ALARM if frame.inside else INK, font(16, bold=True), "ra")
        text, ink = (self._name(), MUTED) if event is None else (self._reason(event), ALARM)
        draw.text((EDGE, 29), fitting(draw, text, words.width - 2 * EDGE, 13), ink, font(13))
        strip[: CURVE[0] - 4] = np.asarray(words)

    def _time(self, seconds: float) -> str:
        time = time_at(self._record.start_time, seconds)
        return (
            f"{length_text(seconds)}.{int(10 * seconds + 1e-6) % 10}" if time is None else f"{time:%Y-%m-%d  %H:%M:%S}"
        )

    def _threshold(self) -> str:
        beyond = ", above this strip" if self._axis.top < self._record.threshold else ""
        return f"threshold {self._record.threshold:.1f}{beyond}"

    def _name(self) -> str:
        return printable(self._record.video)

    def _event(self, seconds: float) -> EventRecord | None:
        begun = [event for event in self._record.events if event.start <= seconds + 1e-3]
        return begun[-1] if begun else None

    def _reason(self, event: EventRecord) -> str:
        number, count = 1 + self._record.events.index(event), len(self._record.events)
        which = f"event {number} of {count}" if count > 1 else "event"
        return f"{which}: {event.reason}" if event.reason else which


@dataclass(frozen=True)
class _Axis:
    """Where times and scores lie in the strip."""

    width: int
    length: float
    """Seconds by the clock of the outline."""
    top: float
    """The highest score that there is room for; the lowest is 0."""

    def x(self, clock: float) -> int:
        share = clock / self.length if self.length > 0 else 0.0
        return EDGE + round(min(max(share, 0.0), 1.0) * (self.width - 2 * EDGE))

    def y(self, score: float) -> int:
        share = min(max(score / self.top, 0.0), 1.0)
        return round(CURVE[1] - share * (CURVE[1] - CURVE[0]))


_BEYOND = 2.5
"""Of the highest score: a threshold that would press the curve flat has no line."""


def _top(record: EventsRecord, outline: Outline) -> float:
    highest = max(float(outline.highest.max()), 0.1)
    return 1.08 * max(highest, record.threshold) if record.threshold < _BEYOND * highest else 1.3 * highest


def _strip(axis: _Axis, record: EventsRecord, outline: Outline) -> ByteArray:
    """The curve of all scores, with events and threshold."""
    strip = np.full((STRIP, axis.width, 3), PAPER, np.uint8)
    for event in record.events:
        left, right = axis.x(outline.clock(event.start)), axis.x(outline.clock(event.end))
        band = strip[CURVE[0] - 2 : CURVE[1] + 2, left : max(right, left + 2)]
        band[:] = (0.72 * np.array(PAPER) + 0.28 * np.array(ALARM)).astype(np.uint8)
    for clock, _ in outline.gaps.tolist():
        cv2.line(strip, (axis.x(clock), CURVE[0]), (axis.x(clock), CURVE[1]), LINE, 1)
    curve = [(axis.x(second), axis.y(score)) for second, score in zip(outline.seconds, outline.highest, strict=True)]
    _filled(strip, curve)
    cv2.line(strip, (EDGE, CURVE[1]), (axis.width - EDGE, CURVE[1]), LINE, 1)
    if record.threshold <= axis.top:
        level = axis.y(record.threshold)
        for left in range(EDGE, axis.width - EDGE, 9):
            cv2.line(strip, (left, level), (min(left + 5, axis.width - EDGE), level), ALARM, 1)
    return strip


def _filled(strip: ByteArray, curve: Sequence[tuple[int, int]]) -> None:
    """A line with what lies below it tinted."""
    area = np.array([(curve[0][0], CURVE[1]), *curve, (curve[-1][0], CURVE[1])], np.int32)
    tinted = strip.copy()
    cv2.fillPoly(tinted, [area], CURVE_INK)
    strip[:] = cv2.addWeighted(strip, 0.8, tinted, 0.2, 0)
    cv2.polylines(strip, [np.array(curve, np.int32)], False, CURVE_INK, 1, cv2.LINE_AA)


def _boxed(picture: ByteArray, box: tuple[int, int, int, int], text: str) -> None:
    """A box with the score at its upper edge, seen on bright and on dark ground."""
    x0, y0, x1, y1 = box
    for colour, width in ((PAPER, 4), (ALARM, 2)):
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), colour, width, cv2.LINE_AA)
    letters = font(13, bold=True)
    left, _, right, _ = letters.getbbox(text)
    width, height = int(right - left) + 8, 18
    x, y = max(0, min(x0, picture.shape[1] - width)), y0 - height if y0 >= height else y0
    part = picture[y : y + height, x : x + width]
    tag = Image.new("RGB", (part.shape[1], part.shape[0]), ALARM)
    ImageDraw.Draw(tag).text((4, 1), text, PAPER, letters)
    part[:] = np.asarray(tag)
