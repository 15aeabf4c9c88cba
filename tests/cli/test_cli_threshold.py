"""``metavad threshold``: a detector's threshold against the footage that it keeps, moved without scoring."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from metavad.normality.detector import load_detector, save_detector
from metavad.normality.own_footage import joined


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
