"""How long `metavad adapt` takes, and how much memory, by the number of clips.

    python benchmarks/adapt_time.py --before CHECKOUT --json benchmarks/adapt-time.json

Footage is a generated camera of 10 frames a second, so that a clip of 16 frames has as many ticks (the most there can
be), in 28 videos of a minute: room for 1,000 clips that share no frame. Every figure is of the whole command in a
process of its own: seconds from start to end, CPU seconds, and the kernel's peak memory of that process; medians over
the repeats. With ``--before`` the command of another checkout takes turns with this one, and ratios are medians over
neighbours. ``--long`` numbers of clips are for this checkout alone, once.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from commands import HERE, metavad, timed
from record import begin, busy, options, record_of, write

from metavad.normality.base import load_base
from metavad.synthetic import write_suite

CAMERA = {"seed": 5, "first": 10, "size": "small", "normal_videos": 28, "normal_seconds": 60.0, "test_videos": 0}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--before", type=Path, help="checkout to take turns with, each with the base that it ships")
    parser.add_argument("--shots", default="1,10,50,100,200")
    parser.add_argument("--long", default="1000")
    parser.add_argument("--repeats", type=int, default=3)
    return parser


def main() -> None:
    """Measure and print; ``--json`` keeps the record."""
    given = begin(arguments())
    checkouts = {"now": HERE.parent} | ({"before": given.before} if given.before else {})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_suite(place / "cameras", scenes=1, **CAMERA)
        videos = sorted(place.glob("cameras/*/normal/*.mp4"))
        for checkout in checkouts.values():
            adapted(1, checkout, videos, place)  # warm-up, and the footage is looked through
        rows = [row(int(shots), checkouts, given.repeats, videos, place) for shots in given.shots.split(",")]
        rows += [
            row(int(shots), {"now": HERE.parent}, 1, videos, place) for shots in filter(None, given.long.split(","))
        ]
    facts = {
        "commits": {name: commit(checkout) for name, checkout in checkouts.items()},
        "footage": CAMERA,
        "repeats": given.repeats,
        "seconds a clip from 10 to 100": {name: slope(rows, name) for name in checkouts},
        **busy(),
    }
    write(given.json, record_of(rows, base=load_base(given.base).digest, seed=0, **facts))


def row(shots: int, checkouts: dict[str, Path], repeats: int, videos: list[Path], place: Path) -> dict[str, object]:
    """Medians of each checkout, and of the ratios of neighbours."""
    rounds = [
        {name: adapted(shots, checkout, videos, place) for name, checkout in checkouts.items()} for _ in range(repeats)
    ]
    found: dict[str, object] = {"shots": shots}
    for name in checkouts:
        found[name] = {key: round(statistics.median(each[name][key] for each in rounds), 2) for key in KEYS}
    if "before" in checkouts:
        found["before / now"] = {
            key: round(statistics.median(each["before"][key] / each["now"][key] for each in rounds), 2) for key in KEYS
        }
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


KEYS = ("seconds", "cpu_seconds", "mib")


def adapted(shots: int, checkout: Path, videos: list[Path], place: Path) -> dict[str, float]:
    """Wall-clock and CPU seconds and peak memory (MiB) of the command."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        base = (checkout / "base").resolve()
        out = Path(folder) / "detector"
        command = metavad("adapt", "--normal", *videos, "--shots", shots, "--base", base, "--out", out)
        return timed(command, {"METAVAD_CACHE": str(place / "cache")}, checkout)


def slope(rows: list[dict[str, object]], name: str) -> dict[str, float]:
    """(t(100) - t(10)) / 90, of seconds and of CPU seconds."""
    at = {each["shots"]: each[name] for each in rows if name in each}
    return {key: round((at[100][key] - at[10][key]) / 90, 3) for key in KEYS[:2]} if {10, 100} <= at.keys() else {}


def commit(checkout: Path) -> str:
    """What is checked out there."""
    head = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return head.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
