"""What happens to the whole picture, each told apart on generated footage; what happens in the scene is none of it."""

import av
import cv2
import numpy as np
import pytest

from metavad.live.conditions import PictureConditions
from metavad.scenes.suite import load_suite

RATE, AT = 10, 12.0
"""Pictures a second, and seconds at which something happens."""


@pytest.fixture(scope="module")
def ordinary(cameras):
    """Of each camera the pictures of a generated video with walkers, back and forth for as long as it takes."""
    return [_pictures(scene.normal[0].path) for scene in load_suite(str(cameras)).scenes]


def _pictures(path):
    with av.open(str(path)) as container:
        found = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    there = found + found[-2:0:-1]
    return lambda seconds: [(there[n % len(there)], n / RATE) for n in range(round(seconds * RATE))]


def altered(footage, change, seconds=24.0, until=np.inf):
    return [(change(grey, time) if AT <= time < until else grey, time) for grey, time in footage(seconds)]


def gamma(power):
    return lambda grey, _: np.round(255 * (grey / 255) ** power).astype(np.uint8)


def shifted(down, across):
    return lambda grey, _: np.roll(grey, (round(down * len(grey)), round(across * len(grey))), (0, 1))


def jitter(grey, time):
    height, width = grey.shape
    down, across = np.random.default_rng(round(time * RATE)).normal(0, 0.01 * height, 2)
    matrix = np.array([[1, 0, across], [0, 1, down]], np.float32)
    return cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


CHANGES = {
    "darker": (gamma(1.5), "light", 1.0),
    "brighter": (gamma(0.6), "light", 1.0),
    "turned a little": (shifted(0.06, 0.08), "moved", 6.0),
    "turned far": (shifted(0.3, 0.4), "moved", 6.0),
    "wind": (jitter, "shaking", 3.0),
    "black": (lambda grey, _: np.full_like(grey, 4), "covered", 5.0),
    "a hand": (lambda grey, _: cv2.GaussianBlur(grey, (0, 0), len(grey) / 6), "covered", 5.0),
}


def found_in(pictures):
    """Every condition that begins, with the time at which that is known; and what each watcher says in the end."""
    conditions = PictureConditions()
    begun = [(each, time) for grey, time in pictures for each in conditions.push(grey, time) if each.end is None]
    return begun, conditions


@pytest.mark.parametrize("name", CHANGES)
def test_each_is_what_it_is_and_soon(ordinary, name):
    change, kind, late = CHANGES[name]
    for footage in ordinary:
        begun, conditions = found_in(altered(footage, change))
        assert [each.kind for each, _ in begun] == [kind]
        assert begun[0][0].start == pytest.approx(AT, abs=1.0)
        assert begun[0][1] <= AT + late
        assert conditions.during(AT + 0.2, AT + 1.5) == kind
        assert conditions.during(AT - 6, AT - 4) is None
        assert conditions.during(AT - 6, AT + 1.5) is None, "what began before is not explained by it"


def test_a_frozen_picture(ordinary):
    still = ordinary[0](AT)[-1][0]
    begun, conditions = found_in(altered(ordinary[0], lambda *_: still, 95.0))
    assert [each.kind for each, _ in begun] == ["frozen"]
    assert begun[0][1] == pytest.approx(AT + 75, abs=1)
    assert conditions.during(20, 21) is None, "nothing that happens in a scene is explained by it"


def test_walkers_are_none_of_it(ordinary):
    for footage in ordinary:
        begun, conditions = found_in(footage(30.0))
        assert begun == []
        assert conditions.during(10, 12) is None


def test_what_moves_over_the_lower_half_is_no_camera_that_moves(ordinary):
    def belt(grey, time):
        half, across = len(grey) // 2, round(0.04 * len(grey) * np.sin(4 * time))
        return np.concatenate([grey[:half], np.roll(grey[half:], across, axis=1)])

    for footage in ordinary:
        assert found_in(altered(footage, belt))[0] == []


def test_light_in_half_of_the_picture_is_none_of_it(ordinary):
    def lamp(grey, _):
        half = grey.shape[1] // 2
        return np.concatenate([grey[:, :half], gamma(0.5)(grey[:, half:], 0)], axis=1)

    for footage in ordinary:
        assert [each for each, _ in found_in(altered(footage, lamp))[0] if each.kind == "light"] == []


def test_an_exposure_that_swings_all_the_time_is_usual_soon(ordinary):
    def swings(grey, time):
        return np.clip(grey * (1 + 0.25 * np.sin(1.6 * time)), 0, 255).astype(np.uint8)

    begun, conditions = found_in([(swings(grey, time), time) for grey, time in ordinary[0](40.0)])
    assert all(each.start < 15 for each, _ in begun)
    assert conditions.during(25, 26) is None


def test_what_is_over_is_reported_so_and_the_view_that_comes_back_is_the_old_one(ordinary):
    conditions, found = PictureConditions(), []
    for grey, time in altered(ordinary[1], shifted(0.3, 0.4), 30.0, until=20.0):
        found += conditions.push(grey, time)
    assert [(each.kind, each.end is None) for each in found] == [("moved", True), ("moved", False)]
    assert found[1].start == found[0].start
    assert found[1].end == pytest.approx(20, abs=0.5)
    assert "show new clips" in found[0].text


def test_before_it_is_certain_it_is_suspected(ordinary):
    conditions = PictureConditions()
    begun = [
        each for grey, time in altered(ordinary[1], shifted(0.3, 0.4), 13.0) for each in conditions.push(grey, time)
    ]
    assert begun == []
    assert conditions.during(AT + 0.2, AT + 0.9) == "moved"


def test_a_gap_ends_what_went_on_and_keeps_the_view(ordinary):
    conditions, found = PictureConditions(), []
    for grey, time in altered(ordinary[0], lambda grey, _: np.full_like(grey, 4), 18.0):
        found += conditions.push(grey, time)
    found += conditions.push(ordinary[0](1)[0][0], 100.0)
    assert [(each.kind, each.end is None) for each in found] == [("covered", True), ("covered", False)]
    for grey, time in ordinary[0](8):
        found += conditions.push(shifted(0.3, 0.4)(grey, 0), 100.1 + time)
    assert [each.kind for each in found[2:]] == ["moved"]


def test_it_is_causal(ordinary):
    pictures = altered(ordinary[0], jitter)
    whole = found_in(pictures)[0]
    part = found_in(pictures[:160])[0]
    assert part == [each for each in whole if each[1] < 16.0]
    assert part
