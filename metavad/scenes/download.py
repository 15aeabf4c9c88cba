"""Fetching of datasets that have a public address and a known digest; the others say where to ask."""

import itertools
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

from metavad.errors import DataError, OutputError, UsageError
from metavad.progress import SILENT, Progress
from metavad.scenes.archive import Limits, extract
from metavad.scenes.scene import Archive, Suite
from metavad.scenes.suite import about

__all__ = ["Limits", "by_hand", "extract", "fetch", "still_missing"]

Downloader = Callable[[str, str, Any], None]
"""What pooch calls: address, file to write, and the pooch itself (not used)."""

_CHUNK = 1 << 20
_PATIENCE = 60.0  # seconds without a byte


def fetch(name: str, data: Path, progress: Progress = SILENT, *, keep: bool = True) -> list[Path]:
    """Download what suite ``name`` consists of, check its sha256, and unpack it under the data root.

    What is unpacked already stays as it is; an archive that lies in ``data/archives`` is checked and used;
    a download that broke off goes on where it stopped. ``keep`` leaves the archives there. Folders that
    are ready are returned.

    Raises :class:`UsageError` where a dataset has no public archive (the line says where to get it),
    :class:`DataError` for a digest that does not match or an address that does not answer.
    """
    suite = about(name)
    if not suite.archives:
        raise UsageError(f"{name}: expected a dataset with a public archive, found none; {_where(suite)}")
    return [_ready(archive, data, progress, keep) for archive in suite.archives]


def _where(suite: Suite) -> str:
    if suite.get.startswith("made "):  # generated cameras
        return f"they are {suite.get}"
    return f"get it from {suite.get or 'its authors'} (terms: {suite.terms or 'not stated'})"


def by_hand(name: str) -> list[str]:
    """What to download by hand for suite ``name``, under which terms, and where its files are expected: lines."""
    suite = about(name)
    if suite.path is None:
        return []
    text = suite.path.read_text(encoding="utf-8").splitlines()
    begin = next((n for n, line in enumerate(text) if line.startswith("# Expected under")), len(text))
    expected = itertools.takewhile(lambda line: line.startswith("#"), text[begin:])
    facts = {"get": suite.get, "terms": suite.terms, "cite": suite.reference}
    lines = [f"{key}: {value}" for key, value in facts.items() if value]
    return [suite.title, *lines, *(line.removeprefix("#").removeprefix(" ") for line in expected)]


def still_missing(suite: Suite) -> list[str]:
    """Label files that are not there beside test videos that are: a path for each scene; empty where all is well."""
    return [
        str(scene.labels.of(scene.test[0]))
        for scene in suite.scenes
        if scene.labels and scene.test
        if not (scene.labels.of(scene.test[0]).exists() or scene.labels.normal_throughout(scene.test[0]))
    ]


def _ready(archive: Archive, data: Path, progress: Progress, keep: bool) -> Path:
    folder = data / archive.creates
    for there in (folder, data / folder.name):  # with or without the folder that holds several archives
        if there.exists():
            return there
    file = _archive_file(archive, data / "archives", progress)
    extract(file, folder.parent, progress=progress)
    if not folder.exists():
        raise DataError(f"{file}: expected to unpack to {archive.creates!r}, found other names; see {folder.parent}")
    if not keep:
        file.unlink()
    return folder


def _archive_file(archive: Archive, folder: Path, progress: Progress) -> Path:
    """The archive on disk with the right digest: there already, or fetched."""
    import pooch

    name = Path(urllib.parse.urlparse(archive.url).path).name
    part = folder / f"{name}.part"
    try:
        with _quiet():
            file = pooch.retrieve(
                archive.url,
                known_hash=f"sha256:{archive.sha256}",
                fname=name,
                path=folder,
                downloader=_downloader(part, progress),
            )
    except ValueError as error:
        raise DataError(f"{archive.url}: expected sha256 {archive.sha256}, found another; try again later") from error
    except (HTTPException, OSError) as error:
        if isinstance(error, OutputError):
            raise
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{archive.url}: expected an answer, found {reason}; run the same command to go on") from error
    return Path(file)


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


def _downloader(part: Path, progress: Progress) -> Downloader:
    """A download into ``part`` that goes on where an earlier one broke off, then takes its place."""

    def download(url: str, output: str, _pooch: Any) -> None:
        have = part.stat().st_size if part.exists() else 0
        headers = {"User-Agent": "metavad"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_PATIENCE) as answer:
                goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
                _receive(answer, part, have if goes_on else 0, progress)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # there is nothing after what we have
                raise
        part.replace(output)

    return download


def _receive(answer: Any, part: Path, have: int, progress: Progress) -> None:
    rest = answer.headers.get("Content-Length")
    total = None if rest is None else have + int(rest)
    with part.open("ab" if have else "wb") as file, progress.task(f"fetch {part.stem}", total) as task:
        task.advance(have)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            task.advance(len(chunk))
    if total is not None and part.stat().st_size != total:
        raise urllib.error.ContentTooShortError(f"{part.stat().st_size} of {total} bytes", (str(part), answer.headers))
