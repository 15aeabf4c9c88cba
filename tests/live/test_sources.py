"""Where frames come from, when they were taken, and what is dropped: without a model."""

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from metavad.errors import FootageWarning, UsageError, VideoError
from metavad.live.health import Health, serve_metrics
from metavad.live.reader import LEAST, Backlog, Ended, Reader, Taken
from metavad.live.sources import FileSource, FolderSource, LeftOutError, Shown, StreamSource, WebcamSource, source_of
from metavad.live.timeline import Timeline
from metavad.scenes.video import Playback
from tests.footage import blanked, number_of, numbered, write_video

ROOT = Path(__file__).parents[2]


# --- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://admin:hunter2@camera:554/live/1", "rtsp://camera:554/live/1"),
        ("http://camera/video?user=admin&password=hunter2", "http://camera/video"),
        ("rtsp://camera/user=admin&password=hunter2&channel=1.sdp", "rtsp://camera/..."),
        ("rtsp://ad@min:hun@ter2@camera/x", "rtsp://camera/x"),
        ("http://hunter2@[::1]:80/x#hunter2", "http://[::1]:80/x"),
        ("http://[hunter2/", "http://..."),
        ("rtsp://admin:hunter2#more@camera/x", "rtsp://..."),
        ("rtsp://admin:hunter2/more@camera/x", "rtsp://..."),
        ("rtsp://admin:hunter2?more@camera/x", "rtsp://..."),
    ],
)
def test_no_name_has_what_an_address_hides(address, name, monkeypatch):
    monkeypatch.setenv("CAMERA", address)
    for source in (source_of(address), source_of("env:CAMERA")):
        assert source.name == name
        assert "hunter2" not in repr(source)


def test_no_error_of_a_stream_has_what_its_address_hides():
    source = source_of("http://admin:hunter2@127.0.0.1:9/x?token=hunter2")
    with pytest.raises(VideoError) as caught:
        list(source.frames())
    assert str(caught.value).startswith("http://127.0.0.1:9/x: expected a stream, found what does not open")
    assert "hunter2" not in f"{caught.value!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("ftp://u:hunter2@h/x", UsageError, "ftp://...: expected an address of http, https"),
        ("env:NO_SUCH_CAMERA", UsageError, "env:NO_SUCH_CAMERA: expected an address in this variable, found none"),
        ("nothing.mp4", VideoError, "nothing.mp4: expected an address such as rtsp://"),
    ],
)
def test_what_is_no_source_is_an_error_of_one_line(text, error, message):
    with pytest.raises(error) as caught:
        source_of(text)
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


def test_each_kind_of_source_is_known_by_its_text(tmp_path):
    write_video(tmp_path / "a.mp4", [0])
    kinds = {"0": WebcamSource, "-": StreamSource, "udp://h:1": StreamSource, str(tmp_path): FolderSource}
    kinds[str(tmp_path / "a.mp4")] = FileSource
    assert {text: type(source_of(text)) for text in kinds} == kinds
    assert [source_of(text).is_live for text in kinds] == [True, True, True, False, False]
    assert [source_of(text, fast=True).is_live for text in kinds] == [False] * 5
    assert [source_of(text, fast=True).is_endless for text in kinds] == [True, False, True, False, False]


def test_there_is_no_webcam_here():
    with pytest.raises(VideoError, match=r"webcam 77: expected a webcam, found none that opens"):
        list(WebcamSource(77).frames())


# --- frames --------------------------------------------------------------------------------------------------


def numbers_of(shown):
    return [(number_of(each.picture.to_ndarray(format="gray")), round(each.seconds, 3)) for each in shown]


