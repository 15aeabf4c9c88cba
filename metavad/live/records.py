"""What was watched, in the form that other programs read: messages, ``metavad events --json`` and ``--csv``."""

from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from metavad.live.index import StoredEvent, Verdict, Withheld
from metavad.live.types import Clock, Condition, ConditionKind
from metavad.scoring.explain import whereabouts
from metavad.scoring.pixel_box import PixelBox, pixel_box

__all__ = [
    "CSV_COLUMNS",
    "ConditionRecord",
    "WatchedEvent",
    "WatchedEvents",
    "condition_record",
    "csv_row",
    "place_of",
    "spelled_time",
    "watched_event",
]


class _Form(BaseModel):
    """A part of a text that other programs read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Time = str | float
"""ISO 8601 with its distance from UTC; of a file that was watched, seconds in it."""


class WatchedEvent(_Form):
    """One event of a watched camera."""

    id: str
    camera: str
    detector: str
    """Digest of what the scores of the version that raised it depend on: the same over any threshold."""
    start: Time
    end: Time
    """While it goes on, the last alarm by now."""
    peak: Time
    seconds: float
    """From start to end."""
    score: float
    """The highest frame score; higher = more anomalous."""
    threshold: float
    """Score over which a frame alarms."""
    box: PixelBox | None
    place: str
    """Of the box's middle, in words; empty where nobody knows."""
    reason: str
    shares: dict[str, float]
    """Each expert's share of the surprise; they sum to 1 but for rounding."""
    is_over: bool
    is_cut: bool
    """The stream ended while it went on."""
    linked_to: str | None
    """The event that a gap cut and that goes on in this one."""
    announced: Time | None
    """When somebody was told; null where nobody was."""
    withheld: Withheld | None
    """Why not."""
    condition: ConditionKind | None
    """What happened to the whole picture meanwhile."""
    verdict: Verdict | None
    """What a person said of it."""
    snapshot: str | None
    """Paths in the folder of the events."""
    clip: str | None
    frames: str | None
    patches: str | None
    """Of a picture of the patch that surprises, beside the nearest that was shown."""
    missing: str | None
    """Why a picture or a clip is not there."""


class ConditionRecord(_Form):
    """Something that happened to the whole picture of a camera."""

    camera: str
    kind: ConditionKind
    start: Time
    end: Time | None
    text: str


class WatchedEvents(_Form):
    """What ``metavad events --json`` writes of a watched folder."""

    version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    threshold: float | None = None
    """Where the events are what another threshold would have given; null: as they were found."""
    events: tuple[WatchedEvent, ...]
    conditions: tuple[ConditionRecord, ...] = ()


def watched_event(stored: StoredEvent, zone: tzinfo | None = None) -> WatchedEvent:
    """An event for other programs; times in this zone, else in that of the machine."""
    event = stored.event

    def time(seconds: float) -> Time:
        return spelled_time(seconds, event.clock, zone)

    return WatchedEvent(
        id=event.id,
        camera=event.camera,
        detector=event.detector,
        start=time(event.start),
        end=time(event.end),
        peak=time(event.peak),
        seconds=round(event.end - event.start, 3),
        score=round(event.score, 3),
        threshold=round(event.threshold, 3),
        box=None if event.box is None else pixel_box(event.box),
        place=place_of(stored),
        reason=event.reason,
        shares={name: round(share, 3) for name, share in event.shares.items()},
        is_over=event.is_over,
        is_cut=event.is_cut,
        linked_to=event.linked_to,
        announced=None if stored.announced is None else time(stored.announced),
        withheld=stored.withheld,
        condition=event.condition,
        verdict=stored.verdict,
        snapshot=stored.snapshot,
        clip=stored.clip,
        frames=stored.frames,
        patches=stored.patches,
        missing=stored.missing,
    )


def condition_record(camera: str, condition: Condition, clock: Clock, zone: tzinfo | None = None) -> ConditionRecord:
    """A condition for other programs."""
    end = None if condition.end is None else spelled_time(condition.end, clock, zone)
    start = spelled_time(condition.start, clock, zone)
    return ConditionRecord(camera=camera, kind=condition.kind, start=start, end=end, text=condition.text)


def spelled_time(seconds: float, clock: Clock, zone: tzinfo | None = None) -> Time:
    """A time for people and programs.

    >>> spelled_time(1.25, "utc", UTC), spelled_time(1.23456, "file")
    ('1970-01-01T00:00:01.250+00:00', 1.235)
    """
    if clock == "file":
        return round(seconds, 3)
    when = datetime.fromtimestamp(round(seconds, 3), UTC)
    return when.astimezone(zone).isoformat(timespec="milliseconds")


def place_of(stored: StoredEvent) -> str:
    """Where the middle of an event's box is, in thirds of the picture; empty where nobody knows."""
    box, size = stored.event.box, stored.size
    if box is None or size is None:
        return ""
    return whereabouts(((box[1] + box[3]) / 2 / size[0], (box[0] + box[2]) / 2 / size[1]))


CSV_COLUMNS = (
    *("id", "camera", "start", "end", "peak", "seconds", "score", "threshold", "x", "y", "width", "height", "place"),
    *("reason", "is_over", "is_cut", "linked_to", "announced", "withheld", "condition", "verdict"),
    *("snapshot", "clip", "frames", "detector"),
)


def csv_row(event: WatchedEvent) -> dict[str, Any]:
    """An event by the columns of a table."""
    flat = event.model_dump(exclude={"box", "shares", "patches"})
    return flat | (dict.fromkeys(("x", "y", "width", "height")) if event.box is None else event.box.model_dump())
