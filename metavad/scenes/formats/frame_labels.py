"""Labels of whole frames as the datasets write them."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metavad.errors import FootageWarning, LabelError
from metavad.scenes.array_files import ArrayError, archived_arrays
from metavad.scenes.formats.reading import (
    Row,
    array_at,
    cell_rows,
    checked_labels,
    clip_number,
    existing,
    is_about,
    is_of_one_video,
    labels_of_intervals,
    matlab_at,
    number_of,
    number_rows,
    table_rows,
    text_at,
    whole_number,
)
from metavad.scenes.formats.tracks import street_scene_boxes
from metavad.scenes.scene import LabelSource, Video
from metavad.types import BoolArray

__all__ = [
    "FrameFormat",
    "mat_intervals",
    "npy",
    "npz",
    "object_intervals",
    "one_interval",
    "one_interval_rows",
    "postures",
    "street_scene",
    "two_intervals",
    "ucsd_m",
]


FrameFormat: TypeAlias = Callable[[LabelSource, Video, int], BoolArray]
"""Labels (T,) of a video with so many frames."""


def npy(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """One value per frame."""
    return checked_labels(array_at(source.of(video)), source.of(video), frames)


def ucsd_m(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``TestVideoFile{end+1}.gt_frame = [60:152];``: one line a clip, counted from 1, both ends inside."""
    path = source.of(video)
    code = re.sub("%.*", "", existing(path).read_text(encoding="latin-1"))
    lines = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", code)
    number = clip_number(video)
    if not 1 <= number <= len(lines):
        raise LabelError(f"{path}: expected a line for clip {number} ({video.name}), found {len(lines)}")
    where, line, frame = f"{path}, clip {number}", lines[number - 1], r"(\d+)(?:\s*:\s*(\d+))?"
    if rest := re.sub(frame, "", line).strip(" ,;\t\n"):
        raise LabelError(f"{where}: expected frames such as 60:152, found {rest[:20]!r} among them")
    pairs = [(number_of(start, where), number_of(end or start, where)) for start, end in re.findall(frame, line)]
    return labels_of_intervals([(int(start) - 1, int(end)) for start, end in pairs], frames, where)


def _cell(content: dict[str, Any], variable: str, clip: int, path: Path) -> NDArray[Any]:
    """Cell ``clip``, from 1, of a 1xN cell array."""
    if variable not in content:
        names = ", ".join(sorted(name for name in content if not name.startswith("__")))
        raise LabelError(f"{path}: expected variable {variable!r}, found {names or 'none'}")
    cells = np.ravel(content[variable])
    if not 1 <= clip <= len(cells):
        raise LabelError(f"{path}: expected a cell for clip {clip}, found {len(cells)} cells")
    return np.asarray(cells[clip - 1])


def mat_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``gt``: one cell a clip, starts over ends, counted from 1, both inside.

    A file of the same name circulates that has one variable per clip with a label per frame: read too.
    """
    path = source.of(video)
    content = matlab_at(path)
    if "gt" not in content and video.name in content:
        return checked_labels(np.ravel(content[video.name]), path, frames)
    where, pairs = f"{path}, cell {clip_number(video)}", _cell(content, "gt", clip_number(video), path)
    if pairs.size and (pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.dtype.kind not in "biuf"):
        raise LabelError(f"{where}: expected starts over ends, found {pairs.dtype} of shape {pairs.shape}")
    starts, ends = (
        [whole_number(number_of(str(each), where), where) for each in row] for row in pairs.reshape(2, -1).tolist()
    )
    return labels_of_intervals([(start - 1, end) for start, end in zip(starts, ends, strict=True)], frames, where)


def npz(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """One array per video, in an archive by the videos' names, or in an archive of its own."""
    path = existing(source.of(video))
    try:
        arrays = archived_arrays(path)
        own = [name for name in arrays if is_about(name, video)] or (
            list(arrays) if is_of_one_video(source) and len(arrays) == 1 else []
        )
        labels = np.ravel(arrays[own[0]].values(_HEADER + frames * _WIDEST)) if len(own) == 1 else None
    except ArrayError as error:
        raise LabelError(f"{path}: expected an archive of number arrays (.npz), found {error}") from error
    if labels is None:
        found = f"{own[0]!r} and {own[1]!r}" if own else f"those of {len(arrays)} others"
        raise LabelError(f"{path}: expected labels of {video.name!r}, found {found}")
    return checked_labels(labels, path, frames)


