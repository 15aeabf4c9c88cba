"""Every method against the reference methods: how far apart, and whether it was only these videos."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from metavad.benchmark.figures import frame_scores
from metavad.benchmark.parts import Scored
from metavad.benchmark.protocol import LEADING, METHODS, REFERENCES
from metavad.benchmark.record import MEAN, Difference, defined
from metavad.benchmark.scene_trial import SceneTrial
from metavad.evaluation import intervals
from metavad.types import FloatArray

__all__ = ["Draws", "differences", "mean_differences"]

RESAMPLES = 1000

Draws: TypeAlias = Mapping[tuple[str, int], Sequence[Scored]]
"""By method and K, the draws of one scene."""


def differences(trial: SceneTrial, scored: Draws) -> list[Difference]:
    """Micro AUC of each method minus each reference's at the same K, with intervals over whole test videos."""
    drawn = {key: _drawn(trial, draws) for key, draws in scored.items()}
    return [
        _difference(trial, drawn, method, shots, reference)
        for method, shots in scored
        for reference in REFERENCES
        if method != reference and (reference, _shots(reference, shots)) in scored
    ]


def _shots(method: str, shots: int) -> int:
    return shots if METHODS[method].needs_shots else 0


def _difference(
    trial: SceneTrial, drawn: Mapping[tuple[str, int], list[FloatArray]], method: str, shots: int, reference: str
) -> Difference:
    # The same resamples for every pair of a scene, whatever else is asked for: intervals do not move with it.
    generator = np.random.default_rng([trial.settings.seed, zlib.crc32(trial.scene.key.encode())])
    ours, theirs = drawn[method, shots], drawn[reference, _shots(reference, shots)]
    found = intervals.auc_difference(ours, theirs, trial.labels, generator=generator, resamples=RESAMPLES)
    return Difference(
        suite=trial.scene.suite,
        scene=trial.scene.name,
        method=method,
        shots=shots,
        minus=reference,
        videos=found.units,
        **_interval(found),
    )


def _interval(found: intervals.Difference) -> dict[str, Any]:
    numbers = {name: defined(getattr(found, name)) for name in ("value", "low", "high", "level", "share_above")}
    return {"figure": LEADING, **numbers, "certain": bool(found.certain)}


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


def _mean_difference(method: str, shots: int, reference: str, values: FloatArray, seed: int) -> Difference:
    found = intervals.mean_difference(values, generator=np.random.default_rng(seed), resamples=RESAMPLES)
    return Difference(
        suite="", scene=MEAN, method=method, shots=shots, minus=reference, scenes=found.units, **_interval(found)
    )


def _drawn(trial: SceneTrial, draws: Sequence[Scored]) -> list[FloatArray]:
    """For each test video the scores of all draws (S, T)."""
    rows = [frame_scores(trial, draw.smoothed) for draw in draws]
    return [np.stack(video) for video in zip(*rows, strict=True)]
