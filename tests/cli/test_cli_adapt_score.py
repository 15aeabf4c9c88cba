"""``metavad adapt`` and ``metavad score``: files, and what they refuse."""

import csv
import errno
import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from metavad.cli.threshold import keystone_text
from metavad.normality.detector import load_detector, save_detector
from metavad.normality.distribution import PopulationScores
from metavad.normality.memory_bank import MemoryBank, Scale, bank_feature
from metavad.normality.own_footage import joined
from metavad.report.scores_page import rate_text
from metavad.scenes.suite import load_suite
from metavad.scoring.looks import bank_size
from metavad.workflows.few_shot import adapt
from tests.footage import retimed


@pytest.fixture(scope="module")
def camera(cameras):
    return cameras.parent / "camera-000"


@pytest.fixture(scope="module")
def detector(tiny_run, camera, tmp_path_factory):
    """A detector folder, made on the command line."""
    from metavad.cli import main

    out = tmp_path_factory.mktemp("detectors") / "one"
    videos = [str(path) for path in sorted((camera / "normal").glob("*.mp4"))]
    assert main(["adapt", "--normal", *videos, "--shots", "3", "--base", str(tiny_run), "--out", str(out)]) == 0
    return out


def test_one_normal_takes_several_paths(metavad, camera, tiny_run, tmp_path):
    videos = sorted((camera / "normal").glob("*.mp4"))
    result = metavad("adapt", "--normal", *videos, "--shots", 2, "--base", tiny_run, "--name", "gate")
    assert result.code == 0, result.err
    facts = json.loads((tmp_path / "detectors" / "gate" / "detector.json").read_text())
    assert {shot["video"] for shot in facts["shots"]} == {"normal-00", "normal-01"}
    assert "false alarms a day" in result.out
    assert str(tiny_run / "base") in result.out


def test_several_scenes_give_a_folder_each(metavad, cameras, tiny_run, tmp_path):
    target = f"{cameras}:camera-000,{cameras}:camera-002"
    result = metavad("adapt", "--target", target, "--shots", 1, "--base", tiny_run, "--out", "some", "--no-pictures")
    assert result.code == 0, result.err
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["camera-000", "camera-002"]
    assert not (tmp_path / "some" / "camera-000" / "pictures").exists()


def test_the_newest_complete_run_is_the_base(metavad, camera, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "runs" / "old")
    (tmp_path / "runs" / "unfinished").mkdir()
    result = metavad("adapt", "--normal", camera / "normal", "--shots", 1)
    assert result.code == 0, result.err
    assert "runs/old/base" in result.out


def test_scores_of_every_frame(metavad, camera, detector, tmp_path):
    videos = sorted((camera / "test").glob("*.mp4"))
    result = metavad("score", *videos, "--detector", detector)
    assert result.code == 0, result.err
    for video in videos:
        folder = tmp_path / "scores" / video.stem
        with (folder / "scores.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        labels = np.load(camera / "labels" / f"{video.stem}.npy")
        assert [int(row["frame"]) for row in rows] == list(range(len(labels)))
        assert list(rows[0]) == ["frame", "seconds", "score", "alarm"]
        assert {row["alarm"] for row in rows} <= {"0", "1"}
        assert json.loads((folder / "events.json").read_text())["video"] == video.stem
        assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "scores" / "index.html").read_text()
    assert all(f"<h2>{video.stem}</h2>" in page for video in videos)
    again = metavad("score", videos[0], "--detector", detector)
    assert (again.code, "scored already" in again.out) == (0, True)
    assert (tmp_path / "scores" / "index.html").read_text() == page
    (tmp_path / "scores" / videos[0].stem / "events.json").unlink()
    again = metavad("score", videos[0], "--detector", detector)
    assert (again.code, "expected whole scores, found no events.json" in again.err) == (1, True)


