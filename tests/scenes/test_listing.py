"""Which videos lie in folders: videos before stills, each once, under names that tell them apart."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import FootageWarning, UsageError, VideoError
from metavad.scenes.datasets.check import check_suite
from metavad.scenes.listing import VIDEO_SUFFIXES, frame_files, name_of, scene_of_files, videos_under
from metavad.scenes.scene import Scene, Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from tests.footage import touch, write_frames, write_image, write_video


def names(videos) -> list[str]:
    return [video.name for video in videos]


# --- videos and stills ---------------------------------------------------------------------------------------


def test_videos_come_before_stills_and_previews_are_named(tmp_path):
    touch(tmp_path, "cam-1.mp4", "cam-1.jpg", "cam-2.MKV", "cam-2.jpg", "notes.txt")
    with pytest.warns(FootageWarning, match=r"pictures beside videos are no footage: cam-1\.jpg, cam-2\.jpg"):
        scene = scene_of_files([tmp_path], fps=5)
    assert [(video.name, video.fps) for video in scene.normal] == [("cam-1", 5), ("cam-2", 5)]


def test_a_pattern_of_a_suite_does_the_same(tmp_path):
    write_video(tmp_path / "normal" / "a.mp4", range(3))
    touch(tmp_path, "normal/a.jpg")
    write_frames(tmp_path / "normal" / "b", 3)
    (tmp_path / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["normal/*"]\nfps = 10\n')
    with pytest.warns(FootageWarning, match=r"no footage: a\.jpg"):
        (scene,) = load_suite(str(tmp_path)).scenes
    assert names(scene.normal) == ["a", "b"]


def test_a_pattern_that_names_videos_alone_is_silent(tmp_path):
    touch(tmp_path, "a.mp4", "a.jpg")
    assert names(videos_under(tmp_path, ["*.mp4"])) == ["a"]


def test_a_folder_of_both_is_no_folder_of_frames(tmp_path):
    """A pattern that matches the folder does not match the videos in it: they may be those of a test."""
    touch(tmp_path, "normal/a.mp4", "normal/a.jpg", "other/b.mp4", "z.mp4")
    with pytest.warns(
        FootageWarning, match=r"normal: pictures beside a\.mp4, so it is no folder of frames; it is left"
    ):
        assert names(videos_under(tmp_path, ["*"], 10)) == ["z"]


def test_previews_above_folders_of_footage_are_no_frames(tmp_path):
    touch(tmp_path, "logo.png", "day/a.mp4")
    with pytest.raises(VideoError, match=r"found them in folders in this one \(day\); name these"):
        scene_of_files([tmp_path], fps=5)
    write_frames(tmp_path / "frames" / "1", 3)
    touch(tmp_path, "frames/map.png")
    with pytest.warns(FootageWarning, match=r"no footage: map\.png"):
        found = scene_of_files([tmp_path / "frames"], fps=5)
    assert names(found.normal) == ["1"]


def test_what_lies_in_a_folder_of_frames_is_named(tmp_path):
    write_frames(tmp_path / "clip", 3)
    write_frames(tmp_path / "clip" / "masks", 3)
    with pytest.warns(FootageWarning, match="read as 3 frames; pictures in folders in it are left out: masks"):
        assert names(scene_of_files([tmp_path / "clip"], fps=5).normal) == ["clip"]


def test_frames_named_by_fractions_of_a_second_are_in_the_order_of_time(tmp_path):
    """``time.time()`` leaves out zeros at the end: .5 comes after .4412."""
    times = ["1700000000.0412345", "1700000000.141234", "1700000000.3", "1700000000.4412", "1700000001.05"]
    for name in times:
        write_image(tmp_path / f"{name}.png", np.zeros((32, 32), np.uint8))
    assert [path.stem for path in frame_files(tmp_path)] == times
    assert not probe(scene_of_files([tmp_path], fps=5).normal[0]).warnings


def test_frames_named_by_date_and_counter_are_in_the_order_of_these(tmp_path):
    names = [f"20231114221320.{number}" for number in (1, 2, 10, 11)]
    touch(tmp_path, *(f"{name}.png" for name in names))
    assert [path.stem for path in frame_files(tmp_path)] == names


def test_a_folder_of_one_picture_is_reported(tmp_path):
    write_frames(tmp_path / "clip", 1)
    with pytest.warns(FootageWarning, match=r"holds a single picture \(000\.png\)"):
        assert names(scene_of_files([tmp_path / "clip"], fps=5).normal) == ["clip"]


@pytest.mark.parametrize("name", ["a.jpg", "a.PNG", "b.tiff", "c.heic"])
def test_a_single_picture_is_no_video(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(VideoError, match="found a single picture; name the folder") as caught:
        scene_of_files([tmp_path / name])
    assert "\n" not in str(caught.value)


def test_a_folder_without_footage_is_reported_beside_one_with(tmp_path):
    """What is left out of many that are named is missed."""
    write_video(tmp_path / "a" / "a.mp4", range(3))
    touch(tmp_path, "b/0001.jp2", "b/0002.jp2")
    (tmp_path / "c").mkdir()
    with pytest.raises(VideoError, match=r"b: expected videos or frames, found other files \(\.jp2\); name videos"):
        scene_of_files([tmp_path / "a", tmp_path / "b"], fps=5)
    with pytest.raises(VideoError, match=r"c: expected videos or frames, found none; check the path"):
        scene_of_files([tmp_path / "a", tmp_path / "c"], fps=5)


@pytest.mark.parametrize("suffix", [".dav", ".264", ".h265", ".HEVC", ".mjpg", ".vob", ".divx", ".f4v", ".y4m", ".rm"])
def test_formats_of_recorders_are_found_in_folders(tmp_path, suffix):
    touch(tmp_path, f"day/ch01{suffix}", "day/ch01.txt")
    assert names(scene_of_files([tmp_path / "day"]).normal) == ["ch01"]
    assert names(videos_under(tmp_path, ["*/*"])) == ["ch01"]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".264", "libx264"),
        (".h264", "libx264"),
        (".265", "libx265"),
        (".hevc", "libx265"),
        (".mjpeg", "mjpeg"),
        (".vob", "mpeg2video"),
        (".m2v", "mpeg2video"),
        (".f4v", "libx264"),
        (".nut", "mpeg4"),
        (".y4m", "wrapped_avframe"),
        (".ivf", "libvpx"),
        (".3gp", "mpeg4"),
        (".mxf", "mpeg2video"),
        (".ts", "libx264"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*its format has no times")
def test_what_is_found_is_read(tmp_path, suffix, codec):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    write_video(tmp_path / f"a{suffix}", range(12), fps=25, codec=codec, size=(64, 128), options=options)
    (video,) = scene_of_files([tmp_path]).normal
    assert probe(video).frames == 12


def test_a_recorder_s_name_does_not_matter_for_reading(tmp_path):
    """Files called .dav, .divx, .xvid are told by what is in them."""
    content = write_video(tmp_path / "x.avi", range(9), codec="mpeg4").read_bytes()
    for suffix in (".dav", ".divx", ".xvid"):
        (tmp_path / "day").mkdir(exist_ok=True)
        (tmp_path / "day" / f"a{suffix}").write_bytes(content)
    assert [probe(video).frames for video in scene_of_files([tmp_path / "day"]).normal] == [9, 9, 9]


def test_suffixes_are_lower_case_and_apart_from_pictures():
    from metavad.scenes.listing import IMAGE_SUFFIXES

    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in VIDEO_SUFFIXES)
    assert not VIDEO_SUFFIXES & IMAGE_SUFFIXES


# --- names ---------------------------------------------------------------------------------------------------


def test_two_videos_of_one_stem_are_two(tmp_path):
    touch(tmp_path, "ch01.mkv", "ch01.avi", "ch02.avi")
    scene = scene_of_files([tmp_path / "ch01.mkv", tmp_path / "ch01.avi", tmp_path / "ch02.avi"])
    assert names(scene.normal) == ["ch01.mkv", "ch01.avi", "ch02"]
    assert names(videos_under(tmp_path, ["*"])) == ["ch01.avi", "ch01.mkv", "ch02"]


def test_names_that_are_no_text_are_spelt_out(tmp_path):
    """A detector or a record of such a name could not be opened again, or not be written."""
    try:
        touch(tmp_path, "a\udcff.mp4", "b\udcfe.mp4", "b\udcfe.avi", "c/d\udcfd.mp4", "d\udcfd.mp4")
    except OSError:
        pytest.skip("a disk on which every name is text")
    found = videos_under(tmp_path, ["*", "*/*"])
    assert sorted(names(found)) == [r"a\xff", r"b\xfe.avi", r"b\xfe.mp4", r"c/d\xfd", r"d\xfd"]
    assert all(video.path.exists() for video in found)
    assert scene_of_files([tmp_path / "a\udcff.mp4"]).key == r"a\xff"
    assert scene_of_files([tmp_path / "a\udcff.mp4"], "lobby\udcff").name == r"lobby\xff"


def test_both_are_learned_from(tmp_path, tiny_base):
    """Their shots are of both; the first gave them all where they had one name."""
    from metavad.workflows.few_shot import adapt

    one = write_video(tmp_path / "ch01.mkv", range(30), size=(48, 64))
    two = write_video(tmp_path / "ch01.avi", range(200, 230), size=(48, 64), codec="mpeg4")
    detector = adapt(tiny_base, scene_of_files([one, two]), shots=4, shot_frames=8)
    assert {clip.video for clip in detector.shots} == {"ch01.mkv", "ch01.avi"}
    assert len(set(detector.pictures)) == 4


def test_one_file_named_twice_is_one_video(tmp_path):
    touch(tmp_path, "day/a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "day" / "a.mp4")
    paths = ["day/a.mp4", "day/../day/a.mp4", "day", "link.mp4"]
    assert names(scene_of_files([tmp_path / path for path in paths]).normal) == ["a"]


def test_a_link_to_a_folder_above_lists_a_video_once(tmp_path):
    touch(tmp_path, "normal/n.mp4")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "normal" / "back").symlink_to(tmp_path / "normal")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (video,) = videos_under(tmp_path, ["*", "*/*", "*/*/*", "*/*/*/*"])
    assert video.path == tmp_path / "normal" / "n.mp4"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a/1.mp4", "b/1.mp4", "b/2.mp4"], ["a/1", "b/1", "2"]),
        (["a/1.mp4", "a/1.avi", "b/1.mp4"], ["a/1.mp4", "a/1.avi", "b/1"]),
        (["x/Cam.mp4", "y/cam.mp4"], ["x/Cam", "y/cam"]),
        (["Cam.mp4", "cam.mp4"], ["Cam.mp4", "cam.mp4 (2)"]),
        (["Straße.mp4", "strasse.mp4", "STRASSE.avi"], ["Straße.mp4", "strasse.mp4 (2)", "STRASSE.avi"]),
        (["a.mp4", "a/1.mp4", "b/1.mp4"], ["a.mp4", "a/1", "b/1"]),
        (["a/...mp4", "b/...mp4"], ["a/mp4", "b/mp4"]),
    ],
    ids=str,
)
def test_names_tell_apart(tmp_path, files, expected):
    touch(tmp_path, *files)
    scene = scene_of_files([tmp_path / file for file in files])
    assert names(scene.normal) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a/", "b/", "A/"]), st.sampled_from(["a", "A", "b"]), st.sampled_from(["mp4", "avi"])
        ),
        unique=True,
        min_size=1,
    )
)
def test_no_two_videos_share_a_place_for_their_scores(tmp_path_factory, parts):
    """As folders on a disk that does not tell letters' case: none is another, none lies in another."""
    root = touch(tmp_path_factory.mktemp("x"), *("".join((folder, stem, ".", end)) for folder, stem, end in parts))
    scene = scene_of_files([root / f"{folder}{stem}.{end}" for folder, stem, end in parts])
    places = [Path(name.casefold()) for name in names(scene.normal)]
    assert len(set(places)) == len(parts)
    assert not any(place in other.parents for place in places for other in places)
    assert not any(".." in place.parts or place.is_absolute() for place in places)


