"""What each expert is worth on the same frames, alone and beside another one, and what it costs.

    metavad meta-train --scenes train/suite.toml --config default --set 'experts=[...]' --out runs/all
    python benchmarks/experts.py --base runs/all/base --targets held/suite.toml,ped2,umn --json FILE

One base holds all experts (their parameters are disjoint, so each is what it would be alone but for the norm at which
meta-gradients are clipped). Every expert's surprises are computed once for each camera, K and draw; a row takes one
expert, or two, as a detector of those alone would: above their levels, with their voices. Cost is measured expert by
expert, one thread: features and scores of the first test video of each target, and adapting with K = 10, nothing
cached.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from cameras import Seen, auc_of, maps_of, on_frames, seen_of

from metavad.adaptation.adapt import Normality, adapt, leaks_of, levels_of
from metavad.calibration.accumulation import strongest
from metavad.calibration.fusion import fuse
from metavad.config import Config
from metavad.episodes import draw_shots
from metavad.experts.set import ExpertSet
from metavad.features.library import Library, stream
from metavad.files import write_text
from metavad.meta.base import Base, load_base
from metavad.scenes.store import Store
from metavad.scenes.suite import Scene, select_scenes
from metavad.scenes.video import read_frames
from metavad.training import describe_machine
from metavad.types import FloatArray


def main() -> None:
    """Score, print the tables, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shots", default="0,1,10")
    parser.add_argument("--pairs-at", type=int, default=10)
    parser.add_argument("--without-cost", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    base, shots = load_base(given.base), [int(count) for count in given.shots.split(",")]
    auc: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    scenes = [scene for name in given.targets.split(",") for scene in select_scenes(name, given.data, role="meta-test")]
    for scene in scenes:
        _camera(base, scene, shots, given.pairs_at, auc)
        print(".", end="", flush=True)
    print()
    record = {
        "base": base.digest,
        **describe_machine("cpu"),
        "scenes": [scene.key for scene in scenes],
        "auc": {suite: dict(each) for suite, each in auc.items()},
        "cost": {} if given.without_cost else {name: _cost(base, name, scenes[0]) for name in base.weights},
    }
    _print_alone(record, shots)
    _print_pairs(record, list(base.weights), given.pairs_at)
    if given.json:
        write_text(given.json, json.dumps(record, indent=1) + "\n")


def _camera(base: Base, scene: Scene, shots: Sequence[int], pairs_at: int, auc: dict) -> None:
    library = Library([scene], base.config, base.experts.reads, Store())
    seen = seen_of(library, scene)
    for count in shots:
        clips = draw_shots(library.reels(scene.key), count, base.config.data.clip_frames, 0).clips if count else ()
        model = adapt(base, library.sample(clips) if clips else library.nothing(scene.key))
        names = list(base.weights)
        asked = [(name,) for name in names] + (list(combinations(names, 2)) if count == pairs_at else [])
        for used, scores in _scores(model, library, seen, asked).items():
            auc[scene.suite][f"{'+'.join(used)} K={count}"].append(auc_of(scores, seen))


def _scores(
    model: Normality, library: Library, seen: Sequence[Seen], asked: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], list[FloatArray]]:
    """Frame scores of every test video by each group of experts."""
    experts, config = dict(model.method.experts.each()), model.method.config
    levels = levels_of(model.method, model.evidence, model.loudness)
    found: dict[tuple[str, ...], list[FloatArray]] = defaultdict(list)
    for video in seen:
        maps, _ = maps_of(model, library, video.track)
        part = library.part(video.track, 0, len(video.track))
        known = {name: expert.known(part)[0] for name, expert in experts.items()}
        for used in asked:
            chosen = ExpertSet([experts[name] for name in used])
            voices = {name: torch.tensor(experts[name].voice) for name in used}
            fused = fuse({name: maps[name] for name in used}, voices, levels, leaks_of(chosen))
            both = torch.stack([known[name] for name in used]).all(0)
            found[used].append(on_frames(strongest(fused, config.scoring.top), both, video, config.scoring))
    return found


def _cost(base: Base, name: str, scene: Scene) -> dict[str, float]:
    """Of one expert by itself: parameters, seconds to adapt with K = 10, frames of the file a second."""
    alone = _only(base, name)
    library = Library([scene], alone.config, alone.experts.reads, Store(), whole=False)
    begun = time.perf_counter()
    model = adapt(alone, library.sample(draw_shots(library.reels(scene.key), 10, 16, 0).clips))
    adapted = time.perf_counter() - begun
    video, facts = scene.test[0], library.facts(scene.key, "test", scene.test[0].name)
    track = library.track(scene.key, "test", video.name)
    reading = library._reading(scene.key, "test", video.name, track.frames)
    begun = time.perf_counter()
    size = alone.config.data.short_side
    frames = [each.image for each in read_frames(video, short_side=size, crop=scene.crop, every=track.frames)]
    for feature in library.features.values():
        list(stream(feature.of(reading), frames, track.seconds))
    maps_of(model, library, track)
    scored = time.perf_counter() - begun
    count = sum(tensor.numel() for key, tensor in alone.params.items())
    return {"parameters": count, "adapt_seconds": round(adapted, 2), "fps": round(facts.frames / scored, 1)}


def _only(base: Base, name: str) -> Base:
    """The base of one expert of several."""

    def mine(tensors: Mapping) -> dict:
        return {key: each for key, each in tensors.items() if key.startswith(f"{name}.")}

    tails = {key: base.tails[key] for key in (name, f"frame:{name}", "frame")}
    config = Config.model_validate({**base.config.model_dump(), "experts": (name,)})
    weights = {name: base.weights[name]}
    return replace(
        base,
        config=config,
        params=mine(base.params),
        step_sizes=mine(base.step_sizes),
        tails=tails,
        weights=weights,
        control=replace(base.control, params=mine(base.control.params), step_sizes=mine(base.control.step_sizes)),
    )


def _print_alone(record: Mapping, shots: Sequence[int]) -> None:
    suites = list(record["auc"])
    heads = [f"{suite}, K = {count}" for suite in suites for count in shots]
    print("| expert | " + " | ".join(heads) + " | parameters | adapting, s | frames/s |")
    print("|:--|" + "--:|" * (len(heads) + 3))
    names = [key.removesuffix(f" K={shots[0]}") for key in record["auc"][suites[0]] if key.endswith(f" K={shots[0]}")]
    for name in names:
        cells = [
            f"{100 * np.mean(record['auc'][suite][f'{name} K={count}']):.1f}" for suite in suites for count in shots
        ]
        cost = record["cost"].get(name, {})
        cells += [f"{cost.get(key, '')}" for key in ("parameters", "adapt_seconds", "fps")]
        print(f"| `{name}` | " + " | ".join(cells) + " |")


def _print_pairs(record: Mapping, names: Sequence[str], shots: int) -> None:
    for suite, auc in record["auc"].items():
        print(f"\n{suite}, K = {shots}: alone on the diagonal\n")
        print("| | " + " | ".join(f"`{name}`" for name in names) + " |")
        print("|:--|" + "--:|" * len(names))
        for row, one in enumerate(names):
            pairs = [one, *(f"{one}+{other}" for other in names[row + 1 :])]
            cells = [""] * row + [f"{100 * np.mean(auc[f'{pair} K={shots}']):.1f}" for pair in pairs]
            print(f"| `{one}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
