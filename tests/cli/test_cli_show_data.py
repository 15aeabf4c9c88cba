"""``metavad show`` and ``metavad data``."""

import json
import re
import shutil

import numpy as np
import pytest

from metavad.scenes.labels import frame_labels
from metavad.scenes.suite import load_suite
from metavad.shipped import shipped
from tests.footage import write_frames


def test_what_ships_is_listed_printed_and_copied(metavad, tmp_path):
    for kind, files in (("suites", shipped("tasks")), ("configs", shipped("configs"))):
        listed = metavad("show", kind)
        assert [line.split()[0] for line in listed.out.splitlines()] == list(files)
        for name, path in files.items():
            assert metavad("show", kind, name).out == path.read_text().rstrip("\n") + "\n"
    assert metavad("show", "configs", "quick", "--out", "mine.toml").code == 0
    assert (tmp_path / "mine.toml").read_text() == shipped("configs")["quick"].read_text()
    assert metavad("show", "configs", "quick", "--out", "mine.toml").code == 1


def test_the_base_and_the_algorithms(metavad, tiny_run, tiny_base):
    shown = metavad("show", "base", "--base", tiny_run)
    assert (shown.code, tiny_base.digest in shown.out) == (0, True)
    assert metavad("show", "base", tiny_run / "base").out == shown.out


def test_figures_of_this_very_base_are_shown(metavad, tiny_run, tiny_base, tmp_path):
    shutil.copytree(tiny_run / "base", tmp_path / "base")
    rows = [{"scene": "site:gate", "micro_auc": {"0": 0.5, "10": 0.875}}]
    head = {"schema_version": 1, "kind": "base-figures", "base": tiny_base.digest}
    found = {**head, "made_by": ["metavad meta-train"], "command": "metavad benchmark", "rows": rows}
    (tmp_path / "base" / "figures.json").write_text(json.dumps(found))
    assert "87.5" in metavad("show", "base", "base").out
    (tmp_path / "base" / "figures.json").write_text(json.dumps(found | {"base": "another"}))
    assert "87.5" not in metavad("show", "base", "base").out


@pytest.mark.parametrize(
    "text",
    ["[]", "no json", "{}", '{"base": "BASE", "rows": []}', '{"base": "BASE", "rows": [{"scene": 1}]}', "[" * 9999],
)
def test_figures_that_are_none_are_one_line(metavad, tiny_run, tiny_base, tmp_path, text):
    shutil.copytree(tiny_run / "base", tmp_path / "base")
    (tmp_path / "base" / "figures.json").write_text(text.replace("BASE", tiny_base.digest))
    result = metavad("show", "base", "base")
    assert (result.code, "figures.json: expected a record of schema 1 and kind base-figures" in result.line) == (
        1,
        True,
    )


def test_algorithms_are_shown(metavad):
    assert "1703.03400" in metavad("show", "algorithms", "maml").out
    assert "did you mean 'maml'" in metavad("show", "algorithms", "mamll").line


@pytest.mark.parametrize(("what", "message"), [("suite", "did you mean 'suites'"), ("configs", "did you mean 'quick'")])
def test_show_refuses(metavad, what, message):
    result = metavad("show", what, "quik")
    assert (result.code, message in result.line) == (2, True)


@pytest.mark.parametrize("words", [["algorithms", "maml"], ["experts"], ["suites"]])
def test_only_what_is_a_file_is_copied(metavad, tmp_path, words):
    result = metavad("show", *words, "--out", "x")
    assert (result.code, "--out: expected the name of one of the configs or suites" in result.line) == (2, True)
    assert not (tmp_path / "x").exists()


def test_synthesize_check_and_a_taken_folder(metavad, tmp_path):
    made = metavad("data", "synthesize", "--scenes", 1, "--size", "tiny", "--out", "site", "--seed", 5)
    assert made.code == 0, made.err
    assert metavad("data", "check", "site/suite.toml").code == 0
    other = metavad("data", "synthesize", "--scenes", 1, "--size", "tiny", "--out", "site", "--seed", 6)
    assert (other.code, "expected" in other.line) == (1, True)
    labels = tmp_path / "site" / "camera-000" / "labels" / "test-00.npy"
    np.save(labels, np.zeros(3))
    wrong = metavad("data", "check", "site/suite.toml")
    assert wrong.code == 1
    assert "test-00" in wrong.out


