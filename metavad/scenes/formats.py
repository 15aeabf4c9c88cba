"""Labels as the datasets write them: a format is a function and one entry in a table at the end.

Each function gets the source, the video and its number of frames, and gives labels with 1 = abnormal,
frames counted from 0, intervals and boxes half-open, whatever the files say.
"""

import csv
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import is_zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from metavad.errors import LabelError
from metavad.scenes.arrays import ArrayError, archived_arrays, mapped_array
from metavad.scenes.listing import frame_files, is_junk, natural
from metavad.scenes.scene import LabelSource, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = [
    "FORMATS",
    "MASK_FORMATS",
    "TRACK_FORMATS",
    "Box",
    "FrameFormat",
    "MaskFormat",
    "TrackFormat",
    "checked_labels",
    "clip_number",
    "table_rows",
]

Box: TypeAlias = tuple[int, int, int, int, int, int]
"""Track, frame, x0, y0, x1, y1: pixels of the cropped picture, half-open."""
FrameFormat: TypeAlias = Callable[[LabelSource, Video, int], BoolArray]
"""Labels (T,) of a video with so many frames."""
MaskFormat: TypeAlias = Callable[[LabelSource, Video, int], "Iterator[BoolArray] | None"]
"""Masks (H, W), one per frame, or nothing where the dataset has none for this video."""
TrackFormat: TypeAlias = Callable[[LabelSource, Video, int], list[Box]]
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
        return _existing(path).read_text(encoding="utf-8-sig")
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


def _from_intervals(intervals: list[tuple[int, int]], frames: int, path: Path) -> BoolArray:
    """Labels (T,) of half-open intervals; one that leaves the video is an error."""
    labels = np.zeros(frames, bool)
    for start, stop in intervals:
        if not 0 <= start <= stop <= frames:
            raise LabelError(
                f"{path}: expected intervals inside 0 to {frames}, the length of the video, found {start} to {stop}"
            )
        labels[start:stop] = True
    return labels


def table_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table with a header, without blank lines and comments; keys in lower case.

    Cells beyond the header (a remark, a comma at the end) are left out. Raises :class:`LabelError` for what is no text.
    """
    lines = [line for line in _text(path).splitlines() if line.strip() and not line.startswith("#")]
    try:
        rows = list(csv.DictReader(lines, restkey=""))
    except csv.Error as error:
        raise LabelError(f"{path}: expected a table of commas, found something else ({error})") from error
    return [{key.strip().lower(): (value or "").strip() for key, value in row.items() if key} for row in rows]


def _intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A table ``video,start,end`` for one or many videos; the column ``video`` may be left out."""
    path = source.of(video)
    rows = table_rows(path)
    if rows and not {"start", "end"} <= set(rows[0]):
        raise LabelError(f"{path}: expected columns video,start,end, found {','.join(rows[0])}")
    own = [row for row in rows if row.get("video", video.name) in (video.name, video.path.name)]
    if source.unit == "seconds":
        return _in_seconds(own, path, video, frames)
    shift, end = source.first, 1 if source.inclusive else 0
    pairs = [
        (round(_number(row["start"], path)) - shift, round(_number(row["end"], path)) - shift + end) for row in own
    ]
    return _from_intervals(pairs, frames, path)


def _number(text: str, path: Path) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise LabelError(f"{path}: expected a number, found {text!r}; mend that line")
    return number


def _in_seconds(rows: list[dict[str, str]], path: Path, video: Video, frames: int) -> BoolArray:
    """A frame is abnormal when its time lies in [start, end)."""
    seconds = probe(video).seconds
    if len(seconds) != frames:
        raise LabelError(f"{path}: expected {frames} frames in {video.path}, found {len(seconds)}")
    labels = np.zeros(frames, bool)
    for row in rows:
        start, end = _number(row["start"], path), _number(row["end"], path)
        if not 0 <= start <= end:
            raise LabelError(f"{path}: expected 0 <= start <= end in seconds, found {start:g} to {end:g}")
        labels |= (seconds >= start) & (seconds < end)
    return labels


