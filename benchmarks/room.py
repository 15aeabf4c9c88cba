"""A real room, counted: adapted and calibrated on one ordinary day, alarms counted on the whole of another.

Ten clips of the first day are shown, and the rest of it calibrates, as `metavad adapt` does. The second day is
scored, and the evening with things that do not belong. Nothing is chosen by either.

    python benchmarks/room.py --base base --out DIR --until 20:45 --json benchmarks/room.json

The evening is scored first, then two minutes of every hour of both days, then two minutes more of each, and so on:
calibration takes as much as the promise needs, of the second day all is counted. What was scored is kept in DIR, by
base, so that whoever was stopped goes on from there; `--until` (UTC) begins nothing after that time. The record says
how much of each day it is of.
"""

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from record import begin, options, record_of, write
from scipy import stats

from metavad.files import atomic_path
from metavad.normality.base import Base, load_base
from metavad.normality.detector import Detector, load_detector, save_detector
from metavad.normality.own_footage import OwnFootage, joined, window_means, window_peaks, window_starts
from metavad.normality.regimes import LIGHT, RegimeWatch, common_score
from metavad.runs import runs
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe
from metavad.scoring.calibrating import with_regimes
from metavad.scoring.events import Event, find_events
from metavad.scoring.stream import score
from metavad.types import FloatArray
from metavad.workflows.few_shot import adapt
from metavad.workflows.suites import open_suite

