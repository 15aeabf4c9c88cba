"""Frames that are pushed in: the scores and events of a file of them, soon, and whatever is wrong with one of them."""

import gc
import math
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

import metavad
from metavad.config import load_config
from metavad.errors import UsageError, VideoError
from metavad.features.flow import FlowFeature
from metavad.features.poses import PosesFeature
from metavad.features.regions import RegionsFeature
from metavad.normality.regimes import Regime
from metavad.scenes.scene import Crop, Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring import stream
from metavad.scoring.events import EventMerger, in_events
from metavad.scoring.frames import TickScore
from tests.footage import retimed

RGB_TOLERANCE = 0.5
"""Nats, as the page on live cameras has it."""


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def detector(scene, tiny_base):
    """One with a threshold that half of the frames pass."""
    return replace(metavad.adapt(tiny_base, scene, shots=3, alarms_per_day=10), threshold=0.5)


@pytest.fixture(scope="module")
def path(scene, tmp_path_factory):
    """More than two chunks at a changing rate, and after a gap more than one."""
    apart = np.random.default_rng(0).choice([33, 40, 67, 100, 150], 139)
    apart[90] = 60_000
    times = np.concatenate([[0], np.cumsum(apart)]).tolist()
    return retimed(scene.test[0].path, tmp_path_factory.mktemp("live") / "joined.mkv", times)


@pytest.fixture(scope="module")
def given(path):
    """Frames of the file, and the time of each."""
    with av.open(str(path)) as container:
        return list(zip(container.decode(video=0), probe(Video("joined", path)).seconds.tolist(), strict=True))


@pytest.fixture(scope="module")
def expected(detector, path):
    """The scores of the file."""
    return list(metavad.score(detector, path))


def pushed(live, frames):
    """All scores, and how many there were after each frame."""
    scores, counts = [], []
    for frame, seconds in frames:
        scores += live.push(frame, seconds)
        counts.append(len(scores))
    return scores + live.flush(), counts


def write_lossless(path, pictures, seconds, form):
    """Arrays, grey or red-green-blue, each at its time to the millisecond, as a file of this pixel format."""
    with av.open(str(path), "w") as container:
        coder = container.add_stream("ffv1", rate=1000)
        coder.height, coder.width, coder.pix_fmt = *pictures[0].shape[:2], form
        coder.codec_context.time_base = Fraction(1, 1000)
        for picture, time in zip(pictures, seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "rgb24")
            frame = frame.reformat(format=form)
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(coder.encode(frame))
        container.mux(coder.encode(None))


# --- the same as of a file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [0, 0.3, 0.5, math.inf])
def test_frames_give_the_very_scores_and_events_of_their_file(detector, given, expected, wait):
    live = metavad.Live(detector, wait=wait)
    scores, _ = pushed(live, given)
    assert scores == expected
    merger = EventMerger(detector.model.scoring.merge)
    assert len(list(in_events(expected, merger, np.array([seconds for _, seconds in given])))) == len(expected)
    found = live.events()
    assert [each.event for each in found if each.is_over] == [each.event for each in merger.events]
    assert [(each.number, each.is_over) for each in found] == [
        (number, is_over) for number in range(1, len(merger.events) + 1) for is_over in (False, True)
    ]
    assert len({score.recording for score in scores}) == 2
    assert len(merger.events) >= 2
    assert live.events() == []


def test_score_takes_a_path_a_video_and_frames(detector, path, given, expected):
    assert list(metavad.score(detector, str(path))) == expected
    assert list(metavad.score(detector, Video("joined", path))) == expected
    assert list(metavad.score(detector, iter(given))) == expected


def test_grey_arrays_give_the_very_scores_of_a_lossless_grey_file(detector, given, tmp_path):
    pictures = [frame.to_ndarray(format="gray") for frame, _ in given[:60]]
    write_lossless(tmp_path / "grey.mkv", pictures, [seconds for _, seconds in given[:60]], "gray")
    expected = list(metavad.score(detector, tmp_path / "grey.mkv"))
    assert max(each.score for each in expected) > 0.5
    buffer = np.empty_like(pictures[0])  # one for all frames, as cameras have it

    def frames():
        for picture, (_, seconds) in zip(pictures, given, strict=False):
            buffer[:] = picture
            yield buffer, seconds

    assert list(metavad.score(detector, frames())) == expected


