"""Every row of docs/formats.md: clips in each container, codec and pixel format, and pictures of each kind."""

import os
import re
import struct
from contextlib import nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from metavad.errors import FootageWarning
from metavad.scenes.formats import FORMATS, MASK_FORMATS, TRACK_FORMATS
from metavad.scenes.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from metavad.scenes.scene import Video
from metavad.scenes.video import probe, read_frames
from tests.footage import number_of, numbered, write_image
from tests.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
FRAMES = 24


@dataclass(frozen=True)
class Codec:
    """How a codec's clips are made: the encoder's name, what it takes, and how far its grey values may be off."""

    encoder: str
    pixels: str = "yuv420p"
    fps: int = 10
    size: tuple[int, int] = (64, 128)
    off: float = 2.5
    options: dict[str, str] = field(default_factory=dict)


CODECS = {
    "av1": Codec("libsvtav1"),
    "cfhd": Codec("cfhd", "yuv422p10le"),
    "cinepak": Codec("cinepak", "rgb24"),
    "dvvideo": Codec("dvvideo", fps=25, size=(576, 720)),
    "ffv1": Codec("ffv1"),
    "flashsv": Codec("flashsv", "bgr24"),
    "flv1": Codec("flv"),
    "gif": Codec("gif", "pal8"),
    "h263": Codec("h263", size=(144, 176)),
    "h264": Codec("libx264", options={"g": "8", "bf": "2"}),
    "hevc": Codec("libx265", options={"g": "8", "x265-params": "log-level=none"}),
    "h261": Codec("h261", size=(144, 176), off=4),
    "huffyuv": Codec("huffyuv", "yuv422p"),
    "jpeg2000": Codec("jpeg2000"),
    "magicyuv": Codec("magicyuv", "gbrp"),
    "mjpeg": Codec("mjpeg", "yuvj420p"),
    "mpeg1video": Codec("mpeg1video", fps=25, options={"g": "8", "bf": "2"}),
    "mpeg2video": Codec("mpeg2video", fps=25, options={"g": "8", "bf": "2"}),
    "mpeg4": Codec("mpeg4", options={"g": "8"}),
    "msmpeg4v2": Codec("msmpeg4v2"),
    "msmpeg4v3": Codec("msmpeg4", options={"b": "4M"}),
    "msvideo1": Codec("msvideo1", "rgb555le", off=6),
    "png": Codec("png", "rgb24"),
    "prores": Codec("prores_ks", "yuv422p10le"),
    "qtrle": Codec("qtrle", "rgb24"),
    "rawvideo": Codec("rawvideo"),
    "rv10": Codec("rv10", size=(144, 176)),
    "rv20": Codec("rv20"),
    "utvideo": Codec("utvideo"),
    "vp8": Codec("libvpx"),
    "vp9": Codec("libvpx-vp9"),
    "wmv1": Codec("wmv1"),
    "wmv2": Codec("wmv2"),
}

CONTAINERS = {
    ".mp4": "h264 hevc av1 vp9 mpeg4 mpeg2video mjpeg",
    ".m4v": "h264 mpeg4",
    ".f4v": "h264",
    ".ismv": "h264",
    ".mov": "h264 hevc mpeg4 mjpeg prores cfhd png qtrle",
    ".qt": "h264",
    ".mj2": "jpeg2000",
    ".3gp": "h264 mpeg4 h263",
    ".3g2": "h264",
    ".mkv": "h264 hevc av1 vp9 vp8 mpeg4 mpeg2video mjpeg ffv1 prores rawvideo",
    ".mk3d": "h264",
    ".webm": "av1 vp9 vp8",
    ".avi": "h264 mpeg4 mpeg2video mjpeg msmpeg4v2 msmpeg4v3 msvideo1 cinepak wmv2 "
    "ffv1 huffyuv utvideo magicyuv rawvideo",
    ".divx": "mpeg4",
    ".xvid": "mpeg4",
    ".ts": "h264 hevc mpeg2video mpeg4",
    ".mts": "h264",
    ".m2ts": "h264 hevc mpeg2video",
    ".m2t": "mpeg2video",
    ".trp": "h264",
    ".mpg": "mpeg1video mpeg2video",
    ".mpeg": "mpeg1video mpeg2video",
    ".mpe": "mpeg1video",
    ".vob": "mpeg2video",
    ".tod": "mpeg2video",
    ".flv": "h264 hevc av1 flv1 flashsv",
    ".asf": "h264 mpeg4 mjpeg msmpeg4v3 wmv1 wmv2",
    ".wmv": "wmv1 wmv2",
    ".wtv": "mpeg2video",
    ".ogv": "vp8",
    ".ogm": "vp8",
    ".rm": "rv10 rv20",
    ".rmvb": "rv20",
    ".dav": "h264 hevc",
    ".dv": "dvvideo",
    ".mxf": "mpeg2video",
    ".nut": "h264 vp8 ffv1 rawvideo",
    ".ivf": "av1 vp9 vp8",
    ".y4m": "rawvideo",
    ".gif": "gif",
    ".264": "h264",
    ".h264": "h264",
    ".avc": "h264",
    ".265": "hevc",
    ".h265": "hevc",
    ".hevc": "hevc",
    ".h261": "h261",
    ".h263": "h263",
    ".m1v": "mpeg1video",
    ".m2v": "mpeg2video",
    ".mpv": "mpeg1video",
    ".mjpeg": "mjpeg",
    ".mjpg": "mjpeg",
    ".obu": "av1",
}
WRITTEN_AS = {
    **{".avc": "h264", ".divx": "avi", ".xvid": "avi", ".mj2": "mov", ".qt": "mov", ".mk3d": "matroska"},
    **{".m2t": "mpegts", ".trp": "mpegts", ".mpe": "mpeg", ".tod": "vob", ".ogm": "ogg", ".rmvb": "rm"},
    ".mpv": "mpeg1video",
}
"""What PyAV is told to write where it does not know the suffix."""
ASSUMED = {".h261": 30000 / 1001, ".h263": 30000 / 1001, ".mjpeg": 25, ".mjpg": 25, ".obu": 25}
"""Frames a second that are taken, with a warning, where a file holds neither times nor a rate."""

