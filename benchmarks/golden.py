"""Whether a change keeps every figure: digests of what the commands give on a few generated cameras, at one thread.

python benchmarks/golden.py --write golden.json      # before
python benchmarks/golden.py --check golden.json      # after, on the same machine: says what differs
"""

import argparse
import csv
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from record import parser_of

from metavad.cli import main as metavad
from metavad.synthetic import write_suite

SHOTS = (0, 1, 5, 12)
EXPERTS = [
    "prediction",
    "flow_density",
    "direction",
    "stillness",
    "velocity",
    "presence",
    "dissociation",
]
TINY = {
    "meta.outer_steps": 3,
    "meta.control_steps": 2,
    "meta.scenes_per_step": 2,
    "meta.shots": [1, 3],
    "meta.queries": 2,
    "meta.validation_episodes": 1,
    "data.short_side": 64,
    "data.rows": 8,
    "prediction.short_side": 16,
    "prediction.channels": 4,
    "prediction.windows": 16,
    "flow_density.hidden": 8,
    "flow_density.cells": 128,
    "meta.inner_steps": 2,
    "population.shots": [0, 2],
    "population.weigh": [0, 2],
    "population.windows": 1,
    "population.seconds": 2,
    "experts": EXPERTS,
}
MEASURED = {"adapt_seconds", "fps", "latency_seconds"}
DIGITS, FIGURES = 12, 9
"""Of a digest, and after the point of a figure."""


def main() -> None:
    given = arguments().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = _everything(Path(folder))
    if given.write:
        given.write.write_text(json.dumps(found, indent=1, sort_keys=True), encoding="utf-8")
        print(f"{len(found)} digests in {given.write}")
        return
    kept = json.loads(given.check.read_text(encoding="utf-8"))
    wrong = sorted(name for name in kept.keys() | found.keys() if kept.get(name) != found.get(name))
    for name in wrong:
        print(f"{name}: expected {kept.get(name)}, found {found.get(name)}")
    print(f"{len(kept) - len(wrong)} of {len(kept)} as before")
    raise SystemExit(bool(wrong))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", type=Path, metavar="FILE")
    group.add_argument("--check", type=Path, metavar="FILE")
    return parser


def _everything(folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    site = write_suite(folder / "site", scenes=2, seed=5, size="small", test_videos=2)
    base = str(Path(__file__).parent.parent / "base")
    found = _adapted(folder, site, base) | _benchmarked(folder, site, base)
    return found | _trained(folder)


def _adapted(folder: Path, site: Path, base: str) -> dict[str, Any]:
    """Thresholds, scores and events of one camera after several numbers of clips."""
    root = next(path for path in sorted(site.parent.iterdir()) if path.is_dir())
    normal = [str(path) for path in sorted((root / "normal").iterdir())]
    tests = [str(path) for path in sorted((root / "test").iterdir()) if path.suffix == ".mp4"]
    found: dict[str, Any] = {}
    for shots in SHOTS:
        detector, scores = folder / f"detector-{shots}", folder / f"scores-{shots}"
        options = ["--shots", str(shots), "--alarms-per-day", "40000", "--base", base]
        _run("adapt", "--normal", *normal, *options, "--out", str(detector))
        found[f"adapt-{shots}/threshold"] = json.loads((detector / "detector.json").read_text())["threshold"]
        _run("score", *tests, "--detector", str(detector), "--out", str(scores))
        for video in sorted(each for each in scores.iterdir() if each.is_dir()):
            found |= {f"score-{shots}/{video.name}/{key}": value for key, value in _scored(video).items()}
    return found


def _scored(folder: Path) -> dict[str, Any]:
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    events = json.loads((folder / "events.json").read_text(encoding="utf-8"))["events"]
    return {
        "frames": len(rows),
        "scores": _digest([(row["frame"], row["score"], row["alarm"]) for row in rows]),
        "events": [[round(each[key], 3) for key in ("start", "end", "score")] for each in events],
    }


def _benchmarked(folder: Path, site: Path, base: str) -> dict[str, Any]:
    record = folder / "record.json"
    what = ["--target", str(site), "--shots", "0,1,5", "--draws", "2", "--base", base]
    _run("benchmark", *what, "--json", str(record), "--fresh", "--scores", str(folder / "scores.npz"))
    rows = json.loads(record.read_text(encoding="utf-8"))["rows"]
    return {
        f"benchmark/{row['scene']}/{row['method']}/{row['shots']}": _digest(
            {key: _rounded(value) for key, value in row.items() if key not in MEASURED}
        )
        for row in rows
    }


def _rounded(value: object) -> object:
    """A figure of libraries that round differently in the last bits."""
    return round(value, FIGURES) if isinstance(value, float) else value


def _trained(folder: Path) -> dict[str, Any]:
    """Every tensor of a base that is trained for a few steps, on labelled generated cameras."""
    from safetensors.torch import load_file

    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    suite = folder / "cameras.toml"
    suite.write_text('title = "c"\n[[generate]]\nroot = "cameras"\nscenes = 3\nseed = 3\nsize = "tiny"\n')
    _run("meta-train", "--scenes", str(suite), *settings, "--out", str(folder / "run"), "--device", "cpu")
    tensors = load_file(folder / "run" / "base" / "base.safetensors")
    sums = sorted(hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest()[:DIGITS] for t in tensors.values())
    return {"meta-train/tensors": len(sums), "meta-train/digest": _digest(sums)}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGITS]


def _run(*words: str) -> None:
    if code := metavad(words):
        raise SystemExit(f"metavad {' '.join(words)}: exit code {code}")


if __name__ == "__main__":
    main()
