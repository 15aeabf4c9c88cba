"""Poses over the last second, person by person, from a tracker's files or from a network.

Poses come from files beside the videos (:mod:`metavad.scenes.keypoints`), or from a network that the user names
(:mod:`metavad.features.pose_networks`); who is who is the file's word, else the boxes are followed
(:mod:`metavad.features.tracking`).
"""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from metavad.config import PoseConfig
from metavad.errors import FootageWarning
from metavad.features.base import Feature, Reading
from metavad.features.networks import digest_of
from metavad.features.pose_networks import PoseFinder, onnx_poses
from metavad.features.tracking import Follower
from metavad.scenes.keypoints import JOINTS, Keypoints, keypoints_file, read_keypoints
from metavad.scenes.video import VideoFacts
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = ["FACTS", "JOINTS", "STEP", "PosesFeature"]

FACTS = 6
"""Numbers of a person before the steps: there (1), box x0 y0 x1 y1 (heights of the frame), confidence."""
STEP = 1 + 2 * JOINTS
"""Numbers of a step: known (1), and x, y of each joint."""
FOLLOWED = 64
"""People that are told apart in one frame where the file does not say who is who."""
GAP = 0.25
"""Seconds without a pose that are bridged."""
SLACK = 1.5
"""Frames of the file within which the next pose of a slow video comes."""
MILLISECONDS = 1000.0
"""What a network's poses are numbered by; there are no frames of a file between ticks."""
LEAST = 1e-3
"""Heights under which a pose has no size."""


class PosesFeature(Feature):
    """Rows (N, 2 x D) of bytes, half-precision numbers: ``FACTS``, then ``STEP`` for each step, the last one now.

    Joints are seen from the middle of the last pose, in sizes of the person (the diagonal of its box, the median
    over the window), so that a window is the same near and far. Without a network, a stream that was told of no video
    sees nobody. With one, people are looked for in the working picture of every tick and followed from tick to tick;
    ``finder`` stands in for the network of the settings.
    """

    name = "poses"
    picture: ClassVar[bool] = False

    def __init__(self, settings: PoseConfig, reading: Reading | None = None, finder: PoseFinder | None = None) -> None:
        self.settings, self.reading, self.finder = settings, reading, finder
        self.past = settings.seconds * _ENOUGH

    def of(self, reading: Reading) -> "PosesFeature":
        """For one video; raises :class:`VideoError` where it has no file of poses and no network finds any."""
        if not self._looks:
            keypoints_file(reading.video)
        return PosesFeature(self.settings, reading, self.finder)

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Reads the poses of the whole video, or finds them; a row uses those up to its tick."""
        seen = self._found() if self._looks else self._told()

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            rows = np.zeros((self.settings.people, self._width), np.float16)
            people, now = seen(frame, seconds)
            found = self._described(people, now, frame.shape)
            rows[: len(found)] = found
            return rows.view(np.uint8)

        return row

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(N, 2 x D)."""
        return self.settings.people, 2 * self._width

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(T, N, D) float32."""
        return torch.from_numpy(np.ascontiguousarray(rows).view(np.float16).astype(np.float32))

    def key(self) -> Mapping[str, object]:
        """Settings, and what the file of poses says, or which network looks for them."""
        settings, reading = self.settings, self.reading
        path = None if reading is None or self._looks else keypoints_file(reading.video)
        digest = "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
        plain = [settings.people, settings.steps, settings.seconds, settings.sure]
        found = {"network": [digest_of(Path(settings.network)), settings.network_side]} if self._looks else {}
        return {"feature": "poses", "version": 1, "settings": plain, "keypoints": digest, **found}

    @property
    def _width(self) -> int:
        return FACTS + STEP * self.settings.steps

    @property
    def _looks(self) -> bool:
        """Whether people are looked for in the pictures."""
        return self.finder is not None or bool(self.settings.network)

    def _told(self) -> "_Seen":
        """Everybody that the file of poses tells of, and the number of each tick's frame."""
        if self.reading is None:
            return lambda frame, seconds: (_People(NOBODY, 1.0), 0)
        people, ticks = self._people(self.reading), iter(self.reading.frames.tolist())
        return lambda frame, seconds: (people, int(next(ticks)))

    def _found(self) -> "_Seen":
        """Those whom the network has found up to each tick, numbered by milliseconds."""
        settings = self.settings
        find = self.finder or onnx_poses(Path(settings.network), settings.network_side, settings.sure)
        slow = 0.0 if self.reading is None else SLACK / self.reading.facts.rate
        watched = _Watched(settings.seconds, max(GAP, slow))
        return lambda frame, seconds: watched.step(*find(frame), min(frame.shape), seconds)

    def _people(self, reading: Reading) -> "_People":
        found = read_keypoints(keypoints_file(reading.video), reading.video)
        _say_late(found, reading)
        sure = found.sure >= self.settings.sure
        kept = Keypoints(found.frames[sure], found.tracks[sure], found.points[sure], found.sure[sure])
        scale = min(reading.facts.height, reading.facts.width)
        corner = np.array([reading.crop.left, reading.crop.top])
        placed = Keypoints(kept.frames, kept.tracks, (kept.points - corner) / scale, kept.sure)
        who = placed.tracks if (placed.tracks >= 0).all() else _followed(placed, reading.facts)
        return _People(Keypoints(placed.frames, who, placed.points, placed.sure), reading.facts.rate)

    def _described(self, people: "_People", frame: int, shape: tuple[int, ...]) -> FloatArray:
        """Rows (n, D) of those who are there at a frame, the largest first."""
        bounds = np.array([shape[1], shape[0]]) / min(shape)
        tracks = [track for track in people.at(frame) if track.inside(frame, bounds)]
        tracks.sort(key=lambda track: (-track.size(frame), track.number))
        rows = [track.row(frame, self.settings.steps, self._spacing(people)) for track in tracks]
        return np.array(rows[: self.settings.people]).reshape(-1, self._width)

    def _spacing(self, people: "_People") -> float:
        """Frames of the file between two steps."""
        return self.settings.seconds * people.rate / max(1, self.settings.steps - 1)


