"""Footage that shows nothing: black, or frozen. Told from pictures that are decoded anyway, never a score.

A camera that is dark, covered or off gives one even grey; one that hangs gives the same picture again and again. A
still room is something else: the pictures of a lens have noise, of which compression leaves enough that most of them
differ from the one before. What is re-encoded after it froze differs a little at key frames, hence the shares.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metavad.errors import FootageWarning
from metavad.scenes.scene import Video
from metavad.scenes.video.reader import Frame
from metavad.types import ByteArray, IntArray

__all__ = ["Frozen", "Glance", "Glancing", "is_even", "thinned", "warn_of_nothing", "watched"]

_EVERY = 4  # rows and columns of which one is looked at
_EVEN = 8  # grey levels within which all but a hundredth at each end are one grey
_SAME, _SAME_SHARE = 2, 0.001  # grey levels, and the share of pixels that may differ by more in the same picture
_MOVED, _MOVED_SHARE = 12, 0.01  # the same, in a picture in which nothing moved
_FROZEN = 0.8  # share of pictures that are the same as the one before, where a picture is frozen
_AGAIN = 0.1  # share of pictures that are the same as one of the first half of the time that a picture is frozen
_SETTLED = 60.0  # seconds from which on that is asked for: what is compressed gets better for a while
_PAIRS = 5  # pictures after the first from which that share says something
_SHORTEST, _PART, _LONGEST = 2.0, 0.2, 600.0  # seconds, share of the video, seconds: from how long on it is said


def watched(video: Video, frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same frames; after the last, a :class:`FootageWarning` where the video went black or froze for good."""
    black, frozen, begin, end = _Black(), Frozen(), None, 0.0
    for frame in frames:
        small = thinned(frame.image)
        black.add(small, frame.seconds)
        frozen.add(small, frame.seconds)
        begin, end = frame.seconds if begin is None else begin, frame.seconds
        yield frame
    if begin is not None:
        _warn_of_end(video, begin, end, black.since, frozen.since)


def _warn_of_end(video: Video, begin: float, end: float, black: float | None, frozen: float | None) -> None:
    least = min(max(_SHORTEST, _PART * (end - begin)), _LONGEST)
    for since, what in ((black, "black, or one even grey,"), (frozen, "frozen, the same again and again,")):
        if since is not None and end - since >= least:
            when = "from beginning to end" if since == begin else f"from {since:.1f} s to the end at {end:.1f} s"
            warnings.warn(f"{video.path}: the picture is {what} {when}", FootageWarning, stacklevel=4)
            return


class _Black:
    """Since when pictures are of one grey."""

    def __init__(self) -> None:
        self.since: float | None = None

    def add(self, small: IntArray, seconds: float) -> None:
        """One picture more."""
        if not is_even(small):
            self.since = None
        elif self.since is None:
            self.since = seconds


class Frozen:
    """Since when nothing moved, most pictures are the same as the one before, and long ago ones come again.

    A dark room that is compressed much is nearly the same from picture to picture, and drifts; what froze does not.
    """

    def __init__(self) -> None:
        self._begun, self._renewed, self._until = 0.0, 0.0, 0.0
        self._first: IntArray | None = None
        self._same, self._again, self._before = _Share(), _Share(), _Share()

    @property
    def since(self) -> float | None:
        """Seconds; ``None`` where the pictures are alive, or too few to say."""
        again = self._again if self._again.count >= _PAIRS else self._before
        stays = self._until - self._begun < _SETTLED or again.share >= _AGAIN
        return self._begun if stays and self._same.count >= _PAIRS and self._same.share >= _FROZEN else None

    def add(self, small: IntArray, seconds: float) -> None:
        """One picture more."""
        self._until = seconds
        if self._first is None or _differ(small, self._first, _MOVED) > _MOVED_SHARE:
            self._begun = self._renewed = seconds
            self._first = self._last = self._old = self._new = small
            self._same, self._again, self._before = _Share(), _Share(), _Share()
            return
        self._same.add(_differ(small, self._last, _SAME) <= _SAME_SHARE)
        self._again.add(_differ(small, self._old, _SAME) <= _SAME_SHARE)
        self._last = small
        if seconds - self._begun >= max(_SETTLED / 4, 2 * (self._renewed - self._begun)):
            self._old, self._new, self._renewed = self._new, small, seconds
            self._again, self._before = _Share(), self._again


@dataclass
class _Share:
    """How many of so many things are so."""

    found: int = 0
    count: int = 0

    @property
    def share(self) -> float:
        """0 where there is none."""
        return self.found / self.count if self.count else 0.0

    def add(self, is_so: bool) -> None:
        """One more."""
        self.found += is_so
        self.count += 1


@dataclass(frozen=True)
class Glance:
    """Whether the pictures of a clip show one even grey, and whether they are all the same."""

    black: bool
    frozen: bool


class Glancing:
    """Looks at a clip's pictures as they come, and keeps none of them."""

    def __init__(self) -> None:
        self._still, self._number, self._black = Frozen(), 0, True

    def add(self, picture: ByteArray) -> None:
        """The next picture (H, W)."""
        small = thinned(picture)
        self._still.add(small, float(self._number))
        self._black, self._number = self._black and is_even(small), self._number + 1

    @property
    def found(self) -> Glance:
        """What they show at first sight."""
        return Glance(self._black, self._still.since == 0)


def warn_of_nothing(glances: Mapping[tuple[str, float], Glance]) -> None:
    """A :class:`FootageWarning` of clips, by video and seconds, that have nothing to learn from.

    Of frozen ones only where they are half of all: a room may be still for a moment.
    """
    black = [place for place, found in glances.items() if found.black]
    frozen = [place for place, found in glances.items() if found.frozen and not found.black]
    if black:
        _warn_of_clips(black, len(glances), "black, or one even grey")
    if frozen and 2 * len(frozen) >= len(glances):
        _warn_of_clips(frozen, len(glances), "frozen, the same again and again")


def _warn_of_clips(places: Sequence[tuple[str, float]], count: int, what: str) -> None:
    some = ", ".join(f"{video} at {seconds:.1f} s" for video, seconds in sorted(places)[:3])
    more = ", ..." if len(places) > 3 else ""
    warnings.warn(
        f"{len(places)} of {count} normal clips show nothing ({what}): {some}{more}; give footage with life in it",
        FootageWarning,
        stacklevel=4,
    )


def thinned(picture: ByteArray) -> IntArray:
    """What is looked at of a picture (H, W)."""
    return picture[::_EVERY, ::_EVERY].astype(np.int16)


def is_even(small: IntArray) -> bool:
    """Whether all but a hundredth at each end lie within a few grey levels."""
    reached = np.cumsum(np.bincount(small.ravel(), minlength=256)) / small.size
    low, high = np.searchsorted(reached, (0.01, 0.99))
    return bool(high - low <= _EVEN)


def _differ(one: IntArray, other: IntArray, levels: int) -> float:
    """Share of pixels that differ by more than so many grey levels."""
    return float(np.mean(np.abs(one - other) > levels))
