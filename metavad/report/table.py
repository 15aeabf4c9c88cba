"""Rows of a benchmark record as tables: for a terminal, for a paper, for a spreadsheet.

A record is the JSON object that ``metavad benchmark`` writes; its ``rows`` hold for every suite, scene,
method and number of shots the figures over the seeded draws. What is undefined is null there and a dash here.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from metavad.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

__all__ = ["FORMATS", "METHODS", "Cell", "Grid", "Line", "Record", "format_table", "pivot", "terminal_table"]

Record: TypeAlias = Mapping[str, Any]
"""What ``metavad benchmark`` writes: ``metavad, command, base, config, seed, rows, ...``."""

METHODS = ("position", "motion", "zero-shot", "refit", "fine-tune", "wrong-scene", "adapted")
"""In the order of tables: from what needs nothing to what is proposed."""
FORMATS = ("markdown", "latex", "csv")

DASH = "–"
MEAN = "mean"
_LOWER_IS_BETTER = frozenset({"eer"})


@dataclass(frozen=True)
class Cell:
    """One figure of a table: ``value`` in [0, 1] or none, its ``spread`` over draws, whether it leads."""

    value: float | None = None
    spread: float | None = None
    best: bool = False

    def __str__(self) -> str:
        """In per cent, such as ``98.3 ±0.4``."""
        if self.value is None:
            return DASH
        spread = "" if self.spread is None else f" ±{100 * self.spread:.1f}"
        return f"{100 * self.value:.1f}{spread}"


@dataclass(frozen=True)
class Line:
    """One method on one scene: a cell for each number of shots, none where the record has no such row."""

    scene: str
    method: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Grid:
    """A record turned: a line for each scene and method, a column for each number of shots."""

    figure: str
    shots: tuple[int, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]
    """Scenes in the order of the record with their lines; last, where there are several, the mean over scenes."""
    averaged: int
    """How many scenes the mean is over: those in which every figure is defined."""


def pivot(record: Record, figure: str = "micro_auc") -> Grid:
    """The record as a grid of one ``figure``: the best of each scene and column is marked.

    The mean over scenes takes only scenes where all methods have the figure for all shots, so that all
    methods are averaged over the same ones. Raises :class:`DataError` when the record has no such rows.
    """
    cells = {key: _cell(row, figure) for key, row in _keyed(record).items()}
    shots = tuple(sorted({shots for _, _, shots in cells}))
    methods = sorted({method for _, method, _ in cells}, key=_rank)
    scenes = list(dict.fromkeys(scene for scene, _, _ in cells))
    whole = [scene for scene in scenes if _complete(cells, scene)]
    if len(scenes) > 1:
        cells |= _means(cells, whole)
        scenes.append(MEAN)
    lower = figure in _LOWER_IS_BETTER
    lines = [(scene, _lines(cells, scene, methods, shots, lower=lower)) for scene in scenes]
    return Grid(figure, shots, tuple(lines), len(whole))


_Key: TypeAlias = tuple[str, str, int]


def _keyed(record: Record) -> dict[_Key, Mapping[str, Any]]:
    rows = record.get("rows") or []
    missing = {name for row in rows for name in ("suite", "scene", "method", "shots") if name not in row}
    if not rows or missing:
        raise DataError(
            f"expected a benchmark record with rows of suite, scene, method and shots, found {len(rows)} rows"
            f"{' without ' + ', '.join(sorted(missing)) if missing else ''}; make it with metavad benchmark"
        )
    several = len({row["suite"] for row in rows}) > 1
    return {
        (
            f"{row['suite']}/{row['scene']}" if several else str(row["scene"]),
            str(row["method"]),
            int(row["shots"]),
        ): row
        for row in rows
    }


def _cell(row: Mapping[str, Any], figure: str) -> Cell:
    return Cell(defined(row.get(figure)), defined(row.get(f"{figure}_std")))


def defined(value: object) -> float | None:
    """A number, or none for what is null, missing or NaN."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None  # type: ignore[arg-type]


def _rank(method: str) -> tuple[int, str]:
    """Known methods in their order, then others by name, then what is proposed."""
    if method == METHODS[-1]:
        return len(METHODS) + 1, method
    return (METHODS.index(method) if method in METHODS else len(METHODS)), method


def _complete(cells: Mapping[_Key, Cell], scene: str) -> bool:
    """Whether the scene has every figure that any scene has."""
    wanted = {key[1:] for key, cell in cells.items() if cell.value is not None}
    found = {key[1:] for key, cell in cells.items() if cell.value is not None and key[0] == scene}
    return wanted == found


def _means(cells: Mapping[_Key, Cell], scenes: Sequence[str]) -> dict[_Key, Cell]:
    """The mean over ``scenes`` for each method and number of shots; none where it is defined nowhere."""
    values = {key[1:]: [cells.get((scene, *key[1:]), Cell()).value for scene in scenes] for key in cells}
    means = {key: [value for value in column if value is not None] for key, column in values.items()}
    return {(MEAN, *key): Cell(sum(column) / len(column) if column else None) for key, column in means.items()}