def test_colours_give_nearly_the_scores_of_the_file(detector, given, tmp_path):
    warm = [np.uint8(frame.to_ndarray(format="rgb24") * np.array([1.0, 0.8, 0.5])) for frame, _ in given[:60]]
    times = [seconds for _, seconds in given[:60]]
    write_lossless(tmp_path / "warm.mkv", warm, times, "yuv420p")
    with av.open(str(tmp_path / "warm.mkv")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    before = np.array([each.score for each in metavad.score(detector, tmp_path / "warm.mkv")])
    found = np.array([each.score for each in metavad.score(detector, zip(frames, times, strict=True))])
    np.testing.assert_allclose(found, before, atol=RGB_TOLERANCE, rtol=0)
    assert before.max() > 1.5 * RGB_TOLERANCE  # or the tolerance says nothing
    assert not np.array_equal(found, before)


def test_frames_are_cropped_as_the_camera_s_clips_were(detector, given):
    crop = Crop(top=2, left=4)
    camera = replace(detector.camera, height=detector.camera.height - 2, width=detector.camera.width - 4, crop=crop)
    model = replace(detector, camera=camera)
    whole = [(frame.to_ndarray(format="gray"), seconds) for frame, seconds in given[:50]]
    cut = [(picture[2:, 4:], seconds) for picture, seconds in whole]
    found, alone = list(metavad.score(model, whole)), list(metavad.score(model, cut, crop=Crop()))
    assert found == alone
    assert max(each.score for each in found) > 0
    with pytest.raises(VideoError, match="not resized or cropped"):
        list(metavad.score(model, cut))


# --- soon, and without growing -------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [0, 0.3])
def test_scores_come_after_the_lookahead_and_the_wait(detector, given, wait):
    _, counts = pushed(metavad.Live(detector, wait=wait), given)
    seconds = np.array([seconds for _, seconds in given])
    late = detector.model.scoring.future + wait
    for place, count in enumerate(counts):
        assert count >= np.searchsorted(seconds, seconds[place] - late - 1e-5)
    assert any(count < np.searchsorted(seconds, seconds[place] - wait) for place, count in enumerate(counts))


def test_an_event_opens_while_it_goes_on_and_a_gap_closes_it(detector, given):
    live = metavad.Live(replace(detector, threshold=-1.0))
    gap = next(place for place in range(1, len(given)) if given[place][1] - given[place - 1][1] > 30)
    for frame, seconds in given[:gap]:
        live.push(frame, seconds)
    (opened,) = live.events()
    assert (opened.number, opened.is_over, opened.event.start) == (1, False, 0.0)
    final = live.push(*given[gap])
    assert final[-1].index == gap - 1
    (closed,) = live.events()
    assert (closed.number, closed.is_over, closed.event.start) == (1, True, 0.0)
    assert given[gap - 1][1] < closed.event.end < given[gap - 1][1] + 0.2
    assert live.flush()[-1].index == gap
    assert [(each.number, each.is_over) for each in live.events()] == [(2, False), (2, True)]


def test_what_is_kept_does_not_grow(detector, given):
    live, kept = metavad.Live(detector), []
    step = given[60][1] - given[0][1]
    for turn in range(5):
        for frame, seconds in given[:60]:
            live.push(frame, turn * step + seconds)
        live.events()
        gc.collect()
        kept.append(sum(type(each) is TickScore for each in gc.get_objects()))
    assert len(set(kept[1:])) <= 3
    assert max(kept[1:]) - min(kept[1:]) < 10


def test_after_a_flush_the_clock_may_be_another(detector, given):
    live = metavad.Live(detector)
    first, _ = pushed(live, given[:40])
    third, _ = pushed(live, [(frame, 1.7e9 + seconds) for frame, seconds in given[:40]])  # of the day
    second, _ = pushed(live, given[:40])
    assert [each.score for each in first] == [each.score for each in second]
    np.testing.assert_allclose([each.score for each in third], [each.score for each in first], atol=1e-3)
    assert [{each.recording for each in part} for part in (first, third, second)] == [{0}, {1}, {2}]
    assert [each.index for each in first + third + second] == list(range(120))
    assert live.flush() == []


# --- another version of the detector -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def newer(scene, tiny_base):
    """One of other shots, with regimes and a threshold of its own."""
    made = metavad.adapt(tiny_base, scene, shots=2, alarms_per_day=100)
    light = (90.0, 110.0, 130.0, 150.0, 170.0, 40.0)
    regimes = Regime("day", light, 300.0, 0.5, 1.0), Regime("night", (0.0,) * 6, 300.0, 0.5, 2.0)
    return replace(made, threshold=0.1, regimes=regimes)


def switched(live, frames, version, after):
    """Scores before and after another version is used, which is asked for after each frame from that one on."""
    before, now = [], None
    for place, (frame, seconds) in enumerate(frames):
        found = live.push(frame, seconds)
        before, now = (before + found, now) if now is None else (before, now + found)
        if now is None and place >= after and live.use(version):
            now = []
    return before, now + live.flush()


@pytest.mark.parametrize("wait", [0, 0.5, math.inf])
@pytest.mark.parametrize("after", [0, 40, 80])
def test_another_version_scores_on_as_if_it_had_from_the_beginning(detector, newer, given, expected, wait, after):
    before, now = switched(metavad.Live(detector, wait=wait), given, newer, after)
    wanted, _ = pushed(metavad.Live(newer), given)
    assert before == expected[: len(before)]
    assert now == wanted[len(before) :]
    assert {each.cause.why is not None for each in now if each.alarm} == {True}
    assert len(before) >= after / 2
    assert [each.score for each in now] != [each.score for each in expected[len(before) :]]


def test_a_version_is_used_at_once_where_nothing_goes_on(detector, newer, given):
    live = metavad.Live(detector)
    assert live.use(newer)
    assert pushed(live, given[:40])[0] == pushed(metavad.Live(newer), given[:40])[0]
    assert live.use(detector)
    live.push(*given[0])
    assert not live.use(newer)
    live.flush()
    assert live.use(newer)


def test_a_gap_counts_as_nothing_for_another_version_too(detector, newer, given):
    _, now = switched(metavad.Live(detector, gaps_alarm=False), given, newer, 0)
    wanted, _ = pushed(metavad.Live(newer, gaps_alarm=False), given)
    assert now == wanted[-len(now) :]


def test_an_event_goes_on_over_a_change_of_version_as_one(detector, newer, given):
    live = metavad.Live(replace(detector, threshold=-1.0))
    switched(live, given[:80], replace(newer, threshold=-2.0), 0)
    assert [(each.number, each.is_over) for each in live.events()] == [(1, False), (1, True)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scene": "yard"}, r"expected another version of the detector of \S+ \(96x72\), found one of yard \(96x72\)"),
        ({"camera": {"width": 48}}, r"found one of \S+ \(48x72\)"),
        ({"camera": {"crop": Crop(top=2)}}, r"\(96x72, cropped otherwise\)"),
        ({"config": load_config("quick")}, "found one made of a base with other settings"),
    ],
)
def test_a_detector_of_another_camera_is_no_version(detector, given, changes, message):
    camera = replace(detector.camera, **changes.get("camera", {}))
    version = replace(detector, **changes | {"camera": camera})
    live, scores = metavad.Live(detector), []
    for place, (frame, seconds) in enumerate(given[:40]):
        scores += live.push(frame, seconds)
        if place == 31:
            with pytest.raises(UsageError, match=message):
                live.use(version)
    assert scores + live.flush() == pushed(metavad.Live(detector), given[:40])[0]


