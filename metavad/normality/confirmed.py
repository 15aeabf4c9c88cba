"""Events that somebody has confirmed as abnormal: never taken as normal again, and what is like them scores higher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metavad.features.feature import Feature
from metavad.features.sample import Sample
from metavad.features.stored import StoredClip
from metavad.normality.likeness import Likeness, Pattern, View, view_of
from metavad.normality.regimes import Light

__all__ = ["ConfirmedEvent", "likeness_of", "overlapping", "patterned"]


@dataclass(frozen=True)
class ConfirmedEvent:
    """One that was confirmed as abnormal."""

    name: str
    """For people."""
    video: str
    source: str
    """What its seconds are of, whatever it is called: a digest of the content of a video, or a camera."""
    start: float
    end: float
    """Seconds of the source."""
    score: float
    """The highest of its clip, when it was confirmed; a later version must not be below it."""
    pattern: Pattern
    cells: Tensor
    """Places of the clip (M, 3) that the pattern is of: tick, row, column."""
    clip: StoredClip | None = None
    """None where no pictures are kept."""
    seen: tuple[float, float] | None = None
    """Seconds of the clip, from its begin, of which the score is the highest; all where none are named."""
    light: Light | None = None
    """That of the clip, where the camera has several regimes."""
    is_lasting: bool = True
    """Whether what lasts counts in its score; else the experts alone."""


def overlapping(
    events: Sequence[ConfirmedEvent], video: str, source: str, start: float, end: float
) -> ConfirmedEvent | None:
    """The first event that shares time with seconds of a source; by the name of the video where no source is known."""
    for event in events:
        is_same = event.source == source if event.source and source else event.video == video
        if is_same and start < event.end and event.start < end:
            return event
    return None


def patterned(
    features: Mapping[str, Feature], shots: Sample | None, grid: tuple[int, int]
) -> tuple[View, list[Tensor]]:
    """How features are compared at a camera with these shots, and the shots (1, T, h, w, D) so; NaN where not known.

    Without shots, or features that are pictures, nothing can be compared: a view of nothing.
    """
    names = [name for name, feature in features.items() if feature.picture]
    if shots is None or not names:
        return View(), []
    view = view_of(names, shots, grid)
    clips = [shots.select([number]) for number in range(shots.clips)]
    return view, [
        view.described(clip, grid).where(view.known(clip)[..., None, None, None], torch.nan) for clip in clips
    ]


def likeness_of(
    events: Sequence[ConfirmedEvent],
    before: View,
    view: View,
    shown: Sequence[Tensor],
    clips: Sequence[Sample | None],
    grid: tuple[int, int],
) -> Likeness:
    """The patterns of events by a new view of a camera, whose shots are shown (1, T, h, w, D) each.

    Of an event without a clip what it showed is taken from its old pattern, whose view was ``before``.
    """
    if not view.names:
        return Likeness(view, tuple(event.pattern.none() for event in events))
    patterns = []
    for event, clip in zip(events, clips, strict=True):
        if clip is not None:
            patterns.append(Pattern.of(view.described(clip, grid), event.cells, shown, event.pattern.boost))
            continue
        values = event.pattern.values
        if before.scale is not None and view.scale is not None:
            values = values * before.scale / view.scale
        patterns.append(Pattern.apart(values, event.pattern.places, shown, event.pattern.boost))
    return Likeness(view, tuple(patterns))
