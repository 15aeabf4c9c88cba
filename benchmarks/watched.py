"""An ordinary day played to `metavad watch`: are its scores and events those of `metavad score`?

    nice -n 10 python benchmarks/watched.py --hours 03,12 --minutes 10 --json benchmarks/watched.json

Footage of the suite `office` (128x64, five frames a second): a detector from ten clips of day 1, as it comes out, with
the threshold that other cameras estimate. The first minutes of some hours of day 2, cut out packet by packet, are
scored, and watched with `--fast`. Compared are the score of every frame, and all events with start, end, peak, score,
box and reason: over the detector's threshold, and over half of it, since ordinary footage has few events.

Each hour adds a row to the record. Nothing is chosen by this footage: it is only counted.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from record import begin, options, record_of, write

import metavad
from metavad.live.again import events_again
from metavad.live.index import Index
from metavad.scenes.listing import scene_of_files
from metavad.scenes.scene import Video
from metavad.scenes.video import probe
from metavad.scoring.events import Event, EventMerger, in_events
from metavad.scoring.frames import FrameScore

SHOTS, SEED = 10, 0


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("METAVAD_DATA", ".")))
    parser.add_argument("--hours", default="03,12", help="of both days: 00 to 23, with commas")
    parser.add_argument("--minutes", type=float, default=60.0, help="of each hour")
    return parser


def cut(source: Path, path: Path, seconds: float) -> None:
    """The first seconds of a video, as they are coded."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as part:
        stream = whole.streams.video[0]
        copy = part.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.dts is None or packet.pts is None or packet.pts * packet.time_base >= seconds:
                break
            packet.stream = copy
            part.mux(packet)


def compared(path: Path, folder: Path, detector: metavad.Detector, threshold: float) -> dict[str, Any]:
    """A video scored, and watched, over a threshold: what both gave."""
    lower = detector.with_threshold(threshold)
    expected, events = scored(path, lower)
    command = [sys.executable, "-m", "metavad", "watch", path, "--fast", "--no-conditions", "--threshold", threshold]
    command += ["--detector", folder / "detector", "--out", folder / path.stem]
    subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, check=True)
    with Index(folder / path.stem) as index:
        parts = [part for _, each in index.scores() for part in each]
        kept = [stored.event for stored in index.events()]
        again = [stored.event for stored in events_again(index, detector.threshold)]
    times, values = (np.concatenate(each) for each in zip(*(part.arrays() for part in parts), strict=True))
    seconds = np.array([each.seconds for each in expected])
    scores = np.array([each.score for each in expected], np.float32)  # as they are kept
    scoring = detector.model.scoring
    higher = metavad.find_events(
        scores.astype(float), seconds, detector.threshold, merge=scoring.merge, longest=scoring.longest
    )
    same = len(times) == len(seconds)
    return {
        "video": path.stem,
        "frames": len(expected),
        "frames watched": len(values),
        "frames with another score": int(np.count_nonzero(values != scores)) if same else None,
        "highest score": round(float(scores.max()), 3),
        "threshold": round(detector.threshold, 3),
        "events of score": len(higher),
        "events of watch": len(again),
        "the same": [facts(each)[:4] for each in again] == [facts(each)[:4] for each in higher],
        "half the threshold": round(threshold, 3),
        "events of score there": len(events),
        "events of watch there": len(kept),
        "the same there": [facts(each) for each in kept] == [facts(each) for each in events],
    }


def scored(path: Path, detector: metavad.Detector) -> tuple[list[FrameScore], list[Event]]:
    """The frames of a video, and its events."""
    scoring, seconds = detector.model.scoring, probe(Video(path.stem, path)).seconds
    merger = EventMerger(scoring.merge, scoring.longest)
    frames = [frame for frame, _ in in_events(metavad.score(detector, path), merger, seconds)]
    return frames, [each.event for each in merger.events]


def facts(event: Any) -> tuple[Any, ...]:
    """When, how high, where and why."""
    return (
        *(round(value, 5) for value in (event.start, event.end, event.peak, event.score)),
        None if event.box is None else tuple(round(side, 2) for side in event.box),
        event.reason,
    )


def main() -> None:
    """Make the detector, cut, score, watch, compare; exit code 1 where anything differs."""
    given = begin(arguments())
    office = given.data / "office"
    hours = given.hours.split(",")
    scene = scene_of_files([office / "day1" / f"{hour}.mp4" for hour in hours])
    base = metavad.load_base(given.base)
    detector = metavad.adapt(base, scene, shots=SHOTS, seed=SEED)
    rows = list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        metavad.save_detector(folder / "detector", detector)
        for hour in hours:
            path = folder / f"day2-{hour}.mkv"
            cut(office / "day2" / f"{hour}.mp4", path, 60 * given.minutes)
            rows.append(compared(path, folder, detector, detector.threshold / 2))
            print(rows[-1], flush=True)
            record = record_of(rows, base=detector.base, seed=SEED, shots=SHOTS, minutes=given.minutes)
            write(given.json, record)
    sys.exit(
        any(row["frames with another score"] != 0 or not (row["the same"] and row["the same there"]) for row in rows)
    )


if __name__ == "__main__":
    main()