@pytest.mark.parametrize(
    ("file", "name"), [("...mp4", "mp4"), ("..mp4", "mp4"), (".mp4", ".mp4"), ("a.b.mp4", "a.b"), ("a", "a")]
)
def test_no_name_goes_out_of_a_folder(tmp_path, file, name):
    touch(tmp_path, file)
    assert names(scene_of_files([tmp_path / file]).normal) == [name]


def test_the_folder_of_work_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(write_frames(tmp_path / "clip", 3))
    assert names(scene_of_files([Path()], fps=5).normal) == ["clip"]
    assert name_of(Path()) == "clip"


def test_videos_behind_links_are_named_by_what_a_user_sees(tmp_path):
    touch(tmp_path, "far/away/1.mp4", "here/x/1.mp4")
    (tmp_path / "here" / "y").symlink_to(tmp_path / "far" / "away")
    scene = scene_of_files([tmp_path / "here" / "x" / "1.mp4", tmp_path / "here" / "y" / "1.mp4"])
    assert names(scene.normal) == ["x/1", "y/1"]


def test_a_scene_is_not_made_of_two_videos_of_one_name():
    both = (Video("a", Path("a.mp4")), Video("a", Path("a.avi")))
    with pytest.raises(UsageError, match="found 'a' twice"):
        Scene("s", "x", Path(), normal=both)
    with pytest.raises(UsageError, match="found 'a' twice"):
        Scene("s", "x", Path(), test=both)
    assert Scene("s", "x", Path(), normal=both[:1], test=both[1:]).key == "s:x"


