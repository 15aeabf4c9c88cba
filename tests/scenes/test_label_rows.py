"""Labels that cannot be meant are refused, with their file and line; what a table leaves out is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metavad.errors import FootageWarning, LabelError
from metavad.scenes.formats import reading
from metavad.scenes.labels import check_rows, frame_labels, pixel_masks, region_tracks, unlabelled
from metavad.scenes.scene import Expect, LabelSource, Scene, Video
from metavad.scenes.suite import load_suite
from tests.footage import write_image, write_masks, write_video
from tests.layouts import cells, mat, save

FRAMES = 40
"""At 10 a second."""


@pytest.fixture
def site(tmp_path):
    """Two test videos of four seconds, one normal one."""
    for name in ("test/monday.mp4", "test/tuesday.mp4", "normal/n.mp4"):
        write_video(tmp_path / name, range(FRAMES))
    return tmp_path


def scene_of(site: Path, form: str, path: str, **options) -> Scene:
    videos = [Video(path.stem, path) for path in sorted((site / "test").glob("*.mp4"))]
    normal = (Video("n", site / "normal" / "n.mp4"),)
    return Scene(
        "s",
        "x",
        site,
        normal,
        tuple(videos),
        LabelSource(**{"format": form, "path": path, "root": site, "unit": "frames", **options}),
    )


def labelled(scene: Scene) -> list[list[int]]:
    check_rows(scene)
    return [np.flatnonzero(frame_labels(scene, video, FRAMES)).tolist() for video in scene.test]


def intervals(site: Path, content: str, **options) -> Scene:
    (site / "t.csv").write_text(content)
    return scene_of(site, "intervals", "t.csv", **options)


RIGHT = [list(range(10, 20)), []]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("video,start,end\nmonday,1.0,2.0\n", {"unit": "seconds"}),
        ("video,start,end\nmonday.mp4,10,20\n", {"unit": "frames"}),
        ("video,start,end\nmonday,10.0,20.0\n", {"unit": "frames"}),
        ("Start,End,Video,Kind\n10,20,monday,falls\n", {"unit": "frames"}),
        ("video,start,end\nmonday,10,15\nmonday,15,20\n", {"unit": "frames"}),
        ("video,start,end\nmonday,11,20\n", {"unit": "frames", "first": 1, "inclusive": True}),
        ("video,start,end\nmonday,1,2\nn,0,1\n", {"unit": "seconds"}),
        ("video,start,end\nmonday,1,2,,by 3 people\n", {"unit": "seconds"}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is a normal video of")
def test_right_tables(site, content, options):
    assert labelled(intervals(site, content, **options)) == RIGHT


SECONDS, COUNTED = {"unit": "seconds"}, {"unit": "frames"}


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("filename,start,end\nmonday,1.0,2.0\n", SECONDS, "line 1: expected columns video,start,end, found filename,"),
        ("# mine\nmonday,1.0,2.0\n", SECONDS, "line 2: expected columns video,start,end, found monday,1.0,2.0; name"),
        ("", SECONDS, "expected columns video,start,end, found nothing"),
        ("video,start,end,start\nmonday,1,2,3\n", SECONDS, "line 1: expected columns"),
        ("video;start;end\nmonday;1;2\n", SECONDS, "line 1: expected columns video,start,end, found video;start;end"),
        ("video,start,end\nmonday,1.5,2.5\n", {"unit": None}, 'line 2: .*found no unit; say unit = "seconds" in'),
        ("video,start,end\n\nmonday,1,2\n", {"unit": None}, 'line 3: .*say unit = "frames" or unit = "seconds" in'),
        ("video,start,end\nmonday,1.5,2.5\n", COUNTED, "line 2: expected whole frames, found 1.5; are these seconds?"),
        ("video,start,end\nmonday,10,20\n", SECONDS, "line 2: expected seconds inside 0 to 4, the length of monday, "),
        ("video,start,end\nmonday,3,4.5\n", SECONDS, "found 3 to 4.5; are these frames?"),
        ("video,start,end\nmonday,1.01,1.02\n", SECONDS, "line 2: expected seconds"),
        ("video,start,end\nmonday,2,1\n", SECONDS, "line 2: expected 0 <= start < end in seconds, found 2 to 1"),
        ("video,start,end\nmonday,-1,1\n", SECONDS, "line 2: expected 0 <= start < end in seconds, found -1 to 1"),
        ("video,start,end\nmonday,20,10\n", COUNTED, "line 2: expected intervals from a lower frame to a higher one"),
        ("video,start,end\nmonday,10,10\n", COUNTED, "line 2: expected intervals from a lower frame to a higher one"),
        ("video,start,end\nmonday,10,41\n", COUNTED, "inside 0 to 40, the length of the video, found 10 to 41"),
        ("video,start,end\nmonday,1,2\nmonday,1,2\n", COUNTED, "line 3: .*that do not meet, .* 1 to 2 over 1 to 2 of"),
        ("video,start,end\nmonday,5,9\n\nmonday,1,6\n", COUNTED, "line 2: .*found 5 to 9 over 1 to 6 of line 4"),
        ("video,start,end\nmonday,1,5\nmonday,5,6\n", {**COUNTED, "inclusive": True}, "line 3: .*do not meet"),
        ("video,start,end\nmonday,1.0,2.5\nmonday,2,3\n", SECONDS, "line 3: .*found 2 to 3 over 1 to 2.5 of line 2"),
        ("video,start,end\ntest/monday.mp4,1,2\n", SECONDS, "line 2: .*such as 'monday', found 'test/monday.mp4'"),
        ("video,start,end\nMonday,1,2\n", SECONDS, "line 2: .*such as 'monday', found 'Monday'"),
        ("video,start,end\nmonday,1,2\nmonday.avi,1,2\n", SECONDS, "line 3: .*found 'monday.avi'"),
        ("video,start,end\nmonday,1,2\n,1,2\n", SECONDS, "line 3: expected the name of a video such as .*, found ''"),
        ("video,start,end\nmonday\n", SECONDS, "line 2: expected a number, found ''"),
        ("video,start,end\nmonday,1,5,2,5\n", SECONDS, "line 2: expected 3 cells as in the first line, found 5; write"),
    ],
)
def test_wrong_tables_name_their_line(site, content, options, reason):
    with pytest.raises(LabelError, match=reason) as caught:
        labelled(intervals(site, content, **options))
    assert str(caught.value).startswith(str(site / "t.csv"))
    assert "\n" not in str(caught.value)


def test_the_last_second_may_be_rounded_up(tmp_path):
    write_video(tmp_path / "test" / "v.mp4", range(37))
    (tmp_path / "t.csv").write_text("video,start,end\nv,3.5,4\n")
    scene = scene_of(tmp_path, "intervals", "t.csv", unit="seconds")
    assert np.flatnonzero(frame_labels(scene, scene.test[0], 37)).tolist() == [35, 36]


def test_a_file_of_each_video_needs_no_column_of_names(site):
    (site / "monday.csv").write_text("start,end\n10,20\n")
    (site / "tuesday.csv").write_text("video,start,end\ntuesday,1,2\n")
    assert labelled(scene_of(site, "intervals", "{video}.csv")) == [list(range(10, 20)), [1]]
    (site / "tuesday.csv").write_text("video,start,end\nmonday,1,2\n")
    with pytest.raises(LabelError, match=r"tuesday\.csv, line 2: .*found 'monday'"):
        labelled(scene_of(site, "intervals", "{video}.csv"))


def test_rows_of_other_cameras_and_of_what_a_dataset_also_has_are_let_be(site):
    content = "video,start,end\nmonday,10,20\nyard 1,0,5\n"
    scene = intervals(site, content)
    with pytest.raises(LabelError, match=r"line 3: .*found 'yard 1'"):
        labelled(scene)
    assert labelled(replace(scene, expect=Expect(test_videos=3))) == RIGHT
    write_video(site / "yard" / "yard 1.mp4", range(3))
    assert labelled(scene) == RIGHT


def test_a_name_that_two_videos_have_is_no_name(site):
    """Videos of two folders; each has its own name, and the file's name is that of both."""
    write_video(site / "more" / "monday.mp4", range(FRAMES))
    two = tuple(Video(f"{folder}/monday", site / folder / "monday.mp4") for folder in ("test", "more"))
    scene = replace(intervals(site, "video,start,end\nmonday.mp4,10,20\n"), test=two)
    with pytest.raises(LabelError, match=r"line 2: .*one video, found 'monday\.mp4' for 'test/monday' and"):
        labelled(scene)
    for name in ("more/monday", "more/monday.mp4"):
        (site / "t.csv").write_text(f"video,start,end\n{name},10,20\n")
        assert labelled(scene) == RIGHT[::-1]


