"""Fetching of datasets that have a public address and a known digest; the others say where to ask."""

import hashlib
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from queue import Empty, Full, Queue
from typing import Any

from metavad.errors import DataError, FullDiskError, MissingDataError, OutputError, UsageError
from metavad.files import claimed, full_disk_named
from metavad.progress import SILENT, Progress
from metavad.scenes.datasets.archive import Limits, extract
from metavad.scenes.scene import Archive, Scene, Suite
from metavad.scenes.suite import about, described
from metavad.shipped import shipped

__all__ = ["Limits", "by_hand", "check_labels", "extract", "fetch", "retrieve", "still_missing"]

Downloader = Callable[[str, str, Any], None]
"""What pooch calls: address, file to write, and the pooch itself (not used)."""

_CHUNK = 1 << 20


def fetch(name: str, data: Path, progress: Progress = SILENT, *, keep: bool = True) -> list[Path]:
    """Download what suite ``name`` consists of, check its sha256, and unpack it under the data root.

    What is unpacked already stays as it is; an archive that lies in ``data/archives`` is checked and used;
    a download that broke off goes on where it stopped. ``keep`` leaves the archives there. Folders that
    are ready are returned.

    Raises :class:`UsageError` where a dataset has no public archive (the line says where to get it),
    :class:`DataError` for a digest that does not match, an address that does not answer, that sends more or longer
    than any dataset takes, or that leaves the web: nothing but http and https is spoken.
    """
    suite = about(name)
    if not suite.archives:
        raise UsageError(f"{name}: expected a dataset with a public archive, found none; {_where(suite)}")
    return [_ready(archive, data, progress, keep, _where(suite)) for archive in suite.archives]


def _where(suite: Suite) -> str:
    if suite.get.startswith("made "):  # generated cameras
        return f"they are {suite.get}"
    return f"get it from {suite.get or 'its authors'} (terms: {suite.terms or 'not stated'})"


def by_hand(name: str) -> list[str]:
    """What to download by hand for suite ``name``, under which terms, and where its files are expected: lines."""
    path = about(name).path
    return [] if path is None else described(path)


def still_missing(scenes: Iterable[Scene]) -> list[str]:
    """Label files that are not there beside test videos that are: a path for each scene; empty where all is well."""
    return [
        str(scene.labels.of(scene.test[0]))
        for scene in scenes
        if scene.labels and scene.test
        if not (scene.labels.of(scene.test[0]).exists() or scene.labels.normal_throughout(scene.test[0]))
    ]


def check_labels(scenes: Iterable[Scene]) -> None:
    """Raises :class:`MissingDataError` where labels of a suite that ships are not here, with how to get them."""
    for scene in scenes:
        if scene.suite in shipped("tasks") and (lost := still_missing([scene])):
            raise MissingDataError(
                f"{scene.key}: expected labels at {lost[0]}, found nothing; get them as below", by_hand(scene.suite)
            )


def _ready(archive: Archive, data: Path, progress: Progress, keep: bool, where: str) -> Path:
    folder, file = data / archive.creates, data / "archives" / _file_name(archive.url)
    with claimed(file):
        for there in (folder, data / folder.name):  # with or without the folder that holds several archives
            if there.exists():
                return there
        retrieve(archive.url, archive.sha256, file, progress, otherwise=where)
        tops = extract(file, folder.parent, progress=progress)
        if not folder.exists():
            _take_away(tops)
            found = ", ".join(repr(top.name) for top in tops[:3]) or "nothing"
            raise DataError(
                f"{file}: expected to unpack to {archive.creates!r}, found {found} in it; mend `creates` in the suite"
            )
        if not keep:
            file.unlink()
    return folder


def _take_away(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _file_name(url: str) -> str:
    """What the archive at an address is called here."""
    name = PurePosixPath(urllib.parse.urlparse(url).path).name
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise DataError(f"{url}: expected an address such as https://host/name.zip; mend the suite's [[archives]]")
    return name


def retrieve(url: str, sha256: str, file: Path, progress: Progress, *, otherwise: str) -> None:
    """The file on disk with the right digest: there already, or fetched; ``otherwise``: what else a user can do.

    Goes on where an earlier download broke off. Of a digest all 64 digits count, or the first ones where no more are
    known. Raises :class:`DataError` as :func:`fetch` does.
    """
    import pooch

    part = file.with_name(f"{file.name}.part")
    try:
        with _quiet():
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}" if len(sha256) == _SHA256 else None,
                fname=file.name,
                path=file.parent,
                downloader=_downloader(part, progress, sha256),
            )
    except (HTTPException, OSError) as error:
        if isinstance(error, OutputError):
            raise
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        code = error.code if isinstance(error, urllib.error.HTTPError) else None
        if code is not None and code not in _PASSING:
            raise DataError(f"{url}: expected a file, found {code} {reason}; {otherwise}") from error
        raise DataError(f"{url}: expected an answer, found {reason}; run the same command to go on") from error
    except DataError as error:
        raise DataError(f"{url}: {error}; {otherwise}") from error
    except ValueError as error:
        raise DataError(
            f"{url}: expected sha256 {sha256}, found another: the file there has changed, or broke "
            f"on its way; fetch it once more, else {otherwise}"
        ) from error


