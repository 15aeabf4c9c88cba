"""What scoring writes of a video: a folder of scores, events with pictures, and what they are the result of."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from metavad import __version__
from metavad.clock import StartTime, StartTimeSource, time_at
from metavad.errors import OutputError
from metavad.files import atomic_path, is_free, write_text
from metavad.normality.detector import Detector
from metavad.normality.threshold import Promise, alarms_at
from metavad.progress import SILENT, Progress
from metavad.recordings import recordings, without_gaps
from metavad.scenes.cache import content_key
from metavad.scenes.scene import Video
from metavad.scenes.video import probe
from metavad.scoring.before import Past, digest_of
from metavad.scoring.events import LONGEST, Event, EventMerger, FoundEvent, find_events, in_events
from metavad.scoring.frames import FrameScore, TickScore
from metavad.scoring.novelty import Stood
from metavad.scoring.patch_pictures import PatchPictures, inside_crop
from metavad.scoring.pictures import EventPicture, event_picture
from metavad.scoring.pixel_box import PixelBox, pixel_box
from metavad.scoring.stream import score_after
from metavad.types import FloatArray

__all__ = [
    "ANNOTATED",
    "RESULT",
    "EventRecord",
    "EventsRecord",
    "NearestShot",
    "OtherDetectorError",
    "Outline",
    "PeakRecord",
    "RegimeRecord",
    "Result",
    "check_place",
    "events_again",
    "folders_of_scores",
    "known_before",
    "read_result",
    "result_of",
    "write_result",
    "write_stream",
]

ANNOTATED = "annotated.mp4"
"""The video with what was found drawn into it, where it was asked for."""
RESULT = "result.json"
"""What a folder of scores is the result of."""

COLUMNS = 1000
"""Columns of a timeline: about its pixels."""
PEAKS, APART = 3, 2.0
"""Highest frames that are kept of a video without an event, and seconds between two of them."""
SCORES_HEADER = "frame,seconds,score,alarm"
TIMED_HEADER = f"{SCORES_HEADER},time"
"""Where it is known when the video was taken."""


@dataclass(frozen=True)
class Outline:
    """Scores over time, a column for some frames: the middle of their time, their highest and their mean (N,)."""

    seconds: FloatArray
    """On a clock that stands still in gaps between recordings."""
    highest: FloatArray
    mean: FloatArray
    gaps: FloatArray
    """Where a recording begins after a gap (R - 1, 2): by that clock, and in the file."""

    def clock(self, second: float) -> float:
        """A time in the file by that clock."""
        past = self.gaps[self.gaps[:, 1] <= second]
        return second + float(past[-1, 0] - past[-1, 1]) if len(past) else second


class _Columns:
    """An outline of the frames at these seconds (T,) while they come."""

    def __init__(self, seconds: FloatArray) -> None:
        starts, clock = recordings(seconds)[:, 0], without_gaps(seconds)
        self._frames, self._count = max(1, len(seconds)), min(COLUMNS, max(1, len(seconds)))
        self._left_out = (seconds - clock)[starts]
        self._gaps = np.column_stack([clock, seconds])[starts[1:]]
        self._highest = np.full(self._count, -np.inf)
        self._sums = np.zeros((3, self._count))

    def add(self, frame: FrameScore) -> None:
        column = min(frame.index * self._count // self._frames, self._count - 1)
        self._highest[column] = max(self._highest[column], frame.score)
        self._sums[:, column] += (1.0, frame.seconds - self._left_out[frame.recording], frame.score)

    def add_all(self, seconds: FloatArray, scores: FloatArray) -> None:
        """The scores (T,) of all frames at once."""
        place = np.arange(len(scores)) * self._count // self._frames
        np.maximum.at(self._highest, place, scores)
        for row, values in enumerate((np.ones(len(scores)), without_gaps(seconds), scores)):
            self._sums[row] += np.bincount(place, values, self._count)

    def outline(self) -> Outline:
        number, seconds, scores = self._sums[:, self._sums[0] > 0]
        return Outline(seconds / number, self._highest[self._sums[0] > 0], scores / number, self._gaps)


class _Peaks:
    """The highest frames of those that come, each the highest for ``APART`` seconds; only those with a cause."""

    def __init__(self) -> None:
        self._closed: list[FrameScore] = []
        self._open: FrameScore | None = None

    def add(self, frame: FrameScore) -> None:
        if frame.cause is None:
            return
        last = self._open
        if last is not None and frame.recording == last.recording and frame.seconds < last.seconds + APART:
            self._open = frame if frame.score > last.score else last
        else:
            self._closed, self._open = self.highest(), frame

    def highest(self) -> list[FrameScore]:
        """Highest first."""
        found = self._closed if self._open is None else [*self._closed, self._open]
        return sorted(found, key=lambda frame: -frame.score)[:PEAKS]


def write_stream(
    path: Path,
    frames: Iterable[FrameScore],
    *,
    seconds: FloatArray,
    merge: float,
    longest: float = LONGEST,
    start: datetime | None = None,
) -> tuple[list[FoundEvent], Outline, list[FrameScore]]:
    """Write scores.csv while the scores come; give the events, in order of time, an outline, and the highest frames.

    Columns ``frame, seconds, score, alarm``, and ``time`` where the ``start`` is known, a row for each frame of the
    file; whole or not at all. ``seconds`` (T,) are the times of all frames that will come, ``merge`` the seconds
    between alarms of one event, ``longest`` those that one lasts. Nothing here grows with the video's length but the
    list of events.
    """
    merger, columns, peaks = EventMerger(merge, longest), _Columns(seconds), _Peaks()
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8") as table:
        table.write((SCORES_HEADER if start is None else TIMED_HEADER) + "\n")
        for frame, inside in in_events(frames, merger, seconds):
            time = "" if start is None else f",{_time_text(start, frame.seconds)}"
            table.write(f"{frame.index},{frame.seconds:.3f},{frame.score:.9g},{int(inside)}{time}\n")
            columns.add(frame)
            peaks.add(frame)
    return merger.events, columns.outline(), peaks.highest()


def _time_text(start: datetime, seconds: float) -> str:
    """Empty beyond what dates can say."""
    time = time_at(start, seconds)
    return "" if time is None else time.isoformat(timespec="milliseconds")


class _Form(BaseModel):
    """A part of a file that other programs read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NearestShot(_Form):
    """The clip shown that is nearest to an event."""

    number: int = Field(ge=1)
    """Counted from 1."""
    video: str
    second: float
    """At which it begins in that video, by the file's own times."""


