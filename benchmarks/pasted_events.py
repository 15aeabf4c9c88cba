"""Cameras that show only normal life, with artificial events pasted into half of it: to choose without labels.

Generated cameras say what every kind of event does and nothing of how real pictures look; ordinary footage says how
real pictures look and holds no event. Here the first half of a camera's normal footage stays as it is, and the second
half becomes test videos, one for each kind of event and one for none, of the same frames:

- `fast`: at a place where something moves, the video runs three times as fast;
- `backwards`: there it runs back;
- `stopped`: what moves there stays where it is;
- `moved`: what moves somewhere moves at a place where least moves;
- `other_scene`: so does what moves before another camera;
- `left`: a standing picture of that appears and stays.

    python benchmarks/pasted_events.py --suite benchmarks/suites/normal.toml --leave-out cars-above,doorway,carpark \\
        --out cameras/pasted
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from record import parser_of

from metavad.files import write_text
from metavad.scenes.scene import Scene
from metavad.scenes.video import probe, read_frames
from metavad.types import FloatArray
from metavad.workflows.suites import open_suite

LASTS, EVERY = 2.0, 5.0
"""Seconds of one event, and from one to the next."""
MOVES = 0.06
"""Difference from the background, of 1, from which a pixel is something."""
ALONE = ("moved", "other_scene", "left")
"""Kinds that bring their own thing to a place where least moves."""


@dataclass(frozen=True)
class Camera:
    """Grey frames (T, H, W) from 0 to 1, the frames' rate, and what is there when nothing is."""

    name: str
    frames: FloatArray
    rate: float
    background: FloatArray

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.frames.shape[1])


@dataclass(frozen=True)
class Thing:
    """What moved in a box of a camera for some frames: pictures (T, h, w), and where it is not background."""

    pictures: FloatArray
    cover: FloatArray


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--leave-out", default="", help="cameras that a base has seen, by comma")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main() -> None:
    """Write the suite."""
    given = arguments().parse_args()
    scenes = [
        each for each in open_suite(given.suite, given.data).scenes if each.name not in given.leave_out.split(",")
    ]
    cameras = [read(scene) for scene in scenes]
    for number, camera in enumerate(cameras):
        write(given.out / camera.name, camera, cameras[(number + 1) % len(cameras)], number)
        print(camera.name, flush=True)
    write_text(given.out / "suite.toml", "".join(suite_lines(scenes)))


