"""Adapted against every other method over all cameras of several records, paired by camera.

Each record is one of `metavad benchmark`, with the K to take from it. Of each method: the mean micro AUC over the
cameras where it was run, how much `adapted` is above it there with a 95 % bootstrap interval over cameras, and on how
many cameras it is more than half a point above and below.

    python benchmarks/compare_methods.py benchmarks/real-ped2-umn.json@10 benchmarks/real-falls-fights.json@3 \
        benchmarks/generated-methods.json@10 benchmarks/generated-refit.json@10

`--only held2:` takes only cameras whose suite and name begin so. Refuses records of different bases.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from record import parser_of

from metavad.benchmark.record import BenchmarkRecord, Row, read_record
from metavad.evaluation.intervals import mean_difference

Scores = dict[str, dict[str, float]]
"""Method to camera to micro AUC."""
HARM = 0.005


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(__doc__)
    parser.add_argument("records", nargs="+", metavar="FILE@K", type=_record)
    parser.add_argument("--only", default="", metavar="SUITE:[SCENE]", help="how the cameras taken begin")
    return parser


def main() -> None:
    """Read, print a table."""
    given = arguments().parse_args()
    found, bases = defaultdict(dict), set()
    for path, shots in given.records:
        record = read_record(path, BenchmarkRecord)
        bases.add(record.base)
        for method, scores in _scores(record.rows, shots).items():
            found[method] |= {camera: score for camera, score in scores.items() if camera.startswith(given.only)}
    if len(bases) > 1:
        sys.exit(f"expected records of one base, found {', '.join(sorted(bases))}; run the older ones again")
    _print(found)


def _record(text: str) -> tuple[Path, int]:
    """A file and the number of shots to take from it."""
    path, at, shots = text.rpartition("@")
    if not (at and shots.isdigit() and Path(path).is_file()):
        raise argparse.ArgumentTypeError(
            f"expected a record and its K, such as generated-methods.json@10, found {text}"
        )
    return Path(path), int(shots)


def _scores(rows: Sequence[Row], shots: int) -> Scores:
    """Of the methods that are shown clips those with so many."""
    found: Scores = defaultdict(dict)
    for row in rows:
        if row.shots in (0, shots):
            found[row.method][f"{row.suite}:{row.scene}"] = row.micro_auc
    return found


def _print(found: Scores) -> None:
    print("| | cameras | its mean | adapted, minus it | better | worse |\n|:--|--:|--:|--:|--:|--:|")
    rng = np.random.default_rng(0)
    for method, scores in found.items():
        if method == "adapted":
            continue
        gains = np.array([found["adapted"][camera] - score for camera, score in scores.items()])
        gain = mean_difference(gains, generator=rng, resamples=10000)
        print(
            f"| {method} | {len(gains)} | {np.mean(list(scores.values())):.3f} | "
            f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] | "
            f"{np.sum(gains > HARM)} | {np.sum(gains < -HARM)} |"
        )
    print(f"| adapted | {len(found['adapted'])} | {np.mean(list(found['adapted'].values())):.3f} | | | |")


if __name__ == "__main__":
    main()
