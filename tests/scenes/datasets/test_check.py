"""Data is held against itself and against what is known; footage without a suite file gets a first one."""

import av
import numpy as np
import pytest

from metavad.errors import DataError
from metavad.scenes.datasets.check import check_suite, empty_intervals
from metavad.scenes.datasets.importing import import_folder
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from tests.footage import HEIGHT, box_mask, write_frames, write_image, write_masks, write_video

SUITE = """
title = "Lobby"
[[scenes]]
name = "lobby"
normal = ["normal/*.mp4"]
test = ["test/*.mp4"]
labels = { format = "npy", path = "labels/{video}.npy" }
pixel_masks = { format = "png", path = "masks/{video}" }
[scenes.expect]
normal_videos = 1
test_lengths = [6]
abnormal_frames = 2
"""
LABELS = [0, 0, 1, 1, 0, 0]


@pytest.fixture
def lobby(tmp_path):
    write_video(tmp_path / "normal" / "a.mp4", range(5))
    write_video(tmp_path / "test" / "b.mp4", range(6))
    write_masks(tmp_path / "masks" / "b", LABELS, suffix=".png")
    (tmp_path / "labels").mkdir()
    np.save(tmp_path / "labels" / "b.npy", np.array(LABELS, np.uint8))
    (tmp_path / "suite.toml").write_text(SUITE)
    return tmp_path


