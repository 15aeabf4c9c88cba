"""Pixels and times of a video, whether it is a file or a folder of frames.

An index is always the position of a frame in presentation order, counted from 0 as the file really
decodes, whatever its header says. Pictures are as a player shows them: rotated as the file asks for.
"""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from metavad.errors import VideoError
from metavad.scenes.listing import frame_files
from metavad.scenes.scene import Crop, Video
from metavad.types import ByteArray, FloatArray, IntArray

__all__ = [
    "Frame",
    "VideoFacts",
    "decodable_frames",
    "file_status",
    "probe",
    "read_colour",
    "read_colours",
    "read_frames",
    "tick_frames",
    "working_size",
]

_SEEK_FROM = 12  # frames skipped from which a seek is cheaper than decoding on
_ROUNDING = 1e-3  # seconds; some containers round times to milliseconds


@dataclass(frozen=True)
class VideoFacts:
    """What a video is once it has been looked through.

    ``height`` and ``width`` are those shown, after the crop; ``seconds`` (T,) is the time of each frame
    since the first; ``rate`` is the mean number of frames per second.
    """

    frames: int
    height: int
    width: int
    seconds: FloatArray
    rate: float


@dataclass(frozen=True)
class Frame:
    """One frame at working size: its index in the file, its time, its grey picture (H, W)."""

    index: int
    seconds: float
    image: ByteArray


@dataclass(frozen=True)
class _Index:
    """Where the frames of a file are: presentation times in ``time_base``, and which are key frames.

    Eight bytes a frame each, since they grow with the length of the video.
    """

    times: "array[int]"
    keys: "array[int]"
    time_base: float
    height: int
    width: int
    has_times: bool


