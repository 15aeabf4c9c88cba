"""A video file opened as a file and as nothing else, and its one stream of pictures, decoded.

FFmpeg takes many names for addresses or patterns, and many files for lists of others. Here a name is a name, and what
points elsewhere is refused before it is followed.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from metavad.errors import VideoError
from metavad.scenes.listing import IMAGE_SUFFIXES

__all__ = ["OpenVideo", "file_address", "file_status", "opened"]

_ELSEWHERE = frozenset(
    {"avisynth", "concat", "dash", "hls", "image2", "imf", "lavfi", "rtp", "rtp_mpegts", "rtsp", "sap", "sdp"}
    | {"vapoursynth", "vobsub", "webm_dash_manifest"}
)
"""Formats of FFmpeg whose files, names or patterns point at something else."""

_SCRIPTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"<MPD", b"<SmoothStreamingMedia", b"<asx", b"<smil")
"""What is written near the beginning of such files."""

_ASIDE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
"""Streams that no player takes for the video: covers, previews, parts of another picture."""

_FEWEST = 0.1
"""Of the longest stream's frames, at least so many has a video; what has fewer are previews, whatever their size."""

_NO_TIMESTAMPS = 0x80
"""FFmpeg's flag of formats that are pictures one after another, without times."""

_CLOCKED = ("h261", "h263")
"""Codecs of telephones, whose pictures come at any tick of a clock of 30000/1001 Hz."""


@dataclass
class OpenVideo:
    """A file that is open, its stream of pictures, and what went wrong while reading it."""

    container: InputContainer
    stream: VideoStream
    others: str = ""
    """What is to be said of other streams."""
    packets_read: int = 0
    packets_lost: int = 0
    """How many of those did not decode."""
    stopped: bool = False
    """Whether reading ended by an error."""
    timed_out: bool = False
    """Whether that was for want of data in the time that was set when it was opened."""

    def packets(self) -> "Iterator[Packet[VideoStream]]":
        """Packets as they lie in the file, up to its end or to what does not read."""
        try:
            for packet in _demuxed(self.container, [self.stream]):
                self.packets_read += 1
                yield packet
        except av.FFmpegError as error:
            self.stopped, self.timed_out = True, isinstance(error, av.error.ExitError)

    def frames(self, taken: "Callable[[Packet[VideoStream]], None] | None" = None) -> Iterator[VideoFrame]:
        """Frames in presentation order; a damaged packet costs its own frames only, as in a player.

        ``taken`` is given each packet once its frames have come.
        """
        for packet in self.packets():
            yield from self._decoded(packet)
            if taken is not None:
                taken(packet)
        yield from self._decoded(None)

    def frames_from(self, stamp: int) -> Iterator[VideoFrame]:
        """Frames from the key frame at ``stamp`` (in units of the stream) on; none where the file cannot be sought."""
        try:
            self.container.seek(stamp, stream=self.stream, backward=True)
        except av.FFmpegError:
            return iter(())
        return self.frames()

    def _decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        """The frames that come out when ``packet`` goes in; with ``None`` those that were still inside."""
        try:
            return [frame for frame in self.stream.decode(packet) if isinstance(frame, VideoFrame)]
        except av.FFmpegError:
            self.packets_lost += packet is not None
            return []

    @property
    def time_base(self) -> float:
        """Seconds of one unit of the packets' stamps."""
        return float(self.stream.time_base or 1)

    @property
    def start(self) -> float:
        """Seconds on the file's clock at which its pictures begin."""
        return (self.stream.start_time or 0) * self.time_base

    @property
    def length(self) -> float | None:
        """Seconds as the header has them, where it has those of the pictures alone."""
        if self.stream.duration is not None:
            return self.stream.duration * self.time_base
        length = self.container.duration if len(self.container.streams) == 1 else None
        return None if length is None else length / av.time_base

    @property
    def frame_rate(self) -> float:
        """Frames a second as the file states or suggests them."""
        return float(self.stream.guessed_rate or self.stream.average_rate or 25)

    @property
    def has_times(self) -> bool:
        """Whether the format has times at all; without, they can only be index / rate."""
        return not self.container.format.flags & _NO_TIMESTAMPS

    @property
    def states_rate(self) -> bool:
        """Whether pictures without times say at least how many make a second; some say how fast a clock ticks."""
        return bool(self.stream.codec_context.framerate) and self.stream.codec_context.name not in _CLOCKED

    @property
    def has_presentation_times(self) -> bool:
        """Whether a packet's stamp is that of its picture.

        AVI and ASF hold times of decoding only, and of these codings FFmpeg then makes up the others, in the wrong
        order where pictures are not decoded in the order of showing.
        """
        return not (self.container.format.name in {"avi", "asf"} and self.stream.codec_context.name in {"h264", "hevc"})

    @property
    def is_reordered(self) -> bool:
        """Whether pictures may be decoded in another order than that of showing."""
        return self.stream.codec_context.has_b_frames


