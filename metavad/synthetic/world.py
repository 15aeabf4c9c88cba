"""What stands still before a generated camera: ground, walls and things, drawn once.

The ground is painted from above and seen through the lens; walls are textured rectangles; things that can
hide people are kept as patches with a depth, to be laid over whoever walks behind them.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from metavad.synthetic.camera import CameraSpec
from metavad.synthetic.materials import grain, material
from metavad.synthetic.prop_pictures import OVERSAMPLE, draw_prop
from metavad.synthetic.props import bay_row, things
from metavad.types import ByteArray, FloatArray

__all__ = ["Patch", "World", "build_world"]


MAP = 1100  # pixels at most of the longer side of the ground seen from above


@dataclass(frozen=True)
class Patch:
    """Part of the background that hides what is farther than ``y`` metres: top left corner, colours, cover."""

    y: float
    left: int
    top: int
    image: ByteArray
    alpha: FloatArray
    solid: ByteArray


@dataclass(frozen=True)
class World:
    """The empty scene: picture (H, W, 3), light (H, W) around 1, patches that hide, things that stand about."""

    background: ByteArray
    light: FloatArray
    patches: tuple[Patch, ...]


def build_world(spec: CameraSpec) -> World:
    """Draw the empty scene of a camera."""
    rng = spec.generator(1)
    lens = spec.lens
    scene = _ground(spec, rng)
    wall = _back_wall(spec, rng, scene)
    props = things(spec)
    covers: list[tuple[float, FloatArray]] = [(spec.back, wall)]
    for prop in sorted(props, key=lambda prop: -prop.y):
        covers.append((prop.y, draw_prop(spec, prop, scene)))
    light = _light(spec, rng, scene.shape[0], scene.shape[1])
    scene *= light[..., None] * np.array(spec.look.tint[::-1], dtype=np.float32)
    small = cv2.resize(scene, (lens.width, lens.height), interpolation=cv2.INTER_AREA)
    background = np.clip(small, 0, 255).astype(np.uint8)
    masks = [(y, cv2.resize(mask, (lens.width, lens.height), interpolation=cv2.INTER_AREA)) for y, mask in covers]
    patches = [patch for y, mask in masks if (patch := _patch(y, mask, background)) is not None]
    dim = cv2.resize(light, (lens.width, lens.height), interpolation=cv2.INTER_AREA)
    return World(background, dim, tuple(patches))


def _patch(y: float, mask: FloatArray, background: ByteArray) -> Patch | None:
    rows, columns = np.flatnonzero(mask.max(1) > 0.02), np.flatnonzero(mask.max(0) > 0.02)
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    alpha = mask[top:bottom, left:right, None].astype(np.float32)
    solid = (alpha[..., 0] > 0.5).astype(np.uint8)
    return Patch(y, int(left), int(top), background[top:bottom, left:right].copy(), alpha, solid)


# ---------------------------------------------------------------- ground


BASES = {"street": ("grass", "asphalt", "gravel"), "plaza": ("tiles", "concrete", "grass"),
         "corridor": ("tiles", "carpet", "wood"), "room": ("carpet", "wood", "tiles"), "shop": ("tiles", "wood"),
         "road": ("grass", "gravel"), "carpark": ("asphalt", "concrete")}  # fmt: skip


PATHS = {"street": "concrete", "plaza": "concrete", "road": "tiles", "carpark": "asphalt"}


def _ground(spec: CameraSpec, rng: np.random.Generator) -> FloatArray:
    """The ground through the lens, oversampled (3H, 3W, 3)."""
    lens, big = spec.lens, OVERSAMPLE
    columns, rows = np.meshgrid(np.arange(lens.width * big), np.arange(lens.height * big))
    pixels = np.stack([(columns + 0.5) / big, (rows + 0.5) / big], -1)
    world = lens.ground(pixels, farthest=90.0)
    seen = world[world[..., 1] < spec.back + 2]
    low, high = seen.min(0), seen.max(0)
    scale = min(MAP, 5 * lens.width) / float((high - low).max())
    size = np.ceil((high - low) * scale).astype(int) + 1
    picture = _map(spec, rng, low, scale, int(size[1]), int(size[0]))
    where = ((world - low) * scale).astype(np.float32)
    scene = cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    fine = rng.normal(0, 3, scene.shape[:2]).astype(np.float32)
    return np.asarray(scene + fine[..., None], dtype=np.float32)


def _map(
    spec: CameraSpec, rng: np.random.Generator, low: FloatArray, scale: float, height: int, width: int
) -> FloatArray:
    """The ground from above (H, W, 3): material, paths along the routes, lanes with markings."""
    base = str(rng.choice(BASES[spec.kind]))
    picture = material(rng, base, height, width, scale)
    if spec.kind in PATHS:
        paved = material(rng, PATHS[spec.kind], height, width, scale)
        tar = material(rng, "asphalt", height, width, scale) - 8
        for route in spec.habits.routes:
            line = (np.array(route.points) - low) * scale
            road = route.mover == "car"
            _pave(picture, tar if road else paved, line, (3.2 if road else 2 * route.spread + 0.9) * scale)
            if road:
                _markings(picture, line, scale)
    _bays(spec, picture, low, scale)
    stains = np.clip(grain(rng, height, width, 7) - 0.9, 0, 1) * 24
    return np.asarray(picture - stains[..., None], dtype=np.float32)


def _pave(picture: FloatArray, paved: FloatArray, line: FloatArray, width: float) -> None:
    mask = np.zeros(picture.shape[:2], dtype=np.uint8)
    points = [np.round(np.clip(line, -20000, 20000)).astype(np.int32)]
    cv2.polylines(mask, points, False, 255, max(int(width), 2), cv2.LINE_8)
    kerb = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    picture[mask > 0] = paved[mask > 0]
    picture[kerb] += 22


def _markings(picture: FloatArray, line: FloatArray, scale: float) -> None:
    for start, end in itertools.pairwise(line):
        along = end - start
        length = float(np.linalg.norm(along))
        across = np.array([-along[1], along[0]]) / max(length, 1e-6) * 1.5 * scale
        for dash in np.arange(0, length, 4 * scale):
            one, two = start + along * dash / length, start + along * min(dash + 2 * scale, length) / length
            for side in (across, -across):
                ends = [tuple(int(v) for v in np.clip(point + side, -20000, 20000)) for point in (one, two)]
                cv2.line(picture, ends[0], ends[1], (214, 212, 204), max(int(0.12 * scale), 1), cv2.LINE_AA)


def _bays(spec: CameraSpec, picture: FloatArray, low: FloatArray, scale: float) -> None:
    if spec.kind != "carpark":
        return
    rear = bay_row(spec)
    for x in np.arange(-30, 30, 2.6):
        one, two = ((np.array([x, y]) - low) * scale for y in (rear - 2.4, rear + 2.4))
        cv2.line(picture, tuple(one.astype(int).tolist()), tuple(two.astype(int).tolist()), (206, 206, 200),
                 max(int(0.12 * scale), 1), cv2.LINE_AA)  # fmt: skip


# ---------------------------------------------------------------- walls


def _rectangle(spec: CameraSpec, corners: list[tuple[float, float, float]]) -> FloatArray:
    pixels, _ = spec.lens.project(np.array(corners))
    return np.asarray(pixels * OVERSAMPLE, dtype=np.float32)


def _hang(scene: FloatArray, texture: FloatArray, corners: FloatArray, hole: FloatArray | None = None) -> FloatArray:
    """Draw a texture into image ``corners`` (4, 2; top left first, clockwise); gives its cover (H, W)."""
    height, width = texture.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    turn = cv2.getPerspectiveTransform(source, corners)
    cover = np.ones((height, width), dtype=np.float32) if hole is None else hole
    size = (scene.shape[1], scene.shape[0])
    alpha = cv2.warpPerspective(cover, turn, size, flags=cv2.INTER_LINEAR)
    scene += alpha[..., None] * (cv2.warpPerspective(texture, turn, size, flags=cv2.INTER_LINEAR) - scene)
    return np.asarray(alpha)


def _back_wall(spec: CameraSpec, rng: np.random.Generator, scene: FloatArray) -> FloatArray:
    """The wall that closes the view, with a door in it; side walls and ceiling indoors. Gives its cover."""
    half = 1.9 if spec.kind == "corridor" else max(abs(spec.lens.at(1.4, 0.3)[0]), 4.0)
    height = 2.7 if spec.indoor else float(rng.uniform(4, 14))
    scale = min(min(1600, 8 * spec.lens.width) / (2 * half), 90.0)
    if not spec.indoor:
        _sky(rng, scene, spec)
    else:
        _ceiling(spec, rng, scene, half, height)
    texture = _facade(spec, rng, int(height * scale), int(2 * half * scale), scale)
    hole = np.ones(texture.shape[:2], dtype=np.float32)
    door = 0.0 if spec.kind == "corridor" else float(rng.uniform(-0.3, 0.3)) * half
    left, right = (int((door + half + side) * scale) for side in (-0.75, 0.75))
    cv2.rectangle(
        texture, (left - 4, texture.shape[0] - int(2.15 * scale)), (right + 4, texture.shape[0]), (70, 62, 54), -1
    )
    opening = (slice(texture.shape[0] - int(2.05 * scale), None), slice(left, right))
    texture[opening] = (38, 36, 36)
    back = spec.back
    corners = _rectangle(spec, [(-half, back, height), (half, back, height), (half, back, 0), (-half, back, 0)])
    _hang(scene, texture, corners, hole)
    hole[opening] = 0.0
    return _hang(scene, texture, corners, hole)


def _facade(spec: CameraSpec, rng: np.random.Generator, height: int, width: int, scale: float) -> FloatArray:
    names = ("plaster", "brick", "wood") if spec.indoor else ("facade", "brick", "hedge", "plaster")
    name = str(rng.choice(names))
    texture = material(rng, name, height, width, scale)
    if name in ("facade", "brick", "plaster") and not spec.indoor:
        _windows(rng, texture, scale)
    if spec.indoor:
        _pictures(rng, texture, scale)
    return texture


def _windows(rng: np.random.Generator, texture: FloatArray, scale: float) -> None:
    height, width = texture.shape[:2]
    step, floor = rng.uniform(2.0, 3.4), 3.0
    for x in np.arange(0.8, width / scale - 1.5, step):
        for y in np.arange(1.0, height / scale - 1.2, floor):
            bottom = height - int(y * scale)
            one, two = (int(x * scale), bottom - int(1.5 * scale)), (int((x + 1.1) * scale), bottom)
            shade = float(rng.uniform(40, 110))
            cv2.rectangle(texture, one, two, (shade * 0.9, shade, shade * 1.1), -1)
            cv2.rectangle(texture, one, two, (186, 184, 178), max(int(0.08 * scale), 1))


def _pictures(rng: np.random.Generator, texture: FloatArray, scale: float) -> None:
    height, width = texture.shape[:2]
    texture[height - max(int(0.12 * scale), 1) :] -= 50
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0, width * 0.9), rng.uniform(0.15, 0.45) * height
        size = rng.uniform(0.4, 1.1, 2) * scale
        one, two = (int(x), int(y)), (int(x + size[0]), int(y + size[1]))
        colour = tuple(float(value) for value in rng.uniform(50, 220, 3))
        cv2.rectangle(texture, one, two, colour, -1)
        cv2.rectangle(texture, one, two, (60, 54, 50), max(int(0.04 * scale), 1))


def _sky(rng: np.random.Generator, scene: FloatArray, spec: CameraSpec) -> None:
    lens = spec.lens
    horizon = int((lens.height / 2 - lens.focal * np.tan(lens.tilt)) * OVERSAMPLE)
    far = int(lens.project(np.array([0.0, spec.back, 0.0]))[0][1] * OVERSAMPLE)
    bright = rng.uniform(150, 215)
    scene[: max(far, horizon, 0)] = np.array([0.94, 0.98, 1.04], dtype=np.float32) * bright


def _ceiling(spec: CameraSpec, rng: np.random.Generator, scene: FloatArray, half: float, height: float) -> None:
    foot = int(spec.lens.project(np.array([0.0, spec.back, 0.0]))[0][1] * OVERSAMPLE)
    scene[: max(foot, 0)] = rng.uniform(170, 205)
    near = 0.6
    width = max(spec.back - near, 1.0)
    # side walls stand where the frame's edge already is, except in a corridor
    for side in (-half, half):
        texture = material(rng, "plaster", int(height * 80), int(width * 80), 80.0) * (0.86 if side < 0 else 0.94)
        texture[-8:] -= 45
        corners = [(side, near, height), (side, spec.back, height), (side, spec.back, 0.0), (side, near, 0.0)]
        pixels = _clipped(spec, corners)
        if pixels is not None:
            _hang(scene, np.asarray(texture, dtype=np.float32), pixels)


def _clipped(spec: CameraSpec, corners: list[tuple[float, float, float]]) -> FloatArray | None:
    """Image corners of a side wall, begun where all of it is before the lens."""
    table = np.array(corners)
    for near in np.arange(table[0, 1], table[1, 1], 0.2):
        table[[0, 3], 1] = near
        pixels, depth = spec.lens.project(table)
        if depth.min() > 0.35:
            return np.asarray(pixels * OVERSAMPLE, dtype=np.float32)
    return None


def _light(spec: CameraSpec, rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Uneven light (H, W): darker corners, a lamp at night."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    fall = 1 - float(rng.uniform(0.05, 0.22)) * (rows**2 + columns**2) / 2
    patchy = 1 + 0.06 * grain(rng, height, width, 2)
    light = fall * patchy
    if spec.look.night:
        x, y = rng.uniform(-0.7, 0.7, 2)
        light *= 0.65 + 0.9 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 0.5)
    return np.asarray(light, dtype=np.float32)
