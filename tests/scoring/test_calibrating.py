"""The threshold from normal footage of the camera that was not shown; what stands out of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from metavad.errors import UsageError, VideoError
from metavad.normality.detector import load_detector, save_detector
from metavad.normality.own_footage import joined, window_peaks, window_starts
from metavad.normality.threshold import FEWEST, needed_seconds
from metavad.scenes.cache import Store
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring import calibrating
from metavad.scoring.calibrating import calibrate
from metavad.scoring.pieces import SHORTEST, SPARE, pieces_of, planned_seconds
from metavad.scoring.stream import score
from metavad.workflows.few_shot import adapt
from tests.footage import write_video


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def detector(tiny_base, scene):
    return adapt(tiny_base, scene, shots=2, pictures=False)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def footage(scene):
    return {video.name: probe(video) for video in scene.normal}


def test_all_footage_is_scored_where_the_promise_needs_more(detector, scene, store):
    pieces = pieces_of(detector, scene, store=store)
    assert [(piece.video, piece.frames) for piece in pieces] == [
        (video, (0, probe(video).frames)) for video in scene.normal
    ]
    length = sum(facts.frames / facts.rate for facts in footage(scene).values())
    assert planned_seconds(pieces) == pytest.approx(length)


def test_a_budget_is_spread_over_all_footage(detector, scene, store, monkeypatch):
    monkeypatch.setattr("metavad.scoring.pieces.SHORTEST", 0.5)
    length = sum(facts.frames / facts.rate for facts in footage(scene).values())
    pieces = pieces_of(detector, scene, budget=length / 2, store=store)
    assert planned_seconds(pieces) == pytest.approx(length / 2, abs=0.5)
    assert {piece.video for piece in pieces} == set(scene.normal)
    for before, after in pairwise(pieces):
        assert before.video != after.video or before.frames[1] < after.frames[0]
    assert pieces_of(detector, scene, budget=0, store=store) == []
    with pytest.raises(UsageError, match="from 0 on"):
        pieces_of(detector, scene, budget=-1.0, store=store)


def test_the_budget_is_what_the_promise_needs(detector, scene, store):
    often = replace(detector, promise=replace(detector.promise, alarms_per_day=86_400.0))
    wanted = SPARE * needed_seconds(86_400.0)
    assert needed_seconds(10.0) == pytest.approx(7.19 * 3600, rel=0.001)
    assert planned_seconds(pieces_of(often, scene, store=store)) < wanted + SHORTEST


def test_a_video_of_one_frame_is_no_piece_and_takes_no_time(detector, scene, store, tmp_path):
    size = probe(scene.normal[0]).height, probe(scene.normal[0]).width
    one = Video("one", write_video(tmp_path / "one.mp4", [1], size=size))
    pieces = pieces_of(detector, replace(scene, normal=(one, *scene.normal)), store=store)
    assert {piece.video for piece in pieces} == set(scene.normal)
    assert calibrating.pace(detector, pieces) > 0


def test_a_video_of_another_size_is_refused_before_anything_is_scored(detector, scene, store, tmp_path):
    other = Video("other", write_video(tmp_path / "other.mp4", size=(64, 64)))
    with pytest.raises(VideoError, match=r"other\.mp4: expected pictures of the size that the clips have"):
        pieces_of(detector, replace(scene, normal=(*scene.normal, other)), store=store)


def test_only_the_part_that_is_normal_counts(detector, scene, store):
    part = replace(scene, normal_frames=(5, 25))
    assert {piece.frames for piece in pieces_of(detector, part, store=store)} == {(5, 25)}


def test_peaks_are_the_highest_of_each_window_of_which_most_was_not_shown(detector, scene, store):
    own = calibrate(detector, scene, store=store).detector.own
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
    np.testing.assert_allclose(np.nan_to_num(own.peaks, nan=np.inf), expected, rtol=1e-6)
    assert np.isnan(own.peaks).sum() > len(scene.normal)
    assert [own.videos[number] for number in own.video] == sorted(own.videos[number] for number in own.video)


def test_a_part_of_a_video_is_scored_by_itself(detector, scene):
    video = scene.normal[0]
    whole, begin, end = (list(score(detector, video, frames=part)) for part in (None, (0, 30), (11, 40)))
    assert [frame.index for frame in begin] == list(range(30))
    settled = round(30 - 1.0 * detector.camera.fps)
    assert [frame.score for frame in begin[:settled]] == [frame.score for frame in whole[:settled]]
    assert [frame.index for frame in end] == list(range(end[0].index, min(40, len(whole))))
    assert 11 <= end[0].index < 11 + detector.camera.fps / 5
    assert [frame.seconds for frame in end] == [whole[frame.index].seconds for frame in end]


def test_what_was_scored_is_not_scored_again(detector, scene, store, monkeypatch):
    first = calibrate(detector, scene, store=store)
    monkeypatch.setattr(calibrating, "score", None)
    again = calibrate(replace(detector, threshold=1e9), scene, store=store)
    np.testing.assert_array_equal(again.detector.own.peaks, first.detector.own.peaks)
    monkeypatch.undo()
    other = adapt_like(detector)
    assert not np.array_equal(calibrate(other, scene, store=store).detector.own.peaks, first.detector.own.peaks)


def adapt_like(detector):
    """Another model of the same camera."""
    model = detector.model
    return replace(detector, model=replace(model, params={name: 1.1 * each for name, each in model.params.items()}))


def test_what_alarms_is_named_with_its_reason(detector, scene, store):
    loud = replace(detector, promise=replace(detector.promise, alarms_per_day=80_000.0)).with_alarms_per_day(80_000.0)
    found = calibrate(loud, scene, store=store)
    over = [each.cluster for each in found.notable]
    assert over
    assert [cluster.number for cluster in over] == list(range(1, len(over) + 1))
    scores = [cluster.score for cluster in over]
    assert scores == sorted(scores, reverse=True)
    for each in found.notable:
        assert each.cluster.start - 3 <= each.second <= each.cluster.end + 1
        assert each.event.reason


def test_a_threshold_is_taken_from_enough_footage_only(detector):
    few = joined([("monday", np.arange(FEWEST - 1) * 1.4, np.linspace(0.1, 0.2, FEWEST - 1))])
    assert detector.with_footage(few).threshold == detector.threshold
    enough = joined([("monday", np.arange(FEWEST) * 1.4, np.linspace(0.1, 0.2, FEWEST))])
    other = detector.with_footage(enough)
    assert other.threshold != detector.threshold
    assert "of this camera's normal footage" in other.promise.text


def test_the_footage_is_kept_with_the_detector(detector, scene, store, tmp_path):
    found = calibrate(detector, scene, store=store).detector
    save_detector(tmp_path / "kept", found)
    kept = load_detector(tmp_path / "kept")
    assert kept.digest == found.digest
    for name in ("video", "starts", "peaks", "ruling"):
        np.testing.assert_array_equal(getattr(kept.own, name), getattr(found.own, name))
    assert kept.own.videos == found.own.videos == tuple(footage(scene))


def test_each_window_begins_where_its_first_frame_is(detector):
    seconds = np.concatenate([np.arange(33) / 10, 1.7e9 + np.arange(27) / 10])
    starts = window_starts(detector.model, seconds)
    np.testing.assert_allclose(starts, [0, 1.4, 2.8, 1.7e9, 1.7e9 + 1.4])
    assert len(window_peaks(detector.model, np.arange(60.0), seconds, np.zeros(60, bool))) == len(starts)


def test_windows_are_of_one_recording_and_cost_follows_frames(detector):
    scores, shown = np.arange(60.0), np.zeros(60, bool)
    seconds = np.arange(60) / 10
    joined = np.concatenate([seconds[:33], 1.7e9 + seconds[:27]])
    parts = [window_peaks(detector.model, scores[:33], seconds[:33], shown[:33])]
    parts += [window_peaks(detector.model, scores[33:], seconds[:27], shown[33:])]
    assert np.isnan([part[-1] for part in parts]).all()
    np.testing.assert_array_equal(window_peaks(detector.model, scores, joined, shown), np.concatenate(parts))


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
