"""What `fuzz.py` damages, kind by kind: good inputs made once, and a command that reads a damaged copy of them."""

import hashlib
import json
import re
import shutil
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from damage import damaged, damaged_json, damaged_text

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = sys.modules.setdefault("tests", types.ModuleType("tests"))  # other packages install one of this name
_PACKAGE.__path__ = [str(ROOT / "tests")]

from metavad.bundle import _described, _digest  # noqa: E402
from tests.conftest import TINY  # noqa: E402
from tests.layouts import LAYOUTS  # noqa: E402

__all__ = ["KINDS", "TINY", "Case", "Corpus", "Kind", "make_corpus"]

Random = np.random.Generator
HEIGHT, WIDTH, FRAMES, RATE = 48, 64, 30, 10
NORMAL = ["--shots", "2", "--shot-frames", "5"]


@dataclass(frozen=True)
class Case:
    """A command, and the names in its folder that it may make or change."""

    arguments: list[str]
    outputs: tuple[str, ...] = ()
    damage: str = ""


@dataclass(frozen=True)
class Corpus:
    """The folder of good inputs; ``port`` is where somebody listens who must never be called."""

    root: Path
    port: int = 9
    whole: bool = False
    """Damage nothing: good inputs must be read, or breaking them tests nothing."""

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    @property
    def base(self) -> str:
        """A base of a few steps."""
        return str(self / "run" / "base")

    def damage(self, path: Path, random: Random, texts: Sequence[str] = ()) -> str:
        """Damage a file in the way of its kind, perhaps with one of these texts; its name."""
        how = _HOW.get(path.suffix, damaged)
        words = [text.replace("ADDRESS", f"http://127.0.0.1:{self.port}/x").encode() for text in texts]
        if not self.whole:
            path.write_bytes(how(path.read_bytes(), random, words))
        return path.name


_HOW = {".json": damaged_json, **dict.fromkeys((".csv", ".txt", ".m", ".toml", ".jsonl"), damaged_text)}


@dataclass(frozen=True)
class Kind:
    """One kind of input: its share of all cases, what makes a damaged one, and what makes the good ones before."""

    share: int
    case: Callable[[Corpus, Path, Random], Case]
    needs: tuple[Callable[[Corpus], None], ...] = ()


def make_corpus(root: Path, kinds: Sequence[str], run: Path | None = None) -> Corpus:
    """Good inputs of these kinds; half a minute, most of it for a base where there is no ``run`` that has one."""
    corpus = Corpus(root)
    root.mkdir()
    if run is None:
        _command("data", "synthesize", "--scenes", 2, "--size", "tiny", "--seed", 3, "--out", corpus / "cameras")
        _command("meta-train", *_training(corpus, "quick"), "--out", corpus / "run")
    else:
        shutil.copytree(run, corpus / "run")
    write_clip(corpus / "good.mp4", "libx264")
    write_clip(corpus / "normal.mp4", "libx264", first=40)
    given = ["--normal", corpus / "normal.mp4", *NORMAL, "--base", corpus.base, "--out", corpus / "detector"]
    _command("adapt", *given)
    for make in dict.fromkeys(part for kind in kinds for part in KINDS[kind].needs):
        make(corpus)
    return corpus


def _training(corpus: Corpus, config: str) -> list[str]:
    """Options of a training that takes seconds."""
    settings = [part for setting in TINY for part in ("--set", setting)]
    return ["--scenes", str(corpus / "cameras" / "suite.toml"), "--config", config, *settings]


def _command(*arguments: object) -> None:
    from metavad.cli import main

    if code := main(list(map(str, arguments))):
        raise SystemExit(f"metavad {' '.join(map(str, arguments))}: exit code {code}")


def choice(random: Random, options: Sequence[str]) -> str:
    """One of them."""
    return options[int(random.integers(len(options)))]


# --- videos and pictures ----------------------------------------------------------------------------------------

