"""Unpacking of archives that are hostile until proven otherwise.

Only regular files and folders come out, under names that stay inside; how many, how large, and how much
larger than the archive is limited by what really comes out, not by what headers say. Everything goes to a
temporary folder first: what is refused leaves nothing behind.

The data filter of :mod:`tarfile` would not do: it takes links inside the folder, cuts the root off absolute names, and
knows nothing of sizes, of depth, or of names that only other systems act on. Of a .zip nothing filters.
"""

import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from bz2 import BZ2File
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from metavad.errors import DataError, OutputError
from metavad.files import unfinished_directory
from metavad.progress import SILENT, Progress

__all__ = ["Limits", "extract"]

_CHUNK = 1 << 20
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
)

_DAMAGE_NUMBERS = (None, errno.EINVAL)
"""Of an OSError: bz2 says damage by one without a number, and a .zip may say that a member lies before it begins."""


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to: members, bytes, bytes per byte of the archive, levels of folders.

    The ratio counts from ``ratio_from`` bytes on: a few blank masks shrink a lot. The largest honest archive known has
    some hundred thousand members.
    """

    members: int = 500_000
    bytes: int = 500 * 10**9
    ratio: float = 200.0
    ratio_from: int = 16 * 10**6
    depth: int = 24
    header: int = 1 << 20


@dataclass(frozen=True)
class _Member:
    """A regular file or a folder of an archive; ``opened`` gives the content of a file."""

    name: str
    is_folder: bool
    opened: Callable[[], AbstractContextManager[IO[bytes]]]


def extract(archive: Path, into: Path, limits: Limits = Limits(), progress: Progress = SILENT) -> list[Path]:
    """Unpack a .zip or .tar (.gz, .bz2, .xz) into the folder ``into``; the top files and folders, in order.

    Raises :class:`DataError` for anything but regular files and folders with harmless names, for more than
    ``limits``, and for damage; :class:`OutputError` where a top file or folder is already there.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: expected an archive, found nothing; check the path")
    into.mkdir(parents=True, exist_ok=True)
    try:
        with (
            unfinished_directory(into / archive.name) as beside,
            progress.task(f"unpack {archive.name}", None) as task,
        ):
            unpacking = _Unpacking(archive, beside, limits)
            for member in _members(archive, limits):
                unpacking.take(member)
                task.advance(note=member.name)
            return _moved(beside, into)
    except (*_DAMAGE, OSError) as error:
        if not isinstance(error, _DAMAGE) and (isinstance(error, OutputError) or error.errno not in _DAMAGE_NUMBERS):
            raise
        raise DataError(f"{archive}: expected a whole archive, found damage ({error}); fetch it again") from error


class _Unpacking:
    """An archive on its way into a folder: what came out so far, held against the limits."""

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self._archive, self._folder, self._limits = archive, folder, limits
        self._members = self._bytes = 0
        self._size = archive.stat().st_size

    def take(self, member: _Member) -> None:
        """Write one member, or refuse it."""
        self._members += 1
        if self._members > self._limits.members:
            raise DataError(f"{self._archive}: expected at most {self._limits.members} members, found more")
        if reason := _harm(member.name, self._limits.depth):
            raise DataError(
                f"{self._archive}: expected names inside the archive's folder, found {reason}: {member.name[:80]!r}"
            )
        try:
            self._write(member, self._folder / member.name)
        except FileExistsError as error:
            raise DataError(f"{self._archive}: expected each name once, found {member.name!r} again") from error
        except (NotADirectoryError, IsADirectoryError) as error:
            raise DataError(
                f"{self._archive}: expected {member.name!r} to be a file or a folder, found both"
            ) from error

    def _write(self, member: _Member, path: Path) -> None:
        if member.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.opened() as source, path.open("xb") as target:
            while chunk := source.read(_CHUNK):
                self._count(len(chunk))
                target.write(chunk)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.bytes:
            raise DataError(f"{self._archive}: expected at most {self._limits.bytes} bytes, found more")
        if self._bytes > max(self._limits.ratio_from, self._limits.ratio * self._size):
            raise DataError(
                f"{self._archive}: expected at most {self._limits.ratio:g} times the archive's size, found more"
            )


