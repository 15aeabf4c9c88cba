"""The picture of an event, and which shot stands beside it."""

import cv2
import numpy as np
import pytest

from metavad.scoring.explain import Explanation
from metavad.scoring.pictures import around, decoded, framed, nearest_shot, side_by_side


def picture(column, height=48, width=64):
    """Grey with a bright bar at a column (of 64)."""
    found = np.full((height, width, 3), 90, np.uint8)
    found[:, column * width // 64 : (column + 6) * width // 64] = 250
    return found


SHOTS = [picture(4, 24, 32), picture(30, 24, 32), picture(50, 24, 32)]
BOX = (20.0, 8.0, 44.0, 40.0)


def test_nearest_by_looks_inside_the_box():
    assert nearest_shot(None, picture(30), BOX, SHOTS) == 1
    assert nearest_shot(None, picture(50), None, SHOTS) == 2
    assert nearest_shot(None, picture(50), BOX, []) is None


def test_what_the_expert_says_goes_first():
    why = Explanation("something moves", {"flow_density": 1.0}, (0.5, 0.5), (0.3, 0.1, 0.0))
    assert nearest_shot(why, picture(4), BOX, SHOTS) == 2
    assert nearest_shot(why, picture(4), BOX, []) == 2


def test_light_alone_makes_no_difference():
    assert nearest_shot(None, (picture(30) // 2), BOX, [SHOTS[0], SHOTS[1] // 3, SHOTS[2]]) == 1


def test_a_box_at_the_edge_is_still_a_patch():
    assert nearest_shot(None, picture(50), (63.2, 47.1, 64.0, 48.0), SHOTS) in range(3)


def test_the_box_is_drawn_where_it_is():
    drawn = framed(picture(30), BOX, 96)
    assert drawn.shape == (96, 128, 3)
    red = (drawn[..., 2].astype(int) - drawn[..., 0]) > 100
    rows, columns = np.nonzero(red)
    assert (rows.min(), columns.min()) == (pytest.approx(16, abs=2), pytest.approx(40, abs=2))
    assert (rows.max(), columns.max()) == (pytest.approx(79, abs=2), pytest.approx(87, abs=2))
    assert np.array_equal(framed(picture(30), None, 48), picture(30))


def test_pictures_stand_beside_each_other():
    sheet = side_by_side([picture(4), picture(30)], ["now", "shown"])
    assert sheet.shape[1] == 2 * 64 + 10
    assert np.array_equal(sheet[:48, :64], picture(4))
    assert np.array_equal(sheet[:48, -64:], picture(30))
    assert (sheet[48:] < 128).any()


def test_a_damaged_picture_is_black():
    good = cv2.imencode(".png", picture(4))[1].tobytes()
    found = decoded([good, b"x", b""])
    assert np.array_equal(found[0], picture(4))
    assert found[1].max() == found[2].max() == 0


def test_around_a_place_stays_inside():
    assert around((0.5, 0.5), (100, 200, 3)) == (90, 40, 110, 60)
    assert around((0.0, 1.0), (100, 200)) == (190, 0, 200, 10)