_HEADER, _WIDEST = 1 << 16, 16
"""Bytes of the header of an array, and of one label, at most."""


def object_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``object,start,end`` a line, from 0, both ends inside, perhaps as floats; no file: normal.

    Files of this name circulate that are arrays with 1 = normal: told by their first bytes, and inverted.
    """
    path = source.of(video)
    if existing(path).read_bytes()[:6] == b"\x93NUMPY":
        return ~checked_labels(array_at(path), path, frames)
    labels = np.zeros(frames, bool)
    for where, (_, start, end) in number_rows(path, 3):  # objects may be there at once
        labels |= labels_of_intervals([(whole_number(start, where), whole_number(end, where) + 1)], frames, where)
    return labels


def street_scene(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A frame with a box is abnormal."""
    labels = np.zeros(frames, bool)
    labels[[box[1] for box in street_scene_boxes(source, video, frames)]] = True
    return labels


def postures(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``fall-01,97,0,...`` a line, frames from 1: a posture holds until the next row says another."""
    path = source.of(video)
    postures = np.full(frames, -1)
    about = [(where, row) for where, row in _plain_rows(path) if re.match(rf"{re.escape(row[0])}\b", video.name)]
    rows = [
        (whole_number(number_of(row[1], where), where), whole_number(number_of(row[2], where), where), where)
        for where, row in about
        if row[0]
    ]
    if not rows:
        raise LabelError(f"{path}: expected rows of {video.name}, found none")
    before = 0
    for frame, posture, where in sorted(rows):
        if not 1 <= frame <= frames or frame == before:
            twice = " again" if frame == before else ""
            raise LabelError(f"{where}: expected frames 1 to {frames} of {video.name}, found {frame}{twice}")
        if posture not in _POSTURES:
            raise LabelError(f"{where}: expected postures -1, 0 or 1 of {video.name}, found {posture} at frame {frame}")
        postures[frame - 1 :], before = posture, frame
    return np.isin(postures, source.abnormal)


_POSTURES = (-1, 0, 1)
"""On one's feet, falling, lying."""


def _plain_rows(path: Path) -> list[tuple[str, list[str]]]:
    """Rows without header, which have three columns or more, and where they stand."""
    rows = [row for row in cell_rows(path, list(enumerate(text_at(path).splitlines(), 1))) if row[1]]
    if short := next((row for row in rows if len(row[1]) < 3), None):
        raise LabelError(f"{short[0]}: expected a video, a frame, a posture, found {','.join(short[1])!r}")
    return rows


_FIRST, _LAST = "starting frame of anomaly", "ending frame of anomaly"


def one_interval_rows(path: Path, video: Video) -> list[Row]:
    return [row for row in table_rows(path, ["name", _FIRST, _LAST]) if is_about(row["name"], video)]


def one_interval(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``name,scenario,total frames,starting frame of anomaly,ending frame of anomaly``, from 1, inclusive.

    Videos that are not in the table are normal.
    """
    path, labels = source.of(video), np.zeros(frames, bool)
    for row in one_interval_rows(path, video):
        first, last = (whole_number(number_of(row[name], row.where), row.where) for name in (_FIRST, _LAST))
        labels |= labels_of_intervals([(first - 1, last)], frames, row.where)
        if (total := row.cells.get("total frames", "")) not in ("", str(frames)):
            message = f"{row.where}: {video.name} has {frames} frames, its labels were made of {total[:20]}"
            warnings.warn(message, FootageWarning, stacklevel=3)
    return labels


def two_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``Abuse028_x264.mp4  Abuse  165  240  -1  -1`` a line: -1 = absent, from 1, both ends inside."""
    path = source.of(video)
    lines = ((number, line.split()) for number, line in enumerate(text_at(path).splitlines(), 1))
    rows = [(f"{path}, line {number}", row) for number, row in lines if row and is_about(row[0], video)]
    if len(rows) != 1 or len(rows[0][1]) != 6:
        found = "none" if not rows else f"{len(rows)} lines" if len(rows) > 1 else rows[0][1]
        raise LabelError(f"{path}: expected a line of {video.name} with six fields, found {found}")
    where, row = rows[0]
    numbers = [whole_number(number_of(text, where), where) for text in row[2:]]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return labels_of_intervals([(first - 1, last) for first, last in pairs if (first, last) != (-1, -1)], frames, where)
