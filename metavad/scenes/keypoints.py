"""Poses of people, as files that lie beside videos: generated ones, and those of AlphaPose.

AlphaPose (Fang et al. 2017, https://arxiv.org/abs/1612.00137) writes one list of people over all frames; datasets of
tracked poses group the same people by person and frame. Both are JSON; generated cameras write ``.npz``.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metavad.errors import VideoError
from metavad.scenes.array_files import archived_arrays
from metavad.scenes.encoding import text_of
from metavad.scenes.listing import VIDEO_SUFFIXES, frame_files
from metavad.scenes.scene import Video
from metavad.types import FloatArray, IntArray

__all__ = ["JOINTS", "Keypoints", "keypoints_file", "read_keypoints"]

JOINTS = 17
"""The keypoints of COCO (Lin et al. 2014, https://arxiv.org/abs/1405.0312), in its order; further ones are left out."""
NAMES = ("{name}.npz", "{name}.json", "{name}_alphapose_tracked_person.json", "alphapose-results-{name}.json")
"""What a file of poses beside its video is called."""
_ODD = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What a file that is something else makes of its readers."""


@dataclass(frozen=True)
class Keypoints:
    """People of one video, in the order of frames.

    ``frames`` (n,) counts from 0; ``tracks`` (n,) says who is who, -1 where nobody said; ``points`` (n, 17, 2) in
    pixels of the file; ``sure`` (n,) is how sure the pose is, 0 to 1.
    """

    frames: IntArray
    tracks: IntArray
    points: FloatArray
    sure: FloatArray


def keypoints_file(video: Video) -> Path:
    """Where a video's poses are: what the suite says, else beside it or in a folder ``keypoints``, by its name.

    Raises :class:`VideoError` where there is no such file.
    """
    folder = video.path.parent
    beside = [folder, folder / "keypoints", folder.parent / "keypoints"]
    found = [place / name.format(name=_called(video.path)) for place in beside for name in NAMES]
    places = [video.keypoints] if video.keypoints else found
    for path in places:
        if path.is_file():
            return path
    raise VideoError(
        f"{video.path}: expected its poses at {places[0]}, found none; "
        "give the scene keypoints = 'poses/{video}.json', or leave the experts of poses out"
    )


def _called(path: Path) -> str:
    """A video's stem; its whole name where another video beside it has the same stem."""
    beside = path.parent.iterdir() if path.parent.is_dir() else iter(())
    others = [other.suffix.lower() for other in beside if other.stem == path.stem and other != path]
    return path.name if VIDEO_SUFFIXES.intersection(others) else path.stem


def read_keypoints(path: Path, video: Video) -> Keypoints:
    """The poses of a file, ordered by frame; raises :class:`VideoError` for a file that is something else."""
    try:
        found = _read_npz(path) if path.suffix == ".npz" else _read_json(path, video)
    except _ODD as error:
        raise VideoError(
            f"{path}: expected poses as AlphaPose or metavad write them, found something else ({error})"
        ) from None
    if len(found.frames) and found.frames.min() < 0:
        raise VideoError(f"{path}: expected poses of frames from 0 on, found frame {found.frames.min()}")
    order = np.argsort(found.frames, kind="stable")
    return Keypoints(found.frames[order], found.tracks[order], found.points[order], found.sure[order])


def _read_npz(path: Path) -> Keypoints:
    arrays = archived_arrays(path)
    frames, tracks, points = (arrays[name].values(_MOST) for name in ("frames", "tracks", "points"))
    shapes = (len(frames),), (len(frames), points.shape[1] if points.ndim == 3 else 0, 2)
    if (tracks.shape, points.shape) != shapes or frames.ndim != 1 or points.shape[1] < JOINTS:
        raise ValueError(f"points of the shape {points.shape}")
    if not np.isfinite(points).all() or (np.mod(frames, 1) != 0).any() or (np.mod(tracks, 1) != 0).any():
        raise ValueError("numbers that are no places, frames or tracks")
    return Keypoints(
        frames.astype(np.int64),
        tracks.astype(np.int64),
        points[:, :JOINTS].astype(np.float64),
        np.ones(len(frames)),
    )


_MOST = 1 << 32
"""Bytes of an array of poses: ten million people."""


def _read_json(path: Path, video: Video) -> Keypoints:
    table = json.loads(text_of(path))
    numbers = _numbers(video)
    if isinstance(table, dict):
        rows = [
            (_frame(frame, numbers), int(person), found["keypoints"], found.get("scores", 1.0))
            for person, frames in table.items()
            for frame, found in frames.items()
        ]
    else:
        rows = [
            (_frame(str(found["image_id"]), numbers), _track(found), found["keypoints"], found.get("score", 1.0))
            for found in table
        ]
    return Keypoints(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([_points(row[2]) for row in rows], dtype=np.float64).reshape(-1, JOINTS, 2),
        np.array([_sure(row[3]) for row in rows], dtype=np.float64),
    )


def _points(flat: list[float]) -> FloatArray:
    """(17, 2) of x, y, confidence for each joint."""
    points = np.array(flat, dtype=np.float64).reshape(-1, 3)
    if len(points) < JOINTS or not np.isfinite(points).all():
        raise ValueError(f"{len(points)} keypoints instead of {JOINTS}")
    return np.asarray(points[:JOINTS, :2])


def _sure(scores: Any) -> float:
    """A score, or the mean of one for each joint, at most 1."""
    score = float(np.mean(scores))
    if not np.isfinite(score):
        raise ValueError(f"a score of {score}")
    return min(1.0, score)


def _track(found: dict[str, Any]) -> int:
    """AlphaPose writes a number, a list of one, or nothing."""
    who = found.get("idx", -1)
    return int(who[0] if isinstance(who, list) and who else -1 if isinstance(who, list) else who)


def _numbers(video: Video) -> dict[str, int]:
    """Names of frames to their number, where the video is a folder of them."""
    if not video.path.is_dir():
        return {}
    return {file.stem: number for number, file in enumerate(frame_files(video.path))}


def _frame(name: str, numbers: dict[str, int]) -> int:
    """``"0012.jpg"`` is the frame of that name where frames have names, else frame 12."""
    stem = Path(name).stem
    if stem in numbers:
        return numbers[stem]
    digits = re.findall(r"\d+", stem)
    if not digits:
        raise ValueError(f"no frame number in {name!r}")
    return int(digits[-1])
