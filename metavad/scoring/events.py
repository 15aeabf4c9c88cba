"""From scores over time to events that an operator reads, and the file that holds them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from metavad.errors import DataError
from metavad.files import write_text
from metavad.recordings import frame_ends, recordings
from metavad.runs import runs
from metavad.types import BoolArray, Box, FloatArray, IntArray

__all__ = ["Event", "alarm_intervals", "find_events", "in_alarm", "merged_until", "write_events_json"]

Times = TypeVar("Times", float, FloatArray)


@dataclass(frozen=True)
class Event:
    """An interval over the threshold: when, where, how high, and why."""

    start: float
    """Seconds in the file."""
    end: float
    """Seconds; when the first frame after it begins, before a gap when the last frame in it ends."""
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
    one, then those shorter than ``shortest`` seconds go; both to half a frame. None reaches over a gap between
    recordings. Raises :class:`DataError` on another shape or NaN.
    """
    if np.ndim(scores) != 1 or np.shape(scores) != np.shape(seconds) or np.isnan(scores).any():
        raise DataError(
            f"expected a score and a time for each frame, found shapes {np.shape(scores)} and "
            f"{np.shape(seconds)} or NaN; score every frame of the file"
        )
    over, times, ends = np.asarray(scores) > threshold, np.asarray(seconds, dtype=float), frame_ends(seconds)
    parts = [start + _joined(runs(over[start:stop]), times[start:stop], merge) for start, stop in recordings(times)]
    found = np.concatenate(parts) if parts else np.zeros((0, 2), dtype=int)
    first, last = found[:, 0], found[:, 1] - 1
    kept: IntArray = found[ends[last] - times[first] >= shortest - (ends[last] - times[last]) / 2]
    return kept


def merged_until(end: Times, frame: Times, merge: float) -> Times:
    """Seconds up to which an alarm still belongs to the one whose last frame, ``frame`` seconds long, ended at ``end``.

    To half of that frame, the only one that is known by then.
    """
    return end + merge + frame / 2 - _TIE


_TIE = 1e-6
"""Seconds: what lies in the middle between two frames is too late."""


def _joined(found: IntArray, seconds: FloatArray, merge: float) -> IntArray:
    """The intervals (N, 2) of one recording, joined where one begins before the last is over for good."""
    ends, starts = found[:-1, 1], found[1:, 0]
    apart = seconds[starts] > merged_until(seconds[ends], seconds[ends] - seconds[ends - 1], merge)
    first, last = np.append(True, apart)[: len(found)], np.append(apart, True)[: len(found)]
    return np.column_stack([found[first, 0], found[last, 1]])


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
    ends = frame_ends(seconds)
    peaks = [int(start + np.argmax(scores[start:end])) for start, end in intervals]
    return [
        Event(
            start=float(seconds[start]),
            end=float(ends[end - 1]),
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
