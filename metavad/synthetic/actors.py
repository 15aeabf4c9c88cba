"""What moves before a generated camera: how it stands in the world, and the shapes that it draws.

An :class:`Actor` is a motion; :func:`shapes` turns the whole motion into image polygons at once, so that
drawing a frame is filling convex polygons in order of depth. All of it is geometry in closed form: the
same points at two times give the true optical flow, should it be wanted.
"""

from dataclasses import dataclass, field

import numpy as np

from metavad.synthetic.bodies import JOINTS, Build, joints, keypoints
from metavad.synthetic.camera import Lens
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = [
    "BITS",
    "CLOTHES",
    "Actor",
    "Appearance",
    "Colour",
    "Shapes",
    "box_faces",
    "car_faces",
    "fixed",
    "project_faces",
    "sample_appearance",
    "shaded",
    "shapes",
]

Colour = tuple[int, int, int]
NEAR = 0.25  # metres before the lens that are not drawn
BITS = 4  # fractional bits of polygon corners
BAG = 0.5  # metres of a left bag's longest side


@dataclass(frozen=True)
class Appearance:
    """How one actor looks; for vehicles only ``top`` counts."""

    build: Build
    top: Colour
    bottom: Colour
    skin: Colour
    hair: Colour
    shoes: Colour
    carries: str
    coat: bool
    sleeves: bool
    stripes: bool = False


@dataclass
class Actor:
    """One actor's motion over frames ``first`` to ``first + n``: position (n, 3) metres, heading (n,) radians.

    ``angles`` (n, 12) and ``tip`` (n,) are people's only; ``abnormal`` (n,) says when it is an event of kind
    ``event``; ``passing`` marks who only passes by, on one's own or in a group.
    """

    kind: str
    first: int
    position: FloatArray
    heading: FloatArray
    appearance: Appearance
    angles: FloatArray | None = None
    tip: FloatArray = field(default_factory=lambda: np.zeros(0))
    side: float = 0.0
    abnormal: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    track: int = 0
    event: str | None = None
    passing: bool = False

    def __post_init__(self) -> None:
        if not len(self.abnormal):
            self.abnormal = np.zeros(len(self.position), dtype=bool)
        if not len(self.tip):
            self.tip = np.zeros(len(self.position))

    @property
    def last(self) -> int:
        """The frame after its last one."""
        return self.first + len(self.position)


@dataclass
class Shapes:
    """An actor's drawing: polygons (n, S, V, 2) in pixels, draw order (n, S), visibility (n, S), colours (S).

    ``shadows`` (n, Z, V, 2); ``boxes`` (n, 4) as x0, y0, x1, y1; ``away`` (n,) metres along y, by which
    actors and things hide one another; ``keypoints`` (n, 17, 2) or ``None``.
    """

    polygons: FloatArray
    order: IntArray
    visible: BoolArray
    colours: list[Colour]
    shadows: FloatArray
    boxes: FloatArray
    away: FloatArray
    keypoints: FloatArray | None

    def corners(self) -> IntArray:
        """Polygons as fixed-point integers for drawing."""
        return fixed(self.polygons)


def fixed(polygons: FloatArray) -> IntArray:
    """Pixels as fixed-point integers with ``BITS`` fractional bits, kept in a range that drawing survives."""
    return np.asarray(np.round(np.clip(polygons, -4000, 4000) * (1 << BITS)), dtype=np.int32)


CLOTHES: tuple[Colour, ...] = (
    (30, 32, 38), (55, 58, 66), (96, 98, 102), (150, 148, 142), (208, 205, 198), (38, 52, 88), (70, 96, 138),
    (24, 30, 50), (64, 46, 36), (110, 98, 78), (126, 50, 48), (150, 70, 58), (58, 82, 60), (172, 148, 110),
    (178, 158, 84), (84, 64, 90), (176, 128, 134), (226, 224, 222),
)  # fmt: skip
SKINS: tuple[Colour, ...] = ((236, 196, 170), (218, 172, 140), (188, 138, 104), (140, 98, 72), (94, 64, 48))
HAIRS: tuple[Colour, ...] = ((28, 24, 22), (62, 44, 32), (110, 80, 50), (170, 140, 90), (150, 148, 146))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    red, green, blue = np.clip(np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, 7, 3), 4, 250)
    return int(red), int(green), int(blue)


