"""Footage that shows nothing is said: black, frozen; and what is only still or dark is not."""

from pathlib import Path

import av
import numpy as np
import pytest

from metavad.scenes.datasets.check import check_suite
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import Frame, probe, read_frames, tick_frames
from metavad.scenes.video.black_or_frozen import Glance, Glancing, warn_of_nothing, watched
from tests.footage import warned

RATE, SIZE = 10, (192, 256)
VIDEO = Video("a", Path("a.mp4"))


def room(seed: int = 0) -> np.ndarray:
    """A room with structure."""
    noise = np.random.default_rng(seed).integers(40, 200, (12, 16))
    return np.kron(noise, np.ones((16, 16))).astype(np.uint8)


def alive(number: int) -> np.ndarray:
    """The room with somebody walking, and a lens."""
    picture = room().astype(np.int16) + np.random.default_rng(number).integers(-3, 4, SIZE)
    picture[80:160, 8 * number % 200 : 8 * number % 200 + 32] = 230
    return np.clip(picture, 0, 255).astype(np.uint8)


def still(number: int) -> np.ndarray:
    """Nobody there: the noise of the lens alone."""
    return np.clip(room() + np.random.default_rng(number).integers(-3, 4, SIZE), 0, 255).astype(np.uint8)


def black(number: int) -> np.ndarray:
    """A covered lens, which has noise, too."""
    return np.random.default_rng(number).integers(14, 20, SIZE).astype(np.uint8)


def frozen(number: int) -> np.ndarray:
    return alive(0)


def night(number: int) -> np.ndarray:
    """Dark, with a lamp in the picture."""
    picture = black(number)
    picture[20:60, 20:60] = 120
    return picture


def drowsy(number: int) -> np.ndarray:
    """A dark room that is compressed much: the same for seconds, and then a little else."""
    picture = room(1) // 4
    turns = np.random.default_rng(number // (5 * RATE)).random(SIZE) < 0.05
    return np.where(turns, picture + 4, picture).astype(np.uint8)


def pulsing(number: int) -> np.ndarray:
    """A frozen picture as compressed: every second a key frame, and a little else until the next."""
    picture = alive(0)
    turns = np.random.default_rng(number // RATE % 2).random(SIZE) < 0.05
    return np.where(turns, picture // 8 * 8, picture).astype(np.uint8)


def frames(*parts) -> list[Frame]:
    """``(picture, seconds)`` one after another."""
    pictures = [picture for picture, seconds in parts for _ in range(int(RATE * seconds))]
    return [Frame(number, number / RATE, picture(number)) for number, picture in enumerate(pictures)]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([(alive, 4), (black, 4)], "the picture is black, or one even grey, from 4.0 s to the end at 7.9 s"),
        ([(alive, 4), (frozen, 4)], "the picture is frozen, the same again and again, from 4.0 s to the end at 7.9 s"),
        ([(black, 3)], "the picture is black, or one even grey, from beginning to end"),
        ([(frozen, 3)], "the picture is frozen, the same again and again, from beginning to end"),
        ([(pulsing, 100)], "the picture is frozen, the same again and again, from beginning to end"),
        (
            [(frozen, 5), (alive, 1), (black, 3)],
            "the picture is black, or one even grey, from 6.0 s to the end at 8.9 s",
        ),
    ],
    ids=["goes black", "freezes", "black", "frozen", "long", "several"],
)
def test_a_video_that_ends_in_nothing_is_reported(parts, message):
    with warned() as texts:
        seen = list(watched(VIDEO, frames(*parts)))
    assert texts == [f"a.mp4: {message}"]
    assert [frame.index for frame in seen] == list(range(len(seen)))


@pytest.mark.parametrize(
    "parts",
    [
        [(alive, 6)],
        [(still, 8)],
        [(alive, 4), (still, 4)],
        [(night, 6)],
        [(black, 3), (alive, 3)],
        [(frozen, 3), (alive, 3)],
        [(alive, 6), (black, 1.5)],
        [(alive, 30), (frozen, 4)],
        [(drowsy, 100)],
        [],
    ],
    ids=["alive", "still", "becomes still", "night", "black first", "hung once", "a moment", "short", "drowsy", "none"],
)
def test_footage_that_shows_something_is_silent(parts):
    assert len(list(watched(VIDEO, frames(*parts)))) == sum(int(RATE * seconds) for _, seconds in parts)


def test_nothing_of_a_video_is_kept(monkeypatch):
    """Each frame is handed on before the next is asked for."""
    asked = []

    def source():
        for frame in frames((alive, 2)):
            asked.append(frame.index)
            yield frame

    for frame in watched(VIDEO, source()):
        assert asked[-1] == frame.index


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [("libx264", ".mp4", {"g": "12"}), ("mpeg4", ".avi", {}), ("mjpeg", ".avi", {}), ("libvpx", ".webm", {})],
)
@pytest.mark.parametrize(("what", "word"), [(black, "black"), (frozen, "frozen"), (alive, None)])
def test_compressed_video(tmp_path, codec, suffix, options, what, word):
    """Key frames of a frozen picture differ a little from those between."""
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = options
        for frame in frames((alive, 4), (what, 4)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="gray")))
        container.mux(stream.encode(None))
    video = Video("a", path)
    with warned() as texts:
        for _ in watched(video, read_frames(video, short_side=None, every=tick_frames(probe(video).seconds, 10))):
            pass
    assert [word for text in texts if word and word in text] == ([word] if word else [])
    assert len(texts) == bool(word)


