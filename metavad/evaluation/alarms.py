"""What an operator feels: false alarms per hour, how late an alarm comes, how late a score comes.

Alarms are one array (N, 2) for each video: half-open intervals of frames, as :func:`metavad.runs.runs` gives
them (say with which threshold and merge). Labels are (T,) for each video, true = abnormal; seconds
(T,) for each video are the times of its frames, so that variable frame rates are right. The definitions are
ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metavad.errors import DataError
from metavad.recordings import frame_ends, without_gaps
from metavad.runs import runs
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = ["Delay", "detection_delay", "false_alarms_per_hour", "score_latency"]


@dataclass(frozen=True)
class Delay:
    """How late true events are found: ``median`` seconds of those found, else NaN."""

    median: float
    missed: float
    """Share of events without an alarm frame inside, in [0, 1]; NaN without events."""


def false_alarms_per_hour(
    alarms: Sequence[IntArray], labels: Sequence[BoolArray], seconds: Sequence[FloatArray]
) -> float:
    """Alarms that overlap no abnormal frame, over the hours of normal video.

    A frame lasts until the next one, the last of a recording as long as its median: time without pictures is not
    watched. NaN without any such video.
    """
    _check(alarms, labels, seconds)
    false = sum(not np.any(label[start:end]) for rows, label in zip(alarms, labels, strict=True) for start, end in rows)
    watched = sum(
        float((frame_ends(times) - times)[~np.asarray(label, bool)].sum())
        for label, times in zip(labels, seconds, strict=True)
    )
    return 3600 * false / watched if watched > 0 else float("nan")


def detection_delay(
    alarms: Sequence[IntArray],
    labels: Sequence[BoolArray],
    seconds: Sequence[FloatArray],
    *,
    merge: int = 0,
) -> Delay:
    """For every true event the seconds from its start to the first alarm frame inside it; causal scores only.

    An alarm that began earlier and lasts into the event counts as 0, and so does a gap between recordings. ``merge``
    joins true events that so many frames part: label files have holes of a few frames.
    """
    _check(alarms, labels, seconds)
    delays = [
        _first_inside(rows, start, end, without_gaps(times))
        for rows, label, times in zip(alarms, labels, seconds, strict=True)
        for start, end in runs(np.asarray(label, dtype=bool), merge=merge)
    ]
    found = [delay for delay in delays if delay is not None]
    missed = 1 - len(found) / len(delays) if delays else float("nan")
    return Delay(_median(found), missed)


def score_latency(seconds: FloatArray, given: FloatArray) -> float:
    """Median seconds from the time of each frame (N,) to the time its score was given (N,), on the same clock.

    NaN without frames. What looks ahead (smoothing) and what computes (the detector) both show here.
    """
    if np.shape(seconds) != np.shape(given) or np.isnan(given).any() or np.isnan(seconds).any():
        raise DataError(
            f"expected a time for each frame and each score, found {np.shape(seconds)} and {np.shape(given)} "
            "or NaN; leave out frames that were never scored"
        )
    late = np.asarray(given, dtype=float) - np.asarray(seconds, dtype=float)
    return _median(late)


def _check(alarms: Sequence[IntArray], labels: Sequence[BoolArray], seconds: Sequence[FloatArray]) -> None:
    if not len(alarms) == len(labels) == len(seconds):
        raise DataError(
            f"expected alarms, labels and times of the same videos, found {len(alarms)}, {len(labels)} and "
            f"{len(seconds)}; a video without alarms has an array (0, 2)"
        )
    for video, (rows, label, times) in enumerate(zip(alarms, labels, seconds, strict=True)):
        if np.ndim(rows) != 2 or np.shape(rows)[1] != 2 or np.shape(label) != np.shape(times):
            raise DataError(
                f"video {video}: expected alarms (N, 2) and as many labels as times, found {np.shape(rows)}, "
                f"{np.shape(label)} and {np.shape(times)}; alarms are half-open intervals of frames"
            )
        if np.size(rows) and not (np.min(rows) >= 0 and np.max(rows) <= np.size(label)):
            raise DataError(
                f"video {video}: expected alarms within frames 0 to {np.size(label)}, found "
                f"{np.min(rows)} to {np.max(rows)}; frames are those of the file"
            )


def _first_inside(alarms: IntArray, start: int, end: int, seconds: FloatArray) -> float | None:
    firsts = [max(first, start) for first, last in alarms if first < end and last > start]
    return float(seconds[min(firsts)] - seconds[start]) if firsts else None


def _median(values: Sequence[float] | FloatArray) -> float:
    return float(np.quantile(values, 0.5)) if len(values) else float("nan")
