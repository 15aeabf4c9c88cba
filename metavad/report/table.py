"""Rows of a benchmark record as tables: for a terminal, for a paper, for a spreadsheet.

A record is the JSON object that ``metavad benchmark`` writes; its ``rows`` hold for every suite, scene,
method and number of shots the figures over the seeded draws. What is undefined is null there and a dash here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from metavad.errors import DataError, UsageError, nearest, printable
from metavad.report.escaping import csv_text, latex_text, markdown_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "DASH",
    "FIGURES",
    "FORMATS",
    "MEAN",
    "METHODS",
    "Cell",
    "Figure",
    "Grid",
    "Line",
    "Record",
    "Summary",
    "caption",
    "defined",
    "format_table",
    "known_figures",
    "pivot",
    "sources",
    "summary",
    "terminal_table",
]

Record: TypeAlias = Mapping[str, Any]
"""What ``metavad benchmark`` writes: ``metavad, command, base, config, seed, rows, ...``."""

METHODS = ("position", "motion", "zero-shot", "refit", "fine-tune", "wrong-scene", "adapted")
"""In the order of tables: from what needs nothing to what is proposed."""
FORMATS = ("markdown", "latex", "csv")

DASH = "–"
MEAN = "mean"
RIVALS = {"zero-shot": "*", "fine-tune": "†"}
"""Marks of what is certainly apart from zero-shot and from fine-tune, for better or worse."""


@dataclass(frozen=True)
class Figure:
    """A column of a record: what it is called, its unit, which way is good."""

    title: str
    unit: str = "%"
    lower: bool = False
    short: str = ""

    def text(self, value: float) -> str:
        """Such as ``98.3``, ``12.0`` or ``0.62``."""
        return f"{100 * value:.1f}" if self.unit == "%" else f"{value:.2f}" if self.unit == "s" else f"{value:.1f}"


FIGURES = {
    "micro_auc": Figure("micro AUC", short="micro"),
    "causal_auc": Figure("micro AUC without looking ahead", short="causal"),
    "macro_auc": Figure("macro AUC", short="macro"),
    "macro_auc_padded": Figure("macro AUC, padded", short="macro, padded"),
    "ap": Figure("average precision", short="AP"),
    "ap_chance": Figure("average precision of chance", short="chance"),
    "eer": Figure("equal error rate", lower=True, short="EER"),
    "pixel_auc": Figure("pixel AUC", short="pixel"),
    "rbdc": Figure("RBDC", short="RBDC"),
    "tbdc": Figure("TBDC", short="TBDC"),
    "false_alarms_per_hour": Figure("false alarms per hour at the promised threshold", "1/h", True, "false/h"),
    "missed_events": Figure("events missed at the promised threshold", lower=True, short="missed"),
    "delay_seconds": Figure("delay of alarms", "s", True, "delay, s"),
    "latency_seconds": Figure("time from a frame to its score", "s", True, "latency, s"),
    "adapt_seconds": Figure("time to adapt", "s", True, "adapt, s"),
    "fps": Figure("frames scored a second", "1/s", short="frames/s"),
    "looks_at_test_set_micro_auc": Figure("micro AUC that LOOKS AT THE TEST SET", short="micro, LOOKS AT TEST SET"),
    "looks_at_test_set_macro_auc": Figure("macro AUC that LOOKS AT THE TEST SET", short="macro, LOOKS AT TEST SET"),
}
"""Columns of a record that a table can show, in the order in which they are told."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table: its ``value`` or none, its ``spread`` over draws, whether it leads."""

    value: float | None = None
    spread: float | None = None
    best: bool = False
    marks: str = ""
    """What it is certainly apart from, by :data:`RIVALS`."""
    figure: Figure = FIGURES["micro_auc"]

    def __str__(self) -> str:
        """In its unit, such as ``98.3* ±0.4`` per cent."""
        if self.value is None:
            return DASH
        spread = "" if self.spread is None else f" ±{self.figure.text(self.spread)}"
        return f"{self.figure.text(self.value)}{self.marks}{spread}"


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
    compared: bool = False
    """Whether the record holds paired differences, so that what has no mark is not certain."""


