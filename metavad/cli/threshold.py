"""``metavad threshold``: what other thresholds of a detector would mean, and another one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import numbers

if TYPE_CHECKING:
    from metavad.normality.detector import Detector

__all__ = ["check_moved", "keystone_text", "moved_to", "regimes_text", "register"]

EPILOG = "Example: metavad threshold detectors/lobby --alarms-per-day 3"
RATES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Alarms a day of the table."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("threshold", epilog=EPILOG, short_help="Look at a detector's threshold, or move it.")(threshold)


def threshold(
    detector: Annotated[Path, typer.Argument(metavar="DETECTOR", help="What `metavad adapt` wrote.")],
    alarms_per_day: Annotated[
        float | None,
        typer.Option(metavar="A", help="Move the threshold to at most so many false alarms a day.", show_default=False),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="X", help="Move the threshold to this score.", show_default=False)
    ] = None,
    normal: Annotated[
        str | None,
        typer.Option(metavar="N[,N...]", help="What stands out and is normal all the same.", show_default=False),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(metavar="N[,N...]", help="What is not normal and must not count.", show_default=False),
    ] = None,
) -> None:
    """Show thresholds against alarms a day on the camera's normal footage; move the threshold.

    The footage is that which adapt scored beside the clips. Its highest scores have numbers, for --normal and
    --leave-out. Nothing is scored again. The detector is changed in place, in one step.
    """
    from metavad.cli.terminal import say
    from metavad.normality.detector import load_detector, save_threshold

    found = load_detector(detector)
    moved = _moved(found, alarms_per_day, threshold, normal, leave_out)
    if moved.digest != found.digest:
        save_threshold(detector, moved, of=found.digest)
    _say_table(moved)
    say(*_little_text(moved), *regimes_text(moved), *_clusters(moved), *keystone_text(moved, detector))
    before = "" if moved.threshold == found.threshold else f", moved from {found.threshold:.2f}"
    say(f"threshold {moved.threshold:.2f}{before}: {moved.promise.text}")
    if moved.is_chosen and threshold is None and (normal or leave_out):
        say("  it was chosen by itself, and stays; --alarms-per-day takes it from the footage")


def moved_to(detector: "Detector", alarms_per_day: float | None, threshold: float | None) -> "Detector":
    """The detector with another threshold, where one is asked for; raises :class:`UsageError` for what is none."""
    check_moved(alarms_per_day, threshold)
    if threshold is not None:
        return detector.with_threshold(threshold)
    return detector if alarms_per_day is None else detector.with_alarms_per_day(alarms_per_day)


def check_moved(alarms_per_day: float | None, threshold: float | None) -> None:
    """Raises :class:`UsageError` for both, for a rate that nobody can promise, and for what is no score."""
    import math

    from metavad.errors import UsageError
    from metavad.normality.threshold import check_alarms

    if alarms_per_day is not None and threshold is not None:
        raise UsageError("expected --alarms-per-day or --threshold, found both")
    if alarms_per_day is not None:
        check_alarms(alarms_per_day)
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"--threshold: expected a score, found {threshold:g}")


def _moved(
    detector: "Detector", alarms: float | None, threshold: float | None, normal: str | None, leave_out: str | None
) -> "Detector":
    from metavad.normality.own_footage import ruled

    if normal or leave_out:
        rulings = {"normal": numbers(normal, "--normal") if normal else ()}
        rulings["left_out"] = numbers(leave_out, "--leave-out") if leave_out else ()
        detector = detector.with_footage(ruled(detector.model, detector.own, **rulings))
    return moved_to(detector, alarms, threshold)


def _little_text(detector: "Detector") -> list[str]:
    """What one alarm in its footage would be, where that is more than a few a day."""
    import numpy as np

    from metavad.durations import spelled
    from metavad.normality.own_footage import window_seconds
    from metavad.normality.threshold import SECONDS_PER_DAY

    seconds = window_seconds(detector.model) * float(np.count_nonzero(detector.own.known))
    if not seconds or (rate := SECONDS_PER_DAY / seconds) < RATES[0]:
        return []
    return [f"  one alarm in its {spelled(seconds)} of footage would be {rate:,.0f} a day"]


def regimes_text(detector: "Detector") -> list[str]:
    """A line on the regimes of the camera's own footage; none where there is but one."""
    import numpy as np

    from metavad.durations import spelled
    from metavad.normality.own_footage import window_seconds

    own, length = detector.own, window_seconds(detector.model)
    if len(detector.regimes) < 2:
        return []
    each = [
        f"{regime.name} ({spelled(length * np.count_nonzero(own.known & (own.regime == number)))})"
        for number, regime in enumerate(detector.regimes)
    ]
    return [f"  {len(each)} regimes, each with a scale of its own: {', '.join(each)}"]


