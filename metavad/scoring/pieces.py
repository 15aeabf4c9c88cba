"""Which pieces of a camera's own footage are scored: all of it, or as much as is asked for, spread evenly."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from metavad.errors import UsageError, VideoError
from metavad.normality.detector import Detector
from metavad.normality.threshold import needed_seconds
from metavad.recordings import frame_ends, without_gaps
from metavad.scenes.cache import Store, video_facts
from metavad.scenes.scene import Scene, Video
from metavad.types import FloatArray

__all__ = ["BANK_SECONDS", "TIE", "Piece", "has_a_bank", "pieces_of", "planned_seconds"]

SPARE = 1.05
"""Footage that is scored, by what the promise needs: a little of each piece does not count."""
PIECES, SHORTEST, LONGEST = 60, 10.0, 300.0
"""Into how many pieces a budget is spread, about, and the seconds that one has at least and at most."""
BANK_SECONDS = 3600.0
"""Footage from which on a memory bank is kept of it."""
TIE, _SLACK = 1e-6, 1.0
"""Seconds: times nearer than that are the same; an hour of pieces is shorter by rounding."""


@dataclass(frozen=True)
class Piece:
    """Frames of a normal video that are scored in one go."""

    video: Video
    frames: tuple[int, int]
    """Half-open."""
    seconds: float
    clock: float
    """When it begins, on a clock that goes on from video to video."""


def pieces_of(
    detector: Detector, scene: Scene, *, budget: float | None = None, store: Store | None = None
) -> list[Piece]:
    """The footage that is scored: all, or as much as the budget says in pieces that are spread evenly.

    Raises :class:`VideoError` where a video has pictures of another size than the camera's.
    """
    if budget is not None and not 0 <= budget < math.inf:
        raise UsageError(f"budget: expected seconds of footage from 0 on, found {budget:g}")
    needed = max(SPARE * needed_seconds(detector.promise.alarms_per_day), BANK_SECONDS)
    wanted = needed if budget is None else budget
    store = store or Store()
    _check_sizes(detector, scene, store)
    clocks = [_clock(detector, scene, video, store) for video in scene.normal]
    total = sum(clock[-1] for _, clock in clocks)
    length = min(max(wanted / PIECES, SHORTEST), LONGEST)
    count = math.ceil(wanted / length)
    if not count:
        stretches = []
    elif total <= wanted:
        # A memory bank is made of pieces; of less footage there is none.
        edges = np.arange(0.0, total, LONGEST if total >= BANK_SECONDS - _SLACK else math.inf).tolist()
        stretches = list(zip(edges, [*edges[1:], total], strict=True))
    else:
        stretches = [(middle - length / 2, middle + length / 2) for middle in (np.arange(count) + 0.5) * total / count]
    return list(_cut(scene.normal, clocks, stretches))


def planned_seconds(pieces: Sequence[Piece]) -> float:
    """How long the footage of pieces is."""
    return sum(piece.seconds for piece in pieces)


def has_a_bank(pieces: Sequence[Piece]) -> bool:
    """Whether this footage is enough for a memory bank."""
    return planned_seconds(pieces) >= BANK_SECONDS - _SLACK


def _check_sizes(detector: Detector, scene: Scene, store: Store) -> None:
    camera = detector.camera
    for video in scene.normal:
        facts = video_facts(store, video, camera.crop)
        if (facts.height, facts.width) != (camera.height, camera.width):
            raise VideoError(
                f"{video.path}: expected pictures of the size that the clips have ({camera.width}x{camera.height}), "
                f"found {facts.width}x{facts.height}; give the videos of one camera"
            )


def _clock(detector: Detector, scene: Scene, video: Video, store: Store) -> tuple[int, FloatArray]:
    """The first normal frame of a video, and when each ends or begins on a clock without gaps: (T + 1,) from 0."""
    seconds = video_facts(store, video, detector.camera.crop).seconds
    first, end = scene.normal_frames or (0, len(seconds))
    clock = without_gaps(seconds)
    over = clock[-1:] + (frame_ends(seconds) - seconds)[-1:]
    part = np.concatenate([clock, over])[first : min(end, len(seconds)) + 1]
    return first, part - part[0]


def _cut(
    videos: Sequence[Video], clocks: Sequence[tuple[int, FloatArray]], stretches: Sequence[tuple[float, float]]
) -> Iterator[Piece]:
    """The pieces of stretches of all videos' time, one after the other."""
    begun = 0.0
    for video, (first, clock) in zip(videos, clocks, strict=True):
        for start, end in stretches:
            low, high = np.searchsorted(clock, [start - begun - TIE, end - begun - TIE]).tolist()
            high = min(high, len(clock) - 1)
            if end > begun and low < high and clock[low] < clock[high]:
                yield Piece(video, (first + low, first + high), float(clock[high] - clock[low]), begun + clock[low])
        begun += clock[-1]
