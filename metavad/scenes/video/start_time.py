"""When a video file says that it was recorded."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from metavad.clock import is_plausible
from metavad.scenes.scene import Video
from metavad.scenes.video.container import opened

__all__ = ["own_start_time"]

_KEYS = ("com.apple.quicktime.creationdate", "creation_time", "date")
"""The first has the zone of the place. FFmpeg gives those of MP4, MOV, Matroska and AVI by the second, in UTC where the
format has it so, and what is written as text by the third."""


def own_start_time(video: Video) -> datetime | None:
    """The time at which its first frame was taken, as a file says; none where it says none that can be meant.

    Without a zone it is taken for this machine's. A folder of frames has none.
    """
    if video.path.is_dir():
        return None
    return next((time for text in _texts(video.path) if (time := _parsed(text)) is not None), None)


def _texts(path: Path) -> Iterator[str]:
    with opened(path) as file:
        found = {**file.stream.metadata, **file.container.metadata}
    for wanted in _KEYS:
        yield from (text for key, text in found.items() if key.lower() == wanted)


def _parsed(text: str) -> datetime | None:
    if ":" not in text:  # a day or a year has no time
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.astimezone() if time.tzinfo is None or not time.utcoffset() else time
    except (ValueError, OverflowError, OSError):
        return None
    return time if is_plausible(time) else None
