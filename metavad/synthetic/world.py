"""What stands still before a generated camera: ground, walls and things, drawn once.

The ground is painted from above and seen through the lens; walls are textured rectangles; things that can
hide people are kept as patches with a depth, to be laid over whoever walks behind them.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from metavad.synthetic.actors import CLOTHES, Colour, box_faces, car_faces, project_faces, shaded
from metavad.synthetic.camera import CameraSpec, Point
from metavad.types import ByteArray, FloatArray

__all__ = ["Patch", "Prop", "World", "build_world", "entrances", "free_spot", "off_routes", "roaming_spots", "things"]

OVERSAMPLE = 3
MAP = 1100  # pixels at most of the longer side of the ground seen from above


@dataclass(frozen=True)
class Prop:
    """A thing: where its foot is, which way it is turned, its size in metres, whether one can climb it."""

    kind: str
    x: float
    y: float
    heading: float
    length: float
    width: float
    height: float
    colour: Colour


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


def off_routes(spec: CameraSpec, points: FloatArray) -> FloatArray:
    """Distance in metres of points (..., 2) from every route and place of the camera's normality."""
    gaps = [_distance(points, np.array(route.points)) - route.spread for route in spec.habits.routes]
    gaps += [np.linalg.norm(points - np.array([place.x, place.y]), axis=-1) - 0.5 for place in spec.habits.places]
    gaps += [
        _distance(points, np.array([[place.x, place.y], entrance])) - 0.4
        for place in spec.habits.places
        for entrance in entrances(spec, place.x, place.y)
    ]
    return np.asarray(np.min(gaps, axis=0))


def entrances(spec: CameraSpec, x: float, y: float) -> list[Point]:
    """From where people come to a place: the nearest ends of the camera's walking routes."""
    ends = [
        end for route in spec.habits.routes if route.mover == "walker" for end in (route.points[0], route.points[-1])
    ]
    return sorted(ends, key=lambda end: (end[0] - x) ** 2 + (end[1] - y) ** 2)[:2]


def _distance(points: FloatArray, line: FloatArray) -> FloatArray:
    """Distance of points (..., 2) from a polyline (P, 2)."""
    found = []
    for start, end in itertools.pairwise(line):
        along = end - start
        share = np.clip(((points - start) @ along) / max(float(along @ along), 1e-9), 0, 1)
        found.append(np.linalg.norm(points - start - share[..., None] * along, axis=-1))
    return np.asarray(np.min(found, axis=0))


def build_world(spec: CameraSpec) -> World:
    """Draw the empty scene of a camera."""
    rng = spec.generator(1)
    lens = spec.lens
    scene = _ground(spec, rng)
    wall = _back_wall(spec, rng, scene)
    props = things(spec)
    covers: list[tuple[float, FloatArray]] = [(spec.back, wall)]
    for prop in sorted(props, key=lambda prop: -prop.y):
        covers.append((prop.y, _draw_prop(spec, prop, scene)))
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


# ---------------------------------------------------------------- textures


