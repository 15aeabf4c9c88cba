"""One contract for every registered expert: :func:`metavad.testing.check_expert`."""

from contextlib import nullcontext

import pytest
import torch

from metavad.config import Config, load_config
from metavad.episodes import Episode
from metavad.errors import UsageError
from metavad.experts import EXPERTS, build_experts
from metavad.experts.prediction import Prediction
from metavad.experts.set import ExpertSet
from metavad.meta.engines.batched import batched_engine
from metavad.meta.outer import Task, initialise, plan_at
from metavad.shipped import shipped
from metavad.testing import CHECKS, check_expert, moving_pictures, small_config

SMALL = small_config()
SEEN = small_config(embedding={"unfrozen": 1}, flow_patches={"stacking": "bidirectional"})
"""Features with what every option reads."""


def preset_options():
    """What each preset sets of its experts' own sections, by expert and preset; where it is not the default."""
    found, plain, small = {}, Config().model_dump(mode="json"), SMALL.model_dump(mode="json")
    for preset in shipped("configs"):
        config = load_config(preset).model_dump(mode="json")
        for expert in config["experts"]:
            here = config.get(expert, {})
            differs = {key: value for key, value in here.items() if value != plain[expert][key]}
            if differs := {key: value for key, value in differs.items() if small[expert][key] == plain[expert][key]}:
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
    config = small_config(**OPTIONS.get(name, {}))
    return EXPERTS[name.partition("-")[0]].build(config)


@pytest.mark.parametrize("check", CHECKS)
def test_every_expert_keeps_the_contract(name, check):
    expert = expert_of(name)
    if check == "second_order" and getattr(expert, "discriminator", None) is not None:
        pytest.skip("a game has no objective; tests/experts/test_adversary.py looks at each player")
    CHECKS[check](expert, SEEN)


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


class Clairvoyant(Prediction):
    """Each tick scores what the clip's last one does."""

    def score(self, sample, memory):
        return super().score(sample, memory)[:, -1:].expand(-1, sample.seconds.shape[1], -1, -1)


class Forgetful(Prediction):
    """Says that no past counts."""

    @classmethod
    def build(cls, config):
        expert = super().build(config)
        expert.history = 0.0
        return expert


class Coarse(Prediction):
    """Scores on a grid of its own."""

    def score(self, sample, memory):
        return super().score(sample, memory)[..., ::2, ::2]


class Idle(Prediction):
    """Has a parameter that nothing uses."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.idle = torch.nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize(
    ("kind", "check", "error", "message"),
    [
        (Attentive, "second_order", RuntimeError, "derivative"),
        (Cut, "second_order", AssertionError, "differentiate twice"),
        (Clairvoyant, "causality", AssertionError, "later one"),
        (Forgetful, "history", AssertionError, "no more past"),
        (Coarse, "maps", AssertionError, r"shape \(3, 7, 6, 8\), found \(3, 7, 3, 4\)"),
        (Idle, "gradients", AssertionError, "none for idle"),
    ],
)
def test_what_breaks_the_contract_is_found(kind, check, error, message):
    """Either torch says so, or the check does."""
    others = CHECKS.keys() - {check}
    with pytest.raises(error, match=message):
        check_expert(kind.build(SMALL), without=others)


def test_checking_an_expert_leaves_it_as_it_is():
    expert = Prediction.build(SMALL)
    before = {key: tensor.clone() for key, tensor in expert.state_dict().items()}
    check_expert(expert, without={"second_order"})
    for key, tensor in expert.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0)
    assert all(tensor.grad is None for tensor in expert.parameters())


def test_a_check_that_there_is_not_cannot_be_left_out():
    with pytest.raises(UsageError, match="found \\['nonsense'\\]"):
        check_expert(Prediction.build(SMALL), without={"nonsense"})


def test_a_class_is_no_expert():
    with pytest.raises(UsageError, match=r"expected an expert, found the class Prediction; give what its build"):
        check_expert(Prediction)


def test_experts_that_depend_on_their_data_are_refused_by_the_engine_of_all_scenes(name):
    expert, settings = expert_of(name), Config().meta
    experts = ExpertSet([expert])
    clips = [moving_pictures(SEEN, expert.reads, 1, seed) for seed in range(4)]
    tasks = [Task(Episode(n, "camera", (), ()), clips[n], clips[2 + n]) for n in range(2)]
    refused = pytest.raises(UsageError, match=r"use meta\.engine=torch-func") if name in NOT_AT_ONCE else nullcontext()
    with refused:
        batched_engine(experts, initialise(experts, settings), tasks, plan_at(settings, 0))


def test_presets_with_settings_of_their_own_are_held_to_it():
    held = {"prediction-preset-adversarial", "flow_patches-preset-flow-levels"}
    assert held <= OPTIONS.keys()


def test_unknown_experts_are_named():
    with pytest.raises(ValueError, match="did you mean 'prediction'"):
        build_experts(SMALL.model_copy(update={"experts": ("predicton",)}))
