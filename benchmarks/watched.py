"""An ordinary day played to `metavad watch`: are its scores and events those of `metavad score`?

    python benchmarks/watched.py --detector DIR/detector --videos DAY --jobs 2 --json benchmarks/watched.json
    python benchmarks/watched.py --detector DIR/detector --videos DAY --streams 2 --jobs 2 --json FILE

The detector is the one that `room.py` leaves in its folder. Each video of the day is scored by itself, and watched from
its begin to its end (`--fast`), with everything that `watch` does by default. Compared are the score of every frame, as
far as both keep it (24 bits), and when, how high and why each event was. `as conditions` counts the events that `watch`
reports as something else than an event: other light, a camera that shakes.

With `--streams` the videos are played one after the other, as so many streams of folders, and what is counted is how
many alarms that makes, with a 95 % interval (Poisson): whether the promise is kept live.

Nothing is chosen by this footage: it is only counted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from record import begin, interval, options, record_of, write

from metavad.live.index import Index
from metavad.normality.detector import load_detector
from metavad.scenes.listing import scene_of_files
from metavad.scoring.results import EventsRecord
from metavad.side_by_side import side_by_side

ROUNDED = 6.5e-8
"""As a share of a score: both roundings together, to single precision and to nine digits."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--videos", type=Path, required=True, help="a folder of them, of the detector's camera")
    parser.add_argument("--only", default="", metavar="NAME[,NAME...]", help="videos; all if not given")
    parser.add_argument("--streams", type=int, default=0, metavar="N", help="play all videos as so many streams")
    parser.add_argument("--jobs", type=int, default=1, help="videos watched side by side")
    return parser


def compared(detector: Path, video: Path) -> dict[str, Any]:
    """A video watched, beside its scores."""
    with tempfile.TemporaryDirectory() as place:
        scored, watched_to = Path(place) / "score", Path(place) / "watch"
        _run("score", video, "--detector", detector, "--out", scored, "--no-file-time")
        _run("watch", video, "--fast", "--log", "json", "--detector", detector, "--out", watched_to)
        with Index(watched_to) as index:
            parts = [part.arrays() for _, each in index.scores() for part in each]
            events = [stored.event for stored in index.events()]
        expected = EventsRecord.model_validate_json((scored / video.stem / "events.json").read_bytes())
        scores = np.loadtxt(scored / video.stem / "scores.csv", delimiter=",", skiprows=1, usecols=2)
    watched = np.concatenate([values for _, values in parts])
    same = len(watched) == len(scores)
    return {
        "video": video.stem,
        "frames": len(scores),
        "frames watched": len(watched),
        "frames with another score": int(np.count_nonzero(~np.isclose(watched, scores, ROUNDED, 0))) if same else None,
        "events of score": len(expected.events),
        "events of watch": len(events),
        "the same": [facts(each) for each in events] == [facts(each) for each in expected.events],
        "as conditions": sum(each.condition is not None for each in events),
    }


def streamed(detector: Path, videos: Sequence[Path]) -> dict[str, Any]:
    """Videos that are watched as one stream."""
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "stream", Path(place) / "watch"
        folder.mkdir()
        for video in videos:
            (folder / video.name).symlink_to(video.absolute())
        begun = time.perf_counter()
        lines = _run("watch", folder, "--fast", "--log", "json", "--detector", detector, "--out", out)
        minutes = (time.perf_counter() - begun) / 60
        with Index(out) as index:
            parts = [part.arrays() for _, each in index.scores() for part in each]
            events = [stored.event for stored in index.events()]
    ended = json.loads(lines.splitlines()[-1])
    seconds = sum(float(times[-1] - times[0]) for times, _ in parts)
    return {
        "videos": [video.stem for video in videos],
        "hours": round(seconds / 3600, 2),
        "minutes": round(minutes, 1),
        "frames": ended["frames"],
        "frames without a score": ended["frames"] - sum(len(scores) for _, scores in parts),
        "dropped or refused": ended["dropped"] + ended["refused"],
        "events": [[round(event.start - parts[0][0][0]), round(event.score, 1)] for event in events],
        "as conditions": sum(event.condition is not None for event in events),
        "share in alarm": round(sum(event.end - event.start for event in events) / seconds, 5),
    }


def _run(*command: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "metavad", *map(str, command)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return done.stdout


def parts_of(videos: Sequence[Path], parts: int) -> list[Sequence[Path]]:
    """Videos that follow each other, in so many parts."""
    edges = [round(len(videos) * part / parts) for part in range(parts + 1)]
    return [videos[first:end] for first, end in pairwise(edges)]


def facts(event: Any) -> tuple[Any, ...]:
    """When, how high and why."""
    return (*(round(value, 3) for value in (event.start, event.end, event.peak, event.score)), event.reason)


def main() -> None:
    """Watch and compare; exit code 1 where anything differs."""
    given = begin(arguments())
    detector = load_detector(given.detector)
    rows = list[dict[str, Any]]()
    paths = [video.path for video in scene_of_files([given.videos]).normal]
    chosen = [each for each in paths if not given.only or each.stem in given.only.split(",")]
    if given.streams:
        work = [partial(streamed, given.detector, part) for part in parts_of(chosen, given.streams)]
        rows += side_by_side(work, given.jobs)
        alarms, hours = (sum(len(row["events"]) for row in rows), sum(row["hours"] for row in rows))
        a_day = [round(24 / hours * each, 1) for each in interval(alarms)]
        write(
            given.json, record_of(rows, base=detector.base, promise=detector.promise.text, alarms=alarms, a_day=a_day)
        )
        print(rows, a_day)
        return
    work = [partial(compared, given.detector, path) for path in chosen]
    for row in side_by_side(work, given.jobs):
        rows.append(row)
        print(row, flush=True)
        write(given.json, record_of(rows, base=detector.base, promise=detector.promise.text))
    sys.exit(any(row["frames with another score"] != 0 or not row["the same"] for row in rows))


if __name__ == "__main__":
    main()