@pytest.mark.parametrize(
    "options",
    [
        *(("--jobs", each) for each in ("0", "-1", "99999")),
        *(("--seed", each) for each in ("-1", "9" * 30)),
        *(("--normal-seconds", each) for each in ("0", "nan", "inf")),
        *(("--scenes", each) for each in ("0", "999999999")),
    ],
)
def test_numbers_that_make_no_sense(metavad, tmp_path, options):
    result = metavad("data", "synthesize", "--out", "site", "--size", "tiny", *options)
    name = options[0].removeprefix("--")
    assert (result.code, name in result.line.replace("_", "-")) == (2, True)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "inf", "1e9"])
def test_frames_a_second_that_make_no_sense(metavad, cameras, tmp_path, fps):
    video = cameras.parent / "camera-000" / "test" / "test-00.mp4"
    result = metavad("data", "label", video, "--fps", fps, "--out", "labels.csv")
    assert (result.code, "--fps: expected frames a second" in result.line) == (2, True)
    assert not (tmp_path / "labels.csv").exists()


def test_list_says_what_is_there(metavad, tmp_path):
    result = metavad("data", "list", "--data", tmp_path)
    assert result.code == 0
    names = [line.split()[0] for line in result.out.splitlines()[1:]]
    assert names == list(shipped("tasks"))


def test_the_list_names_every_suite_on_a_narrow_terminal(metavad, tmp_path, monkeypatch):
    from rich.console import Console

    from metavad.cli import terminal

    monkeypatch.setattr(terminal, "console", lambda: Console(width=60, force_terminal=True))
    out = metavad("data", "list", "--data", tmp_path).out
    for name in shipped("tasks"):
        assert f"{name}: " in out
    assert "terms: CC BY-NC-ND 4.0" in out


def test_fetch_says_where_to_ask(metavad, tmp_path):
    assert "--data" in metavad("data", "fetch", "ped2").line
    result = metavad("data", "fetch", "msad", "--data", tmp_path)
    assert (result.code, "get it from" in result.line) == (2, True)


def test_import_writes_a_suite_that_works(metavad, cameras, tmp_path):
    shutil.copytree(cameras.parent / "camera-000" / "normal", tmp_path / "mine" / "normal")
    assert metavad("data", "import", "mine", "--yes").code == 0
    assert metavad("data", "check", "mine/suite.toml").code == 0
    again = metavad("data", "import", "mine", "--yes")
    assert (again.code, "suite.toml" in again.line) == (1, True)
    assert metavad("data", "import", "nowhere").code == 1


def test_label_writes_an_empty_file(metavad, cameras, tmp_path):
    video = shutil.copy(cameras.parent / "camera-000" / "test" / "test-00.mp4", tmp_path)
    assert metavad("data", "label", video).code == 0
    text = (tmp_path / "intervals.csv").read_text()
    assert text.startswith("#")
    assert text.splitlines()[-1] == "video,start,end"
    assert metavad("data", "label", video).code == 1
    assert metavad("data", "label", video, "--fps", 4, "--out", "slow.csv").code == 0
    assert ", 4.00 frames/s, " in (tmp_path / "slow.csv").read_text()


