"""What stood at a camera in the ten minutes before a video, or a part of one, begins."""

import hashlib
import json
import warnings
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from operator import itemgetter

import numpy as np

from metavad.errors import FootageWarning
from metavad.normality.detector import Detector
from metavad.progress import SILENT, Progress, along
from metavad.recordings import frame_ends
from metavad.scenes.cache import Store, content_key, video_facts
from metavad.scenes.listing import natural
from metavad.scenes.scene import Crop, Video
from metavad.scoring.looks import looks
from metavad.scoring.novelty import BEFORE, EVERY, Stood
from metavad.types import ByteArray, FloatArray

__all__ = ["Clocks", "Past", "clocks_of", "digest_of", "stood_in", "warn_of_order"]

_SLACK = 1e-3
"""Seconds: times nearer than that are the same."""
_COVERED = 0.5
"""Share of a video that may be in another one too, as where recordings begin a little before what they are of."""
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

    def believed(self) -> "Clocks":
        """The same; without the times of several where two cover each other: no camera records two videos at once."""
        for (begin, one), (later, other) in pairwise(self._rising):
            covered = begin + float(self._times(one)[1][-1]) - later
            if covered > _COVERED * min(self._length(one), self._length(other)):
                warnings.warn(
                    f"{one.path} and {other.path}: expected times that follow each other, found some that overlap; "
                    "what stands at the end of one video counts as new in the next (--consecutive says that it is not)",
                    FootageWarning,
                    stacklevel=2,
                )
                return Clocks(self._crop, self._store)
        return self

    def past(self, video: Video, frame: int) -> tuple[Past, ...]:
        """Frames of the ten minutes before a frame of a video, a minute or more apart, the earliest first.

        They are the latest that the video itself or another one shows: as somebody who looked once a minute would have
        seen them, as long as there was something to see.
        """
        start = float(self._times(video)[0][frame])
        time, found = start - EVERY, list[Past]()
        while time >= start - BEFORE - _SLACK:
            known = (self._own(video, frame, time), self._others(video, time))
            latest = max((each for each in known if each is not None), key=lambda each: each.seconds, default=None)
            if latest is None or latest.seconds < start - BEFORE - _SLACK:
                break
            found.append(latest)
            time = latest.seconds - EVERY
        return tuple(reversed(found))

    def _own(self, video: Video, before: int, time: float) -> Past | None:
        found = self._latest(video, video, time, 0.0)
        return None if found is None or found.frame >= before else found

    def _others(self, video: Video, time: float) -> Past | None:
        if video not in self.begins:
            return None
        now, best = time + self.begins[video], None
        for begin, other in reversed(self._rising[: bisect_right(self._rising, now + _SLACK, key=itemgetter(0))]):
            if begin + self._longest < (now - BEFORE if best is None else best.seconds + self.begins[video]):
                break
            found = None if other == video else self._latest(video, other, time, self.begins[video] - begin)
            if found is not None and (best is None or found.seconds > best.seconds):
                best = found
        return best

    def _latest(self, video: Video, shown: Video, time: float, away: float) -> Past | None:
        """What a video shows last up to a time of another one, whose clock is so many seconds behind."""
        starts, ends = self._times(shown)
        frame = int(np.searchsorted(starts, time + away + _SLACK, side="right")) - 1
        return None if frame < 0 else Past(shown, frame, min(time, float(ends[frame]) - away))

    @cached_property
    def _rising(self) -> list[tuple[float, Video]]:
        """When each begins, the earliest first."""
        return sorted(((begin, video) for video, begin in self.begins.items()), key=itemgetter(0))

    @cached_property
    def _longest(self) -> float:
        """Of all of them, the last time on a video's own clock."""
        return max(float(self._times(video)[1][-1]) for video in self.begins)

    def _length(self, video: Video) -> float:
        starts, ends = self._times(video)
        return float(ends[-1] - starts[0])

    def _read(self, video: Video) -> tuple[FloatArray, FloatArray]:
        """When each frame begins and ends."""
        seconds = video_facts(self._store, video, self._crop).seconds
        return seconds, frame_ends(seconds)


def clocks_of(
    crop: Crop, videos: Sequence[Video], begins: Mapping[Video, float], store: Store, *, consecutive: bool
) -> Clocks:
    """Those of videos that are given together: each goes on where the one before it ends, or as ``begins`` says."""
    if not consecutive:
        return Clocks(crop, store, begins).believed()
    warn_of_order(videos)
    return Clocks(crop, store).in_a_row(videos)


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


def warn_of_order(videos: Sequence[Video]) -> None:
    """Say where videos of one folder are not in the order of their numbers, as a shell gives 10 before 2."""
    for one, other in pairwise(videos):
        if one.path.parent == other.path.parent and natural(one.path.name) > natural(other.path.name):
            warnings.warn(
                f"{other.path}: expected videos in the order in which they were taken, found it after {one.path.name}; "
                "if that is wrong, name the folder instead",
                FootageWarning,
                stacklevel=2,
            )
            return
