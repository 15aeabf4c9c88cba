"""Array files (.npy, .npz) as they are, not as their headers claim.

A header of a hundred bytes may say that terabytes follow: nothing is allocated before the file is known to hold them,
and of an archive, which may hold much in little, no more is read than the caller has use for. Nothing pickled is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["Archived", "ArrayError", "archived_arrays", "mapped_array"]

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class ArrayError(ValueError):
    """What was found instead of an array, and what to do: the end of a message."""


@dataclass(frozen=True)
class Archived:
    """One array of an archive, whose values are read when they are asked for."""

    path: Path
    member: str

    def values(self, most: int) -> NDArray[Any]:
        """All of it; raises :class:`ArrayError` for damage, and for more than ``most`` bytes."""
        with _named(), ZipFile(self.path) as archive, archive.open(self.member) as file:
            shape, fortran, dtype = _header(file)
            size = math.prod(shape) * dtype.itemsize
            most = min(most, archive.getinfo(self.member).file_size - file.tell())
            if not 0 <= size <= most:
                raise ArrayError(f"an array of {size} bytes where at most {most} are; save it again")
            if 0 in shape:
                return np.zeros(shape, dtype)
            return np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if fortran else "C")


def mapped_array(path: Path, *, whole: bool = False) -> NDArray[Any]:
    """A memory map of an array file, read-only; raises :class:`ArrayError` unless the file holds what it says.

    With ``whole`` nothing may follow the array.
    """
    with _named(), np.errstate(over="ignore"):  # of a shape beyond all numbers
        with path.open("rb") as file:
            _header(file)
        mapped = npy.open_memmap(path, mode="r")
        size, end = path.stat().st_size, mapped.offset + mapped.nbytes
        if whole and size > end:
            raise ArrayError(f"a file of {size} bytes for an array of {end}; fetch or save it again")
        return mapped


def archived_arrays(path: Path) -> dict[str, Archived]:
    """The arrays of an archive by their names; raises :class:`ArrayError` where there is no archive."""
    with _named(), ZipFile(path) as archive:
        return {name.removesuffix(".npy"): Archived(path, name) for name in archive.namelist()}


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type that an array file says it has, where plain numbers may follow."""
    shape, fortran, dtype = _READERS[npy.read_magic(file)](file)
    if dtype.hasobject:
        raise ArrayError("pickled objects, which are never read; save plain numbers")
    if dtype.itemsize == 0:
        raise ArrayError("values of no bytes; save plain numbers")
    return shape, fortran, dtype


@contextmanager
def _named() -> Iterator[None]:
    """Damage may break anywhere in the parsers of numpy and of zip files, in whatever way."""
    try:
        yield
    except (ArrayError, FileNotFoundError):
        raise
    except Exception as error:
        raise ArrayError(f"something else ({' '.join(str(error).split())}); fetch or save it again") from error
