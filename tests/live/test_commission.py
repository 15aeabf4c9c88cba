"""A detector from a camera's own stream: which clips are shown, which are left out, and what is kept of it."""

import itertools
import json
import os
from dataclasses import replace
from functools import partial

import av
import cv2
import numpy as np
import pytest

import metavad
from metavad.errors import ShotsError, VideoError
from metavad.live import commission as module
from metavad.live.clips import write_frames
from metavad.live.commission import commission, put_aside_later, record, shots_with_motion
from metavad.live.index import Index
from metavad.live.sources import FileSource, FolderSource
from metavad.live.types import CameraEvent
from metavad.normality.likeness import Likeness
from metavad.scenes.listing import scene_of_files
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from tests.footage import number_of, write_video
from tests.live.given import Given

undated = partial(Given, is_dated=False)
"""Frames whose times are no times of day."""


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def pictures(scene):
    with av.open(str(scene.normal[0].path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF", (0.0, 0.0))


def never():
    return False


def frames_of(path):
    with av.open(str(path)) as container:
        return [number_of(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


def test_packets_are_kept_as_they_come_and_pictures_nearly_so(tmp_path, pictures):
    options = {"tune": "zerolatency", "g": "5"}
    path = write_video(tmp_path / "a.mp4", range(60), options=options)
    paths, last = record(FileSource(path, fast=True), tmp_path / "coded", 3.0, notes=[].append, is_over=never)
    assert last == pytest.approx(3.0)
    assert frames_of(paths[0])[:30] == list(range(30))
    with av.open(str(path)) as before, av.open(str(paths[0])) as after:
        for one, other in zip(before.decode(video=0), after.decode(video=0), strict=False):
            np.testing.assert_array_equal(one.to_ndarray(format="gray"), other.to_ndarray(format="gray"))

    source = undated([(picture, 100 + n / 10) for n, picture in enumerate(pictures[:30])])
    (found,), _ = record(source, tmp_path / "plain", 2.0, notes=[].append, is_over=never)
    np.testing.assert_allclose(probe(Video("x", found)).seconds, np.arange(21) / 10, atol=2e-3)
    with av.open(str(found)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(first.astype(int) - pictures[0]).mean() < 3


def test_a_break_is_another_file_and_what_is_there_counts(tmp_path, pictures):
    notes = []
    parts = [[(picture, n / 10) for n, picture in enumerate(pictures[:20])] for _ in range(3)]
    broken = [*parts[0], VideoError("given: gone")]
    calls = iter([False] * 25)
    paths, _ = record(
        undated(broken, parts[1]), tmp_path, 5.0, notes=notes.append, is_over=lambda: next(calls, True)
    )  # somebody stops it
    assert [path.name for path in paths] == ["001.mkv", "002.mkv"]
    paths, _ = record(undated(parts[0], parts[1], parts[2]), tmp_path, 5.0, notes=notes.append, is_over=never)
    assert [path.name for path in paths] == ["001.mkv", "002.mkv", "003.mkv", "004.mkv"]
    lengths = [probe(Video(path.stem, path)).seconds[-1] for path in paths]
    assert sum(lengths) == pytest.approx(5.0, abs=0.3)
    assert [note.level for note in notes if note.kind == "disconnected"] == ["warning"] * 2
    with pytest.raises(VideoError, match="given: gone"):
        record(undated(broken), tmp_path / "other", 50.0, notes=notes.append, is_over=never)


def test_the_files_of_a_folder_are_files_of_their_own(tmp_path):
    for number in range(2):
        path = write_video(tmp_path / "in" / f"{number}.mp4", range(30 * number, 30 * number + 30))
        os.utime(path, (1e9, 1e9 + 3 * number))
    source = FolderSource(tmp_path / "in", fast=True)
    paths, _ = record(source, tmp_path / "out", 5.5, notes=[].append, is_over=never)
    assert [frames_of(path)[0] for path in paths] == [0, 30]
    assert sum(probe(Video(path.stem, path)).frames for path in paths) >= 55


def test_clips_are_spread_and_have_motion_but_not_the_most(tmp_path):
    still, calm, wild = [0] * 40, [0, 1] * 20, [0, 255] * 20
    path = write_video(tmp_path / "a.mp4", [*still, *calm, *wild, *still, *calm, *wild], options={"crf": "1"})
    scene = scene_of_files([path])
    chosen = shots_with_motion(scene, 2, 10)
    assert [video for video, _ in chosen] == ["a", "a"]
    seconds = [second for _, second in chosen]
    assert 8 <= seconds[0] < 12  # the third quarter of a half in which a third is still
    assert 20 <= seconds[1] < 24
    assert len(shots_with_motion(scene, 5, 100)) < 5


def test_an_odd_clip_is_shown_and_left_out(tmp_path, tiny_base, pictures, monkeypatch):
    monkeypatch.setattr(module, "outlying_shots", lambda model: (1,) if model.support.clips == 3 else ())
    notes = []
    turns = [(pictures[n % len(pictures)], n / 10) for n in range(150)]
    made = commission(
        tiny_base, undated(turns), tmp_path, camera="lobby", seconds=14.0, shots=3, alarms_per_day=7, notes=notes.append
    )
    assert len(made.detector.shots) == 2
    assert made.odd == (tmp_path / "commission" / "odd-2.jpg",)
    assert made.odd[0].read_bytes().startswith(b"\xff\xd8")
    odd = [note for note in notes if note.kind == "odd_shot"]
    assert "is unlike the others, and is left out; look at it" in odd[0].text
    assert made.detector.promise.alarms_per_day == 7
    assert made.seconds > 5
    assert (made.detector.camera.height, made.detector.camera.width) == (72, 96)
    live = metavad.Live(made.detector)
    for picture, seconds in turns[:20]:
        live.push(picture, seconds)


def test_footage_for_the_threshold_knows_what_stood_there_before_a_break(tmp_path, tiny_base, pictures, monkeypatch):
    given, calibrate = [], module.calibrate
    monkeypatch.setattr(module, "calibrate", lambda *which, begins: given.append(begins) or calibrate(*which))
    turns = [(pictures[n % len(pictures)], n / 10 + 5.0 * (n >= 80)) for n in range(150)]
    commission(tiny_base, Given(turns[:80], turns[80:]), tmp_path, camera="lobby", seconds=14.0, shots=2)
    assert [[(video.path.name, begin) for video, begin in begins.items()] for begins in given] == [
        [("001.mkv", 0.0), ("002.mkv", 13.0)]
    ]


def test_too_little_footage_is_an_error_and_stays(tmp_path, tiny_base, pictures):
    turns = [(picture, n / 10) for n, picture in enumerate(pictures[:30])]
    with pytest.raises(ShotsError, match="expected footage for 10 clips, found"):
        commission(tiny_base, undated(turns), tmp_path, camera="lobby", seconds=9.0)
    assert (tmp_path / "commission" / "001.mkv").exists()
    assert commission(tiny_base, undated(turns), tmp_path, camera="lobby", seconds=9.0, is_over=lambda: True) is None
    with pytest.raises(ShotsError, match="expected footage to commission with, found none"):
        commission(tiny_base, undated([]), tmp_path / "none", camera="lobby", seconds=9.0)


def test_footage_of_the_size_that_most_of_it_has_is_taken(tmp_path):
    for name, count, size in (("001", 30, (32, 64)), ("002", 60, (64, 128)), ("003", 30, (64, 128))):
        write_video(tmp_path / f"{name}.mkv", range(count), size=size)
    (tmp_path / "004.mkv").write_bytes(b"what a kill has left")
    scene = module._scene(sorted(tmp_path.glob("*.mkv")), "lobby")
    assert [video.name for video in scene.normal] == ["002", "003"]


@pytest.fixture
def confirmed(tmp_path, tiny_base, pictures):
    """A folder in which somebody confirmed an event from 6 to 7 seconds after midnight, and one without pictures."""
    made = CameraEvent("e1", "lobby", "", "utc", 6.0, 7.0, 6.5, 5.0, 3.0, None, "", is_over=True)
    (tmp_path / "events").mkdir()
    small = [cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (64, 48)) for picture in pictures]
    grey = [(number / 10, small[number % len(small)]) for number in range(20, 80)]
    write_frames(tmp_path / "events" / "e1.mkv", grey)
    with Index(tmp_path, make=True) as index:
        for id, later, kept, verdict in (
            ("e1", 0, "events/e1.mkv", "abnormal"),
            ("e2", 10, None, "abnormal"),
            ("e3", 5, None, "normal"),
        ):
            index.put_event(replace(made, id=id, start=made.start + later, end=made.end + later))
            index.note(id, frames=kept, verdict=verdict)
    return tmp_path


def test_what_was_confirmed_stays_so_and_is_never_shown(confirmed, tiny_base, pictures):
    """The footage of a new detector shows the very events: from 6 to 7 seconds, and from 16 to 17."""
    notes, turns = [], [(pictures[n % len(pictures)], n / 10) for n in range(300)]
    made = commission(
        tiny_base, Given(turns[:250]), confirmed, camera="lobby", seconds=24.0, shots=4, notes=notes.append
    )
    detector = made.detector
    assert [(each.source, each.start, each.end) for each in detector.confirmed] == [("camera lobby", 6.0, 7.0)]
    before, after = detector.model.scoring.past, detector.model.scoring.future
    own = detector.own
    for start, end in ((6.0, 7.0), (16.0, 17.0)):
        assert all(began > end + after or began + clip.length / 10 < start - before for clip, began in shown(detector))
        assert set(own.ruling[(own.starts < end) & (own.starts + before + after > start)]) == {-1}
    assert (own.ruling < 0).mean() < 0.5
    assert [note.text for note in notes if note.kind.endswith("confirmed")] == [
        "event e2, confirmed as abnormal, does not raise what is like it any more: expected its pictures, found none",
        "confirmed as abnormal before, and still: 1 event",
    ]
    scores = [each.score for each in metavad.score(detector, iter(turns))]
    plain = replace(detector, model=replace(detector.model, likeness=Likeness()))
    less = [each.score for each in metavad.score(plain, iter(turns))]
    assert max(np.subtract(scores, less)) > 0.1
    assert min(np.subtract(scores, less)) >= 0


def shown(detector):
    """The shots, each with the second at which it begins: of one file."""
    return zip(detector.shots, detector.began, strict=True)


def test_footage_that_made_a_detector_is_put_aside_for_the_next_one(tmp_path, tiny_base, pictures):
    turns = [(picture, n / 10) for n, picture in enumerate(pictures[:20])]
    counts = []
    for is_made in (False, True, True, False):
        with pytest.raises(ShotsError):
            commission(tiny_base, undated(turns), tmp_path, camera="lobby", seconds=9.0)
        counts.append(len(list((tmp_path / "commission").glob("*.mkv"))))
        if is_made:
            put_aside_later(tmp_path)
    assert counts == [1, 2, 1, 1]
    assert sorted(path.name for path in tmp_path.glob("commission-*")) == ["commission-1", "commission-2"]


def test_footage_knows_when_it_was_taken(tmp_path, pictures, monkeypatch):
    turns = [(picture, 100 + n / 10) for n, picture in enumerate(pictures[:20])]
    record(Given(turns, turns), tmp_path / "dated", 3.0, notes=[].append, is_over=never)
    assert json.loads((tmp_path / "dated" / "begins.json").read_text()) == {"001.mkv": 100.0, "002.mkv": 100.0}
    came = itertools.chain([5.0] * 11, itertools.count(5.1, 0.1))  # a second of the stream comes at once
    monkeypatch.setattr("metavad.live.commission.time.time", lambda: 1_780_000_000.0 + next(came))
    record(undated(turns), tmp_path / "now", 1.8, notes=[].append, is_over=never)
    (begin,) = json.loads((tmp_path / "now" / "begins.json").read_text()).values()
    assert begin == pytest.approx(1_780_000_004.0, abs=0.25)
    (tmp_path / "now" / "begins.json").write_text("[]")
    record(undated(turns), tmp_path / "now", 3.0, notes=[].append, is_over=never)
    assert list(json.loads((tmp_path / "now" / "begins.json").read_text())) == ["002.mkv"]