CLIPS = {
    "a.mp4": "libx264",
    "hevc.mp4": "libx265",
    "b.mov": "mjpeg",
    "c.mkv": "libx264",
    "vp9.mkv": "libvpx-vp9",
    "ffv1.mkv": "ffv1",
    "d.webm": "libvpx",
    "e.avi": "mpeg4",
    "h264.avi": "libx264",
    "raw.avi": "rawvideo",
    "f.ts": "libx264",
    "g.m2ts": "mpeg2video",
    "h.mpg": "mpeg1video",
    "i.flv": "flv",
    "j.wmv": "wmv2",
    "k.3gp": "mpeg4",
    "l.ogv": "libvpx",
    "m.264": "libx264",
    "n.265": "libx265",
    "o.mjpeg": "mjpeg",
    "p.y4m": "rawvideo",
    "q.gif": "gif",
    "r.nut": "ffv1",
    "s.mxf": "mpeg2video",
}
PLAYLISTS = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nADDRESS.ts\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n../sibling/secret.mp4\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile '../sibling/secret.mp4'\n",
    "ffconcat version 1.0\nfile 'ADDRESS.mp4'\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    '<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>ADDRESS</BaseURL></AdaptationSet></Period></MPD>',
)


def write_clip(path: Path, encoder: str, *, first: int = 0, frames: int = FRAMES) -> Path:
    """A bright thing that wanders over a pattern."""
    pixels = {"mjpeg": "yuvj420p", "gif": "gray"}.get(encoder, "yuv420p")
    rate = 25 if encoder.startswith(("mpeg1", "mpeg2")) else RATE
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=rate)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixels
        stream.options = {"g": "8", "x265-params": "log-level=none"} if encoder == "libx265" else {"g": "8"}
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(scene_at(first + number), format="gray")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def scene_at(number: int) -> np.ndarray:
    """Grey (H, W)."""
    picture = np.add.outer(np.arange(HEIGHT), 2 * np.arange(WIDTH)).astype(np.uint8)
    picture[20:34, (number * 2) % (WIDTH - 8) :][:, :8] = 230
    return picture


def _make_videos(corpus: Corpus) -> None:
    for name, encoder in CLIPS.items():
        write_clip(corpus / "videos" / name, encoder)


def _video(corpus: Corpus, work: Path, random: Random) -> Case:
    name = choice(random, list(CLIPS))
    shutil.copyfile(corpus / "videos" / name, work / name)
    corpus.damage(work / name, random, PLAYLISTS)
    return _read(corpus, work, name, random)


def _read(corpus: Corpus, work: Path, name: str, random: Random, more: Sequence[str] = ()) -> Case:
    """A command that reads a video."""
    what = choice(random, ["score", "score", "score", "adapt", "check", "label"])
    if what == "score":
        given = ["score", name, "--detector", str(corpus / "detector"), "--out", "out", *more]
    elif what == "adapt":
        budget = ["--budget", "0"] * int(random.integers(2))
        given = ["adapt", "--normal", name, *NORMAL, "--base", corpus.base, "--out", "out", *budget, *more]
    elif what == "label":
        given = ["data", "label", name, "--out", "out", *more]
    else:
        fps = "fps = 10\n" if more else ""
        (work / "site.toml").write_text(f'[[scenes]]\nname = "x"\nnormal = ["{name}"]\n{fps}')
        given = ["data", "check", "site.toml"]
    return Case(given, ("out",) if what != "check" else (), name)


PICTURES = (".png", ".jpg", ".bmp", ".tif", ".webp", ".pgm", ".ppm")


def _make_folders(corpus: Corpus) -> None:
    for suffix in PICTURES:
        folder = corpus / "folders" / suffix[1:]
        folder.mkdir(parents=True)
        for number in range(16):
            _write_picture(folder / f"{number:03d}{suffix}", scene_at(number))


def _folder(corpus: Corpus, work: Path, random: Random) -> Case:
    suffix = choice(random, PICTURES)
    shutil.copytree(corpus / "folders" / suffix[1:], work / "today")
    for _ in range(int(random.integers(1, 4))):
        _disturb(corpus, work / "today", suffix, random)
    return _read(corpus, work, "today", random, ["--fps", "10"])