def grain(rng: np.random.Generator, height: int, width: int, octaves: int = 5) -> FloatArray:
    """Noise of many scales (H, W), about -1 to 1."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        cells = 3 * 2**octave
        rows = max(int(cells * height / max(height, width)), 2)
        coarse = rng.normal(0, 1, (rows, max(int(cells * width / max(height, width)), 2))).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return total / 2.2


def material(rng: np.random.Generator, name: str, height: int, width: int, scale: float) -> FloatArray:
    """A texture (H, W, 3) of one material; ``scale`` is pixels a metre."""
    colour = np.array(COLOURS[name][int(rng.integers(len(COLOURS[name])))], dtype=np.float32)
    colour += rng.normal(0, 8) + rng.normal(0, 1.8, 3)
    rough = {"grass": 16, "asphalt": 7, "carpet": 5, "gravel": 16, "hedge": 30}.get(name, 6)
    noise = grain(rng, height, width, 6) * rough + rng.normal(0, rough / 2.5, (height, width)).astype(np.float32)
    texture = np.asarray(colour[None, None] + noise[..., None], dtype=np.float32)
    if name in SEAMS:
        _seams(rng, texture, *SEAMS[name], scale)
    return texture


COLOURS: dict[str, tuple[Colour, ...]] = {
    "asphalt": ((92, 92, 94), (72, 74, 78), (112, 108, 104)),
    "concrete": ((158, 154, 148), (140, 138, 136), (176, 168, 156)),
    "tiles": ((168, 160, 150), (146, 138, 130), (184, 180, 174), (150, 120, 100)),
    "grass": ((84, 104, 58), (104, 112, 66), (70, 92, 50)),
    "gravel": ((150, 140, 122), (128, 122, 112)),
    "carpet": ((92, 88, 108), (112, 70, 66), (90, 100, 104), (124, 114, 98)),
    "wood": ((150, 112, 76), (122, 88, 60), (176, 144, 104)),
    "brick": ((140, 84, 68), (158, 112, 92), (120, 96, 86)),
    "plaster": ((196, 190, 178), (176, 178, 180), (204, 190, 160), (160, 168, 160)),
    "hedge": ((56, 76, 44), (66, 82, 52)),
    "facade": ((168, 156, 142), (134, 130, 130), (184, 166, 140)),
}
SEAMS = {"tiles": (0.6, 0.6, -26.0), "wood": (1.8, 0.16, -20.0), "brick": (0.5, 0.16, 26.0),
         "concrete": (2.4, 2.4, -12.0)}  # fmt: skip


def _seams(
    rng: np.random.Generator, texture: FloatArray, across: float, down: float, depth: float, scale: float
) -> None:
    """Joints between tiles, planks or bricks, and a tone of its own for each."""
    height, width = texture.shape[:2]
    rows, columns = np.arange(height) / scale / down, np.arange(width) / scale / across
    row = np.floor(rows).astype(int)
    shifted = columns[None] + 0.5 * (row % 2)[:, None] * (across != down)
    column = np.floor(shifted).astype(int)
    tones = rng.normal(0, 5, (row.max() + 1, column.max() + 1))
    edge = ((rows % 1)[:, None] * down * scale < 1.2) | ((shifted % 1) * across * scale < 1.2)
    texture += (tones[row[:, None], column] + depth * edge)[..., None]


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
    rear = _bay_row(spec)
    for x in np.arange(-30, 30, 2.6):
        one, two = ((np.array([x, y]) - low) * scale for y in (rear - 2.4, rear + 2.4))
        cv2.line(picture, tuple(one.astype(int).tolist()), tuple(two.astype(int).tolist()), (206, 206, 200),
                 max(int(0.12 * scale), 1), cv2.LINE_AA)  # fmt: skip


def _bay_row(spec: CameraSpec) -> float:
    return spec.lens.at(0.5, 0.42)[1]


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


# ---------------------------------------------------------------- things


FURNITURE: dict[str, tuple[tuple[str, float, float, float], ...]] = {
    "street": (("tree", 0.3, 0.3, 4.0), ("planter", 2.0, 0.8, 0.6), ("bin", 0.5, 0.5, 1.0),
               ("pole", 0.14, 0.14, 5.0)),
    "plaza": (("planter", 1.8, 1.8, 0.7), ("bench", 1.8, 0.5, 0.45), ("tree", 0.3, 0.3, 3.5),
              ("column", 0.5, 0.5, 2.2)),
    "corridor": (("cabinet", 0.5, 0.9, 1.2), ("bench", 0.4, 1.4, 0.45)),
    "room": (("table", 1.4, 0.8, 0.74), ("cabinet", 1.0, 0.5, 1.3), ("table", 0.8, 0.8, 0.72),
             ("chair", 0.45, 0.45, 0.8)),
    "shop": (("shelf", 2.0, 0.5, 1.4), ("counter", 1.8, 0.6, 1.0), ("cabinet", 0.9, 0.5, 1.1)),
    "road": (("pole", 0.14, 0.14, 5.0), ("bin", 0.5, 0.5, 1.0), ("tree", 0.3, 0.3, 4.0), ("fence", 5.0, 0.1, 1.0)),
    "carpark": (("pole", 0.14, 0.14, 5.0), ("fence", 5.0, 0.1, 1.1), ("bin", 0.6, 0.6, 1.1)),
}  # fmt: skip


def things(spec: CameraSpec) -> list[Prop]:
    """Things beside the routes; seats under sitting places, a counter before a queue, cars in their bays."""
    rng = spec.generator(5)
    props = _seats(spec, rng)
    kinds = FURNITURE[spec.kind]
    for number in range(int(rng.integers(2, 6))):
        kind, length, width, height = kinds[number % len(kinds)]
        clearance = max(length, width) / 2 + 0.45
        spot = free_spot(spec, rng, clearance, [(prop.x, prop.y) for prop in props], (0.05, 0.95), (0.3, 0.85))
        if spot is not None:
            heading = 0.0 if kind == "fence" or spec.kind == "corridor" else float(rng.choice([0, 0.2, -0.2, 1.57]))
            props.append(Prop(kind, *spot, heading, length, width, height, _colour(rng, kind)))
    return props + _parked(spec, rng)


def _colour(rng: np.random.Generator, kind: str) -> Colour:
    fixed = {"tree": (70, 88, 48), "pole": (96, 98, 100), "fence": (120, 116, 108), "planter": (136, 126, 116)}
    if kind in fixed:
        return fixed[kind]
    name = "wood" if rng.random() < 0.6 else "concrete"
    return COLOURS[name][int(rng.integers(len(COLOURS[name])))]


def _seats(spec: CameraSpec, rng: np.random.Generator) -> list[Prop]:
    seats = []
    for place in spec.habits.places:
        if place.posture == "sit":
            x, y = place.x - 0.12 * np.cos(place.facing), place.y - 0.12 * np.sin(place.facing)
            seats.append(Prop("chair", float(x), float(y), place.facing, 0.42, 0.5, 0.42, _colour(rng, "chair")))
    if "queueing" in spec.habits.includes:
        first = spec.habits.places[0]
        x, y = first.x + 0.9 * np.cos(first.facing), first.y + 0.9 * np.sin(first.facing)
        seats.append(Prop("counter", float(x), float(y), first.facing, 0.6, 1.6, 1.05, _colour(rng, "counter")))
    return seats


def _parked(spec: CameraSpec, rng: np.random.Generator) -> list[Prop]:
    if spec.kind != "carpark":
        return []
    edge, row = abs(spec.lens.at(1.1, 0.42)[0]), _bay_row(spec)
    bays = [x + 1.3 for x in np.arange(-30, 30, 2.6) if abs(x + 1.3) < edge and rng.random() < 0.6]
    free = [x for x in bays if off_routes(spec, np.array([x, row])) > 1.6]
    return [
        Prop("car", x, row, float(np.pi / 2 * rng.choice([-1, 1])), 4.2, 1.8, 1.4, CLOTHES[int(rng.integers(16))])
        for x in free
    ]


def free_spot(
    spec: CameraSpec,
    rng: np.random.Generator,
    clearance: float,
    taken: list[Point],
    across: Point,
    down: Point,
) -> Point | None:
    """A visible ground point at least ``clearance`` metres off every route, place and ``taken`` point."""
    for _ in range(60):
        x, y = spec.lens.at(float(rng.uniform(*across)), float(rng.uniform(*down)))
        apart = all((x - a) ** 2 + (y - b) ** 2 > (clearance + 0.6) ** 2 for a, b in taken)
        if apart and y < spec.back - 0.3 and off_routes(spec, np.array([x, y])) > clearance and _inside(spec, x):
            return x, y
    return None


def roaming_spots(spec: CameraSpec, rng: np.random.Generator, count: int) -> FloatArray:
    """Visible ground points (count, 2) where people may stand; no thing between two, where 40 tries find one."""
    props = things(spec)
    spots: list[FloatArray] = []
    for number in range(count):
        for _ in range(40):
            spot = np.array(spec.lens.at(float(rng.uniform(0.08, 0.92)), float(rng.uniform(0.35, 0.95))))
            leg = np.linspace(spots[-1] if number else spot, spot, 12)
            clear = all(
                np.hypot(leg[:, 0] - prop.x, leg[:, 1] - prop.y).min() > max(prop.length, prop.width) / 2 + 0.3
                for prop in props
            )
            if clear and spot[1] < spec.back - 0.3 and _inside(spec, float(spot[0])):
                break
        spots.append(spot)
    return np.array(spots)


def _inside(spec: CameraSpec, x: float) -> bool:
    return spec.kind != "corridor" or abs(x) < 1.7


def _draw_prop(spec: CameraSpec, prop: Prop, scene: FloatArray) -> FloatArray:
    """Draw a thing into the oversampled scene; gives its cover (H, W)."""
    cover = np.zeros(scene.shape[:2], dtype=np.float32)
    _ground_shadow(spec, prop, scene)
    for faces, colours in _prop_faces(prop):
        position, heading = np.array([[prop.x, prop.y, 0.0]]), np.array([prop.heading])
        polygons, visible = project_faces(np.stack(faces), spec.lens, position, heading)
        for polygon, shown, colour in zip(polygons[0], visible[0], colours, strict=True):
            if shown:
                points = np.round(np.clip(polygon * OVERSAMPLE, -9000, 9000)).astype(np.int32)
                cv2.fillConvexPoly(scene, points, colour, cv2.LINE_AA)
                cv2.fillConvexPoly(cover, points, 1.0, cv2.LINE_AA)
    if prop.kind == "tree":
        _crown(spec, prop, scene, cover)
    return cover


def _ground_shadow(spec: CameraSpec, prop: Prop, scene: FloatArray) -> None:
    centre, depth = spec.lens.project(np.array([prop.x, prop.y, 0.0]))
    radius = float(spec.lens.focal * max(prop.length, prop.width) * 0.6 / max(float(depth), 0.5)) * OVERSAMPLE
    mask = np.zeros(scene.shape[:2], dtype=np.float32)
    middle = tuple(int(value) for value in np.clip(centre * OVERSAMPLE, -9000, 9000))
    cv2.ellipse(mask, middle, (int(radius) + 2, int(radius * 0.45) + 2), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    scene *= 1 - 0.3 * cv2.GaussianBlur(mask, (0, 0), max(radius * 0.2, 1.0))[..., None]


def _prop_faces(prop: Prop) -> list[tuple[list[FloatArray], list[Colour]]]:
    if prop.kind == "car":
        return [car_faces(prop.colour)]
    if prop.kind == "tree":
        return [box_faces((74, 58, 44), 0.28, 0.28, prop.height * 0.6)]
    if prop.kind in ("chair", "table", "bench"):
        return _legged(prop)
    if prop.kind == "shelf":
        return _shelved(prop)
    return [box_faces(prop.colour, prop.length, prop.width, prop.height)]


def _shifted(
    made: tuple[list[FloatArray], list[Colour]], forward: float, left: float, up: float
) -> tuple[list[FloatArray], list[Colour]]:
    return [face + np.array([forward, left, up]) for face in made[0]], made[1]


def _legged(prop: Prop) -> list[tuple[list[FloatArray], list[Colour]]]:
    """Chairs, benches and tables: legs, a board, and a chair's back."""
    seat = 0.42 if prop.kind == "chair" else prop.height
    legs = [
        _shifted(box_faces(shaded(prop.colour, 0.6), 0.06, 0.06, seat), x, y, 0.0)
        for x in (-prop.length / 2 + 0.05, prop.length / 2 - 0.05)
        for y in (-prop.width / 2 + 0.05, prop.width / 2 - 0.05)
    ]
    board = _shifted(box_faces(prop.colour, prop.length, prop.width, 0.06), 0.0, 0.0, seat - 0.05)
    back = _shifted(box_faces(shaded(prop.colour, 0.85), 0.06, prop.width, 0.45), -prop.length / 2, 0.0, seat)
    return [*legs, board, *([back] if prop.kind == "chair" else [])]


