"""Where a generated camera hangs, how it sees, and what is normal before it: all drawn from (seed, index).

World coordinates are metres: x to the right, y away from the camera along the ground, z up. The camera
stands over the origin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from metavad.errors import UsageError, nearest
from metavad.scenes.scene import CameraSize
from metavad.types import FloatArray

__all__ = ["KINDS", "CameraSpec", "Habits", "Imaging", "Lens", "Place", "Point", "Route", "sample_camera"]

Mover: TypeAlias = Literal["walker", "runner", "cyclist", "car"]
Posture: TypeAlias = Literal["stand", "talk", "phone", "sit", "bend", "lie", "hug", "play"]
Point: TypeAlias = tuple[float, float]

KINDS = ("street", "plaza", "corridor", "room", "shop", "road", "carpark")
INDOOR = frozenset({"corridor", "room", "shop"})
RESOLUTIONS: dict[str, tuple[tuple[int, int], ...]] = {
    "tiny": ((96, 72),),
    "small": ((160, 120), (240, 180), (320, 240), (320, 180), (352, 240)),
    "full": ((160, 120), (240, 180), (320, 240), (320, 240), (360, 240), (352, 288), (480, 360)),
}
FRAME_RATES = (10.0, 12.5, 15.0, 24.0, 25.0, 30.0)


@dataclass(frozen=True)
class Lens:
    """A pinhole over the origin, looking along y and down by ``tilt`` radians; ``focal`` in pixels."""

    width: int
    height: int
    focal: float
    altitude: float
    tilt: float

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels (..., 2) and depth in metres (...) of world points (..., 3)."""
        sine, cosine = np.sin(self.tilt), np.cos(self.tilt)
        rise = points[..., 2] - self.altitude
        depth = points[..., 1] * cosine - rise * sine
        up = points[..., 1] * sine + rise * cosine
        safe = np.maximum(depth, 0.05)
        across = self.width / 2 + self.focal * points[..., 0] / safe
        return np.stack([across, self.height / 2 - self.focal * up / safe], -1), depth

    def ground(self, pixels: FloatArray, farthest: float = 120.0) -> FloatArray:
        """World points (..., 2) on the ground under pixels (..., 2); at most ``farthest`` metres away."""
        right = (pixels[..., 0] - self.width / 2) / self.focal
        up = (self.height / 2 - pixels[..., 1]) / self.focal
        sine, cosine = np.sin(self.tilt), np.cos(self.tilt)
        fall = np.maximum(sine - up * cosine, 1e-6)
        reach = np.minimum(self.altitude / fall, farthest)
        return np.stack([right * reach, (cosine + up * sine) * reach], -1)

    def at(self, across: float, down: float) -> Point:
        """The ground point seen at a fraction of the frame's width and height (may lie outside 0 to 1)."""
        x, y = self.ground(np.array([across * self.width, down * self.height]))
        return float(x), float(y)


@dataclass(frozen=True)
class Route:
    """A way that is used: corner points in metres, metres/second, arrivals/second."""

    points: tuple[Point, ...]
    mover: Mover
    speed: float
    rate: float
    spread: float
    both_ways: bool


@dataclass(frozen=True)
class Place:
    """Where somebody stays: position, heading in radians, what they do, the share of time it is taken."""

    x: float
    y: float
    facing: float
    posture: Posture
    taken: float
    stay: float


@dataclass(frozen=True)
class Habits:
    """What is normal before this camera."""

    routes: tuple[Route, ...]
    places: tuple[Place, ...]
    grouped: float
    carrying: float
    pausing: float
    """Share of walkers who stop on their way for a while, anywhere."""
    roaming: float
    """Share of walkers who leave the ways and walk from spot to spot."""
    includes: frozenset[str]


