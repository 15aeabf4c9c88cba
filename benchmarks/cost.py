"""What evaluating costs: one plain scoring pass against each further evaluation, and RBDC of many detections.

A plain pass decodes the test videos, computes their features and scores them. A further evaluation (another K,
draw or method of the same scene) finds decoded and derived arrays on disk, and pays for its own scores, maps,
boxes and figures only; adapting is not counted, since it has to be done whatever is measured. Times are CPU seconds
of this process on one thread, which a busy machine changes little; median of repetitions, in turns.

    python benchmarks/cost.py --base base --suite ped2 --videos 2 --json benchmarks/cost.json

`--everybody` lets all experts speak, as they do once the shots show four times of a camera.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from metavad.adaptation import adapt
from metavad.adaptation.adapt import Normality, adapted, learn
from metavad.evaluation import rbdc_tbdc
from metavad.features.library import Library
from metavad.meta.base import Base, load_base
from metavad.protocol.bench import Bench
from metavad.protocol.differences import differences
from metavad.protocol.figures import row
from metavad.protocol.parts import _score_part
from metavad.protocol.settings import Part, checked_settings
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite
from metavad.scoring.stream import score_track
from metavad.training import describe_machine


def main() -> None:
    """Measure and print; ``--json`` keeps the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--suite", default="ped2")
    parser.add_argument("--videos", type=int, default=3, help="test videos of its first scene")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--everybody", action="store_true", help="all experts speak, as from four times of a camera on")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.everybody:
        adapt.ENOUGH = 0.0
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    suite = load_suite(asked.suite)
    scene = replace(suite.scenes[0], test=suite.scenes[0].test[: asked.videos])
    base = load_base(asked.base)
    found = {"base": base.digest, "evaluation": evaluation(base, scene, asked.repetitions), "regions": regions()}
    record = {**found, "suite": asked.suite, "load": os.getloadavg()[0], **describe_machine("cpu")}
    print(json.dumps(record, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def evaluation(base: Base, scene: Scene, repetitions: int) -> dict[str, object]:
    """Seconds of a plain pass and of the pieces of a further evaluation, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(scene, [scene], base, checked_settings((0,), 1, ["zero-shot"], 16, 0), Store(Path(folder)), None)
        once = seconds(lambda: (bench.places, bench.truth, bench.digest, bench.feature_seconds))
        part = Part(scene.key, "zero-shot", 0, 0)
        model = _model(bench)
        list(bench.tracks())  # on disk from here on; also the warm-up
        _score_part(bench, part)
        rounds = [_round(bench, model, part) for _ in range(repetitions)]
    plain = [each["decode and features"] + each["score"] for each in rounds]
    further = [each["score, boxes, pixels"] + each["figures"] for each in rounds]
    ratios = [one / other for one, other in zip(further, plain, strict=True)]
    medians = {name: round(statistics.median(each[name] for each in rounds), 3) for name in rounds[0]}
    return {
        **medians,
        "read once for all: masks, labels, digest": round(once, 3),
        "plain pass": round(statistics.median(plain), 3),
        "further evaluation": round(statistics.median(further), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "frames": sum(len(labels) for labels in bench.labels),
    }


def _model(bench: Bench) -> Normality:
    return learn(adapted(bench.base), bench.library.nothing(bench.scene.key, "test"), grid=bench.grid)


def _round(bench: Bench, model: Normality, part: Part) -> dict[str, float]:
    """One plain pass with an empty cache, then one further evaluation with a full one."""
    scene, base = bench.scene, bench.base
    with tempfile.TemporaryDirectory() as folder:
        library = Library([scene], base.config, base.experts.reads, Store(Path(folder)), whole=False)
        decode = seconds(lambda: [library.track(scene.key, "test", video.name) for video in scene.test])
        score = seconds(
            lambda: [score_track(model, library, library.track(scene.key, "test", v.name)) for v in scene.test]
        )
    scored = []
    again = seconds(lambda: scored.append(_score_part(bench, part)))
    figures = seconds(
        lambda: (
            row(bench, "adapted", 1, scored),
            differences(bench, {("zero-shot", 0): scored, ("adapted", 1): scored}),
        )
    )
    return {"decode and features": decode, "score": score, "score, boxes, pixels": again, "figures": figures}


def regions(detections: int = 100_000, videos: int = 20, frames: int = 2000) -> dict[str, float]:
    """Seconds for RBDC and TBDC of so many detections against 200 tracks of 100 regions, with ties and without."""
    generator = np.random.default_rng(0)

    def boxes(count: int) -> np.ndarray:
        corner = generator.uniform(0, 300, (count, 2))
        return np.hstack([corner, corner + generator.uniform(10, 60, (count, 2))])

    tracks = []
    for _ in range(videos):
        starts = generator.integers(frames - 100, size=10)
        rows = [(track, start + k) for track, start in enumerate(starts) for k in range(100)]
        tracks.append(np.hstack([np.array(rows, float), boxes(1000)]))
    each = detections // videos
    when = [generator.integers(frames, size=(each, 1)).astype(float) for _ in range(videos)]
    scores = {"all scores differ": generator.normal(size=(videos, each, 1))}
    scores["100 distinct scores"] = generator.integers(100, size=(videos, each, 1)).astype(float)
    found = {}
    for name, values in scores.items():
        rows = [np.hstack([at, boxes(each), score]) for at, score in zip(when, values, strict=True)]
        found[name] = round(seconds(lambda rows=rows: rbdc_tbdc(tracks, rows, [frames] * videos)), 3)
    return {"detections": detections, **found}


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
