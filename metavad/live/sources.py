"""Where frames come from: streams, webcams, pipes, files and folders that grow, each as frames with their times.

An address may hold a password. No name, note or error of this module does.
"""

import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from metavad.errors import UsageError, VideoError, printable
from metavad.live.types import Clock
from metavad.scenes.cache import Store, video_facts
from metavad.scenes.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_junk, name_of, natural
from metavad.scenes.scene import Video
from metavad.scenes.video import Picture
from metavad.scenes.video.container import OpenVideo, opened

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["SCHEMES", "FileSource", "FolderSource", "Shown", "Source", "StreamSource", "WebcamSource", "source_of"]

SCHEMES = ("http", "https", "rtmp", "rtsp", "rtsps", "srt", "tcp", "udp")
"""Of addresses that are opened."""
_PROTOCOLS = "crypto,hls,http,httpproxy,https,rtmp,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp"
"""What a stream may lead to: never a file of this machine."""
OPENING, STALLED = 15.0, 10.0
"""Seconds that a stream may take to open, and that one may bring nothing, until it is given up."""
POLL, SETTLED = 0.5, 2.0
"""Seconds between two looks at a folder, and after which a file that no longer changes is whole."""
_PATIENCE = 3.0
"""Seconds without a frame after which what went on is over."""

Taken: TypeAlias = Callable[["Packet[VideoStream]"], None]
"""What is given each packet of a stream that is coded."""


@dataclass(frozen=True)
class Shown:
    """A frame, and its time by the source."""

    picture: Picture
    seconds: float


class Source(Protocol):
    """A camera's frames, one connection after the other."""

    name: str
    """For people; without user, password, or whatever else an address may hide."""
    clock: Clock
    """Of the camera."""
    is_dated: bool
    """The times of frames are on the camera's clock; else on one that may begin anywhere with each connection."""
    is_endless: bool
    """It is opened again where it ends."""
    is_live: bool
    """Frames come whether or not anybody takes them."""
    patience: float
    """Seconds without a frame after which what went on is over."""
    is_coded: bool
    """Whether frames come of packets with times; known once the first one has come."""

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """The frames of one connection, in order of time; raises :class:`VideoError` where it breaks.

        ``taken`` is given the packets of sources that have some.
        """


def source_of(text: str, *, fast: bool = False) -> Source:
    """The source of a command line: an address, ``env:NAME`` that holds one, a webcam's number, ``-``, or a path.

    With ``fast`` every frame is taken and nothing waited for. Raises :class:`UsageError` or :class:`VideoError` for
    what is none.
    """
    if text.startswith("env:"):
        held = os.environ.get(text[4:], "")
        if not held:
            raise UsageError(f"{text}: expected an address in this variable, found none; set {text[4:]}")
        return source_of(held, fast=fast)
    if text == "-":
        return StreamSource("standard input", None, is_live=not fast, is_endless=False)
    if text.isascii() and text.isdigit() and not Path(text).exists():
        return WebcamSource(int(text), is_live=not fast)
    if "://" in text:
        return _stream(text, fast=fast)
    path = Path(text)
    if path.is_dir():
        return FolderSource(path, fast=fast)
    if not path.exists():
        raise VideoError(
            f"{text}: expected an address such as rtsp://, the number of a webcam, - for a pipe, a file or a folder, "
            "found nothing; check it"
        )
    return FileSource(path, fast=fast)


def _stream(address: str, *, fast: bool) -> "StreamSource":
    scheme = address.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise UsageError(
            f"{scheme}://...: expected an address of {', '.join(SCHEMES)}, found another; name a file by its path"
        )
    return StreamSource(_public(address), address, is_live=not fast, is_endless=True)


