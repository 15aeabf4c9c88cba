"""``metavad show``: what ships, and which base is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import BaseFolder

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from metavad.benchmark.record import BaseFigures
    from metavad.experts.base import Expert

__all__ = ["register"]

EPILOG = "Example: metavad show suites; metavad show configs quick --out mine.toml; metavad show experts"
KINDS = ("configs", "suites", "base", "algorithms", "experts")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", epilog=EPILOG, short_help="List, print or copy what ships.")(show)


def show(
    what: Annotated[str, typer.Argument(metavar="configs|suites|base|algorithms|experts", help="What to show.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them, in full.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Copy it there instead of printing it.", show_default=False)
    ] = None,
    base: BaseFolder = None,
) -> None:
    """List, print, or copy what ships: presets, suites, the base, algorithms, experts."""
    from metavad.errors import UsageError, nearest

    if what not in KINDS:
        raise UsageError(f"show: expected {', '.join(KINDS)}, found {what!r}; {nearest(what, KINDS)}")
    if out is not None and (name is None or what not in ("configs", "suites")):
        raise UsageError("--out: expected the name of one of the configs or suites to copy, found none")
    if what == "base":
        _show_base(Path(name) if name is not None else base)
    elif what == "algorithms":
        _show_algorithms(name)
    elif what == "experts":
        _show_experts(name)
    else:
        _show_files("tasks" if what == "suites" else "configs", name, out)


def _show_files(kind: str, name: str | None, out: Path | None) -> None:
    from metavad.cli.terminal import say, say_text
    from metavad.errors import UsageError, nearest
    from metavad.files import write_text
    from metavad.shipped import shipped

    files = shipped("tasks") if kind == "tasks" else shipped("configs")
    if name is None:
        say(*_columns({key: _title(path) for key, path in files.items()}))
        return
    if name not in files:
        raise UsageError(f"show: expected the name of what ships, found {name!r}; {nearest(name, files)}")
    text = files[name].read_text(encoding="utf-8")
    if out is None:
        say_text(text)
    else:
        _free(out)
        write_text(out, text)
        say(f"{out}: a copy of {name}")


def _columns(texts: Mapping[str, str]) -> list[str]:
    """Lines of names, each beside its text, which goes on below itself where the terminal ends."""
    from textwrap import wrap

    from metavad.cli.terminal import console

    width = max(map(len, texts), default=0) + 2
    lines: list[str] = []
    for name, text in texts.items():
        first, rest = f"{name:<{width}}", " " * width
        lines += wrap(
            text,
            max(console().width - 2, 40),
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        ) or [name]
    return lines


def _free(out: Path) -> None:
    from metavad.errors import OutputError

    if out.exists():
        raise OutputError(f"{out}: expected a free place to write to, found something there; name another --out")


def _title(path: Path) -> str:
    """The title of a suite, or the first comment of a preset."""
    import tomllib

    text = path.read_text(encoding="utf-8")
    title = tomllib.loads(text).get("title")
    return str(title) if title else text.splitlines()[0].lstrip("# ")


def _show_base(given: Path | None) -> None:
    from metavad.cli.bases import open_base
    from metavad.cli.terminal import say

    base, where = open_base(given)
    facts = base.facts
    known = {"digest": base.digest, "experts": ", ".join(base.config.experts)}
    known |= {name: _plain(facts[name]) for name in MADE if name in facts}
    say(f"{where}", *(f"  {line}" for line in _columns(known)))
    _show_figures(where / FIGURES, base.digest)


MADE = ("scenes", "steps", "seed", "seconds", "device", "versions")
"""Facts of a base that say how it was made."""
FIGURES = "figures.json"
"""Beside a base: what was measured with it, as benchmarks/base_figures.py writes it."""


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return f"{len(value)}: {', '.join(map(str, value))}"
    return str(value)


def _show_figures(path: Path, base: str) -> None:
    """How it was made and what was measured, where a record of this base lies beside it."""
    from metavad.benchmark.record import BaseFigures, read_record
    from metavad.cli.terminal import say
    from metavad.errors import DataError

    if not path.is_file():
        return
    try:
        figures = read_record(path, BaseFigures)
    except DataError as error:
        raise DataError(f"{error}; fetch the base again, or take the file away") from None
    if figures.base == base:
        say(*_figure_lines(figures))


def _figure_lines(figures: "BaseFigures") -> list[str]:
    shots = sorted({count for row in figures.rows for count in row.micro_auc}, key=int)
    width = max((len(row.scene) for row in figures.rows), default=0)
    lines = ["  made by", *(f"    {line}" for line in figures.made_by), "  measured by", f"    {figures.command}"]
    lines.append(f"    {'micro AUC in %':<{width}}" + "".join(f"  K = {count:<4}" for count in shots))
    for row in figures.rows:
        values = [row.micro_auc.get(count) for count in shots]
        cells = (" " * 8 if value is None else f"{100 * value:8.1f}" for value in values)
        lines.append(f"    {row.scene:<{max(width, 14)}}" + "  ".join(cells))
    return lines


def _show_algorithms(name: str | None) -> None:
    from metavad.cli.terminal import say
    from metavad.errors import UsageError, nearest
    from metavad.meta.outer import ALGORITHMS

    if name is not None and name not in ALGORITHMS:
        raise UsageError(f"show: expected an algorithm, found {name!r}; {nearest(name, ALGORITHMS)}")
    for algorithm in ALGORITHMS.values() if name is None else [ALGORITHMS[name]]:
        say(f"{algorithm.name:<10} {algorithm.summary}", f"{'':<10} {algorithm.paper}")
        if name is not None:
            say(f"{'':<10} {algorithm.equation}")


def _show_experts(name: str | None) -> None:
    """Those that ship and those of other packages; one that cannot be loaded says so in its line."""
    from metavad.cli.terminal import say_table
    from metavad.errors import UsageError, nearest
    from metavad.experts import EXPERTS
    from metavad.experts.plugins import plugins

    found = {**{key: _expert_row(kind, "metavad") for key, kind in EXPERTS.items()}}
    found |= {key: _plugin_row(point) for key, point in plugins(taken=EXPERTS).items()}
    if name is not None and name not in found:
        raise UsageError(f"show: expected an expert, found {name!r}; {nearest(name, found)}")
    chosen = found if name is None else {name: found[name]}
    rows = [(key, *row) for key, row in chosen.items()]
    narrow = [
        (f"{key}: reads {reads}; clips: {clips}; {package}", f"    {what}") for key, reads, clips, package, what in rows
    ]
    say_table(("name", "reads", "clips", "package", "what"), rows, narrow)


def _expert_row(kind: "type[Expert]", package: str) -> tuple[str, str, str, str]:
    """What it reads, whether it needs clips, its package, one line."""
    clips = "not needed" if kind.zero_shot else "needed" if kind.needs_support else "a few"
    return ", ".join(kind.reads), clips, package, (kind.__doc__ or "").strip().splitlines()[0]


def _plugin_row(point: "EntryPoint") -> tuple[str, str, str, str]:
    from metavad.errors import ConfigError
    from metavad.experts.plugins import loaded, package_of

    try:
        return _expert_row(loaded(point), package_of(point))
    except ConfigError as error:
        return "?", "?", package_of(point), str(error)
