"""Every suite that ships, on a miniature of every layout it knows: fetched by hand, checked, benchmarked."""

import pytest

from metavad.scenes.suite import about
from metavad.shipped import shipped
from tests.layouts import LAYOUTS, avenue, avenue_intervals, save

ASKED = ["--shots", "0,1", "--draws", "1", "--shot-frames", "5", "--methods", "position,motion,zero-shot,adapted"]


def test_no_suite_is_left_out():
    assert {suite for suite, _ in LAYOUTS.values()} == set(shipped("tasks")) - {"synthetic"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_miniature_passes_the_check(metavad, tmp_path, layout):
    suite, write = LAYOUTS[layout]
    write(tmp_path / "data")
    result = metavad("data", "check", suite, "--data", "data")
    assert (result.code, "0 errors" in result.out) == (0, True), result.out + result.err


FIRST = {suite: layout for layout, (suite, _) in reversed(LAYOUTS.items())}


@pytest.mark.parametrize("suite", sorted(FIRST.keys() - {"ucf-crime-normal"}))
def test_a_miniature_is_benchmarked(metavad, tiny_run, tmp_path, suite):
    LAYOUTS[FIRST[suite]][1](tmp_path / "data")
    result = metavad("benchmark", "--target", suite, "--data", "data", "--base", tiny_run, *ASKED)
    assert result.code == 0, result.err
    assert "adapted" in result.out
    if about(suite).label_set:
        assert f"{suite}: labels {about(suite).label_set}" in result.out


def test_footage_without_test_videos_only_trains(metavad, tiny_run, tmp_path):
    LAYOUTS["ucf-crime-normal one folder"][1](tmp_path / "data")
    result = metavad("benchmark", "--target", "ucf-crime-normal", "--data", "data", "--base", tiny_run, *ASKED)
    assert (result.code, "expected scenes to meta-test on" in result.line) == (2, True)


@pytest.mark.parametrize("suite", ["msad", "umn", "nwpu-campus", "street-scene", "ur-fall", "ubnormal"])
def test_fetch_says_what_to_get_by_hand_and_where_to_put_it(metavad, suite):
    """No data root is needed to be told."""
    result = metavad("data", "fetch", suite)
    assert result.code == 2
    assert about(suite).title in result.out
    assert f"get: {about(suite).get}" in result.out
    assert f"terms: {about(suite).terms}" in result.out
    assert "Expected under the data root" in result.out
    assert "get it from" in result.line


def test_generated_cameras_need_no_fetching(metavad):
    assert "made on first use" in metavad("data", "fetch", "synthetic").line


def test_labels_that_no_archive_holds_are_named(metavad, tmp_path):
    """Videos are there, the labels are not: fetch says so, and is content once they are."""
    avenue(tmp_path / "data")
    result = metavad("data", "fetch", "avenue-intervals", "--data", "data")
    assert result.code == 1
    assert f"still missing: {tmp_path / 'data' / 'avenue' / 'avenue.mat'}" in result.out
    assert "sRNN" in result.out
    measured = metavad("benchmark", "--target", "avenue-intervals", "--data", "data")
    assert (measured.code, "expected labels at" in measured.line) == (1, True)
    assert "sRNN" in measured.err
    avenue_intervals(tmp_path / "other")
    again = metavad("data", "fetch", "avenue-intervals", "--data", "other")
    assert (again.code, "next: metavad data check avenue-intervals" in again.out) == (0, True)


def test_labels_of_another_length_stop_the_benchmark(metavad, tiny_run, tmp_path):
    LAYOUTS["shanghaitech released"][1](tmp_path / "data")
    save(tmp_path / "data" / "shanghaitech" / "testing" / "test_frame_mask" / "01_0014.npy", [0, 1])
    target = ["--target", "shanghaitech:01", "--data", "data", "--base", tiny_run, *ASKED]
    result = metavad("benchmark", *target, "--json", "r.json")
    assert result.code == 1
    assert "expected 4 labels, as many as frames, found 2" in result.line
    assert not (tmp_path / "r.json").exists()
