"""The record of recognition as a table: for a terminal, for a paper, for a spreadsheet."""

from typing import TYPE_CHECKING

from metavad.errors import printable
from metavad.recognition.record import FIGURES, ClipRow, RecognitionRecord
from metavad.report.escaping import csv_text, latex_text, markdown_text
from metavad.report.formats import DASH, latex_table, markdown_table

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["format_recognition", "notes", "recognition_table"]

HEADS = ("method", "score", "K", *(figure.title for figure in FIGURES.values()))


def recognition_table(record: RecognitionRecord) -> "Table":
    """A line for each method and K, for a terminal."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in HEADS:
        table.add_column(heading, justify="left" if heading in HEADS[:2] else "right", overflow="fold")
    for row in record.rows:
        table.add_row(*map(printable, _cells(row)))
    return table


def notes(record: RecognitionRecord) -> list[str]:
    """What the figures are, on what, and which classes are missed or disturb most at the end of the table."""
    sides = {allowed: [each for each in record.classes if each.allowed == allowed] for allowed in (True, False)}
    tested = {allowed: sum(each.test for each in side) for allowed, side in sides.items()}
    last = record.rows[-1]
    shares = ", ".join(f"{name} {100 * share:.0f}" for name, share in last.flagged.items())
    return [
        f"{record.suite}: in %, over whole clips: {tested[True]} of {len(sides[True])} allowed classes, "
        f"{tested[False]} of {len(sides[False])} forbidden ones; K clips of each allowed class were shown",
        f"threshold: from the shown clips, to accept {100 * record.accept:.0f} % of allowed ones",
        f"flagged by {last.method}, {last.score}, K = {last.shots}: {shares}",
    ]


def format_recognition(record: RecognitionRecord, style: str) -> str:
    """The same as ``markdown``, ``latex`` (booktabs) or ``csv`` (every figure, unrounded)."""
    if style == "csv":
        return _csv(record)
    if style == "latex":
        rows = [[_latex(cell) for cell in _cells(row)] for row in record.rows]
        return latex_table(HEADS, [rows], texts=2, notes=notes(record))
    rows = [[markdown_text(cell) for cell in _cells(row)] for row in record.rows]
    lines = [markdown_text(f"{line[0].upper()}{line[1:]}.") for line in notes(record)]
    return markdown_table(HEADS, rows, texts=2, notes=lines)


def _cells(row: ClipRow) -> list[str]:
    return [row.method, row.score, str(row.shots), *(_figure(row, name) for name in FIGURES)]


def _figure(row: ClipRow, name: str) -> str:
    value, spread = row.figure(name), row.spread(name)
    if value is None:
        return DASH
    return FIGURES[name].text(value) + ("" if spread is None else f" ±{FIGURES[name].text(spread)}")


def _csv(record: RecognitionRecord) -> str:
    rows = [
        {"suite": record.suite}
        | row.model_dump(exclude={"flagged"})
        | {f"flagged {name}": share for name, share in row.flagged.items()}
        for row in record.rows
    ]
    return csv_text(list(rows[0]), rows)


def _latex(cell: str) -> str:
    value, spread, deviation = latex_text(cell).replace(DASH, "--").partition(" ±")
    return rf"{value} {{\small $\pm$ {deviation}}}" if spread else value
