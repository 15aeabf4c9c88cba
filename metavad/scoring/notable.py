"""What alarms in a camera's own normal footage, or stands out of it, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from metavad.normality.detector import Detector
from metavad.normality.memory_bank import LASTS, MemoryBank
from metavad.normality.own_footage import Cluster, clusters
from metavad.normality.threshold import outstanding
from metavad.progress import Progress, along
from metavad.scenes.cache import Store, video_facts
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe
from metavad.scoring.before import Clocks, stood_in
from metavad.scoring.events import Event, EventMerger, in_events
from metavad.scoring.pieces import TIE, Piece
from metavad.scoring.stream import score_after

__all__ = ["NotableCluster", "notable_clusters", "standing_out"]

NAMED = 10
"""Moments that are explained."""


@dataclass(frozen=True)
class NotableCluster:
    """A cluster of the camera's own normal footage that alarms, or stands out, with what surprised in it."""

    cluster: Cluster
    """When: its video, start and end."""
    stands_out: bool
    """It does not count for the threshold, unless somebody says that it is normal."""
    event: Event
    """What surprised in it, where and why."""
    second: float
    """In the video, of what surprised most: what to show, for it to be known as normal."""


def standing_out(detector: Detector) -> list[tuple[Cluster, bool]]:
    """The clusters of a detector's own footage that have a number, and whether each stands out."""
    odd = outstanding(detector.model, detector.own)
    return [(cluster, bool(odd[slice(*cluster.windows)].any())) for cluster in clusters(detector.model, detector.own)]


def notable_clusters(
    detector: Detector,
    scene: Scene,
    crossed: Mapping[Piece, MemoryBank],
    clocks: Clocks,
    store: Store,
    progress: Progress,
) -> tuple[NotableCluster, ...]:
    """Moments over the threshold, or that stand out; the highest are scored once more, for their reasons."""
    over = [each for each in standing_out(detector) if each[1] or each[0].score > detector.threshold]
    videos = {video.name: video for video in scene.normal}
    return tuple(
        _explained(_not_knowing(detector, cluster, crossed), videos[cluster.video], cluster, odd, clocks, store)
        for cluster, odd in along(progress, "Looking again", over[:NAMED])
    )


def _not_knowing(detector: Detector, cluster: Cluster, crossed: Mapping[Piece, MemoryBank]) -> Detector:
    """The detector whose bank is of the half that a cluster is not in."""
    if detector.bank is None:
        return detector
    for piece, bank in crossed.items():
        seconds = probe(piece.video, detector.camera.crop).seconds[piece.frames[0] : piece.frames[1]]
        if piece.video.name == cluster.video and seconds[0] <= cluster.start <= seconds[-1]:
            return replace(detector, bank=replace(bank, scale=detector.bank.scale))
    return detector


def _explained(
    detector: Detector, video: Video, cluster: Cluster, odd: bool, clocks: Clocks, store: Store
) -> NotableCluster:
    """The highest event of a cluster; without a reason where scoring from nearby finds none."""
    model = detector.model
    before = max(model.lookback.values()) / model.rate + 2 * (model.scoring.past + model.scoring.future)
    before += 0.0 if detector.bank is None else LASTS
    seconds = video_facts(store, video, detector.camera.crop).seconds
    first, end = np.searchsorted(seconds, [cluster.start - before, cluster.end + model.scoring.future + TIE]).tolist()
    lower = replace(detector, threshold=0.99 * cluster.score)
    merger = EventMerger(model.scoring.merge, model.scoring.longest)
    past = () if detector.bank is None else clocks.past(video, first)
    (stood,) = stood_in(detector, [past], store)
    for _ in in_events(score_after(stood, lower, video, frames=(first, end)), merger, seconds):
        pass
    found = max(merger.events, key=lambda each: each.event.score, default=None)
    if found is None or found.cause is None:
        event = Event(cluster.start, cluster.end, cluster.start, cluster.score, None)
        return NotableCluster(cluster, odd, event, (cluster.start + cluster.end) / 2)
    return NotableCluster(cluster, odd, found.event, found.cause.seconds)
