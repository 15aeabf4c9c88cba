"""The contract of experts, for tests of this package and of others; pytest is not needed.

>>> from metavad.experts.direction import Direction
>>> check_expert(Direction.build(small_config()))  # doctest: +SKIP
"""

import json
import math
import tempfile
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from metavad.bundle import Kind, check_tensors
from metavad.config import Config
from metavad.episodes import Episode
from metavad.errors import BundleError, UsageError
from metavad.experts.base import Expert, Memory, Parameters, call
from metavad.experts.set import ExpertSet, under
from metavad.features.feature import Feature, Reading, grid_of
from metavad.features.library import blank_sample, features_of, sample_of
from metavad.features.sample import Sample, join
from metavad.meta.engines.batched import batched_engine
from metavad.meta.engines.loop import loop_engine
from metavad.meta.inner import adapting, inner_loop
from metavad.meta.outer import Task, initialise, plan_at
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import VideoFacts
from metavad.types import ByteArray, FloatArray

__all__ = [
    "CHECKS",
    "JOINTS",
    "check_expert",
    "moving_pictures",
    "reading_of",
    "small_config",
    "walker",
    "write_people",
]

SMALL: dict[str, dict[str, Any]] = {
    "data": {"rows": 6},
    "prediction": {"short_side": 12, "channels": 4},
    "patches": {"short_side": 48, "cells": 16},
}
HEIGHT, WIDTH, TICKS = 48, 64, 7
"""Of the clips that an expert is checked with; they have ten ticks a second."""
JOINTS = 17
"""Points of each person."""


def small_config(**sections: Any) -> Config:
    """Settings under which experts are small: a grid of 6 by 8 over frames of 12 by 16.

    >>> small_config(experts=["direction"], data={"rate": 5.0}).data.rows
    6

    Args:
        sections: settings on top, by their section.

    Raises:
        ValueError: a setting that is unknown or out of range, from pydantic.
    """
    tables = {key: SMALL.get(key, {}) | value for key, value in sections.items() if isinstance(value, dict)}
    return Config.model_validate(SMALL | sections | tables)


def check_expert(expert: Expert, config: Config | None = None, *, without: Collection[str] = ()) -> None:
    """Hold an expert to the contract, each of :data:`CHECKS`; it is not changed.

    Args:
        expert: as its ``build`` gives it.
        config: what it was built with, else :func:`small_config`. Keep it small: the checks take seconds on a grid of
            6 by 8.
        without: names of checks that are left out.

    Raises:
        AssertionError: the contract is broken; with what was expected and what was found.
        UsageError: what is given is no expert, such as its class, or ``without`` names no check.
    """
    if not isinstance(expert, Expert):
        found = f"the class {expert.__name__}" if isinstance(expert, type) else f"a {type(expert).__name__}"
        raise UsageError(f"check_expert: expected an expert, found {found}; give what its build(small_config()) makes")
    if unknown := set(without) - set(CHECKS):
        raise UsageError(f"without: expected some of {', '.join(CHECKS)}, found {sorted(unknown)}")
    for name, check in CHECKS.items():
        if name not in without:
            check(deepcopy(expert), config or small_config())


def moving_pictures(config: Config, reads: Sequence[str], clips: int, seed: int = 0, ticks: int = TICKS) -> Sample:
    """Clips of bright squares that move over noise, through the real features; two people walk where poses count.

    Args:
        config: settings of the features.
        reads: names of the features: an expert's ``reads``.
        clips: B.
        seed: of the noise and of where squares begin.
        ticks: T; ten ticks are a second.

    Returns:
        B clips of T ticks, of pictures of 48 by 64 pixels.
    """
    return _pictures(json.dumps(config.model_dump(mode="json"), sort_keys=True), tuple(reads), clips, seed, ticks)


@lru_cache(maxsize=64)
def _pictures(config: str, reads: tuple[str, ...], clips: int, seed: int, ticks: int) -> Sample:
    features = features_of(Config.model_validate_json(config), reads)
    generator = torch.Generator().manual_seed(seed)
    seconds = np.arange(ticks) / 10.0
    samples = []
    for clip in range(clips):
        frames = _frames(generator, ticks)
        rows = {}
        for key, feature in features.items():
            stream = _started(feature, seed + clip, ticks)
            rows[key] = np.stack([stream(frame, time) for frame, time in zip(frames, seconds, strict=True)])
        samples.append(sample_of(features, rows, seconds, seconds))
    return join(samples)