def test_a_glance_at_clips():
    def clip(picture, count=12):
        glancing = Glancing()
        for number in range(count):
            glancing.add(picture(number))
        return glancing.found

    assert clip(black) == Glance(black=True, frozen=False)
    assert clip(frozen) == Glance(black=False, frozen=True)
    assert clip(alive) == clip(still) == clip(night) == Glance(black=False, frozen=False)
    assert clip(frozen, 3) == Glance(black=False, frozen=False)


def glances(*kinds: str) -> dict[tuple[str, float], Glance]:
    found = {"b": Glance(True, False), "f": Glance(False, True), ".": Glance(False, False)}
    return {("a", float(number)): found[kind] for number, kind in enumerate("".join(kinds))}


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("....", []),
        (".b..", ["1 of 4 normal clips show nothing (black, or one even grey): a at 1.0 s"]),
        (
            "..ff",
            ["2 of 4 normal clips show nothing (frozen, the same again and again): a at 2.0 s, a at 3.0 s"],
        ),
        ("...f", []),
        (
            "bbbb",
            ["4 of 4 normal clips show nothing (black, or one even grey): a at 0.0 s, a at 1.0 s, a at 2.0 s, ..."],
        ),
        ("", []),
    ],
)
def test_clips_that_show_nothing(kinds, message):
    with warned() as texts:
        warn_of_nothing(glances(kinds))
    assert [text.partition("; give footage")[0] for text in texts] == message


def written(path: Path, what) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in frames((what, 6)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="gray")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("what", "word"), [(black, "black"), (frozen, "frozen"), (alive, "")])
def test_normal_footage_that_shows_nothing_is_reported_when_adapting(tmp_path, tiny_base, what, word):
    from metavad.scenes.listing import scene_of_files
    from metavad.workflows.few_shot import adapt

    scene = scene_of_files([written(tmp_path / "a.mp4", what)])
    with warned() as texts:
        adapt(tiny_base, scene, shots=3, shot_frames=12, pictures=False)
    assert [f"3 of 3 normal clips show nothing ({word}" in text for text in texts] == [True] * bool(word)


def test_a_video_that_goes_black_is_a_finding(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in frames((alive, 15), (black, 15)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="gray")))
        container.mux(stream.encode(None))
    (tmp_path / "suite.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["*.mp4"]\n')
    found = [str(finding) for finding in check_suite(load_suite(str(tmp_path)))]
    assert len(found) == 1
    assert found[0].startswith(f"warning: {tmp_path.name}:x/a: the picture is black, or one even grey, from 1")
