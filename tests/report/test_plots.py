import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import DataError
from metavad.report import plots
from metavad.report.grid import Cell
from metavad.report.plots import INK, _apart, auc_over_shots, heat_overlay, timeline
from tests.records import only_rows, with_rows


def words(svg):
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_curves_name_every_method_with_its_last_figure(record):
    found = words(auc_over_shots(record, "ped_2"))
    assert {"adapted 98.0", "fine-tune 94.0", "wrong-scene 89.0", "zero-shot 90.0"} <= set(found)
    assert "position 55.0 ↓" in found  # far under all curves: named at the foot
    assert {"1", "10", "K, clips shown"} <= set(found)
    assert auc_over_shots(record, "ped_2").count(INK["fine-tune"]) >= 2


def test_curves_are_the_same_for_the_same_record(record):
    assert auc_over_shots(record, "lawn") == auc_over_shots(record, "lawn")


def test_curves_hold_with_one_number_of_shots_none_and_undefined(record):
    few, none = (only_rows(record, lambda row, kept=kept: row.shots in kept) for kept in ((0, 1), (0,)))
    assert "adapted 94.0" in words(auc_over_shots(few, "ped_2"))
    assert "zero-shot 90.0" in words(auc_over_shots(none, "ped_2"))
    assert words(auc_over_shots(with_rows(record, lambda row: True, micro_auc=None), "ped_2"))


def test_curves_of_an_unknown_scene_are_an_error(record):
    with pytest.raises(DataError, match="known: ped_2, lawn, mean"):
        auc_over_shots(record, "moon")


@given(st.lists(st.floats(-3, 12), min_size=1, max_size=8))
def test_names_are_a_gap_apart_within_bounds_and_in_order(heights):
    placed = _apart(sorted(heights), 1, 0, 10)
    assert all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(placed))
    assert min(placed) >= -1e-9
    assert max(placed) <= 10 + 1e-9


def drawn(seconds, scores, labels=None, threshold=np.inf, alarms=()):
    """A timeline without what is not given."""
    labels = np.zeros(len(seconds), bool) if labels is None else labels
    return timeline(seconds, scores, labels=labels, threshold=threshold, alarms=np.reshape(alarms, (-1, 2)).astype(int))


def test_in_a_timeline_gaps_take_no_room():
    seconds = np.arange(40) / 10
    joined = np.concatenate([seconds[:20], 3600 + seconds[:20]])
    labels = np.arange(40) >= 18
    whole, parted = (drawn(times, np.zeros(40), labels, 1.0) for times in (seconds, joined))
    assert "seconds of pictures" in words(parted)
    assert [word for word in words(parted) if word[0].isdigit()] == [word for word in words(whole) if word[0].isdigit()]


def test_names_that_do_not_collide_stay():
    assert _apart([1, 3, 5], 1, 0, 10) == [1, 3, 5]
    assert _apart([4, 4], 1, 0, 10) == [3.5, 4.5]


def test_timeline_shows_truth_threshold_and_alarms():
    seconds, scores = np.arange(100) / 10, np.zeros(100)
    scores[40:60] = 5
    plain = drawn(seconds, scores)
    full = drawn(seconds, scores, scores > 0, 2.0, [[40, 60]])
    assert INK["truth"] not in plain
    assert INK["alarm"] not in plain
    assert full.count(INK["truth"]) == 1
    assert full.count(INK["alarm"]) == 2  # line and bar
    assert drawn(seconds, scores, threshold=2.0, alarms=[[10, 20], [40, 60]]).count(INK["alarm"]) == 3
    assert drawn(seconds, scores, threshold=9.0).count(INK["alarm"]) == 1


def test_timeline_keeps_the_peak_of_a_long_video_and_stays_small():
    scores = np.random.default_rng(0).normal(size=90_000)
    scores[12_345] = 100
    svg = drawn(np.arange(90_000) / 25, scores)
    assert "100" in words(svg)
    assert len(svg) < 120_000


def test_timeline_holds_for_one_frame_and_refuses_none():
    assert drawn(np.array([0.0]), np.array([1.0]))
    with pytest.raises(DataError, match=r"rows of \[0\] frames"):
        drawn(np.array([]), np.array([]))
    with pytest.raises(DataError, match=r"rows of \[2, 3\] frames"):
        drawn(np.zeros(3), np.zeros(2))


def test_heat_is_where_the_map_is_and_nowhere_else():
    frame = np.full((120, 160, 3), 90, np.uint8)
    heat = np.zeros((12, 16))
    heat[3, 4] = 2.0
    picture = heat_overlay(frame, heat)
    changed = (picture != frame).any(axis=2)
    assert changed[30:40, 40:50].any()
    assert not changed[60:].any()
    assert not changed[:, 80:].any()
    assert (picture == 255).all(axis=2).any()  # the box


def test_a_flat_map_leaves_the_frame_alone():
    frame = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    assert (heat_overlay(frame, np.ones((4, 6))) == frame).all()
    with pytest.raises(DataError, match="frame"):
        heat_overlay(frame[..., 0], np.ones((4, 6)))


def curves(**values):
    """Curves of figures at K = 1 and 10, a level where there is one number only."""
    return {
        name.replace("_", "-"): plots._Curve(given[0], {})
        if len(given) == 1
        else plots._Curve(None, {k: Cell(each / 100) for k, each in zip((1, 10), given, strict=True)})
        for name, given in values.items()
    }


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({"adapted": (96, 98), "wrong_scene": (80, 40), "position": (20,)}, 95.7, 98.3),
        ({"adapted": (96, 98), "wrong_scene": (97, 95.5), "position": (95.2,)}, 94.9, 98.3),
        ({"adapted": (96, 98), "position": (99.5,)}, 95.7, 99.8),
        ({"wrong_scene": (80, 40)}, 35, 85),
        ({"zero_shot": (92,), "position": (20,)}, 11.4, 100.4),
        ({"position": (0.2,)}, -0.4, 1.5),
    ],
)
def test_what_lies_far_below_leaves_the_curves_their_room(given, low, high):
    assert plots._window(curves(**given)) == pytest.approx((low, high), abs=0.35)
