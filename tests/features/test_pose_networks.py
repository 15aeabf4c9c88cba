"""Poses by a network: what its output says, and a tiny one that follows a bright square."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from metavad.config import Config, PoseConfig
from metavad.errors import ConfigError
from metavad.experts.pose import Pose
from metavad.features.library import features_of, sample_of
from metavad.features.pose_networks import decode_poses, onnx_poses
from metavad.features.poses import FACTS, STEP, PosesFeature
from metavad.testing import JOINTS, reading_of, walker, write_people
from tests.onnx_files import write_line

SMALL = PoseConfig(people=3, steps=6, seconds=0.5)
SIDE, SQUARE, FIGURE = 32, 4, np.column_stack([np.linspace(-3, 3, JOINTS), np.linspace(-6, 6, JOINTS)])


def row_of(middle=(20.0, 16.0), size=(8.0, 14.0), sure=0.9, first=0.0):
    """A person as YOLO's pose networks write it: joints at (first, first + 1), (first + 2, ...)."""
    points = np.column_stack([first + np.arange(2 * JOINTS).reshape(JOINTS, 2), np.full(JOINTS, 0.5)])
    return np.concatenate([middle, size, [sure], points.ravel()])


@pytest.mark.parametrize("across", [True, False])
def test_raw_rows_become_poses_and_copies_go(across):
    rows = np.stack([row_of(sure=0.5, first=9.0), row_of((60.0, 20.0), sure=0.6), row_of(sure=0.8), row_of(sure=0.1)])
    points, sure = decode_poses((rows.T if across else rows)[None], 0.2)
    assert sure.tolist() == [0.8, 0.6]  # the surer of two at one place, and none that is not sure
    np.testing.assert_allclose(points, np.arange(2 * JOINTS).reshape(JOINTS, 2)[None].repeat(2, 0))


def test_rows_with_a_class_say_the_same_whatever_their_boxes():
    plain = np.stack([row_of(sure=0.5, first=90.0), row_of(sure=0.8), row_of(sure=0.6, first=1.0), row_of(sure=0.1)])
    points, sure = decode_poses(np.insert(plain, 5, 0.0, axis=1)[None], 0.2)
    assert sure.tolist() == [0.8, 0.5]
    assert points[:, 0, 0].tolist() == [0.0, 90.0]


@settings(max_examples=30)
@given(some.lists(some.integers(1, 60), min_size=1, max_size=4).filter(lambda shape: not {56, 57} & set(shape)))
def test_every_other_layout_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected poses \(1, 56, N\)"):
        decode_poses(np.zeros(shape), 0.2)


def write_follower(path, layout=(1, 56, 1)):
    """A network that puts one figure of ``FIGURE`` on the middle of a bright square of 4 x 4 pixels on black."""
    down, across = np.indices((SIDE, SIDE))
    light = 3 * SQUARE**2  # of three channels
    weights = np.zeros((3, SIDE, SIDE, 56))
    weights[..., [0, *range(5, 56, 3)]] = (across / light)[..., None]
    weights[..., [1, *range(6, 56, 3)]] = (down / light)[..., None]
    offsets = np.concatenate([[0, 0, 6, 12, 0.9], np.column_stack([FIGURE, np.ones(JOINTS)]).ravel()])
    return write_line(path, weights.reshape(-1, 56), offsets, side=SIDE, result=layout)


def bright(row, column, size=(SIDE, SIDE)):
    picture = np.zeros(size, np.uint8)
    picture[row : row + SQUARE, column : column + SQUARE] = 255
    return picture


def test_a_network_is_run_and_its_poses_are_in_pixels_of_the_picture(tmp_path):
    find = onnx_poses(write_follower(tmp_path / "a.onnx"), SIDE, 0.2)
    points, sure = find(bright(10, 18))
    assert sure.tolist() == pytest.approx([0.9])
    np.testing.assert_allclose(points[0], FIGURE + np.array([19.5, 11.5]), atol=1e-3)
    large = np.kron(bright(10, 18), np.ones((2, 2), np.uint8))
    np.testing.assert_allclose(find(large)[0][0], 2 * (FIGURE + np.array([19.5, 11.5])), atol=0.1)


def test_other_networks_and_files_are_refused_in_a_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^pose\.network: expected a file or the name of a network, found .*$"):
        onnx_poses(tmp_path / "none.onnx", SIDE, 0.2)
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    with pytest.raises(ConfigError, match=r"^\S+: expected an ONNX network, could not read it .*$"):
        onnx_poses(tmp_path / "broken.onnx", SIDE, 0.2)
    other = onnx_poses(write_follower(tmp_path / "other.onnx", (1, 8, 7)), SIDE, 0.2)
    with pytest.raises(ConfigError, match=r"^\S+: expected poses \(1, 56, N\), .* found \(1, 8, 7\); name another .*$"):
        other(bright(1, 1))
    wide = onnx_poses(write_follower(tmp_path / "a.onnx"), 2 * SIDE, 0.2)
    with pytest.raises(ConfigError, match=r"^\S+: expected a network that takes \(64, 64\) .* pose\.network_side$"):
        wide(bright(1, 1))