def sample_appearance(rng: np.random.Generator, carrying: float) -> Appearance:
    """Clothes, stature and what is carried (with probability ``carrying``)."""
    bags = ["backpack", "handbag", "suitcase"]
    return Appearance(
        Build(float(rng.uniform(1.52, 1.92)), float(rng.uniform(0.88, 1.2))),
        _pick(rng, CLOTHES), _pick(rng, CLOTHES[:10]), _pick(rng, SKINS), _pick(rng, HAIRS), _pick(rng, CLOTHES[:5]),
        carries=str(rng.choice(bags)) if rng.random() < carrying else "nothing",
        coat=bool(rng.random() < 0.3),
        sleeves=bool(rng.random() < 0.7),
        stripes=bool(rng.random() < 0.2),
    )  # fmt: skip


def shaded(colour: Colour, factor: float) -> Colour:
    """A colour, lighter or darker."""
    red, green, blue = (min(int(value * factor), 255) for value in colour)
    return red, green, blue


def shapes(actor: Actor, lens: Lens, sun: float | None) -> Shapes:
    """Everything that ``actor`` draws through ``lens``; ``sun`` is the shadows' direction, or ``None``."""
    if actor.kind in ("person", "cyclist"):
        return _person_shapes(actor, lens, sun)
    return _solid_shapes(actor, lens)


# ---------------------------------------------------------------- placing and projecting


def placed(local: FloatArray, position: FloatArray, heading: FloatArray) -> FloatArray:
    """Points (n, P, 3) of the body's frame in the world."""
    cosine, sine = np.cos(heading)[:, None], np.sin(heading)[:, None]
    forward, left = local[..., 0], local[..., 1]
    turned = np.stack([forward * cosine - left * sine, forward * sine + left * cosine, local[..., 2]], -1)
    return np.asarray(turned + position[:, None])


def capsules(first: FloatArray, last: FloatArray, start: FloatArray, end: FloatArray, corners: int = 5) -> FloatArray:
    """Outlines (..., 2 corners, 2) of limbs between pixels ``first`` and ``last`` (..., 2) with radii (...)."""
    along = last - first
    angle = np.arctan2(along[..., 1], along[..., 0])[..., None]
    turns = np.linspace(np.pi / 2, 3 * np.pi / 2, corners)
    behind, before = angle + turns, angle + turns + np.pi
    one = first[..., None, :] + start[..., None, None] * np.stack([np.cos(behind), np.sin(behind)], -1)
    two = last[..., None, :] + end[..., None, None] * np.stack([np.cos(before), np.sin(before)], -1)
    return np.concatenate([one, two], -2)


def _radii(lens: Lens, metres: FloatArray, depth: FloatArray) -> FloatArray:
    # anti-aliased filling adds about a third of a pixel around a polygon
    return np.maximum(lens.focal * metres / np.maximum(depth, 0.05) - 0.3, 0.12)


def _bounds(polygons: FloatArray, visible: BoolArray) -> FloatArray:
    low = np.where(visible[..., None, None], polygons, np.inf).min((1, 2))
    high = np.where(visible[..., None, None], polygons, -np.inf).max((1, 2))
    return np.concatenate([low, high], -1)


# ---------------------------------------------------------------- people


@dataclass(frozen=True)
class Limb:
    """A capsule between two points: radii in metres, colour, and how much nearer it is painted (metres)."""

    first: str
    last: str
    start: float
    end: float
    colour: Colour
    nearer: float = 0.0