def test_features_are_computed_by_one_thread_as_those_of_a_file_are(detector, given, monkeypatch):
    plain, found = FlowFeature.start, []

    def start(feature):
        row = plain(feature)
        return lambda image, seconds: (found.append(torch.get_num_threads()), row(image, seconds))[1]

    monkeypatch.setattr(FlowFeature, "start", start)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        pushed(metavad.Live(detector), given[:5])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(found) == {1}


# --- what is wrong -------------------------------------------------------------------------------------------


def other(frame, what):
    """A frame of the camera, but for one thing."""
    grey = frame.to_ndarray(format="gray")
    wrong = {
        "size": grey[:-2],
        "video frame's size": av.VideoFrame.from_ndarray(np.ascontiguousarray(grey[:-2, :]), format="gray"),
        "type": grey.astype(np.float32),
        "alpha": np.dstack([grey] * 4),
        "a list": grey.tolist(),
        "16 bits": av.VideoFrame.from_ndarray(grey.astype(np.uint16), format="gray16le"),
    }
    return wrong[what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("size", r"expected frames of the detector's camera \(\d+x\d+\), found \d+x\d+; give them as"),
        ("video frame's size", r"expected frames of the detector's camera \(\d+x\d+\), found \d+x\d+; give them as"),
        ("type", r"expected a frame, found an array float32\[\d+, \d+\]; give uint8 arrays"),
        ("alpha", r"expected a frame, found an array uint8\[\d+, \d+, 4\]; give uint8 arrays"),
        ("a list", r"expected a frame, found a list; give uint8 arrays"),
        ("16 bits", r"expected frames of 8 bits, found 16 bits of grey; bring them"),
    ],
)
def test_a_frame_that_is_none_is_one_line_and_loses_nothing(detector, given, expected, what, message):
    live, scores = metavad.Live(detector, wait=math.inf), []
    for place, (frame, seconds) in enumerate(given):
        if place in (0, 7, 91):  # at the beginning, on the way, and after the gap
            with pytest.raises(VideoError, match=message) as raised:
                live.push(other(frame, what), seconds)
            assert "\n" not in str(raised.value)
        scores += live.push(frame, seconds)
    assert scores + live.flush() == expected


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (
            -1.0,
            r"expected a frame at [\d.]+ s or later, where the last one was, found -1\.000 s; leave it out, or",
        ),
        (math.nan, "expected the seconds of a frame, found nan; give a finite number"),
        (math.inf, "expected the seconds of a frame, found inf; give a finite number"),
        ("now", "expected the seconds of a frame, found 'now'; give a finite number"),
        (None, "expected the seconds of a frame, found None; give a finite number"),
    ],
)
def test_a_time_that_cannot_be_is_one_line_and_loses_nothing(detector, given, expected, seconds, message):
    live, scores = metavad.Live(detector, wait=math.inf), []
    for place, (frame, time) in enumerate(given):
        if place in (7, 91):
            with pytest.raises(VideoError, match=message):
                live.push(frame, seconds)
        scores += live.push(frame, time)
    assert scores + live.flush() == expected


