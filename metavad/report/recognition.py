"""The record of a suite of classes as a table: for a terminal, for a paper, for a spreadsheet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metavad.errors import printable
from metavad.report.escaping import csv_text, markdown_text

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["format_recognition", "recognition_table", "recognition_told"]

COLUMNS = {
    "allowed_accepted": "allowed accepted",
    "forbidden_flagged": "forbidden flagged",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
}
HEADS = ("method", "score", "K", *COLUMNS.values())
DASH = "–"


def recognition_table(record: Mapping[str, Any]) -> "Table":
    """A line for each method and K, for a terminal."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in HEADS:
        table.add_column(heading, justify="left" if heading in HEADS[:2] else "right", overflow="fold")
    for line in _lines(record):
        table.add_row(*map(printable, line))
    return table


def recognition_told(record: Mapping[str, Any]) -> list[str]:
    """What the figures are, on what, and which classes are missed or disturb most at the end of the table."""
    sides = {name: [each for each in record["classes"] if each["allowed"] == name] for name in (True, False)}
    tested = {name: sum(each["test"] for each in side) for name, side in sides.items()}
    last = record["rows"][-1]
    shares = ", ".join(f"{name} {100 * share:.0f}" for name, share in last["flagged"].items())
    return [
        f"{record['suite']}: in %, over whole clips: {tested[True]} of {len(sides[True])} allowed classes, "
        f"{tested[False]} of {len(sides[False])} forbidden ones; K clips of each allowed class were shown",
        f"threshold: from the shown clips, to accept {100 * record['accept']:.0f} % of allowed ones",
        f"flagged by {last['method']}, {last['score']}, K = {last['shots']}: {shares}",
    ]


def format_recognition(record: Mapping[str, Any], style: str) -> str:
    """The same as ``markdown``, ``latex`` (booktabs) or ``csv`` (every figure, unrounded)."""
    if style == "csv":
        return _csv(record)
    if style == "latex":
        body = [" & ".join(_latex(cell) for cell in line) + r" \\" for line in _lines(record)]
        begin = [r"\begin{tabular}{llrrrrr}", r"\toprule", " & ".join(HEADS) + r" \\", r"\midrule"]
        told = [f"% {printable(line)}" for line in recognition_told(record)]
        return "\n".join([*told, *begin, *body, r"\bottomrule", r"\end{tabular}", ""])
    lines = [list(HEADS), [":--"] * 2 + ["--:"] * (len(HEADS) - 2), *_lines(record)]
    told = [markdown_text(f"{line[0].upper()}{line[1:]}.") for line in recognition_told(record)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *told, ""])


def _lines(record: Mapping[str, Any]) -> list[list[str]]:
    return [
        [str(row[name]) for name in ("method", "score", "shots")]
        + [_shown(row.get(name), row.get(f"{name}_std")) for name in COLUMNS]
        for row in record["rows"]
    ]


def _shown(value: float | None, spread: float | None) -> str:
    if value is None:
        return DASH
    return f"{100 * value:.1f}" if spread is None else f"{100 * value:.1f} ±{100 * spread:.1f}"


def _latex(cell: str) -> str:
    return cell.replace(DASH, "--").replace("±", r"{\small $\pm$ ") + ("}" if "±" in cell else "")


def _csv(record: Mapping[str, Any]) -> str:
    rows: Sequence[Mapping[str, Any]] = record["rows"]
    classes = [f"flagged {each['class']}" for each in record["classes"]]
    names = [*(name for name in rows[0] if name != "flagged"), *classes]
    shares = [{f"flagged {name}": share for name, share in row["flagged"].items()} for row in rows]
    return csv_text(names, [{**row, **each} for row, each in zip(rows, shares, strict=True)])
