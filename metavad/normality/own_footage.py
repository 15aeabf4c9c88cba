"""What a detector keeps of its camera's own normal footage: the highest score of each window that was not shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from metavad.errors import UsageError
from metavad.normality.model import SceneModel
from metavad.recordings import recordings
from metavad.runs import runs
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = [
    "BODY",
    "Cluster",
    "OwnFootage",
    "alarm_levels",
    "also",
    "clusters",
    "joined",
    "left_out",
    "ruled",
    "window_means",
    "window_peaks",
    "window_seconds",
    "window_starts",
]

LISTED = 20
"""Moments that have a number."""
BODY = 0.8
"""Share of a camera's own windows that lies below its tail."""


def _none(kind: type) -> np.ndarray:
    return np.zeros(0, kind)


@dataclass(frozen=True)
class OwnFootage:
    """The camera's own normal footage as a threshold needs it: N windows of smoothing, video after video."""

    videos: tuple[str, ...] = ()
    video: IntArray = field(default_factory=lambda: _none(np.int64))
    """Number of the video that each window is of (N,)."""
    starts: FloatArray = field(default_factory=lambda: _none(np.float64))
    """Second of the video at which it begins (N,)."""
    peaks: FloatArray = field(default_factory=lambda: _none(np.float32))
    """Its highest score (N,), on the scale of all regimes; NaN where most of it was shown, and between two stretches of
    footage."""
    ruling: IntArray = field(default_factory=lambda: _none(np.int8))
    """What somebody said of it (N,): 1 normal whatever it scores, -1 not normal and left out, 0 nothing."""
    is_earlier: bool = False
    """Whether some of it was scored by an earlier version of the detector: it proves nothing of this one."""
    regime: IntArray = field(default_factory=lambda: _none(np.int64))
    """Number of the regime that it is of (N,)."""
    novelty: FloatArray = field(default_factory=lambda: _none(np.float32))
    """The highest novelty as a score, which is also in its peak (N,); NaN where there is no memory bank."""

    @property
    def known(self) -> BoolArray:
        """Windows that count (N,): scored, and not left out."""
        return np.asarray(~np.isnan(self.peaks) & (self.ruling >= 0))


@dataclass(frozen=True)
class Cluster:
    """A cluster of exceedances: neighbouring windows of a camera's own normal footage that score high."""

    number: int
    """From 1, the highest first."""
    video: str
    start: float
    """Seconds in the video."""
    end: float
    score: float
    windows: tuple[int, int]
    """Half-open."""


def window_seconds(model: SceneModel) -> float:
    """Seconds that one alarm lasts at least: the past and the look-ahead of smoothing."""
    return model.scoring.past + model.scoring.future


def window_peaks(model: SceneModel, scores: FloatArray, seconds: FloatArray, shown: BoolArray) -> FloatArray:
    """The peaks (N,) of one video, from its smoothed scores, their times and what was shown (T,).

    The highest score that was not shown of each whole smoothing window of a recording; NaN where more than half of one
    was shown, and after the last.
    """
    parts = [slice(start, stop) for start, stop in recordings(seconds)]
    return np.concatenate([_peaks(scores[part], _windows(model, seconds[part]), shown[part]) for part in parts])


def window_starts(model: SceneModel, seconds: FloatArray) -> FloatArray:
    """The times (N,) at which these windows begin."""
    parts = [seconds[start:stop] for start, stop in recordings(seconds)]
    return np.concatenate([part[np.unique(_windows(model, part), return_index=True)[1]] for part in parts])


def window_means(model: SceneModel, values: FloatArray, seconds: FloatArray) -> FloatArray:
    """The means (N, ...) of values (T, ...) in these windows."""
    found = []
    for start, stop in recordings(seconds):
        begins = np.unique(_windows(model, seconds[start:stop]), return_index=True)[1]
        counts = np.diff(np.append(begins, stop - start))
        found.append((np.add.reduceat(values[start:stop], begins, axis=0).T / counts).T)
    return np.concatenate(found)


def _windows(model: SceneModel, seconds: FloatArray) -> IntArray:
    """The window of each frame of a recording (T,), counted from 0."""
    return np.unique(((seconds - seconds[0]) / window_seconds(model)).astype(int), return_inverse=True)[1]


def _peaks(scores: FloatArray, number: IntArray, shown: BoolArray) -> FloatArray:
    """Those of one recording."""
    peaks = np.full(number[-1] + 1, np.nan)
    for window in range(number[-1]):
        inside = slice(*np.searchsorted(number, [window, window + 1]))
        if shown[inside].mean() <= 0.5:
            peaks[window] = scores[inside][~shown[inside]].max()
    return peaks


