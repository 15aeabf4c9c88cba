"""From surprise maps to frame scores: over cells, then over time."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from metavad.types import FloatArray, IntArray

__all__ = ["smooth", "stream_smooth", "strongest"]

Item = TypeVar("Item")


def strongest(maps: Tensor, share: float) -> Tensor:
    """Mean of the highest ``share`` of cells, (..., h, w) to (...)."""
    cells = maps.flatten(-2)
    count = max(1, round(share * cells.shape[-1]))
    return torch.topk(cells, count, dim=-1).values.mean(-1)


def smooth(
    scores: FloatArray, seconds: FloatArray, past: float, future: float, recordings: IntArray | None = None
) -> FloatArray:
    """Mean of the scores (T,) from ``past`` seconds before to ``future`` after each tick.

    A tick whose score is NaN is not known yet and does not count; where nothing is known the mean is 0. No mean is of
    two ``recordings``, half-open intervals of ticks (R, 2); without them all ticks are of one.
    """
    starts, stops = np.array([[0, len(seconds)]] if recordings is None else recordings).reshape(-1, 2).T
    lengths = stops - starts
    known = ~np.isnan(scores)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, scores, 0.0), dtype=np.float64)])
    count = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.searchsorted(seconds, seconds - past - _SLACK), np.repeat(starts, lengths))
    last = np.minimum(np.searchsorted(seconds, seconds + future + _SLACK, side="right"), np.repeat(stops, lengths))
    return np.asarray((total[last] - total[first]) / np.maximum(count[last] - count[first], 1))


def stream_smooth(
    ticks: Iterable[tuple[float, float, Item]], past: float, future: float
) -> Iterator[tuple[float, Item]]:
    """The same over (seconds, score, anything) as they come; a tick leaves once its look-ahead is over."""
    window: deque[tuple[float, float]] = deque()
    waiting: deque[tuple[float, Item]] = deque()
    for seconds, score, item in ticks:
        while waiting and waiting[0][0] + future + _SLACK < seconds:
            yield _leave(window, waiting, past, future)
        window.append((seconds, score))
        waiting.append((seconds, item))
    while waiting:
        yield _leave(window, waiting, past, future)


def _leave(
    window: deque[tuple[float, float]], waiting: deque[tuple[float, Item]], past: float, future: float
) -> tuple[float, Item]:
    seconds, item = waiting.popleft()
    while window[0][0] < seconds - past - _SLACK:
        window.popleft()
    inside = [score for time, score in window if time <= seconds + future + _SLACK and not np.isnan(score)]
    return float(np.mean(inside)) if inside else 0.0, item


_SLACK = 1e-6
"""Seconds; ticks stand on a grid of decimal numbers."""
