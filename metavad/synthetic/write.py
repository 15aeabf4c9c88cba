"""Generated cameras as a dataset on disk: video files, labels, masks, tracks, keypoints and a suite file."""

import csv
import hashlib
import json
import platform
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

import av
import cv2
import numpy as np

from metavad.arguments import checked
from metavad.errors import OutputError, UsageError, nearest
from metavad.files import atomic_directory, write_text
from metavad.progress import SILENT, Progress
from metavad.runs import runs
from metavad.scenes.array_files import mapped_array
from metavad.scenes.scene import MOST_CAMERAS, CameraSize
from metavad.scenes.video.container import file_address
from metavad.side_by_side import side_by_side
from metavad.synthetic.bodies import KEYPOINTS
from metavad.synthetic.camera import CameraSpec, sample_camera
from metavad.synthetic.plan import VideoPlan, abnormal_kinds, plan_videos
from metavad.synthetic.register import Print, is_noted, note, print_of
from metavad.synthetic.render import RenderedBox, RenderedFrame, render
from metavad.synthetic.world import World, build_world
from metavad.types import BoolArray, FloatArray

__all__ = ["VERSION", "claims_to_be_generated", "write_suite"]

VERSION = 2
"""Raised whenever the same seed gives other footage."""
MOST_VIDEOS, LEAST_SECONDS, MOST_SECONDS = 10_000, 0.1, 86_400.0
"""Of one side of a camera, and of a video."""
BRIDGE = 0.5
"""Seconds of hidden event that do not split it in ``events.csv``."""


@dataclass(frozen=True)
class _Counts:
    normal: int
    test: int
    normal_seconds: float
    test_seconds: float


SIZES = {"tiny": _Counts(2, 2, 4.0, 4.0), "small": _Counts(4, 6, 12.0, 8.0), "full": _Counts(8, 12, 20.0, 12.0)}


@checked
def write_suite(
    directory: str | Path,
    *,
    scenes: int,
    seed: int,
    size: CameraSize = "small",
    first: int = 0,
    normal_videos: int | None = None,
    test_videos: int | None = None,
    normal_seconds: float | None = None,
    test_seconds: float | None = None,
    progress: Progress = SILENT,
    jobs: int = 1,
) -> Path:
    """Write generated cameras, with labels, pixel masks, tracks and poses of every frame, as a suite.

    A camera depends on the seed, its number and the sizes alone, so that few cameras are a prefix of many. Each is
    whole or not there; those already written with the same settings are kept, once it is sure that they are what the
    generator writes: known from when it did, else written again and compared.

    Args:
        directory: where to write.
        scenes: how many cameras.
        seed: of the world that they are from.
        size: ``"tiny"``, ``"small"`` or ``"full"``: pictures, videos and seconds of each camera.
        first: number of the first camera.
        normal_videos: of each camera, else as its size has.
        test_videos: of each camera, else as its size has.
        normal_seconds: of each normal video, else as its size has.
        test_seconds: of each test video, else as its size has.
        progress: is told how far the work is; silent by default.
        jobs: processes that work side by side.

    Returns:
        The path of ``suite.toml``, for :func:`metavad.select_scenes`.

    Raises:
        OutputError: a folder holds something else.
        UsageError: an unknown size, or a count out of range.
    """
    if size not in SIZES:
        raise UsageError(f"size {size!r} is unknown; {nearest(size, SIZES)}")
    usual = SIZES[size]
    counts = _Counts(
        usual.normal if normal_videos is None else normal_videos,
        usual.test if test_videos is None else test_videos,
        usual.normal_seconds if normal_seconds is None else normal_seconds,
        usual.test_seconds if test_seconds is None else test_seconds,
    )
    _check(scenes, first, counts)
    numbers = range(first, first + scenes)
    place = Path(directory)
    finished = [number for number in numbers if _finished(place, seed, number, size, counts)]
    unsure = [number for number in finished if not all(map(is_noted, _prints(_folder(place, number))))]
    make = {number: _write_scene for number in numbers if number not in finished} | dict.fromkeys(
        unsure, _compare_scene
    )
    with progress.task("generate cameras", scenes) as task:
        task.advance(scenes - len(make))
        work = [partial(write, place, seed, number, size, counts) for number, write in make.items()]
        with closing(side_by_side(work, jobs)) as names:
            for name in names:
                for found in _prints(place / name):
                    note(found)
                task.advance(1, note=name)
    path = Path(directory) / "suite.toml"
    write_text(path, _suite_text(seed, size, numbers, counts))
    return path