def _say_late(found: Keypoints, reading: Reading) -> None:
    """Poses after the end of a video are of another one, or count from another frame."""
    last, frames = int(found.frames.max(initial=0)), reading.facts.frames
    if last > frames:  # what counts from 1 has one more
        warnings.warn(
            f"{reading.video.path}: has {frames} frames, its poses tell of frame {last}; are they of this video?",
            FootageWarning,
            stacklevel=2,
        )


class _People:
    """Everybody of whom anything is known, by track; ``rate``: frames a second, ``gap``: frames that are bridged."""

    def __init__(self, found: Keypoints, rate: float, gap: float = GAP) -> None:
        self.rate, bridged = rate, max(1, round(gap * rate))
        each = [(int(one), np.flatnonzero(found.tracks == one)) for one in np.unique(found.tracks)]
        self.tracks = [_Track(number, found, rows, bridged) for number, rows in each]

    def at(self, frame: int) -> "list[_Track]":
        """Those who were seen at this frame, or just before it."""
        return [track for track in self.tracks if track.seen(frame)]


class _Watched:
    """Those who were found over the last ``seconds``, and a ``gap`` more: bounded memory."""

    def __init__(self, seconds: float, gap: float) -> None:
        self.gap, self.reach = gap, seconds + gap
        self.follower = Follower(FOLLOWED)
        self.past: deque[tuple[float, Keypoints]] = deque()

    def step(self, points: FloatArray, sure: FloatArray, unit: float, seconds: float) -> "tuple[_People, int]":
        """With the poses (M, 17, 2) of this tick, in pixels of which ``unit`` are a height; and the tick's number."""
        points, sure, now = points[:FOLLOWED] / unit, sure[:FOLLOWED], round(seconds * MILLISECONDS)
        who = self.follower.step(_boxes(points), seconds)[1]
        self.past.append((seconds, Keypoints(np.full(len(who), now), who, points, sure)))
        while self.past[0][0] < seconds - self.reach:
            self.past.popleft()
        return _People(_joined([found for _, found in self.past]), MILLISECONDS, self.gap), now


