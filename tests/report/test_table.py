import csv
import io

import pytest
from rich.console import Console

from metavad.errors import DataError, UsageError
from metavad.report.table import METHODS, Cell, format_table, known_figures, pivot, sources, summary, terminal_table


def lines_of(record, scene, figure="micro_auc"):
    return {line.method: line.cells for line in dict(pivot(record, figure).groups)[scene]}


def printed(record, width):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_table(record))
    return console.file.getvalue()


def test_a_line_for_each_scene_and_method_a_column_for_each_number_of_shots(record):
    grid = pivot(record)
    assert grid.shots == (0, 1, 10)
    assert [scene for scene, _ in grid.groups] == ["ped_2", "lawn", "mean"]
    lines = lines_of(record, "ped_2")
    assert list(lines) == [method for method in METHODS if method != "refit"]
    assert lines["adapted"] == (None, Cell(0.94, 0.01, True), Cell(0.98, 0.01, True))
    assert lines["zero-shot"] == (Cell(0.9, None, True), None, None)
    assert lines["motion"][0].best is False


def test_the_mean_runs_over_scenes_where_everything_is_defined(record):
    assert lines_of(record, "mean")["adapted"][2].value == pytest.approx((0.98 + 0.88) / 2)
    next(row for row in record["rows"] if row["scene"] == "lawn" and row["method"] == "motion")["micro_auc"] = None
    assert pivot(record).averaged == 1
    assert lines_of(record, "mean")["adapted"][2].value == pytest.approx(0.98)
    assert "mean over 1 scene" in format_table(record, "markdown")


def test_what_no_scene_has_does_not_empty_the_mean(record):
    for row in record["rows"]:
        row["micro_auc"] = None if row["method"] == "wrong-scene" else row["micro_auc"]
    assert pivot(record).averaged == 2
    assert lines_of(record, "mean")["wrong-scene"][1] == Cell()
    assert lines_of(record, "mean")["adapted"][2].value == pytest.approx(0.93)


def test_one_scene_has_no_mean(record):
    record["rows"] = [row for row in record["rows"] if row["scene"] == "lawn"]
    assert [scene for scene, _ in pivot(record).groups] == ["lawn"]


def test_what_is_undefined_is_a_dash_and_leads_nothing(record):
    cells = lines_of(record, "lawn", "macro_auc")["adapted"]
    assert [str(cell) for cell in cells[1:]] == ["–", "–"]
    assert not any(cell.best for cell in cells[1:])
    assert lines_of(record, "mean", "macro_auc")["adapted"][1].value is None
    record["rows"][0]["micro_auc"] = float("nan")
    assert lines_of(record, "ped_2")["adapted"][2].value is None


def test_lower_leads_where_lower_is_better(record):
    assert lines_of(record, "lawn", "eer")["adapted"][1].best
    assert "lower is better" in format_table(record, "markdown", "eer")


