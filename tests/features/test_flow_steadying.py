import numpy as np
import pytest

from metavad.features.flow import global_motion, steadied
from metavad.features.flow.steadying import applied

HEIGHT, WIDTH = 60, 90


def shaken(model, share=0.3, seed=0):
    """A camera's motion, a large thing that moves on its own, and noise."""
    flow = applied(np.array(model), HEIGHT, WIDTH) + np.random.default_rng(seed).normal(0, 0.05, (HEIGHT, WIDTH, 2))
    flow[:, : round(WIDTH * share)] += [6.0, -2.0]
    return flow.astype(np.float32)


@pytest.mark.parametrize("model", [(0, 0, 1.5, -0.5), (0.02, 0, 0, 0), (0, 0.03, 2.0, 1.0), (-0.01, -0.02, -3, 0.5)])
def test_most_of_the_picture_says_how_the_camera_moved(model):
    np.testing.assert_allclose(global_motion(shaken(model)), model, atol=0.06)


def test_the_robust_motion_leaves_what_moves_and_the_mean_does_not():
    flow = shaken((0, 0, 2.0, 0.0))
    robust, mean = steadied(flow, "robust"), steadied(flow, "mean")
    still, moving = np.s_[:, 40:], np.s_[:, :20]
    assert np.abs(robust[still]).mean() < 0.1
    assert np.median(robust[moving][..., 0]) == pytest.approx(6.0, abs=0.1)
    assert np.median(mean[still][..., 0]) == pytest.approx(-1.8, abs=0.1)  # three tenths of six
    assert np.abs(mean.mean((0, 1))).max() < 1e-5


def test_the_camera_s_matrix_is_shift_turn_and_zoom():
    flow = applied(np.array([0.1, 0.2, 3.0, 4.0]), 3, 5)
    np.testing.assert_allclose(flow[1, 2], [3.0, 4.0])  # the middle only shifts
    np.testing.assert_allclose(flow[1, 4] - flow[1, 2], [0.2, 0.4])  # two pixels to the right: (2 a, 2 b)
    np.testing.assert_allclose(flow[2, 2] - flow[1, 2], [-0.2, 0.1])  # one down: (-b, a)


def test_off_is_the_very_same_array():
    flow = shaken((0, 0, 1, 0))
    assert steadied(flow, "off") is flow


def test_the_same_flow_gives_the_same_motion():
    flow = shaken((0, 0.01, 1, 0))
    np.testing.assert_array_equal(global_motion(flow), global_motion(flow))
