"""Suites as commands open them: generated cameras made once, scenes selected by text."""

import pytest

from metavad.errors import UsageError
from metavad.scenes.suite import load_suite
from metavad.workflows import suites
from metavad.workflows.suites import generated_suite, open_suite, select_scenes
from tests.footage import touch


@pytest.fixture(autouse=True)
def no_data_root(monkeypatch):
    monkeypatch.delenv("METAVAD_DATA", raising=False)


def test_a_suite_names_its_generated_cameras_and_makes_none(tmp_path):
    suite = load_suite("synthetic", tmp_path)
    assert suite.scenes == ()
    assert [(cameras.scenes, cameras.seed, cameras.roles) for cameras in suite.generate] == [
        (12, 1, ("meta-train",)),
        (4, 1001, ("meta-test",)),
    ]


def test_generated_cameras_are_made_once_and_kept(tmp_path, monkeypatch):
    made = []

    def write_suite(directory, *, scenes, seed, size, **_):
        made.append((scenes, seed, size))
        touch(directory, "camera-0/normal/0.mp4", "camera-0/test/0.mp4")
        (directory / "suite.toml").write_text(
            '[[scenes]]\nname = "camera-0"\nroot = "camera-0"\nnormal = ["normal/*.mp4"]\ntest = ["test/*.mp4"]\n'
        )
        return directory / "suite.toml"

    monkeypatch.setattr(suites, "write_suite", write_suite)
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path))
    train = select_scenes("synthetic", role="meta-train")
    test = select_scenes("synthetic", role="meta-test")
    assert made == [(12, 1, "small"), (4, 1001, "small")]
    assert keys(train) == ["synthetic:camera-0"]
    assert keys(test) == ["synthetic:camera-0-1001"]
    assert {video.path for video in train[0].normal}.isdisjoint({video.path for video in test[0].normal})


def test_generated_cameras_of_another_version_are_other_cameras(tmp_path, monkeypatch):
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path / "cache"))
    suite = tmp_path / "made.toml"
    suite.write_text('[[generate]]\nroot = "nowhere"\nscenes = 1\nseed = 3\nsize = "tiny"\n')
    for version in (suites.VERSION, suites.VERSION + 1):
        monkeypatch.setattr(suites, "VERSION", version)
        open_suite(str(suite))
        assert (tmp_path / "cache" / "suites" / f"synthetic-{version}-tiny-1-3" / "suite.toml").is_file()


def test_generated_cameras_with_other_counts_of_videos_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path))
    plain, usual = generated_suite(1, 3, size="tiny", test_videos=0), generated_suite(1, 3, size="tiny")
    assert [len(load_suite(str(folder)).scenes[0].test) for folder in (plain, usual)] == [0, 2]


def test_generated_cameras_under_the_data_root_are_used(tmp_path):
    for side in ("train", "test"):
        folder = touch(tmp_path / "synthetic" / side, "normal/0.mp4", "test/0.mp4")
        (folder / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["normal/*"]\ntest = ["test/*"]\n')
    assert [scene.root for scene in open_suite("synthetic", tmp_path).scenes] == [
        tmp_path / "synthetic" / "train",
        tmp_path / "synthetic" / "test",
    ]


@pytest.fixture
def cameras(tmp_path):
    touch(tmp_path, "train/1_1.avi", "train/2_1.avi", "test/2_2.avi", "test/3_2.avi")
    (tmp_path / "s.toml").write_text(
        '[[scenes]]\nname = "camera {n}"\npattern = "(?P<n>\\\\d+)_.*"\nnormal = ["train/*"]\ntest = ["test/*"]\n'
    )
    return str(tmp_path / "s.toml")


def keys(scenes) -> list[str]:
    return [scene.key for scene in scenes]


def test_a_suite_means_its_scenes_of_that_role(cameras):
    assert keys(select_scenes(cameras, role="meta-train")) == ["s:camera 1", "s:camera 2"]
    assert keys(select_scenes(cameras, role="meta-test")) == ["s:camera 2", "s:camera 3"]


def test_scenes_by_name_and_by_glob_each_once(cameras):
    spec = f"{cameras}:camera 2, {cameras}:camera [12], {cameras}"
    assert keys(select_scenes(spec, role="meta-train")) == ["s:camera 2", "s:camera 1"]


@pytest.mark.parametrize(
    ("scene", "reason"),
    [(":camera 3", "a scene to meta-train on, found one to meta-test on"), (":camara 1", "did you mean 'camera 1'")],
)
def test_selections_that_cannot_be(cameras, scene, reason):
    with pytest.raises(UsageError, match=reason):
        select_scenes(cameras + scene, role="meta-train")


def test_two_suites_of_one_name_are_not_mistaken_for_each_other(tmp_path):
    for place in ("a", "b"):
        touch(tmp_path / place / "site", "normal/1.mp4")
        (tmp_path / place / "site" / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["normal/*.mp4"]\n')
    one, other = (str(tmp_path / place / "site") for place in ("a", "b"))
    with pytest.raises(UsageError, match="site:x: expected suites with different names"):
        select_scenes(f"{one},{other}", role="meta-train")
    assert keys(select_scenes(f"{one},{one}:x", role="meta-train")) == ["site:x"]


def test_an_empty_selection():
    with pytest.raises(UsageError, match="expected suites"):
        select_scenes(" , ", role="meta-test")


def test_a_suite_without_scenes_of_a_role(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "s.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["*.mp4"]\n')
    with pytest.raises(UsageError, match="meta-test"):
        select_scenes(str(tmp_path / "s.toml"), role="meta-test")


def test_a_scene_that_is_not_there_is_named_with_what_is_missing(tmp_path):
    touch(tmp_path, "a/1.mp4")
    rows = [f'[[scenes]]\nname = "{name}"\nroot = "{name}"\nnormal = ["*.mp4"]\n' for name in "ab"]
    (tmp_path / "s.toml").write_text("".join(rows))
    with pytest.raises(UsageError, match=r"b: '\*\.mp4' matched nothing"):
        select_scenes(f"{tmp_path / 's.toml'}:b", role="meta-train")


def test_windows_paths_keep_their_colon():
    assert suites._split("C:\\data\\site.toml:lobby") == ("C:\\data\\site.toml", "lobby")
    assert suites._split("C:\\data\\site.toml") == ("C:\\data\\site.toml", None)
    assert suites._split("umn") == ("umn", None)
