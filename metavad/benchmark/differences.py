"""Every row against zero-shot and against fine-tune: how far apart, and whether it was only these videos."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from metavad.benchmark.bench import Bench
from metavad.benchmark.figures import defined, frame_scores
from metavad.benchmark.parts import Scored
from metavad.benchmark.settings import ONCE
from metavad.evaluation.intervals import Difference, auc_difference, mean_difference
from metavad.types import FloatArray

__all__ = ["RIVALS", "Draws", "differences", "mean_differences"]

RIVALS = ("zero-shot", "fine-tune")
"""What every method is held against: the base without shots, and the jointly trained control with them."""
RESAMPLES = 1000

Draws: TypeAlias = Mapping[tuple[str, int], Sequence[Scored]]
"""By method and K, the draws of one scene."""


def differences(bench: Bench, scored: Draws) -> list[dict[str, Any]]:
    """Micro AUC of each method minus each rival's at the same K, with intervals over whole test videos."""
    drawn = {key: _drawn(bench, draws) for key, draws in scored.items()}
    return [
        _difference(bench, drawn, method, shots, rival)
        for method, shots in scored
        for rival in RIVALS
        if method != rival and (rival, _shots(rival, shots)) in scored
    ]


def _shots(method: str, shots: int) -> int:
    return 0 if method in ONCE else shots


def _difference(
    bench: Bench, drawn: Mapping[tuple[str, int], list[FloatArray]], method: str, shots: int, rival: str
) -> dict[str, Any]:
    # The same resamples for every pair of a scene, whatever else is asked for: intervals do not move with it.
    generator = np.random.default_rng([bench.settings.seed, zlib.crc32(bench.scene.key.encode())])
    ours, theirs = drawn[method, shots], drawn[rival, _shots(rival, shots)]
    found = auc_difference(ours, theirs, bench.labels, generator=generator, resamples=RESAMPLES)
    where = {"suite": bench.scene.suite, "scene": bench.scene.name, "method": method, "shots": shots, "minus": rival}
    return {**where, **_told(found, "videos")}


def _told(found: Difference, units: str) -> dict[str, Any]:
    return {
        "figure": "micro_auc",
        **{name: defined(getattr(found, name)) for name in ("value", "low", "high", "level", "share_above")},
        units: found.units,
        "certain": bool(found.certain),
    }


def mean_differences(found: Sequence[Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    """The mean over scenes of each difference that is defined in all of them, with an interval over whole cameras.

    Scenes are the units: what holds on the videos of four cameras need not hold on a fifth. None for one scene.
    """
    scenes = {(each["suite"], each["scene"]) for each in found}
    grouped: dict[tuple[str, int, str], list[float]] = {}
    for each in found:
        if each["value"] is not None:
            grouped.setdefault((each["method"], each["shots"], each["minus"]), []).append(each["value"])
    return [
        {"suite": "", "scene": "mean", "method": method, "shots": shots, "minus": rival}
        | _told(mean_difference(np.array(values), generator=np.random.default_rng(seed), resamples=RESAMPLES), "scenes")
        for (method, shots, rival), values in grouped.items()
        if len(values) == len(scenes) > 1
    ]


def _drawn(bench: Bench, draws: Sequence[Scored]) -> list[FloatArray]:
    """For each test video the scores of all draws (S, T)."""
    rows = [frame_scores(bench, draw.smoothed) for draw in draws]
    return [np.stack(video) for video in zip(*rows, strict=True)]
