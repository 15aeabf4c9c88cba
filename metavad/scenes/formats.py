"""Labels as the datasets write them: a format is a function and one entry in a table at the end.

Each function gets the source, the video and its number of frames, and gives labels with 1 = abnormal,
frames counted from 0, intervals and boxes half-open, whatever the files say.
"""

import csv
import fnmatch
import math
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, TypeAlias
from zipfile import is_zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from metavad.errors import FootageWarning, LabelError
from metavad.scenes.array_files import ArrayError, archived_arrays, mapped_array
from metavad.scenes.encoding import text_of
from metavad.scenes.listing import VIDEO_SUFFIXES, frame_files, is_junk, natural
from metavad.scenes.scene import LabelSource, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = [
    "FORMATS",
    "MASK_FORMATS",
    "TRACK_FORMATS",
    "FrameFormat",
    "MaskFormat",
    "Row",
    "TrackFormat",
    "TrackedBox",
    "checked_labels",
    "clip_number",
    "has_rows",
    "interval_rows",
    "is_of_one_video",
    "names_of",
    "table_rows",
]

TrackedBox: TypeAlias = tuple[int, int, int, int, int, int]
"""Track, frame, x0, y0, x1, y1: pixels of the cropped picture, half-open."""
FrameFormat: TypeAlias = Callable[[LabelSource, Video, int], BoolArray]
"""Labels (T,) of a video with so many frames."""
MaskFormat: TypeAlias = Callable[[LabelSource, Video, int], "Iterator[BoolArray] | None"]
"""Masks (H, W), one per frame, or nothing where the dataset has none for this video."""
TrackFormat: TypeAlias = Callable[[LabelSource, Video, int], list[TrackedBox]]
"""Boxes of all tracks of a video."""


def checked_labels(labels: NDArray[np.generic], path: Path, frames: int) -> BoolArray:
    """Labels as booleans, after every check that a label array deserves."""
    if labels.shape != (frames,):
        found = labels.shape[0] if labels.ndim == 1 else f"an array of shape {labels.shape}"
        raise LabelError(f"{path}: expected {frames} labels, as many as frames, found {found}")
    other = ~np.isin(labels, (0, 1))
    if other.any():
        value = labels[other][0]
        raise LabelError(f"{path}: expected labels 0 or 1, found {value} at frame {int(np.argmax(other))}")
    return labels.astype(bool)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise LabelError(f"{path}: expected labels, found nothing; complete the folder or mend the suite")
    return path


def _text(path: Path) -> str:
    try:
        return text_of(_existing(path))
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: expected a text file, found something else; fetch or save it again") from error


def _array(path: Path) -> NDArray[Any]:
    """An array file, as a memory map; pickled objects are refused, since reading one runs what it says."""
    try:
        return mapped_array(_existing(path))
    except ArrayError as error:
        archive = " (an archive of arrays)" if is_zipfile(path) else ""
        raise LabelError(f"{path}: expected an array of numbers (.npy), found {error}{archive}") from error