class NearestPatchRecord(_Form):
    """The patch of a clip shown that is nearest to one that surprises."""

    number: int = Field(ge=1)
    """Of the clip, counted from 1."""
    video: str
    second: float
    """Of that video, by the file's own times."""
    box: PixelBox
    """Where it is in that video."""


class PatchesRecord(_Form):
    """The two patches that a reason is about, and a picture of both."""

    box: PixelBox
    """Where the patch that surprises is."""
    nearest: NearestPatchRecord
    picture: str
    """Path in the folder of the result."""


class EventRecord(_Form):
    """One event; times are seconds in the file, to the millisecond."""

    start: float
    end: float
    peak: float
    """Of the frame with the highest score."""
    score: float
    """That score; higher = more anomalous."""
    box: PixelBox | None
    """None where nobody knows."""
    reason: str
    """A sentence for an operator."""
    shares: dict[str, float]
    """Each expert's share of the surprise where it is highest; they sum to 1 but for rounding."""
    nearest_shot: NearestShot | None
    """None where nothing was shown, or no picture of it was kept."""
    picture: str | None
    """Path in the folder of the result."""
    patches: PatchesRecord | None = None
    """Where the reason compares a patch of the picture with those that were shown, and pictures of them are kept."""
    time: AwareDatetime | None = None
    """When it starts; None where nobody knows when the video was taken."""
    regime: str = ""
    """The camera's regime at the peak; empty where only one is known, and it is of that."""


class RegimeRecord(_Form):
    """A regime and the time that it lasts, in seconds of the file."""

    name: str
    """``unknown light`` where no normal footage showed it."""
    start: float
    end: float
    """When the first frame of the next one begins, or the last one of the video."""


