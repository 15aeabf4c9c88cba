"""The threshold's promise: at most so many false alarms a day."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaincinv

from metavad.config import ALARMS, Alarms
from metavad.durations import spelled
from metavad.errors import UsageError
from metavad.normality.distribution import ScoreDistribution
from metavad.normality.model import SceneModel
from metavad.normality.own_footage import BODY, OwnFootage, alarm_levels, window_seconds
from metavad.runs import runs
from metavad.types import BoolArray, FloatArray

__all__ = [
    "CAUTION",
    "FEWEST",
    "PRIOR_PEAKS",
    "SECONDS_PER_DAY",
    "Promise",
    "alarms_at",
    "calibrated_threshold",
    "check_alarms",
    "needed_seconds",
    "outstanding",
    "own_nats",
    "own_threshold",
    "promise_of_threshold",
    "promise_threshold",
    "rates",
    "recurring",
]

SECONDS_PER_DAY = 86_400.0
SURE = 0.95
"""With which a rate is proven."""
PRIOR_TICKS = 40.0
"""Ticks of shots that the cameras' common spread of normal scores counts for."""
CAUTION = 0.9
"""The camera's own spread is taken at this quantile of what the shots allow."""
FEWEST_CLIPS = 10
"""Effective sample size from which the promise is one for this camera: of generated cameras 95 % and more keep it after
ten, and after five as few as 85 %, though all together keep it still."""


@dataclass(frozen=True)
class Promise:
    """What a threshold promises, and whether normal footage reaches that far."""

    alarms_per_day: Alarms
    """False alarms a day, at most."""
    supported: bool
    """Whether normal footage reaches that far; else it is an estimate."""
    text: str
    """The sentence for people."""


def promise_threshold(model: SceneModel, alarms_per_day: float, *, normal_ticks: int) -> tuple[float, Promise]:
    """The frame score over which an alarm is raised, and what it promises.

    The base's tail of normal frame scores gives the score that is passed ``alarms_per_day`` times, an alarm
    lasting about one smoothing window. Where this camera's shots (cross-fitted) surprise more than cameras
    usually do, the needed nats grow in proportion, the more surely the more shots there are. Beyond what
    ``normal_ticks`` of normal footage have shown, the tail is extrapolated, and the promise says so; and so it does
    where the shots are too few to tell this camera from others.
    """
    check_alarms(alarms_per_day)
    nats = math.log(SECONDS_PER_DAY / (alarms_per_day * window_seconds(model)))
    return _frames(model).value(nats * _spread(model)), _promise(model, alarms_per_day, normal_ticks)


def _promise(model: SceneModel, alarms_per_day: float, normal_ticks: int) -> Promise:
    """By the footage of other cameras, and as many clips of this one as were shown."""
    nats = math.log(SECONDS_PER_DAY / (alarms_per_day * window_seconds(model)))
    reach = math.log(max(normal_ticks, 20) / 20.0)
    supported = nats <= reach and model.support.sample_size >= FEWEST_CLIPS
    return Promise(alarms_per_day, supported, _sentence(model, alarms_per_day, nats, reach))


def alarms_at(
    model: SceneModel, score: float, threshold: float, alarms_per_day: float, own: OwnFootage = OwnFootage()
) -> float:
    """False alarms a day that a threshold of ``score`` would mean, where ``threshold`` means ``alarms_per_day``.

    Those that this camera's own normal footage has there, where there is enough of it. Where it has none, and where
    there is too little of it: from that threshold on by the base's tail of normal frame scores, as wide as the own
    footage has it, else as the shots are spread. At most one alarm lasts at a time. An estimate.
    """
    is_enough = np.count_nonzero(own.known) >= FEWEST
    tail = _frames(model).surprise(torch.tensor([score, threshold])).double()
    scale = _own_scale(model, own) if is_enough else _spread(model)
    most = SECONDS_PER_DAY / window_seconds(model)
    rate = math.exp(min(math.log(alarms_per_day) + float(tail[1] - tail[0]) / scale, math.log(most)))
    if not is_enough or score >= threshold:
        return rate
    counted = _counted(model, own)
    found = int(np.count_nonzero(alarm_levels(own.peaks, counted) > score))
    known = max(found, 1) / _days(model, counted)
    return max(alarms_per_day, known if found else min(rate, known))