def _limbs(look: Appearance) -> list[Limb]:
    sleeve = look.top if look.sleeves else look.skin
    found = [
        Limb("pelvis", "neck", 0.125, 0.1, look.top),
        Limb("hip_left", "shoulder_left", 0.1, 0.078, shaded(look.top, 1.1), -0.01),
        Limb("hip_right", "shoulder_right", 0.1, 0.078, shaded(look.top, 0.84), -0.01),
        Limb("neck", "head", 0.055, 0.055, shaded(look.skin, 0.85)),
        Limb("chin", "brow", 0.068, 0.085, look.skin),
        Limb("scalp", "nape", 0.088, 0.075, look.hair),
    ]
    for side, light in (("left", 1.06), ("right", 0.8)):
        found += [
            Limb(f"hip_{side}", f"knee_{side}", 0.09, 0.062, shaded(look.bottom, light)),
            Limb(f"knee_{side}", f"ankle_{side}", 0.06, 0.042, shaded(look.bottom, light * 0.95)),
            Limb(f"ankle_{side}", f"toe_{side}", 0.042, 0.034, look.shoes),
            Limb(f"shoulder_{side}", f"elbow_{side}", 0.055, 0.044, shaded(look.top, light)),
            Limb(f"elbow_{side}", f"wrist_{side}", 0.042, 0.032, shaded(sleeve, light * 0.96)),
            Limb(f"wrist_{side}", f"hand_{side}", 0.03, 0.036, look.skin),
        ]
    return found + _extra_limbs(look)


def _extra_limbs(look: Appearance) -> list[Limb]:
    extra = [Limb("collar", "belt", 0.045, 0.05, shaded(look.bottom, 1.25) if look.coat else shaded(look.top, 1.14))]
    extra += [Limb(f"eye_{side}", f"eye_{side}", 0.009, 0.009, (54, 42, 38), 0.02) for side in ("left", "right")]
    extra.append(Limb("mouth_left", "mouth_right", 0.006, 0.006, shaded(look.skin, 0.72), 0.02))
    extra += [Limb("pelvis", "hem", 0.15, 0.19, shaded(look.top, 0.94), 0.02)] if look.coat else []
    if look.stripes:
        tone = shaded(look.top, 0.6 if sum(look.top) > 300 else 1.7)
        extra += [Limb(f"stripe_left_{k}", f"stripe_right_{k}", 0.022, 0.022, tone, 0.02) for k in range(3)]
    bag = shaded(look.bottom, 0.75)
    if look.carries == "backpack":
        extra.append(Limb("pack_low", "pack_top", 0.15, 0.12, bag))
    elif look.carries == "handbag":
        extra.append(Limb("bag_low", "bag_top", 0.14, 0.08, bag))
    elif look.carries == "suitcase":
        extra += [Limb("case_low", "case_top", 0.2, 0.18, bag), Limb("case_top", "hand_right", 0.02, 0.02, bag)]
    return extra


def _points(body: FloatArray) -> dict[str, FloatArray]:
    """Joints and the points that clothes and bags hang on, in the body's frame."""
    at = {name: body[:, number] for number, name in enumerate(JOINTS)}
    forward, down = at["nose"] - at["head"], np.array([0.0, 0.0, -1.0])
    back = (at["pelvis"] + at["neck"]) / 2 - 1.7 * forward
    spine = at["neck"] - at["pelvis"]
    hand = at["hand_right"]
    at |= {"chin": at["head"] + 0.45 * forward - 0.25 * (at["crown"] - at["head"]), "nape": at["head"] - 0.4 * forward}
    at |= {"brow": at["head"] + 0.15 * forward + 0.3 * (at["crown"] - at["head"])}
    at |= {"scalp": at["head"] + 0.5 * (at["crown"] - at["head"]) - 0.15 * forward}
    left = _sideways(at)
    for number, share in enumerate((0.3, 0.52, 0.74)):
        for side, sign in (("left", 1), ("right", -1)):
            at[f"stripe_{side}_{number}"] = at["pelvis"] + share * spine + sign * (0.11 + 0.05 * share) * left
    at |= {"collar": at["neck"] + 1.0 * forward - 0.1 * spine, "belt": at["pelvis"] + 1.25 * forward}
    at |= {
        f"eye_{side}": at["head"] + 0.95 * forward + 0.1 * spine / 2 + sign * 0.035 * left
        for side, sign in (("left", 1), ("right", -1))
    }
    at |= {
        f"mouth_{side}": at["chin"] + 0.62 * forward + 0.015 * spine + sign * 0.025 * left
        for side, sign in (("left", 1), ("right", -1))
    }
    at |= {"hem": 0.55 * (at["knee_left"] + at["knee_right"]) / 2 + 0.45 * at["pelvis"]}
    at |= {"pack_low": back - 0.2 * spine, "pack_top": back + 0.25 * spine}
    at |= {"bag_top": hand + 0.08 * down, "bag_low": hand + 0.24 * down}
    at |= {"case_top": hand * np.array([1, 1, 0]) + np.array([-0.25, -0.1, 0.55])}
    return at | {"case_low": at["case_top"] * np.array([1, 1, 0]) + np.array([0, 0, 0.2])}


