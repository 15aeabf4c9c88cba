"""Suites are data: what a file says is what is there, or one line says what is wrong."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import SuiteError, UsageError, VideoError
from metavad.scenes import regex
from metavad.scenes.listing import natural, scene_of_files, videos_under
from metavad.scenes.scene import Crop, LabelSource, Scene, Video
from metavad.scenes.suite import about, load_suite
from metavad.scenes.video import probe
from metavad.shipped import shipped
from tests.footage import touch, write_frames, write_video

LOBBY = """
title = "My cameras"
reference = "mine"
terms = "private"
[[scenes]]
name = "lobby"
root = "front lobby"
normal = ["normal/*.mp4"]
test = ["test/*"]
labels = { format = "intervals", path = "{video}-{number}.csv", unit = "frames", inclusive = true }
crop = { top = 3, left = 2 }
normal_frames = [0, 30]
fps = 12
"""


@pytest.fixture(autouse=True)
def no_data_root(monkeypatch):
    monkeypatch.delenv("METAVAD_DATA", raising=False)


@pytest.fixture
def site(tmp_path):
    touch(
        tmp_path / "front lobby", "normal/10.mp4", "normal/2.mp4", "normal/.DS_Store", "normal/._2.mp4", "test/03.avi"
    )
    write_frames(tmp_path / "front lobby" / "test" / "clip 4", 2)
    touch(tmp_path / "front lobby", "test/notes.txt", "test/03.avi~")
    (tmp_path / "site.toml").write_text(LOBBY)
    return tmp_path / "site.toml"


def names(videos) -> list[str]:
    return [video.name for video in videos]


def test_one_s_own_suite(site):
    suite = load_suite(str(site))
    (scene,) = suite.scenes
    assert (suite.name, suite.title, suite.reference, suite.terms) == ("site", "My cameras", "mine", "private")
    assert (scene.key, scene.crop, scene.normal_frames) == ("site:lobby", Crop(top=3, left=2), (0, 30))
    assert names(scene.normal) == ["2", "10"]
    assert names(scene.test) == ["03", "clip 4"]
    assert [video.fps for video in scene.test] == [None, 12]
    assert scene.labels is not None
    assert scene.labels.of(scene.test[0]) == site.parent / "front lobby" / "03-3.csv"
    assert (scene.labels.unit, scene.labels.inclusive) == ("frames", True)
    assert scene.roles == {"meta-train", "meta-test"}


def test_a_folder_with_a_suite_file_is_a_suite(site):
    folder = site.parent
    site.rename(folder / "suite.toml")
    assert load_suite(str(folder)).name == folder.name


def test_roots_lie_under_the_data_root_that_is_given(site, tmp_path):
    other = touch(tmp_path / "elsewhere", "front lobby/normal/7.mp4", "front lobby/test/8.avi")
    assert names(load_suite(str(site), other).scenes[0].normal) == ["7"]


def test_a_data_root_of_the_environment_comes_after_what_lies_beside(site, tmp_path, monkeypatch):
    other = touch(tmp_path / "elsewhere", "front lobby/normal/7.mp4", "front lobby/test/8.avi")
    monkeypatch.setenv("METAVAD_DATA", str(other))
    assert names(load_suite(str(site)).scenes[0].normal) == ["2", "10"]
    (site.parent / "front lobby").rename(site.parent / "gone")
    assert names(load_suite(str(site)).scenes[0].normal) == ["7"]


def test_a_scene_without_root_lies_beside_its_file_whatever_the_data_root_holds(tmp_path):
    other = touch(tmp_path / "elsewhere", "normal/7.mp4")
    touch(tmp_path / "mine", "normal/1.mp4")
    (tmp_path / "mine" / "s.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["normal/*.mp4"]\n')
    assert names(load_suite(str(tmp_path / "mine" / "s.toml"), other).scenes[0].normal) == ["1"]


def test_beside_the_file_where_the_data_root_has_nothing(site, tmp_path):
    (scene,) = load_suite(str(site), tmp_path / "nowhere").scenes
    assert names(scene.normal) == ["2", "10"]


def test_absolute_roots(tmp_path):
    touch(tmp_path / "far", "a.mp4")
    (tmp_path / "s.toml").write_text(f'[[scenes]]\nname = "x"\nroot = "{tmp_path / "far"}"\nnormal = ["*.mp4"]\n')
    assert names(load_suite(str(tmp_path / "s.toml"), tmp_path / "data").scenes[0].normal) == ["a"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("normal = [", "normals = [", r"'scenes\.0\.normals'; did you mean 'normal'\?"),
        ('title = "My', 'titel = "My', r"'titel'; did you mean 'title'\?"),
        ("unit =", "units =", r"'scenes\.0\.labels\.units'; did you mean 'unit'\?"),
        ("crop = { top = 3", "crop = { tops = 3", r"did you mean 'top'\?"),
        ("top = 3", "top = -3", r"crop\.top.*greater than or equal to 0.*-3"),
        ('"frames"', '"minutes"', r"unit.*'minutes'"),
        ('name = "lobby"', "name = 3", r"scenes\.0\.name.*string"),
        ("normal_frames = [0, 30]", "normal_frames = [30]", "normal_frames"),
        ("normal_frames = [0, 30]", "normal_frames = [30, 0]", r"normal_frames: .*0 <= first < last.*found \[30, 0\]"),
        ("normal_frames = [0, 30]", "normal_frames = [-5, 30]", r"0 <= first < last"),
        ("fps = 12", "fps = 0", "fps.*greater than"),
        ("fps = 12", "fps = inf", "fps.*finite"),
        ("fps = 12", "fps = nan", "fps.*finite"),
        ("fps = 12", "fps = 1e9", "fps.*less than"),
        ("[[scenes]]", "[[scenes]", "TOML"),
        ("[[scenes]]", "[scenes]", "scenes"),
        (
            'name = "lobby"',
            "name = { first = 3 }",
            r"scenes\.0\.name: expected a string in quotes, found \{'first': 3\}",
        ),
        ('name = "lobby"', 'name = ""', r"scenes\.0\.name.*at least 1"),
        ('["test/*"]', '"test/*"', r"scenes\.0\.test: expected a list in \[ \], found 'test/\*'"),
        ('["test/*"]', '{ a = ["b"] }', r"scenes\.0\.test: expected a list in \[ \]"),
        ('["test/*"]', '["test/***"]', r"test\.0: expected \*\* as a folder of its own.*found 'test/\*\*\*'"),
        ('["test/*"]', '["test/**.mp4"]', r"\*\* as a folder of its own"),
        ('["test/*"]', '[""]', "a pattern of file names"),
        ('["test/*"]', '["/"]', "a pattern of file names"),
        ('["test/*"]', '["."]', "a pattern of file names"),
        ('["test/*"]', '[".."]', "a pattern of file names"),
        ('["test/*"]', '["a/../*"]', r"\.\. at its beginning only"),
        ('["test/*"]', '["a\\u0000b"]', "a pattern of file names"),
        ("{ top = 3, left = 2 }", "3", r"crop: expected a table in \{ \}, found 3"),
        ("crop = { top = 3", "crop = { top = { a = 1 }", r"crop\.top: expected a whole number"),
        ("{video}-{number}", "{video-{number}", r"labels\.path: expected words in braces.*\{video-\{number\}"),
        ("{video}-{number}", "{video}-number}", r"labels\.path: expected words in braces"),
        ("{video}-{number}", "{vidoe}", r"labels\.path: expected known words in braces.*did you mean 'video'"),
        ("{video}-{number}", "{}", r"labels\.path: expected words in braces"),
        ('format = "intervals"', 'format = "interval"', r"labels: expected a known format; did you mean 'intervals'"),
        ('format = "intervals"', 'format = "npy"', r"labels: expected 'inclusive' only with a format that reads it"),
        ('unit = "frames"', 'unit = "seconds"', r"labels: expected 'inclusive' only beside unit = 'frames', found"),
        ("fps = 12", "fps = inf", "fps"),
        ("fps = 12", "fps = " + "9" * 5000, "expected TOML, found a mistake"),
        ("fps = 12", "fps = " + "[" * 5000, "expected TOML, found a mistake"),
        ("fps = 12", 'test_list = "a.txt"', r"test_list: expected a list in \[ \]"),
        ('test = ["test/*"]', 'test_list = ["a.txt"]', r"expected test = \[\.\.\.\] beside test_list"),
        ('["test/*"]', '["tests/*"]', r"'tests/\*' matched nothing under .*front lobby"),
        ('"front lobby"', '"back lobby"', r"'normal/\*\.mp4' matched nothing under .*back lobby.*--data"),
    ],
)
def test_mistakes_are_one_line_that_helps(site, old, new, reason):
    site.write_text(LOBBY.replace(old, new, 1))
    with pytest.raises(SuiteError, match=reason) as caught:
        load_suite(str(site))
    assert "\n" not in str(caught.value)


def test_footage_that_is_tested_is_not_shown(tmp_path):
    """A pattern that is too wide takes the test videos as normal ones, and figures are of what was shown."""
    write_video(tmp_path / "normal" / "n.mp4", range(3))
    write_video(tmp_path / "test" / "t.mp4", range(3))
    suite = '[[scenes]]\nname = "x"\nnormal = ["*/*.mp4"]\ntest = ["test/*.mp4"]\n'
    (tmp_path / "s.toml").write_text(suite)
    with pytest.raises(SuiteError, match=r"scene 'x': expected normal and test videos apart, found t on both sides"):
        load_suite(str(tmp_path / "s.toml"))
    (tmp_path / "s.toml").write_text(suite + "normal_frames = [0, 2]\n")
    (scene,) = load_suite(str(tmp_path / "s.toml")).scenes
    assert scene.shown(scene.test[0]) == (0, 2)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_editors_are_skipped(site, encoding):
    site.write_text(LOBBY, encoding=encoding)
    assert load_suite(str(site)).scenes[0].name == "lobby"


def test_a_suite_that_is_no_text(site):
    site.write_bytes(b"\xff\x00\x01")
    with pytest.raises(SuiteError, match="expected TOML, found a mistake"):
        load_suite(str(site))


def test_patterns_may_lead_out_of_the_root(tmp_path):
    touch(tmp_path, "far [1]/x/1.mp4", "far [1]/y/2.mp4", "site/3.mp4", "near/4.mp4", "near/.hidden/5.mp4")
    wanted = [f"{tmp_path}/far [[]1]/*/*.mp4", "../near/**/*.mp4", "*.mp4"]
    (tmp_path / "site" / "s.toml").write_text(f'[[scenes]]\nname = "x"\nnormal = {wanted}\n')
    (scene,) = load_suite(str(tmp_path / "site" / "s.toml")).scenes
    assert sorted(names(scene.normal)) == ["1", "2", "3", "4"]
    assert scene.root == tmp_path / "site"
    for alone in (f"{tmp_path}/near/4.mp4", "../near/*.mp4"):
        (tmp_path / "site" / "s.toml").write_text(f'[[scenes]]\nname = "x"\nnormal = ["{alone}"]\n')
        (scene,) = load_suite(str(tmp_path / "site" / "s.toml")).scenes
        assert names(scene.normal) == ["4"]
    (tmp_path / "site" / "s.toml").write_text(f'[[scenes]]\nname = "x"\nnormal = ["{tmp_path}/none/*.mp4"]\n')
    with pytest.raises(SuiteError, match=r"none/\*\.mp4' matched nothing; "):
        load_suite(str(tmp_path / "site" / "s.toml"))


def test_braces_that_stand_for_themselves(tmp_path):
    source = LabelSource(format="npy", path="{{a}}/{video}.npy", root=tmp_path)
    assert source.of(Video("b{scene}", tmp_path / "b.mp4")) == tmp_path / "{a}" / "b{scene}.npy"


def test_an_archive_unpacks_under_the_data_root(site):
    for creates in ("../x", "/x", "a/../../x", ".", "", "a\\b", "C:x", "a\nb"):
        archive = f'[[archives]]\nurl = "https://a/b.zip"\nsha256 = "{"0" * 64}"\ncreates = {json.dumps(creates)}\n'
        site.write_text(LOBBY + archive)
        with pytest.raises(SuiteError, match=r"archives\.0\.creates: expected a folder under the data root"):
            load_suite(str(site))


def test_a_file_must_say_where_scenes_are(tmp_path):
    (tmp_path / "s.toml").write_text('title = "none"\n')
    with pytest.raises(SuiteError, match=r"\[\[scenes\]\]"):
        load_suite(str(tmp_path / "s.toml"))


def test_two_scenes_of_one_name(site):
    site.write_text(LOBBY + LOBBY.split("private")[1].strip('"\n') + "\n")
    with pytest.raises(SuiteError, match="'lobby' twice"):
        load_suite(str(site))


@pytest.mark.parametrize(("name", "reason"), [("ped22", "did you mean 'ped2'"), ("no/such.toml", "known: .*ped2")])
def test_unknown_suites(name, reason):
    with pytest.raises(UsageError, match=reason):
        load_suite(name)


def test_a_shipped_suite_without_a_data_root():
    with pytest.raises(SuiteError, match="METAVAD_DATA"):
        load_suite("ped2")


# --- layouts and patterns ------------------------------------------------------------------------------------

LAYOUTS = """
label_set = "of the suite"
[[layouts]]
name = "released"
label_set = "of the release"
[[layouts.scenes]]
name = "x"
normal = ["videos/*.mp4"]
test = ["tests/*.mp4"]
labels = { format = "npy", path = "gt/{video}.npy" }
[[layouts]]
name = "repacked"
[[layouts.scenes]]
name = "x"
normal = ["videos/*.mp4"]
test = ["tests/*.mp4"]
labels = { format = "npy", path = "labels/{video}.npy" }
"""


@pytest.mark.parametrize(
    ("there", "layout", "label_set"),
    [
        ("gt/b.npy", "released", "of the release"),
        ("labels/b.npy", "repacked", "of the suite"),
        ("nothing", "released", "of the release"),
    ],
)
def test_the_first_layout_whose_files_are_there(tmp_path, there, layout, label_set):
    touch(tmp_path, "videos/a.mp4", "tests/b.mp4", there)
    (tmp_path / "s.toml").write_text(LAYOUTS)
    suite = load_suite(str(tmp_path / "s.toml"))
    assert (suite.layout, suite.label_set) == (layout, label_set)
    assert (suite.scenes[0].layout, suite.scenes[0].label_set) == (layout, label_set)


def test_no_layout_names_them_all(tmp_path):
    (tmp_path / "s.toml").write_text(LAYOUTS)
    with pytest.raises(SuiteError, match=r"'videos/\*\.mp4' matched nothing.*nor do the layouts repacked"):
        load_suite(str(tmp_path / "s.toml"))


PATTERN = """
[[scenes]]
name = "camera {scene}"
pattern = '(?P<scene>\\d+)_\\d+'
normal = ["train/*.avi"]
test = ["test/*.avi"]
labels = { format = "npy", path = "{scene}/{video}.npy" }
"""


def test_a_pattern_makes_many_scenes_of_one_folder(tmp_path):
    touch(tmp_path, "train/2_1.avi", "train/2_2.avi", "train/10_1.avi", "train/odd.avi", "test/2_3.avi", "test/3_1.avi")
    (tmp_path / "s.toml").write_text(PATTERN)
    scenes = load_suite(str(tmp_path / "s.toml")).scenes
    assert [scene.name for scene in scenes] == ["camera 2", "camera 3", "camera 10"]
    assert [(names(scene.normal), names(scene.test)) for scene in scenes] == [
        (["2_1", "2_2"], ["2_3"]),
        ([], ["3_1"]),
        (["10_1"], []),
    ]
    assert [sorted(scene.roles) for scene in scenes] == [["meta-test", "meta-train"], ["meta-test"], ["meta-train"]]
    assert scenes[0].labels is not None
    assert scenes[0].labels.of(scenes[0].test[0]) == tmp_path / "camera 2" / "2_3.npy"


@pytest.mark.parametrize(
    ("pattern", "reason"), [("x(?P<scene>.)", "none of 2 did"), ("(?P<scene>", "expected a regex")]
)
def test_a_pattern_that_fits_nothing(tmp_path, pattern, reason):
    touch(tmp_path, "train/2_1.avi", "test/2_3.avi")
    (tmp_path / "s.toml").write_text(PATTERN.replace(r"(?P<scene>\d+)_\d+", pattern))
    with pytest.raises(SuiteError, match=reason):
        load_suite(str(tmp_path / "s.toml"))


def test_a_pattern_without_the_group_that_the_name_needs(tmp_path):
    touch(tmp_path, "train/2_1.avi", "test/2_3.avi")
    (tmp_path / "s.toml").write_text(PATTERN.replace("(?P<scene>", "(?P<other>"))
    with pytest.raises(SuiteError, match=r"\{scene\}"):
        load_suite(str(tmp_path / "s.toml"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("camera {scene", "words in braces"),
        ("camera scene}", "words in braces"),
        ("camera {}", "words in braces"),
        ("camera {scene!r}", "words in braces"),
        ("camera {scene:>999999999}", "words in braces"),
        ("camera {0}", r"\{0\} to be a group"),
    ],
)
def test_a_name_of_unbalanced_braces(tmp_path, name, reason):
    touch(tmp_path, "train/2_1.avi", "test/2_3.avi")
    (tmp_path / "s.toml").write_text(PATTERN.replace("camera {scene}", name))
    with pytest.raises(SuiteError, match=reason):
        load_suite(str(tmp_path / "s.toml"))


@pytest.mark.parametrize("pattern", ["(?P<scene>(.+)+)#", "(?P<scene>(.|.)*)#", "(?P<scene>.*).*.*.*.*.*.*.*.*#"])
def test_a_pattern_that_backtracks_for_ever_ends(tmp_path, pattern, monkeypatch):
    monkeypatch.setattr(regex, "PATIENCE", 0.5)
    touch(tmp_path, f"train/{'2' * 200}.avi", "test/2_3.avi")
    (tmp_path / "s.toml").write_text(PATTERN.replace(r"(?P<scene>\d+)_\d+", pattern))
    with pytest.raises(SuiteError, match=r"expected a regex, it backtracks for more than 0\.5 s on 2 names"):
        load_suite(str(tmp_path / "s.toml"))


def test_a_name_out_of_a_pattern_holds_no_more_than_the_video_s(tmp_path):
    """What a group holds is filled in as it is: braces in it mean nothing."""
    touch(tmp_path, "train/{suite}_1.avi", "test/{suite}_2.avi")
    (tmp_path / "s.toml").write_text(PATTERN.replace(r"(?P<scene>\d+)_\d+", r"(?P<scene>.+)_\d"))
    assert [scene.name for scene in load_suite(str(tmp_path / "s.toml")).scenes] == ["camera {suite}"]


def test_lists_choose_videos(tmp_path):
    touch(tmp_path, "v/a.mp4", "v/b.mp4", "v/c.mp4")
    (tmp_path / "train.txt").write_text("a\nc.mp4\n")
    (tmp_path / "s.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["v/*.mp4"]\nnormal_list = ["train.txt"]\n')
    assert names(load_suite(str(tmp_path / "s.toml")).scenes[0].normal) == ["a", "c"]


def test_scenes_that_are_not_there_are_missing_not_wrong(tmp_path):
    touch(tmp_path, "a/1.mp4")
    rows = [f'[[scenes]]\nname = "{name}"\nroot = "{name}"\nnormal = ["*.mp4"]\n' for name in "ab"]
    (tmp_path / "s.toml").write_text("".join(rows))
    suite = load_suite(str(tmp_path / "s.toml"))
    assert [scene.name for scene in suite.scenes] == ["a"]
    (line,) = suite.missing
    assert line.startswith("b: '*.mp4' matched nothing")


# --- files, names, order -------------------------------------------------------------------------------------


def test_scene_of_files_takes_files_folders_of_frames_and_folders_of_videos(tmp_path):
    touch(tmp_path, "x/a.mp4", "x/more/b.avi", "x/more/c.txt")
    write_frames(tmp_path / "x" / "frames", 2)
    paths = [tmp_path / "x" / "a.mp4", tmp_path / "x" / "frames", tmp_path / "x" / "more"]
    scene = scene_of_files(paths, "door", folder_fps=5)
    assert (scene.key, names(scene.normal)) == ("door", ["a", "frames", "b"])
    assert [video.fps for video in scene.normal] == [None, 5, None]
    assert [video.fps for video in scene_of_files(paths, "door", fps=7, folder_fps=5).normal] == [7, 7, 7]
    assert scene_of_files(paths[:1]).name == "a"


def test_the_rate_of_a_suite_is_that_of_streams_that_state_none(tmp_path):
    write_video(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mjpg", codec="mjpeg")
    suite = '[[scenes]]\nname = "s"\nfps = 5\ntest = ["*.mp4", "*.mjpg"]\n'
    (tmp_path / "suite.toml").write_text(suite)
    a, b = load_suite(str(tmp_path)).scenes[0].test
    assert (a.fps, b.fps) == (None, 5)
    assert probe(b).rate == pytest.approx(5)
    assert scene_of_files([tmp_path / "b.mjpg"], folder_fps=5).normal[0].fps == 5


def test_scene_of_files_that_are_not_there(tmp_path):
    with pytest.raises(VideoError, match="found nothing"):
        scene_of_files([tmp_path / "none.mp4"])
    with pytest.raises(VideoError, match="at least one"):
        scene_of_files([])


def test_names_taken_twice_become_paths(tmp_path):
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "b/2.mp4")
    assert names(videos_under(tmp_path, ["*/*.mp4"])) == ["a/1", "b/1", "2"]


def test_what_two_patterns_match_is_there_once(tmp_path):
    touch(tmp_path, "a/1.mp4")
    assert names(videos_under(tmp_path, ["a/*", "*/1.mp4"])) == ["1"]


def test_junk_folders_are_left_out(tmp_path):
    touch(tmp_path, "__MACOSX/._1.mp4", ".trash/1.mp4", "a/1.mp4~")
    assert videos_under(tmp_path, ["*/*"]) == ()


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_natural_order_is_the_order_of_numbers(numbers):
    assert sorted((f"Test{n}.jpg" for n in numbers), key=natural) == [f"Test{n}.jpg" for n in sorted(numbers)]


@given(st.text(max_size=8), st.text(max_size=8))
def test_natural_order_compares_any_names(one, other):
    assert (natural(one) < natural(other)) + (natural(one) > natural(other)) == (natural(one) != natural(other))


@pytest.mark.parametrize(
    "names",
    [
        ["1", "1a", "2", "10", "a"],
        ["a", "a1", "a2b", "a10", "B"],
        ["cam-1", "cam-01-b", "cam-2", "Cam-3"],
        ["e1", "é1", "E\u0301" + "2", "f"],
        ["٢", "²x" + 5000 * "1", "10"],
    ],
)
def test_natural_order_of_letters_accents_and_other_digits(names):
    assert all(natural(one) < natural(other) for one, other in pairwise(names))


def test_frames_that_were_shown_are_reported_where_a_video_is_on_both_sides():
    both, other = Video("a", Path("a.mp4")), Video("b", Path("b.mp4"))
    scene = Scene("s", "x", Path(), normal=(both,), test=(both, other), normal_frames=(0, 300))
    assert scene.shown(both) == (0, 300)
    assert scene.shown(other) is None


def test_a_link_to_what_is_shown_is_shown(tmp_path):
    place = touch(tmp_path, "normal/a.mp4") / "normal" / "a.mp4"
    (tmp_path / "linked.mp4").symlink_to(place)
    normal, test = Video("a", place), Video("linked", tmp_path / "linked.mp4")
    scene = Scene("s", "x", tmp_path, normal=(normal,), test=(test,), normal_frames=(0, 300))
    assert scene.shown(test) == (0, 300)


# --- what ships ----------------------------------------------------------------------------------------------


def test_shipped_suites_say_where_they_come_from():
    known = shipped("tasks")
    assert {"ped1", "ped2", "umn", "umn-banner", "synthetic", "avenue", "shanghaitech", "ubnormal"} <= set(known)
    for name in known:
        suite = about(name)
        assert all((suite.title, suite.reference, suite.terms, suite.get)), name
        assert suite.scenes == ()
        assert "# Expected under the data root" in known[name].read_text(), name


def test_archives_are_known_where_they_are_public():
    with_archives = {name for name in shipped("tasks") if about(name).archives}
    assert {"ped1", "ped2", "avenue", "shanghaitech"} <= with_archives
    assert {archive.creates for archive in about("avenue").archives} == {
        "avenue/Avenue Dataset",
        "avenue/ground_truth_demo",
    }


@pytest.mark.parametrize("name", sorted(set(shipped("tasks")) - {"synthetic"}))
def test_shipped_suites_without_data_say_what_is_missing(name, tmp_path):
    with pytest.raises(
        SuiteError, match=r"matched nothing under .*say where with --data DIR or METAVAD_DATA"
    ) as caught:
        load_suite(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_shipped_files_of_a_wheel_come_first(tmp_path, monkeypatch):
    from metavad import shipped as module

    package = tmp_path / "site" / "metavad"
    touch(package, "_shipped/tasks/inside.toml", "shipped.py")
    touch(tmp_path / "site", "tasks/other.toml")
    monkeypatch.setattr(module, "__file__", str(package / "shipped.py"))
    assert list(module.shipped("tasks")) == ["inside"]
    assert module.shipped("configs") == {}
