"""Lists of videos: text files that say, a name a line, which videos of a folder are meant."""

import difflib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from metavad.errors import SuiteError
from metavad.scenes.encoding import text_of
from metavad.scenes.listing import VIDEO_SUFFIXES
from metavad.scenes.scene import Video

__all__ = ["chosen_by"]


def chosen_by(listing: Path, videos: Sequence[Video]) -> list[Video]:
    """The videos that a list names: with or without suffix, with or without the folders they lie in.

    A line is one name, or several with spaces between where each is one; lines that begin with # are left out.
    Raises :class:`SuiteError` for a name that is not there, and for one that several videos have.
    """
    known = _Known(videos)
    found: list[Video] = []
    unknown: list[tuple[int, str]] = []
    for number, line in _lines(listing):
        whole = known.meant(line)
        words = [whole] if whole else [known.meant(word) for word in line.split()]
        if all(words):
            found += [_one(video, f"{listing}, line {number}", line) for video in words]
        elif not line.startswith("#"):
            unknown.append((number, line))
    if unknown:
        raise SuiteError(_not_there(listing, unknown, videos))
    return found


class _Known:
    """Videos by their last name, as it is and without regard to capitals, with the folders above them."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self._exact: dict[str, list[tuple[tuple[str, ...], Video]]] = {}
        self._folded: dict[str, list[tuple[tuple[str, ...], Video]]] = {}
        for video in videos:
            folders = video.path.absolute().parent.parts
            for name in _names(video):
                self._exact.setdefault(name, []).append((folders, video))
                folded = tuple(folder.casefold() for folder in folders)
                self._folded.setdefault(name.casefold(), []).append((folded, video))

    def meant(self, name: str) -> list[Video]:
        """Videos of that name; in other capitals only where none has it as it is."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        folded = tuple(part.casefold() for part in parts)
        return _at(parts, self._exact) or _at(folded, self._folded)


def _names(video: Video) -> set[str]:
    """With and without its suffix; a folder of frames also as the file that it was made of."""
    if video.path.is_dir():
        return {video.path.name, *(video.path.name + suffix for suffix in VIDEO_SUFFIXES)}
    return {video.path.name, video.path.stem}


def _at(parts: Sequence[str], known: dict[str, list[tuple[tuple[str, ...], Video]]]) -> list[Video]:
    if not parts:
        return []
    *folders, last = parts
    return [video for above, video in known.get(last, ()) if list(above[len(above) - len(folders) :]) == folders]


def _one(found: Sequence[Video], where: str, name: str) -> Video:
    if len(found) > 1:
        raise SuiteError(
            f"{where}: expected the name of one video, found {name!r} for {found[0].path} and {found[1].path}; "
            "write its suffix or its folder"
        )
    return found[0]


def _lines(listing: Path) -> list[tuple[int, str]]:
    try:
        text = text_of(listing)
    except UnicodeDecodeError as error:
        raise SuiteError(
            f"{listing}: expected a list of videos, found no text in UTF-8 or UTF-16; save it again"
        ) from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in lines if line]


def _not_there(listing: Path, unknown: Sequence[tuple[int, str]], videos: Sequence[Video]) -> str:
    number, name = unknown[0]
    close = difflib.get_close_matches(name, [video.path.name for video in videos], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f", which is none of the {len(videos)} that match"
    more = f" (and so in {len(unknown) - 1} more lines)" if len(unknown) > 1 else ""
    return f"{listing}, line {number}: expected the name of a video that is there, found {name!r}{hint}{more}"
