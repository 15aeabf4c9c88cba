"""The threshold's promise, counted: false alarms on normal footage that a detector was not shown.

Every camera's normal footage is cut in two (`halves`); K shots come from one part, and all of the other is scored.
For each promise of A false alarms a day the alarms are counted as `metavad score` does. A camera keeps its promise
when so few alarms as were counted, or more, are no surprise at that rate (Poisson, 5 %); all cameras together keep it
when their alarms over their hours are at most A a day. Where a camera has test videos with labels, the share of their
events is counted in which there was an alarm: what the promise leaves of detection.

    python benchmarks/promise.py --base base --suite cameras/suite.toml --shots 5,10,50 --json benchmarks/promise.json

The arithmetic below what was counted is checked by `--simulate`: frame scores drawn from a known tail, of which the
table is fitted on as few ticks as a base has.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from metavad.adaptation.adapt import Normality, adapt
from metavad.adaptation.prior import halves
from metavad.adaptation.threshold import promise_threshold
from metavad.calibration.tails import BaseTail
from metavad.episodes import Reel, draw_shots
from metavad.features.library import Library
from metavad.files import write_text
from metavad.meta.base import Base, load_base
from metavad.runs import runs
from metavad.scenes.labels import frame_labels
from metavad.scenes.store import Store
from metavad.scenes.suite import Scene, load_suite
from metavad.scoring.events import alarm_intervals
from metavad.scoring.stream import score_track
from metavad.training import describe_machine
from metavad.types import IntArray

ALARMS = (10.0, 100.0, 300.0, 1000.0, 3000.0)
"""Promises, in false alarms a day."""


@dataclass(frozen=True)
class Count:
    """One camera after K shots: the footage scored, and the alarms at each promise."""

    scene: str
    shots: int
    independent: int
    hours: float
    alarms: tuple[int, ...]
    supported: tuple[bool, ...]
    events: int = 0
    found: tuple[int, ...] = ()


def main() -> None:
    """Count, print a table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, default=Path("base"))
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shots", default="5,10,50")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--simulate", type=int, default=0, metavar="N", help="simulated cameras")
    given = parser.parse_args()
    torch.set_num_threads(1)
    base = load_base(given.base)
    shots = [int(count) for count in given.shots.split(",")]
    record = {"base": base.digest, "alarms_per_day": ALARMS, **describe_machine("cpu"), "suites": {}}
    for name in given.suite:
        counts = list(_counts(base, load_suite(name, given.data).scenes, shots))
        record["suites"][name] = [asdict(each) for each in counts]
        print(name)
        _table(counts, shots)
    if given.simulate:
        record["simulated"] = _simulated(given.simulate, int(base.facts["normal_ticks"]))
        print(json.dumps(record["simulated"], indent=1))
    if given.json:
        write_text(given.json, json.dumps(record, indent=1) + "\n")


def _counts(base: Base, scenes: tuple[Scene, ...], shots: list[int]) -> Iterator[Count]:
    for scene in scenes:
        library = Library([scene], base.config, base.experts.reads, Store())
        shown, other = halves(library.reels(scene.key), 0)
        for count in shots:
            available = sum(len(reel.clips(base.config.data.clip_frames)) for reel in shown)
            if available < count:
                continue
            drawn = draw_shots(shown, count, base.config.data.clip_frames, 0)
            model = adapt(base, library.sample(drawn.clips))
            yield _count(base, library, scene, model, drawn.independent, other)


def _events(model: Normality, library: Library, scene: Scene, thresholds: Sequence[float]) -> tuple[int, IntArray]:
    """Events of the test videos, and for each threshold those with an alarm inside."""
    events, found = 0, np.zeros(len(thresholds), dtype=int)
    for video in scene.test:
        track = library.track(scene.key, "test", video.name)
        labels = frame_labels(scene, video, library.facts(scene.key, "test", video.name).frames)[track.frames]
        scored = score_track(model, library, track)
        spans = runs(labels)
        events += len(spans)
        for number, threshold in enumerate(thresholds):
            over = scored.scores > threshold
            found[number] += sum(bool(over[start:end].any()) for start, end in spans)
    return events, found


def _count(base: Base, library: Library, scene: Scene, model: Normality, independent: int, other: list[Reel]) -> Count:
    ticks = int(base.facts["normal_ticks"])
    promised = [promise_threshold(model, alarms, normal_ticks=ticks) for alarms in ALARMS]
    alarms, seconds = np.zeros(len(ALARMS), dtype=int), 0.0
    for reel in other:
        track = library.track(reel.scene, reel.side, reel.video)
        found = score_track(model, library, track)
        inside = (track.frames >= reel.first) & (track.frames < reel.frames)
        if inside.sum() < 2:
            continue
        scores, times = found.scores[inside], found.seconds[inside]
        seconds += float(times[-1] - times[0])
        alarms += [len(alarm_intervals(scores, times, threshold)) for threshold, _ in promised]
    kept = tuple(promise.supported for _, promise in promised)
    events, found = _events(model, library, scene, [threshold for threshold, _ in promised])
    hours = seconds / 3600
    return Count(
        scene.key, model.shots, independent, hours, tuple(alarms.tolist()), kept, events, tuple(found.tolist())
    )


def _table(counts: list[Count], shots: list[int]) -> None:
    print(
        f"{'K':>3} {'A a day':>8} {'cameras':>8} {'hours':>6} {'alarms':>7} {'a day':>8} {'within':>7} "
        f"{'supported':>9} {'found':>6}"
    )
    for count in shots:
        some = [each for each in counts if each.shots == count]
        hours = sum(each.hours for each in some)
        for number, promised in enumerate(ALARMS):
            alarms = sum(each.alarms[number] for each in some)
            within = [_within(each.alarms[number], promised * each.hours / 24) for each in some]
            able = np.mean([each.supported[number] for each in some]) if some else math.nan
            daily = 24 * alarms / hours if hours else math.nan
            share = np.mean(within) if some else math.nan
            events = sum(each.events for each in some)
            found = sum(each.found[number] for each in some) / events if events else math.nan
            print(
                f"{count:>3} {promised:>8.0f} {len(some):>8} {hours:>6.2f} {alarms:>7} {daily:>8.0f} "
                f"{share:>7.2f} {able:>9.2f} {found:>6.2f}"
            )


def _within(alarms: int, expected: float) -> bool:
    """Whether so many alarms, or more, come about in more than one of twenty cameras that keep the promise."""
    return alarms == 0 or float(stats.poisson.sf(alarms - 1, expected)) > 0.05


def _simulated(cameras: int, ticks: int) -> dict[str, float]:
    """Share of tables, each fitted on so many ticks of a known tail, whose thresholds keep the promised rate."""
    generator = np.random.default_rng(0)
    kept: dict[float, list[bool]] = {}
    for _ in range(cameras):
        shape = generator.uniform(0.7, 1.5)
        scores = generator.weibull(shape, ticks)
        tail = BaseTail.fit([torch.from_numpy(scores)], [0])
        for nats in (3.0, 5.0, 7.0, 9.0, 11.0):
            true = tail.score(nats, 0) ** shape  # -log P(score >= s) of a Weibull tail
            kept.setdefault(nats, []).append(true >= nats - 0.7)
    return {f"{nats:g} nats, within a factor of two": float(np.mean(flags)) for nats, flags in kept.items()}


if __name__ == "__main__":
    main()