def test_a_file_gives_its_frames_at_its_own_speed_or_fast(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", range(6), fps=10)
    slept = []
    monkeypatch.setattr("metavad.live.sources.time.sleep", slept.append)
    monkeypatch.setattr("metavad.live.sources.time.monotonic", lambda: 7.0)
    expected = [(n, n / 10) for n in range(6)]
    assert numbers_of(FileSource(path, fast=True).frames()) == expected
    assert slept == []
    assert numbers_of(FileSource(path, fast=False).frames()) == expected
    np.testing.assert_allclose(slept, np.arange(6) / 10, atol=1e-6)


def test_a_folder_that_grows_gives_one_file_after_the_other_on_one_clock(tmp_path, monkeypatch):
    for number, (first, changed) in enumerate([(0, 1000.0), (5, 1000.6), (10, 2000.0)]):
        path = write_video(tmp_path / f"{number}.mp4", range(first, first + 5), fps=10)
        os.utime(path, (changed, changed))
    (tmp_path / "notes.txt").write_text("no video")
    source = FolderSource(tmp_path, fast=True)
    found = numbers_of(source.frames())
    assert [number for number, _ in found] == list(range(15))
    times = np.array([seconds for _, seconds in found])
    np.testing.assert_allclose(np.diff(times)[:9], 0.1, atol=1e-3)
    np.testing.assert_allclose(times[[0, 9, 14]], [999.5, 1000.4, 1999.9], atol=1e-3)
    assert list(source.frames()) == []
    write_video(tmp_path / "damaged.mp4", [1])
    (tmp_path / "damaged.mp4").write_bytes(b"no video at all")
    with pytest.raises(VideoError):
        list(source.frames())
    path = write_video(tmp_path / "later.mp4", [20])
    assert [number for number, _ in numbers_of(source.frames())] == [20]


def test_a_file_with_damage_gives_the_pictures_and_times_of_score(tmp_path):
    """A frame that does not decode shows as the one before it: what comes after it is not early."""
    path = blanked(write_video(tmp_path / "a.mov", range(40), codec="mjpeg"), (10, 11, 12))
    with pytest.warns(FootageWarning, match="3 of 40 frames do not decode"):
        found = numbers_of(FileSource(path, fast=True).frames())
    assert found == [(9 if number in (10, 11, 12) else number, number / 10) for number in range(40)]


def dated(path, seconds):
    os.utime(path, (seconds, seconds))
    return path


def test_a_name_that_is_used_again_is_another_file_and_what_is_gone_is_forgotten(tmp_path):
    source = FolderSource(tmp_path, fast=True)
    for lap in range(3):
        for number in range(2):
            first = 10 * lap + 5 * number
            path = write_video(tmp_path / f"seg{number}.mp4", range(first, first + 5), fps=10)
            dated(path, 1000.0 + 100 * lap + 10 * number)
        found = numbers_of(source.frames())
        assert [number for number, _ in found] == list(range(10 * lap, 10 * lap + 10))
        assert found[-1][1] == pytest.approx(1009.9 + 100 * lap)
    (tmp_path / "seg0.mp4").unlink()
    assert numbers_of(source.frames()) == []
    assert list(source._seen) == ["seg1.mp4"]
    (tmp_path / "seg1.mp4").rename(tmp_path.parent / "away.mp4")  # as where a disk is away for a while
    assert numbers_of(source.frames()) == []
    (tmp_path.parent / "away.mp4").rename(tmp_path / "seg1.mp4")
    assert numbers_of(source.frames()) == []


def test_a_file_that_changes_before_it_is_read_is_dated_by_its_new_time(tmp_path):
    for number in range(2):
        dated(write_video(tmp_path / f"{number}.mp4", [number], fps=10), 1000.0 + 10 * number)
    frames = FolderSource(tmp_path, fast=True).frames()
    assert numbers_of([next(frames)]) == [(0, 1000.0)]
    dated(write_video(tmp_path / "1.mp4", [7], fps=10), 5000.0)
    assert numbers_of(frames) == [(7, 5000.0)]


@pytest.mark.parametrize("fast", [True, False])
def test_files_are_taken_as_they_changed_and_what_is_known_is_not_read_again(tmp_path, fast):
    for number, changed in ((0, 3000.0), (1, 1000.0), (2, 2000.0)):
        dated(write_video(tmp_path / f"{number}.mp4", [number], fps=10), changed)
    frames = FolderSource(tmp_path, fast=fast).frames()
    assert numbers_of(next(frames) for _ in range(3)) == [(1, 1000.0), (2, 2000.0), (0, 3000.0)]
    again = FolderSource(tmp_path, fast=False)
    again.since = 2002.5
    assert numbers_of([next(again.frames())]) == [(0, 3000.0)]


def test_copies_go_on_from_each_other_and_one_among_files_that_come_is_left_out(tmp_path):
    """Their time of change is that of the copy."""
    for number, name in enumerate(("1", "10", "2")):  # as they are copied
        first = {"1": 10, "2": 20, "10": 30}[name]
        dated(write_video(tmp_path / f"{name}.mp4", [first] * 50, fps=10), 1000.0 + number / 10)
    with pytest.warns(FootageWarning, match=r"10\.mp4: expected a time of change .*the order of their names") as warned:
        found = numbers_of(FolderSource(tmp_path, fast=True).frames())
    assert len(warned) == 1
    assert [number for number, _ in found] == [10] * 50 + [20] * 50 + [30] * 50
    np.testing.assert_allclose([seconds for _, seconds in found], 1000.2 - 15 + np.arange(150) / 10, atol=1e-3)
    source = FolderSource(tmp_path, fast=False)
    for name in ("10", "2"):
        with pytest.raises(LeftOutError, match=rf"{name}\.mp4: expected a time of change .*it is left out\. .*cp -p"):
            list(source.frames())


@pytest.mark.parametrize("fast", [True, False])
def test_a_file_that_was_not_read_to_its_end_is_read_again(tmp_path, fast):
    """Commissioning takes the first minutes of it, watching the others."""
    for number in range(2):
        dated(write_video(tmp_path / f"{number}.mp4", range(10 * number, 10 * number + 10), fps=10), 1001.0 + number)
    source = FolderSource(tmp_path, fast=fast)
    first = source.frames()
    assert numbers_of(next(first) for _ in range(13))[-1] == (12, 1001.2)
    first.close()
    again = source.frames()
    assert numbers_of(next(again) for _ in range(10)) == [(10 + n, round(1001 + n / 10, 3)) for n in range(10)]


def test_a_file_that_has_grown_keeps_its_begin(tmp_path):
    """A recorder that writes now and then; what is known of it already is refused by its times."""
    source = FolderSource(tmp_path, fast=False)
    dated(write_video(tmp_path / "0.mp4", [3] * 40, fps=10), 1004.0)
    frames = source.frames()
    assert next(frames).seconds == pytest.approx(1000.0)
    assert len([next(frames) for _ in range(39)]) == 39
    dated(write_video(tmp_path / "0.mp4", [*range(50)], fps=10), 1006.5)
    assert next(frames).seconds == pytest.approx(1000.0)


def test_what_does_not_open_is_named_and_left_out_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.live.reader.BACKOFF", (600.0, 600.0))
    (tmp_path / "0.png").write_bytes(b"no picture")
    (tmp_path / "1.mp4").write_bytes(b"no video")
    (tmp_path / "2.jpg").mkdir()
    cv2.imwrite(str(tmp_path / "3.png"), numbered(7))
    for number, name in enumerate(("0.png", "1.mp4", "3.png")):
        dated(tmp_path / name, 1000.0 + number)
    health, notes = Health("x"), []
    backlog = Backlog(is_live=False, health=health)
    line = Timeline(is_dated=True, is_paced=False)
    reader = Reader(FolderSource(tmp_path, fast=True), backlog, line, health, notes.append)
    reader.start()
    items = [backlog.take(60), backlog.take(60)]
    reader.stop()
    assert [getattr(each, "seconds", each) for each in items] == [1002.0, Ended(None)]
    assert [note.kind for note in notes] == ["left_out", "left_out", "connected"]
    assert "0.png: expected a picture, found what does not open; it is left out" in notes[0].text
    assert health.breaks == 1


def test_a_file_that_breaks_while_it_is_read_is_left_out(tmp_path, monkeypatch):
    for number in range(2):
        dated(write_video(tmp_path / f"{number}.mp4", [number] * 5, fps=10), 1000.0 + 10 * number)
    whole = Playback.frames

    def cut(playback, taken=None):
        frames = whole(playback, taken)
        if playback._path.name == "0.mp4":
            yield next(frames)
            raise VideoError("0.mp4: expected frame 1, found none; did the file change?")
        yield from frames

    monkeypatch.setattr(Playback, "frames", cut)
    source, found = FolderSource(tmp_path, fast=True), []
    with pytest.raises(LeftOutError, match="expected frame 1, found none"):
        found += source.frames()
    assert [number for number, _ in numbers_of(source.frames())] == [1] * 5


def test_a_file_that_grows_where_none_is_waited_for_is_taken_once(tmp_path):
    path = dated(write_video(tmp_path / "0.mp4", [3] * 5, fps=10), 1000.0)
    frames = FolderSource(tmp_path, fast=True).frames()
    first = next(frames)
    dated(write_video(path, [3] * 9, fps=10), 2000.0)
    assert len([first, *frames]) <= 9


def test_a_file_that_may_not_be_read_is_left_out(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "0.png"), numbered(3))
    source = FolderSource(tmp_path, fast=True)

    def refuse(path, dtype):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("metavad.live.sources.np.fromfile", refuse)
    with pytest.raises(LeftOutError, match=r"0\.png: expected a picture, found permission denied"):
        list(source.frames())
    assert list(source.frames()) == []


