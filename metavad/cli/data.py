"""``metavad data``: make, list, fetch, check, import and label footage."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import Commands, Data, ProgressKind, Seed, between

if TYPE_CHECKING:
    from metavad.scenes.datasets.importing import Unit
    from metavad.scenes.scene import Suite

__all__ = ["register"]

app = Commands(
    name="data", help="Make, list, fetch, check, import and label footage.", no_args_is_help=True, rich_markup_mode=None
)


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="data")


@app.command(epilog="Example: metavad data synthesize --scenes 20 --out cameras", short_help="Write generated cameras.")
def synthesize(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to; suite.toml there is the suite.")],
    scenes: Annotated[int, typer.Option(metavar="N", help="Cameras.")] = 20,
    seed: Seed = 0,
    size: Annotated[str, typer.Option(metavar="tiny|small|full", help="Resolution and length.")] = "small",
    first: Annotated[int, typer.Option(metavar="N", help="Number of the first camera.")] = 0,
    normal_videos: Annotated[
        int | None, typer.Option(metavar="N", help="Normal videos of a camera, else the size's.", show_default=False)
    ] = None,
    normal_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Their length in seconds.", show_default=False)
    ] = None,
    test_videos: Annotated[
        int | None, typer.Option(metavar="N", help="Test videos of a camera; 0 for none.", show_default=False)
    ] = None,
    test_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Their length in seconds.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", callback=between(1, 1024), help="Cameras made side by side.")] = 1,
    progress: ProgressKind = "auto",
) -> None:
    """Write generated cameras: videos, labels, masks, tracks, keypoints, and the suite file."""
    from typing import Literal, cast

    from metavad.cli.terminal import progress_of, resuming, say
    from metavad.files import claimed
    from metavad.synthetic import write_suite

    reporter = progress_of(progress)
    kind = cast(Literal["tiny", "small", "full"], size)
    with resuming("the same command keeps the cameras that are done"), claimed(out):
        path = write_suite(
            out,
            scenes=scenes,
            seed=seed,
            size=kind,
            first=first,
            normal_videos=normal_videos,
            normal_seconds=normal_seconds,
            test_videos=test_videos,
            test_seconds=test_seconds,
            jobs=jobs,
            progress=reporter,
        )
    say(f"{scenes} camera{'s' * (scenes > 1)}: {path}", f"next, to learn from them: metavad meta-train --scenes {path}")
    if test_videos != 0:
        say(f"or, to measure on them: metavad benchmark --target {path} --shots 0,1,10 --json results.json")


@app.command(
    "list", epilog="Example: metavad data list --data /datasets", short_help="What ships, and what of it is here."
)
def list_suites(data: Data = None) -> None:
    """What ships, what of it is present, where, its size and terms."""
    from metavad.cli.terminal import say_table
    from metavad.shipped import shipped

    rows = [_listed(name, data) for name in shipped("tasks")]
    narrow = [
        (f"{name}: {', '.join(filter(None, (present, size, where)))}", f"    {title}; terms: {terms}")
        for name, present, size, where, title, terms in rows
    ]
    say_table(("suite", "present", "size", "where", "title", "terms"), rows, narrow)


def _listed(name: str, data: Path | None) -> tuple[str, ...]:
    import tomllib

    from metavad.errors import MetavadError
    from metavad.scenes.suite import load_suite
    from metavad.shipped import shipped

    raw = tomllib.loads(shipped("tasks")[name].read_text(encoding="utf-8"))
    described = str(raw.get("title", "")), str(raw.get("terms", ""))
    if raw.get("generate"):
        return name, "made when used", "", "", *described
    try:
        suite = load_suite(name, data)
    except MetavadError:
        return name, "no", "", "", *described
    videos = {video.path for scene in suite.scenes for video in (*scene.normal, *scene.test)}
    where = ", ".join(sorted({str(scene.root) for scene in suite.scenes})[:2])
    return name, _present(suite, len(videos)), _size(videos), where, *described


def _present(suite: "Suite", videos: int) -> str:
    """Such as ``1 scene, 28 videos (official)``, and whether labels are missing."""
    from metavad.scenes.datasets.download import still_missing

    counted = [f"{n} {noun}{'s' * (n != 1)}" for n, noun in ((len(suite.scenes), "scene"), (videos, "video"))]
    layout = f" ({suite.layout})" if suite.layout else ""
    return ", ".join(counted) + layout + (", no labels" if still_missing(suite.scenes) else "")


def _size(paths: set[Path]) -> str:
    total = sum(_bytes(path) for path in paths)
    return f"{total / 1e9:.1f} GB" if total >= 1e9 else f"{total / 1e6:.1f} MB"


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@app.command(
    epilog="Example: metavad data fetch ped2 --data /datasets", short_help="Download a dataset that is public."
)
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A suite that ships.")],
    data: Data = None,
    keep: Annotated[bool, typer.Option(help="Keep the archive after unpacking.")] = True,
    progress: ProgressKind = "auto",
) -> None:
    """Download, check and unpack a dataset with a public address; else say where to ask for it."""
    import os

    from metavad.cli.terminal import progress_of, resuming, say
    from metavad.errors import UsageError
    from metavad.scenes.datasets.download import by_hand, still_missing
    from metavad.scenes.datasets.download import fetch as fetched
    from metavad.scenes.suite import about, load_suite

    reporter = progress_of(progress)
    root = data or (Path(os.environ["METAVAD_DATA"]) if os.environ.get("METAVAD_DATA") else None)
    if not about(name).archives:
        say(*by_hand(name))
    elif root is None:
        raise UsageError("expected a place for datasets, found none; say it with --data or METAVAD_DATA")
    root = root or Path()
    with resuming("the same command goes on where it stopped"):
        folders = fetched(name, root, reporter, keep=keep)
    say(*(f"{folder}" for folder in folders))
    if missing := still_missing(load_suite(name, root).scenes):
        say(*by_hand(name), *(f"still missing: {path}" for path in missing))
        raise typer.Exit(1)
    say(f"next: metavad data check {name}")


@app.command(
    epilog="Example: metavad data check ped2; metavad data check mysite.toml",
    short_help="Decode all videos; are labels and counts right?",
)
def check(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A suite.")],
    data: Data = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", callback=between(1, 1024), help="Videos looked at side by side.")
    ] = 2,
    progress: ProgressKind = "auto",
) -> None:
    """Decode every video and hold labels, masks and counts against it; exit code 1 if anything is wrong."""
    from rich.table import Table

    from metavad.cli.terminal import console, progress_of, say
    from metavad.errors import printable
    from metavad.scenes.datasets.check import check_suite
    from metavad.workflows.suites import open_suite

    reporter = progress_of(progress)
    suite = open_suite(name, data, reporter)
    findings = check_suite(suite, jobs=jobs, progress=reporter)
    errors = [finding for finding in findings if finding.level == "error"]
    if findings:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("level", "where", "what"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            table.add_row(finding.level, printable(finding.where), printable(finding.what))
        console().print(table)
    labels = f", labels: {suite.label_set}" if suite.label_set else ""
    layout = f", layout: {suite.layout}" if suite.layout else ""
    scenes = f"{len(suite.scenes)} scene{'s' * (len(suite.scenes) != 1)}"
    counted = f"{len(errors)} errors, {len(findings) - len(errors)} warnings"
    say(f"{suite.name}: {scenes}{layout}{labels}; {counted}")
    if errors:
        raise typer.Exit(1)
    if any(scene.test and (scene.labels or scene.pixel_masks) for scene in suite.scenes):
        say(f"next: metavad benchmark --target {name} --shots 0,1,10 --json results.json")


@app.command(
    "import",
    epilog="Example: metavad data import mysite --yes",
    short_help="Make a suite file of your own footage.",
)
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folders of videos.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write the guess without asking.")] = False,
    unit: Annotated[
        str | None,
        typer.Option(metavar="frames|seconds", help="Of tables of intervals that may be either.", show_default=False),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(metavar="FPS", help="Frames a second of folders of frames.", show_default=False)
    ] = None,
) -> None:
    """Make a suite file of your own footage: a guess is shown, and written to DIR/suite.toml once confirmed."""
    from metavad.cli.terminal import answering, say, say_text
    from metavad.errors import DataError, OutputError, printable
    from metavad.files import write_text
    from metavad.scenes.datasets.importing import import_folder

    path = folder / "suite.toml"
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of videos, found none; name one that is there")
    if path.exists():
        raise OutputError(f"{path}: expected a free place for the suite file, found one; edit or remove it")
    text = import_folder(folder, lambda table: _unit(unit if unit else _asked_unit(table, asking=not yes)), fps)
    say_text(text)
    with answering("--yes"):
        if not yes and not typer.confirm(f"Write this to {printable(path)}?", default=True):
            raise typer.Exit(1)
    write_text(path, text)
    say(f"{path}: written", *_imported(path))


def _imported(path: Path) -> list[str]:
    """What the suite holds, and what is still to be done for a benchmark of it."""
    import shlex

    from metavad.scenes.suite import load_suite

    lines, suite = [], load_suite(str(path))
    for scene in suite.scenes:
        labelled = scene.labels is not None or scene.pixel_masks is not None
        count = f"{len(scene.normal)} normal and {len(scene.test)} test video{'s' * (len(scene.test) != 1)}"
        lines.append(f"  {scene.name}: {count}{', labelled' if labelled else ', no labels' if scene.test else ''}")
        if scene.test and not labelled:
            root = path.parent / scene.root.relative_to(path.parent.absolute())
            videos = _glob([root / video.path.relative_to(scene.root) for video in scene.test])
            table = shlex.quote(str(root / "intervals.csv"))
            lines.append(f"  to label it: metavad data label {videos} --out {table}")
    return [*lines, f"next: metavad data check {path}"]


def _glob(videos: list[Path]) -> str:
    """The videos as a shell would list them."""
    import shlex

    folders = {video.parent for video in videos}
    suffixes = {video.suffix for video in videos if not video.is_dir()}
    endings = [f"*{suffix}" for suffix in sorted(suffixes)] or ["*"]
    return " ".join(f"{shlex.quote(str(folder))}/{ending}" for folder in sorted(folders) for ending in endings)


def _asked_unit(table: Path, *, asking: bool) -> str:
    """What a person says of a table of intervals; raises :class:`UsageError` where nobody is to be asked."""
    from metavad.cli.terminal import answering
    from metavad.errors import UsageError, printable

    if not asking:
        raise UsageError(
            f"{table}: expected to know its unit, found numbers that may be either; say --unit frames or --unit seconds"
        )
    with answering("--unit frames or --unit seconds"):
        answer: str = typer.prompt(f"{printable(table)}: are start and end frames or seconds?")
    return answer


def _unit(answer: str | None) -> "Unit | None":
    """The unit of that name; raises :class:`UsageError` for any other."""
    from typing import get_args

    from metavad.errors import UsageError
    from metavad.scenes.datasets.importing import Unit

    units: dict[str | None, Unit] = {unit: unit for unit in get_args(Unit)}
    if answer is not None and answer not in units:
        raise UsageError(f"--unit: expected frames or seconds, found {answer!r}")
    return units.get(answer)


@app.command(
    epilog="Example: metavad data label test/01.mp4 --out intervals.csv",
    short_help="Write a label file to fill in.",
)
def label(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO", help="Videos to label.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to, else intervals.csv beside the first video.", show_default=False),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="FPS", help="Frames a second, for folders of frames (else 25) and files with wrong times."
        ),
    ] = None,
) -> None:
    """Write an empty label file to fill in, and name it in the suite file above the videos, where there is one."""
    from metavad.cli.terminal import say
    from metavad.errors import OutputError
    from metavad.files import write_text
    from metavad.scenes.datasets.check import empty_intervals
    from metavad.scenes.datasets.labelling import labels_line, name_labels, places_of
    from metavad.scenes.listing import scene_of_files

    place = out or videos[0].absolute().parent / "intervals.csv"
    if place.exists():
        raise OutputError(f"{place}: expected a free place for labels, found something; name another --out")
    write_text(place, empty_intervals(*scene_of_files(videos, fps=fps, folder_fps=25.0).normal))
    say(f"{place}: fill in a line for each abnormal interval")
    places = places_of(videos)
    for each in places:
        if name_labels(each, place):
            say(f"{each.suite}: names it as the labels of {each.scene.name}")
        else:
            line = labels_line(place, each.scene.root)
            say(f"{each.suite}: {each.scene.name} has other labels; to take these, put there: {line}")
    if places:
        say(f"next, once it is filled in: metavad data check {places[0].suite}")
    else:
        beside = videos[0].absolute().parent
        camera = place.parent if place.absolute().parent != beside else videos[0].parent.parent
        say(
            f"next, once it is filled in: metavad data import {camera}, which writes a suite file that names it",
            f"or name it in one of your own: {labels_line(place, None)}",
        )
