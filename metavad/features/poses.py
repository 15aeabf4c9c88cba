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
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from metavad.config import PoseConfig
from metavad.errors import FootageWarning
from metavad.features.feature import Feature, Reading
from metavad.features.networks.registry import digest_named
from metavad.features.pose_networks import PoseFinder, onnx_poses
from metavad.features.tracking import Follower
from metavad.recordings import recordings
from metavad.scenes.keypoints import JOINTS, Keypoints, keypoints_file, read_keypoints
from metavad.scenes.scene import Video
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
"""Ticks within which the next pose of a slow video comes."""
MILLISECONDS = 1000.0
"""What a network's poses are numbered by; there are no frames of a file between ticks."""
ROUNDED = 6
"""Digits of a rate: a constant one stays the same from tick to tick, whatever the last bits of times."""
LEAST = 1e-3
"""Heights under which a pose has no size."""


class PosesFeature(Feature):
    """Rows (N, 2 x D) of bytes, half-precision numbers: ``FACTS``, then ``STEP`` for each step, the last one now.

    Joints are seen from the middle of the last pose, in sizes of the person (the diagonal of its box, the median
    over the window), so that a window is the same near and far. Without a network, a stream of no known video
    sees nobody. With one, people are looked for in the working picture of every tick and followed from tick to tick;
    ``finder`` stands in for the network of the settings.
    """

    name = "poses"
    picture: ClassVar[bool] = False

    def __init__(self, settings: PoseConfig, reading: Reading | None = None, finder: PoseFinder | None = None) -> None:
        self.settings, self.reading, self.finder = settings, reading, finder
        self.past = settings.seconds * _ENOUGH

    @property
    def needs_files(self) -> bool:
        """Where no network looks for people."""
        return not self._looks

    def of(self, reading: Reading) -> "PosesFeature":
        """For one video; raises :class:`VideoError` where it has no file of poses and no network finds any."""
        if not self._looks:
            keypoints_file(reading.video)
        return PosesFeature(self.settings, reading, self.finder)

    def start(self) -> Callable[[ByteArray, float], ByteArray]:
        """Reads the poses of the whole video, or finds them; a row uses those up to its tick."""
        seen = self._from_network() if self._looks else self._from_file()

        def row(frame: ByteArray, seconds: float) -> ByteArray:
            rows = np.zeros((self.settings.people, self._width), np.float16)
            found = self._described(*seen(frame, seconds), frame.shape)
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
        found = {"network": [digest_named(settings.network), settings.network_side]} if self._looks else {}
        return {"feature": "poses", "version": 1, "settings": plain, "keypoints": digest, **found}

    @property
    def _width(self) -> int:
        return FACTS + STEP * self.settings.steps

    @property
    def _looks(self) -> bool:
        """Whether people are looked for in the pictures."""
        return self.finder is not None or bool(self.settings.network)

    def _from_file(self) -> "_Seen":
        """Everybody that the file of poses tells of in one recording, and the number of each tick's frame."""
        if self.reading is None:
            return lambda frame, seconds: (_People(NOBODY), _Now(0, 1.0))
        times = self.reading.facts.seconds
        start, stop = _recording_of(self.reading)
        people, ticks = self._people(self.reading, start, stop), iter(self.reading.frames.tolist())

        def seen(frame: ByteArray, seconds: float) -> "tuple[_People, _Now]":
            now = int(next(ticks))
            return people, _Now(now, _rate(now - start, float(times[now] - times[start])))

        return seen

    def _from_network(self) -> "_Seen":
        """Those whom the network has found up to each tick, numbered by milliseconds."""
        settings = self.settings
        find = self.finder or onnx_poses(settings.network, settings.network_side, settings.sure)
        watched = _Watched(settings.seconds)
        return lambda frame, seconds: watched.step(*find(frame), min(frame.shape), seconds)

    def _people(self, reading: Reading, start: int, stop: int) -> "_People":
        path = keypoints_file(reading.video)
        found = _read(path, reading.video, path.stat().st_mtime_ns)
        _say_late(found, reading)
        sure = (found.sure >= self.settings.sure) & (start <= found.frames) & (found.frames < stop)
        kept = Keypoints(found.frames[sure], found.tracks[sure], found.points[sure], found.sure[sure])
        scale = min(reading.facts.height, reading.facts.width)
        corner = np.array([reading.crop.left, reading.crop.top])
        placed = Keypoints(kept.frames, kept.tracks, (kept.points - corner) / scale, kept.sure)
        who = placed.tracks if (placed.tracks >= 0).all() else _followed(placed, reading.facts.seconds)
        return _People(Keypoints(placed.frames, who, placed.points, placed.sure))

    def _described(self, people: "_People", now: "_Now", shape: tuple[int, ...]) -> FloatArray:
        """Rows (n, D) of those who are there at a frame, the largest first."""
        bounds, frame = np.array([shape[1], shape[0]]) / min(shape), now.frame
        tracks = [track for track in people.at(now) if track.inside(frame, bounds)]
        tracks.sort(key=lambda track: (-track.size(frame), track.number))
        spacing = self.settings.seconds * now.rate / max(1, self.settings.steps - 1)
        rows = [track.row(now, self.settings.steps, spacing) for track in tracks]
        return np.array(rows[: self.settings.people]).reshape(-1, self._width)