def joined(parts: Sequence[tuple[str, FloatArray, FloatArray]]) -> OwnFootage:
    """The footage of stretches: of each its video, the starts and the peaks of its windows (N,)."""
    videos = tuple(dict.fromkeys(video for video, _, _ in parts))
    if not parts:
        return OwnFootage()
    return OwnFootage(
        videos,
        np.concatenate([np.full(len(peaks), videos.index(video), np.int64) for video, _, peaks in parts]),
        np.concatenate([starts for _, starts, _ in parts]).astype(np.float64),
        np.concatenate([peaks for _, _, peaks in parts]).astype(np.float32),
        np.zeros(sum(len(peaks) for _, _, peaks in parts), np.int8),
        regime=np.zeros(sum(len(peaks) for _, _, peaks in parts), np.int64),
        novelty=np.full(sum(len(peaks) for _, _, peaks in parts), np.nan, np.float32),
    )


def left_out(own: OwnFootage, video: str, start: float, end: float) -> OwnFootage:
    """Without the windows of these seconds of a video of this name."""
    if video not in own.videos:
        return own
    same = (own.video == own.videos.index(video)) & (own.starts < end)
    following = np.append(own.starts[1:], np.inf)
    following[np.append(own.video[1:] != own.video[:-1], True)] = np.inf
    ruling = own.ruling.copy()
    ruling[same & (following > start)] = -1
    return replace(own, ruling=ruling)


def also(own: OwnFootage, video: str, starts: FloatArray, peaks: FloatArray, regime: int = 0) -> OwnFootage:
    """The footage and a stretch of a video more (N,), which somebody calls normal, of the regime of this number."""
    videos = own.videos if video in own.videos else (*own.videos, video)
    return replace(
        own,
        videos=videos,
        video=np.concatenate([own.video, np.full(len(peaks), videos.index(video), np.int64)]),
        starts=np.concatenate([own.starts, np.asarray(starts, np.float64)]),
        peaks=np.concatenate([own.peaks, np.asarray(peaks, np.float32)]),
        ruling=np.concatenate([own.ruling, np.ones(len(peaks), np.int8)]),
        regime=np.concatenate([own.regime, np.full(len(peaks), regime, np.int64)]),
        novelty=np.concatenate([own.novelty, np.full(len(peaks), np.nan, np.float32)]),
    )


def alarm_levels(values: FloatArray, known: BoolArray) -> FloatArray:
    """For n = 0, 1, ... the lowest level over which lie at most n alarms: runs of neighbours that are known (N,).

    >>> alarm_levels(np.array([1.0, 5.0, 6.0, 2.0, 4.0]), np.ones(5, dtype=bool)).tolist()
    [6.0, 4.0]
    """
    ranked = np.argsort(-np.where(known, values, -np.inf), kind="stable")[: int(known.sum())]
    over = np.zeros(len(values) + 2, dtype=bool)
    alarms, levels = 0, list[float]()
    for place in ranked.tolist():
        alarms += 1 - int(over[place]) - int(over[place + 2])
        over[place + 1] = True
        if alarms > len(levels):
            levels.append(float(values[place]))
    return np.array(levels)


def clusters(model: SceneModel, own: OwnFootage) -> list[Cluster]:
    """The clusters that score highest, at most ``LISTED``; their numbers change by nothing that is said of them."""
    scored = ~np.isnan(own.peaks)
    if not scored.any():
        return []
    levels = alarm_levels(own.peaks, scored)
    # Of short footage there are fewer: what lies below its tail is no moment of its own.
    least = levels[LISTED] if len(levels) > LISTED else np.quantile(own.peaks[scored], BODY)
    over = scored & (own.peaks > least)
    if not over.any():  # all alike
        over[np.argmax(np.where(scored, own.peaks, -np.inf))] = True
    found = [(own.peaks[start:end].max(), start, end) for start, end in runs(over).tolist()]
    found.sort(key=lambda each: (-each[0], each[1]))
    return [
        Cluster(
            number,
            own.videos[own.video[start]],
            float(own.starts[start]),
            float(own.starts[end - 1]) + window_seconds(model),
            float(score),
            (start, end),
        )
        for number, (score, start, end) in enumerate(found, 1)
    ]


def ruled(model: SceneModel, own: OwnFootage, *, normal: Sequence[int], left_out: Sequence[int]) -> OwnFootage:
    """The footage with what is said of clusters, by number; raises :class:`UsageError` for one that is not there."""
    ruling, known = own.ruling.copy(), {cluster.number: cluster for cluster in clusters(model, own)}
    for numbers, option, value in ((normal, "--normal", 1), (left_out, "--leave-out", -1)):
        for number in numbers:
            if number not in known:
                raise UsageError(
                    f"{option} {number}: expected the number of a moment of its footage, 1 to {len(known)}; "
                    "`metavad threshold DETECTOR` names them"
                )
            ruling[slice(*known[number].windows)] = value
    return replace(own, ruling=ruling)