ALONE = 0.8
"""Share of the threshold below which it would fall without its highest moment, from which on that is said."""


def keystone_text(detector: "Detector", place: Path) -> list[str]:
    """The moment that keeps the threshold up by itself, where one does, and what to do if it is not normal."""
    import shlex

    from metavad.normality.own_footage import ruled
    from metavad.scoring.notable import standing_out

    if detector.is_chosen:
        return []
    for cluster in [each for each, odd in standing_out(detector) if not odd][:1]:
        own = ruled(detector.model, detector.own, normal=[], left_out=[cluster.number])
        if (lower := detector.with_footage(own).threshold) < ALONE * detector.threshold:
            return [
                f"  the threshold rests on one moment: {cluster.video}, {cluster.start:.1f} to {cluster.end:.1f} s, "
                f"score {cluster.score:.1f}; without it, {lower:.2f}",
                f"  not normal? metavad threshold {shlex.quote(str(place))} --leave-out {cluster.number}",
            ]
    return []


def _say_table(detector: "Detector") -> None:
    import numpy as np

    from metavad.cli.terminal import say_table
    from metavad.normality.threshold import rates

    each = [detector.with_alarms_per_day(rate) for rate in RATES]
    thresholds = np.array([one.threshold for one in each])
    found = [rates(detector.model, detector.own, thresholds)]
    names = [regime.name for regime in detector.regimes] if len(detector.regimes) > 1 else []
    found += [rates(detector.model, detector.own, thresholds, regime=number) for number in range(len(names))]
    rows = [
        [
            f"{one.promise.alarms_per_day:,g}",
            f"{one.threshold:.2f}",
            *("-" if np.isnan(rate) else f"{rate:,.1f}" for rate in some),
            "proven" if one.promise.supported else "an estimate",
        ]
        for one, *some in zip(each, *found, strict=True)
    ]
    headings = [
        "at most, a day",
        "threshold",
        "alarms a day on its footage",
        *(f"in {name}" for name in names),
        "proof",
    ]
    each_regime = [", ".join(f"{rate} in {name}" for rate, name in zip(row[3:], names, strict=False)) for row in rows]
    narrow = [
        [f"{row[0]} a day: {row[1]}; {row[2]} on its footage{f' ({more})' if more else ''}; {row[-1]}"]
        for row, more in zip(rows, each_regime, strict=True)
    ]
    say_table(headings, rows, narrow)


def _clusters(detector: "Detector") -> list[str]:
    """The highest scores of the camera's own footage, and what is said of each."""
    from metavad.scoring.notable import standing_out

    lines = []
    for cluster, odd in standing_out(detector):
        ruling = int(detector.own.ruling[cluster.windows[0]])
        what = {1: "normal", -1: "left out"}.get(ruling, "stands out, does not count" if odd else "")
        over = "over the threshold" if cluster.score > detector.threshold else ""
        notes = ", ".join(note for note in (what, over) if note)
        when = f"{cluster.video}, {cluster.start:.1f} to {cluster.end:.1f} s"
        if notes:
            lines.append(f"  {cluster.number}. {when}, score {cluster.score:.1f}: {notes}")
    return lines
