"""``metavad score``: what does not belong in a video."""

import math
import shlex
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import (
    Consecutive,
    DetectorAlarms,
    DetectorThreshold,
    Device,
    NoFileTime,
    ProgressKind,
    between,
    device_named,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from metavad.clock import StartTime
    from metavad.normality.detector import Detector
    from metavad.progress import Progress
    from metavad.scenes.scene import Video
    from metavad.scoring.before import Clocks, Past
    from metavad.scoring.novelty import Stood
    from metavad.scoring.results import EventsRecord, Outline, PeakRecord, Result

__all__ = ["PAGE", "register", "score", "score_videos"]

PAGE = "index.html"
"""Of all videos whose scores lie in one folder."""
MARKS = 16
"""Gaps between recordings that are marked on a timeline, about."""
EPILOG = "Example: metavad score monday.mp4 tuesday.mp4 --detector detectors/lobby --out scores"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score", epilog=EPILOG, short_help="Find what does not belong in videos.")(score)


def score(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO", help="Video files, or folders of videos or frames.")],
    detector: Annotated[Path, typer.Option(metavar="DIR", help="What `metavad adapt` wrote.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write: a folder for each video.")] = Path("scores"),
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="FPS",
            help="Frames a second, for folders of frames (else those of the shots) and files with wrong times.",
            show_default=False,
        ),
    ] = None,
    alarms_per_day: DetectorAlarms = None,
    threshold: DetectorThreshold = None,
    video: Annotated[
        bool,
        typer.Option("--video", help="Also write annotated.mp4: boxes, heat map, and the score below the picture."),
    ] = False,
    start_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the (first) video begins, such as 2026-11-30T08:00 (of this machine's zone, or with +01:00), or "
            "a pattern of the videos' names, such as lobby_%Y%m%d_%H%M%S. Else as the file says.",
            show_default=False,
        ),
    ] = None,
    no_file_time: NoFileTime = False,
    consecutive: Consecutive = False,
    jobs: Annotated[int, typer.Option(metavar="N", callback=between(1, 1024), help="Videos scored side by side.")] = 1,
    device: Device = "auto",
    progress: ProgressKind = "auto",
) -> None:
    """Score every frame of videos, and write OUT/index.html: a page with the score over time and all events.

    Each video has a folder, OUT/<video>: scores.csv, events.json, timeline.png, and a picture of each event. Without
    an event, pictures of the highest scores, and how many alarms a day a threshold there would mean.

    What is scored already, by the same detector and settings, is left as it is.
    """
    from metavad.cli.terminal import progress_of, resuming, say
    from metavad.cli.threshold import moved_to

    where, reporter = device_named(device), progress_of(progress)
    _check_paths(videos)
    from metavad.errors import VideoError
    from metavad.files import claimed
    from metavad.normality.detector import load_detector
    from metavad.report.scores_page import write_scores_page
    from metavad.scenes.cache import Store
    from metavad.scenes.listing import scene_of_files
    from metavad.scoring.before import clocks_of
    from metavad.scoring.results import folders_of_scores

    with resuming("the same command goes on with the videos that are left"):
        found = moved_to(load_detector(detector).on(where), alarms_per_day, threshold)
        named = scene_of_files(videos, fps=fps, folder_fps=found.camera.fps).normal
        chosen, wrong = _opening(named, all_of_them=consecutive)
        number = 1 if consecutive else len(chosen) + wrong
        starts = {each: _start_of(each, number, start_time, file_too=not no_file_time) for each in chosen}
        known = {} if found.bank is None else {v: start.time.timestamp() for v, start in starts.items() if start}
        clocks = clocks_of(found.camera.crop, chosen, known, Store(), consecutive=consecutive)
        if consecutive and start_time is not None and "%" not in start_time:
            starts = _from_the_first(starts, clocks.begins)
        score_videos(found, starts, out, clocks=clocks, annotate=video, jobs=jobs, progress=reporter)
        with claimed(out / PAGE, wait=True):  # another command may score beside this one
            write_scores_page(out / PAGE, folders_of_scores(out))
        say(f"Open {out / PAGE}: the score over time, and all events.")
    if wrong:
        raise VideoError(
            f"expected {len(chosen) + wrong} videos, found {wrong} that do not open; the others are scored"
        )


