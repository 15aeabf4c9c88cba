import csv
import io

import pytest
from rich.console import Console

from metavad.benchmark.record import MeanFigure
from metavad.errors import UsageError
from metavad.report.table import format_table, terminal_table
from tests.records import changed, difference_of, only_rows, scene_of, with_rows


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
    assert r"adapted &  & \textbf{94.0} {\scriptsize $\pm$ 1.0}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" &") for line in rows} == {4}
    assert text.count("{") == text.count("}")


def csv_rows(record):
    return list(csv.DictReader(io.StringIO(format_table(record, "csv"))))


def test_csv_has_a_line_for_each_figure_of_each_row_as_it_is(record):
    rows = csv_rows(record)
    assert len(rows) == len(record.rows) * 4  # micro AUC, EER, seconds and frames a second
    leading = [row for row in rows if row["figure"] == "micro_auc"]
    for found, row in zip(leading, record.rows, strict=True):
        assert (found["scene"], found["method"], found["shots"]) == (row.scene, row.method, str(row.shots))
        assert float(found["value"]) == row.micro_auc
        assert found["std"] == ("" if row.micro_auc_std is None else str(row.micro_auc_std))
        assert (found["low"], found["high"], found["level"], found["draws"]) == ("", "", "", "5")


def test_csv_has_the_intervals_of_rows_means_and_differences(record):
    record = with_rows(
        record, lambda row: row.shots == 10, micro_auc_low=0.81, micro_auc_high=0.99, interval_level=0.95
    )
    mean = {"method": "adapted", "shots": 10, "figure": "micro_auc", "value": 0.93, "level": 0.95, "scenes": 6}
    gain = difference_of("adapted", 10, "zero-shot", certain=True, videos=12)
    record = changed(record, means=(MeanFigure(low=0.9, high=0.95, **mean),), differences=(gain,))
    rows = csv_rows(record)
    (row,) = [row for row in rows if (row["scene"], row["method"], row["shots"]) == ("lawn", "adapted", "10")][:1]
    assert (row["low"], row["high"], row["level"], row["unit"]) == ("0.81", "0.99", "0.95", "videos")
    (row,) = [row for row in rows if row["unit"] == "scenes"]
    assert (row["scene"], row["value"], row["low"], row["high"], row["units"]) == ("mean", "0.93", "0.9", "0.95", "6")
    (row,) = [row for row in rows if row["minus"]]
    assert (row["minus"], row["value"], row["low"], row["certain"], row["units"]) == (
        "zero-shot",
        "0.1",
        "0.05",
        "True",
        "12",
    )


def test_intervals_are_columns_of_a_table_where_there_are_any(record):
    record = with_rows(
        record, lambda row: row.shots == 10, micro_auc_low=0.81, micro_auc_high=0.99, interval_level=0.95
    )
    markdown, latex = format_table(record, "markdown"), format_table(record, "latex")
    assert "| scene | method | K = 0 | K = 1 | K = 10 | 95 % |" in markdown
    assert "| lawn | adapted |  | **84.0 ±1.0** | **88.0 ±1.0** | 81.0 to 99.0 |" in markdown
    assert r"Scene & Method & $K=0$ & $K=1$ & $K=10$ & {\scriptsize 95\,\%} \\" in latex
    assert r"{\scriptsize 81.0--99.0} \\" in latex
    assert "interval of the bootstrap over test videos" in markdown
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" &") for line in rows} == {5}


def test_differences_follow_with_their_intervals(record):
    differences = [
        difference_of("adapted", 10, "zero-shot", certain=False, value=0.014, low=-0.02, high=0.04),
        difference_of("adapted", 1, "zero-shot", certain=True, value=-0.0004, low=-0.01, high=-0.0001),
        difference_of("adapted", 10, "fine-tune", certain=False, value=None, low=None, high=None),
        difference_of("refit", 10, "zero-shot", certain=True),
    ]
    record = changed(record, differences=differences)
    lines = format_table(record, "markdown").splitlines()
    assert "| scene | adapted minus | K = 1 | 95 % | K = 10 | 95 % |" in lines
    assert "| lawn | zero-shot | **-0.0** | -1.0 to -0.0 | +1.4 | -2.0 to +4.0 |" in lines
    assert "| lawn | fine-tune |  |  | – |  |" in lines
    latex = format_table(record, "latex")
    assert latex.count(r"\begin{tabular}") == 2
    assert r"lawn & zero-shot & $\mathbf{-0.0}$ & {\scriptsize $-1.0$ to $-0.0$} & $+1.4$" in latex
    assert "adapted minus" not in format_table(record, "latex", "eer")  # differences are of micro AUC
    assert latex.isascii()


def test_an_unknown_format_is_an_error(record):
    with pytest.raises(UsageError, match="did you mean 'markdown'"):
        format_table(record, "markdwon")


def test_what_is_certain_is_marked_in_every_format(record):
    differences = [difference_of("adapted", 10, name, certain=True) for name in ("zero-shot", "fine-tune")]
    record = changed(record, differences=differences)
    assert "88.0*† ±1.0" in printed(record, 200)
    assert "leaves out 0" in printed(record, 200)
    assert r"**88.0\*† ±1.0**" in format_table(record, "markdown")
    assert r"\textbf{88.0}$^{*\dagger}$ {\scriptsize $\pm$ 1.0}" in format_table(record, "latex")
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
