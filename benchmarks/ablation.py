"""What every part of the detector gains, on generated cameras that the base has never seen.

For each camera, K and draw the experts' surprises are computed once; each row of the table then fuses them with one
part left out. Gains are paired over cameras: mean AUC of the whole minus that without the part, with a 95 % bootstrap
interval over cameras. A second table gives the AUC of each kind of event by itself, against all normal frames of
the same camera.

    python benchmarks/ablation.py --suite cameras/held/suite.toml --shots 0,1,3,5,10 --draws 1 --json FILE
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from labelled_videos import Seen, auc_of, on_frames, seen_of, surprise_of
from record import begin, options, record_of, write
from torch import Tensor

from metavad.episodes import draw_shots
from metavad.evaluation import micro_auc
from metavad.features.library import Library
from metavad.normality.accumulation import strongest
from metavad.normality.base import Base, load_base
from metavad.normality.calibration import Calibration, compress, fuse, weight_after
from metavad.normality.distribution import population_everywhere
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.normality.model import SceneModel, Surprise, initially_active
from metavad.normality.population import initial_weights
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.scoring.baselines import motion, position
from metavad.types import FloatArray
from metavad.workflows.suites import open_suite

UNLOCATED = ("without location", "without location and offset")
"""Rows with the population's distribution at every location."""
Calibrations = Mapping[str, Calibration]
Scorer = Callable[[Surprise], Tensor]
"""Surprise maps (T, h, w) of the experts to one frame score each (T,)."""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--suite", required=True, action="append", help="may be given several times")
    parser.add_argument("--shots", default="0,1,3,10")
    parser.add_argument("--draws", type=int, default=2)
    return parser


def main() -> None:
    """Score, print both tables, write the record."""
    given = begin(arguments())
    base, shots = load_base(given.base), [int(count) for count in given.shots.split(",")]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    kinds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for scene in [scene for name in given.suite for scene in open_suite(name).scenes]:
        _camera(base, scene, shots, given.draws, found, kinds)
        print(".", end="", flush=True)
    print()
    rows = {"auc": found, "kinds": kinds}
    _print_gains(found)
    _print_kinds(kinds)
    write(given.json, record_of(rows, base=base.digest, suites=given.suite, draws=given.draws))


