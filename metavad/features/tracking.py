"""Boxes that follow each other: which region of this tick is which of the last ones.

Assignment by overlap and distance (Hungarian method, Kuhn 1955, https://doi.org/10.1002/nav.3800020109), as in SORT
(Bewley et al. 2016, https://arxiv.org/abs/1602.00763) without its filter: ticks are close to each other.
"""

from dataclasses import dataclass, field

import numpy as np

from metavad.types import FloatArray, IntArray, intersection_over_union

__all__ = ["Follower"]

FORGOTTEN = 0.5
"""Seconds after which a track that was not seen again is over, where ticks are not further apart."""
SLACK = 1.5
"""Of the time between two ticks, after which it is over where they are."""
REACH = 1.0
"""Distance of centres, in diagonals of the larger box, beyond which two boxes are never the same."""
STAYED = 0.25
"""Share of its diagonal that a box may move about and still stand."""


@dataclass
class _Track:
    number: int
    slot: int
    box: FloatArray
    seen: float
    anchor: FloatArray
    """Where its centre was when it last moved away."""
    since: float


@dataclass
class Follower:
    """Numbers boxes by track, each track in a slot of its own, at most ``slots`` at a time.

    Memory is bounded by the slots; a box depends on no later one.
    """

    slots: int
    _tracks: list[_Track] = field(default_factory=list)
    _next: int = 1
    _last: float | None = None

    def step(self, boxes: FloatArray, seconds: float) -> tuple[IntArray, IntArray, FloatArray]:
        """Boxes (M, 4) as x0, y0, x1, y1 of one tick, M <= slots, the most important first.

        Gives for each box its slot (M,), its track's number (M,) from 1 on, and the seconds (M,) for which it has
        stood where it is.
        """
        apart, self._last = 0.0 if self._last is None else seconds - self._last, seconds
        forgotten = max(FORGOTTEN, SLACK * apart)
        self._tracks = [track for track in self._tracks if seconds - track.seen <= forgotten]
        found = self._matched(boxes)
        kept = {id(track) for track in found.values()}
        waiting = [track for track in self._tracks if id(track) not in kept]
        new = len(boxes) - len(found)
        self._tracks = [*found.values(), *waiting[: max(0, self.slots - len(found) - new)]]
        tracks = [self._seen(found.get(place), box, seconds) for place, box in enumerate(boxes)]
        return (
            np.array([track.slot for track in tracks], dtype=np.int64),
            np.array([track.number for track in tracks], dtype=np.int64),
            np.array([seconds - track.since for track in tracks], dtype=np.float64),
        )

    def _matched(self, boxes: FloatArray) -> dict[int, _Track]:
        """Boxes that go on with a track."""
        from scipy.optimize import linear_sum_assignment  # most of a second, and most runs need none

        if not len(boxes) or not self._tracks:
            return {}
        before = np.stack([track.box for track in self._tracks])
        likeness = intersection_over_union(boxes[:, None], before) + 1.0 - _distances(boxes, before) / REACH
        rows, columns = linear_sum_assignment(-likeness)
        near = [(row, column) for row, column in zip(rows, columns, strict=True) if likeness[row, column] > 0]
        return {int(row): self._tracks[column] for row, column in near}

    def _seen(self, track: _Track | None, box: FloatArray, seconds: float) -> _Track:
        centre = (box[:2] + box[2:]) / 2
        if track is None:
            taken = {each.slot for each in self._tracks}
            free = next(slot for slot in range(self.slots) if slot not in taken)
            track = _Track(self._next, free, box, seconds, centre, seconds)
            self._next += 1
            self._tracks.append(track)
        track.box, track.seen = box, seconds
        if np.hypot(*(centre - track.anchor)) > STAYED * np.hypot(*(box[2:] - box[:2])):
            track.anchor, track.since = centre, seconds
        return track


def _distances(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Distance of centres (M, L) in diagonals of the larger box."""
    centres = [(each[:, :2] + each[:, 2:]) / 2 for each in (boxes, others)]
    sizes = [np.hypot(*(each[:, 2:] - each[:, :2]).T) for each in (boxes, others)]
    away = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1)
    return np.asarray(away / np.maximum(np.maximum(sizes[0][:, None], sizes[1][None]), 1e-12))
