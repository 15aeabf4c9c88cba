import csv
import json
import math
import tomllib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from joblib import Parallel, delayed

from metavad.errors import OutputError, UsageError
from metavad.synthetic import EVENT_KINDS, write, write_suite

SETTINGS = {"seed": 11, "size": "tiny", "normal_seconds": 1.0, "test_seconds": 2.0}


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Path:
    return write_suite(tmp_path_factory.mktemp("generated"), scenes=2, **SETTINGS)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes_and_few_cameras_are_a_prefix_of_many(suite, tmp_path):
    again = write_suite(tmp_path, scenes=1, **SETTINGS)
    one, two = contents(suite.parent / "camera-000"), contents(again.parent / "camera-000")
    assert one.keys() == two.keys()
    assert [key for key in one if one[key] != two[key]] == []


def test_opencv_has_as_many_threads_afterwards_as_before(tmp_path):
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    write_suite(tmp_path, scenes=1, **{**SETTINGS, "normal_seconds": 0.2}, test_videos=0, normal_videos=1)
    assert cv2.getNumThreads() == 3
    cv2.setNumThreads(before)


def test_another_seed_gives_other_footage(suite, tmp_path):
    other = write_suite(tmp_path, scenes=1, **{**SETTINGS, "seed": 12})
    assert contents(suite.parent / "camera-000") != contents(other.parent / "camera-000")


def test_the_suite_file_names_videos_labels_and_masks(suite):
    scenes = tomllib.loads(suite.read_text())["scenes"]
    assert [scene["name"] for scene in scenes] == ["camera-000", "camera-001"]
    for scene in scenes:
        root = suite.parent / scene["root"]
        tests = sorted(root.glob(scene["test"][0]))
        assert len(tests) == 2
        assert len(list(root.glob(scene["normal"][0]))) == 2
        for video in tests:
            frames = decoded(video)
            labels = np.load(root / scene["labels"]["path"].format(video=video.stem), allow_pickle=False)
            assert labels.dtype == np.uint8
            assert labels.shape == (len(frames),)
            masks = sorted((root / scene["pixel_masks"]["path"].format(video=video.stem)).iterdir())
            pictures = [cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) for mask in masks]
            assert frames.shape[1:3] == pictures[0].shape
            assert [bool(picture.any()) for picture in pictures] == labels.astype(bool).tolist()
            assert set(np.unique(pictures)) <= {0, 255}


def test_tracks_and_keypoints_tell_of_the_same_people(suite):
    for path in suite.parent.glob("*/tracks/*.csv"):
        table = rows(path)
        points = np.load(path.parents[1] / "keypoints" / f"{path.stem}.npz")
        known = {(int(row["track"]), int(row["frame"])) for row in table if row["kind"] in ("person", "cyclist")}
        listed = set(zip(points["tracks"].tolist(), points["frames"].tolist(), strict=True))
        assert known <= listed
        assert points["points"].shape == (len(points["tracks"]), 17, 2)
        labels = path.parents[1] / "labels" / f"{path.stem}.npy"
        abnormal = {int(row["frame"]) for row in table if row["abnormal"] == "1"}
        assert abnormal == (set(np.flatnonzero(np.load(labels)).tolist()) if labels.exists() else set())


def test_events_cover_the_labels(suite):
    for path in suite.parent.glob("*/events.csv"):
        runs = rows(path)
        assert {row["kind"] for row in runs} <= set(EVENT_KINDS)
        for labels in (path.parent / "labels").iterdir():
            covered = np.zeros(len(truth := np.load(labels).astype(bool)), dtype=bool)
            for row in (row for row in runs if row["video"] == labels.stem):
                assert truth[int(row["start"])]
                assert truth[int(row["end"]) - 1]
                covered[int(row["start"]) : int(row["end"])] = True
            assert not (truth & ~covered).any()


def test_files_run_at_the_camera_s_rate(tmp_path):
    path = write_suite(tmp_path, scenes=1, seed=2, size="small", normal_videos=1, test_videos=0, normal_seconds=1.0)
    meta = json.loads((path.parent / "camera-000" / "meta.json").read_text())
    with av.open(str(next(path.parent.rglob("*.mp4")))) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == meta["frames_per_second"]
        assert [stream.width, stream.height] == meta["resolution"]


