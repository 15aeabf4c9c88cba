"""What files and scenes are called chooses no place, stops no command, and can be given back as it was printed."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from metavad.normality import detector
from tests.footage import write_video

SIZE = (48, 64)


def _normal(folder, *names):
    return [write_video(folder / f"{name}.mp4", range(40), size=SIZE) for name in names]


def _adapt(metavad, tiny_run, *given):
    return metavad("adapt", "--shots", 2, "--shot-frames", 8, "--base", tiny_run, *given)


@pytest.mark.parametrize("name", ["../../x", "/tmp/metavad-x", "..", "a\\b", "[/x] a\x1b[31m\nb"])
def test_a_scene_s_name_chooses_no_place(metavad, tiny_run, tmp_path, name):
    (tmp_path / "site").mkdir()
    _normal(tmp_path / "site", "a", "b")
    suite = f'[[scenes]]\nname = {json.dumps(name)}\nnormal = ["a.mp4"]\ntest = ["b.mp4"]\n'
    (tmp_path / "site" / "suite.toml").write_text(suite)
    before = set(tmp_path.parent.rglob("detector.json"))
    for given in (["--target", "site"], ["--normal", "site/a.mp4", "--name", name]):
        result = _adapt(metavad, tiny_run, *given)
        assert result.code == 0, result.err
        assert "\x1b" not in result.out + result.err
        (made,) = (tmp_path / "detectors").iterdir()
        assert (made / "detector.json").is_file()
        shutil.rmtree(made)
    assert set(tmp_path.parent.rglob("detector.json")) == before
    assert not Path("/tmp/metavad-x").exists()


def test_scenes_of_one_name_get_folders_of_their_own(metavad, tiny_run, tmp_path):
    for suite, scenes in (("a", ("b-c", "x")), ("a-b", ("c", "X")), ("s", ("b-c", "c"))):
        _normal(tmp_path / suite, "v", "w")
        tables = [f'[[scenes]]\nname = "{scene}"\nnormal = ["v.mp4"]\ntest = ["w.mp4"]\n' for scene in scenes]
        (tmp_path / suite / "suite.toml").write_text("".join(tables))
    result = _adapt(metavad, tiny_run, "--target", "a,a-b,s", "--no-pictures")
    assert result.code == 0, result.err
    made = [path.name.casefold() for path in (tmp_path / "detectors").iterdir()]
    assert len(set(made)) == 6


@pytest.mark.parametrize("name", ["Lobby, north", "a@1,b", "a@2", "it's [b] $HOME", "10.30\u202fAM", "a\nb"])
def test_what_a_check_suggests_is_taken(metavad, tiny_run, tmp_path, monkeypatch, name):
    """Under a threshold that all of the footage passes."""
    found = detector.calibrated_threshold
    monkeypatch.setattr(detector, "calibrated_threshold", lambda *args, **named: (-1.0, found(*args, **named)[1]))
    videos = _normal(tmp_path / "v", name, "other")
    given = ["--normal", *videos, "--alarms-per-day", 80_000]
    first = _adapt(metavad, tiny_run, *given, "--out", "first")
    assert first.code == 0, first.err
    suggested = shlex.split(first.out.split("adapt again with ")[1].splitlines()[0])
    assert len(suggested) >= 2
    second = _adapt(metavad, tiny_run, *given, *suggested, "--out", "second")
    assert second.code == 0, second.err
    shots = json.loads((tmp_path / "second" / "detector.json").read_text())["shots"]
    assert {shot["video"] for shot in shots} <= {name, "other"}
    drawn = json.loads((tmp_path / "first" / "detector.json").read_text())["shots"]
    assert len(shots) > len(drawn)


def test_a_detector_of_a_name_that_is_no_text_can_be_opened(metavad, tiny_run, tmp_path):
    try:
        (video,) = _normal(tmp_path / "v", "a")
        video = video.rename(video.with_name("a\udcff.mp4"))
    except OSError:
        pytest.skip("a disk on which every name is text")
    assert _adapt(metavad, tiny_run, "--normal", video, "--out", "made").code == 0
    result = metavad("score", video, "--detector", "made")
    assert result.code == 0, result.err
    (tmp_path / "s.toml").write_text(f"[[scenes]]\nname = '{{cam}}'\npattern = '(?P<cam>.+)'\n{SUITE}")
    (tmp_path / "l.csv").write_text("video,start,end\na\\xff,3,9\n")
    asked = ["--shots", 1, "--draws", 1, "--shot-frames", 8, "--methods", "zero-shot,position", "--base", tiny_run]
    given = [*asked, "--json", "r.json", "--html", "r.html", "--plots", "plots"]
    result = metavad("benchmark", "--target", "s.toml", *given)
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "r.json").read_text())["rows"][0]["scene"] == r"a\xff"


SUITE = """normal = ["v/*"]
normal_frames = [20, 40]
test = ["v/*"]
labels = { format = "intervals", path = "l.csv", unit = "frames" }
"""


def test_seconds_with_commas_between_are_taken_too(metavad, tiny_run, tmp_path):
    videos = _normal(tmp_path / "v", "a, b", "c")
    given = ["--normal", *videos, "--no-pictures"]
    for number, shown in enumerate((["--show", "a, b@1,c@2.5"], ["--show", "a, b@1", "--show", "c@2.5"])):
        result = _adapt(metavad, tiny_run, *given, *shown, "--out", f"made{number}")
        assert result.code == 0, result.err
    one, two = (json.loads((tmp_path / f"made{n}" / "detector.json").read_text())["shots"] for n in (0, 1))
    assert one == two
    for wrong in ("a, b", "a, b@", "a, b@1,c", "@1"):
        refused = _adapt(metavad, tiny_run, *given, "--show", wrong, "--out", "none")
        assert (refused.code, "monday@12.5" in refused.line) == (2, True)


def test_scores_of_any_name_lie_in_a_folder_of_their_own(metavad, tiny_run, tmp_path):
    videos = _normal(tmp_path / "v", "a", "[b]", "..b")
    _normal(tmp_path / "w", "a")
    assert _adapt(metavad, tiny_run, "--normal", videos[0], "--out", "made").code == 0
    result = metavad("score", *videos, "w/a.mp4", "--detector", "made")
    assert result.code == 0, result.err
    folders = sorted(path.name for path in (tmp_path / "scores").iterdir() if path.is_dir())
    assert len(folders) == 4
    assert all((tmp_path / "scores" / name / "scores.csv").is_file() for name in folders)
    assert "[b]: " in result.out
    assert not any(name.startswith(".") for name in folders)


def _labelled(site, scene, content):
    for side in ("normal", "test"):
        write_video(site / side / "[b].mp4", range(40), size=SIZE)
    write_video(site / "test" / "quiet.mp4", range(40), size=SIZE)
    (site / "t.csv").write_text(content)
    (site / "suite.toml").write_text(
        f'[[scenes]]\nname = {json.dumps(scene)}\nnormal = ["normal/*.mp4"]\ntest = ["test/*.mp4"]\n'
        'labels = { format = "intervals", path = "t.csv", unit = "frames" }\n'
    )


def test_a_benchmark_of_any_name_is_reported_to_its_end(metavad, tiny_run, tmp_path):
    """A name in brackets crashed the bar once everything had been computed; a backslash the page."""
    scene = "[/y] a\\1b=<b>"
    _labelled(tmp_path / "site", scene, "video,start,end\n[b],10,20\n")
    asked = ["--target", "site", "--base", tiny_run, "--shots", "0,1", "--draws", 1, "--methods", "motion,adapted"]
    files = ["--html", "page.html", "--plots", "plots", "--json", "record.json"]
    result = metavad("benchmark", *asked, "--shot-frames", 8, *files)
    assert result.code == 0, result.err
    assert scene in result.out
    assert "site:[/y] a\\1b=<b>: no row of the labels is about 1 of 2 test videos (quiet)" in result.err
    assert "<b>" not in (tmp_path / "page.html").read_text()
    assert sorted(path.suffix for path in (tmp_path / "plots").iterdir()) == [".pdf", ".svg"]
    for style in ("markdown", "latex", "csv"):
        assert metavad("benchmark", *asked, "--shot-frames", 8, "--format", style).code == 0


def test_a_benchmark_of_what_nobody_labelled_is_refused(metavad, tiny_run, tmp_path):
    _labelled(tmp_path / "site", "x", "video,start,end\n")
    asked = ["benchmark", "--target", "site", "--base", tiny_run, "--shots", "0", "--methods", "motion"]
    result = metavad(*asked)
    assert result.code == 1
    assert "site:x: expected test videos with abnormal frames, found none labelled" in result.err
    assert "–" not in result.out


@pytest.mark.parametrize("row", ["video,start,end\nmonday,1,2", "name,start,end\n[b],1,2", "[b],1,2"])
def test_a_benchmark_refuses_what_a_check_finds(metavad, tiny_run, tmp_path, row):
    _labelled(tmp_path / "site", "x", f"{row}\n")
    checked = metavad("data", "check", "site")
    assert (checked.code, "t.csv, line" in checked.out) == (1, True)
    refused = metavad("benchmark", "--target", "site", "--base", tiny_run, "--shots", "0", "--methods", "motion")
    assert (refused.code, "t.csv, line" in refused.line) == (1, True)


def test_a_check_prints_names_as_they_are(metavad, tmp_path):
    _labelled(tmp_path / "site", "[/y]\x1b[31m\n:smile:", "video,start,end\n[b],10,20\n")
    result = metavad("data", "check", "site")
    assert result.code == 0, result.err
    assert "[/y]?[31m?:smile:" in result.out
    assert "\x1b" not in result.out + result.err


def test_a_mistyped_command_of_several_lines_is_one_line(metavad):
    for arguments in (["a\n\x1b[31mb"], ["score", "--a\n\x1b[31mb"]):
        result = metavad(*arguments)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert "\x1b" not in result.err + result.out


def test_scenes_that_nobody_labelled_are_reported_beside_others(metavad, cameras, tiny_run, tmp_path):
    site = shutil.copytree(cameras.parent, tmp_path / "site")
    for labels in (site / "camera-000" / "labels").glob("*.npy"):
        np.save(labels, np.zeros_like(np.load(labels)))
    target = "site:camera-000,site:camera-001"
    result = metavad("benchmark", "--target", target, "--base", tiny_run, "--shots", "0", "--methods", "motion")
    assert result.code == 0, result.err
    assert "site:camera-000: no frame is labelled abnormal, so it has no AUC" in result.err