def file_address(path: Path) -> str:
    """What FFmpeg is to call the file at ``path``: never an address or a pattern, whatever the name looks like."""
    return f"file:{path.absolute()}"


def file_status(path: Path) -> os.stat_result:
    """Size and time of change of a video file that is there."""
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(f"{path}: expected a video, found {str(error.strerror).lower()}") from error
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device would be waited for
        raise VideoError(f"{path}: expected a video, found what is no file; record it to one first")
    return status


@contextmanager
def opened(path: Path) -> Iterator[OpenVideo]:
    """The file at ``path`` with the stream that players take: no cover, else the largest, else the longest.

    Raises :class:`VideoError` for what is no video file, or points at others.
    """
    with _container(path) as container:
        streams, others = _candidates(container, path), ""
        stream = streams[0]
        if len(streams) > 1:
            status = file_status(path)
            number, others = _choice(path, status.st_size, status.st_mtime_ns)
            stream = next(each for each in streams if each.index == number)
        stream.thread_type = "AUTO"
        yield OpenVideo(container, stream, others)


def _container(path: Path) -> InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": _formats()}
    try:
        return av.open(file_address(path), "r", options=options, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: expected a video, found {_refused(path, error)}") from error


@cache
def _formats() -> str:
    return ",".join(sorted(av.formats_available - _ELSEWHERE))


def _refused(path: Path, error: Exception) -> str:
    """What a file is that does not open, and how to mend it."""
    start = b""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(1024)
        if not start:
            return "an empty file; leave it out, or fetch it again"
        start = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if any(start.startswith(mark) or (mark.startswith(b"<") and mark in start) for mark in _SCRIPTS):
        return "a list that points at other files; name the videos themselves"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "a single picture; name the folder of frames that it lies in"
    reason = str(getattr(error, "strerror", None) or error).lower()
    return f"what does not open ({reason}); fetch it again, or leave it out"


def _candidates(container: InputContainer, path: Path) -> list[VideoStream]:
    """The streams that may be the video; at least one."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _ASIDE]
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if decodable:
        return decodable
    if streams:
        raise VideoError(f"{path}: expected a video, found pictures in a coding that is not known; convert it first")
    found = "no pictures but a cover" if container.streams.video else "a file without pictures"
    raise VideoError(f"{path}: expected a video, found {found}")


@lru_cache(maxsize=4096)
def _choice(path: Path, size: int, changed: int) -> tuple[int, str]:
    """Which stream of several is read, and what is to be said of it; size and time of change are those of the file."""
    with _container(path) as container:
        streams = _candidates(container, path)
        frames = _counted(container, streams)
        least = _FEWEST * max(frames.values(), default=0)
        videos = [stream for stream in streams if frames[stream.index] >= least]
        best = max(videos, key=lambda stream: (stream.width * stream.height, frames[stream.index], -stream.index))
        return best.index, _other_streams(videos, best)


def _counted(container: InputContainer, streams: Sequence[VideoStream]) -> Counter[int]:
    """Packets of each stream; what does not read ends the count."""
    frames = Counter[int]()
    try:
        for packet in _demuxed(container, streams):
            frames[packet.stream_index] += 1
    except av.FFmpegError:
        pass
    return frames


def _demuxed(container: InputContainer, streams: Sequence[VideoStream]) -> "Iterator[Packet[VideoStream]]":
    """Packets with content; those without stand for pictures that repeat, or for the end."""
    try:
        yield from (packet for packet in container.demux(tuple(streams)) if packet.size)
    except IndexError:  # how PyAV ends where another stream came up on the way
        return


def _other_streams(videos: Sequence[VideoStream], best: VideoStream) -> str:
    if len(videos) == 1:
        return ""
    sizes = ", ".join(f"{video.width}x{video.height}" for video in videos)
    return f"holds {len(videos)} videos ({sizes}); the one of stream {best.index} is read, {best.width}x{best.height}"
