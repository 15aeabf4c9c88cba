"""Taking the camera's own motion out of flow: the plain mean, or a global motion that most pixels agree on."""

from typing import Literal, TypeAlias

import numpy as np

from metavad.types import BoolArray, FloatArray, IntArray

__all__ = ["Steadying", "global_motion", "steadied"]

Steadying: TypeAlias = Literal["off", "mean", "robust"]
"""``mean``: Simonyan and Zisserman 2014, https://arxiv.org/abs/1406.2199, section 3.2; ``robust``: RANSAC."""
TRIES, POINTS, CLOSE = 48, 600, 0.35
"""Models tried, pixels that vote, and pixels of motion within which they agree."""


def steadied(flow: FloatArray, how: Steadying) -> FloatArray:
    """Flow (H, W, 2) in pixels without the camera's part.

    The mean takes a share of large moving things away from all else; the robust motion does not, as long as most
    of the picture stands still.
    """
    if how == "off":
        return flow
    if how == "mean":
        return np.asarray(flow - flow.mean((0, 1), dtype=np.float64), dtype=flow.dtype)
    height, width = flow.shape[:2]
    return np.asarray(flow - applied(global_motion(flow), height, width), dtype=flow.dtype)


def global_motion(flow: FloatArray) -> FloatArray:
    """The similarity (4,) = (a, b, right, down) that most pixels of a flow (H, W, 2) follow.

    u = a x - b y + right and v = b x + a y + down, x and y in pixels from the picture's middle: shift, turn and
    zoom. Models through two random pixels each; the one that most pixels agree with is fitted to all of these by
    least squares (RANSAC: Fischler and Bolles 1981, https://doi.org/10.1145/358669.358692). The pixels are the
    same every time.
    """
    generator = np.random.default_rng(0)
    height, width = flow.shape[:2]
    at = generator.integers(0, [height, width], (POINTS, 2))
    places = _centred(at, height, width)
    motion = flow[at[:, 0], at[:, 1]].astype(np.float64)
    pairs = generator.integers(0, POINTS, (TRIES, 2))
    models = np.stack([_fitted(places[pair], motion[pair]) for pair in pairs])
    agreeing = [_agree(model, places, motion) for model in models]
    best = max(agreeing, key=lambda agree: int(agree.sum()))
    return _fitted(places[best], motion[best]) if best.sum() >= 2 else np.zeros(4)


def applied(model: FloatArray, height: int, width: int) -> FloatArray:
    """The flow (H, W, 2) of a global motion."""
    down, across = np.mgrid[0:height, 0:width]
    places = _centred(np.stack([down, across], -1), height, width)
    return _motion(model, places)


def _centred(at: IntArray, height: int, width: int) -> FloatArray:
    """Row and column to x and y from the middle."""
    return np.stack([at[..., 1] - (width - 1) / 2, at[..., 0] - (height - 1) / 2], -1).astype(np.float64)


def _motion(model: FloatArray, places: FloatArray) -> FloatArray:
    a, b, right, down = model
    x, y = places[..., 0], places[..., 1]
    return np.stack([a * x - b * y + right, b * x + a * y + down], -1)


def _fitted(places: FloatArray, motion: FloatArray) -> FloatArray:
    """Least squares over points (N, 2) and their motion (N, 2)."""
    x, y = places[:, 0], places[:, 1]
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, none], -1), np.stack([y, x, none, one], -1)])
    return np.asarray(np.linalg.lstsq(rows, np.concatenate([motion[:, 0], motion[:, 1]]), rcond=None)[0])


def _agree(model: FloatArray, places: FloatArray, motion: FloatArray) -> BoolArray:
    return np.asarray(np.square(_motion(model, places) - motion).sum(-1) < CLOSE**2)