@dataclass(frozen=True)
class _Now:
    """The frame of a tick, how many frames a second have come so far, and the seconds without a pose to bridge."""

    frame: int
    rate: float
    gap: float = GAP

    @property
    def bridged(self) -> int:
        """Frames without a pose that are bridged."""
        return max(1, round(self.gap * self.rate))


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
    """Everybody of whom anything is known, by track."""

    def __init__(self, found: Keypoints) -> None:
        each = [(int(one), np.flatnonzero(found.tracks == one)) for one in np.unique(found.tracks)]
        self.tracks = [_Person(number, found, rows) for number, rows in each]

    def at(self, now: _Now) -> "list[_Person]":
        """Those who were seen at this frame, or just before it."""
        return [track for track in self.tracks if track.seen(now)]


class _Watched:
    """Those who were found over the last ``seconds``, and as much more as is bridged: bounded memory."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.follower = Follower(FOLLOWED)
        self.past: deque[tuple[float, Keypoints]] = deque()
        self.begun, self.ticks = 0.0, 0

    def step(self, points: FloatArray, sure: FloatArray, unit: float, seconds: float) -> "tuple[_People, _Now]":
        """With the poses (M, 17, 2) of this tick, in pixels of which ``unit`` are a height; and the tick's number."""
        self.begun = self.begun if self.ticks else seconds
        gap = max(GAP, SLACK * (seconds - self.begun) / max(1, self.ticks))
        self.ticks += 1
        points, sure, now = points[:FOLLOWED] / unit, sure[:FOLLOWED], round(seconds * MILLISECONDS)
        who = self.follower.step(_boxes(points), seconds)[1]
        self.past.append((seconds, Keypoints(np.full(len(who), now), who, points, sure)))
        while self.past[0][0] < seconds - self.seconds - gap:
            self.past.popleft()
        return _People(_joined([found for _, found in self.past])), _Now(now, MILLISECONDS, gap)


