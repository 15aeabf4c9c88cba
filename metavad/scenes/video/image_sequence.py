"""Folders of frames: which pictures are frames in which order, what is odd about them, and their pixels."""

import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from metavad.errors import FootageWarning, VideoError
from metavad.scenes.listing import frame_files, hexadecimal, in_seconds, natural
from metavad.scenes.video.bit_depth import BEFOREHAND, DARK, FIRST, GreyRange, from_light, grey_range_of
from metavad.types import ByteArray

__all__ = ["ImageSequence", "image_sequence_of", "read_images"]

_SETTLED = 2 * 10**9  # nanoseconds after which a folder that changes again shows it in its time
_CLOCK = re.compile(r"((19|20)\d\d(0[1-9]|1[0-2])[0-3]\d)?[0-2]\d[0-5]\d[0-5]\d")


@dataclass(frozen=True)
class ImageSequence:
    """The frames of a folder in order, their size, and the range of values that they have where not of 8 bits."""

    files: tuple[Path, ...]
    height: int
    width: int
    grey_range: GreyRange | None


def image_sequence_of(folder: Path, rate: float) -> ImageSequence:
    """The frames of ``folder``, shown ``rate`` a second; warns of what is odd about their names or values.

    Raises :class:`VideoError` where there is none, where two are one frame, or where one holds many pictures.
    """
    files, notes = _listed(folder)
    first = files[: 1 + int(min(BEFOREHAND * rate, FIRST))]
    height, width, grey_range, note = _first(files[: len(first) + DARK], len(first), _stamps(first))
    for text in filter(None, (*notes, note)):
        warnings.warn(f"{folder}: {text}", FootageWarning, stacklevel=2)
    return ImageSequence(files, height, width, grey_range)