@dataclass(frozen=True)
class Imaging:
    """Light and sensor: levels are in grey values, shake in pixels, angles in radians."""

    grey: bool
    night: bool
    gain: float
    drift: float
    noise: float
    blur: float
    shake: float
    clock: bool
    shadow: float
    sun: float | None
    crf: int
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class CameraSpec:
    """One camera: everything about it follows from ``(seed, index, size)``."""

    seed: int
    index: int
    size: CameraSize
    kind: str
    lens: Lens
    fps: float
    back: float
    look: Imaging
    habits: Habits

    @property
    def name(self) -> str:
        """The scene's name, such as ``camera-003``."""
        return f"camera-{self.index:03d}"

    @property
    def indoor(self) -> bool:
        """Whether there are walls and lamps instead of sky and sun."""
        return self.kind in INDOOR

    def generator(self, *stream: int) -> np.random.Generator:
        """A source of chance of its own for each ``stream``."""
        return np.random.default_rng([self.seed, self.index, *stream])


VIEWS: dict[str, tuple[Point, Point, Point, Point]] = {
    # altitude in metres, tilt and horizontal angle of view in degrees, row of the back wall's foot
    "street": ((6.0, 11.0), (24, 36), (42, 62), (0.16, 0.26)),
    "plaza": ((5.0, 9.0), (25, 40), (48, 66), (0.14, 0.24)),
    "corridor": ((2.3, 2.9), (17, 25), (52, 70), (0.24, 0.34)),
    "room": ((2.1, 2.7), (22, 32), (58, 76), (0.22, 0.32)),
    "shop": ((2.5, 3.2), (24, 34), (54, 72), (0.20, 0.30)),
    "road": ((4.5, 8.0), (18, 30), (45, 62), (0.18, 0.28)),
    "carpark": ((4.0, 7.0), (20, 32), (48, 66), (0.16, 0.26)),
}