def _opening(videos: "Sequence[Video]", *, all_of_them: bool) -> "tuple[tuple[Video, ...], int]":
    """The videos without those that do not open, and how many these are; each is a :class:`FootageWarning`.

    Raises :class:`VideoError` where none opens, or one does not and ``all_of_them`` are needed.
    """
    import warnings

    from metavad.errors import FootageWarning, VideoError
    from metavad.scenes.video.container import opened

    found, wrong = list["Video"](), list[VideoError]()
    for video in videos:
        try:
            if not video.path.is_dir():
                with opened(video.path):
                    pass
            found.append(video)
        except VideoError as error:
            wrong.append(error)
    if wrong and (all_of_them or not found):
        raise wrong[0]
    for each in wrong:
        warnings.warn(str(each), FootageWarning, stacklevel=2)
    return tuple(found), len(wrong)


def _start_of(video: "Video", videos: int, given: str | None, *, file_too: bool) -> "StartTime | None":
    """When a video was taken, where somebody knows; raises :class:`UsageError` for one time of several videos."""
    from metavad.clock import StartTime, given_start_time
    from metavad.errors import UsageError
    from metavad.scenes.video.start_time import own_start_time

    if given is None:
        own = own_start_time(video) if file_too else None
        return None if own is None else StartTime(own, "file")
    if videos > 1 and "%" not in given:
        raise UsageError(
            f"--start-time: expected one video, found {videos}; give a pattern of their names, such as "
            "lobby_%Y%m%d_%H%M%S, or --consecutive where each goes on from the one before"
        )
    return given_start_time(given, video.name)


def _from_the_first(
    starts: "dict[Video, StartTime | None]", begins: "dict[Video, float]"
) -> "dict[Video, StartTime | None]":
    """When videos were taken of which each goes on where the one before ends, by the time of the first."""
    from metavad.clock import StartTime, time_at

    first = next(iter(starts.values()))
    times = {video: None if first is None else time_at(first.time, seconds) for video, seconds in begins.items()}
    return {
        video: None if first is None or time is None else StartTime(time, first.source) for video, time in times.items()
    }


def score_videos(
    found: "Detector",
    starts: "dict[Video, StartTime | None]",
    out: Path,
    *,
    clocks: "Clocks | None" = None,
    annotate: bool,
    jobs: int = 1,
    progress: "Progress",
) -> None:
    """Score videos, with when they were taken, into a folder each under ``out``, and say what was found.

    ``clocks`` say what was there before each begins.
    ``jobs`` of them side by side, in processes; then progress counts whole videos. The same bits whatever it is.
    """
    from metavad.cli.terminal import say
    from metavad.files import folder_name
    from metavad.progress import SILENT, along
    from metavad.scoring.annotated import check_encoder
    from metavad.scoring.results import ANNOTATED, OtherDetectorError, check_place, result_of
    from metavad.scoring.stream import check_video
    from metavad.side_by_side import side_by_side

    if annotate:
        check_encoder()
    places = {video: out / folder_name(video.name) for video in starts}
    pasts = {video: () if clocks is None or found.bank is None else clocks.past(video, 0) for video in starts}
    results = {video: result_of(found, video, start, pasts[video]) for video, start in starts.items()}
    left, kept = list["Video"](), dict["Video", OtherDetectorError]()
    for video, result in results.items():
        try:
            if not check_place(places[video], result):
                left.append(video)
        except OtherDetectorError as error:
            kept[video] = error
    if kept and not left:
        raise next(iter(kept.values()))
    starts = {video: start for video, start in starts.items() if video not in kept}
    for video in kept:
        say(f"{video.name}: scored before, by another detector, version or threshold; it stays as it is")
    for video in along(progress, "Looking at the videos", left):  # a wrong one is said before the first is scored
        check_video(found, video)
    again = [video for video in starts if annotate and video not in left and not (places[video] / ANNOTATED).is_file()]
    jobs = max(1, min(jobs, len(left) + len(again)))
    inside = progress if jobs == 1 else SILENT
    videos = [
        _Asked(found, video, start, pasts[video], places[video], results[video], annotate)
        for video, start in starts.items()
    ]
    with closing(side_by_side([partial(each.lines, inside) for each in videos], jobs)) as finished:
        for _ in along(progress, "Scoring", videos):
            say(*next(finished))