@dataclass(frozen=True)
class _Track:
    """One person: frames (n,) and points (n, 17, 2) in heights of the frame."""

    number: int
    found: Keypoints
    rows: IntArray
    gap: int

    @cached_property
    def frames(self) -> IntArray:
        return self.found.frames[self.rows]

    @cached_property
    def points(self) -> FloatArray:
        return self.found.points[self.rows]

    def last(self, frame: int) -> int:
        """Number of the newest pose up to this frame; -1 before the first."""
        return int(np.searchsorted(self.frames, frame, side="right")) - 1

    def seen(self, frame: int) -> bool:
        last = self.last(frame)
        return last >= 0 and frame - int(self.frames[last]) < self.gap

    def box(self, frame: int) -> FloatArray:
        points = self.points[self.last(frame)]
        return np.concatenate([points.min(0), points.max(0)])

    def size(self, frame: int) -> float:
        box = self.box(frame)
        return float(np.hypot(*(box[2:] - box[:2])))

    def inside(self, frame: int, bounds: FloatArray) -> bool:
        middle = self.points[self.last(frame)].mean(0)
        return bool(((middle >= 0) & (middle < bounds)).all())

    def row(self, frame: int, steps: int, spacing: float) -> FloatArray:
        """``FACTS`` and steps of the window that ends at this frame."""
        points, known = self._window(frame, steps, spacing)
        sizes = np.hypot(*(points.max(1) - points.min(1)).T)[known]
        unit = max(float(np.median(sizes)), LEAST)
        seen = (points - points[-1].mean(0)) / unit
        table = np.column_stack([known, seen.reshape(steps, -1).clip(-FARTHEST, FARTHEST)])
        sure = self.found.sure[self.rows[self.last(frame)]]
        return np.concatenate([[1.0], self.box(frame), [sure], table.reshape(-1)])

    def _window(self, frame: int, steps: int, spacing: float) -> tuple[FloatArray, BoolArray]:
        """Poses (steps, 17, 2), between frames linear, and which are known; unknown ones repeat the first known."""
        last = self.last(frame) + 1
        wanted = frame - spacing * np.arange(steps - 1, -1, -1)
        frames, points = self.frames[:last], self.points[:last].reshape(last, -1)
        after = np.searchsorted(frames, wanted, side="left").clip(0, last - 1)
        before = np.maximum(after - 1, 0)
        close = (frames[after] - frames[before] <= self.gap) | (frames[after] == wanted)
        known = (wanted >= frames[0]) & close | (wanted >= frames[-1])
        known[: _first_kept(known)] = False
        filled = np.column_stack([np.interp(wanted, frames, column) for column in points.T])
        filled[~known] = filled[int(np.argmax(known))]
        return filled.reshape(steps, JOINTS, 2), known


def _first_kept(known: BoolArray) -> int:
    """Where the last unbroken run of known steps begins."""
    unknown = np.flatnonzero(~known)
    return int(unknown[-1]) + 1 if len(unknown) else 0


def _followed(found: Keypoints, facts: VideoFacts) -> IntArray:
    """Track numbers (n,) by following boxes from frame to frame."""
    follower, who = Follower(FOLLOWED), np.full(len(found.frames), -1, dtype=np.int64)
    boxes = _boxes(found.points)
    for frame in np.unique(found.frames):
        rows = np.flatnonzero(found.frames == frame)[:FOLLOWED]
        who[rows] = follower.step(boxes[rows], float(frame) / facts.rate)[1]
    return who


def _boxes(points: FloatArray) -> FloatArray:
    """Boxes (n, 4) around points (n, 17, 2)."""
    return np.concatenate([points.min(1), points.max(1)], axis=1)


def _joined(parts: Sequence[Keypoints]) -> Keypoints:
    """One after the other."""
    return Keypoints(
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.tracks for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.sure for part in parts]),
    )


NOBODY = Keypoints(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, JOINTS, 2)), np.zeros(0))
_Seen: TypeAlias = Callable[[ByteArray, float], "tuple[_People, int]"]
"""A tick's frame and time to the people known by then, and the tick's number in their count."""
FARTHEST = 8.0
"""Sizes of the person beyond which a joint is not followed."""
_ENOUGH = 0.4
"""Share of the window that must be there for a pose to be known."""
