"""Scores to files as they come, against the same over a whole array."""

import csv
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import OutputError
from metavad.scoring.events import alarm_intervals, find_events, in_alarm, pace
from metavad.scoring.results import COLUMNS, EventFinder, settled, write_stream
from metavad.scoring.stream import FrameScore, Moment

FRAME = 0.04


def frames_of(scores, threshold=0.0):
    boxes = [(float(n), 0.0, float(n + 1), 1.0) for n in range(len(scores))]
    return [FrameScore(n, n * FRAME, s, s > threshold, boxes[n]) for n, s in enumerate(scores)]


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0]), min_size=1, max_size=60), st.integers(0, 5))
def test_events_of_a_stream_are_those_of_the_array(scores, gap):
    frames, seconds = frames_of(scores), np.arange(len(scores)) * FRAME
    finder, inside = EventFinder(FRAME if len(scores) > 1 else 0.0), []
    for frame, flag in settled(frames, gap):
        finder.add(frame, flag)
        inside.append(flag)
    merge = gap * FRAME
    wanted = find_events(np.array(scores), seconds, 0.0, boxes=[frame.box for frame in frames], merge=merge)
    found = [each.event for each in finder.finish()]
    assert [(event.start, event.peak, event.score, event.box) for event in found] == [
        (event.start, event.peak, event.score, event.box) for event in wanted
    ]
    np.testing.assert_allclose([event.end for event in found], [event.end for event in wanted])
    intervals = alarm_intervals(np.array(scores), seconds, 0.0, merge=merge)
    assert inside == in_alarm(intervals, len(scores)).tolist()


def test_what_an_event_is_explained_by_drove_an_alarm():
    """A frame between two alarms may belong to the event, and its louder tick is not explained."""
    quiet, loud = Moment(0, 0.0, 3.0, None), Moment(1, FRAME, 9.0, None)
    frames = [
        FrameScore(n, n * FRAME, score, score > 0, None, cause)
        for n, (score, cause) in enumerate([(1.0, quiet), (-1.0, loud), (1.0, quiet), (-1.0, None), (-1.0, None)])
    ]
    finder = EventFinder(FRAME)
    for frame, inside in settled(frames, 1):
        finder.add(frame, inside)
    (found,) = finder.finish()
    assert found.event.end == pytest.approx(3 * FRAME)
    assert found.cause is quiet


def test_a_frame_waits_for_the_gap_and_no_longer():
    given_out = []

    def counted():
        for frame in frames_of([1.0, -1.0, -1.0, -1.0, -1.0, 1.0]):
            given_out.append(frame.index)
            yield frame

    for frame, _ in settled(counted(), 2):
        assert given_out[-1] - frame.index <= 2


def test_the_pace_of_a_file():
    assert pace(np.arange(10) * 0.04, 1.0) == (pytest.approx(0.04), 25)
    assert pace(np.array([0.0]), 1.0) == (0.0, 0)


def test_scores_csv_and_outline(tmp_path):
    scores = np.random.default_rng(0).normal(size=2500).astype(np.float32)
    frames = frames_of(scores.astype(float).tolist())
    _, outline = write_stream(tmp_path / "scores.csv", frames, count=2500, gap=0, frame_seconds=FRAME)
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


def test_memory_is_that_of_a_moment(tmp_path):
    def peak(count):
        frames = (FrameScore(n, n * FRAME, float(n % 7), False, None) for n in range(count))
        tracemalloc.start()
        write_stream(tmp_path / "scores.csv", frames, count=count, gap=25, frame_seconds=FRAME)
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
        write_stream(tmp_path / "scores.csv", torn(), count=2, gap=0, frame_seconds=FRAME)
    assert list(tmp_path.iterdir()) == []
