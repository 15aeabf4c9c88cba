import pytest
import torch

from metavad.config import Config
from metavad.errors import ConfigError
from metavad.experts.flow_patches import FlowPatches, _forgiving, between, starts
from metavad.features.sample import Sample


def expert_of(**settings):
    torch.manual_seed(0)
    return FlowPatches.build(Config.model_validate({"data": {"rows": 8}, "flow_patches": settings}))


def sample_of(fields):
    """Fields (B, T, C, H, W) of which all but the first tick are known."""
    known = torch.ones(fields.shape[:2], dtype=torch.bool)
    known[:, 0] = False
    return Sample(
        {"flow_field": fields}, {"flow_field": known}, torch.arange(fields.shape[1]).expand(len(fields), -1) / 10
    )


def walking(clips=2, ticks=8, height=20, width=30, seed=0):
    """Still pictures in which a square moves to the right at a quarter of the height per second."""
    generator = torch.Generator().manual_seed(seed)
    fields = 0.005 * torch.randn(clips, ticks, 2, height, width, generator=generator)
    for tick in range(ticks):
        fields[:, tick, 0, 6:14, 4 + tick : 12 + tick] += 0.25
    return fields


def gradient_with_a_flash(monkeypatch, impossible):
    """Length of the loss's gradient where one patch of a shot moves as nothing ever did."""
    monkeypatch.setattr("metavad.experts.flow_patches.IMPOSSIBLE", impossible)
    expert, fields = expert_of(steps=2, hidden=4), walking()
    with torch.no_grad():
        for name, tensor in expert.named_parameters():
            if name.endswith("log_scale"):
                tensor.fill_(0.7)  # as after some training
    fields[0, 4, :, :8, :8] = 1e4
    expert.loss(sample_of(fields), {}).backward()
    return torch.cat([tensor.grad.flatten() for tensor in expert.parameters()]).norm().item()


def test_one_patch_does_not_throw_the_inner_steps_off(monkeypatch):
    assert gradient_with_a_flash(monkeypatch, 5.0) < 0.3 * gradient_with_a_flash(monkeypatch, 1e9)


def test_what_is_possible_counts_in_full():
    nats = torch.tensor([-2.0, 0.0, 1.0, 100.0, 1e6])
    forgiven = _forgiving(nats)
    torch.testing.assert_close(forgiven[:3], nats[:3], atol=1e-3, rtol=0)
    assert (forgiven.diff() > 0).all()
    assert forgiven[-1] < 30


@pytest.mark.parametrize("stacking", ["plain", "trajectory", "bidirectional"])
@pytest.mark.parametrize(("patch", "levels", "stack"), [((24, 18), 1, 4), ((48, 36), 2, 3), ((24, 24), 3, 1)])
def test_every_setting_scores_on_the_grid(stacking, patch, levels, stack):
    expert = expert_of(patch=patch, levels=levels, stack=stack, stacking=stacking, steps=1, hidden=4)
    fields = walking()
    sample = sample_of(torch.cat([fields, -fields], 2) if stacking == "bidirectional" else fields)
    maps = expert.score(sample, {})
    assert maps.shape == (2, 8, 8, 12)
    assert torch.isfinite(maps).all()
    assert torch.isfinite(expert.loss(sample, {}))
    assert expert.known(sample).sum(1).tolist() == [8 - stack] * 2


def test_twenty_frames_fit():
    expert = expert_of(stack=20, steps=1, hidden=4)
    sample = sample_of(walking(1, 22))
    assert expert.known(sample)[0].tolist() == [False] * 20 + [True] * 2
    assert torch.isfinite(expert.score(sample, {})).all()


def test_a_short_clip_knows_its_last_tick():
    expert = expert_of(stack=6, steps=1, hidden=4)
    assert expert.known(sample_of(walking(1, 4)))[0].tolist() == [False, False, False, True]


def test_what_it_learned_is_less_surprising_than_what_runs():
    expert = expert_of(steps=2, hidden=8, patches=64)
    optimiser = torch.optim.Adam(expert.parameters(), lr=0.01)
    for turn in range(40):
        optimiser.zero_grad()
        expert.loss(sample_of(walking(2, seed=turn)), {}).backward()
        optimiser.step()
    usual, fast = walking(1, seed=99), walking(1, seed=99)
    fast[:, :, 0][fast[:, :, 0] > 0.15] += 1.0
    with torch.no_grad():
        maps = [expert.score(sample_of(fields), {})[:, 5] for fields in (usual, fast)]
    assert maps[1].max() > maps[0].max() + 0.2


def test_the_place_of_what_is_strange_is_where_the_score_is_high():
    expert = expert_of(steps=1, hidden=4, stack=2)
    fields = torch.zeros(1, 6, 2, 40, 60)
    fields[..., 20:32, 40:56] = 2.0
    with torch.no_grad():
        maps = expert.score(sample_of(fields), {})[0, 4]
    assert divmod(int(maps.argmax()), maps.shape[1]) in [
        (row, column) for row in range(4, 7) for column in range(8, 12)
    ]


def test_scores_are_the_same_where_gradients_are_wanted():
    expert, sample = expert_of(steps=1, hidden=4), sample_of(walking())
    with torch.no_grad():
        found = expert.score(sample, {})
    torch.testing.assert_close(expert.score(sample, {}).detach(), found)


def test_what_stands_still_counts_as_no_motion():
    expert = expert_of(steps=1, hidden=4)
    with torch.no_grad():
        quiet, none = (
            expert.score(sample_of(fields), {})
            for fields in (0.004 * torch.randn(1, 8, 2, 20, 30), torch.zeros(1, 8, 2, 20, 30))
        )
    torch.testing.assert_close(quiet, none)


def test_sides_that_the_levels_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match=r"multiples of 12 pixels \(3 to a cell, 2 levels\), found \[24, 18\]"):
        expert_of(patch=(24, 18), levels=2)


@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize(("length", "side"), [(20, 8), (21, 8), (80, 6), (8, 8), (7, 8)])
def test_patches_cover_everything(length, side, share):
    origins = starts(length, side, share)
    covered = {place for origin in origins for place in range(origin, origin + side)}
    assert covered >= set(range(length))
    assert max(origins) + side == max(length, side)


@pytest.mark.parametrize(("middles", "cells"), [([2.0], 3), ([2.0, 6.0, 9.5], 5), ([1.0, 2.0, 3.0], 30)])
def test_values_between_patches_are_means_of_them(middles, cells):
    weights = between(middles, cells, 12)
    torch.testing.assert_close(weights.sum(1), torch.ones(cells))
    assert (weights >= 0).all()
    line = weights @ torch.tensor(middles)
    places = ((torch.arange(cells) + 0.5) * 12 / cells).clamp(middles[0], middles[-1])
    torch.testing.assert_close(line, places)
