"""Scores to figures: the rows of a record."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from metavad.benchmark.means import RESAMPLES
from metavad.benchmark.parts import Scored
from metavad.benchmark.record import Row, defined
from metavad.benchmark.region_truth import region_figures
from metavad.benchmark.scene_trial import SceneTrial
from metavad.evaluation import intervals
from metavad.evaluation.alarms import detection_delay, false_alarms_per_hour, score_latency
from metavad.evaluation.ranking import (
    average_precision,
    chance_precision,
    equal_error_rate,
    macro_auc,
    micro_auc,
)
from metavad.normality.accumulation import smooth
from metavad.scoring.events import alarm_intervals
from metavad.scoring.stream import hold
from metavad.types import FloatArray, IntArray

__all__ = ["drawn_scores", "frame_scores", "row"]

PAPER_SIGMA = 7.0
"""Frames; published code uses 2 to 20."""


def row(trial: SceneTrial, method: str, shots: int, draws: Sequence[Scored]) -> Row:
    """One row of the table: figures averaged over draws."""
    figures = [_figures(trial, draw) for draw in draws]
    return Row(
        suite=trial.scene.suite,
        scene=trial.scene.name,
        method=method,
        shots=shots,
        draws=len(draws),
        micro_auc_std=_spread([figure["micro_auc"] for figure in figures]),
        ap_chance=defined(chance_precision(trial.labels)),
        frames=sum(len(labels) for labels in trial.labels),
        labels=trial.scene.label_set,
        **_interval(trial, draws),
        **{name: _mean([figure[name] for figure in figures]) for name in figures[0]},
    )


def _interval(trial: SceneTrial, draws: Sequence[Scored]) -> dict[str, float | None]:
    """Of micro AUC over the test videos, of the mean of draws."""
    found = intervals.auc_interval(
        drawn_scores(trial, draws), trial.labels, generator=trial.resampling(), resamples=RESAMPLES
    )
    return {
        "micro_auc_low": defined(found.low),
        "micro_auc_high": defined(found.high),
        "interval_level": found.level if math.isfinite(found.low) else None,
    }


def drawn_scores(trial: SceneTrial, draws: Sequence[Scored]) -> list[FloatArray]:
    """For each test video the scores of all draws (S, T)."""
    rows = [frame_scores(trial, draw.smoothed) for draw in draws]
    return [np.stack(video) for video in zip(*rows, strict=True)]


def frame_scores(trial: SceneTrial, ticks: Mapping[str, FloatArray]) -> list[FloatArray]:
    """Tick scores held over every frame of the file; only frames that count."""
    return [
        hold(trial.ticks(name), ticks[name], len(labels))[counted] for name, (labels, counted) in trial.truth.items()
    ]


def _figures(trial: SceneTrial, scored: Scored) -> dict[str, float]:
    scores = frame_scores(trial, scored.smoothed)
    causal = frame_scores(trial, {name: _causal(trial, name, raw) for name, raw in scored.raw.items()})
    rbdc, tbdc = region_figures(trial.regions, scored.detections) if scored.detections else (math.nan, math.nan)
    return {
        "micro_auc": micro_auc(scores, trial.labels),
        "macro_auc": macro_auc(scores, trial.labels),
        "ap": average_precision(scores, trial.labels),
        "eer": equal_error_rate(scores, trial.labels),
        "causal_auc": micro_auc(causal, trial.labels),
        "macro_auc_padded": macro_auc(scores, trial.labels, padded=True),
        "pixel_auc": _number(scored.pixel_auc),
        "rbdc": rbdc,
        "tbdc": tbdc,
        **_alarms(trial, scored.threshold, scores, causal),
        "latency_seconds": _latency(trial, scored.fps),
        "adapt_seconds": _number(scored.adapt_seconds),
        "fps": _number(scored.fps),
        **(_published(trial, scores) if trial.settings.paper else {}),
    }


def _causal(trial: SceneTrial, name: str, raw: FloatArray) -> FloatArray:
    """Smoothed over the past only."""
    seconds, parts = trial.facts(name).seconds[trial.ticks(name)], trial.recordings(name)
    return smooth(raw, seconds, trial.base.config.scoring.past, 0.0, parts)


def _alarms(
    trial: SceneTrial, threshold: float | None, scores: Sequence[FloatArray], causal: Sequence[FloatArray]
) -> dict[str, float]:
    """What happens at the threshold that was promised; delay by causal scores, which alone can be late."""
    if threshold is None:
        return dict.fromkeys(("false_alarms_per_hour", "delay_seconds", "missed_events"), math.nan)
    seconds = [trial.facts(name).seconds[counted] for name, (_, counted) in trial.truth.items()]
    raised, early = (
        [_over(trial, *pair, threshold) for pair in zip(s, seconds, strict=True)] for s in (scores, causal)
    )
    delay = detection_delay(early, trial.labels, seconds, merge=HOLES)
    return {
        "false_alarms_per_hour": false_alarms_per_hour(raised, trial.labels, seconds),
        "delay_seconds": delay.median,
        "missed_events": delay.missed,
    }


HOLES = 3
"""Frames; label files have holes of so many inside an event."""


def _over(trial: SceneTrial, scores: FloatArray, seconds: FloatArray, threshold: float) -> IntArray:
    settings = trial.base.config.scoring
    return alarm_intervals(scores, seconds, threshold, merge=settings.merge, longest=settings.longest)


def _latency(trial: SceneTrial, fps: float | None) -> float:
    """Median seconds from a frame to its score: waiting for what smoothing looks ahead, then computing."""
    if fps is None:
        return math.nan
    future = trial.base.config.scoring.future
    times, given = [], []
    for name, (labels, _) in trial.truth.items():
        seconds, ticks = trial.facts(name).seconds, trial.ticks(name)
        at, parts = seconds[ticks], trial.recordings(name)
        last = np.repeat(parts[:, 1] - 1, parts[:, 1] - parts[:, 0])  # a recording's last ticks wait for no other
        leaves = at[np.minimum(np.searchsorted(at, at + future + 1e-6, side="right"), last)]
        computed = len(labels) / fps / len(ticks)
        times.append(seconds)
        given.append(np.maximum(hold(ticks, leaves, len(labels)), seconds) + computed)
    return score_latency(np.concatenate(times), np.concatenate(given))


def _published(trial: SceneTrial, scores: Sequence[FloatArray]) -> dict[str, float]:
    """The field's habit: a centred Gaussian, then each test video stretched to [0, 1] by its own extremes."""
    stretched = [_stretched(ndimage.gaussian_filter1d(each.astype(np.float64), PAPER_SIGMA)) for each in scores]
    return {
        "looks_at_test_set_micro_auc": micro_auc(stretched, trial.labels),
        "looks_at_test_set_macro_auc": macro_auc(stretched, trial.labels),
    }


def _stretched(scores: FloatArray) -> FloatArray:
    low, high = float(scores.min()), float(scores.max())
    return np.asarray((scores - low) / max(high - low, 1e-12))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _mean(values: Sequence[float]) -> float | None:
    """Over the draws in which it is defined; null where it is in none."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else None


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation over draws (n - 1)."""
    return defined(float(np.std(values, ddof=1))) if len(values) > 1 else None
