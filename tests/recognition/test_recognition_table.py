"""Tables of classes, and names of classes in them."""

import csv
import io

from rich.console import Console

from metavad.benchmark.record import SCHEMA
from metavad.recognition.record import ClassFacts, ClipRow, RecognitionRecord
from metavad.recognition.table import format_recognition, notes, recognition_table

HEAD = {
    "schema_version": SCHEMA,
    "kind": "recognition",
    "metavad": "0.1.0",
    "command": "",
    "target": None,
    "device": "x86_64 CPU",
    "threads": 1,
    "versions": {},
    "base": "b",
    "base_from": None,
    "config": {},
    "config_digest": "c",
    "methods": ("refit", "adapted"),
    "shots": (1,),
    "draws": 2,
    "seed": 0,
    "draw_seeds": (0, 1),
    "accept": 0.9,
    "data": "d",
}


def record_of_classes(names, suite="gym", score="embedding"):
    """Every second class is allowed; figures are made up."""
    figures = {"allowed_accepted": 0.75, "forbidden_flagged": 0.5, "balanced_accuracy": 0.625, "auc": None}
    spreads = {f"{name}_std": 0.0125 if name == "allowed_accepted" else None for name in figures}
    rest = {"shots": 1, "draws": 2, "threshold": 0.1, "adapt_seconds": 1.0, "flagged": dict.fromkeys(names, 0.5)}
    rows = [ClipRow(method=method, score=score, **figures, **spreads, **rest) for method in ("refit", "adapted")]
    classes = [ClassFacts(name=name, allowed=n % 2 == 0, train=3, test=1) for n, name in enumerate(names)]
    return RecognitionRecord(**HEAD, suite=suite, classes=classes, rows=rows)


def printed(table) -> str:
    """As the command line prints it."""
    screen = Console(width=200, file=io.StringIO(), force_terminal=False, markup=False, emoji=False)
    screen.print(table)
    return screen.file.getvalue()


def test_the_same_figures_in_every_format():
    record = record_of_classes(["walk", "fall"])
    assert "75.0 ±1.2" in printed(recognition_table(record))
    markdown = format_recognition(record, "markdown").splitlines()
    assert markdown[1] == "|:--|:--|--:|--:|--:|--:|--:|"
    assert markdown[2] == "| refit | embedding | 1 | 75.0 ±1.2 | 50.0 | 62.5 | – |"
    assert r"refit & embedding & 1 & 75.0 {\small $\pm$ 1.2} & 50.0 & 62.5 & -- \\" in format_recognition(
        record, "latex"
    )
    rows = list(csv.DictReader(io.StringIO(format_recognition(record, "csv"))))
    assert [row["balanced_accuracy"] for row in rows] == ["0.625"] * 2
    assert [row["flagged fall"] for row in rows] == ["0.5"] * 2


def test_notes_name_what_is_flagged():
    about, threshold, flagged = notes(record_of_classes(["walk", "fall"]))
    assert "1 of 1 allowed classes, 1 of 1 forbidden ones" in about
    assert "accept 90 %" in threshold
    assert flagged == "flagged by adapted, embedding, K = 1: walk 50, fall 50"


def test_names_of_classes_are_text_everywhere():
    record = record_of_classes(["[/x]", "a\nb", "=1+1", "a|b"], suite="[/y]", score="[/x]")
    assert "[/x]" in printed(recognition_table(record))
    assert format_recognition(record, "latex").splitlines()[2].startswith("% flagged by adapted")
    header = next(csv.reader(io.StringIO(format_recognition(record, "csv"))))
    assert "flagged a?b" in header
