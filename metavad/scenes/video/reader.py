"""Pixels and times of a video, whether it is a file or a folder of frames.

An index is always the position of a frame in presentation order, counted from 0 as the file really
decodes, whatever its header says. Pictures are as a player shows them: turned and mirrored as the file asks for.
"""

import math
import warnings
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from metavad.errors import FootageWarning, VideoError
from metavad.recordings import ROUNDING, recordings, without_gaps
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video.bit_depth import BEFOREHAND, FIRST, GreyRange, from_light, grey_range_of
from metavad.scenes.video.container import OpenVideo, file_status, opened
from metavad.scenes.video.image_sequence import image_sequence_of, read_images
from metavad.scenes.video.orientation import display_matrix, shown, shown_size
from metavad.scenes.video.pictures import converted, resized
from metavad.scenes.video.timestamps import UNKNOWN, frame_seconds, in_shown_order
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = [
    "Frame",
    "Playback",
    "Ticks",
    "VideoFacts",
    "decodable_frames",
    "probe",
    "read_colour",
    "read_colours",
    "read_frames",
    "tell",
    "tick_frames",
    "working_size",
]

_SEEK_FROM = 12  # frames skipped from which a seek is cheaper than decoding on
_SHORT = 0.1  # share of its length without which a file is cut short
_SAME_VIEW = 0.03  # by which height to width may differ where a stream changes its resolution


@dataclass(frozen=True)
class VideoFacts:
    """What a video is once it has been looked through.

    ``height`` and ``width`` are those shown, after the crop; ``seconds`` (T,) is the time of each frame
    since the first, rising; ``rate`` is the mean number of frames per second, gaps between recordings left out;
    ``warnings`` say what was not read quite as the file says, one line each, without its name.
    """

    frames: int
    height: int
    width: int
    seconds: FloatArray
    rate: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One frame at working size: its index in the file, its time, its grey picture (H, W)."""

    index: int
    seconds: float
    image: ByteArray


@dataclass(frozen=True)
class _Index:
    """What decoding a file shows, and where its frames are.

    Eight bytes a frame each, since they grow with the length of the video.
    """

    height: int
    width: int
    seconds: "array[float]"
    stamps: "array[int]"
    """What tells frames apart: the rising stamps of their packets; empty where they have none."""
    numbers: "array[int] | None"
    """The frame of each stamp, where some have none, or they are out of order; else the n-th is of frame n."""
    keys: "array[int]"
    """Key frames, and below their stamps: where a seek may go to."""
    key_stamps: "array[int]"
    period: float
    """Seconds of a frame, as the file states or suggests it."""
    notes: tuple[str, ...] = ()
    time_notes: tuple[str, ...] = ()

    def number_of(self, stamp: int | None) -> int | None:
        """Which frame the one with this stamp is, if that says so."""
        if stamp is None:
            return None
        place = bisect_right(self.stamps, stamp) - 1
        if self.numbers is None or place < 0:
            return place if place >= 0 else None
        return self.numbers[place] if self.stamps[place] == stamp else None

    def key_before(self, target: int) -> tuple[int, int]:
        """The last key frame up to frame ``target``, and its stamp; -1 where there is none to seek to."""
        place = bisect_right(self.keys, target) - 1
        return (self.keys[place], self.key_stamps[place]) if place >= 0 else (-1, 0)


_MAGNIFIED = 2
"""How many times as large as the file's the working picture is at most."""


