import json

import numpy as np
import pytest

from metavad.errors import DataError
from metavad.scoring.events import (
    Event,
    alarm_intervals,
    find_events,
    in_alarm,
    write_events_json,
)

SECONDS = np.arange(10) / 10
SCORES = np.array([0, 2, 3, 0, 2, 0, 0, 0, 5, 1.0])


def test_events_by_hand():
    boxes = [(n, 0.0, n + 1.0, 1.0) for n in range(10)]
    first, second = find_events(SCORES, SECONDS, 1, boxes=boxes, explain=lambda frame: f"frame {frame}", merge=0.1)
    assert first == Event(0.1, 0.5, 0.2, 3, (2, 0, 3, 1), "frame 2")
    assert second == Event(0.8, pytest.approx(0.9), 0.8, 5, (8, 0, 9, 1), "frame 8")


def test_merging_and_the_shortest_event_are_in_seconds_of_the_file():
    assert alarm_intervals(SCORES, SECONDS, 1, merge=0).tolist() == [[1, 3], [4, 5], [8, 9]]
    assert alarm_intervals(SCORES, SECONDS, 1, merge=0.1).tolist() == [[1, 5], [8, 9]]
    assert alarm_intervals(SCORES, SECONDS, 1, merge=1).tolist() == [[1, 9]]
    assert alarm_intervals(SCORES, SECONDS, 1, merge=0, shortest=0.2).tolist() == [[1, 3]]
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


def test_alarm_row_is_the_intervals():
    intervals = alarm_intervals(SCORES, SECONDS, 1, merge=0)
    assert (in_alarm(intervals, 10) == (SCORES > 1)).all()
    assert find_events(np.array([]), np.array([]), 0) == []


def test_events_json_reads_back(tmp_path):
    reason, shares = "faster than all clips, 4 × more", {"flow_density": 2 / 3, "direction": 1 / 3}
    event = Event(0.1, 0.5, 1 / 3, 3.25, (1.6, 0, 3, 1), reason, shares, 2)
    write_events_json(tmp_path / "events.json", [event, Event(1, 2, 1, 4, None, "")])
    first, second = json.loads((tmp_path / "events.json").read_text())
    assert first == {
        "start": 0.1,
        "end": 0.5,
        "peak": 0.333,
        "score": 3.25,
        "box": [2, 0, 3, 1],
        "reason": reason,
        "shares": {"flow_density": 0.667, "direction": 0.333},
        "nearest_shot": 2,
    }
    assert (second["box"], second["shares"], second["nearest_shot"]) == (None, {}, None)
    write_events_json(tmp_path / "none.json", [])
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_what_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"\(9,\)"):
        find_events(SCORES, SECONDS[:9], 0)
    with pytest.raises(DataError, match="NaN"):
        find_events(SCORES * np.nan, SECONDS, 0)
    with pytest.raises(DataError, match="found 1 boxes"):
        find_events(SCORES, SECONDS, 0, boxes=[None])
    with pytest.raises(DataError, match="infinity"):
        write_events_json(tmp_path / "events.json", [Event(0, 1, 0, np.inf, None, "")])
    assert not (tmp_path / "events.json").exists()