def _sideways(at: dict[str, FloatArray]) -> FloatArray:
    across = at["shoulder_left"] - at["shoulder_right"]
    return np.asarray(across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6))


def _person_shapes(actor: Actor, lens: Lens, sun: float | None) -> Shapes:
    assert actor.angles is not None
    look = actor.appearance
    body = joints(look.build, actor.angles, actor.tip, actor.side)
    at, limbs = _points(body), _limbs(look)
    if actor.kind == "cyclist":
        body, at = _seated(body, at)
        limbs = limbs + _bicycle(at, look.top)
    first = placed(np.stack([at[limb.first] for limb in limbs], 1), actor.position, actor.heading)
    last = placed(np.stack([at[limb.last] for limb in limbs], 1), actor.position, actor.heading)
    scale = look.build.stature / 1.75 * np.sqrt(look.build.width)
    polygons, depth = _capsules_of(lens, limbs, first, last, scale)
    visible = depth > NEAR
    order = np.argsort(-(depth - np.array([limb.nearer for limb in limbs])), axis=1)
    points, _ = lens.project(placed(keypoints(body), actor.position, actor.heading))
    shadow = _shadow(lens, first[:, :19], last[:, :19], sun, actor.position)
    boxes, away = _bounds(polygons, visible), (first[..., 1] + last[..., 1]).mean(1) / 2
    colours = [limb.colour for limb in limbs]
    return Shapes(polygons, order, visible, colours, shadow, boxes, away, points)


def _capsules_of(
    lens: Lens, limbs: list[Limb], first: FloatArray, last: FloatArray, scale: float
) -> tuple[FloatArray, FloatArray]:
    one, near = lens.project(first)
    two, far = lens.project(last)
    start = _radii(lens, scale * np.array([limb.start for limb in limbs]), near)
    end = _radii(lens, scale * np.array([limb.end for limb in limbs]), far)
    corners = 5 if start.max(initial=0) < 14 else 11
    return capsules(one, two, start, end, corners), np.minimum(near, far) / 2 + np.maximum(near, far) / 2


def _shadow(lens: Lens, first: FloatArray, last: FloatArray, sun: float | None, position: FloatArray) -> FloatArray:
    """Outlines (n, Z, 10, 2): a dark spot where somebody stands and, in the sun, the body along the ground."""
    spot, depth = lens.project(position * np.array([1, 1, 0]))
    width = np.maximum(lens.focal * 0.26 / np.maximum(depth, 0.3), 0.8)
    offset = np.stack([0.5 * width, np.zeros_like(width)], -1)
    contact = capsules(spot - offset, spot + offset, 0.45 * width, 0.45 * width)[:, None]
    if sun is None:
        return contact
    cast = np.array([np.cos(sun), np.sin(sun)]) * 0.9
    ends = []
    for points in (first, last):
        laid = points.copy()
        laid[..., :2] += points[..., 2:] * cast
        laid[..., 2] = 0.0
        ends.append(lens.project(laid))
    radius = _radii(lens, np.asarray(0.075), ends[0][1])
    return np.concatenate([contact, capsules(ends[0][0], ends[1][0], radius, radius)], 1)