def _own_scale(model: SceneModel, own: OwnFootage) -> float:
    """Mean nats by which the peaks of a camera's own footage are above its body."""
    counted, nats = _counted(model, own), _nats(model, own.peaks)
    body = float(np.quantile(nats[counted], BODY))
    found = [float(nats[start:end].max()) - body for start, end in runs((nats > body) & counted)]
    return (sum(found) + PRIOR_PEAKS) / (len(found) + PRIOR_PEAKS)


def check_alarms(alarms_per_day: float) -> None:
    """Raises :class:`UsageError` for a rate that nobody can promise."""
    if not ALARMS[0] <= alarms_per_day <= ALARMS[1]:
        raise UsageError(
            f"--alarms-per-day: expected a number above 0, at most 86,400 (one a second), found {alarms_per_day:g}"
        )


PRIOR_PEAKS = 5.0
"""Peaks of the camera's own footage that the cameras' common tail counts for."""
FEWEST = 60
"""Windows of a camera's own footage from which a threshold is taken from them: of simulated cameras livelier than most
88 to 97 % keep a rare promise then, and 82 to 87 % with 20 windows."""
ODD_SHARE, ODD_CHANCE, ODD_REST = 0.05, 0.01, 5
"""Of windows that may stand out, at most this share; of footage where nothing does, the chance that something seems to;
and peaks at least that do not."""
OCCASIONS = 5
"""Occasions at most that may stand out, of footage of any length: what comes more often belongs there, and a threshold
below it would break the promise by the very footage that it comes from."""
OCCASION = 60.0
"""Seconds between two occasions at least."""


def calibrated_threshold(
    model: SceneModel, own: OwnFootage, alarms_per_day: float, *, normal_ticks: int
) -> tuple[float, Promise]:
    """The threshold and its promise: from the camera's own footage where there is enough of it, else from others'."""
    if np.count_nonzero(own.known) < FEWEST:
        return promise_threshold(model, alarms_per_day, normal_ticks=normal_ticks)
    check_alarms(alarms_per_day)
    return own_threshold(model, own, alarms_per_day)


def own_threshold(model: SceneModel, own: OwnFootage, alarms_per_day: float) -> tuple[float, Promise]:
    """The threshold from normal footage of the camera itself that was not shown, and what it promises.

    At least ``FEWEST`` windows of it are known. What stands out of them (:func:`outstanding`), on few occasions, does
    not count, unless it is ruled normal. In nats of the base's tail, what lies above their 80 % quantile is taken for
    exponential (peaks over threshold: Pickands 1975, https://doi.org/10.1214/aos/1176343003; neighbouring windows over
    it are one peak), with the cameras' common tail as prior of those calmer than it, at the 0.9 quantile of what the
    peaks leave open.
    And never so low that this footage itself, where it is long enough, would not prove the promise.
    """
    counted = _counted(model, own)
    share = alarms_per_day * window_seconds(model) / SECONDS_PER_DAY
    threshold = _frames(model).value(own_nats(_nats(model, own.peaks), counted, share))
    allowed = _provable(int(counted.sum()) * share)
    threshold = max([threshold, *alarm_levels(own.peaks, counted)[allowed : allowed + 1].tolist()])
    return threshold, _own_promise(model, own, counted, threshold, alarms_per_day)


def promise_of_threshold(model: SceneModel, own: OwnFootage, threshold: float, *, normal_ticks: int) -> Promise:
    """What a threshold promises that somebody chose: the rate that the camera's footage proves, else other cameras'."""
    if np.count_nonzero(own.known) < FEWEST:
        nats = min(float(_frames(model).surprise(torch.tensor([threshold]))[0]) / _spread(model), _FARTHEST)
        return _promise(model, _rounded(SECONDS_PER_DAY / (window_seconds(model) * math.exp(nats))), normal_ticks)
    counted = _counted(model, own)
    alarms = len(runs(counted & (own.peaks > threshold)))
    rate = _rounded(_bound(alarms) / _days(model, counted))
    return _own_promise(model, own, counted, threshold, rate)


_FARTHEST = 50.0
"""Nats beyond which nobody counts alarms."""


