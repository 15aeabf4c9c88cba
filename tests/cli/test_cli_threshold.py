"""``metavad threshold``: a detector's threshold against the footage that it keeps, moved without scoring."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from metavad.normality.detector import load_detector, save_detector
from metavad.normality.own_footage import joined
from metavad.normality.regimes import Regime
from tests.footage import write_video


@pytest.fixture(scope="module")
def calibrated(detector, tmp_path_factory):
    """A detector with half an hour of its camera's footage, in which one thing stands out."""
    peaks = np.random.default_rng(0).exponential(1.0, 1500)
    peaks[700:703] = 40.0
    own = joined([("monday", 1.4 * np.arange(1500), peaks)])
    place = tmp_path_factory.mktemp("calibrated") / "one"
    save_detector(place, load_detector(detector).with_footage(own))
    return place


@pytest.fixture
def copy(calibrated, tmp_path):
    return shutil.copytree(calibrated, tmp_path / "copy")


def test_a_table_and_what_stands_out(metavad, copy):
    before = (copy / "detector.json").read_bytes()
    result = metavad("threshold", copy)
    assert result.code == 0, result.err
    assert "at most, a day" in result.out
    lines = result.out.splitlines()
    assert "  1. monday, 980.0 to 984.2 s, score 40.0: stands out, does not count, over the threshold" in lines
    assert lines[-1].startswith("threshold ")
    assert "more would prove it" in lines[-1]
    assert (copy / "detector.json").read_bytes() == before


def test_the_threshold_is_moved_in_place(metavad, copy):
    before = load_detector(copy)
    result = metavad("threshold", copy, "--alarms-per-day", 300)
    assert (result.code, ", moved from " in result.out) == (0, True)
    after = load_detector(copy)
    assert after.threshold < before.threshold
    assert after.promise.alarms_per_day == 300
    assert after.promise.text in result.out
    assert after.digest == before.with_alarms_per_day(300).digest
    assert metavad("threshold", copy, "--threshold", 7.5).code == 0
    assert load_detector(copy).threshold == 7.5
    assert metavad("threshold", copy, "--alarms-per-day", before.promise.alarms_per_day).code == 0
    assert load_detector(copy).digest == before.digest


def test_what_is_normal_counts_and_what_is_left_out_does_not(metavad, copy):
    plain = load_detector(copy).threshold
    assert metavad("threshold", copy, "--normal", "1").code == 0
    kept = load_detector(copy)
    assert kept.threshold >= 40 > plain
    assert kept.own.ruling[700:703].tolist() == [1, 1, 1]
    result = metavad("threshold", copy, "--leave-out", "1")
    assert "  1. monday, 980.0 to 984.2 s, score 40.0: left out, over the threshold" in result.out.splitlines()
    assert load_detector(copy).threshold == plain


def test_without_footage_the_table_is_that_of_other_cameras(metavad, detector):
    result = metavad("threshold", detector)
    assert result.code == 0, result.err
    assert " - " in result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--alarms-per-day", 3, "--threshold", 3], "found both"),
        (["--alarms-per-day", 0], "above 0"),
        (["--threshold", "nan"], "expected a score"),
        (["--leave-out", "99"], "number of a moment"),
        (["--normal", "one"], "whole numbers"),
    ],
)
def test_threshold_refuses(metavad, copy, options, message):
    before = (copy / "detector.json").read_bytes()
    result = metavad("threshold", copy, *options)
    assert (result.code, message in result.line) == (2, True), result.err
    assert (copy / "detector.json").read_bytes() == before


def test_score_takes_another_threshold_or_rate(metavad, calibrated, camera_video):
    often, never = ("--alarms-per-day", 80_000), ("--threshold", 1e6)
    for name, options in (("often", often), ("never", never)):
        assert metavad("score", camera_video, "--detector", calibrated, "--out", name, *options).code == 0
    records = [
        json.loads((path / camera_video.stem / "events.json").read_text())
        for path in (camera_video.parent / "often", camera_video.parent / "never")
    ]
    assert records[0]["threshold"] < records[1]["threshold"] == 1e6
    assert records[0]["promise"]["alarms_per_day"] == 80_000
    assert "of this camera's normal footage" in records[1]["promise"]["text"]
    assert records[1]["events"] == []
    both = metavad("score", camera_video, "--detector", calibrated, *often, *never)
    assert (both.code, "found both" in both.line) == (2, True)


