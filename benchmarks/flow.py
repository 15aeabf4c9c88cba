"""Flow: methods against true flow, and taking the camera's motion out.

    python benchmarks/flow.py --cameras 14 --json benchmarks/flow.json

True flow is that of the generated cameras' own geometry: every limb's outline at two times gives the motion of the
pixels inside. Time is CPU time of one thread, so that a busy machine does not count.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from record import begin, options, record_of, write

from metavad.features.flow import FlowMethod, flow_method, steadied
from metavad.features.flow.methods import raft_of
from metavad.features.flow.steadying import applied
from metavad.synthetic import CameraSpec, build_world, plan_videos, render, sample_camera
from metavad.synthetic.actors import Shapes, shapes
from metavad.synthetic.events import perform
from metavad.types import BoolArray, ByteArray, FloatArray

SHORT, SEED, SPANS = 240, 77, (0.1, 0.2)
SHAKEN = (0.004, 0.008, 3.0, -2.0)
"""Zoom, turn (per pixel) and shift (pixels) that stand in for a shaking camera."""


@dataclass(frozen=True)
class Pair:
    """Two grey pictures, the true displacement of the first's pixels, and which of them are to be seen in both."""

    before: ByteArray
    after: ByteArray
    flow: FloatArray
    seen: BoolArray


# ---------------------------------------------------------------- true flow


def pairs(cameras: int) -> Iterator[Pair]:
    """Two moments of a video of each generated camera that does not shake, at both spans."""
    found = 0
    for index in range(10 * cameras):
        spec = sample_camera(SEED, index, "small")
        if spec.look.shake or spec.look.clock:
            continue
        yield from _pairs_of(spec)
        found += 1
        if found == cameras:
            return


def _pairs_of(spec: CameraSpec) -> Iterator[Pair]:
    world = build_world(spec)
    plan = plan_videos(spec, 1, 1, 4.0, 4.0)[0][0]
    images = [cv2.cvtColor(each.image, cv2.COLOR_RGB2GRAY) for each in render(spec, plan, world)]
    cast = [(actor, shapes(actor, spec.lens, spec.look.sun)) for actor in perform(spec, plan)]
    for start in (1.5, 3.0):
        for span in SPANS:
            first, last = round(start * spec.fps), round((start + span) * spec.fps)
            flow, owner = _drawn(spec, world.patches, cast, first, last)
            _, later = _drawn(spec, world.patches, cast, last, last)
            yield _worked(Pair(images[first], images[last], flow, _seen(flow, owner, later)))


def _drawn(spec: CameraSpec, patches: Iterable, cast: list, first: int, last: int) -> tuple[FloatArray, FloatArray]:
    """Displacement from one frame to another (H, W, 2), and whose pixel it is (H, W)."""
    size = spec.lens.height, spec.lens.width
    flow, owner = np.zeros((*size, 2)), np.zeros(size, np.int32)
    present = [(number, *each) for number, each in enumerate(cast) if each[0].first <= min(first, last) < each[0].last]
    present = [each for each in present if each[1].first <= max(first, last) < each[1].last]
    present.sort(key=lambda each: -each[2].away[first - each[1].first])
    waiting = list(patches)
    for number, actor, made in present:
        depth = made.away[first - actor.first]
        while waiting and waiting[0].y >= depth:
            _covered(flow, owner, waiting.pop(0))
        _fill(flow, owner, made, first - actor.first, last - actor.first, number + 1)
    for patch in waiting:
        _covered(flow, owner, patch)
    return flow, owner


def _fill(flow: FloatArray, owner: FloatArray, made: Shapes, first: int, last: int, number: int) -> None:
    """Each limb's pixels move as the affine map that takes its outline from one time to the other."""
    for part in made.order[first]:
        if made.visible[first, part] and made.visible[last, part]:
            start, end = made.polygons[first, part], made.polygons[last, part]
            mask = np.zeros(owner.shape, np.uint8)
            cv2.fillConvexPoly(mask, np.round(np.clip(start, -4000, 4000) * 16).astype(np.int32), 1, cv2.LINE_8, 4)
            down, across = np.nonzero(mask)
            if len(down):
                matrix = np.linalg.lstsq(np.c_[start, np.ones(len(start))], end - start, rcond=None)[0]
                flow[down, across] = np.c_[across, down, np.ones(len(down))] @ matrix
                owner[down, across] = number


def _covered(flow: FloatArray, owner: FloatArray, patch: object) -> None:
    height, width = patch.solid.shape
    part = np.s_[patch.top : patch.top + height, patch.left : patch.left + width]
    flow[part][patch.solid > 0] = 0
    owner[part][patch.solid > 0] = 0