class PeakRecord(_Form):
    """Where the score is high and no alarm; times are seconds in the file, to the millisecond."""

    second: float
    score: float
    """Of that frame; higher = more anomalous."""
    alarms_per_day: float
    """False alarms that a threshold there would mean: an estimate from normal footage, this camera's or others'."""
    box: PixelBox | None
    """None where nobody knows."""
    picture: str
    """Path in the folder of the result."""
    time: AwareDatetime | None = None
    """When that is; None where nobody knows when the video was taken."""


class EventsRecord(_Form):
    """``events.json``."""

    version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    video: str
    detector: str
    """Digest of what its scores depend on: the same over any threshold."""
    threshold: float
    """Score over which a frame alarms."""
    promise: Promise | None
    """None where the threshold was chosen afterwards."""
    merge: float = 1.0
    """Seconds up to which alarms are one event."""
    longest: float = LONGEST
    """Seconds that an event lasts at most."""
    events: tuple[EventRecord, ...]
    highest: tuple[PeakRecord, ...] = ()
    """Where there is no event, the highest frames, highest first."""
    start_time: AwareDatetime | None = None
    """When the first frame was taken; None where nobody knows."""
    start_time_source: StartTimeSource | None = None
    """Who says so: the user, or the file itself."""
    file: str | None = None
    """Path of the video from the folder of the result; None where its name is no text."""
    regimes: tuple[RegimeRecord, ...] = ()
    """The camera's regimes over the video's time; empty where only one is known, and all is of that."""


class Result(_Form):
    """``result.json``: all that scores follow from; where it is the same, so are they, wherever the video lies."""

    metavad: str = __version__
    detector: str
    """Digest."""
    fps: float | None
    video: dict[str, Any]
    """What identifies its content."""
    start_time: str | None = None
    """In UTC."""
    path: str = ""
    """Where the video was when it was scored; empty where that is no text (a name that is not UTF-8)."""
    before: str = ""
    """Digest of the pictures of what stood there before; empty where nobody knows."""


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def result_of(detector: Detector, video: Video, start: StartTime | None = None, past: Sequence[Past] = ()) -> Result:
    """What scores of this video by this detector are the result of; ``past`` is what is known of the time before it."""
    begun = None if start is None else start.time.astimezone(UTC).isoformat()
    path = os.path.abspath(video.path)  # noqa: PTH100 - a link is what it is called
    path = path if _is_text(path) else ""
    return Result(
        detector=detector.digest,
        fps=video.fps,
        video=content_key(video),
        start_time=begun,
        path=path,
        before=digest_of(past),
    )


class _Regimes:
    """The regimes of the frames that come, as long as each lasts."""

    def __init__(self) -> None:
        self._found = list[tuple[str, float, float]]()

    def seen(self, frames: Iterable[FrameScore]) -> Iterator[FrameScore]:
        """The same frames."""
        for frame in frames:
            if not self._found or self._found[-1][0] != frame.regime:
                self._until(frame.seconds)
                self._found.append((frame.regime, frame.seconds, frame.seconds))
            self._until(frame.seconds)
            yield frame

    def _until(self, seconds: float) -> None:
        if self._found:
            name, start, _ = self._found[-1]
            self._found[-1] = name, start, seconds

    @property
    def records(self) -> tuple[RegimeRecord, ...]:
        """Those that have a name."""
        return tuple(
            RegimeRecord(name=name, start=round(start, 3), end=round(end, 3))
            for name, start, end in self._found
            if name
        )


def write_result(
    folder: Path,
    detector: Detector,
    video: Video,
    result: Result,
    *,
    start: StartTime | None = None,
    stood: Sequence[Stood] = (),
    watch: Callable[[Iterator[FrameScore]], Iterator[FrameScore]] = iter,
    progress: Progress = SILENT,
) -> tuple[EventsRecord, Outline]:
    """Score a video of the detector's camera into a folder that is there; what was found, and an outline of all scores.

    ``start`` is when it was taken, ``stood`` what was there before it begins, on its clock. Every frame's score
    passes through ``watch`` on its way.

    Writes ``scores.csv``, ``events.json``, a picture of each event, or of the highest frames where there is none, and
    ``result.json``. Raises
    :class:`VideoError` as :func:`~metavad.scoring.stream.score` does.
    """
    lights = _Regimes()
    frames = lights.seen(watch(score_after(stood, detector, video, progress=progress)))
    seconds = probe(video, detector.camera.crop).seconds
    merge, longest = detector.model.scoring.merge, detector.model.scoring.longest
    begun = None if start is None else start.time
    found, outline, highest = write_stream(
        folder / "scores.csv", frames, seconds=seconds, merge=merge, longest=longest, start=begun
    )
    events = EventsRecord(
        video=video.name,
        detector=detector.scores_digest,
        threshold=round(detector.threshold, 3),
        promise=detector.promise,
        merge=merge,
        longest=longest,
        events=tuple(_recorded(folder, detector, video, each, number, begun) for number, each in enumerate(found)),
        highest=() if found else tuple(_peaks(folder, detector, video, highest, begun)),
        start_time=begun,
        start_time_source=None if start is None else start.source,
        file=_relative(video.path, folder),
        regimes=lights.records,
    )
    write_text(folder / "events.json", events.model_dump_json(indent=1, by_alias=True) + "\n")
    write_text(folder / RESULT, result.model_dump_json(indent=1))
    return events, outline


