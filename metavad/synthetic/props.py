"""Things that stand before a generated camera, and where people may go between them."""

import itertools
from dataclasses import dataclass

import numpy as np

from metavad.synthetic.actors import CLOTHES, Colour
from metavad.synthetic.camera import CameraSpec, Point
from metavad.synthetic.materials import COLOURS
from metavad.types import FloatArray

__all__ = ["Prop", "bay_row", "entrances", "free_spot", "off_routes", "roaming_spots", "things"]


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
    edge, row = abs(spec.lens.at(1.1, 0.42)[0]), bay_row(spec)
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


def bay_row(spec: CameraSpec) -> float:
    return spec.lens.at(0.5, 0.42)[1]
