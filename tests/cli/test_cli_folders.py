"""Folders as people have them, on the real command line: previews beside videos, twins, single pictures, odd frames."""

import io

import pytest

from tests.footage import numbered, write_image, write_video

SIZE = (48, 64)


def test_videos_with_previews_are_scored(metavad, detector, tmp_path):
    write_video(tmp_path / "clips" / "cam-1.mp4", range(30), size=SIZE)
    write_image(tmp_path / "clips" / "cam-1.jpg", numbered(3, *SIZE))
    result = metavad("score", "clips", "--detector", detector)
    assert result.code == 0, result.err
    assert "warning: clips: pictures beside videos are no footage: cam-1.jpg" in result.line
    assert len((tmp_path / "scores" / "cam-1" / "scores.csv").read_text().splitlines()) == 31


def test_adapting_to_a_folder_with_previews_shows_its_videos(metavad, tiny_run, tmp_path):
    write_video(tmp_path / "normal" / "a.mp4", range(30), size=SIZE)
    write_image(tmp_path / "normal" / "a.jpg", numbered(3, *SIZE))
    result = metavad(
        "adapt", "--normal", "normal", "--shots", 2, "--shot-frames", 8, "--base", tiny_run, "--out", "made"
    )
    assert (result.code, "no footage: a.jpg" in result.line) == (0, True)


def test_twins_have_folders_of_their_own(metavad, detector, tmp_path):
    write_video(tmp_path / "ch01.mkv", range(20), size=SIZE)
    write_video(tmp_path / "ch01.avi", range(10), size=SIZE, codec="mpeg4")
    result = metavad("score", "ch01.mkv", "ch01.avi", "./ch01.mkv", "--detector", detector)
    assert result.code == 0, result.err
    rows = {
        place.parent.name: len(place.read_text().splitlines()) for place in (tmp_path / "scores").glob("*/scores.csv")
    }
    assert rows == {"ch01.mkv": 21, "ch01.avi": 11}


@pytest.mark.parametrize("command", [["score", "--detector"], ["adapt", "--shots", 1, "--base"]], ids=lambda it: it[0])
def test_a_single_picture_says_what_to_name(metavad, detector, tiny_run, tmp_path, command):
    write_image(tmp_path / "a.jpg", numbered(3, *SIZE))
    given = ["a.jpg"] if command[0] == "score" else ["--normal", "a.jpg"]
    result = metavad(*command, detector if command[0] == "score" else tiny_run, *given, "--out", "made")
    assert result.code == 1
    assert "a.jpg: expected a video or a folder of frames, found a single picture; name the folder" in result.line
    assert not (tmp_path / "made").exists()


def test_odd_frames_are_reported_once(metavad, detector, tmp_path):
    for number in (0, 1, 2, 5, 6):
        write_image(tmp_path / "clip" / f"{number:03d}.png", numbered(number, *SIZE))
    result = metavad("score", "clip", "--fps", 10, "--detector", detector)
    assert result.code == 0, result.err
    assert "warning: clip: 2 numbers are missing (3 to 4)" in result.line


def test_a_dark_camera_is_reported_by_score_and_adapt(metavad, detector, tiny_run, tmp_path):
    write_video(tmp_path / "a.mp4", [*range(1, 30), *[0] * 40], size=SIZE)
    result = metavad("score", "a.mp4", "--detector", detector)
    assert (result.code, "a.mp4: the picture is black, or one even grey, from " in result.line) == (0, True)
    write_video(tmp_path / "b.mp4", [0] * 60, size=SIZE)
    given = ["--shots", 2, "--shot-frames", 8, "--base", tiny_run, "--out", "made"]
    result = metavad("adapt", "--normal", "b.mp4", *given)
    shown, whole = (line for line in result.err.splitlines() if "metavad: warning: " in line)
    assert result.code == 0
    assert "2 of 2 normal clips show nothing (black, or one even grey): b at " in shown
    assert "b.mp4: the picture is black, or one even grey, from beginning to end" in whole


# --- import --------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    """A test video of 40 frames, 4 seconds, with intervals that may be of frames and of seconds."""
    write_video(tmp_path / "site" / "normal" / "a.mp4", range(20))
    write_video(tmp_path / "site" / "test" / "b.mp4", range(40))
    (tmp_path / "site" / "marks.csv").write_text("video,start,end\nb,1,3\n")
    return tmp_path / "site"


def test_without_asking_an_ambiguous_unit_is_refused(metavad, site):
    result = metavad("data", "import", "site", "--yes")
    assert (result.code, "found numbers that may be either; say --unit frames or" in result.line) == (2, True)
    assert not (site / "suite.toml").exists()


@pytest.mark.parametrize(("unit", "abnormal"), [("seconds", 20), ("frames", 2)])
def test_the_unit_can_be_given(metavad, site, unit, abnormal):
    from metavad.scenes.labels import frame_labels
    from metavad.scenes.suite import load_suite

    assert metavad("data", "import", "site", "--yes", "--unit", unit).code == 0
    (scene,) = load_suite(str(site)).scenes
    assert frame_labels(scene, scene.test[0], 40).sum() == abnormal


def test_an_unknown_unit_is_refused(metavad, site):
    result = metavad("data", "import", "site", "--yes", "--unit", "minutes")
    assert (result.code, "expected frames or seconds, found 'minutes'" in result.line) == (2, True)
    assert not (site / "suite.toml").exists()


def test_a_person_is_asked_for_the_unit(metavad, site, monkeypatch):
    import typer

    asked = []
    monkeypatch.setattr(typer, "prompt", lambda text: asked.append(text) or "seconds")
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: True)
    assert metavad("data", "import", "site").code == 0
    assert asked == ["site/marks.csv: are start and end frames or seconds?"]
    assert 'unit = "seconds"' in (site / "suite.toml").read_text()


@pytest.mark.parametrize(
    ("given", "stop", "code", "message"),
    [
        ([], EOFError, 2, "found the end of the input; say --unit frames or --unit seconds"),
        (["--unit", "frames"], EOFError, 2, "found the end of the input; say --yes"),
        (["--unit", "frames"], KeyboardInterrupt, 130, "interrupted; the same command starts over"),
    ],
)
def test_where_nobody_answers_the_option_is_named(metavad, site, monkeypatch, given, stop, code, message):
    class Nobody(io.StringIO):
        def readline(self, *_):
            raise stop

    monkeypatch.setattr("sys.stdin", Nobody())
    result = metavad("data", "import", "site", *given)
    assert (result.code, message in result.err.splitlines()[-1]) == (code, True), result.err
    assert not (site / "suite.toml").exists()


def test_the_line_for_a_suite_says_the_unit(metavad, site):
    printed = metavad("data", "label", "site/test/b.mp4").out
    assert 'unit = "frames" }' in printed
    assert "metavad data import site, which writes a suite file" in printed
