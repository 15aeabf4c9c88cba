"""Every method against the reference methods: how far apart, and whether it was only these videos."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from metavad.benchmark.figures import drawn_scores
from metavad.benchmark.means import RESAMPLES, interval_of
from metavad.benchmark.parts import Scored
from metavad.benchmark.protocol import METHODS, REFERENCES
from metavad.benchmark.record import Difference
from metavad.benchmark.scene_trial import SceneTrial
from metavad.evaluation import intervals
from metavad.types import FloatArray

__all__ = ["Draws", "differences"]

Draws: TypeAlias = Mapping[tuple[str, int], Sequence[Scored]]
"""By method and K, the draws of one scene."""


def differences(trial: SceneTrial, scored: Draws) -> list[Difference]:
    """Micro AUC of each method minus each reference's at the same K, with intervals over whole test videos."""
    drawn = {key: drawn_scores(trial, draws) for key, draws in scored.items()}
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
    ours, theirs = drawn[method, shots], drawn[reference, _shots(reference, shots)]
    found = intervals.auc_difference(ours, theirs, trial.labels, generator=trial.resampling(), resamples=RESAMPLES)
    return Difference(
        suite=trial.scene.suite,
        scene=trial.scene.name,
        method=method,
        shots=shots,
        minus=reference,
        videos=found.units,
        **interval_of(found),
    )
