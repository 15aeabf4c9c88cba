"""Scores of a video as it is read, against scores of whole cached videos; and what they may depend on."""

import av
import numpy as np
import pytest

from metavad.adaptation.detector import make_detector
from metavad.episodes import draw_shots
from metavad.errors import VideoError
from metavad.features.library import Library
from metavad.scenes.cache import Store
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scoring import stream
from metavad.scoring.stream import hold, score, score_track
from tests.footage import write_video


@pytest.fixture(scope="module")
def library(cameras, tiny_base):
    return Library(load_suite(str(cameras)).scenes, tiny_base.config, tiny_base.experts.reads, Store())


@pytest.fixture(scope="module")
def scene(library):
    return next(iter(library.scenes))


@pytest.fixture(scope="module")
def detector(library, scene, tiny_base):
    return make_detector(tiny_base, library, scene, draw_shots(library.reels(scene), 3, 16, 0), alarms_per_day=10)


@pytest.fixture(params=[3, 7, 32])
def chunk(request, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", request.param)


def test_the_stream_and_the_cache_agree_whatever_the_chunk(detector, library, scene, chunk):
    video = library.scenes[scene].test[0]
    streamed = list(score(detector, video))
    track = library.track(scene, "test", video.name)
    frames = library.facts(scene, "test", video.name).frames
    cached = hold(track.frames, score_track(detector.normality, library, track).scores, frames)
    assert [frame.index for frame in streamed] == list(range(frames))
    np.testing.assert_allclose([frame.score for frame in streamed], cached, rtol=1e-3, atol=1e-3)


def test_every_frame_has_a_finite_score_and_alarms_are_over_the_threshold(detector, library, scene):
    for frame in score(detector, library.scenes[scene].test[0]):
        assert np.isfinite(frame.score)
        assert frame.alarm == (frame.score > detector.threshold)


def test_what_drives_a_frame_is_the_highest_tick_of_its_mean(detector, library, scene):
    settings = detector.normality.method.config.scoring
    frames = list(score(detector, library.scenes[scene].test[0]))
    ticks = {frame.cause.index: frame.cause for frame in frames if frame.cause is not None}
    assert len(ticks) > 3
    for frame in frames:
        if frame.cause is None:
            continue
        assert -settings.past - 0.11 <= frame.cause.seconds - frame.seconds <= settings.ahead + 0.01
        assert frame.cause.raw >= frame.score - 1e-6
        if frame.alarm:
            assert frame.cause.why.text.startswith("something ")
        else:
            assert frame.cause.why is None


def test_no_score_depends_on_frames_beyond_the_look_ahead(detector, library, scene, tmp_path):
    """The same video, cut: scores before the cut, less the look-ahead, stay."""
    video = library.scenes[scene].test[0]
    whole = [frame.score for frame in score(detector, video)]
    facts = library.facts(scene, "test", video.name)
    stop = facts.frames // 2
    cut = _first_frames(video, tmp_path / "cut.mkv", stop)
    short = list(score(detector, cut))
    kept = [frame for frame in short if frame.seconds < facts.seconds[stop - 1] - 0.7]
    assert len(kept) > 3
    np.testing.assert_allclose([frame.score for frame in kept], whole[: len(kept)], rtol=1e-3, atol=1e-3)


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


def _first_frames(video, path, stop):
    """The first frames of a video, copied without another loss."""
    with av.open(str(video.path)) as source, av.open(str(path), "w") as target:
        inside = source.streams.video[0]
        outside = target.add_stream("ffv1", rate=inside.average_rate)
        outside.width, outside.height, outside.pix_fmt = inside.width, inside.height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number == stop:
                break
            frame.pts, frame.time_base = number, 1 / inside.average_rate
            target.mux(outside.encode(frame.reformat(format="yuv420p")))
        target.mux(outside.encode(None))
    return Video("cut", path)
