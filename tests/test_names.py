"""Names of files are data: they choose no place, act on no terminal, table or page, and stay what they are."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from metavad.benchmark.record import SceneExample
from metavad.cli.terminal import say, say_text
from metavad.files import folder_name
from metavad.progress import RichProgress
from metavad.report.escaping import csv_text, latex_text, markdown_text
from metavad.report.page import render_page
from metavad.report.table import format_table, terminal_table
from tests.records import changed, record_of, row_of, scene_of

HOSTILE = ["[/x]", "[bold]a[/]", "a\\1b", "\\", "a\x1b[31mb", "a\nb", "=1+1", "@x", "<script>", "a|b", "%&_", ":smile:"]
names = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)


# --- places --------------------------------------------------------------------------------------------------


@given(names)
def test_a_folder_s_name_is_one_part_of_a_path_that_stays_and_can_be_made(name):
    folder = folder_name(name)
    assert Path(folder).parts == (folder,)
    assert not set(folder) & set("/\\\0\n\r")
    assert not folder.startswith(".")
    assert len(folder.encode()) < 200
    assert (Path("/data") / folder).resolve() == Path("/data") / folder


@given(st.lists(names | st.sampled_from(["a/b", "a-b", "a\\b", "../a", "/a", "a", "", ".", ".."]), unique=True))
def test_different_names_are_different_folders(some):
    assert len({folder_name(name) for name in some}) == len(some)


@pytest.mark.parametrize(
    "name", ["lobby", "Lobby, north", "cam1-2024-05-17T10:30:00", "[CAM 1] front", "Straße", "a.b"]
)
def test_harmless_names_stay(name):
    assert folder_name(name) == name


def test_names_that_utf_8_does_not_have_are_folders_too():
    assert folder_name("a\udcff") != folder_name("a\udcfe")


# --- terminals -----------------------------------------------------------------------------------------------


def test_a_line_stays_one_line_without_escape_codes(capsys):
    say("a\x1b[31m\nb: 3 events")
    say_text("one\ntwo\x07\n")
    assert capsys.readouterr().out == "a?[31m?b: 3 events\none\ntwo?\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_bars_show_names_as_they_are(name):
    screen = io.StringIO()
    progress = RichProgress(Console(file=screen, width=200, force_terminal=True, color_system=None))
    with progress.task(f"score {name}", 2) as task, progress.task(name, 1) as inner:
        inner.advance(1, note=name)
        task.advance(2, note=name)
    shown = re.sub(r"[\x1b\n]", "?", name)
    assert shown in screen.getvalue()
    assert name == shown or name not in screen.getvalue()


@pytest.fixture
def record():
    rows = [
        row_of(name, method, 0, 0.5 + 0.1 * n, suite="s", labels="=x")
        for name in HOSTILE
        for n, method in enumerate(("motion", "zero-shot"))
    ]
    return record_of(rows, scenes=[scene_of("s:x", labels="=x\n<b>")], command="metavad <x> \\1\n")


def printed(table) -> str:
    screen = Console(width=200, file=io.StringIO(), force_terminal=False)
    screen.print(table)
    return screen.file.getvalue()


def test_tables_on_a_terminal_show_names_as_they_are(record):
    text = printed(terminal_table(record))
    for name in HOSTILE:
        assert re.sub(r"[\x1b\n]", "?", name) in text
    assert "\x1b" not in text


def test_what_the_commands_print_on_has_no_markup(monkeypatch):
    """``data check`` and ``data list`` hand plain texts to their tables."""
    from rich.table import Table

    from metavad.cli import terminal

    monkeypatch.setattr("sys.stdout", io.StringIO())
    screen = terminal.console()
    table = Table()
    table.add_column("where")
    table.add_row("[/x] :smile:")
    screen.print(table)
    assert "[/x] :smile:" in screen.file.getvalue()


# --- tables and pages ----------------------------------------------------------------------------------------


def test_a_spreadsheet_computes_no_name_and_reads_every_number(record):
    found = list(csv.DictReader(io.StringIO(format_table(record, "csv"))))
    found = [row for row in found if row["figure"] == "micro_auc"]
    assert [row["scene"] for row in found][::2] == [
        "[/x]", "[bold]a[/]", "a\\1b", "\\", "a?[31mb", "a?b", "'=1+1", "'@x", "<script>", "a|b", "%&_", ":smile:"
    ]  # fmt: skip
    assert {row["labels"] for row in found} == {"'=x"}
    assert [float(row["value"]) for row in found] == [row.micro_auc for row in record.rows]


@given(st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False))
def test_cells_of_any_text_begin_with_no_formula(name, number):
    (header, row) = csv.reader(io.StringIO(csv_text([name, "b"], [{name: name, "b": number} | {"b": number}])))
    for cell in (header[0], row[0]):
        assert name == "b" or cell[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    assert float(row[1]) == number


def test_a_line_of_a_paper_s_table_stays_one_row(record):
    rows = [line for line in format_table(record, "latex").splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + 2 * (len(HOSTILE) + 1)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {2}
    assert latex_text("a\\b{_}%") == r"a\textbackslash{}b\{\_\}\%"
    lines = [line for line in format_table(record, "markdown").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert markdown_text("<b> [x](y) `z` a|b*") == r"\<b\> \[x\](y) \`z\` a\|b\*"


def test_a_page_holds_names_as_text(record):
    names = [*HOSTILE, '"onload="x']
    picture = np.zeros((4, 4, 3), np.uint8)
    numbers = {"seconds": np.arange(5.0), "scores": np.zeros(5), "labels": np.zeros(5, bool), "heat": np.zeros((2, 2))}
    rest = {"threshold": 1.0, "alarms": np.zeros((0, 2), int), "top_frame": picture, "shots": (), "nearest": None}
    examples = [SceneExample(scene=name, video=name, text=name, reason=name, **numbers, **rest) for name in names]
    curve = [row_of(name, "adapted", shots, 0.5, suite="s", labels="=x") for name in HOSTILE for shots in (1, 5)]
    page = render_page(changed(record, rows=(*record.rows, *curve)), examples)
    assert "<script>" not in page
    assert page.count("\x1b") == 0
    assert 'aria-label="AUC over K, a\\1b"' in page
    assert 'aria-label="scores over time, &#34;onload=&#34;x"' in page
    page.encode()


def test_a_page_of_names_that_utf_8_does_not_have_can_be_written(record):
    odd = changed(record, rows=(changed(record.rows[0], scene="a\udcff"), *record.rows[1:]))
    assert b">a?<" in render_page(odd).encode()
