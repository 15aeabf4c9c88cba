"""Which videos and frames lie in folders: by suffix, in natural order, without what desktops leave behind."""

import contextlib
import os
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from natsort import natsort_keygen, ns

from metavad.arguments import checked
from metavad.errors import FootageWarning, UsageError, VideoError
from metavad.scenes.encoding import spelt
from metavad.scenes.scene import RATES, Scene, Video

__all__ = [
    "FILES",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "frame_files",
    "hexadecimal",
    "in_seconds",
    "is_junk",
    "matching_videos",
    "name_of",
    "natural",
    "scene_of_files",
    "videos_under",
]

FILES = ""
"""The suite of files that are in none: no name."""


IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
"""What counts as a frame in a folder of frames."""


VIDEO_SUFFIXES = frozenset(
    {".264", ".265", ".266", ".3g2", ".3gp", ".amv", ".asf", ".avc", ".avi", ".dav", ".divx", ".dv", ".f4v", ".flv"}
    | {".h261", ".h263", ".h264", ".h265", ".h266", ".hevc", ".ismv", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v"}
    | {".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts"}
    | {".mxf", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".trp", ".ts", ".vc1", ".vob", ".vvc"}
    | {".webm", ".wmv", ".wtv", ".xvid", ".y4m"}
)
"""What counts as a video in a folder, or for a pattern of a suite; by its name any file is tried."""

_WITHOUT_A_RATE = frozenset({".h261", ".h263", ".mjpeg", ".mjpg", ".obu"})
"""Bare streams that state no rate."""
_PICTURES = IMAGE_SUFFIXES | {".avif", ".heic", ".heif", ".jfif", ".jp2", ".jxl"}
"""Files of one picture, whether or not they count as frames."""

_DENSE = 2
"""Names count in hexadecimal where less than so many numbers fall on each of them."""
_LETTERS, _DIGITS = frozenset("abcdef"), frozenset("0123456789")
_SECONDS = re.compile(r"(.*?)(?<!\d)(\d{10}\.\d+)")
"""A time in seconds since 1970, and what stands before it."""

natural = natsort_keygen(alg=ns.IGNORECASE)
"""A sort key that puts 2 before 10, whatever the case of letters and however an accent is written."""


def hexadecimal(stems: Sequence[str]) -> list[int]:
    """The numbers of names that count in hexadecimal: of one width, close together, with letters as well as digits.

    Of names that do not, nothing; what all of them begin with does not count.

    >>> hexadecimal(["f09", "f0a", "f0b"]), hexadecimal(["09", "10", "11"]), hexadecimal(["a", "b", "c"])
    ([9, 10, 11], [], [])
    """
    first, last = min(stems, default=""), max(stems, default="")
    begun = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), 0)
    ends = [stem[begun:].lower() for stem in stems]
    letters = set("".join(ends))
    if (
        len(stems) < 2
        or not letters & _LETTERS
        or not letters & _DIGITS
        or letters - _LETTERS - _DIGITS
        or len(set(map(len, ends))) > 1
    ):
        return []
    numbers = [int(end, 16) for end in ends]
    return numbers if max(numbers) - min(numbers) + 1 < _DENSE * len(set(numbers)) else []


def in_seconds(stems: Sequence[str]) -> list[Decimal]:
    """The times of names that count in seconds since 1970 and parts of them, as ``time.time()`` gives them.

    Of names that do not, nothing; what all of them begin with does not count.

    >>> in_seconds(["a1700000000.5", "a1700000000.4412"]), in_seconds(["20240517103059.9", "20240517103059.10"])
    ([Decimal('1700000000.5'), Decimal('1700000000.4412')], [])
    """
    found = [match for stem in stems if (match := _SECONDS.fullmatch(stem))]
    if len(found) < len(stems) or len({match[1] for match in found}) > 1:
        return []
    return [Decimal(match[2]) for match in found]