@dataclass(frozen=True)
class _Person:
    """One person: frames (n,) and points (n, 17, 2) in heights of the frame."""

    number: int
    found: Keypoints
    rows: IntArray

    @cached_property
    def frames(self) -> IntArray:
        return self.found.frames[self.rows]

    @cached_property
    def points(self) -> FloatArray:
        return self.found.points[self.rows]

    def last(self, frame: int) -> int:
        """Number of the newest pose up to this frame; -1 before the first."""
        return int(np.searchsorted(self.frames, frame, side="right")) - 1

    def seen(self, now: _Now) -> bool:
        last = self.last(now.frame)
        return last >= 0 and now.frame - int(self.frames[last]) < now.bridged

    def box(self, frame: int) -> FloatArray:
        points = self.points[self.last(frame)]
        return np.concatenate([points.min(0), points.max(0)])

    def size(self, frame: int) -> float:
        box = self.box(frame)
        return float(np.hypot(*(box[2:] - box[:2])))

    def inside(self, frame: int, bounds: FloatArray) -> bool:
        middle = self.points[self.last(frame)].mean(0)
        return bool(((middle >= 0) & (middle < bounds)).all())

    def row(self, now: _Now, steps: int, spacing: float) -> FloatArray:
        """``FACTS`` and steps, so many frames apart, of the window that ends at this frame."""
        points, known = self._window(now, steps, spacing)
        sizes = np.hypot(*(points.max(1) - points.min(1)).T)[known]
        unit = max(float(np.median(sizes)), LEAST)
        seen = (points - points[-1].mean(0)) / unit
        table = np.column_stack([known, seen.reshape(steps, -1).clip(-FARTHEST, FARTHEST)])
        sure = self.found.sure[self.rows[self.last(now.frame)]]
        return np.concatenate([[1.0], self.box(now.frame), [sure], table.reshape(-1)])

    def _window(self, now: _Now, steps: int, spacing: float) -> tuple[FloatArray, BoolArray]:
        """Poses (steps, 17, 2), between frames linear, and which are known; unknown ones repeat the first known."""
        last = self.last(now.frame) + 1
        wanted = now.frame - spacing * np.arange(steps - 1, -1, -1)
        frames, points = self.frames[:last], self.points[:last].reshape(last, -1)
        after = np.searchsorted(frames, wanted, side="left").clip(0, last - 1)
        before = np.maximum(after - 1, 0)
        close = (frames[after] - frames[before] <= now.bridged) | (frames[after] == wanted)
        known = (wanted >= frames[0]) & close | (wanted >= frames[-1])
        known[: _first_kept(known)] = False
        filled = np.column_stack([np.interp(wanted, frames, column) for column in points.T])
        filled[~known] = filled[int(np.argmax(known))]
        return filled.reshape(steps, JOINTS, 2), known


def _first_kept(known: BoolArray) -> int:
    """Where the last unbroken run of known steps begins."""
    unknown = np.flatnonzero(~known)
    return int(unknown[-1]) + 1 if len(unknown) else 0


@lru_cache(maxsize=1)
def _read(path: Path, video: Video, changed: int) -> Keypoints:
    """The poses of a whole file, for one recording after the other; ``changed``: when it was written."""
    return read_keypoints(path, video)


def _recording_of(reading: Reading) -> tuple[int, int]:
    """The frames of the recording that a reading's ticks are of."""
    first = int(reading.frames[0]) if len(reading.frames) else 0
    start, stop = next(part for part in recordings(reading.facts.seconds).tolist() if first < part[1])
    return int(start), int(stop)


def _rate(frames: int, seconds: float) -> float:
    """Frames a second; 1 before there is a second frame to tell."""
    return round(frames / seconds, ROUNDED) if seconds > 0 else 1.0


def _followed(found: Keypoints, seconds: FloatArray) -> IntArray:
    """Track numbers (n,) by following boxes from frame to frame."""
    follower, who = Follower(FOLLOWED), np.full(len(found.frames), -1, dtype=np.int64)
    boxes = _boxes(found.points)
    for frame in np.unique(found.frames):
        rows = np.flatnonzero(found.frames == frame)[:FOLLOWED]
        who[rows] = follower.step(boxes[rows], float(seconds[frame]))[1]
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
_Seen: TypeAlias = Callable[[ByteArray, float], tuple[_People, _Now]]
"""A tick's picture and time to the people known by then, and what is now."""
FARTHEST = 8.0
"""Sizes of the person beyond which a joint is not followed."""
_ENOUGH = 0.4
"""Share of the window that must be there for a pose to be known."""