def _relative(path: Path, folder: Path) -> str | None:
    """By names alone, as a browser follows it; whole where there is no way from one to the other; none for no text."""
    try:
        found = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:  # another drive
        found = path.absolute().as_posix()
    return found if _is_text(found) else None


def _recorded(
    folder: Path, detector: Detector, video: Video, found: FoundEvent, number: int, start: datetime | None
) -> EventRecord:
    """An event as it is kept, with its picture on disk."""
    event, path, nearest, patches = found.event, None, None, None
    if found.cause is not None:
        path = f"events/{number:03d}.jpg"
        drawn = _write_picture(folder / path, detector, video, found.cause)
        nearest = drawn.nearest
        if drawn.patches is not None:
            patches = _patches(folder, f"events/{number:03d}-patches.png", detector, drawn.patches)
    return EventRecord(
        start=round(event.start, 3),
        end=round(event.end, 3),
        peak=round(event.peak, 3),
        score=round(event.score, 3),
        box=None if event.box is None else pixel_box(event.box),
        reason=event.reason,
        shares={name: round(share, 3) for name, share in event.shares.items()},
        nearest_shot=None if nearest is None else _shot(detector, nearest),
        picture=path,
        patches=patches,
        time=time_at(start, round(event.start, 3)),
        regime=event.regime,
    )


def _peaks(
    folder: Path, detector: Detector, video: Video, highest: Iterable[FrameScore], start: datetime | None
) -> Iterator[PeakRecord]:
    """The highest frames as they are kept, with their pictures on disk."""
    threshold, promised = detector.threshold, detector.promise.alarms_per_day
    for number, frame in enumerate(highest):
        if frame.cause is None:
            continue
        path = f"highest/{number:03d}.jpg"
        _write_picture(folder / path, detector, video, frame.cause)
        yield PeakRecord(
            second=round(frame.seconds, 3),
            score=round(frame.score, 3),
            alarms_per_day=round(alarms_at(detector.model, frame.score, threshold, promised, detector.own), 3),
            box=None if frame.cause.box is None else pixel_box(frame.cause.box),
            picture=path,
            time=time_at(start, round(frame.seconds, 3)),
        )


def _write_picture(path: Path, detector: Detector, video: Video, cause: TickScore) -> EventPicture:
    found = event_picture(detector, video, cause)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", found.picture)[1].tobytes())
    return found


def _patches(folder: Path, path: str, detector: Detector, found: PatchPictures) -> PatchesRecord:
    """The patches as they are kept, with their picture on disk."""
    (folder / path).write_bytes(cv2.imencode(".png", found.sheet())[1].tobytes())
    camera, nearest = detector.camera, found.nearest
    here, there = (
        pixel_box(inside_crop(box, (camera.height, camera.width), camera.crop)) for box in (nearest.here, nearest.there)
    )
    where = NearestPatchRecord(number=nearest.shot + 1, video=found.video, second=round(found.second, 3), box=there)
    return PatchesRecord(box=here, nearest=where, picture=path)


def _shot(detector: Detector, place: int) -> NearestShot:
    clip = detector.shots[place]
    return NearestShot(number=place + 1, video=clip.video, second=round(detector.began[place], 3))


