"""``metavad watch``: what an operator sees, and what a supervisor gets."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import metavad
from metavad.cli import main
from metavad.live.index import Index
from metavad.scenes.suite import load_suite
from tests.footage import retimed


@pytest.fixture(scope="module")
def site(cameras, tiny_base, tmp_path_factory):
    """A folder with a detector that alarms every four seconds, and half a minute of its camera."""
    scene, folder = load_suite(str(cameras)).scenes[0], tmp_path_factory.mktemp("watch")
    detector = metavad.adapt(tiny_base, scene, shots=3, alarms_per_day=10)
    retimed(scene.test[0].path, folder / "today.mkv", [100 * n for n in range(150)])
    scores = [each.score for each in metavad.score(detector, folder / "today.mkv")]
    metavad.save_detector(folder / "detector", replace(detector, threshold=float(np.quantile(scores, 0.6))))
    return folder


def test_a_file_is_watched_and_watched_no_second_time(site, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(site)
    command = ["watch", "today.mkv", "--fast", "--detector", "detector", "--out", str(tmp_path / "lobby")]
    assert main([*command, "--no-conditions"]) == 0
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    over = metavad.load_detector("detector").threshold
    assert lines[0].startswith(f"lobby: watching today.mkv over {over:.2f}: ")
    assert lines[1] == "lobby: today.mkv: connected, 96x72"
    assert lines[-1] == "lobby: 4 events; 150 frames"
    begun = [line for line in lines if " begins, score " in line]
    assert re.match(r"lobby: event 00000[34]\.\d begins, score \d\.\d: something moves ", begun[1])
    with Index(tmp_path / "lobby") as index:
        assert len(index.events()) == 4
    assert main([*command, "--log", "json", "--metrics", "0"]) == 0
    rows = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert [row["kind"] for row in rows] == ["metrics", "started", "connected", "ended"]
    assert (rows[-1]["events"], rows[-1]["refused"], rows[-1]["level"]) == (0, 150, "info")


def test_a_stop_by_a_supervisor_ends_it_in_good_order(site, tmp_path):
    """At its own speed, so that it is in the middle of the file; the same command goes on from there."""
    command = [sys.executable, "-m", "metavad", "watch", str(site / "today.mkv")]
    command += ["--detector", str(site / "detector"), "--out", str(tmp_path / "lobby"), "--log", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    try:
        for line in process.stdout:
            if json.loads(line)["kind"] == "event_opened":
                break
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 143
    assert err == "metavad: stopped; all is written, and the same command goes on\n"
    assert json.loads(out.splitlines()[-1])["kind"] == "ended"
    with Index(tmp_path / "lobby") as index:
        events = [stored.event for stored in index.events()]
    assert events
    assert all(event.is_over for event in events)
    assert json.loads((tmp_path / "lobby" / "state.json").read_text())["last"] < 15


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["ftp://u:hunter2@h/x"], 2, "ftp://...: expected an address of "),
        (["nothing.mp4"], 1, "nothing.mp4: expected an address such as rtsp://"),
        (["today.mkv", "--log", "xml"], 2, "--log: expected a known kind, found 'xml'"),
        (["today.mkv", "--metrics", "x"], 2, "--metrics x: expected a port"),
        (["today.mkv", "--commission", "long"], 2, "--commission: expected a length such as"),
        (
            ["today.mkv", "--commission", "1h", "--alarms-per-day", "0"],
            2,
            "--alarms-per-day: expected a number above 0",
        ),
        (["today.mkv", "--commission", "1h", "--shots", "-5"], 2, "--shots: expected a number of clips from 1 on"),
        (["today.mkv", "--alarms-per-day", "3", "--threshold", "4"], 2, "expected --alarms-per-day or --threshold"),
        (["today.mkv", "--detector", "none"], 1, "none: expected a detector"),
    ],
)
def test_what_is_wrong_is_one_line(site, tmp_path, monkeypatch, capsys, options, code, message):
    monkeypatch.chdir(site)
    command = ["watch", "--detector", "detector", "--out", str(tmp_path / "out"), *options]
    assert main(command) == code
    written = capsys.readouterr()
    assert written.err.startswith(f"metavad: {message}")
    assert written.err.count("\n") == 1
    assert "hunter2" not in written.err + written.out


def test_a_detector_is_made_of_the_beginning_and_the_rest_is_watched(site, tmp_path, monkeypatch, capsys, tiny_run):
    monkeypatch.chdir(site)
    command = ["watch", "today.mkv", "--fast", "--commission", "8s", "--shots", "3", "--base", str(tiny_run)]
    command += ["--detector", str(tmp_path / "made"), "--out", str(tmp_path / "out"), "--alarms-per-day", "5"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "commissioning from 8 s of today.mkv; what it shows is taken for normal" in lines[0]
    assert any(f"{tmp_path / 'made'}: shown 3 clips, threshold from" in line for line in lines)
    assert lines[-1].endswith("0 events; 69 frames")
    assert metavad.load_detector(tmp_path / "made").promise.alarms_per_day == 5