def test_labels_of_twins_go_by_their_whole_names(tmp_path):
    for name in ("ch01.mkv", "ch01.avi"):
        write_video(tmp_path / "test" / name, range(8), codec="mpeg4")
    (tmp_path / "marks.csv").write_text("video,start,end\nch01.mkv,2,4\n")
    (tmp_path / "suite.toml").write_text(
        '[[scenes]]\nname = "x"\ntest = ["test/*"]\n'
        'labels = { format = "intervals", path = "marks.csv", unit = "frames" }\n'
    )
    from metavad.scenes.labels import frame_labels

    suite = load_suite(str(tmp_path))
    found = {video.name: int(frame_labels(suite.scenes[0], video, 8).sum()) for video in suite.scenes[0].test}
    assert found == {"ch01.mkv": 2, "ch01.avi": 0}
    assert [finding.what for finding in check_suite(suite)] == [
        "no row of its labels is about ch01.avi: normal throughout"
    ]


def test_poses_of_twins_go_by_their_whole_names(tmp_path):
    from metavad.scenes.keypoints import keypoints_file

    touch(tmp_path, "ch01.mkv", "ch01.avi", "ch01.json", "ch01.mkv.json", "ch02.mkv", "ch02.json", "ch02.txt")
    one, two, three = (Video("x", tmp_path / name) for name in ("ch01.mkv", "ch01.avi", "ch02.mkv"))
    assert keypoints_file(one).name == "ch01.mkv.json"
    assert keypoints_file(three).name == "ch02.json"
    with pytest.raises(VideoError, match=r"ch01\.avi\.npz"):
        keypoints_file(two)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read anywhere")
def test_a_folder_that_may_not_be_read_is_left_alone(tmp_path):
    write_frames(tmp_path / "clip", 3)
    (tmp_path / "clip" / "lost+found").mkdir(mode=0)
    assert names(scene_of_files([tmp_path / "clip"], fps=5).normal) == ["clip"]
