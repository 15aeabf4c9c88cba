"""What lasts and was never there: each tick's distance from the memory bank, averaged over ten seconds."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from torch.nn import functional

from metavad.clock import when_text
from metavad.normality.memory_bank import LASTS, NOVELTY, MemoryBank, farthest, patch_distances
from metavad.scoring.events import LONGEST
from metavad.scoring.explain import Explanation, whereabouts
from metavad.types import ByteArray, FloatArray

__all__ = ["BEFORE", "EVERY", "Look", "Novelty", "NoveltyTrace", "Stood", "novelty_scores"]

_SLACK = 1e-6
"""Seconds, as in smoothing."""
EVERY = 60.0
"""Seconds between two looks by which it is known what stood there."""
BEFORE = 2 * LONGEST
"""Seconds before a look of which these are."""

Stood: TypeAlias = tuple[float, ByteArray]
"""What was there before: the second of a look, and its patches (152, h, w)."""


@dataclass(frozen=True)
class Look:
    """One picture that the network looked at."""

    row: ByteArray
    """Its patches (152, h, w)."""
    familiar: FloatArray
    """Of these from what stood there for five of the last ten minutes (h, w)."""
    distances: FloatArray
    """Of these from that and from the bank, whichever is nearer (h, w)."""
    ticks: int = 0
    """Of the last ten seconds, those that show it."""

    def by(self, bank: MemoryBank) -> "Look":
        """The same by a bank."""
        return replace(self, distances=np.minimum(bank.distances(self.row), self.familiar))


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
        """The same by another bank; ``known`` holds distances from it, by identity of what is familiar; added to."""
        for look in self.looks:
            if id(look.familiar) not in known:
                known[id(look.familiar)] = look.by(bank).distances
        looks = tuple(replace(each, distances=known[id(each.familiar)]) for each in self.looks)
        return Novelty(bank, looks, self.is_over)


def novelty_scores(bank: MemoryBank, rows: ByteArray, seconds: FloatArray) -> FloatArray:
    """What the novelty of each tick of a recording is worth as a frame score (T,), from rows (T, 152, h, w)."""
    trace = NoveltyTrace(bank)
    return np.array([trace.push(row, float(time)).score for row, time in zip(rows, seconds, strict=True)])


class NoveltyTrace:
    """The ticks of one recording, as they come, to what lasts in them.

    What has stood at its place for as long as an event may last is no longer new. It was told once, and does not alarm
    for ever; also not where a recording goes on from another one.
    """

    def __init__(self, bank: MemoryBank, stood: Sequence[Stood] = ()) -> None:
        """``stood`` is what was there before, on the same clock, the earliest first; what is not before is left out."""
        self._bank, self._begin, self._looked = bank, math.nan, math.nan
        self._looks = deque[tuple[Look, deque[float]]]()
        self._before = deque(stood)

    @property
    def stood(self) -> tuple[Stood, ...]:
        """What was there in the last ten minutes, for the recording that goes on from this one."""
        return tuple(self._before)

    def push(self, row: ByteArray, seconds: float) -> Novelty:
        """The next tick: the patches of its picture (152, h, w), the same ones until the next look."""
        if not self._looks:
            self._begin = seconds
            while self._before and self._before[-1][0] >= seconds - _SLACK:
                self._before.pop()
        if not self._looks or not self._is_last(row) or seconds >= self._looked + EVERY - _SLACK:
            self._looked = seconds
            familiar = self._familiar(row, seconds)
            self._looks.append((Look(row, familiar, familiar).by(self._bank), deque()))
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
            if id(look.familiar) not in known:
                known[id(look.familiar)] = look.by(bank).distances
            self._looks[place] = replace(look, distances=known[id(look.familiar)]), times
        self._bank = bank
        return found

    def _familiar(self, row: ByteArray, seconds: float) -> FloatArray:
        """How far each patch (h, w) is from what stood at its place, or beside it, for five of the last ten minutes."""
        while self._before and self._before[0][0] < seconds - BEFORE - _SLACK:
            self._before.popleft()
        stood = [patch_distances(row, each) for time, each in self._before if time <= seconds - EVERY + _SLACK]
        if not self._before or self._before[-1][0] <= seconds - EVERY + _SLACK:
            self._before.append((seconds, row))
        enough = round(LONGEST / EVERY)
        if len(stood) < enough:
            return np.full(self._bank.grid, np.inf)
        return np.asarray(np.partition(stood, enough - 1, axis=0)[enough - 1])

    def _is_last(self, row: ByteArray) -> bool:
        last = self._looks[-1][0].row
        return row is last or np.array_equal(row, last)