def test_a_folder_waits_twice_as_long_as_its_videos_last(tmp_path):
    write_video(tmp_path / "0.mp4", [3] * 200, fps=1)
    source = FolderSource(tmp_path, fast=True)
    assert source.patience == 120
    list(source.frames())
    assert source.patience == pytest.approx(400)


def test_a_folder_waits_for_files_that_are_still_written(tmp_path):
    source = FolderSource(tmp_path, fast=False)
    path = write_video(tmp_path / "0.mp4", [3])
    frames, given = source.frames(), []
    thread = threading.Thread(target=lambda: given.append(next(frames)))
    thread.start()
    thread.join(1.0)
    assert thread.is_alive()  # it may change yet
    os.utime(path, (1000.0, 1000.0))
    thread.join(60)
    assert [number for number, _ in numbers_of(given)] == [3]


def test_a_pipe_goes_on_for_whoever_asks_again(tmp_path):
    """Commissioning takes the first frames of it, watching the others; also of a coding without times."""
    path = write_video(tmp_path / "a.mkv", range(20), fps=10)
    program = (
        "from metavad.live.sources import source_of\n"
        "source = source_of('-', fast=True)\n"
        "first = source.frames()\n"
        "print([next(first).seconds for _ in range(5)])\n"
        "first.close()\n"
        "print([round(each.seconds, 3) for each in source.frames()])\n"
    )
    with path.open("rb") as file:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str([n / 10 for n in range(5)]), str([n / 10 for n in range(5, 20)])]


