"""Scores of a video as it is read, against scores of whole cached videos; and what they may depend on."""

import numpy as np
import pytest

from metavad.episodes import draw_shots
from metavad.errors import FootageWarning, VideoError
from metavad.features.footage import gather
from metavad.features.library import Library
from metavad.normality.detector import make_detector
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.scenes.cache import Store, ticks_key
from metavad.scenes.scene import Scene, Video
from metavad.scenes.suite import load_suite
from metavad.scoring import chunks
from metavad.scoring.events import find_events
from metavad.scoring.stream import hold, score, score_features
from tests.footage import retimed, write_video


@pytest.fixture(scope="module")
def library(cameras, tiny_base):
    return Library(load_suite(str(cameras)).scenes, tiny_base.config.data, tiny_base.features, Store())


@pytest.fixture(scope="module")
def scene(library):
    return next(iter(library.scenes))


@pytest.fixture(scope="module")
def detector(library, scene, tiny_base):
    footage = gather(library, scene, draw_shots(library.spans(scene), 3, 16, 0))
    model = fit(Adapted(tiny_base), footage.support, footage.grid)
    return make_detector(tiny_base, model, footage, alarms_per_day=10)


@pytest.fixture(params=[3, 7, 32])
def chunk(request, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", request.param)


def test_the_stream_and_the_cache_agree_whatever_the_chunk(detector, library, scene, chunk):
    video = library.scenes[scene].test[0]
    streamed = list(score(detector, video))
    features = library.video_features(scene, "test", video.name)
    frames = library.facts(scene, "test", video.name).frames
    cached = hold(features.frames, score_features(detector.model, library, features).scores, frames)
    assert [frame.index for frame in streamed] == list(range(frames))
    np.testing.assert_allclose([frame.score for frame in streamed], cached, rtol=1e-3, atol=1e-3)


def test_every_frame_has_the_map_of_its_tick(detector, library, scene):
    features = library.video_features(scene, "test", library.scenes[scene].test[0].name)
    frames = list(score(detector, library.scenes[scene].test[0]))
    maps = score_features(detector.model, library, features, maps=True).fused
    ticks = np.searchsorted(features.frames, np.arange(len(frames)), side="right") - 1
    np.testing.assert_allclose([frame.heat for frame in frames], maps[ticks], rtol=1e-3, atol=1e-3)
    for frame in frames:
        assert (frame.box is None) == (frame.heat.max() <= 0)


def test_every_frame_has_a_finite_score_and_alarms_are_over_the_threshold(detector, library, scene):
    for frame in score(detector, library.scenes[scene].test[0]):
        assert np.isfinite(frame.score)
        assert frame.alarm == (frame.score > detector.threshold)


def test_what_drives_a_frame_is_the_highest_tick_of_its_mean(detector, library, scene):
    settings = detector.model.scoring
    frames = list(score(detector, library.scenes[scene].test[0]))
    ticks = {frame.cause.index: frame.cause for frame in frames if frame.cause is not None}
    assert len(ticks) > 3
    for frame in frames:
        if frame.cause is None:
            continue
        assert -settings.past - 0.11 <= frame.cause.seconds - frame.seconds <= settings.future + 0.01
        assert frame.cause.raw >= frame.score - 1e-6
        if frame.alarm:
            assert frame.cause.why.text.startswith("something ")
        else:
            assert frame.cause.why is None


RATES = {
    "constant": np.full(47, 67),
    "changing": np.random.default_rng(0).choice([33, 40, 67, 100, 150], 47),
    "stuttering": np.random.default_rng(1).choice([33, 33, 33, 400, 900], 47),
    "slower": np.repeat([33, 200], [30, 17]),
    "faster": np.repeat([200, 33], [17, 30]),
    "with a gap": np.where(np.arange(47) == 29, 3_600_000, 67),
}
"""Milliseconds from frame to frame."""


@pytest.fixture(scope="module")
def footage(library, scene):
    return library.scenes[scene].test[0].path


@pytest.mark.filterwarnings("ignore:.*too short to be scored")
@pytest.mark.parametrize("rate", RATES)
def test_no_score_depends_on_frames_beyond_the_lookahead(detector, footage, tmp_path, rate):
    """The same video, cut after half a second more: scores are the same bits, and so are events that were over."""
    times = np.concatenate([[0], np.cumsum(RATES[rate])])
    whole, events = scored(detector, retimed(footage, tmp_path / "whole.mkv", times.tolist()))
    assert len(set(whole)) > 10
    compared = 0
    for frames in (2, 3, 4, 5, 7, 12, 20, 29, 31, 33, 40, 46):
        cut, over = scored(detector, retimed(footage, tmp_path / f"{frames}.mkv", times[:frames].tolist()))
        kept = np.searchsorted(times, times[frames] - 500)  # all that half a second ahead of these may say is there
        np.testing.assert_array_equal(cut[:kept], whole[:kept])
        settled = [event for event in events if event.end < (times[frames - 1] - 500 - 1000 - 450) / 1000]
        assert over[: len(settled)] == settled
        compared += int(kept)
    assert compared > 60


@pytest.mark.filterwarnings("ignore:.*too short to be scored")
def test_each_recording_of_a_file_is_scored_as_a_file_of_its_own(detector, footage, tmp_path):
    times = (np.arange(48) * 67).tolist()
    joined = [*times[:20], *(3_600_000 + time for time in times[:1]), *(8_000_000 + time for time in times[:27])]
    found, events = scored(detector, retimed(footage, tmp_path / "joined.mkv", joined))
    parts = [(0, 20), (20, 21), (21, 48)]
    alone = [
        scored(detector, retimed(footage, tmp_path / f"{first}.mkv", times[: last - first], first))
        for first, last in parts
    ]
    np.testing.assert_array_equal(found, np.concatenate([scores for scores, _ in alone]))
    begun = [joined[first] / 1000 for first, _ in parts]
    moved = [(event.start + begin, event.score) for (_, own), begin in zip(alone, begun, strict=True) for event in own]
    assert len(moved) >= 2
    assert [(event.start, event.score) for event in events] == [(pytest.approx(start), s) for start, s in moved]
    assert all(event.end - event.start < 2 for event in events)


def test_recordings_that_are_too_short_to_be_scored_are_reported(detector, footage, tmp_path):
    times = [60_000 * (number // 3) + 67 * (number % 3) for number in range(48)]
    with pytest.warns(FootageWarning, match=r"short\.mkv: 48 of 48 frames are in recordings too short to be scored"):
        found, events = scored(detector, retimed(footage, tmp_path / "short.mkv", times))
    assert not found.any()
    assert events == []


def test_features_and_scores_of_a_cached_video_end_at_a_gap_too(detector, tiny_base, footage, tmp_path):
    times = [*range(0, 1600, 67), *range(3_600_000, 3_601_600, 67)]
    joined = Video("joined", retimed(footage, tmp_path / "joined.mkv", times))
    camera = Scene("site", "camera", tmp_path, normal=(joined,))
    library = Library([camera], tiny_base.config.data, tiny_base.features, Store())
    features = library.video_features(camera.key, "normal", "joined")
    assert features.recordings.tolist() == [[0, 16], [16, 32]]
    assert not np.any(features.rows["flow"][16, 2])  # nothing moves at the first tick of a recording
    cached = score_features(detector.model, library, features)
    assert np.isnan(cached.raw[0])
    np.testing.assert_array_equal(np.isnan(cached.raw[:16]), np.isnan(cached.raw[16:]))
    streamed, _ = scored(detector, joined.path)
    np.testing.assert_allclose(hold(features.frames, cached.scores, len(times)), streamed, rtol=1e-3, atol=1e-3)
    assert all(clip.end <= 24 or clip.first >= 24 for clip in library.spans(camera.key)[0].clips(16))


def test_what_is_cached_depends_on_which_frames_are_ticks(tmp_path):
    """Ticks of one file may come to be others: when its times are read otherwise, or a gap is."""
    assert ticks_key(np.arange(3)) != ticks_key(np.arange(4))
    assert ticks_key(np.arange(3), np.arange(3) / 10) != ticks_key(np.arange(3), np.arange(3) / 5)


def test_boxes_lie_inside_the_picture(detector, library, scene):
    height, width = detector.camera.height, detector.camera.width
    boxes = [frame.box for frame in score(detector, library.scenes[scene].test[0]) if frame.box is not None]
    assert boxes
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def test_another_camera_s_shape_is_refused(detector, tmp_path):
    video = write_video(tmp_path / "other.mp4", range(20), size=(32, 64))
    with pytest.raises(VideoError, match="adapt a new detector"):
        list(score(detector, Video("other", video)))


def scored(detector, path):
    """Scores of every frame of a file, and its events over a threshold that half of them pass."""
    frames = list(score(detector, Video("video", path)))
    scores, seconds = np.array([frame.score for frame in frames]), np.array([frame.seconds for frame in frames])
    return scores, find_events(scores, seconds, 0.5)