def working_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width with the aspect ratio kept and the short side as given (``None``: unchanged).

    A small picture is not magnified more than twice, down to half of ``short_side``: what is enlarged further shows
    nothing more, and costs as much as a large one.

    >>> working_size(480, 856, 240), working_size(60, 128, 240), working_size(24, 32, 240)
    ((240, 428), (120, 256), (120, 160))
    """
    if short_side is None:
        return height, width
    own = min(height, width)
    scale = min(short_side, max(_MAGNIFIED * own, short_side // 2)) / own
    return max(1, round(height * scale)), max(1, round(width * scale))


def tick_frames(seconds: FloatArray, rate: float) -> IntArray:
    """Frame indices of the ticks of a video with frame times ``seconds`` (T,), at ``rate`` ticks a second.

    The first tick of a recording is its first frame; tick k is the first frame k/rate seconds later or more, with half
    a frame of grace, as frames have come so far; a file slower than ``rate`` has one tick per frame. Whether a frame is
    a tick depends on no later one.
    """
    parts = [start + _recording_ticks(seconds[start:stop], rate) for start, stop in recordings(seconds)]
    return np.concatenate(parts) if parts else np.arange(0)


def _recording_ticks(seconds: FloatArray, rate: float) -> IntArray:
    due = _due(np.asarray(seconds) - seconds[0], np.arange(len(seconds)), rate)
    due[0] = 0
    return np.append(0, 1 + np.flatnonzero(due[1:] > np.maximum.accumulate(due)[:-1]))


def _due(since: FloatArray, frames: IntArray, rate: float) -> FloatArray:
    """The ticks (T,) that are due at frames of these numbers, these seconds after the first."""
    count = np.maximum(frames, 1)
    # A mean of n frames is known to a rounding over n; beyond half a tick, grace would be none.
    grace = np.minimum(since / count, 1 / rate) / 2 + ROUNDING * (1 + 0.5 / count)
    return np.asarray(np.floor((since + grace) * rate))


class Ticks:
    """:func:`tick_frames` for the frames of one recording that come one by one."""

    def __init__(self, rate: float) -> None:
        self._rate, self._begin, self._frames, self._highest = rate, 0.0, 0, -1.0

    def is_tick(self, seconds: float) -> bool:
        """Whether a frame that comes next, at this time, is a tick."""
        return self._due(seconds) > self._highest

    def add(self, seconds: float) -> None:
        """The next frame has come."""
        self._begin = self._begin if self._frames else seconds
        self._highest = max(self._highest, self._due(seconds))
        self._frames += 1

    def _due(self, seconds: float) -> float:
        if not self._frames:
            return 0.0
        return float(_due(np.array([seconds - self._begin]), np.array([self._frames]), self._rate)[0])


def probe(video: Video, crop: Crop = Crop()) -> VideoFacts:
    """Frames, size and times of ``video`` as it really decodes.

    What was not read quite as the file says is a :class:`FootageWarning`. Raises :class:`VideoError` where nothing can
    be decoded or the crop leaves nothing.
    """
    facts = _facts(video, crop)
    tell(video, facts, stacklevel=3)
    return facts


def tell(video: Video, facts: VideoFacts, *, stacklevel: int = 2) -> None:
    """Each of the warnings of ``facts``, with the name of the video."""
    for text in facts.warnings:
        warnings.warn(f"{video.path}: {text}", FootageWarning, stacklevel=stacklevel)


def _facts(video: Video, crop: Crop) -> VideoFacts:
    facts = _folder_facts(video) if video.path.is_dir() else _file_facts(video)
    height, width = facts.height - crop.top - crop.bottom, facts.width - crop.left - crop.right
    if height < 1 or width < 1:
        size = f"{facts.width}x{facts.height}"
        raise VideoError(f"{video.path}: expected a crop inside {size} pixels, found {crop}; make it smaller")
    return replace(facts, height=height, width=width)


def decodable_frames(video: Video) -> int:
    """How many frames decode, by decoding them all; fewer than :func:`probe` says where some are damaged."""
    if video.path.is_dir():
        return sum(1 for _ in read_frames(video, short_side=None))
    with opened(video.path) as file:
        return sum(1 for _ in file.frames())


def read_frames(
    video: Video,
    *,
    short_side: int | None,
    crop: Crop = Crop(),
    every: Sequence[int] | IntArray | None = None,
) -> Iterator[Frame]:
    """All frames of ``video``, or those listed in ``every``, grey, cropped, then resized.

    One frame is in memory at a time. Listed frames come in rising order, each once.
    Raises :class:`VideoError` for an index the video does not have, or frames that differ in size.
    """
    facts = _facts(video, crop)
    size = working_size(facts.height, facts.width, short_side)
    wanted = _wanted(video, facts.frames, every)
    for index, picture in _pictures(video, wanted, "gray"):
        image = resized(crop.apply(picture), size)
        yield Frame(index, float(facts.seconds[index]), image)


def read_colour(video: Video, index: int, crop: Crop = Crop()) -> ByteArray:
    """Frame ``index`` as the file has it, cropped: (H, W, 3), blue-green-red, 0 to 255."""
    return next(read_colours(video, [index], crop))


def read_colours(video: Video, indices: Sequence[int], crop: Crop = Crop()) -> Iterator[ByteArray]:
    """The same of several frames, in rising order, each once."""
    wanted = _wanted(video, _facts(video, crop).frames, indices)
    for _, picture in _pictures(video, wanted, "bgr24"):
        yield np.ascontiguousarray(crop.apply(picture), np.uint8)


def _wanted(video: Video, frames: int, every: Sequence[int] | IntArray | None) -> list[int]:
    if every is None:
        return list(range(frames))
    wanted = sorted({int(index) for index in every})
    if wanted and (wanted[0] < 0 or wanted[-1] >= frames):
        bad = wanted[0] if wanted[0] < 0 else wanted[-1]
        raise VideoError(f"{video.path}: expected a frame from 0 to {frames - 1}, found {bad}; ask for less")
    return wanted


def _pictures(video: Video, wanted: list[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    if not wanted:
        return iter(())
    return (_folder_pictures if video.path.is_dir() else _file_pictures)(video, wanted, form)


def _frame_rate(video: Video) -> float:
    if video.fps is None or not 0 < video.fps < math.inf:
        raise VideoError(
            f"{video.path}: expected a frame rate, as a folder of frames needs one, found {video.fps}; say fps = ..."
        )
    return video.fps


def _folder_facts(video: Video) -> VideoFacts:
    rate = _frame_rate(video)
    sequence = image_sequence_of(video.path, rate)
    return VideoFacts(len(sequence.files), sequence.height, sequence.width, np.arange(len(sequence.files)) / rate, rate)


def _folder_pictures(video: Video, wanted: list[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    return read_images(image_sequence_of(video.path, _frame_rate(video)), wanted, form)


def _file_facts(video: Video) -> VideoFacts:
    index = _index(video.path)
    size, frames = (index.height, index.width), len(index.seconds)
    if video.fps is not None:
        rate = _frame_rate(video)
        return VideoFacts(frames, *size, np.arange(frames) / rate, rate, index.notes)
    seconds = np.array(index.seconds)
    length = float(without_gaps(seconds)[-1])
    rate = (frames - 1) / length if length > 0 else 1 / index.period
    return VideoFacts(frames, *size, seconds, rate, (*index.notes, *index.time_notes))


class Playback:
    """A video file from its begin to its end: the frames of :func:`read_frames` as they are decoded, and their times.

    What is known of the file is held here alone, so that memory does not grow with the number of files. What was not
    read quite as the file says is a :class:`FootageWarning`. Raises :class:`VideoError` where nothing decodes.
    """

    def __init__(self, path: Path) -> None:
        file_status(path)
        self._path, self._index = path, _index_of(path)
        self.has_times = False
        """Whether its packets have times; known once the first frame has come."""
        for text in (*self._index.notes, *self._index.time_notes):
            warnings.warn(f"{path}: {text}", FootageWarning, stacklevel=2)

    @property
    def seconds(self) -> FloatArray:
        """The time of each frame since the first (T,), rising."""
        return np.array(self._index.seconds)

    def frames(
        self, taken: "Callable[[Packet[VideoStream]], None] | None" = None
    ) -> Iterator[tuple[float, VideoFrame]]:
        """The time of each frame, and what is shown then; ``taken`` is given each packet once its frames have come."""
        repeated, index = 0, self._index
        with opened(self._path) as file:
            self.has_times = file.has_times
            player = _Player(_from_start(file, index, taken))
            for target, second in enumerate(index.seconds):
                yield second, _there(self._path, player.at(target), target)
                repeated += player.number != target
        _tell_repeated(self._path, repeated, len(index.seconds), stacklevel=2)


def _index(path: Path) -> _Index:
    status = file_status(path)
    return _built_index(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _built_index(path: Path, size: int, changed: int) -> _Index:
    """The index of a file; size and time of change are there so that a changed file is read again."""
    return _index_of(path)


def _index_of(path: Path) -> _Index:
    with opened(path) as file:
        index = _demuxed_index(file)
    if index is None:
        with opened(path) as file:
            index = _decoded_index(file)
    if index is None:
        raise VideoError(f"{path}: expected a video, found no frame that decodes; fetch or record the file again")
    return index


def _demuxed_index(file: OpenVideo) -> _Index | None:
    """The index without decoding, from the packets' stamps; ``None`` where these cannot be trusted.

    They can when every packet has one of its own that fits the order of decoding, the first one decodes, and the last
    group of pictures decodes to exactly its packets: what headers, edit lists and truncation get wrong shows there.
    """
    packets = _shown_packets(file)
    pts, keys = np.sort(packets.pts), np.sort(packets.pts[packets.keys])
    if not len(keys) or keys[0] != pts[0] or (np.diff(pts) <= 0).any() or not in_shown_order(packets.pts):
        return None
    if not file.has_presentation_times and file.is_reordered:
        return None
    head = next(_frames_since(file, int(pts[0])), None)
    if head is None or head.pts != pts[0] or not _decodes_to(file, pts[pts >= keys[-1]]):
        return None
    return _made_index(file, pts, packets.dts, np.searchsorted(pts, keys), shown_size(head))


def _frames_since(file: OpenVideo, stamp: int) -> Iterator[VideoFrame]:
    """Frames at ``stamp``, that of a key frame, and later."""
    return (frame for frame in file.frames_from(stamp) if frame.pts is None or frame.pts >= stamp)


def _decodes_to(file: OpenVideo, pts: IntArray) -> bool:
    """Whether a seek to the first of ``pts`` (T,), a key frame, gives frames with exactly these stamps."""
    return bool([frame.pts for frame in _frames_since(file, int(pts[0]))] == pts.tolist())


@dataclass(frozen=True)
class _Packets:
    """Stamps (N,) of the packets that a player shows, as they lie in the file, and which are key frames."""

    pts: IntArray
    dts: IntArray
    keys: BoolArray


def _shown_packets(file: OpenVideo) -> _Packets:
    """None at all where one has no time or is torn."""
    pts, dts, keys = array("q"), array("q"), array("b")
    for packet in file.packets():
        if packet.is_discard:
            continue
        if packet.pts is None or packet.is_corrupt:
            return _Packets(_stamps(()), _stamps(()), np.zeros(0, bool))
        pts.append(packet.pts)
        dts.append(UNKNOWN if packet.dts is None else packet.dts)
        keys.append(packet.is_keyframe)
    end = 0 if file.stopped else len(pts)
    return _Packets(_stamps(pts[:end]), _stamps(dts[:end]), np.array(keys[:end], bool))


def _stamps(values: "array[int] | Sequence[int]") -> IntArray:
    return np.array(values, np.int64)


def _decoded_index(file: OpenVideo) -> _Index | None:
    """The index by decoding everything: slow, and right whatever the header says."""
    shown_at, decoded_at, keys, size = array("q"), array("q"), array("q"), (0, 0)
    for number, frame in enumerate(file.frames()):
        size = size if number else shown_size(frame)
        shown_at.append(UNKNOWN if frame.pts is None else frame.pts)
        decoded_at.append(UNKNOWN if frame.dts is None else frame.dts)
        if frame.key_frame:
            keys.append(number)
    if not shown_at:
        return None
    index = _made_index(file, _stamps(shown_at), _stamps(decoded_at), _stamps(keys), size)
    if not index.keys or _decodes_to(file, _stamps(shown_at[index.keys[-1] :])):
        return index
    # made-up stamps differ where reading starts elsewhere: they tell nothing, and seeks are of no use
    return replace(index, stamps=array("q"), numbers=None, keys=array("q"), key_stamps=array("q"))


def _made_index(file: OpenVideo, pts: IntArray, dts: IntArray, keys: IntArray, size: tuple[int, int]) -> _Index:
    seconds, notes = _timed(file, pts, dts)
    stamps, numbers = _distinct(pts)
    keys = keys[np.isin(pts[keys], stamps)]
    return _Index(
        *size,
        seconds=array("d", seconds.tobytes()),
        stamps=array("q", stamps.tobytes()),
        numbers=None if numbers is None else array("q", numbers.tobytes()),
        keys=array("q", keys.tobytes()),
        key_stamps=array("q", pts[keys].tobytes()),
        period=1 / file.frame_rate,
        notes=tuple(text for text in (file.others, _damage(file), "" if notes else _ending(file, seconds)) if text),
        time_notes=notes,
    )


def _timed(file: OpenVideo, pts: IntArray, dts: IntArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Seconds of the frames (T,), and what is to be said of them."""
    rate = file.frame_rate
    if not file.has_times:  # FFmpeg makes some up, uneven where pictures are not decoded in the order of showing
        text = f"its format has no times; {rate:g} frames a second are assumed, --fps says otherwise"
        return np.arange(len(pts)) / rate, () if file.states_rate else (text,)
    stated = pts if file.has_presentation_times else np.full_like(pts, UNKNOWN)
    return frame_seconds(stated, dts, file.time_base, 1 / rate)