PIXELS = {
    "gray": (".mkv", "ffv1"),
    "gray10le": (".mkv", "ffv1"),
    "gray12le": (".mkv", "ffv1"),
    "gray16le": (".mkv", "ffv1"),
    "ya8": (".mkv", "ffv1"),
    "yuv410p": (".mkv", "ffv1"),
    "yuv411p": (".mkv", "ffv1"),
    "yuv420p": (".mp4", "h264"),
    "yuvj420p": (".mp4", "h264"),
    "yuv422p": (".mp4", "h264"),
    "yuvj422p": (".avi", "mjpeg"),
    "yuv440p": (".mkv", "ffv1"),
    "yuv444p": (".mp4", "hevc"),
    "yuva420p": (".mkv", "ffv1"),
    "yuv420p10le": (".mp4", "hevc"),
    "yuv422p10le": (".mov", "prores"),
    "yuv444p10le": (".mp4", "h264"),
    "yuv420p12le": (".mkv", "hevc"),
    "yuv420p16le": (".mkv", "ffv1"),
    "nv12": (".nut", "rawvideo"),
    "yuyv422": (".avi", "rawvideo"),
    "uyvy422": (".mov", "rawvideo"),
    "rgb24": (".mov", "png"),
    "bgr24": (".avi", "rawvideo"),
    "bgr0": (".mkv", "ffv1"),
    "bgra": (".avi", "huffyuv"),
    "gbrp": (".avi", "utvideo"),
    "gbrp10le": (".mkv", "ffv1"),
    "rgb48be": (".mov", "png"),
    "rgb555le": (".avi", "msvideo1"),
    "pal8": (".avi", "rawvideo"),
}
LARGEST = {"gray10le": 1023, "gray12le": 4095, "gray16le": 65535}
"""Grey formats of more than eight bits, made here without FFmpeg's own conversion."""

PICTURES = {
    ".jpg": "grey, colour",
    ".jpeg": "grey, colour",
    ".png": "grey, colour, colour and alpha, palette, 16 bit grey, 16 bit colour",
    ".bmp": "grey, colour",
    ".tif": "grey, colour, 16 bit grey",
    ".tiff": "grey, colour, 16 bit grey",
    ".webp": "colour",
    ".pgm": "grey, 16 bit grey",
    ".ppm": "colour",
}