def _check(scenes: int, first: int, counts: _Counts) -> None:
    limits = {"scenes": (scenes, 1, MOST_CAMERAS), "first": (first, 0, 10 * MOST_CAMERAS),
              "normal_videos": (counts.normal, 0, MOST_VIDEOS), "test_videos": (counts.test, 0, MOST_VIDEOS),
              "normal_seconds": (counts.normal_seconds, LEAST_SECONDS, MOST_SECONDS),
              "test_seconds": (counts.test_seconds, LEAST_SECONDS, MOST_SECONDS)}  # fmt: skip
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise UsageError(f"{name}: expected at least {least}, at most {most}, found {value}")


def _digest(seed: int, number: int, size: CameraSize, counts: _Counts) -> str:
    settings = json.dumps([VERSION, seed, number, size, asdict(counts)])
    return hashlib.sha256(settings.encode()).hexdigest()


def _finished(directory: Path, seed: int, number: int, size: CameraSize, counts: _Counts) -> bool:
    folder = _folder(directory, number)
    if not folder.exists():
        return False
    if _digest_of(folder / "meta.json") != _digest(seed, number, size, counts):
        raise _another(folder)
    return True


def _folder(directory: Path, number: int) -> Path:
    return directory / f"camera-{number:03d}"


def _another(folder: Path) -> OutputError:
    return OutputError(
        f"{folder}: expected nothing or a camera of the same seed, size and counts, found something else; "
        "name another folder or remove this one"
    )


def _prints(folder: Path) -> list[Print]:
    """What the test videos of a camera and their labels are known by."""
    try:
        videos = sorted((folder / "test").glob("*.mp4"))
        return [print_of(video, mapped_array(folder / "labels" / f"{video.stem}.npy")) for video in videos]
    except (OSError, ValueError) as error:
        raise _another(folder) from error


def claims_to_be_generated(folder: Path) -> bool:
    """Whether a folder holds the file that the generator writes into one: a claim, not a proof."""
    return _digest_of(folder / "meta.json") is not None


