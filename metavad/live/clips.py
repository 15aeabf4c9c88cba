"""Pictures and clips of an event on disk: for people to look at, and to be learned from.

What is not finished has a name that begins with a dot. A clip that a killed process has left is finished later, as far
as it had come.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from metavad.files import atomic_path, write_bytes
from metavad.heat import warmed
from metavad.live.types import Snapshot
from metavad.scoring.pictures import framed
from metavad.types import Box, ByteArray

__all__ = [
    "CLIP",
    "FRAMES",
    "PATCHES",
    "SNAPSHOT",
    "ClipWriter",
    "finish_clip",
    "frames_begin",
    "unfinished_clip",
    "write_frames",
    "write_patches",
    "write_snapshot",
]

SNAPSHOT, PATCHES, CLIP, FRAMES = "snapshot.jpg", "patches.png", "clip.mp4", "frames.mkv"
BEGINS = "BEGINS"
"""Key of the metadata."""
MILLISECONDS = Fraction(1, 1000)
QUALITY = "26"
"""Constant rate factor of H.264: small files that look well."""
LEAST = 240
"""Pixels of the height: smaller pictures are enlarged, so that a box does not hide what is in it."""
FRAMES_PER_KEY = "20"
"""What of a clip a killed process loses, at most: two seconds."""


def write_snapshot(path: Path, snapshot: Snapshot, crop: Box | None = None) -> None:
    """The picture as JPEG, whole or not at all: under its heat map, with the box drawn.

    ``crop`` is what of the whole picture (x0, y0, x1, y1 in its pixels) the heat map lies over; else all of it.
    """
    picture = _decoded(snapshot.jpeg)
    scale = picture.shape[0] / snapshot.size[0]
    if snapshot.heat is not None:
        height, width = snapshot.size
        x0, y0, x1, y1 = (round(value * scale) for value in (crop or (0, 0, width, height)))
        picture[y0:y1, x0:x1] = warmed(picture[y0:y1, x0:x1], snapshot.heat)
    drawn = _with_box(picture, snapshot.box, scale)
    write_bytes(path, cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def write_patches(path: Path, patches: ByteArray) -> None:
    """Two patches (H, W, 3) as PNG, whole or not at all."""
    write_bytes(path, cv2.imencode(".png", patches)[1].tobytes())


def write_frames(path: Path, frames: Sequence[tuple[float, ByteArray]]) -> None:
    """Working pictures (H, W), each with its seconds, as a video that loses no bit (FFV1, grey); whole or not at all.

    Its times begin at 0 and are rounded to milliseconds; :func:`frames_begin` says at which second.
    """
    first = frames[0][0]
    with atomic_path(path) as beside, av.open(str(beside), "w", format="matroska") as container:
        container.metadata[BEGINS] = repr(float(first))
        coder = container.add_stream("ffv1", rate=1000)
        coder.height, coder.width = frames[0][1].shape
        coder.pix_fmt, coder.codec_context.time_base = "gray", MILLISECONDS
        for seconds, picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
            frame.pts, frame.time_base = round(1000 * (seconds - first)), MILLISECONDS
            container.mux(coder.encode(frame))
        container.mux(coder.encode(None))


def frames_begin(path: Path) -> float | None:
    """The second of its camera's clock at which such a video begins; none where it does not say."""
    with av.open(str(path)) as container:
        text = container.metadata.get(BEGINS)
    return None if text is None else float(text)


@dataclass
class ClipWriter:
    """A clip of an event, H.264 in MP4, written while its frames come; the box is drawn while there is one.

    Raises :class:`OSError` where there is no room. Memory does not grow with its length.
    """

    path: Path
    _first: float | None = field(default=None, init=False)
    _last: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In fragments, so that what is there can be read whenever its writer is killed.
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
        self._container = av.open(str(unfinished_clip(self.path)), "w", format="mp4", options=options)
        self._coder = self._container.add_stream("libx264", rate=1000)
        self._coder.pix_fmt, self._coder.codec_context.time_base = "yuv420p", MILLISECONDS
        self._coder.options = {"preset": "veryfast", "crf": QUALITY, "tune": "zerolatency", "g": FRAMES_PER_KEY}

    def add(self, seconds: float, jpeg: bytes, box: Box | None, whole: int) -> None:
        """The next frame; ``whole`` is the height of the camera's picture, in whose pixels the box is."""
        picture = _decoded(jpeg)
        picture = _with_box(picture, box, picture.shape[0] / whole)
        height, width = (side - side % 2 for side in picture.shape[:2])
        if self._first is None:
            self._first, self._coder.height, self._coder.width = seconds, height, width
        time = max(self._last + 1, round(1000 * (seconds - self._first)))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="bgr24")
        frame = frame.reformat(width=self._coder.width, height=self._coder.height, format="yuv420p")
        frame.pts, frame.time_base, self._last = time, MILLISECONDS, time
        self._container.mux(self._coder.encode(frame))

    def finish(self) -> bool:
        """Write the rest; whether there is a clip at its path now."""
        if self._first is not None:
            self._container.mux(self._coder.encode(None))
        self._container.close()
        return finish_clip(self.path)

    def drop(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError, av.FFmpegError):
            self._container.close()
        unfinished_clip(self.path).unlink(missing_ok=True)


def unfinished_clip(path: Path) -> Path:
    """Where a clip lies while it is written."""
    return path.with_name(f".{path.name}.part")


def finish_clip(path: Path) -> bool:
    """Make a clip of what its writer has left, as far as that goes; whether there is one at its path now."""
    part = unfinished_clip(path)
    if not part.is_file():
        return path.is_file()
    with suppress(av.FFmpegError, IndexError):
        if part.stat().st_size:
            _copied(part, path)
    part.unlink()
    return path.is_file()


def _copied(part: Path, path: Path) -> None:
    """The same pictures as one piece whose table stands in front, as players want it."""
    with av.open(str(part)) as source, atomic_path(path) as beside:
        options = {"movflags": "faststart"}
        with av.open(str(beside), "w", format="mp4", options=options) as container:
            stream = container.add_stream_from_template(source.streams.video[0])
            for packet in _whole(source.demux(source.streams.video[0])):
                packet.stream = stream
                container.mux(packet)


def _whole(packets: Iterable[Any]) -> Iterator[Any]:
    """Up to where the file ends or is damaged."""
    with suppress(av.FFmpegError):
        yield from (packet for packet in packets if packet.dts is not None)


def _decoded(jpeg: bytes) -> ByteArray:
    """(H, W, 3), blue-green-red, large enough to draw in; what is damaged is black."""
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if found is None:
        return np.zeros((LEAST, LEAST * 4 // 3, 3), np.uint8)
    height, width = found.shape[:2]
    if height >= LEAST:
        return np.asarray(found, np.uint8)
    return np.asarray(
        cv2.resize(found, (round(width * LEAST / height), LEAST), interpolation=cv2.INTER_CUBIC), np.uint8
    )


def _with_box(picture: ByteArray, box: Box | None, scale: float) -> ByteArray:
    if box is None:
        return picture
    x0, y0, x1, y1 = (value * scale for value in box)
    return framed(picture, (x0, y0, x1, y1), picture.shape[0])