def sample_camera(seed: int, index: int, size: CameraSize = "small") -> CameraSpec:
    """Draw camera ``index`` of the world ``seed``; the same arguments give the same camera.

    Raises :class:`UsageError` for an unknown size.
    """
    if size not in RESOLUTIONS:
        raise UsageError(f"size {size!r} is unknown; {nearest(size, RESOLUTIONS)}")
    rng = np.random.default_rng([seed, index, 0])
    kind = KINDS[int(np.random.default_rng([seed, index // len(KINDS)]).permutation(7)[index % 7])]
    lens, back = _sample_lens(rng, kind, size)
    fps = 10.0 if size == "tiny" else float(rng.choice(FRAME_RATES))
    look = _sample_look(rng, kind, size)
    habits = LAYOUTS[kind](rng, lens)
    return CameraSpec(seed, index, size, kind, lens, fps, back, look, habits)


def _sample_lens(rng: np.random.Generator, kind: str, size: CameraSize) -> tuple[Lens, float]:
    altitude, tilt, view, foot = VIEWS[kind]
    width, height = RESOLUTIONS[size][int(rng.integers(len(RESOLUTIONS[size])))]
    angle = np.radians(rng.uniform(*view))
    focal = width / 2 / np.tan(angle / 2)
    lens = Lens(width, height, float(focal), float(rng.uniform(*altitude)), float(np.radians(rng.uniform(*tilt))))
    return lens, min(lens.at(0.5, float(rng.uniform(*foot)))[1], 9.0 if kind == "room" else 70.0)


def _sample_look(rng: np.random.Generator, kind: str, size: CameraSize) -> Imaging:
    indoor = kind in INDOOR
    night = bool(rng.random() < (0.06 if indoor else 0.16))
    sunny = not indoor and not night and bool(rng.random() < 0.55)
    shaky = not indoor and size != "tiny" and bool(rng.random() < 0.25)
    red, blue = rng.uniform(0.96, 1.05, 2)
    return Imaging(
        grey=night or bool(rng.random() < 0.25),
        night=night,
        gain=float(rng.uniform(0.5, 0.8) if night else rng.uniform(0.85, 1.12)),
        drift=float(rng.uniform(0.0, 0.05)),
        noise=float(rng.uniform(5, 9) if night else rng.uniform(1.2, 4.5)),
        blur=float(rng.uniform(0.35, 0.9)),
        shake=float(rng.uniform(0.2, 0.7)) if shaky else 0.0,
        clock=size != "tiny" and bool(rng.random() < 0.4),
        shadow=float(rng.uniform(0.3, 0.55) if sunny else rng.uniform(0.15, 0.3)),
        sun=float(rng.uniform(0, 2 * np.pi)) if sunny else None,
        crf=int(rng.integers(20, 28)),
        tint=(float(blue), 1.0, float(red)),
    )


def _jitter(rng: np.random.Generator, value: float, amount: float) -> float:
    return float(value + rng.uniform(-amount, amount))


def _towards(place: Point, target: Point) -> float:
    return float(np.arctan2(target[1] - place[1], target[0] - place[0]))


def _way(
    rng: np.random.Generator, points: list[Point], mover: Mover, rate: float, spread: float, one_way: bool
) -> Route:
    speeds = {"walker": (1.0, 1.5), "runner": (2.8, 3.8), "cyclist": (3.5, 5.5), "car": (5.0, 10.0)}
    if rng.random() < 0.5:
        points = points[::-1]
    return Route(tuple(points), mover, float(rng.uniform(*speeds[mover])), rate, spread, not one_way)


def _across(rng: np.random.Generator, lens: Lens, down: float, slope: float = 0.06) -> list[Point]:
    left, middle, right = (_jitter(rng, down, slope) for _ in range(3))
    return [lens.at(-0.2, left), lens.at(0.5, (left + right + middle) / 3), lens.at(1.2, right)]


def _standing(rng: np.random.Generator, lens: Lens, rows: Point, count: int, indoors: bool = False) -> list[Place]:
    places = []
    for _ in range(count):
        spot = lens.at(float(rng.uniform(0.12, 0.88)), float(rng.uniform(*rows)))
        drawn = rng.choice(["stand", "talk", "phone", "sit", "bend"], p=[0.2, 0.25, 0.2, 0.25, 0.1])
        facing = float(rng.uniform(0, 2 * np.pi)) if indoors else _towards(spot, lens.at(0.5, 0.6))
        posture: Posture = str(drawn)  # type: ignore[assignment]
        places.append(Place(*spot, facing, posture, float(rng.uniform(0.3, 0.8)), float(rng.uniform(5, 15))))
    return places


def _extras(rng: np.random.Generator, lens: Lens, rows: Point, chance: float = 0.45) -> list[Place]:
    """Ordinary life that looks like an event elsewhere: hugs, games of ball, people lying on a lawn."""
    odd: tuple[Posture, ...] = ("hug", "play", "lie")
    chosen = [posture for posture, share in zip(odd, (1.0, 0.5, 0.8), strict=True) if rng.random() < chance * share]
    return [
        Place(*lens.at(float(rng.uniform(0.2, 0.8)), float(rng.uniform(*rows))), float(rng.uniform(0, 6.28)), posture,
              float(rng.uniform(0.3, 0.7)), float(rng.uniform(4, 9)))
        for posture in chosen
    ]  # fmt: skip


LEISURE = {
    # chances that people stop anywhere before such a camera, and that they walk anywhere
    "street": (0.6, 0.25), "plaza": (0.8, 0.5), "corridor": (0.4, 0.0), "room": (0.8, 0.6),
    "shop": (0.8, 0.5), "road": (0.35, 0.15), "carpark": (0.5, 0.4),
}  # fmt: skip


def _habits(rng: np.random.Generator, kind: str, routes: list[Route], places: list[Place], *more: str) -> Habits:
    names = {"runner": "running", "cyclist": "cycling", "car": "driving"}
    poses = {"lie": "lying", "play": "throwing", "sit": "sitting", "bend": "bending", "hug": "hugging"}
    includes = {names[route.mover] for route in routes if route.mover in names}
    includes |= {poses.get(place.posture, "waiting") for place in places} | set(more)
    if any(route.mover == "walker" and not route.both_ways for route in routes):
        includes.add("one-way")
    carrying, grouped = float(rng.choice([0.1, 0.3, 0.6])), float(rng.uniform(0.1, 0.4))
    pausing, roaming = (float(rng.uniform(0.1, 0.5)) if rng.random() < chance else 0.0 for chance in LEISURE[kind])
    includes |= {name for name, share in (("pausing", pausing), ("roaming", roaming)) if share}
    return Habits(tuple(routes), tuple(places), grouped, carrying, pausing, roaming, frozenset(includes))


def _faster(
    rng: np.random.Generator, points: list[Point], one_way: bool, cycling: float, running: float
) -> list[Route]:
    """Cyclists and runners, where they belong to this camera's life."""
    chances: tuple[tuple[Mover, float], ...] = (("cyclist", cycling), ("runner", running))
    return [
        _way(rng, points, mover, float(rng.uniform(0.08, 0.2)), 0.8, one_way)
        for mover, chance in chances
        if rng.random() < chance
    ]


def _street(rng: np.random.Generator, lens: Lens) -> Habits:
    one_way = bool(rng.random() < 0.5)
    rows = [_jitter(rng, 0.45, 0.06), _jitter(rng, 0.78, 0.06)]
    ways = [_across(rng, lens, row) for row in rows[: int(rng.integers(1, 3))]]
    routes = [_way(rng, way, "walker", float(rng.uniform(0.12, 0.4)), 1.1, one_way) for way in ways]
    routes += _faster(rng, ways[0], one_way, 0.5, 0.35)
    if rng.random() < 0.4:
        routes.append(_way(rng, _across(rng, lens, 0.6, 0.02), "car", float(rng.uniform(0.1, 0.25)), 0.3, True))
    places = _standing(rng, lens, (rows[0] - 0.08, rows[0] - 0.03), int(rng.integers(0, 3)))
    return _habits(rng, "street", routes, places)


def _plaza(rng: np.random.Generator, lens: Lens) -> Habits:
    one_way = bool(rng.random() < 0.35)
    ways = []
    for _ in range(int(rng.integers(2, 5))):
        left, right = rng.uniform(0.35, 0.95, 2)
        ends = [lens.at(-0.2, float(left)), lens.at(1.2, float(right)), lens.at(float(rng.uniform(0.2, 0.8)), 1.3)]
        first, last = rng.permutation(3)[:2]
        centre = lens.at(_jitter(rng, 0.5, 0.15), _jitter(rng, 0.6, 0.12))
        ways.append([ends[first], centre, ends[last]])
    routes = [_way(rng, way, "walker", float(rng.uniform(0.08, 0.25)), 1.0, one_way) for way in ways]
    routes += _faster(rng, ways[0], one_way, 0.5, 0.35)
    places = _standing(rng, lens, (0.35, 0.85), int(rng.integers(1, 5)), True) + _extras(rng, lens, (0.4, 0.8), 0.6)
    return _habits(rng, "plaza", routes, places)


def _corridor(rng: np.random.Generator, lens: Lens) -> Habits:
    one_way, close = bool(rng.random() < 0.6), bool(rng.random() < 0.5)
    far = lens.at(0.5, 0.22)
    lanes = [-0.45, 0.45] if rng.random() < 0.5 else [float(rng.uniform(-0.4, 0.4))]
    ways = [[(lane, far[1] + 3), (lane, 4.0), (lane, 0.4 if close else 0.9)] for lane in lanes]
    routes = [_way(rng, way, "walker", float(rng.uniform(0.1, 0.3)), 0.25, one_way) for way in ways]
    routes += _faster(rng, ways[0], one_way, 0.1, 0.25)
    places = []
    if rng.random() < 0.4:
        spot = (float(rng.choice([-1.0, 1.0])), float(rng.uniform(3.5, 6)))
        places = [Place(*spot, _towards(spot, (0, spot[1])), "phone", 0.5, 8.0)]
    return _habits(rng, "corridor", routes, places, *(["close"] if close else []))


def _room(rng: np.random.Generator, lens: Lens) -> Habits:
    one_way = bool(rng.random() < 0.4)
    ways = [_across(rng, lens, float(rng.uniform(0.6, 0.85)), 0.05)]
    if rng.random() < 0.5:
        ways.append([lens.at(-0.25, 0.6), lens.at(0.4, 0.5), lens.at(_jitter(rng, 0.6, 0.1), 1.4)])
    routes = [_way(rng, way, "walker", float(rng.uniform(0.06, 0.16)), 0.25, one_way) for way in ways]
    places = _standing(rng, lens, (0.42, 0.75), int(rng.integers(2, 5)), True) + _extras(rng, lens, (0.5, 0.7), 0.25)
    return _habits(rng, "room", routes, places)


def _shop(rng: np.random.Generator, lens: Lens) -> Habits:
    one_way = bool(rng.random() < 0.4)
    side = float(rng.choice([0.3, 0.7]))
    head = np.array(lens.at(side, 0.48))
    step = np.array([0.75 if side < 0.5 else -0.75, -0.15])
    line = [head + step * k for k in range(int(rng.integers(2, 5)))]
    queue = [Place(float(x), float(y), _towards((x, y), (x - step[0], y)), "stand", 0.85, 20.0) for x, y in line]
    ways = [_across(rng, lens, float(rng.uniform(0.68, 0.85)), 0.05)]
    routes = [_way(rng, way, "walker", float(rng.uniform(0.08, 0.2)), 0.35, one_way) for way in ways]
    places = queue + _standing(rng, lens, (0.4, 0.6), int(rng.integers(0, 3)), True)
    return _habits(rng, "shop", routes, places, "queueing")


def _road(rng: np.random.Generator, lens: Lens) -> Habits:
    rows, one_way = sorted(rng.uniform(0.45, 0.75, 2)), bool(rng.random() < 0.5)
    rows[1] = max(rows[1], rows[0] + 0.14)
    routes = []
    for row in rows[: int(rng.integers(1, 3))]:
        routes.append(_way(rng, _across(rng, lens, row, 0.02), "car", float(rng.uniform(0.12, 0.35)), 0.2, True))
    walk = _across(rng, lens, min(rows[1] + 0.2, 0.95), 0.02)
    routes.append(_way(rng, walk, "walker", float(rng.uniform(0.06, 0.25)), 0.6, one_way))
    routes += _faster(rng, walk, one_way, 0.5, 0.3)
    spot = lens.at(float(rng.uniform(0.2, 0.8)), min(rows[1] + 0.18, 0.92))
    places = [Place(*spot, np.pi / 2, "stand", 0.5, 10.0)] if rng.random() < 0.5 else []
    return _habits(rng, "road", routes, places)


def _carpark(rng: np.random.Generator, lens: Lens) -> Habits:
    one_way = bool(rng.random() < 0.5)
    lane = _across(rng, lens, _jitter(rng, 0.6, 0.05), 0.02)
    walk = [lens.at(-0.2, 0.82), lens.at(0.5, 0.75), lens.at(float(rng.uniform(0.5, 0.8)), 1.3)]
    routes = [_way(rng, walk, "walker", float(rng.uniform(0.06, 0.2)), 0.7, one_way)]
    if rng.random() < 0.75:
        car = _way(rng, lane, "car", float(rng.uniform(0.06, 0.15)), 0.3, one_way)
        routes.append(Route(car.points, "car", float(rng.uniform(2.5, 5)), car.rate, car.spread, car.both_ways))
    routes += _faster(rng, walk, one_way, 0.4, 0.25)
    places = _standing(rng, lens, (0.42, 0.55), int(rng.integers(0, 2)))
    return _habits(rng, "carpark", routes, places)


LAYOUTS: dict[str, Callable[[np.random.Generator, Lens], Habits]] = {
    "street": _street, "plaza": _plaza, "corridor": _corridor, "room": _room,
    "shop": _shop, "road": _road, "carpark": _carpark,
}  # fmt: skip
