"""What a tick of scoring costs in this checkout and in another one, which take turns, and whether the scores are equal.

    python benchmarks/tick_cost.py --against CHECKOUT --rounds 7 --suite benchmarks/suites/office.toml --json FILE

Each checkout has a process of its own. In every round both score the same stretch of a video, one after the other, in
Python: the start of a process does not count. CPU time is of all threads, with decoding and flow; of the thread that
scores it stands beside. Without ``--suite`` the camera is the drawn one of score.py; of a suite it is the first scene,
ten clips of its normal videos are shown, and the last of these is scored.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands import HERE
from record import begin, busy, options, record_of, write
from score import FPS, SIZES, write_camera

from metavad.normality.base import load_base
from metavad.normality.detector import load_detector, save_detector
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe
from metavad.scoring.frames import FrameScore
from metavad.scoring.stream import score
from metavad.workflows.few_shot import adapt
from metavad.workflows.suites import open_suite


def camera(given: argparse.Namespace, folder: Path) -> tuple[Scene, Video]:
    """The scene whose clips are shown, and the video that is scored."""
    if given.suite:
        scene = open_suite(str(given.suite), Path(os.environ["METAVAD_DATA"])).scenes[0]
        return scene, scene.normal[-1]
    normal, other = (
        Video(name, write_camera(folder / f"{name}.mp4", SIZES["small"], seconds, seed))
        for seed, name, seconds in ((1, "normal", 60.0), (2, "other", (given.rounds + 1) * given.frames / FPS))
    )
    return Scene("", "drawn", folder, (normal,)), other


def digest(scores: Sequence[FrameScore]) -> str:
    """Of every score, box, cause, reason and map, to the last bit."""
    found = hashlib.sha256()
    for each in scores:
        found.update(repr({name: value for name, value in asdict(each).items() if name != "heat"}).encode())
        found.update(b"" if each.heat is None else each.heat.tobytes())
    return found.hexdigest()[:12]


def work(detector: Path, video: Path) -> None:
    """Score what each line of the input asks for: first frame, and how many; say what it cost, and the digest."""
    model = load_detector(detector)
    for line in sys.stdin:
        first, frames = map(int, line.split())
        before = time.process_time(), time.thread_time()
        found = list(score(model, Video(video.stem, video), frames=(first, first + frames)))
        cost = [after - start for after, start in zip((time.process_time(), time.thread_time()), before, strict=True)]
        ticks = len({id(each.heat) for each in found})
        print(*cost, max(1, ticks), digest(found), flush=True)


def asked(child: "subprocess.Popen[str]", first: int, frames: int) -> tuple[float, float, str]:
    """Milliseconds of the processor for a tick, those of the thread that scores, and the digest."""
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(f"{first} {frames}\n")
    child.stdin.flush()
    whole, thread, ticks, found = child.stdout.readline().split()
    return 1000 * float(whole) / int(ticks), 1000 * float(thread) / int(ticks), found


def turns(detector: Path, video: Path, given: argparse.Namespace) -> Iterator[dict[str, tuple[float, float, str]]]:
    """What every round found, by checkout; the first one, in which memory is laid out, is left out."""
    command = [sys.executable, "-P", str(HERE / "tick_cost.py"), "--work", str(detector), str(video)]
    children = {}
    for name, checkout in (("this", HERE.parent), ("other", given.against)):
        paths = os.pathsep.join([str(checkout.resolve()), str(HERE)])
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        children[name] = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    try:
        for number in range(given.rounds + 1):
            found = {name: asked(child, number * given.frames, given.frames) for name, child in children.items()}
            if number:
                yield found
    finally:
        for child in children.values():
            child.communicate()


def compared(rounds: Sequence[dict[str, tuple[float, float, str]]]) -> dict[str, Any]:
    """Medians of each checkout, of the ratio within a round, and in how many rounds all is equal."""
    found: dict[str, Any] = {}
    for name in ("this", "other"):
        whole, thread, _ = zip(*(each[name] for each in rounds), strict=True)
        found[name] = {
            "cpu_ms": round(statistics.median(whole), 2),
            "lowest_cpu_ms": round(min(whole), 2),
            "scoring_thread_ms": round(statistics.median(thread), 2),
        }
    for place, key in enumerate(("cpu", "scoring thread")):
        ratios = [each["other"][place] / each["this"][place] for each in rounds]
        found[f"{key}, other by this"] = round(statistics.median(ratios), 3)
    equal = sum(each["this"][2] == each["other"][2] for each in rounds)
    return found | {"rounds": len(rounds), "rounds with equal bits": equal}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=160, help="that are scored in a round")
    parser.add_argument("--suite", type=Path, help="of real footage, under METAVAD_DATA")
    return parser


def main() -> None:
    """Measure, print, write the record."""
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    given, state = begin(arguments()), busy()
    base = load_base(given.base)
    with tempfile.TemporaryDirectory() as place:
        scene, video = camera(given, Path(place))
        if (length := probe(video, scene.crop).frames) < (given.rounds + 1) * given.frames:
            raise SystemExit(f"{video.path}: {length} frames are too few for {given.rounds} rounds; ask for fewer")
        save_detector(Path(place) / "detector", adapt(base, scene, shots=10))
        found = compared(list(turns(Path(place) / "detector", video.path, given)))
    print(found)
    write(given.json, record_of(found, base=None, seed=None, shown_to=base.digest, **state))


if __name__ == "__main__":
    main()
