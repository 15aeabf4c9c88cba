"""Tables of a record: for a terminal, for a paper, for a spreadsheet. What is undefined is a dash."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metavad.benchmark.protocol import LEADING, PROPOSED
from metavad.benchmark.record import MEAN, BenchmarkRecord, Difference
from metavad.errors import UsageError, nearest, printable
from metavad.report.escaping import csv_text, latex_text, markdown_text
from metavad.report.formats import DASH, latex_table, markdown_table
from metavad.report.grid import (
    Cell,
    Gains,
    Grid,
    Line,
    caption,
    gains,
    gains_caption,
    interval_text,
    known_figures,
    pivot,
    points_text,
    sources,
    span_text,
)

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
        yield Text(caption(self.grid, intervals=False), "dim italic")

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
    """A table as text to paste: ``markdown`` and ``latex`` (booktabs) of one figure, ``csv`` of all of them."""
    writers = {"markdown": _markdown, "latex": _latex, "csv": _csv}
    if style not in writers:
        raise UsageError(f"expected a table format, found {style!r}; {nearest(style, FORMATS)}")
    return writers[style](record, figure)


# ---------------------------------------------------------------- Markdown


def _markdown(record: BenchmarkRecord, figure: str) -> str:
    grid = pivot(record, figure)
    lines = [line for _, group in grid.groups for line in group]
    rows = [[markdown_text(line.scene), line.method, *_markdown_cells(grid, line)] for line in lines]
    notes = [_sentence(caption(grid)), *(f"{markdown_text(line)}." for line in sources(record))]
    head = ["scene", "method", *_headings(grid, "K = {}", "95 %")]
    found = gains(record) if figure == LEADING else None
    table = markdown_table(head, rows, texts=2, notes=notes)
    return table if found is None else f"{table}\n{_markdown_gains(found)}"


def _headings(grid: Grid, shots: str, bounds: str) -> list[str]:
    """For each number of shots a heading, and one for its intervals where it has any."""
    columns = zip(grid.shots, grid.intervals, strict=True)
    return [text for k, intervals in columns for text in (shots.format(k), *[bounds] * intervals)]


def _markdown_cells(grid: Grid, line: Line) -> "Iterator[str]":
    for cell, intervals in zip(line.cells, grid.intervals, strict=True):
        plain = "" if cell is None else str(cell).replace("*", r"\*")
        yield f"**{plain}**" if cell and cell.best else plain
        yield from [interval_text(cell)] * intervals


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}.".replace("*", r"\*")


def _markdown_gains(found: Gains) -> str:
    head = ["scene", f"{PROPOSED} minus", *(text for k in found.shots for text in (f"K = {k}", _level(found)))]
    rows = []
    for scene, minus, cells in found.lines:
        pairs = [_gain(cell) for cell in cells]
        shown = [text for value, span, sure in pairs for text in (f"**{value}**" if sure else value, span)]
        rows.append([markdown_text(scene), minus, *shown])
    return markdown_table(head, rows, texts=2, notes=[_sentence(gains_caption(found))])


def _level(found: Gains) -> str:
    return f"{100 * found.level:.0f} %"


def _gain(cell: Difference | None) -> tuple[str, str, bool]:
    """Points, interval and whether it is certain, such as ``+1.4``, ``-2.0 to +4.0`` and false."""
    if cell is None or cell.value is None:
        return ("" if cell is None else DASH), "", False
    return points_text(cell.value), span_text(cell), cell.certain


# ---------------------------------------------------------------- LaTeX


LEVEL = r"{\scriptsize 95\,\%}"
"""Heads a column of intervals."""


def _latex(record: BenchmarkRecord, figure: str) -> str:
    grid = pivot(record, figure)
    groups = [[_latex_line(grid, line, first=line is group[0]) for line in group] for _, group in grid.groups]
    notes = [f"needs \\usepackage{{booktabs}}; {caption(grid)}", *sources(record)]
    head = ["Scene", "Method", *_headings(grid, "$K={}$", LEVEL)]
    beside = [number for number, text in enumerate(head) if text == LEVEL]
    table = latex_table(head, groups, texts=2, notes=notes, beside=beside)
    found = gains(record) if figure == LEADING else None
    return table if found is None else f"{table}\\par\\medskip\n{_latex_gains(found)}"


def _latex_line(grid: Grid, line: Line, *, first: bool) -> list[str]:
    """The scene's name stands at the first line of its group only."""
    cells = []
    for cell, intervals in zip(line.cells, grid.intervals, strict=True):
        cells += [_latex_cell(cell), *[_latex_span(interval_text(cell))] * intervals]
    return [latex_text(line.scene) if first else "", line.method, *cells]


