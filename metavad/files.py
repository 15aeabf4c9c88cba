"""Files that are whole or not there: written beside, flushed to disk, renamed; and names that are safe to write to."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metavad.errors import OutputError

__all__ = ["atomic_directory", "atomic_path", "folder_name", "write_text"]

_LONGEST = 180  # bytes: systems take 255, and what is written beside adds some


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place once the block ends without an error."""
    with _parents_of(path), _full_disk_named(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            _flush(beside)
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its place once the block ends without an error.

    Raises :class:`OutputError` when ``path`` is already there and not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: expected a free place to write to, found something there; name another --out")
    with _parents_of(path), _full_disk_named(path):
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield beside
            for file in beside.rglob("*"):
                if file.is_file():
                    _flush(file)
            beside.chmod(0o755)
            beside.replace(path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def folder_name(name: str) -> str:
    """``name`` as one part of a path: it stays where it is put and never hides; different names stay different.

    Where something had to be replaced, the digest of the whole name follows it.

    >>> folder_name("Lobby, north"), folder_name("../../lobby")
    ('Lobby, north', 'lobby-9bf7c13a')
    """
    letters = ("-" if letter in "/\\" or not letter.isprintable() else letter for letter in name.lstrip("."))
    plain = "".join(letters).strip().encode()[:_LONGEST].decode(errors="ignore")
    if plain == name and plain:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain.strip('-. ')}-{digest}".lstrip("-")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _parents_of(path: Path) -> Iterator[None]:
    """The folders above ``path``; those that had to be made go again when the block fails."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{path}: expected folders above it, found a file there; name another place") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):  # somebody else has written there meanwhile
            for folder in missing:
                folder.rmdir()
        raise


@contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what = "a file is larger than this system allows" if error.errno == errno.EFBIG else "the disk is full"
            raise OutputError(f"{path}: {what}; make room and run the same command again") from error
        raise
