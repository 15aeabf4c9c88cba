"""``metavad benchmark``: few-shot against zero-shot on labelled cameras."""

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metavad.cli.options import BaseFolder, Data, Device, ProgressKind, Scenes, Seed, ShotFrames, between

if TYPE_CHECKING:
    from metavad.benchmark.experiment import Outcome
    from metavad.benchmark.record import BenchmarkRecord
    from metavad.progress import Progress
    from metavad.recognition.record import RecognitionRecord

__all__ = ["register", "write_report"]

EPILOG = "Example: metavad benchmark --target ped2,umn --shots 0,1,5,10 --json results.json --html report.html"


Target = Annotated[
    str | None, typer.Option(metavar=Scenes, help="Labelled cameras: suites by name or file.", show_default=False)
]
Shots = Annotated[str, typer.Option(metavar="K,...", help="Numbers of clips to show.")]
Draws = Annotated[int, typer.Option(metavar="N", help="Draws of the clips, for mean and spread.")]
Methods = Annotated[str, typer.Option(metavar="NAME,...|all", help="Rows of the table.")]
RecordFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the record.", show_default=False)
]
ReportFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a report, one self-contained page.", show_default=False)
]
Style = Annotated[str, typer.Option("--format", metavar="table|markdown|latex|csv", help="How to print the rows.")]
Figures = Annotated[str, typer.Option(metavar="NAME,...|all", help="Figures to print a table of; csv has them all.")]
PlotsFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write AUC over K of each scene, as SVG and as PDF.", show_default=False),
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
Jobs = Annotated[int, typer.Option(metavar="N", callback=between(1, 1024), help="Scenes worked on side by side.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Take nothing from an earlier run of the same experiment.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("benchmark", epilog=EPILOG, short_help="Few-shot against zero-shot, on labels.")(benchmark)


def benchmark(
    target: Target = None,
    shots: Shots = "0,1,5,10",
    draws: Draws = 5,
    methods: Methods = "all",
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
    device: Device = "auto",
    progress: ProgressKind = "auto",
) -> None:
    """Few-shot against zero-shot: the same frames for every method, K and draw; nothing looks at the test set."""
    from metavad.benchmark.record import write_record
    from metavad.cli.options import device_named, numbers
    from metavad.cli.recognition import asked_classes, print_recognition, run_recognition
    from metavad.cli.tables import check_figures
    from metavad.cli.terminal import STARTS_OVER, progress_of, resuming, say

    given = _Given(base, data, device_named(device), jobs)
    _check_style(style)
    check_figures(figures)
    meter, quiet = progress_of(progress), style != "table"
    if reproduce is not None:
        given_too = {"target": target, "json": json_file, "html": html, "plots": plots, "scores": scores}
        _refuse("nothing beside --reproduce, which compares with its record", **given_too, paper_protocol=paper)
        _reproduce(reproduce, given, meter)
        return
    asked = _Asked(numbers(shots, "--shots"), draws, _methods(methods), seed, shot_frames, paper)
    if target is not None and (classes := asked_classes(target, data)) is not None:
        what = f"cameras, found the classes of {classes.name}; leave it out, or use --json"
        _refuse(what, html=html, plots=plots, scores=scores, paper_protocol=paper)
        found = run_recognition(classes, base, target, asked.of_clips, device=given.device, quiet=quiet, progress=meter)
        if json_file is not None:
            write_record(json_file, found)
        print_recognition(found, style)
        return
    with resuming(STARTS_OVER if fresh else "the same command goes on where it stopped"):
        options = {"fresh": fresh, "quiet": quiet, "examples": html is not None}
        outcome = _run(target, given, asked, progress=meter, **options)
        _write(outcome, json_file, html, scores, plots)
    _print(outcome.record, style, figures)
    if json_file is not None and style == "table":
        say(f"next, for a paper: metavad report {shlex.quote(str(json_file))} --out table.tex")


@dataclass(frozen=True)
class _Given:
    """What an experiment is made with, and where."""

    base: Path | None
    data: Path | None
    device: str | None
    jobs: int


@dataclass(frozen=True)
class _Asked:
    """Settings of the experiment, as Python takes them."""

    shots: tuple[int, ...]
    draws: int
    methods: tuple[str, ...]
    seed: int
    shot_frames: int
    paper: bool

    @property
    def of_clips(self) -> dict[str, Any]:
        """Those that whole clips have too."""
        return {"shots": self.shots, "draws": self.draws, "methods": self.methods, "seed": self.seed}


def _methods(text: str) -> tuple[str, ...]:
    from metavad.benchmark.protocol import METHODS
    from metavad.cli.tables import names

    asked = names(text)
    return tuple(METHODS) if "all" in asked else tuple(asked)


def _run(
    target: str | None,
    given: _Given,
    asked: _Asked,
    *,
    fresh: bool,
    quiet: bool,
    examples: bool,
    progress: "Progress",
    undefined: bool = False,
) -> "Outcome":
    from metavad.cli.bases import open_base
    from metavad.cli.recognition import source_of
    from metavad.cli.terminal import say
    from metavad.errors import UsageError
    from metavad.scenes.datasets.download import check_labels
    from metavad.workflows.suites import select_scenes

    if target is None:
        raise UsageError("expected --target SUITE[:SCENE][,...], found none; see `metavad show suites`")
    scenes = select_scenes(target, given.data, role="meta-test", progress=progress)
    check_labels(scenes)
    found, where = open_base(given.base, given.device)
    if not quiet:
        say(f"base {found.digest}: {where}")
    from metavad.benchmark.experiment import run_benchmark
    from metavad.benchmark.parts import parts_folder

    return run_benchmark(
        scenes,
        found,
        **asdict(asked),
        parts=None if fresh else parts_folder(found, asked.shot_frames, asked.seed),
        examples=examples,
        undefined=undefined,
        jobs=given.jobs,
        source=source_of(target, where),
        progress=progress,
    )


def _reproduce(record_file: Path, given: _Given, progress: "Progress") -> None:
    """Run a record again with its own settings, taking nothing from before; exit code 1 where a figure differs."""
    from metavad.benchmark.record import BenchmarkRecord, read_record
    from metavad.cli.terminal import say
    from metavad.errors import DataError
    from metavad.recognition.record import RecognitionRecord

    before = read_record(record_file, BenchmarkRecord, RecognitionRecord)
    if before.target is None:
        raise DataError(f"{record_file}: expected a record of scenes named by --target, found one that Python made")
    given = replace(given, base=given.base or (Path(before.base_from) if before.base_from else None))
    if isinstance(before, RecognitionRecord):
        changed = _changes_of_classes(before, before.target, given, progress)
    else:
        assert isinstance(before, BenchmarkRecord)
        changed = _changes_of_scenes(before, before.target, given, progress)
    say(*changed, f"{record_file}: {'does not match' if changed else 'matches'}, {len(before.rows)} rows")
    if changed:
        raise typer.Exit(1)


def _changes_of_scenes(before: "BenchmarkRecord", target: str, given: _Given, progress: "Progress") -> list[str]:
    from metavad.cli.reproduce import changes

    asked = _Asked(before.shots, before.draws, before.methods, before.seed, before.shot_frames, before.paper_protocol)
    options = {"fresh": True, "quiet": False, "examples": False, "undefined": True}  # what changed is named
    return changes(before, _run(target, given, asked, progress=progress, **options).record)


def _changes_of_classes(before: "RecognitionRecord", target: str, given: _Given, progress: "Progress") -> list[str]:
    from metavad.cli.recognition import run_recognition
    from metavad.cli.reproduce import changes_of_classes
    from metavad.errors import DataError
    from metavad.recognition.suite import class_suite_of

    classes = class_suite_of(target, given.data)
    if classes is None:
        raise DataError(f"{target}: expected a suite of classes, as the record says, found cameras")
    asked = {name: getattr(before, name) for name in ("shots", "draws", "methods", "seed")}
    after = run_recognition(classes, given.base, target, asked, device=given.device, quiet=False, progress=progress)
    return changes_of_classes(before, after)


def _refuse(expected: str, **given: Any) -> None:
    """Raises :class:`UsageError` for the first option that is given and would do nothing."""
    from metavad.errors import UsageError

    for name, value in given.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')}: expected {expected}")


def _check_style(style: str) -> None:
    from metavad.errors import UsageError, nearest
    from metavad.report.table import FORMATS

    known = ("table", *FORMATS)
    if style not in known:
        raise UsageError(f"--format: expected a known one, found {style!r}; {nearest(style, known)}")


def _write(
    outcome: "Outcome", json_file: Path | None, html: Path | None, scores: Path | None, plots: Path | None
) -> None:
    from metavad.benchmark.record import write_record
    from metavad.cli.tables import write_plots
    from metavad.files import atomic_path

    if scores is not None:
        import numpy as np

        with atomic_path(scores) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **outcome.scores)  # type: ignore[arg-type]
    if json_file is not None:
        write_record(json_file, outcome.record)
    if html is not None:
        write_report(outcome, html)
    if plots is not None:
        write_plots(outcome.record, plots)


def write_report(outcome: "Outcome", path: Path) -> None:
    """The record and its examples as one HTML file."""
    from metavad.files import write_text
    from metavad.report.page import render_page

    write_text(path, render_page(outcome.record, outcome.examples))


def _print(record: "BenchmarkRecord", style: str, figures: str) -> None:
    from metavad.cli.tables import asked_figures, print_tables
    from metavad.cli.terminal import say_text
    from metavad.report.table import format_table

    if style == "table":
        print_tables(record, figures)
    elif style == "csv":
        say_text(format_table(record, style))
    else:
        for figure in asked_figures(record, figures):
            say_text(f"{format_table(record, style, figure)}\n")
