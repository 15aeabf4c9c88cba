"""A stream on this machine: commissioned, watched through five breaks and a kill, and every event told once."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest

import metavad
from metavad.live.commission import commission
from metavad.live.index import Index, Session
from metavad.live.sources import source_of
from metavad.live.store import EventStore
from metavad.live.watch import Watch
from metavad.scenes.suite import load_suite
from metavad.scoring.events import EventMerger, in_events
from tests.live.given import passed_by

SECRET = "hunter2"
RATE = 10


CODERS = {
    "libx264": ("gray", {"qp": "0", "preset": "ultrafast", "tune": "zerolatency"}),
    "mpeg4": ("yuv420p", {"qmin": "1", "qmax": "1"}),
}
"""The first one loses nothing, the other one little."""


def coded(pictures, first, last, coder="libx264", scale=1):
    """Frames of these numbers as a stream, at their times, so many times as large: a key frame each second."""
    content, (form, options) = io.BytesIO(), CODERS[coder]
    height, width = (scale * side for side in pictures[0].shape)
    with av.open(content, "w", format="mpegts") as container:
        stream = container.add_stream(coder, rate=RATE, options={**options, "g": str(RATE)})
        stream.height, stream.width, stream.pix_fmt = height, width, form
        for number in range(first, last):
            frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], format="gray")
            frame = frame.reformat(width=width, height=height, format=form)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


class Camera:
    """An address on this machine that gives one part of a stream after the other, and nothing more."""

    def __init__(self, pictures):
        self.pictures, self.parts, self.held, self.given = pictures, [], threading.Event(), 0
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                camera.serve(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://admin:{SECRET}@127.0.0.1:{self.server.server_port}/live?token={SECRET}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, request):
        """The next part; one that is held keeps the line open."""
        part = self.parts.pop(0) if self.parts else None
        if part is None:
            request.send_error(503)
            return
        first, last, held, *how = part
        request.send_response(200)
        request.send_header("Content-Type", "video/mp2t")
        request.end_headers()
        request.wfile.write(coded(self.pictures, first, last, *how))
        request.wfile.flush()
        self.given += 1
        if held:
            self.held.wait(60)

    def close(self):
        self.held.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def pictures(cameras):
    """Grey pictures of a video, again and again: something happens every few seconds."""
    scene = load_suite(str(cameras)).scenes[0]
    with av.open(str(scene.test[0].path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][:37]


@pytest.fixture
def camera(pictures):
    made = Camera(pictures)
    yield made
    made.close()


def events_of(detector, pictures, numbers):
    """The events of `score`, in numbers of frames."""
    merger, seconds = EventMerger(detector.model.scoring.merge), np.array(numbers) / RATE
    frames = metavad.score(detector, ((pictures[n % len(pictures)], n / RATE) for n in numbers))
    assert list(in_events(frames, merger, seconds))
    return [(round(each.event.start * RATE), round(each.event.end * RATE)) for each in merger.events]


@contextmanager
def watching(camera, folder, *options):
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "metavad", "watch", camera.address, "--fast", "--detector", folder / "detector"]
    command += ["--out", folder / "out", "--name", "lobby", "--no-conditions", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(met: Callable[[], bool], process=None):
    """Wait for it; whatever a machine takes for it, but not for ever."""
    end = time.monotonic() + 120
    while not met():
        assert time.monotonic() < end, "it did not happen"
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.02)


def kept(folder):
    """The events that are kept; none where there is no index yet."""
    if not (folder / "out" / "events.sqlite").exists():
        return []
    with Index(folder / "out") as index:
        return sorted(index.events(), key=lambda stored: stored.event.start)


PARTS = [(0, 20), (32, 84), (95, 156), (190, 221), (233, 306)]
AFTER = [(333, 405), (420, 470)]
"""Frames of each connection: four breaks, a kill at a high score, and one more break."""


def test_commissioned_broken_and_killed_it_finds_each_event_once(camera, pictures, tiny_base, tmp_path):
    camera.parts = [(0, 90, False), (100, 210, False)]
    notes = []
    made = commission(
        tiny_base,
        source_of(camera.address, fast=True),
        tmp_path / "out",
        camera="lobby",
        seconds=19.5,
        shots=3,
        notes=notes.append,
    )
    assert camera.given == 2
    assert sorted(path.name for path in (tmp_path / "out" / "commission").glob("*.mkv")) == ["001.mkv", "002.mkv"]
    assert len(made.detector.shots) + len(made.odd) == 3
    assert made.seconds > 8
    assert [note.text for note in notes if note.kind == "commissioning"][-1] == "commissioning: 20 s of 20 s"
    scores = [each.score for each in metavad.score(made.detector, ((pictures[n % 37], n / 10) for n in range(111)))]
    detector = replace(made.detector, threshold=float(np.quantile(scores, 0.65)))
    metavad.save_detector(tmp_path / "detector", detector)

    camera.parts = [(*part, part == PARTS[-1]) for part in PARTS]
    with watching(camera, tmp_path) as process:
        until(lambda: any(on_camera(tmp_path, pictures, each.start) > 290 for each in begun(tmp_path)), process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    camera.held.set()
    camera.parts = [(*part, False) for part in AFTER]
    with watching(camera, tmp_path) as process:
        until(lambda: any(on_camera(tmp_path, pictures, each.start) > 440 for each in over(tmp_path)), process)
        process.terminate()
        assert process.wait(60) == 143

    stored = kept(tmp_path)
    found = [
        [on_camera(tmp_path, pictures, second) for second in (each.event.start, each.event.end)] for each in stored
    ]
    expected = events_of(detector, pictures, range(470))
    arrived = {number for first, last in [*PARTS, *AFTER] for number in range(first, last)}
    whole = [event for event in expected if set(range(*event)) <= arrived]
    assert len(whole) >= 6
    assert [len(overlapping(found, event)) for event in whole] == [1] * len(whole)
    assert all(overlapping(expected, event) for event in found)
    assert all(each.event.is_over for each in stored)
    by_id = {each.event.id: each for each in stored}
    linked = [each for each in stored if each.event.linked_to]
    assert linked
    assert all(by_id[each.event.linked_to].event.is_cut and each.announced is None for each in linked)
    assert sum(each.announced is not None for each in stored) == len(stored) - len(linked)
    killed = next(each for each, (start, _) in zip(stored, found, strict=True) if 290 < start < 310)
    assert killed.event.is_cut
    assert [each.event.linked_to for each, (start, _) in zip(stored, found, strict=True) if 330 < start < 350] == [
        killed.event.id
    ]
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        assert SECRET.encode() not in path.read_bytes(), path


def test_a_stream_that_comes_back_in_another_coding_or_size_is_watched_on(
    camera, pictures, cameras, tiny_base, tmp_path, monkeypatch
):
    monkeypatch.setattr("metavad.live.reader.BACKOFF", (0.01, 0.02))
    monkeypatch.setattr("metavad.live.sources.OPENING", 300.0)  # on any machine
    monkeypatch.setattr("metavad.live.sources.STALLED", 300.0)
    detector = metavad.adapt(tiny_base, load_suite(str(cameras)).scenes[0], shots=3)
    detector = passed_by(detector, 0.35, [(pictures[number % 37], number / RATE) for number in range(111)])
    camera.parts = [(0, 80, False), (80, 160, False, "mpeg4"), (160, 240, False, "mpeg4", 2), (240, 320, False)]
    session = Session("lobby", "utc", detector.scores_digest, detector.threshold, 1.0, 300.0)
    notes, store = [], EventStore(tmp_path / "out", session, size=pictures[0].shape)

    def note(each):
        notes.append(each)
        if each.kind == "disconnected" and camera.given == 4:
            until(lambda: not watch.health.waiting)
            watch.stop()

    source = source_of(camera.address, fast=True)
    watch = Watch(detector, source, store, tmp_path / "out", camera="lobby", notes=note)
    watch.run()
    store.close()
    health = watch.health
    assert (health.frames, health.refused, health.dropped, health.connections) == (320, 0, 0, 4)
    assert [each.facts["width"] for each in notes if each.kind == "connected"] == [96, 96, 192, 96]
    assert not [each for each in notes if each.level == "error"]
    found = [
        [on_camera(tmp_path, pictures, second) for second in (each.event.start, each.event.end)]
        for each in kept(tmp_path)
    ]
    expected = events_of(detector, pictures, range(320))
    assert len(expected) >= 6
    assert [len(overlapping(found, event)) for event in expected] == [1] * len(expected)


def begun(folder):
    return [each.event for each in kept(folder) if not each.event.is_over]


def over(folder):
    return [each.event for each in kept(folder) if each.event.is_over]


def on_camera(folder, pictures, seconds):
    """The number of the frame of this time; -1 before the camera's clock has been written down."""
    with av.open(io.BytesIO(coded(pictures, 0, 2))) as container:
        first = next(container.decode(video=0)).time
    offset = json.loads((folder / "out" / "state.json").read_text())["offset"]
    return -1 if offset is None else round(RATE * (seconds - offset - first))


def overlapping(events, event):
    return [each for each in events if each[0] <= event[1] and event[0] <= each[1]]
