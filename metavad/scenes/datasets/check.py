"""Is the data what it should be? And a label file to fill in."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from joblib import Parallel, delayed

from metavad.errors import DataError, FootageWarning, printable
from metavad.progress import SILENT, Progress
from metavad.scenes.datasets.importing import IN_FRAMES
from metavad.scenes.labels import check_rows, frame_labels, pixel_masks, region_tracks, unlabelled
from metavad.scenes.scene import Expect, Scene, Suite, Video
from metavad.scenes.video import VideoFacts, decodable_frames, probe, read_frames
from metavad.scenes.video.black_or_frozen import watched
from metavad.types import BoolArray

__all__ = ["Finding", "Level", "check_suite", "empty_intervals"]

Level: TypeAlias = Literal["error", "warning"]
"""Whether figures would be wrong."""

_LOOKS, _LOOK_SIDE = 60, 240
"""Pictures of a video that are looked at, and their short side in pixels."""


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
    with _reported() as reported, progress.task(f"check {suite.name}", len(work)) as task:
        parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
        for result in parallel(delayed(_look)(scene, video) for scene, video in work):
            seen.append(result)
            task.advance(note=result.video.name)
    missing = [Finding("warning", suite.name, f"not there: {line}") for line in suite.missing]
    odd = [_about(text, suite, work) for text in reported]
    found = [finding for result in seen for finding in result.findings]
    counted = [finding for scene in suite.scenes for finding in _against_expected(scene.key, scene.expect, seen, scene)]
    known = {finding.what for finding in found}
    rows = [finding for scene in suite.scenes for finding in _against_rows(scene) if finding.what not in known]
    return [*missing, *odd, *found, *rows, *counted, *_against_expected(suite.name, suite.expect, seen, None)]


@contextmanager
def _reported() -> Iterator[list[str]]:
    """The texts of what is warned of inside, from any thread, each once; they are in the list at the end."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FootageWarning)
        yield texts
    texts += dict.fromkeys(str(each.message) for each in caught if issubclass(each.category, FootageWarning))
    for each in caught:
        if not issubclass(each.category, FootageWarning):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _about(text: str, suite: Suite, work: Sequence[tuple[Scene, Video]]) -> Finding:
    """A warning as a finding about the video whose path it begins with."""
    for scene, video in work:
        if text.startswith(f"{video.path}: "):
            return Finding("warning", f"{scene.key}/{video.name}", text.removeprefix(f"{video.path}: "))
    return Finding("warning", suite.name, text)


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
    lines = [f"# One line per abnormal interval: {IN_FRAMES}."]
    for video in videos:
        facts = probe(video)
        length = f"{facts.frames} frames, {facts.rate:.2f} frames/s, {facts.frames / facts.rate:.1f} s"
        lines.append(f"# {printable(video.name)}: {length}")
    return "\n".join([*lines, "video,start,end", ""])


def _videos(scene: Scene) -> list[Video]:
    return list({video.path: video for video in (*scene.normal, *scene.test)}.values())


def _look(scene: Scene, video: Video) -> _Seen:
    """Everything that can be said about one video by itself."""
    where = f"{scene.key}/{video.name}"
    try:
        facts = probe(video, scene.crop)
        whole = decodable_frames(video)
        _look_on(scene, video, facts)
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


def _look_on(scene: Scene, video: Video, facts: VideoFacts) -> None:
    """Some pictures from beginning to end, for what is said of a video that goes black or freezes."""
    some = np.unique(np.linspace(0, facts.frames - 1, _LOOKS).astype(int))
    for _ in watched(video, read_frames(video, short_side=_LOOK_SIDE, crop=scene.crop, every=some)):
        pass


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
