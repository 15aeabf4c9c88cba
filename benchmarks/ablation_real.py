"""What every part of the detector gains on real cameras, dataset by dataset.

Rows are those of `ablation.py`. Each dataset counts once, however many cameras it has: gains are means over datasets,
with a 95 % bootstrap interval over datasets, and the least and the most that they become when one dataset is left out.
Clips are none, one, and as many as are named with each suite (K).

    python benchmarks/ablation_real.py --suite ped2@10 --suite umn@10 --suite benchmarks/suites/falls.toml@3 --json FILE
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ablation import auc_by_variant
from record import begin, options, record_of, write

from metavad.evaluation.intervals import mean_difference
from metavad.normality.base import load_base
from metavad.workflows.suites import open_suite

Found = dict[str, dict[str, dict[str, float]]]
"""AUC by dataset, variant, and number of clips, the mean over its cameras."""
COUNTS = ("none", "one", "most")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", required=True, action="append", type=_suite, metavar="SUITE@K")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--data", type=Path)
    return parser


def main() -> None:
    """Score, print the table, write the record."""
    given = begin(arguments())
    base, found = load_base(given.base), Found()
    for name, shots in given.suite:
        suite = open_suite(name, given.data)
        counts = dict(zip(COUNTS, (0, 1, shots), strict=True))
        cameras = [auc_by_variant(base, scene, [*counts.values()], given.draws) for scene in suite.scenes]
        found[Path(name).stem] = _mean(counts, cameras)
        print(Path(name).stem, found[Path(name).stem]["whole"], flush=True)
    rows = _gains(found)
    _print(rows)
    shots = {Path(name).stem: count for name, count in given.suite}
    write(given.json, record_of({"auc": found, "gains": rows}, base=base.digest, shots=shots, draws=given.draws))


def _suite(text: str) -> tuple[str, int]:
    """A suite and the number of its clips."""
    name, at, shots = text.rpartition("@")
    if not (at and shots.isdigit() and int(shots)):
        raise argparse.ArgumentTypeError(f"expected a suite and the K of most clips, such as ped2@10, found {text}")
    return name, int(shots)


def _mean(counts: Mapping[str, int], cameras: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for count, shots in counts.items():
        for key in cameras[0]:
            name, _, number = key.partition(" K=")
            if number == str(shots):
                found[name][count] = round(float(np.mean([camera[key] for camera in cameras])), 4)
    return dict(found)


def _gains(found: Found) -> dict[str, dict[str, list[float]]]:
    """Of each part, by number of clips: gain, low, high, least and most without one dataset."""
    rows: dict[str, dict[str, list[float]]] = defaultdict(dict)
    generator = np.random.default_rng(0)
    for name in next(iter(found.values())):
        for count in COUNTS:
            gains = np.array([each["whole"][count] - each[name][count] for each in found.values()])
            mean = mean_difference(gains, generator=generator, resamples=10000)
            others = [np.delete(gains, number).mean() for number in range(len(gains))] if len(gains) > 1 else gains
            rows[name][count] = [
                round(float(each), 4) for each in (mean.value, mean.low, mean.high, np.min(others), np.max(others))
            ]
    return dict(rows)


def _print(rows: Mapping[str, Mapping[str, list[float]]]) -> None:
    print("| | K = 0 | one dataset left out | K = 1 | one dataset left out | most clips | one dataset left out |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for name, counts in rows.items():
        if name == "whole":
            continue
        cells = []
        for count in COUNTS:
            gain, low, high, least, most = counts[count]
            cells += [f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]", f"{least:+.3f} to {most:+.3f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
