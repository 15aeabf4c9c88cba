"""The regimes of a camera, found without being told in its own normal footage, and one scale for the scores of all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaincinv

from metavad.normality.model import SceneModel
from metavad.normality.own_footage import BODY, OwnFootage
from metavad.normality.regimes import Light, Regime, common_scores
from metavad.normality.threshold import CAUTION, FEWEST, PRIOR_PEAKS, outstanding
from metavad.runs import runs
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = ["RegimeLight", "named", "own_regimes", "split"]

LEAST = 300
"""Windows that each of two regimes has at least, seven minutes."""
MOST = 3
"""Regimes that one camera has at most."""
APART = 10.0
"""Levels, root mean square, by which two regimes differ at least."""
BETWEEN, OF_SMALLER = 0.05, 0.25
"""Windows that may lie on the middle half of the way between two regimes, as a share of both together, and of the
smaller one. Of one heap cut in two it is a third, of two whose middles are four deviations apart a sixth."""
FARTHEST, TIMES, ROOM = 0.99, 2.0, 20.0
"""A light is unknown beyond twice the distance of this share of a regime's windows, and beyond this many levels."""
STRETCH = 4.0
"""By how much scores of one regime are stretched or pressed at most."""
COLOURED, GREY = 10.0, 5.0
"""Mean difference of a pixel's colours from which a picture has colour, and up to which it has none."""
TELLING = 10.0
"""Levels by which regimes differ in what they are called after."""


def own_regimes(model: SceneModel, own: OwnFootage, lights: FloatArray) -> tuple[OwnFootage, tuple[Regime, ...]]:
    """The same footage with the regime of each window and its score on one scale; and the regimes, the largest first.

    ``lights`` (N, 6) are those of its windows. A regime's scale is the mean by which the peaks above its body (the 80 %
    quantile of its windows) are higher, without what stands out in it; the fewer they are, the more the mean of all
    regimes counts, and the more careful it is. None where the footage is too little for a threshold of its own.
    """
    if np.count_nonzero(own.known) < FEWEST:
        return own, ()
    numbers = np.full(len(own.peaks), -1)
    numbers[own.known] = split(lights[own.known])
    ranked = np.argsort(-np.bincount(numbers[own.known]), kind="stable")
    bodies = [_Body.of(model, own, numbers == number) for number in ranked]
    common = sum(body.excess for body in bodies) / max(sum(body.peaks for body in bodies), 1)
    regimes = []
    for number, body in zip(ranked, bodies, strict=True):
        inside = lights[numbers == number]
        regime = Regime("", tuple(np.median(inside, axis=0).tolist()), 0.0, body.level, body.scale(common))
        reach = max(ROOM, TIMES * float(np.quantile(regime.distance(inside), FARTHEST)))
        regimes.append(replace(regime, reach=reach))
    found = tuple(_within(regime, regimes[0]) for regime in regimes)
    each = np.argmin([regime.distance(lights) for regime in found], axis=0) if len(found) > 1 else 0 * numbers
    peaks = own.peaks.copy()
    for number in range(1, len(found)):
        peaks[each == number] = common_scores(found, number, own.peaks[each == number])
    return replace(own, peaks=peaks, regime=each), found


def _within(regime: Regime, first: Regime) -> Regime:
    """Its scale no further from the first one's than may be."""
    return replace(regime, scale=float(np.clip(regime.scale, first.scale / STRETCH, first.scale * STRETCH)))


@dataclass(frozen=True)
class _Body:
    """The scores of one regime."""

    level: float
    """Under which most of them lie."""
    excess: float
    """By which all peaks above are higher."""
    peaks: int

    @classmethod
    def of(cls, model: SceneModel, own: OwnFootage, inside: BoolArray) -> "_Body":
        """Of the windows (N,) inside, but for what stands out of them."""
        alone = replace(own, peaks=np.where(inside, own.peaks, np.nan))
        counted = alone.known & ~outstanding(model, alone)
        level = max(_LOWEST, float(np.quantile(own.peaks[counted], BODY)))
        above = runs(counted & (own.peaks > level)).tolist()
        excess = [float(own.peaks[start:end].max()) - level for start, end in above]
        return cls(level, sum(excess), len(excess))

    def scale(self, common: float) -> float:
        """With the mean of all regimes as prior, at the quantile that the peaks leave open."""
        total = self.excess + PRIOR_PEAKS * common
        return max(_LOWEST, total / float(gammaincinv(self.peaks + PRIOR_PEAKS, 1 - CAUTION)))


