"""Files are opened as files, never as addresses or lists of others, and the stream is the one that players take."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from av.stream import Disposition

from metavad.errors import FootageWarning, VideoError
from metavad.scenes.scene import Video
from metavad.scenes.video import probe, read_frames
from metavad.scenes.video.container import OpenVideo
from tests.footage import number_of, numbered, write_image, write_video


def numbers(path: Path) -> list[int]:
    return [number_of(frame.image) for frame in read_frames(Video("v", path), short_side=None)]


# --- names ---------------------------------------------------------------------------------------------------

NAMES = [
    "2024-05-17T10:30:00.mp4",
    "a%03d.mp4",
    "a%d.mp4",
    "b?[1]*{x,y}.mp4",
    "concat:a.mp4|b.mp4",
    "data:,x.mp4",
    "file:a.mp4",
    "http:",
    "-i.mp4",
    "pipe:0",
    "subfile,,start,0,end,9,,:a.mp4",
    "tcp:a.mp4",
    "ü\udcff.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name_whatever_it_looks_like(tmp_path, monkeypatch, name):
    made = write_video(tmp_path / "plain.mp4", range(6))
    try:
        shutil.copy(made, tmp_path / name)
    except (OSError, UnicodeEncodeError):
        pytest.skip("no such names here")
    monkeypatch.chdir(tmp_path)
    assert numbers(Path(name)) == list(range(6))
    assert numbers(tmp_path / name) == list(range(6))


class Listener:
    """A server on this machine that takes every connection and counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self.asked += 1
                caller.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()


def test_a_folder_called_http_is_a_folder(tmp_path, monkeypatch, listener):
    place = Path("http:") / f"127.0.0.1:{listener.port}" / "a.mp4"
    monkeypatch.chdir(tmp_path)
    made = write_video(tmp_path / "made.mp4", range(4))
    (tmp_path / place).parent.mkdir(parents=True)
    shutil.copy(made, tmp_path / place)
    assert numbers(place) == list(range(4))
    assert listener.asked == 0


LISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "marked.m3u": "\ufeff#EXTM3U\n#EXTINF:1.0,\n{target}\n",
    "script.txt": "ffconcat version 1.0\nfile '{target}'\n",
    "script.ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "list.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet'
    '><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>',
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("far", [False, True])
def test_a_list_of_other_files_is_refused_and_not_followed(tmp_path, listener, name, far):
    write_video(tmp_path / "other.ts", range(4))
    target = f"http://127.0.0.1:{listener.port}/other.ts" if far else "other.ts"
    (tmp_path / name).write_text(LISTS[name].format(target=target), encoding="utf-8")
    with pytest.raises(VideoError, match="a list that points at other files; name the videos themselves") as caught:
        probe(Video("v", tmp_path / name))
    assert "\n" not in str(caught.value)
    assert listener.asked == 0


@pytest.mark.parametrize(("name", "read"), [("list.m3u8", 4), ("script.txt", 4)])
def test_what_is_refused_would_have_been_followed(tmp_path, name, read):
    """The tests themselves: without our refusal, these lists lead to the other file."""
    write_video(tmp_path / "other.ts", range(4))
    (tmp_path / name).write_text(LISTS[name].format(target="other.ts"))
    with av.open(str(tmp_path / name)) as container:
        assert sum(1 for _ in container.decode(video=0)) == read


def test_a_picture_whose_name_is_a_pattern_stands_for_no_others(tmp_path):
    for number in range(3):
        write_image(tmp_path / f"{number}.jpg", numbered(number))
    pattern = write_image(tmp_path / "whole.jpg", numbered(7)).rename(tmp_path / "%d.jpg")
    with pytest.raises(VideoError, match="a single picture; name the folder"):
        probe(Video("v", pattern))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="what is no file"):
        probe(Video("v", tmp_path / "pipe.mp4"))


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="the superuser may read anything")
def test_a_file_that_may_not_be_read_is_one_line(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(3))
    path.chmod(0)
    with pytest.raises(VideoError, match="permission denied"):
        probe(Video("v", path))


