"""Labels are read exactly as each dataset writes them: miniatures of the released trees, junk included."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import LabelError
from metavad.scenes import formats, labels
from metavad.scenes import suite as suites
from metavad.scenes.check import check_suite
from metavad.scenes.labels import frame_labels, pixel_masks, region_tracks
from metavad.scenes.suite import Crop, LabelSource, Scene, Video, load_suite
from metavad.scenes.video import probe
from metavad.shipped import shipped
from tests.footage import (
    HEIGHT,
    WIDTH,
    box_mask,
    write_frames,
    write_image,
    write_masks,
    write_video,
)

BOX = (10, 4, 20, 8)


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def cells(items: list[np.ndarray]) -> np.ndarray:
    """A 1xN cell array."""
    array = np.empty((1, len(items)), object)
    for place, item in enumerate(items):
        array[0, place] = item
    return array


def mat(path: Path, **variables) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, variables)
    return path


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


def ped_official(data: Path, number: int = 2) -> None:
    root = data / "UCSD_Anomaly_Dataset.v1p2" / f"UCSDped{number}"
    for name in ("Train/Train001", "Train/Train002", "Test/Test001", "Test/Test002"):
        write_frames(root / name, 9, suffix=".tif", first=1)
    write_masks(root / "Test" / "Test001_gt", [0, 0, 1, 1, 1, 0, 0, 1, 1])
    (root / "Test" / "Test001_gt" / "._001.bmp").write_bytes(b"junk")
    text(
        root / "Test" / f"UCSDped{number}.m",
        "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [3:5, 8:9];\nTestVideoFile{end+1}.gt_frame = [1:9];\n",
    )
    for junk in (
        ".DS_Store",
        "Test/.DS_Store",
        "Train/._.DS_Store",
        f"Test/UCSDped{number}.m~",
        f"Test/._UCSDped{number}.m",
    ):
        text(root / junk, "junk")


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
    for folder in ("training/frames/01", "testing/frames/01", "testing/frames/02"):
        write_frames(tmp_path / name / folder, 9, suffix=".jpg")
    intervals = [np.array([[3, 8], [5, 9]], np.uint8), np.array([[1], [9]], np.uint8)]
    mat(tmp_path / name / f"{name}.mat", gt=cells(intervals))
    assert load_suite(name, tmp_path).layout == "repacked"
    assert all_abnormal(name, tmp_path) == {f"{name}/01": [2, 3, 4, 7, 8], f"{name}/02": list(range(9))}


def test_ped2_as_hf2_vad_lays_it_out(tmp_path):
    for folder in ("training/frames/Train001", "testing/frames/Test001"):
        write_frames(tmp_path / "ped2" / folder, 4, suffix=".tif", first=1)
    write_masks(tmp_path / "ped2" / "testing/frames/Test001_gt", [0, 1, 1, 0])
    assert load_suite("ped2", tmp_path).layout == "hf2-vad"
    assert all_abnormal("ped2", tmp_path) == {"ped2/Test001": [1, 2]}


def test_intervals_stored_in_bytes_do_not_wrap(tmp_path):
    """100 frames from 200 on: 255 + 1 in a byte is 0."""
    source = LabelSource("mat-intervals", "gt.mat", tmp_path)
    mat(tmp_path / "gt.mat", gt=cells([np.array([[200], [255]], np.uint8)]))
    found = formats.FORMATS["mat-intervals"](source, Video("1", tmp_path / "1"), 300)
    assert np.flatnonzero(found).tolist() == list(range(199, 255))


def avenue_videos(data: Path) -> None:
    for name, frames in (("training_videos/01", 6), ("testing_videos/01", 6), ("testing_videos/02", 5)):
        write_video(data / "Avenue Dataset" / f"{name}.avi", range(frames), codec="mpeg4", fps=25)
    text(data / "Avenue Dataset" / "testing_vol" / "vol01.mat", "not read")


@pytest.mark.parametrize(("root", "layout"), [(".", "official"), ("avenue", "official, in a folder avenue")])
def test_avenue_by_masks(tmp_path, root, layout):
    avenue_videos(tmp_path / root)
    folder = tmp_path / root / "ground_truth_demo" / "testing_label_mask"
    for clip, marks in ((1, [0, 1, 1, 0, 0, 0]), (2, [1] * 5)):
        mat(folder / f"{clip}_label.mat", volLabel=cells([box_mask(mark) for mark in marks]))
    suite = load_suite("avenue", tmp_path)
    assert (suite.layout, suite.label_set) == (layout, "masks")
    assert all_abnormal("avenue", tmp_path) == {"avenue/01": [1, 2], "avenue/02": [0, 1, 2, 3, 4]}
    (scene,) = suite.scenes
    assert region_tracks(scene, scene.test[0], 6) == [(0, 1, *BOX), (0, 2, *BOX)]


def test_avenue_by_intervals(tmp_path):
    avenue_videos(tmp_path)
    mat(tmp_path / "avenue.mat", gt=cells([np.array([[2, 5], [3, 6]], np.uint16), np.zeros((2, 0), np.uint16)]))
    assert load_suite("avenue-intervals", tmp_path).label_set == "intervals"
    assert all_abnormal("avenue-intervals", tmp_path) == {"avenue/01": [1, 2, 4, 5], "avenue/02": []}


def test_the_other_avenue_mat_is_told_by_its_variables(tmp_path):
    avenue_videos(tmp_path)
    labels = {"01": np.array([[0, 1, 1, 0, 0, 1]], np.int32), "02": np.ones((1, 5), np.int32)}
    mat(tmp_path / "avenue.mat", **labels)
    assert all_abnormal("avenue-intervals", tmp_path) == {"avenue/01": [1, 2, 5], "avenue/02": [0, 1, 2, 3, 4]}


def shanghaitech(data: Path) -> Path:
    root = data / "shanghaitech"
    for name in ("01_001", "02_001", "13_001"):
        write_video(root / "training" / "videos" / f"{name}.avi", range(3), codec="mpeg4", fps=24)
    for name, first, digits in (("01_0014", 0, 3), ("02_0002", 1, 6)):
        write_frames(root / "testing" / "frames" / name, 4, suffix=".jpg", first=first, digits=digits)
        save(root / "testing" / "test_frame_mask" / f"{name}.npy", np.array([0, 1, 1, 0], np.uint8))
        masks = np.stack([box_mask(mark) for mark in (0, 1, 1, 0)])
        save(root / "testing" / "test_pixel_mask" / f"{name}.npy", masks)
    return root


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
    root = shanghaitech(tmp_path)
    if layout == "converted":
        (root / "training" / "videos").rename(root / "training" / "converted_videos")
    else:
        for video in sorted((root / "training" / "videos").iterdir()):
            write_frames(root / "training" / "frames" / video.stem, 3, suffix=".jpg")
            video.unlink()
    for name in ("shanghaitech", "shanghaitech-6-7"):
        assert load_suite(name, tmp_path).layout == layout
        assert all_abnormal(name, tmp_path) == {"01/01_0014": [1, 2], "02/02_0002": [1, 2]}


def test_ped2_as_mp4_files(tmp_path):
    for name in ("training/01", "testing/01"):
        write_video(tmp_path / "ped2" / f"{name}.mp4", range(4))
    save(tmp_path / "ped2" / "labels" / "01.npy", np.array([0, 1, 1, 0], np.uint8))
    write_masks(tmp_path / "ped2" / "pixel_masks" / "01", [0, 1, 1, 0], suffix=".png", first=0)
    assert load_suite("ped2", tmp_path).layout == "mp4"
    assert all_abnormal("ped2", tmp_path) == {"ped2/01": [1, 2]}


@pytest.mark.parametrize("name", ["avenue", "avenue-intervals"])
def test_avenue_as_repacked(tmp_path, name):
    for folder, frames in (("training/frames/01", 4), ("testing/frames/01", 6), ("testing/frames/02", 5)):
        write_frames(tmp_path / "avenue" / folder, frames, suffix=".jpg", digits=4)
    place = tmp_path / "avenue" / "ground_truth_demo" / "testing_label_mask"
    for clip, marks in ((1, [0, 1, 1, 0, 0, 0]), (2, [1] * 5)):
        mat(place / f"{clip}_label.mat", volLabel=cells([box_mask(mark) for mark in marks]))
    intervals = [np.array([[2], [3]], np.uint16), np.array([[1], [5]], np.uint16)]
    mat(tmp_path / "avenue" / "avenue.mat", gt=cells(intervals))
    assert load_suite(name, tmp_path).layout == "repacked"
    assert all_abnormal(name, tmp_path) == {"avenue/01": [1, 2], "avenue/02": [0, 1, 2, 3, 4]}


UBNORMAL_TRACKS = "Scene1/abnormal_scene_1_scenario_3_fog_annotations/abnormal_scene_1_scenario_3_fog_tracks.txt"


def ubnormal(data: Path) -> Path:
    root = data / "UBnormal"
    for scene, name, count in (
        (1, "normal_scene_1_scenario_1", 4),
        (1, "normal_scene_1_scenario_2", 4),
        (1, "abnormal_scene_1_scenario_3_fog", 5),
        (11, "normal_scene_11_scenario_6_1", 4),
    ):
        write_video(root / f"Scene{scene}" / f"{name}.mp4", range(count), fps=30)
    folder = root / "Scene1" / "abnormal_scene_1_scenario_3_fog_annotations"
    for frame, objects in enumerate(({}, {1: 0, 2: 20}, {1: 1}, {1: 2, 3: 40}, {})):
        ids = np.zeros((HEIGHT, WIDTH), np.uint8)
        for name, x in objects.items():
            ids[2:6, x : x + 3] = name
            ids[20, x] = name  # a stray pixel: the largest contour counts
        write_image(folder / f"abnormal_scene_1_scenario_3_fog_{frame:04d}_gt.png", ids)
    rows = "1.000000000000000000e+00,1.000000000000000000e+00,3.000000000000000000e+00\n"
    text(folder / "abnormal_scene_1_scenario_3_fog_tracks.txt", rows)
    return root


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
    root = ubnormal(tmp_path)
    text(
        root / "scripts" / "normal_training_video_names.txt",
        "normal_scene_1_scenario_1\nnormal_scene_11_scenario_6_1\n",
    )
    text(root / "scripts" / "normal_test_video_names.txt", "normal_scene_1_scenario_2\n")
    text(root / "scripts" / "abnormal_test_video_names.txt", "abnormal_scene_1_scenario_3_fog\n")
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


def test_arrays_named_txt_are_told_and_inverted(tmp_path):
    root = ubnormal(tmp_path)
    path = (
        root / "Scene1" / "abnormal_scene_1_scenario_3_fog_annotations" / "abnormal_scene_1_scenario_3_fog_tracks.txt"
    )
    with path.open("wb") as file:
        np.save(file, np.array([1.0, 1.0, 0.0, 0.0, 1.0]))
    assert all_abnormal("ubnormal", tmp_path) == {"scene1/abnormal_scene_1_scenario_3_fog": [2, 3]}


@pytest.mark.parametrize("form", ["one npz", "npz per video", "npy per video"])
def test_nwpu_campus(tmp_path, form):
    root = tmp_path / "NWPU_Campus"
    for name in ("Train/D001_01", "Train/D002_01", "Test/D001_02"):
        write_video(root / f"{name}.avi", range(4), codec="mpeg4")
    marks = np.array([0, 0, 1, 1], np.uint8)
    (root / "gt").mkdir()
    if form == "one npz":
        np.savez(root / "gt.npz", **{"D001_02": marks, "D009_01": marks[:2]})
    elif form == "npz per video":
        np.savez(root / "gt" / "D001_02.npz", marks)
    else:
        np.save(root / "gt" / "D001_02.npy", marks)
    assert load_suite("nwpu-campus", tmp_path).layout == form
    assert all_abnormal("nwpu-campus", tmp_path) == {"D001/D001_02": [2, 3]}
    roles = {scene.name: sorted(scene.roles) for scene in load_suite("nwpu-campus", tmp_path).scenes}
    assert roles == {"D001": ["meta-test", "meta-train"], "D002": ["meta-train"]}


def test_street_scene(tmp_path):
    root = tmp_path / "StreetScene"
    for name in ("Train/Train001", "Test/Test001"):
        write_frames(root / name, 5, suffix=".jpg", first=1)
    text(
        root / "Test/Test001/Test001_gt.txt",
        "Test001/002.jpg 0 10 4 10 4\nTest001/003.jpg 0 10 4 10 4\n\n003.jpg 1 0 0 5 5\n",
    )
    assert all_abnormal("street-scene", tmp_path) == {"street/Test001": [1, 2]}
    (scene,) = load_suite("street-scene", tmp_path).scenes
    assert region_tracks(scene, scene.test[0], 5) == [(0, 1, *BOX), (0, 2, *BOX), (1, 2, 0, 0, 5, 5)]
    assert pixel_masks(scene, scene.test[0], 5) is None


def test_ur_fall(tmp_path):
    root = tmp_path / "ur-fall"
    for name in ("adl-01-cam0-rgb", "fall-01-cam0-rgb", "fall-10-cam0-rgb"):
        write_frames(root / name, 8)
    rows = [("fall-01", 1, -1), ("fall-01", 3, 0), ("fall-01", 4, 1), ("fall-01", 8, -1), ("fall-10", 6, 1)]
    text(root / "urfall-cam0-falls.csv", "".join(f"{a},{b},{c},3.2,0.4\n" for a, b, c in rows))
    assert load_suite("ur-fall", tmp_path).label_set == "falling and lying"
    assert all_abnormal("ur-fall", tmp_path) == {
        "cam0/fall-01-cam0-rgb": [2, 3, 4, 5, 6],
        "cam0/fall-10-cam0-rgb": [5, 6, 7],
    }


def test_msad(tmp_path):
    root = tmp_path / "MSAD"
    for name in (
        "normal_training_blur/shop_1",
        "normal_training_blur/perdestrian_street_2",
        "normal_testing_blur/shop_9",
    ):
        write_video(root / f"MSAD_{name}.mp4", range(5), fps=30)
    write_video(root / "MSAD_anomaly_blur" / "Assault" / "Assault_1.mp4", range(6), fps=30)
    header = "name,scenario,total frames,starting frame of anomaly,ending frame of anomaly\n"
    text(root / "anomaly_annotation.csv", header + "Assault_1,shop,6,3,6\n")
    suite = load_suite("msad", tmp_path)
    assert {scene.name: sorted(scene.roles) for scene in suite.scenes} == {
        "perdestrian_street_2": ["meta-train"],
        "shop_1": ["meta-train"],
        "all": ["meta-test"],
    }
    assert all_abnormal("msad", tmp_path) == {"all/Assault_1": [2, 3, 4, 5], "all/shop_9": []}


def test_ucf_crime_normal(tmp_path):
    folder = tmp_path / "UCF-Crime" / "Training_Normal_Videos_Anomaly"
    for number in (1, 2):
        write_video(folder / f"Normal_Videos{number:03d}_x264.mp4", range(3))
    suite = load_suite("ucf-crime-normal", tmp_path)
    assert [scene.name for scene in suite.scenes] == ["Normal_Videos001", "Normal_Videos002"]
    assert wrong(suite) == []
    assert all(scene.roles == {"meta-train"} for scene in suite.scenes)


def test_ucf_crime_lines(tmp_path):
    text(tmp_path / "t.txt", "Abuse028_x264.mp4  Abuse  2  3  5  5  \nNormal_Videos_003_x264.mp4 Normal -1  -1 -1 -1\n")
    source = LabelSource("ucf-crime", "t.txt", tmp_path)
    read = formats.FORMATS["ucf-crime"]
    assert np.flatnonzero(read(source, Video("Abuse028_x264", tmp_path), 9)).tolist() == [1, 2, 4]
    assert not read(source, Video("Normal_Videos_003_x264", tmp_path), 9).any()
    with pytest.raises(LabelError, match="a line of Abuse99"):
        read(source, Video("Abuse99", tmp_path), 9)


@pytest.mark.parametrize(("name", "csv"), [("umn", "intervals.csv"), ("umn-banner", "banner.csv")])
def test_umn(tmp_path, name, csv):
    for scene in ("lawn", "indoor", "plaza"):
        path = write_video(tmp_path / "umn" / scene / "Trim1.mp4", range(320), fps=30, size=(64, 64))
        text(path.parent / csv, "video,start,end\nTrim1,310,315\nTrim2,0,5\n")
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


TABLE = {"labels": {"format": "intervals", "path": "t.csv"}}


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("video,start,end\nv1,1,3\nv1,5,6\nother,0,6\n", {}, [1, 2, 5]),
        ("start,end\n1,3\n", {}, [1, 2]),
        ("# mine\n\n Video , START,End \n v1.mp4 , 2 , 3 \n", {}, [2]),
        ("video,start,end\nv1,1,3\n", {"first": 1, "inclusive": True}, [0, 1, 2]),
        ("video,start,end\n", {}, []),
        ("\ufeffvideo,start,end\nv1,0,1\n", {}, [0]),
        ("video,start,end\nv1,0.15,0.35\n", {"unit": "seconds"}, [2, 3]),
        ("video,start,end\nv1,0.2,0.2\nv1,0.5,99\n", {"unit": "seconds"}, [5]),
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
    scene, video = scene_with(tmp_path, labels={"format": form, "path": "t"})
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


def test_seconds_the_wrong_way_round(tmp_path):
    text(tmp_path / "t.csv", "start,end\n0.4,0.1\n")
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
