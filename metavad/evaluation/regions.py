"""RBDC and TBDC: do alarms lie where the abnormality is, and does every abnormal thing get one?

Ramachandra and Jones 2020, https://arxiv.org/abs/1902.05872. Where the paper leaves room: all detections of
equal score are one threshold, so that their order cannot matter; boxes are half-open pixels ``[x0, x1) x [y0,
y1)``; a curve that jumps past one false positive for each frame is interpolated at one.
"""

from collections.abc import Sequence

import numpy as np

from metavad.errors import DataError, UsageError
from metavad.types import BoolArray, FloatArray, IntArray, intersection_over_union

__all__ = ["rbdc_tbdc"]


def rbdc_tbdc(
    tracks: Sequence[FloatArray],
    detections: Sequence[FloatArray],
    frames: Sequence[int],
    *,
    alpha: float = 0.1,
    beta: float = 0.1,
) -> tuple[float, float]:
    """Region-based and track-based detection criterion: areas over false positives per frame in [0, 1].

    For each video: ``tracks`` (N, 6) with columns track, frame, x0, y0, x1, y1; ``detections`` (N, 6) with
    columns frame, x0, y0, x1, y1, score (higher = more anomalous); ``frames`` its number of frames, whether
    or not anything is in them. Rows may stand in any order, track numbers are the video's own.

    A region is detected when a detection in its frame has IoU >= ``beta`` with it, a track when a share >=
    ``alpha`` of its regions is; a detection without such a region is a false positive, a second hit is
    nothing. Both are NaN without any track. Raises :class:`DataError` on other shapes,
    frames out of range, and what is not finite.
    """
    _check(tracks, detections, frames, alpha, beta)
    joined = [_hits(*pair, beta) for pair in zip(tracks, detections, strict=True)]
    scores = np.concatenate([np.asarray(rows)[:, 5] for rows in detections])
    false = np.concatenate([false for false, _ in joined])
    found = np.concatenate([found for _, found in joined])
    if not found.size:
        return float("nan"), float("nan")
    thresholds = np.unique(scores)[::-1]
    rate = _counts(scores[false], thresholds) / sum(frames)
    regions = _counts(found, thresholds) / found.size
    firsts = np.array([_track_score(found[rows], alpha) for rows in _by_track(tracks)])
    return _clipped_area(rate, regions), _clipped_area(rate, _counts(firsts, thresholds) / firsts.size)


def _check(
    tracks: Sequence[FloatArray],
    detections: Sequence[FloatArray],
    frames: Sequence[int],
    alpha: float,
    beta: float,
) -> None:
    if not 0 < alpha <= 1 or not 0 < beta <= 1:
        raise UsageError(f"expected alpha and beta in (0, 1], found {alpha} and {beta}; the paper takes 0.1")
    if not len(tracks) == len(detections) == len(frames) or sum(frames) <= 0:
        raise DataError(
            f"expected tracks, detections and frame counts of the same videos, found {len(tracks)}, "
            f"{len(detections)}, {len(frames)} with {sum(frames)} frames; a video without boxes has (0, 6)"
        )
    for video, length in enumerate(frames):
        _check_rows(f"tracks of video {video}", np.asarray(tracks[video]), 1, length)
        _check_rows(f"detections of video {video}", np.asarray(detections[video]), 0, length)


def _check_rows(what: str, rows: FloatArray, frame_column: int, length: int) -> None:
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise DataError(f"{what}: expected an array (N, 6), found {rows.shape}; empty is (0, 6)")
    if not np.isfinite(rows).all():
        raise DataError(f"{what}: expected finite numbers, found others; leave out boxes without a place or a score")
    frame = rows[:, frame_column]
    if rows.size and not (frame.min() >= 0 and frame.max() < length):
        raise DataError(
            f"{what}: expected frames 0 to {length - 1}, found {frame.min():g} to {frame.max():g}; frames count from 0"
        )


def _hits(tracks: FloatArray, detections: FloatArray, beta: float) -> tuple[BoolArray, FloatArray]:
    """Which detections are false, and the highest score that finds each region (-inf: none does)."""
    tracks, detections = np.asarray(tracks), np.asarray(detections)
    detection, region = _same_frame(detections[:, 0], tracks[:, 1])
    hit = intersection_over_union(detections[detection, 1:5], tracks[region, 2:6]) >= beta
    found = np.full(len(tracks), -np.inf)
    np.maximum.at(found, region[hit], detections[detection[hit], 5])
    false = np.ones(len(detections), dtype=bool)
    false[detection[hit]] = False
    return false, found


def _same_frame(left: FloatArray, right: FloatArray) -> tuple[IntArray, IntArray]:
    """All pairs (row of left, row of right) with the same frame."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right, left, side="left", sorter=order)
    count = np.searchsorted(right, left, side="right", sorter=order) - first
    rows = np.repeat(np.arange(left.size), count)
    within = np.arange(rows.size) - np.repeat(np.cumsum(count) - count, count)
    return rows, order[np.repeat(first, count) + within]


def _by_track(tracks: Sequence[FloatArray]) -> list[IntArray]:
    """For each track of each video, its rows among the regions of all videos."""
    before = np.cumsum([0, *(len(rows) for rows in tracks)])
    return [
        start + np.flatnonzero(np.asarray(rows)[:, 0] == track)
        for start, rows in zip(before, tracks, strict=False)
        for track in np.unique(np.asarray(rows)[:, 0])
    ]


def _track_score(found: FloatArray, alpha: float) -> float:
    """The highest threshold at which a share of at least alpha of the track's regions is found."""
    share = np.arange(1, found.size + 1) / found.size
    return float(np.sort(found)[::-1][np.argmax(share >= alpha)])


def _counts(values: FloatArray, thresholds: FloatArray) -> FloatArray:
    """How many values reach each threshold; what was never found (-inf) reaches none."""
    values = np.sort(values[values > -np.inf])
    return (values.size - np.searchsorted(values, thresholds, side="left")).astype(float)


def _clipped_area(rate: FloatArray, height: FloatArray) -> float:
    """Trapezoids over rate in [0, 1] from (0, 0), interpolated at 1 and extended flat up to it."""
    rate, height = np.concatenate(([0.0], rate)), np.concatenate(([0.0], height))
    inside = rate <= 1
    last = np.interp(1.0, rate[inside.sum() - 1 :], height[inside.sum() - 1 :])
    rate, height = np.append(rate[inside], 1.0), np.append(height[inside], last)
    return float(np.sum(np.diff(rate) * (height[1:] + height[:-1]) / 2))