def auc_by_variant(base: Base, scene: Scene, shots: list[int], draws: int) -> dict[str, float]:
    """The mean micro AUC over draws of each row and number of clips ("whole K=10") at one camera."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    _camera(base, scene, shots, draws, found, defaultdict(lambda: defaultdict(list)))
    return {name: rows["auc"][0] for name, rows in found.items() if " K=" in name}


def _camera(base: Base, scene: Scene, shots: list[int], draws: int, found: dict, kinds: dict) -> None:
    library = Library([scene], base.config.data, base.features, Store())
    seen = seen_of(library, scene)
    plain = {
        "motion": [_motion(base, library, each) for each in seen],
        "position": [position(np.arange(len(each.labels), dtype=float)) for each in seen],
    }
    for name, scores in plain.items():
        _note(name, scores, seen, found, kinds)
    for count in shots:
        each = [_draw(base, library, scene, seen, count, draw) for draw in range(draws if count else 1)]
        for name in each[0]:
            found[f"{name} K={count}"]["auc"].append(float(np.mean([auc_of(scores[name], seen) for scores in each])))
            for kind in _kinds(seen):
                mean = float(np.mean([_kind_auc(scores[name], seen, kind) for scores in each]))
                kinds[f"{name} K={count}"][kind].append(mean)


def _motion(base: Base, library: Library, each: Seen) -> FloatArray:
    """The largest local speed at each frame, smoothed as scores are."""
    past, ticks = library.features["flow"].past, each.features
    raw = motion(ticks.rows["flow"], ticks.begun(0, len(ticks.seconds)) >= past)
    return on_frames(torch.from_numpy(raw), ~torch.from_numpy(np.isnan(raw)), each, base.config.scoring)


def _note(name: str, scores: list[FloatArray], seen: list[Seen], found: dict, kinds: dict) -> None:
    found[name]["auc"].append(auc_of(scores, seen))
    for kind in _kinds(seen):
        kinds[name][kind].append(_kind_auc(scores, seen, kind))


def _draw(
    base: Base, library: Library, scene: Scene, seen: list[Seen], count: int, draw: int
) -> dict[str, list[FloatArray]]:
    """Frame scores of every test video, by variant."""
    length = base.config.data.clip_frames
    clips = draw_shots(library.spans(scene.key), count, length, draw).clips if count else ()
    support = library.sample(clips) if clips else library.nothing(scene.key)
    model = fit(Adapted(base), support, library.grid(scene.key))
    anywhere = _without_location(model)
    scores: dict[str, list[FloatArray]] = defaultdict(list)
    for video in seen:
        found = surprise_of(model, library, video.features)
        unlocated = surprise_of(anywhere, library, video.features)
        for name, scorer in _variants(model).items():
            used = unlocated if name in UNLOCATED else found
            future = 0.0 if name == "strictly causal" else None
            scores[name].append(on_frames(scorer(used), found.known, video, base.config.scoring, future=future))
    return scores


def _variants(model: SceneModel) -> dict[str, Scorer]:
    every, top = model.calibrations, model.scoring.top
    whole = {name: each for name, each in every.items() if each.is_active}
    start, size = initial_weights(model.experts), model.support.sample_size
    equal = {name: replace(each, offset=0.0) for name, each in whole.items()}
    changed: dict[str, Calibrations] = {
        **dict.fromkeys(("whole", "strictly causal", "without location"), whole),
        **{f"without {name}": {key: each for key, each in whole.items() if key != name} for name in every},
        **{f"{name} alone": _with_weights({name: whole[name]} if name in whole else {}) for name in every},
        "only initially active": {name: whole[name] for name in initially_active(model.experts) if name in whole},
        "without camera offset": equal,
        "without location and offset": equal,
        "weights not learned": {
            name: replace(each, weight=weight_after(start[name], size)) for name, each in whole.items()
        },
        "weights of one": _with_weights(whole),
    }
    variants: dict[str, Scorer] = {name: partial(_fused, each, top) for name, each in changed.items()}
    return variants | {"without rarity": partial(_compressed, whole, top)}


def _with_weights(calibrations: Calibrations) -> Calibrations:
    """The same with weights of one."""
    return {name: replace(each, weight=torch.ones(())) for name, each in calibrations.items()}


def _fused(calibrations: Calibrations, top: float, found: Surprise) -> Tensor:
    """Frame scores (T,) by some of the experts; zero by none."""
    if not calibrations:
        return torch.zeros(len(found.known))
    maps = {name: found.maps[name] for name in calibrations}
    return strongest(fuse(calibrations, maps, {name: found.known_by[name][:, None, None] for name in maps}), top)


def _compressed(calibrations: Calibrations, top: float, found: Surprise) -> Tensor:
    """Frame scores (T,) from surprises as they are, each weighted."""
    weighted = [each.share * compress(found.maps[name]) for name, each in calibrations.items()]
    return strongest(torch.stack(weighted).sum(0), top)


def _without_location(model: SceneModel) -> SceneModel:
    """The same with the population's distribution at every location."""
    calibrations = {
        name: replace(each, location=population_everywhere(each.grid)) for name, each in model.calibrations.items()
    }
    return replace(model, calibrations=calibrations)


def _kinds(seen: list[Seen]) -> list[str]:
    return sorted({kind for each in seen for kind in each.kinds} - {""})


def _kind_auc(scores: list[FloatArray], seen: list[Seen], kind: str) -> float:
    inside = [(each.kinds == kind) | (each.kinds == "") for each in seen]
    labels = [each.kinds[flags] == kind for each, flags in zip(seen, inside, strict=True)]
    return micro_auc([each[flags] for each, flags in zip(scores, inside, strict=True)], labels)


def _print_gains(auc: Mapping[str, Mapping[str, list[float]]]) -> None:
    generator = np.random.default_rng(0)
    shots = sorted({int(name.split("K=")[1]) for name in auc if "K=" in name})
    names = list(dict.fromkeys(name.split(" K=")[0] for name in auc if "K=" in name))
    print("| | " + " | ".join(f"K = {count}" for count in shots) + " |")
    print("|:--|" + "--:|" * len(shots))
    for name in ("position", "motion"):
        print(f"| `{name}` | {np.mean(auc[name]['auc']):.3f} |" + " |" * (len(shots) - 1))
    for name in names:
        cells = []
        for count in shots:
            mine = np.array(auc[f"{name} K={count}"]["auc"])
            if name == "whole" or name.endswith("alone"):
                cells.append(f"{mine.mean():.3f}")
                continue
            gain = np.array(auc[f"whole K={count}"]["auc"]) - mine
            draws = gain[generator.integers(0, len(gain), (4000, len(gain)))].mean(1)
            low, high = np.quantile(draws, [0.025, 0.975])
            cells.append(f"{gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
        print(f"| {name} | " + " | ".join(cells) + " |")


def _print_kinds(kinds: Mapping[str, Mapping[str, list[float]]]) -> None:
    every = sorted({kind for each in kinds.values() for kind in each})
    rows = ["position", "motion", *(name for name in kinds if name.startswith("whole "))]
    print("\n| kind | cameras | " + " | ".join(rows) + " |")
    print("|:--|--:|" + "--:|" * len(rows))
    for kind in every:
        values = [f"{np.mean(kinds[name][kind]):.2f}" for name in rows]
        print(f"| {kind} | {len(kinds['motion'][kind])} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