def test_an_annotated_video_also_of_what_is_scored_already(metavad, camera, detector, tmp_path):
    import av

    video = camera / "test" / "test-00.mp4"
    assert metavad("score", video, "--detector", detector, "--video", "--out", "one").code == 0
    assert metavad("score", video, "--detector", detector, "--out", "two").code == 0
    assert not (tmp_path / "two" / "test-00" / "annotated.mp4").exists()
    again = metavad("score", video, "--detector", detector, "--out", "two", "--video")
    assert (again.code, "scored already, its video is new" in again.out) == (0, True)
    pictures = []
    for folder in ("one", "two"):
        with av.open(str(tmp_path / folder / "test-00" / "annotated.mp4")) as container:
            pictures.append([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
        assert {path.name for path in (tmp_path / folder / "test-00").iterdir()} >= {"annotated.mp4", "scores.csv"}
    assert len(pictures[0]) == len(np.load(camera / "labels" / "test-00.npy"))
    np.testing.assert_array_equal(*pictures)


def test_absolute_times_where_they_are_given(metavad, camera, detector, tmp_path):
    video = camera / "test" / "test-00.mp4"
    zone = ["--start-time", "2026-11-30T23:59:59+01:00"]
    result = metavad("score", video, "--detector", detector, "--threshold", "-1", *zone)
    assert (result.code, "; begins 2026-11-30 23:59:59" in result.out) == (0, True), result.err
    found = json.loads((tmp_path / "scores" / "test-00" / "events.json").read_text())
    assert (found["start_time"], found["start_time_source"]) == ("2026-11-30T23:59:59+01:00", "given")
    first = found["events"][0]
    assert datetime.fromisoformat(first["time"]) - datetime.fromisoformat(found["start_time"]) == timedelta(
        seconds=first["start"]
    )
    assert "to 2026-12-01 00:00:0" in result.out
    with (tmp_path / "scores" / "test-00" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["time"] == "2026-11-30T23:59:59.000+01:00"
    assert rows[-1]["time"].startswith("2026-12-01T00:00:0")
    events = metavad("events", "scores/test-00", "--threshold", "-1")
    assert (events.code, "to 2026-12-01 00:00:0" in events.out) == (0, True)
    other = metavad("score", video, "--detector", detector, "--threshold", "-1")
    assert (other.code, "another start time" in other.line) == (1, True)


@pytest.mark.parametrize(
    ("videos", "given", "message"),
    [
        (1, "yesterday", "expected a date and a time"),
        (2, "2026-11-30T08:00", "expected one video, found 2"),
        (2, "gate_%Y", "names such as 'gate_%Y'"),
    ],
)
def test_a_start_time_that_cannot_be_meant(metavad, camera, detector, tmp_path, videos, given, message):
    chosen = sorted((camera / "test").glob("*.mp4"))[:videos]
    result = metavad("score", *chosen, "--detector", detector, "--start-time", given)
    assert (result.code, message in result.line) == (2, True), result.err
    assert not (tmp_path / "scores").exists()


def test_one_recording_in_several_files_goes_on(metavad, camera, detector, tmp_path, monkeypatch):
    """Each knows what stood there at the end of the one before, and when it begins; alone it does not."""
    for name, seconds in {
        "novelty.EVERY": 1.0,
        "before.EVERY": 1.0,
        "novelty.LONGEST": 2.0,
        "novelty.LASTS": 1.0,
    }.items():
        monkeypatch.setattr(f"metavad.scoring.{name}", seconds)
    bare = load_detector(detector)
    rows = torch.zeros(1, *bank_feature(bank_size(bare)).shape(*bank_size(bare)), dtype=torch.int8)
    save_detector(tmp_path / "lobby", replace(bare, bank=MemoryBank(rows, (("hall", 0.0),), Scale(0.0, 0.0, 1e3))))
    videos = sorted((camera / "test").glob("*.mp4"))[:2]
    asked = ["score", *videos, "--detector", "lobby", "--consecutive", "--start-time", "2026-11-30T08:00+00:00"]
    result = metavad(*asked)
    assert result.code == 0, result.err
    found = [json.loads((tmp_path / "scores" / path.stem / "events.json").read_text()) for path in videos]
    length = len((tmp_path / "scores" / videos[0].stem / "scores.csv").read_text().splitlines()) - 1
    first, second = (datetime.fromisoformat(each["start_time"]) for each in found)
    assert second - first == timedelta(seconds=length / 10)
    known = [json.loads((tmp_path / "scores" / path.stem / "result.json").read_text())["before"] for path in videos]
    assert known[0] == "" and known[1] != ""
    assert metavad(*asked).out.count("scored already") == 2
    alone = ["score", videos[1], "--detector", "lobby", "--start-time", second.isoformat()]
    again = metavad(*alone)
    assert (again.code, "scored already, with other videos before it" in again.out) == (0, True), again.err
    drawn = metavad(*alone, "--video")
    assert (drawn.code, "name the same videos as then" in drawn.line) == (1, True), drawn.err
    assert metavad(*asked, "--video").code == 0
    assert metavad(*alone, "--out", "alone").code == 0
    mean = [
        np.loadtxt(tmp_path / out / videos[1].stem / "scores.csv", delimiter=",", skiprows=1, usecols=2)[15:].mean()
        for out in ("scores", "alone")
    ]
    assert mean[0] < 0.9 * mean[1]
    several = metavad("score", *videos, "--detector", "lobby", "--start-time", "2026-11-30T08:00", "--out", "other")
    assert (several.code, "--consecutive" in several.line) == (2, True)


@pytest.mark.parametrize("consecutive", [True, False])
def test_footage_in_several_files_goes_on_where_that_is_known(metavad, camera, tiny_run, monkeypatch, consecutive):
    from metavad.scoring import calibrating

    monkeypatch.setattr("metavad.scoring.pieces.BANK_SECONDS", 1.0)
    given, calibrate = [], calibrating.calibrate
    monkeypatch.setattr(
        calibrating, "calibrate", lambda *all_of, **more: given.append(more["begins"]) or calibrate(*all_of, **more)
    )
    asked = ["adapt", "--normal", camera / "normal", "--shots", 2, "--base", tiny_run]
    result = metavad(*asked, *["--consecutive"][: int(consecutive)])
    assert result.code == 0, result.err
    assert [len(begins) for begins in given] == [2 * consecutive]  # the files say nothing
    assert not consecutive or [begin > 0 for begin in given[0].values()] == [False, True]


def dated(path, copy, time):
    """A copy that says when it was recorded."""
    import av

    with av.open(str(path)) as given, av.open(str(copy), "w") as made:
        made.metadata["creation_time"] = time
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)


def test_footage_goes_on_by_the_times_that_its_files_say(metavad, camera, tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.scoring.pieces.BANK_SECONDS", 1.0)
    (tmp_path / "lobby").mkdir()
    for number, path in enumerate(sorted((camera / "normal").glob("*.mp4"))):
        dated(path, tmp_path / "lobby" / f"2026-11-30-{number}.mp4", f"2021-06-01T12:0{2 * number}:00.000000Z")
    asked = ["adapt", "--normal", "lobby", "--shots", 2, "--base", tiny_run, "--out"]
    believed, not_believed = metavad(*asked, "one"), metavad(*asked, "two", "--no-file-time")
    assert (believed.code, not_believed.code) == (0, 0), believed.err
    assert "files that go on from another one, by their times: 1 (" in believed.out
    assert "go on from another one" not in not_believed.out
    named = metavad(*asked, "three", "--no-file-time", "--start-time", "%Y-%m-%d-%M")
    assert (named.code, "go on from another one, by their times: 1 (" in named.out) == (0, True), named.err
    assert "found '2021'" in metavad(*asked, "four", "--start-time", "2021").line
    assert "found both" in metavad(*asked, "four", "--start-time", "%M", "--consecutive").line


def test_a_video_that_does_not_open_is_left_out_and_the_others_are_scored(metavad, camera, detector, tmp_path):
    """As the one that a recorder still writes."""
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "0.mp4").write_bytes((camera / "test" / "test-00.mp4").read_bytes())
    (tmp_path / "day" / "1.mp4").write_bytes(b"")
    result = metavad("score", "day", "--detector", detector, "--out", "one")
    assert result.code == 1
    assert "1.mp4: expected a video, found an empty file" in result.err
    assert result.err.splitlines()[-1].endswith("expected 2 videos, found 1 that do not open; the others are scored")
    assert (tmp_path / "one" / "0" / "scores.csv").is_file()
    assert (tmp_path / "one" / "index.html").is_file()
    alone = metavad("score", "day/1.mp4", "--detector", detector, "--out", "two")
    assert (alone.code, "found an empty file" in alone.line) == (1, True)


def test_the_time_that_a_file_says_is_used_and_can_be_left_out(metavad, camera, detector, tmp_path):
    dated(camera / "test" / "test-00.mp4", tmp_path / "v.mp4", "2021-06-01T12:00:00.000000Z")
    result = metavad("score", "v.mp4", "--detector", detector, "--out", "one")
    assert "as the file says (--no-file-time leaves that out)" in result.out, result.err
    found = json.loads((tmp_path / "one" / "v" / "events.json").read_text())
    assert datetime.fromisoformat(found["start_time"]) == datetime(2021, 6, 1, 12, tzinfo=UTC)
    assert (found["start_time_source"], found["file"]) == ("file", "../../v.mp4")
    result = metavad("score", "v.mp4", "--detector", detector, "--out", "two", "--no-file-time")
    assert (result.code, "begins" in result.out) == (0, False)
    assert json.loads((tmp_path / "two" / "v" / "events.json").read_text())["start_time"] is None


def test_no_event_is_not_silence(metavad, camera, tiny_run, tmp_path):
    shown = ["--normal", camera / "normal", "--shots", 2, "--base", tiny_run, "--out", "d"]
    assert metavad("adapt", *shown, "--alarms-per-day", 1e-6).code == 0
    result = metavad("score", camera / "test" / "test-00.mp4", "--detector", "d")
    first, head, *peaks, hint, page = result.out.splitlines()
    again = metavad(*hint.partition("metavad ")[2].partition(";")[0].split())
    assert (again.code, "test-00: 1 event over" in again.out) == (0, True)
    assert page.startswith("Open scores/index.html")
    assert (first, "nothing is over the threshold" in head) == ("test-00: 0 events; scores/test-00", True)
    found = json.loads((tmp_path / "scores" / "test-00" / "events.json").read_text())["highest"]
    assert len(found) == len(peaks) > 0
    for line, peak in zip(peaks, found, strict=True):
        assert f"{peak['second']:.1f} s, score {peak['score']:.1f}, {rate_text(peak['alarms_per_day'])}" in line
        assert (tmp_path / line.rpartition(": ")[2]).is_file()


@pytest.mark.parametrize(
    ("rate", "text"),
    [(12_345, "about 12,000 alarms a day"), (99.9, "about 100 alarms a day"), (3.14, "about 3.1 alarms a day"),
     (0.14, "about 0.14 alarms a day"), (0.01, "under 0.1 alarms a day")],
)  # fmt: skip
def test_a_rate_has_two_digits(rate, text):
    assert rate_text(rate) == text


def test_a_video_of_several_recordings_has_no_event_over_the_gap(metavad, camera, tiny_run, tmp_path):
    times = [*range(0, 2000, 67), *range(3_600_000, 3_602_000, 67)]
    video = retimed(camera / "test" / "test-00.mp4", tmp_path / "joined.mkv", times)
    often = ("--shots", 2, "--alarms-per-day", 60_000, "--base", tiny_run, "--out", "often")
    assert metavad("adapt", "--normal", camera / "normal", *often).code == 0
    result = metavad("score", video, "--detector", "often")
    assert result.code == 0, result.err
    folder = tmp_path / "scores" / "joined"
    seconds = np.loadtxt(folder / "scores.csv", delimiter=",", skiprows=1, usecols=1)
    np.testing.assert_allclose(seconds, np.array(times) / 1000)
    events = json.loads((folder / "events.json").read_text())["events"]
    assert len(events) >= 2
    assert all(event["end"] - event["start"] < 3 for event in events)
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_without_shots_it_is_the_base_that_scores(metavad, camera, tiny_run, tmp_path):
    result = metavad("adapt", "--normal", camera / "normal", "--shots", 0, "--base", tiny_run, "--out", "none")
    assert (result.code, "shown 0 clips" in result.out) == (0, True), result.err
    assert metavad("score", camera / "test" / "test-00.mp4", "--detector", "none").code == 0
    assert (tmp_path / "scores" / "test-00" / "scores.csv").is_file()


def test_normal_footage_that_alarms_is_named_and_can_be_shown(metavad, camera, tiny_run, tmp_path):
    arguments = ["adapt", "--normal", camera / "normal", "--shots", 2, "--base", tiny_run, "--alarms-per-day", 80_000]
    first = metavad(*arguments, "--out", "first")
    assert first.code == 0, first.err
    assert "that was not shown, too little for a threshold of its own (84 s)\n    1. normal-0" in first.out
    shown = first.out.split("adapt again with --show ")[1].split()[0]
    assert metavad(*arguments, "--show", shown, "--out", "second").code == 0
    one, two = (json.loads((tmp_path / name / "detector.json").read_text())["shots"] for name in ("first", "second"))
    assert two[:2] == one
    assert 2 < len(two) <= 2 + len(shown.split(","))
    clips = {(shot["video"], shot["first"], shot["first"] + shot["length"]) for shot in two}
    rate = json.loads((tmp_path / "second" / "detector.json").read_text())["camera"]["fps"]
    for video, second in (each.split("@") for each in shown.split(",")):
        assert any(name == video and begin <= float(second) * rate + 1 and float(second) * rate - 1 <= end
                   for name, begin, end in clips)  # fmt: skip


def test_no_budget_takes_the_threshold_from_other_cameras(metavad, camera, tiny_run):
    arguments = ["adapt", "--normal", camera / "normal", "--shots", 2, "--base", tiny_run, "--out", "one"]
    result = metavad(*arguments, "--budget", "0")
    assert (result.code, "not shown" in result.out) == (0, False)
    wrong = metavad(*arguments, "--budget", "soon")
    assert (wrong.code, "such as 90s, 5m or 2h, found 'soon'" in wrong.line) == (2, True)


def test_clips_close_in_time_are_called_so(metavad, camera, tiny_run):
    one = next((camera / "normal").glob("*.mp4"))
    close = metavad("adapt", "--normal", one, "--shots", 12, "--base", tiny_run, "--out", "close")
    assert (close.code, "give longer normal footage: the" in close.out) == (0, True)
    apart = metavad("adapt", "--normal", camera / "normal", "--shots", 2, "--base", tiny_run, "--out", "apart")
    assert (apart.code, "close in time" in apart.out) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--shots", "1"], 2, "--target or --normal"),
        (["--normal", "nowhere.mp4", "--shots", "1"], 1, "nowhere.mp4"),
        (["--normal", "VIDEOS", "--shots", "9999"], 1, "9999 distinct clips"),
        (["--normal", "VIDEOS", "--shots", "-1"], 2, "shots >= 0"),
        (["--normal", "VIDEOS"], 2, "--shots"),
        (["--normal", "VIDEOS", "--shots", "many"], 2, "--shots"),
        *(
            (["--normal", "VIDEOS", "--shots", "1", "--alarms-per-day", each], 2, "above 0, at most 86,400")
            for each in ("0", "-1", "inf", "nan", "1e300", "1e-300")
        ),
        *(
            (["--normal", "VIDEOS", "--shots", "1", "--fps", each], 2, "--fps: expected frames a second")
            for each in ("0", "-1", "inf", "nan", "1e9", "1e-9")
        ),
        (["--normal", "VIDEOS", "--shots", "999999999"], 2, "<= 10000"),
        (["--normal", "VIDEOS", "--shots", "1", "--shot-frames", "999999"], 2, "<= 1000"),
        (["--normal", "VIDEOS", "--shots", "1", "--shot-frames", "1"], 2, "shot-frames >= 2"),
        (["--normal", "VIDEOS", "--shots", "1", "--seed", "-1"], 2, "--seed"),
        (["--normal", "VIDEOS", "--shots", "1", "--seed", "9" * 30], 2, "--seed"),
        (["--normal", "VIDEOS", "--shots", "3", "--leave-out", "9" * 30], 2, "1 to 3"),
        (["--normal", "VIDEOS", "--shots", "3", "--show", "normal-00@nan"], 2, "expected videos and seconds"),
        (["--normal", "VIDEOS", "--shots", "3", "--show", "normal-00@inf"], 2, "expected videos and seconds"),
        (["--normal", "VIDEOS", "--shots", "1", "--base", "nowhere"], 1, "metavad meta-train"),
        (["--target", "ped22", "--shots", "1"], 2, "did you mean 'ped2'"),
        (["--target", "SUITE:camera-00", "--shots", "1"], 2, "did you mean 'camera-0"),
        (["--normal", "VIDEOS", "--shot", "1"], 2, "--shots"),
        (["--normal", "VIDEOS", "--shots", "3", "--leave-out", "4"], 2, "1 to 3"),
        (["--normal", "VIDEOS", "--shots", "3", "--leave-out", "one"], 2, "3,7"),
        (["--normal", "VIDEOS", "--shots", "3", "--show", "normal-00"], 2, "monday@12.5"),
        (["--normal", "VIDEOS", "--shots", "3", "--show", "normal-07@1"], 2, "did you mean"),
        (["--normal", "VIDEOS", "--shots", "3", "--show", "normal-00@900"], 2, "a second of normal footage"),
    ],
)
def test_adapt_refuses(metavad, cameras, camera, tiny_run, tmp_path, arguments, code, message):
    words = {"VIDEOS": str(camera / "normal"), "SUITE:camera-00": f"{cameras}:camera-00"}
    given = [words.get(text, text) for text in arguments]
    result = metavad("adapt", *given, *([] if "--base" in given else ["--base", tiny_run]))
    assert result.code == code, result.err
    assert message in result.line
    assert not list(tmp_path.rglob("detector.json"))


