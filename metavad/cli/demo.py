"""``metavad demo``: a detector of a camera that the base has never seen, on generated footage."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metavad.cli.options import Device, ProgressKind, Seed, device_named

if TYPE_CHECKING:
    from metavad.benchmark.record import BenchmarkRecord, Difference
    from metavad.normality.base import Base
    from metavad.progress import Progress
    from metavad.scenes.cache import Store
    from metavad.scenes.scene import Scene, Video
    from metavad.scoring.results import EventRecord
    from metavad.synthetic import CameraSpec

__all__ = ["register"]

FIRST = 100
"""Number of the first camera that is looked at: the base that ships has seen the first 21 of another world."""
HIGH = 240
"""Pixels of a picture in which people can be made out."""
SHOTS, ALARMS = 10, 8640.0
"""Clips that are shown, and false alarms a day that are allowed: one in ten seconds, for a video of eight."""
CAMERA: dict[str, Any] = {
    "size": "full", "normal_videos": 4, "normal_seconds": 10.0, "test_videos": 8, "test_seconds": 8.0,
}  # fmt: skip
OTHERS, OTHERS_FROM = 5, 200
"""Cameras beside it that few-shot and zero-shot are compared on: the first from that number on, whatever they show."""
OTHER: dict[str, Any] = {
    "size": "small", "normal_videos": 4, "normal_seconds": 8.0, "test_videos": 6, "test_seconds": 6.0,
}  # fmt: skip

TRAIN, UNSEEN, FULL_SHOTS, DRAWS = 8, 6, (0, 1, 5, 10), 2
FOOTAGE: dict[str, Any] = {"size": "tiny", "normal_videos": 6, "normal_seconds": 5.0}
TO_LEARN: dict[str, Any] = {**FOOTAGE, "test_videos": 0}
TO_TEST: dict[str, Any] = {**FOOTAGE, "test_videos": 4, "test_seconds": 5.0}
EPILOG = "Example: metavad demo --out demo"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=EPILOG, short_help="Find an event on a camera that was never seen.")(demo)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets cameras, detector, scores and report.")] = Path("demo"),
    full: Annotated[bool, typer.Option("--full", help="Meta-train a small base first: about four minutes.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    progress: ProgressKind = "auto",
) -> None:
    """Show ten clips of a generated camera to the base that ships, and score a new video: about two minutes.

    Then few-shot against zero-shot on some more cameras. Which cameras they are is a rule, not a choice by result.
    """
    from metavad.cli.terminal import progress_of, resuming
    from metavad.errors import OutputError
    from metavad.files import claimed

    where, meter = device_named(device), progress_of(progress)
    if (out / "report.html").exists():
        raise OutputError(f"{out}: expected a free place for the demo, found a finished one; name another --out")
    with resuming("the same command goes on where it stopped"), claimed(out):
        if full:
            _full(out, seed, where, meter)
        else:
            _short(out, seed, where, meter)


# ---------------------------------------------------------------- the base that ships


def _short(out: Path, seed: int, device: str | None, progress: "Progress") -> None:
    from metavad.cli.terminal import say
    from metavad.normality.base import load_base
    from metavad.scenes.cache import Store

    base, store, (number, name) = load_base().on(device), Store(out / "cache"), first_readable(seed)
    shown = _cameras(out / "camera", 1, number, seed, CAMERA, progress)[0]
    video = next(each for each in shown.test if each.name == name)
    say(
        f"A square where everybody walks, before a camera that metavad has never seen: {out / 'camera' / shown.name}",
        "Like all cameras of the demo it is generated; normal/ and test/ hold its videos.",
        "",
    )
    _find(base, shown, video, out, store, progress)
    others = _cameras(out / "others", OTHERS, OTHERS_FROM, seed, OTHER, progress)
    both = "zero-shot", "adapted"
    asked = {"shots": (0, SHOTS), "draws": 1, "methods": both, "seed": seed}
    _say_table(_compared(base, (shown, *others), asked, f"metavad demo --seed {seed}", out, store, progress))
    say(*_ending(out))


def first_readable(seed: int) -> tuple[int, str]:
    """The camera that is shown and its new video, by a rule: number and name; nothing is scored to choose them.

    From camera ``FIRST`` of the world ``seed`` on, the first square by day, in colour and at least ``HIGH`` pixels
    high, where nobody runs, rides or drives and one of the test videos brings a vehicle: that one.
    """
    from itertools import count

    from metavad.synthetic import plan_videos, sample_camera

    counts = (CAMERA[key] for key in ("normal_videos", "test_videos", "normal_seconds", "test_seconds"))
    sizes = tuple(counts)
    for number in count(FIRST):
        spec = sample_camera(seed, number, CAMERA["size"])
        videos = plan_videos(spec, *sizes)[1] if _is_readable(spec) else []
        for video in videos:
            if video.event == "vehicle":
                return number, video.name
    raise AssertionError("unreachable")


def _is_readable(spec: "CameraSpec") -> bool:
    bright = not spec.look.night and not spec.look.grey
    walking = spec.habits.includes.isdisjoint({"running", "cycling", "driving"})
    return spec.kind == "plaza" and bright and walking and spec.lens.height >= HIGH


def _find(base: "Base", scene: "Scene", video: "Video", out: Path, store: "Store", progress: "Progress") -> None:
    """A detector from ten clips, a new video scored, and what was found in a sentence, in pictures and on a page."""
    from metavad.cli.score import score_videos
    from metavad.cli.terminal import say
    from metavad.files import folder_name
    from metavad.normality.detector import load_detector, save_detector
    from metavad.progress import SILENT
    from metavad.workflows.few_shot import adapt

    place = out / f"detector-{folder_name(scene.name)}"  # of another --seed it is another camera's
    if not place.exists():
        made = adapt(base, scene, shots=SHOTS, alarms_per_day=ALARMS, store=store, progress=progress)
        save_detector(place, made)
    say(f"{SHOTS} clips of its normal videos were shown, and one false alarm in {86_400 / ALARMS:.0f} s is allowed.")
    detector = load_detector(place).on(base.device)
    score_videos(detector, {video: None}, out / "scores", annotate=True, progress=SILENT)
    say(*_found(out, out / "scores" / folder_name(video.name), scene.root, video.name))


def _found(out: Path, place: Path, camera: Path, video: str) -> list[str]:
    """What happened, whether it was found, in a sentence, a picture and a page, and how many alarms are false."""
    from metavad.cli.score import PAGE
    from metavad.report.scores_page import Introduction, write_scores_page
    from metavad.scoring.results import ANNOTATED, EventsRecord

    events = EventsRecord.model_validate_json((place / "events.json").read_bytes()).events
    truth, boxes = _truth(camera, video)
    right = [each for each in events if _is_right(each, truth, boxes)]
    spans = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in truth)
    sentences = [f"In truth a vehicle (a bicycle or a car) crosses the square: {spans}."]
    event = max(right, key=lambda each: each.score, default=None)
    if event is None:
        title = "Missed: a vehicle where everybody walks"
        sentences.append("Missed: no alarm is at that time and place.")
    else:
        title = "Found: a vehicle where everybody walks"
        sentences.append(f"Found, from {event.start:.1f} to {event.end:.1f} s: {event.reason}.")
    false = len(events) - len(right)
    wrong = f"{false} false alarm{'s' * (false != 1)}"
    shown = f"The camera is generated. {SHOTS} clips of it were shown; this video is new. Beside it: {wrong}."
    links = [(f"{SHOTS} clips against none, on {1 + OTHERS} cameras", "report.html")]
    write_scores_page(out / PAGE, [place], Introduction(title, [*sentences, shown], links))
    picture = [] if event is None else [f"  its picture  {place / (event.picture or '')}"]
    where = [f"  its video    {place / ANNOTATED}", f"  the page     {out / PAGE}", f"  beside it    {wrong}"]
    return ["", *sentences, *picture, *where, ""]


def _is_right(
    event: "EventRecord", truth: list[tuple[float, float]], boxes: list[tuple[float, tuple[float, ...]]]
) -> bool:
    """Whether an alarm is at the time of what happened, and its box, within a second of its peak, where that was."""
    if event.box is None or not any(event.start < end and start < event.end for start, end in truth):
        return False
    x, y, right, lower = event.box.x, event.box.y, event.box.x + event.box.width, event.box.y + event.box.height
    near = [box for second, box in boxes if abs(second - event.peak) <= 1]
    return any(x0 < right and x < x1 and y0 < lower and y < y1 for x0, y0, x1, y1 in near)


def _truth(camera: Path, video: str) -> tuple[list[tuple[float, float]], list[tuple[float, tuple[float, ...]]]]:
    """When what the generator put into a video can be seen, and at which second it is in which box, in pixels."""
    rate = float(json.loads((camera / "meta.json").read_text(encoding="utf-8"))["frames_per_second"])
    with (camera / "events.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["video"] == video]
    with (camera / "tracks" / f"{video}.csv").open(encoding="utf-8", newline="") as file:
        seen = [row for row in csv.DictReader(file) if row["abnormal"] == "1"]
    boxes = [(int(row["frame"]) / rate, tuple(float(row[edge]) for edge in ("x0", "y0", "x1", "y1"))) for row in seen]
    return [(int(row["start"]) / rate, int(row["end"]) / rate) for row in rows], boxes


def _compared(
    base: "Base",
    scenes: "tuple[Scene, ...]",
    asked: dict[str, Any],
    command: str,
    out: Path,
    store: "Store",
    progress: "Progress",
) -> "BenchmarkRecord":
    """The benchmark of some cameras, with its record and report written."""
    from metavad.benchmark.experiment import run_benchmark
    from metavad.benchmark.record import Source, write_record
    from metavad.cli.benchmark import write_report

    outcome = run_benchmark(
        scenes, base, **asked, store=store, parts=out / "parts", jobs=2, source=Source(command), progress=progress
    )
    write_record(out / "record.json", outcome.record)
    write_report(outcome, out / "report.html")
    return outcome.record


def _say_table(record: "BenchmarkRecord") -> None:
    """Zero-shot against ten clips on every camera, with the interval of the difference, and what that says."""
    from metavad.cli.terminal import say, say_table

    cameras = len(record.scenes)
    say(f"AUC in % on {cameras} cameras that the base has never seen, without clips and with {SHOTS}:", "")
    gains = [each for each in record.differences if (each.method, each.minus) == ("adapted", "zero-shot")]
    rows = [_row(record, gain) for gain in gains]
    headings = ("camera", "zero-shot", f"{SHOTS} clips", "difference", "95 % interval")
    say_table(headings, rows, narrow=[[f"{row[0]}: {row[1]}, {row[2]} ({row[3]}; {row[4]})"] for row in rows])
    say("", *(_verdict(gain) for gain in gains if gain.scenes), "")


def _row(record: "BenchmarkRecord", gain: "Difference") -> tuple[str, ...]:
    from statistics import mean

    values = []
    for method in ("zero-shot", "adapted"):
        found = [row for row in record.rows if row.method == method and (gain.scenes or row.scene == gain.scene)]
        values.append(mean(row.micro_auc or 0.0 for row in found))
    apart = "too few" if gain.low is None or gain.high is None else f"{_points(gain.low)} to {_points(gain.high)}"
    return gain.scene, *(f"{100 * value:.1f}" for value in values), _points(gain.value), apart


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}"


def _verdict(gain: "Difference") -> str:
    """What the mean over cameras allows to say: no gain is claimed where there is none."""
    if gain.value is None:
        return "On these cameras the difference is undefined."
    if not gain.certain:
        return "On so few cameras the difference is not certain: it may be luck, for better or worse."
    better = "The clips help" if gain.value > 0 else "The clips do harm"
    return f"{better} on these cameras; on others that need not hold."


def _ending(out: Path) -> list[str]:
    return [
        f"Open {out / 'report.html'}: every camera with its highest score, the clips that were shown, and the figures.",
        "",
        "For your own camera, with a few minutes of normal video (VIDEO...) and a video to look at (NEW):",
        "  metavad adapt --normal VIDEO... --shots 10 --out detectors/mine",
        "  metavad score NEW --detector detectors/mine      # says why, with a picture of each event",
    ]


# ---------------------------------------------------------------- a base of its own


def _full(out: Path, seed: int, device: str | None, progress: "Progress") -> None:
    """Meta-train on small cameras, then every method on others."""
    from metavad.cli.terminal import console, say
    from metavad.config import load_config
    from metavad.report.table import terminal_table
    from metavad.scenes.cache import Store
    from metavad.workflows.meta_train import meta_train

    train = _cameras(out / "cameras" / "train", TRAIN, 0, seed, TO_LEARN, progress)
    unseen = _cameras(out / "cameras" / "unseen", UNSEEN, TRAIN, seed, TO_TEST, progress)
    run, store = out / "run", Store(out / "cache")
    begun = (run / "run.json").is_file()
    base = meta_train(
        train,
        load_config("quick"),
        run=run,
        seed=seed,
        resume=begun,
        device=device or "cpu",
        store=store,
        progress=progress,
    ).on(device)
    asked = {"shots": FULL_SHOTS, "draws": DRAWS, "seed": seed}
    record = _compared(base, unseen, asked, f"metavad demo --full --seed {seed}", out, store, progress)
    console().print(terminal_table(record))
    few = f"{UNSEEN} small cameras are luck, for better or worse: benchmarks/ablation.md of the project has 22 larger."
    say(few, *_ending(out), "They start from the base that ships, which has seen more than the demo's.")


def _cameras(
    folder: Path, scenes: int, first: int, seed: int, footage: dict[str, Any], progress: "Progress"
) -> "tuple[Scene, ...]":
    from metavad.scenes.suite import load_suite
    from metavad.synthetic import write_suite

    path = write_suite(folder, scenes=scenes, first=first, seed=seed, jobs=2, progress=progress, **footage)
    return load_suite(str(path)).scenes
