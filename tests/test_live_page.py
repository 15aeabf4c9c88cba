"""The page on live cameras: each example runs, and finds what is in the file."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import metavad
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring.events import EventMerger, in_events
from tests.footage import remuxed

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "score-a-live-camera.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^<!-- (\w+) -->\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
LINE = re.compile(r"(begin|end) (\d+) ([\d.]+) (something .*)")


@pytest.fixture(scope="module")
def site(cameras, tiny_base, tmp_path_factory):
    """A folder with a detector that alarms, and a video of its camera."""
    scene, folder = load_suite(str(cameras)).scenes[0], tmp_path_factory.mktemp("live")
    detector = metavad.adapt(tiny_base, scene, shots=3, alarms_per_day=10)
    frames = list(metavad.score(detector, scene.test[0]))
    threshold = float(np.quantile([frame.score for frame in frames], 0.7))
    metavad.save_detector(folder / "detectors" / "lobby", replace(detector, threshold=threshold))
    (folder / "today.mp4").symlink_to(scene.test[0].path)
    return folder


@pytest.fixture
def expected(site, monkeypatch):
    """The events of the file; its folder is where the program runs."""
    monkeypatch.chdir(site)
    detector = metavad.load_detector("detectors/lobby")
    video = metavad.scene_of_files(["today.mp4"]).normal[0]
    merger = EventMerger(detector.model.scoring.merge)
    assert len(list(in_events(metavad.score(detector, video), merger, probe(video).seconds))) > 20
    assert merger.events
    return [found.event for found in merger.events]


def run(*programs):
    """Run the page's programs of these names as one."""
    names = {}
    exec(compile("\n".join(PROGRAMS[name] for name in programs), "score-a-live-camera.md", "exec"), names)
    return names


def printed(capsys):
    """Each line that an event begins or ends by: what, its number, its start."""
    lines = capsys.readouterr().out.splitlines()
    return [(match[1], int(match[2]), float(match[3])) for match in map(LINE.fullmatch, lines)]


def begun_and_ended(events):
    return [(what, number, event.start) for number, event in enumerate(events, 1) for what in ("begin", "end")]


def test_every_program_of_the_page_is_run_here():
    assert sorted(PROGRAMS) == ["fastapi", "ffmpeg", "gstreamer", "opencv", "pipe"]
    assert PAGE.count("```python") == len(PROGRAMS)


def test_the_opencv_loop_finds_the_events_of_the_file(expected, capsys):
    run("opencv")
    found = printed(capsys)
    assert [each[:2] for each in found] == [each[:2] for each in begun_and_ended(expected)]
    np.testing.assert_allclose([each[2] for each in found], [each[2] for each in begun_and_ended(expected)], atol=0.2)


@pytest.mark.parametrize("program", ["ffmpeg", "gstreamer"])
def test_a_pipe_finds_the_very_events_of_the_file(expected, site, program, tmp_path, monkeypatch, capsys):
    """A stand-in for the program: the address is nobody's, and not every machine has it."""
    remuxed(site / "today.mp4", tmp_path / "today.mkv")
    name = {"ffmpeg": "ffmpeg", "gstreamer": "gst-launch-1.0"}[program]
    source = f"import shutil, sys\nshutil.copyfileobj(open({str(tmp_path / 'today.mkv')!r}, 'rb'), sys.stdout.buffer)\n"
    (tmp_path / name).write_text(f"#!{sys.executable}\n{source}")
    (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    names = run(program, "pipe")
    assert names["COMMAND"].split()[0] == name
    assert "matroska" in names["COMMAND"]
    found = printed(capsys)
    assert [each[:2] for each in found] == [each[:2] for each in begun_and_ended(expected)]
    np.testing.assert_allclose([each[2] for each in found], [each[2] for each in begun_and_ended(expected)], atol=1e-3)


def test_a_service_takes_pictures_and_says_what_is_wrong_with_them(expected):
    pytest.importorskip("fastapi", reason="FastAPI is no part of metavad; pip install fastapi httpx to test the page")
    pytest.importorskip("httpx", reason="FastAPI's test client needs httpx")
    from fastapi.testclient import TestClient

    client = TestClient(run("fastapi")["app"])

    def post(seconds, content):
        kind = {"Content-Type": "image/png"}
        return client.post("/frames", params={"seconds": seconds}, content=content, headers=kind)

    with av.open("today.mp4") as container:
        pictures = [(frame.to_ndarray(format="gray"), frame.time) for frame in container.decode(video=0)]
    scores, events = [], []
    for place, (picture, seconds) in enumerate(pictures):
        coded = cv2.imencode(".png", picture)[1].tobytes()
        if place == 5:
            wrong, late = post(seconds, b"no picture"), post(-1, coded)
            assert (wrong.status_code, late.status_code) == (422, 422)
            assert wrong.json()["detail"].startswith("expected a frame, found a NoneType; ")
            assert "or later, where the last one was" in late.json()["detail"]
        answer = post(seconds, coded)
        assert answer.status_code == 200
        scores += answer.json()["scores"]
        events += answer.json()["events"]
    detector = metavad.load_detector("detectors/lobby")
    whole = [[each.seconds, each.score] for each in metavad.score(detector, "today.mp4")]
    assert len(scores) > len(whole) - 15
    np.testing.assert_allclose(scores, whole[: len(scores)], atol=1e-3)
    assert (events[0]["number"], events[0]["is_over"]) == (1, False)
    assert events[0]["event"]["start"] == pytest.approx(expected[0].start, abs=1e-3)
