"""One contract for every registered expert."""

import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from metavad.bundle import Kind, check_tensors
from metavad.config import Config, load_config
from metavad.episodes import Episode
from metavad.errors import UsageError
from metavad.experts import EXPERTS, build_experts
from metavad.experts.base import call
from metavad.experts.prediction import Prediction
from metavad.experts.set import ExpertSet, under
from metavad.features.library import blank_sample, features_of, sample_of
from metavad.features.sample import join
from metavad.meta.batched import batched_engine
from metavad.meta.inner import adapting, inner_loop
from metavad.meta.outer import Task, initialise, loop_engine, plan_at
from metavad.shipped import shipped
from tests.people import reading_of, walker, write_people

FEW = {
    "data": {"rows": 6},
    "prediction": {"short_side": 12, "channels": 4},
    "patches": {"short_side": 48, "cells": 16},
}
SMALL = Config.model_validate(FEW)
SEEN = Config.model_validate({**FEW, "embedding": {"unfrozen": 1}, "flow_patches": {"stacking": "bidirectional"}})
"""Features with what every option reads."""
TICKS = 7


def preset_options():
    """What each preset sets of its experts' own sections, by expert and preset; where it is not the default."""
    found = {}
    for preset in shipped("configs"):
        config, plain = load_config(preset).model_dump(mode="json"), Config().model_dump(mode="json")
        for expert in config["experts"]:
            here = config.get(expert, {})
            differs = {key: value for key, value in here.items() if value != plain[expert][key]}
            if differs := {key: value for key, value in differs.items() if key not in FEW.get(expert, {})}:
                found[f"{expert}-preset-{preset}"] = {expert: differs}
    return found


OPTIONS = {
    "prediction-flow": {"prediction": {"flow_weight": 2.0}},
    "prediction-adversarial": {"prediction": {"adversarial_weight": 0.05}},
    "prediction-channel-attention": {"prediction": {"attention": "channel"}},
    "prediction-self-attention": {"prediction": {"attention": "self"}},
    "prediction-prototypes": {"prediction": {"prototypes": 5}},
    "flow_patches-trajectory": {"flow_patches": {"stacking": "trajectory", "patch": [24, 24], "levels": 2}},
    "flow_patches-bidirectional": {"flow_patches": {"stacking": "bidirectional", "stack": 2}},
    "flow_patches-disjoint": {"flow_patches": {"overlap": False, "steps": 1, "stack": 1}},
    "embedding-unfrozen": {"embedding": {"unfrozen": 1}},
    "embedding_memory-centroids": {"embedding": {"memory": "centroids", "centroids": 3}},
    # A network gives twice 48 numbers, as many as there are of gradients: to the expert they are numbers.
    "appearance-network": {"appearance": {"features": "network", "numbers": 48}},
    "patches-coreset": {"patches": {"memory": 2}},
    **preset_options(),
}
"""Settings under which an expert is another model, by a name that begins with the expert's."""
NOT_AT_ONCE = ("presence", "stillness", "embedding_memory-centroids")
"""Experts whose operations depend on their data, which ``vmap`` cannot batch."""


@pytest.fixture(params=[*sorted(EXPERTS), *OPTIONS])
def name(request):
    return request.param


def expert_of(name):
    torch.manual_seed(0)
    small = SMALL.model_dump(mode="json")
    for section, options in OPTIONS.get(name, {}).items():
        small[section] |= options
    return EXPERTS[name.partition("-")[0]].build(Config.model_validate(small))


def params_of(expert, dtype=torch.float32):
    return {key: tensor.detach().to(dtype).requires_grad_() for key, tensor in expert.named_parameters()}


@cache
def moving_pictures(clips, seed=0, ticks=TICKS):
    """B clips of bright squares that move over noise, through the real features."""
    generator = torch.Generator().manual_seed(seed)
    features = features_of(SEEN, ("frames", "flow", *_further()))
    samples = []
    for clip in range(clips):
        noise = torch.rand(48, 64, generator=generator) * 60 + 60
        start = torch.randint(0, 30, (2,), generator=generator)
        frames = []
        for tick in range(ticks):
            picture = noise.clone()
            down, across = int(start[0]), int(start[1]) + 2 * tick
            picture[down : down + 12, across : across + 12] += 100
            frames.append(picture.to(torch.uint8).numpy())
        seconds = torch.arange(ticks).numpy() / 10.0
        rows = {}
        for key, feature in features.items():
            stream = started(feature, seed + clip, ticks)
            rows[key] = torch.stack(
                [torch.from_numpy(stream(frame, time)) for frame, time in zip(frames, seconds, strict=True)]
            ).numpy()
        samples.append(sample_of(features, rows, seconds, seconds))
    return join(samples)