def _digest_of(meta: Path) -> object:
    """The digest that a finished camera carries, or ``None`` where this is none."""
    try:
        found = json.loads(meta.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found.get("digest") if isinstance(found, dict) else None


def _suite_text(seed: int, size: CameraSize, numbers: Iterable[int], counts: _Counts) -> str:
    lines = [f'title = "Generated cameras, seed {seed}, {size}"', ""]
    for number in numbers:
        name = f"camera-{number:03d}"
        lines += ["[[scenes]]", f'name = "{name}"', f'root = "{name}"', 'normal = ["normal/*.mp4"]']
        if counts.test:
            lines += ['test = ["test/*.mp4"]', 'labels = { format = "npy", path = "labels/{video}.npy" }',
                      'pixel_masks = { format = "png", path = "pixel_masks/{video}" }',
                      'tracks = { format = "tracks", path = "abnormal_tracks/{video}.txt" }']  # fmt: skip
        lines.append("")
    return "\n".join(lines)


# ---------------------------------------------------------------- one camera


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Cameras are made side by side, each on one core; afterwards OpenCV has as many threads as before."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@_one_opencv_thread()
def _write_scene(directory: Path, seed: int, number: int, size: CameraSize, counts: _Counts) -> str:
    spec = sample_camera(seed, number, size)
    world = build_world(spec)
    normal, test = plan_videos(spec, counts.normal, counts.test, counts.normal_seconds, counts.test_seconds)
    with atomic_directory(directory / spec.name) as folder:
        rows = []
        for video in normal:
            _write_video(folder, "normal", spec, world, video)
        for video in test:
            rows += [(video.name, *run) for run in _write_video(folder, "test", spec, world, video)]
        _write_rows(folder / "events.csv", ("video", "start", "end", "kind"), rows)
        meta = _meta(spec, counts, _digest(seed, number, size, counts))
        (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    return spec.name


def _compare_scene(directory: Path, seed: int, number: int, size: CameraSize, counts: _Counts) -> str:
    """Write a camera somewhere else: one that is there must have the same test videos and labels."""
    with tempfile.TemporaryDirectory() as elsewhere:
        name = _write_scene(Path(elsewhere), seed, number, size, counts)
        if _prints(Path(elsewhere) / name) != _prints(directory / name):
            raise _another(directory / name)
    return name


def _meta(spec: CameraSpec, counts: _Counts, digest: str) -> dict[str, object]:
    return {
        "digest": digest,
        "version": VERSION,
        "seed": spec.seed,
        "index": spec.index,
        "size": spec.size,
        "kind": spec.kind,
        "frames_per_second": spec.fps,
        "resolution": [spec.lens.width, spec.lens.height],
        "altitude": round(spec.lens.altitude, 2),
        "tilt_degrees": round(float(np.degrees(spec.lens.tilt)), 1),
        "focal_pixels": round(spec.lens.focal, 1),
        "night": spec.look.night,
        "normal_includes": sorted(spec.habits.includes),
        "abnormal_kinds": list(abnormal_kinds(spec)),
        "counts": asdict(counts),
    }


def _write_video(
    folder: Path, side: str, spec: CameraSpec, world: World, video: VideoPlan
) -> list[tuple[int, int, str | None]]:
    """One video and all that is known of it; gives the runs of abnormal frames with their kind."""
    kind: str | None = None
    tracks: list[tuple[int, RenderedBox]] = []
    points: list[tuple[int, int, FloatArray]] = []
    labels = np.zeros(video.frames, dtype=np.uint8)
    masks = folder / "pixel_masks" / video.name if side == "test" else None
    path = folder / side / f"{video.name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Encoder(path, spec) as encoder:
        for frame, rendered in enumerate(render(spec, video, world)):
            encoder.add(rendered)
            tracks += [(frame, box) for box in rendered.tracks]
            points += [(frame, track, found) for track, found in rendered.keypoints.items()]
            labels[frame] = rendered.mask.any()
            kind = kind or rendered.event
            if masks is not None:
                _write_mask(masks / f"{frame:03d}.png", rendered.mask)
    _write_tracks(folder / "tracks" / f"{video.name}.csv", tracks)
    _write_keypoints(folder / "keypoints" / f"{video.name}.npz", points)
    if side == "test":
        (folder / "labels").mkdir(exist_ok=True)
        np.save(folder / "labels" / f"{video.name}.npy", labels)
        _write_abnormal(folder / "abnormal_tracks" / f"{video.name}.txt", tracks)
    return [(start, end, kind) for start, end in runs(labels > 0, merge=round(BRIDGE * spec.fps)).tolist()]


def _write_mask(path: Path, mask: BoolArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(mask) if mask.any() else _empty(*mask.shape))


@lru_cache(maxsize=8)
def _empty(height: int, width: int) -> bytes:
    """Most masks are empty: encoded once."""
    return _encoded(np.zeros((height, width), dtype=bool))


def _encoded(mask: BoolArray) -> bytes:
    data = cv2.imencode(".png", mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return bytes(data.tobytes())


def _write_rows(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)


def _write_tracks(path: Path, tracks: list[tuple[int, RenderedBox]]) -> None:
    header = ("track", "frame", "x0", "y0", "x1", "y1", "kind", "abnormal")
    rows = ((b.track, frame, b.x0, b.y0, b.x1, b.y1, b.kind, int(b.abnormal)) for frame, b in tracks)
    _write_rows(path, header, rows)


def _write_abnormal(path: Path, tracks: list[tuple[int, RenderedBox]]) -> None:
    """Boxes of what is abnormal alone, without a header, last pixels inside: what region metrics read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(b.track, frame, b.x0, b.y0, b.x1 - 1, b.y1 - 1) for frame, b in tracks if b.abnormal]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _write_keypoints(path: Path, points: list[tuple[int, int, FloatArray]]) -> None:
    """``points`` (N, 17, 2) in pixels with ``frames`` and ``tracks`` (N,), and the ``names`` of the 17."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        frames=np.array([frame for frame, _, _ in points], dtype=np.int32),
        tracks=np.array([track for _, track, _ in points], dtype=np.int32),
        points=np.array([found for _, _, found in points], dtype=np.float32).reshape(-1, len(KEYPOINTS), 2),
        names=np.array(KEYPOINTS),
    )


class _Encoder:
    """H.264 in MP4, one thread, so that the same frames give the same file."""

    def __init__(self, path: Path, spec: CameraSpec) -> None:
        self.path, self.spec = path, spec

    def __enter__(self) -> "_Encoder":
        self.container = av.open(file_address(self.path), "w")
        rate = Fraction(self.spec.fps).limit_denominator(1001)
        options = {"crf": str(self.spec.look.crf), "preset": "veryfast"}
        # x264's code for AVX-512 lets unset memory decide now and then, so that the same frames gave other
        # files; with SSE2 the file is that of its plain C code, byte for byte
        if platform.machine().lower() in ("x86_64", "amd64"):
            options["x264-params"] = "asm=SSE2"
        self.stream = self.container.add_stream("libx264", rate=rate, options=options)
        self.stream.thread_count = 1
        self.stream.width, self.stream.height = self.spec.lens.width, self.spec.lens.height
        self.stream.pix_fmt = "yuv420p"
        return self

    def add(self, frame: RenderedFrame) -> None:
        """Encode one frame."""
        planes = cv2.cvtColor(frame.image, cv2.COLOR_RGB2YUV_I420)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        self.container.mux(self.stream.encode(picture))

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.container.mux(self.stream.encode())
        self.container.close()
