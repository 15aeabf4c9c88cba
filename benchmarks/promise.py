"""The threshold's promise, counted: false alarms on normal footage that a detector was not shown.

Every camera's normal footage is cut in two (`halves`); K shots come from one part, and all of the other is scored.
For each promise of A false alarms a day the alarms are counted as `metavad score` does. A camera keeps its promise
when so few alarms as were counted, or more, are no surprise at that rate (Poisson, 5 %); all cameras together keep it
when their alarms over their hours are at most A a day. Where a camera has test videos with labels, the share of their
events is counted in which there was an alarm: what the promise leaves of detection.

    python benchmarks/promise.py --suite cameras/suite.toml --shots 5,10,50 --json FILE

Long footage is made, counted and removed one camera after another, and the record written after each; a second run
goes on where the first stopped, and a larger number adds cameras:

    python benchmarks/promise.py --generate 200 --seed 15 --shots 10,50 --json FILE

With `--calibrate` every camera is also counted with thresholds from its own footage: from the rest of what shots come
from, as `metavad adapt` takes them. Generated cameras then have test videos too, and the events found are counted.

The arithmetic below what was counted is checked by `--simulate`, which does nothing else: frame scores drawn from a
known distribution, of which the table is fitted on as few ticks as the base has.

    python benchmarks/promise.py --simulate 200 --json FILE
"""

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import ScriptRecord, begin, command_line, options, record_of, with_rows, write
from scipy import stats

from metavad.benchmark.record import read_record
from metavad.episodes import Shots, VideoSpan, draw_shots
from metavad.features.library import Library
from metavad.normality.base import Base, load_base
from metavad.normality.distribution import PopulationScores
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.model import SceneModel
from metavad.normality.own_footage import OwnFootage, joined, window_peaks, window_starts
from metavad.normality.population import halves
from metavad.normality.threshold import calibrated_threshold, own_nats, promise_threshold
from metavad.runs import runs
from metavad.scenes.cache import Store
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite
from metavad.scoring.events import alarm_intervals
from metavad.scoring.stream import VideoScores, score_features
from metavad.side_by_side import side_by_side
from metavad.synthetic.write import write_suite
from metavad.types import BoolArray, IntArray
from metavad.workflows.suites import open_suite

ALARMS = (10.0, 100.0, 300.0, 1000.0, 3000.0)
"""Promises, in false alarms a day."""
SHOWN, SCORED = 2, 6
"""Videos of a minute that a camera of long footage has: to draw shots from, and to be scored."""
TESTED = 6
"""Videos of eight seconds with an event, where it is counted what thresholds find."""


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
    own: tuple[int, ...] = ()
    """Alarms with thresholds from the camera's own footage."""
    own_found: tuple[int, ...] = ()


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shots", default="5,10,50")
    parser.add_argument("--calibrate", action="store_true", help="thresholds from the rest of the footage too")
    parser.add_argument("--simulate", type=int, default=0, metavar="N", help="simulated cameras")
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="generated cameras of long footage")
    parser.add_argument("--seed", type=int, default=15, help="the world of --generate")
    parser.add_argument("--jobs", type=int, default=1, help="cameras of --generate at a time, a process each")
    parser.add_argument("--only", default="", metavar="N[,N...]", help="cameras of --generate, by number")
    return parser


def main() -> None:
    """Count, or simulate."""
    given = begin(arguments())
    base = load_base(given.base)
    if given.simulate:
        _simulate(given, base)
    else:
        _count_alarms(given, base)


def _count_alarms(given: argparse.Namespace, base: Base) -> None:
    """Count in suites and on generated cameras, print a table, write the record."""
    shots = [int(count) for count in given.shots.split(",")]
    begun = _begun(given.json, base, given.seed)
    rows: Rows = dict(begun.rows)
    for name in given.suite:
        rows[name] = [
            asdict(each) for each in _counts(base, open_suite(name, given.data).scenes, shots, given.calibrate)
        ]
    if given.generate:
        _generated(given, shots, begun, rows)
    for name, counted in rows.items():
        print(name)
        _table([Count(**each) for each in counted])
    write(given.json, with_rows(begun, rows))


Rows = dict[str, list[dict[str, Any]]]
"""By where it was counted: a row for each scene and number of shots."""


def _generated(given: argparse.Namespace, shots: Sequence[int], begun: ScriptRecord, rows: Rows) -> None:
    """Add the cameras that the record lacks; it is written after each."""
    name = f"long footage, seed {given.seed}" + ", calibrated" * given.calibrate
    name += f", cameras {given.only}" if given.only else ""
    counted = rows.setdefault(name, [])
    numbers = [int(each) for each in given.only.split(",")] if given.only else list(range(given.generate))
    left = numbers[len({each["scene"] for each in counted}) :]
    work = [partial(_long_footage, given.base, given.seed, shots, given.calibrate, number) for number in left]
    for number, counts in zip(left, side_by_side(work, given.jobs), strict=True):
        counted += [asdict(each) for each in counts]
        print(f"camera {number + 1} of {given.generate}", flush=True)
        write(given.json, with_rows(begun, rows))


