"""An ordinary day played to `metavad watch`: are its scores and events those of `metavad score`?

    python benchmarks/watched.py --detector DIR/detector --scores DIR/day2 --jobs 2 --json benchmarks/watched.json

The detector, and what `metavad score` wrote of a day with it, are those that `room.py` leaves in its folder. Each video
of that day is watched from its begin to its end (`--fast`), with everything that `watch` does by default. Compared are
the score of every frame, as far as both keep it (24 bits), and when, how high and why each event was. `as conditions`
counts the events that `watch` reports as something else than an event: other light, a camera that shakes.

Nothing is chosen by this footage: it is only counted.
"""

import argparse
import json
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
from metavad.scoring.results import RESULT, EventsRecord, folders_of_scores
from metavad.side_by_side import side_by_side

ROUNDED = 6.5e-8
"""As a share of a score: both roundings together, to single precision and to nine digits."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True, help="what `metavad score` wrote with that detector")
    parser.add_argument("--only", default="", metavar="NAME[,NAME...]", help="videos; all if not given")
    parser.add_argument("--jobs", type=int, default=1, help="videos watched side by side")
    return parser


def compared(detector: Path, folder: Path) -> dict[str, Any]:
    """A video watched, beside its scores."""
    expected = EventsRecord.model_validate_json((folder / "events.json").read_bytes())
    video = json.loads((folder / RESULT).read_text())["path"]
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "metavad", "watch", folder / video, "--fast", "--log", "json"]
        command += ["--detector", detector, "--out", place]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-1000:])
        with Index(Path(place)) as index:
            parts = [part.arrays() for _, each in index.scores() for part in each]
            events = [stored.event for stored in index.events()]
    scores = np.loadtxt(folder / "scores.csv", delimiter=",", skiprows=1, usecols=2)
    watched = np.concatenate([values for _, values in parts])
    same = len(watched) == len(scores)
    return {
        "video": folder.name,
        "frames": len(scores),
        "frames watched": len(watched),
        "frames with another score": int(np.count_nonzero(~np.isclose(watched, scores, ROUNDED, 0))) if same else None,
        "events of score": len(expected.events),
        "events of watch": len(events),
        "the same": [facts(each) for each in events] == [facts(each) for each in expected.events],
        "as conditions": sum(each.condition is not None for each in events),
    }


def facts(event: Any) -> tuple[Any, ...]:
    """When, how high and why."""
    return (*(round(value, 3) for value in (event.start, event.end, event.peak, event.score)), event.reason)


def main() -> None:
    """Watch and compare; exit code 1 where anything differs."""
    given = begin(arguments())
    detector = load_detector(given.detector)
    rows = list[dict[str, Any]]()
    folders = folders_of_scores(given.scores)
    chosen = [each for each in folders if not given.only or each.name in given.only.split(",")]
    work = [partial(compared, given.detector, folder) for folder in chosen]
    for row in side_by_side(work, given.jobs):
        rows.append(row)
        print(row, flush=True)
        write(given.json, record_of(rows, base=detector.base, promise=detector.promise.text))
    sys.exit(any(row["frames with another score"] != 0 or not row["the same"] for row in rows))


if __name__ == "__main__":
    main()
