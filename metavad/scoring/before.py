"""What stood at a camera in the ten minutes before a video, or a part of one, begins."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter

import numpy as np

from metavad.normality.detector import Detector
from metavad.progress import SILENT, Progress, along
from metavad.recordings import frame_ends
from metavad.scenes.cache import Store, content_key, video_facts
from metavad.scenes.scene import Crop, Video
from metavad.scoring.looks import looks
from metavad.scoring.novelty import BEFORE, EVERY, Stood
from metavad.types import ByteArray, FloatArray

__all__ = ["Clocks", "Past", "digest_of", "stood_in"]

_SLACK = 1e-3
"""Seconds: whoever says when videos begin says it by the millisecond."""
_HELD = 4
"""Videos whose times are held."""


@dataclass(frozen=True)
class Past:
    """A frame before the one that is scored first."""

    video: Video
    frame: int
    seconds: float
    """On the clock of the video that is scored."""


class Clocks:
    """When the frames of a camera's videos were taken: of each by its own clock, and of several by one."""

    def __init__(self, crop: Crop, store: Store, begins: Mapping[Video, float] | None = None) -> None:
        """``begins`` says where the times of videos are 0, in seconds on one clock; those that it lacks have their own
        alone."""
        self._crop, self._store, self.begins = crop, store, dict(begins or {})
        self._times = lru_cache(maxsize=_HELD)(self._read)

    def in_a_row(self, videos: Sequence[Video]) -> "Clocks":
        """The same where each of these goes on where the one before it ends; the first begins at 0."""
        over, begins = 0.0, dict[Video, float]()
        for video in videos:
            starts, ends = self._times(video)
            begins[video] = over - float(starts[0])
            over += float(ends[-1] - starts[0])
        return Clocks(self._crop, self._store, begins)

    def past(self, video: Video, frame: int) -> tuple[Past, ...]:
        """A frame of each of the ten minutes before a frame of a video, the earliest first; those that nobody has are
        left out."""
        start = float(self._times(video)[0][frame])
        times = [start - number * EVERY for number in range(round(BEFORE / EVERY), 0, -1)]
        found = ((self._own(video, frame, time) or self._others(video, time)) for time in times)
        return tuple(each for each in found if each is not None)

    def _own(self, video: Video, before: int, time: float) -> Past | None:
        shown = self._shown(video, time)
        return None if shown is None or shown >= before else Past(video, shown, time)

    def _others(self, video: Video, time: float) -> Past | None:
        if video not in self.begins:
            return None
        now = time + self.begins[video]
        for begin, other in reversed(self._rising[: bisect_right(self._rising, now + _SLACK, key=itemgetter(0))]):
            if begin < now - self._longest:
                break
            shown = None if other == video else self._shown(other, now - begin)
            if shown is not None:
                return Past(other, shown, time)
        return None

    @cached_property
    def _rising(self) -> list[tuple[float, Video]]:
        """When each begins, the earliest first."""
        return sorted(((begin, video) for video, begin in self.begins.items()), key=itemgetter(0))

    @cached_property
    def _longest(self) -> float:
        """Of all of them, the last time on a video's own clock."""
        return max(float(self._times(video)[1][-1]) for video in self.begins)

    def _shown(self, video: Video, time: float) -> int | None:
        """The frame that a video shows at a time of its own; none before the first, in a gap and after the last."""
        starts, ends = self._times(video)
        frame = int(np.searchsorted(starts, time + _SLACK, side="right")) - 1
        return frame if frame >= 0 and time < ends[frame] - _SLACK else None

    def _read(self, video: Video) -> tuple[FloatArray, FloatArray]:
        """When each frame begins and ends."""
        seconds = video_facts(self._store, video, self._crop).seconds
        return seconds, frame_ends(seconds)


def stood_in(
    detector: Detector, pasts: Sequence[Sequence[Past]], store: Store, progress: Progress = SILENT
) -> list[tuple[Stood, ...]]:
    """What was there in each of several pasts; a picture is looked at once."""
    wanted = dict[Video, set[int]]()
    for each in (each for past in pasts for each in past):
        wanted.setdefault(each.video, set()).add(each.frame)
    rows = dict[tuple[Video, int], ByteArray]()
    for video, frames in along(progress, "Looking at what stood there", list(wanted.items())):
        rising = np.array(sorted(frames))
        rows |= {(video, int(n)): row for n, row in zip(rising, looks(detector, video, rising, store), strict=True)}
    return [tuple((each.seconds, rows[each.video, each.frame]) for each in past) for past in pasts]


def digest_of(past: Sequence[Past]) -> str:
    """Of all that it depends on; empty for none."""
    if not past:
        return ""
    named = [[content_key(each.video), each.frame, round(each.seconds, 3)] for each in past]
    return hashlib.sha256(json.dumps(named, sort_keys=True, default=str).encode()).hexdigest()[:12]