# --- streams -------------------------------------------------------------------------------------------------

SMALL, LARGE = (32, 64), (64, 128)


def several(path: Path, *streams: tuple[tuple[int, int], list[int], Disposition | None]) -> Path:
    """A file of several streams: size, numbers of its pictures, what it is."""
    with av.open(str(path), "w") as container:
        made = []
        for (height, width), _, disposition in streams:
            still = disposition is not None
            stream = container.add_stream("mjpeg" if still else "libx264", rate=10)
            stream.height, stream.width = height, width
            stream.pix_fmt = "yuvj420p" if still else "yuv420p"
            if disposition:
                stream.disposition = disposition
            made.append(stream)
        for stream, (size, shown, _) in zip(made, streams, strict=True):
            for place, number in enumerate(shown):
                frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="gray")
                frame.pts, frame.time_base = place, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


SHOWN, OTHER = list(range(12)), list(range(100, 112))


def with_cover_first(path: Path) -> Path:
    """What programs that write covers make of an .mp4: the box with the cover stands before those of the streams."""
    data = path.read_bytes()
    start = data.index(b"moov") - 4
    end, at, boxes = start + int.from_bytes(data[start : start + 4], "big"), start + 8, []
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append(data[at : at + size])
        at += size
    boxes.sort(key=lambda box: box[4:8] != b"udta")
    path.write_bytes(data[: start + 8] + b"".join(boxes) + data[end:])
    return path


def test_a_cover_is_no_video(tmp_path):
    path = several(tmp_path / "a.mp4", (SMALL, SHOWN, None), ((320, 640), OTHER[:1], Disposition.attached_pic))
    assert numbers(path) == SHOWN
    assert numbers(with_cover_first(path)) == SHOWN
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic
    facts = probe(Video("v", path))
    assert (facts.frames, facts.height, facts.width) == (12, *SMALL)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_a_still_that_is_not_marked_as_one_is_no_video_either(tmp_path, name):
    path = several(tmp_path / name, ((320, 640), OTHER[:1], Disposition(0)), (SMALL, SHOWN, None))
    assert numbers(path) == SHOWN


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("first", [True, False])
def test_of_two_videos_the_larger_is_read_and_reported(tmp_path, name, first):
    large, small = (LARGE, SHOWN, None), (SMALL, OTHER, None)
    path = several(tmp_path / name, *((large, small) if first else (small, large)))
    with pytest.warns(FootageWarning, match=rf"a\.\w+: holds 2 videos .*; the one of stream {int(not first)} is read"):
        facts = probe(Video("v", path))
    assert (facts.height, facts.width) == LARGE
    assert numbers(path) == SHOWN


def test_of_two_videos_of_one_size_the_longer_is_read(tmp_path):
    path = several(tmp_path / "a.mkv", (SMALL, OTHER[:5], None), (SMALL, SHOWN, None))
    with pytest.warns(FootageWarning, match="holds 2 videos"):
        assert probe(Video("v", path)).frames == 12


def test_sound_with_a_cover_has_no_video(tmp_path):
    path = several(tmp_path / "a.mp4", (SMALL, OTHER[:1], Disposition.attached_pic))
    with pytest.raises(VideoError, match="no pictures but a cover"):
        probe(Video("v", path))


def test_pictures_in_an_unknown_coding_are_one_line(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(4))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match="a coding that is not known; convert it first"):
        probe(Video("v", path))


class Growing:
    """A file in which another stream comes up on the way, as PyAV reads it: at its end it stumbles over that."""

    def demux(self, streams):
        yield from (SimpleNamespace(size=size) for size in (3, 0, 5))
        raise IndexError("list index out of range")


def test_streams_that_come_up_on_the_way_end_nothing():
    file = OpenVideo(Growing(), None)
    assert [packet.size for packet in file.packets()] == [3, 5]
    assert (file.packets_read, file.stopped) == (2, False)
