"""``metavad meta-train``: a base from many cameras."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.bases import RUNS
from metavad.cli.options import Data, ProgressKind, Scenes, Seed

if TYPE_CHECKING:
    from metavad.normality.base import Base

__all__ = ["register"]

EPILOG = "Example: metavad meta-train --scenes synthetic,mysite.toml --config default --set meta.outer_steps=500"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("meta-train", epilog=EPILOG, short_help="Learn a base from many cameras.")(meta_train)


def meta_train(
    scenes: Annotated[str, typer.Option(metavar=Scenes, help="Cameras to learn from: suites by name or file.")],
    data: Data = None,
    config: Annotated[str, typer.Option(metavar="NAME|FILE", help="A preset or a TOML file.")] = "default",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="section.key=value", help="Change one setting; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the run, else a new one under runs/.", show_default=False),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, else with the newest.")
    ] = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to train.")] = "auto",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events into the run's folder.")
    ] = False,
    progress: ProgressKind = "auto",
) -> None:
    """Meta-learn a base over many cameras: hours, once; stopped runs go on with --resume."""
    from metavad.cli.terminal import STARTS_OVER, progress_of, resuming, say
    from metavad.config import load_config
    from metavad.workflows.machine import device_of
    from metavad.workflows.suites import select_scenes

    device_of(device)
    settings = load_config(config, overrides or ())
    run = out or (_newest() if resume else _new())
    reporter = progress_of(progress)
    chosen = select_scenes(scenes, data, role="meta-train", progress=reporter)

    def going_on() -> str:
        begun = (run / "run.json").is_file()
        return f"go on with the same command and --resume --out {run}" if begun else STARTS_OVER

    with resuming(going_on):
        from metavad.workflows.meta_train import meta_train

        base = meta_train(
            chosen,
            settings,
            run=run,
            seed=seed,
            resume=resume,
            device=device,
            progress=reporter,
            tensorboard=tensorboard,
        )
    say(
        f"base {base.digest} of {len(chosen)} scenes: {run / 'base'}",
        _share(base),
        f"next: metavad adapt --normal VIDEO... --shots 10 --base {shlex.quote(str(run / 'base'))}",
    )


def _share(base: "Base") -> str:
    """How much of the base a camera changes; ``meta.adapts`` chooses it."""
    adapting = sum(base.params[name].numel() for name in base.step_sizes)
    total = sum(tensor.numel() for tensor in base.params.values())
    return f"adapts {adapting:,} of {total:,} parameters ({adapting / total:.1%})"


def _new() -> Path:
    from datetime import datetime

    return RUNS / datetime.now().strftime("%Y%m%d-%H%M%S")


def _newest() -> Path:
    from metavad.errors import UsageError

    begun = sorted(RUNS.glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    if not begun:
        raise UsageError("--resume: expected a run under runs/, found none; begin one without --resume")
    return begun[-1].parent
