import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import DataError
from metavad.recordings import recordings
from metavad.runs import runs
from metavad.scoring.events import Event, EventMerger, FoundEvent, alarm_intervals, find_events, in_events
from metavad.scoring.explain import Explanation
from metavad.scoring.frames import FrameScore, TickScore

SECONDS = np.arange(10) / 10
FRAME = 0.04
SCORES = np.array([0, 2, 3, 0, 2, 0, 0, 0, 5, 1.0])


def test_events_by_hand():
    boxes = [(n, 0.0, n + 1.0, 1.0) for n in range(10)]
    first, second = find_events(SCORES, SECONDS, 1, boxes=boxes, merge=0.1)
    assert first == Event(0.1, 0.5, 0.2, 3, (2, 0, 3, 1))
    assert second == Event(0.8, pytest.approx(0.9), 0.8, 5, (8, 0, 9, 1))


def test_merging_is_in_seconds_of_the_file():
    assert alarm_intervals(SCORES, SECONDS, 1, merge=0).tolist() == [[1, 3], [4, 5], [8, 9]]
    assert alarm_intervals(SCORES, SECONDS, 1, merge=0.1).tolist() == [[1, 5], [8, 9]]
    assert alarm_intervals(SCORES, SECONDS, 1, merge=1).tolist() == [[1, 9]]
    slow = SECONDS * 10
    assert alarm_intervals(SCORES, slow, 1, merge=0.1).tolist() == [[1, 3], [4, 5], [8, 9]]


def test_a_score_equal_to_the_threshold_is_no_alarm():
    assert find_events(SCORES, SECONDS, 5) == []
    assert len(find_events(SCORES, SECONDS, 4.999)) == 1


def test_an_event_that_lasts_to_the_end_ends_with_the_last_frame():
    (event,) = find_events(np.array([0, 1.0]), np.array([0, 0.5]), 0)
    assert (event.start, event.end, event.box, event.reason) == (0.5, 1.0, None, "")
    (event,) = find_events(np.array([1.0]), np.array([2.0]), 0)
    assert (event.start, event.end) == (2, 2)


def test_intervals_are_the_frames_over_the_threshold():
    inside = np.zeros(10, bool)
    for start, end in alarm_intervals(SCORES, SECONDS, 1, merge=0):
        inside[start:end] = True
    assert (inside == (SCORES > 1)).all()


def test_nothing_has_no_events():
    assert find_events(np.array([]), np.array([]), 0) == []
    assert alarm_intervals(np.zeros(10), SECONDS, 0).shape == (0, 2)


def test_what_does_not_fit_is_an_error():
    with pytest.raises(DataError, match=r"\(9,\)"):
        find_events(SCORES, SECONDS[:9], 0)
    with pytest.raises(DataError, match="NaN"):
        find_events(SCORES * np.nan, SECONDS, 0)
    with pytest.raises(DataError, match="found 1 boxes"):
        find_events(SCORES, SECONDS, 0, boxes=[None])


# --- frame by frame ---------------------------------------------------------------------------------------


def frames_of(scores, seconds):
    boxes = [(float(n), 0.0, float(n + 1), 1.0) for n in range(len(scores))]
    number = np.searchsorted(recordings(seconds)[:, 0], np.arange(len(scores)), side="right") - 1
    return [FrameScore(n, float(seconds[n]), s, s > 0, boxes[n], None, int(number[n])) for n, s in enumerate(scores)]


def events_of(frames, seconds, merge):
    """Events of a stream, and whether each frame lies in one."""
    merger = EventMerger(merge)
    inside = [flag for _, flag in in_events(frames, merger, seconds)]
    return merger.events, inside


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
    frames = frames_of(scores, seconds)
    ended, inside = events_of(frames, seconds, merge)
    wanted = find_events(np.array(scores), seconds, 0.0, boxes=[frame.box for frame in frames], merge=merge)
    assert [each.event for each in ended] == wanted
    intervals = alarm_intervals(np.array(scores), seconds, 0.0, merge=merge).tolist()
    assert [list(each.frames) for each in ended] == intervals
    assert np.flatnonzero(inside).tolist() == [frame for start, stop in intervals for frame in range(start, stop)]