def is_junk(path: Path) -> bool:
    """Whether a file is what desktops and editors leave behind (``.DS_Store``, ``._a.jpg``, ``a.m~``)."""
    return path.name.startswith(".") or path.name.endswith("~")


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder in natural order; junk and other files left out; may be empty."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not is_junk(path)]
    if times := dict(zip(files, in_seconds([path.stem for path in files]), strict=False)):
        return sorted(files, key=lambda path: (times[path], path.name))
    if hexadecimal([path.stem for path in files]):
        return sorted(files, key=lambda path: (path.stem.lower(), path.name))
    return sorted(files, key=lambda path: (natural(path.name), path.name))


@checked
def scene_of_files(
    paths: Sequence[str | Path], name: str | None = None, fps: float | None = None, *, folder_fps: float | None = None
) -> Scene:
    """A camera from files: its normal videos, each once.

    Args:
        paths: video files, folders of frames, or folders of videos.
        name: of the camera; by default that of the video or of the folder.
        fps: frames a second of all of them, in place of the times that files have.
        folder_fps: frames a second of what states none: folders of frames, and bare streams such as .mjpeg.

    Raises:
        VideoError: a path that is not there, or no video in any of them.
        UsageError: a frame rate that no camera has.
    """
    if fps is not None and not RATES[0] <= fps <= RATES[1]:
        raise UsageError(f"--fps: expected frames a second, {RATES[0]:g} to {RATES[1]:g}, found {fps:g}")
    once: dict[str, Video] = {}
    for video in (video for path in paths for video in _videos_at(Path(path), fps or folder_fps)):
        once.setdefault(os.path.realpath(video.path), replace(video, fps=fps or video.fps))
    videos = list(once.values())
    if not videos:
        raise VideoError("expected at least one video, found none; name video files or folders of frames")
    root = Path(os.path.commonpath([_absolute(video.path).parent for video in videos]))
    named = _distinct(videos, root)
    title = name or (named[0].name if len(named) == 1 else root.name or "camera")
    return Scene(FILES, spelt(title), root, normal=named)


def videos_under(root: Path, patterns: Iterable[str], fps: float | None = None) -> tuple[Video, ...]:
    """Videos that match glob ``patterns`` under ``root``, in natural order, junk left out, each once.

    ``fps`` is that of what states none: folders of frames, and bare streams such as .mjpeg. Videos come before stills:
    a folder that holds both is no folder of frames. What a pattern matches and is left
    out for that is named by a :class:`FootageWarning`.
    """
    found = _found(root, patterns)
    _warn_of_left_out(found)
    return _distinct([Video(name_of(path), path, _rate_of(path, fps)) for path in found.videos], root)


def _rate_of(path: Path, fps: float | None) -> float | None:
    return fps if path.is_dir() or path.suffix.lower() in _WITHOUT_A_RATE else None


def matching_videos(root: Path, patterns: Iterable[str]) -> tuple[Path, ...]:
    """Where the videos are that :func:`videos_under` finds, without a word about what is left out."""
    return _found(root, patterns).videos


def name_of(path: Path) -> str:
    """What a video at ``path`` is called: a folder by its name, a file by its stem, neither ever ``.`` or ``..``."""
    whole = spelt(_absolute(path).name)
    name = whole if path.is_dir() else Path(whole).stem
    return name if name.strip(".") else whole.strip(".") or "video"


@dataclass(frozen=True)
class _Found:
    """What patterns match: videos, other folders, and pictures by the folder that they lie in."""

    videos: tuple[Path, ...]
    folders: tuple[Path, ...]
    pictures: Mapping[Path, Iterable[str]]


def _found(root: Path, patterns: Iterable[str]) -> _Found:
    videos: dict[Path, None] = {}
    folders: dict[Path, None] = {}
    pictures: dict[Path, dict[str, None]] = {}
    for path in _matching(root, patterns):
        if _is_video(path):
            videos[path] = None
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            pictures.setdefault(path.parent, {})[path.name] = None
        elif path.is_dir():
            folders[path] = None
    once = sorted(_once(videos), key=lambda path: natural(path.relative_to(root).as_posix()))
    return _Found(tuple(once), tuple(folders), pictures)