def test_videos_without_a_row_are_known(site):
    assert [video.name for video in unlabelled(intervals(site, "video,start,end\nmonday,1,2\n"))] == ["tuesday"]
    assert unlabelled(intervals(site, "video,start,end\nmonday,1,2\n", normal_if_missing="tue*")) == []
    (site / "t.csv").write_text(
        "name,total frames,starting frame of anomaly,ending frame of anomaly\nmonday.avi,40,1,2\n"
    )
    assert [video.name for video in unlabelled(scene_of(site, "msad", "t.csv"))] == ["tuesday"]
    assert unlabelled(scene_of(site, "npy", "{video}.npy")) == []


def test_a_video_without_a_file_is_normal_where_the_suite_says_so_in_any_format(site):
    save(site / "monday.npy", np.r_[np.zeros(10), np.ones(10), np.zeros(20)])
    assert labelled(scene_of(site, "npy", "{video}.npy", normal_if_missing="tue*")) == RIGHT
    with pytest.raises(LabelError, match="found nothing"):
        labelled(scene_of(site, "npy", "{video}.npy", normal_if_missing="wed*"))


def test_a_unit_is_asked_for_in_suites(site):
    (site / "t.csv").write_text("video,start,end\nmonday,1,2\n")
    text = '[[scenes]]\nname = "x"\ntest = ["test/*.mp4"]\nlabels = { format = "intervals", path = "t.csv" }\n'
    (site / "suite.toml").write_text(text)
    (scene,) = load_suite(str(site)).scenes
    with pytest.raises(LabelError, match="found no unit"):
        labelled(scene)