@pytest.fixture
def camera_video(detector, tmp_path):
    return shutil.copy(detector.parent / "normal.mp4", tmp_path / "today.mp4")


def test_a_threshold_of_another_detector_is_not_written(calibrated, copy):
    from metavad.errors import BundleError
    from metavad.normality.detector import save_threshold

    other = load_detector(copy)
    own = replace(other.own, peaks=other.own.peaks + 1)
    with pytest.raises(BundleError, match="whose facts change"):
        save_threshold(copy, replace(other, own=own))


@pytest.fixture(scope="module")
def scores(calibrated, detector, tmp_path_factory):
    """Of two videos, with events in all of them."""
    from metavad.cli import main

    place = tmp_path_factory.mktemp("kept")
    frames = [*range(20), *range(20, 200, 9)]  # faster at the end
    videos = [write_video(place / name, frames, size=(48, 64)) for name in ("a.mp4", "b.mp4")]
    given = ["score", *videos, "--detector", calibrated, "--out", place / "scores", "--threshold", 0.0]
    assert main([str(each) for each in given]) == 0
    return place / "scores"


def test_events_again_from_the_scores_that_were_kept(metavad, scores, tmp_path):
    before = {path: path.read_bytes() for path in scores.rglob("*") if path.is_file()}
    kept = json.loads((scores / "a" / "events.json").read_text())
    values = np.loadtxt(scores / "a" / "scores.csv", delimiter=",", skiprows=1)[:, 2]
    assert kept["events"]
    same = metavad("events", scores / "a", "--threshold", 0.0, "--json", "same.json")
    assert same.code == 0, same.err
    again = json.loads((tmp_path / "same.json").read_text())
    assert (again["events"], again["promise"]) == (kept["events"], None)
    none = metavad("events", scores, "--threshold", values.max() + 1)
    assert (none.code, none.out.count(": 0 events over ")) == (0, 2)
    high = metavad("events", scores / "a", "--threshold", values.max() - 1e-6, "--json", "high.json")
    assert high.code == 0
    (event,) = json.loads((tmp_path / "high.json").read_text())["events"]
    assert event["reason"] in [each["reason"] for each in kept["events"]]
    assert event["score"] == pytest.approx(values.max(), abs=1e-3)
    assert before == {path: path.read_bytes() for path in scores.rglob("*") if path.is_file()}


def test_events_refuses(metavad, scores, tmp_path):
    for options, message, code in (
        (["nowhere", "--threshold", 3], "found neither events.sqlite nor scores.csv", 1),
        ([scores / "a", "--threshold", "inf"], "expected a score", 2),
        ([scores, "--threshold", 3, "--json", "all.json"], "name one folder", 2),
    ):
        result = metavad("events", *options)
        assert (result.code, message in result.line) == (code, True), result.err
    broken = shutil.copytree(scores / "a", tmp_path / "broken")
    (broken / "scores.csv").write_text("frame,seconds\n0,0\n")
    assert "score again" in metavad("events", broken, "--threshold", 3).line


def test_the_table_shows_regimes(metavad, calibrated, tmp_path):
    found, light = load_detector(calibrated), (50.0, 95.0, 135.0, 165.0, 195.0, 55.0)
    regimes = tuple(Regime(name, light, 20.0, 0.5, 1.0) for name in ("colour", "infrared"))
    own = replace(found.own, regime=np.repeat([0, 1], [1000, 500]))
    save_detector(tmp_path / "two", replace(found, own=own, regimes=regimes))
    result = metavad("threshold", tmp_path / "two")
    assert result.code == 0, result.err
    (line,) = [line for line in result.out.splitlines() if "regimes" in line]
    assert re.fullmatch(r"  2 regimes, each with a scale of its own: colour \(23.* min\), infrared \(1.* min\)", line)
    assert all(f"in {name}" in result.out for name in ("colour", "infrared"))
    assert "regimes" not in metavad("threshold", calibrated).out