def _npy(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """One value per frame."""
    return checked_labels(_array(source.of(video)), source.of(video), frames)


def _from_intervals(intervals: Sequence[tuple[int, int]], frames: int, where: object) -> BoolArray:
    """Labels (T,) of half-open intervals; one that is empty, backwards or leaves the video is an error."""
    labels = np.zeros(frames, bool)
    for start, stop in intervals:
        if not 0 <= start < stop <= frames:
            raise LabelError(
                f"{where}: expected intervals from a lower frame to a higher one, inside 0 to {frames}, the length of "
                f"the video, found {start} to {stop}"
            )
        labels[start:stop] = True
    return labels


@dataclass(frozen=True)
class Row:
    """A line of a table: its cells by column in lower case, and where it stands."""

    where: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


def table_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Rows of a table whose first line names at least these columns; blank lines and comments are left out.

    Cells beyond the header (a remark, a comma at the end) are left out, unless they are numbers, as commas in decimals
    make them. Raises :class:`LabelError` for those, for what is no text, and for a table that does not say what its
    columns are.
    """
    lines = enumerate(_text(path).splitlines(), 1)
    kept = [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]
    rows = _cells(path, kept)
    where, header = rows[0] if rows else (str(path), [])
    names = [name.lower() for name in header]
    if any(names.count(column) != 1 for column in columns):
        found = ",".join(header) or "nothing"
        raise LabelError(f"{where}: expected columns {','.join(columns)}, found {found}; name them in the first line")
    for where, row in rows[1:]:
        if any(cell.isdecimal() for cell in row[len(names) :]):
            raise LabelError(
                f"{where}: expected {len(names)} cells as in the first line, found {len(row)}; write decimals with "
                "a point"
            )
    return [Row(where, dict(zip(names, [*row, *[""] * len(names)], strict=False))) for where, row in rows[1:]]


def _cells(path: Path, lines: Sequence[tuple[int, str]]) -> list[tuple[str, list[str]]]:
    """Cells of numbered lines of commas, and where they stand."""
    reader = csv.reader(line for _, line in lines)
    try:
        return [(f"{path}, line {lines[reader.line_num - 1][0]}", [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise LabelError(f"{path}: expected a table of commas, found something else ({error})") from error


def interval_rows(source: LabelSource, path: Path) -> list[Row]:
    """Rows of a table of intervals; a file of one video alone may lack the column ``video``."""
    return table_rows(path, ["start", "end"] if is_of_one_video(source) else ["video", "start", "end"])


def is_of_one_video(source: LabelSource) -> bool:
    """Whether every video has a file of labels of its own."""
    return "{video}" in source.path or "{number}" in source.path


def names_of(video: Video) -> set[str]:
    """What rows of a table may call a video: its name, with or without suffix."""
    return {video.name, video.path.name, *([] if video.path.is_dir() else [f"{video.name}{video.path.suffix}"])}


def has_rows(source: LabelSource, video: Video) -> bool:
    """Whether a video is labelled at all, where a format leaves out the normal ones, or is said to be normal."""
    if fnmatch.fnmatchcase(video.name, source.normal_if_missing):
        return True
    if source.format == "msad":
        return bool(_one_interval_rows(source.of(video), video))
    return source.format != "intervals" or bool(_own_rows(source, video))


def _own_rows(source: LabelSource, video: Video) -> list[Row]:
    own = names_of(video)
    return [row for row in interval_rows(source, source.of(video)) if row.cells.get("video", video.name) in own]


def _intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A table ``video,start,end`` for one or many videos, in what the suite says is its unit."""
    rows = _own_rows(source, video)
    spans = [(_number(row["start"], row.where), _number(row["end"], row.where)) for row in rows]
    for row, (start, end) in zip(rows, spans, strict=True):
        if source.unit is None:
            hint = 'say unit = "seconds"' if start % 1 or end % 1 else 'say unit = "frames" or unit = "seconds"'
            raise LabelError(
                f"{row.where}: expected to be told what {start:g} to {end:g} counts, found no unit; {hint} in labels"
            )
    labels = _in_seconds if source.unit == "seconds" else _in_frames
    found = labels(source, rows, spans, video, frames)
    _apart(rows, spans, inclusive=source.inclusive and source.unit == "frames")
    return found


_Spans: TypeAlias = Sequence[tuple[float, float]]


def _apart(rows: Sequence[Row], spans: _Spans, *, inclusive: bool) -> None:
    """Refuse what is said twice: one of the two is a mistake."""
    order = sorted(range(len(rows)), key=lambda n: spans[n])
    for one, other in pairwise(order):
        if spans[other][0] < spans[one][1] or (inclusive and spans[other][0] == spans[one][1]):
            first, second = ("{:g} to {:g}".format(*spans[n]) for n in (one, other))
            raise LabelError(
                f"{rows[other].where}: expected intervals that do not meet, found {second} over {first} of "
                f"{rows[one].where.rpartition(', ')[2]}; join them"
            )


def _number(text: str, where: object) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise LabelError(f"{where}: expected a number, found {text!r}; mend that line")
    return number


def _whole(number: float, where: object) -> int:
    if number % 1:
        raise LabelError(f"{where}: expected whole frames, found {number:g}; are these seconds?")
    return int(number)


def _in_frames(source: LabelSource, rows: Sequence[Row], spans: _Spans, video: Video, frames: int) -> BoolArray:
    labels = np.zeros(frames, bool)
    for row, (start, end) in zip(rows, spans, strict=True):
        first, last = (_whole(number, row.where) - source.first for number in (start, end))
        labels |= _from_intervals([(first, last + int(source.inclusive))], frames, row.where)
    return labels


def _in_seconds(source: LabelSource, rows: Sequence[Row], spans: _Spans, video: Video, frames: int) -> BoolArray:
    """A frame is abnormal when its time lies in [start, end); the last second of a video may be rounded up."""
    facts, path = probe(video), source.of(video)
    seconds = facts.seconds
    if len(seconds) != frames:
        raise LabelError(f"{path}: expected {frames} frames in {video.path}, found {len(seconds)}")
    limit = math.ceil(float(seconds[-1]) + 1 / facts.rate - 1e-6)
    labels = np.zeros(frames, bool)
    for row, (start, end) in zip(rows, spans, strict=True):
        inside = (seconds >= start) & (seconds < end)
        if not 0 <= start < end:
            raise LabelError(f"{row.where}: expected 0 <= start < end in seconds, found {start:g} to {end:g}")
        if end > limit or not inside.any():
            raise LabelError(
                f"{row.where}: expected seconds inside 0 to {limit}, the length of {video.name}, found {start:g} to "
                f"{end:g}; are these frames?"
            )
        labels |= inside
    return labels


def _ucsd_m(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``TestVideoFile{end+1}.gt_frame = [60:152];``: one line a clip, counted from 1, both ends inside."""
    path = source.of(video)
    code = re.sub("%.*", "", _existing(path).read_text(encoding="latin-1"))
    lines = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", code)
    number = clip_number(video)
    if not 1 <= number <= len(lines):
        raise LabelError(f"{path}: expected a line for clip {number} ({video.name}), found {len(lines)}")
    where, line, frame = f"{path}, clip {number}", lines[number - 1], r"(\d+)(?:\s*:\s*(\d+))?"
    if rest := re.sub(frame, "", line).strip(" ,;\t\n"):
        raise LabelError(f"{where}: expected frames such as 60:152, found {rest[:20]!r} among them")
    pairs = [(_number(start, where), _number(end or start, where)) for start, end in re.findall(frame, line)]
    return _from_intervals([(int(start) - 1, int(end)) for start, end in pairs], frames, where)


def _mask_images(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """A folder of images, one per frame in natural order; any value but 0 is abnormal."""
    folder = source.of(video)
    if not folder.is_dir():
        return None
    files = frame_files(folder)
    if len(files) != frames:
        raise LabelError(f"{folder}: expected {frames} masks, as many as frames, found {len(files)}")
    return (_mask(file) for file in files)


def _mask(path: Path) -> BoolArray:
    picture = _picture(path)
    return np.asarray(picture[..., :3].any(axis=2) if picture.ndim == 3 else picture > 0, bool)  # not how opaque it is


def _picture(path: Path) -> NDArray[Any]:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except cv2.error as error:  # more pixels than it takes
        raise LabelError(
            f"{path}: expected a mask image, found one that OpenCV refuses ({error.err}); fetch it again"
        ) from None
    if picture is None:
        raise LabelError(f"{path}: expected a mask image, found something unreadable; fetch it again")
    return np.asarray(picture)


def clip_number(video: Video) -> int:
    """The last number in the name of a video, 0 where it has none: which clip of a joint file it is."""
    return int((re.findall(r"\d+", video.name) or ["0"])[-1])


def _matlab(path: Path) -> dict[str, Any]:
    import scipy.io

    status = _existing(path).stat()
    if not _can_be_read(path, status.st_size, status.st_mtime_ns):
        raise LabelError(f"{path}: expected a MATLAB file (v5 to v7.2), found something else")
    content: dict[str, Any] = scipy.io.loadmat(path, appendmat=False)
    return content


_READING = "import sys, scipy.io; scipy.io.loadmat(sys.argv[1], appendmat=False)"
_PATIENCE = 100.0  # seconds; the largest masks of a dataset take some ten


@lru_cache(maxsize=1024)
def _can_be_read(path: Path, size: int, changed: int) -> bool:
    """Whether scipy gets through a file, tried in a process of its own: damage may end the reader, or hold it."""
    command = [sys.executable, "-P", "-c", _READING, str(path.absolute())]
    try:
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _cell(content: dict[str, Any], variable: str, clip: int, path: Path) -> NDArray[Any]:
    """Cell ``clip``, from 1, of a 1xN cell array."""
    if variable not in content:
        names = ", ".join(sorted(name for name in content if not name.startswith("__")))
        raise LabelError(f"{path}: expected variable {variable!r}, found {names or 'none'}")
    cells = np.ravel(content[variable])
    if not 1 <= clip <= len(cells):
        raise LabelError(f"{path}: expected a cell for clip {clip}, found {len(cells)} cells")
    return np.asarray(cells[clip - 1])


def _mat_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``gt``: one cell a clip, starts over ends, counted from 1, both inside.

    A file of the same name circulates that has one variable per clip with a label per frame: read too.
    """
    path = source.of(video)
    content = _matlab(path)
    if "gt" not in content and video.name in content:
        return checked_labels(np.ravel(content[video.name]), path, frames)
    where, pairs = f"{path}, cell {clip_number(video)}", _cell(content, "gt", clip_number(video), path)
    if pairs.size and (pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.dtype.kind not in "biuf"):
        raise LabelError(f"{where}: expected starts over ends, found {pairs.dtype} of shape {pairs.shape}")
    starts, ends = ([_whole(_number(str(each), where), where) for each in row] for row in pairs.reshape(2, -1).tolist())
    return _from_intervals([(start - 1, end) for start, end in zip(starts, ends, strict=True)], frames, where)


def _mat_masks(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray]:
    """``volLabel``: one cell a frame, each a mask."""
    path = source.of(video)
    content = _matlab(path)
    if "volLabel" not in content:
        raise LabelError(f"{path}: expected variable 'volLabel', found none")
    masks = np.ravel(content["volLabel"])
    if len(masks) != frames:
        raise LabelError(f"{path}: expected {frames} masks, as many as frames, found {len(masks)}")
    return (np.asarray(mask) > 0 for mask in masks)


def _npy_masks(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray] | None:
    """One array (T, H, W) a video; read as a memory map."""
    path = source.of(video)
    if not path.exists():
        return None
    masks = _array(path)
    if masks.ndim != 3 or len(masks) != frames:
        raise LabelError(f"{path}: expected masks ({frames}, H, W), one per frame, found {masks.shape}")
    return (np.asarray(mask) != 0 for mask in masks)


def _npz(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """One array per video, in an archive by the videos' names, or in an archive of its own."""
    path = _existing(source.of(video))
    try:
        arrays = archived_arrays(path)
        own = [name for name in arrays if _is_about(name, video)] or (
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


def _is_about(name: str, video: Video) -> bool:
    """Whether a dataset's file means a video that may have been converted since: any suffix, any folder."""
    last = PurePath(name.replace("\\", "/")).name
    bare = PurePath(last).stem if PurePath(last).suffix.lower() in VIDEO_SUFFIXES else last
    return video.name in (name, last, bare)


def _object_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``object,start,end`` a line, from 0, both ends inside, perhaps as floats; no file: normal.

    Files of this name circulate that are arrays with 1 = normal: told by their first bytes, and inverted.
    """
    path = source.of(video)
    if _existing(path).read_bytes()[:6] == b"\x93NUMPY":
        return ~checked_labels(_array(path), path, frames)
    labels = np.zeros(frames, bool)
    for where, (_, start, end) in _numbers(path, 3):  # objects may be there at once
        labels |= _from_intervals([(_whole(start, where), _whole(end, where) + 1)], frames, where)
    return labels


def _numbers(path: Path, columns: int) -> list[tuple[str, list[float]]]:
    """Lines of numbers with commas between, and where they stand; blank lines are left out; may be empty."""
    rows = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        where, cells = f"{path}, line {number}", line.split(",")
        if line.strip() and len(cells) != columns:
            raise LabelError(f"{where}: expected {columns} numbers a line, found {line!r}")
        rows += [(where, [_number(cell, where) for cell in cells])] if line.strip() else []
    return rows


def _object_maps(source: LabelSource, video: Video, frames: int) -> Iterator[BoolArray]:
    """A folder of maps ``..._0007_gt.png``: what is not 0 is abnormal; a frame without map is normal."""
    return (ids > 0 for ids in _maps(source, video, frames))


def _maps(source: LabelSource, video: Video, frames: int) -> Iterator[NDArray[Any]]:
    """Object ids (H, W) of every frame."""
    files = _maps_by_frame(source.of(video))
    if not files and source.normal_throughout(video):
        facts = probe(video)
        return (np.zeros((facts.height, facts.width), np.uint8) for _ in range(frames))
    if not files:
        raise LabelError(f"{source.of(video)}: expected object maps (*_gt.png), found none")
    if max(files) >= frames:
        raise LabelError(f"{source.of(video)}: expected maps up to frame {frames - 1}, found {max(files)}")
    blank = np.zeros_like(_object_ids(next(iter(files.values()))))
    return (_object_ids(files[frame]) if frame in files else blank for frame in range(frames))


def _object_ids(path: Path) -> NDArray[Any]:
    """A map (H, W): in a picture of colours, every colour but black is an object."""
    picture = _picture(path)
    return picture if picture.ndim == 2 else picture[..., :3].astype(np.int32) @ np.array([1, 256, 65536], np.int32)


def _maps_by_frame(folder: Path) -> dict[int, Path]:
    found = folder.glob("*_gt.png") if folder.is_dir() else iter(())
    maps: dict[int, Path] = {}
    for file in sorted((file for file in found if not is_junk(file)), key=lambda file: natural(file.name)):
        match = re.search(r"_(\d+)_gt$", file.stem)
        if match and (other := maps.setdefault(int(match[1]), file)) is not file:
            raise LabelError(f"{folder}: expected a map for each frame, found {other.name} and {file.name} of one")
    return maps


def _object_boxes(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    """The largest contour of each object in each frame, while a tracks file beside the maps lists it."""
    spans = _spans(source.of(video), video)
    boxes = []
    for frame, ids in enumerate(_maps(source, video, frames)):
        for name in (int(value) for value in np.unique(ids) if value):
            if spans is None or any(name == own and a <= frame <= b for own, a, b in spans):
                boxes.append((name, frame, *_largest_box(ids == name)))
    return boxes


def _spans(folder: Path, video: Video) -> list[list[float]] | None:
    """Rows of the tracks file; where there is one called new, it replaces the other."""
    for ending in ("new_tracks", "tracks"):
        path = folder / f"{video.name}_{ending}.txt"
        if path.exists() and path.read_bytes()[:6] != b"\x93NUMPY":
            return [row for _, row in _numbers(path, 3)]
    return None


def _largest_box(mask: BoolArray) -> tuple[int, int, int, int]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = max(map(cv2.boundingRect, contours), key=lambda box: box[2] * box[3])
    return int(x), int(y), int(x + width), int(y + height)


def _street_scene_boxes(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    """``.../007.jpg TRACK X Y W H`` a line: frame from 1, top-left and size."""
    path = source.of(video)
    boxes = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        where, match = f"{path}, line {number}", re.fullmatch(r"(?:.*\D)?(\d+)\.\w+((?:\s+\S+){5})\s*", line)
        if line.strip() and not match:
            raise LabelError(f"{where}: expected NAME.jpg TRACK X Y W H, found {line.strip()!r}")
        if match:
            frame, track, *sides = (_number(text, where) for text in (match[1], *match[2].split()))
            x, y, width, height = map(round, sides)
            boxes.append((_whole(track, where), int(frame) - 1, x, y, x + width, y + height))
    return _inside(boxes, frames, path)


def _street_scene(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A frame with a box is abnormal."""
    labels = np.zeros(frames, bool)
    labels[[box[1] for box in _street_scene_boxes(source, video, frames)]] = True
    return labels


def _track_rows(source: LabelSource, video: Video, frames: int) -> list[TrackedBox]:
    """``track,frame,xmin,ymin,xmax,ymax`` a line, frames from 0, last pixels inside; no file: no track."""
    path = source.of(video)
    if source.normal_throughout(video):
        return []
    boxes = []
    for where, (track, frame, *sides) in _numbers(path, 6):
        x, y, xx, yy = map(int, sides)
        boxes.append((_whole(track, where), _whole(frame, where), x, y, xx + 1, yy + 1))
    return _inside(boxes, frames, path)


def _inside(boxes: list[TrackedBox], frames: int, path: Path) -> list[TrackedBox]:
    """The same boxes, all of them in frames that exist and with an area."""
    for box in boxes:
        if not 0 <= box[1] < frames:
            raise LabelError(f"{path}: expected frames 0 to {frames - 1}, found a box in frame {box[1]}")
        if box[2] >= box[4] or box[3] >= box[5]:
            raise LabelError(f"{path}: expected boxes with an area, found {box[2:]} in frame {box[1]}")
    return boxes


def _postures(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``fall-01,97,0,...`` a line, frames from 1: a posture holds until the next row says another."""
    path = source.of(video)
    postures = np.full(frames, -1)
    about = [(where, row) for where, row in _plain_rows(path) if re.match(rf"{re.escape(row[0])}\b", video.name)]
    rows = [
        (_whole(_number(row[1], where), where), _whole(_number(row[2], where), where), where)
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
    rows = [row for row in _cells(path, list(enumerate(_text(path).splitlines(), 1))) if row[1]]
    if short := next((row for row in rows if len(row[1]) < 3), None):
        raise LabelError(f"{short[0]}: expected a video, a frame, a posture, found {','.join(short[1])!r}")
    return rows


_FIRST, _LAST = "starting frame of anomaly", "ending frame of anomaly"


def _one_interval_rows(path: Path, video: Video) -> list[Row]:
    return [row for row in table_rows(path, ["name", _FIRST, _LAST]) if _is_about(row["name"], video)]


def _one_interval(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``name,scenario,total frames,starting frame of anomaly,ending frame of anomaly``, from 1, inclusive.

    Videos that are not in the table are normal.
    """
    path, labels = source.of(video), np.zeros(frames, bool)
    for row in _one_interval_rows(path, video):
        first, last = (_whole(_number(row[name], row.where), row.where) for name in (_FIRST, _LAST))
        labels |= _from_intervals([(first - 1, last)], frames, row.where)
        if (total := row.cells.get("total frames", "")) not in ("", str(frames)):
            message = f"{row.where}: {video.name} has {frames} frames, its labels were made of {total[:20]}"
            warnings.warn(message, FootageWarning, stacklevel=3)
    return labels


def _two_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``Abuse028_x264.mp4  Abuse  165  240  -1  -1`` a line: -1 = absent, from 1, both ends inside."""
    path = source.of(video)
    lines = ((number, line.split()) for number, line in enumerate(_text(path).splitlines(), 1))
    rows = [(f"{path}, line {number}", row) for number, row in lines if row and _is_about(row[0], video)]
    if len(rows) != 1 or len(rows[0][1]) != 6:
        found = "none" if not rows else f"{len(rows)} lines" if len(rows) > 1 else rows[0][1]
        raise LabelError(f"{path}: expected a line of {video.name} with six fields, found {found}")
    where, row = rows[0]
    numbers = [_whole(_number(text, where), where) for text in row[2:]]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return _from_intervals([(first - 1, last) for first, last in pairs if (first, last) != (-1, -1)], frames, where)


FORMATS: dict[str, FrameFormat] = {
    "intervals": _intervals,
    "mat-intervals": _mat_intervals,
    "msad": _one_interval,
    "npy": _npy,
    "npz": _npz,
    "street-scene": _street_scene,
    "ubnormal": _object_intervals,
    "ucf-crime": _two_intervals,
    "ucsd-m": _ucsd_m,
    "ur-fall": _postures,
}
"""Frame labels by format. A format of masks labels frames as well: abnormal where any pixel is."""

MASK_FORMATS: dict[str, MaskFormat] = {
    "bmp": _mask_images,
    "mat-masks": _mat_masks,
    "npy-masks": _npy_masks,
    "object-maps": _object_maps,
    "png": _mask_images,
}
"""Pixel masks by format."""

TRACK_FORMATS: dict[str, TrackFormat] = {
    "object-maps": _object_boxes,
    "street-scene": _street_scene_boxes,
    "tracks": _track_rows,
}
"""Boxes over time by format."""