def started(feature, seed, ticks):
    """A stream of the feature, told of a video in which two people walk."""
    with tempfile.TemporaryDirectory() as folder:
        people = [walker(ticks, speed=15 + 5 * seed, beat=1.5), walker(ticks, start=(40, 20), speed=-10, swing=0.3)]
        return feature.of(reading_of(write_people(Path(folder) / "people.npz", people), ticks)).start()


def _further():
    return sorted({feature for expert in EXPERTS.values() for feature in expert.reads} - {"frames", "flow"})


def test_scores_are_finite_maps_on_the_grid_and_high_is_abnormal_everywhere(name):
    expert, sample = expert_of(name), moving_pictures(3)
    maps = expert.score(sample, expert.condition(sample))
    assert maps.shape == (3, TICKS, 6, 8)
    assert torch.isfinite(maps).all()
    unknown = ~expert.known(sample)
    assert (maps[unknown] == expert.floor).all()


def test_the_empty_support_is_a_support(name):
    expert, sample = expert_of(name), moving_pictures(1)
    memory = expert.condition(sample.select([]))
    assert torch.isfinite(expert.score(sample, memory)).all()
    assert torch.isfinite(expert.loss(sample, memory))


def test_gradients_reach_every_parameter(name):
    expert, sample = expert_of(name), moving_pictures(2)
    loss = expert.loss(sample, expert.condition(sample)) + expert.score(sample, expert.condition(sample)).mean()
    loss.backward()
    untouched = [key for key, tensor in expert.named_parameters() if tensor.grad is None or not tensor.grad.any()]
    assert untouched == []


def test_second_order_agrees_with_finite_differences(name):
    expert = expert_of(name)
    if getattr(expert, "discriminator", None) is not None:
        pytest.skip("a game has no objective; tests/experts/test_adversary.py looks at each player")
    assert_second_order_agrees(expert)


def assert_second_order_agrees(expert):
    """d/dp of the query loss after one inner step, along a random direction, in float64."""
    expert = expert.double()
    support, query = (moving_pictures(1, seed).to("cpu", torch.float64) for seed in (1, 2))
    start = params_of(expert, torch.float64)
    sizes = {key: torch.tensor(0.05, dtype=torch.float64) for key in start}

    def objective(params):
        def inner(at, shown):
            return call(expert, at, "loss", shown, call(expert, at, "condition", shown))

        adapted = inner_loop(inner, params, sizes, support, steps=1, order=2)
        return call(expert, adapted, "loss", query, call(expert, adapted, "condition", support))

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
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-6)


class Attentive(Prediction):
    """With attention by torch's default kernel, which has no second derivative."""

    def loss(self, sample, memory):
        ticks = sample["frames"].flatten(2)[:, None] * self.leave.weight.mean()
        return torch.nn.functional.scaled_dot_product_attention(ticks, ticks, ticks).square().mean()


class Halved(torch.autograd.Function):
    """The square, whose derivative counts as a constant: as some flows' inverses have it."""

    @staticmethod
    def forward(context, value):
        context.save_for_backward(value)
        return value.square()

    @staticmethod
    def backward(context, gradient):
        return gradient * 2 * context.saved_tensors[0].detach()


class Cut(Prediction):
    """A loss that differentiates twice without an error, and wrongly."""

    def loss(self, sample, memory):
        return Halved.apply(self.leave.weight * sample["frames"].mean()).sum()


@pytest.mark.parametrize(("kind", "error"), [(Attentive, RuntimeError), (Cut, AssertionError)])
def test_an_expert_that_does_not_differentiate_twice_is_found(kind, error):
    """Either torch says so, or the slope is another one."""
    with pytest.raises(error):
        assert_second_order_agrees(kind.build(SMALL))


def test_inner_steps_lower_the_loss(name):
    expert, sample = expert_of(name), moving_pictures(3)
    start = params_of(expert)

    def loss(params, shown):
        return call(expert, params, "loss", shown, call(expert, params, "condition", shown))

    sizes = {key: torch.tensor(0.002) for key in start}
    adapted = inner_loop(loss, start, sizes, sample, steps=8, order=1)
    assert loss(adapted, sample) < loss(start, sample)


