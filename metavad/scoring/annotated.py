"""A video with what was found drawn into it: boxes, the score map, and a strip with the score over time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.codec import Codec
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from metavad.errors import OutputError
from metavad.files import atomic_path
from metavad.progress import SILENT, Progress
from metavad.recordings import without_gaps
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import probe, read_colours
from metavad.scoring.painting import Painter, Shown
from metavad.scoring.results import EventsRecord, Outline
from metavad.scoring.tick_log import DrawnTick, TickLog
from metavad.types import IntArray

__all__ = ["check_encoder", "write_annotated"]

RATE = 15.0
"""Frames a second at most."""
ENCODER = "libx264"
OPTIONS = {"preset": "veryfast", "crf": "24", "g": "30"}
"""A key frame every two seconds: where a player may go to at once."""
UNITS = 1000
"""Of a second, in which frames have their times."""


def check_encoder() -> None:
    """Raises :class:`OutputError` where PyAV cannot write H.264."""
    try:
        Codec(ENCODER, "w")
    except av.codec.codec.UnknownCodecError:
        raise OutputError(
            f"--video: expected PyAV with the encoder {ENCODER}, found one without; "
            "install av from PyPI again, or leave --video out"
        ) from None


def write_annotated(
    path: Path,
    video: Video,
    crop: Crop,
    found: tuple[EventsRecord, Outline],
    log: TickLog,
    scores: Path,
    *,
    progress: Progress = SILENT,
) -> None:
    """Write an H.264 video in MP4, at most ``RATE`` frames a second, whole or not at all; one frame is in memory.

    ``crop`` is that of the camera, ``log`` has the ticks, ``scores`` is the table of all frames. Gaps between
    recordings are left out.
    """
    record, outline = found
    facts = probe(video)
    chosen, clock = _chosen(facts.frames, facts.rate), without_gaps(facts.seconds)
    painter = Painter((facts.height, facts.width), crop, record, outline)
    with (
        progress.task(f"Drawing {video.name}", len(chosen)) as task,
        atomic_path(path) as beside,
        av.open(str(beside), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = _stream(container, painter.size)
        last = -1
        for frame, tick, picture in zip(
            _scored(scores, chosen), _ticks(log, chosen), read_colours(video, chosen.tolist()), strict=True
        ):
            last = max(last + 1, round(clock[frame.index] * UNITS))
            shown = Shown(frame.seconds, float(clock[frame.index]), frame.score, frame.inside)
            drawn = VideoFrame.from_ndarray(painter.paint(picture, shown, tick), format="bgr24")
            drawn.pts, drawn.time_base = last, Fraction(1, UNITS)
            container.mux(stream.encode(drawn))
            task.advance()
        container.mux(stream.encode(None))


def _chosen(frames: int, rate: float) -> IntArray:
    """Every frame, or every n-th of a fast video, so that it moves evenly."""
    return np.arange(0, frames, max(1, math.ceil(rate / RATE - 0.01)))


def _stream(container: OutputContainer, size: tuple[int, int]) -> VideoStream:
    stream: VideoStream = container.add_stream("libx264", rate=round(RATE), options=OPTIONS)
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, UNITS)
    return stream


@dataclass(frozen=True)
class _Scored:
    """A row of the table of scores."""

    index: int
    seconds: float
    score: float
    inside: bool
    """Of an event."""


def _scored(scores: Path, chosen: IntArray) -> Iterator[_Scored]:
    """The rows of these frames, rising."""
    with scores.open(encoding="utf-8") as table:
        next(table)
        at = 0
        for index in chosen.tolist():
            row = next(islice(table, index - at, None)).split(",")
            at = index + 1
            yield _Scored(index, float(row[1]), float(row[2]), row[3].strip() == "1")


def _ticks(log: TickLog, chosen: IntArray) -> Iterator[DrawnTick | None]:
    """The tick that holds at each of these frames, rising."""
    coming, current = log.ticks(), None
    following = next(coming, None)
    for index in chosen.tolist():
        while following is not None and following.index <= index:
            current, following = following, next(coming, None)
        yield current
