"""The threshold's promise: at most so many false alarms a day."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaincinv

from metavad.config import ALARMS, Alarms
from metavad.errors import UsageError
from metavad.normality.distribution import ScoreDistribution
from metavad.normality.model import SceneModel
from metavad.recordings import recordings
from metavad.runs import runs
from metavad.types import BoolArray, FloatArray

__all__ = [
    "FEWEST",
    "SECONDS_PER_DAY",
    "SURE",
    "Promise",
    "alarms_at",
    "check_alarms",
    "checked_threshold",
    "own_nats",
    "promise_threshold",
    "window_peaks",
    "window_seconds",
]

SECONDS_PER_DAY = 86_400.0
SURE = -math.log(0.05)
"""Alarms at least expected (3.0) of a rate that footage without any rules out with 95 %."""
PRIOR_TICKS = 40.0
"""Ticks of shots that the cameras' common spread of normal scores counts for."""
CAUTION = 0.9
"""The camera's own spread is taken at this quantile of what the shots allow."""
FEWEST_CLIPS = 10
"""Effective sample size from which the promise is one for this camera: of generated cameras 95 % and more keep it after
ten, and after five as few as 85 %, though all together keep it still."""


@dataclass(frozen=True)
class Promise:
    """What was promised, whether normal footage reaches that far, and the sentence for people."""

    alarms_per_day: Alarms
    supported: bool
    text: str


def promise_threshold(model: SceneModel, alarms_per_day: float, *, normal_ticks: int) -> tuple[float, Promise]:
    """The frame score over which an alarm is raised, and what it promises.

    The base's tail of normal frame scores gives the score that is passed ``alarms_per_day`` times, an alarm
    lasting about one smoothing window. Where this camera's shots (cross-fitted) surprise more than cameras
    usually do, the needed nats grow in proportion, the more surely the more shots there are. Beyond what
    ``normal_ticks`` of normal footage have shown, the tail is extrapolated, and the promise says so; and so it does
    where the shots are too few to tell this camera from others.
    """
    check_alarms(alarms_per_day)
    window = window_seconds(model)
    nats = math.log(SECONDS_PER_DAY / (alarms_per_day * window))
    reach = math.log(max(normal_ticks, 20) / 20.0)
    scale = _spread(model)
    score = _frames(model).value(nats * scale)
    supported = nats <= reach and model.support.sample_size >= FEWEST_CLIPS
    return score, Promise(alarms_per_day, supported, _sentence(model, alarms_per_day, nats, reach))


def alarms_at(model: SceneModel, score: float, threshold: float, alarms_per_day: float) -> float:
    """False alarms a day that a threshold of ``score`` would mean, where ``threshold`` means ``alarms_per_day``.

    From there on by the base's tail of normal frame scores, spread as this camera's shots are; at most one alarm lasts
    at a time. An estimate from other cameras, whatever the threshold itself was taken from.
    """
    tail, scale = _frames(model).surprise(torch.tensor([score, threshold])).double(), _spread(model)
    most = math.log(SECONDS_PER_DAY / window_seconds(model))
    return math.exp(min(math.log(alarms_per_day) + float(tail[1] - tail[0]) / scale, most))


def check_alarms(alarms_per_day: float) -> None:
    """Raises :class:`UsageError` for a rate that nobody can promise."""
    if not ALARMS[0] <= alarms_per_day <= ALARMS[1]:
        raise UsageError(
            f"--alarms-per-day: expected a number above 0, at most 86,400 (one a second), found {alarms_per_day:g}"
        )


BODY = 0.8
"""Share of a camera's own windows that lies below its tail."""
PRIOR_PEAKS = 5.0
"""Peaks of the camera's own footage that the cameras' common tail counts for."""
FEWEST = 60
"""Windows of a camera's own footage from which a threshold is taken from them: of simulated cameras livelier than most
88 to 97 % keep a rare promise then, and 82 to 87 % with 20 windows."""


def window_peaks(model: SceneModel, scores: FloatArray, seconds: FloatArray, shown: BoolArray) -> FloatArray:
    """What one video gives to :func:`checked_threshold`, from its smoothed scores, their times and what was shown (T,).

    The highest score that was not shown of each whole smoothing window of a recording; NaN where more than half of one
    was shown, and after the last.
    """
    parts = [slice(start, stop) for start, stop in recordings(seconds)]
    return np.concatenate([_peaks(model, scores[part], seconds[part], shown[part]) for part in parts])


