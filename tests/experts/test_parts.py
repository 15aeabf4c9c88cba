"""Many clips part by part: the same as all at once."""

import pytest
import torch

from metavad.experts import EXPERTS, parts
from metavad.experts.direction import Direction
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample
from metavad.meta.inner import inner_loop
from metavad.meta.objective import support_loss
from metavad.testing import moving_pictures
from tests.experts.test_contract import SEEN, expert_of

CLIPS, TICKS = 7, 6


def flowing(clips=CLIPS):
    generator = torch.Generator().manual_seed(0)
    flow = 0.3 * torch.randn(clips, TICKS, 3, 6, 8, generator=generator, dtype=torch.float64)
    flow[:, :, 2] = flow[:, :, :2].square().sum(2).sqrt()
    known = torch.rand(clips, TICKS, generator=generator) > 0.2
    return Sample({"flow": flow}, {"flow": known}, torch.zeros(clips, TICKS))


@pytest.mark.parametrize("name", sorted(EXPERTS))
def test_memory_and_scores_are_those_of_all_clips_at_once(name, monkeypatch):
    expert = expert_of(name)
    sample = moving_pictures(SEEN, expert.reads, CLIPS)
    with torch.no_grad():
        monkeypatch.setattr(parts, "TICKS", 1_000_000)
        memory = expert.condition(sample)
        scores = expert.score(sample, memory)
        monkeypatch.setattr(parts, "TICKS", 3 * TICKS)
        again = expert.condition(sample)
        in_parts = torch.cat([expert.score(part, memory) for part in sample.parts(3)])
    assert memory.keys() == again.keys()
    assert all(torch.equal(tensor, again[key]) for key, tensor in memory.items())
    torch.testing.assert_close(in_parts, scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_through_parts_are_those_of_all_clips(order, monkeypatch):
    """Of the adapted loss, through an inner step whose own gradient is taken part by part."""
    experts, sample, found = ExpertSet([Direction(0.2)]).double(), flowing(), []
    params = {name: tensor.detach().clone().requires_grad_() for name, tensor in experts.named_parameters()}
    sizes = {name: torch.full_like(tensor, 0.1) for name, tensor in params.items()}
    for whole, ticks in ((25, 64), (2, 2 * TICKS)):
        monkeypatch.setattr(parts, "WHOLE", whole)
        monkeypatch.setattr(parts, "TICKS", ticks)
        adapted = inner_loop(
            lambda at, shown: under(experts, at, support_loss, shown), params, sizes, sample, steps=2, order=order
        )
        loss = under(experts, adapted, support_loss, sample)
        found.append([loss, *torch.autograd.grad(loss, list(params.values()))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)


def test_up_to_fifty_shots_gradients_are_taken_of_all_at_once(monkeypatch):
    seen = []
    plain = Direction.loss.__globals__["_weighted"]

    def noting(many, part, *tensors):
        seen.append((part.clips, many))
        return plain(many, part, *tensors)

    monkeypatch.setattr("metavad.experts.direction._weighted", noting)
    expert = Direction(0.2).double()
    for shots in (50, 52):
        support_loss(ExpertSet([expert]), flowing(shots))
    assert seen[:2] == [(25, False), (25, False)]
    assert all(clips <= parts.TICKS // TICKS and many for clips, many in seen[2:])


def test_what_vmap_batches_goes_at_once(monkeypatch):
    monkeypatch.setattr(parts, "WHOLE", 2)
    experts, sample = ExpertSet([Direction(0.2)]).double(), flowing()
    params = {name: torch.stack([tensor.detach()] * 2).requires_grad_() for name, tensor in experts.named_parameters()}
    losses = torch.func.vmap(lambda one: under(experts, one, support_loss, sample))(params)
    one, *_ = torch.autograd.grad(losses.sum(), list(params.values()))
    assert one.isfinite().all()


def test_no_clip_is_a_part(monkeypatch):
    assert [part.clips for part in flowing(0).parts(3)] == [0]
    assert [part.clips for part in flowing(7).parts(3)] == [2, 2, 3]
    assert [part.clips for part in flowing(6).parts(3)] == [3, 3]
    assert [part.clips for part in flowing(2).parts(0)] == [1, 1]
