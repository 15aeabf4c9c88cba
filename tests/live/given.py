"""A source of frames that are there already, for what reads a camera, and a sink that keeps what comes of them."""

import math
from dataclasses import replace

import numpy as np

import metavad
from metavad.live.sources import Shown


def passed_by(detector, share, frames):
    """The detector with the threshold that such a share of the frames passes."""
    scores = [each.score for each in metavad.score(detector, iter(frames))]
    return replace(detector, threshold=float(np.quantile(scores, 1 - share)))


class Given:
    """One list of frames for each connection; the last one is followed by the end. An error in a list is raised."""

    name, clock, patience = "given", "utc", 3.0
    is_live, is_endless, is_coded, since = False, True, False, float("-inf")

    def __init__(self, *connections, is_dated=True):
        self.left, self.is_dated = list(connections), is_dated

    def frames(self, taken=None):
        frames = self.left.pop(0)
        self.is_endless = bool(self.left)
        for frame in frames:
            if isinstance(frame, Exception):
                raise frame
            yield Shown(*frame)


class Kept:
    """A sink that keeps what it is given, also over a kill."""

    def __init__(self):
        self.events, self.frames_of, self.calls, self.snapshots, self.conditions = {}, [], [], {}, []
        self.versions = []
        self.known = -math.inf

    def _put(self, what, event, snapshot):
        self.calls.append((what, event.id))
        self.events[event.id] = event
        if snapshot is not None:
            self.snapshots.setdefault(event.id, []).append(snapshot)

    def opened(self, event, snapshot):
        self._put("opened", event, snapshot)

    def ongoing(self, event, snapshot):
        self._put("ongoing", event, snapshot)

    def closed(self, event, snapshot):
        self._put("closed", event, snapshot)

    def known_until(self):
        return self.known

    def unfinished(self):
        return [event for event in self.events.values() if not event.is_over]

    def frames(self, frames):
        self.frames_of += frames

    def version(self, detector, threshold):
        self.versions.append((len(self.frames_of), detector, threshold))

    def condition(self, condition):
        self.conditions.append(condition)

    def close(self):
        pass
