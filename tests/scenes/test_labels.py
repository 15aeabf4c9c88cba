"""Labels are read exactly as each dataset writes them: miniatures of the released trees, junk included."""

import os
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import FootageWarning, LabelError
from metavad.scenes import formats, labels
from metavad.scenes import suite as suites
from metavad.scenes.datasets.check import check_suite
from metavad.scenes.labels import check_rows, frame_labels, pixel_masks, region_tracks
from metavad.scenes.scene import Crop, LabelSource, Scene, Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.shipped import shipped
from tests.footage import HEIGHT, WIDTH, box_mask, write_huge_image, write_image, write_masks, write_video
from tests.layouts import (
    BOX,
    avenue,
    avenue_intervals,
    avenue_repacked,
    avenue_videos,
    cells,
    mat,
    msad,
    nwpu_campus,
    ped2_as_hf2_vad,
    ped2_as_mp4,
    ped_official,
    ped_repacked,
    save,
    shanghaitech,
    shanghaitech_converted,
    shanghaitech_frames,
    street_scene,
    text,
    ubnormal,
    ubnormal_by_lists,
    ucf_crime,
    umn,
    ur_fall,
)


def abnormal(scene: Scene, video: Video) -> list[int]:
    return np.flatnonzero(frame_labels(scene, video, probe(video).frames)).tolist()


def all_abnormal(name: str, data: Path) -> dict[str, list[int]]:
    """Abnormal frames of every test video of a shipped suite whose miniature lies under ``data``.

    The miniature passes ``data check``: fewer videos than the manifest says are warnings, and nothing is an error.
    """
    suite = load_suite(name, data)
    found = {f"{scene.name}/{video.name}": abnormal(scene, video) for scene in suite.scenes for video in scene.test}
    assert wrong(suite) == []
    return found


def wrong(suite) -> list[str]:
    """What ``data check`` says is an error."""
    return [str(finding) for finding in check_suite(suite) if finding.level == "error"]


# --- miniatures of the released trees ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_ucsd_as_released(tmp_path, number):
    ped_official(tmp_path, number)
    name = f"ped{number}"
    assert load_suite(name, tmp_path).layout == "official"
    assert all_abnormal(name, tmp_path) == {
        f"{name}/Test001": [2, 3, 4, 7, 8],
        f"{name}/Test002": list(range(9)),
    }
    (scene,) = load_suite(name, tmp_path).scenes
    masks = list(pixel_masks(scene, scene.test[0], 9) or [])
    assert [bool(mask.any()) for mask in masks] == [False, False, True, True, True, False, False, True, True]
    assert pixel_masks(scene, scene.test[1], 9) is None
    assert region_tracks(scene, scene.test[0], 9) == [
        *((0, frame, *BOX) for frame in (2, 3, 4)),
        *((1, frame, *BOX) for frame in (7, 8)),
    ]


@pytest.mark.parametrize("number", [1, 2])
def test_ucsd_as_repacked(tmp_path, number):
    name = f"ped{number}"
    ped_repacked(tmp_path, number)
    assert load_suite(name, tmp_path).layout == "repacked"
    assert all_abnormal(name, tmp_path) == {f"{name}/01": [2, 3, 4, 7, 8], f"{name}/02": list(range(9))}


def test_ped2_as_hf2_vad_lays_it_out(tmp_path):
    ped2_as_hf2_vad(tmp_path)
    assert load_suite("ped2", tmp_path).layout == "hf2-vad"
    assert all_abnormal("ped2", tmp_path) == {"ped2/Test001": [1, 2]}


def test_intervals_stored_in_bytes_do_not_wrap(tmp_path):
    """100 frames from 200 on: 255 + 1 in a byte is 0."""
    source = LabelSource(format="mat-intervals", path="gt.mat", root=tmp_path)
    mat(tmp_path / "gt.mat", gt=cells([np.array([[200], [255]], np.uint8)]))
    found = formats.FORMATS["mat-intervals"](source, Video("1", tmp_path / "1"), 300)
    assert np.flatnonzero(found).tolist() == list(range(199, 255))


@pytest.mark.parametrize(("root", "layout"), [("avenue", "official"), (".", "official, without the folder avenue")])
def test_avenue_by_masks(tmp_path, root, layout):
    avenue(tmp_path, root)
    suite = load_suite("avenue", tmp_path)
    assert (suite.layout, suite.label_set) == (layout, "masks")
    assert all_abnormal("avenue", tmp_path) == {"avenue/01": [1, 2], "avenue/02": [0, 1, 2, 3, 4]}
    (scene,) = suite.scenes
    assert region_tracks(scene, scene.test[0], 6) == [(0, 1, *BOX), (0, 2, *BOX)]


