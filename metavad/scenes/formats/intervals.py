"""The format for one's own labels: a table of intervals in frames or seconds."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from metavad.errors import LabelError
from metavad.scenes.formats.reading import (
    Row,
    is_of_one_video,
    labels_of_intervals,
    number_of,
    table_rows,
    whole_number,
)
from metavad.scenes.scene import LabelSource, Video
from metavad.scenes.video import probe
from metavad.types import BoolArray

__all__ = ["interval_rows", "intervals", "names_of", "own_rows"]


def interval_rows(source: LabelSource, path: Path) -> list[Row]:
    """Rows of a table of intervals; a file of one video alone may lack the column ``video``."""
    return table_rows(path, ["start", "end"] if is_of_one_video(source) else ["video", "start", "end"])


def names_of(video: Video) -> set[str]:
    """What rows of a table may call a video: its name, with or without suffix."""
    return {video.name, video.path.name, *([] if video.path.is_dir() else [f"{video.name}{video.path.suffix}"])}


def own_rows(source: LabelSource, video: Video) -> list[Row]:
    own = names_of(video)
    return [row for row in interval_rows(source, source.of(video)) if row.cells.get("video", video.name) in own]


def intervals(source: LabelSource, video: Video, frames: int) -> BoolArray:
    """A table ``video,start,end`` for one or many videos, in what the suite says is its unit."""
    rows = own_rows(source, video)
    spans = [(number_of(row["start"], row.where), number_of(row["end"], row.where)) for row in rows]
    for row, (start, end) in zip(rows, spans, strict=True):
        if source.unit is None:
            hint = 'say unit = "seconds"' if start % 1 or end % 1 else 'say unit = "frames" or unit = "seconds"'
            raise LabelError(
                f"{row.where}: expected to be told what {start:g} to {end:g} counts, found no unit; {hint} in labels"
            )
    labels = _in_seconds if source.unit == "seconds" else _in_frames
    found = labels(source, rows, spans, video, frames)
    _apart(rows, spans, inclusive=source.inclusive and source.unit == "frames")
    return found


_SLACK = 1e-6
"""Seconds by which a frame's time, a fraction, may miss the decimal number that people write."""
_Spans: TypeAlias = Sequence[tuple[float, float]]


def _apart(rows: Sequence[Row], spans: _Spans, *, inclusive: bool) -> None:
    """Refuse what is said twice: one of the two is a mistake."""
    order = sorted(range(len(rows)), key=lambda n: spans[n])
    for one, other in pairwise(order):
        if spans[other][0] < spans[one][1] or (inclusive and spans[other][0] == spans[one][1]):
            first, second = ("{:g} to {:g}".format(*spans[n]) for n in (one, other))
            raise LabelError(
                f"{rows[other].where}: expected intervals that do not meet, found {second} over {first} of "
                f"{rows[one].where.rpartition(', ')[2]}; join them"
            )


def _in_frames(source: LabelSource, rows: Sequence[Row], spans: _Spans, video: Video, frames: int) -> BoolArray:
    labels = np.zeros(frames, bool)
    for row, (start, end) in zip(rows, spans, strict=True):
        first, last = (whole_number(number, row.where) - source.first for number in (start, end))
        labels |= labels_of_intervals([(first, last + int(source.inclusive))], frames, row.where)
    return labels


def _in_seconds(source: LabelSource, rows: Sequence[Row], spans: _Spans, video: Video, frames: int) -> BoolArray:
    """A frame is abnormal when its time lies in [start, end); the last second of a video may be rounded up."""
    facts, path = probe(video), source.of(video)
    seconds = facts.seconds
    if len(seconds) != frames:
        raise LabelError(f"{path}: expected {frames} frames in {video.path}, found {len(seconds)}")
    limit = math.ceil(float(seconds[-1]) + 1 / facts.rate - 1e-6)
    labels = np.zeros(frames, bool)
    for row, (start, end) in zip(rows, spans, strict=True):
        inside = (seconds >= start - _SLACK) & (seconds < end - _SLACK)
        if not 0 <= start < end:
            raise LabelError(f"{row.where}: expected 0 <= start < end in seconds, found {start:g} to {end:g}")
        if end > limit or not inside.any():
            raise LabelError(
                f"{row.where}: expected seconds inside 0 to {limit}, the length of {video.name}, found {start:g} to "
                f"{end:g}; are these frames?"
            )
        labels |= inside
    return labels
