"""Scores to files as they come, against the same over a whole array."""

import csv
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import OutputError
from metavad.recordings import recordings
from metavad.runs import runs
from metavad.scoring.events import alarm_intervals, find_events, in_alarm
from metavad.scoring.results import COLUMNS, EventFinder, settled, write_stream
from metavad.scoring.stream import FrameScore, TickScore

FRAME = 0.04


def frames_of(scores, threshold=0.0, seconds=None):
    seconds = np.arange(len(scores)) * FRAME if seconds is None else seconds
    boxes = [(float(n), 0.0, float(n + 1), 1.0) for n in range(len(scores))]
    number = np.searchsorted(recordings(seconds)[:, 0], np.arange(len(scores)), side="right") - 1
    return [
        FrameScore(n, float(seconds[n]), s, s > threshold, boxes[n], None, int(number[n])) for n, s in enumerate(scores)
    ]


def events_of(frames, seconds, merge):
    """Events of a stream, and whether each frame lies in one."""
    finder, inside = EventFinder(seconds), []
    for frame, flag in settled(frames, merge):
        finder.add(frame, flag)
        inside.append(flag)
    return finder.finish(), inside


steps_below_a_gap = [0.033, 0.04, 0.1, 0.15, 0.6, 0.9]
levels = st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0]), min_size=1, max_size=60)
steps = st.lists(st.sampled_from([*steps_below_a_gap, 30.0, 3600.0]), min_size=59, max_size=59)


@given(levels, st.integers(0, 5))
def test_events_of_a_constant_rate_bridge_so_many_frames(scores, gap):
    """What :func:`runs` says, counted in frames."""
    seconds = np.arange(len(scores)) * FRAME
    found = alarm_intervals(np.array(scores), seconds, 0.0, merge=gap * FRAME)
    assert found.tolist() == runs(np.array(scores) > 0, merge=gap).tolist()


@given(levels, steps, st.sampled_from([0.0, 0.1, 0.16, 1.0]))
def test_events_of_a_stream_are_those_of_the_array(scores, steps, merge):
    seconds = np.cumsum([0.0, *steps])[: len(scores)]
    frames = frames_of(scores, seconds=seconds)
    ended, inside = events_of(frames, seconds, merge)
    wanted = find_events(np.array(scores), seconds, 0.0, boxes=[frame.box for frame in frames], merge=merge)
    assert [each.event for each in ended] == wanted
    intervals = alarm_intervals(np.array(scores), seconds, 0.0, merge=merge)
    assert inside == in_alarm(intervals, len(scores)).tolist()


@given(levels, steps, st.integers(1, 59))
def test_an_event_depends_on_nothing_later_than_what_may_be_merged(scores, steps, kept):
    """The same, cut: events that were over for good are the same, and so is what lies in them."""
    seconds = np.cumsum([0.0, *steps])[: len(scores)]
    (whole, inside), kept = events_of(frames_of(scores, seconds=seconds), seconds, 0.2), min(kept, len(scores))
    cut, flags = events_of(frames_of(scores[:kept], seconds=seconds[:kept]), seconds[:kept], 0.2)
    last = seconds[kept - 1]
    latest = last - 0.2 - max(steps_below_a_gap) / 2
    over = [each for each in whole if each.event.end < latest]
    assert cut[: len(over)] == over
    settled_by = np.flatnonzero(seconds[:kept] < latest)
    assert [flags[n] for n in settled_by] == [inside[n] for n in settled_by]


def test_an_event_never_reaches_over_a_gap():
    seconds = np.concatenate([np.arange(50) / 10, 3605 + np.arange(50) / 10])
    scores = np.where(np.arange(100) >= 47, 1.0, 0.0)
    (first, second), inside = events_of(frames_of(scores, seconds=seconds), seconds, 5000.0)
    assert (first.event.start, first.event.end) == (4.7, pytest.approx(5.0))
    assert (second.event.start, second.event.end) == (3605.0, pytest.approx(3610.0))
    assert inside == (scores > 0).tolist()


def test_what_an_event_is_explained_by_drove_an_alarm():
    """A frame between two alarms may belong to the event, and its higher tick is not explained."""
    small, high = TickScore(0, 0.0, 3.0, None), TickScore(1, FRAME, 9.0, None)
    frames = [
        FrameScore(n, n * FRAME, score, score > 0, None, cause)
        for n, (score, cause) in enumerate([(1.0, small), (-1.0, high), (1.0, small), (-1.0, None), (-1.0, None)])
    ]
    (found,), _ = events_of(frames, np.arange(5) * FRAME, FRAME)
    assert found.event.end == pytest.approx(3 * FRAME)
    assert found.cause is small


def test_a_frame_waits_for_what_may_be_merged_and_no_longer():
    given_out = []

    def counted():
        for frame in frames_of([1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0]):
            given_out.append(frame.index)
            yield frame

    for frame, _ in settled(counted(), 2 * FRAME):
        assert given_out[-1] - frame.index <= 3


def test_scores_csv_and_outline(tmp_path):
    scores = np.random.default_rng(0).normal(size=2500).astype(np.float32)
    frames = frames_of(scores.astype(float).tolist())
    _, outline = write_stream(tmp_path / "scores.csv", frames, seconds=np.arange(2500) * FRAME, merge=0.0)
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
    _, outline = write_stream(tmp_path / "scores.csv", frames, seconds=seconds, merge=1.0)
    np.testing.assert_allclose(outline.seconds, np.arange(100) / 10)
    np.testing.assert_allclose(outline.gaps, [[5.0, 3605.0]])


def test_memory_is_that_of_a_moment(tmp_path):
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