def _matching(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Every path that a pattern matches, junk left out."""
    if root.is_dir():
        found = (path for pattern in patterns for path in root.glob(pattern))
        yield from (path for path in found if not any(is_junk(Path(part)) for part in path.relative_to(root).parts))


def _once(paths: Iterable[Path]) -> list[Path]:
    """Each file once, however many links lead to it: by the shortest way."""
    shortest: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), natural(path.as_posix()))):
        shortest.setdefault(os.path.realpath(path), path)
    return list(shortest.values())


def _absolute(path: Path) -> Path:
    """Without ``..`` and links as they are: names tell what a user sees."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would follow links)


def _videos_at(path: Path, fps: float | None) -> list[Video]:
    if path.is_dir() and not _is_video(path):
        return _videos_in(path, fps)
    if path.is_dir():
        _warn_of_frames(path)
        return [Video(name_of(path), path, fps)]
    if not path.exists():
        raise VideoError(f"{path}: expected a video or a folder of frames, found nothing; check the path")
    if path.suffix.lower() in _PICTURES:
        raise VideoError(
            f"{path}: expected a video or a folder of frames, found a single picture; "
            "name the folder that holds the frames, or the video that this is a picture of"
        )
    return [Video(name_of(path), path, _rate_of(path, fps))]


def _videos_in(folder: Path, fps: float | None) -> list[Video]:
    """Those that lie in a folder itself; raises :class:`VideoError` where there are none."""
    found = list(videos_under(folder, ["*"], fps))
    deeper = [name for name, inside in _inside(folder, _contents(folder)).items() if inside.videos or inside.pictures]
    if not found and deeper:
        raise VideoError(
            f"{folder}: expected videos or frames, found them in folders in this one ({_some(deeper)}); name these"
        )
    if not found:
        raise VideoError(f"{folder}: expected videos or frames, found {_kinds_in(folder)}")
    return found


def _kinds_in(folder: Path) -> str:
    """What lies in a folder in which nothing is read by itself, and how to mend it."""
    suffixes = {path.suffix.lower() for path in folder.iterdir() if path.suffix and not is_junk(path)}
    if not suffixes:
        return "none; check the path"
    return f"other files ({_some(list(suffixes))}); name videos one by one, convert pictures to .png or .jpg"


# --- videos and stills ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Contents:
    """Names of what lies in a folder, junk and other files left out."""

    pictures: tuple[str, ...]
    videos: tuple[str, ...]
    folders: tuple[str, ...]


def _contents(folder: Path) -> _Contents:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not is_junk(Path(entry.name))]
    suffixes = {name: Path(name).suffix.lower() for name in names}
    pictures = tuple(name for name in names if suffixes[name] in IMAGE_SUFFIXES)
    folders = tuple(name for name in names if suffixes[name] not in IMAGE_SUFFIXES and (folder / name).is_dir())
    videos = tuple(name for name in names if suffixes[name] in VIDEO_SUFFIXES and name not in folders)
    return _Contents(pictures, videos, folders)


def _is_video(path: Path) -> bool:
    if not path.is_dir():
        return path.suffix.lower() in VIDEO_SUFFIXES
    found = _contents(path)
    return bool(found.pictures) and not found.videos and not _footage_inside(path, found)


def _footage_inside(folder: Path, found: _Contents) -> bool:
    """Whether the folders in it are the footage, and its pictures previews."""
    single = len(found.pictures) == 1
    return any(inside.videos or (inside.pictures and single) for inside in _inside(folder, found).values())


def _inside(folder: Path, found: _Contents) -> dict[str, _Contents]:
    """What lies in the folders in it that are ours to read."""
    inside = {}
    for name in found.folders:
        with contextlib.suppress(PermissionError):
            inside[name] = _contents(folder / name)
    return inside


