"""``metavad benchmark``: few-shot against zero-shot on labelled cameras."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metavad.cli.options import BaseFolder, Data, ProgressKind, Scenes, Seed, ShotFrames

if TYPE_CHECKING:
    from metavad.benchmark import Outcome
    from metavad.progress import Progress

__all__ = ["register", "write_report"]

EPILOG = "Example: metavad benchmark --target ped2,umn --shots 0,1,5,10 --json results.json --html report.html"


Target = Annotated[
    str | None, typer.Option(metavar=Scenes, help="Labelled cameras: suites by name or file.", show_default=False)
]
Shots = Annotated[str, typer.Option(metavar="K,...", help="Numbers of clips to show.")]
Draws = Annotated[int, typer.Option(metavar="N", help="Draws of the clips, for mean and spread.")]
Methods = Annotated[str, typer.Option(metavar="NAME,...", help="Rows of the table.")]
RecordFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the record.", show_default=False)
]
ReportFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a report, one self-contained page.", show_default=False)
]
Style = Annotated[str, typer.Option("--format", metavar="table|markdown|latex|csv", help="How to print the rows.")]
Figures = Annotated[str, typer.Option(metavar="NAME,...|all", help="Figures to print a table of; csv has them all.")]
PlotsFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write AUC over K of each scene, an SVG each.", show_default=False)
]
ScoresFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write every frame score and label (.npz).", show_default=False)
]
Paper = Annotated[
    bool, typer.Option("--paper-protocol", help="Add columns made as published ones are: they look at the test set.")
]
Reproduce = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Run a record again and say whether it matches.", show_default=False),
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, max=1024, help="Scenes worked on side by side.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Take nothing from an earlier run of the same experiment.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("benchmark", epilog=EPILOG, short_help="Few-shot against zero-shot, on labels.")(benchmark)


def benchmark(
    target: Target = None,
    shots: Shots = "0,1,5,10",
    draws: Draws = 5,
    methods: Methods = "position,motion,zero-shot,fine-tune,refit,wrong-scene,adapted",
    shot_frames: ShotFrames = 16,
    base: BaseFolder = None,
    data: Data = None,
    seed: Seed = 0,
    json_file: RecordFile = None,
    html: ReportFile = None,
    style: Style = "table",
    figures: Figures = "micro_auc",
    plots: PlotsFolder = None,
    scores: ScoresFile = None,
    paper: Paper = False,
    reproduce: Reproduce = None,
    jobs: Jobs = 1,
    fresh: Fresh = False,
    progress: ProgressKind = "auto",
) -> None:
    """Few-shot against zero-shot: the same frames for every method, K and draw; nothing looks at the test set."""
    from metavad.cli.options import numbers
    from metavad.cli.recognition import asked_classes, print_recognition, run_recognition
    from metavad.cli.terminal import STARTS_OVER, progress_of, resuming

    _check_style(style)
    _check_figures(figures)
    told = progress_of(progress)
    if reproduce is not None:
        _reproduce(reproduce, base, data, jobs, told)
        return
    asked = {
        "shots": numbers(shots, "--shots"),
        "draws": draws,
        "methods": [name.strip() for name in methods.split(",") if name.strip()],
        "shot_frames": shot_frames,
        "seed": seed,
        "paper": paper,
    }
    if target is not None and (classes := asked_classes(target, data)) is not None:
        _refuse(classes.name, html=html, plots=plots, scores=scores, paper_protocol=paper)
        record = run_recognition(classes, base, asked, _facts(target), quiet=style != "table", progress=told)
        _write_record(record, json_file)
        print_recognition(record, style)
        return
    with resuming(STARTS_OVER if fresh else "the same command goes on where it stopped"):
        quiet, stories = style != "table", html is not None
        outcome = _run(target, base, data, jobs, asked, fresh=fresh, quiet=quiet, stories=stories, progress=told)
        _write(outcome, json_file, html, scores)
        if plots is not None:
            _write_plots(outcome.record, plots)
    _print(outcome.record, style, figures)


def _run(
    target: str | None,
    base: Path | None,
    data: Path | None,
    jobs: int,
    asked: dict[str, Any],
    *,
    fresh: bool,
    quiet: bool,
    stories: bool,
    progress: "Progress",
    undefined: bool = False,
) -> "Outcome":
    from metavad.cli.bases import open_base
    from metavad.cli.terminal import say
    from metavad.errors import UsageError
    from metavad.workflows.suites import select_scenes

    if target is None:
        raise UsageError("expected --target SUITE[:SCENE][,...], found none; see `metavad show suites`")
    scenes = select_scenes(target, data, role="meta-test", progress=progress)
    found, where = open_base(base)
    if not quiet:
        say(f"base {found.digest}: {where}")
    from metavad.benchmark import parts_folder
    from metavad.benchmark import run_benchmark as run
    from metavad.workflows.machine import describe_machine

    parts = None if fresh else parts_folder(found, asked["shot_frames"], asked["seed"])
    facts = {**_facts(target), "base_from": str(where), **describe_machine("cpu"), "jobs": jobs}
    more: dict[str, Any] = {"stories": stories, "undefined": undefined, "jobs": jobs}
    return run(scenes, found, **asked, **more, parts=parts, facts=facts, progress=progress)


def _reproduce(record_file: Path, base: Path | None, data: Path | None, jobs: int, progress: "Progress") -> None:
    """Run a record again with its own settings, taking nothing from before; exit code 1 where a figure differs."""
    from metavad.benchmark import read_record
    from metavad.cli.recognition import asked_classes, run_recognition
    from metavad.cli.reproduce import changed_differences, changed_figures, changed_sources
    from metavad.cli.terminal import say

    before = read_record(record_file)
    asked = {name: before[name] for name in ("shots", "draws", "methods", "shot_frames", "seed")}
    asked["paper"] = any("looks_at_test_set_micro_auc" in row for row in before["rows"])
    given, target = base or Path(before["base_from"]), before["target"]
    if (classes := asked_classes(target, data)) is not None:
        after = run_recognition(classes, given, asked, _facts(target), quiet=False, progress=progress)
    else:
        how = {"fresh": True, "quiet": False, "stories": False, "undefined": True}  # what changed is named, not refused
        after = _run(target, given, data, jobs, asked, progress=progress, **how).record
    changed = [
        *changed_sources(before, after),
        *changed_figures(before, after),
        *changed_differences(before, after),
    ]
    say(*changed, f"{record_file}: {'does not match' if changed else 'matches'}, {len(before['rows'])} rows")
    if changed:
        raise typer.Exit(1)


def _refuse(suite: str, **given: Any) -> None:
    """What is made of cameras alone."""
    from metavad.errors import UsageError

    for name, value in given.items():
        if value:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option}: expected cameras, found the classes of {suite}; leave it out, or use --json")


def _check_style(style: str) -> None:
    from metavad.errors import UsageError, nearest

    known = ("table", "markdown", "latex", "csv")
    if style not in known:
        raise UsageError(f"--format: expected a known one, found {style!r}; {nearest(style, known)}")


def _check_figures(asked: str) -> None:
    from metavad.errors import UsageError, nearest
    from metavad.report.table import FIGURES

    for name in _names(asked):
        if name not in {*FIGURES, "all"}:
            raise UsageError(f"--figures: expected known ones, found {name!r}; {nearest(name, [*FIGURES, 'all'])}")


def _names(asked: str) -> list[str]:
    return [name.strip() for name in asked.split(",") if name.strip()]


def _facts(target: str) -> dict[str, Any]:
    return {"command": _command(), "target": target}


def _command() -> str:
    import shlex

    return shlex.join(["metavad", *sys.argv[1:]])


def _write(outcome: "Outcome", json_file: Path | None, html: Path | None, scores: Path | None) -> None:
    from metavad.files import atomic_path

    if scores is not None:
        import numpy as np

        with atomic_path(scores) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **outcome.scores)  # type: ignore[arg-type]
    _write_record(outcome.record, json_file)
    if html is not None:
        write_report(outcome, html)


def _write_record(record: dict[str, Any], path: Path | None) -> None:
    import json

    from metavad.files import write_text

    if path is not None:
        write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def write_report(outcome: "Outcome", path: Path) -> None:
    """The record and its stories as one HTML file."""
    from metavad.files import write_text
    from metavad.report.page import SceneStory, render_page

    stories = [SceneStory(**vars(story)) for story in outcome.stories]
    write_text(path, render_page(outcome.record, stories))


def _write_plots(record: dict[str, Any], folder: Path) -> None:
    """AUC over K with its spread: a file for each scene, and one for their mean."""
    from metavad.files import folder_name, write_text
    from metavad.report.plots import auc_over_shots
    from metavad.report.table import pivot

    scenes = [scene for scene, _ in pivot(record).groups]
    plain = [scene.replace("/", "-") for scene in scenes]  # as of ``suite/scene``
    for scene, name in zip(scenes, plain, strict=True):
        file = folder_name(name if plain.count(name) == 1 else scene)
        write_text(folder / f"{file}.svg", auc_over_shots(record, scene))


def _print(record: dict[str, Any], style: str, figures: str) -> None:
    from metavad.cli.terminal import console, say, say_text
    from metavad.report.table import format_table, known_figures, sources, terminal_table

    asked = known_figures(record) if "all" in _names(figures) else _names(figures)
    asked += [name for name in known_figures(record) if name.startswith("looks_at_test_set") and name not in asked]
    if style == "csv":
        say_text(format_table(record, style))
        return
    for figure in asked:
        if style == "table":
            console().print(terminal_table(record, figure))
        else:
            say_text(f"{format_table(record, style, figure)}\n")
    if style == "table":
        say(*sources(record))
        _print_differences(record)


def _print_differences(record: dict[str, Any]) -> None:
    """At the most shots of each scene: adapted against zero-shot and fine-tune, with intervals."""
    from metavad.cli.terminal import say

    ours = [each for each in record["differences"] if each["method"] == "adapted" and each["low"] is not None]
    most = max((each["shots"] for each in ours), default=0)
    for each in ours:
        if each["shots"] == most:
            value, low, high = (100 * each[name] for name in ("value", "low", "high"))
            what = f"{each['scene']}: adapted, K = {most}, minus {each['minus']}"
            units = f"{each['scenes']} scenes" if "scenes" in each else f"{each['videos']} videos"
            few = "too few" if low > 0 or high < 0 else "not certain"
            sure = "" if each["certain"] else f"  ({few})"
            say(f"{what}: {value:+.1f}, 95 % from {low:+.1f} to {high:+.1f} over {units}{sure}")