def _distinct(pts: IntArray) -> tuple[IntArray, IntArray | None]:
    """Stamps that only one frame has, rising, and whose they are; ``None``: the n-th is of frame n."""
    if (np.diff(pts) > 0).all() and pts[0] != UNKNOWN:
        return pts, None
    stamps, numbers, times = np.unique(pts, return_index=True, return_counts=True)
    single = (times == 1) & (stamps != UNKNOWN)
    return stamps[single], numbers[single]


def _damage(file: OpenVideo) -> str:
    """What went wrong while the file was read."""
    if file.packets_lost:
        return f"does not decode without errors ({file.packets_lost} packets): what they show is missing or wrong"
    return f"cannot be read beyond packet {file.packets_read}: the rest is missing" if file.stopped else ""


def _ending(file: OpenVideo, seconds: FloatArray) -> str:
    """Where a file ends well before its header says, by more than its last frame may be meant to stay."""
    length, found = file.length or 0.0, float(seconds[-1])
    longest = float(np.diff(seconds).max(initial=0.0))
    if length - max(found, found + file.start) <= max(_SHORT * length, 1.0, 2 * longest):
        return ""
    return f"ends at {found:.1f} s, its header says {length:.1f} s: cut short, the rest is missing"


def _file_pictures(video: Video, wanted: list[int], form: str) -> Iterator[tuple[int, ByteArray]]:
    index = _index(video.path)
    shape, repeated, fitted = (index.height, index.width), 0, False
    flat = _Flat(video, form)
    for target, number, frame in _wanted_frames(video.path, index, wanted):
        picture = shown(flat(frame, target), display_matrix(frame))
        if picture.shape[:2] != shape:
            picture = _fitted(video, picture, shape, target, again=fitted)
            fitted = True
        repeated += number != target
        yield target, picture
    _tell_repeated(video.path, repeated, len(wanted), stacklevel=4)