def as_pixels(grey: np.ndarray, pixels: str) -> av.VideoFrame:
    """A grey picture (H, W) of bytes in another pixel format."""
    if pixels == "pal8":
        palette = np.repeat(255 - np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
        palette[:, 0] = 255
        return av.VideoFrame.from_ndarray((255 - grey, palette), format=pixels)
    if pixels in LARGEST:
        deep = np.round(grey * (LARGEST[pixels] / 255)).astype(np.uint16)
        return av.VideoFrame.from_ndarray(deep, format=pixels)
    return av.VideoFrame.from_ndarray(grey, format="gray").reformat(format=pixels)


def encoded(path: Path, codec: Codec, pixels: str, fps: int) -> Path:
    """A clip whose pictures say their numbers."""
    with av.open(str(path), "w", format=WRITTEN_AS.get(path.suffix)) as container:
        stream = container.add_stream(codec.encoder, rate=fps)
        stream.height, stream.width = codec.size
        stream.pix_fmt = pixels
        stream.options = codec.options
        for packet in packets(stream, codec, pixels, fps):
            container.mux(packet)
    return path


def packets(encoder, codec: Codec, pixels: str, fps: int):
    for number in range(FRAMES):
        frame = as_pixels(numbered(number, *codec.size), pixels)
        frame.pts, frame.time_base = number, Fraction(1, fps)
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


@cache
def av1_clip(folder: Path) -> Path:
    """Encoded once: as root this encoder gives its threads and the calling one realtime priority, and leaves it so."""
    path = encoded(folder / "clip.ivf", CODECS["av1"], CODECS["av1"].pixels, CODECS["av1"].fps)
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def repacked(source: Path, path: Path) -> Path:
    """The same packets in another container."""
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0], opaque=True)
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def written_dav(path: Path, codec: Codec, pixels: str, fps: int) -> Path:
    """What recorders of surveillance cameras write; FFmpeg reads it and writes none."""
    encoder = av.CodecContext.create(codec.encoder, "w")
    encoder.height, encoder.width = codec.size
    encoder.pix_fmt, encoder.framerate, encoder.time_base = pixels, Fraction(fps), Fraction(1, fps)
    encoder.options = codec.options | {"bf": "0"} | ({"x265-params": "log-level=none:bframes=0"} if hevc(codec) else {})
    pieces = [dav_piece(*each, codec, fps) for each in enumerate(packets(encoder, codec, pixels, fps))]
    path.write_bytes(b"".join(pieces))
    return path


def hevc(codec: Codec) -> bool:
    return codec.encoder == "libx265"


def dav_piece(number: int, packet: av.Packet, codec: Codec, fps: int) -> bytes:
    """One picture: its date to the second, milliseconds that wrap, size, codec and rate, and its length twice."""
    height, width = codec.size
    facts = bytes([0x80, 0, width // 8, height // 8, 0x81, 0, 0x0C if hevc(codec) else 0x02, fps])
    content = bytes(packet)
    milliseconds, length = number * 1000 // fps, 24 + len(facts) + len(content) + 8
    date = 24 << 26 | 5 << 22 | 17 << 17 | 10 << 12 | milliseconds // 1000
    head = struct.pack("<4sB3xIIIHBx", b"DHAV", 0xFD - (not packet.is_keyframe), number, length, date, milliseconds, 8)
    return head + facts + content + struct.pack("<4sI", b"dhav", length)


def made(path: Path, name: str, pixels: str | None = None) -> tuple[Path, float]:
    """A clip, and the frames a second that it is read with; left out where PyAV was built without the encoder."""
    codec = CODECS[name]
    try:
        av.Codec(codec.encoder, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this build of PyAV has no encoder {codec.encoder}")
    if name == "av1":
        repacked(av1_clip(path.parents[1]), path)
    else:
        (written_dav if path.suffix == ".dav" else encoded)(path, codec, pixels or codec.pixels, codec.fps)
    return path, ASSUMED.get(path.suffix, codec.fps)


def check(path: Path, fps: float, off: float) -> None:
    """Frame count, order, times, size and grey values of a clip are those it was made with."""
    video = Video(path.stem, path, fps if path.is_dir() else None)
    facts, frames = probe(video), list(read_frames(video, short_side=None))
    assert facts.frames == FRAMES
    assert [number_of(frame.image) for frame in frames] == list(range(FRAMES))
    np.testing.assert_allclose(facts.seconds, np.arange(FRAMES) / fps, atol=1.5e-3)
    np.testing.assert_allclose([frame.seconds for frame in frames], facts.seconds)
    assert facts.rate == pytest.approx(fps, rel=1e-2)
    for number, frame in enumerate(frames):
        assert frame.image.shape == (facts.height, facts.width)
        assert np.abs(frame.image - numbered(number, *frame.image.shape).astype(float)).mean() < off


@pytest.mark.parametrize(
    ("suffix", "codec"), [(suffix, codec) for suffix, codecs in CONTAINERS.items() for codec in codecs.split()]
)
def test_a_video_is_read(tmp_path, suffix, codec):
    path, fps = made(tmp_path / f"clip{suffix}", codec)
    warned = pytest.warns(FootageWarning, match=f"no times; {fps:g} frames") if suffix in ASSUMED else nullcontext()
    with warned:
        check(path, fps, CODECS[codec].off)


@pytest.mark.parametrize("pixels", PIXELS)
def test_a_pixel_format_is_read(tmp_path, pixels):
    suffix, codec = PIXELS[pixels]
    path, fps = made(tmp_path / f"clip{suffix}", codec, pixels)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).format.name == pixels
    check(path, fps, CODECS[codec].off)


def picture(grey: np.ndarray, kind: str) -> np.ndarray:
    """A grey picture as arrays that OpenCV writes: 16 bit use their whole range."""
    deep = grey.astype(np.uint16) * 257 if kind.startswith("16 bit") else grey
    coloured = np.repeat(deep[..., None], 3, axis=2)
    return {
        "grey": deep,
        "16 bit grey": deep,
        "colour": coloured,
        "16 bit colour": coloured,
        "colour and alpha": np.dstack([coloured, np.full_like(grey, 128)]),
    }[kind]


def write_picture(path: Path, grey: np.ndarray, kind: str) -> None:
    if kind != "palette":
        write_image(path, picture(grey, kind))
        return
    encoder = av.CodecContext.create("png", "w")  # OpenCV writes no palettes
    encoder.height, encoder.width = grey.shape
    encoder.pix_fmt, encoder.time_base = "pal8", Fraction(1, 25)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(bytes, encoder.encode(as_pixels(grey, "pal8")))))