def rates(model: SceneModel, own: OwnFootage, thresholds: FloatArray, *, regime: int | None = None) -> FloatArray:
    """Alarms a day on the camera's own footage at each threshold (M,), without what stands out or is left out.

    NaN where there is no such footage; with ``regime``, a number, of a day of that light alone.
    """
    counted = _counted(model, own)
    if regime is not None:
        counted &= own.regime == regime
    found = [len(runs(counted & (own.peaks > each))) for each in thresholds]
    return np.array(found) / (_days(model, counted) or math.nan)


def outstanding(model: SceneModel, own: OwnFootage) -> BoolArray:
    """The windows (N,) that stand out of a camera's own footage, and so do not count unless somebody says so."""
    counted = _counted(model, own)
    return np.asarray(own.known & ~counted)


def recurring(model: SceneModel, own: OwnFootage) -> int:
    """On how many occasions something is far above the rest and counts all the same, since these are many; else 0."""
    odd = _odd_of(model, own, own.known, most=math.inf) & _counted(model, own)
    begun = _when(own)[[start for start, _ in runs(odd)]]
    return _occasions(begun) if len(begun) > 0 else 0


def _counted(model: SceneModel, own: OwnFootage) -> BoolArray:
    """The windows (N,) that a threshold is taken from.

    What stands out with what is left out beside it stands out without it, too: or leaving out the highest of a few
    events would let the others count, and raise the threshold.
    """
    odd = _odd_of(model, own, own.known)
    if (own.ruling < 0).any():
        odd |= _odd_of(model, own, ~np.isnan(own.peaks))
    return np.asarray(own.known & ~(odd & (own.ruling <= 0)))


def _odd_of(model: SceneModel, own: OwnFootage, known: BoolArray, most: float = OCCASIONS) -> BoolArray:
    """Of ``known`` windows (N,) those that stand out by what stays, and of the others those that do by everything: on
    no more occasions than ``most``.

    Each has a tail of its own. In a long one of motion nobody would notice what stands out of a short one.
    """
    when = _when(own)
    if not len(own.novelty):
        return _odd(_nats(model, own.peaks), known, when, most)
    stays = _odd(np.nan_to_num(own.novelty), known & ~np.isnan(own.novelty), when, most)
    odd = _odd(_nats(model, own.peaks), known & ~stays, when, most)
    both = stays | odd
    if _occasions(when[[start for start, _ in runs(both)]]) <= most:
        return both
    return _odd(_nats(model, own.peaks), known, when, most)


def _when(own: OwnFootage) -> FloatArray:
    """When windows (N,) begin, in seconds, on a clock on which videos lie far apart."""
    return np.asarray(own.starts + 1e9 * own.video)


def _odd(nats: FloatArray, known: BoolArray, when: FloatArray, most: float) -> BoolArray:
    """Windows (N,) that stand out: a few per cent at most, apart from all others by a gap that chance does not make.

    They begin ``when`` (N,), and are of no more than ``most`` occasions.

    Of n exponential excesses, the k-th gap from the top is exponential with scale / k (Renyi 1953); with the scale of
    those below it, k gap / scale has an F distribution of 2 and 2 (n - k) degrees of freedom. The lowest gap counts
    that is too large, so that many such events do not hide one another. A tail that is merely long has none.
    """
    odd = np.zeros(len(nats), dtype=bool)
    body = float(np.quantile(nats[known], BODY)) if known.any() else 0.0
    intervals = runs((nats > body) & known)
    excess = np.array([nats[start:end].max() for start, end in intervals]) - body
    ranked = np.argsort(-excess, kind="stable")
    excess, lengths = excess[ranked], np.diff(intervals, axis=1)[ranked, 0]
    above = np.arange(1, len(excess) - ODD_REST + 1)
    if not len(above):
        return odd
    rest = len(excess) - above
    scale = (excess.sum() - np.cumsum(excess)[: len(above)] + above * excess[1 : len(above) + 1]) / rest
    ratio = above * (excess[: len(above)] - excess[1 : len(above) + 1]) / np.maximum(scale, 1e-12)
    chance = np.exp(-rest * np.log1p(ratio / rest))
    few = np.cumsum(lengths)[: len(above)] <= ODD_SHARE * known.sum()
    for number in np.flatnonzero((chance < ODD_CHANCE / len(excess)) & few)[::-1]:
        highest = intervals[ranked[: above[number]]]
        if _occasions(when[highest[:, 0]]) <= most:
            for start, end in highest:
                odd[start:end] = True
            break
    return odd