def _tell_repeated(path: Path, repeated: int, frames: int, *, stacklevel: int) -> None:
    if repeated:
        text = f"{repeated} of {frames} frames do not decode; the picture before is taken in their place"
        warnings.warn(f"{path}: {text}", FootageWarning, stacklevel=stacklevel + 1)


class _Flat:
    """Frames as they are stored; grey of 16 bits, of which cameras use a part, by the range that they use."""

    def __init__(self, video: Video, form: str) -> None:
        self._video, self._form, self._warned = video, form, False
        self._converter = VideoReformatter()  # one for all frames: making it takes longer than using it

    def __call__(self, frame: VideoFrame, number: int) -> ByteArray:
        path, deep = self._video.path, frame.format.name.startswith("gray16")
        grey_range = _file_grey_range(path, file_status(path).st_mtime_ns) if deep else None
        if grey_range is None:
            return converted(str(path), self._converter, frame, self._form)
        picture = self._converter.reformat(frame, format="gray16le").to_ndarray()
        if not self._warned and (text := grey_range.loss_note(picture, f"frame {number}")):
            warnings.warn(f"{path}: {text}", FootageWarning, stacklevel=5)
            self._warned = True
        grey = grey_range.grey(picture)
        return grey if self._form == "gray" else np.repeat(grey[..., None], 3, axis=2)