def _disturb(corpus: Corpus, folder: Path, suffix: str, random: Random) -> None:
    """A picture is damaged, gone, of another kind, a folder, or leads nowhere."""
    path = folder / f"{int(random.integers(16)):03d}{suffix}"
    what = choice(random, ["damage"] * 5 + ["gone", "other", "folder", "loop", "size"])
    if (what == "damage" or corpus.whole) and path.is_file():
        corpus.damage(path, random)
        return
    if path.is_dir():
        return
    path.unlink(missing_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path.name)
    elif what != "gone":
        other = path.with_suffix(choice(random, PICTURES)) if what == "other" else path
        _write_picture(other, scene_at(3)[: 24 if what == "size" else HEIGHT])


def _write_picture(path: Path, grey: np.ndarray) -> None:
    cv2.imwrite(str(path), np.repeat(grey[..., None], 3, axis=2) if path.suffix == ".ppm" else grey)


# --- labels, suites, lists --------------------------------------------------------------------------------------

TABLE_WORDS = (
    *("video,start,end", "a,b,c,d,e,f,g", "today,1,3", "today,-1,3", "today,3,1", "today,0.5,1e9", '"', "=1+1"),
    "today.mp4 Abuse 1 9 -1 -1",
)


def _make_trees(corpus: Corpus) -> None:
    for name, (_, write) in LAYOUTS.items():
        write(corpus / "trees" / name / "data")


def _labels(corpus: Corpus, work: Path, random: Random) -> Case:
    """Labels of a dataset as it is released."""
    name = choice(random, list(LAYOUTS))
    shutil.copytree(corpus / "trees" / name, work, dirs_exist_ok=True)
    files = sorted(path for path in (work / "data").rglob("*") if path.is_file() and not path.name.startswith("."))
    candidates = [path for path in files if path.suffix in LABELS or re.search("mask|_gt", str(path))] or files
    path = candidates[int(random.integers(len(candidates)))]
    what = corpus.damage(path, random, TABLE_WORDS)
    return Case([*_benchmarked(LAYOUTS[name][0], corpus, random), "--data", "data"], (), f"{name}: {what}")


LABELS = (".csv", ".txt", ".m", ".mat", ".npy", ".npz")


def _benchmarked(suite: str, corpus: Corpus, random: Random) -> list[str]:
    """A command that reads labels."""
    if random.random() < 0.8:
        return ["data", "check", suite]
    how = ["--shots", "0", "--draws", "1", "--shot-frames", "4", "--methods", "position", "--base", corpus.base]
    return ["benchmark", "--target", suite, *how]


SITE = """title = "Site"

[[scenes]]
name = "lobby"
root = "."
normal = ["normal/*.mp4"]
test = ["test/*"]
labels = { format = "intervals", path = "labels/intervals.csv", unit = "seconds" }
pixel_masks = { format = "npy-masks", path = "labels/{video}-masks.npy" }
tracks = { format = "tracks", path = "labels/{video}.txt" }
keypoints = "poses/{video}.json"
crop = { top = 4, left = 2 }
fps = 10
expect = { normal_videos = 3, test_lengths = [30] }

[[scenes]]
name = "at-{scene}"
pattern = '(?P<scene>[a-z]+)-\\d+'
normal = ["normal/*"]
normal_list = ["names.txt"]
roles = ["meta-test"]

[[scenes]]
name = "street"
test = ["test/*"]
labels = { format = "ucf-crime", path = "labels/street.txt" }
"""
SUITE_WORDS = (
    *("", ".", "..", "/", "***", "**/*", "{", "{video", "{0}", "{a{b}}", "[", "~", "\\u0000", "=", '"""', "\\"),
    *("../sibling", "../sibling/*", "../../*", "ADDRESS", "http:", "C:\\\\x", "\\u001b[31m", "a" * 5000),
    *("(?P<scene>(a+)+)$", "(?P<scene>", "(?P<x>.)", "test/*", "normal/*", "normal/lobby-1.mp4"),
    *("intervals", "npz", "png", "npy", "tracks", "ubnormal", "seconds", "frames", "meta-train"),
    *('[[scenes]]\nname = "x"', "[[layouts]]", "[expect]", "[recognition]", "[[generate]]", "archives = [{}]"),
    *("fps = nan", "a.b.c = 1", "roles = []", "normal_frames = [0, 5]", "crop = { top = 999 }", "scenes = 3"),
)


