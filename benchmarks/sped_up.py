"""Motion that is sped up, on cameras that show only normal life: a way to choose without labelled footage.

Every camera's normal footage is cut in two. K shots come from one half; in windows of the other, every five seconds,
what moves somewhere is made two to four times as fast for 1.5 seconds: its flow is multiplied within a box around it.
The AUC of those ticks against all others, mean over cameras. Only experts of flow can see it: pictures stay as they
are, so that what `prediction` and experts of regions say is noise here, and the difference to `flow_density` alone
says how much they disturb.

    python benchmarks/sped_up.py --suite benchmarks/suites/normal.toml --shots 0,1,3,10 --json FILE
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from record import begin, options, record_of, write
from torch import Tensor

from metavad.episodes import VideoSpan, draw_shots
from metavad.evaluation import micro_auc
from metavad.features.library import Library
from metavad.normality.accumulation import smooth, strongest
from metavad.normality.base import load_base
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.model import SceneModel
from metavad.normality.population import halves
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.types import BoolArray, FloatArray
from metavad.workflows.suites import open_suite

EVERY, LASTS, WINDOW, WINDOWS = 50, 15, 400, 4
"""Ticks from one to the next, ticks that it lasts, ticks of a window, and windows of a camera."""
MOVING = 0.03
"""Heights/second under which there is nothing to speed up."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shots", default="0,1,3,10")
    parser.add_argument("--experts", help="some of the base's, by comma")
    return parser


def main() -> None:
    """Score, print, write the record."""
    given = begin(arguments())
    base, shots = load_base(given.base), [int(count) for count in given.shots.split(",")]
    used = base.only(given.experts.split(",")) if given.experts else base
    seen = set(base.facts.get("scenes", ()))
    scenes = [scene for scene in open_suite(given.suite, given.data).scenes if not _trained_on(scene, seen)]
    found: dict[str, dict[int, float]] = {}
    for scene in scenes:
        library = Library([scene], used.config.data, used.features, Store())
        shown, other = halves(library.spans(scene.key), 0)
        for count in shots:
            clips = draw_shots(shown, count, used.config.data.clip_frames, 0).clips if count else ()
            support = library.sample(clips) if clips else library.nothing(scene.key)
            model = fit(Adapted(used), support, library.grid(scene.key))
            found.setdefault(scene.name, {})[count] = _auc(model, library, scene, other)
        print(scene.name, " ".join(f"{value:.3f}" for value in found[scene.name].values()), flush=True)
    means = {count: float(np.nanmean([each[count] for each in found.values()])) for count in shots}
    print("mean", " ".join(f"{value:.3f}" for value in means.values()))
    rows = {"auc": found, "mean": means}
    write(given.json, record_of(rows, base=base.digest, experts=used.config.experts))


def _trained_on(scene: Scene, seen: set[str]) -> bool:
    """Whether a scene of this name, of whichever suite, was among those of the base."""
    return scene.name in {key.partition(":")[2] for key in seen}


def _auc(model: SceneModel, library: Library, scene: Scene, spans: Sequence[VideoSpan]) -> float:
    parts = [_window(model, library, scene, span, number) for number, span in enumerate(spans[:WINDOWS])]
    some = [part for part in parts if part is not None]
    labels = np.concatenate([flags for _, flags in some]) if some else np.zeros(0, bool)
    if min(labels.sum(), (~labels).sum()) <= 10:
        return float("nan")
    return micro_auc([scores for scores, _ in some], [flags for _, flags in some])


def _window(
    model: SceneModel, library: Library, scene: Scene, span: VideoSpan, number: int
) -> tuple[FloatArray, BoolArray] | None:
    """Smoothed scores of the known ticks of a window, and which were sped up."""
    features = library.video_features(scene.key, "normal", span.video)
    inside = np.flatnonzero((features.frames >= span.first) & (features.frames < span.frames))
    if len(inside) < 2 * LASTS:
        return None
    sample = library.part(features, int(inside[0]), int(min(inside[-1] + 1, inside[0] + WINDOW)))
    flow, labels = _sped_up(sample["flow"][0], np.random.default_rng(number))
    settings = model.scoring
    found = model.score(replace(sample, features={**sample.features, "flow": flow[None]}))
    raw = torch.where(found.known, strongest(found.fused, settings.top), torch.nan)[0].numpy()
    scores = smooth(raw, sample.seconds[0].numpy(), settings.past, settings.future)
    known = ~np.isnan(scores)
    return scores[known], labels[known]


def _sped_up(flow: Tensor, generator: np.random.Generator) -> tuple[Tensor, BoolArray]:
    """Flow (T, 3, h, w) with what moves at some places made faster, and in which ticks (T,)."""
    ticks, _, height, width = flow.shape
    changed, labels = flow.clone(), np.zeros(ticks, bool)
    for start in range(5, ticks - LASTS - 3, EVERY):
        end = start + LASTS
        if flow[start:end, 2].max() < MOVING:
            continue
        share = flow[start:end, 2].mean(0).square().flatten().double()
        row, column = divmod(int(generator.choice(len(share), p=(share / share.sum()).numpy())), width)
        reach, factor = int(height * generator.uniform(0.08, 0.15)), generator.uniform(2.0, 4.0)
        rows = slice(max(0, row - reach), row + reach + 1)
        columns = slice(max(0, column - reach), column + reach + 1)
        changed[start:end, :, rows, columns] *= factor
        labels[start:end] = True
    return changed, labels


if __name__ == "__main__":
    main()