# --- streams -------------------------------------------------------------------------------------------------


class Answers:
    """An address on this machine that answers with these bytes, once each; a float is a wait of so many seconds."""

    def __init__(self, kind, *answers):
        left, self.is_over = list(answers), threading.Event()
        over = self.is_over

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                for part in left.pop(0):
                    if isinstance(part, float):
                        over.wait(part)
                    else:
                        self.wfile.write(part)
                        self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://u:hunter2@127.0.0.1:{self.server.server_port}/x"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.server.shutdown()
        self.server.server_close()


def read(source):
    """The frames of one connection, and what broke it."""
    found = []
    try:
        found += source.frames()
    except VideoError as error:
        return found, str(error)
    return found, None


WAITING = """
import sys, threading, time
from metavad.live.sources import StreamSource
source = StreamSource("standard input", None, is_live=True, is_endless=False)
threading.Thread(target=lambda: list(source.frames()), daemon=True).start()
time.sleep(0.5)
print("over")
"""


def test_a_pipe_from_which_nothing_comes_does_not_keep_the_process_from_its_end():
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.wait(60) == 0
        assert process.stdout.read() == b"over\n"
        assert process.stderr.read() == b""


@pytest.mark.parametrize("scheme", ["rtsp", "RTSPS", "http"])
def test_rtsp_asks_for_tcp_first_and_a_stall_takes_no_longer_than_elsewhere(scheme, monkeypatch):
    asked = []

    def refuse(address, mode, *, options, timeout, **_):
        asked.append((options.get("rtsp_flags"), timeout))
        raise ValueError

    monkeypatch.setattr("metavad.live.sources.av.open", refuse)
    with pytest.raises(VideoError):
        list(source_of(f"{scheme}://u:hunter2@camera/x").frames())
    assert asked == [(None, (15.0, 10.0)) if scheme == "http" else ("prefer_tcp", (15.0, 5.0))]


def test_motion_jpeg_is_dated_when_it_comes():
    jpegs = [cv2.imencode(".jpg", numbered(n))[1].tobytes() for n in range(40)]
    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    parts = [part for each in jpegs for part in (head % len(each) + each + b"\r\n", 0.03)]
    with Answers("multipart/x-mixed-replace; boundary=frame", parts) as camera:
        source = source_of(camera.address)
        found, _ = read(source)
    assert [number for number, _ in numbers_of(found)][:35] == list(range(35))
    times = [each.seconds for each in found]
    assert times == sorted(times)
    assert time.monotonic() - 60 < times[0] <= times[-1] <= time.monotonic()
    assert source.is_coded is False


