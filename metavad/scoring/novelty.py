"""What lasts and was never there: each tick's distance from the memory bank, averaged over ten seconds."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from metavad.clock import when_text
from metavad.normality.memory_bank import LASTS, NOVELTY, MemoryBank, farthest
from metavad.scoring.explain import Explanation, whereabouts
from metavad.types import ByteArray, FloatArray

__all__ = ["Look", "Novelty", "NoveltyTrace", "novelty_scores"]

_SLACK = 1e-6
"""Seconds, as in smoothing."""


@dataclass(frozen=True)
class Look:
    """One picture that the network looked at."""

    row: ByteArray
    """Its patches (152, h, w)."""
    distances: FloatArray
    """Of these from the bank (h, w)."""
    ticks: int
    """Of the last ten seconds, those that show it."""


@dataclass(frozen=True)
class Novelty:
    """What one tick says."""

    bank: MemoryBank
    looks: tuple[Look, ...]
    """Of the last ten seconds, the earliest first."""
    is_over: bool
    """Whether these seconds are over."""

    @cached_property
    def distances(self) -> FloatArray:
        """Mean distance of each place (h, w) over these ten seconds."""
        ticks = np.array([look.ticks for look in self.looks], float)
        return np.asarray(np.tensordot(ticks / ticks.sum(), np.stack([look.distances for look in self.looks]), 1))

    @cached_property
    def distance(self) -> float:
        """That of the farthest places; NaN before the ten seconds are over."""
        return farthest(self.distances) if self.is_over else math.nan

    @property
    def score(self) -> float:
        """The same as a frame score; NaN where no scale is known."""
        scale = self.bank.scale
        return math.nan if scale is None else float(scale.of(np.array(self.distance)))

    def heat(self, grid: tuple[int, int]) -> FloatArray:
        """The frame score that each place would have, on this grid (h, w); 0 where nothing counts."""
        scale = self.bank.scale
        heat = np.zeros(self.distances.shape) if scale is None else scale.of(self.distances)
        heat = heat if self.bank.ignored is None else np.where(self.bank.ignored, 0.0, heat)
        return functional.adaptive_avg_pool2d(torch.from_numpy(heat)[None], grid)[0].numpy()

    def explain(self) -> Explanation:
        """What is there, and what of the normal footage is nearest to it."""
        height, width = self.distances.shape
        cell = divmod(int(self.distances.argmax()), width)
        place = (cell[0] + 0.5) / height, (cell[1] + 0.5) / width
        video, second = self.bank.origin(self.looks[-1].row, cell)
        text = (
            f"something stays that was never at this place in its normal footage ({whereabouts(place)}; nearest: "
            f"{video} at {when_text(second, None)})"
        )
        return Explanation(text, {NOVELTY: 1.0}, place)

    def by(self, bank: MemoryBank, known: dict[int, FloatArray]) -> "Novelty":
        """The same by another bank; ``known`` holds distances from it, by identity of the row, and is added to."""
        for look in self.looks:
            if id(look.row) not in known:
                known[id(look.row)] = bank.distances(look.row)
        return Novelty(bank, tuple(replace(each, distances=known[id(each.row)]) for each in self.looks), self.is_over)


def novelty_scores(bank: MemoryBank, rows: ByteArray, seconds: FloatArray) -> FloatArray:
    """What the novelty of each tick of a recording is worth as a frame score (T,), from rows (T, 152, h, w)."""
    trace = NoveltyTrace(bank)
    return np.array([trace.push(row, float(time)).score for row, time in zip(rows, seconds, strict=True)])


class NoveltyTrace:
    """The ticks of one recording, as they come, to what lasts in them."""

    def __init__(self, bank: MemoryBank) -> None:
        self._bank, self._begin = bank, math.nan
        self._looks = deque[tuple[Look, deque[float]]]()

    def push(self, row: ByteArray, seconds: float) -> Novelty:
        """The next tick: the patches of its picture (152, h, w), the same ones until the next look."""
        if not self._looks:
            self._begin = seconds
        if not self._looks or not self._is_last(row):
            self._looks.append((Look(row, self._bank.distances(row), 0), deque()))
        self._looks[-1][1].append(seconds)
        for _, times in self._looks:
            while times and times[0] < seconds - LASTS - _SLACK:
                times.popleft()
        while not self._looks[0][1]:
            self._looks.popleft()
        looks = tuple(replace(look, ticks=len(times)) for look, times in self._looks)
        return Novelty(self._bank, looks, seconds - self._begin >= LASTS - _SLACK)

    def use(self, bank: MemoryBank, latest: Sequence[Novelty]) -> list[Novelty]:
        """Compare with another bank from now on, as if it always had been; what the latest ticks say by that one."""
        known: dict[int, FloatArray] = {}
        found = [each.by(bank, known) for each in latest]
        for place, (look, times) in enumerate(self._looks):
            if id(look.row) not in known:
                known[id(look.row)] = bank.distances(look.row)
            self._looks[place] = replace(look, distances=known[id(look.row)]), times
        self._bank = bank
        return found

    def _is_last(self, row: ByteArray) -> bool:
        last = self._looks[-1][0].row
        return row is last or np.array_equal(row, last)
