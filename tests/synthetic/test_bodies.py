import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.synthetic.bodies import JOINTS, KEYPOINTS, Build, cadence, gait, joints, keypoints, posture

BONES = [("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")]
POSTURES = ["stand", "talk", "phone", "sit", "bend", "crouch", "hug", "lie", "fight", "climb", "wind-up", "reach"]


def part(body, name):
    return body[:, JOINTS.index(name)]


@given(st.sampled_from(POSTURES), st.floats(0, 6), st.floats(1.5, 1.95))
def test_bones_keep_their_length_and_feet_touch_the_ground(name, phase, stature):
    seconds = np.linspace(0, 2, 9)
    body = joints(Build(stature, 1.0), posture(name, seconds, phase), np.zeros(9), 0.0)
    for one, two in BONES:
        for side in ("left", "right"):
            length = np.linalg.norm(part(body, f"{one}_{side}") - part(body, f"{two}_{side}"), axis=1)
            np.testing.assert_allclose(length, length[0], rtol=1e-9)
    lowest = np.minimum(part(body, "ankle_left")[:, 2], part(body, "ankle_right")[:, 2])
    np.testing.assert_allclose(lowest, 0.045 * stature)


def test_a_walker_s_step_covers_the_way_it_goes():
    # Sweep between the extreme foot positions of a stride, twice a stride, against speed over cadence.
    speed, leg = np.full(400, 1.2), 0.87
    cycle = np.linspace(0, 2 * np.pi, 400)
    angles = gait(speed, cycle, leg)
    angles[:, 4:6] = 0.0
    body = joints(Build(1.75, 1.0), angles, np.zeros(400), 0.0)
    reach = np.ptp(part(body, "ankle_left")[:, 0])
    assert 2 * reach == pytest.approx(1.2 / cadence(speed)[0], rel=0.1)


@given(st.floats(0, 2 * np.pi))
def test_who_has_fallen_lies_flat(side):
    body = joints(Build(1.75, 1.0), posture("lie", np.zeros(1), 0.0), np.array([np.pi / 2]), side)
    upright = joints(Build(1.75, 1.0), posture("stand", np.zeros(1), 0.0), np.zeros(1), 0.0)
    assert body[..., 2].max() < 0.9
    assert upright[..., 2].max() > 1.6
    assert np.linalg.norm(np.ptp(body[0, :, :2], axis=0)) > 1.0
    assert body[..., 2].min() >= 0.04


def test_who_sits_has_the_hips_at_the_height_of_a_seat():
    body = joints(Build(1.75, 1.0), posture("sit", np.zeros(1), 0.0), np.zeros(1), 0.0)
    assert part(body, "pelvis")[0, 2] == pytest.approx(0.5, abs=0.1)
    assert part(body, "knee_left")[0, 0] > 0.3


def test_keypoints_are_the_joints_in_the_order_of_coco():
    body = joints(Build(1.75, 1.0), posture("stand", np.zeros(3), 0.0), np.zeros(3), 0.0)
    points = keypoints(body)
    assert points.shape == (3, len(KEYPOINTS), 3)
    np.testing.assert_array_equal(points[:, KEYPOINTS.index("left_knee")], part(body, "knee_left"))
    eyes, nose = points[:, 1:3].mean(1), points[:, 0]
    assert (np.linalg.norm(eyes - nose, axis=1) < 0.1).all()
