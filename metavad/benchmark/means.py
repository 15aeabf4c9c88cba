"""Means over the scenes of a record, with intervals over whole scenes; of several records too. No model is needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from metavad.benchmark.protocol import LEADING
from metavad.benchmark.record import MEAN, Difference, MeanFigure, Row, defined
from metavad.evaluation import intervals
from metavad.types import FloatArray

__all__ = ["RESAMPLES", "interval_of", "mean_differences", "mean_figures"]

RESAMPLES = 1000
"""Of test videos or scenes, for an interval."""


def mean_differences(found: Sequence[Difference], seed: int) -> list[Difference]:
    """The mean over scenes of each difference that is defined in all of them, with an interval over whole cameras.

    Scenes are the units: what holds on the videos of four cameras need not hold on a fifth. None for one scene.
    """
    scenes = {(each.suite, each.scene) for each in found}
    grouped: dict[tuple[str, int, str], list[float]] = {}
    for each in found:
        if each.value is not None:
            grouped.setdefault((each.method, each.shots, each.minus), []).append(each.value)
    return [
        _mean_difference(*key, np.array(values), seed)
        for key, values in grouped.items()
        if len(values) == len(scenes) > 1
    ]


def mean_figures(rows: Sequence[Row], seed: int) -> list[MeanFigure]:
    """The mean over scenes of the leading figure, of each method and K that has it in all; none of one scene."""
    scenes = {(row.suite, row.scene) for row in rows}
    grouped: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if (value := row.figure(LEADING)) is not None:
            grouped.setdefault((row.method, row.shots), []).append(value)
    return [
        _mean_figure(*key, np.array(values), seed) for key, values in grouped.items() if len(values) == len(scenes) > 1
    ]


def interval_of(found: intervals.Difference) -> dict[str, Any]:
    """Fields of a :class:`Difference` that say how far apart, and how certain."""
    numbers = {name: defined(getattr(found, name)) for name in ("value", "low", "high", "level", "share_above")}
    return {"figure": LEADING, **numbers, "certain": bool(found.certain)}


def _mean_difference(method: str, shots: int, reference: str, values: FloatArray, seed: int) -> Difference:
    found = intervals.mean_difference(values, generator=np.random.default_rng(seed), resamples=RESAMPLES)
    return Difference(
        suite="", scene=MEAN, method=method, shots=shots, minus=reference, scenes=found.units, **interval_of(found)
    )


def _mean_figure(method: str, shots: int, values: FloatArray, seed: int) -> MeanFigure:
    found = intervals.mean_interval(values, generator=np.random.default_rng(seed), resamples=RESAMPLES)
    low, high = defined(found.low), defined(found.high)
    return MeanFigure(
        method=method,
        shots=shots,
        figure=LEADING,
        value=found.value,
        low=low,
        high=high,
        level=found.level,
        scenes=found.units,
    )