def test_a_stream_that_stalls_breaks_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.live.sources.STALLED", 1.0)
    content = write_video(tmp_path / "a.ts", range(30), options={"tune": "zerolatency", "g": "5"}).read_bytes()
    with Answers("video/mp2t", [content, 30.0]) as camera:
        found, error = read(source_of(camera.address))
    assert [number for number, _ in numbers_of(found)][:25] == list(range(25))
    assert "nothing came for" in error
    assert "hunter2" not in error


def test_pictures_that_change_their_size_are_another_connection(tmp_path):
    options = {"tune": "zerolatency", "g": "5"}
    small = write_video(tmp_path / "a.ts", range(10), options=options).read_bytes()
    large = write_video(tmp_path / "b.ts", range(10, 20), options=options, size=(64, 128)).read_bytes()
    with Answers("video/mp2t", [small + large], [large]) as camera:
        source = source_of(camera.address)
        found, error = read(source)
        again, _ = read(source)
    assert [number for number, _ in numbers_of(found)] == list(range(10))
    assert error.endswith("the pictures change from 64x32 to 128x64")
    assert {(each.picture.height, each.picture.width) for each in again} == {(64, 128)}


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100, b"#EXTM3U\nfile:///etc/passwd\n"])
def test_what_is_no_stream_breaks(content):
    with Answers("video/mp2t", [content]) as camera:
        found, error = read(source_of(camera.address))
    assert found == []
    assert error.startswith("http://127.0.0.1:")
    assert "hunter2" not in error


# --- the camera's clock --------------------------------------------------------------------------------------


class Wall:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def test_the_stream_s_clock_dates_frames_and_goes_on_over_a_break():
    wall = Wall(5000.0)
    line = Timeline(is_dated=False, is_paced=True, now=wall)
    assert [line.seconds(each) for each in (10.0, 10.1)] == [5000.0, 5000.1]
    wall.now = 5000.9  # a frame that was late
    assert line.seconds(10.2) == pytest.approx(5000.2)
    wall.now = 5031.0  # half a minute without frames
    assert line.seconds(40.0) == pytest.approx(5030.0)


def test_a_stream_whose_clock_starts_over_or_jumps_is_dated_anew_and_never_back():
    wall = Wall(5000.0)
    line = Timeline(is_dated=False, is_paced=True, now=wall)
    line.seconds(10.0)
    wall.now = 5010.0
    assert line.seconds(0.0) == 5010.0
    wall.now = 5020.0
    assert line.seconds(90_000.0) == 5020.0
    wall.now = 4000.0  # somebody has set this machine's clock back
    assert line.seconds(0.0) > 5020.0


def test_a_stream_that_has_drifted_a_minute_behind_is_dated_anew_after_a_break():
    wall = Wall(5000.0)
    line = Timeline(is_dated=False, is_paced=True, now=wall)
    line.seconds(0.0)
    for number in range(1, 71):
        wall.now = 5000.0 + 11.0 * number
        assert line.seconds(10.0 * number) == (5000.0 + 10.0 * number if number < 61 else wall.now), number
        if number >= 61:
            break


def test_a_restart_goes_on_with_the_clock_that_it_had():
    wall = Wall(5000.0)
    line = Timeline(is_dated=False, is_paced=True, now=wall)
    line.seconds(10.0)
    again = Timeline(is_dated=False, is_paced=True, now=Wall(5007.0))
    again.resume(line.offset, 5000.0, 5000.0)
    assert again.seconds(17.5) == pytest.approx(5007.5)
    dated = Timeline(is_dated=True, is_paced=False, now=Wall(5007.0))
    dated.resume(None, 3.0, 5000.0)
    assert dated.seconds(3.5) == 3.5


