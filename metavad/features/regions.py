"""Regions: what moves or does not belong to the background, each described by itself, at most N a tick.

A region has a box, how it moves (histogram of flow orientation and magnitude, as Reiss and Hoshen 2022 do for
velocities, https://arxiv.org/abs/2212.00789) and what it looks like (histogram of gradients, Dalal and Triggs 2005,
https://doi.org/10.1109/CVPR.2005.177, or features of a network). The background is learned while watching: no labels,
no later frames.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from metavad.config import AppearanceConfig, FlowConfig, RegionsConfig
from metavad.features.boxes import BoxDetector, box_detector
from metavad.features.feature import Feature
from metavad.features.flow.feature import speed_of, way_of
from metavad.features.flow.horizon import HorizonFlow, Motion, horizon_past
from metavad.features.looks import LOOKS, Looks, looks_key, looks_of
from metavad.features.networks.registry import digest_named
from metavad.features.octants import OCTANTS
from metavad.features.tracking import Follower
from metavad.types import BoolArray, ByteArray, FloatArray

__all__ = ["MAGNITUDES", "MOTION", "RegionsFeature", "moved", "shapes"]

MAGNITUDES = (0.05, 0.15, 0.45, 1.35)
"""Heights/second at the middle of each level of speed; between two levels a pixel counts for both."""
MOTION = OCTANTS * len(MAGNITUDES)
FACTS = 10
LOOKED = FACTS + MOTION
"""Numbers of one region before its looks: there (1), box x0 y0 x1 y1 (heights of the frame), area (heights squared),
speed (heights/second), stillness (seconds), track (1, 2, ...), confidence; then the histogram of motion."""

MOVING = 0.04
"""Heights/second from which a pixel moves."""
LEAST = 0.0006
"""Heights squared under which a region is noise."""
MEMORY, SHARE = 600, 0.7
"""Ticks that the background remembers, and the share of them that it is made of: what stands still for a third of
them (20 seconds) has become background."""
HALF = 2
"""Regions are found in pictures this many times smaller."""


class RegionsFeature(Feature):
    """Rows (N, 2 x D) of bytes: half-precision numbers; a track keeps its place among the N while it lives.

    D is ``LOOKED`` and the looks: ``LOOKS`` of gradients, or as many as a network gives. Motion is measured by the
    settings of ``flow``, as for cells; where these take the camera's motion out, nothing is background, since no pixel
    keeps its place: regions are what moves otherwise than the camera.
    """

    name = "regions"
    picture: ClassVar[bool] = False

    def __init__(
        self,
        settings: RegionsConfig = RegionsConfig(),
        flow: FlowConfig = FlowConfig(),
        looks: AppearanceConfig = AppearanceConfig(),
        *,
        detector: BoxDetector | None = None,
    ) -> None:
        self.settings, self.flow, self.looks, self.detector = settings, flow, looks, detector
        self.width = LOOKED + (LOOKS if looks.features == "gradients" else 2 * looks.numbers)
        self.past = horizon_past(flow)

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Keeps the frames of the flow's horizon, a background, and the tracks."""
        motion, finder, looks = HorizonFlow(self.flow), self._finder(), looks_of(self.looks)
        follower, count = Follower(self.settings.count), self.settings.count

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            flow = _changing(motion.step(frame, seconds), frame)
            found = finder(frame, flow)
            rows = np.zeros((count, self.width), np.float16)
            if len(found.boxes):
                slots, tracks, still = follower.step(found.boxes / min(frame.shape), seconds)
                rows[slots, :LOOKED] = _described(found, frame, flow, tracks % TRACKS + 1, still)
                rows[slots, LOOKED:] = _looked(found, frame, looks)
            else:
                follower.step(np.zeros((0, 4)), seconds)
            return rows.view(np.uint8)

        return row

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(N, 2 x D)."""
        return self.settings.count, 2 * self.width

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, N, D) float32."""
        return torch.from_numpy(np.ascontiguousarray(rows).view(np.float16).astype(np.float32))

    def key(self) -> Mapping[str, object]:
        """Where regions come from, how many, and what describes their looks."""
        settings = self.settings
        network = [digest_named(settings.detector), settings.detector_side] if settings.source == "boxes" else []
        return {
            "feature": "regions",
            "version": 1,
            "source": settings.source,
            "count": settings.count,
            "horizon": self.flow.horizon,
            "flow": way_of(self.flow),
            "detector": network,
            **looks_key(self.looks),
        }

    def _finder(self) -> "Callable[[ByteArray, FloatArray], _Found]":
        count = self.settings.count
        if self.settings.source == "grid":
            return lambda frame, flow: _windows(frame, flow, count)
        if self.settings.source == "motion":
            background = _Background() if self.flow.steady == "off" else _NoBackground()
            return lambda frame, flow: _moving(background.step(frame), flow, count)
        detect = self.detector or box_detector(self.settings.detector, self.settings.detector_side)
        return lambda frame, flow: _detected(detect(frame), frame, count)