def _peaks(model: SceneModel, scores: FloatArray, seconds: FloatArray, shown: BoolArray) -> FloatArray:
    """Those of one recording."""
    windows = ((seconds - seconds[0]) / window_seconds(model)).astype(int)
    number = np.unique(windows, return_inverse=True)[1]
    peaks = np.full(number[-1] + 1, np.nan)
    for window in range(number[-1]):
        inside = slice(*np.searchsorted(number, [window, window + 1]))
        if shown[inside].mean() <= 0.5:
            peaks[window] = scores[inside][~shown[inside]].max()
    return peaks


def checked_threshold(model: SceneModel, peaks: FloatArray, alarms_per_day: float) -> tuple[float, Promise]:
    """The threshold from normal footage of the camera itself that was not shown, and what it promises.

    ``peaks`` (N,) holds those of all its videos (:func:`window_peaks`), at least ``FEWEST`` that are not NaN. In nats
    of the base's tail, what lies above their 80 % quantile is taken for exponential (peaks over threshold: Pickands
    1975, https://doi.org/10.1214/aos/1176343003; neighbouring windows over it are one peak), with the cameras' common
    tail as prior of those calmer than it, at the 0.9 quantile of what the peaks leave open. And never so low that this
    footage itself would have broken the promise.
    """
    window, population = window_seconds(model), _frames(model)
    nats = population.surprise(torch.from_numpy(np.nan_to_num(peaks)).float()).double().numpy()
    known = ~np.isnan(peaks)
    seconds = float(known.sum()) * window
    threshold = population.value(own_nats(nats, known, alarms_per_day * window / SECONDS_PER_DAY))
    proven = SURE * SECONDS_PER_DAY / seconds
    text = f"at most {alarms_per_day:,g} false alarms a day"
    own = f"{seconds / 60:.1f} min of this camera's normal footage"
    if alarms_per_day >= proven:
        return threshold, Promise(alarms_per_day, True, f"{text}, from {own}")
    beyond = f"is an estimate: {own} proves at most {math.ceil(proven):,} a day, longer footage fewer"
    return threshold, Promise(alarms_per_day, False, f"{text} {beyond}")


def own_nats(nats: FloatArray, known: BoolArray, share: float) -> float:
    """The nats that at most ``share`` of a camera's windows pass, from those (N,) of which some are known."""
    count, body = int(known.sum()), float(np.quantile(nats[known], BODY))
    found = sorted((float(nats[start:end].max()) for start, end in runs((nats > body) & known)), reverse=True)
    excess = sum(found) - body * len(found)
    prior = PRIOR_PEAKS * max(1.0, excess / max(len(found), 1))
    scale = (excess + prior) / float(gammaincinv(len(found) + PRIOR_PEAKS, 1 - CAUTION))
    needed = body + scale * max(0.0, math.log((len(found) + 1) / (count * share)))
    allowed = math.floor(count * share)
    return max([needed, *found[allowed : allowed + 1]])


def window_seconds(model: SceneModel) -> float:
    """Seconds that one alarm lasts at least: the past and the look-ahead of smoothing."""
    return model.scoring.past + model.scoring.future


def _frames(model: SceneModel) -> ScoreDistribution:
    """Of fused frame scores on normal footage, after as many clips."""
    return model.frames.after(model.support.sample_size)


def _spread(model: SceneModel) -> float:
    """How much wider than usual this camera's normal frame scores are, at least 1."""
    shown = model.support.frames[~model.support.frames.isnan()]
    if len(shown) == 0:
        return 1.0
    nats = model.frames.after(model.support.held_out_size).surprise(shown)
    # Neighbouring ticks say the same thing: a clip by itself counts as three of them.
    count = 3.0 * model.support.sample_size
    share = count / (count + PRIOR_TICKS)
    # The quantile of a gamma distribution of mean 1; scipy.stats has it too, and takes a second to import.
    upper = float(gammaincinv(count + PRIOR_TICKS, CAUTION)) * (1.0 / (count + PRIOR_TICKS))
    return max(1.0, (share * float(nats.mean()) + (1 - share)) * upper)


def _sentence(model: SceneModel, alarms: float, nats: float, reach: float) -> str:
    promise, shots = f"at most {alarms:,g} false alarms a day", model.support.clips
    if model.support.sample_size < FEWEST_CLIPS:
        known = "on most cameras, not yet certain on this one" if nats <= reach else "is estimated from other cameras"
        worth = f"these {shots} are worth {int(model.support.sample_size)}" if shots else "none was shown"
        return f"{promise} {known}: show {FEWEST_CLIPS} clips from different times ({worth}), or use --check"
    if nats <= reach:
        return f"{promise}, by the normal footage of other cameras and {shots} clips of this one"
    least = SECONDS_PER_DAY / (window_seconds(model) * math.exp(reach))
    return (
        f"{promise} is an estimate: the normal footage of other cameras and {shots} clips prove at most {least:,.0f} a "
        "day; give more normal footage and use --check"
    )
