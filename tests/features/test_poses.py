"""Poses of people on known paths, from all the files they come in."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metavad.config import PoseConfig
from metavad.errors import VideoError
from metavad.features.library import recorded
from metavad.features.poses import FACTS, STEP, PosesFeature
from metavad.scenes.keypoints import keypoints_file, read_keypoints
from metavad.scenes.scene import Crop, Video
from metavad.scenes.suite import load_suite
from metavad.testing import JOINTS, reading_of, walker, write_people

SMALL = PoseConfig(people=3, steps=6, seconds=0.5)
BLANK = np.zeros((48, 64), np.uint8)


def rows_of(reading, settings=SMALL):
    feature = PosesFeature(settings).of(reading)
    stream = feature.start()
    return feature.tensor(np.stack([stream(BLANK, tick / 10) for tick in range(len(reading.frames))]))


def steps_of(row):
    table = row[FACTS:].reshape(-1, STEP)
    return table[:, 0].bool(), table[:, 1:].reshape(-1, JOINTS, 2)


def test_a_window_is_the_way_here_in_sizes_of_the_person(tmp_path):
    path = walker(20, speed=20.0, swing=0.0)
    rows = rows_of(reading_of(write_people(tmp_path / "a.npz", [path]), 20))
    known, poses = steps_of(rows[10, 0])
    assert known.all()
    size = np.hypot(*(path[0].max(0) - path[0].min(0)))
    np.testing.assert_allclose(poses.mean(1)[:, 0], (np.arange(6) - 5) * 2.0 / size, atol=2e-3)
    np.testing.assert_allclose(poses.mean(1)[:, 1], 0, atol=2e-3)
    box = rows[10, 0, 1:5].numpy() * 48
    np.testing.assert_allclose(box, [*path[10].min(0), *path[10].max(0)], atol=0.05)


def test_what_was_not_seen_is_not_known_and_nobody_is_nobody(tmp_path):
    reading = reading_of(write_people(tmp_path / "a.npz", [walker(20)]), 20)
    rows = rows_of(reading)
    assert steps_of(rows[0, 0])[0].tolist() == [False] * 5 + [True]
    assert steps_of(rows[3, 0])[0].sum() == 4
    assert rows[:, 1:].abs().max() == 0


@pytest.mark.parametrize("name", ["a.npz", "a.json"])
def test_a_video_without_anybody_has_poses_of_nobody(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, frames=np.zeros(0, np.int32), tracks=np.zeros(0, np.int32), points=np.zeros((0, JOINTS, 2)))
    else:
        path.write_text("[]")
    assert rows_of(reading_of(path, 4)).abs().max() == 0


def test_the_same_walk_is_the_same_window_near_and_far_and_at_other_frame_rates(tmp_path):
    near = walker(20, height=24.0, speed=24.0)
    far = walker(20, height=12.0, speed=12.0)
    fast = walker(50, fps=25.0, height=24.0, speed=24.0)
    windows = [
        steps_of(
            rows_of(reading_of(write_people(tmp_path / f"{n}.npz", [one]), len(one), fps=fps, every=every))[-1, 0]
        )[1]
        for n, (one, fps, every) in enumerate([(near[:11], 10.0, 1), (far[:11], 10.0, 1), (fast[:26], 25.0, 25)])
    ]
    np.testing.assert_allclose(windows[0], windows[1], atol=5e-3)
    assert (windows[0] - windows[2]).abs().max() < 0.05  # both end at one second


def test_a_row_depends_on_the_past_alone(tmp_path):
    whole = walker(20)
    other = whole.copy()
    other[12:] += 5.0
    rows = [rows_of(reading_of(write_people(tmp_path / f"{n}.npz", [one]), 20)) for n, one in enumerate([whole, other])]
    np.testing.assert_array_equal(rows[0][:12], rows[1][:12])
    assert not np.array_equal(rows[0][12], rows[1][12])


def timed(reading, seconds):
    """The same video with frames at other times."""
    rate = (len(seconds) - 1) / float(seconds[-1] - seconds[0])
    return replace(reading, facts=replace(reading.facts, seconds=seconds, rate=rate))


def test_a_row_depends_on_no_later_time(tmp_path):
    reading = reading_of(write_people(tmp_path / "a.npz", [walker(20)]), 20)
    steady = np.arange(20) / 10
    slower = np.concatenate([steady[:12], 1.2 + np.arange(8) * 0.8])
    rows = [rows_of(timed(reading, seconds)) for seconds in (steady, slower)]
    np.testing.assert_array_equal(rows[0][:12], rows[1][:12])


@pytest.mark.parametrize("tracked", [True, False])
def test_a_recording_begins_without_poses_of_the_one_before(tmp_path, tracked):
    path = write_people(tmp_path / "a.npz", [walker(20, swing=0.0)])
    if not tracked:
        found = dict(np.load(path))
        np.savez(path, **found | {"tracks": np.full(20, -1)})
    seconds = np.concatenate([np.arange(10) / 10, 3600 + np.arange(10) / 10])
    reading = timed(reading_of(path, 20), seconds)
    feature = PosesFeature(SMALL)
    rows = feature.tensor(np.stack(list(recorded(feature, reading, [BLANK] * 20))))
    assert steps_of(rows[9, 0])[0].all()
    for tick in range(10):
        assert steps_of(rows[10 + tick, 0])[0].tolist() == steps_of(rows[tick, 0])[0].tolist()
    assert steps_of(rows[10, 0])[0].tolist() == [False] * 5 + [True]


def test_a_crop_moves_people_and_leaves_those_outside_out(tmp_path):
    people = [walker(20, start=(30.0, 30.0), speed=0.0), walker(20, start=(5.0, 30.0), speed=0.0)]
    path = write_people(tmp_path / "a.npz", people)
    plain, cropped = rows_of(reading_of(path, 20)), rows_of(reading_of(path, 20, crop=Crop(left=10), size=(48, 54)))
    assert (plain[5, :, 0] > 0).sum() == 2
    assert (cropped[5, :, 0] > 0).sum() == 1
    assert cropped[5, 0, 1] * 48 == pytest.approx(float(plain[5, 0, 1]) * 48 - 10, abs=0.05)


def flat(points):
    return np.column_stack([points, np.ones(JOINTS)]).ravel().tolist()


def as_alphapose(path, people, *, tracked, name="{:d}.jpg"):
    """A list over all frames, as AlphaPose writes it."""
    rows = [
        {"image_id": name.format(frame), "keypoints": flat(one[frame]), "score": 2.5}
        | ({"idx": who} if tracked else {})
        for frame in range(len(people[0]))
        for who, one in enumerate(people)
    ]
    path.write_text(json.dumps(rows))
    return path


def as_tracked(path, people):
    """Person, frame, pose: as datasets of tracked poses have it."""
    table = {
        str(who): {f"{frame:04d}": {"keypoints": flat(points), "scores": 0.9} for frame, points in enumerate(one)}
        for who, one in enumerate(people)
    }
    path.write_text(json.dumps(table))
    return path


@pytest.mark.parametrize("form", ["tracked", "list", "list of nobody knows whom"])
def test_files_of_alphapose_say_what_the_generated_ones_say(tmp_path, form):
    people = [walker(12), walker(12, start=(50.0, 25.0), speed=-10.0, height=18.0)]
    exact = rows_of(reading_of(write_people(tmp_path / "a.npz", people), 12))
    path = tmp_path / "b.json"
    if form == "tracked":
        as_tracked(path, people)
    else:
        as_alphapose(path, people, tracked=form == "list")
    np.testing.assert_allclose(rows_of(reading_of(path, 12))[..., :5], exact[..., :5], atol=1e-3)
    np.testing.assert_allclose(rows_of(reading_of(path, 12))[..., FACTS:], exact[..., FACTS:], atol=1e-2)


def test_frames_of_a_folder_are_found_by_name(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    for frame in range(4):
        (folder / f"shot-{frame + 7:03d}.png").write_bytes(b"x")
    path = as_alphapose(tmp_path / "a.json", [walker(4)], tracked=True)
    found = json.loads(path.read_text())
    for number, row in enumerate(found):
        row["image_id"] = f"shot-{number + 7:03d}.jpg"
    path.write_text(json.dumps(found))
    assert read_keypoints(path, Video("video", folder, 10.0)).frames.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "text",
    ["not json", '{"1": [3]}', '[{"image_id": "1.jpg"}]', '[{"image_id": "1.jpg", "keypoints": [1, 2, 3]}]', "3"],
)
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(VideoError, match="expected poses as AlphaPose or metavad write them"):
        read_keypoints(tmp_path / "a.json", Video("a", tmp_path / "a.mp4"))


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / "a.npz", frames=np.array([object()], dtype=object))
    with pytest.raises(VideoError):
        read_keypoints(tmp_path / "a.npz", Video("a", tmp_path / "a.mp4"))


def test_poses_lie_beside_the_video_or_where_the_suite_says(tmp_path):
    video = Video("a", tmp_path / "normal" / "a.mp4")
    with pytest.raises(VideoError, match="expected its poses at"):
        keypoints_file(video)
    path = write_people(tmp_path / "keypoints" / "a.npz", [walker(3)])
    assert keypoints_file(video) == path
    with pytest.raises(VideoError, match=r"elsewhere\.json"):
        keypoints_file(Video("a", video.path, None, tmp_path / "elsewhere.json"))


def test_the_suite_names_the_file_of_each_video(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "gate").mkdir(exist_ok=True)
        (tmp_path / "gate" / f"{name}.mp4").write_bytes(b"x")
    text = '[[scenes]]\nname = "gate"\nroot = "gate"\nnormal = ["*.mp4"]\nkeypoints = "poses/{video}_tracked.json"\n'
    (tmp_path / "site.toml").write_text(text)
    videos = load_suite(str(tmp_path / "site.toml")).scenes[0].normal
    assert [video.keypoints for video in videos] == [
        tmp_path / "gate" / "poses" / f"{name}_tracked.json" for name in ("a", "b")
    ]