@pytest.mark.parametrize("after", [[0.1, 0.1, 0.1], [], [VideoError("given: gone")]])
def test_frames_that_waited_while_a_stream_was_opened_are_dated_by_the_last_of_them(after, monkeypatch):
    """Two seconds come at once; then each when it is taken, or none."""
    clock = Wall(0.0)

    class Burst(StreamSource):
        def frames(self, taken=None):
            for number in [0, *range(20)]:
                yield Shown(numbered(number), 7.0 + number / 10)
            for number, each in enumerate(after, 20):
                if isinstance(each, VideoError):
                    raise each
                clock.now += each
                yield Shown(numbered(number), 7.0 + number / 10)

    monkeypatch.setattr("metavad.live.reader.time.monotonic", clock)
    source = Burst("given", "rtsp://camera", is_live=True, is_endless=False)
    health, line = Health("x"), Timeline(is_dated=False, is_paced=True, now=lambda: 5000.0 + clock.now)
    backlog = Backlog(is_live=False, health=health)
    reader = Reader(source, backlog, line, health, [].append)
    reader.start()
    items = []
    while not items or not isinstance(items[-1], Ended):
        items.append(backlog.take(60))
    reader.stop()
    taken = [each.seconds for each in items[:-1]]
    np.testing.assert_allclose(taken[:2], 4998.1, atol=1e-6)
    np.testing.assert_allclose(np.diff(taken[1:]), 0.1, atol=1e-6)
    assert len(taken) == 21 + (len(after) if len(after) == 3 else 0)
    assert (items[-1].error is None) == (len(after) != 1)
    assert health.connections == 1


def test_a_stream_as_fast_as_it_is_taken_is_trusted():
    line = Timeline(is_dated=False, is_paced=False, now=Wall(5000.0))
    assert [line.seconds(each) for each in (0.0, 100.0, 95.0, 7200.0)] == [5000.0, 5100.0, 5095.0, 12200.0]
    assert line.seconds(0.0) == pytest.approx(12201.5)


# --- frames that wait ----------------------------------------------------------------------------------------


def frame(seconds):
    return Taken(np.zeros((2, 2), np.uint8), seconds, 0.0)


def test_a_live_backlog_thins_frames_and_then_drops_them():
    health = Health("lobby")
    backlog = Backlog(is_live=True, health=health)
    times = [n / 25 for n in range(600)]
    for seconds in times:
        backlog.put(frame(seconds))
    kept = np.array([backlog.take(0).seconds for _ in range(health.waiting)])
    edges = [edge for edge, _ in LEAST]
    apart = np.diff(kept)
    assert apart[kept[1:] < edges[0]].max() == pytest.approx(0.04)
    assert 0.095 <= apart[(kept[1:] > edges[0] + 0.2) & (kept[1:] < edges[1])].min() < 0.13
    assert 0.4 <= apart[kept[1:] > edges[1] + 0.5].min() < 0.45
    assert edges[2] <= kept[-1] < edges[2] + 0.5
    assert health.dropped == len(times) - len(kept)
    assert backlog.take(0) is None
    backlog.put(frame(30.0))
    assert backlog.take(0).seconds == 30.0


def test_a_backlog_of_a_source_that_waits_drops_nothing():
    health = Health("lobby")
    backlog, times = Backlog(is_live=False, health=health), [float(n) for n in range(200)]

    def bring():
        for seconds in times:
            backlog.put(frame(seconds))
        backlog.put(Ended(None))

    thread = threading.Thread(target=bring)
    thread.start()
    found = [backlog.take(10) for _ in range(201)]
    thread.join()
    assert [each.seconds for each in found[:-1]] == times
    assert found[-1] == Ended(None)
    assert health.dropped == 0
    for seconds in times[:32]:
        backlog.put(frame(seconds))
    backlog.close()
    backlog.put(frame(99.0))  # whoever waits goes on once it is over


# --- metrics -------------------------------------------------------------------------------------------------


def test_metrics_are_served_and_are_those_of_the_page():
    health = Health("lobby", frames=7, is_connected=True)
    for seconds in (0.2, 1.2, 99.0):
        health.delayed(seconds)
    end, port = serve_metrics(health, "0")
    try:
        page = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        with pytest.raises(UsageError, match=f"--metrics {port}: expected a free port, found none"):
            serve_metrics(health, str(port))
    finally:
        end()
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels == {"camera": "lobby"}
    }
    assert (values["metavad_frames_total"], values["metavad_connected"]) == (7, 1)
    assert (values["metavad_delay_seconds_count"], values["metavad_delay_seconds_sum"]) == (3, pytest.approx(100.4))
    text = (ROOT / "docs" / "how-to" / "watch-a-camera.md").read_text(encoding="utf-8")
    named = {name for name in values if "delay" not in name and "start_" not in name}
    assert [name for name in named if f"`{name}`" not in text] == []


@pytest.mark.parametrize("address", ["x", "", "1:2:x", "99999"])
def test_metrics_want_a_port(address):
    with pytest.raises(UsageError, match="expected a port, or HOST:PORT"):
        serve_metrics(Health("lobby"), address)