def _make_site(corpus: Corpus) -> None:
    site = corpus / "site"
    for name in ("lobby-1", "lobby-2", "yard-1"):
        write_clip(site / "normal" / f"{name}.mp4", "libx264", frames=12)
    write_clip(site / "test" / "today.mp4", "libx264")
    masks = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    masks[5:10, 4:9, 4:9] = 1
    (site / "labels").mkdir()
    np.save(site / "labels" / "today-masks.npy", masks)
    (site / "labels" / "intervals.csv").write_text("video,start,end\ntoday,0.5,1\n")
    (site / "labels" / "today.txt").write_text("".join(f"0,{frame},4,4,8,8\n" for frame in range(5, 10)))
    (site / "labels" / "street.txt").write_text("today.mp4  Abuse  5  10  -1  -1\n")
    (site / "names.txt").write_text("lobby-1\nyard-1.mp4\n")
    (site / "site.toml").write_text(SITE)


def _at_site(corpus: Corpus, work: Path, random: Random, name: str, words: Sequence[str]) -> Case:
    shutil.copytree(corpus / "site", work, dirs_exist_ok=True)
    corpus.damage(work / name, random, words)
    shown = ["adapt", "--target", "site.toml:lobby", *NORMAL, "--base", corpus.base, "--out", "out"]
    if random.random() < 0.15:
        return Case(shown, ("out",), name)
    return Case(_benchmarked("site.toml", corpus, random), (), name)


def _site_labels(corpus: Corpus, work: Path, random: Random) -> Case:
    names = ["labels/intervals.csv", "labels/today-masks.npy", "labels/today.txt", "labels/street.txt"]
    return _at_site(corpus, work, random, choice(random, names), TABLE_WORDS)


def _suite(corpus: Corpus, work: Path, random: Random) -> Case:
    return _at_site(corpus, work, random, "site.toml", SUITE_WORDS)


LIST_WORDS = ("lobby-2", " lobby-1 ", "LOBBY-1.MP4", "../sibling/secret.mp4", "/", "*", "lobby-1.avi", "\0")


def _lists(corpus: Corpus, work: Path, random: Random) -> Case:
    return _at_site(corpus, work, random, "names.txt", LIST_WORDS)


# --- bases, detectors, runs, the cache ---------------------------------------------------------------------------


def _file_in(folder: Path, random: Random) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return files[int(random.integers(len(files)))]


def _detector(corpus: Corpus, work: Path, random: Random) -> Case:
    shutil.copytree(corpus / "detector", work / "made")
    path = work / "made" / choice(random, ["detector.json", "detector.safetensors", "pictures/000.jpg"])
    what = corpus.damage(path, random) + _perhaps_sealed(work / "made", "detector", random)
    return Case(["score", str(corpus / "good.mp4"), "--detector", "made", "--out", "out"], ("out",), what)


def _perhaps_sealed(folder: Path, name: str, random: Random) -> str:
    """Often the digests are made those of what is there now, so that what comes after them is tried as well."""
    if random.random() < 0.3:
        return ""
    try:
        document = json.loads((folder / f"{name}.json").read_bytes())
        tensors = (folder / f"{name}.safetensors").read_bytes()
        files = {file: _described((folder / file).read_bytes()) for file in document["files"]}
        sealed = {**document, "tensors": _described(tensors), "files": files}
        sealed["digest"] = _digest({key: value for key, value in sealed.items() if key != "digest"})
    except (OSError, ValueError, TypeError, LookupError):  # too far gone
        return ""
    (folder / f"{name}.json").write_text(json.dumps(sealed))
    return ", sealed"


def _make_figures(corpus: Corpus) -> None:
    """What was measured with a base lies beside it."""
    from metavad.normality.base import load_base

    figures = json.loads((ROOT / "base" / "figures.json").read_text())
    (corpus / "figures.json").write_text(json.dumps(figures | {"base": load_base(Path(corpus.base)).digest}))