def _seated(body: FloatArray, at: dict[str, FloatArray]) -> tuple[FloatArray, dict[str, FloatArray]]:
    lift = np.zeros((len(body), 1, 3))
    lift[..., 2] = 0.98 - body[:, :1, 2]
    return body + lift, {name: point + lift[:, 0] for name, point in at.items()}


def _bicycle(at: dict[str, FloatArray], colour: Colour) -> list[Limb]:
    """Adds the bicycle's points to ``at`` and gives its limbs: two wheels of eight spans and a frame."""
    frames = len(at["pelvis"])
    frame = shaded(colour, 0.7)
    limbs = []
    for wheel, forward in (("rear", -0.5), ("front", 0.58)):
        for corner, turn in enumerate(np.linspace(0, 2 * np.pi, 9)[:-1]):
            spot = [forward + 0.33 * np.cos(turn), 0.0, 0.34 + 0.33 * np.sin(turn)]
            at[f"{wheel}_{corner}"] = np.tile(spot, (frames, 1))
        limbs += [Limb(f"{wheel}_{k}", f"{wheel}_{(k + 1) % 8}", 0.014, 0.014, (40, 40, 42)) for k in range(8)]
    spots = {"hub": (-0.5, 0, 0.34), "axle": (0.58, 0, 0.34), "crank": (0, 0, 0.3), "saddle": (-0.15, 0, 0.9),
             "stem": (0.42, 0, 0.95)}  # fmt: skip
    at |= {name: np.tile(np.array(spot, dtype=float), (frames, 1)) for name, spot in spots.items()}
    pairs = (("hub", "crank"), ("crank", "saddle"), ("crank", "stem"), ("saddle", "stem"), ("stem", "axle"))
    return limbs + [Limb(one, two, 0.022, 0.022, frame) for one, two in pairs]


# ---------------------------------------------------------------- solids: cars, bags, balls


def _quad(corners: list[tuple[float, float, float]], detail: int = 10) -> FloatArray:
    """A face as ``detail`` corners (the last one repeats)."""
    table = np.array(corners, dtype=float)
    return table[np.minimum(np.arange(detail), len(table) - 1)]


def prism(low: tuple[float, ...], high: tuple[float, ...], floor: float, roof: float) -> list[FloatArray]:
    """Faces of a frustum between two rectangles (x0, x1, half width): top, front, back, left, right.

    Corners run anticlockwise seen from outside.
    """
    (a, b, w), (c, d, v) = low, high
    return [
        _quad([(c, -v, roof), (d, -v, roof), (d, v, roof), (c, v, roof)]),
        _quad([(b, -w, floor), (b, w, floor), (d, v, roof), (d, -v, roof)]),
        _quad([(a, w, floor), (a, -w, floor), (c, -v, roof), (c, v, roof)]),
        _quad([(b, w, floor), (a, w, floor), (c, v, roof), (d, v, roof)]),
        _quad([(a, -w, floor), (b, -w, floor), (d, -v, roof), (c, -v, roof)]),
    ]


def _inset(face: FloatArray, share: float) -> FloatArray:
    middle = face[:4].mean(0)
    return np.asarray(middle + (face - middle) * share)


def _wheel(forward: float, side: float) -> FloatArray:
    turns = np.linspace(0, 2 * np.pi, 11)[:-1] * (1 if side < 0 else -1)
    return np.stack([forward + 0.31 * np.cos(turns), np.full(10, side), 0.31 + 0.31 * np.sin(turns)], -1)


