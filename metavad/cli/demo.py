"""``metavad demo``: watch a detector get used to cameras it has never seen, on generated footage."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metavad.cli.options import ProgressKind, Seed

if TYPE_CHECKING:
    from metavad.progress import Progress
    from metavad.scenes.scene import Scene

__all__ = ["register"]

TRAIN, UNSEEN, SHOTS, DRAWS = 8, 6, (0, 1, 5, 10), 2
FOOTAGE: dict[str, Any] = {"size": "tiny", "normal_videos": 6, "normal_seconds": 5.0}
TO_LEARN: dict[str, Any] = {**FOOTAGE, "test_videos": 0}
TO_TEST: dict[str, Any] = {**FOOTAGE, "test_videos": 4, "test_seconds": 5.0}
EPILOG = "Example: metavad demo --out demo"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=EPILOG, short_help="Watch a detector get used to unseen cameras.")(demo)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets cameras, base, table and report.")] = Path("demo"),
    seed: Seed = 0,
    progress: ProgressKind = "auto",
) -> None:
    """Meta-train a small base on generated cameras and adapt it to unseen ones: about four minutes."""
    from metavad.cli.terminal import progress_of, resuming
    from metavad.errors import OutputError
    from metavad.files import claimed

    meter = progress_of(progress)
    if (out / "report.html").exists():
        raise OutputError(f"{out}: expected a free place for the demo, found a finished one; name another --out")
    with resuming("the same command goes on where it stopped"), claimed(out):
        _demo(out, seed, meter)


def _demo(out: Path, seed: int, progress: "Progress") -> None:
    from metavad.cli.benchmark import write_report
    from metavad.cli.terminal import console, say
    from metavad.config import load_config

    train = _cameras(out / "cameras" / "train", TRAIN, 0, seed, TO_LEARN, progress)
    unseen = _cameras(out / "cameras" / "unseen", UNSEEN, TRAIN, seed, TO_TEST, progress)
    from metavad.benchmark.experiment import run_benchmark
    from metavad.benchmark.record import Source, write_record
    from metavad.report.table import terminal_table
    from metavad.scenes.cache import Store
    from metavad.workflows.meta_train import meta_train

    run, store = out / "run", Store(out / "cache")
    begun = (run / "run.json").is_file()
    base = meta_train(
        train, load_config("quick"), run=run, seed=seed, resume=begun, device="cpu", store=store, progress=progress
    )
    outcome = run_benchmark(
        unseen,
        base,
        shots=SHOTS,
        draws=DRAWS,
        seed=seed,
        store=store,
        parts=out / "parts",
        jobs=2,
        source=Source(f"metavad demo --seed {seed}"),
        progress=progress,
    )
    write_record(out / "record.json", outcome.record)
    write_report(outcome, out / "report.html")
    console().print(terminal_table(outcome.record))
    say(*_ending(out))


def _cameras(
    folder: Path, scenes: int, first: int, seed: int, footage: dict[str, Any], progress: "Progress"
) -> "tuple[Scene, ...]":
    from metavad.scenes.suite import load_suite
    from metavad.synthetic import write_suite

    path = write_suite(folder, scenes=scenes, first=first, seed=seed, jobs=2, progress=progress, **footage)
    return load_suite(str(path)).scenes


def _ending(out: Path) -> list[str]:
    return [
        f"report: {out / 'report.html'}",
        f"{UNSEEN} small cameras are luck, for better or worse: benchmarks/ablation.md of the project has 22 larger.",
        "",
        "For your own camera, with a few minutes of normal video (VIDEO...) and a video to look at (NEW):",
        "  metavad adapt --normal VIDEO... --shots 10 --out detectors/mine",
        "  metavad score NEW --detector detectors/mine      # says why, with a picture of each event",
        "They start from the base that ships, which has seen more than the demo's (--base to choose another).",
    ]
