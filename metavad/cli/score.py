"""``metavad score``: what does not belong in a video."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import ProgressKind

if TYPE_CHECKING:
    from metavad.normality.detector import Detector
    from metavad.progress import Progress
    from metavad.scenes.scene import Video
    from metavad.scoring.results import EventsRecord, Outline, PeakRecord, Result

__all__ = ["rate_text", "register", "score"]

MARKS = 16
"""Gaps between recordings that are marked on a timeline, about."""
EPILOG = "Example: metavad score monday.mp4 tuesday.mp4 --detector detectors/lobby --out scores"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score", epilog=EPILOG, short_help="Find what does not belong in videos.")(score)


def score(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO", help="Video files, or folders of frames.")],
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
    alarms_per_day: Annotated[
        float | None,
        typer.Option(
            metavar="A", help="At most so many false alarms a day, else as the detector has it.", show_default=False
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="X", help="Alarm over this score instead.", show_default=False)
    ] = None,
    progress: ProgressKind = "auto",
) -> None:
    """Score every frame of videos: OUT/<video>/scores.csv, events.json, timeline.png, and a picture of each event.

    Without an event, pictures of the highest scores, and how many alarms a day a threshold there would mean.

    What is scored already, by the same detector and settings, is left as it is.
    """
    from metavad.cli.terminal import progress_of, resuming
    from metavad.cli.threshold import moved_to

    reporter = progress_of(progress)
    _check_paths(videos)
    from metavad.normality.detector import load_detector

    with resuming("the same command goes on with the videos that are left"):
        _score(videos, moved_to(load_detector(detector), alarms_per_day, threshold), out, fps, reporter)


def _score(videos: list[Path], found: "Detector", out: Path, fps: float | None, progress: "Progress") -> None:
    from metavad.cli.events import event_line, number_of_events
    from metavad.cli.terminal import say
    from metavad.files import claimed, folder_name
    from metavad.progress import along
    from metavad.scenes.listing import scene_of_files
    from metavad.scoring.results import check_place, result_of
    from metavad.scoring.stream import check_video

    chosen = scene_of_files(videos, fps=fps, folder_fps=found.camera.fps).normal
    places = {video: out / folder_name(video.name) for video in chosen}
    results = {video: result_of(found, video) for video in chosen}
    left = [video for video, result in results.items() if not check_place(places[video], result)]
    for video in along(progress, "Looking at the videos", left):  # a wrong one is said before the first is scored
        check_video(found, video)
    for video in along(progress, "Scoring", chosen):
        place, result = places[video], results[video]
        with claimed(place):
            if check_place(place, result):
                say(f"{video.name}: scored already; {place}")
                continue
            record = _score_video(found, video, place, result, progress)
        say(
            f"{video.name}: {number_of_events(record)}; {place}",
            *map(event_line, record.events),
            *_highest(record, place),
        )


def _check_paths(videos: list[Path]) -> None:
    """What is not there is said before torch is loaded."""
    from metavad.errors import VideoError

    for path in videos:
        if not path.exists():
            raise VideoError(f"{path}: expected a video or a folder of frames, found nothing; check the path")


def _score_video(
    detector: "Detector", video: "Video", place: Path, result: "Result", progress: "Progress"
) -> "EventsRecord":
    """All that is written of one video; what was found."""
    from metavad.files import atomic_directory
    from metavad.scoring.results import write_result

    with atomic_directory(place) as beside:
        found, outline = write_result(beside, detector, video, result, progress=progress)
        (beside / "timeline.png").write_bytes(_timeline(outline, detector.threshold))
    return found


def _highest(record: "EventsRecord", place: Path) -> list[str]:
    """Of a video without an event, where the score is highest, and what a threshold there would mean."""
    if not record.highest:
        return []
    head = (
        f"  nothing is over the threshold, {record.threshold:.1f}; the highest, and what a threshold there would mean:"
    )
    return [head, *(_peak(peak, place) for peak in record.highest)]


def _peak(peak: "PeakRecord", place: Path) -> str:
    return f"  {peak.second:8.1f} s, score {peak.score:.1f}, {rate_text(peak.alarms_per_day)}: {place / peak.picture}"


def rate_text(alarms_per_day: float) -> str:
    """A rate of alarms to two digits, since it is an estimate.

    >>> rate_text(12345), rate_text(3.14), rate_text(0.001)
    ('about 12,000 alarms a day', 'about 3.1 alarms a day', 'under 0.1 alarms a day')
    """
    if alarms_per_day < 0.1:
        return "under 0.1 alarms a day"
    digits = 1 - math.floor(math.log10(alarms_per_day))
    rounded = round(alarms_per_day, digits)
    return f"about {rounded:,.{max(digits, 0)}f} alarms a day"


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
