"""Which videos and frames lie in folders: by suffix, in natural order, without what desktops leave behind."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from metavad.errors import VideoError
from metavad.scenes.scene import Scene, Video

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "frame_files",
    "is_junk",
    "name_of",
    "natural",
    "scene_of_files",
    "videos_under",
]


IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})


"""What counts as a frame in a folder of frames."""


VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"}
    | {".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
)


"""What a pattern of a suite takes for a video file."""


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts 2 before 10.

    >>> sorted(["10.jpg", "2.jpg"], key=natural)
    ['2.jpg', '10.jpg']
    """
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts)


def is_junk(path: Path) -> bool:
    """Whether a file is what desktops and editors leave behind (``.DS_Store``, ``._a.jpg``, ``a.m~``)."""
    return path.name.startswith(".") or path.name.endswith("~")


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder in natural order; junk and other files left out; may be empty."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in files if not is_junk(path)), key=lambda path: natural(path.name))


def scene_of_files(
    paths: Sequence[Path], name: str | None = None, fps: float | None = None, *, folder_fps: float | None = None
) -> Scene:
    """A scene whose normal videos are files, folders of frames, or folders of videos.

    ``fps`` is the frame rate of all of them, in place of the times that files have; without it, ``folder_fps`` is that
    of folders of frames.
    """
    videos = [video for path in paths for video in _videos_at(Path(path), fps or folder_fps)]
    videos = [replace(video, fps=fps or video.fps) for video in videos]
    if not videos:
        raise VideoError("expected at least one video, found none; name video files or folders of frames")
    root = Path(os.path.commonpath([video.path.resolve().parent for video in videos]))
    title = name or (videos[0].name if len(videos) == 1 else root.name)
    return Scene("files", title, root, normal=_unique(videos, root))


def videos_under(root: Path, patterns: Iterable[str], fps: float | None = None) -> tuple[Video, ...]:
    """Videos that match glob ``patterns`` under ``root``, in natural order, junk left out, each once."""
    found = {path: None for pattern in patterns for path in _glob(root, pattern)}
    paths = sorted(found, key=lambda path: natural(path.relative_to(root).as_posix()))
    return _unique([Video(name_of(path), path, fps if path.is_dir() else None) for path in paths], root)


def _glob(root: Path, pattern: str) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in root.glob(pattern) if not _hidden(path, root) and _is_video(path)]


def _hidden(path: Path, root: Path) -> bool:
    return any(is_junk(Path(part)) for part in path.relative_to(root).parts)


def _is_video(path: Path) -> bool:
    return _has_frames(path) if path.is_dir() else path.suffix.lower() in VIDEO_SUFFIXES


def _has_frames(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        names = (Path(entry.name) for entry in entries)
        return any(name.suffix.lower() in IMAGE_SUFFIXES and not is_junk(name) for name in names)


def name_of(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _videos_at(path: Path, fps: float | None) -> list[Video]:
    if path.is_dir():
        return [Video(path.name, path, fps)] if _has_frames(path) else list(videos_under(path, ["*"], fps))
    if not path.exists():
        raise VideoError(f"{path}: expected a video or a folder of frames, found nothing; check the path")
    return [Video(path.stem, path)]


def _unique(videos: Sequence[Video], root: Path) -> tuple[Video, ...]:
    """The same videos; where names are taken twice, their path under ``root`` tells them apart."""
    names = [video.name for video in videos]
    return tuple(
        replace(video, name=_long_name(video, root)) if names.count(video.name) > 1 else video for video in videos
    )


def _long_name(video: Video, root: Path) -> str:
    path = Path(os.path.relpath(video.path.absolute(), root.absolute()))
    return (path if video.path.is_dir() else path.with_suffix("")).as_posix()