def _occasions(when: FloatArray) -> int:
    """How many there are of what begins at these times."""
    return 1 + int(np.count_nonzero(np.diff(np.sort(when)) > OCCASION))


def own_nats(nats: FloatArray, known: BoolArray, share: float) -> float:
    """The nats that at most ``share`` of a camera's windows pass, from those (N,) of which some are known."""
    count, body = int(known.sum()), float(np.quantile(nats[known], BODY))
    found = [float(nats[start:end].max()) for start, end in runs((nats > body) & known)]
    excess = sum(found) - body * len(found)
    prior = PRIOR_PEAKS * max(1.0, excess / max(len(found), 1))
    scale = (excess + prior) / float(gammaincinv(len(found) + PRIOR_PEAKS, 1 - CAUTION))
    needed = body + scale * max(0.0, math.log((len(found) + 1) / (count * share)))
    allowed = _provable(count * share)
    levels: list[float] = alarm_levels(nats, known)[allowed : allowed + 1].tolist()
    return max([needed, *levels])


def _bound(alarms: int) -> float:
    """The most alarms that are expected where so many were found, at 95 %: 3.0 where there was none (Poisson)."""
    return float(gammaincinv(alarms + 1, SURE))


def _provable(expected: float) -> int:
    """The most alarms in footage that still prove that no more than ``expected`` are; none where it is too short."""
    return max(0, int(np.count_nonzero(gammaincinv(np.arange(int(expected) + 1) + 1, SURE) <= expected)) - 1)


def needed_seconds(alarms_per_day: float) -> float:
    """Normal footage that proves a rate, where nothing in it alarms."""
    return _bound(0) * SECONDS_PER_DAY / alarms_per_day


def _nats(model: SceneModel, peaks: FloatArray) -> FloatArray:
    nats: FloatArray = _frames(model).surprise(torch.from_numpy(np.nan_to_num(peaks)).float()).double().numpy()
    return nats


def _days(model: SceneModel, counted: BoolArray) -> float:
    return float(counted.sum()) * window_seconds(model) / SECONDS_PER_DAY


def _own_promise(
    model: SceneModel, footage: OwnFootage, counted: BoolArray, threshold: float, alarms_per_day: float
) -> Promise:
    """By the camera's own footage."""
    days, most = _days(model, counted), _bound(len(runs(counted & (footage.peaks > threshold))))
    text, own = f"at most {alarms_per_day:,g} false alarms a day", spelled(days * SECONDS_PER_DAY)
    if footage.is_earlier:
        return Promise(
            alarms_per_day,
            False,
            f"{text}, an estimate: from {own} of this camera's normal footage as it scored before the last correction",
        )
    if most <= alarms_per_day * days:
        return Promise(alarms_per_day, True, f"{text}, proven on {own} of this camera's normal footage")
    more = spelled((most / alarms_per_day - days) * SECONDS_PER_DAY)
    return Promise(
        alarms_per_day,
        False,
        f"{text}, an estimate: {own} of this camera's normal footage proves {math.ceil(most / days):,}, and {more} "
        "more would prove it",
    )


def _rounded(rate: float) -> float:
    """Up to two digits, within what can be promised."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return min(max(math.ceil(rate / step - 1e-9) * step, ALARMS[0]), ALARMS[1])


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
        clips = f"show {FEWEST_CLIPS} clips from different times ({worth})"
        return f"{promise} {known}: {clips}, or give two minutes of normal footage beside them"
    if nats <= reach:
        return f"{promise}, by the normal footage of other cameras and {shots} clips of this one"
    least = SECONDS_PER_DAY / (window_seconds(model) * math.exp(reach))
    return (
        f"{promise}, an estimate: the normal footage of other cameras and {shots} clips prove {math.ceil(least):,}, "
        f"and {spelled(needed_seconds(alarms))} of this camera's would prove it"
    )