def moved(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Speed (...,) in heights/second and histogram (..., OCTANTS, MAGNITUDES) of regions (..., D)."""
    return regions[..., 6], torch.unflatten(regions[..., FACTS:LOOKED], -1, (OCTANTS, len(MAGNITUDES)))


def shapes(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (..., 4) in heights of the frame and looks (..., ``LOOKS``, or twice a network's numbers)."""
    return regions[..., 1:5], regions[..., LOOKED:]


@dataclass(frozen=True)
class _Found:
    """Boxes (M, 4) in pixels, what of the picture (H, W) belongs to them (none: all), confidence (M,)."""

    boxes: FloatArray
    mask: BoolArray | None
    sure: FloatArray


def _changing(motion: Motion | None, frame: ByteArray) -> FloatArray:
    """Motion (H, W, 2) in heights/second; zero at the first frame, and where the picture did not change.

    Flow spreads from what moves over flat surroundings; these do not change.
    """
    if motion is None:
        return np.zeros((*frame.shape, 2), np.float32)
    return np.asarray(motion.flow * _changed(motion.before, motion.unmoved)[..., None])


def _changed(before: ByteArray, after: ByteArray) -> BoolArray:
    """Where two pictures (H, W) differ, and a little around it."""
    difference = cv2.blur(cv2.absdiff(before, after), (3, 3))
    reach = max(1, round(min(after.shape) * AROUND)) | 1
    return np.asarray(cv2.dilate((difference > CHANGE).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0)


class _Background:
    """What is not background: a mixture of Gaussians at each pixel (Zivkovic 2004), learned while watching."""

    def __init__(self) -> None:
        self.model = cv2.createBackgroundSubtractorMOG2(history=MEMORY, varThreshold=16, detectShadows=True)
        self.model.setBackgroundRatio(SHARE)

    def step(self, frame: ByteArray) -> BoolArray:
        """Foreground (H, W), shadows left out."""
        height, width = frame.shape
        small = cv2.resize(frame, (width // HALF, height // HALF), interpolation=cv2.INTER_AREA)
        mask = cv2.medianBlur(self.model.apply(small), 3)
        return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST) == 255)


class _NoBackground:
    """Of a camera that moves: nothing is known to be foreground."""

    def step(self, frame: ByteArray) -> BoolArray:
        """Foreground (H, W)."""
        return np.zeros(frame.shape, dtype=bool)


def _moving(foreground: BoolArray, flow: FloatArray, count: int) -> _Found:
    """Connected parts of what moves or is foreground, the largest first."""
    mask = foreground | (speed_of(flow[..., 0], flow[..., 1]) > MOVING)
    height, width = mask.shape
    if foreground.mean() > TOO_MUCH:  # the light has changed: what is background is not known now
        mask = mask & ~foreground
    small = cv2.resize(mask.astype(np.uint8), (width // HALF, height // HALF), interpolation=cv2.INTER_AREA)
    reach = max(1, round(height * CLOSED / HALF)) | 1
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    _, _, facts, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    least = LEAST * min(mask.shape) ** 2 / HALF**2
    order = [part for part in 1 + np.argsort(-facts[1:, cv2.CC_STAT_AREA], kind="stable") if facts[part, 4] >= least]
    corners = facts[order[:count], :4].astype(np.float64).reshape(-1, 4) * HALF
    boxes = np.column_stack([corners[:, :2], corners[:, :2] + corners[:, 2:]])
    return _Found(boxes, mask, np.ones(len(boxes)))


def _windows(frame: ByteArray, flow: FloatArray, count: int) -> _Found:
    """Nearly square windows that fill the frame, row by row; all of each counts."""
    height, width = frame.shape
    down = max(1, math.isqrt(max(1, round(count * height / width))))
    across = max(1, count // down)
    rows, columns = np.linspace(0, height, down + 1).round(), np.linspace(0, width, across + 1).round()
    boxes = [(columns[x], rows[y], columns[x + 1], rows[y + 1]) for y in range(down) for x in range(across)]
    return _Found(np.array(boxes), None, np.ones(len(boxes)))


def _detected(boxes: FloatArray, frame: ByteArray, count: int) -> _Found:
    """The surest boxes, inside the frame."""
    height, width = frame.shape
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 5)
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    inside = np.column_stack([boxes[:, :4:2].clip(0, width), boxes[:, 1:4:2].clip(0, height)])[:, [0, 2, 1, 3]]
    real = ((inside[:, 2:] - inside[:, :2]) >= 2).all(-1)
    return _Found(inside[real][:count], None, boxes[real, 4][:count])


def _described(found: _Found, frame: ByteArray, flow: FloatArray, tracks: np.ndarray, still: FloatArray) -> FloatArray:
    """Rows (M, ``LOOKED``): all but what they look like."""
    rows = np.zeros((len(found.boxes), LOOKED), np.float32)
    unit = min(frame.shape)
    rows[:, 0], rows[:, 1:5] = 1.0, found.boxes / unit
    rows[:, 7], rows[:, 8], rows[:, 9] = np.minimum(still, LONGEST), tracks, found.sure
    for row, part in zip(rows, _parts(found), strict=True):
        inside = np.ones_like(frame[part], dtype=bool) if found.mask is None else found.mask[part]
        row[5] = inside.sum() / unit**2
        # Every other row and column: a histogram of thousands of pixels knows as much from a quarter of them.
        few = flow[part][::2, ::2][inside[::2, ::2]]
        row[6], row[FACTS:] = _motion_histogram(few)
    return rows


def _looked(found: _Found, frame: ByteArray, looks: Looks) -> FloatArray:
    """What the regions look like (M, ...)."""
    return np.stack([looks(frame[part]) for part in _parts(found)])


def _parts(found: _Found) -> list[tuple[slice, slice]]:
    """Rows and columns of each region."""
    corners = found.boxes.round().astype(int)
    return [(slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1))) for x0, y0, x1, y1 in corners]


def _motion_histogram(flow: FloatArray) -> tuple[float, FloatArray]:
    """Mean speed, and shares (``MOTION``,) of pixels (M, 2) by way and magnitude; what is still counts for none."""
    if not len(flow):
        return 0.0, np.zeros(MOTION, np.float32)
    speed = np.hypot(flow[:, 0], flow[:, 1])
    way = np.arctan2(flow[:, 1], flow[:, 0]) * (OCTANTS / (2 * np.pi)) % OCTANTS
    level = np.log(np.maximum(speed, 1e-6) / MAGNITUDES[0]) / np.log(MAGNITUDES[1] / MAGNITUDES[0])
    level = level.clip(-1, len(MAGNITUDES) - 1) + 1
    table = np.zeros((OCTANTS, len(MAGNITUDES) + 2))
    for across in (0, 1):
        for up in (0, 1):
            share = np.abs(1 - across - way % 1) * np.abs(1 - up - level % 1)
            place = (way.astype(int) + across) % OCTANTS, level.astype(int) + up
            np.add.at(table, place, share)
    return float(speed.mean()), (table[:, 1:-1] / len(flow)).reshape(-1).astype(np.float32)


TRACKS = 2000
"""Half precision counts exactly to 2048."""
LONGEST = 600.0
"""Longest stillness that is measured, in seconds."""
CHANGE = 8
"""Grey steps from which a pixel has changed."""
AROUND = 0.03
"""Heights of the frame, the width of the neighbourhood in which all counts as changed."""
CLOSED = 0.02
"""Heights of the frame: gaps of a region that are closed."""
TOO_MUCH = 0.5
"""Share of the frame that is never foreground at once."""
