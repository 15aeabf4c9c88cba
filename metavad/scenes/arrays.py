"""Array files (.npy, .npz) as they are, not as their headers claim.

A header of a hundred bytes may say that terabytes follow: nothing is allocated before the file is known to hold them,
and of an archive, which may hold much in little, no more is read than the caller has use for. Nothing pickled is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["Archived", "ArrayError", "archived_arrays", "mapped_array"]

_MAGIC, _PICKLES = b"\x93NUMPY", "pickled objects, which are never read; save plain numbers"


class ArrayError(ValueError):
    """What was found instead of an array, and what to do: the end of a message."""


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def end(self) -> int:
        """The byte after the last one of the array."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Archived:
    """One array of an archive, whose values are read when they are asked for."""

    path: Path
    member: str

    def values(self, most: int) -> NDArray[Any]:
        """All of it; raises :class:`ArrayError` for damage, and for more than ``most`` bytes."""
        with _named(), ZipFile(self.path) as archive, archive.open(self.member) as file:
            header, size = _header(file), archive.getinfo(self.member).file_size
            if header.end > min(size, most):
                raise ArrayError(f"an array of {header.end} bytes where at most {min(size, most)} are; save it again")
            if 0 in header.shape:
                return np.zeros(header.shape, header.dtype)
            content = file.read(header.end - header.start)
            flat = np.frombuffer(content, header.dtype, math.prod(header.shape))
            return flat.reshape(header.shape, order=_order(header))


def mapped_array(path: Path, *, whole: bool = False) -> NDArray[Any]:
    """A memory map of an array file, read-only; raises :class:`ArrayError` unless the file holds what it says.

    With ``whole`` nothing may follow the array.
    """
    with _named(), path.open("rb") as file:
        header, size = _header(file), path.stat().st_size
        if size < header.end or (whole and size > header.end):
            raise ArrayError(f"a file of {size} bytes for an array of {header.end}; fetch or save it again")
        if 0 in header.shape:
            return np.zeros(header.shape, header.dtype)
        mapped: NDArray[Any] = np.memmap(path, header.dtype, "r", header.start, header.shape, _order(header))
        return mapped


def archived_arrays(path: Path) -> dict[str, Archived]:
    """The arrays of an archive by their names; raises :class:`ArrayError` where there is no archive."""
    with _named(), ZipFile(path) as archive:
        return {name.removesuffix(".npy"): Archived(path, name) for name in archive.namelist()}


def _header(file: IO[bytes]) -> _Header:
    """What an array file says of itself, where that is possible at all."""
    magic = file.read(len(_MAGIC))
    if magic.startswith(b"\x80"):
        raise ArrayError(_PICKLES)
    if magic != _MAGIC:
        raise ArrayError("something else; fetch or save it again")
    shape, fortran, dtype = _READERS[file.read(2)](file)
    if dtype.hasobject:
        raise ArrayError(_PICKLES)
    if min(shape, default=0) < 0 or dtype.itemsize == 0:
        raise ArrayError(f"an array of the shape {shape}; fetch or save it again")
    return _Header(shape, fortran, dtype, file.tell())


_READERS = {b"\x01\x00": npy.read_array_header_1_0, b"\x02\x00": npy.read_array_header_2_0}


def _order(header: _Header) -> Literal["C", "F"]:
    return "F" if header.fortran else "C"


@contextmanager
def _named() -> Iterator[None]:
    """Damage may break anywhere in the parsers of numpy and of zip files, in whatever way."""
    try:
        yield
    except (ArrayError, FileNotFoundError):
        raise
    except Exception as error:
        raise ArrayError(f"something else ({' '.join(str(error).split())}); fetch or save it again") from error