def rows_of(feature, ticks, frame=np.zeros((48, 64), np.uint8)):
    stream = feature.start()
    return feature.tensor(np.stack([stream(frame, tick / 10) for tick in range(ticks)]))


def finder_of(people):
    """A network that knows where everybody is, and sees them in another order each time."""
    tick = iter(range(len(people[0])))

    def find(picture):
        now = next(tick)
        order = np.random.default_rng(now).permutation(len(people))
        return np.stack([people[who][now] for who in order]), np.ones(len(people))

    return find


def test_what_a_network_finds_gives_the_rows_that_a_file_gives(tmp_path):
    people = [walker(24), walker(24, start=(50.0, 25.0), speed=-5.0, height=18.0)]
    reading = reading_of(write_people(tmp_path / "a.npz", people), 24)
    from_file = rows_of(PosesFeature(SMALL).of(reading), 24)
    found = rows_of(PosesFeature(SMALL, finder=finder_of(people)).of(reading), 24)
    assert (from_file[12, :, 0] > 0).sum() == 2
    torch.testing.assert_close(found, from_file, atol=2e-3, rtol=0)


def test_a_network_that_misses_somebody_for_a_tick_bridges_it_and_forgets_who_left():
    people = [walker(30, speed=10.0, swing=0.0)]
    whole, missed = finder_of(people), finder_of(people)

    def sometimes(picture):
        points, sure = missed(picture)
        there = not (sometimes.tick == 8 or sometimes.tick > 14)
        sometimes.tick += 1
        return points[: int(there)], sure[: int(there)]

    sometimes.tick = 0
    exact, holed = (rows_of(PosesFeature(SMALL, finder=find), 30) for find in (whole, sometimes))
    torch.testing.assert_close(holed[10], exact[10], atol=2e-3, rtol=0)
    assert holed[15:17, 0, 0].all()
    assert not holed[18:].any()


def test_of_a_slow_video_the_next_pose_is_waited_for_as_ticks_have_come():
    """At two ticks a second the next pose comes later than what is bridged at ten."""
    people = [walker(12, fps=2.0, speed=4.0, swing=0.0)]
    feature = PosesFeature(PoseConfig(people=2, steps=5, seconds=2.0), finder=finder_of(people))
    stream, picture = feature.start(), np.zeros((48, 64), np.uint8)
    rows = feature.tensor(np.stack([stream(picture, tick / 2) for tick in range(12)]))
    known = rows[:, 0, FACTS:].reshape(12, 5, STEP)[..., 0].bool()
    assert known.sum(1).tolist() == [1, 2, 3, 4, *[5] * 8]


def test_without_a_file_of_poses_the_network_is_asked(tmp_path):
    config = Config.model_validate(
        {
            "data": {"rows": 6},
            "pose": {"steps": 6, "seconds": 0.5, "network": str(write_follower(tmp_path / "a.onnx")), "hidden": 4}
            | {"network_side": SIDE, "people": 2, "windows": 8},
        }
    )
    features = features_of(config, Pose.reads)
    reading = reading_of(tmp_path / "nowhere.npz", 9, size=(SIDE, SIDE))
    features = {name: feature.of(reading) for name, feature in features.items()}
    pictures, seconds = [bright(12, 4 + 2 * tick) for tick in range(9)], np.arange(9) / 10
    rows = {}
    for name, feature in features.items():
        stream = feature.start()
        rows[name] = np.stack([stream(frame, time) for frame, time in zip(pictures, seconds, strict=True)])
    sample = sample_of(features, rows, seconds, seconds)
    last = sample["poses"][0, -1, 0]
    steps = last[FACTS:].reshape(-1, STEP)
    assert steps[:, 0].all()
    middles = steps[:, 1:].reshape(-1, JOINTS, 2).mean(1)
    np.testing.assert_allclose(middles[:, 0], (np.arange(6) - 5) * 2 / np.hypot(6, 12), atol=2e-3)
    expert = Pose.build(config)
    maps = expert.score(sample, expert.condition(sample.select([])))
    assert (maps[0, -1] > expert.floor).any()


def test_the_cache_tells_networks_apart_and_old_keys_stay(tmp_path):
    reading = reading_of(write_people(tmp_path / "a.npz", [walker(3)]), 3)
    plain = PosesFeature(SMALL).of(reading).key()
    assert set(plain) == {"feature", "version", "settings", "keypoints"}
    keys = []
    for side, layout in [(32, (1, 56, 1)), (64, (1, 56, 1)), (32, (1, 1, 56))]:
        path = write_follower(tmp_path / "a.onnx", layout)
        chosen = SMALL.model_copy(update={"network": str(path), "network_side": side})
        keys.append(str(PosesFeature(chosen).of(reading).key()))
    assert len({str(plain), *keys}) == 4