def test_avenue_by_intervals(tmp_path):
    avenue_intervals(tmp_path)
    assert load_suite("avenue-intervals", tmp_path).label_set == "intervals"
    assert all_abnormal("avenue-intervals", tmp_path) == {"avenue/01": [1, 2, 4, 5], "avenue/02": []}


def test_the_other_avenue_mat_is_known_by_its_variables(tmp_path):
    avenue_videos(tmp_path)
    labels = {"01": np.array([[0, 1, 1, 0, 0, 1]], np.int32), "02": np.ones((1, 5), np.int32)}
    mat(tmp_path / "avenue.mat", **labels)
    assert all_abnormal("avenue-intervals", tmp_path) == {"avenue/01": [1, 2, 5], "avenue/02": [0, 1, 2, 3, 4]}


def test_shanghaitech(tmp_path):
    root = shanghaitech(tmp_path)
    suite = load_suite("shanghaitech", tmp_path)
    assert [scene.name for scene in suite.scenes] == ["01", "02", "13"]
    assert suite.scenes[2].roles == {"meta-train"}
    assert all_abnormal("shanghaitech", tmp_path) == {"01/01_0014": [1, 2], "02/02_0002": [1, 2]}
    scene, video = suite.scenes[0], suite.scenes[0].test[0]
    assert [mask.shape for mask in pixel_masks(scene, video, 4) or []] == [(HEIGHT, WIDTH)] * 4
    assert region_tracks(scene, video, 4) == [(0, 1, *BOX), (0, 2, *BOX)]
    text(root / "tracks" / "01_0014.txt", "0,1,10,4,19,7\n0,2,10,4,19,7\n1,2,0,0,63,31\n")
    assert region_tracks(scene, video, 4) == [(0, 1, *BOX), (0, 2, *BOX), (1, 2, 0, 0, 64, 32)]
    assert region_tracks(suite.scenes[1], suite.scenes[1].test[0], 4) == []


def test_the_split_of_six_and_seven_cameras(tmp_path):
    shanghaitech(tmp_path)
    assert all_abnormal("shanghaitech-6-7", tmp_path) == {"01/01_0014": [1, 2], "02/02_0002": [1, 2]}
    scenes = {scene.name: sorted(scene.roles) for scene in load_suite("shanghaitech-6-7", tmp_path).scenes}
    assert scenes == {"01": ["meta-train"], "13": ["meta-train"], "02": ["meta-test"]}


@pytest.mark.parametrize("layout", ["frames", "converted"])
def test_shanghaitech_as_others_lay_it_out(tmp_path, layout):
    (shanghaitech_converted if layout == "converted" else shanghaitech_frames)(tmp_path)
    for name in ("shanghaitech", "shanghaitech-6-7"):
        assert load_suite(name, tmp_path).layout == layout
        assert all_abnormal(name, tmp_path) == {"01/01_0014": [1, 2], "02/02_0002": [1, 2]}


def test_ped2_as_mp4_files(tmp_path):
    ped2_as_mp4(tmp_path)
    assert load_suite("ped2", tmp_path).layout == "mp4"
    assert all_abnormal("ped2", tmp_path) == {"ped2/01": [1, 2]}


@pytest.mark.parametrize("name", ["avenue", "avenue-intervals"])
def test_avenue_as_repacked(tmp_path, name):
    avenue_repacked(tmp_path)
    assert load_suite(name, tmp_path).layout == "repacked"
    assert all_abnormal(name, tmp_path) == {"avenue/01": [1, 2], "avenue/02": [0, 1, 2, 3, 4]}


UBNORMAL_TRACKS = "Scene1/abnormal_scene_1_scenario_3_fog_annotations/abnormal_scene_1_scenario_3_fog_tracks.txt"