def _latex_cell(cell: Cell | None) -> str:
    if cell is None or cell.value is None:
        return "" if cell is None else "--"
    text = cell.figure.text(cell.value)
    text = rf"\textbf{{{text}}}" if cell.best else text
    text += f"$^{{{cell.marks.replace('†', chr(92) + 'dagger')}}}$" if cell.marks else ""
    return text if cell.spread is None else rf"{text} {{\scriptsize $\pm$ {cell.figure.text(cell.spread)}}}"


def _latex_span(text: str) -> str:
    """An interval, small; where it has signs, they are those of mathematics."""
    if not text:
        return ""
    low, high = text.split(" to ")
    if text[0].isdigit() and high[0].isdigit():
        return rf"{{\scriptsize {low}--{high}}}"
    return rf"{{\scriptsize ${low}$ to ${high}$}}"


def _latex_gains(found: Gains) -> str:
    level = rf"{{\scriptsize {100 * found.level:.0f}\,\%}}"
    head = ["Scene", f"{PROPOSED} minus", *(text for k in found.shots for text in (f"$K={k}$", level))]
    groups: dict[str, list[list[str]]] = {}
    for scene, minus, cells in found.lines:
        group = groups.setdefault(scene, [])
        pairs = [_gain(cell) for cell in cells]
        shown = [text for value, span, sure in pairs for text in (_latex_gain(value, sure), _latex_span(span))]
        group.append(["" if group else latex_text(scene), minus, *shown])
    beside = range(3, len(head), 2)
    return latex_table(head, list(groups.values()), texts=2, notes=[gains_caption(found)], beside=beside)


def _latex_gain(value: str, sure: bool) -> str:
    if value in ("", DASH):
        return "--" if value else ""
    return rf"$\mathbf{{{value}}}$" if sure else f"${value}$"


# ---------------------------------------------------------------- CSV

COLUMNS = (
    "suite", "scene", "method", "minus", "shots", "figure", "value", "std", "low", "high", "level", "certain",
    "units", "unit", "draws", "labels",
)  # fmt: skip


def _csv(record: BenchmarkRecord, figure: str) -> str:
    """A line for each figure of each row, of the means and of the differences (``minus`` another method); unrounded."""
    del figure
    return csv_text(COLUMNS, [*_csv_rows(record), *_csv_means(record), *_csv_differences(record)])


def _csv_rows(record: BenchmarkRecord) -> "Iterator[dict[str, object]]":
    videos = {scene.scene: scene.test_videos for scene in record.scenes}
    names = known_figures(record)
    for row in record.rows:
        same = row.model_dump(include={"suite", "scene", "method", "shots", "draws", "labels"})
        same |= {"units": videos.get(f"{row.suite}:{row.scene}"), "unit": "videos"}
        for name in names:
            low, high = row.interval(name) or (None, None)
            level = None if low is None else row.interval_level
            numbers = {"value": row.figure(name), "std": row.spread(name), "low": low, "high": high, "level": level}
            yield same | {"figure": name} | numbers


def _csv_means(record: BenchmarkRecord) -> "Iterator[dict[str, object]]":
    for each in record.means:
        level = None if each.low is None else each.level
        yield each.model_dump(exclude={"scenes"}) | {
            "scene": MEAN, "level": level, "units": each.scenes, "unit": "scenes", "draws": record.draws,
        }  # fmt: skip


def _csv_differences(record: BenchmarkRecord) -> "Iterator[dict[str, object]]":
    for each in record.differences:
        unit = "scenes" if each.scenes else "videos"
        units = {"units": each.scenes or each.videos, "unit": unit, "draws": record.draws}
        yield each.model_dump(exclude={"scenes", "videos", "share_above"}) | units
