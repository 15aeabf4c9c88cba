"""What is said of an event must be true: hand-made motion whose right sentence is known."""

from dataclasses import replace

import pytest
import torch

from metavad.experts.direction import Direction
from metavad.experts.flow_density import FlowDensity
from metavad.experts.presence import Presence, Stillness
from metavad.experts.shown import fastest, headings, largest
from metavad.features.sample import Sample
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.scoring.explain import explain, whereabouts

ROWS, COLUMNS, TICKS = 12, 16, 6
HERE = (0.5, 0.5)


def moving(*ways, ticks=TICKS, cell=(6, 8)):
    """Clips in which nothing moves but one cell, by (right, down) heights/second: one clip for each way."""
    flow = torch.zeros(len(ways), ticks, 3, ROWS, COLUMNS)
    for clip, (right, down) in enumerate(ways):
        flow[clip, :, :, cell[0], cell[1]] = torch.tensor([right, down, (right**2 + down**2) ** 0.5])
    known = {"flow": torch.ones(len(ways), ticks, dtype=torch.bool)}
    return Sample({"flow": flow}, known, torch.arange(ticks).expand(len(ways), ticks) / 10)


@pytest.fixture
def flow_density(tiny_config):
    torch.manual_seed(0)
    return FlowDensity.build(tiny_config)


@pytest.fixture
def direction(tiny_config):
    return Direction.build(tiny_config)


def sentence(expert, support, event, place=HERE):
    return expert.explain(event, expert.condition(support), place)


@pytest.mark.parametrize(("times", "number"), [(3, "3.0"), (3.14, "3.1"), (1.2, "1.2"), (10, "10.0")])
def test_three_times_the_speed_is_called_three_times(flow_density, times, number):
    reason = sentence(flow_density, moving((0.1, 0), (0.2, 0)), moving((-0.2 * times, 0)))
    assert reason.text == f"moves {number} times as fast as anything shown at this place"


def test_the_nearest_shot_is_the_one_of_the_nearest_speed(flow_density):
    reason = sentence(flow_density, moving((0.1, 0), (0.5, 0), (0.2, 0)), moving((1.0, 0)))
    assert min(range(3), key=lambda shot: reason.distances[shot]) == 1
    assert reason.distances == pytest.approx((0.9, 0.5, 0.8))


def test_no_faster_than_shown_is_not_called_faster(flow_density):
    reason = sentence(flow_density, moving((0.3, 0)), moving((0.3, 0)))
    assert "times" not in reason.text
    assert "no faster than all that was shown" in reason.text


def test_where_nothing_moved_nothing_is_compared(flow_density):
    elsewhere = moving((0.5, 0), cell=(1, 1))
    assert sentence(flow_density, elsewhere, moving((0.5, 0))).text == "moves where nothing shown ever moved"
    nearby = moving((0.5, 0), cell=(6, 9))
    assert "1.0 times" not in sentence(flow_density, nearby, moving((0.5, 0))).text


def test_without_shots_other_cameras_are_meant(flow_density, direction):
    nothing = moving((0.1, 0)).select([])
    assert "other cameras" in sentence(flow_density, nothing, moving((1.0, 0))).text
    assert sentence(direction, nothing, moving((1.0, 0))) is None


@pytest.mark.parametrize(
    ("shown", "now", "text"),
    [
        ([(0.2, 0)], (-0.2, 0), "moves left, against every direction shown here"),
        ([(0.2, 0), (0.2, 0.2)], (-0.2, 0), "moves left, against every direction shown here"),
        ([(0.2, 0)], (0, -0.2), "moves up, which nothing shown here did"),
        ([(0.2, 0), (-0.2, 0)], (0, 0.2), "moves down, which nothing shown here did"),
        ([(0.2, 0)], (0.2, 0.2), "moves down and right, which is rare here"),
        ([(0.2, 0), (-0.2, 0.02)], (-0.2, 0), "moves left, which is rare here"),
    ],
)
def test_directions(direction, shown, now, text):
    assert sentence(direction, moving(*shown), moving(now)).text == text


def test_what_barely_moved_shows_no_direction(direction):
    assert sentence(direction, moving((0.01, 0)), moving((-0.3, 0))) is None


def test_what_is_remembered_is_the_most_of_the_neighbourhood():
    support = moving((0.2, 0), (0, 0.4))
    assert fastest(support).shape == (2, ROWS, COLUMNS)
    assert fastest(support).amax((1, 2)).tolist() == pytest.approx([0.2, 0.4])
    assert (fastest(support)[0] > 0).sum() == 3  # one row, three columns: a tenth and a fifth of 12 rows
    ways = headings(support)
    assert ways.amax((1, 2)).tolist() == pytest.approx([0.2, 0, 0.4, 0, 0, 0, 0, 0])
    assert fastest(support.select([])).shape == (0, ROWS, COLUMNS)
    assert headings(support.select([])).sum() == 0
    assert torch.equal(largest(torch.zeros(0, 3, 4)), torch.zeros(0, 3, 4))


