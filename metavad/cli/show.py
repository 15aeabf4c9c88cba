"""``metavad show``: what ships, and which base is used."""

from pathlib import Path
from typing import Annotated

import typer

from metavad.cli.options import BaseFolder

__all__ = ["register"]

EPILOG = "Example: metavad show suites; metavad show configs quick --out mine.toml; metavad show base"
KINDS = ("configs", "suites", "base", "algorithms")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", epilog=EPILOG, short_help="List, print or copy what ships.")(show)


def show(
    what: Annotated[str, typer.Argument(metavar="configs|suites|base|algorithms", help="What to show.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them, whole.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Copy it there instead of printing it.", show_default=False)
    ] = None,
    base: BaseFolder = None,
) -> None:
    """List, print, or copy what ships: presets, suites, the base, algorithms."""
    from metavad.errors import UsageError, nearest

    if what not in KINDS:
        raise UsageError(f"show: expected {', '.join(KINDS)}, found {what!r}; {nearest(what, KINDS)}")
    if what == "base":
        _show_base(Path(name) if name is not None else base)
    elif what == "algorithms":
        _show_algorithms(name)
    else:
        _show_files("tasks" if what == "suites" else "configs", name, out)


def _show_files(kind: str, name: str | None, out: Path | None) -> None:
    from metavad.cli.terminal import say
    from metavad.errors import UsageError, nearest
    from metavad.files import write_text
    from metavad.shipped import shipped

    files = shipped("tasks") if kind == "tasks" else shipped("configs")
    if name is None:
        width = max(map(len, files), default=0)
        say(*(f"{key:<{width}}  {_title(path)}" for key, path in files.items()))
        return
    if name not in files:
        raise UsageError(f"show: expected the name of what ships, found {name!r}; {nearest(name, files)}")
    text = files[name].read_text(encoding="utf-8")
    if out is None:
        say(text.rstrip("\n"))
    else:
        _free(out)
        write_text(out, text)
        say(f"{out}: a copy of {name}")


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
    say(f"{where}", f"  digest   {base.digest}", f"  experts  {', '.join(base.config.experts)}")
    for name in ("scenes", "steps", "validation", "seed", "seconds", "device", "versions"):
        if name in facts:
            value = ", ".join(facts[name]) if isinstance(facts[name], list) else facts[name]
            say(f"  {name:<8} {value}")


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