def pivot(record: Record, figure: str = "micro_auc") -> Grid:
    """The record as a grid of one ``figure``: the best of each scene and column is marked.

    The mean over scenes takes only scenes where all methods have the figure for all shots, so that all
    methods are averaged over the same ones. Raises :class:`DataError` when the record has no such rows.
    """
    rows, marks = _keyed(record), _marks(record, figure)
    cells = {key: _cell(row, figure, marks.get(_row_key(row), "")) for key, row in rows.items()}
    shots = tuple(sorted({shots for _, _, shots in cells}))
    methods = sorted({method for _, method, _ in cells}, key=_rank)
    scenes = list(dict.fromkeys(scene for scene, _, _ in cells))
    whole = [scene for scene in scenes if _complete(cells, scene)]
    if len(scenes) > 1:
        cells |= _means(cells, whole, marks if len(whole) == len(scenes) else {})
        scenes.append(MEAN)
    lower = _figure(figure).lower
    lines = [(scene, _lines(cells, scene, methods, shots, lower=lower)) for scene in scenes]
    return Grid(figure, shots, tuple(lines), len(whole), bool(record.get("differences")) and figure == "micro_auc")


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
            f"{row['suite']}/{row['scene']}" if several or row["scene"] == MEAN else str(row["scene"]),
            str(row["method"]),
            int(row["shots"]),
        ): row
        for row in rows
    }


def _row_key(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("suite", "scene", "method", "shots"))


def _marks(record: Record, figure: str) -> dict[tuple[object, ...], str]:
    """For each row the marks of the rivals that it is certainly apart from."""
    marks: dict[tuple[object, ...], str] = {}
    for each in record.get("differences") or ():
        if each.get("certain") and each.get("figure") == figure and "minus" in each:
            key = _row_key(each)
            marks[key] = marks.get(key, "") + RIVALS.get(each["minus"], "")
    return marks


def _figure(name: str) -> Figure:
    return FIGURES.get(name, Figure(name.replace("_", " ")))


def _cell(row: Mapping[str, Any], figure: str, marks: str = "") -> Cell:
    return Cell(defined(row.get(figure)), defined(row.get(f"{figure}_std")), marks=marks, figure=_figure(figure))


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


def _means(
    cells: Mapping[_Key, Cell], scenes: Sequence[str], marks: Mapping[tuple[object, ...], str]
) -> dict[_Key, Cell]:
    """The mean over ``scenes`` for each method and number of shots; none where it is defined nowhere."""
    values = {key[1:]: [cells.get((scene, *key[1:]), Cell()).value for scene in scenes] for key in cells}
    means = {key: [value for value in column if value is not None] for key, column in values.items()}
    figure = next(iter(cells.values())).figure
    return {
        (MEAN, *key): Cell(
            sum(column) / len(column) if column else None, marks=marks.get(("", MEAN, *key), ""), figure=figure
        )
        for key, column in means.items()
    }


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


def known_figures(record: Record) -> list[str]:
    """Figures that at least one row of the record has."""
    return [name for name in FIGURES if any(defined(row.get(name)) is not None for row in record["rows"])]


@dataclass(frozen=True)
class Summary:
    """All figures of every method with the most shots it has: a line for each scene and method."""

    figures: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, int, tuple[Cell, ...]], ...]], ...]
    """Scenes with (method, K, a cell for each figure)."""


def summary(record: Record) -> Summary:
    """The other half of a record: every figure, at the most shots only; what no row has is left out."""
    figures = [name for name in known_figures(record) if name != "ap_chance"]
    grids = {name: dict(pivot(record, name).groups) for name in figures}
    scenes = [scene for scene in grids[figures[0]] if scene != MEAN] if figures else []
    groups = [(scene, tuple(_summed(grids, scene, pivot(record).shots))) for scene in scenes]
    return Summary(tuple(figures), tuple(groups))


def _summed(
    grids: Mapping[str, Mapping[str, tuple[Line, ...]]], scene: str, shots: Sequence[int]
) -> Iterator[tuple[str, int, tuple[Cell, ...]]]:
    columns = {name: {line.method: line.cells for line in groups[scene]} for name, groups in grids.items()}
    for method in next(iter(columns.values())):
        there = [n for n, cell in enumerate(next(iter(columns.values()))[method]) if cell is not None]
        cells = [column[method][there[-1]] or Cell() for column in columns.values()]
        yield method, shots[there[-1]], tuple(cells)


