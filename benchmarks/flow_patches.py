"""Density of flow patches: AUC over training steps on the source and on unseen cameras, without adapting.

    python benchmarks/flow_patches.py --source train/suite.toml --unseen held/suite.toml --rows rows.jsonl --json FILE

Trained by maximum likelihood on normal videos of some source cameras; every so many steps the test videos of these
cameras and of cameras that were never seen are scored. The likelihood of other normal videos of the source cameras
and of normal videos of further cameras is what a rule for stopping may look at: it takes the step at which normal
footage of further cameras is likeliest, and knows no label.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from metavad.calibration.accumulation import strongest
from metavad.config import Config
from metavad.evaluation.ranking import micro_auc
from metavad.experts.flow_patches import FlowPatches
from metavad.features.library import Library
from metavad.features.sample import Sample, join
from metavad.files import write_text
from metavad.scenes.cache import Store
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite
from metavad.training import describe_machine

SETTINGS: dict[str, dict] = {
    "K 4, L 1, 24x18, stack 4": {},
    "L 2, 48x36": {"levels": 2, "patch": (48, 36), "patches": 48},
    "K 1": {"steps": 1},
    "stack 1": {"stack": 1},
    "L 3, 96x72": {"levels": 3, "patch": (96, 72), "patches": 24, "steps": 2},
    "stack 10": {"stack": 10, "patches": 48},
    "stack 4, trajectory": {"stacking": "trajectory"},
    "K 8": {"steps": 8},
}
SHARES: dict[str, dict] = {"a tenth of the footage": {}, "stack 1, a tenth of the footage": {"stack": 1}}


def footage(scenes: Sequence[Scene], config: Config, videos: slice, side: str) -> list[tuple[Sample, np.ndarray]]:
    """Whole videos with the labels of their ticks."""
    library = Library(scenes, config, ("flow_field",), Store())
    found = []
    for scene in scenes:
        for video in getattr(scene, side)[videos]:
            track = library.track(scene.key, side, video.name)
            frames = library.facts(scene.key, side, video.name).frames
            labels = frame_labels(scene, video, frames)[track.frames] if side == "test" else np.zeros(len(track))
            found.append((library.part(track, 0, len(track)), labels))
    return found


def cut(sample: Sample, start: int, length: int) -> Sample:
    """Some ticks of a video as a clip of its own."""
    part = slice(start, start + length)
    features = {name: tensor[:, part] for name, tensor in sample.features.items()}
    known = {name: tensor[:, part] for name, tensor in sample.known.items()}
    return Sample(features, known, sample.seconds[:, part])


def drawn(
    videos: Sequence[tuple[Sample, np.ndarray]], length: int, generator: np.random.Generator, count: int
) -> Sample:
    """Clips of one shape (cameras of other shapes are drawn in other steps)."""
    first = videos[generator.integers(len(videos))][0]
    alike = [each for each, _ in videos if each["flow_field"].shape[2:] == first["flow_field"].shape[2:]]
    clips = []
    for _ in range(count):
        video = alike[generator.integers(len(alike))]
        clips.append(cut(video, int(generator.integers(0, video.seconds.shape[1] - length + 1)), length))
    return join(clips)


def auc(expert: FlowPatches, videos: Sequence[tuple[Sample, np.ndarray]]) -> float:
    """Micro AUC in per cent over the ticks that are known; a frame's score is the mean of its strongest hundredth."""
    scores, labels = [], []
    with torch.no_grad():
        for sample, truth in videos:
            known = expert.known(sample)[0].numpy()
            found = strongest(expert.score(sample, {}), 0.01)[0].numpy()
            scores.append(found[known])
            labels.append(truth[known] > 0)
    return round(100 * micro_auc(scores, labels), 2)


def likelihood(expert: FlowPatches, videos: Sequence[tuple[Sample, np.ndarray]], length: int) -> float:
    """Nats per dimension of normal videos, less is better; the same clips every time."""
    generator = np.random.default_rng(5)
    with torch.no_grad():
        return round(float(np.mean([expert.loss(drawn(videos, length, generator, 2), {}) for _ in range(12)])), 4)


