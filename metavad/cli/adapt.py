"""``metavad adapt``: a detector from K clips of a camera."""

import re
import shlex
from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import (
    BaseFolder,
    Consecutive,
    Data,
    Device,
    ManyPaths,
    NoFileTime,
    ProgressKind,
    Scenes,
    Seed,
    ShotFrames,
    length,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from metavad.normality.detector import Detector
    from metavad.progress import Progress
    from metavad.scenes.scene import Scene, Video
    from metavad.scoring.calibrating import Calibrated

__all__ = ["register"]

EPILOG = "Example: metavad adapt --normal lobby/*.mp4 --shots 10 --alarms-per-day 5"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("adapt", epilog=EPILOG, short_help="Make a detector from K clips of a camera.", cls=ManyPaths)(adapt)


Shots = Annotated[int, typer.Option(metavar="K", help="Number of clips to show; 0 is zero-shot.")]
Target = Annotated[
    str | None, typer.Option(metavar=Scenes, help="Cameras of suites, by name or file.", show_default=False)
]
Normal = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH...", help="Normal videos of one camera, or folders of videos or frames.", show_default=False
    ),
]
AlarmsPerDay = Annotated[
    float | None,
    typer.Option(metavar="A", help="At most so many false alarms a day; 10 if not given.", show_default=False),
]
LeaveOut = Annotated[
    str | None,
    typer.Option(metavar="N[,N...]", help="Clips not to show after all, by number.", show_default=False),
]
Show = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VIDEO@SECOND[,...]", help="Also show the clip around a second of a video.", show_default=False
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH",
        help="Footage beside the clips to take the threshold from, such as 5m or 2h; as much as A needs if not given.",
        show_default=False,
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        metavar="FPS",
        help="Frames a second, for folders of frames and files with wrong times.",
        show_default=False,
    ),
]
NameTime = Annotated[
    str | None,
    typer.Option(
        "--start-time",
        metavar="PATTERN",
        help="When the normal videos begin, by their names: a pattern such as lobby_%Y%m%d_%H%M%S. Else as files say.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="What to call the camera of --normal.", show_default=False)
]
Pictures = Annotated[bool, typer.Option(help="Keep a small picture of each clip shown.")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where to write; detectors/<scene> if not given.", show_default=False),
]


def adapt(
    shots: Shots,
    target: Target = None,
    normal: Normal = None,
    shot_frames: ShotFrames = 16,
    alarms_per_day: AlarmsPerDay = None,
    leave_out: LeaveOut = None,
    show: Show = None,
    budget: Budget = None,
    consecutive: Consecutive = False,
    start_time: NameTime = None,
    no_file_time: NoFileTime = False,
    fps: Fps = None,
    name: Name = None,
    base: BaseFolder = None,
    data: Data = None,
    seed: Seed = 0,
    pictures: Pictures = True,
    out: Out = None,
    device: Device = "auto",
    progress: ProgressKind = "auto",
) -> None:
    """From K clips of a camera's normal footage to a detector of what does not belong there, in seconds.

    The rest of the footage sets the threshold: 3 / A days of it, 7.2 hours for ten alarms a day, or what there is.
    """
    from metavad.cli.bases import open_base
    from metavad.cli.options import device_named
    from metavad.cli.terminal import progress_of, resuming, say

    where_to = device_named(device)
    reporter, scenes = progress_of(progress), _scenes(target, normal, data, fps, name)
    most = None if budget is None else length(budget, "--budget")
    starts = _starts(scenes, start_time, consecutive=consecutive, file_too=not no_file_time)
    left_out, shown, places = _numbers(leave_out), _seconds(show or (), scenes), _places(scenes, out)
    found, where = open_base(base, where_to)
    say(f"base {found.digest}: {where}")
    from metavad.workflows.few_shot import adapt as adapted

    make = partial(
        adapted,
        found,
        shots=shots,
        shot_frames=shot_frames,
        alarms_per_day=alarms_per_day,
        leave_out=left_out,
        show=shown,
        seed=seed,
        pictures=pictures,
        progress=reporter,
    )

    begins_of = partial(_begins, consecutive=consecutive, starts=starts)

    def make_one(scene: "Scene", place: Path) -> "Detector":
        detector = make(scene)
        say(*_summary(scene, detector, shots, left_out))
        with resuming(GOES_ON) if len(scenes) == 1 else nullcontext():
            return _calibrated(detector, scene, shown, most, place, reporter, begins_of)

    _save_all(make_one, scenes, places, reporter)


def _save_all(
    make: "Callable[[Scene, Path], Detector]", scenes: "tuple[Scene, ...]", places: list[Path], progress: "Progress"
) -> None:
    """Make and write the detector of each scene, and say what became of it."""
    from metavad.cli.terminal import resuming, say
    from metavad.files import claimed
    from metavad.normality.detector import save_detector
    from metavad.progress import along

    for number, (scene, place) in enumerate(along(progress, "Adapting", list(zip(scenes, places, strict=True)))):
        with resuming(_going_on(scenes, number)), claimed(place):
            detector = make(scene, place)
            save_detector(place, detector)
        next_step = f"metavad score VIDEO --detector {shlex.quote(str(place))}"
        say(f"  threshold {detector.threshold:.2f}: {detector.promise.text}", f"  next: {next_step}")


def _going_on(scenes: "tuple[Scene, ...]", done: int) -> str:
    """The same command would find the detectors that are done."""
    from metavad.cli.terminal import STARTS_OVER

    left = ", ".join(scene.key for scene in scenes[done:])
    return f"{done} of {len(scenes)} detectors are done; go on with a --target of {left}" if done else STARTS_OVER


def _scenes(
    target: str | None, normal: list[Path] | None, data: Path | None, fps: float | None, name: str | None
) -> "tuple[Scene, ...]":
    from metavad.errors import UsageError
    from metavad.scenes.listing import scene_of_files
    from metavad.workflows.suites import select_scenes

    if (target is None) == (not normal):
        raise UsageError("expected --target or --normal, found both or neither; see `metavad adapt --help`")
    if target is None:
        return (scene_of_files(normal or (), name, fps),)
    for option, value in (("--fps", fps), ("--name", name)):
        if value is not None:
            raise UsageError(f"{option}: expected --normal with it, found --target, whose suite says that")
    return select_scenes(target, data, role="meta-test")


def _places(scenes: "tuple[Scene, ...]", out: Path | None) -> list[Path]:
    """A folder for each scene; raises :class:`OutputError` where one is taken."""
    from metavad.errors import OutputError
    from metavad.files import is_free

    single = out is not None and len(scenes) == 1
    places = [out] if single and out is not None else [(out or Path("detectors")) / name for name in _folders(scenes)]
    for place in places:
        if not is_free(place):
            raise OutputError(f"{place}: expected a free place for a detector, found something; name another --out")
    return places


def _folders(scenes: "Sequence[Scene]") -> list[str]:
    """A name for each scene: its own, with the suite's where others have it too, also in capitals."""
    from metavad.files import folder_name

    names = [scene.name for scene in scenes]
    for longer in ("{0.suite}-{0.name}", "{0.suite}/{0.name}"):
        taken = Counter(name.casefold() for name in names)
        names = [
            name if taken[name.casefold()] == 1 else longer.format(scene)
            for name, scene in zip(names, scenes, strict=True)
        ]
    return [folder_name(name) for name in names]


def _numbers(text: str | None) -> list[int]:
    from metavad.errors import UsageError

    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UsageError(f"--leave-out {text}: expected numbers of shots with commas between, e.g. 3,7") from None


_SECOND = re.compile(r"(.+?)@(\d+(?:\.\d+)?)(?:,|$)", re.DOTALL)


def _seconds(texts: "Sequence[str]", scenes: "Sequence[Scene]") -> list[tuple[str, float]]:
    """Videos and seconds; a name may hold commas, and stands as ``adapt`` prints it."""
    from metavad.errors import printable

    known = {video.name for scene in scenes for video in scene.normal}
    names = {printable(name): name for name in known} | {name: name for name in known}
    return [(names.get(video, video), second) for text in texts for video, second in _seconds_of(text, names)]


def _seconds_of(text: str, names: "Container[str]") -> list[tuple[str, float]]:
    """One second of a video whose name is known, else as many as there are with commas between."""
    from metavad.errors import UsageError

    whole = re.fullmatch(r"(.+)@(\d+(?:\.\d+)?)", text, re.DOTALL)
    found = [whole] if whole and whole[1] in names else list(_SECOND.finditer(text))
    if not found or "".join(match[0] for match in found) != text:
        raise UsageError(f"--show {text}: expected videos and seconds with commas between, e.g. monday@12.5,tuesday@3")
    return [(match[1], float(match[2])) for match in found]


def _summary(scene: "Scene", detector: "Detector", drawn: int, left_out: list[int]) -> list[str]:
    shots = len(detector.shots)
    overlap = f" ({detector.independent} without overlap)" if detector.independent < shots else ""
    seconds = sum(map(detector.lasts, range(shots)))
    return [
        f"{_called(scene)}: shown {shots} clips{overlap}, {seconds:.1f} s in all",
        *_close(detector),
        *_odd(detector, drawn, left_out),
    ]


def _called(scene: "Scene") -> str:
    """Its name alone where it is of no suite."""
    from metavad.scenes.listing import FILES

    return scene.name if scene.suite == FILES else scene.key


GOES_ON = "the same command goes on with the footage that is left"
LONG = 600.0
"""Seconds of footage from which on it is said how long it takes."""


def _calibrated(
    detector: "Detector",
    scene: "Scene",
    shown: list[tuple[str, float]],
    budget: float | None,
    place: Path,
    progress: "Progress",
    begins_of: "Callable[[Detector, Scene], dict[Video, float]]",
) -> "Detector":
    """The detector with its camera's own threshold; says what alarms and stands out of the footage beside the clips."""
    import numpy as np

    from metavad.cli.terminal import say
    from metavad.cli.threshold import keystone_text, regimes_text
    from metavad.durations import spelled
    from metavad.normality.own_footage import window_seconds
    from metavad.normality.threshold import FEWEST, recurring
    from metavad.scoring.calibrating import calibrate, pace
    from metavad.scoring.pieces import has_a_bank, pieces_of, planned_seconds

    pieces = pieces_of(detector, scene, budget=budget)
    begins = begins_of(detector, scene) if has_a_bank(pieces) else {}
    if (planned := planned_seconds(pieces)) >= LONG:
        takes = spelled(planned * pace(detector, pieces))
        say(f"  calibrating on {spelled(planned)} of normal footage takes about {takes} (less with --budget)")
    found = calibrate(detector, scene, budget=budget, begins=begins, progress=progress)
    if found.seconds > 0:
        least = FEWEST * window_seconds(detector.model)
        is_enough = np.count_nonzero(found.detector.own.known) >= FEWEST
        few = "" if is_enough else f", too little for a threshold of its own ({least:.0f} s)"
        what = f"  scored {spelled(found.seconds)} of normal footage that was not shown{few}"
        bank = _bank_text(found) if not few else []
        say(what, *bank, *regimes_text(found.detector), *_notable(found, shown, place))
        say(*keystone_text(found.detector, place))
        if often := recurring(found.detector.model, found.detector.own):
            say(
                f"  on {often} occasions something scores far above the rest; that is too often not to be normal",
                f"  not normal? metavad threshold {shlex.quote(str(place))} lists the highest (--leave-out N)",
            )
    return found.detector


def _starts(
    scenes: "tuple[Scene, ...]", pattern: str | None, *, consecutive: bool, file_too: bool
) -> "dict[Video, float]":
    """When normal videos begin, in seconds since 1970, where their names or files say so and nobody else does.

    Raises :class:`UsageError` for a pattern that is none, or is not needed.
    """
    from metavad.clock import given_start_time
    from metavad.errors import UsageError
    from metavad.scenes.video.start_time import own_start_time

    videos = [video for scene in scenes for video in scene.normal]
    if pattern is not None and consecutive:
        raise UsageError("expected --consecutive or --start-time, found both")
    if pattern is not None:
        if "%" not in pattern:
            raise UsageError(
                f"--start-time: expected a pattern of the videos' names, such as lobby_%Y%m%d_%H%M%S, found {pattern!r}"
            )
        return {video: given_start_time(pattern, video.name).time.timestamp() for video in videos}
    known = {video: own_start_time(video) for video in videos if file_too and not consecutive}
    return {video: start.timestamp() for video, start in known.items() if start is not None}


def _begins(
    detector: "Detector", scene: "Scene", *, consecutive: bool, starts: "dict[Video, float]"
) -> "dict[Video, float]":
    """Where the times of normal videos are 0, in seconds on one clock; those that nobody knows are missing."""
    from metavad.cli.terminal import say
    from metavad.scenes.cache import Store
    from metavad.scoring.before import clocks_of

    known = {video: starts[video] for video in scene.normal if video in starts}
    clocks = clocks_of(detector.camera.crop, scene.normal, known, Store(), consecutive=consecutive)
    if known and (goes_on := sum(bool(clocks.past(video, 0)) for video in clocks.begins)):
        say(f"  files that go on from another one, by their times: {goes_on} (--no-file-time leaves those in them out)")
    return clocks.begins


def _bank_text(found: "Calibrated") -> list[str]:
    """What its memory bank is of, or what it takes to have one."""
    from metavad.durations import spelled
    from metavad.scoring.pieces import BANK_SECONDS

    bank = found.detector.bank
    if bank is None and found.seconds > BANK_SECONDS:
        return ["  its recordings are too short to show what is usually there: that takes more than ten seconds each"]
    if bank is None:
        return [f"  {spelled(BANK_SECONDS)} or more of normal footage would also show what is usually there"]
    what = "what stays and is none of that scores too"
    return [f"  knows what is usually there from {len(bank.origins)} pictures of it: {what}"]


def _notable(found: "Calibrated", shown: list[tuple[str, float]], place: Path) -> list[str]:
    """What alarms and what stands out, by number, and what to do about it."""
    from metavad.normality.memory_bank import NOVELTY

    lines = []
    for each in found.notable:
        cluster, what = each.cluster, "stands out" if each.stands_out else "alarms"
        when = f"{cluster.video}, {each.event.start:.1f} to {each.event.end:.1f} s"
        lines.append(f"    {cluster.number}. {when}, {what}, score {cluster.score:.1f}: {each.event.reason}")
    if not lines:
        return []
    moving = [each for each in found.notable if set(each.event.shares) != {NOVELTY}]
    seconds = [*shown, *((each.cluster.video, each.second) for each in moving)]
    again = " ".join(f"--show {shlex.quote(f'{video}@{second:.1f}')}" for video, second in seconds)
    numbers, name = ",".join(str(each.cluster.number) for each in found.notable), shlex.quote(str(place))
    if moving:
        what = "all" if len(moving) == len(found.notable) else "what moves is"
        lines.append(f"  {what} normal? adapt again with {again}")
    if any(each.stands_out for each in found.notable):
        lines.append("  what stands out does not count for the threshold")
        lines.append(f"  normal, but not to be shown? metavad threshold {name} --normal {numbers}")
    if any(not each.stands_out for each in found.notable):
        lines.append(f"  not normal? metavad threshold {name} --leave-out {numbers}")
    return lines


CLOSE = 0.7
"""Effective sample size, as a share of the clips, below which longer footage is asked for."""


def _close(detector: "Detector") -> list[str]:
    size, shots = detector.model.support.sample_size, len(detector.shots)
    if size >= CLOSE * shots:
        return []
    return [f"  give longer normal footage: the {shots} clips lie close in time, and show as much as {size:.1f} apart"]


def _odd(detector: "Detector", shots: int, left_out: list[int]) -> list[str]:
    """A line for each drawn shot that does not belong, with its number in the draw, and how to leave it out."""
    from metavad.normality.outliers import outlying_shots

    drawn = [number for number in range(1, shots + 1) if number not in left_out]
    odd = [place for place in outlying_shots(detector.model) if place < len(drawn)]
    lines = []
    for place in odd:
        clip, begin = detector.shots[place], detector.began[place]
        when = f"{begin:.1f} to {begin + detector.lasts(place):.1f} s"
        lines.append(f"  shot {drawn[place]} ({clip.video}, {when}) is unlike the others; look at it")
    if odd:
        numbers = ",".join(str(number) for number in sorted([*left_out, *(drawn[place] for place in odd)]))
        lines.append(f"  not normal? adapt again with --leave-out {numbers}")
    return lines