# --- the other formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "content", "reason"),
    [
        (
            "msad",
            "name,starting frame of anomaly,ending frame of anomaly\nmonday,1.5,3\n",
            "line 2: expected whole fram",
        ),
        ("msad", "name,starting frame of anomaly,ending frame of anomaly\nmonday,9,3\n", "line 2: expected intervals"),
        ("msad", "monday,Assault,40,3,6\n", "line 1: expected columns name,starting frame of anomaly"),
        ("ucf-crime", "monday.mp4 Abuse 3 6.5 -1 -1\n", "line 1: expected whole frames, found 6.5"),
        ("ucf-crime", "monday.mp4 Abuse 3 -1 -1 -1\n", "line 1: expected intervals"),
        ("ucf-crime", "monday.mp4 Abuse 9 6 -1 -1\n", "line 1: expected intervals"),
        ("ucf-crime", "monday.mp4 A 3 6 -1 -1\nmonday.avi A 3 6 -1 -1\n", "a line of monday .*, found 2 lines"),
        ("ubnormal", "1,2.5,6\n", "line 1: expected whole frames, found 2.5"),
        ("ubnormal", "1,2,6\n1,9,3\n", "line 2: expected intervals from a lower frame"),
        ("ur-fall", "monday,1.5,1\n", "line 1: expected whole frames, found 1.5"),
        ("ur-fall", "monday,2,0.5\n", "line 1: expected whole frames, found 0.5"),
        ("ur-fall", "monday,2,0\nmonday,2,1\n", "line 2: expected frames 1 to 40 of monday, found 2 again"),
        ("ur-fall", "monday,2\n", "line 1: expected a video, a frame, a posture, found 'monday,2'"),
        ("ucsd-m", "gt_frame = [1.5:3];", "clip 1: expected frames such as 60:152, found '.' among them"),
        ("ucsd-m", "gt_frame = [x];", "clip 1: expected frames such as 60:152, found 'x' among them"),
        ("ucsd-m", "gt_frame = [9:3];", "clip 1: expected intervals from a lower frame"),
        ("ucsd-m", f"gt_frame = [1:{'9' * 5000}];", "clip 1: expected a number"),
        ("ucsd-m", "% gt_frame = [1:3];", "expected a line for clip 1"),
        ("street-scene", "a.jpg 1 2 3 4 5\n", "line 1: expected NAME.jpg TRACK X Y W H"),
        ("street-scene", f"{'9' * 5000}.jpg 1 2 3 4 5\n", "line 1: expected a number"),
    ],
)
def test_numbers_that_cannot_be_frames(site, form, content, reason):
    (site / "t").write_text(content)
    scene = replace(scene_of(site, form, "t"), test=(Video("monday", site / "test" / "monday.mp4"),))
    if form == "ucsd-m":
        scene = replace(scene, test=(replace(scene.test[0], name="monday 1"),))
    with pytest.raises(LabelError, match=reason) as caught:
        frame_labels(scene, scene.test[0], FRAMES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (np.array([[1.5], [3]]), "cell 1: expected whole frames, found 1.5"),
        (np.array([[np.nan], [3]]), "cell 1: expected a number"),
        (np.array([[9], [3]], np.uint8), "cell 1: expected intervals from a lower frame"),
        (np.array([["a"], ["b"]]), "cell 1: expected starts over ends"),
    ],
)
def test_intervals_of_matlab_that_cannot_be_frames(site, cell, reason):
    mat(site / "t.mat", gt=cells([cell]))
    scene = scene_of(site, "mat-intervals", "t.mat")
    with pytest.raises(LabelError, match=reason):
        frame_labels(scene, replace(scene.test[0], name="1"), FRAMES)