@dataclass(frozen=True)
class _Asked:
    """A video that is to be scored, and where its scores go."""

    detector: "Detector"
    video: "Video"
    start: "StartTime | None"
    past: "tuple[Past, ...]"
    place: Path
    result: "Result"
    annotate: bool

    def lines(self, progress: "Progress") -> list[str]:
        """Score it unless that is done; what is said of it."""
        from metavad.errors import OutputError
        from metavad.files import claimed
        from metavad.scoring.results import ANNOTATED, check_place, known_before

        with claimed(self.place):
            if not check_place(self.place, self.result):
                return _found(self._score(progress), self.place)
            is_as_then = known_before(self.place) == self.result.before
            if self.annotate and not (self.place / ANNOTATED).is_file():
                if not is_as_then:
                    raise OutputError(
                        f"{self.place}: expected scores that know what is known now of the time before "
                        f"{self.video.name}, found others; name the same videos as then, or another --out"
                    )
                self._annotate_again(progress)
                return [f"{self.video.name}: scored already, its video is new; {self.place}"]
            other = "" if is_as_then else ", with other videos before it"
            return [f"{self.video.name}: scored already{other}; {self.place}"]

    def _stood(self) -> "tuple[Stood, ...]":
        """What was there before it begins."""
        from metavad.scenes.cache import Store
        from metavad.scoring.before import stood_in

        (stood,) = stood_in(self.detector, [self.past], Store())
        return stood

    def _annotate_again(self, progress: "Progress") -> None:
        """The annotated video of scores that are there: the maps are computed again, to the same bits."""
        from collections import deque

        from metavad.scoring.annotated import write_annotated
        from metavad.scoring.results import ANNOTATED, read_result
        from metavad.scoring.stream import score_after
        from metavad.scoring.tick_log import TickLog

        detector, video, place = self.detector, self.video, self.place
        with TickLog(place) as log:
            deque(log.watch(score_after(self._stood(), detector, video, progress=progress)), maxlen=0)
            crop, found = detector.camera.crop, read_result(place)
            write_annotated(place / ANNOTATED, video, crop, found, log, place / "scores.csv", progress=progress)

    def _score(self, progress: "Progress") -> "EventsRecord":
        """All that is written of it; what was found."""
        from metavad.files import atomic_directory
        from metavad.scoring.annotated import write_annotated
        from metavad.scoring.results import ANNOTATED, write_result
        from metavad.scoring.tick_log import TickLog

        detector, video, crop = self.detector, self.video, self.detector.camera.crop
        with atomic_directory(self.place) as beside, TickLog(beside) as log:
            watch = log.watch if self.annotate else iter
            found = write_result(
                beside,
                detector,
                video,
                self.result,
                start=self.start,
                stood=self._stood(),
                watch=watch,
                progress=progress,
            )
            (beside / "timeline.png").write_bytes(_timeline(found[1], detector.threshold))
            if self.annotate:
                scores = beside / "scores.csv"
                write_annotated(beside / ANNOTATED, video, crop, found, log, scores, progress=progress)
        return found[0]


def _found(record: "EventsRecord", place: Path) -> list[str]:
    """What is said of a video that was scored."""
    from metavad.cli.events import event_line, number_of_events

    return [
        f"{record.video}: {number_of_events(record)}; {place}{_begins(record)}",
        *_regimes(record),
        *(event_line(event, record.start_time, number) for number, event in enumerate(record.events, 1)),
        *_highest(record, place),
    ]


