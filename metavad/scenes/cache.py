"""Arrays on disk, made once: decoded frames and whatever is derived from them.

An array is kept as a memory map under the digest of what made it, so that the second epoch decodes
nothing. Nothing half-written is ever visible, several processes may share one folder, and what was not
used for longest goes first when the limit is reached.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.lib import format as npy
from numpy.typing import NDArray

from metavad.errors import ConfigError, OutputError
from metavad.files import atomic_path
from metavad.scenes.array_files import ArrayError, mapped_array
from metavad.scenes.listing import frame_files
from metavad.scenes.scene import Crop, Scene, Video
from metavad.scenes.video import VideoFacts, probe, read_frames, tell, tick_frames, working_size
from metavad.scenes.video.black_or_frozen import watched
from metavad.scenes.video.container import file_status
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = [
    "Store",
    "cache_folder",
    "content_digest",
    "content_key",
    "data_digest",
    "ticks_key",
    "video_facts",
    "working_frames",
]

DEFAULT_LIMIT = 40 * 10**9
"""Bytes; ``METAVAD_CACHE_GB`` says otherwise."""

_ABANDONED = 24 * 3600  # seconds after which a file written beside belongs to a writer that died
_EDGE = 1 << 20  # bytes hashed at each end of a file
_SAMPLE, _SAMPLES = 1 << 14, 128  # bytes of each sample between, and how many there are
_FOLDER = 1 << 23  # bytes hashed of a folder of frames
_PIECE = 1 << 12  # bytes of a frame at the least
_GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it are spread evenly however many there are


def cache_folder() -> Path:
    """``METAVAD_CACHE``, else the folder for caches of this user."""
    return Path(os.environ.get("METAVAD_CACHE") or platformdirs.user_cache_path("metavad"))


class Store:
    """A folder of arrays by key, of at most ``limit_bytes``.

    ``root`` defaults to :func:`cache_folder`, the limit to ``METAVAD_CACHE_GB`` or 40 GB.
    """

    def __init__(self, root: Path | None = None, limit_bytes: int | None = None) -> None:
        self.root = (Path(root) if root is not None else cache_folder()).absolute()
        self.limit_bytes = _default_limit() if limit_bytes is None else limit_bytes
        self._room = 0  # bytes to write before the folder is looked through again

    def array(
        self,
        key: Mapping[str, object],
        build: Callable[[], Iterable[NDArray[Any]] | NDArray[Any]],
    ) -> NDArray[Any]:
        """The array of ``key``, read-only; ``build`` makes it when it is not there, or damaged.

        What ``build`` yields are rows of one shape, written as they come: memory holds one. Keys are
        plain values (text, numbers, lists, tables); equal keys mean equal arrays.
        """
        path = self._path(key)
        kept = _kept(path)
        if kept is not None:
            return kept
        self._write(path, build())
        self._make_room(path)
        written = _kept(path)
        if written is None:
            raise OutputError(f"{path}: expected to read back what was written, could not; check the disk")
        return written

    def size(self) -> int:
        """Bytes that the arrays take on disk."""
        return sum(size for _, size, _ in self._entries())

    def _path(self, key: Mapping[str, object]) -> Path:
        text = json.dumps(key, sort_keys=True, separators=(",", ":"), default=_plain)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self.root / "arrays" / digest[:2] / f"{digest}.npy"

    def _write(self, path: Path, rows: Iterable[NDArray[Any]] | NDArray[Any]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.root}: expected a folder to cache in, found {str(error.strerror).lower()}; set METAVAD_CACHE"
            ) from error
        with atomic_path(path) as beside, beside.open("wb") as file:
            if isinstance(rows, np.ndarray):
                _write_header(file, rows.dtype, rows.shape)
                file.write(np.asarray(rows, order="C").data)
            else:
                _write_rows(file, iter(rows))

    def _entries(self) -> list[tuple[Path, int, float]]:
        """Path, bytes and last use of every array."""
        entries = []
        for path in self.root.glob("arrays/??/*.npy"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process evicted it
                continue
            entries.append((path, status.st_size, status.st_mtime))
        return entries

    def _make_room(self, newest: Path) -> None:
        """Look through the folder now and then: each time a tenth of the limit was written, or what is left."""
        self._room -= newest.stat().st_size if newest.exists() else 0
        if self._room < 0:
            size = self._evict(newest)
            self._room = min(self.limit_bytes - size, self.limit_bytes // 10)

    def _evict(self, newest: Path) -> int:
        """Over the limit, remove what was not used for longest down to nine tenths, never ``newest``.

        What dead writers left goes in any case. Bytes that stay are returned.
        """
        entries = sorted(self._entries(), key=lambda entry: entry[2])
        size = sum(entry[1] for entry in entries)
        goal = self.limit_bytes * 9 // 10 if size > self.limit_bytes else size
        for path, bytes_, used in entries:
            abandoned = path.name.startswith(".")
            if abandoned and time.time() - used < _ABANDONED:
                continue
            if (abandoned or size > goal) and path != newest and _removed(path):
                size -= bytes_
        return size


def content_key(video: Video, *, dated: bool = True) -> dict[str, object]:
    """What identifies the content of ``video``, wherever it lies and whatever it is called.

    Of a file: its size, a digest of its first and last megabyte, and of what lies between, all of it or samples, and
    the frame rate where one is given. Of a folder: names and sizes of the frames, a digest of all of each or of a
    sample, and the frame rate. Where samples had to do, the time of the last change as well, unless ``dated`` is
    false: a record is of any copy of its footage.
    """
    if not video.path.is_dir():
        status = file_status(video.path)
        key: dict[str, object] = {"bytes": status.st_size} | ({} if video.fps is None else {"fps": video.fps})
        digest, whole = _file_digest(video.path, status.st_size, status.st_mtime_ns)
        changed = str(status.st_mtime_ns)
    else:
        statuses = [(file.name, file.stat()) for file in frame_files(video.path)]
        key = {"frames": len(statuses), "fps": video.fps}
        listing = tuple((name, status.st_size) for name, status in statuses)
        changed = hashlib.sha256(repr([status.st_mtime_ns for _, status in statuses]).encode()).hexdigest()
        digest, whole = _folder_digest(video.path, hashlib.sha256(repr(listing).encode()).hexdigest(), changed)
    return key | {"sha256": digest} | ({"changed": changed} if dated and not whole else {})


def content_digest(video: Video) -> str:
    """sha256 over what identifies the content of a video, the same for any copy of it; 12 digits."""
    return hashlib.sha256(json.dumps(content_key(video, dated=False), sort_keys=True).encode()).hexdigest()[:12]


def data_digest(scene: Scene) -> str:
    """sha256 over the content of all videos and what is cut off and shown of them, 12 digits."""
    summed = hashlib.sha256()
    summed.update(repr((scene.crop, scene.normal_frames)).encode())
    for video in (*scene.normal, *scene.test):
        summed.update(json.dumps([video.name, content_key(video, dated=False)], sort_keys=True).encode())
    return summed.hexdigest()[:12]


def video_facts(store: Store, video: Video, crop: Crop = Crop()) -> VideoFacts:
    """What :func:`probe` says, and warns of, looked up where the video was looked through before."""
    key = {"version": 3, "content": content_key(video)}
    row = store.array({**key, "kind": "facts"}, lambda: _facts_row(probe(video)))
    kept = store.array({**key, "kind": "warnings"}, lambda: _text_row("\n".join(probe(video).warnings)))
    height, width = int(row[0]), int(row[1])
    lines = kept.tobytes().decode().split("\n") if len(kept) else []
    facts = VideoFacts(len(row) - 3, height, width, np.array(row[3:]), float(row[2]), tuple(lines))
    tell(video, facts)
    size = height - crop.top - crop.bottom, width - crop.left - crop.right
    return probe(video, crop) if min(size) < 1 else replace(facts, height=size[0], width=size[1])


def working_frames(
    store: Store, video: Video, *, short_side: int | None, rate: float, crop: Crop = Crop()
) -> tuple[ByteArray, IntArray, FloatArray]:
    """The ticks of ``video``: grey pictures (N, H, W) as a memory map, frame indices (N,), seconds (N,)."""
    facts = video_facts(store, video, crop)
    ticks = tick_frames(facts.seconds, rate)
    key = {
        "kind": "working",
        "version": 1,
        "content": content_key(video),
        "ticks": ticks_key(ticks),
        "short_side": min(working_size(facts.height, facts.width, short_side)) if short_side else None,
        "rate": rate,
        "crop": [crop.top, crop.bottom, crop.left, crop.right],
    }

    def build() -> Iterator[ByteArray]:
        frames = watched(video, read_frames(video, short_side=short_side, crop=crop, every=ticks))
        return (frame.image for frame in frames)

    return store.array(key, build), ticks, facts.seconds[ticks]


def ticks_key(*rows: FloatArray | IntArray) -> str:
    """A digest of which frames are ticks and of what else about them counts, where that is not in the file alone."""
    return hashlib.sha256(b"".join(np.asarray(row, np.float64).tobytes() for row in rows)).hexdigest()[:16]


def _facts_row(facts: VideoFacts) -> FloatArray:
    return np.concatenate([[facts.height, facts.width, facts.rate], facts.seconds]).astype(np.float64)


def _text_row(text: str) -> ByteArray:
    return np.frombuffer(text.encode(), np.uint8)


def _default_limit() -> int:
    text = os.environ.get("METAVAD_CACHE_GB")
    try:
        limit = DEFAULT_LIMIT if not text else int(float(text) * 10**9)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise ConfigError(f"METAVAD_CACHE_GB: expected a number of gigabytes, found {text!r}")
    return limit


def _plain(value: object) -> object:
    """JSON of what json does not know: paths as text, numpy numbers and arrays as their values."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"expected a key of plain values, found {type(value).__name__}")