def _frames(generator: torch.Generator, ticks: int) -> list[ByteArray]:
    """A square of 12 pixels that moves right by 2 pixels a tick, from anywhere."""
    noise = torch.rand(HEIGHT, WIDTH, generator=generator) * 60 + 60
    down, across = torch.randint(0, 30, (2,), generator=generator).tolist()
    frames = []
    for tick in range(ticks):
        picture = noise.clone()
        picture[down : down + 12, across + 2 * tick : across + 2 * tick + 12] += 100
        frames.append(picture.to(torch.uint8).numpy())
    return frames


def _started(feature: Feature, seed: int, ticks: int) -> Callable[[ByteArray, float], ByteArray]:
    """A stream of the feature, of a video in which two people walk."""
    with tempfile.TemporaryDirectory() as folder:
        people = [walker(ticks, speed=15 + 5 * seed, beat=1.5), walker(ticks, start=(40, 20), speed=-10, swing=0.3)]
        return feature.of(reading_of(write_people(Path(folder) / "people.npz", people), ticks)).start()


def walker(
    frames: int,
    *,
    fps: float = 10.0,
    start: tuple[float, float] = (20.0, 30.0),
    speed: float = 20.0,
    height: float = 24.0,
    swing: float = 0.15,
    beat: float = 2.0,
) -> FloatArray:
    """Points in pixels of somebody who walks right, limbs swinging.

    Args:
        frames: T.
        fps: frames a second.
        start: x and y at the beginning, in pixels.
        speed: pixels/second.
        height: of the person, in pixels.
        swing: of the limbs, in heights of the person.
        beat: steps a second.

    Returns:
        (T, 17, 2): x and y of each joint.
    """
    seconds = np.arange(frames) / fps
    level = np.linspace(-0.5, 0.5, JOINTS)
    side = np.where(np.arange(JOINTS) % 2, 1.0, -1.0)
    lift = swing * np.sin(2 * np.pi * beat * seconds)[:, None] * side * np.maximum(level, 0)
    x = start[0] + speed * seconds[:, None] + height * (0.1 * side + lift)
    y = start[1] + height * np.broadcast_to(level, x.shape)
    return np.stack([x, y], axis=-1)


def write_people(path: Path, people: Sequence[FloatArray]) -> Path:
    """Write a file of poses as generated cameras have it beside a video: everybody in every frame.

    Args:
        path: of the ``.npz`` file.
        people: of each person the points (T, 17, 2) in pixels.

    Returns:
        ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(people[0])
    np.savez(
        path,
        frames=np.tile(np.arange(count, dtype=np.int32), len(people)),
        tracks=np.repeat(np.arange(len(people), dtype=np.int32), count),
        points=np.concatenate(people).astype(np.float32),
        names=np.array(["joint"] * JOINTS),
    )
    return path


def reading_of(
    path: Path,
    frames: int,
    *,
    fps: float = 10.0,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    crop: Crop = Crop(),
    every: int = 1,
) -> Reading:
    """What a stream of a feature gets to know of a video.

    Args:
        path: of its file of poses.
        frames: T.
        fps: frames a second.
        size: H and W of the pictures after cropping.
        crop: what is cut off.
        every: every which frame is a tick.
    """
    facts = VideoFacts(frames, *size, np.arange(frames) / fps, fps)
    return Reading(Video("walk", path.with_suffix(".mp4"), None, path), facts, crop, np.arange(0, frames, every))


def _hold(holds: bool | Tensor, message: str) -> None:
    if not bool(holds):
        raise AssertionError(message)


def _close(found: Tensor, wanted: Tensor, message: str, *, relative: float = 1e-4, absolute: float = 1e-4) -> None:
    torch.testing.assert_close(found, wanted, rtol=relative, atol=absolute, msg=lambda text: f"{message}\n{text}")


def _clips(expert: Expert, config: Config, clips: int, seed: int = 0, ticks: int = TICKS) -> Sample:
    return moving_pictures(config, expert.reads, clips, seed, ticks)


def _loss(expert: Expert, params: Parameters, sample: Sample) -> Tensor:
    loss: Tensor = call(expert, params, "loss", sample, call(expert, params, "condition", sample))
    return loss


def _params(expert: Expert, dtype: torch.dtype = torch.float32) -> Parameters:
    return {key: tensor.detach().to(dtype).requires_grad_() for key, tensor in expert.named_parameters()}


def check_maps(expert: Expert, config: Config) -> None:
    """Scores are finite maps on the config's grid; a tick of which nothing is known scores the floor."""
    sample = _clips(expert, config, 3)
    maps = expert.score(sample, expert.condition(sample))
    wanted = (3, TICKS, *grid_of(HEIGHT, WIDTH, config.data.rows))
    _hold(maps.shape == wanted, f"score: expected a map of shape {wanted}, found {tuple(maps.shape)}")
    _hold(torch.isfinite(maps).all(), "score: expected finite scores, found NaN or infinity")
    unknown = maps[~expert.known(sample)]
    _hold((unknown == expert.floor).all(), f"score: expected the floor, {expert.floor}, at ticks that are not known")


