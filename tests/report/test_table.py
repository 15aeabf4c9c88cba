import csv
import io

import pytest
from rich.console import Console

from metavad.errors import UsageError
from metavad.report.table import format_table, terminal_table
from tests.records import changed, difference_of, only_rows, scene_of


def printed(record, width):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_table(record))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_names_and_figures_are_whole_at_any_width(record, width):
    more = [changed(row, shots=50) for row in record.rows if row.shots == 10]
    record = changed(record, rows=(*record.rows, *more))
    text = printed(record, width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("ped_2", "lawn", "mean", "wrong-scene", "zero-shot", "98.0 ±1.0", "K = 50"):
        assert word in text
    assert text.count("98.0 ±1.0") == 2


def test_terminal_table_to_the_letter(record):
    record = only_rows(record, lambda row: row.scene == "lawn")
    lines = [line.rstrip() for line in printed(record, 80).splitlines() if line.strip()]
    assert lines == [
        " scene   method        K = 0       K = 1      K = 10",
        " ───────────────────────────────────────────────────",
        " lawn    position       55.0",
        "         motion         75.0",
        "         zero-shot      80.0",
        "         fine-tune             82.0 ±2.0   84.0 ±2.0",
        "         wrong-scene           79.0 ±0.0   79.0 ±0.0",
        "         adapted               84.0 ±1.0   88.0 ±1.0",
        "micro AUC in %, higher is better; ± standard deviation over draws of the shots",
    ]


def test_markdown_marks_the_best_and_has_equal_columns(record):
    lines = [line for line in format_table(record, "markdown").splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {6}
    assert "| ped_2 | adapted |  | **94.0 ±1.0** | **98.0 ±1.0** |" in lines
    assert len(lines) == 2 + 6 * 3


def test_latex_escapes_and_balances(record):
    text = format_table(record, "latex")
    assert r"ped\_2 & position" in text
    assert r"adapted &  & \textbf{94.0} {\small $\pm$ 1.0}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" &") for line in rows} == {4}
    assert text.count("{") == text.count("}")


def test_csv_holds_every_row_as_it_is(record):
    rows = list(csv.DictReader(io.StringIO(format_table(record, "csv"))))
    assert len(rows) == len(record.rows)
    for found, row in zip(rows, record.rows, strict=True):
        assert found["scene"] == row.scene
        assert float(found["micro_auc"]) == row.micro_auc
        assert found["macro_auc"] == ""


def test_an_unknown_format_is_an_error(record):
    with pytest.raises(UsageError, match="did you mean 'markdown'"):
        format_table(record, "markdwon")


def test_what_is_certain_is_marked_in_every_format(record):
    differences = [difference_of("adapted", 10, name, certain=True) for name in ("zero-shot", "fine-tune")]
    record = changed(record, differences=differences)
    assert "88.0*† ±1.0" in printed(record, 200)
    assert "leaves out 0" in printed(record, 200)
    assert r"**88.0\*† ±1.0**" in format_table(record, "markdown")
    assert r"\textbf{88.0}$^{*\dagger}$ {\small $\pm$ 1.0}" in format_table(record, "latex")
    assert "†" not in format_table(record, "latex")


def test_figures_have_their_own_units(record):
    rows = [changed(row, latency_seconds=0.6 + n / 100, false_alarms_per_hour=n) for n, row in enumerate(record.rows)]
    record = changed(record, rows=rows)
    text = format_table(record, "markdown", "latency_seconds")
    assert "| **0.60** |" in text
    assert "Time from a frame to its score in s, lower is better" in text
    assert "| **0.0** |" in format_table(record, "markdown", "false_alarms_per_hour")


def test_the_labels_stand_in_every_format(record):
    record = changed(record, scenes=[scene_of("avenue:avenue", "masks", "official"), scene_of("x:y")])
    for style in ("markdown", "latex"):
        assert "avenue: labels masks, layout official" in format_table(record, style)