def read_images(sequence: ImageSequence, wanted: Sequence[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    """Wanted frames with their numbers, ``form`` gray (H, W) or bgr24 (H, W, 3)."""
    warned = False
    for index in wanted:
        path = sequence.files[index]
        picture = _picture(path, form)
        if picture.shape[:2] != (sequence.height, sequence.width):
            found = f"{picture.shape[1]}x{picture.shape[0]}"
            raise VideoError(
                f"{path}: expected {sequence.width}x{sequence.height} pixels as in frame 0, found {found}; "
                "make a folder of each size"
            )
        if picture.dtype == np.uint8:
            yield index, np.asarray(picture, np.uint8)
            continue
        grey_range = sequence.grey_range or GreyRange(0.0, 2.0**16)
        if not warned and (text := grey_range.loss_note(picture, path.name)):
            warnings.warn(f"{path.parent}: {text}", FootageWarning, stacklevel=2)
            warned = True
        yield index, grey_range.grey(picture)


# --- which pictures, in which order --------------------------------------------------------------------------


_Listed = tuple[tuple[Path, ...], tuple[str, ...]]


def _listed(folder: Path) -> _Listed:
    """The frames, and what is odd about their names; kept while the folder stays as it is."""
    changed = folder.stat().st_mtime_ns
    return _kept(folder, changed) if time.time_ns() - changed > _SETTLED else _looked_through(folder)


@lru_cache(maxsize=64)
def _kept(folder: Path, changed: int) -> _Listed:
    """What was found; ``changed`` is there so that a folder that changed is looked through again."""
    return _looked_through(folder)


def _looked_through(folder: Path) -> _Listed:
    files = tuple(frame_files(folder))
    if not files:
        raise VideoError(f"{folder}: expected frames (.jpg, .png, .tif, ...) in this folder, found none")
    stems = [file.stem for file in files]
    known: dict[object, Path] = {}
    for file in files:
        if (other := known.setdefault(natural(file.stem), file)) is not file:
            raise VideoError(
                f"{folder}: expected one picture of each number, found {other.name} and {file.name}; "
                "move one kind to a folder of its own"
            )
    notes = (_about_letters(stems), _about_kinds(stems), _about_gaps(stems))
    return files, tuple(filter(None, notes))


def _about_letters(stems: Sequence[str]) -> str:
    if not hexadecimal(stems):
        return ""
    return f"names count in hexadecimal ({stems[0]} to {stems[-1]}), and the frames are ordered by that"


def _about_kinds(stems: Sequence[str]) -> str:
    """Masks or thumbnails among the frames have other words in their names."""
    kinds = Counter(re.sub(r"\d+", "#", stem.lower()) for stem in stems)
    if len(kinds) == 1 or hexadecimal(stems):
        return ""
    some = ", ".join(f"{kind} {count} times" for kind, count in kinds.most_common(3))
    return f"names of {len(kinds)} kinds ({some}); all {len(stems)} pictures are taken as frames, in order of name"


def _about_gaps(stems: Sequence[str]) -> str:
    """Numbers that are left out, where the names count: frames that follow move up."""
    numbers = _counted(stems)
    steps = Counter(later - earlier for earlier, later in pairwise(numbers))
    if len(numbers) < 3 or min(steps) < 1:
        return ""
    step = min(steps, key=lambda each: (-steps[each], each))
    gaps = [(one + step, other - step) for one, other in pairwise(numbers) if other - one >= 2 * step]
    if not gaps:
        return ""
    missing = sum((last - first) // step + 1 for first, last in gaps)
    spelt = [str(first) if first == last else f"{first} to {last}" for first, last in gaps[:3]]
    listed = ", ".join(spelt) + (", ..." if len(gaps) > 3 else "")
    many = "1 number is" if missing == 1 else f"{missing} numbers are"
    return f"{many} missing ({listed}); later frames move up, and labels by number no longer fit"


def _counted(stems: Sequence[str]) -> list[int]:
    """The numbers that names count by: the digits in them that change, the first where all of these rise; or none."""
    if numbers := hexadecimal(stems):
        return numbers
    if in_seconds(stems):
        return []
    runs = [tuple(re.findall(r"\d+", stem)) for stem in stems]
    if len({len(run) for run in runs}) != 1:
        return []
    changing = [column for column in zip(*runs, strict=True) if len(set(map(int, column))) > 1]
    rising = all(int(one) < int(later) for column in changing for one, later in pairwise(column))
    if len(changing) != 1 and not (changing and rising):
        return []
    return _seconds_of_day(changing[0]) or [int(text) for text in changing[0]]


def _seconds_of_day(texts: Sequence[str]) -> list[int]:
    """Times written without marks (103059, 20240517103059) in seconds; of other numbers nothing."""
    if not all(_CLOCK.fullmatch(text) for text in texts):
        return []
    parts = [(int(text[:-6] or 0), int(text[-6:-4]), int(text[-4:-2]), int(text[-2:])) for text in texts]
    return [day * 86400 + hour * 3600 + minute * 60 + second for day, hour, minute, second in parts]


# --- pixels --------------------------------------------------------------------------------------------------


def _stamps(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    return tuple((status.st_size, status.st_mtime_ns) for status in map(os.stat, files))


@lru_cache(maxsize=64)
def _first(
    files: tuple[Path, ...], count: int, stamps: tuple[tuple[int, int], ...]
) -> tuple[int, int, GreyRange | None, str]:
    """Size and range of the first ``count`` pictures; ``stamps`` are there so that changed ones are read again."""
    picture = _picture(files[0], "gray")
    height, width = picture.shape
    if picture.dtype == np.uint8:
        return height, width, None, ""
    shown = list(islice(from_light((_picture(file, "gray") for file in files), lambda each: each), count))
    grey_range = grey_range_of(each for each in shown if each.dtype != np.uint8)
    return height, width, grey_range, grey_range.note(8 * picture.dtype.itemsize, len(shown))


def _picture(path: Path, form: str) -> NDArray[np.generic]:
    """A picture with as many bits as it has; raises :class:`VideoError` where a file is no picture, or several."""
    flags = cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_GRAYSCALE if form == "gray" else cv2.IMREAD_ANYCOLOR)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        picture = cv2.imdecode(data, flags) if len(data) else None
    except cv2.error as error:
        raise VideoError(
            f"{path}: expected a picture that OpenCV takes (2^30 pixels at most, 2^20 a side), found one that it "
            f"refuses ({error.err}); make it smaller, or fetch this file again"
        ) from None
    if picture is None:
        raise VideoError(f"{path}: expected an image, found something unreadable; fetch this file again")
    name: Any = os.fsencode(path)  # a name that is no text would end the process
    if (pages := cv2.imcount(name)) > 1:
        raise VideoError(
            f"{path}: expected one picture in a file, found {pages}; write each to a file of its own, "
            "such as 0001.png, 0002.png"
        )
    return picture if form == "gray" or picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
