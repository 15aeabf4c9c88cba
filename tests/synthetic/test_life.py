"""Ordinary life: who stops on the way, and who leaves it."""

import numpy as np
import pytest

from metavad.synthetic.camera import sample_camera
from metavad.synthetic.life import Stage, everyday
from metavad.synthetic.plan import abnormal_kinds
from metavad.synthetic.props import off_routes


def cameras(habit, wanted=True, count=4):
    found = (spec for n in range(80) if (habit in (spec := sample_camera(4, n, "tiny")).habits.includes) == wanted)
    return [next(found) for _ in range(count)]


def walkers(spec, seconds=40.0):
    """Everyday passers-by that are seen: position (n, 2) and metres a second (n,) of each."""
    stage = Stage(spec, round(seconds * spec.fps), spec.generator(9, 0))
    for actor in everyday(stage):
        spots = actor.position[:, :2]
        seen = stage.inside(spots)
        if actor.kind == "person" and actor.passing and seen.sum() > 2:
            yield spots[seen], np.linalg.norm(np.gradient(spots, axis=0), axis=1)[seen] * spec.fps


@pytest.mark.parametrize(("habit", "kind"), [("pausing", "loitering"), ("roaming", "wrong-place")])
def test_what_people_do_anyway_is_no_event(habit, kind):
    assert all(kind not in abnormal_kinds(spec) for spec in cameras(habit))


def test_some_walkers_stop_for_seconds_where_that_is_a_habit_and_none_elsewhere():
    def standing(spec):
        return max((float((speed < 0.1).sum() / spec.fps) for _, speed in walkers(spec)), default=0.0)

    calm = [spec for spec in cameras("pausing", False, 8) if "roaming" not in spec.habits.includes]
    assert max(standing(spec) for spec in calm) < 0.3
    assert np.median([standing(spec) for spec in cameras("pausing", count=8)]) > 2.0


def test_some_walkers_leave_the_ways_where_that_is_a_habit_and_none_elsewhere():
    def astray(spec):
        return max(float(off_routes(spec, spots).max()) for spots, _ in walkers(spec))

    strict = [spec for spec in cameras("roaming", False, 8) if spec.kind != "corridor"]
    assert max(astray(spec) for spec in strict) < 0.8
    assert max(astray(spec) for spec in cameras("roaming")) > 1.5


def test_nobody_jumps_or_hurries_to_a_spot():
    for spec in (*cameras("pausing"), *cameras("roaming")):
        slow = [speed for _, speed in walkers(spec) if np.median(speed) < 2.0]
        assert max(float(speed.max()) for speed in slow) < 2.5
