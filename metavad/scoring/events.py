"""From scores over time to events that an operator reads, and the file that holds them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from metavad.errors import DataError
from metavad.files import write_text
from metavad.runs import runs
from metavad.scoring.regions import Box
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = ["Event", "alarm_intervals", "find_events", "in_alarm", "pace", "write_events_json"]


@dataclass(frozen=True)
class Event:
    """An interval over the threshold: when, where, how high, and why."""

    start: float
    """Seconds in the file."""
    end: float
    """Seconds; when the first frame after it begins."""
    peak: float
    """Seconds of the frame with the highest score."""
    score: float
    """That score; higher = more anomalous."""
    box: Box | None
    """x0, y0, x1, y1 in pixels of the file, where the peak is; none when nobody knows."""
    reason: str
    """A sentence for an operator."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Each expert's share of the surprise where it is highest; they sum to 1. Empty when nobody knows."""
    nearest_shot: int | None = None
    """Number of the shot that is nearest to it in what was shown there; none when nobody knows."""


def alarm_intervals(
    scores: FloatArray, seconds: FloatArray, threshold: float, *, merge: float = 1.0, shortest: float = 0.0
) -> IntArray:
    """Half-open intervals of frames (N, 2) with a score over ``threshold``; one equal to it is not over it.

    ``scores`` and ``seconds`` are (T,), one for each frame. Intervals at most ``merge`` seconds apart are
    one, then those shorter than ``shortest`` seconds go; both in frames of the file's median length. Raises
    :class:`DataError` on another shape or NaN.
    """
    if np.ndim(scores) != 1 or np.shape(scores) != np.shape(seconds) or np.isnan(scores).any():
        raise DataError(
            f"expected a score and a time for each frame, found shapes {np.shape(scores)} and "
            f"{np.shape(seconds)} or NaN; score every frame of the file"
        )
    _, gap = pace(seconds, merge)
    _, least = pace(seconds, shortest)
    return runs(np.asarray(scores) > threshold, merge=gap, shortest=max(1, least))


def pace(seconds: FloatArray, span: float) -> tuple[float, int]:
    """Seconds of a file's median frame, and how many of those make ``span`` seconds; ``seconds`` (T,)."""
    frame = _frame_length(seconds)
    return frame, round(span / frame) if frame > 0 else 0


def in_alarm(intervals: IntArray, frames: int) -> BoolArray:
    """Which of so many frames (T,) lie inside one of the half-open ``intervals`` (N, 2)."""
    inside = np.zeros(frames, dtype=bool)
    for start, end in intervals:
        inside[start:end] = True
    return inside


def find_events(
    scores: FloatArray,
    seconds: FloatArray,
    threshold: float,
    *,
    boxes: Sequence[Box | None] | None = None,
    explain: Callable[[int], str] | None = None,
    merge: float = 1.0,
    shortest: float = 0.0,
) -> list[Event]:
    """The events of one video, in order of time, by :func:`alarm_intervals`.

    ``boxes`` holds for each frame where its score comes from; ``explain`` is asked for the reason at the
    frame of each event's peak (its first highest frame) and for no other.
    """
    intervals = alarm_intervals(scores, seconds, threshold, merge=merge, shortest=shortest)
    if boxes is not None and len(boxes) != len(scores):
        raise DataError(f"expected a box or none for each of {len(scores)} frames, found {len(boxes)} boxes")
    ends = np.append(seconds, np.asarray(seconds)[-1:] + _frame_length(seconds))
    peaks = [int(start + np.argmax(scores[start:end])) for start, end in intervals]
    return [
        Event(
            start=float(seconds[start]),
            end=float(ends[end]),
            peak=float(seconds[peak]),
            score=float(scores[peak]),
            box=None if boxes is None else boxes[peak],
            reason="" if explain is None else explain(peak),
        )
        for (start, end), peak in zip(intervals, peaks, strict=True)
    ]


def write_events_json(path: Path, events: Sequence[Event]) -> None:
    """A list of objects: what :class:`Event` has, times in seconds to the millisecond, the box in whole pixels."""
    if not all(np.isfinite(event.score) for event in events):
        raise DataError("expected finite scores in events, found infinity, which JSON cannot hold; bound it")
    entries = [asdict(event) | _rounded(event) for event in events]
    write_text(path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def _rounded(event: Event) -> dict[str, object]:
    times = {name: round(getattr(event, name), 3) for name in ("start", "end", "peak")}
    shares = {name: round(share, 3) for name, share in event.shares.items()}
    return times | {"box": None if event.box is None else [round(value) for value in event.box], "shares": shares}


def _frame_length(seconds: FloatArray) -> float:
    """The median time between frames; 0 where a single frame has no neighbour to tell."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