def _public(address: str) -> str:
    """An address without what it may hide: user, password, its query, and a path that holds settings.

    >>> _public("rtsp://admin:secret@camera:554/live?token=1"), _public("rtsp://camera/user=a&password=b")
    ('rtsp://camera:554/live', 'rtsp://camera/...')
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets that do not fit together
        return f"{address.partition('://')[0]}://..."
    host = parts.netloc.rpartition("@")[2]
    path = "/..." if re.search(r"[=@&;]", parts.path) else parts.path
    return printable(f"{parts.scheme}://{host}{path}")


# --- streams and pipes ---------------------------------------------------------------------------------------


class StreamSource:
    """A stream by its address, or standard input where there is none."""

    clock: Clock = "utc"
    is_dated = False
    patience = _PATIENCE

    def __init__(self, name: str, address: str | None, *, is_live: bool, is_endless: bool) -> None:
        self.name, self._address = name, address
        self.is_live, self.is_endless = is_live, is_endless
        self.is_coded = False
        self._piped: Iterator[Shown] | None = None
        self._taken: Taken | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """Those of one connection; it breaks where their size changes, and where nothing comes for a while.

        A pipe has but one: who asks again gets the frames that are left.
        """
        self._taken = taken
        if self._address is not None:
            yield from self._connection()
            return
        self._piped = self._piped or self._connection()
        for shown in self._piped:  # noqa: UP028 - which would close it with this one
            yield shown

    def _taking(self, packet: "Packet[VideoStream]") -> None:
        if self._taken is not None:
            self._taken(packet)

    def _connection(self) -> Iterator[Shown]:
        with self._opened() as video:
            self.is_coded = video.has_times
            size: tuple[int, int] | None = None
            clock = _clock_of(video, live=self.is_live)
            for frame in video.frames(self._taking):
                if size is not None and (frame.height, frame.width) != size:
                    raise VideoError(f"{self.name}: the pictures change from {_size(size)} to {_shape(frame)}")
                size = frame.height, frame.width
                yield Shown(frame, clock(frame))
            if video.stopped and self._address is not None:
                why = f"nothing came for {STALLED:g} s" if video.timed_out else "the connection broke"
                raise VideoError(f"{self.name}: {why}")
            if size is None:
                raise VideoError(f"{self.name}: expected pictures, found none")

    @contextmanager
    def _opened(self) -> Iterator[OpenVideo]:
        try:
            container = self._container()
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or type(error).__name__).lower()
            raise VideoError(
                f"{self.name}: expected a stream, found what does not open ({printable(reason)})"
            ) from None
        with container:
            streams = [each for each in container.streams.video if each.codec_context is not None]
            if not streams:
                raise VideoError(f"{self.name}: expected pictures, found a stream without any")
            stream = max(streams, key=lambda each: each.width * each.height)
            stream.thread_type = "SLICE"  # threads by frame would hold frames back
            yield OpenVideo(container, stream)

    def _container(self) -> "InputContainer":
        if self._address is None:
            return av.open(sys.stdin.buffer, "r", metadata_errors="ignore")
        options, stalled = {"protocol_whitelist": _PROTOCOLS}, STALLED
        if self._address.lower().startswith("rtsp"):
            options["rtsp_flags"] = "prefer_tcp"  # a packet that is lost smears the picture until the next key frame
            stalled = STALLED / 2  # FFmpeg waits twice before it gives up
        return av.open(self._address, "r", options=options, timeout=(OPENING, stalled), metadata_errors="ignore")


def _clock_of(video: OpenVideo, *, live: bool) -> Callable[[VideoFrame], float]:
    """The time of each frame: its own, or where it has none, a usual frame after the last one.

    Of formats without times it is when the frame comes; of a pipe that waits, by its number.
    """
    number, last = 0, 0.0

    def clock(frame: VideoFrame) -> float:
        nonlocal number, last
        number += 1
        if not video.has_times:
            return time.monotonic() if live else number / video.frame_rate
        own = math.nan if frame.pts is None or frame.time is None else float(frame.time)
        last = last + 1 / video.frame_rate if math.isnan(own) else own
        return last

    return clock


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _shape(frame: VideoFrame) -> str:
    return _size((frame.height, frame.width))


# --- webcams -------------------------------------------------------------------------------------------------


class WebcamSource:
    """A camera of this machine by its number; its frames are dated when they come."""

    clock: Clock = "utc"
    is_dated = False
    is_endless = True
    patience = _PATIENCE

    def __init__(self, number: int, *, is_live: bool = True) -> None:
        self.name, self._number, self.is_live = f"webcam {number}", number, is_live
        self.is_coded = False

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """Red-green-blue pictures, until it is gone."""
        camera = cv2.VideoCapture(self._number)
        try:
            if not camera.isOpened():
                raise VideoError(f"{self.name}: expected a webcam, found none that opens; check its number and cable")
            while True:
                is_there, picture = camera.read()
                if not is_there:
                    raise VideoError(f"{self.name}: it gives no pictures any more")
                yield Shown(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), time.monotonic())
        finally:
            camera.release()


# --- files and folders ---------------------------------------------------------------------------------------


class FileSource:
    """A video file, at its own speed, or as fast as frames are taken; its clock is that of the file."""

    clock: Clock = "file"
    is_dated = True
    is_endless = False
    is_live = False
    patience = float("inf")

    def __init__(self, path: Path, *, fast: bool) -> None:
        self.name, self._path, self._fast, self.is_coded = printable(path), path, fast, False

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """All of them, once."""
        begun = time.monotonic()
        for shown, is_coded in _frames_of(self._path, taken):
            self.is_coded = is_coded
            if not self._fast:
                time.sleep(max(0.0, begun + shown.seconds - time.monotonic()))
            yield shown


def _frames_of(path: Path, taken: Taken | None) -> Iterator[tuple[Shown, bool]]:
    """The frames of a file with the times that ``score`` knows them by, and whether its packets have times."""
    seconds = video_facts(Store(), Video(name_of(path), path)).seconds
    with opened(path) as video:
        for frame, second in zip(video.frames(taken), seconds.tolist(), strict=False):
            yield Shown(frame, second), video.has_times


class FolderSource:
    """A folder into which somebody writes videos, or single pictures, one after the other.

    A video is taken once it no longer changes. It is dated by its time of change, at which it ends; one that begins
    within two seconds of the end of the last goes on from it. A picture is dated by its time of change.
    """

    clock: Clock = "utc"
    is_dated = True
    is_live = False
    patience = 120.0
    JOINED = 2.0

    def __init__(self, path: Path, *, fast: bool) -> None:
        self.name, self._path, self.is_endless = printable(path), path, not fast
        self.is_coded = False
        self._seen: set[str] = set()
        self._end: float | None = None

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """Of the files that were not taken yet, then of those that come; ends where it does not wait for them."""
        while True:
            fresh = self._fresh()
            for path in fresh:
                self._seen.add(path.name)
                yield from self._of(path, taken)
            if not fresh and not self.is_endless:
                return
            if not fresh:
                time.sleep(POLL)

    def _fresh(self) -> list[Path]:
        """Whole files that were not taken yet, in natural order."""
        try:
            with os.scandir(self._path) as entries:
                names = [entry.name for entry in entries if entry.name not in self._seen]
        except OSError as error:
            raise VideoError(f"{self.name}: expected a folder, found {str(error.strerror).lower()}") from None
        paths = [self._path / name for name in sorted(names, key=natural)]
        known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
        return [each for each in paths if each.suffix.lower() in known and not is_junk(each) and self._is_whole(each)]

    def _is_whole(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        return status.st_size > 0 and (not self.is_endless or time.time() - status.st_mtime > SETTLED)

    def _of(self, path: Path, taken: Taken | None) -> Iterator[Shown]:
        changed = path.stat().st_mtime
        if path.suffix.lower() in IMAGE_SUFFIXES:
            picture, self.is_coded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), False
            if picture is not None:
                yield Shown(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), changed)
            return
        with closing(_frames_of(path, taken)) as shown:  # type: ignore[type-var]
            seconds = video_facts(Store(), Video(name_of(path), path)).seconds
            usual = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
            begin = changed - float(seconds[-1]) - usual
            if self._end is not None and abs(begin - self._end) < self.JOINED:
                begin = self._end
            self._end = begin + float(seconds[-1]) + usual
            for each, is_coded in shown:
                self.is_coded = is_coded
                yield Shown(each.picture, begin + each.seconds)
