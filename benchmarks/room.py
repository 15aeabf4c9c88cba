"""A real room, counted: adapted and calibrated on one ordinary day, alarms counted on the whole of another.

Clips of the first day are shown, and the rest of it calibrates, as `metavad adapt` does. The second day is scored, and
the evening with things that do not belong. Nothing is chosen by either. `--leave-out` counts once more, as if somebody
had said that some of the highest moments of the first day, by number, are not normal: `metavad threshold --leave-out`.

    python benchmarks/room.py --base base --out DIR --jobs 2 --json benchmarks/room.json

The detector and what `metavad score` wrote are kept in DIR, by base; whoever was stopped goes on from there. The record
says how long the second day took, where it was scored in one go.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import begin, interval, options, record_of, write

from metavad.evaluation import micro_auc
from metavad.files import write_text
from metavad.normality.base import Base, load_base
from metavad.normality.detector import Detector, load_detector, save_detector
from metavad.normality.own_footage import ruled
from metavad.normality.threshold import SECONDS_PER_DAY
from metavad.runs import runs
from metavad.scenes.cache import Store
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.scoring.before import Clocks
from metavad.scoring.calibrating import calibrate
from metavad.scoring.events import Event, find_events
from metavad.scoring.results import folders_of_scores
from metavad.types import FloatArray
from metavad.workflows.few_shot import adapt
from metavad.workflows.suites import open_suite

ALARMS = (3.0, 10.0, 30.0)
"""Promises, in false alarms a day."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", default="benchmarks/suites/office.toml")
    parser.add_argument("--second", default="day2", help="folder of the day that is counted, beside that of the first")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="what is kept")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--leave-out", default="", metavar="N[,N...]", help="count again without these moments")
    parser.add_argument("--whole", action="store_true", help="calibrate on all of the first day")
    parser.add_argument("--jobs", type=int, default=1, help="videos scored side by side")
    return parser


def main() -> None:
    """Score what is left, then count."""
    given = begin(arguments())
    (scene,) = open_suite(given.suite, given.data).scenes
    base = load_base(given.base)
    given.out = given.out / f"{base.digest}-{given.shots}{'-whole' if given.whole else ''}"
    calibrated = _calibrated(base, scene, given.shots, given.out, whole=given.whole)
    second = [_second(video.path, given.second) for video in scene.normal]
    _scored([video.path for video in scene.test], given.out / "evening", given)
    took = _scored(second, given.out / given.second, given)
    alarms_of = partial(_scores_of_day, given.out / given.second)
    rows = counted(calibrated, scene, given.out, given.leave_out, alarms_of)
    facts: dict[str, Any] = {"shots": given.shots, "regimes": [each.name for each in calibrated.regimes]}
    pictures = len(calibrated.bank.origins) if calibrated.bank is not None else 0
    facts |= {"micro_auc": _micro_auc(scene, given.out), "pictures": pictures, "scoring_the_day": took}
    write(given.json, record_of(rows, base=calibrated.base, **facts))


def _second(path: Path, day: str) -> Path:
    return path.parent.parent / day / path.name


def _calibrated(base: Base, scene: Scene, shots: int, out: Path, *, whole: bool) -> Detector:
    """Of clips of the first day, and of the rest of it: as much as a promise of ten alarms a day needs, or all."""
    if not (place := out / "detector").exists():
        store = Store(out / "cache")
        detector = adapt(base, scene, shots=shots, alarms_per_day=ALARMS[1], store=store)
        budget = 2 * SECONDS_PER_DAY if whole else None  # more than it is
        begins = Clocks(scene.crop, store).in_a_row(scene.normal).begins
        save_detector(place, calibrate(detector, scene, budget=budget, begins=begins, store=store).detector)
    return load_detector(place)


