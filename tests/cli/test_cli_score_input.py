"""What a person can do wrong with ``metavad score``, on the real command line: one line, and nothing left behind."""

import json
import resource
import shutil
from dataclasses import replace

import pytest

from metavad.bundle import load_bundle, save_bundle
from metavad.files import claimed
from metavad.normality.detector import KIND, load_detector, save_detector
from tests.footage import numbered, write_image, write_video

SIZE = (48, 64)


@pytest.fixture
def video(tmp_path):
    """What moves gets faster at its end."""
    return write_video(tmp_path / "today.mp4", [*range(15), *range(15, 150, 9)], size=SIZE)


@pytest.fixture
def largest_file():
    """``largest_file(100)``: no file of this process may grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_grow_leaves_nothing(metavad, detector, video, largest_file, tmp_path):
    for size in (0, 300):
        largest_file(size)
        result = metavad("score", video, "--detector", detector, "--out", "made")
        largest_file(resource.RLIM_INFINITY)
        assert (result.code, "make room" in result.line) == (1, True), result.err
        assert not (tmp_path / "made").exists()


def test_a_torn_end_is_scored_as_far_as_it_goes(metavad, detector, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", range(60), size=SIZE, options={"g": "10"})
    content = whole.read_bytes()
    (tmp_path / "torn.mkv").write_bytes(content[: len(content) * 2 // 3])
    result = metavad("score", "torn.mkv", "--detector", detector)
    assert result.code == 0, result.err
    rows = (tmp_path / "scores" / "torn" / "scores.csv").read_text().splitlines()
    assert 10 < len(rows) - 1 < 60
    assert result.err.count("metavad: warning: torn.mkv: ends at ") == 1


def test_videos_side_by_side_are_as_one_by_one(metavad, detector, tmp_path):
    for name, numbers in {"a": range(30), "b": [5] * 40, "c": range(20)}.items():
        write_video(tmp_path / f"{name}.mkv", numbers, size=SIZE)
    given = ["a.mkv", "b.mkv", "c.mkv", "--detector", detector, "--threshold", 0.5]
    one, two = (metavad("score", *given, "--out", f"by-{jobs}", "--jobs", jobs) for jobs in (1, 2))
    assert (one.code, two.code) == (0, 0), two.err
    assert two.out.replace("by-2", "by-1") == one.out
    assert two.err == one.err
    assert two.err.count("metavad: warning: b.mkv: the picture is frozen") == 1
    for video in "abc":
        for name in ("scores.csv", "events.json", "result.json", "timeline.png"):
            contents = {(tmp_path / place / video / name).read_bytes() for place in ("by-1", "by-2")}
            assert len(contents) == 1


def test_what_fails_side_by_side_is_one_line(metavad, detector, video, tmp_path):
    write_video(tmp_path / "other.mkv", range(30), size=SIZE)
    with claimed(tmp_path / "made" / "other"):
        result = metavad("score", video, "other.mkv", "--detector", detector, "--out", "made", "--jobs", 2)
    assert (result.code, "found another run of metavad" in result.line) == (1, True), result.err


def test_the_rate_of_a_file_may_be_stated(metavad, detector, video, tmp_path):
    assert metavad("score", video, "--detector", detector, "--fps", 4).code == 0
    rows = (tmp_path / "scores" / "today" / "scores.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [[str(frame), f"{frame / 4:.3f}"] for frame in range(30)]


def test_frames_in_a_folder_have_the_rate_of_the_shots_where_none_is_stated(metavad, detector, tmp_path):
    for frame in range(20):
        write_image(tmp_path / "frames" / f"{frame:02d}.png", numbered(frame, *SIZE))
    for stated, rate in [([], 10), (["--fps", 5], 5)]:
        out = tmp_path / f"at-{rate}"
        assert metavad("score", "frames", "--detector", detector, "--out", out, *stated).code == 0
        assert (out / "frames" / "scores.csv").read_text().splitlines()[-1].startswith(f"19,{19 / rate:.3f},")


def test_a_name_as_cameras_write_it(metavad, detector, video, tmp_path):
    video.rename(tmp_path / "2024-05-17T10:30:00.mp4")
    assert metavad("score", "2024-05-17T10:30:00.mp4", "--detector", detector).code == 0
    assert (tmp_path / "scores" / "2024-05-17T10:30:00" / "scores.csv").is_file()


def test_one_frame_is_a_video(metavad, detector, tmp_path):
    write_video(tmp_path / "one.mp4", range(1), size=SIZE)
    result = metavad("score", "one.mp4", "--detector", detector)
    assert result.code == 0, result.err
    assert len((tmp_path / "scores" / "one" / "scores.csv").read_text().splitlines()) == 2


def test_a_file_where_a_folder_should_be(metavad, detector, video, tmp_path):
    (tmp_path / "file").write_text("mine")
    result = metavad("score", video, "--detector", detector, "--out", "file")
    assert (result.code, "found a file" in result.line) == (1, True), result.err
    assert (tmp_path / "file").read_text() == "mine"


UNCALIBRATED = {"offset": 0.0, "is_active": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": "high"}, "damaged"),
        ({"threshold": None}, "damaged"),
        ({"format": 99}, "another version"),
        ({"shots": [{"x": 1}]}, "damaged"),
        ({"camera": {"height": 48}}, "damaged"),
        ({"config": {"experts": ["nope"]}, "calibrations": {"nope": UNCALIBRATED}}, "unknown expert"),
        ({"config": {"experts": ["nope"]}}, "expected a calibration of each expert"),
        ({"config": {"experts": ["flow_density"]}}, "damaged"),
    ],
    ids=str,
)
def test_facts_that_do_not_fit(metavad, detector, video, tmp_path, change, message):
    shutil.copytree(detector, tmp_path / "bad")
    facts = json.loads((tmp_path / "bad" / "detector.json").read_text())
    (tmp_path / "bad" / "detector.json").write_text(json.dumps(facts | change))
    kept = load_bundle(detector, KIND)
    save_bundle(tmp_path / "worse", replace(KIND, version=change.get("format", KIND.version)), merged(kept, change))
    for name, words in (("bad", message if "format" in change else "detector.json was changed"), ("worse", message)):
        result = metavad("score", video, "--detector", name, "--out", "made")
        assert (result.code, words in result.line) == (1, True), result.line
        assert not (tmp_path / "made").exists()


def merged(bundle, change):
    """The bundle with other facts, and the right digest of them."""
    facts = {name: value for name, value in {**bundle.facts, **change}.items() if name != "format"}
    return replace(bundle, facts=facts)


def test_videos_of_two_cameras_are_not_one(metavad, tiny_run, video, tmp_path):
    write_video(tmp_path / "other.mp4", range(30), size=(64, 48))
    given = ["--normal", video, "other.mp4", "--shots", 6, "--shot-frames", 8, "--base", tiny_run, "--out", "made"]
    result = metavad("adapt", *given)
    assert (result.code, "videos of one camera" in result.line) == (1, True), result.err
    assert not (tmp_path / "made").exists()


def test_a_changed_picture_is_found(metavad, detector, video, tmp_path):
    shutil.copytree(detector, tmp_path / "some")
    next((tmp_path / "some" / "pictures").glob("*.jpg")).write_bytes(b"x")
    result = metavad("score", video, "--detector", "some")
    assert (result.code, "jpg was changed" in result.line) == (1, True), result.err


def test_a_picture_of_a_shot_that_is_none_harms_no_score(metavad, detector, video, tmp_path):
    made = load_detector(detector)
    save_detector(tmp_path / "some", replace(made, pictures=tuple(b"x" for _ in made.pictures), threshold=-1.0))
    result = metavad("score", video, "--detector", "some")
    assert result.code == 0, result.err
    folder = tmp_path / "scores" / "today"
    events = json.loads((folder / "events.json").read_text())["events"]
    assert len(events) == len(list((folder / "events").glob("*.jpg"))) == 1
    assert events[0]["reason"] in result.out
    assert "today: 1 event;" in result.out
    assert events[0]["reason"].startswith("something ")