def findings(folder, **options) -> list[str]:
    return [str(finding) for finding in check_suite(load_suite(str(folder)), **options)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_good_data_has_no_findings(lobby, jobs):
    assert findings(lobby, jobs=jobs) == []


def assert_only(found: list[str], *words: str) -> None:
    assert len(found) == 1, found
    assert all(word in found[0] for word in words), found


def test_labels_of_another_length_name_both(lobby):
    np.save(lobby / "labels" / "b.npy", np.array([0, 0, 1, 1], np.uint8))
    found = findings(lobby)
    assert any("error: " in line and "expected 6" in line and "found 4" in line for line in found)


def test_masks_that_contradict_the_labels(lobby):
    write_masks(lobby / "masks" / "b", [0, 1, 1, 1, 0, 0], suffix=".png")
    assert_only(findings(lobby), "warning", "differ in 1 of 6 frames")


def test_masks_of_another_size(lobby):
    write_image(lobby / "masks" / "b" / "003.png", 255 * box_mask(1, HEIGHT * 2))
    assert_only(findings(lobby), "error", "mask 2 is 64x64", "64x32")


def test_what_the_manifest_says_is_a_warning(lobby):
    write_video(lobby / "normal" / "c.mp4", range(3))
    assert_only(findings(lobby), "warning", "expected 1 normal videos, found 2")


def test_lengths_are_named_video_by_video(lobby):
    text = SUITE.replace("test_lengths = [6]", "test_lengths = [7]")
    (lobby / "suite.toml").write_text(text)
    assert findings(lobby) == [
        f"error: {lobby.name}:lobby/b: expected 7 frames, found 6",
        f"error: {lobby.name}:lobby: expected 7 frames of test videos, found 6",
    ]
    (lobby / "suite.toml").write_text(text + "unverified = true\n")
    assert {line.split(":")[0] for line in findings(lobby)} == {"warning"}


def test_labels_of_the_same_videos_that_are_not_those_known(lobby):
    """As of Avenue's two sets: every video is there and of its length, and other frames are abnormal."""
    (lobby / "suite.toml").write_text(SUITE.replace("abnormal_frames = 2", "abnormal_frames = 3"))
    assert_only(findings(lobby), "error", "expected 3 abnormal frames, found 2")


def test_a_part_of_the_videos_is_reported_once(lobby):
    text = SUITE.replace("test_lengths = [6]", "test_lengths = [6, 9]").replace(
        "abnormal_frames = 2", "abnormal_frames = 4"
    )
    (lobby / "suite.toml").write_text(text)
    assert_only(findings(lobby), "warning", "expected 2 test videos, found 1")


def test_rows_about_no_video_are_reported(lobby):
    """A misspelt name makes its video normal throughout."""
    (lobby / "marks.csv").write_text("video,start,end\nB,2,4\nb,2,3\nb.mp4,3,4\n")
    intervals = 'format = "intervals", path = "marks.csv", unit = "frames"'
    (lobby / "suite.toml").write_text(SUITE.replace('format = "npy", path = "labels/{video}.npy"', intervals))
    assert_only(findings(lobby), "error", "marks.csv, line 2: expected the name of a video such as 'b', found 'B'")


def test_a_video_that_no_row_is_about_is_reported(lobby):
    (lobby / "marks.csv").write_text("video,start,end\n")
    lines = SUITE.partition("pixel_masks")[0].splitlines()[:-1]
    labels = 'labels = { format = "intervals", path = "marks.csv", unit = "frames"'
    (lobby / "suite.toml").write_text("\n".join([*lines, f"{labels} }}"]))
    assert_only(findings(lobby), "warning", "no row of its labels is about b: normal throughout")
    (lobby / "suite.toml").write_text("\n".join([*lines, f'{labels}, normal_if_missing = "b*" }}']))
    assert findings(lobby) == []


def test_a_video_that_cannot_be_read(lobby):
    (lobby / "normal" / "a.mp4").write_bytes(b"broken")
    assert_only(findings(lobby), "error", "lobby/a", "expected a video")


def test_damage_inside_a_video_is_reported(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(40), options={"g": "5", "bf": "0"})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][10]
        at, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes([255]) * size
    path.write_bytes(bytes(data))
    (tmp_path / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["*.mp4"]\n')
    found = findings(tmp_path)
    assert all("warning" in line for line in found)
    assert any("40 frames, of which 39 decode without damage" in line for line in found)


def test_frames_of_different_sizes_are_reported(tmp_path):
    write_image(write_frames(tmp_path / "a", 3) / "003.png", box_mask(0, 8, 8))
    (tmp_path / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["*"]\nfps = 5\n')
    assert_only(findings(tmp_path), "error", "found 8x8")


def test_abnormal_frames_where_shots_come_from(tmp_path):
    write_video(tmp_path / "a.mp4", range(8))
    (tmp_path / "labels.csv").write_text("video,start,end\na,2,4\n")
    (tmp_path / "suite.toml").write_text(
        '[[scenes]]\nname = "x"\nnormal = ["*.mp4"]\ntest = ["*.mp4"]\nnormal_frames = [0, 3]\n'
        'labels = { format = "intervals", path = "labels.csv", unit = "frames" }\n'
    )
    assert_only(findings(tmp_path), "error", "frame 2 is abnormal")


def test_scenes_that_are_not_there_are_named(lobby):
    (lobby / "suite.toml").write_text(SUITE + '[[scenes]]\nname = "roof"\nroot = "roof"\nnormal = ["*.mp4"]\n')
    assert_only(findings(lobby), "warning", "roof", "matched nothing")


def test_boxes_outside_the_picture(lobby):
    (lobby / "tracks.txt").write_text("0,2,60,4,90,8\n0,3,1,1,5,5\n")
    (lobby / "suite.toml").write_text(
        SUITE.replace("[scenes.expect]", 'tracks = { format = "tracks", path = "tracks.txt" }\n[scenes.expect]')
    )
    assert_only(findings(lobby), "warning", "1 boxes leave")


# --- import --------------------------------------------------------------------------------------------------


def imported(folder):
    (folder / "suite.toml").write_text(import_folder(folder))
    return load_suite(str(folder))


def test_import_finds_sides_labels_and_masks(lobby):
    (lobby / "suite.toml").unlink()
    (scene,) = imported(lobby).scenes
    assert [[video.name for video in side] for side in (scene.normal, scene.test)] == [["a"], ["b"]]
    np.testing.assert_array_equal(frame_labels(scene, scene.test[0], 6), np.array(LABELS, bool))
    assert check_suite(imported(lobby)) == []


def test_import_makes_a_scene_of_each_folder_that_has_sides(tmp_path):
    for name in ("hall 2", "hall 10"):
        write_video(tmp_path / name / "train" / "01.mp4", range(3))
        write_video(tmp_path / name / "test" / "01.mp4", range(3))
    suite = imported(tmp_path)
    assert [scene.name for scene in suite.scenes] == ["hall 2", "hall 10"]
    assert all(len(scene.normal) == len(scene.test) == 1 for scene in suite.scenes)


def test_import_of_videos_side_by_side(tmp_path):
    for name in ("a.mp4", "b.avi"):
        write_video(tmp_path / name, range(3), codec="mpeg4")
    (scene,) = imported(tmp_path).scenes
    assert [video.name for video in scene.normal] == ["a", "b"]
    assert scene.test == ()


def test_import_of_folders_of_frames_asks_for_the_rate(tmp_path):
    write_frames(tmp_path / "training" / "frames" / "01", 3)
    write_frames(tmp_path / "testing" / "frames" / "01", 3)
    (tmp_path / "marks.csv").write_text("# mine\nvideo,start,end\n01,1,2\n")
    assert "fps = 25  #" in import_folder(tmp_path)
    (scene,) = imported(tmp_path).scenes
    assert frame_labels(scene, scene.test[0], 3).tolist() == [False, True, False]


def test_import_says_that_labels_are_missing(tmp_path):
    write_video(tmp_path / "normal" / "a.mp4", range(3))
    write_video(tmp_path / "abnormal" / "b.mp4", range(3))
    assert "# no labels found" in import_folder(tmp_path)
    assert [video.name for video in imported(tmp_path).scenes[0].test] == ["b"]


def test_import_of_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(DataError, match="found none"):
        import_folder(tmp_path)


def test_empty_intervals_can_be_filled_in(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(20))
    text = empty_intervals(Video("a", path))
    assert "a: 20 frames, 10.00 frames/s, 2.0 s" in text
    assert text.endswith("video,start,end\n")
    (tmp_path / "marks.csv").write_text(text + "a,5,8\n")
    (tmp_path / "suite.toml").write_text(
        '[[scenes]]\nname = "x"\ntest = ["*.mp4"]\n'
        'labels = { format = "intervals", path = "marks.csv", unit = "frames" }\n'
    )
    (scene,) = load_suite(str(tmp_path)).scenes
    assert np.flatnonzero(frame_labels(scene, scene.test[0], 20)).tolist() == [5, 6, 7]