SHOTS = 10
ALARMS = (3.0, 10.0, 30.0)
"""Promises, in false alarms a day."""
FRAMES = 432_000
"""Of a day at five a second."""
PARTS = 30
"""Of an hour."""
CALIBRATING = 9
"""Parts of each hour of the first day that the promise of ten alarms a day needs: 7.2 hours in all."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", default="benchmarks/suites/office.toml")
    parser.add_argument("--second", default="day2", help="folder of the day that is counted, beside that of the first")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="what is kept of each piece")
    parser.add_argument("--until", metavar="HH:MM", help="begin nothing after this time (UTC)")
    return parser


def main() -> None:
    """Score what is left, then count."""
    given = begin(arguments())
    (scene,) = open_suite(given.suite, given.data).scenes
    base = load_base(given.base)
    given.out = given.out / base.digest
    detector = _detector(base, scene, given.out / "detector")
    second = tuple(Video(f"day2-{video.name}", _second(video.path, given.second)) for video in scene.normal)
    for video, part in _order(scene, second):
        if given.until and datetime.now(UTC).strftime("%H:%M") >= given.until:
            break
        _scored(detector, video, part, given.out)
    calibrated = with_regimes(detector, scene, *_footage(detector, scene, given.out))
    rows = [_counted(calibrated.with_alarms_per_day(rate), scene, second, given.out) for rate in ALARMS]
    for row in rows:
        print(row)
    regimes = [each.name for each in calibrated.regimes]
    write(given.json, record_of(rows, base=detector.base, shots=SHOTS, regimes=regimes, **_pace(given.out)))


def _second(path: Path, day: str) -> Path:
    return path.parent.parent / day / path.name


def _detector(base: Base, scene: Scene, place: Path) -> Detector:
    """Of ten clips alone."""
    if not place.exists():
        save_detector(place, adapt(base, scene, shots=SHOTS))
    return load_detector(place)


def _order(scene: Scene, second: tuple[Video, ...]) -> Iterator[tuple[Video, int]]:
    """Videos and the part of each that is scored, as spread as they can be whenever somebody stops."""
    yield from ((video, part) for video in scene.test for part in range(PARTS))
    for number, part in enumerate(sorted(range(PARTS), key=lambda part: f"{part:05b}"[::-1])):
        if number < CALIBRATING:
            yield from ((video, part) for video in scene.normal)
        yield from ((video, part) for video in second)


def _place(out: Path, video: Video, part: int) -> Path:
    return out / f"{video.name}-{part:02d}.npy"


def _scored(detector: Detector, video: Video, part: int, out: Path) -> None:
    """Keep of every frame of a part: index, seconds, score, and light (T, 9)."""
    if (path := _place(out, video, part)).exists():
        return
    frames = probe(video, detector.camera.crop).frames
    edges = np.linspace(0, frames, PARTS + 1).round().astype(int).tolist()
    begun = time.perf_counter(), time.process_time()
    found = score(detector, video, frames=(edges[part], edges[part + 1]))
    rows = [(one.index, one.seconds, one.score, *one.light) for one in found]
    took = time.perf_counter() - begun[0], time.process_time() - begun[1]
    with atomic_path(path) as beside, beside.open("wb") as file:
        np.save(file, np.array(rows))
    with (out / "times.csv").open("a", encoding="utf-8") as file:
        file.write(f"{path.stem},{len(rows)},{took[0]:.1f},{took[1]:.1f}\n")


def _kept(video: Video, out: Path) -> Iterator[FloatArray]:
    """The parts of a video that were scored (T, 9), in order of time."""
    for part in range(PARTS):
        if (path := _place(out, video, part)).exists():
            yield np.load(path)


def _footage(detector: Detector, scene: Scene, out: Path) -> tuple[OwnFootage, FloatArray]:
    """The first day as calibration keeps it, and the light of each window (N, 6)."""
    parts, lights = [], list[FloatArray]([np.zeros((0, LIGHT))])
    for video in scene.normal:
        for rows in _kept(video, out):
            index, seconds, scores = rows.T[:3]
            shown = np.array([detector.was_shown(video.name, int(frame)) for frame in index])
            peaks = window_peaks(detector.model, scores, seconds, shown)
            parts.append((video.name, window_starts(detector.model, seconds), peaks))
            lights.append(window_means(detector.model, rows[:, 3:], seconds))
    return joined(parts), np.concatenate(lights)


def _events(detector: Detector, rows: FloatArray) -> list[Event]:
    """As `metavad score` finds them."""
    watch = RegimeWatch(detector.regimes)
    numbers = [watch.of(tuple(light)).number for light in rows[:, 3:].tolist()]
    scores = [common_score(detector.regimes, number, one) for number, one in zip(numbers, rows[:, 2], strict=True)]
    settings = detector.model.scoring
    found = np.array(scores)
    return find_events(found, rows[:, 1], detector.threshold, merge=settings.merge, longest=settings.longest)


def _counted(detector: Detector, scene: Scene, second: Sequence[Video], out: Path) -> dict[str, Any]:
    """Alarms of the second day and what is found in the evening, at one threshold."""
    alarms, inside, seconds = 0, 0.0, 0.0
    for video in second:
        for rows in _kept(video, out):
            events = _events(detector, rows)
            alarms += len(events)
            inside += sum(event.end - event.start for event in events)
            seconds += float(rows[-1, 1] - rows[0, 1])
    days = seconds / 86_400
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
        if not (parts := list(_kept(video, out))):
            continue
        rows = np.concatenate(parts)
        labels = frame_labels(scene, video, probe(video, scene.crop).frames)
        events, seconds = _events(detector, rows), probe(video, scene.crop).seconds
        for start, end in runs(labels).tolist():
            begin, over = float(seconds[start]), float(seconds[end - 1])
            first = min((event.start for event in events if event.start <= over and event.end > begin), default=None)
            found.append(None if first is None else round(max(0.0, first - begin), 1))
    return found


def _pace(out: Path) -> dict[str, Any]:
    """Milliseconds of a core that a frame took, and the minutes of a core that makes of a day."""
    with (out / "times.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    cost = sum(float(row[3]) for row in rows) / sum(int(row[1]) for row in rows)
    return {"core_milliseconds_per_frame": round(1000 * cost, 2), "core_minutes_per_day": round(FRAMES * cost / 60, 1)}


if __name__ == "__main__":
    main()
