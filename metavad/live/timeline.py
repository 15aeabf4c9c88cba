"""When a frame of a stream was taken."""

import time
from collections.abc import Callable

__all__ = ["SAME_CLOCK", "Timeline"]

SAME_CLOCK = 60.0
"""Seconds that the clock of a stream may be off before it is dated anew."""
BREAK = 1.5
"""Seconds without a frame after which it is asked whether its clock has drifted behind."""


class Timeline:
    """From the times of a stream to the camera's clock, in UTC.

    A stream is dated when its first frame comes; from then on its own clock counts. It is dated anew where its clock
    starts over, is off by more than a minute from the time that has passed here, or has drifted a minute behind by the
    end of a break. Times never go back. Where frames come as fast as they are taken, its clock is trusted for any time
    that it says has passed.
    """

    def __init__(self, *, is_dated: bool, is_paced: bool, now: Callable[[], float] = time.time) -> None:
        self._is_dated, self._is_paced, self._now = is_dated, is_paced, now
        self.offset: float | None = 0.0 if is_dated else None
        self._last: float | None = None
        self._wall = 0.0

    def resume(self, offset: float | None, last: float | None, wall: float) -> None:
        """Go on where another run was."""
        self.offset = self.offset if self._is_dated else offset
        self._last, self._wall = last, wall

    def seconds(self, stream: float, *, ago: float = 0.0) -> float:
        """The time of the next frame on the camera's clock; ``ago`` is how long it has waited, where that is known."""
        now = self._now()
        if self._is_dated:
            return stream
        if self.offset is None or not self._goes_on(stream + self.offset, now):
            begin = now - ago if self._last is None else max(now - ago, self._last + 1.5)
            self.offset = begin - stream
        self._last, self._wall = stream + self.offset, now
        return self._last

    def _goes_on(self, seconds: float, now: float) -> bool:
        if self._last is None:
            return True
        passed = seconds - self._last
        if passed < -1.0 if self._is_paced else passed < -SAME_CLOCK:
            return False
        if self._is_paced and now - self._wall > BREAK and now - seconds > SAME_CLOCK:
            return False
        return not self._is_paced or abs(passed - (now - self._wall)) < SAME_CLOCK
