"""What passes between the parts that watch a camera: values, and what each part expects of the next.

``watch`` reads a source, scores its frames, and gives what it finds to an :class:`EventSink`. A sink may wrap another
one: rules around a store, for example. Every time is in seconds on the *clock of the camera*: UTC (seconds since 1970)
for streams, webcams, pipes and folders that grow; seconds in the file for a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from metavad.types import Box, ByteArray, FloatArray

__all__ = ["CameraEvent", "Clock", "Condition", "ConditionKind", "Conditions", "EventSink", "ScoredFrame", "Snapshot"]

Clock: TypeAlias = Literal["utc", "file"]
"""What the seconds of a camera are: since 1970 in UTC, or since the first frame of its file."""

ConditionKind: TypeAlias = Literal["light", "shaking", "moved", "covered", "frozen"]
"""What may happen to a whole picture: it is no event of the scene."""


@dataclass(frozen=True)
class CameraEvent:
    """An event of a watched camera, as far as it is known; the next state of it has the same ``id``."""

    id: str
    """Of letters, digits, ``-`` and ``.``: a name of a file and an argument. The later one sorts after the earlier."""
    camera: str
    detector: str
    """That of the version that raised it: its ``scores_digest``."""
    clock: Clock
    start: float
    end: float
    """While it goes on, the last alarm by now."""
    peak: float
    """Seconds of the frame with the highest score by now."""
    score: float
    """That score; higher = more anomalous."""
    threshold: float
    """Score over which it is an event."""
    box: Box | None
    """x0, y0, x1, y1 in pixels of the camera's whole picture; none when nobody knows."""
    reason: str
    """A sentence for an operator; empty when nobody knows."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Each expert's share of the surprise; they sum to 1, or there are none."""
    is_over: bool = False
    is_cut: bool = False
    """No frames came any more while it went on: where it ended is not known."""
    linked_to: str | None = None
    """The id of the event that was cut by a gap and goes on in this one: whoever was told of that is not told again."""
    condition: ConditionKind | None = None
    """What happened to the whole picture meanwhile; it is no alarm then, unless it is local."""
    is_local: bool = False
    """What surprises lies in one place, and not all over the picture, as what happened to it would make it."""


@dataclass(frozen=True)
class Snapshot:
    """The moment that surprises most in an event, by now."""

    seconds: float
    jpeg: bytes
    """The picture, in colour where the camera has colours; at most ``watch.PICTURE_HEIGHT`` pixels high."""
    size: tuple[int, int]
    """Height and width of the camera's whole picture, in whose pixels the box is."""
    box: Box | None
    heat: FloatArray | None = None
    """Surprise (h, w), in nats, over the cropped picture; none where it is not known."""
    patches: ByteArray | None = None
    """The patch that surprises beside the nearest that was shown (H, W, 3), blue-green-red; where the reason is about
    these."""


@dataclass(frozen=True)
class ScoredFrame:
    """A frame whose score is final: what clips and other thresholds are made of."""

    seconds: float
    score: float
    alarm: bool
    """Over the threshold."""
    recording: int
    """Counted on; another one begins where no frames came for a while."""
    box: Box | None = None
    jpeg: bytes | None = None
    """As that of :class:`Snapshot`; only about ten frames a second have one."""
    working: ByteArray | None = None
    """The working picture (H, W), grey, as the detector reads it; only ticks have one. It may become a shot."""


@dataclass(frozen=True)
class Condition:
    """Something that happens, or happened, to the whole picture."""

    kind: ConditionKind
    start: float
    end: float | None
    """None while it lasts."""
    text: str
    """A sentence for an operator, with what to do about it."""


class EventSink(Protocol):
    """What takes what ``watch`` finds. Whatever a call was given is durable when it returns."""

    def opened(self, event: CameraEvent, snapshot: Snapshot | None) -> None:
        """An event has begun. The same id may come again after a restart, and is the same event then."""

    def ongoing(self, event: CameraEvent, snapshot: Snapshot | None) -> None:
        """About once a second of an event that goes on; ``snapshot`` only where a higher moment has come."""

    def closed(self, event: CameraEvent, snapshot: Snapshot | None) -> None:
        """An event is over. Frames of the time after it, for its clip, may still come."""

    def unfinished(self) -> Sequence[CameraEvent]:
        """Events that have begun and are not over: after a restart, those that the end of the process has cut."""

    def known_until(self) -> float:
        """Seconds up to which the scores of this camera are kept; ``-inf`` where none are."""

    def frames(self, frames: Sequence[ScoredFrame]) -> None:
        """The next frames, in order of time, each once; those of an event come with, or before, its changes."""

    def version(self, detector: str, threshold: float) -> None:
        """The next frames are scored by another version of the detector: its digest, and its threshold.

        An event that goes on is still one of the version that raised it.
        """

    def condition(self, condition: Condition) -> None:
        """Something begins to happen to the whole picture (its ``end`` is none), or is over."""

    def close(self) -> None:
        """Nothing more comes: write what is left, and let go of files and threads."""


class Conditions(Protocol):
    """What tells from pictures alone what happens to the whole picture."""

    def push(self, picture: ByteArray, seconds: float) -> Sequence[Condition]:
        """The next picture, grey (H, W), about ten a second; the conditions that begin or end with it.

        Its size is that of the detector's working pictures. A gap of time is one: what went on before it is over.
        """

    def during(self, start: float, end: float) -> ConditionKind | None:
        """What explains an event of this time, where something does; of the last minute at least."""
