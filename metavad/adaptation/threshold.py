"""The threshold's promise: at most so many false alarms a day."""

import math
from dataclasses import dataclass

from scipy.special import gammaincinv

from metavad.adaptation.adapt import Normality, judges
from metavad.errors import UsageError

__all__ = ["Promise", "promise_threshold"]

SECONDS_PER_DAY = 86_400.0
PRIOR_TICKS = 40.0
"""Ticks of shots that the cameras' common spread of normal scores counts for."""
CAUTION = 0.9
"""The camera's own spread is taken at this quantile of what the shots allow."""


@dataclass(frozen=True)
class Promise:
    """What was promised, whether normal footage reaches that far, and the sentence for people."""

    alarms_per_day: float
    supported: bool
    text: str


def promise_threshold(model: Normality, alarms_per_day: float, *, normal_ticks: int) -> tuple[float, Promise]:
    """The frame score over which an alarm is raised, and what it promises.

    The base's tail of normal frame scores gives the score that is passed ``alarms_per_day`` times, an alarm
    lasting about one smoothing window. Where this camera's shots (cross-fitted) surprise more than cameras
    usually do, the needed nats grow in proportion, the more surely the more shots there are. Beyond what
    ``normal_ticks`` of normal footage have shown, the tail is extrapolated, and the promise says so.
    """
    if not alarms_per_day > 0:
        raise UsageError(f"--alarms-per-day: expected a number above 0, found {alarms_per_day}")
    config = model.method.config
    window = config.scoring.past + config.scoring.ahead
    nats = math.log(SECONDS_PER_DAY / (alarms_per_day * window))
    reach = math.log(max(normal_ticks, 20) / 20.0)
    scale = _spread(model)
    score = model.method.tails["frame"].score(nats * scale, model.evidence)
    return score, Promise(alarms_per_day, nats <= reach, _sentence(model.shots, alarms_per_day, nats, reach, window))


def _spread(model: Normality) -> float:
    """How much wider than usual this camera's normal frame scores are, at least 1."""
    shown = model.frame_surprise[~model.frame_surprise.isnan()]
    if len(shown) == 0:
        return 1.0
    nats = model.method.tails["frame"].nats(shown, judges(model))
    # Neighbouring ticks say the same thing: a clip by itself counts as three of them.
    count = 3.0 * model.evidence
    share = count / (count + PRIOR_TICKS)
    # The quantile of a gamma distribution of mean 1; scipy.stats has it too, and takes a second to import.
    upper = float(gammaincinv(count + PRIOR_TICKS, CAUTION)) * (1.0 / (count + PRIOR_TICKS))
    return max(1.0, (share * float(nats.mean()) + (1 - share)) * upper)


def _sentence(shots: int, alarms: float, nats: float, reach: float, window: float) -> str:
    promise = f"at most {alarms:g} false alarms a day"
    if nats <= reach:
        return f"{promise}, from normal footage of the base's cameras and {shots} clips of this one"
    least = SECONDS_PER_DAY / (window * math.exp(reach))
    return (
        f"{promise} is beyond what normal footage has shown: the base and {shots} clips can support at most "
        f"{least:.0f} a day, the rest is extrapolated; give more normal footage to be sure"
    )
