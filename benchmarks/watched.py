"""An ordinary day played to `metavad watch`: are its scores and events those of `metavad score`?

    python benchmarks/watched.py --detector DIR/detector --videos DAY --jobs 2 --json benchmarks/watched.json

The detector is the one that `room.py` leaves in its folder. Each video of the day is scored by itself, and watched from
its begin to its end (`--fast`), with everything that `watch` does by default. Compared are the score of every frame, as
far as both keep it (24 bits), and when, how high and why each event was. `as conditions` counts the events that `watch`
reports as something else than an event: other light, a camera that shakes.

Nothing is chosen by this footage: it is only counted.
"""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import begin, options, record_of, write

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


def _run(*command: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metavad", *map(str, command)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])


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
    work = [partial(compared, given.detector, path) for path in chosen]
    for row in side_by_side(work, given.jobs):
        rows.append(row)
        print(row, flush=True)
        write(given.json, record_of(rows, base=detector.base, promise=detector.promise.text))
    sys.exit(any(row["frames with another score"] != 0 or not row["the same"] for row in rows))


if __name__ == "__main__":
    main()