def sources(record: Record) -> list[str]:
    """What each suite's figures rest on, where there is a choice: ``avenue: labels masks, layout official``."""
    told: dict[str, None] = {}
    for scene in record.get("scenes") or ():
        said = [f"{name} {scene[name]}" for name in ("labels", "layout") if scene.get(name)]
        if said:
            told[f"{str(scene['scene']).split(':')[0]}: {', '.join(said)}"] = None
    return list(told)


def caption(grid: Grid) -> str:
    """What the numbers of a table are, in one line."""
    figure = _figure(grid.figure)
    unit = f" in {figure.unit}" if figure.unit in ("%", "s") else ""
    better = "lower" if figure.lower else "higher"
    mean = f"; mean over {_count(grid.averaged, 'scene')}" if len(grid.groups) > 1 else ""
    units = "test videos, of the mean over scenes," if len(grid.groups) > 1 else "test videos"
    sure = f"; {_MARKED.format(units=units)}" if grid.compared else ""
    spread = any(cell and cell.spread is not None for _, lines in grid.groups for line in lines for cell in line.cells)
    draws = "; ± standard deviation over draws of the shots" if spread else ""
    return f"{figure.title}{unit}, {better} is better{draws}{mean}{sure}"


_MARKED = (
    "* certainly apart from zero-shot, † from fine-tune with the same shots: the 95 % interval of the paired bootstrap "
    "over {units} leaves out 0"
)


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
            table.add_row(Text(printable(scene), "bold"))
        for number, line in enumerate(lines):
            names = [Text("" if number else printable(scene), "bold")] if beside else []
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
    return writers[style](pivot(record, figure), sources(record))


def _named(grid: Grid) -> Iterator[tuple[str, Line]]:
    """Lines with the scene's name at the first of each group only."""
    for scene, group in grid.groups:
        for number, line in enumerate(group):
            yield scene if number == 0 else "", line


def _markdown(grid: Grid, told: Sequence[str]) -> str:
    def row(*cells: str) -> str:
        return f"| {' | '.join(cells)} |"

    def shown(cell: Cell | None) -> str:
        text = "" if cell is None else str(cell).replace("*", r"\*")
        return f"**{text}**" if cell and cell.best else text

    head = row("scene", "method", *(f"K = {shots}" for shots in grid.shots))
    rule = "|:--|:--|" + "--:|" * len(grid.shots)
    lines = [
        row(markdown_text(line.scene), line.method, *map(shown, line.cells))
        for _, group in grid.groups
        for line in group
    ]
    said = caption(grid).replace("*", r"\*")
    sources = [f"{markdown_text(line)}." for line in told]
    return "\n".join([head, rule, *lines, "", f"{said[0].upper()}{said[1:]}.", *sources, ""])


def _latex(grid: Grid, told: Sequence[str]) -> str:
    def shown(cell: Cell | None) -> str:
        if cell is None or cell.value is None:
            return "" if cell is None else "--"
        text = cell.figure.text(cell.value)
        text = rf"\textbf{{{text}}}" if cell.best else text
        text += f"$^{{{cell.marks.replace('†', chr(92) + 'dagger')}}}$" if cell.marks else ""
        return text if cell.spread is None else rf"{text} {{\small $\pm$ {cell.figure.text(cell.spread)}}}"

    lines = []
    for scene, line in _named(grid):
        lines += [r"\midrule"] if scene else []
        lines.append(" & ".join([latex_text(scene), line.method, *map(shown, line.cells)]).rstrip() + r" \\")
    head = " & ".join(["Scene", "Method", *(f"$K={shots}$" for shots in grid.shots)]) + r" \\"
    note = f"% {caption(grid).replace('†', 'dagger')}; needs \\usepackage{{booktabs}}"
    begin = rf"\begin{{tabular}}{{ll{'r' * len(grid.shots)}}}"
    notes = [note, *(f"% {printable(line)}" for line in told)]
    return "\n".join([*notes, begin, r"\toprule", head, *lines, r"\bottomrule", r"\end{tabular}", ""])


def _csv(record: Record) -> str:
    rows = list(_keyed(record).values())
    return csv_text(list(dict.fromkeys(name for row in rows for name in row)), rows)
