"""A camera whose frames come one by one: scores and events while they happen."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from metavad.arguments import checked
from metavad.errors import UsageError
from metavad.normality.detector import Detector
from metavad.recordings import median_frame
from metavad.scenes.video import Picture
from metavad.scoring.events import Event, EventMerger
from metavad.scoring.frames import FrameScore
from metavad.scoring.novelty import Stood
from metavad.scoring.stream import PushedFrames

__all__ = ["Live", "LiveEvent"]

WAIT = 0.5
"""Seconds that a tick waits for others, to be scored with them."""
_TIMES = 1000
"""Last times of a recording, by which it is known how long its last frame lasts."""


@dataclass(frozen=True)
class LiveEvent:
    """An event that opened or closed."""

    number: int
    """Of the event, counted from 1; the same when it opens and when it closes."""
    is_over: bool
    """Whether it closed."""
    event: Event
    """While it goes on, what is known by then."""


class Live:
    """The scores of :func:`metavad.score`, of frames that are pushed in while they happen.

    The score of a frame comes with the first frame that is ``wait`` + 0.5 seconds later or more: half a second is
    what every score looks ahead (``scoring.future``). Memory does not grow with time; events are kept until they are
    asked for. It may be used by several threads.

    Args:
        detector: of this camera; one that reads pictures only, no files beside the video.
        wait: seconds that a tick may wait for others, to be scored with them. A shorter wait changes no score and takes
            more time: a chunk of 32 ticks is computed however few are new.
        gaps_alarm: false is for a stream that breaks now and then: within a second after a gap, and half a second
            before one, what did not arrive counts as nothing. The scores there are lower than those of
            :func:`metavad.score`, so that no gap by itself raises an alarm.
        stood: what was there in the last ten minutes, as :attr:`stood` of an earlier one says, on the same clock: what
            stands there is not new again after a restart.
        on_unknown_light: is told, once, from which second on the light was one that no normal footage of this camera
            showed; without it that is a :class:`FootageWarning`.

    Raises:
        UsageError: a negative wait, or a detector that reads files beside the video.
    """

    @checked
    def __init__(
        self,
        detector: Detector,
        *,
        wait: float = WAIT,
        gaps_alarm: bool = True,
        stood: Sequence[Stood] = (),
        on_unknown_light: Callable[[float], None] | None = None,
    ) -> None:
        if not wait >= 0:
            raise UsageError(f"Live: expected a wait of 0 seconds or more, found {wait:g}; {WAIT:g} is usual")
        self._frames = PushedFrames(
            detector,
            detector.camera.crop,
            wait=wait,
            is_whole=not gaps_alarm,
            stood=stood,
            on_unknown_light=on_unknown_light,
        )
        self._merger = EventMerger(detector.model.scoring.merge, detector.model.scoring.longest)
        self._last: FrameScore | None = None
        self._times = deque[float](maxlen=_TIMES)
        self._events = list[LiveEvent]()
        self._number, self._is_open = 0, False
        self._lock = Lock()

    @property
    def stood(self) -> tuple[Stood, ...]:
        """What was there in the last ten minutes: the second of a look, and its patches (152, h, w); a look a minute.

        Empty for a detector without a memory bank.
        """
        with self._lock:
            return self._frames.stood

    def push(self, frame: Picture, seconds: float) -> list[FrameScore]:
        """The next frame of the camera; gives the scores that are final by now.

        Where nothing came for more than a second, and than five usual frames, what went on is over, as in a file. An
        ``av.VideoFrame`` of a file, or a grey array of a grey one, gives the very bits of that file's scores; colours
        give nearly the same, as they were rounded.

        Args:
            frame: an ``av.VideoFrame``, or a uint8 array, grey (H, W) or red-green-blue (H, W, 3), as large as the
                camera's pictures.
            seconds: the frame's time on any clock that does not go back.

        Returns:
            Scores of earlier frames, in order of time; higher = more anomalous. Often none.

        Raises:
            VideoError: no frame of the camera, or one before the last. Nothing has changed: go on with the next frame.
        """
        with self._lock:
            return self._taken(self._frames.push(frame, seconds), self._frames.recordings - 1)

    def flush(self) -> list[FrameScore]:
        """End the stream: the scores of the other frames; events close. What is pushed next may be on another clock.

        What stood there in the ten minutes before, by the time of the next frame, is known still.
        """
        with self._lock:
            return self._taken(self._frames.finish(), self._frames.recordings)

    def events(self) -> list[LiveEvent]:
        """The events that opened or closed since this was last asked for, in order; each is there twice in the end."""
        with self._lock:
            found, self._events = self._events, []
            return found

    def ongoing(self) -> LiveEvent | None:
        """The event that goes on, as far as it is known by now; none where nothing does."""
        with self._lock:
            begun = self._merger.open
            return None if begun is None else LiveEvent(self._number, False, begun.event)

    def use(self, detector: Detector) -> bool:
        """Score by another version of the detector, as :func:`metavad.feedback` gives it, and go on without a break.

        That happens between two chunks of 32 ticks, so it may take some more frames. The scores that come from then on
        are those that it would have given from the beginning of the recording, and none is a mean of both versions.
        An event that goes on does so, or ends, by the new scores.

        Args:
            detector: a version of the one that is used.

        Returns:
            Whether it is used from now on; where it is not, ask again after the next frame.

        Raises:
            UsageError: it is of another camera, or of a base with other settings. Nothing has changed.
        """
        with self._lock:
            return self._frames.use(detector)

    def postpone(self, wait: float) -> None:
        """Ticks wait another time from now on: longer where the machine falls behind.

        Args:
            wait: seconds, 0 or more.
        """
        with self._lock:
            self._frames.postpone(wait)

    def _taken(self, frames: list[FrameScore], recording: int) -> list[FrameScore]:
        """The same frames, merged to events; those before the recording of this number are over."""
        for frame in frames:
            self._end(frame.recording)
            self._merger.push(frame)
            self._last = frame
            self._times.append(frame.seconds)
            self._note()
        self._end(recording)
        return frames

    def _end(self, recording: int) -> None:
        """What went on is over where it was in an earlier recording."""
        if self._last is not None and self._last.recording < recording:
            self._merger.finish(self._last.seconds + median_frame(np.array(self._times)))
            self._last = None
            self._times.clear()
            self._note()

    def _note(self) -> None:
        """Put down what the merger has closed, and opened since."""
        for found in self._merger.events:
            self._events.append(LiveEvent(self._number, True, found.event))
            self._is_open = False
        self._merger.events.clear()
        if not self._is_open and (begun := self._merger.open) is not None:
            self._number, self._is_open = self._number + 1, True
            self._events.append(LiveEvent(self._number, False, begun.event))
