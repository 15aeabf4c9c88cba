from typing import ClassVar

import pytest
import torch
from torch import nn

from metavad.config import Config
from metavad.experts.base import Expert
from metavad.experts.set import ExpertSet, memory_of, under
from metavad.features.sample import Sample


class Mean(Expert):
    name: ClassVar[str] = "mean"
    reads: ClassVar[tuple[str, ...]] = ("speed",)

    def __init__(self, start=0.0):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(start))

    @classmethod
    def build(cls, config: Config):
        return cls()

    def condition(self, support):
        return {"shown": support["speed"].sum() + self.level}

    def loss(self, sample, memory):
        return (sample["speed"] - memory["shown"]).square().mean() + self.level

    def score(self, sample, memory):
        return (sample["speed"] - memory["shown"]).abs()


class Other(Mean):
    name: ClassVar[str] = "other"
    reads: ClassVar[tuple[str, ...]] = ("speed", "frames")


def sample(clips=2):
    return Sample(
        {"speed": torch.ones(clips, 3, 2, 2)}, {"speed": torch.ones(clips, 3, dtype=torch.bool)}, torch.zeros(clips, 3)
    )


def test_names_losses_and_scores_stand_by_expert():
    experts = ExpertSet([Mean(1.0), Other(2.0)])
    assert [name for name, _ in experts.each()] == ["mean", "other"]
    assert [name for name, _ in experts.named_parameters()] == ["mean.level", "other.level"]
    assert experts.reads == ("speed", "frames")
    memory = experts.condition(sample())
    assert set(memory) == {"mean.shown", "other.shown"}
    losses = experts.losses(sample(), memory)
    assert losses["other"].item() == pytest.approx((1 - 26) ** 2 + 2)
    assert experts.loss(sample(), memory).item() == pytest.approx(sum(loss.item() for loss in losses.values()))
    scores = experts.score(sample(), memory)
    assert scores["mean"].shape == (2, 3, 2, 2)
    assert memory_of("other", memory).keys() == {"shown"}


def test_under_other_parameters_nothing_is_changed_and_gradients_reach_them():
    experts = ExpertSet([Mean(1.0), Other(2.0)])
    given = {"mean.level": torch.tensor(5.0, requires_grad=True), "other.level": torch.tensor(7.0)}
    memory = under(experts, given, ExpertSet.condition, sample())
    assert memory["mean.shown"].item() == 29
    (gradient,) = torch.autograd.grad(memory["mean.shown"], given["mean.level"])
    assert gradient.item() == 1
    assert experts["mean"].level.item() == 1


def test_an_empty_support_is_taken():
    experts = ExpertSet([Mean(1.0)])
    assert experts.condition(sample().select([]))["mean.shown"].item() == 1