_LOWEST = 1e-6
"""Score that a body has at least: where all is still, it is zero."""


def split(lights: FloatArray) -> IntArray:
    """The regime of each window (N,) by its light (N, 6), counted from 0; all of one where no two stand clearly apart.

    Two means, again in each half, as long as what lies between two of them is next to nothing.
    """
    numbers = np.zeros(len(lights), dtype=int)
    waiting, count = [np.arange(len(lights))], 1
    while waiting and count < MOST:
        some = waiting.pop(0)
        if (upper := _halved(lights[some])) is not None:
            numbers[some[upper]] = count
            waiting += [some[~upper], some[upper]]
            count += 1
    return numbers


def _halved(lights: FloatArray) -> BoolArray | None:
    """Which windows (N,) are of the second of two regimes; none where they are one."""
    if len(lights) < 2 * LEAST:
        return None
    from sklearn.cluster import KMeans

    along = np.linalg.svd(lights - lights.mean(0), full_matrices=False)[2][0]
    ranked = np.argsort(lights @ along, kind="stable")
    begin = lights[ranked[[len(ranked) // 20, -1 - len(ranked) // 20]]]
    upper = np.asarray(KMeans(2, init=begin, n_init=1).fit(lights).labels_ == 1)
    smaller = min(int(upper.sum()), int((~upper).sum()))
    if smaller < LEAST:
        return None
    middle, other = np.median(lights[~upper], axis=0), np.median(lights[upper], axis=0)
    way = other - middle
    if np.sqrt(np.mean(way**2)) < APART:
        return None
    share = (lights - middle) @ way / (way @ way)
    between = int(((share > 0.25) & (share < 0.75)).sum())
    return upper if between <= min(BETWEEN * len(lights), OF_SMALLER * smaller) else None


@dataclass(frozen=True)
class RegimeLight:
    """What a regime is called after."""

    light: Light
    colour: float
    """Mean difference of a pixel's highest and lowest colour; NaN where nobody knows."""


def named(looks: Sequence[RegimeLight]) -> list[str]:
    """A name for each regime: by colour where only some have it, by how light they are, by contrast; else a number.

    >>> light, dark = (40, 90, 130, 180, 220, 30), (20, 30, 40, 50, 60, 30)
    >>> named([RegimeLight(light, 25.0), RegimeLight(dark, 1.0)])
    ['colour', 'infrared']
    >>> named([RegimeLight(light, 25.0), RegimeLight(dark, 24.0)])
    ['bright', 'dark']
    """
    if len(looks) == 1:
        return [""]
    colours = np.array([look.colour for look in looks])
    words = [""] * len(looks)
    if (colours < GREY).any() and (colours > COLOURED).any():
        words = ["infrared" if colour < GREY else "colour" for colour in colours]
    for word in set(words):
        same = [number for number, each in enumerate(words) if each == word]
        if len(same) > 1:
            for number, name in zip(same, _apart_by([looks[each].light for each in same]), strict=True):
                words[number] = f"{name} {word}".strip()
    return words


def _apart_by(lights: Sequence[Light]) -> list[str]:
    brightness = [float(np.mean(light[:5])) for light in lights]
    contrast = [light[4] - light[0] for light in lights]
    for values, words in ((brightness, ("dark", "medium", "bright")), (contrast, ("flat", "medium", "strong"))):
        ranked = np.argsort(values).tolist()
        if min(np.diff(np.sort(values))) >= TELLING:
            chosen = words if len(lights) == MOST else (words[0], words[-1])
            return [chosen[ranked.index(number)] for number in range(len(lights))]
    return [f"light {number + 1}" for number in range(len(lights))]
