"""Tables as text to paste: cells are texts of their format already."""

from collections.abc import Sequence

from metavad.errors import printable

__all__ = ["DASH", "latex_table", "markdown_table"]

DASH = "–"
"""What is undefined."""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int, notes: Sequence[str]) -> str:
    """Rows under a head, the first ``texts`` columns to the left, numbers to the right; then a line for each note."""
    rule = "|:--" * texts + "|--:" * (len(head) - texts) + "|"
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:], "", *notes, ""])


def latex_table(
    head: Sequence[str],
    groups: Sequence[Sequence[Sequence[str]]],
    *,
    texts: int,
    notes: Sequence[str],
    beside: Sequence[int] = (),
) -> str:
    """The same with booktabs: a rule before each group of rows, notes as comments before the table.

    Columns whose numbers stand in ``beside`` follow the one before them closely, on its right.
    """
    comments = [f"% {_plain(note)}" for note in notes]
    numbers = "".join(r"@{\enspace}l" if n in beside else "r" for n in range(texts, len(head)))
    begin = rf"\begin{{tabular}}{{{'l' * texts}{numbers}}}"
    bodies = ["\n".join([r"\midrule", *map(_latex_row, group)]) for group in groups]
    return "\n".join([*comments, begin, r"\toprule", _latex_row(head), *bodies, r"\bottomrule", r"\end{tabular}", ""])


_PLAIN = {"†": "dagger", "±": "+-", DASH: "-"}


def _plain(note: str) -> str:
    """On one line and of letters that every compiler reads: a comment is copied into captions."""
    text = printable(note)
    for letter, plain in _PLAIN.items():
        text = text.replace(letter, plain)
    return text


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells).rstrip() + r" \\"
