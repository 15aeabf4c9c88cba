"""Scores to files as they come, against the same over a whole array."""

import csv
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from metavad.errors import OutputError
from metavad.recordings import recordings
from metavad.scenes.suite import load_suite
from metavad.scoring.frames import FrameScore, TickScore
from metavad.scoring.pixel_box import PixelBox
from metavad.scoring.results import (
    COLUMNS,
    EventsRecord,
    NearestShot,
    read_result,
    result_of,
    write_result,
    write_stream,
)
from metavad.workflows.few_shot import adapt

FRAME = 0.04


def frames_of(scores, threshold=0.0, seconds=None):
    seconds = np.arange(len(scores)) * FRAME if seconds is None else seconds
    boxes = [(float(n), 0.0, float(n + 1), 1.0) for n in range(len(scores))]
    number = np.searchsorted(recordings(seconds)[:, 0], np.arange(len(scores)), side="right") - 1
    return [
        FrameScore(n, float(seconds[n]), s, s > threshold, boxes[n], None, int(number[n])) for n, s in enumerate(scores)
    ]


def test_scores_csv_and_outline(tmp_path):
    scores = np.random.default_rng(0).normal(size=2500).astype(np.float32)
    frames = frames_of(scores.astype(float).tolist())
    _, outline, _ = write_stream(tmp_path / "scores.csv", frames, seconds=np.arange(2500) * FRAME, merge=0.0)
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["frame", "seconds", "score", "alarm"]
    assert [int(row["frame"]) for row in rows] == list(range(2500))
    assert (np.array([row["score"] for row in rows]).astype(np.float32) == scores).all()
    assert [row["alarm"] == "1" for row in rows] == (scores > 0).tolist()
    assert len(outline.seconds) == COLUMNS
    assert outline.highest.max() == scores.max()
    assert (outline.mean <= outline.highest).all()
    assert (np.diff(outline.seconds) > 0).all()


def test_in_an_outline_gaps_take_no_room(tmp_path):
    seconds = np.concatenate([np.arange(50) / 10, 3605 + np.arange(50) / 10])
    frames = frames_of(np.zeros(100).tolist(), seconds=seconds)
    _, outline, _ = write_stream(tmp_path / "scores.csv", frames, seconds=seconds, merge=1.0)
    np.testing.assert_allclose(outline.seconds, np.arange(100) / 10)
    np.testing.assert_allclose(outline.gaps, [[5.0, 3605.0]])


def test_memory_is_that_of_a_few_frames(tmp_path):
    def frames_to(count):
        tracemalloc.reset_peak()  # times of all frames are looked through before the first
        yield from (FrameScore(n, n * FRAME, float(n % 7), False, None) for n in range(count))

    def peak(count):
        seconds = np.arange(count) * FRAME
        tracemalloc.start()
        write_stream(tmp_path / "scores.csv", frames_to(count), seconds=seconds, merge=1.0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(20_000) < peak(2_000) + 20_000


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def torn():
        yield from frames_of([0.0, 1.0])
        raise OutputError("the disk is full")

    with pytest.raises(OutputError):
        write_stream(tmp_path / "scores.csv", torn(), seconds=np.array([0.0, FRAME]), merge=0.0)
    assert list(tmp_path.iterdir()) == []


# --- the folder of a result ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def detector(tiny_base, scene):
    return replace(adapt(tiny_base, scene, shots=2), threshold=-1.0)


def test_events_json_says_what_was_found_where_and_by_which_promise(detector, scene, tmp_path):
    video = scene.test[0]
    written, _ = write_result(tmp_path, detector, video, result_of(detector, video))
    found = json.loads((tmp_path / "events.json").read_text())
    assert list(found) == [
        "schema",
        "video",
        "detector",
        "threshold",
        "promise",
        "merge",
        "longest",
        "events",
        "highest",
        "start_time",
        "start_time_source",
        "file",
        "regimes",
    ]
    assert (found["schema"], found["video"], found["detector"]) == (1, video.name, detector.scores_digest)
    assert (found["threshold"], found["promise"]["alarms_per_day"]) == (-1.0, 10.0)
    (event,) = found["events"]
    assert found["highest"] == []
    assert set(event["box"]) == {"x", "y", "width", "height"}
    assert (tmp_path / event["picture"]).read_bytes().startswith(b"\xff\xd8")
    assert sum(event["shares"].values()) == pytest.approx(1, abs=0.01)
    place = event["nearest_shot"]["number"] - 1
    clip, second = detector.shots[place], pytest.approx(detector.began[place], abs=1e-3)
    assert event["nearest_shot"] | {"number": 0} == {"number": 0, "video": clip.video, "second": second}
    assert EventsRecord.model_validate_json((tmp_path / "events.json").read_bytes()) == written


def test_what_is_read_again_is_what_was_written(detector, scene, tmp_path):
    video = scene.test[0]
    written, outline = write_result(tmp_path, detector, video, result_of(detector, video))
    again, read = read_result(tmp_path)
    assert again == written
    for name in ("seconds", "highest", "mean", "gaps"):
        np.testing.assert_allclose(getattr(read, name), getattr(outline, name), atol=2e-3)


def test_where_nothing_alarms_there_are_no_events(detector, scene, tmp_path):
    silent = replace(detector, threshold=1e6)
    written, _ = write_result(tmp_path, silent, scene.test[0], result_of(silent, scene.test[0]))
    assert written.events == ()
    folders = {path.parent.name for path in tmp_path.rglob("*.jpg")}
    assert folders == {"highest"}


def test_where_nothing_alarms_the_highest_frames_are_kept_with_what_a_threshold_there_would_mean(
    detector, scene, tmp_path
):
    silent = replace(detector, threshold=1e6)
    written, _ = write_result(tmp_path, silent, scene.test[0], result_of(silent, scene.test[0]))
    scores = np.genfromtxt(tmp_path / "scores.csv", delimiter=",", names=True)
    first, *others = written.highest
    assert first.score == pytest.approx(scores["score"].max(), abs=1e-3)
    assert first.second == pytest.approx(scores["seconds"][scores["score"].argmax()], abs=1e-3)
    assert 1 <= len(others) <= 2
    rates = [peak.alarms_per_day for peak in written.highest]
    assert rates == sorted(rates)
    for peak in written.highest:
        assert (tmp_path / peak.picture).read_bytes().startswith(b"\xff\xd8")
    assert EventsRecord.model_validate_json((tmp_path / "events.json").read_bytes()) == written


def test_the_highest_frames_lie_apart_and_know_their_cause(tmp_path):
    scores = np.zeros(1000)
    scores[[100, 120, 400, 700, 900]] = 5.0, 6.0, 3.0, 4.0, 2.0
    cause = TickScore(0, 0.0, 1.0, None)
    frames = [replace(frame, cause=cause, alarm=False) for frame in frames_of(scores.tolist())]
    _, _, highest = write_stream(tmp_path / "a.csv", frames, seconds=np.arange(1000) * FRAME, merge=1.0)
    assert [frame.index for frame in highest] == [120, 700, 400]
    nothing = [replace(frame, cause=None) for frame in frames]
    assert write_stream(tmp_path / "b.csv", nothing, seconds=np.arange(1000) * FRAME, merge=1.0)[2] == []


def test_a_shot_counts_from_1_and_numbers_are_finite():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        NearestShot(number=0, video="a", second=0.0)
    with pytest.raises(ValueError, match="finite"):
        NearestShot(number=1, video="a", second=float("inf"))
    with pytest.raises(ValueError, match="Extra inputs"):
        PixelBox.model_validate({"x": 0, "y": 0, "width": 1, "height": 1, "right": 1})
