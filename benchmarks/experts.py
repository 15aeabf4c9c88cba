"""What each expert is worth on the same frames, alone and beside another one, and what it costs.

    metavad meta-train --scenes train/suite.toml --config default --set 'experts=[...]' --out runs/all
    python benchmarks/experts.py --base runs/all/base --targets held/suite.toml,ped2,umn --json FILE

One base holds all experts (their parameters are disjoint, so each is what it would be alone but for the norm at which
meta-gradients are clipped); several bases with the same settings, with commas between them, count as one, and of an
expert that two of them have, the later one's is taken. Experts of poses have no row where a camera has no poses. Every
expert is adapted and scores by itself, in the lead and so never silent unless it knows nothing without shots; a pair is
fused as a detector of these two would be, above their levels, with their voices, at a number of shots from which both
would speak. Cost is measured expert by expert, one thread: features and scores of the first test video of the first
target, and adapting with K = 10, nothing cached.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from cameras import Seen, auc_of, maps_of, on_frames, seen_of

from metavad.adaptation.adapt import Normality, adapt, said
from metavad.calibration.accumulation import strongest
from metavad.calibration.fusion import fuse
from metavad.episodes import draw_shots
from metavad.errors import VideoError
from metavad.features.library import Library, stream
from metavad.files import write_text
from metavad.meta.base import Base, load_base
from metavad.scenes.cache import Store
from metavad.scenes.keypoints import keypoints_file
from metavad.scenes.scene import Scene
from metavad.scenes.suite import select_scenes
from metavad.scenes.video import read_frames
from metavad.training import describe_machine
from metavad.types import FloatArray


def main() -> None:
    """Score, print the tables, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shots", default="0,1,10")
    parser.add_argument("--pairs-at", type=int, default=10)
    parser.add_argument("--only", default="", help="some of the experts, with commas between them")
    parser.add_argument("--cameras", type=int, default=0, help="so many cameras of each target; 0: all")
    parser.add_argument("--without-cost", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    bases, shots = [load_base(Path(path)) for path in given.base.split(",")], [int(k) for k in given.shots.split(",")]
    base = reduce(joined, bases)
    base = base.only(given.only.split(",")) if given.only else base
    auc: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    scenes = chosen(given.targets, given.data, "meta-test", given.cameras)
    for scene in scenes:
        camera(base, scene, shots, given.pairs_at, auc)
        print(".", end="", flush=True)
    print()
    record = {
        "bases": [each.digest for each in bases],
        **describe_machine("cpu"),
        "scenes": [scene.key for scene in scenes],
        "auc": {suite: dict(each) for suite, each in auc.items()},
        "cost": {} if given.without_cost else {name: cost(base, name, scenes[0]) for name in base.weights},
    }
    print_rows(record["auc"], record["cost"], sorted(base.weights), shots)
    _print_pairs(record, sorted(base.weights), given.pairs_at)
    if given.json:
        write_text(given.json, json.dumps(record, indent=1) + "\n")


def chosen(names: str, data: Path | None, role: Literal["meta-train", "meta-test"], count: int) -> list[Scene]:
    """Cameras of suites, the first ``count`` of each where it is not 0."""
    suites = [list(select_scenes(name, data, role=role)) for name in names.split(",")]
    return [scene for suite in suites for scene in suite[: count or None]]


def joined(one: Base, other: Base) -> Base:
    """The base of both bases' experts, of one that both have the other's: their tensors are disjoint."""
    one = one.only([name for name in one.config.experts if name not in other.config.experts])
    names = (*one.config.experts, *other.config.experts)
    config = one.config.model_copy(update={"experts": names})
    if other.config.model_copy(update={"experts": names}) != config:
        raise SystemExit("--base: expected bases with the same settings, found others")
    mine, theirs = one.control, other.control
    control = replace(
        mine, params={**mine.params, **theirs.params}, step_sizes={**mine.step_sizes, **theirs.step_sizes}
    )
    return replace(
        one,
        config=config,
        params={**one.params, **other.params},
        step_sizes={**one.step_sizes, **other.step_sizes},
        tails={**one.tails, **other.tails},
        weights={**one.weights, **other.weights},
        control=control,
    )


def readable(base: Base, scene: Scene) -> Base | None:
    """The base of the experts that can read this camera: those of poses need poses; none where none is left."""
    try:
        keypoints_file(scene.test[0])
        return base
    except VideoError:
        looks = bool(base.config.pose.network)
        names = [name for name, expert in base.experts.each() if looks or "poses" not in expert.reads]
    return base.only(names) if names else None


def camera(whole: Base, scene: Scene, shots: Sequence[int], pairs_at: int, auc: dict) -> None:
    """AUC on one camera of every expert alone, and at one number of shots of every pair, into ``auc`` by suite."""
    base = readable(whole, scene)
    if base is None:
        return
    library = Library([scene], base.config, base.experts.reads, Store())
    seen = seen_of(library, scene)
    for count in shots:
        clips = draw_shots(library.reels(scene.key), count, base.config.data.clip_frames, 0).clips if count else ()
        sample = library.sample(clips) if clips else library.nothing(scene.key)
        models = {name: adapt(base.only([name]), sample) for name in sorted(base.weights)}
        asked = [(name,) for name in models] + (list(combinations(models, 2)) if count == pairs_at else [])
        for used, scores in _scores(models, library, seen, asked).items():
            auc[scene.suite][f"{'+'.join(used)} K={count}"].append(auc_of(scores, seen))


def _scores(
    models: Mapping[str, Normality], library: Library, seen: Sequence[Seen], asked: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], list[FloatArray]]:
    """Frame scores of every test video by each group of experts; ``models`` hold one expert each."""
    found: dict[tuple[str, ...], list[FloatArray]] = defaultdict(list)
    for video in seen:
        alone = {name: maps_of(model, library, video.track) for name, model in models.items()}
        for used in asked:
            heard = {name: said(models[name], {name: alone[name][0][name]})[name] for name in used}
            fused = fuse(heard, dict.fromkeys(used, 1.0))
            known = torch.stack([alone[name][1] for name in used]).all(0)
            scoring = models[used[0]].method.config.scoring
            found[used].append(on_frames(strongest(fused, scoring.top), known, video, scoring))
    return found