def _ucsd_m(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``TestVideoFile{end+1}.gt_frame = [60:152];``: one line a clip, counted from 1, both ends inside."""
    path = source.of(video)
    lines = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", _existing(path).read_text(encoding="latin-1"))
    number = clip_number(video)
    if not 1 <= number <= len(lines):
        raise LabelError(f"{path}: expected a line for clip {number} ({video.name}), found {len(lines)}")
    pairs = re.findall(r"(\d+)(?:\s*:\s*(\d+))?", lines[number - 1])
    return _from_intervals([(int(start) - 1, int(end or start)) for start, end in pairs], frames, path)


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
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if picture is None:
        raise LabelError(f"{path}: expected a mask image, found something unreadable; fetch it again")
    return np.asarray(picture)


def clip_number(video: Video) -> int:
    """The last number in the name of a video, 0 where it has none: which clip of a joint file it is."""
    return int((re.findall(r"\d+", video.name) or ["0"])[-1])


def _matlab(path: Path) -> dict[str, Any]:
    import scipy.io

    _existing(path)
    try:
        content: dict[str, Any] = scipy.io.loadmat(path, appendmat=False)
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise LabelError(f"{path}: expected a MATLAB file (v5 to v7.2), found something else") from error
    return content


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
    pairs = _cell(content, "gt", clip_number(video), path).astype(np.int64)  # uint8 would wrap
    if pairs.size and (pairs.ndim != 2 or pairs.shape[0] != 2):
        raise LabelError(f"{path}: expected starts over ends, found an array of shape {pairs.shape}")
    starts_ends = pairs.reshape(2, -1).T
    return _from_intervals([(int(start) - 1, int(end)) for start, end in starts_ends], frames, path)


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
        own = [name for name in arrays if Path(name).stem == video.name] or (list(arrays) if len(arrays) == 1 else [])
        labels = np.ravel(arrays[own[0]].values(_HEADER + frames * _WIDEST)) if own else None
    except ArrayError as error:
        raise LabelError(f"{path}: expected an archive of number arrays (.npz), found {error}") from error
    if labels is None:
        raise LabelError(f"{path}: expected labels of {video.name!r}, found those of {len(arrays)} others")
    return checked_labels(labels, path, frames)


_HEADER, _WIDEST = 1 << 16, 16
"""Bytes of the header of an array, and of one label, at most."""


def _object_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``object,start,end`` a line, from 0, both ends inside, perhaps as floats; no file: normal.

    Files of this name circulate that are arrays with 1 = normal: told by their first bytes, and inverted.
    """
    path = source.of(video)
    if source.normal_throughout(video):
        return np.zeros(frames, bool)
    if _existing(path).read_bytes()[:6] == b"\x93NUMPY":
        return ~checked_labels(_array(path), path, frames)
    rows = _numbers(path, ",", 3)
    return _from_intervals([(int(start), int(end) + 1) for _, start, end in rows], frames, path)


def _numbers(path: Path, separator: str, columns: int) -> list[list[float]]:
    """Rows of numbers; blank lines are left out; may be empty."""
    lines = _text(path).splitlines()
    rows = [line.split(separator) for line in lines if line.strip()]
    if bad := next((row for row in rows if len(row) != columns), None):
        raise LabelError(f"{path}: expected {columns} numbers a line, found {separator.join(bad)!r}")
    return [[_number(text, path) for text in row] for row in rows]


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
    files = sorted((file for file in found if not is_junk(file)), key=lambda file: natural(file.name))
    return {int(match[1]): file for file in files if (match := re.search(r"_(\d+)_gt$", file.stem))}


def _object_boxes(source: LabelSource, video: Video, frames: int) -> list[Box]:
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
            return _numbers(path, ",", 3)
    return None


def _largest_box(mask: BoolArray) -> tuple[int, int, int, int]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    x, y, width, height = max(map(cv2.boundingRect, contours), key=lambda box: box[2] * box[3])
    return int(x), int(y), int(x + width), int(y + height)


def _street_scene_boxes(source: LabelSource, video: Video, frames: int) -> list[Box]:
    """``.../007.jpg TRACK X Y W H`` a line: frame from 1, top-left and size."""
    path = source.of(video)
    boxes = []
    for line in _text(path).splitlines():
        match = re.match(r"\s*.*?(\d+)\.\w+\s+(-?\d+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", line)
        if line.strip() and not match:
            raise LabelError(f"{path}: expected NAME.jpg TRACK X Y W H, found {line.strip()!r}")
        if match:
            x, y, width, height = (round(_number(text, path)) for text in match.groups()[2:])
            boxes.append((int(match[2]), int(match[1]) - 1, x, y, x + width, y + height))
    return _inside(boxes, frames, path)


def _street_scene(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A frame with a box is abnormal."""
    labels = np.zeros(frames, bool)
    labels[[box[1] for box in _street_scene_boxes(source, video, frames)]] = True
    return labels


def _track_rows(source: LabelSource, video: Video, frames: int) -> list[Box]:
    """``track,frame,xmin,ymin,xmax,ymax`` a line, frames from 0, last pixels inside; no file: no track."""
    path = source.of(video)
    if source.normal_throughout(video):
        return []
    rows = [[int(value) for value in row] for row in _numbers(path, ",", 6)]
    return _inside([(track, frame, x, y, xx + 1, yy + 1) for track, frame, x, y, xx, yy in rows], frames, path)


def _inside(boxes: list[Box], frames: int, path: Path) -> list[Box]:
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
    rows = [row for row in _plain_rows(path) if row[0] and re.match(rf"{re.escape(row[0])}\b", video.name)]
    if not rows:
        raise LabelError(f"{path}: expected rows of {video.name}, found none")
    for frame, posture in sorted((int(_number(row[1], path)), int(_number(row[2], path))) for row in rows):
        if not 1 <= frame <= frames:
            raise LabelError(f"{path}: expected frames 1 to {frames} of {video.name}, found {frame}")
        if posture not in _POSTURES:
            raise LabelError(f"{path}: expected postures -1, 0 or 1 of {video.name}, found {posture} at frame {frame}")
        postures[frame - 1 :] = posture
    return np.isin(postures, source.abnormal)


_POSTURES = (-1, 0, 1)
"""On one's feet, falling, lying."""


def _plain_rows(path: Path) -> list[list[str]]:
    """Rows without header that have three columns or more."""
    text = _text(path)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except csv.Error as error:
        raise LabelError(f"{path}: expected a table of commas, found something else ({error})") from error
    return [row for row in rows if len(row) >= 3]


def _one_interval(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``name,scenario,total frames,starting frame of anomaly,ending frame of anomaly``, from 1, inclusive.

    Videos that are not in the table are normal.
    """
    path = source.of(video)
    first, last = "starting frame of anomaly", "ending frame of anomaly"
    rows = table_rows(path)
    if rows and not {"name", first, last} <= set(rows[0]):
        raise LabelError(f"{path}: expected columns name, {first}, {last}, found {','.join(rows[0])}")
    own = [row for row in rows if Path(row["name"]).stem == video.name]
    pairs = [(int(_number(row[first], path)) - 1, int(_number(row[last], path))) for row in own]
    return _from_intervals(pairs, frames, path)


def _two_intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """``Abuse028_x264.mp4  Abuse  165  240  -1  -1`` a line: -1 = absent, from 1, both ends inside."""
    path = source.of(video)
    lines = (line.split() for line in _text(path).splitlines())
    row = next((line for line in lines if line and Path(line[0]).stem == video.name), None)
    if row is None or len(row) != 6:
        raise LabelError(f"{path}: expected a line of {video.name} with six fields, found {row or 'none'}")
    numbers = [int(_number(text, path)) for text in row[2:]]
    pairs = [(start - 1, end) for start, end in zip(numbers[::2], numbers[1::2], strict=True) if start >= 0]
    return _from_intervals(pairs, frames, path)


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