def test_ubnormal_by_name(tmp_path):
    ubnormal(tmp_path)
    suite = load_suite("ubnormal", tmp_path)
    assert suite.layout == "by name"
    assert [(scene.name, len(scene.normal)) for scene in suite.scenes] == [("scene1", 2), ("scene11", 1)]
    assert all_abnormal("ubnormal", tmp_path) == {"scene1/abnormal_scene_1_scenario_3_fog": [1, 2, 3]}
    scene, video = suite.scenes[0], suite.scenes[0].test[0]
    assert [bool(mask.any()) for mask in pixel_masks(scene, video, 5) or []] == [False, True, True, True, False]
    boxes = [(1, frame, frame - 1, 2, frame + 2, 6) for frame in (1, 2, 3)]
    assert region_tracks(scene, video, 5) == boxes
    rows = text(video.path.parent / f"{video.name}_annotations" / f"{video.name}_new_tracks.txt", "1,1,3\n2,0,4\n\n")
    assert region_tracks(scene, video, 5) == [boxes[0], (2, 1, 20, 2, 23, 6), *boxes[1:]]
    rows.unlink()


def test_ubnormal_by_the_official_lists(tmp_path):
    ubnormal_by_lists(tmp_path)
    suite = load_suite("ubnormal", tmp_path)
    assert suite.layout == "official split"
    assert all_abnormal("ubnormal", tmp_path) == {
        "scene1/abnormal_scene_1_scenario_3_fog": [1, 2, 3],
        "scene1/normal_scene_1_scenario_2": [],
    }
    scene = suite.scenes[0]
    assert len(list(pixel_masks(scene, scene.test[1], 4) or [])) == 4
    assert region_tracks(scene, scene.test[1], 4) == []
    assert [str(f) for f in check_suite(suite)] == []


def test_ubnormal_abnormal_video_without_labels_is_not_normal(tmp_path):
    root = ubnormal(tmp_path)
    (
        root / "Scene1" / "abnormal_scene_1_scenario_3_fog_annotations" / "abnormal_scene_1_scenario_3_fog_tracks.txt"
    ).unlink()
    with pytest.raises(LabelError, match="found nothing"):
        all_abnormal("ubnormal", tmp_path)


def test_arrays_named_txt_are_reported_and_inverted(tmp_path):
    root = ubnormal(tmp_path)
    path = (
        root / "Scene1" / "abnormal_scene_1_scenario_3_fog_annotations" / "abnormal_scene_1_scenario_3_fog_tracks.txt"
    )
    with path.open("wb") as file:
        np.save(file, np.array([1.0, 1.0, 0.0, 0.0, 1.0]))
    assert all_abnormal("ubnormal", tmp_path) == {"scene1/abnormal_scene_1_scenario_3_fog": [2, 3]}


@pytest.mark.parametrize("form", ["one npz", "npz per video", "npy per video"])
def test_nwpu_campus(tmp_path, form):
    nwpu_campus(tmp_path, form)
    assert load_suite("nwpu-campus", tmp_path).layout == form
    assert all_abnormal("nwpu-campus", tmp_path) == {"D001/D001_02": [2, 3]}
    roles = {scene.name: sorted(scene.roles) for scene in load_suite("nwpu-campus", tmp_path).scenes}
    assert roles == {"D001": ["meta-test", "meta-train"], "D002": ["meta-train"]}


def test_street_scene(tmp_path):
    street_scene(tmp_path)
    assert all_abnormal("street-scene", tmp_path) == {"street/Test001": [1, 2]}
    (scene,) = load_suite("street-scene", tmp_path).scenes
    assert region_tracks(scene, scene.test[0], 5) == [(0, 1, *BOX), (0, 2, *BOX), (1, 2, 0, 0, 5, 5)]
    assert pixel_masks(scene, scene.test[0], 5) is None


def test_ur_fall(tmp_path):
    ur_fall(tmp_path)
    assert load_suite("ur-fall", tmp_path).label_set == "falling and lying"
    assert all_abnormal("ur-fall", tmp_path) == {
        "cam0/fall-01-cam0-rgb": [2, 3, 4, 5, 6],
        "cam0/fall-10-cam0-rgb": [5, 6, 7],
    }


def test_msad(tmp_path):
    msad(tmp_path)
    suite = load_suite("msad", tmp_path)
    assert {scene.name: sorted(scene.roles) for scene in suite.scenes} == {
        "perdestrian_street_2": ["meta-train"],
        "shop_1": ["meta-train"],
        "all": ["meta-test"],
    }
    assert all_abnormal("msad", tmp_path) == {"all/Assault_1": [2, 3, 4, 5], "all/shop_9": []}