def cost(base: Base, name: str, scene: Scene) -> dict[str, float]:
    """Of one expert by itself: parameters, seconds to adapt with K = 10, frames of the file a second."""
    alone = base.only([name])
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


def print_rows(auc: Mapping, costs: Mapping, names: Sequence[str], shots: Sequence[int]) -> None:
    """A row for each name: AUC in per cent by suite and K, a dash where a suite has nothing that it reads; cost."""
    heads = [f"{suite}, K = {count}" for suite in auc for count in shots]
    print("| expert | " + " | ".join(heads) + " | parameters | adapting, s | frames/s |")
    print("|:--|" + "--:|" * (len(heads) + 3))
    for name in names:
        cells = [_percent(auc[suite].get(f"{name} K={count}")) for suite in auc for count in shots]
        spent = costs.get(name, {})
        cells += [f"{spent.get(key, '')}" for key in ("parameters", "adapt_seconds", "fps")]
        print(f"| `{name}` | " + " | ".join(cells) + " |")


def _percent(values: Sequence[float] | None) -> str:
    return "–" if values is None else f"{100 * np.mean(values):.1f}"


def _print_pairs(record: Mapping, names: Sequence[str], shots: int) -> None:
    for suite, auc in record["auc"].items():
        print(f"\n{suite}, K = {shots}: alone on the diagonal\n")
        print("| | " + " | ".join(f"`{name}`" for name in names) + " |")
        print("|:--|" + "--:|" * len(names))
        for row, one in enumerate(names):
            pairs = [one, *(f"{one}+{other}" for other in names[row + 1 :])]
            cells = [""] * row + [_percent(auc.get(f"{pair} K={shots}")) for pair in pairs]
            print(f"| `{one}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