def _base(corpus: Corpus, work: Path, random: Random) -> Case:
    shutil.copytree(corpus.base, work / "base")
    shutil.copyfile(corpus / "figures.json", work / "base" / "figures.json")
    what = corpus.damage(_file_in(work / "base", random), random) + _perhaps_sealed(work / "base", "base", random)
    shown = ["adapt", "--normal", str(corpus / "normal.mp4"), *NORMAL, "--base", "base", "--out", "out"]
    return Case(["show", "base", "base"] if random.random() < 0.3 else shown, ("out",), what)


def _run(corpus: Corpus, work: Path, random: Random) -> Case:
    """A run that is gone on with."""
    shutil.copytree(corpus / "run", work / "run")
    if random.random() < 0.5:
        shutil.rmtree(work / "run" / "base")
    what = corpus.damage(_file_in(work / "run", random), random)
    return Case(["meta-train", *_training(corpus, "quick"), "--out", "run", "--resume"], ("run",), what)


def _make_cache(corpus: Corpus) -> None:
    import os

    before = os.environ["METAVAD_CACHE"]
    os.environ["METAVAD_CACHE"] = str(corpus / "cached")
    given = ["--normal", corpus / "normal.mp4", *NORMAL, "--base", corpus.base, "--out", corpus / "made-with-cache"]
    _command("adapt", *given)
    os.environ["METAVAD_CACHE"] = before


def _cache(corpus: Corpus, work: Path, random: Random) -> Case:
    """Decoded frames and features of an earlier command."""
    cache = work.parent / "cache"
    shutil.copytree(corpus / "cached", cache, dirs_exist_ok=True)
    what = corpus.damage(_file_in(cache, random), random)
    given = ["--normal", str(corpus / "normal.mp4"), *NORMAL, "--base", corpus.base, "--out", "out"]
    return Case(["adapt", *given], ("out",), what)


# --- archives, poses, records, settings --------------------------------------------------------------------------

ARCHIVES = {"a.zip": "zip", "a.tar": "w:", "a.tar.gz": "w:gz", "a.tar.bz2": "w:bz2", "a.tar.xz": "w:xz"}
MEMBERS = ("set/normal/one.mp4", "set/read.me")
UNPACKED = '[[scenes]]\nname = "x"\nroot = "set"\nnormal = ["normal/*"]\n'
ARCHIVE_WORDS = ("../sibling/out", "set/normal", "a\0b", "..\\x")
PLACES = ("", ".", "..", "../out", "/", "other", "a/../../sibling/out", "set/normal")
"""What a suite may say that an archive creates."""


def _make_archives(corpus: Corpus) -> None:
    (corpus / "archives").mkdir()
    write_clip(corpus / MEMBERS[0], "libx264", frames=6)
    (corpus / MEMBERS[1]).write_text("three")
    for name, mode in ARCHIVES.items():
        if mode == "zip":
            with zipfile.ZipFile(corpus / "archives" / name, "w", zipfile.ZIP_DEFLATED) as container:
                for member in MEMBERS:
                    container.write(corpus / member, member)
        else:
            with tarfile.open(corpus / "archives" / name, mode) as container:
                container.add(corpus / "set", "set")


