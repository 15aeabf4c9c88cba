"""Of which events somebody is told: polygons, a schedule over midnight and daylight saving, cooldown, minimum."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metavad
from metavad.errors import UsageError
from metavad.live.rules import Polygon, Rules, Schedule, ignored_cells, is_local, time_zone
from metavad.scenes.scene import Crop
from metavad.scenes.suite import load_suite
from tests.live.conftest import event

BERLIN = ZoneInfo("Europe/Berlin")
LOWER_HALF = Polygon.parse("0,0.5 1,0.5 1,1 0,1")


def at(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


# --- where nothing counts ------------------------------------------------------------------------------------


def test_cells_are_ignored_where_their_middle_is():
    found = ignored_cells([LOWER_HALF], (4, 3), (100, 200), Crop())
    assert found.tolist() == [[False] * 3] * 2 + [[True] * 3] * 2
    corner = ignored_cells([Polygon.parse("0,0 0.3,0 0,0.6")], (2, 2), (100, 100), Crop())
    assert corner.tolist() == [[True, False], [False, False]] or corner.sum() <= 1
    assert ignored_cells([], (4, 3), (100, 200), Crop()) is None


def test_regions_are_of_the_whole_picture_and_cells_of_the_cropped_one():
    """Of 100 rows the upper 50 are cut off: the lower half is all that there is, the lower quarter half of it."""
    crop = Crop(top=50)
    with pytest.raises(UsageError, match="leave something of the picture"):
        ignored_cells([LOWER_HALF], (4, 3), (50, 200), crop)
    quarter = ignored_cells([Polygon.parse("0,0.75 1,0.75 1,1 0,1")], (4, 3), (50, 200), crop)
    assert quarter.tolist() == [[False] * 3] * 2 + [[True] * 3] * 2


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=2, max_size=2),
    st.floats(0, 1, width=32),
    st.floats(0, 1, width=32),
)
def test_a_box_contains_what_lies_between_its_corners(corners, x, y):
    (x0, x1), (y0, y1) = (sorted(each) for each in zip(*corners, strict=True))
    box = Polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    if x0 < x < x1 and y0 < y < y1:
        assert box.contains(x, y)
    if not (x0 - 1e-6 <= x <= x1 + 1e-6 and y0 - 1e-6 <= y <= y1 + 1e-6):
        assert not box.contains(x, y)


@pytest.mark.parametrize("text", ["", "0,0 1,1", "0,0 1,0 2,2", "a,b c,d e,f", "0 0 1 1 1 0", "0,0 1,0 nan,1"])
def test_what_is_no_polygon(text):
    with pytest.raises(UsageError, match="three corners or more as shares"):
        Polygon.parse(text)


def test_what_happens_in_an_ignored_region_scores_nothing(cameras, tiny_base):
    """Everywhere else the scores of places are the same; all of it ignored but a corner, scores are lower."""
    scene = load_suite(str(cameras)).scenes[0]
    detector = metavad.adapt(tiny_base, scene, shots=2, alarms_per_day=10)
    cells = np.zeros(detector.grid, bool)
    cells[:, 1:] = True
    calmer = detector.ignoring(cells)
    assert calmer.digest == detector.digest
    before = [frame.score for frame in metavad.score(detector, scene.test[0])]
    frames = list(metavad.score(replace(calmer, threshold=-1.0), scene.test[0]))
    assert all(frame.score <= score for frame, score in zip(frames, before, strict=True))
    assert min(before) < max(before)
    width = detector.camera.width / detector.grid[1]
    boxes = [frame.box for frame in frames if frame.box is not None]
    assert boxes
    assert max(box[2] for box in boxes) <= width + 1e-6


# --- when somebody is told -----------------------------------------------------------------------------------


def test_a_schedule_over_midnight_belongs_to_the_day_on_which_it_begins():
    nights = Schedule.parse("mon-fri 18:00-07:00", BERLIN)
    assert [nights.contains(at(text)) for text in ("2026-05-29T17:59", "2026-05-29T18:00", "2026-05-29T23:59")] == [
        False,
        True,
        True,
    ]
    assert nights.contains(at("2026-05-30T06:59")), "of Friday's night"
    assert not nights.contains(at("2026-05-30T07:00"))
    assert not nights.contains(at("2026-05-30T20:00")), "Saturday"
    assert not nights.contains(at("2026-06-01T03:00")), "of Sunday's night"
    assert nights.contains(at("2026-06-01T18:30")), "Monday"


def test_several_spans_and_whole_days():
    weekend = Schedule.parse("mon-thu 22:00-06:00; sat,sun 00:00-24:00", BERLIN)
    assert weekend.contains(at("2026-05-30T00:00"))
    assert weekend.contains(at("2026-05-31T23:59:59"))
    assert not weekend.contains(at("2026-05-29T12:00"))
    assert Schedule.parse("daily 08:00-08:00", BERLIN).contains(at("2026-05-29T03:00"))
    around = Schedule.parse("fri-mon 10:00-11:00", BERLIN)
    assert [around.contains(at(f"2026-05-{day}T10:30")) for day in (28, 29, 30, 31)] == [False, True, True, True]
    assert around.contains(at("2026-06-01T10:30"))
    assert not around.contains(at("2026-06-02T10:30"))


def test_the_hour_that_comes_twice_counts_twice_and_one_that_is_left_out_never():
    """In Berlin in 2026, clocks go forward on 29 March at 2:00, and back on 25 October at 3:00."""
    early = Schedule.parse("daily 02:00-03:00", BERLIN)
    assert early.contains(at("2026-10-25T02:30", fold=0))
    assert early.contains(at("2026-10-25T02:30", fold=1))
    assert at("2026-10-25T02:30", fold=1) - at("2026-10-25T02:30", fold=0) == 3600
    night = [at("2026-03-28T23:00") + 60 * minute for minute in range(6 * 60)]
    assert not any(early.contains(each) for each in night)
    whole = Schedule.parse("daily 22:00-06:00", BERLIN)
    assert sum(whole.contains(at("2026-03-28T20:00") + 60 * n) for n in range(12 * 60)) == 7 * 60
    assert sum(whole.contains(at("2026-10-24T20:00") + 60 * n) for n in range(13 * 60)) == 9 * 60


@given(st.integers(0, 2_000_000_000), st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
def test_a_schedule_and_the_rest_of_the_week_are_all_of_it(seconds, name):
    zone = ZoneInfo(name)
    inside = Schedule.parse("mon-fri 18:00-07:00; sat,sun 00:00-24:00; mon 00:00-07:00", zone).contains(seconds)
    outside = Schedule.parse("mon-fri 07:00-18:00", zone).contains(seconds)
    assert inside != outside


@pytest.mark.parametrize(
    "text",
    ["", "always", "mon 25:00-26:00", "mon 10:60-11:00", "mon 24:00-10:00", "mo 10:00-11:00", "mon 10-11", "mon"],
)
def test_what_is_no_schedule(text):
    with pytest.raises(UsageError, match="--schedule: expected days and times"):
        Schedule.parse(text)


def test_a_time_zone_that_nobody_knows():
    assert time_zone(None) is None
    for name in ("Mars/Olympus", "../etc", ""):
        with pytest.raises(UsageError, match="--time-zone: expected a name"):
            time_zone(name)


def test_an_event_is_announced_once_it_is_long_enough():
    rules = Rules(minimum=2.0)
    assert rules.withheld(event(10, 11), None) == "short"
    assert rules.withheld(event(10, 12), None) is None


def test_the_cooldown_begins_at_the_end_of_the_last_event_announced():
    rules, last = Rules(cooldown=60.0), event(10, 12)
    soon, later = event(71, 72, id="soon"), event(72, 73, id="later")
    assert rules.withheld(soon, last) == "cooldown"
    assert rules.withheld(later, last) is None
    assert rules.withheld(last, last) is None
    assert Rules().withheld(soon, last) is None


def test_what_happened_to_the_picture_and_links_go_first():
    rules = Rules(minimum=60.0)
    assert rules.withheld(event(condition="moved"), None) == "moved"
    linked = event(linked_to="before", condition="light")
    assert rules.withheld(linked, None, is_link_announced=True) == "linked"
    assert rules.withheld(linked, None) == "light"


@pytest.mark.parametrize("kind", ["light", "shaking", "moved", "covered", "frozen"])
def test_what_is_in_one_place_is_announced_while_something_can_be_seen(kind):
    withheld = Rules().withheld(event(condition=kind, is_local=True), None)
    assert withheld == (kind if kind in ("covered", "frozen") else None)
    assert Rules().withheld(event(condition=kind), None) == kind


def test_surprise_is_in_one_place_or_all_over_the_picture():
    calm = np.random.default_rng(0).uniform(0, 2, (12, 16))
    person, light = calm.copy(), np.random.default_rng(1).uniform(0, 9, (12, 16))
    person[4:7, 3:5] = 8.0
    assert is_local(person)
    assert not is_local(light)
    assert not is_local(calm)
    light[4:7, 3:5] = 30.0
    assert is_local(light), "what is far above the rest is something else than the light"
    assert not is_local(np.zeros((12, 16)))
    assert not is_local(np.full((2, 2), 5.0)), "nothing is elsewhere"


def test_an_event_that_reaches_into_the_schedule_is_announced():
    rules = Rules(schedule=Schedule.parse("daily 22:30-23:00", BERLIN))
    inside = at("2026-05-28T22:30") - event().start
    early = replace(event(), start=event().start + inside - 60, end=event().start + inside - 1)
    assert rules.withheld(early, None) == "schedule"
    assert rules.withheld(replace(early, end=early.end + 1), None) is None
    assert rules.withheld(replace(early, clock="file"), None) is None, "a file has no time of day"


def test_no_time_is_below_nothing():
    with pytest.raises(UsageError, match="--cooldown: expected 0 seconds or more"):
        Rules(cooldown=-1)