def _lines(
    cells: Mapping[_Key, Cell], scene: str, methods: Sequence[str], shots: Sequence[int], *, lower: bool
) -> tuple[Line, ...]:
    columns = [_marked({m: cells[scene, m, k] for m in methods if (scene, m, k) in cells}, lower) for k in shots]
    lines = [Line(scene, method, tuple(column.get(method) for column in columns)) for method in methods]
    return tuple(line for line in lines if any(line.cells))


def _marked(column: Mapping[str, Cell], lower: bool) -> dict[str, Cell]:
    values = [cell.value for cell in column.values() if cell.value is not None]
    lead = (min if lower else max)(values, default=None)
    contested = len(column) > 1
    return {
        method: replace(cell, best=contested and cell.value is not None and cell.value == lead)
        for method, cell in column.items()
    }


FIGURES = {
    "micro_auc": "micro AUC",
    "macro_auc": "macro AUC",
    "ap": "average precision",
    "eer": "equal error rate",
}


def caption(grid: Grid) -> str:
    """What the numbers of a table are, in one line."""
    name = FIGURES.get(grid.figure, grid.figure.replace("_", " "))
    better = "lower" if grid.figure in _LOWER_IS_BETTER else "higher"
    mean = f"; mean over {_count(grid.averaged, 'scene')}" if len(grid.groups) > 1 else ""
    return f"{name} in %, {better} is better; ± standard deviation over draws of the shots{mean}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def terminal_table(record: Record, figure: str = "micro_auc") -> "RenderableType":
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
        for width in range(len(self.grid.shots), 0, -1):
            columns = [range(n, min(n + width, len(self.grid.shots))) for n in range(0, len(self.grid.shots), width)]
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
            table.add_row(Text(scene, "bold"))
        for number, line in enumerate(lines):
            names = [Text("" if number else scene, "bold")] if beside else []
            name = Text(line.method if beside else f"  {line.method}", "" if line.method == METHODS[-1] else "dim")
            cells = [_styled(line.cells[column]) for column in columns]
            table.add_row(*names, name, *cells, end_section=number == len(lines) - 1)
    return table


def _styled(cell: Cell | None) -> "Text":
    from rich.text import Text

    return Text("" if cell is None else str(cell), "bold green" if cell and cell.best else "")


def format_table(record: Record, style: str, figure: str = "micro_auc") -> str:
    """A table as text to paste: ``markdown`` and ``latex`` (booktabs) of one figure, ``csv`` of all rows."""
    writers = {"markdown": _markdown, "latex": _latex}
    if style == "csv":
        return _csv(record)
    if style not in writers:
        raise UsageError(f"expected a table format, found {style!r}; {nearest(style, FORMATS)}")
    return writers[style](pivot(record, figure))


def _named(grid: Grid) -> Iterator[tuple[str, Line]]:
    """Lines with the scene's name at the first of each group only."""
    for scene, group in grid.groups:
        for number, line in enumerate(group):
            yield scene if number == 0 else "", line


def _markdown(grid: Grid) -> str:
    def row(*cells: str) -> str:
        return f"| {' | '.join(cells)} |"

    def shown(cell: Cell | None) -> str:
        return "" if cell is None else f"**{cell}**" if cell.best else str(cell)

    head = row("scene", "method", *(f"K = {shots}" for shots in grid.shots))
    rule = "|:--|:--|" + "--:|" * len(grid.shots)
    lines = [
        row(line.scene.replace("|", r"\|"), line.method, *map(shown, line.cells))
        for _, group in grid.groups
        for line in group
    ]
    return "\n".join([head, rule, *lines, "", f"{caption(grid).capitalize()}.", ""])


_LATEX = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}", "\\": r"\textbackslash{}"}
)


def _latex(grid: Grid) -> str:
    def shown(cell: Cell | None) -> str:
        if cell is None or cell.value is None:
            return "" if cell is None else "--"
        text = f"{100 * cell.value:.1f}"
        text = rf"\textbf{{{text}}}" if cell.best else text
        return text if cell.spread is None else rf"{text} {{\small $\pm$ {100 * cell.spread:.1f}}}"

    lines = []
    for scene, line in _named(grid):
        lines += [r"\midrule"] if scene else []
        lines.append(" & ".join([scene.translate(_LATEX), line.method, *map(shown, line.cells)]).rstrip() + r" \\")
    head = " & ".join(["Scene", "Method", *(f"$K={shots}$" for shots in grid.shots)]) + r" \\"
    note = f"% {caption(grid)}; needs \\usepackage{{booktabs}}"
    begin = rf"\begin{{tabular}}{{ll{'r' * len(grid.shots)}}}"
    return "\n".join([note, begin, r"\toprule", head, *lines, r"\bottomrule", r"\end{tabular}", ""])


def _csv(record: Record) -> str:
    rows = list(_keyed(record).values())
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
