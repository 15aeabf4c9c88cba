"""Regimes of one camera: day and night, a lamp on or off, found in its normal footage by the light of its pictures.

A regime is a way in which most pictures of some time look alike in grey: how light they are, how strong the contrasts,
how much noise. What is normal scores higher in one than in another, so each has a scale of its own, and a score means
the same in all of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from metavad.types import ByteArray, FloatArray

__all__ = [
    "LIGHT",
    "UNKNOWN",
    "Light",
    "LightNow",
    "Regime",
    "RegimeWatch",
    "common_score",
    "common_scores",
    "light_of",
]

LIGHT = 6
"""Numbers that describe the light of a picture."""
UNKNOWN = "unknown light"
"""The name of what no normal footage showed."""
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_EVERY, _ROWS = 8, 16  # rows and columns of which one is looked at for grey levels, and rows for neighbours
_GRAIN = 16.0  # by which the mean difference of neighbours is multiplied, to count as much as grey levels

SLOW = 3.0
"""Seconds over which light is averaged: who walks by is no other light."""
NEARER = 0.5
"""A regime is left for one whose distance is less than this share of its own."""

Light = tuple[float, ...]
"""Five quantiles of grey, and sixteen times the mean difference of neighbouring pixels; averaged over some seconds."""


@dataclass(frozen=True)
class Regime:
    """One light of a camera, and what its normal scores are like."""

    name: str
    light: Light
    """Of its middle window."""
    reach: float
    """Levels (root mean square) up to which a light is of it."""
    body: float = 0.0
    """Score under which most of its windows lie."""
    scale: float = 1.0
    """Mean by which what lies above is higher."""

    def distance(self, lights: FloatArray) -> FloatArray:
        """Levels, root mean square, of lights (..., 6) from its own."""
        return np.asarray(np.sqrt(np.mean((lights - np.array(self.light)) ** 2, axis=-1)))


def light_of(picture: ByteArray) -> ByteArray:
    """The light of a grey picture (H, W): (6,)."""
    rows = picture[::_ROWS]
    grain = cv2.mean(cv2.absdiff(rows[:, 1:], rows[:, :-1]))[0] if rows.shape[1] > 1 else 0.0
    ranked = np.sort(picture[::_EVERY, ::_EVERY], axis=None)
    levels = ranked[[int(share * len(ranked)) for share in QUANTILES]]
    return np.append(levels, np.uint8(min(255.0, round(_GRAIN * grain))))


@dataclass(frozen=True)
class LightNow:
    """The light of a tick, and what is known of it."""

    averages: Light
    """Over the last seconds."""
    number: int
    """Of the regime; -1 where none is known."""
    is_known: bool
    """Whether it is a light that normal footage showed."""

    def name(self, regimes: Sequence[Regime]) -> str:
        """Of its regime; empty where there is but one."""
        if not self.is_known:
            return UNKNOWN
        return regimes[self.number].name if len(regimes) > 1 else ""


class RegimeWatch:
    """The light of one recording, tick by tick, and the regime that it is of; no tick depends on a later one.

    The regime is the nearest by light, with hysteresis.
    """

    def __init__(self, regimes: Sequence[Regime]) -> None:
        self._regimes = regimes
        self._light, self._since, self._number = np.zeros(0), 0.0, -1

    def push(self, light: ByteArray, seconds: float) -> LightNow:
        """The light (6,) of the next tick."""
        found = light.astype(np.float64)
        share = 1 - math.exp(-(seconds - self._since) / SLOW) if self._light.size else 1.0
        before = self._light if self._light.size else found
        self._light, self._since = before + share * (found - before), seconds
        return self.of(tuple(self._light.tolist()))

    def among(self, regimes: Sequence[Regime]) -> "RegimeWatch":
        """The same light, to be told apart by other regimes from now on."""
        found = RegimeWatch(regimes)
        found._light, found._since = self._light, self._since
        return found

    def of(self, averages: Light) -> LightNow:
        """What is known of the next tick, whose light was averaged before."""
        if not self._regimes:
            return LightNow(averages, -1, True)
        light = np.array(averages)
        away = [float(regime.distance(light)) for regime in self._regimes]
        best = min(range(len(away)), key=away.__getitem__)
        if self._number < 0 or away[best] < NEARER * away[self._number]:
            self._number = best
        return LightNow(averages, self._number, away[best] <= self._regimes[best].reach)


def common_score(regimes: Sequence[Regime], number: int, score: float) -> float:
    """A frame score of a regime as one of the first: as rare there as this one is in its own.

    What lies above a regime's body is stretched by the scales; what lies below, so that zero stays.
    """
    return score if number <= 0 else float(common_scores(regimes, number, np.array(score)))


def common_scores(regimes: Sequence[Regime], number: int, scores: FloatArray) -> FloatArray:
    """The same of many, of any shape."""
    own, first = regimes[number], regimes[0]
    below = scores * (first.body / own.body)
    return np.where(scores <= own.body, below, first.body + (scores - own.body) * (first.scale / own.scale))