@pytest.mark.parametrize(
    ("suffix", "kind"), [(suffix, kind) for suffix, kinds in PICTURES.items() for kind in kinds.split(", ")]
)
def test_a_folder_of_pictures_is_read(tmp_path, suffix, kind):
    for number in range(FRAMES):
        write_picture(tmp_path / "clip" / f"{number}{suffix}", numbered(number, 64, 128), kind)
    header = cv2.imread(str(tmp_path / "clip" / f"0{suffix}"), cv2.IMREAD_UNCHANGED)
    assert header.dtype == (np.uint16 if kind.startswith("16 bit") else np.uint8)
    deep = kind.startswith("16 bit")
    with pytest.warns(FootageWarning, match="pictures of 16 bits") if deep else nullcontext():
        check(tmp_path / "clip", 12.5, 2.5)


# --- the page says what is tested, and nothing else ---------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading of the page, without its head; marks of code removed."""
    section = re.split(r"^#+ ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def test_containers_on_the_page_are_those_tested():
    assert {suffix: codecs.replace(", ", " ") for suffix, _, codecs in rows("Videos")} == CONTAINERS


def test_codecs_that_are_known_are_used():
    assert {codec for codecs in CONTAINERS.values() for codec in codecs.split()} == set(CODECS)


def test_what_is_found_in_folders_is_on_the_page():
    tested = {suffix for suffix, *_ in rows("Videos")}
    stated = re.search(r"All but (.+?) are also found in folders .*?\. So are (.+?), which are not tested", PAGE)
    alone, untested = (set(re.findall(r"`(\.\w+)`", part)) for part in stated.groups())
    assert tested - VIDEO_SUFFIXES == alone
    assert VIDEO_SUFFIXES - tested == untested
    assert {suffix for suffix, *_ in rows("Folders of pictures")} == IMAGE_SUFFIXES


def test_what_states_no_rate_is_on_the_page():
    stated = re.search(r"\n\n.*? state\. (.+?) state none", PAGE)
    assert set(re.findall(r"`(\.\w+)`", stated[1])) == set(ASSUMED)


def test_pixel_formats_on_the_page_are_those_tested():
    assert {pixels: (suffix, codec) for pixels, _, suffix, codec in rows("Pixel formats")} == PIXELS


def test_pictures_on_the_page_are_those_tested():
    assert dict(rows("Folders of pictures")) == PICTURES


def test_label_formats_on_the_page_are_those_there():
    tables = {"frames": FORMATS, "masks": MASK_FORMATS, "tracks": TRACK_FORMATS}
    stated = sorted((form, kind) for form, kind, *_ in rows("Labels"))
    assert stated == sorted((form, kind) for kind, table in tables.items() for form in table)


def test_trees_on_the_page_are_those_tested():
    assert [tree for tree, *_ in rows("Dataset trees")] == list(LAYOUTS)


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))))
def test_tests_on_the_page_exist(named):
    file, test = named
    assert f"\ndef {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_rows_of_labels_and_trees_name_their_tests():
    for heading in ("Labels", "Dataset trees", "Poses", "Other files"):
        for row in rows(heading):
            assert re.fullmatch(r"(tests/[\w/]+\.py::\w+)(, tests/[\w/]+\.py::\w+)*", row[-1]), row