def car_faces(colour: Colour) -> tuple[list[FloatArray], list[Colour]]:
    """Faces and colours of a car, 4.2 metres long, painted in this order."""
    lower = prism((-2.1, 2.1, 0.86), (-2.05, 2.0, 0.84), 0.22, 0.86)
    cabin = prism((-1.75, 0.95, 0.8), (-1.35, 0.25, 0.62), 0.84, 1.45)
    light = (1.12, 0.9, 0.82, 1.0, 0.72)
    faces = [*lower, *(_wheel(x, y) for x in (-1.3, 1.3) for y in (-0.87, 0.87))]
    colours = [shaded(colour, factor) for factor in light] + [(22, 22, 24)] * 4
    faces += [*cabin, *(_inset(face, 0.84) for face in cabin[1:])]
    colours += [shaded(colour, factor) for factor in light] + [(44, 52, 60)] * 4
    lamps = [(2.06, (236, 232, 210)), (-2.11, (150, 30, 28))]
    for x, lamp in lamps:
        for y in (-0.62, 0.62):
            low, high = (y - 0.16, y + 0.16) if x > 0 else (y + 0.16, y - 0.16)
            faces.append(_quad([(x, low, 0.5), (x, high, 0.5), (x, high, 0.68), (x, low, 0.68)]))
            colours.append(lamp)
    return faces, colours


def box_faces(colour: Colour, length: float, width: float, height: float) -> tuple[list[FloatArray], list[Colour]]:
    """Faces and colours of an upright box."""
    half = (-length / 2, length / 2, width / 2)
    return prism(half, half, 0.0, height), [shaded(colour, factor) for factor in (1.15, 0.95, 0.85, 1.0, 0.75)]


def _solid_faces(actor: Actor) -> tuple[list[FloatArray], list[Colour]]:
    if actor.kind == "car":
        return car_faces(actor.appearance.top)
    size = BAG * actor.appearance.build.width
    if actor.appearance.build.stature > 1.72:
        return box_faces(actor.appearance.bottom, 0.7 * size, 0.45 * size, 1.3 * size)
    return box_faces(actor.appearance.bottom, 1.1 * size, 0.5 * size, 0.6 * size)


def _solid_shapes(actor: Actor, lens: Lens) -> Shapes:
    if actor.kind == "ball":
        return _ball_shapes(actor, lens)
    faces, colours = _solid_faces(actor)
    polygons, visible = project_faces(np.stack(faces), lens, actor.position, actor.heading)
    order = np.tile(np.arange(len(faces)), (len(polygons), 1))
    floor = faces[0][:4] * np.array([1, 1, 0]) if actor.kind != "car" else np.array(
        [[-2.15, -0.95, 0], [2.15, -0.95, 0], [2.15, 0.95, 0], [-2.15, 0.95, 0]])  # fmt: skip
    ground = placed(np.tile(_quad([tuple(c) for c in floor * 1.05]), (len(polygons), 1, 1)),
                    actor.position * np.array([1, 1, 0]), actor.heading)  # fmt: skip
    shadow = lens.project(ground)[0][:, None]
    return Shapes(polygons, order, visible, colours, shadow, _bounds(polygons, visible), actor.position[:, 1], None)


def project_faces(
    faces: FloatArray, lens: Lens, position: FloatArray, heading: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Image polygons (n, S, V, 2) of faces (S, V, 3), and which of them are turned to the camera."""
    count, corners = faces.shape[:2]
    world = placed(np.tile(faces.reshape(1, -1, 3), (len(position), 1, 1)), position, heading)
    pixels, depth = lens.project(world)
    polygons = pixels.reshape(len(position), count, corners, 2)
    one, two = polygons[:, :, 1] - polygons[:, :, 0], polygons[:, :, 2] - polygons[:, :, 0]
    facing = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0] < 0  # the image's y runs down
    return polygons, facing & (depth.reshape(len(position), count, corners).min(-1) > NEAR)


def _ball_shapes(actor: Actor, lens: Lens) -> Shapes:
    spot, depth = lens.project(actor.position)
    radius = np.maximum(lens.focal * 0.11 * actor.appearance.build.width / np.maximum(depth, 0.05), 1.0)
    polygons = capsules(spot, spot + 0.01, radius, radius)[:, None]
    visible = (depth > NEAR)[:, None]
    shadow = _shadow(lens, np.zeros((len(spot), 0, 3)), np.zeros((len(spot), 0, 3)), None, actor.position)
    order = np.zeros((len(spot), 1), dtype=np.int64)
    return Shapes(
        polygons, order, visible, [actor.appearance.top], shadow, _bounds(polygons, visible), actor.position[:, 1], None
    )