def _begins(record: "EventsRecord") -> str:
    """When the video begins, and who says so."""
    if record.start_time is None:
        return ""
    whose = ", as the file says (--no-file-time leaves that out)" if record.start_time_source == "file" else ""
    return f"; begins {record.start_time:%Y-%m-%d %H:%M:%S}{whose}"


def _check_paths(videos: list[Path]) -> None:
    """What is not there is said before torch is loaded."""
    from metavad.errors import VideoError

    for path in videos:
        if not path.exists():
            raise VideoError(f"{path}: expected a video or a folder of frames, found nothing; check the path")


def _highest(record: "EventsRecord", place: Path) -> list[str]:
    """Of a video without an event, where the score is highest, and what a threshold there would mean."""
    if not record.highest:
        return []
    head = (
        f"  nothing is over the threshold, {record.threshold:.1f}; the highest, and what a threshold there would mean:"
    )
    below = (math.ceil(10 * record.highest[0].score) - 1) / 10
    again = f"  events with a lower threshold: metavad events {shlex.quote(str(place))} --threshold {below:.1f}"
    often = "; or score into another --out with more --alarms-per-day"
    return [head, *(_peak(peak, place, record.start_time) for peak in record.highest), again + often]


NAMED = 6
"""Changes of light that are named of one video."""


def _regimes(record: "EventsRecord") -> list[str]:
    """Which light it was when, where a camera has several."""
    parts = [f"{each.name} {each.start:.0f} to {each.end:.0f} s" for each in record.regimes[:NAMED]]
    more = [f"and {len(record.regimes) - NAMED} more"] if len(record.regimes) > NAMED else []
    return [f"  light: {', '.join([*parts, *more])}"] if parts else []


def _peak(peak: "PeakRecord", place: Path, start: "datetime | None") -> str:
    from metavad.clock import when_text
    from metavad.report.scores_page import rate_text

    when = f"{peak.second:8.1f} s" if start is None else f"{when_text(peak.second, start)} ({peak.second:.1f} s)"
    return f"  {when}, score {peak.score:.1f}, {rate_text(peak.alarms_per_day)}: {place / peak.picture}"


def _timeline(outline: "Outline", threshold: float) -> bytes:
    """Scores over time with the threshold, as PNG: the highest of each column, and their mean below it.

    Gaps between recordings take no room: a line stands there, and the second of the file at which the next one begins.
    """
    import io

    import numpy as np
    from matplotlib.figure import Figure

    parts = np.searchsorted(outline.seconds, outline.gaps[:, 0])
    seconds, highest, mean = (np.insert(row, parts, np.nan) for row in (outline.seconds, outline.highest, outline.mean))
    picture = Figure(figsize=(10, 2.6), layout="constrained")
    axes = picture.subplots()
    axes.fill_between(seconds, mean, highest, alpha=0.25, linewidth=0)
    axes.plot(seconds, highest, linewidth=1.2)
    axes.axhline(threshold, color="tab:red", linewidth=1, linestyle="--")
    axes.fill_between(seconds, highest, threshold, where=(highest > threshold).tolist(), color="tab:red", alpha=0.4)
    for clock, second in outline.gaps[:: 1 + len(outline.gaps) // MARKS]:
        axes.axvline(clock, color="tab:gray", linewidth=0.8)
        axes.annotate(f" {second:.0f} s", (clock, 0.97), xycoords=("data", "axes fraction"), va="top", fontsize="small")
    unit = "seconds of pictures" if len(outline.gaps) else "seconds"
    axes.set(xlabel=unit, ylabel="score", xlim=(float(outline.seconds[0]), float(outline.seconds[-1]) or 1.0))
    content = io.BytesIO()
    picture.savefig(content, format="png", dpi=100)
    return content.getvalue()
