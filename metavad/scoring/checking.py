"""What a detector makes of normal footage that it was not shown: does its threshold keep its word, what to show too."""

import math
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from metavad.arguments import checked
from metavad.normality.detector import Detector
from metavad.normality.threshold import FEWEST, SECONDS_PER_DAY, SURE, checked_threshold, window_peaks
from metavad.progress import SILENT, Progress, along
from metavad.recordings import frame_ends
from metavad.scenes.scene import Scene
from metavad.scenes.video import probe
from metavad.scoring.events import Event, EventMerger, in_events
from metavad.scoring.stream import score
from metavad.threads import one_thread
from metavad.types import FloatArray

__all__ = ["Check", "FalseAlarm", "check"]


@dataclass(frozen=True)
class FalseAlarm:
    """An alarm on normal footage: the video's name, and the event with its reason."""

    video: str
    event: Event
    second: float
    """In the video, of what surprised most: what to show, for it to be known as normal."""


@dataclass(frozen=True)
class Check:
    """How often a detector alarms on its camera's normal footage, but for the clips that it was shown."""

    seconds: float
    """Footage scored, without those clips."""
    promised: float
    """False alarms a day that the threshold allows."""
    alarms: tuple[FalseAlarm, ...]
    """Highest first."""
    peaks: FloatArray
    """Those of all videos (N,): :func:`~metavad.normality.threshold.window_peaks`."""

    @property
    def expected(self) -> float:
        """Alarms that the promise allows in so much footage."""
        return self.promised * self.seconds / SECONDS_PER_DAY

    @property
    def text(self) -> str:
        """One line for people."""
        found, length = len(self.alarms), _spell(self.seconds)
        if self.seconds <= 0:
            return "checked on nothing: all normal footage was shown; give more of it"
        begun = f"checked on {length} of normal footage that was not shown: "
        if found:
            many = "1 alarm" if found == 1 else f"{found} alarms"
            return f"{begun}{many}; {self.promised:,g} a day would be {self.expected:.2g} in that time"
        least = SURE * SECONDS_PER_DAY / self.seconds
        return f"{begun}no alarm, which proves at most {math.ceil(least):,} a day (95 %); longer footage proves fewer"

    def calibrated(self, detector: Detector) -> Detector:
        """The detector with the threshold that its camera's own footage gives; as it is where there was too little."""
        if np.count_nonzero(~np.isnan(self.peaks)) < FEWEST:
            return detector
        threshold, promise = checked_threshold(detector.model, self.peaks, self.promised)
        return replace(detector, threshold=threshold, promise=promise)


@checked
@one_thread()
def check(detector: Detector, scene: Scene, *, progress: Progress = SILENT) -> Check:
    """Score the normal videos of a detector's camera, and count the alarms outside of the clips shown.

    Every frame is decoded and scored as :func:`~metavad.scoring.stream.score` does. An alarm counts unless what
    surprised most in it was shown. Raises :class:`VideoError` where a video has pictures of another size.
    """
    seconds, alarms, peaks = 0.0, list[FalseAlarm](), list[FloatArray]()
    for video in along(progress, "Checking", scene.normal):
        facts = probe(video, detector.camera.crop)
        first, end = scene.normal_frames or (0, facts.frames)
        merger = EventMerger(detector.model.scoring.merge)
        frames = islice(score(detector, video, progress=progress), first, end)
        scores = [frame.score for frame, _ in in_events(frames, merger, facts.seconds)]
        for found in merger.events:
            if found.cause is not None and not detector.was_shown(video.name, found.cause.index):
                alarms.append(FalseAlarm(video.name, found.event, found.cause.seconds))
        part = slice(first, first + len(scores))
        times, lengths = facts.seconds[part], (frame_ends(facts.seconds) - facts.seconds)[part]
        shown = np.array([detector.was_shown(video.name, first + place) for place in range(len(scores))])
        peaks.append(window_peaks(detector.model, np.array(scores), times, shown))
        seconds += float(lengths[~shown].sum())
    alarms.sort(key=lambda alarm: -alarm.event.score)
    return Check(seconds, detector.promise.alarms_per_day, tuple(alarms), np.concatenate(peaks))


def _spell(seconds: float) -> str:
    """A length of footage in words.

    >>> _spell(42.4), _spell(600), _spell(9000)
    ('42 s', '10.0 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
