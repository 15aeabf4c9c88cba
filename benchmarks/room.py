"""A real room, counted: adapted and calibrated on one ordinary day, alarms counted on the whole of another.

Clips of the first day are shown, and the rest of it calibrates, as `metavad adapt` does. The second day is scored, and
the evening with things that do not belong. Nothing is chosen by either. `--leave-out` counts once more, as if somebody
had said that some of the highest moments of the first day, by number, are not normal: `metavad threshold --leave-out`.

    python benchmarks/room.py --base base --out DIR --until 20:45 --jobs 2 --json benchmarks/room.json

What was scored is kept in DIR, by base, so that whoever was stopped goes on from there: the first day, the evening,
then the second day, whole hours spread over it. `--until` (UTC) begins nothing after that time. The record says how
much of the day it is of.
"""

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from record import begin, options, record_of, write
from scipy import stats

from metavad.evaluation import micro_auc
from metavad.files import atomic_path
from metavad.normality.base import Base, load_base
from metavad.normality.detector import Detector, load_detector, save_detector
from metavad.normality.own_footage import ruled
from metavad.runs import runs
from metavad.scenes.cache import Store
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe
from metavad.scoring.calibrating import calibrate
from metavad.scoring.events import Event, find_events
from metavad.scoring.stream import score
from metavad.types import BoolArray, FloatArray
from metavad.workflows.few_shot import adapt
from metavad.workflows.suites import open_suite

