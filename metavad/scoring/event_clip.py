"""Where an event is to be seen again: the part of a video that it lies in, from what scoring wrote."""

import os
from dataclasses import dataclass
from pathlib import Path

from metavad.arguments import checked
from metavad.errors import OutputError
from metavad.normality.memory_bank import NOVELTY
from metavad.scenes.scene import Crop, Video
from metavad.scoring.results import RESULT, EventsRecord, Result, folders_of_scores

__all__ = ["EventClip", "clips_of_scores", "results_beside"]


@dataclass(frozen=True)
class EventClip:
    """An event as a part of a video."""

    video: Video
    """Of the camera's pictures, or of its working pictures (grey, cropped)."""
    start: float
    end: float
    peak: float
    """Seconds in the file of the video."""
    score: float = 0.0
    """As it was found; higher = more anomalous."""
    source: str = ""
    """What ``offset`` + seconds are times of: a camera; empty: the content of the video."""
    offset: float = 0.0
    """Seconds of the source at which the video begins."""
    crop: Crop | None = None
    """What is cut off the pictures; none: what the detector cuts off."""
    about: str = ""
    """For people; empty: the video and the seconds."""
    is_lasting: bool = True
    """Whether what lasts is why it alarmed, or may be: what stood there before its video begins is not known. Else only
    what the experts say of it counts."""

    @property
    def name(self) -> str:
        """For people."""
        return self.about or f"{self.video.name}, {self.start:.1f} to {self.end:.1f} s"


EventClip.__init__ = checked(EventClip.__init__)  # type: ignore[method-assign]


def clips_of_scores(folder: Path) -> tuple[list[EventClip], EventsRecord]:
    """The events of one video's scores, in their order, and all that is written of them.

    Raises :class:`OutputError` for a folder that is none, and for one that names no video: an earlier version wrote it,
    or the video's name is no text.
    """
    try:
        found = EventsRecord.model_validate_json((folder / "events.json").read_bytes())
        result = Result.model_validate_json((folder / RESULT).read_bytes())
    except (OSError, ValueError):
        raise OutputError(
            f"{folder}: expected scores as `metavad score` wrote them, found others; score again"
        ) from None
    if not result.path:
        raise OutputError(
            f"{folder}: expected scores that name their video, found none; score again, with a name that is text"
        )
    video = Video(found.video, Path(result.path), result.fps)
    events = [
        EventClip(
            video, each.start, each.end, each.peak, each.score, is_lasting=not each.shares or NOVELTY in each.shares
        )
        for each in found.events
    ]
    return events, found


def results_beside(folder: Path, seconds: float) -> list[Path]:
    """The folders of scores beside one, and itself, that were written in the last ``seconds`` up to the newest one."""
    each = folders_of_scores(Path(os.path.abspath(folder)).parent)  # noqa: PTH100 - links stay
    written = {path: (path / "events.json").stat().st_mtime for path in each if (path / "events.json").exists()}
    return [path for path, when in written.items() if when >= max(written.values()) - seconds]
