"""Where an event of a watched camera is to be seen again: in the working pictures that were kept of it."""

from datetime import UTC, datetime
from pathlib import Path

from metavad.live.clips import frames_begin
from metavad.live.index import INDEX, Index, StoredEvent
from metavad.normality.memory_bank import NOVELTY
from metavad.scenes.scene import Crop, Video
from metavad.scoring.event_clip import EventClip

__all__ = ["clip_of_event", "confirmed_events"]


def clip_of_event(folder: Path, stored: StoredEvent) -> EventClip | None:
    """The working pictures of an event of this folder; none where there are none."""
    event = stored.event
    if stored.frames is None or (begins := frames_begin(folder / stored.frames)) is None:
        return None
    when = f"{event.start:.1f} to {event.end:.1f} s"
    if event.clock == "utc":
        first, last = (datetime.fromtimestamp(each, UTC) for each in (event.start, event.end))
        when = f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC"
    return EventClip(
        Video(event.id, folder / stored.frames),
        event.start - begins,
        event.end - begins,
        event.peak - begins,
        event.score,
        f"camera {event.camera}",
        begins,
        Crop(),
        f"{event.camera}, {when}",
        not event.shares or NOVELTY in event.shares,
    )


def confirmed_events(folder: Path, camera: str) -> list[StoredEvent]:
    """The events of a camera that somebody confirmed as abnormal, in order of time; none where nothing is kept."""
    if not (folder / INDEX).is_file():
        return []
    with Index(folder) as index:
        return [each for each in index.events(camera=camera) if each.verdict == "abnormal"]