def _scored(videos: Sequence[Path], place: Path, given: argparse.Namespace) -> dict[str, Any] | None:
    """Score as anybody would; how long it took, where all of it was scored in one go."""
    times = place.with_suffix(".json")
    goes_on = place.exists() and not times.exists()
    begun = time.perf_counter(), _core_seconds()
    command = [sys.executable, "-m", "metavad", "score", *videos, "--detector", given.out / "detector"]
    command += ["--out", place, "--jobs", given.jobs, "--no-file-time", "--consecutive"]
    if not times.exists():
        subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, check=True)
        wall, cores = time.perf_counter() - begun[0], _core_seconds() - begun[1]
        took = {"jobs": given.jobs, "minutes": round(wall / 60, 1), "core_minutes": round(cores / 60, 1)}
        write_text(times, json.dumps(None if goes_on else took))
    found: dict[str, Any] | None = json.loads(times.read_text())
    return found


def _core_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _kept(folder: Path) -> FloatArray:
    """Second and score of each frame of a video (T, 2)."""
    return np.loadtxt(folder / "scores.csv", delimiter=",", skiprows=1, usecols=(1, 2))


def _events(detector: Detector, rows: FloatArray) -> list[Event]:
    """As `metavad score` finds them."""
    settings = detector.model.scoring
    return find_events(rows[:, 1], rows[:, 0], detector.threshold, merge=settings.merge, longest=settings.longest)


def _scores_of_day(days: Path, detector: Detector) -> tuple[list[float], float]:
    """How long each alarm of the second day lasts, at one threshold, and how long the day, in seconds."""
    lasting, seconds = list[float](), 0.0
    for folder in folders_of_scores(days):
        rows = _kept(folder)
        lasting += [event.end - event.start for event in _events(detector, rows)]
        seconds += float(rows[-1, 0] - rows[0, 0])
    return lasting, seconds


def counted(
    calibrated: Detector,
    scene: Scene,
    out: Path,
    left_out: str,
    alarms_of: Callable[[Detector], tuple[list[float], float]],
) -> list[dict[str, Any]]:
    """Alarms of the second day and what is found in the evening, at each rate, with all moments of the first day and
    without some.

    ``alarms_of`` a detector are the seconds that each alarm lasts, and those of all footage.
    """
    rows = []
    for numbers in [[], *([[int(each) for each in left_out.split(",")]] if left_out else [])]:
        own = ruled(calibrated.model, calibrated.own, normal=[], left_out=numbers)
        for rate in ALARMS:
            detector = calibrated.with_footage(own).with_alarms_per_day(rate)
            lasting, seconds = alarms_of(detector)
            days = seconds / SECONDS_PER_DAY
            row = {
                "left_out": numbers,
                "alarms_per_day": detector.promise.alarms_per_day,
                "threshold": round(detector.threshold, 3),
                "promise": detector.promise.text,
                "hours": round(24 * days, 2),
                "alarms": len(lasting),
                "a_day": [round(each / days, 1) for each in interval(len(lasting))],
                "share_in_alarm": round(sum(lasting) / seconds, 5),
                "lasting": [round(each, 1) for each in lasting],
                "delays": _delays(detector, scene, out),
            }
            print(row)
            rows.append(row)
    return rows


def _delays(detector: Detector, scene: Scene, out: Path) -> list[float | None]:
    """Seconds from the begin of each event of the evening to its first alarm; none where there was no alarm."""
    found: list[float | None] = []
    for video in scene.test:
        rows = _kept(out / "evening" / video.path.stem)
        events, seconds = _events(detector, rows), rows[:, 0]
        for start, end in runs(frame_labels(scene, video, len(rows))).tolist():
            begin, over = float(seconds[start]), float(seconds[end - 1])
            first = min((event.start for event in events if event.start <= over and event.end > begin), default=None)
            found.append(None if first is None else round(max(0.0, first - begin), 1))
    return found


def _micro_auc(scene: Scene, out: Path) -> float:
    """Over the frames of the evening."""
    scores = [_kept(out / "evening" / video.path.stem)[:, 1] for video in scene.test]
    labels = [frame_labels(scene, video, len(each)) for video, each in zip(scene.test, scores, strict=True)]
    return round(micro_auc(scores, labels), 4)


if __name__ == "__main__":
    main()