def run(name: str, settings: dict, share: float, steps: int, every: int, sides: dict) -> dict:
    """One setting: the curve."""
    config = Config.model_validate({"flow_patches": {"patches": 96, "hidden": 24, "overlap": False, **settings}})
    torch.manual_seed(0)
    expert = FlowPatches.build(config)
    optimiser = torch.optim.Adam(expert.parameters(), lr=2e-3)
    generator = np.random.default_rng(1)
    length = config.flow_patches.stack + 6
    train = sides["train"][: max(1, round(share * len(sides["train"])))]
    curve, spent = [], time.process_time()
    for step in range(steps + 1):
        if step in every_of(steps, every):
            row = {"step": step, "source_normal": likelihood(expert, sides["source_normal"], length)}
            row |= {"unseen_normal": likelihood(expert, sides["unseen_normal"], length)}
            row |= {"source_auc": auc(expert, sides["source_test"]), "unseen_auc": auc(expert, sides["unseen_test"])}
            curve.append(row)
            print(name, row, file=sys.stderr, flush=True)
        loss = expert.loss(drawn(train, length, generator, 2), {})
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(expert.parameters(), 5.0)
        optimiser.step()
    parameters = sum(tensor.numel() for tensor in expert.parameters())
    cost = {"parameters": parameters, "seconds": round(time.process_time() - spent)}
    return {"setting": name, **cost, "stopped": stopped(curve)["step"], "curve": curve}


def stopped(curve: Sequence[dict]) -> dict:
    """The row at which normal footage of cameras that are neither trained on nor tested is likeliest."""
    return min(curve, key=lambda row: row["unseen_normal"])


def table(rows: Sequence[dict]) -> Iterator[str]:
    """AUC over steps on the source and on unseen cameras, bold where the rule stops."""
    steps = sorted({each["step"] for row in rows for each in row["curve"]})
    yield "| setting | cameras | " + " | ".join(f"{step} steps" for step in steps) + " | parameters | s |"
    yield "|:--|:--|" + "--:|" * (len(steps) + 2)
    for row in rows:
        for place, (name, sides) in enumerate({"source": "source_auc", "unseen": "unseen_auc"}.items()):
            found = {each["step"]: f"{each[sides]:.1f}" for each in row["curve"]}
            cells = [f"**{found[step]}**" if step == row["stopped"] else found.get(step, "") for step in steps]
            facts = ["", ""] if place else [f"{row['parameters']:,}", str(row["seconds"])]
            yield "| " + " | ".join(["" if place else row["setting"], name, *cells, *facts]) + " |"


def noted(path: Path, row: dict) -> None:
    """Written at once: a run that is stopped leaves what it had."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def rows_of(path: Path) -> dict[str, dict]:
    """The rows that are there, by setting."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["setting"]: row for row in map(json.loads, lines)}


def every_of(steps: int, first: int) -> set[int]:
    """The beginning, then four times as many: the early steps are where most changes."""
    found, step = {0, steps}, first
    while step < steps:
        found.add(step)
        step *= 4
    return found


def main() -> None:
    """All settings: the table, and the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--unseen", required=True)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, one a setting, as they come")
    parser.add_argument("--only", nargs="*", default=[*SETTINGS, *SHARES], choices=[*SETTINGS, *SHARES], metavar="ROW")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    source = load_suite(asked.source).scenes
    own, further = source[: asked.cameras], source[asked.cameras : 2 * asked.cameras]
    unseen = load_suite(asked.unseen).scenes[: asked.cameras]
    missing = [name for name in asked.only if name not in rows_of(asked.rows)]
    sides = read(own, further, unseen, asked.videos) if missing else {}
    for name in missing:
        share = 0.1 if name in SHARES else 1.0
        noted(asked.rows, run(name, {**SETTINGS, **SHARES}[name], share, asked.steps, 10, sides))
    rows = [row for name, row in rows_of(asked.rows).items() if name in asked.only]
    print("\n".join(table(rows)))
    if asked.json:
        cameras = {"source": [each.key for each in own], "unseen": [each.key for each in unseen]}
        record = {**describe_machine("cpu"), **cameras, "test_videos": asked.videos, "rows": rows}
        write_text(asked.json, json.dumps(record, indent=1) + "\n")


def read(own: Sequence[Scene], further: Sequence[Scene], unseen: Sequence[Scene], videos: int) -> dict:
    """Footage by what it is for."""
    config = Config()
    sides = {
        "train": footage(own, config, slice(0, 2), "normal"),
        "source_normal": footage(own, config, slice(2, 3), "normal"),
        "unseen_normal": footage(further, config, slice(0, 1), "normal"),
        "source_test": footage(own, config, slice(0, videos), "test"),
        "unseen_test": footage(unseen, config, slice(0, videos), "test"),
    }
    print({name: len(each) for name, each in sides.items()}, file=sys.stderr, flush=True)
    return sides


if __name__ == "__main__":
    main()
