"""Is one method better than another, or was it these videos? The paired bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from metavad.errors import DataError, UsageError
from metavad.types import BoolArray, FloatArray

__all__ = ["FEWEST", "Difference", "Interval", "auc_difference", "auc_interval", "mean_difference", "mean_interval"]

FEWEST = 6
"""Units under which nothing is certain: even if all of five agree, chance does so in 2 of 32 cases."""


@dataclass(frozen=True)
class Difference:
    """A figure of ``a`` minus the same figure of ``b``, with a percentile interval; NaN where undefined."""

    value: float
    low: float
    high: float
    level: float
    share_above: float
    """Share of resamples in which ``a`` has the higher figure; ties count half."""
    units: int
    """How many videos or cameras were resampled."""
    undefined: int
    """Resamples in which the figure of either was undefined (one class only): left out."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero, over at least ``FEWEST`` units."""
        return self.units >= FEWEST and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Interval:
    """A figure with a percentile interval; its ends are NaN over fewer than ``FEWEST`` units."""

    value: float
    low: float
    high: float
    level: float
    units: int
    """How many videos or cameras were resampled."""


def auc_difference(
    a: Sequence[FloatArray],
    b: Sequence[FloatArray],
    labels: Sequence[BoolArray],
    *,
    generator: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Difference:
    """How far micro AUC of ``a`` lies above that of ``b``, resampling whole videos with replacement.

    ``a``, ``b`` and ``labels`` are the same videos in the same order, scores of several draws (S, T), of which the
    mean counts, or of one (T,). Every resample takes the same videos from both, so that what is hard about a video
    cancels. Frames are never resampled: those of one video depend on each other. Efron and Tibshirani 1993,
    https://doi.org/10.1201/9780429246593.

    A resample's AUC is a quotient of quadratic forms in how often each video was taken: of the abnormal frames
    of video i and the normal ones of video j, those ranked right are counted once. The same numbers as
    resampling the frames, whatever ties there are, at the cost of one sort.
    """
    _check(a, b, labels, resamples, level)
    times = _times(len(labels), resamples, generator)
    ours, theirs = (_aucs(scores, labels, times) for scores in (a, b))
    value, *draws = ours - theirs
    return _summary(float(value), np.array(draws), level, len(labels))


def auc_interval(
    scores: Sequence[FloatArray],
    labels: Sequence[BoolArray],
    *,
    generator: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Micro AUC with an interval over whole test videos, resampled as in :func:`auc_difference`.

    How far the figure would move with other test videos of the same camera; it says nothing of other cameras.
    """
    _check(scores, scores, labels, resamples, level)
    value, *draws = _aucs(scores, labels, _times(len(labels), resamples, generator))
    return _believed(_summary(float(value), np.array(draws), level, len(labels)))


def mean_interval(
    values: FloatArray, *, generator: np.random.Generator, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """The mean of a figure over cameras (N,), resampling whole cameras as in :func:`mean_difference`."""
    return _believed(mean_difference(values, generator=generator, resamples=resamples, level=level))


def mean_difference(
    differences: FloatArray, *, generator: np.random.Generator, resamples: int = 1000, level: float = 0.95
) -> Difference:
    """The mean of paired differences (N,), one of each camera, resampling whole cameras with replacement.

    What a claim about unseen cameras needs: an interval over videos only says whether it was these videos. NaN where
    a difference is. Efron and Tibshirani 1993, https://doi.org/10.1201/9780429246593.
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 1 or not values.size:
        raise DataError(f"expected a difference for each camera (N,), found shape {values.shape}")
    if resamples < 1 or not 0 < level < 1:
        raise UsageError(f"expected resamples >= 1 and level in (0, 1), found {resamples} and {level}; try 1000")
    picks = generator.integers(values.size, size=(resamples, values.size))
    return _summary(float(values.mean()), values[picks].mean(axis=1), level, values.size)


def _times(videos: int, resamples: int, generator: np.random.Generator) -> FloatArray:
    """How often each video was taken (1 + R, V): first as they are, then in each resample."""
    picks = generator.integers(videos, size=(resamples, videos))
    return np.concatenate([np.ones((1, videos)), [np.bincount(pick, minlength=videos) for pick in picks]])


def _believed(found: Difference) -> Interval:
    """The interval of a figure itself, where the units are enough for one."""
    low, high = (found.low, found.high) if found.units >= FEWEST else (np.nan, np.nan)
    return Interval(found.value, low, high, found.level, found.units)


def _aucs(scores: Sequence[FloatArray], labels: Sequence[BoolArray], times: FloatArray) -> FloatArray:
    """Micro AUC (R,) of videos taken ``times`` (R, V) over, averaged over draws; NaN with one class only."""
    stacked = [np.atleast_2d(np.asarray(row)) for row in scores]
    truth = [np.asarray(row, dtype=bool) for row in labels]
    won = [_pairs_won([row[draw] for row in stacked], truth) for draw in range(len(stacked[0]))]
    abnormal, normal = (times @ np.array([count(row) for row in truth]) for count in (np.sum, _normal_frames))
    right = np.einsum("ri,ij,rj->r", times, np.mean(won, axis=0), times)
    pairs = abnormal * normal
    area: FloatArray = np.divide(right, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
    return area


def _normal_frames(labels: BoolArray) -> int:
    return int(np.sum(~labels))


def _pairs_won(scores: Sequence[FloatArray], labels: Sequence[BoolArray]) -> FloatArray:
    """(V, V): pairs of an abnormal frame of video i over a normal one of video j; a tie counts half."""
    abnormal = np.concatenate([row[label] for row, label in zip(scores, labels, strict=True)])
    owner = np.repeat(np.arange(len(scores)), [int(label.sum()) for label in labels])
    won = np.zeros((len(scores), len(scores)))
    for column, (row, label) in enumerate(zip(scores, labels, strict=True)):
        normal = np.sort(row[~label])
        below = sum(np.searchsorted(normal, abnormal, side=side) for side in _SIDES) / 2
        won[:, column] = np.bincount(owner, below, len(scores))
    return won


_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def _check(
    a: Sequence[FloatArray],
    b: Sequence[FloatArray],
    labels: Sequence[BoolArray],
    resamples: int,
    level: float,
) -> None:
    lengths = {len(a), len(b), len(labels)}
    if len(lengths) != 1 or not labels:
        raise DataError(
            f"expected the same videos of both methods, found {sorted(lengths)}; score all videos with both"
        )
    if resamples < 1 or not 0 < level < 1:
        raise UsageError(f"expected resamples >= 1 and level in (0, 1), found {resamples} and {level}; try 1000")


def _summary(value: float, draws: FloatArray, level: float, units: int) -> Difference:
    defined = draws[~np.isnan(draws)]
    if not defined.size:
        return Difference(value, np.nan, np.nan, level, np.nan, units, draws.size)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    above = np.mean(defined > 0) + np.mean(defined == 0) / 2
    return Difference(value, float(low), float(high), level, float(above), units, draws.size - defined.size)