_SHA256 = 64
"""Digits of a whole digest."""


_PASSING = {408, 425, 429, *range(500, 600)}
"""Answers of servers that may be others in a while."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pooch from writing to the terminal: progress is ours to tell."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _downloader(part: Path, progress: Progress, sha256: str) -> Downloader:
    """A download into ``part`` that goes on where an earlier one broke off, then takes its place."""

    def download(url: str, output: str, _pooch: Any) -> None:
        have = part.stat().st_size if part.exists() else 0
        headers = {"User-Agent": "metavad"} | ({"Range": f"bytes={have}-"} if have else {})
        request = urllib.request.Request(url, headers=headers)
        try:
            with closing(_arriving(request)) as arriving, full_disk_named(part):
                answer = next(arriving)
                goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
                _receive(answer.headers, arriving, part, have if goes_on else 0, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # there is nothing after what we have
                raise
        _check_begin(part, sha256)
        part.replace(output)

    return download


def _check_begin(part: Path, sha256: str) -> None:
    """What pooch does not check: a digest of which only the first digits are known."""
    if len(sha256) == _SHA256:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256):
        part.unlink()
        raise ValueError(found)


def _arriving(request: urllib.request.Request) -> Generator[Any, None, None]:
    """The answer, then its content as it comes; for none of it is waited longer than we have patience.

    A server that drips a byte now and then keeps a read waiting for ever, so another thread does the reading.
    """
    arrived: Queue[Any] = Queue(8)
    over = threading.Event()
    threading.Thread(target=_take, args=(request, arrived, over), daemon=True).start()
    try:
        while (item := arrived.get(timeout=_PATIENCE.silence)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    except Empty:
        raise TimeoutError(f"nothing new in {_PATIENCE.silence:g} seconds") from None
    finally:
        over.set()


def _take(request: urllib.request.Request, arrived: "Queue[Any]", over: threading.Event) -> None:
    """Hand over an answer and its content, or what went wrong, until nobody wants more."""

    def hand(item: Any) -> None:
        while not over.is_set():
            with suppress(Full):
                arrived.put(item, timeout=_LOOK)
                break

    try:
        with _opener().open(request, timeout=_PATIENCE.silence) as answer:
            hand(answer)
            while not over.is_set() and (chunk := answer.read1(_CHUNK)):  # what is there, without waiting for more
                hand(chunk)
        hand(None)
    except Exception as error:  # told to who waits
        hand(error)


_LOOK = 0.5
"""Seconds between two looks whether anybody still wants what arrives."""


def _opener() -> urllib.request.OpenerDirector:
    """Speaks http and https and nothing else, whatever an answer redirects to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _WebOnly,
    ):
        opener.add_handler(handler())
    return opener


class _WebOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request that follows a redirection; raises where it leaves the web."""
        if urllib.parse.urlparse(newurl).scheme not in ("http", "https"):
            raise urllib.error.HTTPError(newurl, code, f"a redirection to {newurl[:80]}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(headers: Any, chunks: Iterator[Any], part: Path, have: int, progress: Progress) -> None:
    rest = headers.get("Content-Length", "")
    total = have + int(rest) if rest.isdecimal() and len(rest) < _DIGITS else None
    _stop_unless_room(part, total or 0, have)
    pace = _Pace(time.monotonic(), have)
    with part.open("ab" if have else "wb") as file, progress.task(f"fetch {part.stem}", total) as task:
        task.advance(have)
        for chunk in chunks:
            file.write(chunk)
            have += len(chunk)
            task.advance(len(chunk))
            pace.check(have)
            _stop_if_too_large(part, have)
    if total is not None and part.stat().st_size != total:
        raise urllib.error.ContentTooShortError(f"{part.stat().st_size} of {total} bytes", (str(part), headers))


_DIGITS = 19
"""Of the length of anything; what says more says nothing."""


def _stop_unless_room(part: Path, total: int, have: int) -> None:
    _stop_if_too_large(part, total)
    free = shutil.disk_usage(part.parent).free
    if total - have > free:
        raise FullDiskError(f"{part}: expected room for {total - have:,} bytes more, found {free:,}; make room")


def _stop_if_too_large(part: Path, size: int) -> None:
    if size > _PATIENCE.bytes:
        part.unlink(missing_ok=True)
        raise DataError(f"expected an archive of at most {_PATIENCE.bytes:,} bytes, found a larger one")


@dataclass(frozen=True)
class _Patience:
    """What a download may take: bytes, seconds in all, seconds without anything new, bytes a second on the mean."""

    bytes: int = 200 * 10**9
    seconds: float = 48 * 3600.0
    silence: float = 60.0
    rate: float = 1000.0


_PATIENCE = _Patience()


@dataclass
class _Pace:
    """How fast a download comes."""

    started: float
    before: int

    def check(self, have: int) -> None:
        """Raises :class:`TimeoutError` where it takes too long or hardly comes."""
        spent = time.monotonic() - self.started
        if spent > _PATIENCE.seconds:
            raise TimeoutError(f"it still coming after {_PATIENCE.seconds / 3600:g} hours")
        if spent > _PATIENCE.silence and have - self.before < _PATIENCE.rate * spent:
            raise TimeoutError(f"{have - self.before:,} bytes in {spent:.0f} seconds")
