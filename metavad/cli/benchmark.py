"""``metavad benchmark``: few-shot against zero-shot on labelled cameras."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metavad.cli.options import BaseFolder, Data, Scenes, Seed, ShotFrames

if TYPE_CHECKING:
    from metavad.protocol import Outcome

__all__ = ["register", "write_report"]

EPILOG = "Example: metavad benchmark --target ped2,umn --shots 0,1,5,10 --json results.json --html report.html"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("benchmark", epilog=EPILOG, short_help="Few-shot against zero-shot, on labels.")(benchmark)


def benchmark(
    target: Annotated[
        str | None, typer.Option(metavar=Scenes, help="Labelled cameras: suites by name or file.", show_default=False)
    ] = None,
    shots: Annotated[str, typer.Option(metavar="K,...", help="Numbers of clips to show.")] = "0,1,5,10",
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of the clips, for mean and spread.")] = 5,
    methods: Annotated[str, typer.Option(metavar="NAME,...", help="Rows of the table.")] = (
        "position,motion,zero-shot,fine-tune,refit,wrong-scene,adapted"
    ),
    shot_frames: ShotFrames = 16,
    base: BaseFolder = None,
    data: Data = None,
    seed: Seed = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the record.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report, one self-contained page.", show_default=False)
    ] = None,
    style: Annotated[
        str, typer.Option("--format", metavar="table|markdown|latex|csv", help="How to print the rows.")
    ] = "table",
    jobs: Annotated[int, typer.Option(metavar="N", help="Scenes worked on side by side.")] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Take nothing from an earlier run of the same experiment.")
    ] = False,
) -> None:
    """Few-shot against zero-shot: the same frames for every method, K and draw; nothing looks at the test set."""
    from metavad.cli.bases import open_base
    from metavad.cli.options import numbers
    from metavad.cli.terminal import bars, resuming, say
    from metavad.errors import UsageError
    from metavad.scenes.suite import select_scenes

    if target is None:
        raise UsageError("expected --target SUITE[:SCENE][,...], found none; see `metavad show suites`")
    wanted = numbers(shots, "--shots")
    _check_style(style)
    progress = bars()
    scenes = select_scenes(target, data, role="meta-test", progress=progress)
    found, where = open_base(base)
    if style == "table":
        say(f"base {found.digest}: {where}")
    from metavad.protocol import benchmark as run
    from metavad.protocol import parts_folder
    from metavad.training import describe_machine

    with resuming("the same command goes on where it stopped"):
        outcome = run(
            scenes,
            found,
            shots=wanted,
            draws=draws,
            methods=[name.strip() for name in methods.split(",") if name.strip()],
            shot_frames=shot_frames,
            seed=seed,
            parts=None if fresh else parts_folder(found, shot_frames, seed),
            stories=html is not None,
            jobs=jobs,
            facts={"command": _command(), "base_from": str(where), **describe_machine("cpu")},
            progress=progress,
        )
    _write(outcome, json_file, html)
    _print(outcome.record, style)


def _check_style(style: str) -> None:
    from metavad.errors import UsageError, nearest

    known = ("table", "markdown", "latex", "csv")
    if style not in known:
        raise UsageError(f"--format: expected a known one, found {style!r}; {nearest(style, known)}")


def _command() -> str:
    import shlex

    return shlex.join(["metavad", *sys.argv[1:]])


def _write(outcome: "Outcome", json_file: Path | None, html: Path | None) -> None:
    import json

    from metavad.files import write_text

    if json_file is not None:
        write_text(json_file, json.dumps(outcome.record, indent=1, allow_nan=False) + "\n")
    if html is not None:
        write_report(outcome, html)


def write_report(outcome: "Outcome", path: Path) -> None:
    """The record and its stories as one HTML file."""
    from metavad.files import write_text
    from metavad.report.page import SceneStory, render_page

    stories = [SceneStory(**vars(story)) for story in outcome.stories]
    write_text(path, render_page(outcome.record, stories))


def _print(record: dict[str, Any], style: str) -> None:
    from metavad.cli.terminal import console, say
    from metavad.report.table import format_table, terminal_table

    if style == "table":
        console().print(terminal_table(record))
    else:
        say(format_table(record, style).rstrip("\n"))
