"""Is the data what it should be? And a first suite file for footage that has none."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from joblib import Parallel, delayed

from metavad.errors import DataError
from metavad.progress import SILENT, Progress
from metavad.scenes.labels import check_rows, frame_labels, pixel_masks, region_tracks, unlabelled
from metavad.scenes.listing import frame_files, is_junk, natural, videos_under
from metavad.scenes.scene import Expect, Scene, Suite, Video
from metavad.scenes.video import VideoFacts, decodable_frames, probe
from metavad.types import BoolArray

__all__ = ["Finding", "Level", "check_suite", "empty_intervals", "import_folder"]

Level: TypeAlias = Literal["error", "warning"]
"""Whether figures would be wrong."""


@dataclass(frozen=True)
class Finding:
    """Something about the data that a user should know: ``error`` where figures would be wrong."""

    level: Level
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.what}"


@dataclass(frozen=True)
class _Seen:
    """What was found out about one video of one scene."""

    scene: Scene
    video: Video
    frames: int = 0
    abnormal: int = 0
    findings: tuple[Finding, ...] = field(default=())


def check_suite(suite: Suite, *, jobs: int = 1, progress: Progress = SILENT) -> list[Finding]:
    """Decode every video of ``suite`` to its end and hold everything against everything; empty: all is well.

    Checked: damage, lengths and values of labels, sizes of masks, masks against labels, boxes inside the
    picture, and what the suite file says the dataset holds. ``jobs`` videos are looked at side by side.
    """
    work = [(scene, video) for scene in suite.scenes for video in _videos(scene)]
    seen: list[_Seen] = []
    with progress.task(f"check {suite.name}", len(work)) as task:
        parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
        for result in parallel(delayed(_look)(scene, video) for scene, video in work):
            seen.append(result)
            task.advance(note=result.video.name)
    missing = [Finding("warning", suite.name, f"not there: {line}") for line in suite.missing]
    found = [finding for result in seen for finding in result.findings]
    counted = [finding for scene in suite.scenes for finding in _against_expected(scene.key, scene.expect, seen, scene)]
    told = {finding.what for finding in found}
    rows = [finding for scene in suite.scenes for finding in _against_rows(scene) if finding.what not in told]
    return [*missing, *found, *rows, *counted, *_against_expected(suite.name, suite.expect, seen, None)]


def _against_rows(scene: Scene) -> Iterator[Finding]:
    """Rows of a table about no video of the scene, and videos that it has no row about."""
    try:
        check_rows(scene)
        for video in unlabelled(scene):
            yield Finding("warning", scene.key, f"no row of its labels is about {video.name}: normal throughout")
    except (DataError, OSError) as error:
        yield Finding("error", scene.key, str(error))


def empty_intervals(*videos: Video) -> str:
    """The text of a label file to fill in: one line per abnormal interval, in frames."""
    lines = ["# One line per abnormal interval: frames counted from 0, the end excluded."]
    for video in videos:
        facts = probe(video)
        lines.append(
            f"# {video.name}: {facts.frames} frames, {facts.rate:.2f} frames/s, {facts.frames / facts.rate:.1f} s"
        )
    return "\n".join([*lines, "video,start,end", ""])


def _videos(scene: Scene) -> list[Video]:
    return list({video.path: video for video in (*scene.normal, *scene.test)}.values())


def _look(scene: Scene, video: Video) -> _Seen:
    """Everything that can be said about one video by itself."""
    where = f"{scene.key}/{video.name}"
    try:
        facts = probe(video, scene.crop)
        whole = decodable_frames(video)
    except (DataError, OSError) as error:
        return _Seen(scene, video, findings=(Finding("error", where, str(error)),))
    findings = []
    if whole != facts.frames:
        findings.append(Finding("warning", where, f"{facts.frames} frames, of which {whole} decode without damage"))
    if video not in scene.test or (scene.labels is None and scene.pixel_masks is None):
        return _Seen(scene, video, facts.frames, findings=tuple(findings))
    try:
        labels = frame_labels(scene, video, facts.frames)
        findings += _against_labels(scene, video, facts, labels, where)
    except (DataError, OSError) as error:
        return _Seen(scene, video, facts.frames, findings=(*findings, Finding("error", where, str(error))))
    return _Seen(scene, video, facts.frames, int(labels.sum()), tuple(findings))


def _against_labels(scene: Scene, video: Video, facts: VideoFacts, labels: BoolArray, where: str) -> Iterator[Finding]:
    """Masks, boxes and the part that support comes from, against the frame labels."""
    yield from _against_masks(scene, video, facts, labels, where)
    if scene.tracks is not None:
        outside = sum(1 for box in region_tracks(scene, video, facts.frames) if not _inside(box[2:], facts))
        if outside:
            yield Finding("warning", where, f"{outside} boxes leave the picture of {facts.width}x{facts.height}")
    shown = scene.shown(video)
    if shown is not None and labels[slice(*shown)].any():
        frame = shown[0] + int(np.argmax(labels[slice(*shown)]))
        yield Finding("error", where, f"frame {frame} is abnormal, and in the part that shots are taken from")


def _against_masks(scene: Scene, video: Video, facts: VideoFacts, labels: BoolArray, where: str) -> Iterator[Finding]:
    masks = pixel_masks(scene, video, facts.frames)
    if masks is None:
        return
    anywhere = np.array([mask.any() for mask in masks], bool)
    if different := int((anywhere != labels).sum()):
        yield Finding("warning", where, f"masks and frame labels differ in {different} of {facts.frames} frames")


def _inside(box: tuple[int, int, int, int], facts: VideoFacts) -> bool:
    x0, y0, x1, y1 = box
    return x0 >= 0 and y0 >= 0 and x1 <= facts.width and y1 <= facts.height


def _against_expected(where: str, expect: Expect, seen: Sequence[_Seen], scene: Scene | None) -> Iterator[Finding]:
    """What the suite file says the dataset holds, where it says so; ``scene`` or, with ``None``, all.

    Of a side that is there in part only its size is told. Where all test videos are there, other lengths or labels
    than those known are an error: figures would be of something else.
    """
    of = [one for one in seen if scene is None or one.scene is scene]
    normal = [one for one in of if one.video in one.scene.normal]
    test = [one for one in of if one.video in one.scene.test]
    sides: tuple[tuple[str, Level, list[_Seen], int, tuple[int, ...], int], ...] = (
        ("normal", "warning", normal, *_known(expect.normal_videos, expect.normal_lengths, expect.normal_frames)),
        (
            "test",
            "warning" if expect.unverified else "error",
            test,
            *_known(expect.test_videos, expect.test_lengths, expect.test_frames),
        ),
    )
    for side, level, videos, count, lengths, total in sides:
        if count and count != len(videos):
            yield Finding("warning", where, f"expected {count} {side} videos, found {len(videos)}")
        if count > len(videos) or any(finding.level == "error" for one in videos for finding in one.findings):
            continue  # a part of them, or some are wrong already: what follows would only say so again
        yield from _against_lengths(where, level, lengths, videos)
        if total and total != (found := sum(one.frames for one in videos)):
            yield Finding(level, where, f"expected {total} frames of {side} videos, found {found}")
        abnormal = sum(one.abnormal for one in videos)
        if side == "test" and expect.abnormal_frames not in (0, abnormal):
            yield Finding(level, where, f"expected {expect.abnormal_frames} abnormal frames, found {abnormal}")


def _known(videos: int, lengths: tuple[int, ...], frames: int) -> tuple[int, tuple[int, ...], int]:
    """Videos, their lengths, all frames: lengths tell the other two."""
    return videos or len(lengths), lengths, frames or sum(lengths)


def _against_lengths(where: str, level: Level, lengths: tuple[int, ...], seen: Sequence[_Seen]) -> Iterator[Finding]:
    if len(lengths) != len(seen):
        return
    for length, one in zip(lengths, seen, strict=True):
        if length != one.frames:
            yield Finding(level, f"{where}/{one.video.name}", f"expected {length} frames, found {one.frames}")


# --- a first suite file -------------------------------------------------------------------------------------

_TEST_WORDS = ("test", "abnormal", "anomal", "query")
_NORMAL_WORDS = ("train", "normal", "support")
_LABEL_WORDS = ("mask", "label", "gt", "truth", "annot")
_LEVELS = 4


def import_folder(folder: Path) -> str:
    """A guess at the suite file of the footage in ``folder``: text to save there as ``suite.toml`` and mend.

    Folders called train, normal, ... are the normal side, those called test, abnormal, ... the test side;
    folders side by side that have both are scenes. Raises :class:`DataError` where there is no video.
    """
    scenes = _scene_folders(folder)
    if not scenes:
        raise DataError(f"{folder}: expected videos or folders of frames, found none; name another folder")
    tables = "\n".join(_scene_text(folder, scene) for scene in scenes)
    return f"title = {_quoted(folder.absolute().name)}\n\n{tables}"


def _scene_folders(folder: Path) -> list[Path]:
    """The folder itself, or those in it where they hold the sides of scenes of their own."""
    inside = sorted((path for path in folder.iterdir() if _open_folder(path)), key=lambda path: natural(path.name))
    of_their_own = [path for path in inside if _side(path.name) is None and _groups(path)]
    sides = any(_side(Path(group).parts[0]) for group in _groups(folder) if group != ".")
    if sides or not of_their_own or videos_under(folder, ["*"], 1.0):
        return [folder] if _groups(folder) else []
    return of_their_own


def _open_folder(path: Path) -> bool:
    return path.is_dir() and not is_junk(path) and not any(word in path.name.lower() for word in _LABEL_WORDS)


def _side(name: str) -> Literal["normal", "test"] | None:
    lower = name.lower()
    if any(word in lower for word in _TEST_WORDS):
        return "test"
    return "normal" if any(word in lower for word in _NORMAL_WORDS) else None


def _groups(folder: Path) -> dict[str, tuple[Video, ...]]:
    """Videos by the folder they lie in, relative to ``folder``; folders of labels left out."""
    groups: dict[str, list[Video]] = {}
    for video in videos_under(folder, ["/".join(["*"] * level) for level in range(1, _LEVELS + 1)], 1.0):
        parent = video.path.parent.relative_to(folder)
        if not any(word in part.lower() for part in (*parent.parts, video.path.name) for word in _LABEL_WORDS):
            groups.setdefault(parent.as_posix(), []).append(video)
    return {parent: tuple(videos) for parent, videos in groups.items()}


def _scene_text(folder: Path, scene: Path) -> str:
    groups = _groups(scene)
    sides: dict[str, list[str]] = {"normal": [], "test": []}
    for parent, videos in groups.items():
        sides[_side(parent) or "normal"] += _patterns(parent, videos)
    tests = [video for parent, videos in groups.items() for video in videos if _side(parent) == "test"]
    root = scene.relative_to(folder).as_posix()
    lines = ["[[scenes]]", f"name = {_quoted(scene.absolute().name)}", f"root = {_quoted(root)}"]
    lines += [f"{side} = [{', '.join(map(_quoted, patterns))}]" for side, patterns in sides.items() if patterns]
    lines += _labels_text(scene, tests)
    if any(video.path.is_dir() for videos in groups.values() for video in videos):
        lines.append("fps = 25  # a guess: folders of frames do not say; put the true rate here")
    return "\n".join([*lines, ""])


def _patterns(parent: str, videos: Sequence[Video]) -> list[str]:
    start = "" if parent == "." else f"{parent}/"
    ends = sorted({"*" if video.path.is_dir() else f"*{video.path.suffix}" for video in videos})
    return [start + end for end in ends]


def _labels_text(scene: Path, tests: Sequence[Video]) -> list[str]:
    """Labels whose files go by the names of the test videos, a table of intervals, or what is to be done."""
    if not tests:
        return []
    name = tests[0].path.name if tests[0].path.is_dir() else tests[0].path.stem
    arrays = _relative(scene, scene.rglob(f"{name}.npy"))
    tables = _relative(scene, (path for path in scene.rglob("*.csv") if _is_intervals(path)))
    masks = [path for path in _relative(scene, scene.rglob(name)) if _of_masks(scene / path)]
    if arrays:
        lines = [_source_text("labels", "npy", arrays[0].with_name("{video}.npy"))]
    elif tables:
        lines = [_source_text("labels", "intervals", tables[0], _unit_of(scene / tables[0]))]
    elif masks:
        lines = []
    else:
        lines = [
            '# no labels found; for example: labels = { format = "intervals", path = "intervals.csv", unit = "frames" }'
        ]
    return lines + [_source_text("pixel_masks", "png", path.with_name("{video}")) for path in masks[:1]]


def _relative(scene: Path, paths: Iterable[Path]) -> list[Path]:
    return sorted(path.relative_to(scene) for path in paths if not is_junk(path))


def _of_masks(path: Path) -> bool:
    named = any(word in part.lower() for part in path.parts[-2:] for word in _LABEL_WORDS)
    return named and path.is_dir() and bool(frame_files(path))


def _source_text(key: str, form: str, path: Path, unit: str | None = None) -> str:
    counted = "" if unit is None else f", unit = {_quoted(unit)}"
    return f"{key} = {{ format = {_quoted(form)}, path = {_quoted(path.as_posix())}{counted} }}"


def _unit_of(table: Path) -> str:
    """A guess: frames are whole."""
    text = table.read_text(encoding="utf-8", errors="replace")
    return "seconds" if re.search(r",\s*\d+\.\d", text) else "frames"


def _is_intervals(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    header = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return {"start", "end"} <= {word.strip().lower() for word in header.split(",")}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