def _simulate(given: argparse.Namespace, base: Base) -> None:
    """The arithmetic of thresholds, on simulated scores."""
    rows = {
        "from the base's table": _simulated(given.simulate, int(base.facts["normal_ticks"])),
        "from the camera's own footage": _simulated_own(given.simulate),
    }
    print(json.dumps(rows, indent=1))
    write(given.json, record_of(rows, base=base.digest))


def _begun(path: Path | None, base: Base, seed: int) -> ScriptRecord:
    """What was counted before with this base, and by which commands, or an empty record."""
    if not path or not path.exists():
        return record_of({}, base=base.digest, seed=seed, alarms_per_day=ALARMS)
    record = read_record(path, ScriptRecord)
    if record.base != base.digest:
        raise SystemExit(f"{path}: expected counts of base {base.digest}, found {record.base}; name another file")
    before = [record.command] if isinstance(record.command, str) else record.command
    commands = list(dict.fromkeys([*before, command_line()]))
    return record.model_copy(update={"command": commands[0] if len(commands) == 1 else commands})


def _counts(base: Base, scenes: tuple[Scene, ...], shots: Sequence[int], calibrate: bool) -> Iterator[Count]:
    for scene in scenes:
        library = Library([scene], base.config.data, base.features, Store())
        shown, other = halves(library.spans(scene.key), 0)
        yield from _camera(base, library, scene, shown, other, shots, calibrate)


def _long_footage(bundle: Path, seed: int, shots: Sequence[int], calibrate: bool, number: int) -> list[Count]:
    """One generated camera, whose footage and features are gone afterwards."""
    torch.set_num_threads(1)
    base = load_base(bundle)
    with tempfile.TemporaryDirectory() as folder:
        suite = write_suite(
            Path(folder) / "cameras",
            scenes=1,
            first=number,
            seed=seed,
            normal_videos=SHOWN + SCORED,
            normal_seconds=60.0,
            test_videos=TESTED if calibrate else 0,
            test_seconds=8.0,
        )
        (scene,) = load_suite(str(suite)).scenes
        library = Library([scene], base.config.data, base.features, Store(Path(folder) / "features"))
        spans = library.spans(scene.key)
        return list(_camera(base, library, scene, spans[:SHOWN], spans[SHOWN:], shots, calibrate))


def _camera(
    base: Base,
    library: Library,
    scene: Scene,
    shown: list[VideoSpan],
    other: list[VideoSpan],
    shots: Sequence[int],
    calibrate: bool,
) -> Iterator[Count]:
    length = base.config.data.clip_frames
    for count in shots:
        if sum(len(span.clips(length)) for span in shown) < count:
            continue
        drawn = draw_shots(shown, count, length, 0)
        model = fit(Adapted(base), library.sample(drawn.clips), library.grid(scene.key))
        rest = _Rest(library, shown, drawn) if calibrate else None
        yield _count(base, library, scene, model, drawn.independent, other, rest)


@dataclass(frozen=True)
class _Rest:
    """The footage that shots were drawn from, but for them."""

    library: Library
    spans: list[VideoSpan]
    drawn: Shots

    def footage(self, model: SceneModel) -> OwnFootage:
        """Its windows, as a detector keeps them."""
        parts = [
            (span.video, window_starts(model, each.seconds), window_peaks(model, each.scores, each.seconds, shown))
            for span, each, shown in self._scored(model)
        ]
        return joined(parts)

    def _scored(self, model: SceneModel) -> Iterator[tuple[VideoSpan, VideoScores, BoolArray]]:
        for span in self.spans:
            features = self.library.video_features(span.scene, span.side, span.video)
            shown = np.zeros(len(features), dtype=bool)
            for clip in self.drawn.clips:
                if clip.video == span.video:
                    shown |= (features.frames >= clip.first) & (features.frames < clip.end)
            yield span, score_features(model, self.library, features), shown


def _events(model: SceneModel, library: Library, scene: Scene, thresholds: Sequence[float]) -> tuple[int, IntArray]:
    """Events of the test videos, and for each threshold those with an alarm inside."""
    events, found = 0, np.zeros(len(thresholds), dtype=int)
    for video in scene.test:
        features = library.video_features(scene.key, "test", video.name)
        labels = frame_labels(scene, video, library.facts(scene.key, "test", video.name).frames)[features.frames]
        scored = score_features(model, library, features)
        spans = runs(labels)
        events += len(spans)
        for number, threshold in enumerate(thresholds):
            over = scored.scores > threshold
            found[number] += sum(bool(over[start:end].any()) for start, end in spans)
    return events, found