def test_a_shot_can_be_left_out(metavad, camera, tiny_run, tmp_path):
    arguments = ["adapt", "--normal", camera / "normal", "--shots", 3, "--base", tiny_run]
    assert metavad(*arguments, "--out", tmp_path / "all").code == 0
    assert metavad(*arguments, "--leave-out", "2", "--out", tmp_path / "two").code == 0
    every, kept = (json.loads((tmp_path / name / "detector.json").read_text())["shots"] for name in ("all", "two"))
    assert kept == [every[0], every[2]]


def test_no_base_says_how_to_make_one(metavad, camera, monkeypatch):
    from metavad import shipped

    monkeypatch.setattr(shipped, "shipped_base", lambda: Path("nowhere"))
    for arguments in (["adapt", "--normal", camera / "normal", "--shots", 1], ["show", "base"]):
        result = metavad(*arguments)
        assert (result.code, "metavad meta-train" in result.line) == (1, True)


def test_a_taken_folder_and_a_damaged_base(metavad, camera, tiny_run, detector, tmp_path):
    kept = {path.name: path.read_bytes() for path in detector.rglob("*") if path.is_file()}
    taken = metavad("adapt", "--normal", camera / "normal", "--shots", 1, "--base", tiny_run, "--out", detector)
    assert (taken.code, "free place" in taken.line) == (1, True)
    assert kept == {path.name: path.read_bytes() for path in detector.rglob("*") if path.is_file()}

    shutil.copytree(tiny_run / "base", tmp_path / "bad")
    content = bytearray((tmp_path / "bad" / "base.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "bad" / "base.safetensors").write_bytes(content)
    damaged = metavad("adapt", "--normal", camera / "normal", "--shots", 1, "--base", "bad", "--out", "new")
    assert (damaged.code, "make it again" in damaged.line) == (1, True)
    assert not (tmp_path / "new").exists()


def _video(path, shape, frames=12):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = shape
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((*shape, 3), 90, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def _bad_inputs(folder, good):
    """Every bad video of the list, by what must be said of it."""
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    content = good.read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) // 2])
    (folder / "hollow").mkdir()
    (folder / "mixed").mkdir()
    for number, side in enumerate((72, 80)):
        cv2.imwrite(str(folder / "mixed" / f"{number}.png"), np.zeros((side, 96), np.uint8))
    _video(folder / "wide.mp4", (72, 128))
    return {
        "absent.mp4": "absent.mp4",
        "empty.mp4": "empty.mp4",
        "noise.mp4": "noise.mp4",
        "cut.mp4": "cut.mp4",
        "hollow": "video",
        "mixed": "mixed",
        "wide.mp4": "128x72",
    }


def test_bad_videos(metavad, camera, detector, tiny_run, tmp_path):
    for name, message in _bad_inputs(tmp_path, camera / "test" / "test-00.mp4").items():
        result = metavad("score", name, "--detector", detector, "--out", "out")
        assert (result.code, message in result.line) == (1, True), (name, result.err)
        assert not (tmp_path / "out").exists(), name
        if name != "wide.mp4":
            result = metavad("adapt", "--normal", name, "--shots", 1, "--base", tiny_run, "--out", "made")
            assert (result.code, message in result.line) == (1, True), (name, result.err)
            assert not (tmp_path / "made").exists(), name


def test_a_damaged_or_missing_detector(metavad, camera, detector, tmp_path):
    shutil.copytree(detector, tmp_path / "bad")
    (tmp_path / "bad" / "detector.json").write_text("{")
    video = camera / "test" / "test-00.mp4"
    for folder, message in (("bad", "damaged"), ("nowhere", "metavad adapt")):
        result = metavad("score", video, "--detector", folder)
        assert (result.code, message in result.line) == (1, True)


def test_a_full_disk_leaves_nothing(metavad, camera, detector, tiny_run, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for arguments in (
        ["adapt", "--normal", camera / "normal", "--shots", 1, "--base", tiny_run, "--out", "made"],
        ["score", camera / "test" / "test-00.mp4", "--detector", detector, "--out", "made"],
    ):
        result = metavad(*arguments)
        assert (result.code, "disk is full" in result.line) == (1, True), result.err
        assert not list((tmp_path / "made").glob("*")) if (tmp_path / "made").exists() else True


def test_debug_shows_where(metavad, camera):
    from metavad.errors import VideoError

    for arguments in (
        ["--debug", "score", "x.mp4", "--detector", "d"],
        ["score", "x.mp4", "--detector", "d", "--debug"],
    ):
        with pytest.raises(VideoError):
            metavad(*arguments)


def test_what_comes_too_often_to_be_an_exception_is_named(metavad, camera, tiny_run, monkeypatch):
    monkeypatch.setattr("metavad.normality.threshold.recurring", lambda model, own: 35)
    given = ["--normal", camera / "normal", "--shots", 1, "--base", tiny_run]
    result = metavad("adapt", *given, "--out", "often")
    assert result.code == 0, result.err
    assert "  on 35 occasions something scores far above the rest; that is too often not to be normal\n" in result.out
    assert "  not normal? metavad threshold often lists the highest (--leave-out N)\n" in result.out


def test_what_a_threshold_rests_on_is_named(cameras, tiny_base, tmp_path):
    detector = adapt(tiny_base, load_suite(str(cameras)).scenes[0], shots=2, alarms_per_day=10.0, pictures=False)
    detector = replace(detector, model=replace(detector.model, frames=PopulationScores.unit()))
    peaks = np.zeros(19_000)
    peaks[::4] = 20
    peaks[20:12_020:200] = 20 + np.linspace(0.5, 8, 60)

    def lines(peaks):
        own = joined([("hall", 1.4 * np.arange(len(peaks)), peaks)])
        return keystone_text(detector.with_footage(own), tmp_path / "one")

    assert lines(peaks) == []
    peaks[15_000] = 60  # too little above so few others to stand out
    first, second = lines(peaks)
    assert "rests on one moment: hall, 21000.0 to 21001.4 s, score 60.0; without it, 3" in first
    assert second == f"  not normal? metavad threshold {tmp_path / 'one'} --leave-out 1"