@lru_cache(maxsize=64)
def _file_grey_range(path: Path, changed: int) -> GreyRange | None:
    """The range of values that the first half second uses, said once; ``None`` where that is all of 16 bits."""
    with opened(path) as file:
        read = ((frame.time or 0.0, frame.reformat(format="gray16le").to_ndarray()) for frame in file.frames())
        first = list(islice(from_light(read, lambda each: each[1]), FIRST))
        begun = [picture for seconds, picture in first if seconds - first[0][0] <= BEFOREHAND]
        grey_range = grey_range_of(begun)
    if grey_range == GreyRange(0.0, 2.0**16):
        return None
    warnings.warn(f"{path}: {grey_range.note(16, len(begun))}", FootageWarning, stacklevel=2)
    return grey_range


def _fitted(video: Video, picture: ByteArray, shape: tuple[int, int], frame: int, *, again: bool) -> ByteArray:
    """A picture of another size brought to that of the first, where it can be the same view; said unless ``again``."""
    found, first = f"{picture.shape[1]}x{picture.shape[0]}", f"{shape[1]}x{shape[0]}"
    ratio = picture.shape[1] * shape[0] / (picture.shape[0] * shape[1])
    if abs(ratio - 1) > _SAME_VIEW:
        raise VideoError(
            f"{video.path}: expected {first} pixels in frame {frame}, found {found}; cut the video where its size "
            "changes, and use the parts one by one"
        )
    if not again:
        text = f"its pictures change from {first} to {found}; they are brought to the first size"
        warnings.warn(f"{video.path}: {text}", FootageWarning, stacklevel=5)
    return resized(picture, shape)