def folders_of_scores(place: Path) -> list[Path]:
    """The folder of one video's scores, or those in it; raises :class:`OutputError` where there is none."""
    inside = sorted(path.parent for path in place.glob("[!.]*/scores.csv"))  # with a dot begins what is unfinished
    if (place / "scores.csv").is_file():
        return [place]
    if not inside:
        raise OutputError(f"{place}: expected what `metavad score` wrote, found no scores.csv; check the path")
    return inside


def read_result(folder: Path) -> tuple[EventsRecord, Outline]:
    """What was found, and an outline of all scores, as :func:`write_result` gave them.

    Raises :class:`OutputError` for a folder that holds anything else than scores.
    """
    record, (seconds, scores) = _read(folder)
    columns = _Columns(seconds)
    columns.add_all(seconds, scores)
    return record, columns.outline()


def _read(folder: Path) -> tuple[EventsRecord, FloatArray]:
    """The record, and seconds and score of each frame (2, T)."""
    try:
        before = EventsRecord.model_validate_json((folder / "events.json").read_bytes())
        with (folder / "scores.csv").open(encoding="utf-8") as table:
            if table.readline().strip() not in (SCORES_HEADER, TIMED_HEADER):
                raise ValueError(SCORES_HEADER)
            rows = np.loadtxt(table, delimiter=",", usecols=(1, 2), ndmin=2).reshape(-1, 2)
    except (OSError, ValueError):
        raise OutputError(
            f"{folder}: expected scores as `metavad score` wrote them, found others; score again"
        ) from None
    return before, rows.T


def events_again(folder: Path, threshold: float) -> EventsRecord:
    """The events of scores that are there, with another threshold; nothing is decoded.

    What overlaps an event that was there before has the reason, place and picture of the highest such one. Raises
    :class:`OutputError` for a folder that holds anything else than scores.
    """
    before, (seconds, scores) = _read(folder)
    found = find_events(scores, seconds, threshold, merge=before.merge, longest=before.longest)
    return before.model_copy(
        update={
            "threshold": threshold,
            "promise": None,
            "events": tuple(_again(event, before.events, before.start_time) for event in found),
            "highest": (),
        }
    )


def _again(event: Event, before: Sequence[EventRecord], start: datetime | None) -> EventRecord:
    same = [each for each in before if each.start < event.end and event.start < each.end]
    known = max(same, key=lambda each: each.score, default=None)
    times = {"start": event.start, "end": event.end, "peak": event.peak, "score": event.score}
    rounded = {name: round(value, 3) for name, value in times.items()}
    time = time_at(start, rounded["start"])
    if known is not None:
        return known.model_copy(update={**rounded, "time": time})
    nothing: dict[str, object] = {"box": None, "reason": "", "shares": {}, "nearest_shot": None, "picture": None}
    return EventRecord.model_validate(rounded | nothing | {"time": time})


class OtherDetectorError(OutputError):
    """A folder holds scores of the same video by another detector, or by another version or threshold of it."""


def check_place(place: Path, result: Result) -> bool:
    """Whether a folder holds this very result already; raises :class:`OutputError` where it holds anything else.

    What was known of the time before it may be something else: it depends on the videos that it was scored with.
    """
    if is_free(place):
        return False
    try:
        found = Result.model_validate_json((place / RESULT).read_bytes())
    except (OSError, ValidationError):
        raise OutputError(f"{place}: expected a free place for scores, found something; name another --out") from None
    if found.model_copy(update={"path": result.path, "before": result.before}) != result:
        what = next(name for name in Result.model_fields if getattr(found, name) != getattr(result, name))
        kind = OtherDetectorError if what == "detector" else OutputError
        raise kind(
            f"{place}: expected a free place for scores, found those of another {_OTHER[what]}; name another --out"
        )
    if gone := [name for name in _WRITTEN if not (place / name).is_file()]:
        raise OutputError(f"{place}: expected whole scores, found no {gone[0]}; remove the folder to score again")
    return True


def known_before(place: Path) -> str:
    """What was known of the time before a video when the scores in a folder were made: a digest of it."""
    return Result.model_validate_json((place / RESULT).read_bytes()).before


_WRITTEN = ("scores.csv", "events.json", "timeline.png")

_OTHER = {
    "metavad": "version of metavad",
    "detector": "detector, version or threshold",
    "fps": "--fps",
    "video": "video of this name",
    "start_time": "start time",
}
