"""``metavad report``: tables of records that are there; nothing is computed again."""

import csv
import re
import shutil
import subprocess

import pytest

from metavad.benchmark.record import write_record
from metavad.recognition.record import ClassFacts, ClipRow, RecognitionRecord
from tests.records import changed, difference_of, record_of, row_of, scene_of


@pytest.fixture
def records(tmp_path):
    """Two records of one camera each, written."""
    for number, scene in enumerate(("lawn", "plaza")):
        rows = [
            row_of(scene, "zero-shot", 0, 0.7, rbdc=0.1),
            row_of(scene, "adapted", 10, 0.75 + number / 100, micro_auc_std=0.01),
        ]
        gain = difference_of("adapted", 10, "zero-shot", certain=False, scene=scene, value=0.014, low=-0.02, high=0.04)
        write_record(
            tmp_path / f"{scene}.json", record_of(rows, [gain], [scene_of(f"held-out:{scene}")], shots=(0, 10))
        )
    return ["lawn.json", "plaza.json"]


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("t.tex", r"\toprule"),
        ("t.md", "| lawn | adapted |"),
        ("t.csv", "held-out,plaza,adapted,zero-shot,10,micro_auc,0.014,,-0.02,0.04,0.95,False"),
        ("t.html", "<h2>How far apart, and how certain</h2>"),
    ],
)
def test_a_file_is_written_as_its_name_says(metavad, records, tmp_path, name, inside):
    result = metavad("report", *records, "--out", name)
    assert result.code == 0, result.err
    text = (tmp_path / name).read_text()
    assert inside in text
    assert "plaza" in text
    headline = (
        "With 10 normal clips each, metavad reaches 75.5 % AUC on 2 new cameras; against the same base without clips"
    )
    assert result.out.startswith(headline)
    assert f"{name}: written" in result.out
    if name != "t.csv":
        assert headline in text


def test_one_camera_has_its_interval_in_the_headline(metavad, records):
    result = metavad("report", "lawn.json", "--format", "markdown")
    assert "without clips +5.0 (95 %: -2.0 to +4.0), not certain." in result.out.splitlines()[0]


def test_the_terminal_s_table_and_plots(metavad, records, tmp_path):
    result = metavad("report", *records, "--plots", "plots")
    assert result.code == 0, result.err
    assert re.search(r"lawn +zero-shot", result.out)
    assert "lawn: adapted, K = 10, minus zero-shot: +1.4, 95 % from -2.0 to +4.0" in result.out
    names = {f"{name}{suffix}" for name in ("lawn", "plaza", "mean") for suffix in (".svg", ".pdf")}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == names


def test_rows_columns_and_figures_can_be_chosen(metavad, records, tmp_path):
    result = metavad("report", *records, "--out", "t.csv", "--methods", "adapted", "--shots", "10")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert {(row["method"], row["shots"]) for row in csv.DictReader(file)} == {("adapted", "10")}
    assert result.code == 0
    result = metavad("report", *records, "--format", "latex", "--figures", "all")
    assert "RBDC in %" in result.out


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_the_latex_compiles(metavad, records, tmp_path):
    assert metavad("report", *records, "--out", "table.tex", "--figures", "all").code == 0
    text = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{table}\n\\end{document}\n"
    (tmp_path / "paper.tex").write_text(text)
    done = subprocess.run(["pdflatex", "-halt-on-error", "paper"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def rewritten(path, record, **changes):
    write_record(path, changed(record, **changes))
    return path.name


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["lawn.json", "other.json"], 1, "other.json: expected the same base as lawn.json has, base-1, found base-2"),
        (["lawn.json", "nothing.json"], 1, "nothing.json: expected a record of schema 1"),
        (["lawn.json", "--format", "latx"], 2, "did you mean 'latex'"),
        (["lawn.json", "--figures", "rbcd"], 2, "did you mean 'rbdc'"),
        (["lawn.json", "--methods", "adaptd"], 2, "did you mean 'adapted'"),
        (["lawn.json", "--shots", "3"], 2, "found 3; known: 0, 10"),
        (["lawn.json", "--out", "table.txt"], 2, "expected a name that ends in .tex, .md, .csv, .html, or --format"),
        (["lawn.json", "--format", "table", "--out", "t.md"], 2, "expected no --out"),
        (["lawn.json", "--format", "html"], 2, "expected --out FILE"),
        (["classes.json", "lawn.json"], 2, "classes.json: expected a record of cameras to merge with lawn.json"),
        (["classes.json", "--plots", "plots"], 2, "expected cameras for a page or plots"),
        (["classes.json", "--shots", "5"], 2, "--shots: expected a record of cameras, found classes"),
    ],
)
def test_refused_with_nothing_written(metavad, records, tmp_path, arguments, code, message):
    write_record(tmp_path / "other.json", record_of([row_of("yard", "adapted", 10, 0.5)], base="base-2"))
    write_record(tmp_path / "classes.json", of_classes())
    before = set(tmp_path.iterdir())
    result = metavad("report", *arguments)
    assert (result.code, message in result.line) == (code, True), result.err
    assert set(tmp_path.iterdir()) == before


def of_classes():
    """A record of classes: one row."""
    figures = dict.fromkeys(("allowed_accepted", "forbidden_flagged", "balanced_accuracy", "auc"), 0.5)
    spreads = {f"{name}_std": None for name in figures}
    rest = {"score": "mean", "shots": 5, "draws": 5, "threshold": 1.0, "flagged": {"a": 0.5}, "adapt_seconds": 1.0}
    row = ClipRow(method="adapted", **rest, **figures, **spreads)
    head = record_of([row_of("lawn", "adapted", 10, 0.5)])
    same = {name: getattr(head, name) for name in RecognitionRecord.model_fields if hasattr(head, name)}
    facts = tuple(ClassFacts(name=name, allowed=name == "a", train=3, test=3) for name in ("a", "b"))
    own = {"kind": "recognition", "suite": "acts", "classes": facts, "rows": (row,), "data": "d", "accept": 0.9}
    return RecognitionRecord(**{**same, **own})


def test_a_record_of_classes_has_its_table(metavad, tmp_path):
    write_record(tmp_path / "classes.json", of_classes())
    result = metavad("report", "classes.json", "--out", "t.tex")
    assert result.code == 0, result.err
    assert "adapted & mean & 5" in (tmp_path / "t.tex").read_text()
    assert "acts: in %" in metavad("report", "classes.json").out