def _warn_of_left_out(found: _Found) -> None:
    """Pictures beside videos, and folders of both whose videos no pattern matches."""
    for folder in sorted({path.parent for path in found.videos} & found.pictures.keys()):
        _warn(f"{folder}: pictures beside videos are no footage: {_some(list(found.pictures[folder]))}")
    above = {parent for path in found.videos for parent in path.parents}
    for folder in found.folders:
        if folder not in above and (inside := _contents(folder)).pictures:
            reason = f"pictures beside {_some(inside.videos or inside.folders)}, so it is no folder of frames"
            _warn(f"{folder}: {reason}; it is left out: name the videos in it")


def _warn_of_frames(folder: Path) -> None:
    """Of a folder of frames that has one, more likely a picture that lies about; and of frames in folders in it."""
    found = _contents(folder)
    if len(found.pictures) == 1:
        _warn(f"{folder}: holds a single picture ({found.pictures[0]}), which makes a video of one frame")
    if others := [name for name, inside in _inside(folder, found).items() if inside.pictures]:
        _warn(
            f"{folder}: read as {len(found.pictures)} frames; pictures in folders in it are left out: {_some(others)}"
        )


def _some(names: Sequence[str]) -> str:
    """The first three of them in natural order.

    >>> _some(["b", "a"]), _some(["10", "9", "8", "7"])
    ('a, b', '7, 8, 9 and 1 more')
    """
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names, key=natural)[:3]) + more


def _warn(text: str) -> None:
    warnings.warn(text, FootageWarning, stacklevel=4)


# --- names ---------------------------------------------------------------------------------------------------


def _distinct(videos: Sequence[Video], root: Path) -> tuple[Video, ...]:
    """The same videos with names that no two share, as names of folders neither, whatever the case of letters.

    Where names are taken twice, suffixes tell them apart that lie in one folder, else their path under ``root``, or
    both, or a number.
    """
    paths = [_absolute(video.path) for video in videos]
    folders: dict[str, set[Path]] = {}
    for video, path in zip(videos, paths, strict=True):
        folders.setdefault(_key(video.name), set()).add(path.parent)

    def longer(name: str, path: Path) -> str:
        side_by_side = len(folders[_key(name)]) == 1
        return spelt(path.name) if side_by_side else _below(path.with_name(name_of(path)), root)

    names = [video.name for video in videos]
    for form in (longer, lambda _, path: _below(path, root)):
        wrong = _taken_twice(names)
        pairs = enumerate(zip(names, paths, strict=True))
        names = [form(name, path) if place in wrong else name for place, (name, path) in pairs]
    return tuple(replace(video, name=name) for video, name in zip(videos, _numbered(names), strict=True))


def _below(path: Path, root: Path) -> str:
    """``path`` from ``root`` on; of what lies elsewhere, by a link, the name alone."""
    whole = _absolute(root)
    return spelt(path.relative_to(whole).as_posix() if path.is_relative_to(whole) else path.name)


def _taken_twice(names: Sequence[str]) -> set[int]:
    """Places of names that another one has too, or that another lies under as in a folder."""
    keys = [_key(name) for name in names]
    above = {parent.as_posix() for key in keys for parent in Path(key).parents}
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return {place for place, key in enumerate(keys) if counts[key] > 1 or key in above}


def _numbered(names: Sequence[str]) -> list[str]:
    """The same names; the second of two that are still one gets a number."""
    taken, unique = {parent.as_posix() for name in names for parent in Path(_key(name)).parents}, []
    for name in names:
        free = name
        number = 2
        while _key(free) in taken:
            free, number = f"{name} ({number})", number + 1
        taken.add(_key(free))
        unique.append(free)
    return unique


def _key(name: str) -> str:
    """What is one name on some disk."""
    return unicodedata.normalize("NFC", name).casefold()
