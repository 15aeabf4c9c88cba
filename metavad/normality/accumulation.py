"""From surprise maps to frame scores: over cells, then over time."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from metavad.types import FloatArray, IntArray

__all__ = ["Smoothing", "smooth", "strongest"]

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


class Smoothing(Generic[Item]):
    """The same for ticks that come one by one; each leaves with its mean once its look-ahead is over.

    With ``is_whole``, every mean is of a whole window: of the ticks of it that lie before the first known one, or after
    the last one, each counts 0. A mean of few ticks is high more often, and would alarm because a recording begins.
    """

    def __init__(self, past: float, future: float, *, is_whole: bool = False) -> None:
        self._past, self._future, self._is_whole = past, future, is_whole
        self._first = self._last = math.inf
        self._window = deque[tuple[float, float]]()
        self._waiting = deque[tuple[float, Item]]()

    def push(self, seconds: float, score: float, item: Item) -> None:
        """The next tick, and anything that is to leave with it."""
        self._window.append((seconds, score))
        self._first = self._first if self._first < math.inf or np.isnan(score) else seconds
        self._last = seconds
        self._waiting.append((seconds, item))

    def correct(self, ticks: Sequence[tuple[float, float, Item]]) -> None:
        """The last ticks once more, with other scores and items; those that left stay as they are."""
        inside, waiting = min(len(self._window), len(ticks)), min(len(self._waiting), len(ticks))
        for place in range(1, inside + 1):
            self._window[-place] = ticks[-place][:2]
        for place in range(1, waiting + 1):
            seconds, _, item = ticks[-place]
            self._waiting[-place] = seconds, item
        if ticks and self._first >= ticks[0][0]:
            self._first = next((seconds for seconds, score, _ in ticks if not np.isnan(score)), math.inf)

    def until(self, seconds: float) -> Iterator[tuple[float, Item]]:
        """Mean and item of the ticks that are final when no tick comes any more before ``seconds``; each once."""
        while self._waiting and self._waiting[0][0] + self._future + _SLACK < seconds:
            yield self._leave()

    def _leave(self) -> tuple[float, Item]:
        seconds, item = self._waiting.popleft()
        while self._window[0][0] < seconds - self._past - _SLACK:
            self._window.popleft()
        last = seconds + self._future + _SLACK
        inside = [score for time, score in self._window if time <= last and not np.isnan(score)]
        mean = float(np.mean(inside)) if inside else 0.0
        return (mean * self._share(seconds, len(inside)) if self._is_whole else mean), item

    def _share(self, seconds: float, known: int) -> float:
        """How much of a tick's window is known, where a recording begins or ends; 1 anywhere else."""
        apart = np.diff([time for time, _ in self._window])
        spacing = float(np.median(apart)) if len(apart) else self._past + self._future
        begins = seconds - self._past < self._first - _SLACK
        ends = seconds + self._future > self._last + spacing
        count = max(1, round((self._past + self._future) / max(spacing, _SLACK)))
        return min(1.0, known / count) if begins or ends else 1.0


_SLACK = 1e-6
"""Seconds; ticks stand on a grid of decimal numbers."""
