"""A record turned into tables: a line for each scene and method, a column for each number of shots."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from metavad.benchmark.protocol import FIGURES, LEADING, METHODS, PROPOSED, REFERENCES, Figure
from metavad.benchmark.record import MEAN, BenchmarkRecord, Difference, Row
from metavad.errors import DataError
from metavad.report.formats import DASH

__all__ = [
    "Cell",
    "Gains",
    "Grid",
    "Line",
    "Summary",
    "caption",
    "gains",
    "gains_caption",
    "interval_text",
    "known_figures",
    "pivot",
    "points_text",
    "sources",
    "span_text",
    "summary",
]


@dataclass(frozen=True)
class Cell:
    """One figure of a table: its ``value`` or none, its ``spread`` over draws, whether it is the best."""

    value: float | None = None
    spread: float | None = None
    best: bool = False
    marks: str = ""
    """Of the reference methods that it is certainly apart from."""
    figure: Figure = FIGURES[LEADING]
    interval: tuple[float, float] | None = None
    """Low and high, where there is one."""
    found: bool = True
    """Whether anything was found at all: who finds nothing is not the best at raising no false alarms."""

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
    """One figure of a record."""

    figure: Figure
    shots: tuple[int, ...]
    groups: tuple[tuple[str, tuple[Line, ...]], ...]
    """Scenes in the order of the record with their lines; last, where there are several, the mean over scenes."""
    averaged: int
    """How many scenes the mean is over: those in which every figure is defined."""
    compared: bool = False
    """Whether the record holds paired differences, so that what has no mark is not certain."""

    @property
    def intervals(self) -> tuple[bool, ...]:
        """For each number of shots, whether any of its cells has an interval: a column of its own."""
        lines = [line for _, group in self.groups for line in group]
        return tuple(any(_has_interval(line.cells[n]) for line in lines) for n in range(len(self.shots)))


def _has_interval(cell: Cell | None) -> bool:
    return cell is not None and cell.interval is not None


def interval_text(cell: Cell | None) -> str:
    """Such as ``96.1 to 99.2``; empty where there is none."""
    if cell is None or cell.interval is None:
        return ""
    low, high = map(cell.figure.text, cell.interval)
    return f"{low} to {high}"


_Cells: TypeAlias = dict[tuple[str, str, int], Cell]
"""By scene, method and shots."""


def pivot(record: BenchmarkRecord, figure: str = LEADING) -> Grid:
    """The record as a grid of one ``figure``: the best of each scene and column is marked.

    The mean over scenes takes only scenes where all methods have the figure for all shots, so that all
    methods are averaged over the same ones. Raises :class:`DataError` when the record has no rows.
    """
    if not record.rows:
        raise DataError("expected a record with rows, found none; make it with metavad benchmark")
    cells = _cells(record, figure)
    scenes = list(dict.fromkeys(scene for scene, _, _ in cells))
    whole = [scene for scene in scenes if _defined(cells, [scene]) == _defined(cells, scenes)]
    if len(scenes) > 1:
        cells |= _means(cells, whole)
        cells |= _marked_means(cells, record, figure) if whole == scenes else {}
        scenes.append(MEAN)
    cells = _with_best(cells)
    shots = tuple(sorted({shots for _, _, shots in cells}))
    groups = tuple((scene, _lines(cells, scene, shots)) for scene in scenes)
    return Grid(FIGURES[figure], shots, groups, len(whole), bool(record.differences) and figure == LEADING)


def _cells(record: BenchmarkRecord, figure: str) -> _Cells:
    several, marks = len({row.suite for row in record.rows}) > 1, _marks(record, figure)

    def name(row: Row) -> str:
        return f"{row.suite}/{row.scene}" if several or row.scene == MEAN else row.scene

    return {
        (name(row), row.method, row.shots): Cell(
            row.figure(figure),
            row.spread(figure),
            marks=marks[row.suite, row.scene, row.method, row.shots],
            figure=FIGURES[figure],
            interval=row.interval(figure),
            found=row.missed_events is None or row.missed_events < 1,
        )
        for row in record.rows
    }


def _marks(record: BenchmarkRecord, figure: str) -> Mapping[tuple[str, str, str, int], str]:
    """For each row, and the mean, the marks of the reference methods that it is certainly apart from."""
    marks: defaultdict[tuple[str, str, str, int], str] = defaultdict(str)
    for each in record.differences:
        if each.certain and each.figure == figure:
            marks[each.suite, each.scene, each.method, each.shots] += METHODS[each.minus].mark
    return marks


def _defined(cells: _Cells, scenes: Sequence[str]) -> set[tuple[str, int]]:
    """The methods and shots that have the figure in any of these scenes."""
    return {key[1:] for key, cell in cells.items() if cell.value is not None and key[0] in scenes}


def _means(cells: _Cells, scenes: Sequence[str]) -> _Cells:
    """The mean over ``scenes`` for each method and number of shots; none where it is defined nowhere."""
    columns: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for (scene, method, shots), cell in cells.items():
        if scene in scenes and cell.value is not None:
            columns[method, shots].append(cell.value)
    figure = next(iter(cells.values())).figure
    means = {key: sum(values) / len(values) for key, values in columns.items()}
    found = {key[1:] for key, cell in cells.items() if cell.found}
    return {(MEAN, *key[1:]): Cell(means.get(key[1:]), figure=figure, found=key[1:] in found) for key in cells}


def _marked_means(cells: _Cells, record: BenchmarkRecord, figure: str) -> _Cells:
    """An interval of the mean is over all scenes: it says nothing of a mean over fewer."""
    marks = _marks(record, figure)
    known = [each for each in record.means if each.figure == figure and each.low is not None and each.high is not None]
    spans = {(each.method, each.shots): (each.low or 0.0, each.high or 0.0) for each in known}
    return {
        key: replace(cell, marks=marks["", MEAN, key[1], key[2]], interval=spans.get(key[1:]))
        for key, cell in cells.items()
        if key[0] == MEAN
    }


def _with_best(cells: _Cells) -> _Cells:
    """The best cells of each scene and number of shots are marked, where methods differ in them."""
    columns: defaultdict[tuple[str, int], list[Cell]] = defaultdict(list)
    for (scene, _, shots), cell in cells.items():
        columns[scene, shots].append(cell)
    return {key: replace(cell, best=_is_best(cell, columns[key[0], key[2]])) for key, cell in cells.items()}


def _is_best(cell: Cell, column: Sequence[Cell]) -> bool:
    """Whether it shows the best figure of its column, and not all show the same, nor one of who found nothing."""
    shown = {cell.figure.text(each.value) for each in column if each.value is not None}
    values = [each.value for each in column if each.value is not None and _ranks(each)]
    if cell.value is None or not _ranks(cell) or len(shown) < 2:
        return False
    lead = (min if cell.figure.lower_is_better else max)(values)
    return cell.figure.text(cell.value) == cell.figure.text(lead)


def _ranks(cell: Cell) -> bool:
    """Whether its value can be the best: ``no event found, no false alarm`` cannot."""
    figure = cell.figure
    idle = figure is FIGURES["false_alarms_per_hour"] and not cell.found
    return figure.ranks and not idle and (figure.nothing is None or cell.value != figure.nothing)


def _lines(cells: _Cells, scene: str, shots: Sequence[int]) -> tuple[Line, ...]:
    lines = [Line(scene, method, tuple(cells.get((scene, method, k)) for k in shots)) for method in METHODS]
    return tuple(line for line in lines if any(line.cells))


@dataclass(frozen=True)
class Gains:
    """How far the proposed method lies from each reference, with as many shots: the leading figure, paired."""

    shots: tuple[int, ...]
    lines: tuple[tuple[str, str, tuple[Difference | None, ...]], ...]
    """Scene, reference, and a difference for each number of shots."""
    level: float
    """Of the intervals."""


def gains(record: BenchmarkRecord) -> Gains | None:
    """The differences of the record that have an interval; none where it holds none."""
    found = [each for each in record.differences if each.method == PROPOSED and each.level is not None]
    if not found:
        return None
    several = len({row.suite for row in record.rows}) > 1
    shots = tuple(sorted({each.shots for each in found}))
    lines: dict[tuple[str, str], dict[int, Difference]] = {}
    for each in found:
        scene = MEAN if each.scenes else f"{each.suite}/{each.scene}" if several else each.scene
        lines.setdefault((scene, each.minus), {})[each.shots] = each
    return Gains(
        shots, tuple((*key, tuple(map(cells.get, shots))) for key, cells in lines.items()), found[0].level or 0
    )


def gains_caption(found: Gains) -> str:
    """What the numbers of the table of differences are, in one line."""
    return (
        f"{FIGURES[LEADING].title} of {PROPOSED} minus another method with the same shots, in points; "
        f"{100 * found.level:.0f} % intervals of the paired bootstrap over test videos, of the mean over scenes; "
        "bold is certain: the interval leaves out 0, over at least 6 of them"
    )


def points_text(value: float) -> str:
    """A difference of fractions in points, such as ``+1.4``; what rounds to nothing keeps its sign.

    >>> points_text(0.0138), points_text(-0.0004), points_text(0.0)
    ('+1.4', '-0.0', '0.0')
    """
    return f"{100 * value:+.1f}" if value else "0.0"


def span_text(cell: Difference) -> str:
    """Its interval in points, such as ``-2.0 to +4.0``; empty where there is none."""
    if cell.low is None or cell.high is None:
        return ""
    return f"{points_text(cell.low)} to {points_text(cell.high)}"


def known_figures(record: BenchmarkRecord) -> list[str]:
    """Figures that at least one row of the record has."""
    return [name for name in FIGURES if any(row.figure(name) is not None for row in record.rows)]


@dataclass(frozen=True)
class Summary:
    """All figures of every method with the most shots it has: a line for each scene and method."""

    figures: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, int, tuple[Cell, ...]], ...]], ...]
    """Scenes with (method, K, a cell for each figure)."""


def summary(record: BenchmarkRecord) -> Summary:
    """The other half of a record: every figure, at the most shots only; what no row has is left out."""
    figures = tuple(name for name in known_figures(record) if name != "ap_chance")
    grids = [pivot(record, name) for name in figures]  # all of the same lines and columns
    scenes = [same for same in zip(*(grid.groups for grid in grids), strict=True) if same[0][0] != MEAN]
    groups = [(same[0][0], tuple(_at_most_shots(grids[0].shots, [lines for _, lines in same]))) for same in scenes]
    return Summary(figures, tuple(groups))


def _at_most_shots(shots: Sequence[int], tables: Sequence[tuple[Line, ...]]) -> list[tuple[str, int, tuple[Cell, ...]]]:
    found = []
    for lines in zip(*tables, strict=True):
        last = max(n for n, cell in enumerate(lines[0].cells) if cell)
        found.append((lines[0].method, shots[last], tuple(line.cells[last] or Cell() for line in lines)))
    return found


def sources(record: BenchmarkRecord) -> list[str]:
    """What each suite's figures rest on, where there is a choice: ``avenue: labels masks, layout official``."""
    lines = []
    for scene in record.scenes:
        named = {"labels": scene.labels, "layout": scene.layout}
        choices = [f"{name} {choice}" for name, choice in named.items() if choice]
        lines += [f"{scene.scene.split(':')[0]}: {', '.join(choices)}"] if choices else []
    return list(dict.fromkeys(lines))


