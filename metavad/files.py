"""Files that are whole or not there: written beside, flushed to disk, renamed; and names that are safe to write to.

What is written beside is locked while its writer lives. So the next writer to the same place tells what a killed one
left from what somebody is still at, and sweeps it up. Where a system or a disk has no such locks, nothing is swept.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from metavad.errors import FullDiskError, OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "atomic_directory",
    "atomic_path",
    "claimed",
    "folder_name",
    "full_disk_named",
    "is_free",
    "is_full_disk",
    "unfinished_directory",
    "write_bytes",
    "write_text",
]

_LONGEST = 180  # bytes: systems take 255, and what is written beside adds some


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place once the block ends without an error.

    Where that is a link, the file that it leads to; into a device or a pipe, it is written at the end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(folder) / f"written{path.suffix}"
            yield beside
            path.write_bytes(beside.read_bytes())
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    with _parents_of(path), full_disk_named(path):
        _sweep(path, path.suffix)
        handle, name = tempfile.mkstemp(prefix=_UNFINISHED, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        with _marked(Path(name), path) as beside:
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
    _stop_if_taken(path, "something there")
    with unfinished_directory(path) as beside:
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                _flush(file)
        beside.chmod(0o755)
        try:
            beside.replace(path)
        except OSError:
            _stop_if_taken(path, "what somebody else wrote meanwhile")
            raise


@contextmanager
def unfinished_directory(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path``, which goes when the block ends."""
    with _parents_of(path), full_disk_named(path):
        _sweep(path, "")
        with _marked(Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=path.parent)), path) as beside:
            try:
                yield beside
            except FullDiskError as error:  # a file inside: known by where it was to be
                raise FullDiskError(str(error).replace(str(beside), str(path))) from error
            finally:
                shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Nobody else claims ``path`` until the block ends; raises :class:`OutputError` where somebody does already.

    With ``wait`` until they are done. Ends with the process, however that ends.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - "." has a name, ".." none that would differ
    lock = path.parent / f".{path.name}.lock"
    with _parents_of(path), full_disk_named(path), ExitStack() as stack:
        try:
            handle = _claim(lock, wait=wait)
        except BlockingIOError:
            raise OutputError(
                f"{path}: expected nobody else to write there, found another run of metavad at it; wait until it is "
                "done, or name another place"
            ) from None
        if handle is not None:
            stack.callback(os.close, handle)
            stack.callback(lock.unlink, missing_ok=True)  # while it is held: nobody else gets it in between
        yield


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with atomic_path(path) as beside:
        beside.write_bytes(content)


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


def is_free(path: Path) -> bool:
    """Whether a folder may be written to ``path``: nothing is there, or an empty one."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def is_full_disk(error: OSError) -> bool:
    """Whether there was no room for a file."""
    return isinstance(error, FullDiskError) or error.errno in _NO_ROOM


_UNFINISHED = ".unfinished-"
_NO_ROOM = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota is used up; make room",
    errno.EFBIG: "a file is larger than this system allows; make room",
}


@contextmanager
def _marked(fresh: Path, path: Path) -> Iterator[Path]:
    """What is new under the name by which a sweep for ``path`` finds it; locked before that, until the block ends."""
    beside = fresh.with_name(f".{path.name}{fresh.name}")
    with ExitStack() as stack:
        with suppress(OSError):
            stack.callback(os.close, _lock(fresh))
        yield fresh.rename(beside)


def _sweep(path: Path, suffix: str) -> None:
    """Remove what killed writers to ``path`` left beside it: what is not locked any more."""
    left = re.compile(rf"\.{re.escape(path.name)}{re.escape(_UNFINISHED)}\w{{8}}{re.escape(suffix)}")
    with os.scandir(path.parent) as entries:
        found = [Path(entry.path) for entry in entries if left.fullmatch(entry.name)]
    for each in found:
        with suppress(OSError), ExitStack() as stack:  # somebody is at it, or has just finished
            stack.callback(os.close, _lock(each))
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def _claim(lock: Path, *, wait: bool) -> int | None:
    """A handle that holds the lock file; none where there can be no lock."""
    while True:
        try:
            _make(lock)
            handle = _lock(lock, wait=wait)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.EBADF, errno.ENOTSUP):
                return None
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), lock.stat()):
                return handle
        os.close(handle)  # whoever had it has removed it meanwhile


def _make(lock: Path) -> None:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_RDWR, 0o644))
    except FileNotFoundError:  # /proc, or a folder that somebody has just removed
        found = f"{lock.parent}: expected a folder to write to, found one that takes no files; name another place"
        raise OutputError(found) from None


def _lock(path: Path, *, wait: bool = False) -> int:
    """A handle that locks a file or folder until it is closed; raises :class:`BlockingIOError` where another does."""
    if fcntl is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), str(path))
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _stop_if_taken(path: Path, found: str) -> None:
    if path.is_symlink():  # what is made beside it cannot take its place
        raise OutputError(
            f"{path}: expected a free place to write to, found a link; name where it leads, or another --out"
        )
    if not is_free(path):
        raise OutputError(f"{path}: expected a free place to write to, found {found}; name another --out")


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
def full_disk_named(path: Path) -> Iterator[None]:
    """No room inside is a :class:`FullDiskError` about ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise FullDiskError(f"{path}: {_NO_ROOM[error.errno]}") from error
        raise