ALARMS = (3.0, 10.0, 30.0)
"""Promises, in false alarms a day."""
DAY = 86_400.0
"""Seconds."""
FRAMES = 432_000
"""Of a day at five a second."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", default="benchmarks/suites/office.toml")
    parser.add_argument("--second", default="day2", help="folder of the day that is counted, beside that of the first")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="what is kept of each piece")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--leave-out", default="", metavar="N[,N...]", help="count again without these moments")
    parser.add_argument("--whole", action="store_true", help="calibrate on all of the first day")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--until", metavar="HH:MM", help="begin nothing after this time (UTC)")
    return parser


def main() -> None:
    """Score what is left, then count."""
    given = begin(arguments())
    (scene,) = open_suite(given.suite, given.data).scenes
    base = load_base(given.base)
    given.out = given.out / f"{base.digest}-{given.shots}{'-whole' if given.whole else ''}"
    calibrated = _calibrated(base, scene, given.shots, given.out, whole=given.whole)
    second = tuple(Video(f"day2-{video.name}", _second(video.path, given.second)) for video in scene.normal)
    waiting = (delayed(_scored)(given.out, each) for each in _order(scene, second) if _goes_on(given.until))
    Parallel(n_jobs=given.jobs, pre_dispatch="n_jobs")(waiting)
    rows = []
    for numbers in [[], *([[int(each) for each in given.leave_out.split(",")]] if given.leave_out else [])]:
        own = ruled(calibrated.model, calibrated.own, normal=[], left_out=numbers)
        for rate in ALARMS:
            detector = calibrated.with_footage(own).with_alarms_per_day(rate)
            rows.append({"left_out": numbers, **_counted(detector, scene, second, given.out)})
            print(rows[-1])
    facts: dict[str, Any] = {"shots": given.shots, "regimes": [each.name for each in calibrated.regimes]}
    pictures = len(calibrated.bank.origins) if calibrated.bank is not None else 0
    facts |= {"micro_auc": _micro_auc(scene, given.out), "pictures": pictures}
    write(given.json, record_of(rows, base=calibrated.base, **facts, **_pace(given.out)))


def _goes_on(until: str | None) -> bool:
    return not until or datetime.now(UTC).strftime("%H:%M") < until


def _second(path: Path, day: str) -> Path:
    return path.parent.parent / day / path.name


def _calibrated(base: Base, scene: Scene, shots: int, out: Path, *, whole: bool) -> Detector:
    """Of clips of the first day, and of the rest of it: as much as a promise of ten alarms a day needs, or all."""
    if not (place := out / "detector").exists():
        store = Store(out / "cache")
        detector = adapt(base, scene, shots=shots, alarms_per_day=ALARMS[1], store=store)
        budget = 2 * DAY if whole else None  # more than it is
        save_detector(place, calibrate(detector, scene, budget=budget, store=store).detector)
    return load_detector(place)


def _order(scene: Scene, second: tuple[Video, ...]) -> Iterator[Video]:
    """The evening, then the hours of the day, as spread as they can be whenever somebody stops."""
    yield from scene.test
    yield from (second[number] for number in sorted(range(len(second)), key=lambda number: f"{number:05b}"[::-1]))


def _scored(out: Path, video: Video) -> None:
    """Keep of every frame: index, seconds, score (T, 3)."""
    if (path := out / f"{video.name}.npy").exists():
        return
    detector = _loaded(out / "detector")
    begun = time.perf_counter(), time.process_time()
    rows = [(one.index, one.seconds, one.score) for one in score(detector, video)]
    took = time.perf_counter() - begun[0], time.process_time() - begun[1]
    with atomic_path(path) as beside, beside.open("wb") as file:
        np.save(file, np.array(rows))
    with (out / "times.csv").open("a", encoding="utf-8") as file:
        file.write(f"{path.stem},{len(rows)},{took[0]:.1f},{took[1]:.1f}\n")


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> Detector:
    return load_detector(folder)


def _kept(video: Video, out: Path) -> list[FloatArray]:
    """The scores of a video (T, 3); none where it was not scored."""
    path = out / f"{video.name}.npy"
    return [np.load(path)] if path.exists() else []


def _events(detector: Detector, rows: FloatArray) -> list[Event]:
    """As `metavad score` finds them."""
    settings = detector.model.scoring
    return find_events(rows[:, 2], rows[:, 1], detector.threshold, merge=settings.merge, longest=settings.longest)


def _counted(detector: Detector, scene: Scene, second: Sequence[Video], out: Path) -> dict[str, Any]:
    """Alarms of the second day and what is found in the evening, at one threshold."""
    alarms, inside, seconds = 0, 0.0, 0.0
    for video in second:
        for rows in _kept(video, out):
            events = _events(detector, rows)
            alarms += len(events)
            inside += sum(event.end - event.start for event in events)
            seconds += float(rows[-1, 1] - rows[0, 1])
    days = seconds / DAY
    low, high = stats.chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0, stats.chi2.ppf(0.975, 2 * alarms + 2) / 2
    return {
        "alarms_per_day": detector.promise.alarms_per_day,
        "threshold": round(detector.threshold, 3),
        "promise": detector.promise.text,
        "hours": round(24 * days, 2),
        "alarms": alarms,
        "a_day": [round(float(each) / days, 1) if days else None for each in (low, alarms, high)],
        "share_in_alarm": round(inside / seconds, 5) if seconds else None,
        "delays": _delays(detector, scene, out),
    }


def _delays(detector: Detector, scene: Scene, out: Path) -> list[float | None]:
    """Seconds from the begin of each event of the evening to its first alarm; none where there was no alarm."""
    found: list[float | None] = []
    for video in scene.test:
        if not (parts := _kept(video, out)):
            continue
        (rows,) = parts
        labels = frame_labels(scene, video, probe(video, scene.crop).frames)
        events, seconds = _events(detector, rows), probe(video, scene.crop).seconds
        for start, end in runs(labels).tolist():
            begin, over = float(seconds[start]), float(seconds[end - 1])
            first = min((event.start for event in events if event.start <= over and event.end > begin), default=None)
            found.append(None if first is None else round(max(0.0, first - begin), 1))
    return found


def _micro_auc(scene: Scene, out: Path) -> float | None:
    """Over the frames of the evening, where all of it was scored."""
    scores, labels = list[FloatArray](), list[BoolArray]()
    for video in scene.test:
        if not (parts := _kept(video, out)):
            return None
        scores.append(parts[0][:, 2])
        labels.append(frame_labels(scene, video, len(parts[0])))
    return round(micro_auc(scores, labels), 4)


def _pace(out: Path) -> dict[str, Any]:
    """Milliseconds of a core that a frame took, and the minutes of a core that makes of a day."""
    with (out / "times.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    cost = sum(float(row[3]) for row in rows) / sum(int(row[1]) for row in rows)
    return {"core_milliseconds_per_frame": round(1000 * cost, 2), "core_minutes_per_day": round(FRAMES * cost / 60, 1)}


if __name__ == "__main__":
    main()
