"""Textures of what stands still: grain, and materials with their seams."""

import cv2
import numpy as np

from metavad.synthetic.actors import Colour
from metavad.types import FloatArray

__all__ = ["COLOURS", "grain", "material"]


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
