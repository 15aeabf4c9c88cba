"""Names of others in tables: text for a spreadsheet, for a paper, for a page, and never anything that these act on."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from metavad.errors import printable

__all__ = ["csv_text", "latex_text", "markdown_text"]

_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet computes when a cell begins with it (OWASP, CSV injection)."""
_LATEX = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}", "\\": r"\textbackslash{}"}
)


def csv_text(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A table with a header, a line for each row; numbers are as they are, what is null is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """An apostrophe in front makes a text of it for every spreadsheet."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown_text(text: str) -> str:
    r"""``text`` as Markdown shows it.

    >>> print(markdown_text("<b> a|b"))
    \<b\> a\|b
    """
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", printable(text))


def latex_text(text: str) -> str:
    r"""``text`` as LaTeX prints it.

    >>> print(latex_text("ped_2"))
    ped\_2
    """
    return printable(text).translate(_LATEX)
