"""Clips that lie close in time: alarms on ordinary footage, counting every clip or as many as are independent.

    python benchmarks/effective_sample_size.py --suite benchmarks/suites/normal.toml --spans 2,4,10 --shots 3,10

K clips are drawn from the first seconds of one half of each camera's normal footage; windows of the other half are
scored. Of all ordinary ticks: the share whose frame score is over what one ordinary tick in a hundred passes at the
base's cameras (so 0.01 keeps the promise), and the same for the calibrated surprise of each expert by itself. Once with
every clip counted as independent ("clips"), once by `Sample.effective_sample_size` ("effective"). No labels are used.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from record import begin, options, record_of, write
from torch import Tensor

from metavad.episodes import VideoSpan, draw_shots
from metavad.errors import ShotsError
from metavad.features.library import Library
from metavad.features.sample import Sample
from metavad.normality.accumulation import strongest
from metavad.normality.base import load_base
from metavad.normality.calibration import Calibration
from metavad.normality.distribution import PopulationScores
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.model import SceneModel
from metavad.normality.population import halves
from metavad.scenes.cache import Store
from metavad.workflows.suites import open_suite

TICKS = 200
"""Ticks scored of each video, at most."""
RARE = 0.01


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--leave-out", default="", help="scenes that the base was trained on")
    parser.add_argument("--spans", default="2,4,10")
    parser.add_argument("--shots", default="3,10")
    return parser


def main() -> None:
    """Measure, print, write."""
    given = begin(arguments())
    base, found = load_base(given.base), defaultdict(lambda: defaultdict(list))
    scenes = [scene for scene in open_suite(given.suite, given.data).scenes if scene.name not in given.leave_out]
    for scene in scenes:
        library = Library([scene], base.config.data, base.features, Store())
        shown, other = halves(library.spans(scene.key), 0)
        windows = [each for span in other for each in _windows(library, span)]
        for span in map(float, given.spans.split(",")):
            for count in map(int, given.shots.split(",")):
                try:
                    support = library.sample(draw_shots(_first(shown, span), count, 16, 0).clips)
                except ShotsError:
                    continue
                for way, sample in (("clips", replace(support, origins=None)), ("effective", support)):
                    model = fit(Adapted(base), sample, library.grid(scene.key))
                    for name, value in _alarming(model, windows).items():
                        found[f"{span:g} s, K = {count}, {way}"][name].append(value)
        print(".", end="", flush=True)
    rows = {row: {name: float(np.mean(each)) for name, each in cells.items()} for row, cells in found.items()}
    _print(rows)
    write(given.json, record_of(rows, base=base.digest, scenes=[scene.key for scene in scenes]))


def _first(spans: Sequence[VideoSpan], seconds: float) -> list[VideoSpan]:
    """The first seconds of the longest video."""
    longest = max(spans, key=lambda span: span.frames - span.first)
    return [replace(longest, frames=min(longest.frames, longest.first + round(seconds * longest.rate)))]


def _windows(library: Library, span: VideoSpan) -> list[Sample]:
    features = library.video_features(span.scene, span.side, span.video)
    inside = np.flatnonzero((features.frames >= span.first) & (features.frames < span.frames))[:TICKS]
    return [library.part(features, int(inside[0]), int(inside[-1]) + 1)] if len(inside) > 1 else []


def _alarming(model: SceneModel, windows: Sequence[Sample]) -> dict[str, float]:
    top, size = model.scoring.top, model.support.sample_size
    limit = model.frames.after(size).value(-math.log(RARE))
    over: dict[str, list[torch.Tensor]] = defaultdict(list)
    for window in windows:
        found = model.score(window)
        known = found.known[0]
        over["over 1 %"].append(strongest(found.fused[0], top)[known] > limit)
        for name, each in model.calibrations.items():
            over[name].append(strongest(each.rarity(found.maps[name][0]), top)[known] > _rare(each))
    return {"sample size": size, **{name: float(torch.cat(each).float().mean()) for name, each in over.items()}}


def _rare(calibration: Calibration) -> Tensor:
    """What as rare a frame as one in a hundred counts for."""
    plain = replace(calibration, frames=PopulationScores.unit().after(0), offset=0.0)
    return plain.rarity(torch.tensor(-math.log(RARE)))


def _print(rows: dict[str, dict[str, float]]) -> None:
    names = list(next(iter(rows.values())))
    print("\n| clips of the first | " + " | ".join(names) + " |")
    print("|:--|" + "--:|" * len(names))
    for row, cells in rows.items():
        print(f"| {row} | " + " | ".join(f"{cells[name]:.2f}" for name in names) + " |")


if __name__ == "__main__":
    main()
