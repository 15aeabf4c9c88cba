"""The published single models under every engine: the same meta-gradients."""

import math
from importlib.util import find_spec

import pytest
import torch

from metavad.config import Config
from metavad.episodes import Episode
from metavad.experts import build_experts
from metavad.features.backbones import backbone_of, cut_of
from metavad.features.sample import Sample
from metavad.meta.control import choose_step_sizes
from metavad.meta.engines.choice import engine_of
from metavad.meta.engines.loop import loop_engine
from metavad.meta.outer import Task, initialise, plan_at

OPTIONS = {"flow_weight": 1.0, "adversarial_weight": 0.1, "attention": "self", "prototypes": 3}
SMALL = {
    "prediction": {"short_side": 12, "channels": 4, **OPTIONS},
    "dissociation": {"channels": 4, "code": 4, "clusters": 3},
    "embedding": {"hidden": 8, "code": 4, "unfrozen": 1, "draws": 12},
}


def config_of(name, engine="batched"):
    return Config.model_validate({"experts": [name], "meta": {"engine": engine, "inner_steps": 2}, **SMALL})


def frames(clips, seed):
    values = torch.rand(clips, 6, 12, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Sample({"frames": values}, {"frames": torch.ones(clips, 6, dtype=torch.bool)}, torch.zeros(clips, 6))


def embedded(clips, seed):
    """Frames, and rows of embeddings with what goes into the unfrozen block behind them."""
    sample = frames(clips, seed)
    numbers = backbone_of("tiny", "").dimension + math.prod(cut_of("tiny", "", 1).shape)
    rows = torch.rand(clips, 6, numbers, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    known = {**sample.known, "embeddings": sample.known["frames"]}
    return Sample({**sample.features, "embeddings": rows}, known, sample.seconds)


def tasks_of(name, count=2):
    clips = embedded if name == "embedding" else frames
    return [Task(Episode(n, "camera", (), ()), clips(2, n), clips(1, 10 + n)) for n in range(count)]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("engine", ["batched", "learn2learn"])
def test_the_same_gradients(name, engine):
    if engine == "learn2learn" and find_spec("learn2learn") is None:
        pytest.skip("pip install --no-deps -r requirements-learn2learn.txt")
    config = config_of(name, engine)
    torch.manual_seed(0)
    experts = build_experts(config).double()
    start, plan, tasks = initialise(experts, config.meta), plan_at(config.meta, 0), tasks_of(name)
    other = engine_of(config.meta)(experts, start, tasks, plan)
    for one, many in zip(loop_engine(experts, start, tasks, plan), other, strict=True):
        for key, part in one.gradient.items():
            torch.testing.assert_close(many.gradient[key], part, rtol=1e-7, atol=1e-9, msg=key)


def test_the_control_does_not_adapt_the_discriminator_either():
    experts = build_experts(config_of("prediction"))
    params = {name: tensor.detach() for name, tensor in experts.named_parameters()}
    clips = {"support": frames(1, 1), "query": frames(1, 2)}
    sizes = choose_step_sizes(
        experts,
        params,
        lambda number: Episode(number, "camera", ("support",), ("query",)),
        lambda named: clips[named[0]],
        steps=1,
        count=1,
        grid=(0.01,),
    )
    assert {name for name in params if name not in sizes} == {name for name in params if ".discriminator." in name}
