"""A real room, watched live: alarms of a day that is played to `metavad watch` as a stream.

The detector, and the scores of the evening, are those that `room.py` keeps in its folder. The videos of the day are
linked into folders, each a stream of some hours, and watched with `--fast` and with all that `watch` does by default.
From the scores that it keeps the alarms are counted at three rates, as `metavad events --threshold` would list them,
with and without a moment of the first day. `found` are those that it announced while it ran, at the detector's rate.
Nothing is chosen by this footage.

    python benchmarks/room_live.py --room DIR/90279df25b39-10 --videos DAY --parts 4 --jobs 2 --json benchmarks/FILE

What was watched is kept beside the detector; `--only` watches some parts, and the record is of all that are there.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from record import begin, options, record_of, write
from room import counted

from metavad.files import atomic_directory, write_text
from metavad.live.again import watched_again
from metavad.live.index import Index
from metavad.normality.detector import Detector, load_detector
from metavad.scenes.listing import scene_of_files
from metavad.side_by_side import side_by_side
from metavad.workflows.suites import open_suite


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--room", type=Path, required=True, help="what room.py keeps of one detector")
    parser.add_argument("--videos", type=Path, required=True, help="a folder of them, of the detector's camera")
    parser.add_argument("--suite", default="benchmarks/suites/office.toml", help="of the evening")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--leave-out", default="1", metavar="N[,N...]", help="count again without these moments")
    parser.add_argument("--parts", type=int, default=1, metavar="N", help="streams that the day is played as")
    parser.add_argument("--only", default="", metavar="N[,N...]", help="parts to watch, from 1; all if not given")
    parser.add_argument("--jobs", type=int, default=1, help="streams watched side by side")
    return parser


def main() -> None:
    """Watch what is left, then count all that is there."""
    given = begin(arguments())
    detector, live = load_detector(given.room / "detector"), given.room / "live"
    videos = [video.path for video in scene_of_files([given.videos]).normal]
    edges = [round(len(videos) * part / given.parts) for part in range(given.parts + 1)]
    parts = {live / f"{first:02d}-{end - 1:02d}": videos[first:end] for first, end in pairwise(edges)}
    asked = [int(each) - 1 for each in given.only.split(",")] if given.only else range(len(parts))
    left = [place for place in (list(parts)[number] for number in asked) if not place.exists()]
    for _ in side_by_side([partial(_watched, given.room / "detector", parts[each], each) for each in left], given.jobs):
        print("a part is watched", flush=True)
    done = [place for place in parts if place.exists()]
    (scene,) = open_suite(given.suite, given.data).scenes
    rows = counted(detector, scene, given.room, given.leave_out, partial(_alarms_of, done))
    facts = {place.name: json.loads((place / "run.json").read_text()) for place in done}
    write(given.json, record_of(rows, base=detector.base, promise=detector.promise.text, parts=facts))


def _watched(detector: Path, videos: Sequence[Path], place: Path) -> None:
    """A part of the day as one stream; what `watch` keeps, and what it said at the end."""
    with atomic_directory(place) as beside:
        folder = beside / "stream"
        folder.mkdir()
        for video in videos:
            (folder / video.name).symlink_to(video.absolute())
        command = ["watch", folder, "--fast", "--log", "json", "--detector", detector, "--out", beside / "watched"]
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "metavad", *map(str, command)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-1000:])
        ended = json.loads(done.stdout.splitlines()[-1])
        with Index(beside / "watched") as index:
            found = index.events()
        run = {name: ended[name] for name in ("frames", "dropped", "refused")}
        run |= {"minutes": round((time.perf_counter() - begun) / 60, 1), "found": len(found)}
        run |= {"as_conditions": sum(each.event.condition is not None for each in found)}
        run |= {"notes": sorted({line["kind"] for line in map(json.loads, done.stdout.splitlines())})}
        write_text(beside / "run.json", json.dumps(run))


def _alarms_of(places: Sequence[Path], detector: Detector) -> tuple[list[float], float]:
    """How long each alarm of the parts lasts, at one threshold, and how long these are, in seconds."""
    lasting, seconds = list[float](), 0.0
    for place in places:
        with Index(place / "watched") as index:
            events = [each.event for each in watched_again(index, detector.threshold)]
            seconds += sum(part.last - part.first for _, parts in index.scores() for part in parts)
        lasting += [event.end - event.start for event in events]
    return lasting, seconds


if __name__ == "__main__":
    main()