def test_ucf_crime_normal(tmp_path):
    ucf_crime(tmp_path)
    suite = load_suite("ucf-crime-normal", tmp_path)
    assert [scene.name for scene in suite.scenes] == ["Normal_Videos001", "Normal_Videos002"]
    assert wrong(suite) == []
    assert all(scene.roles == {"meta-train"} for scene in suite.scenes)


def test_ucf_crime_lines(tmp_path):
    text(tmp_path / "t.txt", "Abuse028_x264.mp4  Abuse  2  3  5  5  \nNormal_Videos_003_x264.mp4 Normal -1  -1 -1 -1\n")
    source = LabelSource(format="ucf-crime", path="t.txt", root=tmp_path)
    read = formats.FORMATS["ucf-crime"]
    assert np.flatnonzero(read(source, Video("Abuse028_x264", tmp_path), 9)).tolist() == [1, 2, 4]
    assert not read(source, Video("Normal_Videos_003_x264", tmp_path), 9).any()
    with pytest.raises(LabelError, match="a line of Abuse99"):
        read(source, Video("Abuse99", tmp_path), 9)


@pytest.mark.parametrize("name", ["umn", "umn-banner"])
def test_umn(tmp_path, name):
    umn(tmp_path)
    suite = load_suite(name, tmp_path)
    assert [abnormal(scene, scene.test[0]) for scene in suite.scenes] == [[310, 311, 312, 313, 314]] * 3
    assert wrong(suite) == []
    assert suite.scenes[0].shown(suite.scenes[0].test[0]) == (0, 300)
    assert suite.scenes[0].crop == Crop(top=30)


def test_shipped_suites_use_formats_that_exist():
    for path in (*shipped("tasks").values(), *Path(__file__).parents[2].glob("benchmarks/suites/*.toml")):
        table = suites.table_of(path)
        for scene in (*table.scenes, *(scene for layout in table.layouts for scene in layout.scenes)):
            assert scene.labels is None or scene.labels.format in formats.FORMATS | formats.MASK_FORMATS, path
            assert scene.pixel_masks is None or scene.pixel_masks.format in formats.MASK_FORMATS, path
            assert scene.tracks is None or scene.tracks.format in formats.TRACK_FORMATS, path


# --- every format: what is wrong is one line -----------------------------------------------------------------


def scene_with(tmp_path: Path, **sources) -> tuple[Scene, Video]:
    """A scene of one generated test video with six frames, and the sources that are given."""
    path = tmp_path / "v1.mp4"
    video = Video("v1", path if path.exists() else write_video(path, range(6)))
    options = {key: LabelSource(root=tmp_path, **value) for key, value in sources.items()}
    return Scene("s", "x", tmp_path, test=(video,), **options), video


def npy(tmp_path: Path, array) -> tuple[Scene, Video]:
    save(tmp_path / "v1.npy", np.asarray(array))
    return scene_with(tmp_path, labels={"format": "npy", "path": "{video}.npy"})


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float64])
def test_numbers_of_any_kind(tmp_path, kind):
    scene, video = npy(tmp_path, np.array([0, 1, 1, 0, 0, 1], kind))
    labels = frame_labels(scene, video, 6)
    assert labels.dtype == bool
    assert labels.tolist() == [False, True, True, False, False, True]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(5), "expected 6 labels, as many as frames, found 5"),
        (np.zeros((6, 1)), r"expected 6 labels, as many as frames, found an array of shape \(6, 1\)"),
        (np.array([0, 0, 2, 0, 0, 0]), "expected labels 0 or 1, found 2 at frame 2"),
        (np.array([0, 0, 0, np.nan, 0, 0]), "found nan at frame 3"),
        (np.array([0, 0.5, 0, 0, 0, 0]), "found 0.5 at frame 1"),
        (np.array([-1, 0, 0, 0, 0, 0]), "found -1 at frame 0"),
    ],
)
def test_labels_that_cannot_be(tmp_path, array, reason):
    scene, video = npy(tmp_path, array)
    with pytest.raises(LabelError, match=reason) as caught:
        frame_labels(scene, video, 6)
    assert "\n" not in str(caught.value)