def test_ticks_that_are_not_known_show_nothing():
    support = moving((0.2, 0))
    unknown = Sample(support.features, {"flow": torch.zeros(1, TICKS, dtype=torch.bool)}, support.seconds)
    assert fastest(unknown).sum() == 0
    assert headings(unknown).sum() == 0


@pytest.mark.parametrize(
    ("expert", "now", "most", "text"),
    [
        (
            Presence,
            0.6,
            0.2,
            "differs from the background over 60 % of the view here, where nothing shown did over more than 20 %",
        ),
        (Presence, 0.2, 0.2, "differs from the background over 20 % of the view here"),
        (Stillness, 0.9, 0.02, "stays where nothing ever stayed"),
        (Stillness, 0.9, 0.5, "stays longer than anything shown here"),
        (Stillness, 0.9, 0.9, "stays where little was seen to stay"),
    ],
)
def test_what_is_there(expert, now, most, text):
    assert expert.sentence(now, most) == text


@pytest.fixture(scope="module")
def scored(tiny_base, cameras):
    from metavad.episodes import draw_shots
    from metavad.features.library import Library
    from metavad.scenes.cache import Store
    from metavad.scenes.suite import load_suite

    library = Library(load_suite(str(cameras)).scenes, tiny_base.config.data, tiny_base.features, Store())
    scene = next(iter(library.scenes))
    features = library.video_features(scene, "test", library.scenes[scene].test[0].name)
    sample = library.part(features, 0, len(features))
    shots = library.sample(draw_shots(library.spans(scene), 4, 16, 0).clips)
    grid = library.grid(scene)
    return {k: (fit(Adapted(tiny_base), shots.select(range(k)), grid), sample) for k in (0, 4)}


def test_the_shares_are_those_of_the_fused_surprise(scored):
    model, sample = scored[4]
    found = model.score(sample)
    surprising = torch.nonzero(found.fused[0].amax((1, 2)) > 0)[:, 0].tolist()
    assert len(surprising) > 3
    for tick in surprising:
        cell = divmod(int(found.fused[0, tick].argmax()), found.fused.shape[-1])
        parts = model.contributions(found, tick, cell)
        assert sum(parts.values()) == pytest.approx(float(found.fused[0, tick, cell[0], cell[1]]), rel=1e-4)
        why = explain(model, sample, found, tick)
        assert sum(why.shares.values()) == pytest.approx(1)
        assert min(why.shares.values()) >= 0
        assert why.text.startswith("something ")
        assert why.text.endswith(")")


def test_without_shots_nothing_shown_is_spoken_of(scored):
    model, sample = scored[0]
    found = model.score(sample)
    high = {name: each + 100 for name, each in found.maps.items()}
    loud = replace(found, maps=high, fused=found.fused + 1)
    texts = {explain(model, sample, loud, tick).text for tick in range(5, 25)}
    assert not [text for text in texts if "shown" in text]


def test_an_explanation_depends_on_no_later_tick(scored):
    model, sample = scored[4]
    whole, cut = model.score(sample), sample.until(12)
    assert explain(model, sample, whole, 12).text == explain(model, cut, model.score(cut), 12).text


def test_nothing_is_reported_of_what_does_not_surprise(scored):
    model, sample = scored[4]
    found = model.score(sample)
    nothing = replace(found, fused=found.fused * 0)
    assert explain(model, sample, nothing, 5) is None


def test_whereabouts_are_thirds():
    found = {whereabouts((y / 6, x / 6)) for y in (1, 3, 5) for x in (1, 3, 5)}
    assert found == {
        *("top left", "top", "top right", "left", "middle", "right"),
        *("bottom left", "bottom", "bottom right"),
    }


def test_presence_says_nothing_before_anything_was_shown(tiny_config):
    sample = Sample(
        {"frames": torch.rand(1, 3, 16, 24), "flow": torch.zeros(1, 3, 3, 8, 12)},
        {"frames": torch.ones(1, 3, dtype=torch.bool), "flow": torch.ones(1, 3, dtype=torch.bool)},
        torch.arange(3)[None] / 10,
    )
    for expert in (Presence.build(tiny_config), Stillness.build(tiny_config)):
        assert expert.explain(sample, expert.condition(sample.select([])), HERE) is None
        assert expert.explain(sample, expert.condition(sample), HERE) is not None
