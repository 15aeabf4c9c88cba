"""Tables of a record: for a terminal, for a paper, for a spreadsheet. What is undefined is a dash."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metavad.benchmark.protocol import LEADING, PROPOSED
from metavad.benchmark.record import BenchmarkRecord
from metavad.errors import UsageError, nearest, printable
from metavad.report.escaping import csv_text, latex_text, markdown_text
from metavad.report.formats import latex_table, markdown_table
from metavad.report.grid import Cell, Grid, Line, caption, pivot, sources

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

__all__ = ["FORMATS", "format_table", "terminal_table"]

FORMATS = ("markdown", "latex", "csv")


def terminal_table(record: BenchmarkRecord, figure: str = LEADING) -> "RenderableType":
    """A table for a terminal that fits its width: names are never cut, in a narrow one columns go below each other."""
    return _Fitted(pivot(record, figure))


@dataclass(frozen=True)
class _Fitted:
    """Chooses, once the width is known, the widest layout that fits; the narrowest one if none does."""

    grid: Grid

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.measure import Measurement
        from rich.text import Text

        endless = options.update(max_width=10_000)
        for tables in self._layouts():
            if all(Measurement.get(console, endless, t).maximum <= options.max_width for t in tables):
                break
        yield from tables
        yield Text(caption(self.grid), "dim italic")

    def _layouts(self) -> "Iterator[list[Table]]":
        count = len(self.grid.shots)
        for width in range(count, 0, -1):
            columns = [range(n, min(n + width, count)) for n in range(0, count, width)]
            for beside in (True, False):
                yield [_table(self.grid, part, beside=beside) for part in columns]


def _table(grid: Grid, columns: Sequence[int], *, beside: bool) -> "Table":
    """Some columns of a grid; scenes stand ``beside`` their methods, or as headings above them."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ["scene", "method"] if beside else ["method"]:
        table.add_column(heading, overflow="fold")
    for column in columns:
        table.add_column(f"K = {grid.shots[column]}", justify="right")
    for scene, group in grid.groups:
        lines = [line for line in group if any(line.cells[column] for column in columns)]
        if lines and not beside:
            table.add_row(Text(printable(scene), "bold"))
        for number, line in enumerate(lines):
            names = [Text("" if number else printable(scene), "bold")] if beside else []
            name = Text(line.method if beside else f"  {line.method}", "" if line.method == PROPOSED else "dim")
            cells = [_styled(line.cells[column]) for column in columns]
            table.add_row(*names, name, *cells, end_section=number == len(lines) - 1)
    return table


def _styled(cell: Cell | None) -> "Text":
    from rich.text import Text

    return Text("" if cell is None else str(cell), "bold green" if cell and cell.best else "")


def format_table(record: BenchmarkRecord, style: str, figure: str = LEADING) -> str:
    """A table as text to paste: ``markdown`` and ``latex`` (booktabs) of one figure, ``csv`` of all rows."""
    writers = {"markdown": _markdown, "latex": _latex, "csv": _csv}
    if style not in writers:
        raise UsageError(f"expected a table format, found {style!r}; {nearest(style, FORMATS)}")
    return writers[style](record, figure)


def _markdown(record: BenchmarkRecord, figure: str) -> str:
    def text(cell: Cell | None) -> str:
        plain = "" if cell is None else str(cell).replace("*", r"\*")
        return f"**{plain}**" if cell and cell.best else plain

    grid = pivot(record, figure)
    lines = [line for _, group in grid.groups for line in group]
    rows = [[markdown_text(line.scene), line.method, *map(text, line.cells)] for line in lines]
    about = caption(grid).replace("*", r"\*")
    notes = [f"{about[0].upper()}{about[1:]}.", *(f"{markdown_text(line)}." for line in sources(record))]
    return markdown_table(["scene", "method", *(f"K = {k}" for k in grid.shots)], rows, texts=2, notes=notes)


def _latex(record: BenchmarkRecord, figure: str) -> str:
    grid = pivot(record, figure)
    groups = [[_latex_line(line, first=line is group[0]) for line in group] for _, group in grid.groups]
    notes = [f"{caption(grid)}; needs \\usepackage{{booktabs}}", *sources(record)]
    return latex_table(["Scene", "Method", *(f"$K={k}$" for k in grid.shots)], groups, texts=2, notes=notes)


def _latex_line(line: Line, *, first: bool) -> list[str]:
    """The scene's name stands at the first line of its group only."""
    return [latex_text(line.scene) if first else "", line.method, *map(_latex_cell, line.cells)]


def _latex_cell(cell: Cell | None) -> str:
    if cell is None or cell.value is None:
        return "" if cell is None else "--"
    text = cell.figure.text(cell.value)
    text = rf"\textbf{{{text}}}" if cell.best else text
    text += f"$^{{{cell.marks.replace('†', chr(92) + 'dagger')}}}$" if cell.marks else ""
    return text if cell.spread is None else rf"{text} {{\small $\pm$ {cell.figure.text(cell.spread)}}}"


def _csv(record: BenchmarkRecord, figure: str) -> str:
    """Every figure of every row, unrounded."""
    del figure
    rows = [row.model_dump(exclude_unset=True) for row in record.rows]
    return csv_text(list(dict.fromkeys(name for row in rows for name in row)), rows)
