"""How fast `metavad score` is and how much memory it takes, end to end, and how long adapting takes.

    python benchmarks/score.py --minutes 1,30 --repeats 1 --only small,adapt --json FILE

score.md says what came out and on which machine. The script draws its own
camera: textured things that cross a textured ground under sensor noise, encoded as H.264 at 25 frames a second,
360x240 and 1920x1080. Every figure is of the command itself in a process of its own: seconds from start to end,
peak memory (the kernel's, of that process), and, without start-up, frames a second between the two lengths:
(frames of the longer - frames of the shorter) / (seconds of the longer - seconds of the shorter).

    python benchmarks/score.py --minutes 1 --only small --repeats 5 --against CHECKOUT

lets the command of another checkout take turns with this one on the shortest video, and compares the two.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from commands import HERE, metavad, timed
from record import begin, busy, options, record_of, write

from metavad.normality.base import load_base
from metavad.scenes.scene import Video
from metavad.scenes.video import probe
from metavad.types import ByteArray

FPS = 25
SIZES = {"small": (240, 360), "large": (1080, 1920)}
LARGE_MINUTES = (0.5, 1.5)
LOOP = 10 * FPS
"""Frames that are drawn; a longer video shows them forwards and backwards again and again."""


def drawn(size: tuple[int, int], seed: int) -> Iterator[ByteArray]:
    """Grey frames (H, W) of ``LOOP`` moments: six things that cross at their own speeds and heights."""
    generator = np.random.default_rng(seed)
    height, width = size
    ground = _texture(generator, height, width)
    things = [_texture(generator, height // 5, height // 12) for _ in range(6)]
    rows = generator.integers(height // 8, height - height // 4, len(things))
    speeds = generator.uniform(0.04, 0.2, len(things)) * height * generator.choice([-1, 1], len(things))
    noise = [generator.integers(0, 5, size, dtype=np.uint8) for _ in range(5)]
    for tick in range(LOOP):
        frame = ground.copy()
        for number, (thing, row) in enumerate(zip(things, rows, strict=True)):
            at = int(number * width / 6 + speeds[number] * tick / FPS) % (width - thing.shape[1])
            frame[row : row + thing.shape[0], at : at + thing.shape[1]] = thing
        yield cv2.add(frame, noise[tick % len(noise)])


def _texture(generator: np.random.Generator, height: int, width: int) -> ByteArray:
    coarse = generator.integers(40, 200, (height // 6 + 2, width // 6 + 2), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def write_camera(path: Path, size: tuple[int, int], seconds: float, seed: int) -> Path:
    """One video of a drawn camera; frames are encoded as they are drawn."""
    frames = list(drawn(size, seed))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width = size
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "crf": "26"}
        for number in range(round(seconds * FPS)):
            turn = number % (2 * LOOP)
            picture = av.VideoFrame.from_ndarray(frames[min(turn, 2 * LOOP - 1 - turn)], format="gray")
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def threads(count: int) -> dict[str, str]:
    """The environment of a command that may use so many."""
    return {"OMP_NUM_THREADS": str(count)}


def repeated(commands: Callable[[Path], list[str]], given: argparse.Namespace) -> dict[str, float]:
    """Medians over the repeats, each with a free place to write to, and the spread of the seconds."""
    runs = []
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory() as place:
            runs.append(timed(commands(Path(place)), threads(given.threads)))
    found = {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}
    seconds = [run["seconds"] for run in runs]
    return found | {"spread": round(max(seconds) - min(seconds), 2)}


def measure_adapt(normal: Path, given: argparse.Namespace) -> dict[str, float]:
    """K = 10 shots of a minute of footage, the whole command."""

    def command(place: Path) -> list[str]:
        return metavad("adapt", "--normal", normal, "--shots", 10, "--base", given.base, "--out", place / "detector")

    return repeated(command, given)


def measure_score(videos: Sequence[Path], detector: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Each video by itself, and what lies between the shortest and the longest."""
    found: dict[str, Any] = {}
    lengths = []
    for video in videos:
        frames = probe(Video(video.stem, video)).frames

        def command(place: Path, video: Path = video) -> list[str]:
            return metavad("score", video, "--detector", detector, "--out", place / "scores")

        run = repeated(command, given)
        found[video.stem] = {"frames": frames, **run, "fps": round(frames / run["seconds"], 1)}
        lengths.append((frames, run["seconds"]))
        print(video.stem, found[video.stem], flush=True)
    frames, seconds = (last - first for first, last in zip(lengths[0], lengths[-1], strict=True))
    return found | ({"steady_fps": round(frames / seconds, 1)} if seconds > 0 else {})


def measure_against(video: Path, detector: Path, given: argparse.Namespace) -> dict[str, Any]:
    """This checkout and another in turn: medians of both, and by how much their scores differ at most."""
    runs: dict[str, list[dict[str, float]]] = {"this": [], "other": []}
    scores = {}
    for _ in range(given.repeats):
        for name, checkout in (("this", HERE.parent), ("other", given.against)):
            with tempfile.TemporaryDirectory() as place:
                command = metavad("score", video, "--detector", detector, "--out", Path(place) / "scores")
                runs[name].append(timed(command, threads(given.threads), checkout))
                (written,) = Path(place).glob("scores/*/scores.csv")
                scores[name] = np.loadtxt(written, delimiter=",", skiprows=1, usecols=2)
    found: dict[str, Any] = {
        name: {key: round(statistics.median(run[key] for run in each), 2) for key in each[0]}
        | {"spread": round(max(run["seconds"] for run in each) - min(run["seconds"] for run in each), 2)}
        for name, each in runs.items()
    }
    for key in ("seconds", "cpu_seconds"):
        found[f"{key}, other by this"] = round(found["other"][key] / found["this"][key], 3)
    return found | {"scores differ by": float(np.abs(scores["this"] - scores["other"]).max())}


def measure_size(name: str, minutes: Sequence[float], folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Adapting to a camera of this size, and scoring another part of it at every length."""
    normal = write_camera(folder / f"{name}-normal.mp4", SIZES[name], 60, seed=1)
    videos = [write_camera(folder / f"{name}-{m:g}.mp4", SIZES[name], 60 * m, seed=2) for m in minutes]
    detector = folder / f"{name}-detector"
    timed(metavad("adapt", "--normal", normal, "--shots", 10, "--base", given.base, "--out", detector), threads(2))
    if given.against:
        return measure_against(videos[0], detector, given)
    found = measure_score(videos, detector, given)
    if name == "small" and "adapt" in given.only:
        found["adapt"] = measure_adapt(normal, given)
        print("adapt", found["adapt"], flush=True)
    return found


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, threads=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", default="1,30")
    parser.add_argument("--only", default="small,large,adapt")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="take turns with the command of another one")
    return parser


def main() -> None:
    """Measure, print as it comes, write the record."""
    given = begin(arguments())
    minutes, rows, state = [float(text) for text in given.minutes.split(",")], {}, busy()
    with tempfile.TemporaryDirectory() as place:
        os.environ["METAVAD_CACHE"] = str(Path(place) / "cache")
        for name in (name for name in SIZES if name in given.only):
            rows[name] = measure_size(name, minutes if name == "small" else LARGE_MINUTES, Path(place), given)
    write(given.json, record_of(rows, base=load_base(given.base).digest, seed=None, **state))


if __name__ == "__main__":
    main()
