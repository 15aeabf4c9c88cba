"""The distance to what was shown at a place, its memory, and what it says."""

from itertools import combinations

import numpy as np
import pytest
import torch

from metavad.config import PatchesConfig
from metavad.experts.patches import LEAST, Patches, coreset
from metavad.features.footage import regridded
from metavad.features.frames import FramesFeature
from metavad.features.patches import CHANNELS, STEPS, PatchesFeature
from metavad.features.sample import Sample

GRID = (4, 6)
ROWS = 8
"""Of the detector's grid, twice as fine as the patches."""


def expert(**settings):
    torch.manual_seed(0)
    return Patches(ROWS, 10.0, PatchesConfig(**settings))


def sample_of(rows, known=None):
    """Rows (B, T, 152, h, w) of steps as a sample, ten ticks a second."""
    clips, ticks = rows.shape[:2]
    known = torch.ones(clips, ticks, dtype=torch.bool) if known is None else known
    frames = torch.zeros(clips, ticks, ROWS, ROWS * rows.shape[-1] // rows.shape[-2])
    return Sample(
        {"frames": frames, "patches": rows.to(torch.int8)},
        {"frames": known, "patches": known},
        torch.arange(ticks).expand(clips, -1) / 10.0,
    )


def room(clips, ticks, *, seed=0, noise=2.0, grid=GRID):
    """Rows (B, T, 152, h, w) of a room in which every place looks different, with noise from tick to tick."""
    places = torch.randn(CHANNELS, *grid, generator=torch.Generator().manual_seed(7)) * STEPS
    generator = torch.Generator().manual_seed(seed)
    return places + noise * torch.randn(clips, ticks, CHANNELS, *grid, generator=generator)


def thing():
    return 2.0 * STEPS * torch.randn(CHANNELS, generator=torch.Generator().manual_seed(9))


def test_what_was_never_there_scores_highest_at_its_place_while_it_is_there():
    patches = expert()
    memory = patches.condition(sample_of(room(5, 8)))
    video = room(1, 60, seed=1)
    shown = video.clone()
    shown[0, 20:40, :, 1, 2] = thing()[:, None].T
    plain, found = (patches.score(sample_of(each), memory)[0] for each in (video, shown))
    height, width = found.shape[1:]
    for tick in (20, 39):
        place = int(found[tick].argmax())
        assert (place // width * GRID[0] // height, place % width * GRID[1] // width) == (1, 2)
        assert found[tick].max() > 2 * plain[tick].max()
    torch.testing.assert_close(found[40:], plain[40:])


def test_distances_are_those_of_every_vector_at_a_place_or_beside_it():
    patches = expert()
    support, query = room(2, 3, seed=1, noise=20.0), room(1, 2, seed=2, noise=20.0)
    memory = patches.condition(sample_of(support))
    found = patches._distances(query[0].to(torch.int8), memory)
    own = torch.einsum("dc,ncij->ndij", patches.projection, query[0].to(torch.int8).float() / STEPS)
    for row, column in ((0, 0), (2, 3), (3, 5)):
        near = memory["vectors"][:, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        away = torch.cdist(own[:, :, row, column], near.movedim(1, -1).flatten(0, 2)).amin(1)
        expected = (away.square() / 32 + LEAST**2).sqrt()
        torch.testing.assert_close(found[:, row, column], expected, rtol=1e-4, atol=1e-4)


def test_ticks_of_which_nothing_is_known_are_not_remembered():
    patches = expert(memory=4)
    rows, known = room(3, 8), torch.ones(3, 8, dtype=torch.bool)
    known[1:, 2:] = False  # two clips are shorter
    rows[1:, 2:] = 0
    memory = patches.condition(sample_of(rows, known))
    whole = patches.condition(sample_of(rows[:, :1]))
    assert memory["shots"].min() >= 0  # six ticks are known, four are kept
    alone = expert().condition(sample_of(rows, known))
    assert (alone["shots"] < 0).sum() == 6 * GRID[0] * GRID[1]
    blank = sample_of(torch.zeros(1, 1, CHANNELS, *GRID))
    assert patches.score(blank, memory).min() > 0.5 * patches.score(blank, whole).min() > 0.2


def test_the_memory_of_a_thousand_shots_is_bounded():
    patches = expert(memory=16)
    rows = room(1, 4, grid=(2, 2)).expand(1000, -1, -1, -1, -1)
    memory = patches.condition(sample_of(rows))
    assert memory["vectors"].shape == (16, 32, 2, 2)
    assert memory["shots"].shape == (16, 2, 2)
    assert len(memory["clips"]) == 1000
    assert patches.loss(sample_of(room(2, 4, grid=(2, 2))), memory).isfinite()


def test_the_coreset_keeps_extremes():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(200, 8, 1, 2, generator=generator)
    far = 20 * torch.eye(8)[:4]
    vectors[[20, 90, 91, 170], :, 0, 0] = far
    vectors[[3, 33, 133, 193], :, 0, 1] = -far
    kept = coreset(vectors, torch.ones(200, dtype=torch.bool), 6)
    assert {20, 90, 91, 170} <= set(kept[:, 0, 0].tolist())
    assert {3, 33, 133, 193} <= set(kept[:, 0, 1].tolist())


def test_the_coreset_reaches_as_far_as_is_proven():
    """Greedy k-center is never more than twice as far from anything as the best choice (Gonzalez 1985)."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        points = torch.randn(9, 2, generator=generator)
        kept = coreset(points[:, :, None, None], torch.ones(9, dtype=torch.bool), 3)[:, 0, 0]
        away = torch.cdist(points, points)
        best = min(float(away[:, list(some)].amin(1).amax()) for some in combinations(range(9), 3))
        assert len(set(kept.tolist())) == 3
        assert float(away[:, kept].amin(1).amax()) <= 2 * best + 1e-5


def test_a_repeated_tick_scores_as_before(monkeypatch):
    patches, measured = expert(), []
    memory = patches.condition(sample_of(room(2, 4)))
    rows = room(1, 6, seed=3)[:, [0, 0, 1, 1, 1, 2, 2, 3, 0, 0]].to(torch.int8)
    plain = patches._nearest
    monkeypatch.setattr(patches, "_nearest", lambda rows, memory: measured.append(len(rows)) or plain(rows, memory))
    found = patches._distances(rows[0], memory)
    assert measured == [5]
    torch.testing.assert_close(found, torch.cat([plain(rows[0, tick : tick + 1], memory) for tick in range(10)]))


def test_a_camera_of_another_shape_is_compared_place_by_place():
    patches, features = expert(), {"frames": FramesFeature(ROWS), "patches": PatchesFeature()}
    other = regridded(sample_of(room(2, 4, grid=(5, 6))), features, (10, 12), (8, 12))
    assert other["patches"].dtype == torch.int8
    assert other["patches"].shape[-2:] == GRID
    assert other["patches"].abs().max() > STEPS
    sample = sample_of(room(1, 4))
    near, far = (patches.condition(sample_of(room(2, 4, grid=grid))) for grid in (GRID, (5, 7)))
    assert patches.score(sample, near).mean() < patches.score(sample, far).mean()
    assert patches.loss(sample, far).isfinite()


def test_it_names_the_shot_that_is_nearest():
    patches = expert()
    rows = room(3, 2)
    rows[2, :, :, 1, 2] = thing() + 3.0  # the last shot showed almost that
    memory = patches.condition(sample_of(rows))
    video = room(1, 3, seed=1)
    video[0, :, :, 1, 2] = thing()
    reason = patches.explain(sample_of(video), memory, (0.4, 0.4))
    assert reason.text.endswith("nearest to shot 3")
    assert int(np.argmin(reason.distances)) == 2
    video[0, :, :, 1, 2] = -thing()
    reason = patches.explain(sample_of(video), memory, (0.4, 0.4))
    assert reason.text.startswith("is there that none of the 3 shots showed at this place, nearest to shot ")
    assert min(reason.distances) > 1
    usual = patches.explain(sample_of(room(1, 3, seed=1)), memory, (0.9, 0.9))
    assert "none of" not in usual.text or min(usual.distances) < 0.3
    nothing = patches.condition(sample_of(rows).select([]))
    assert patches.explain(sample_of(video), nothing, (0.4, 0.4)) is None


def test_it_names_the_patch_that_is_nearest():
    patches = expert()
    rows = room(3, 6)
    rows[1, 4, :, 2, 3] = thing()
    memory = patches.condition(sample_of(rows))
    video = room(1, 3, seed=1)
    video[0, :, :, 2, 2] = 0.7 * thing()  # beside where it was, and not quite the same
    nearest = patches.explain(sample_of(video), memory, (0.6, 0.4)).nearest
    assert (nearest.shot, nearest.tick) == (1, 4)
    assert nearest.here == pytest.approx((2 / 6, 2 / 4, 3 / 6, 3 / 4))
    assert nearest.there == pytest.approx((3 / 6, 2 / 4, 4 / 6, 3 / 4))


def test_a_coreset_knows_where_each_patch_is_from():
    patches = expert(memory=3)
    rows = room(4, 6, noise=20.0)
    memory = patches.condition(sample_of(rows))
    assert memory["ticks"].unique().numel() > 1
    for number, row, column in ((0, 0, 0), (1, 2, 3), (2, 3, 5)):
        shot, tick = (int(memory[name][number, row, column]) for name in ("shots", "ticks"))
        own = patches.projection @ (rows[shot, tick, :, row, column].to(torch.int8).float() / STEPS)
        torch.testing.assert_close(memory["vectors"][number, :, row, column], own, rtol=1e-4, atol=1e-4)


def test_without_shots_every_score_is_the_floor():
    patches, sample = expert(), sample_of(room(1, 5))
    assert patches.needs_support
    assert not patches.zero_shot
    nothing = patches.condition(sample.select([]))
    assert (patches.score(sample, nothing) == patches.floor).all()


@pytest.mark.parametrize("shown", [0, 3])
def test_learning_makes_nuisance_count_for_little(shown):
    """A direction in which every place varies from clip to clip loses weight against those that tell places apart."""
    patches = expert(dimension=8)
    light = torch.randn(CHANNELS, generator=torch.Generator().manual_seed(5))
    light = light / light.norm()

    def clips(count, seed):
        level = torch.randn(count, 1, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
        each = torch.randn(count, 4, 1, 1, 1, generator=torch.Generator().manual_seed(seed + 100))
        return sample_of(room(count, 4, seed=seed, noise=1.0) / 4 + 60 * (level + each) * light[:, None, None])

    def ratio():
        projection = patches.projection.detach()
        return float((projection @ light).norm() / projection.norm())

    before = ratio()
    optimiser = torch.optim.Adam(patches.parameters(), 0.02)
    for step in range(25):
        memory = patches.condition(clips(3, 2 * step).select(range(shown)))
        optimiser.zero_grad()
        patches.loss(clips(2, 2 * step + 1), memory).backward()
        optimiser.step()
    assert ratio() < 0.5 * before
