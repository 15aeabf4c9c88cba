"""What a detector makes of normal footage that it was not shown."""

from dataclasses import replace

import numpy as np
import pytest

from metavad.episodes import Clip
from metavad.errors import UsageError
from metavad.normality.threshold import FEWEST, window_peaks
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring.checking import Check, check
from metavad.scoring.stream import score
from metavad.workflows.few_shot import adapt


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def detector(tiny_base, scene):
    return adapt(tiny_base, scene, shots=2, pictures=False)


def silent(detector):
    return replace(detector, threshold=float("inf"))


def alarming(detector):
    return replace(detector, threshold=-1.0)


def footage(scene):
    return {video.name: probe(video) for video in scene.normal}


def test_all_footage_counts_but_the_clips_shown(detector, scene):
    found = check(silent(detector), scene)
    frames = sum(facts.frames for facts in footage(scene).values()) - sum(clip.length for clip in detector.shots)
    assert detector.independent == 2
    assert found.seconds == pytest.approx(frames / detector.camera.fps)
    assert found.alarms == ()
    assert "no alarm" in found.text
    assert found.expected == pytest.approx(10 * found.seconds / 86_400)


def test_only_the_part_that_is_normal_counts(detector, scene):
    part = replace(scene, normal_frames=(5, 25))
    shown = sum(5 <= frame < 25 for clip in detector.shots for frame in range(clip.first, clip.end))
    seconds = (20 * len(scene.normal) - shown) / detector.camera.fps
    assert check(silent(detector), part).seconds == pytest.approx(seconds)


def test_an_alarm_is_one_where_what_drives_it_was_not_shown(detector, scene):
    unseen = replace(alarming(detector), shots=())
    found = check(unseen, scene)
    assert {alarm.video for alarm in found.alarms} == set(footage(scene))
    scores = [alarm.event.score for alarm in found.alarms]
    assert scores == sorted(scores, reverse=True)
    assert all(alarm.event.reason for alarm in found.alarms)
    alarm = found.alarms[0]
    at = round(alarm.second * detector.camera.fps)
    seen = replace(unseen, shots=(Clip(scene.key, alarm.video, max(0, at - 1), 3),))
    assert alarm.video not in {each.video for each in check(seen, scene).alarms}


def test_the_promise_and_what_came_of_it_are_in_one_line(detector, scene):
    found = check(replace(alarming(detector), shots=()), scene)
    alarms = tuple(replace(found.alarms[0], second=float(second)) for second in range(3))
    assert "3 alarms; 10 a day would be 0.00" in replace(found, alarms=alarms).text
    assert "1 alarm; 10 a day" in replace(found, alarms=found.alarms[:1]).text
    quiet = Check(300.0, 10.0, (), np.zeros(0))
    assert "on 5.0 min of" in quiet.text
    assert "proves at most 863 a day" in quiet.text
    assert "checked on nothing" in replace(quiet, seconds=0.0).text


def test_peaks_are_the_highest_of_each_window_of_which_most_was_not_shown(detector, scene):
    found = check(detector, scene)
    window, expected = 1.4, []
    for video in scene.normal:
        frames = list(score(detector, video))
        begun, scores, every = frames[0].seconds, [], 0
        for frame in frames:
            if frame.seconds - begun >= window:
                expected.append(max(scores) if 2 * len(scores) >= every else np.inf)
                begun, scores, every = frame.seconds, [], 0
            every += 1
            if not detector.was_shown(video.name, frame.index):
                scores.append(frame.score)
        expected.append(np.inf)
    np.testing.assert_allclose(np.nan_to_num(found.peaks, nan=np.inf), expected)
    assert np.isnan(check(replace(detector, shots=()), scene).peaks).sum() == len(scene.normal)
    assert np.isnan(found.peaks).sum() > len(scene.normal)


def test_windows_are_of_one_recording_and_cost_follows_frames(detector):
    scores, shown = np.arange(60.0), np.zeros(60, bool)
    seconds = np.arange(60) / 10
    joined = np.concatenate([seconds[:33], 1.7e9 + seconds[:27]])
    parts = [window_peaks(detector.model, scores[:33], seconds[:33], shown[:33])]
    parts += [window_peaks(detector.model, scores[33:], seconds[:27], shown[33:])]
    assert np.isnan([part[-1] for part in parts]).all()
    np.testing.assert_array_equal(window_peaks(detector.model, scores, joined, shown), np.concatenate(parts))


def test_a_threshold_is_taken_from_enough_footage_only(detector, scene):
    few = Check(80.0, 10.0, (), np.ones(FEWEST - 1))
    assert few.calibrated(detector) is detector
    other = replace(few, peaks=np.linspace(0.1, 0.2, FEWEST)).calibrated(detector)
    assert other.threshold != detector.threshold
    assert "of this camera's normal footage" in other.promise.text


def test_seconds_are_shown_beside_the_drawn_clips(detector, scene, tiny_base):
    video = scene.normal[0].name
    more = adapt(tiny_base, scene, shots=2, show=[(video, 1.0), (video, 1.0)], pictures=False)
    assert more.shots[:2] == detector.shots
    (extra,) = more.shots[2:]
    assert extra.video == video
    assert abs(extra.first + extra.length / 2 - more.camera.fps) <= more.camera.fps / 10
    none = adapt(tiny_base, scene, shots=0, show=[(video, 1.0)], pictures=False)
    assert none.model.support.clips == 1


@pytest.mark.parametrize(
    ("second", "message"), [(("normal-99", 1.0), "did you mean"), (("normal-00", 99.0), "0.0 to ")]
)
def test_a_second_that_is_not_there_is_refused(scene, tiny_base, second, message):
    with pytest.raises(UsageError, match=message):
        adapt(tiny_base, scene, shots=1, show=[second])