def _count(
    base: Base,
    library: Library,
    scene: Scene,
    model: SceneModel,
    independent: int,
    other: list[VideoSpan],
    rest: _Rest | None,
) -> Count:
    ticks = int(base.facts["normal_ticks"])
    promised = [promise_threshold(model, alarms, normal_ticks=ticks) for alarms in ALARMS]
    thresholds = [threshold for threshold, _ in promised]
    if rest is not None:
        own = rest.footage(model)
        thresholds += [calibrated_threshold(model, own, alarms, normal_ticks=ticks)[0] for alarms in ALARMS]
    alarms, seconds = np.zeros(len(thresholds), dtype=int), 0.0
    for span in other:
        features = library.video_features(span.scene, span.side, span.video)
        scored = score_features(model, library, features)
        inside = (features.frames >= span.first) & (features.frames < span.frames)
        if inside.sum() < 2:
            continue
        scores, times = scored.scores[inside], scored.seconds[inside]
        seconds += float(times[-1] - times[0])
        alarms += [len(alarm_intervals(scores, times, threshold)) for threshold in thresholds]
    events, found = _events(model, library, scene, thresholds)
    return Count(
        scene.key,
        model.support.clips,
        independent,
        seconds / 3600,
        tuple(alarms[: len(ALARMS)].tolist()),
        tuple(promise.supported for _, promise in promised),
        events,
        tuple(found[: len(ALARMS)].tolist()),
        own=tuple(alarms[len(ALARMS) :].tolist()),
        own_found=tuple(found[len(ALARMS) :].tolist()),
    )


def _table(counts: Sequence[Count]) -> None:
    print(
        f"{'K':>3} {'A a day':>8} {'cameras':>8} {'hours':>6} {'alarms':>7} {'a day':>8} {'within':>7} "
        f"{'supported':>9} {'found':>6}"
    )
    for count in sorted({each.shots for each in counts}):
        some = [each for each in counts if each.shots == count]
        _rows(count, some)
        if any(each.own for each in some):
            print("thresholds from the camera's own footage:")
            _rows(count, [replace(each, alarms=each.own, found=each.own_found) for each in some])


def _rows(count: int, some: Sequence[Count]) -> None:
    hours = sum(each.hours for each in some)
    for number, promised in enumerate(ALARMS):
        alarms = sum(each.alarms[number] for each in some)
        within = [_within(each.alarms[number], promised * each.hours / 24) for each in some]
        able = np.mean([each.supported[number] for each in some])
        daily = 24 * alarms / hours if hours else math.nan
        events = sum(each.events for each in some)
        found = sum(each.found[number] for each in some) / events if events else math.nan
        print(
            f"{count:>3} {promised:>8.0f} {len(some):>8} {hours:>6.2f} {alarms:>7} {daily:>8.0f} "
            f"{np.mean(within):>7.2f} {able:>9.2f} {found:>6.2f}"
        )


def _within(alarms: int, expected: float) -> bool:
    """Whether so many alarms, or more, come about in more than one of twenty cameras that keep the promise."""
    return alarms == 0 or float(stats.poisson.sf(alarms - 1, expected)) > 0.05


def _simulated(cameras: int, ticks: int) -> dict[str, float]:
    """Share of tables, each fitted on ticks of a known distribution, whose thresholds keep the promised rate."""
    generator = np.random.default_rng(0)
    kept: dict[float, list[bool]] = {}
    for _ in range(cameras):
        shape = generator.uniform(0.7, 1.5)
        scores = generator.weibull(shape, ticks)
        population = PopulationScores.fit([torch.from_numpy(scores)], [0]).after(0)
        for nats in (3.0, 5.0, 7.0, 9.0, 11.0):
            true = population.value(nats) ** shape  # -log P(score >= s) of a Weibull tail
            kept.setdefault(nats, []).append(true >= nats - 0.7)
    return {f"{nats:g} nats, within a factor of two": float(np.mean(flags)) for nats, flags in kept.items()}


def _simulated_own(cameras: int) -> dict[str, float]:
    """Share of simulated cameras whose threshold from so many windows of their own keeps what it promises.

    Their peaks are exponential, a third as high as cameras' in general, as high, or twice as high.
    """
    generator = np.random.default_rng(0)
    kept: dict[str, float] = {}
    for windows in (20, 60, 200):
        for scale in (0.3, 1.0, 2.0):
            for share in (0.05, 0.005, 0.0005):
                peaks = generator.exponential(scale, (cameras, windows))
                nats = [own_nats(each, np.ones(windows, dtype=bool), share) for each in peaks]
                named = f"{windows} windows, {scale:g} as high, {share:g} of windows"
                kept[named] = float(np.mean(np.exp(-np.array(nats) / scale) <= share))
    return kept


if __name__ == "__main__":
    main()
