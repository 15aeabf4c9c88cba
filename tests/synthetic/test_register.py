"""No dataset on disk can pass for a generated camera: its test labels would train what is to be tested on it."""

import json
import shutil
import warnings

import numpy as np
import pytest

from metavad.errors import FootageWarning, OutputError
from metavad.progress import SILENT
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.synthetic import is_generated, write, write_suite
from metavad.workflows.meta_train import meta_train, training_footage
from metavad.workflows.suites import open_suite
from tests.footage import write_video

SETTINGS = {"scenes": 1, "seed": 5, "size": "tiny"}


@pytest.fixture
def site(cameras, tmp_path):
    """Generated cameras somewhere else than they were written to."""
    return shutil.copytree(cameras.parent, tmp_path / "site")


def generated(folder) -> list[bool]:
    return [is_generated(scene) for scene in load_suite(str(folder)).scenes]


@pytest.fixture
def dataset(site):
    """Somebody's footage, with everything about it that says it was generated."""
    for path in (site / "camera-000" / "test").glob("*.mp4"):
        frames = len(np.load(site / "camera-000" / "labels" / f"{path.stem}.npy"))
        write_video(path, range(frames), size=(72, 96))
    return site


def test_what_the_generator_wrote_is_generated_wherever_it_lies(cameras, site):
    assert generated(cameras.parent) == generated(site) == [True] * 3
    assert generated(write_suite(site / "more", **SETTINGS).parent) == [True]


def test_a_folder_that_says_it_was_generated_is_not(dataset):
    meta = json.loads((dataset / "camera-000" / "meta.json").read_text())
    assert meta["digest"]
    assert generated(dataset) == [False, True, True]


def test_one_other_video_or_label_is_enough(site):
    write_video(site / "camera-001" / "test" / "zz.mp4", range(30))
    np.save(site / "camera-001" / "labels" / "zz.npy", np.zeros(30))
    labels = site / "camera-002" / "labels" / "test-00.npy"
    np.save(labels, 1 - np.load(labels))
    assert generated(site) == [True, False, False]


def test_no_suite_can_say_that_footage_is_generated(dataset):
    """Not by a table of generated cameras either: its root may hold anything."""
    (dataset / "all.toml").write_text('[[generate]]\nroot = "."\nscenes = 3\nseed = 3\nsize = "tiny"\n')
    (scene, *others) = open_suite(str(dataset / "all.toml")).scenes
    assert scene.root == dataset / "camera-000"
    assert not is_generated(scene)
    assert all(map(is_generated, others))


def test_other_videos_beside_generated_ones_are_not(site):
    write_video(site / "real" / "test-00.mp4", range(30))
    shutil.copytree(site / "camera-000" / "labels", site / "labels")
    (site / "mine.toml").write_text(
        '[[scenes]]\nname = "x"\nroot = "camera-000"\nnormal = ["normal/*.mp4"]\ntest = ["../real/*.mp4"]\n'
        'labels = { format = "npy", path = "labels/{video}.npy" }\n'
    )
    assert generated(site / "mine.toml") == [False]


def test_without_test_videos_or_labels_there_is_nothing_to_learn_from(site):
    text = '[[scenes]]\nname = "x"\nroot = "camera-000"\nnormal = ["normal/*.mp4"]\n'
    (site / "mine.toml").write_text(text)
    (site / "more.toml").write_text(text + 'test = ["test/*.mp4"]\n')
    assert generated(site / "mine.toml") + generated(site / "more.toml") == [False, False]


def test_labels_of_a_dataset_train_nothing_and_it_is_reported(dataset, tiny_config):
    scenes = load_suite(str(dataset)).scenes
    with pytest.warns(FootageWarning, match="site:camera-000: says that it was generated, but is not"):
        found = training_footage(scenes, tiny_config, Store(), 0, SILENT)
    assert sorted(found.abnormal) == ["site:camera-001", "site:camera-002"]


def test_labels_of_a_dataset_with_a_file_of_that_name_are_not_even_read(tmp_path, tiny_config):
    """Many datasets have a meta.json of their own; before, it was enough."""
    for side in ("normal", "test"):
        write_video(tmp_path / side / "a.mp4", range(60), size=(72, 96))
    (tmp_path / "meta.json").write_text('{"fps": 10}')
    (tmp_path / "suite.toml").write_text(
        '[[scenes]]\nname = "x"\nnormal = ["normal/*.mp4"]\ntest = ["test/*.mp4"]\n'
        'labels = { format = "npy", path = "none/{video}.npy" }\n'
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert training_footage(load_suite(str(tmp_path)).scenes, tiny_config, Store(), 0, SILENT).abnormal == {}


def test_a_base_is_the_same_whatever_a_dataset_s_test_labels_are(dataset, tiny_config, tmp_path):
    """Weights and tables: not one bit of a dataset's test labels is in them."""
    some = [load_suite(str(dataset)).scenes[n] for n in (0, 1)]
    with pytest.warns(FootageWarning, match="says that it was generated"):
        one = meta_train(some, tiny_config, run=tmp_path / "one")
    for labels in (dataset / "camera-000" / "labels").glob("*.npy"):
        np.save(labels, 1 - np.load(labels))
    with pytest.warns(FootageWarning, match="says that it was generated"):
        other = meta_train(some, tiny_config, run=tmp_path / "other")
    assert one.digest == other.digest


def test_cameras_that_another_cache_knows_are_made_sure_of(tmp_path, monkeypatch):
    """Written with another cache, they are written again and compared; what differs is no camera of these settings."""
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path / "one"))
    write_suite(tmp_path / "site", **SETTINGS)
    kept = (tmp_path / "site" / "camera-000" / "test" / "test-00.mp4").stat().st_mtime_ns
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path / "two"))
    assert generated(tmp_path / "site") == [False]
    write_suite(tmp_path / "site", **SETTINGS)
    assert generated(tmp_path / "site") == [True]
    assert (tmp_path / "site" / "camera-000" / "test" / "test-00.mp4").stat().st_mtime_ns == kept
    written = []
    monkeypatch.setattr(write, "_write_scene", lambda *given: written.append(given))
    write_suite(tmp_path / "site", **SETTINGS)
    assert written == []


@pytest.mark.parametrize("change", ["labels", "video", "missing", "terabytes"])
def test_a_dataset_cannot_be_made_a_camera_by_writing_over_it(tmp_path, change, monkeypatch):
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path / "cache"))
    folder = write_suite(tmp_path / "site", **SETTINGS).parent / "camera-000"
    labels = folder / "labels" / "test-00.npy"
    if change == "labels":
        np.save(labels, 1 - np.load(labels))
    elif change == "video":
        write_video(folder / "test" / "test-00.mp4", range(len(np.load(labels))))
    elif change == "missing":
        labels.unlink()
    else:
        with labels.open("wb") as file:
            header = {"descr": "|b1", "fortran_order": False, "shape": (10**15,)}
            np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(OutputError, match="found something else"):
        write_suite(tmp_path / "site", **SETTINGS)