def _harm(name: str, depth: int) -> str | None:
    """Why a name might not stay inside the folder that it is unpacked into, on any system; or nothing."""
    parts = PurePosixPath(name).parts
    if not name:
        return "no name"
    if name.startswith(("/", "\\")):
        return "an absolute name"
    if ".." in parts:
        return "a name that leaves the folder"
    if any(letter in "\\:" or not letter.isprintable() for letter in name):
        return "a name with a backslash, a colon or a control character"
    if len(parts) > depth or any(len(os.fsencode(part)) > 255 for part in parts):
        return "too long a name"
    return None


def _moved(beside: Path, into: Path) -> list[Path]:
    """Top files and folders at their place, once it is sure that all places are free."""
    tops = sorted(beside.iterdir())
    for top in tops:
        if (into / top.name).exists():
            raise OutputError(f"{into / top.name}: expected a free place to unpack to, found it taken; move it away")
    return [top.rename(into / top.name) for top in tops]


def _members(archive: Path, limits: Limits) -> Iterator[_Member]:
    return _zip_members(archive, limits) if zipfile.is_zipfile(archive) else _tar_members(archive, limits)


_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"


def _zip_count(archive: Path) -> int:
    """How many members the end of a .zip says it has: read before its directory, which would fill the memory."""
    with archive.open("rb") as file:
        file.seek(max(archive.stat().st_size - 70_000, 0))  # as far back as a comment can push it
        tail = file.read()
    large, plain = tail.rfind(_END_64), tail.rfind(_END)
    counts = [tail[plain + 10 : plain + 12]] + [tail[large + 32 : large + 40]] * (large >= 0)
    return max(int.from_bytes(count, "little") for count in counts)


def _zip_members(archive: Path, limits: Limits) -> Iterator[_Member]:
    if _zip_count(archive) > limits.members:
        raise DataError(f"{archive}: expected at most {limits.members} members, found more")
    with zipfile.ZipFile(archive) as container:
        for info in container.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, info.filename, "a link or a device")
            if info.flag_bits & 1:
                raise _refused(archive, info.filename, "an encrypted file")
            yield _Member(info.filename, info.is_dir(), partial(container.open, info))


def _tar_members(archive: Path, limits: Limits) -> Iterator[_Member]:
    with _decompressed(archive) as stream, tarfile.open(fileobj=_Wary(archive, stream, limits), mode="r:") as container:
        for info in container:
            if info.issparse():
                raise _refused(archive, info.name, "a sparse file")
            if not (info.isreg() or info.isdir()):
                raise _refused(archive, info.name, "a link or a device")
            yield _Member(info.name, info.isdir(), partial(_content, container, info))


def _refused(archive: Path, name: str, what: str) -> DataError:
    return DataError(f"{archive}: expected regular files and folders, found {what}: {name[:80]!r}")


def _content(container: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    """Of a regular file, which always has one."""
    return cast(IO[bytes], container.extractfile(info))


def _decompressed(archive: Path) -> io.BufferedIOBase:
    with archive.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(archive)
    if magic.startswith(b"BZh"):
        return BZ2File(archive)
    return lzma.LZMAFile(archive) if magic.startswith(b"\xfd7zXZ") else io.BufferedReader(io.FileIO(archive))


class _Wary(io.BufferedIOBase):
    """A stream that hands out no header larger than any honest one, so that memory stays bounded."""

    def __init__(self, archive: Path, stream: io.BufferedIOBase, limits: Limits) -> None:
        self._archive, self._stream, self._limit = archive, stream, max(limits.header, _CHUNK)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self._limit:
            raise DataError(f"{self._archive}: expected headers of a sane size, found one of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