def check_empty_support(expert: Expert, config: Config) -> None:
    """No clips are a support too: scores and the loss are finite."""
    sample = _clips(expert, config, 1)
    memory = expert.condition(sample.select([]))
    _hold(torch.isfinite(expert.score(sample, memory)).all(), "score: expected finite scores without any clip shown")
    _hold(torch.isfinite(expert.loss(sample, memory)), "loss: expected a finite loss without any clip shown")


def check_gradients(expert: Expert, config: Config) -> None:
    """Gradients of loss and scores reach every parameter."""
    sample = _clips(expert, config, 2)
    memory = expert.condition(sample)
    torch.autograd.backward(expert.loss(sample, memory) + expert.score(sample, memory).mean())
    idle = [key for key, tensor in expert.named_parameters() if tensor.grad is None or not tensor.grad.any()]
    _hold(not idle, f"expected a gradient for every parameter, found none for {', '.join(idle)}")


def check_second_order(expert: Expert, config: Config) -> None:
    """d/dp of the query loss after one inner step, along a random direction, against differences in float64."""
    expert = expert.double()
    support, query = (_clips(expert, config, 1, seed).to("cpu", torch.float64) for seed in (1, 2))
    start = _params(expert, torch.float64)
    sizes = {key: torch.tensor(0.05, dtype=torch.float64) for key in start}

    def objective(params: Parameters) -> Tensor:
        adapted = inner_loop(lambda at, shown: _loss(expert, at, shown), params, sizes, support, steps=1, order=2)
        loss: Tensor = call(expert, adapted, "loss", query, call(expert, adapted, "condition", support))
        return loss

    generator = torch.Generator().manual_seed(3)
    way = {key: torch.randn(tensor.shape, generator=generator, dtype=torch.float64) for key, tensor in start.items()}
    gradient = torch.autograd.grad(objective(start), list(start.values()), allow_unused=True)
    slope = sum(
        (found * direction).sum().item()
        for found, direction in zip(gradient, way.values(), strict=True)
        if found is not None
    )
    step = 1e-6  # a larger one crosses a knot of a spline, where the gradient has a kink
    ends = []
    for sign in (1, -1):
        moved = {key: (tensor + sign * step * way[key]).detach().requires_grad_() for key, tensor in start.items()}
        ends.append(objective(moved).item())
    difference = (ends[0] - ends[1]) / (2 * step)
    _hold(
        math.isclose(slope, difference, rel_tol=1e-4, abs_tol=1e-6),
        f"loss: expected it to differentiate twice, found a slope of {slope} where differences give {difference}",
    )


def check_inner_steps(expert: Expert, config: Config) -> None:
    """Eight inner steps of size 0.002 lower the loss of what they are taken on."""
    sample, start = _clips(expert, config, 3), _params(expert)
    sizes = {key: torch.tensor(0.002) for key in start}
    adapted = inner_loop(lambda at, shown: _loss(expert, at, shown), start, sizes, sample, steps=8, order=1)
    before, after = (_loss(expert, params, sample).item() for params in (start, adapted))
    _hold(after < before, f"loss: expected inner steps to lower it, found {after} after {before}")


def check_head(expert: Expert, config: Config) -> None:
    """There is a head, not all of the parameters, and adapting it alone lowers the loss: what ANIL does by default."""
    expert, sample = expert.double(), _clips(expert, config, 3).to("cpu", torch.float64)
    experts = ExpertSet([expert])
    settings = Config().meta.model_copy(update={"algorithm": "anil", "step_size": 0.002})
    _hold(bool(expert.head), "head: expected patterns of the parameters that read the representation, found none")
    adapting(experts.adaptable, [f"{expert.name}.{pattern}" for pattern in expert.head])  # none is in vain
    start = initialise(experts, settings)
    _hold(0 < len(start.free) < len(experts.adaptable), "head: expected some of the adaptable parameters, found all")

    def loss(params: Parameters, shown: Sample) -> Tensor:
        return under(experts, params, lambda these, clips: these.loss(clips, these.condition(clips)), shown)

    adapted = inner_loop(loss, start.params, start.step_sizes, sample, steps=8, order=1)
    moved = {key for key in adapted if not torch.equal(adapted[key], start.params[key])}
    _hold(moved <= set(experts.heads), f"head: expected no other parameter to move, found {sorted(moved)}")
    _hold(loss(adapted, sample) < loss(start.params, sample), "head: expected adapting it to lower the loss")


