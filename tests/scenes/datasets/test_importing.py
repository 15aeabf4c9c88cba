"""A first suite file: sides and cameras by whole words, labels by the videos' names, patterns that match."""

from pathlib import Path

import numpy as np
import pytest

from metavad.errors import DataError, FootageWarning
from metavad.scenes.datasets.check import check_suite
from metavad.scenes.datasets.importing import import_folder
from metavad.scenes.labels import frame_labels, pixel_masks
from metavad.scenes.suite import load_suite
from tests.footage import touch, write_frames, write_masks, write_video


def imported(folder: Path, **options):
    (folder / "suite.toml").write_text(import_folder(folder, **options), encoding="utf-8")
    return load_suite(str(folder)).scenes


def sides(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Paths of the videos of each scene, normal and test."""
    return {
        scene.name: tuple(
            [video.path.relative_to(folder).as_posix() for video in side] for side in (scene.normal, scene.test)
        )
        for scene in imported(folder)
    }


def ucsd(root: Path, masked: int = 2) -> Path:
    """The tree of UCSD Ped1 and Ped2 as the archive unpacks, small: two clips a side."""
    for side in ("Train", "Test"):
        for clip in (1, 2):
            write_frames(root / side / f"{side}{clip:03d}", 6, suffix=".tif", first=1)
    for clip in range(1, masked + 1):
        write_masks(root / "Test" / f"Test{clip:03d}_gt", [0, 0, 1, 1, 0, 0])
    return root


def test_masks_of_the_tree_of_ucsd_are_labels(tmp_path):
    (scene,) = imported(ucsd(tmp_path))
    assert [video.name for video in scene.normal] == ["Train001", "Train002"]
    assert [video.name for video in scene.test] == ["Test001", "Test002"]
    for video in scene.test:
        assert frame_labels(scene, video, 6).tolist() == [False, False, True, True, False, False]
        assert sum(mask.any() for mask in pixel_masks(scene, video, 6)) == 2
    assert check_suite(load_suite(str(tmp_path))) == []


def test_its_list_of_intervals_labels_clips_without_masks(tmp_path):
    """Ped1 has masks of ten clips of 36."""
    ucsd(tmp_path, masked=1)
    lines = ["TestVideoFile = {};", *(f"TestVideoFile{{end+1}}.gt_frame = [{span}];" for span in ("3:4", "5:6"))]
    (tmp_path / "Test" / "UCSDped1.m").write_text("\n".join(lines))
    (tmp_path / "Test" / "UCSDped1.m~").write_text("old")
    assert "# of 1 of 2 test videos" in import_folder(tmp_path)
    (scene,) = imported(tmp_path)
    assert scene.labels.format == "ucsd-m"
    assert [np.flatnonzero(frame_labels(scene, video, 6)).tolist() for video in scene.test] == [[2, 3], [4, 5]]
    assert check_suite(load_suite(str(tmp_path))) == []


def test_two_scenes_of_ucsd(tmp_path):
    for name in ("UCSDped1", "UCSDped2"):
        ucsd(tmp_path / name)
    assert [(scene.name, len(scene.normal), len(scene.test)) for scene in imported(tmp_path)] == [
        ("UCSDped1", 2, 2),
        ("UCSDped2", 2, 2),
    ]


@pytest.mark.parametrize("camera", ["washington", "full length", "contest", "train station", "labelle", "Damasktown"])
def test_cameras_whose_names_contain_words_are_kept(tmp_path, camera):
    touch(tmp_path, *(f"{name}/{side}/a.mp4" for name in ("boston", camera) for side in ("normal", "test")))
    assert sides(tmp_path) == {name: ([f"{name}/normal/a.mp4"], [f"{name}/test/a.mp4"]) for name in ("boston", camera)}


def test_cameras_below_the_sides_are_on_the_side_they_lie_in(tmp_path):
    touch(tmp_path, "normal/train station/a.mp4", "test/train station/b.mp4", "test/kingtown.mp4", "normal/length.mkv")
    expected = ["normal/length.mkv", "normal/train station/a.mp4"], ["test/kingtown.mp4", "test/train station/b.mp4"]
    assert sides(tmp_path) == {tmp_path.name: expected}


def test_videos_called_labels_of_another_are_left_out(tmp_path):
    touch(
        tmp_path, "test/01.avi", "test/01_gt.avi", "test/02.avi", "test/02-mask.avi", "test/my gt.avi", "test/gt/01.avi"
    )
    assert sides(tmp_path)[tmp_path.name][1] == ["test/01.avi", "test/02.avi", "test/my gt.avi"]


@pytest.mark.parametrize("name", ["[CAM 1] front", "what? where*", "{x}", 'quo"te\\', "tab\tnew\nline", "ünï [a-z]"])
def test_names_with_letters_of_patterns_match(tmp_path, name):
    touch(tmp_path, f"normal/{name}/n.mp4", f"test/{name}/{name}.mp4", "test/f/t.mp4")
    expected = {f"test/{name}/{name}.mp4", "test/f/t.mp4"}
    ((normal, test),) = sides(tmp_path).values()
    assert (normal, set(test)) == ([f"normal/{name}/n.mp4"], expected)


def test_a_name_that_is_no_text_is_one_line(tmp_path):
    touch(tmp_path, "normal\udcff/a.mp4")
    with pytest.raises(DataError, match="expected a name in UTF-8"):
        import_folder(tmp_path)


def test_previews_are_left_out_and_named(tmp_path):
    touch(tmp_path, "normal/n1.mp4", "normal/n1.jpg", "normal/n2.mp4", "normal/n2.jpg", "test/m.mp4", "test/m.jpg")
    with pytest.warns(FootageWarning) as caught:
        text = import_folder(tmp_path)
    assert sorted(str(each.message).partition("footage: ")[2] for each in caught) == ["m.jpg", "n1.jpg, n2.jpg"]
    assert 'normal = ["normal/*.mp4"]' in text
    assert 'test = ["test/*.mp4"]' in text


@pytest.mark.parametrize("link", ["loop", "normal/back", "a/deep/loop"])
def test_links_list_each_video_once(tmp_path, link):
    touch(tmp_path, "normal/n.mp4", "a/deep/x.txt")
    (tmp_path / link).symlink_to(tmp_path)
    assert sides(tmp_path) == {tmp_path.name: (["normal/n.mp4"], [])}


def test_a_link_to_all_cameras_is_no_camera(tmp_path):
    touch(tmp_path, *(f"{name}/{side}/a.mp4" for name in ("hall", "roof") for side in ("normal", "test")))
    (tmp_path / "all").symlink_to(tmp_path)
    (tmp_path / "hall" / "others").symlink_to(tmp_path)
    assert {name: tuple(map(len, both)) for name, both in sides(tmp_path).items()} == {"hall": (1, 1), "roof": (1, 1)}


def test_training_folders_of_ucf_are_normal(tmp_path):
    touch(
        tmp_path,
        "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
        "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4",
        "Anomaly-Videos-Part-1/Abuse/Abuse001_x264.mp4",
        "Training-Normal-Videos-Part-1/Normal_Videos002_x264.mp4",
    )
    assert sides(tmp_path) == {
        tmp_path.name: (
            [
                "Training-Normal-Videos-Part-1/Normal_Videos002_x264.mp4",
                "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
            ],
            [
                "Anomaly-Videos-Part-1/Abuse/Abuse001_x264.mp4",
                "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4",
            ],
        )
    }


def test_what_training_has_that_is_not_normal_is_on_neither_side(tmp_path):
    touch(tmp_path, "Train/Abuse/a.mp4", "Train/NormalVideos/n.mp4", "Test/Abuse/b.mp4", "Test/NormalVideos/m.mp4")
    assert sides(tmp_path) == {
        tmp_path.name: (["Train/NormalVideos/n.mp4"], ["Test/Abuse/b.mp4", "Test/NormalVideos/m.mp4"])
    }
    assert '# left out, neither normal nor test by name: "Train/Abuse", 1 videos' in import_folder(tmp_path)


@pytest.mark.parametrize(
    ("files", "normal", "test"),
    [
        (["train/abnormal/a.mp4", "train/normal/b.mp4"], ["train/normal/b.mp4"], []),
        (["day1/a.mp4", "day2/b.mp4", "test/c.mp4"], ["day1/a.mp4", "day2/b.mp4"], ["test/c.mp4"]),
        (["normal/a.mp4", "extras/b.mp4", "test/c.mp4"], ["normal/a.mp4"], ["test/c.mp4"]),
        (["train/a.mp4", "validation/b.mp4", "test/c.mp4"], ["train/a.mp4"], ["test/c.mp4"]),
        (["lobby_train/a.mp4", "lobby_test/b.mp4"], ["lobby_train/a.mp4"], ["lobby_test/b.mp4"]),
        (["training/videos/01.avi", "testing/videos/02.avi"], ["training/videos/01.avi"], ["testing/videos/02.avi"]),
        (["a.mp4", "b.avi"], ["a.mp4", "b.avi"], []),
    ],
    ids=str,
)
def test_sides(tmp_path, files, normal, test):
    touch(tmp_path, *files)
    assert sides(tmp_path) == {tmp_path.name: (normal, test)}


def test_arrays_of_labels_come_before_other_arrays(tmp_path):
    write_video(tmp_path / "normal" / "a.mp4", range(5))
    write_video(tmp_path / "test" / "b.mp4", range(5))
    for name, array in {
        "embeddings/b": np.zeros((5, 8), np.float32),
        "durations/b": np.zeros(2),
        "test_frame_mask/b": np.array([0, 1, 1, 0, 0]),
        "test_pixel_mask/b": np.array([0, 1, 1, 0, 0])[:, None, None] * np.ones((5, 32, 64), np.uint8),
    }.items():
        (tmp_path / name).parent.mkdir()
        np.save(tmp_path / f"{name}.npy", array)
    (scene,) = imported(tmp_path)
    assert (scene.labels.path, scene.pixel_masks.format) == ("test_frame_mask/{video}.npy", "npy-masks")
    assert check_suite(load_suite(str(tmp_path))) == []


def test_an_array_that_claims_more_than_it_holds_is_no_label(tmp_path):
    write_video(tmp_path / "test" / "b.mp4", range(5))
    with (tmp_path / "test" / "b.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**21,)}
        np.lib.format.write_array_header_1_0(file, header)
    assert "npy" not in import_folder(tmp_path)


# --- the unit of intervals -----------------------------------------------------------------------------------


def with_intervals(folder: Path, *rows: str) -> Path:
    """A test video of 40 frames, 4 seconds, and a table of intervals in it."""
    write_video(folder / "test" / "a.mp4", range(40))
    (folder / "marks.csv").write_text("\n".join(["video,start,end", *rows, ""]))
    return folder


@pytest.mark.parametrize(
    ("rows", "unit"),
    [
        (["a,10,20"], "frames"),
        (["a.mp4,1,2", "a.mp4,3,38"], "frames"),
        (["a,1.5,3.25"], "seconds"),
        (["a,0.5,2"], "seconds"),
    ],
)
def test_the_unit_is_known_by_what_can_be(tmp_path, rows, unit):
    assert f'path = "marks.csv", unit = "{unit}" }}' in import_folder(with_intervals(tmp_path, *rows))
    (scene,) = imported(tmp_path)
    assert scene.labels.unit == unit


def test_a_unit_that_may_be_either_is_asked_for(tmp_path):
    """Seconds taken for frames, or frames for seconds, are other labels."""
    asked = []
    assert "\nlabels = " not in import_folder(with_intervals(tmp_path, "a,1,3"))
    assert "# frames or seconds? they may be both" in import_folder(tmp_path)

    def ask(table):
        asked.append(table)
        return "seconds"

    (scene,) = imported(tmp_path, ask=ask)
    assert asked == [tmp_path / "marks.csv"]
    assert scene.labels.unit == "seconds"
    assert frame_labels(scene, scene.test[0], 40).sum() == 20


def test_what_cannot_be_decided_names_no_unit_by_itself(tmp_path):
    with_intervals(tmp_path, "somebody else,100,200")
    (scene,) = imported(tmp_path)
    assert scene.labels is None


def test_every_line_about_intervals_says_the_unit(tmp_path):
    write_video(tmp_path / "normal" / "a.mp4", range(3))
    write_video(tmp_path / "test" / "b.mp4", range(3))
    assert 'unit = "frames"' in import_folder(tmp_path)