def _wanted_frames(path: Path, index: _Index, wanted: list[int]) -> Iterator[tuple[int, int, VideoFrame]]:
    """Wanted numbers, each with the number of what is shown there, and that frame; a seek where one saves decoding."""
    with ExitStack() as stack:
        file = stack.enter_context(opened(path))
        player = _Player(_from_start(file, index))
        for target in wanted:
            key, stamp = index.key_before(target)
            if key - player.number > _SEEK_FROM:
                player = _Player(_numbered(file.frames_from(stamp), index))
            frame = player.at(target)
            if frame is None:  # a seek that went astray
                file = stack.enter_context(opened(path))
                player = _Player(_from_start(file, index))
                frame = player.at(target)
            yield target, player.number, _there(path, frame, target)


def _there(path: Path, frame: VideoFrame | None, target: int) -> VideoFrame:
    if frame is None:
        raise VideoError(f"{path}: expected frame {target}, found none; did the file change?")
    return frame


class _Player:
    """Shows frames in order. One that does not decode shows as the one before it, as in any player."""

    def __init__(self, frames: Iterator[tuple[int, VideoFrame]]) -> None:
        self._frames = frames
        self._next: tuple[int, VideoFrame] | None = None
        self._shown: VideoFrame | None = None
        self.number = -1

    def at(self, target: int) -> VideoFrame | None:
        """What is shown at frame ``target``; ``None`` where all frames come later."""
        while self.number < target:
            self._next = self._next or next(self._frames, None)
            if self._next is None or self._next[0] > target:
                break
            (self.number, self._shown), self._next = self._next, None
        return self._shown


def _from_start(
    file: OpenVideo, index: _Index, taken: "Callable[[Packet[VideoStream]], None] | None" = None
) -> Iterator[tuple[int, VideoFrame]]:
    """All frames, by their stamps where these are in order, else as they come, which is how they were counted."""
    frames = file.frames(taken)
    return enumerate(frames) if index.numbers is not None or not index.stamps else _numbered(frames, index)


def _numbered(frames: Iterator[VideoFrame], index: _Index) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames with their numbers; one that its stamp does not tell is the next after the one before it."""
    number: int | None = None
    for frame in frames:
        found = index.number_of(frame.pts)
        number = found if found is not None or number is None else number + 1
        if number is not None:
            yield number, frame
