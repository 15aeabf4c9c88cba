"""``metavad report``: tables, plots and a page of records that are there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metavad.cli.options import numbers

if TYPE_CHECKING:
    from metavad.benchmark.record import BenchmarkRecord
    from metavad.recognition.record import RecognitionRecord

__all__ = ["register"]

EPILOG = "Example: metavad report ped2.json umn.json --format latex --out table.tex --plots plots"
SUFFIXES = {".tex": "latex", ".md": "markdown", ".csv": "csv", ".html": "html"}
STYLES = ("table", "markdown", "latex", "csv", "html")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=EPILOG, short_help="Tables, plots and a page of records.")(report)


def report(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD", help="What `metavad benchmark --json` wrote; several are merged.")
    ],
    style: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="table|markdown|latex|csv|html",
            help="How to write it.",
            show_default="by the name of --out, else table",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to, else standard output.", show_default=False)
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write AUC over K of each scene, as SVG and as PDF.", show_default=False),
    ] = None,
    figures: Annotated[
        str, typer.Option(metavar="NAME,...|all", help="Figures to make a table of; csv has them all.")
    ] = "micro_auc",
    methods: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Only these rows.", show_default=False)
    ] = None,
    shots: Annotated[
        str | None, typer.Option(metavar="K,...", help="Only these numbers of clips.", show_default=False)
    ] = None,
) -> None:
    """Make a table for a paper of one or several records, with intervals; nothing is computed again.

    Records are merged where they have the same base, protocol and labels; else what differs is said.
    """
    from metavad.benchmark.merging import merged, narrowed
    from metavad.benchmark.record import BenchmarkRecord, read_record
    from metavad.cli.tables import check_figures, names, print_tables, write_plots
    from metavad.errors import UsageError
    from metavad.recognition.record import RecognitionRecord

    chosen = _style(style, out)
    check_figures(figures)
    wanted = numbers(shots, "--shots") if shots else ()
    read = [(str(path), read_record(path, BenchmarkRecord, RecognitionRecord)) for path in records]
    cameras = [(name, record) for name, record in read if isinstance(record, BenchmarkRecord)]
    classes = [(name, record) for name, record in read if isinstance(record, RecognitionRecord)]
    if classes:
        for option, value in (("--methods", methods), ("--shots", shots)):
            if value:
                raise UsageError(f"{option}: expected a record of cameras, found classes; leave it out")
        _of_classes(classes, [name for name, _ in read], chosen, out, plots)
        return
    record = narrowed(merged(cameras), methods=names(methods or ""), shots=wanted)
    text = None if chosen == "table" else _text(record, chosen, figures)
    if plots is not None:
        write_plots(record, plots)
    if text is None:
        print_tables(record, figures)
    else:
        _give(text, out, _headline(record))


def _style(style: str | None, out: Path | None) -> str:
    """The format asked for, or that of a file's name; raises :class:`UsageError` for an unknown one."""
    from metavad.errors import UsageError, nearest

    if style is None and out is not None:
        if out.suffix not in SUFFIXES:
            ends = ", ".join(SUFFIXES)
            raise UsageError(f"--out {out}: expected a name that ends in {ends}, or --format, found neither")
        return SUFFIXES[out.suffix]
    chosen = style or "table"
    if chosen not in STYLES:
        raise UsageError(f"--format: expected a known one, found {chosen!r}; {nearest(chosen, STYLES)}")
    if chosen == "table" and out is not None:
        raise UsageError(f"--format table: expected no --out, found {out}; choose markdown, latex, csv or html")
    if chosen == "html" and out is None:
        raise UsageError("--format html: expected --out FILE for the page, found none")
    return chosen


def _text(record: "BenchmarkRecord", style: str, figures: str) -> str:
    from metavad.cli.tables import asked_figures
    from metavad.report.page import render_page
    from metavad.report.table import format_table

    if style == "html":
        return render_page(record)
    if style == "csv":
        return format_table(record, style)
    head = f"% {_headline(record)}\n" if style == "latex" else f"{_headline(record)}\n\n"
    return head + "\n".join(format_table(record, style, figure) for figure in asked_figures(record, figures))


def _headline(record: "BenchmarkRecord") -> str:
    from metavad.report.page import headline

    return headline(record)


def _of_classes(
    found: "list[tuple[str, RecognitionRecord]]", given: list[str], style: str, out: Path | None, plots: Path | None
) -> None:
    """The table of one record of classes: it has no page, no plots, and nothing to be merged with."""
    from metavad.cli.recognition import print_recognition
    from metavad.errors import UsageError
    from metavad.recognition.table import format_recognition, notes

    name, record = found[0]
    if len(given) > 1:
        other = next(each for each in given if each != name) if len(found) == 1 else found[1][0]
        raise UsageError(f"{name}: expected a record of cameras to merge with {other}, found classes; report it alone")
    if style == "html" or plots is not None:
        raise UsageError(f"{name}: expected cameras for a page or plots, found classes; use markdown, latex or csv")
    if style == "table":
        print_recognition(record, style)
    else:
        _give(format_recognition(record, style), out, notes(record)[0])


def _give(text: str, out: Path | None, what: str) -> None:
    """To a file, and what it says in a line; else to standard output."""
    from metavad.cli.terminal import say, say_text
    from metavad.files import write_text

    if out is None:
        say_text(text)
        return
    write_text(out, text)
    say(what, f"{out}: written")
