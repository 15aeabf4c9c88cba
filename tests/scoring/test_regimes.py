"""A camera with two lights: both are found in its footage, named, kept, and chosen while scoring."""

import warnings
from dataclasses import replace

import av
import numpy as np
import pytest

import metavad
from metavad.errors import FootageWarning
from metavad.normality import own_regimes, threshold
from metavad.normality.detector import load_detector, save_detector
from metavad.scenes.cache import Store
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring import unknown_light
from metavad.scoring.calibrating import calibrate
from metavad.scoring.stream import score


def pictures(path):
    """Red, green and blue, (T, H, W, 3)."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def written(path, each):
    """A file of these pictures, ten a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = *each[0].shape[:2], "yuv420p"
        for picture in each:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def by_day(picture):
    """The same in warm colours."""
    return (picture * [1.0, 0.8, 0.6]).astype(np.uint8)


def by_night(picture):
    """The same without colour, and dark."""
    return np.repeat(picture.mean(2, keepdims=True) * 0.3, 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def camera(cameras, tmp_path_factory):
    """A camera by day, and the same by night."""
    scene, place = load_suite(str(cameras)).scenes[1], tmp_path_factory.mktemp("lights")
    videos = []
    for number, video in enumerate(scene.normal):
        some = pictures(video.path)
        for light, change in (("day", by_day), ("night", by_night)):
            path = written(place / f"{light}-{number}.mkv", [change(one) for one in some])
            videos.append(Video(path.stem, path))
    return replace(scene, normal=tuple(videos))


@pytest.fixture(scope="module")
def plain(camera, tiny_base):
    return metavad.adapt(tiny_base, camera, shots=2, pictures=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def detector(camera, plain, store):
    """It has seen a few seconds of both, and that is enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_regimes, "LEAST", 2)
        for module in (own_regimes, threshold):
            patch.setattr(module, "FEWEST", 2)
        found = calibrate(plain, camera, store=store).detector
        yield found


def test_both_lights_are_found_and_named(detector):
    assert {regime.name for regime in detector.regimes} == {"colour", "infrared"}
    own = detector.own
    for number, regime in enumerate(detector.regimes):
        light = {"colour": "day", "infrared": "night"}[regime.name]
        named = {own.videos[video] for video in own.video[own.known & (own.regime == number)]}
        assert named == {name for name in own.videos if name.startswith(light)}


def test_one_light_is_one_regime(camera, plain, store, detector):
    day = replace(camera, normal=camera.normal[::2])
    found = calibrate(plain, day, store=store).detector
    assert [regime.name for regime in found.regimes] == [""]


def test_too_little_footage_has_none_and_every_score_is_as_it_was(camera, plain, store, detector):
    one = next(video for video in camera.normal if video.name.startswith("day"))
    before = list(score(replace(plain, threshold=detector.threshold), one))
    first = replace(detector, regimes=detector.regimes[:1])
    assert [frame.score for frame in score(first, one)] == [frame.score for frame in before]
    assert {frame.regime for frame in before} == {""}


def test_a_score_is_on_the_scale_of_its_light(detector, plain, camera):
    for video in camera.normal[:2]:
        light = "colour" if video.name.startswith("day") else "infrared"
        frames, before = list(score(detector, video)), list(score(plain, video))
        assert {frame.regime for frame in frames} == {light}
        own = next(regime for regime in detector.regimes if regime.name == light)
        first = detector.regimes[0]
        above = [n for n, frame in enumerate(before) if frame.score > own.body]
        assert above
        for n in above:
            expected = first.body + (before[n].score - own.body) * first.scale / own.scale
            assert frames[n].score == pytest.approx(expected)
        assert [frame.alarm for frame in frames] == [frame.score > detector.threshold for frame in frames]


def test_pushed_frames_have_the_same_scores_and_regimes(detector, camera):
    video = camera.normal[1]
    seconds = probe(video).seconds.tolist()
    with av.open(str(video.path)) as container:
        given = list(zip(container.decode(video=0), seconds, strict=True))
    live = metavad.Live(detector)
    pushed = [frame for each in given for frame in live.push(*each)] + live.flush()
    keys = ("index", "seconds", "score", "alarm", "light", "regime")
    for one, other in zip(pushed, score(detector, video), strict=True):
        assert [getattr(one, key) for key in keys] == [getattr(other, key) for key in keys]


def test_regimes_are_kept_with_the_detector(detector, tmp_path):
    save_detector(tmp_path / "kept", detector)
    kept = load_detector(tmp_path / "kept")
    assert kept.digest == detector.digest
    assert kept.regimes == detector.regimes
    np.testing.assert_array_equal(kept.own.regime, detector.own.regime)


def test_a_light_that_was_never_shown_is_a_warning_once(detector, camera, tmp_path, monkeypatch):
    monkeypatch.setattr(unknown_light, "LASTING", 0.5)
    some = pictures(camera.normal[0].path)
    path = written(tmp_path / "glare.mkv", [255 - by_night(one) // 4 for one in some])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        frames = list(score(detector, path))
    assert {frame.regime for frame in frames} == {"unknown light"}
    (one,) = [each for each in found if "the light is one that no normal footage" in str(each.message)]
    assert issubclass(one.category, FootageWarning)
    assert f"{path}: from 0.0 s on" in str(one.message)
    seconds, every = [], [255 - by_night(one) // 4 for one in some]
    live = metavad.Live(detector, on_unknown_light=seconds.append)
    assert [frame for number, each in enumerate(every) for frame in live.push(each, 7.0 + number / 10)]
    assert seconds == [7.0]


def test_a_new_calibration_begins_without_the_old_regimes(detector, camera, store, monkeypatch):
    again = calibrate(detector, camera, store=store).detector
    assert again.digest == detector.digest


def test_what_is_written_says_which_light_it_was(detector, camera, tmp_path):
    from metavad.scoring.results import result_of, write_result

    video = camera.normal[1]
    always = replace(detector, threshold=-1.0)
    record, _ = write_result(tmp_path, always, video, result_of(always, video))
    (regime,) = record.regimes
    assert (regime.name, regime.start) == ("infrared", 0.0)
    assert regime.end == pytest.approx(probe(video).seconds[-1], abs=1e-3)
    assert {event.regime for event in record.events} == {"infrared"}