def read(scene: Scene) -> Camera:
    """A camera's first normal video."""
    facts = probe(scene.normal[0], scene.crop)
    frames = [each.image for each in read_frames(scene.normal[0], short_side=None, crop=scene.crop)]
    pictures = np.stack(frames).astype(np.float32) / np.float32(255)
    return Camera(scene.name, pictures, facts.rate, np.median(pictures[:: max(1, len(frames) // 60)], axis=0))


def write(folder: Path, camera: Camera, other: Camera, seed: int) -> None:
    """Both halves of a camera, the second once for every kind of event, with labels and ``events.csv``."""
    middle, gap = len(camera.frames) // 2, round(camera.rate)
    encode(folder / "normal" / "shown.mp4", camera.frames[:middle], camera.rate)
    rows = []
    for kind in ("nothing", "fast", "backwards", "stopped", *ALONE):
        frames = camera.frames[middle + gap :].copy()
        labels = np.zeros(len(frames), np.uint8)
        generator = np.random.default_rng([seed, len(rows)])
        for start, end in times(len(frames), camera.rate, generator):
            if kind != "nothing" and paste(kind, frames, camera, other, slice(start, end), generator):
                labels[start:end] = 1
                rows.append((kind, start, end, kind))
        encode(folder / "test" / f"{kind}.mp4", frames, camera.rate)
        (folder / "labels").mkdir(exist_ok=True)
        np.save(folder / "labels" / f"{kind}.npy", labels)
    with (folder / "events.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "start", "end", "kind"), *rows])


def times(frames: int, rate: float, generator: np.random.Generator) -> Iterator[tuple[int, int]]:
    """First frame of every event, and the one after its last; at other times in every video."""
    lasts, every = round(min(LASTS, frames / rate / 3) * rate), round(EVERY * rate)
    first = int(generator.integers(round(0.5 * rate), min(every, frames - lasts)))
    for start in range(first, frames - lasts + 1, every):
        yield start, start + lasts


def paste(
    kind: str, frames: FloatArray, camera: Camera, other: Camera, when: slice, generator: np.random.Generator
) -> bool:
    """Change these frames; false where there is nothing that could be changed."""
    size = int(camera.height * generator.uniform(0.15, 0.3))
    if kind not in ALONE:
        return rerun(kind, frames, camera, when, size)
    source = other if kind in ("other_scene", "left") else camera
    thing = found(source, size, when.stop - when.start, generator)
    if thing is None:
        return False
    row, column = quietest(frames, camera, size, generator)
    box = slice(row, row + size), slice(column, column + size)
    for number in range(when.start, when.stop):
        at = 0 if kind == "left" else min(number - when.start, len(thing.pictures) - 1)
        part = frames[number][box]
        part += thing.cover[at] * (thing.pictures[at] - part)
    return True


def rerun(kind: str, frames: FloatArray, camera: Camera, when: slice, size: int) -> bool:
    """Let time go otherwise in the box where most moves."""
    length = when.stop - when.start
    offset = np.arange(length)
    wanted = {"fast": when.start + 3 * offset, "backwards": when.stop - 1 - offset, "stopped": when.start + 0 * offset}
    box = busiest(motion(frames[when]), size)
    if box is None:
        return False
    changed = frames[np.minimum(wanted[kind], len(frames) - 1)][:, box[0], box[1]]
    soft = feather(size)
    frames[when, box[0], box[1]] += soft * (changed - frames[when, box[0], box[1]])
    return True


def found(source: Camera, size: int, length: int, generator: np.random.Generator) -> Thing | None:
    """What moves at one of a camera's busiest moments, as large as ``size`` whatever the camera's pixels are."""
    starts = generator.permutation(max(1, len(source.frames) - length))[:20]
    least = min(source.frames.shape[1:])
    own = size if size < least else least // 2
    begun = int(max(starts, key=lambda start: windows(motion(source.frames[start : start + length]), own).max()))
    place = busiest(motion(source.frames[begun : begun + length]), own)
    if place is None:
        return None
    parts = source.frames[begun : begun + length, place[0], place[1]]
    apart = np.abs(parts - source.background[place])
    cover = [cv2.GaussianBlur((each > MOVES).astype(np.float32), (0, 0), max(1.0, own / 20)) for each in apart]
    scaled = [cv2.resize(each, (size, size), interpolation=cv2.INTER_AREA) for each in parts]
    covers = [cv2.resize(np.clip(2 * each - 0.3, 0, 1), (size, size)) * feather(size) for each in cover]
    if np.mean(covers) < 0.05:
        return None
    return Thing(np.stack(scaled), np.stack(covers))


def motion(frames: FloatArray) -> FloatArray:
    """Mean change from frame to frame at each pixel."""
    return np.abs(np.diff(frames[:: max(1, len(frames) // 12)], axis=0)).mean(0)


def windows(maps: FloatArray, size: int) -> FloatArray:
    """Mean of every box of ``size`` pixels that lies inside, by its first row and column."""
    total = np.pad(maps.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return sums / size**2


def busiest(maps: FloatArray, size: int) -> tuple[slice, slice] | None:
    """The box in which most moves; ``None`` where nothing does."""
    means = windows(maps, size)
    if means.max() < 0.004:
        return None
    row, column = divmod(int(means.argmax()), means.shape[1])
    return slice(row, row + size), slice(column, column + size)


def quietest(frames: FloatArray, camera: Camera, size: int, generator: np.random.Generator) -> tuple[int, int]:
    """A place among the tenth of all where least ever moves."""
    means = windows(motion(frames), size)
    few = np.flatnonzero(means <= np.quantile(means, 0.1))
    row, column = divmod(int(generator.choice(few)), means.shape[1])
    return row, column


def feather(size: int) -> FloatArray:
    """1 inside, falling to 0 over the last tenth on each side."""
    side = np.clip(np.minimum(np.arange(size), np.arange(size)[::-1]) / max(1, size // 10), 0, 1)
    return np.outer(side, side).astype(np.float32)


def encode(path: Path, frames: FloatArray, rate: float) -> None:
    """H.264, even sizes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = (side // 2 * 2 for side in frames.shape[1:])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
        for each in frames:
            grey = np.ascontiguousarray(each[:height, :width] * 255 + 0.5).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())


def suite_lines(scenes: Sequence[Scene]) -> Iterator[str]:
    """The suite file."""
    yield 'title = "Ordinary cameras with pasted events"\n'
    for scene in scenes:
        yield f'\n[[scenes]]\nname = "{scene.name}"\nroot = "{scene.name}"\nnormal = ["normal/*.mp4"]\n'
        yield 'test = ["test/*.mp4"]\nlabels = { format = "npy", path = "labels/{video}.npy" }\n'


if __name__ == "__main__":
    main()
