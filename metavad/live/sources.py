"""Where frames come from: streams, webcams, pipes, files and folders that grow, each as frames with their times.

An address may hold a password. No name, note or error of this module does.
"""

import errno
import math
import os
import re
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from metavad.errors import FootageWarning, UsageError, VideoError, printable
from metavad.live.types import Clock
from metavad.scenes.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_junk, natural
from metavad.scenes.video import Picture, Playback
from metavad.scenes.video.container import OpenVideo
from metavad.types import ByteArray, FloatArray

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = [
    "SCHEMES",
    "FileSource",
    "FolderSource",
    "LeftOutError",
    "Shown",
    "Source",
    "StreamSource",
    "WebcamSource",
    "source_of",
]

SCHEMES = ("http", "https", "rtmp", "rtsp", "rtsps", "srt", "tcp", "udp")
"""Of addresses that are opened."""
_PROTOCOLS = "crypto,hls,http,httpproxy,https,rtmp,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp"
"""What a stream may lead to: never a file of this machine."""
OPENING, STALLED = 15.0, 10.0
"""Seconds that a stream may take to open, and that one may bring nothing, until it is given up."""
POLL, SETTLED = 0.5, 2.0
"""Seconds between two looks at a folder, and after which a file that no longer changes is whole."""
LOOKING = 0.1
"""Of the time, at most so much goes into looking at a folder, however many files lie there."""
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
    """Seconds without a frame after which what went on is over; it may change with what has come."""
    since: float
    """Seconds up to which frames are known already: a source whose frames are dated may leave them out."""
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
    >>> _public("rtsp://admin:half#other@camera/live")
    'rtsp://...'
    """
    nothing = f"{address.partition('://')[0]}://..."
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets that do not fit together
        return nothing
    if "@" in address.partition("://")[2].removeprefix(parts.netloc):  # a password with a sign that ends the host
        return nothing
    host = parts.netloc.rpartition("@")[2]
    path = "/..." if re.search(r"[=@&;]", parts.path) else parts.path
    return printable(f"{parts.scheme}://{host}{path}")


# --- streams and pipes ---------------------------------------------------------------------------------------


class StreamSource:
    """A stream by its address, or standard input where there is none."""

    clock: Clock = "utc"
    is_dated = False
    patience = _PATIENCE
    since = -math.inf

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
            if sys.stdin is None:
                raise OSError(errno.EBADF, "it is closed")
            # A buffer has a lock: held by a reader that waits, it would abort the interpreter's end.
            return av.open(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer), "r", metadata_errors="ignore")
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
    since = -math.inf

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
    patience = math.inf
    since = -math.inf

    def __init__(self, path: Path, *, fast: bool) -> None:
        self.name, self._path, self._fast, self.is_coded = printable(path), path, fast, False

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """All of them, once, at the times that ``score`` knows them by."""
        begun, playback = time.monotonic(), Playback(self._path)
        for seconds, frame in playback.frames(taken):
            self.is_coded = playback.has_times
            if not self._fast:
                time.sleep(max(0.0, begun + seconds - time.monotonic()))
            yield Shown(frame, seconds)


class LeftOutError(VideoError):
    """One file of a folder is left out; whoever asks again gets those after it."""


class FolderSource:
    """A folder into which somebody writes videos, or single pictures, one after the other.

    A file is taken once it no longer changes, in the order of these times; a name that is used again is another file. A
    video is dated by its time of change, at which it ends; one that begins within two seconds of the end of the last
    goes on from it. A picture is dated by its time of change.

    Where no file is waited for, the times of change may be those of copies, at which no video can have ended. Then
    videos are taken in the order of their names, each goes on from the one before it, and the last one ends at its own
    time; that is a :class:`FootageWarning`.
    """

    clock: Clock = "utc"
    is_dated = True
    is_live = False
    JOINED = 2.0
    PATIENCE = 120.0
    """Seconds without a frame after which what went on is over, at least: a video takes its own length to come."""

    def __init__(self, path: Path, *, fast: bool) -> None:
        self.name, self._path, self.is_endless = printable(path), path, not fast
        self.is_coded, self.patience, self.since = False, self.PATIENCE, -math.inf
        self._seen: dict[str, _Change] = {}
        self._last: _Dated | None = None

    def frames(self, taken: Taken | None = None) -> Iterator[Shown]:
        """Of the files that were not taken yet, then of those that come; ends where it does not wait for them.

        Raises :class:`LeftOutError` for a file that does not open, or cannot be dated; who asks again goes on after it.
        """
        met = set[Path]()
        while True:
            begun = time.monotonic()
            fresh = [each for each in self._fresh() if self.is_endless or each[0] not in met]
            looked = time.monotonic() - begun
            for path, change, begin in fresh:
                if _change_of(path) != change:  # it is another one by now, which the next look finds
                    continue
                self._seen[path.name], before = change, self._last
                met.add(path)  # where none is waited for, one that still grows is taken once
                if self.is_endless and change.seconds <= self.since - self.JOINED:
                    continue
                try:
                    yield from self._of(path, change, begin, taken)
                except LeftOutError:
                    raise
                except VideoError as error:
                    raise LeftOutError(f"{error}; it is left out") from None
                except GeneratorExit:  # whoever asks again gets all of it
                    del self._seen[path.name]
                    self._last = before
                    raise
            if not fresh and not self.is_endless:
                return
            if self.is_endless:
                time.sleep(max(0.0 if fresh else POLL, looked / LOOKING))

    def _fresh(self) -> "list[tuple[Path, _Change, float | None]]":
        """Whole files that were not taken yet, in order, and when each begins where that is known of all."""
        try:
            with os.scandir(self._path) as entries:
                names = [entry.name for entry in entries]
        except OSError as error:
            raise VideoError(f"{self.name}: expected a folder, found {str(error.strerror).lower()}") from None
        if names:  # else the disk may be away
            self._seen = {name: self._seen[name] for name in names if name in self._seen}
        there = [(path, change) for path in map(self._path.joinpath, names) if (change := _change_of(path)) is not None]
        fresh = [each for each in there if self._seen.get(each[0].name) != each[1] and self._is_whole(each[1])]
        fresh.sort(key=lambda each: (each[1].seconds, natural(each[0].name)))
        begins = [None] * len(fresh) if self.is_endless else self._begins_of_copies(fresh)
        return [(*each, begin) for each, begin in zip(fresh, begins, strict=True)]

    def _is_whole(self, change: "_Change") -> bool:
        return change.size > 0 and (not self.is_endless or time.time() - change.seconds > SETTLED)

    def _begins_of_copies(self, files: "list[tuple[Path, _Change]]") -> list[float | None]:
        """When each begins, and ``files`` in another order, where their times of change are those of copies."""
        lengths = {path: _length_of(path) for path, _ in files} if len(files) > 1 else {}
        wrong = [
            path
            for (_, before), (path, after) in pairwise(files)
            if lengths[path] > self.JOINED and after.seconds - lengths[path] / 2 < before.seconds
        ]
        if not wrong:
            return [None] * len(files)
        text = f"{wrong[0]}: expected a time of change at which it ended, found one at which the video before it still"
        warnings.warn(
            f"{text} went on; all are taken in the order of their names, each going on from the one before. A copy "
            "keeps its time with `cp -p`",
            FootageWarning,
            stacklevel=2,
        )
        end = files[-1][1].seconds
        files.sort(key=lambda each: natural(each[0].name))
        following = np.cumsum([lengths[path] for path, _ in files][::-1])[::-1]
        return [end - float(seconds) for seconds in following]

    def _of(self, path: Path, change: "_Change", begin: float | None, taken: Taken | None) -> Iterator[Shown]:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            self.is_coded = False
            yield Shown(_picture(path), change.seconds)
            return
        playback = Playback(path)
        length = _lasts(playback.seconds)
        begin = self._begin_of(path, change, length) if begin is None else begin
        self._last = _Dated(path.name, change.size, begin, begin + length)
        self.patience = max(self.PATIENCE, 2 * length)
        for second, frame in playback.frames(taken):
            self.is_coded = playback.has_times
            yield Shown(frame, begin + second)

    def _begin_of(self, path: Path, change: "_Change", length: float) -> float:
        """When a video of this length begins; raises :class:`LeftOutError` where that cannot be known."""
        last, begin = self._last, change.seconds - length
        if last is None or begin >= last.end + self.JOINED:
            return begin
        if abs(begin - last.end) < self.JOINED:
            return last.end
        if path.name == last.name and change.size > last.size:  # it has grown since
            return last.begin
        if change.seconds - length / 2 >= last.end:  # it was begun before the other one had ended
            return begin
        raise LeftOutError(
            f"{path}: expected a time of change at which it ended, found one at which the video before it still went "
            "on; it is left out. A copy keeps its time with `cp -p`"
        )


@dataclass(frozen=True)
class _Change:
    """How large a file is, and when it changed last, in UTC."""

    size: int
    seconds: float


@dataclass(frozen=True)
class _Dated:
    """A video that was taken, and when it begins and ends."""

    name: str
    size: int
    begin: float
    end: float


def _change_of(path: Path) -> _Change | None:
    """Of a video or picture; none of anything else, and of what has gone meanwhile."""
    if path.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES or is_junk(path):
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return _Change(status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else None


def _lasts(seconds: FloatArray) -> float:
    """How long a video with frames at these seconds (T,) lasts."""
    return float(seconds[-1]) + (float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0)


def _length_of(path: Path) -> float:
    """Seconds of a video; 0 of a picture, and of what does not open, which is said when it is read."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return 0.0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FootageWarning)
            return _lasts(Playback(path).seconds)
    except VideoError:
        return 0.0


def _picture(path: Path) -> ByteArray:
    """Red, green and blue (H, W, 3)."""
    try:
        content = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except OSError as error:
        raise VideoError(f"{path}: expected a picture, found {str(error.strerror).lower()}") from None
    except cv2.error:
        picture = None
    if picture is None:
        raise VideoError(f"{path}: expected a picture, found what does not open")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