def _archive(corpus: Corpus, work: Path, random: Random) -> Case:
    """An archive that lies there already, with the digest that the suite says."""
    name = choice(random, list(ARCHIVES))
    path = work / "data" / "archives" / name
    path.parent.mkdir(parents=True)
    shutil.copyfile(corpus / "archives" / name, path)
    corpus.damage(path, random, ARCHIVE_WORDS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    creates = "set" if corpus.whole or random.random() < 0.5 else choice(random, PLACES)
    archive = f"url = 'http://127.0.0.1:{corpus.port}/{name}'\nsha256 = '{digest}'\ncreates = '{creates}'\n"
    (work / "site.toml").write_text(f"{UNPACKED}\n[[archives]]\n{archive}")
    return Case(["data", "fetch", "site.toml", "--data", "data"], ("data",), f"{name} {creates}")


def _make_poses(corpus: Corpus) -> None:
    experts = 'experts=["flow_density","pose"]'
    _command("meta-train", *_training(corpus, "pose"), "--set", experts, "--out", corpus / "pose-run")
    folder = corpus / "poses"
    write_clip(folder / "today.mp4", "libx264")
    points = np.add.outer(np.arange(17.0), np.array([20.0, 10.0]))
    rows = [{"image_id": f"{n}.jpg", "keypoints": _triples(points + n), "score": 2.5, "idx": 1} for n in range(FRAMES)]
    person = {f"{n:04d}": {"keypoints": _triples(points + n), "scores": 0.9} for n in range(FRAMES)}
    (folder / "list.json").write_text(json.dumps(rows))
    (folder / "tracked.json").write_text(json.dumps({"1": person}))
    frames, stacked = np.arange(FRAMES, dtype=np.int32), np.stack([points + n for n in range(FRAMES)])
    np.savez(folder / "own.npz", frames=frames, tracks=np.zeros_like(frames), points=stacked.astype(np.float32))


def _triples(points: np.ndarray) -> list[float]:
    return [float(value) for value in np.column_stack([points, np.ones(len(points))]).ravel()]


def _poses(corpus: Corpus, work: Path, random: Random) -> Case:
    name = choice(random, ["list.json", "tracked.json", "own.npz"])
    shutil.copyfile(corpus / "poses" / "today.mp4", work / "today.mp4")
    path = work / f"today{Path(name).suffix}"
    shutil.copyfile(corpus / "poses" / name, path)
    corpus.damage(path, random)
    base = str(corpus / "pose-run" / "base")
    return Case(["adapt", "--normal", "today.mp4", *NORMAL, "--base", base, "--out", "out"], ("out",), name)


def _make_record(corpus: Corpus) -> None:
    how = ["--shots", 0, "--draws", 1, "--shot-frames", 4, "--methods", "position", "--base", corpus.base]
    site = corpus / "site" / "site.toml"
    _command("benchmark", "--target", f"{site}:lobby", *how, "--json", corpus / "record.json")


def _record(corpus: Corpus, work: Path, random: Random) -> Case:
    shutil.copyfile(corpus / "record.json", work / "record.json")
    what = corpus.damage(work / "record.json", random)
    return Case(["benchmark", "--reproduce", "record.json"], (), what)


CONFIG_WORDS = ("prediction", "pose", "nothing", "auto", "", "[meta]", "experts = []", "rows = 0", "a.b = 1")


def _config(corpus: Corpus, work: Path, random: Random) -> Case:
    presets = sorted((ROOT / "configs").glob("*.toml"))
    shutil.copyfile(presets[int(random.integers(len(presets)))], work / "mine.toml")
    what = corpus.damage(work / "mine.toml", random, CONFIG_WORDS)
    return Case(["meta-train", "--scenes", "none.toml", "--config", "mine.toml", "--out", "out"], ("out",), what)


# --- names and options -------------------------------------------------------------------------------------------

NAMES = (
    *("a\nb", "\x1b[31mred\x1b[0m", "[/x]", "[red]", "=1+1", "'\"", "-rf", "--help", "http:", "2024-05-17T10:30:00"),
    *("%s", "{video}", "{", " x ", "ä" * 60, "\udcff", "$HOME", "*", "[a-z]", "?", "a\\b", "~", "#", ",", "x@1.5"),
    *("ch01 (1)", "\u202e", "a.b.c", "CON", "x" * 200, "gt", "test", "normal", "@x", "file:x", "concat:x", "&amp;<b>"),
)


def _names(corpus: Corpus, work: Path, random: Random) -> Case:
    """Files and folders that are called as one would not expect."""
    site = work / "site"
    for _ in range(int(random.integers(1, 5))):
        parts = [choice(random, NAMES) for _ in range(int(random.integers(1, 3)))]
        path = site.joinpath(*parts[:-1], parts[-1] + choice(random, [".mp4", ".mp4", ".MKV", ".jpg", ""]))
        if not any(above.is_file() for above in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            source = corpus / ("good.mp4" if path.suffix.lower() in (".mp4", ".mkv") else "folders/jpg/003.jpg")
            shutil.copyfile(source, path)
    files = sorted(str(path.relative_to(work)) for path in site.rglob("*"))
    name, camera = choice(random, files), choice(random, NAMES)
    return _named(corpus, name, camera, random)


def _named(corpus: Corpus, name: str, camera: str, random: Random) -> Case:
    shown = ["adapt", "--normal", name, *NORMAL, "--base", corpus.base, "--fps", "10"]
    commands = [
        Case(["data", "import", "site", "--yes"], ("site/suite.toml",)),
        Case(["score", name, "--detector", str(corpus / "detector"), "--fps", "10", "--out", "out"], ("out",)),
        Case([*shown, "--out", "out"], ("out",)),
        Case([*shown, "--name", camera], ("detectors",)),
        Case(["data", "label", name, "--out", "out"], ("out",)),
    ]
    case = commands[int(random.integers(len(commands)))]
    return Case(case.arguments, case.outputs, name)


OPTIONS = {
    "adapt": ["--shots", "--shot-frames", "--alarms-per-day", "--leave-out", "--show", "--fps", "--seed", "--progress"],
    "benchmark": ["--shots", "--draws", "--methods", "--shot-frames", "--seed", "--jobs", "--figures", "--format"],
    "score": ["--fps", "--detector"],
    "meta-train": ["--set", "--config", "--seed", "--device"],
}
VALUES = (
    *("inf", "nan", "-inf", "-1", "0", "1e400", "999999", "2", "3", "0.5", "", " ", "a,b", "0,0", "1,,2", "٣", "1_0"),
    *("normal@1", "normal@nan", "normal@1e9", "@", "x@-1", "meta.inner_steps=0", "meta.inner_steps=nan", "a.b=c"),
    *("é", "=", ".", "all", "adapted", "position", "csv", "cpu", "quick", "../sibling/out", "[/x]", "a\nb"),
)


def _options(corpus: Corpus, work: Path, random: Random) -> Case:
    """Good files and odd options."""
    command = choice(random, list(OPTIONS))
    given = {
        "adapt": ["--normal", str(corpus / "normal.mp4"), *NORMAL, "--base", corpus.base, "--out", "out"],
        "benchmark": [
            *("--target", str(corpus / "site" / "site.toml"), "--base", corpus.base),
            *("--draws", "1", "--shots", "0", "--methods", "position", "--json", "out"),
        ],
        "score": [str(corpus / "folders" / "png"), "--detector", str(corpus / "detector"), "--out", "out"],
        "meta-train": ["--scenes", "none.toml", "--out", "out"],
    }[command]
    odd = [part for _ in range(int(random.integers(1, 3))) for part in _odd(command, random)]
    return Case([command, *given, *odd], ("out", "detectors"), " ".join(odd))


def _odd(command: str, random: Random) -> list[str]:
    return [choice(random, OPTIONS[command]), choice(random, VALUES)]


KINDS: dict[str, Kind] = {
    "video": Kind(24, _video, (_make_videos,)),
    "folder": Kind(8, _folder, (_make_folders,)),
    "labels": Kind(14, _labels, (_make_trees,)),
    "site": Kind(6, _site_labels, (_make_site,)),
    "suite": Kind(12, _suite, (_make_site,)),
    "list": Kind(3, _lists, (_make_site,)),
    "detector": Kind(8, _detector),
    "base": Kind(5, _base, (_make_figures,)),
    "run": Kind(2, _run),
    "cache": Kind(3, _cache, (_make_cache,)),
    "archive": Kind(8, _archive, (_make_archives,)),
    "poses": Kind(4, _poses, (_make_poses,)),
    "record": Kind(3, _record, (_make_site, _make_record)),
    "config": Kind(3, _config),
    "names": Kind(5, _names, (_make_folders,)),
    "options": Kind(5, _options, (_make_site, _make_folders)),
}
