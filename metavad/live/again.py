"""Events again, from the scores that were kept: what another threshold would have given."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from metavad.live.index import Index, Session, StoredEvent
from metavad.live.score_parts import ScorePart
from metavad.live.types import CameraEvent
from metavad.scoring.events import Event, find_events

__all__ = ["watched_again"]


def watched_again(
    index: Index,
    threshold: float,
    *,
    camera: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> list[StoredEvent]:
    """The events that a threshold would have given, in order of time; nothing is decoded.

    What overlaps an event that was found has the id, reason, place and files of the highest such one; a new one has
    none, and its id is empty. Nobody was told of it, and no rule was asked.
    """
    known = index.events(camera=camera, since=since, until=until)
    found = [
        each
        for session, parts in index.scores(camera=camera, since=since, until=until)
        for event in _events(session, parts, threshold)
        if _overlaps(event, since, until)
        for each in [_known(event, session, threshold, known)]
    ]
    return sorted(found, key=lambda each: (each.event.start, each.event.camera))


def _events(session: Session, parts: Sequence[ScorePart], threshold: float) -> Iterator[Event]:
    """Those of one session; none reaches from one recording to the next."""
    for _, each in groupby(parts, key=lambda part: part.recording):
        arrays = [part.arrays() for part in each]
        seconds, scores = (np.concatenate(column) for column in zip(*arrays, strict=True))
        yield from find_events(scores, seconds, threshold, merge=session.merge, longest=session.longest)


def _overlaps(event: Event, since: float | None, until: float | None) -> bool:
    return (since is None or event.end >= since) and (until is None or event.start < until)


def _known(event: Event, session: Session, threshold: float, known: Sequence[StoredEvent]) -> StoredEvent:
    """What is known of an event by one that was found."""
    same = [
        each
        for each in known
        if each.event.camera == session.camera and each.event.start < event.end and event.start < each.event.end
    ]
    best = max(same, key=lambda each: each.event.score, default=None)
    made = CameraEvent(
        id="" if best is None else best.event.id,
        camera=session.camera,
        detector=session.detector,
        clock=session.clock,
        start=event.start,
        end=event.end,
        peak=event.peak,
        score=event.score,
        threshold=threshold,
        box=None if best is None else best.event.box,
        reason="" if best is None else best.event.reason,
        shares={} if best is None else best.event.shares,
        is_over=True,
    )
    return StoredEvent(made) if best is None else replace(best, event=made, announced=None, withheld=None)
