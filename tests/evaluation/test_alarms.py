import numpy as np
import pytest

from metavad.errors import DataError
from metavad.evaluation import detection_delay, false_alarms_per_hour, score_latency
from metavad.runs import runs


def intervals(*pairs):
    return np.array(pairs, dtype=int).reshape(-1, 2)


def labels(*pairs, length=100):
    row = np.zeros(length, bool)
    for start, end in pairs:
        row[start:end] = True
    return row


SECONDS = np.arange(100) / 10


def test_false_alarms_are_those_that_overlap_no_event_over_normal_hours():
    truth = labels((20, 40))
    alarms = intervals((0, 5), (18, 21), (39, 50), (40, 60))
    # Two false ones (the last only touches) in 8 normal seconds.
    assert false_alarms_per_hour([alarms], [truth], [SECONDS]) == pytest.approx(2 * 3600 / 8)


def test_false_alarms_follow_the_clock_of_the_file():
    slow = [np.arange(100.0)]
    assert false_alarms_per_hour([intervals((1, 2))], [labels()], slow) == pytest.approx(36)
    uneven = np.concatenate([np.arange(50) / 10, 5 + np.arange(50.0)])
    assert false_alarms_per_hour([intervals((1, 2))], [labels()], [uneven]) == pytest.approx(3600 / (5 + 49 + 0.1))


JOINED = np.concatenate([SECONDS[:50], 3600 + SECONDS[:50]])


def test_time_without_pictures_is_not_watched():
    assert false_alarms_per_hour([intervals((1, 2))], [labels()], [JOINED]) == pytest.approx(360)
    assert false_alarms_per_hour([intervals((1, 2))], [labels((45, 55))], [JOINED]) == pytest.approx(400)


def test_nobody_waits_for_an_alarm_while_there_are_no_pictures():
    delay = detection_delay([intervals((52, 60))], [labels((40, 60))], [JOINED])
    assert (delay.missed, delay.median) == (0, pytest.approx(1.2))


def test_false_alarms_are_undefined_without_normal_video():
    assert np.isnan(false_alarms_per_hour([intervals()], [labels((0, 100))], [SECONDS]))
    assert np.isnan(false_alarms_per_hour([], [], []))


def test_delay_runs_from_the_start_of_the_event_to_the_first_alarm_inside():
    truth = labels((10, 20), (40, 50), (70, 80))
    alarms = intervals((5, 11), (45, 60))
    delay = detection_delay([alarms], [truth], [SECONDS])
    assert delay.missed == pytest.approx(1 / 3)
    # 0 s (it began before) and 0.5 s.
    assert delay.median == pytest.approx(0.25)


def test_holes_in_labels_are_bridged_on_demand():
    truth = labels((10, 20), (22, 30))
    alarms = intervals((25, 28))
    assert detection_delay([alarms], [truth], [SECONDS]).missed == 0.5
    bridged = detection_delay([alarms], [truth], [SECONDS], merge=2)
    assert (bridged.missed, bridged.median) == (0, pytest.approx(1.5))


def test_delay_is_undefined_without_events():
    delay = detection_delay([intervals()], [labels()], [SECONDS])
    assert np.isnan([delay.median, delay.missed]).all()


def test_alarms_of_labels_themselves_are_perfect():
    generator = np.random.default_rng(1)
    truth = [generator.random(100) < 0.3 for _ in range(4)]
    alarms = [runs(label) for label in truth]
    assert false_alarms_per_hour(alarms, truth, [SECONDS] * 4) == 0
    delay = detection_delay(alarms, truth, [SECONDS] * 4)
    assert (delay.missed, delay.median) == (0, 0)


def test_latency():
    assert score_latency(np.arange(11.0), np.arange(11) + np.linspace(0, 1, 11)) == pytest.approx(0.5)
    assert np.isnan(score_latency(np.array([]), np.array([])))


def test_what_does_not_fit_is_an_error():
    with pytest.raises(DataError, match="same videos"):
        false_alarms_per_hour([], [labels()], [SECONDS])
    with pytest.raises(DataError, match=r"\(N, 2\)"):
        false_alarms_per_hour([np.zeros(3)], [labels()], [SECONDS])
    with pytest.raises(DataError, match="frames 0 to 100"):
        detection_delay([intervals((0, 101))], [labels()], [SECONDS])
    with pytest.raises(DataError, match="never scored"):
        score_latency(np.zeros(2), np.zeros(3))