def test_two_frames_of_one_time_are_taken(detector, given):
    twice = [each for each in given[:40] for _ in range(2)]
    scores, _ = pushed(metavad.Live(detector), twice)
    assert [each.index for each in scores] == list(range(80))
    assert all(np.isfinite(each.score) for each in scores)


def test_what_is_no_stream_of_frames_is_one_line(detector, given, tmp_path):
    with pytest.raises(UsageError, match=r"expected \(frame, seconds\) of each frame, found a ndarray; give pairs"):
        list(metavad.score(detector, np.zeros((3, 4, 5), np.uint8)))
    with pytest.raises(UsageError, match="expected text, a Path, a Video or an iterable as video, found 3"):
        metavad.score(detector, 3)
    with pytest.raises(VideoError, match=r"none\.mp4: expected a video"):
        metavad.score(detector, tmp_path / "none.mp4")
    with pytest.raises(UsageError, match="Live: expected a wait of 0 seconds or more, found -1; "):
        metavad.Live(detector, wait=-1)


def test_poses_that_lie_in_files_cannot_be_pushed_in(detector, monkeypatch):
    config = load_config()
    assert not RegionsFeature(config.regions, config.flow, config.appearance).needs_files
    monkeypatch.setattr(stream, "features_of", lambda *_: {"poses": PosesFeature(config.pose)})
    with pytest.raises(UsageError, match="found one that reads poses from files; score the videos"):
        metavad.Live(detector)