def _kept(path: Path) -> NDArray[Any] | None:
    """The array at ``path``, marked as used just now; a damaged file goes and counts as absent."""
    try:
        array = mapped_array(path, whole=True)
    except FileNotFoundError:
        return None
    except ArrayError:
        _removed(path)
        return None
    with suppress(OSError):  # somebody else's, or read-only
        os.utime(path)
    return array


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:  # gone already, or in use where the system does not allow it
        return False
    return True


def _write_rows(file: BufferedWriter, rows: Iterator[NDArray[Any]]) -> None:
    """Rows one after another; the header, in which numpy leaves room for their number, is written again at the end."""
    dtype, shape, count = np.dtype(np.uint8), (0,), 0
    for row in rows:
        if count == 0:
            dtype, shape = row.dtype, row.shape
            _write_header(file, dtype, (0, *shape))
        if (row.dtype, row.shape) != (dtype, shape):
            raise ValueError(f"expected rows {dtype}{shape}, found {row.dtype}{row.shape}")
        file.write(np.asarray(row, order="C").data)
        count += 1
    file.seek(0)
    _write_header(file, dtype, (count, *shape))


def _write_header(file: BufferedWriter, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})


@lru_cache(maxsize=8192)
def _file_digest(path: Path, size: int, changed: int) -> tuple[str, bool]:
    """The digest of a file's ends and samples between, and whether that is all of it."""
    digest = hashlib.sha256()
    between = size - 2 * _EDGE
    with path.open("rb") as file:
        digest.update(file.read(_EDGE))
        if between > 0:
            for start in _starts(between, _SAMPLES * _SAMPLE, _SAMPLE):
                file.seek(_EDGE + start)
                digest.update(file.read(min(_SAMPLE, between - start)))
        file.seek(max(size - _EDGE, 0))
        digest.update(file.read(_EDGE))
    return digest.hexdigest(), between <= _SAMPLES * _SAMPLE


def _starts(size: int, budget: int, sample: int) -> list[int]:
    """Where samples begin in so many bytes: side by side where they cover all, else evenly spread."""
    if size <= budget:
        return list(range(0, size, sample))
    count = budget // sample
    return [number * (size - sample) // (count - 1) for number in range(count)]


@lru_cache(maxsize=8192)
def _folder_digest(folder: Path, listing: str, changed: str) -> tuple[str, bool]:
    """The digest of names, sizes and frames, and whether it is of all bytes; ``changed`` has a changed one read again.

    Of a large folder a piece of every frame is read, in each at another place: what is in several frames shows.
    """
    digest, whole = hashlib.sha256(listing.encode()), True
    files = frame_files(folder)
    share = max(_PIECE, _FOLDER // max(1, len(files)))
    for number, file in enumerate(files):
        with file.open("rb") as content:
            room = max(0, file.stat().st_size - share)
            whole &= room == 0
            content.seek(int(room * (number * _GOLDEN % 1)))
            digest.update(content.read(share))
    return digest.hexdigest(), whole
