"""``metavad score``: what does not belong in a video."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import ProgressKind

if TYPE_CHECKING:
    from metavad.normality.detector import Detector
    from metavad.progress import Progress
    from metavad.scenes.scene import Video
    from metavad.scoring.results import EventRecord, Outline, Result

__all__ = ["register"]

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
    progress: ProgressKind = "auto",
) -> None:
    """Score every frame of videos: OUT/<video>/scores.csv, events.json, timeline.png, and a picture of each event.

    What is scored already, by the same detector and settings, is left as it is.
    """
    from metavad.cli.terminal import progress_of, resuming

    reporter = progress_of(progress)
    _check_paths(videos)
    with resuming("the same command goes on with the videos that are left"):
        _score(videos, detector, out, fps, reporter)


def _score(videos: list[Path], detector: Path, out: Path, fps: float | None, progress: "Progress") -> None:
    from metavad.cli.terminal import say
    from metavad.files import claimed, folder_name
    from metavad.normality.detector import load_detector
    from metavad.progress import along
    from metavad.scenes.listing import scene_of_files
    from metavad.scoring.results import check_place, result_of
    from metavad.scoring.stream import check_video

    found = load_detector(detector)
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
            events = _score_video(found, video, place, result, progress)
        number = "1 event" if len(events) == 1 else f"{len(events)} events"
        say(f"{video.name}: {number}; {place}", *(_line(event) for event in events))


def _check_paths(videos: list[Path]) -> None:
    """What is not there is said before torch is loaded."""
    from metavad.errors import VideoError

    for path in videos:
        if not path.exists():
            raise VideoError(f"{path}: expected a video or a folder of frames, found nothing; check the path")


def _score_video(
    detector: "Detector", video: "Video", place: Path, result: "Result", progress: "Progress"
) -> "tuple[EventRecord, ...]":
    """All that is written of one video; what was found."""
    from metavad.files import atomic_directory
    from metavad.scoring.results import write_result

    with atomic_directory(place) as beside:
        found, outline = write_result(beside, detector, video, result, progress=progress)
        (beside / "timeline.png").write_bytes(_timeline(outline, detector.threshold))
    return found.events


def _line(event: "EventRecord") -> str:
    return f"  {event.start:8.1f} s to {event.end:8.1f} s, score {event.score:.1f}: {event.reason}"


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
