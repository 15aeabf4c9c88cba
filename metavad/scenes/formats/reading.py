"""What the formats share: text, tables, numbers, arrays and pictures, each read, or refused in one line."""

import csv
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any
from zipfile import is_zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from metavad.errors import LabelError
from metavad.scenes.array_files import ArrayError, mapped_array
from metavad.scenes.encoding import text_of
from metavad.scenes.listing import VIDEO_SUFFIXES
from metavad.scenes.scene import LabelSource, Video
from metavad.types import BoolArray

__all__ = [
    "Row",
    "array_at",
    "cell_rows",
    "checked_labels",
    "clip_number",
    "existing",
    "is_about",
    "is_of_one_video",
    "labels_of_intervals",
    "matlab_at",
    "number_of",
    "number_rows",
    "picture_at",
    "table_rows",
    "text_at",
    "whole_number",
]


def existing(path: Path) -> Path:
    if not path.exists():
        raise LabelError(f"{path}: expected labels, found nothing; complete the folder or mend the suite")
    return path


def text_at(path: Path) -> str:
    try:
        return text_of(existing(path))
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: expected a text file, found something else; fetch or save it again") from error


def array_at(path: Path) -> NDArray[Any]:
    """An array file, as a memory map; pickled objects are refused, since reading one runs what it says."""
    try:
        return mapped_array(existing(path))
    except ArrayError as error:
        archive = " (an archive of arrays)" if is_zipfile(path) else ""
        raise LabelError(f"{path}: expected an array of numbers (.npy), found {error}{archive}") from error


def number_of(text: str, where: object) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise LabelError(f"{where}: expected a number, found {text!r}; mend that line")
    return number


def whole_number(number: float, where: object) -> int:
    if number % 1:
        raise LabelError(f"{where}: expected whole frames, found {number:g}; are these seconds?")
    return int(number)


def number_rows(path: Path, columns: int) -> list[tuple[str, list[float]]]:
    """Lines of numbers with commas between, and where they stand; blank lines are left out; may be empty."""
    rows = []
    for number, line in enumerate(text_at(path).splitlines(), 1):
        where, cells = f"{path}, line {number}", line.split(",")
        if line.strip() and len(cells) != columns:
            raise LabelError(f"{where}: expected {columns} numbers a line, found {line!r}")
        rows += [(where, [number_of(cell, where) for cell in cells])] if line.strip() else []
    return rows


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
    lines = enumerate(text_at(path).splitlines(), 1)
    kept = [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]
    rows = cell_rows(path, kept)
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


def cell_rows(path: Path, lines: Sequence[tuple[int, str]]) -> list[tuple[str, list[str]]]:
    """Cells of numbered lines of commas, and where they stand."""
    reader = csv.reader(line for _, line in lines)
    try:
        return [(f"{path}, line {lines[reader.line_num - 1][0]}", [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise LabelError(f"{path}: expected a table of commas, found something else ({error})") from error


def picture_at(path: Path) -> NDArray[Any]:
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


def matlab_at(path: Path) -> dict[str, Any]:
    import scipy.io

    status = existing(path).stat()
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


def labels_of_intervals(intervals: Sequence[tuple[int, int]], frames: int, where: object) -> BoolArray:
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


def is_about(name: str, video: Video) -> bool:
    """Whether a dataset's file means a video that may have been converted since: any suffix, any folder."""
    last = PurePath(name.replace("\\", "/")).name
    bare = PurePath(last).stem if PurePath(last).suffix.lower() in VIDEO_SUFFIXES else last
    return video.name in (name, last, bare)


def is_of_one_video(source: LabelSource) -> bool:
    """Whether every video has a file of labels of its own."""
    return "{video}" in source.path or "{number}" in source.path


def clip_number(video: Video) -> int:
    """The last number in the name of a video, 0 where it has none: which clip of a joint file it is."""
    return int((re.findall(r"\d+", video.name) or ["0"])[-1])