def test_meta_says_what_is_normal_here(suite):
    meta = json.loads((suite.parent / "camera-001" / "meta.json").read_text())
    assert meta["seed"] == 11
    assert meta["version"] == write.VERSION
    assert isinstance(meta["normal_includes"], list)


def test_finished_cameras_are_kept_and_missing_ones_are_added(tmp_path, monkeypatch):
    write_suite(tmp_path, scenes=1, **SETTINGS)
    before = (tmp_path / "camera-000" / "meta.json").stat().st_mtime_ns
    written = []
    real = write._write_scene
    monkeypatch.setattr(write, "_write_scene", lambda *given: written.append(given[2]) or real(*given))
    write_suite(tmp_path, scenes=2, **SETTINGS)
    assert written == [1]
    assert (tmp_path / "camera-000" / "meta.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"test_seconds": 1.0}, {"normal_videos": 1}])
def test_a_camera_of_other_settings_is_refused_and_left_alone(suite, change):
    before = contents(suite.parent)
    with pytest.raises(OutputError, match="same seed, size and counts"):
        write_suite(suite.parent, scenes=1, **{**SETTINGS, **change})
    assert contents(suite.parent) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_folder_that_is_no_camera_is_refused(tmp_path, text):
    (tmp_path / "camera-000").mkdir()
    (tmp_path / "camera-000" / "meta.json").write_text(text)
    with pytest.raises(OutputError, match="camera-000"):
        write_suite(tmp_path, scenes=1, **SETTINGS)


def test_several_processes_write_the_same(suite, tmp_path):
    write_suite(tmp_path, scenes=2, jobs=2, **SETTINGS)
    assert contents(tmp_path / "camera-001") == contents(suite.parent / "camera-001")


def test_a_camera_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("power cut")
        yield

    monkeypatch.setattr(write, "render", broken)
    with pytest.raises(RuntimeError, match="power cut"):
        write_suite(tmp_path, scenes=1, **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_only_normal_footage_can_be_long(tmp_path):
    path = write_suite(
        tmp_path, scenes=1, seed=0, size="tiny", first=4, normal_videos=1, test_videos=0, normal_seconds=40
    )
    scene = tomllib.loads(path.read_text())["scenes"][0]
    assert scene["name"] == "camera-004"
    assert "test" not in scene
    assert len(decoded(tmp_path / "camera-004" / "normal" / "normal-00.mp4")) == 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenes": 0}, "scenes: expected at least 1"),
        ({"scenes": 10**9}, "scenes: expected .* at most 100000"),
        ({"first": -1}, "first: expected at least 0"),
        ({"normal_videos": 10**9}, "normal_videos: expected"),
        *(({"normal_seconds": each}, "normal_seconds: expected") for each in (0.0, -1.0, math.nan, math.inf, 1e300)),
        ({"test_seconds": math.inf}, "test_seconds: expected"),
        ({"size": "tny"}, "tiny"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, change, words):
    with pytest.raises(UsageError, match=words):
        write_suite(tmp_path, **{"scenes": 1, **SETTINGS, **change})


def test_the_ordinary_loaders_read_it(suite):
    from metavad.scenes.labels import frame_labels, pixel_masks, region_tracks
    from metavad.scenes.suite import load_suite

    scenes = load_suite(str(suite)).scenes
    assert len(scenes) == 2
    for scene in scenes:
        for video in scene.test:
            truth = np.load(suite.parent / scene.name / "labels" / f"{video.path.stem}.npy")
            np.testing.assert_array_equal(frame_labels(scene, video, len(truth)), truth > 0)
            boxes = region_tracks(scene, video, len(truth))
            assert {frame for _, frame, *_ in boxes} == set(np.flatnonzero(truth).tolist())
            for frame, mask in enumerate(pixel_masks(scene, video, len(truth))):
                left = mask.copy()
                for _, _, x0, y0, x1, y1 in (box for box in boxes if box[1] == frame):
                    left[y0:y1, x0:x1] = False
                assert not left.any()


def test_workers_that_were_started_elsewhere_write_here(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Parallel(n_jobs=2)(delayed(abs)(number) for number in (-1, 1)) == [1, 1]
    monkeypatch.chdir(tmp_path)
    footage = {"normal_videos": 1, "normal_seconds": 1.0, "test_videos": 0}
    write_suite(Path("site"), scenes=2, seed=1, size="tiny", jobs=2, **footage)
    assert len(list((tmp_path / "site").glob("camera-*/normal/*.mp4"))) == 2