class Evil:
    """Unpickling this makes a folder: if the test finds it, a label file has run code."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


@pytest.mark.parametrize("form", ["npy", "npz", "ubnormal"])
@pytest.mark.parametrize("how", ["object array", "bare pickle"])
def test_pickles_are_refused_and_not_run(tmp_path, form, how):
    evil = Evil(tmp_path / "run")
    path = tmp_path / "v1.dat"
    with path.open("wb") as file:
        if how == "bare pickle":
            pickle.dump({"v1": evil}, file)
        elif form == "npz":
            np.savez(file, v1=np.array([evil], object))
        else:
            np.save(file, np.array([evil], object), allow_pickle=True)
    scene, video = scene_with(tmp_path, labels={"format": form, "path": "v1.dat"})
    with pytest.raises(LabelError) as caught:
        frame_labels(scene, video, 6)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    if how == "object array":
        assert "pickled objects" in str(caught.value)


TABLE = {"labels": {"format": "intervals", "path": "t.csv", "unit": "frames"}}


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("video,start,end\nv1,1,3\nv1,5,6\nother,0,6\n", {}, [1, 2, 5]),
        ("# mine\n\n Video , START,End \n v1.mp4 , 2 , 3 \n", {}, [2]),
        ("video,start,end\nv1,1,3\n", {"first": 1, "inclusive": True}, [0, 1, 2]),
        ("video,start,end\n", {}, []),
        ("\ufeffvideo,start,end\nv1,0,1\n", {}, [0]),
        ("video,start,end\nv1,0.15,0.35\n", {"unit": "seconds"}, [2, 3]),
        ("video,start,end\nv1,0.5,1\n", {"unit": "seconds"}, [5]),
        ("video,start,end\nv1,1,3,a man falls\nv1,5,6,\n", {}, [1, 2, 5]),
    ],
)
def test_intervals(tmp_path, content, options, expected):
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    scene, video = scene_with(tmp_path, labels={**TABLE["labels"], **options})
    assert abnormal(scene, video) == expected


@pytest.mark.parametrize(
    ("form", "content", "reason"),
    [
        ("intervals", "video,start,end\nv1,1,7\n", "inside 0 to 6, the length of the video, found 1 to 7"),
        ("intervals", "video,start,end\nv1,4,2\n", "found 4 to 2"),
        ("intervals", "video,start,end\nv1,-1,2\n", "found -1 to 2"),
        ("intervals", "video,start,end\nv1,one,2\n", "expected a number, found 'one'"),
        ("intervals", "video,from,to\nv1,1,2\n", "expected columns video,start,end, found video,from,to"),
        ("ucsd-m", "TestVideoFile{end+1}.gt_frame = [2:9];", "found 1 to 9"),
        ("intervals", "video,start,end\nv1,nan,2\n", "expected a number, found 'nan'"),
        ("intervals", "video,start,end\nv1,0,inf\n", "expected a number, found 'inf'"),
        ("intervals", "video,start,end\nv1\n", "expected a number, found ''"),
        ("intervals", "video,start,end\nv1,\0,2\n", "expected a (number|table)"),
        ("intervals", f'video,start,end\n"{"x" * 200_000}",1,2\n', "expected a table of commas"),
        ("ur-fall", "v1,1.5e400,1\n", "expected a number"),
        ("ur-fall", "v1,two,1\n", "expected a number, found 'two'"),
        ("ur-fall", "v1,2,7\n", "expected postures -1, 0 or 1 of v1, found 7 at frame 2"),
        ("ur-fall", ",2,1\n", "rows of v1, found none"),
        ("ucf-crime", "v1.mp4 Abuse nan 2 -1 -1\n", "expected a number, found 'nan'"),
        ("ucsd-m", "TestVideoFile = {};", "a line for clip 1"),
        ("ubnormal", "1,0\n", "expected 3 numbers a line, found '1,0'"),
        ("ubnormal", "1,0,6\n", "inside 0 to 6"),
        ("street-scene", "what is this\n", "expected NAME.jpg TRACK X Y W H"),
        ("street-scene", "007.jpg 0 1 1 2 2\n", "box in frame 6"),
        ("street-scene", "001.jpg 0 1 1 0 2\n", "with an area"),
        ("ur-fall", "other,1,1\n", "rows of v1, found none"),
        ("ur-fall", "v1,7,1\n", "frames 1 to 6 of v1, found 7"),
        ("msad", "name,start\nv1,1\n", "starting frame of anomaly"),
        ("mat-intervals", "no matlab", "expected a MATLAB file"),
        ("mat-masks", "no matlab", "expected a MATLAB file"),
        ("npz", "no archive", "expected an archive"),
        ("npz", "", "expected an archive"),
        ("npy", "", "expected an array"),
        ("npy", "1,0,1\n", "expected an array"),
        ("png", "", "found neither"),
        ("no-such", "", "expected a known format, found 'no-such'"),
        ("interval", "", "did you mean 'intervals'"),
    ],
)
def test_label_files_that_say_something_else(tmp_path, form, content, reason):
    (tmp_path / "t").write_text(content)
    scene, video = scene_with(tmp_path, labels={"format": form, "path": "t", "unit": "frames"})
    with pytest.raises(LabelError, match=reason) as caught:
        frame_labels(scene, video, 6)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", sorted({*formats.FORMATS, *formats.MASK_FORMATS}))
def test_label_files_that_are_not_there(tmp_path, form):
    scene, video = scene_with(tmp_path, labels={"format": form, "path": "none/{video}"})
    with pytest.raises(LabelError, match=r"found no|neither"):
        frame_labels(scene, video, 6)


def test_tracks_of_an_unknown_format(tmp_path):
    scene, video = scene_with(tmp_path, tracks={"format": "track", "path": "t"})
    with pytest.raises(LabelError, match="did you mean 'tracks'"):
        region_tracks(scene, video, 6)


def test_a_row_about_a_normal_video_is_reported(tmp_path):
    (tmp_path / "t.csv").write_text("video,start,end\nv1,1,3\nn1,3,4\n")
    scene, _ = scene_with(tmp_path, **TABLE)
    normal = Video("n1", write_video(tmp_path / "n1.mp4", range(6)))
    with pytest.warns(FootageWarning, match=r"t\.csv, line 3: n1 is a normal video of s:x; shots may be drawn"):
        check_rows(replace(scene, normal=(normal,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_rows(replace(scene, normal=(replace(normal, name="v1"),)))  # the test video is meant


def test_a_second_that_a_fraction_just_misses_is_that_frame(tmp_path):
    (tmp_path / "t.csv").write_text("video,start,end\nv1,3.7,3.8\n")
    scene, _ = scene_with(tmp_path, labels={**TABLE["labels"], "unit": "seconds"})
    video = Video("v1", write_video(tmp_path / "long.mp4", range(120), fps=30))
    assert float(probe(video).seconds[111]) < 3.7 < float(probe(video).seconds[111]) + 1e-6
    assert np.flatnonzero(frame_labels(scene, video, 120)).tolist() == [111, 112, 113]


def test_seconds_the_wrong_way_round(tmp_path):
    text(tmp_path / "t.csv", "video,start,end\nv1,0.4,0.1\n")
    scene, video = scene_with(tmp_path, labels={**TABLE["labels"], "unit": "seconds"})
    with pytest.raises(LabelError, match=r"in seconds, found 0\.4 to 0\.1"):
        frame_labels(scene, video, 6)
    with pytest.raises(LabelError, match="expected 9 frames"):
        frame_labels(scene, video, 9)


def test_a_mask_that_cannot_be_read(tmp_path):
    (write_masks(tmp_path / "m", [0] * 6, suffix=".png") / "003.png").write_bytes(b"broken")
    scene, video = scene_with(tmp_path, pixel_masks={"format": "png", "path": "m"})
    with pytest.raises(LabelError, match=r"003\.png: expected a mask image"):
        frame_labels(scene, video, 6)


def test_a_mask_over_the_limit_of_pixels(tmp_path):
    write_huge_image(write_masks(tmp_path / "m", [0] * 6, suffix=".png") / "003.png")
    scene, video = scene_with(tmp_path, pixel_masks={"format": "png", "path": "m"})
    with pytest.raises(LabelError, match=r"003\.png: expected a mask image, found one that OpenCV refuses") as caught:
        frame_labels(scene, video, 6)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_an_archive_of_other_videos(tmp_path, form):
    with (tmp_path / "t.dat").open("wb") as file:
        np.savez(file, v2=np.zeros(6), v3=np.zeros(6))
    scene, video = scene_with(tmp_path, labels={"format": form, "path": "t.dat"})
    with pytest.raises(LabelError, match=r"archive of arrays|labels of 'v1', found those of 2 others"):
        frame_labels(scene, video, 6)


def test_object_maps_beyond_the_video(tmp_path):
    write_image(tmp_path / "m" / "v1_0006_gt.png", box_mask(1))
    scene, video = scene_with(tmp_path, pixel_masks={"format": "object-maps", "path": "m"})
    with pytest.raises(LabelError, match="maps up to frame 5, found 6"):
        frame_labels(scene, video, 6)


def test_a_scene_without_labels(tmp_path):
    scene, video = scene_with(tmp_path)
    with pytest.raises(LabelError, match="expected labels"):
        frame_labels(scene, video, 6)
    assert pixel_masks(scene, video, 6) is None
    assert region_tracks(scene, video, 6) == []


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"other": np.zeros(3)}, "expected variable 'gt', found other"),
        ({"gt": cells([])}, "a cell for clip 1, found 0"),
        ({"gt": cells([np.array([[1, 2, 3]])])}, "starts over ends"),
        ({"gt": cells([np.array([[1], [7]])])}, "found 0 to 7"),
    ],
)
def test_matlab_files_with_something_else(tmp_path, variables, reason):
    mat(tmp_path / "t.mat", **variables)
    scene, video = scene_with(tmp_path, labels={"format": "mat-intervals", "path": "t.mat"})
    with pytest.raises(LabelError, match=reason):
        frame_labels(scene, video, 6)


@pytest.mark.parametrize("form", ["png", "npy-masks", "mat-masks"])
def test_masks_of_another_number(tmp_path, form):
    masks = [box_mask(mark) for mark in (0, 1, 1)]
    write_masks(tmp_path / "png", [0, 1, 1], suffix=".png")
    save(tmp_path / "npy-masks", np.stack(masks)).with_name("npy-masks.npy").rename(tmp_path / "npy-masks")
    mat(tmp_path / "mat-masks.mat", volLabel=cells(masks)).rename(tmp_path / "mat-masks")
    scene, video = scene_with(tmp_path, pixel_masks={"format": form, "path": form})
    with pytest.raises(LabelError, match=r"6.*found \(?3"):
        frame_labels(scene, video, 6)


@pytest.mark.parametrize("form", ["ucsd-m", "intervals", "ur-fall", "tracks"])
def test_a_folder_where_a_file_should_be(tmp_path, form):
    (tmp_path / "t").mkdir()
    side = "tracks" if form == "tracks" else "labels"
    scene, video = scene_with(tmp_path, **{side: {"format": form, "path": "t"}})
    with pytest.raises((LabelError, OSError)) as caught:
        region_tracks(scene, video, 6) if side == "tracks" else frame_labels(scene, video, 6)
    assert "\n" not in str(caught.value)


def test_single_frames_of_a_clip(tmp_path):
    text(tmp_path / "t.m", "TestVideoFile{end+1}.gt_frame = [2, 4:5];\n")
    scene, video = scene_with(tmp_path, labels={"format": "ucsd-m", "path": "t.m"})
    assert abnormal(scene, video) == [1, 3, 4]


def test_what_is_opaque_is_not_abnormal(tmp_path):
    """An image program saves masks with a channel that says how opaque they are: everywhere."""
    for frame in range(6):
        picture = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        picture[..., 3] = 255
        picture[..., :3] = 255 * box_mask(frame == 2)[..., None]
        write_image(tmp_path / "m" / f"{frame:03d}.png", picture)
    scene, video = scene_with(tmp_path, pixel_masks={"format": "png", "path": "m"})
    assert abnormal(scene, video) == [2]
    assert region_tracks(scene, video, 6) == [(0, 2, *BOX)]


def test_maps_of_colours_hold_an_object_each(tmp_path):
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[4:8, 10:20], picture[20:24, 30:40] = (0, 0, 200), (0, 200, 0)
    write_image(tmp_path / "m" / "v1_0003_gt.png", picture)
    maps = {"format": "object-maps", "path": "m"}
    scene, video = scene_with(tmp_path, pixel_masks=maps, tracks=maps)
    assert abnormal(scene, video) == [3]
    assert [mask.shape for mask in pixel_masks(scene, video, 6) or []] == [(HEIGHT, WIDTH)] * 6
    assert sorted(box[2:] for box in region_tracks(scene, video, 6)) == [BOX, (30, 20, 40, 24)]


def test_frame_labels_of_masks_alone(tmp_path):
    write_masks(tmp_path / "masks", [0, 1, 1, 0, 0, 1], suffix=".png")
    scene, video = scene_with(tmp_path, pixel_masks={"format": "png", "path": "masks"})
    assert abnormal(scene, video) == [1, 2, 5]


def test_masks_and_boxes_are_cropped_with_the_picture(tmp_path):
    write_masks(tmp_path / "masks", [1] * 6, suffix=".png")
    text(tmp_path / "tracks.txt", "7,0,10,4,19,7\n7,1,0,0,5,5\n")
    tracks = {"format": "tracks", "path": "tracks.txt"}
    scene, video = scene_with(tmp_path, pixel_masks={"format": "png", "path": "masks"}, tracks=tracks)
    scene = Scene(**{**vars(scene), "crop": Crop(top=5, left=12, right=46)})
    mask = next(iter(pixel_masks(scene, video, 6) or []))
    assert mask.shape == (HEIGHT - 5, WIDTH - 58)
    assert np.argwhere(mask).max(axis=0).tolist() == [2, 5]
    assert region_tracks(scene, video, 6) == [(7, 0, 0, 0, 6, 3)]


def test_track_rows_may_be_few_or_none_and_in_any_order(tmp_path):
    tracks = {"format": "tracks", "path": "t.txt"}
    text(tmp_path / "t.txt", "")
    scene, video = scene_with(tmp_path, tracks=tracks)
    assert region_tracks(scene, video, 6) == []
    text(tmp_path / "t.txt", "9,5,0,0,0,0\n")
    assert region_tracks(scene, video, 6) == [(9, 5, 0, 0, 1, 1)]
    text(tmp_path / "t.txt", "9,6,0,0,0,0\n")
    with pytest.raises(LabelError, match="frames 0 to 5"):
        region_tracks(scene, video, 6)


# --- tracks of masks -----------------------------------------------------------------------------------------


def moving(positions: list[list[int]], width: int = 40) -> list[np.ndarray]:
    """Masks with a 4x4 square at each given column."""
    masks = []
    for columns in positions:
        mask = np.zeros((10, width), bool)
        for x in columns:
            mask[3:7, x : x + 4] = True
        masks.append(mask)
    return masks


def test_regions_that_overlap_from_frame_to_frame_are_a_track():
    boxes = labels._tracks_of_masks(iter(moving([[0, 20], [2, 22], [4], [], [4]])))
    assert [(track, frame) for track, frame, *_ in boxes] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (2, 4)]
    assert boxes[2][2:] == (2, 3, 6, 7)


def test_a_region_that_parts_keeps_one_track_and_begins_another():
    boxes = labels._tracks_of_masks(iter(moving([[0, 3], [0, 5]])))
    assert [(track, frame) for track, frame, *_ in boxes] == [(0, 0), (0, 1), (1, 1)]


@given(st.lists(st.lists(st.integers(0, 36), max_size=3), max_size=6))
def test_tracks_cover_the_masks_and_no_track_is_twice_in_a_frame(positions):
    masks = moving(positions)
    boxes = labels._tracks_of_masks(iter(masks))
    for frame, mask in enumerate(masks):
        covered = np.zeros_like(mask)
        tracks = [box[0] for box in boxes if box[1] == frame]
        for _, _, x0, y0, x1, y1 in (box for box in boxes if box[1] == frame):
            assert mask[y0:y1, x0:x1].any()
            covered[y0:y1, x0:x1] = True
        assert not (mask & ~covered).any()
        assert len(tracks) == len(set(tracks))


# --- real footage, where there is some -----------------------------------------------------------------------

REAL = os.environ.get("METAVAD_DATA", "")


@pytest.mark.skipif(not Path(REAL, "ped2/labels").is_dir(), reason="METAVAD_DATA with ped2 as mp4 is not there")
def test_real_ped2_has_the_known_counts():
    (scene,) = load_suite("ped2", Path(REAL)).scenes
    frames = [probe(video).frames for video in scene.test]
    counts = [len(abnormal(scene, video)) for video in scene.test]
    assert (tuple(frames), sum(counts)) == (scene.expect.test_lengths, 1648)
    masks = [mask.any() for mask in pixel_masks(scene, scene.test[0], frames[0]) or []]
    assert np.flatnonzero(masks).tolist() == abnormal(scene, scene.test[0])


@pytest.mark.skipif(not Path(REAL, "umn/lawn").is_dir(), reason="METAVAD_DATA with umn is not there")
@pytest.mark.parametrize(("name", "count"), [("umn", 1163), ("umn-banner", 1038)])
def test_real_umn_has_the_known_counts(name, count):
    scenes = load_suite(name, Path(REAL)).scenes
    assert sum(len(abnormal(scene, video)) for scene in scenes for video in scene.test) == count
    assert all(min(abnormal(scene, video)) >= 300 for scene in scenes for video in scene.test)