@given(levels, steps, st.integers(1, 59))
def test_an_event_depends_on_nothing_later_than_what_may_be_merged(scores, steps, kept):
    """The same, cut: events that were over for good are the same, and so is what lies in them."""
    seconds = np.cumsum([0.0, *steps])[: len(scores)]
    (whole, inside), kept = events_of(frames_of(scores, seconds), seconds, 0.2), min(kept, len(scores))
    cut, flags = events_of(frames_of(scores[:kept], seconds[:kept]), seconds[:kept], 0.2)
    last = seconds[kept - 1]
    latest = last - 0.2 - max(steps_below_a_gap) / 2
    over = [each for each in whole if each.event.end < latest]
    assert cut[: len(over)] == over
    settled_by = np.flatnonzero(seconds[:kept] < latest)
    assert [flags[n] for n in settled_by] == [inside[n] for n in settled_by]


def test_an_event_never_reaches_over_a_gap():
    seconds = np.concatenate([np.arange(50) / 10, 3605 + np.arange(50) / 10])
    scores = np.where(np.arange(100) >= 47, 1.0, 0.0)
    (first, second), inside = events_of(frames_of(scores, seconds), seconds, 5000.0)
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
    assert (found.event.reason, found.event.shares) == ("", {})


def test_an_event_says_what_its_cause_says():
    why = Explanation("something moves", {"flow_density": 1.0}, (0.5, 0.5))
    cause, box = TickScore(0, 0.0, 3.0, (4.0, 4.0, 8.0, 8.0), why), (0.0, 0.0, 1.0, 1.0)
    merger = EventMerger(1.0)
    merger.push(FrameScore(0, 0.0, 2.0, True, box, cause))
    merger.finish(FRAME)
    event = Event(0.0, FRAME, 0.0, 2.0, cause.box, why.text, why.shares)
    assert merger.events == [FoundEvent(event, (0, 1), cause)]


SEVEN = np.arange(7) * FRAME


def test_a_frame_waits_for_what_may_be_merged_and_no_longer():
    given_out = []

    def counted():
        for frame in frames_of([1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0], SEVEN):
            given_out.append(frame.index)
            yield frame

    for frame, _ in in_events(counted(), EventMerger(2 * FRAME), SEVEN):
        assert given_out[-1] - frame.index <= 3


def lasting(*peaks):
    """Twenty minutes at ten frames a second, of which the second half lasts at 5; scores by second."""
    seconds = np.arange(12_000) / 10
    scores = np.where(seconds >= 600, 5.0, 0.0)
    for start, end, score in peaks:
        scores[(seconds >= start) & (seconds < end)] = score
    return scores, seconds


def test_what_lasts_is_one_event_of_the_longest_length():
    (event,) = find_events(*lasting(), 4.0)
    assert (event.start, event.end) == (600, pytest.approx(900, abs=0.2))
    (short,) = find_events(*lasting(), 4.0, longest=60)
    assert short.end == pytest.approx(660, abs=0.2)
    (whole,) = find_events(*lasting(), 4.0, longest=86_400)
    assert whole.end == pytest.approx(1200)


def test_what_lasts_does_not_hide_what_scores_higher():
    _, second = find_events(*lasting((1000, 1010, 6.5)), 4.0)
    assert (second.start, second.end, second.score) == (1000, 1010, 6.5)
    assert len(find_events(*lasting((1000, 1010, 5.9)), 4.0)) == 1


def test_once_it_was_over_the_next_one_is_an_event():
    _, second = find_events(*lasting((1000, 1010, 0.0)), 4.0)
    assert second.start == 1010
    assert len(find_events(*lasting((1000, 1000.5, 0.0)), 4.0)) == 1


@given(
    st.lists(st.sampled_from([0.0, 2.0, 3.5, 6.0]), min_size=1, max_size=60),
    st.sampled_from([0.2, 0.5, 2.0]),
)
def test_frames_that_come_give_the_same_as_the_whole_row_where_events_are_cut(scores, longest):
    values, seconds = np.array(scores), np.arange(len(scores)) / 10
    merger = EventMerger(0.2, longest)
    frames = [FrameScore(n, each, values[n], bool(values[n] > 1), None) for n, each in enumerate(seconds)]
    inside = [flag for _, flag in in_events(frames, merger, seconds)]
    assert [found.event for found in merger.events] == find_events(values, seconds, 1.0, merge=0.2, longest=longest)
    intervals = alarm_intervals(values, seconds, 1.0, merge=0.2, longest=longest).tolist()
    assert inside == [any(start <= n < end for start, end in intervals) for n in range(len(scores))]
    assert all(found.event.end - found.event.start <= longest + 0.11 for found in merger.events)