def test_scenes_of_several_suites_carry_the_suite(record):
    record["rows"][0] = {**record["rows"][0], "suite": "other"}
    assert [scene for scene, _ in pivot(record).groups][:2] == ["other/ped_2", "held-out/ped_2"]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_names_and_figures_are_whole_at_any_width(record, width):
    record["rows"] += [{**row, "shots": 50} for row in record["rows"] if row["shots"] == 10]
    text = printed(record, width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("ped_2", "lawn", "mean", "wrong-scene", "zero-shot", "98.0 ±1.0", "K = 50"):
        assert word in text
    assert text.count("98.0 ±1.0") == 2


def test_terminal_table_to_the_letter(record):
    record["rows"] = [row for row in record["rows"] if row["scene"] == "lawn"]
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
    assert len(rows) == len(record["rows"])
    for found, row in zip(rows, record["rows"], strict=True):
        assert found["scene"] == row["scene"]
        assert float(found["micro_auc"]) == row["micro_auc"]
        assert found["macro_auc"] == ""


def test_what_is_no_record_or_format_is_an_error(record):
    with pytest.raises(UsageError, match="did you mean 'markdown'"):
        format_table(record, "markdwon")
    with pytest.raises(DataError, match="found 0 rows"):
        pivot({})
    with pytest.raises(DataError, match="without method, shots, suite"):
        pivot({"rows": [{"scene": "x"}]})


def difference(method, shots, minus, certain):
    key = {"suite": "held-out", "scene": "lawn", "method": method, "shots": shots}
    return {**key, "figure": "micro_auc", "minus": minus, "value": 0.1, "low": 0.05, "high": 0.2, "certain": certain}


def test_what_is_certain_is_marked_in_every_format(record):
    record["differences"] = [
        difference("adapted", 10, "zero-shot", True),
        difference("adapted", 10, "fine-tune", True),
        difference("adapted", 1, "zero-shot", True),
        difference("adapted", 1, "fine-tune", False),
    ]
    marks = {scene: [cell.marks for cell in lines_of(record, scene)["adapted"][1:]] for scene in ("lawn", "ped_2")}
    assert marks == {"lawn": ["*", "*†"], "ped_2": ["", ""]}
    assert "88.0*† ±1.0" in printed(record, 200)
    assert "leaves out 0" in printed(record, 200)
    assert r"**88.0\*† ±1.0**" in format_table(record, "markdown")
    assert r"\textbf{88.0}$^{*\dagger}$ {\small $\pm$ 1.0}" in format_table(record, "latex")
    assert "†" not in format_table(record, "latex")
    # Intervals are of micro AUC: nothing is said about other figures.
    assert "leaves out 0" not in format_table(record, "markdown", "eer")


def test_the_mean_is_marked_by_its_own_interval(record):
    """Only where it is over all scenes: the interval is."""
    of_mean = {**difference("adapted", 10, "zero-shot", True), "suite": "", "scene": "mean"}
    record["differences"] = [of_mean]
    assert [cell.marks for cell in lines_of(record, "mean")["adapted"][1:]] == ["", "*"]
    assert [cell.marks for cell in lines_of(record, "lawn")["adapted"][1:]] == ["", ""]
    assert "over test videos, of the mean over scenes, leaves out 0" in printed(record, 300)
    next(row for row in record["rows"] if row["scene"] == "lawn" and row["method"] == "motion")["micro_auc"] = None
    assert [cell.marks for cell in lines_of(record, "mean")["adapted"][1:]] == ["", ""]


def test_figures_have_their_own_units(record):
    for number, row in enumerate(record["rows"]):
        row |= {"latency_seconds": 0.6 + number / 100, "false_alarms_per_hour": float(number)}
    text = format_table(record, "markdown", "latency_seconds")
    assert "| **0.60** |" in text
    assert "Time from a frame to its score in s, lower is better" in text
    assert "| **0.0** |" in format_table(record, "markdown", "false_alarms_per_hour")


def test_the_summary_has_every_figure_at_the_most_shots(record):
    record["rows"][0]["rbdc"] = 0.25
    found = summary(record)
    assert found.figures == tuple(known_figures(record)) == ("micro_auc", "eer", "rbdc", "adapt_seconds", "fps")
    assert [scene for scene, _ in found.groups] == ["ped_2", "lawn"]
    lines = {method: (shots, cells) for method, shots, cells in found.groups[0][1]}
    assert lines["adapted"][0] == 10
    assert [str(cell) for cell in lines["adapted"][1]] == ["98.0 ±1.0", "2.0", "25.0", "2.00", "185.0"]
    assert [str(cell) for cell in lines["position"][1]][2:] == ["–", "–", "–"]


def test_the_labels_are_said_in_every_format(record):
    record["scenes"] = [{"scene": "avenue:avenue", "labels": "masks", "layout": "official"}, {"scene": "x:y"}]
    assert sources(record) == ["avenue: labels masks, layout official"]
    for style in ("markdown", "latex"):
        assert "avenue: labels masks, layout official" in format_table(record, style)
