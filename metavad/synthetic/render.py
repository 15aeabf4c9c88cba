"""Frames of a generated video with exact masks, boxes and keypoints."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np

from metavad.synthetic.actors import BITS, Actor, Shapes, fixed, shapes
from metavad.synthetic.camera import CameraSpec
from metavad.synthetic.events import perform
from metavad.synthetic.plan import VideoPlan
from metavad.synthetic.world import Patch, World, build_world
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = ["RenderedBox", "RenderedFrame", "render"]

LEAST = {"tiny": 3, "small": 6, "full": 8}
"""Fewest visible pixels with which an abnormal actor counts."""
STEPS = 24  # of light between dark and full


@dataclass(frozen=True)
class RenderedBox:
    """One actor in one frame: half-open box in pixels, cut to the frame; hidden parts count."""

    track: int
    x0: int
    y0: int
    x1: int
    y1: int
    kind: str
    abnormal: bool


@dataclass(frozen=True)
class RenderedFrame:
    """Image (H, W, 3) in RGB, mask (H, W) of what is abnormal, boxes, keypoints (17, 2) of each person, and
    the kind of event that is seen, if one is.
    """

    image: ByteArray
    mask: BoolArray
    tracks: tuple[RenderedBox, ...]
    keypoints: dict[int, FloatArray]
    event: str | None


@dataclass
class _Drawn:
    """An actor with its shapes, ready to be drawn frame by frame."""

    actor: Actor
    shapes: Shapes
    corners: IntArray
    shadows: IntArray
    palettes: dict[int, list[tuple[int, int, int]]]
    levels: list[int]
    boxes: list[list[float]]
    away: list[float]


def render(spec: CameraSpec, video: VideoPlan, world: World | None = None) -> Iterator[RenderedFrame]:
    """Render one video; ``world`` saves drawing the empty scene again for every video of a camera."""
    world = world or build_world(spec)
    waiting = sorted(perform(spec, video), key=lambda actor: -actor.first)
    sensor = _Sensor(spec, video)
    drawn: list[_Drawn] = []
    for frame in range(video.frames):
        while waiting and waiting[-1].first <= frame:
            drawn.append(_prepared(waiting.pop(), spec, world.light))
        drawn = [one for one in drawn if one.actor.last > frame]
        yield _frame(spec, world, drawn, frame, sensor)


def _prepared(actor: Actor, spec: CameraSpec, light: FloatArray) -> _Drawn:
    made = shapes(actor, spec.lens, spec.look.sun)
    levels = _levels(actor, spec, light)
    tint = np.array(spec.look.tint[::-1]) / STEPS
    palettes = {
        level: [tuple(np.clip(np.array(colour) * level * tint, 0, 255).astype(int).tolist()) for colour in made.colours]
        for level in set(levels)
    }
    boxes, away = made.boxes.tolist(), made.away.tolist()
    return _Drawn(actor, made, made.corners(), fixed(made.shadows), palettes, levels, boxes, away)


def _levels(actor: Actor, spec: CameraSpec, light: FloatArray) -> list[int]:
    """In which light an actor stands, in steps, for each of its frames."""
    pixels, _ = spec.lens.project(actor.position)
    across, down = np.clip(pixels, 0, [spec.lens.width - 1, spec.lens.height - 1]).astype(int).T
    found: list[int] = np.round(light[down, across] * STEPS).astype(int).tolist()
    return found


def _frame(spec: CameraSpec, world: World, drawn: list[_Drawn], frame: int, sensor: "_Sensor") -> RenderedFrame:
    shown = [one for one in drawn if _in_frame(one, frame, spec)]
    shown.sort(key=lambda one: -one.away[frame - one.actor.first])
    image = world.background.copy()
    _draw_shadows(image, shown, frame, spec.look.shadow)
    _paint(image, world.patches, shown, frame)
    counted, mask = _abnormal(spec, world.patches, shown, frame)
    shift = sensor.shift(frame)
    mask = _moved(mask.astype(np.uint8), shift, cv2.INTER_NEAREST) > 0
    counted = counted if mask.any() else set()
    boxes = tuple(box for one in shown if (box := _box(one, frame, spec, shift, counted)) is not None)
    points = {
        one.actor.track: one.shapes.keypoints[frame - one.actor.first] + shift
        for one in shown
        if one.shapes.keypoints is not None
    }
    event = next((one.actor.event for one in shown if one.actor.track in counted), None)
    return RenderedFrame(sensor.expose(image, frame, shift), mask, boxes, points, event)


def _in_frame(one: _Drawn, frame: int, spec: CameraSpec) -> bool:
    x0, y0, x1, y1 = one.boxes[frame - one.actor.first]
    return bool(x1 > 0 and y1 > 0 and x0 < spec.lens.width and y0 < spec.lens.height)


def _box(one: _Drawn, frame: int, spec: CameraSpec, shift: FloatArray, counted: set[int]) -> RenderedBox | None:
    x0, y0, x1, y1 = one.boxes[frame - one.actor.first]
    across, down = shift.tolist()
    # anti-aliased edges and a shaken frame spread by a pixel
    left, top = max(floor(x0 + across) - 1, 0), max(floor(y0 + down) - 1, 0)
    right, bottom = min(ceil(x1 + across) + 2, spec.lens.width), min(ceil(y1 + down) + 2, spec.lens.height)
    if right <= left or bottom <= top:
        return None
    return RenderedBox(one.actor.track, left, top, right, bottom, one.actor.kind, one.actor.track in counted)


# ---------------------------------------------------------------- drawing


def _draw_shadows(image: ByteArray, shown: list[_Drawn], frame: int, strength: float) -> None:
    if not shown:
        return
    cover = np.zeros(image.shape[:2], dtype=np.uint8)
    for one in shown:
        if one.actor.position[frame - one.actor.first, 2] < 1.0:
            for polygon in one.shadows[frame - one.actor.first]:
                cv2.fillConvexPoly(cover, polygon, 255, cv2.LINE_AA, BITS)
    x, y, width, height = cv2.boundingRect(cover)
    if width:
        part = np.s_[y : y + height, x : x + width]
        soft = cv2.GaussianBlur(cover[part], (0, 0), 0.9)
        dark = cv2.cvtColor(cv2.LUT(soft, (255 - strength * np.arange(256)).astype(np.uint8)), cv2.COLOR_GRAY2RGB)
        image[part] = cv2.multiply(image[part], dark, scale=1 / 255)


def _paint(image: ByteArray, patches: tuple[Patch, ...], shown: list[_Drawn], frame: int) -> None:
    """Actors and what hides them, the farthest first."""
    waiting = list(patches)
    for one in shown:
        depth = one.away[frame - one.actor.first]
        while waiting and waiting[0].y >= depth:
            _cover(image, waiting.pop(0), shown, frame)
        at = frame - one.actor.first
        polygons, visible, colours = one.corners[at], one.shapes.visible[at], one.palettes[one.levels[at]]
        for number in one.shapes.order[at]:
            if visible[number]:
                cv2.fillConvexPoly(image, polygons[number], colours[number], cv2.LINE_AA, BITS)
    for patch in waiting:
        _cover(image, patch, shown, frame)


def _cover(image: ByteArray, patch: Patch, shown: list[_Drawn], frame: int) -> None:
    """Lay a patch over whoever stands behind it."""
    height, width = patch.solid.shape
    for one in shown:
        at = frame - one.actor.first
        x0, y0, x1, y1 = one.boxes[at]
        behind = one.away[at] > patch.y
        right, bottom = patch.left + width, patch.top + height
        # edges are anti-aliased: a pixel or two around a box
        if behind and x1 + 2 > patch.left and y1 + 2 > patch.top and x0 - 2 < right and y0 - 2 < bottom:
            part = image[patch.top : patch.top + height, patch.left : patch.left + width]
            part[...] = part + patch.alpha * (patch.image - part.astype(np.float32)) + 0.5
            return


def _abnormal(
    spec: CameraSpec, patches: tuple[Patch, ...], shown: list[_Drawn], frame: int
) -> tuple[set[int], BoolArray]:
    """Tracks whose abnormal parts are visible enough, and the mask of these parts."""
    size = (spec.lens.height, spec.lens.width)
    marked = [one for one in shown if one.actor.abnormal[frame - one.actor.first]]
    if not marked:
        return set(), np.zeros(size, dtype=bool)
    numbers = np.zeros(size, dtype=np.uint8)
    numbered = {id(one): number + 1 for number, one in enumerate(marked[:254])}
    waiting = list(patches)
    for one in shown:
        at = frame - one.actor.first
        while waiting and waiting[0].y >= one.away[at]:
            _erase(numbers, waiting.pop(0))
        for polygon in one.corners[at][one.shapes.visible[at]]:
            cv2.fillConvexPoly(numbers, polygon, numbered.get(id(one), 0), cv2.LINE_8, BITS)
    for patch in waiting:
        _erase(numbers, patch)
    counts = np.bincount(numbers.ravel(), minlength=256)
    enough = [one for one in marked[:254] if counts[numbered[id(one)]] >= LEAST[spec.size]]
    mask = np.isin(numbers, [numbered[id(one)] for one in enough])
    return {one.actor.track for one in enough}, np.asarray(mask)


def _erase(numbers: ByteArray, patch: Patch) -> None:
    height, width = patch.solid.shape
    numbers[patch.top : patch.top + height, patch.left : patch.left + width][patch.solid > 0] = 0


# ---------------------------------------------------------------- the sensor


def _moved(picture: ByteArray, shift: FloatArray, how: int) -> ByteArray:
    if not shift.any():
        return picture
    turn = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], dtype=np.float64)
    size = (picture.shape[1], picture.shape[0])
    edge = cv2.BORDER_REPLICATE if picture.ndim == 3 else cv2.BORDER_CONSTANT
    return np.asarray(cv2.warpAffine(picture, turn, size, flags=how, borderMode=edge))


class _Sensor:
    """Shake, blur, light drift, noise and the clock of one video."""

    def __init__(self, spec: CameraSpec, video: VideoPlan) -> None:
        rng = spec.generator(video.stream, video.number, 100)
        self.spec, look = spec, spec.look
        seconds = np.arange(video.frames) / spec.fps
        waves = [np.sin(2 * np.pi * seconds * rng.uniform(0.02, 0.2) + rng.uniform(0, 6)) for _ in range(2)]
        self.gain = look.gain * (1 + look.drift * (waves[0] + 0.5 * waves[1]))
        walk = np.cumsum(rng.normal(0, 1, (video.frames, 2)), 0)
        smooth = walk - np.stack(
            [np.convolve(np.pad(w, 12, mode="edge"), np.ones(25) / 25, "valid") for w in walk.T], -1
        )
        self.shake = look.shake * np.clip(smooth, -3, 3) if look.shake else np.zeros((video.frames, 2))
        size = (spec.lens.height + 16, spec.lens.width + 16, 1 if look.grey else 3)
        grains = [rng.normal(0, look.noise, size).astype(np.float32) for _ in range(6)]
        self.grains = [np.round(cv2.GaussianBlur(grain, (3, 3), 0.45)).astype(np.int16) for grain in grains]
        self.offsets = rng.integers(0, 16, (video.frames, 2))
        self.began = int(rng.integers(0, 86400))
        kernel = np.arange(256, dtype=np.float32)
        self.curve = 255 * (kernel / 255) ** (1.1 if look.night else 1.0)

    def shift(self, frame: int) -> FloatArray:
        """Pixels (2,) by which this frame is displaced."""
        return np.asarray(self.shake[frame])

    def expose(self, image: ByteArray, frame: int, shift: FloatArray) -> ByteArray:
        """The picture as the camera records it."""
        look = self.spec.look
        image = cv2.GaussianBlur(_moved(image, shift, cv2.INTER_LINEAR), (0, 0), look.blur)
        if look.grey:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        table = np.clip(self.gain[frame] * self.curve, 0, 255).astype(np.uint8)
        image = cv2.add(cv2.LUT(image, table), self._grain(frame), dtype=cv2.CV_8U)
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if look.grey else image
        return self._clock(image, frame) if look.clock else image

    def _grain(self, frame: int) -> FloatArray:
        down, across = self.offsets[frame]
        height, width = self.spec.lens.height, self.spec.lens.width
        part = self.grains[frame % len(self.grains)][down : down + height, across : across + width]
        return np.ascontiguousarray(part)

    def _clock(self, image: ByteArray, frame: int) -> ByteArray:
        second = self.began + int(frame / self.spec.fps)
        text = f"CAM{self.spec.index:02d} {second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        size = max(image.shape[0] / 620, 0.26)
        for colour, offset in (((20, 20, 20), 1), ((235, 235, 235), 0)):
            where = (4 + offset, int(34 * size) + offset)
            cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
        return image