def _seen(flow: FloatArray, owner: FloatArray, later: FloatArray) -> BoolArray:
    """Whether the pixel is still its owner's where it went to."""
    height, width = owner.shape
    down, across = np.mgrid[0:height, 0:width]
    there = np.round(across + flow[..., 0]).astype(int), np.round(down + flow[..., 1]).astype(int)
    inside = (there[0] >= 0) & (there[0] < width) & (there[1] >= 0) & (there[1] < height)
    at = later[there[1].clip(0, height - 1), there[0].clip(0, width - 1)]
    return inside & (at == owner)


def _worked(pair: Pair) -> Pair:
    """At the working size."""
    height, width = pair.before.shape
    scale = SHORT / min(height, width)
    size = round(width * scale), round(height * scale)
    before, after = (cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in (pair.before, pair.after))
    flow = cv2.resize(pair.flow.astype(np.float32), size, interpolation=cv2.INTER_NEAREST) * scale
    seen = cv2.resize(pair.seen.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return Pair(before, after, flow, seen)


# ---------------------------------------------------------------- methods


def measured(found: list[Pair]) -> tuple[dict, dict]:
    """End-point error by method and what is left of a shaking camera; how many pairs, and how much of them moves."""
    choices: dict[str, FlowMethod | None] = {name: flow_method(name) for name in ("dis", "dis-fast", "farneback")}
    rows = [_row("none (zero)", lambda before, after: np.zeros((*before.shape, 2), np.float32), found)]
    rows += [_row(name, method, found) for name, method in choices.items()]
    rows.append({"method": "raft-small", "ms": _row("raft-small", raft_of(None), found[:3])["ms"]})
    moving = [float((np.linalg.norm(pair.flow, axis=-1) > 0.5).mean()) for pair in found]
    facts = {"pairs": len(found), "moving_share": round(float(np.mean(moving)), 4)}
    return {"methods": rows, "steadying": _steadying(found)}, facts


def _row(name: str, method: FlowMethod, found: list[Pair]) -> dict:
    errors: dict[str, list[float]] = {"moving": [], "still": []}
    method(found[0].before, found[0].after)
    started = time.process_time()
    flows = [method(pair.before, pair.after) for pair in found]
    spent = time.process_time() - started
    for pair, flow in zip(found, flows, strict=True):
        for kind, error in _errors(pair, flow).items():
            errors[kind].append(error)
    means = {kind: round(float(np.nanmean(each)), 3) for kind, each in errors.items()}
    return {"method": name, "ms": round(1000 * spent / len(found), 1), **means}


def _errors(pair: Pair, flow: FloatArray) -> dict[str, float]:
    """Mean end-point error in pixels of the working picture, where something moves and where nothing does."""
    error = np.linalg.norm(flow - pair.flow, axis=-1)
    moving = np.linalg.norm(pair.flow, axis=-1) > 0.5
    masks = {"moving": moving & pair.seen, "still": ~moving & pair.seen}
    return {kind: float(error[mask].mean()) if mask.any() else np.nan for kind, mask in masks.items()}


def _steadying(found: list[Pair]) -> list[dict]:
    """The second picture is moved as by a shaking camera; the error of what is left is that of the things' motion."""
    rows, dis = [], flow_method()
    flows = [dis(pair.before, _shaken(pair.after)) for pair in found]
    for how in ("off", "mean", "robust"):
        started = time.process_time()
        left = [steadied(flow, how) for flow in flows]
        spent = time.process_time() - started
        errors = [_errors(pair, flow) for pair, flow in zip(found, left, strict=True)]
        means = {kind: round(float(np.nanmean([each[kind] for each in errors])), 3) for kind in ("moving", "still")}
        rows.append({"steady": how, "ms": round(1000 * spent / len(found), 2), **means})
    return rows


def _shaken(picture: ByteArray) -> ByteArray:
    """Every pixel goes where the camera's similarity takes it."""
    height, width = picture.shape
    a, b, right, down = SHAKEN
    x, y = (width - 1) / 2, (height - 1) / 2
    turn = np.array([[1 + a, -b, right - a * x + b * y], [b, 1 + a, down - b * x - a * y]])
    corner = applied(np.array(SHAKEN), height, width)[0, 0]
    assert np.allclose(turn @ [0, 0, 1], corner)
    return cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--cameras", type=int, default=14)
    return parser


def main() -> None:
    """Measure, print, write the record."""
    given = begin(arguments())
    rows, facts = measured(list(pairs(given.cameras)))
    print(json.dumps(rows, indent=1))
    write(given.json, record_of(rows, base=None, seed=SEED, cameras=given.cameras, **facts))


if __name__ == "__main__":
    main()