def check_batch(expert: Expert, config: Config) -> None:
    """Clips one by one score as in a batch."""
    sample, memory = _clips(expert, config, 3), expert.condition(_clips(expert, config, 2, seed=5))
    alone = torch.cat([expert.score(sample.select([clip]), memory) for clip in range(3)])
    _close(alone, expert.score(sample, memory), "score: expected one by one the same as in a batch")


def check_causality(expert: Expert, config: Config) -> None:
    """No tick's score depends on a later tick."""
    sample, memory = _clips(expert, config, 1), expert.condition(_clips(expert, config, 2, seed=5))
    whole = expert.score(sample, memory)
    for stop in range(TICKS - 1, 5, -1):
        part = expert.score(sample.until(stop - 1), memory)
        _close(part, whole[:, :stop], f"score: expected no tick before {stop} to depend on a later one")


def check_history(expert: Expert, config: Config) -> None:
    """No score depends on more of the past than ``history``: chunks of a video give that much, and no more."""
    sample, memory = _clips(expert, config, 1, ticks=24), expert.condition(_clips(expert, config, 2, seed=5))
    whole, back = expert.score(sample, memory), round(expert.history * config.data.rate)
    for tick in range(back + 1, min(back + 4, 24)):
        part = expert.score(sample.since(tick - back), memory)
        _close(part[:, back:], whole[:, tick:], f"score: expected no more past to count than {expert.history} s")


def check_saving(expert: Expert, config: Config) -> None:
    """Parameters, buffers and memory that are saved and loaded give the same scores, to the bit."""
    sample, again = _clips(expert, config, 2), deepcopy(expert)
    memory = expert.condition(sample)
    with torch.no_grad():
        for tensor in again.parameters():
            tensor.zero_()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        save_file({key: tensor.detach().contiguous() for key, tensor in memory.items()}, place / "memory.safetensors")
        save_file(expert.state_dict(), place / "expert.safetensors")
        again.load_state_dict(load_file(place / "expert.safetensors"))
        back = load_file(place / "memory.safetensors")
    same = torch.equal(again.score(sample, back), expert.score(sample, memory))
    _hold(same, "expected the same scores of what was saved and loaded; keep all state in parameters and buffers")


def check_memory(expert: Expert, config: Config) -> None:
    """A memory is finite and of one form whatever was shown: only how many things were kept may differ.

    By this a detector is known to be damaged.
    """
    features = features_of(config, expert.reads)
    blank = [blank_sample(features, (HEIGHT, WIDTH), ticks) for ticks in (1, 2)]
    none, one = (expert.condition(sample) for sample in (blank[0].select([]), blank[1]))
    for clips in (1, 3):
        shown = expert.condition(_clips(expert, config, clips))
        _check_form(expert.name, shown, none, one)
        for memory in (none, one, shown):
            finite = all(tensor.isfinite().all() for tensor in memory.values())
            _hold(finite, "condition: expected a finite memory, found NaN or infinity")


def _check_form(name: str, shown: Memory, none: Memory, one: Memory) -> None:
    try:
        check_tensors(Path(name), Kind("memory", "a memory", 1, "", ""), name, shown, none, one)
    except BundleError as error:
        raise AssertionError(f"condition: expected memories of one form whatever was shown; {error}") from None


def check_scenes_at_once(expert: Expert, config: Config) -> None:
    """The engine that takes all scenes in one graph gives the gradients of one after the other, or refuses it."""
    expert = expert.double()
    experts, settings = ExpertSet([expert]), Config().meta.model_copy(update={"inner_steps": 1})
    clips = [_clips(expert, config, 1, seed).to("cpu", torch.float64) for seed in range(4)]
    tasks = [Task(Episode(n, "camera", (), ()), clips[n], clips[2 + n]) for n in range(2)]
    start, plan = initialise(experts, settings), plan_at(settings, 0)
    try:
        together = batched_engine(experts, start, tasks, plan)
    except UsageError:  # operations depend on the data: users are sent to the engine that is the default
        return
    for alone, many in zip(loop_engine(experts, start, tasks, plan), together, strict=True):
        for key, part in alone.gradient.items():
            _close(many.gradient[key], part, f"{key}: scenes at once", relative=1e-6, absolute=1e-9)


CHECKS: dict[str, Callable[[Expert, Config], None]] = {
    "maps": check_maps,
    "empty_support": check_empty_support,
    "gradients": check_gradients,
    "second_order": check_second_order,
    "inner_steps": check_inner_steps,
    "head": check_head,
    "batch": check_batch,
    "causality": check_causality,
    "history": check_history,
    "saving": check_saving,
    "memory": check_memory,
    "scenes_at_once": check_scenes_at_once,
}
"""The parts of the contract by name; each takes an expert and the config that it was built with."""