def _shelved(prop: Prop) -> list[tuple[list[FloatArray], list[Colour]]]:
    """A shelf with goods of all colours in its front."""
    rng = np.random.default_rng([int(abs(prop.x) * 1000), int(prop.y * 1000)])
    parts = [box_faces(prop.colour, prop.length, prop.width, prop.height)]
    for level in np.arange(0.12, prop.height - 0.25, 0.38):
        for x in np.arange(-prop.length / 2 + 0.12, prop.length / 2 - 0.1, 0.2):
            goods = CLOTHES[int(rng.integers(len(CLOTHES)))]
            for side in (-1, 1):
                box = box_faces(goods, 0.17, 0.05, float(rng.uniform(0.15, 0.3)))
                parts.append(_shifted(box, float(x), side * prop.width / 2, float(level)))
    return parts


def _crown(spec: CameraSpec, prop: Prop, scene: FloatArray, cover: FloatArray) -> None:
    rng = np.random.default_rng([spec.seed, spec.index, int(abs(prop.x) * 1000), int(prop.y * 1000)])
    for _ in range(70):
        offset = rng.normal(0, 1, 3) * np.array([0.75, 0.75, 0.6])
        spot = np.array([prop.x, prop.y, prop.height * 0.8]) + offset
        pixel, depth = spec.lens.project(spot)
        if depth < 0.5:
            continue
        radius = max(int(spec.lens.focal * rng.uniform(0.12, 0.34) / float(depth) * OVERSAMPLE), 1)
        middle = tuple(int(value) for value in np.clip(pixel * OVERSAMPLE, -9000, 9000))
        colour = shaded(prop.colour, float(rng.uniform(0.65, 1.2) + 0.25 * offset[2]))
        cv2.circle(scene, middle, radius, colour, -1, cv2.LINE_AA)
        cv2.circle(cover, middle, radius, 1.0, -1, cv2.LINE_AA)


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
