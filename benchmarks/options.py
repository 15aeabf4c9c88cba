"""What every option of the experts is worth: each trained alike, by itself, on the same cameras and frames.

    python benchmarks/options.py --scenes train/suite.toml,benchmarks/suites/licensed.toml \\
        --targets held/suite.toml,ped2,umn --rows rows.jsonl --json benchmarks/options.json

A row is one expert with some settings: a base of it alone, meta-learned as ``SHARED`` says, then scored as
``experts.py`` scores experts. Every row is written as it comes; rows that the file holds are not made again.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from experts import camera, chosen, cost, print_rows

from metavad.config import load_config
from metavad.files import write_text
from metavad.meta.base import Base
from metavad.scenes.scene import Scene
from metavad.training import describe_machine, make_base

SHARED = (
    "meta.outer_steps=16",
    "meta.control_steps=1",
    "meta.validate_every=8",
    "meta.validation_episodes=4",
    "prior.shots=[0,10]",
    "prior.weigh=[]",
    "prior.windows=2",
    "data.rows=20",
    "prediction.short_side=40",
)
"""Beside the preset ``default``: far less training than a base that ships, alike for all rows."""
LOSSES = ("prediction.flow_weight=2.0", "prediction.adversarial_weight=0.05")
ALONE = 'meta.adapts=["prediction.prototypes.*","prediction.leave.*"]'
OPTIONS: dict[str, tuple[str, ...]] = {
    "prediction": (),
    "prediction: flow": LOSSES[:1],
    "prediction: adversary": LOSSES[1:],
    "prediction: channel attention": ("prediction.attention=channel",),
    "prediction: self-attention": ("prediction.attention=self",),
    "prediction: prototypes": ("prediction.prototypes=10",),
    "prediction: prototypes, they alone adapt": ("prediction.prototypes=10", ALONE),
    "prediction: all losses, self-attention": (*LOSSES, "prediction.attention=self"),
    "embedding": (),
    "embedding: last block unfrozen": ("embedding.unfrozen=1",),
    "embedding_memory": (),
    "embedding_memory: centroids": ("embedding.memory=centroids",),
    "dissociation": (),
    "appearance": (),
    "appearance: a network's features": (
        "appearance.features=network",
        "appearance.network=yolox_nano.onnx",
        "appearance.layer=onnx::MaxPool_853",
    ),
}
"""Settings of a row by its name, which begins with the expert's."""


def main() -> None:
    """Train and score every option, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shots", default="0,1,10")
    parser.add_argument("--only", nargs="*", default=list(OPTIONS), choices=list(OPTIONS), metavar="ROW")
    parser.add_argument("--train", type=int, default=0, help="so many cameras of each suite; 0: all")
    parser.add_argument("--cameras", type=int, default=0, help="so many cameras of each target; 0: all")
    parser.add_argument("--every", type=int, default=1, help="of the targets' test videos, every n-th")
    parser.add_argument("--set", action="append", default=[], dest="sets", help="further settings, of every row")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, one a row, as they come")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    shots = [int(count) for count in given.shots.split(",")]
    scenes = chosen(given.scenes, given.data, "meta-train", given.train)
    targets = chosen(given.targets, given.data, "meta-test", given.cameras)
    targets = [replace(scene, test=scene.test[:: given.every]) for scene in targets]
    for name in given.only:
        if name not in rows_of(given.rows):
            noted(given.rows, {"row": name, **row_of(name, given.sets, scenes, targets, shots)})
    show(given.rows, given.json, scenes, targets, shots)


def row_of(name: str, sets: Sequence[str], scenes: Sequence[Scene], targets: Sequence[Scene], shots: list[int]) -> dict:
    """AUC by suite and K, cost, and how it was trained."""
    expert = name.partition(":")[0]
    folder, begun = Path(tempfile.mkdtemp()), time.perf_counter()
    config = load_config("default", [f'experts=["{expert}"]', *SHARED, *sets, *OPTIONS[name]])
    try:
        base = make_base(scenes, config, run=folder / "run", device="cpu")
    finally:
        shutil.rmtree(folder)
    trained = time.perf_counter() - begun
    auc: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for scene in targets:
        camera(base, scene, shots, -1, auc)
    print(name, f"{time.perf_counter() - begun:.0f} s", flush=True)
    return {
        "settings": [*sets, *OPTIONS[name]],
        "base": base.digest,
        "adapts": adapting(base),
        "train_seconds": round(trained),
        "auc": auc,
        "cost": cost(base, expert, targets[0]),
    }


def adapting(base: Base) -> int:
    """Parameters that a camera changes."""
    return sum(base.params[name].numel() for name in base.step_sizes)


def rows_of(path: Path) -> dict[str, dict]:
    """The rows that are there, by name."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["row"]: row for row in map(json.loads, lines)}


def noted(path: Path, row: dict) -> None:
    """Written at once: a run that is stopped leaves what it had."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def show(
    path: Path, record: Path | None, scenes: Sequence[Scene], targets: Sequence[Scene], shots: Sequence[int]
) -> None:
    """The table, and the record."""
    rows = rows_of(path)
    suites = dict.fromkeys(scene.suite for scene in targets)
    auc: dict[str, dict] = {suite: {} for suite in suites}
    for name, row in rows.items():
        expert = name.partition(":")[0]
        for suite, each in row["auc"].items():
            auc[suite] |= {f"{name} K={key.removeprefix(f'{expert} K=')}": values for key, values in each.items()}
    names = [name for name in OPTIONS if name in rows]
    print_rows(auc, {name: row["cost"] for name, row in rows.items()}, names, shots)
    if record:
        tested = {scene.key: [video.name for video in scene.test] for scene in targets}
        cameras = {"train": [scene.key for scene in scenes], "tested": tested}
        facts = {**describe_machine("cpu"), "shared": SHARED, **cameras}
        write_text(record, json.dumps({**facts, "rows": [rows[name] for name in names]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