def test_a_label_file_completes_its_suite(metavad, cameras, tmp_path):
    """It is called from the root of the scene, which may be folders above."""
    for side in ("normal", "test"):
        (tmp_path / "mine" / "gate" / side).mkdir(parents=True)
        shutil.copy(cameras.parent / "camera-000" / "test" / "test-00.mp4", tmp_path / "mine" / "gate" / side)
    made = metavad("data", "import", "mine", "--yes")
    assert "gate: 1 normal and 1 test video, no labels" in made.out
    assert "to label it: metavad data label mine/gate/test/*.mp4 --out mine/gate/intervals.csv" in made.out
    message = metavad("data", "label", "mine/gate/test/test-00.mp4").out
    suite = tmp_path / "mine" / "suite.toml"
    assert f"{suite}: names it as the labels of gate" in message
    assert f"metavad data check {suite}" in message
    assert 'labels = { format = "intervals", path = "test/intervals.csv", unit = "frames" }' in suite.read_text()
    assert "no labels found" not in suite.read_text()
    with (tmp_path / "mine" / "gate" / "test" / "intervals.csv").open("a") as file:
        file.write("test-00,3,7\n")
    checked = metavad("data", "check", "mine")
    assert (checked.code, "1 scene; 0 errors, 0 warnings" in checked.out) == (0, True), checked.out
    scene = load_suite(str(tmp_path / "mine")).scenes[0]
    assert frame_labels(scene, scene.test[0], 50).nonzero()[0].tolist() == [3, 4, 5, 6]
    before = suite.read_text()
    other = metavad("data", "label", "mine/gate/test/test-00.mp4", "--out", "other.csv")
    assert 'gate has other labels; to take these, put there: labels = { format = "intervals"' in other.out
    assert suite.read_text() == before


def test_labels_that_were_there_first_are_in_the_suite(metavad, cameras, tmp_path):
    """``data label``, filled in with whole frames, then ``data import``: nothing is left to be done by hand."""
    shutil.copytree(cameras.parent / "camera-000" / "normal", tmp_path / "mine" / "normal")
    (tmp_path / "mine" / "test").mkdir()
    shutil.copy(cameras.parent / "camera-000" / "test" / "test-00.mp4", tmp_path / "mine" / "test")
    labelled = metavad("data", "label", "mine/test/test-00.mp4", "--out", "mine/intervals.csv")
    assert "next, once it is filled in: metavad data import mine, which writes a suite file" in labelled.out
    with (tmp_path / "mine" / "intervals.csv").open("a") as file:
        file.write("test-00,1,2\n")  # may be seconds as well: the file says that it is in frames
    made = metavad("data", "import", "mine", "--yes")
    assert "mine: 2 normal and 1 test video, labelled" in made.out or "1 test video, labelled" in made.out
    checked = metavad("data", "check", "mine")
    assert (checked.code, "0 errors, 0 warnings" in checked.out) == (0, True), checked.out


def test_the_frame_rate_of_folders_is_written(metavad, tmp_path):
    for side in ("train", "test"):
        write_frames(tmp_path / "mine" / side / "01", 3)
    assert metavad("data", "import", "mine", "--yes", "--fps", 10).code == 0
    assert "fps = 10\n" in (tmp_path / "mine" / "suite.toml").read_text()


def test_experts_are_shown_with_what_they_read_and_whether_they_need_clips(metavad):
    from metavad.experts import EXPERTS

    lines = metavad("show", "experts").out.splitlines()
    assert lines[0].split() == ["name", "reads", "clips", "package", "what"]
    assert [line.split()[0] for line in lines[1:]] == list(EXPERTS)
    assert [re.split("  +", line)[1:4] for line in lines if line.startswith(("flow_density", "stillness"))] == [
        ["flow", "not needed", "metavad"],
        ["frames, flow", "needed", "metavad"],
    ]
    assert metavad("show", "experts", "presence").out.splitlines()[1].startswith("presence")
    assert "did you mean 'presence'" in metavad("show", "experts", "presense").line


def test_long_texts_go_on_below_themselves_where_a_terminal_ends(metavad, monkeypatch):
    from rich.console import Console

    whole = metavad("show", "configs").out
    monkeypatch.setattr("metavad.cli.terminal.console", lambda: Console(width=60))
    lines = metavad("show", "configs").out.splitlines()
    assert " ".join(" ".join(lines).split()) == " ".join(whole.split())
    assert len(lines) > len(whole.splitlines())
    assert all(len(line) <= 60 or "http" in line for line in lines)
