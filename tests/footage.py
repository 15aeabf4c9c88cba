"""Small videos on disk for tests: every picture says its own number, so that a reader can be checked."""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np

from metavad.errors import FootageWarning
from metavad.scenes.video.container import opened

BITS = 8
HEIGHT, WIDTH = 32, 64


def numbered(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A grey picture (H, W) whose eight columns are the bits of ``number``, dark or bright."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    columns = np.repeat(np.array([60 + 140 * bit for bit in bits], np.uint8), width // BITS)
    return np.repeat(columns[None], height, axis=0)


def number_of(picture: np.ndarray) -> int:
    """The number that :func:`numbered` wrote, whatever compression and scaling did to it."""
    columns = np.array_split(np.arange(picture.shape[1]), BITS)
    bright = [picture[:, part[len(part) // 2]].mean() > 130 for part in columns]
    return sum(1 << bit for bit, on in enumerate(bright) if on)


def touch(root: Path, *names: str) -> Path:
    """Files of one byte, of these names, under ``root``, which is returned."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def write_huge_image(path: Path) -> Path:
    """A PNG of a few bytes whose header claims 40,000 by 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def write_video(
    path: Path,
    numbers: Iterable[int] = range(20),
    *,
    fps: int = 10,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    milliseconds: Sequence[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Path:
    """Encode numbered pictures; ``milliseconds`` gives each a time of its own (variable frame rate)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = options or {}
        base = Fraction(1, fps) if milliseconds is None else Fraction(1, 1000)
        stream.codec_context.time_base = base
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="gray")
            frame.pts = place if milliseconds is None else milliseconds[place]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_frames(
    folder: Path, count: int = 10, *, suffix: str = ".png", first: int = 0, digits: int = 3, junk: bool = True
) -> Path:
    """A folder of numbered frames, with the junk that desktops leave in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_image(folder / f"{number + first:0{digits}d}{suffix}", numbered(number))
    if junk:
        (folder / ".DS_Store").write_bytes(b"junk")
        (folder / f"._{first:0{digits}d}{suffix}").write_bytes(b"junk")
        (folder / f"{first:0{digits}d}{suffix}~").write_bytes(b"junk")
    return folder


def write_image(path: Path, picture: np.ndarray) -> Path:
    """One image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def write_masks(folder: Path, labels: Sequence[int], *, suffix: str = ".bmp", first: int = 1) -> Path:
    """A folder of masks 0 or 255, with a box wherever the label is 1."""
    for place, label in enumerate(labels):
        write_image(folder / f"{place + first:03d}{suffix}", 255 * box_mask(label))
    return folder


def box_mask(label: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A mask of 0 and 1: rows 4 to 8, columns 10 to 20 where ``label`` is 1."""
    mask = np.zeros((height, width), np.uint8)
    mask[4:8, 10:20] = label
    return mask


def turned(path: Path, quarters_right: int) -> Path:
    """Ask players to turn an .mp4 to the right: what phones write, in the matrix of the track header."""
    return displayed(path, *[(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][quarters_right % 4])


def displayed(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Ask players to show the pixel of an .mp4 at (x, y) at (ax + cy, bx + dy), by the matrix of the track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    numbers = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join((number & 0xFFFFFFFF).to_bytes(4, "big") for number in numbers)
    path.write_bytes(bytes(data))
    return path


B_FRAMES = {"g": "20", "x264-params": "b-adapt=0:bframes=2"}
"""Options of libx264: every third picture refers back alone, the two between to both sides."""


def remuxed(
    source: Path,
    target: Path,
    change: Callable[[int, av.Packet], None] = lambda number, packet: None,
    options: dict[str, str] | None = None,
) -> Path:
    """The same packets in another file; ``change`` may alter each, given its number in order of decoding."""
    with av.open(str(source)) as given, av.open(str(target), "w", options=options or {}) as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        annexed = stream.codec_context.name == "h264" and target.suffix in {".avi", ".ts", ".h264"}
        form = av.BitStreamFilterContext("h264_mp4toannexb" if annexed else "null", stream)
        packets = (each for packet in given.demux(stream) if packet.size for each in form.filter(packet))
        for number, packet in enumerate(packets):
            packet.stream = copy
            change(number, packet)
            made.mux(packet)
    return target


def restamped(path: Path, milliseconds: Callable[[int, int], int]) -> Path:
    """An .flv whose n-th picture has the stamp that ``milliseconds`` makes of n and the one it has, however wild."""
    data = bytearray(path.read_bytes())
    at, number = 9 + 4, 0
    while at + 11 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        picture = kind == 9 and data[at + 12] == 1  # not the header of the coding
        if picture:
            stamp = int.from_bytes(data[at + 7 : at + 8] + data[at + 4 : at + 7], "big")
            new = milliseconds(number, stamp).to_bytes(4, "big")
            data[at + 4 : at + 8] = new[1:] + new[:1]
            number += 1
        at += 11 + size + 4
    path.write_bytes(bytes(data))
    return path


def retimed(source: Path, path: Path, milliseconds: Sequence[int], first: int = 0) -> Path:
    """Frames of a video from ``first`` on and over again, each at its time, copied without another loss (.mkv)."""
    with av.open(str(source)) as container:
        frames = list(islice(cycle(list(container.decode(video=0))), first, first + len(milliseconds)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame, time in zip(frames, milliseconds, strict=True):
            copied = frame.reformat(format="yuv420p")
            copied.pts, copied.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(copied))
        container.mux(stream.encode(None))
    return path


def packet_positions(path: Path) -> list[int]:
    """Where the pictures lie in a file."""
    with opened(path) as file:
        return [packet.pos for packet in file.packets()]


def blanked(path: Path, numbers: Iterable[int]) -> Path:
    """The file with these of its packets full of zeros, in place."""
    data, places = bytearray(path.read_bytes()), packet_positions(path)
    for number in numbers:
        data[places[number] : places[number + 1]] = bytes(places[number + 1] - places[number])
    path.write_bytes(bytes(data))
    return path


@contextmanager
def warned() -> Iterator[list[str]]:
    """What is warned of footage inside, each text once; filled at the end."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FootageWarning)
        yield texts
    texts += dict.fromkeys(str(each.message) for each in caught)