def working_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width with the aspect ratio kept and the short side as given (``None``: unchanged).

    >>> working_size(480, 856, 240)
    (240, 428)
    """
    if short_side is None:
        return height, width
    scale = short_side / min(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def tick_frames(seconds: FloatArray, rate: float) -> IntArray:
    """Frame indices of the ticks of a video with frame times ``seconds`` (T,), at ``rate`` ticks a second.

    The first tick is frame 0; tick k is the first frame at k/rate seconds or later, with half a frame of
    grace; a file slower than ``rate`` has one tick per frame. A tick depends on no later frame's picture.
    """
    frames = len(seconds)
    if frames < 2:
        return np.arange(frames)
    grace = 0.5 * float(seconds[-1] - seconds[0]) / (frames - 1) + _ROUNDING
    due = np.arange(int((seconds[-1] - seconds[0] + grace) * rate) + 1) / rate - grace
    return np.unique(np.searchsorted(np.asarray(seconds) - seconds[0], np.maximum(due, 0.0)))


def probe(video: Video, crop: Crop = Crop()) -> VideoFacts:
    """Frames, size and times of ``video`` as it really decodes.

    Raises :class:`VideoError` where nothing can be decoded or the crop leaves nothing.
    """
    facts = _folder_facts(video) if video.path.is_dir() else _file_facts(video)
    height, width = facts.height - crop.top - crop.bottom, facts.width - crop.left - crop.right
    if height < 1 or width < 1:
        size = f"{facts.width}x{facts.height}"
        raise VideoError(f"{video.path}: expected a crop inside {size} pixels, found {crop}; make it smaller")
    return VideoFacts(facts.frames, height, width, facts.seconds, facts.rate)


def decodable_frames(video: Video) -> int:
    """How many frames decode, by decoding them all; fewer than :func:`probe` says where some are damaged."""
    if video.path.is_dir():
        return sum(1 for _ in read_frames(video, short_side=None))
    with _opened(video.path) as container:
        return sum(1 for _ in _decoded(container))


def read_frames(
    video: Video,
    *,
    short_side: int | None,
    crop: Crop = Crop(),
    start: int = 0,
    stop: int | None = None,
    every: Sequence[int] | IntArray | None = None,
) -> Iterator[Frame]:
    """Frames [start, stop) of ``video``, or those listed in ``every``, grey, cropped, then resized.

    One frame is in memory at a time. Listed frames come in rising order, each once.
    Raises :class:`VideoError` for an index the video does not have, or frames that differ in size.
    """
    facts = probe(video, crop)
    size = working_size(facts.height, facts.width, short_side)
    wanted = _wanted(video, facts.frames, start, stop, every)
    for index, picture in _pictures(video, wanted, "gray"):
        image = _resized(crop.apply(picture), size)
        yield Frame(index, float(facts.seconds[index]), image)


def read_colour(video: Video, index: int, crop: Crop = Crop()) -> ByteArray:
    """Frame ``index`` as the file has it, cropped: (H, W, 3), blue-green-red, 0 to 255."""
    return next(read_colours(video, [index], crop))


def read_colours(video: Video, indices: Sequence[int], crop: Crop = Crop()) -> Iterator[ByteArray]:
    """The same of several frames, in rising order, each once."""
    wanted = _wanted(video, probe(video).frames, 0, None, indices)
    for _, picture in _pictures(video, wanted, "bgr24"):
        yield np.ascontiguousarray(crop.apply(picture), np.uint8)


def _wanted(
    video: Video, frames: int, start: int, stop: int | None, every: Sequence[int] | IntArray | None
) -> list[int]:
    if every is None:
        return list(range(max(start, 0), frames if stop is None else min(stop, frames)))
    wanted = sorted({int(index) for index in every})
    if wanted and (wanted[0] < 0 or wanted[-1] >= frames):
        bad = wanted[0] if wanted[0] < 0 else wanted[-1]
        raise VideoError(f"{video.path}: expected a frame from 0 to {frames - 1}, found {bad}; ask for less")
    return wanted


def _resized(picture: NDArray[np.generic], size: tuple[int, int]) -> ByteArray:
    image = np.ascontiguousarray(picture).astype(np.uint8, copy=False)
    if image.shape == size:
        return image
    method = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=method), np.uint8)


def _pictures(video: Video, wanted: list[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    if not wanted:
        return iter(())
    return (_folder_pictures if video.path.is_dir() else _file_pictures)(video, wanted, form)


def _frame_rate(video: Video) -> float:
    if video.fps is None or not video.fps > 0:
        raise VideoError(
            f"{video.path}: expected a frame rate for a folder of frames, found {video.fps}; say fps = ..."
        )
    return video.fps


def _frames_of(video: Video) -> list[Path]:
    files = frame_files(video.path)
    if not files:
        raise VideoError(f"{video.path}: expected frames (.jpg, .png, .tif, ...) in this folder, found none")
    return files


def _image(path: Path, form: str) -> ByteArray:
    flag = cv2.IMREAD_GRAYSCALE if form == "gray" else cv2.IMREAD_COLOR
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, flag) if len(data) else None
    if picture is None:
        raise VideoError(f"{path}: expected an image, found something unreadable; fetch this file again")
    return np.asarray(picture, np.uint8)


def _folder_facts(video: Video) -> VideoFacts:
    rate, files = _frame_rate(video), _frames_of(video)
    height, width = _image(files[0], "gray").shape
    return VideoFacts(len(files), height, width, np.arange(len(files)) / rate, rate)


def _folder_pictures(video: Video, wanted: list[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    files = _frames_of(video)
    shape = _image(files[0], form).shape
    for index in wanted:
        picture = _image(files[index], form)
        if picture.shape != shape:
            expected, found = f"{shape[1]}x{shape[0]}", f"{picture.shape[1]}x{picture.shape[0]}"
            raise VideoError(f"{files[index]}: expected {expected} pixels as in frame 0, found {found}")
        yield index, picture


def _file_facts(video: Video) -> VideoFacts:
    index = _index(video.path)
    seconds = (np.asarray(index.times, np.int64) - index.times[0]) * index.time_base
    frames, length = len(seconds), float(seconds[-1])
    rate = (frames - 1) / length if length > 0 else 1.0 / index.time_base if not index.has_times else 25.0
    return VideoFacts(frames, index.height, index.width, seconds, rate)


def file_status(path: Path) -> os.stat_result:
    """Size and time of change of a video file that is there."""
    try:
        return path.stat()
    except OSError as error:
        raise VideoError(f"{path}: expected a video, found {str(error.strerror).lower()}") from error


def _index(path: Path) -> _Index:
    status = file_status(path)
    return _built_index(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _built_index(path: Path, size: int, changed: int) -> _Index:
    """The index of a file; size and time of change are there so that a changed file is read again."""
    with _opened(path) as container:
        index = _demuxed_index(container)
    if index is None:
        with _opened(path) as container:
            index = _decoded_index(container)
    if index is None:
        raise VideoError(f"{path}: expected a video, found no frame that decodes; fetch or record the file again")
    return index


def _opened(path: Path) -> InputContainer:
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        reason = str(error.strerror or error).lower()
        raise VideoError(
            f"{path}: expected a video, found what does not open ({reason}); fetch or record it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path}: expected a video, found a file without pictures")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _decoded(container: InputContainer) -> Iterator[VideoFrame]:
    """Frames in presentation order; a damaged packet costs its own frames only, as in a player."""
    packets = container.demux(container.streams.video[0])
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except av.error.EOFError:
            return
        except av.FFmpegError:
            continue
        yield from (frame for frame in frames if isinstance(frame, VideoFrame))


def _demuxed_index(container: InputContainer) -> _Index | None:
    """The index without decoding, from the packets' times; ``None`` where these cannot be trusted.

    They can when every packet has a time of its own, the first one decodes, and the last group of pictures
    decodes to exactly its packets: what headers, edit lists and truncation get wrong shows there.
    """
    times, key_times = _shown_packets(container)
    if not times or not key_times or any(a >= b for a, b in pairwise(times)):
        return None
    keys = array("q", (bisect_left(times, time) for time in key_times))
    if keys[0] != 0:
        return None
    head = next(_decoded_from(container, times[0]), None)
    tail = [frame.pts for frame in _decoded_from(container, times[keys[-1]])]
    if head is None or head.pts != times[0] or tail != times[keys[-1] :].tolist():
        return None
    return _Index(times, keys, _time_base(container), *_shown_size(head), True)


def _decoded_from(container: InputContainer, time: int) -> Iterator[VideoFrame]:
    """Frames at ``time``, that of a key frame, and later."""
    container.seek(time, stream=container.streams.video[0], backward=True)
    return (frame for frame in _decoded(container) if frame.pts is None or frame.pts >= time)


def _shown_packets(container: InputContainer) -> "tuple[array[int], array[int]]":
    """Times of the packets that a player shows, and of the key frames among them, in order.

    Both are empty where a packet has no time or is torn.
    """
    times, keys, nothing = array("q"), array("q"), (array("q"), array("q"))
    try:
        for packet in container.demux(container.streams.video[0]):
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None or packet.is_corrupt:
                return nothing
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    except av.FFmpegError:
        return nothing
    return _ordered(times), _ordered(keys)


def _ordered(times: "array[int]") -> "array[int]":
    return array("q", np.sort(np.asarray(times)).tobytes())


def _decoded_index(container: InputContainer) -> _Index | None:
    """The index by decoding everything: slow, and right whatever the header says."""
    times, keys, frames = array("q"), array("q"), 0
    size = (0, 0)
    for frame in _decoded(container):
        size = size if frames else _shown_size(frame)
        if frame.key_frame:
            keys.append(frames)
        if frame.pts is not None:
            times.append(frame.pts)
        frames += 1
    if frames and len(times) == frames and all(a < b for a, b in pairwise(times)):
        return _Index(times, keys, _time_base(container), *size, True)
    stream = container.streams.video[0]
    period = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
    return _Index(array("q", range(frames)), array("q", [0]), period, *size, False) if frames else None


def _time_base(container: InputContainer) -> float:
    return float(container.streams.video[0].time_base or 1)


def _shown_size(frame: VideoFrame) -> tuple[int, int]:
    upright = _quarter_turns(frame) % 2 == 0
    return (frame.height, frame.width) if upright else (frame.width, frame.height)


def _quarter_turns(frame: VideoFrame) -> int:
    """Quarter turns to the left that the file asks a player to make."""
    return round(frame.rotation / 90) % 4


def _file_pictures(video: Video, wanted: list[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    index = _index(video.path)
    shape = (index.height, index.width)
    converter = VideoReformatter()  # one for all frames: making it takes longer than using it
    for number, frame in _wanted_frames(video.path, index, wanted):
        flat = np.asarray(converter.reformat(frame, format=form).to_ndarray(), np.uint8)
        picture = np.rot90(flat, _quarter_turns(frame))
        if picture.shape[:2] != shape:
            found = f"{picture.shape[1]}x{picture.shape[0]}"
            raise VideoError(f"{video.path}: expected {shape[1]}x{shape[0]} pixels in frame {number}, found {found}")
        yield number, picture


def _wanted_frames(path: Path, index: _Index, wanted: list[int]) -> Iterator[tuple[int, VideoFrame]]:
    """Wanted frames with their numbers: a seek wherever one saves decoding."""
    with ExitStack() as stack:
        container = stack.enter_context(_opened(path))
        player = _Player(_from_start(container, index))
        for target in wanted:
            if index.has_times and _key_before(index, target) - player.number > _SEEK_FROM:
                player = _Player(_from_key(container, index, target))
            frame = player.at(target)
            if frame is None:  # a seek that went astray
                container = stack.enter_context(_opened(path))
                player = _Player(_from_start(container, index))
                frame = player.at(target)
            if frame is None:
                raise VideoError(f"{path}: expected frame {target}, found none; did the file change?")
            yield target, frame


class _Player:
    """Shows frames in order. One that does not decode shows as the one before it, as in any player."""

    def __init__(self, frames: Iterator[tuple[int, VideoFrame]]) -> None:
        self._frames = frames
        self._ahead: tuple[int, VideoFrame] | None = None
        self._shown: VideoFrame | None = None
        self.number = -1

    def at(self, target: int) -> VideoFrame | None:
        """What is shown at frame ``target``; ``None`` where all frames come later."""
        while self.number < target:
            self._ahead = self._ahead or next(self._frames, None)
            if self._ahead is None or self._ahead[0] > target:
                break
            (self.number, self._shown), self._ahead = self._ahead, None
        return self._shown


def _key_before(index: _Index, target: int) -> int:
    return index.keys[max(bisect_right(index.keys, target) - 1, 0)] if index.keys else 0


def _from_start(container: InputContainer, index: _Index) -> Iterator[tuple[int, VideoFrame]]:
    if not index.has_times:
        return enumerate(_decoded(container))
    return _numbered(container, index)


def _from_key(container: InputContainer, index: _Index, target: int) -> Iterator[tuple[int, VideoFrame]]:
    time = index.times[_key_before(index, target)]
    container.seek(time, stream=container.streams.video[0], backward=True)
    return _numbered(container, index)


def _numbered(container: InputContainer, index: _Index) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames with the numbers that their times have in the index."""
    for frame in _decoded(container):
        number = -1 if frame.pts is None else bisect_right(index.times, frame.pts) - 1
        if number >= 0:
            yield number, frame
