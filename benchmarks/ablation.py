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
from cameras import Maps, Seen, auc_of, maps_of, on_frames, seen_of
from record import begin, options, record_of, write
from torch import Tensor

from metavad.episodes import draw_shots
from metavad.evaluation import micro_auc
from metavad.features.library import Library
from metavad.normality.accumulation import strongest
from metavad.normality.base import Base, load_base
from metavad.normality.calibration import compress, fuse, weight_at
from metavad.normality.distribution import Strengths, place_tail
from metavad.normality.fit import Normality, adapt, leading, said, speaks
from metavad.normality.population import first_weights
from metavad.scenes.cache import Store
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite
from metavad.scoring.baselines import motion, position
from metavad.scoring.stream import hold
from metavad.types import FloatArray

Scorer = Callable[[Maps], Tensor]
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
    for scene in [scene for name in given.suite for scene in load_suite(name).scenes]:
        _camera(base, scene, shots, given.draws, found, kinds)
        print(".", end="", flush=True)
    print()
    rows = {"auc": found, "kinds": kinds}
    _print_gains(found)
    _print_kinds(kinds)
    write(given.json, record_of(rows, base=base.digest, suites=given.suite, draws=given.draws))


def _camera(base: Base, scene: Scene, shots: list[int], draws: int, found: dict, kinds: dict) -> None:
    library = Library([scene], base.config, base.experts.reads, Store())
    seen = seen_of(library, scene)
    plain = {
        "motion": [hold(each.track.frames, motion(each.track.rows["flow"]), len(each.labels)) for each in seen],
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
    model = adapt(base, library.sample(clips) if clips else library.nothing(scene.key))
    anywhere = _without_place(model)
    scores: dict[str, list[FloatArray]] = defaultdict(list)
    for video in seen:
        maps, known = maps_of(model, library, video.track)
        placeless, _ = maps_of(anywhere, library, video.track)
        for name, scorer in _variants(model).items():
            used = placeless if name == "without place" else maps
            ahead = 0.0 if name == "strictly causal" else None
            scores[name].append(on_frames(scorer(used), known, video, base.config.scoring, ahead=ahead))
    return scores


def _variants(model: Normality) -> dict[str, Scorer]:
    method, top = model.method, model.method.config.scoring.top
    names = [name for name, _ in method.experts.each() if speaks(method, name, model.evidence)]
    weights = {name: weight_at(method.weights[name], model.evidence) for name in names}
    one, leads = dict.fromkeys(names, 1.0), leading(method.experts)
    plain = replace(model, loudness={})

    def scorer(used: list[str], weights: Mapping = weights, hear: Callable = partial(said, model)) -> Scorer:
        return lambda maps: (
            strongest(fuse(hear({name: maps[name] for name in used}), weights), top)
            if used
            else torch.zeros(len(next(iter(maps.values()))))
        )

    variants = {"whole": scorer(names), "strictly causal": scorer(names), "without place": scorer(names)}
    for name, _ in method.experts.each():
        variants[f"without {name}"] = scorer([other for other in names if other != name])
        variants[f"{name} alone"] = scorer([each for each in names if each == name], one)
    variants["only what leads"] = scorer([name for name in names if name in leads])
    variants["as loud as it is elsewhere"] = scorer(names, hear=partial(said, plain))
    variants["nats as they are"] = scorer(
        names, hear=lambda maps: {name: compress(each) for name, each in maps.items()}
    )
    start = first_weights(method.experts)
    variants["weights not learned"] = scorer(names, {name: weight_at(start[name], model.evidence) for name in names})
    variants["weights of one"] = scorer(names, one)
    return variants


def _without_place(model: Normality) -> Normality:
    """The same detector with the base's tail at every place."""
    grid = next(iter(model.places.values())).log_tail.shape[-2:]
    tail = place_tail(torch.zeros(0, 1, *grid), torch.zeros(0, 1, dtype=torch.bool), Strengths(1.0, 1.0, 0.1, 0.1))
    return replace(model, places=dict.fromkeys(model.places, tail))


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