def test_every_expert_has_a_head_and_adapting_it_alone_lowers_the_loss(name):
    """What ANIL adapts by default: each pattern names parameters that may adapt, and some are left."""
    expert, sample = expert_of(name).double(), moving_pictures(3).to("cpu", torch.float64)
    experts = ExpertSet([expert])
    settings = Config().meta.model_copy(update={"algorithm": "anil", "step_size": 0.002})
    assert expert.head
    adapting(experts.adaptable, [f"{expert.name}.{pattern}" for pattern in expert.head])  # none is in vain
    start = initialise(experts, settings)
    assert 0 < len(start.free) < len(experts.adaptable)

    def loss(params, shown):
        return under(experts, params, lambda these, clips: these.loss(clips, these.condition(clips)), shown)

    adapted = inner_loop(loss, start.params, start.step_sizes, sample, steps=8, order=1)
    assert {key for key in adapted if not torch.equal(adapted[key], start.params[key])} <= set(experts.heads)
    assert loss(adapted, sample) < loss(start.params, sample)


def test_one_by_one_is_the_same_as_a_batch(name):
    expert, sample = expert_of(name), moving_pictures(3)
    memory = expert.condition(moving_pictures(2, seed=5))
    together = expert.score(sample, memory)
    alone = torch.cat([expert.score(sample.select([clip]), memory) for clip in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_no_score_depends_on_later_ticks(name):
    expert, sample = expert_of(name), moving_pictures(1)
    memory = expert.condition(moving_pictures(2, seed=5))
    whole = expert.score(sample, memory)
    for stop in range(TICKS - 1, 5, -1):
        torch.testing.assert_close(expert.score(sample.until(stop - 1), memory), whole[:, :stop], rtol=1e-4, atol=1e-4)


def test_no_score_depends_on_more_of_the_past_than_is_declared(name):
    """Chunks of a video give each expert that much, and no more."""
    expert, sample = expert_of(name), moving_pictures(1, ticks=24)
    memory = expert.condition(moving_pictures(2, seed=5))
    whole, back = expert.score(sample, memory), round(expert.history * SMALL.data.rate)
    for tick in range(back + 1, min(back + 4, 24)):
        part = expert.score(sample.since(tick - back), memory)
        torch.testing.assert_close(part[:, back:], whole[:, tick:], rtol=1e-4, atol=1e-4)


def test_what_is_saved_is_what_comes_back(name, tmp_path: Path):
    expert, sample = expert_of(name), moving_pictures(2)
    memory = expert.condition(sample)
    save_file({key: tensor.detach().contiguous() for key, tensor in memory.items()}, tmp_path / "memory.safetensors")
    save_file(expert.state_dict(), tmp_path / "expert.safetensors")
    again = expert_of(name)
    again.load_state_dict(load_file(tmp_path / "expert.safetensors"))
    back = load_file(tmp_path / "memory.safetensors")
    assert torch.equal(again.score(sample, back), expert.score(sample, memory))


@pytest.mark.parametrize("clips", [1, 3])
def test_memory_is_finite_and_of_one_form_whatever_was_shown(name, clips, tmp_path: Path):
    """By which a detector is known to be damaged: only how many things were kept may differ."""
    expert, kind = expert_of(name), Kind("memory", "a memory", 1, "", "")
    features = features_of(SEEN, expert.reads)
    blank = [blank_sample(features, (48, 64), ticks) for ticks in (1, 2)]
    none, one = (expert.condition(sample) for sample in (blank[0].select([]), blank[1]))
    shown = expert.condition(moving_pictures(clips))
    check_tensors(tmp_path, kind, name, shown, none, one)
    assert all(tensor.isfinite().all() for memory in (none, one, shown) for tensor in memory.values())


def test_scenes_at_once_give_the_gradients_of_one_after_the_other(name):
    """Under the engine that takes all scenes in one graph; it refuses experts whose operations depend on data."""
    expert = expert_of(name).double()
    experts, settings = ExpertSet([expert]), Config().meta.model_copy(update={"inner_steps": 1})
    clips = [moving_pictures(1, seed).to("cpu", torch.float64) for seed in range(4)]
    tasks = [Task(Episode(n, "camera", (), ()), clips[n], clips[2 + n]) for n in range(2)]
    start, plan = initialise(experts, settings), plan_at(settings, 0)
    if name in NOT_AT_ONCE:
        with pytest.raises(UsageError, match=r"use meta\.engine=torch-func"):
            batched_engine(experts, start, tasks, plan)
        return
    together = batched_engine(experts, start, tasks, plan)
    for one, many in zip(loop_engine(experts, start, tasks, plan), together, strict=True):
        for key, part in one.gradient.items():
            torch.testing.assert_close(many.gradient[key], part, rtol=1e-6, atol=1e-9, msg=key)


def test_presets_with_settings_of_their_own_are_held_to_it():
    held = {"prediction-preset-adversarial", "flow_patches-preset-flow-levels"}
    assert held <= OPTIONS.keys()


def test_unknown_experts_are_named():
    with pytest.raises(ValueError, match="did you mean 'prediction'"):
        build_experts(SMALL.model_copy(update={"experts": ("predicton",)}))
