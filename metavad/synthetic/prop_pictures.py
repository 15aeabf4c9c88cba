"""Pictures of things, drawn into the empty scene."""

import cv2
import numpy as np

from metavad.synthetic.actors import CLOTHES, Colour, box_faces, car_faces, project_faces, shaded
from metavad.synthetic.camera import CameraSpec
from metavad.synthetic.props import Prop
from metavad.types import FloatArray

__all__ = ["OVERSAMPLE", "draw_prop"]


OVERSAMPLE = 3


def draw_prop(spec: CameraSpec, prop: Prop, scene: FloatArray) -> FloatArray:
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