def caption(grid: Grid, *, intervals: bool = True) -> str:
    """What the numbers of a table are, in one line; with or without columns of ``intervals``."""
    figure, several = grid.figure, len(grid.groups) > 1
    unit = f" in {figure.unit}" if figure.unit in ("%", "s") else ""
    better = "lower" if figure.lower_is_better else "higher"
    mean = f"; mean over {grid.averaged} scene{'s' * (grid.averaged != 1)}" if several else ""
    units = "test videos, of the mean over scenes" if several else "test videos"
    marks = f"; {_marks_explained(units)}" if grid.compared else ""
    shown = intervals and any(grid.intervals)
    bounds = f"; 95 %: interval of the bootstrap over {units}, where they are at least 6" if shown else ""
    spread = any(cell and cell.spread is not None for _, lines in grid.groups for line in lines for cell in line.cells)
    draws = "; ± standard deviation over draws of the shots" if spread else ""
    return f"{figure.title}{unit}, {better} is better{draws}{mean}{bounds}{marks}"


def _marks_explained(units: str) -> str:
    comma = "," if "," in units else ""
    marks = ", ".join(f"{METHODS[name].mark} from {name}" for name in REFERENCES)
    return (
        f"certainly apart ({marks} with the same shots): the 95 % interval of the paired bootstrap over {units}{comma} "
        "leaves out 0"
    )