@pytest.mark.parametrize(("place", "number"), [(144, 6), (160, 0x7FFFFFFF)], ids=["crash", "hang"])
def test_damage_that_ends_its_reader_is_a_line(site, place, number, monkeypatch):
    """scipy's reader is C: one wild number in a header ended the whole command without a word, or held it for ever."""
    monkeypatch.setattr(reading, "_PATIENCE", 5.0)
    content = bytearray(mat(site / "t.mat", gt=cells([np.array([[1], [3]])])).read_bytes())
    content[place : place + 4] = number.to_bytes(4, "little")
    (site / "t.mat").write_bytes(content)
    scene = scene_of(site, "mat-intervals", "t.mat")
    with pytest.raises(LabelError, match="expected a MATLAB file"):
        frame_labels(scene, scene.test[0], FRAMES)


def test_the_only_array_of_an_archive_is_that_of_its_name(site):
    """Taken for any video before: a second video got the labels of the first."""
    np.savez(site / "gt.npz", tuesday=np.zeros(FRAMES))
    scene = scene_of(site, "npz", "gt.npz")
    with pytest.raises(LabelError, match="labels of 'monday', found those of 1 others"):
        frame_labels(scene, scene.test[0], FRAMES)
    np.savez(site / "monday.npz", np.ones(FRAMES))
    assert frame_labels(scene_of(site, "npz", "{video}.npz"), scene.test[0], FRAMES).all()
    np.savez(site / "gt.npz", **{"monday": np.zeros(FRAMES), "x/monday": np.zeros(FRAMES)})
    with pytest.raises(LabelError, match="found 'monday' and 'x/monday'"):
        frame_labels(scene, scene.test[0], FRAMES)


@pytest.mark.parametrize("name", ["monday", "Abuse/monday.mp4", "Abuse\\monday.avi", "monday.MP4"])
def test_datasets_call_converted_videos_by_their_old_names(site, name):
    (site / "t").write_text(f"{name} Abuse 11 20 -1 -1\ntuesday.mp4 Normal -1 -1 -1 -1\n")
    assert labelled(scene_of(site, "ucf-crime", "t")) == RIGHT


def test_dots_in_a_name_are_no_suffix(site):
    (site / "t").write_text("cam.2024 Abuse 11 20 -1 -1\ncam.2025 Abuse 1 2 -1 -1\n")
    scene = scene_of(site, "ucf-crime", "t")
    assert np.flatnonzero(frame_labels(scene, replace(scene.test[0], name="cam.2024"), FRAMES)).tolist() == RIGHT[0]


def test_labels_made_of_another_length_are_reported(site):
    (site / "t").write_text("name,total frames,starting frame of anomaly,ending frame of anomaly\nmonday,77,11,20\n")
    with pytest.warns(FootageWarning, match="line 2: monday has 40 frames, its labels were made of 77"):
        assert labelled(scene_of(site, "msad", "t")) == RIGHT


def test_tracks_in_half_a_frame_are_refused(site):
    (site / "t").write_text("0,1,1,1,5,5\n0,1.5,1,1,5,5\n")
    scene = replace(scene_of(site, "npy", "x"), tracks=LabelSource(format="tracks", path="t", root=site))
    with pytest.raises(LabelError, match=r"line 2: expected whole frames, found 1\.5"):
        region_tracks(scene, scene.test[0], FRAMES)


def test_two_maps_of_one_frame_are_refused(site):
    for name in ("a_0001_gt.png", "b_001_gt.png"):
        write_image(site / "m" / name, np.zeros((32, 64), np.uint8))
    scene = replace(scene_of(site, "npy", "x"), pixel_masks=LabelSource(format="object-maps", path="m", root=site))
    with pytest.raises(LabelError, match=r"a map for each frame, found .*_gt\.png and .*_gt\.png of one"):
        list(pixel_masks(scene, scene.test[0], FRAMES) or [])


def test_masks_of_another_size_are_refused(site):
    write_masks(site / "m", [0] * (FRAMES - 1), suffix=".png")
    write_image(site / "m" / "099.png", np.zeros((16, 64), np.uint8))
    scene = replace(scene_of(site, "npy", "x"), pixel_masks=LabelSource(format="png", path="m", root=site))
    with pytest.raises(LabelError, match="mask 39 is 64x16, the picture 64x32"):
        list(pixel_masks(scene, scene.test[0], FRAMES) or [])


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full(FRAMES, 0.5), "expected labels 0 or 1, found 0.5 at frame 0"),
        (np.full(FRAMES, np.nan), "expected labels 0 or 1, found nan at frame 0"),
        (np.zeros(FRAMES - 1), "expected 40 labels, as many as frames, found 39"),
        (np.zeros((FRAMES, 2)), "an array of shape"),
        (np.array(["0"] * FRAMES), "expected labels 0 or 1"),
    ],
)
def test_arrays_that_are_no_labels(site, array, reason):
    save(site / "monday.npy", array)
    scene = scene_of(site, "npy", "{video}.npy")
    with pytest.raises(LabelError, match=reason):
        frame_labels(scene, scene.test[0], FRAMES)
