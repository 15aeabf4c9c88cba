"""What a paper takes from here: the tutorial's table, figures of others beside ours, how to cite."""

import re
import shlex
from pathlib import Path

import metavad
from metavad.benchmark.record import BenchmarkRecord, read_record

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorials" / "a-table-for-a-paper.md"
SMALLER = {
    "--normal-videos 4 --normal-seconds 6": "--normal-videos 2 --normal-seconds 5",
    "--shots 0,1,10 --draws 2": "--shots 0,2 --draws 1",
}


def command_lines(page):
    """The lines of its shell blocks, made smaller."""
    text = page.read_text(encoding="utf-8")
    for whole, small in SMALLER.items():
        assert whole in text
        text = text.replace(whole, small)
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from map(shlex.split, block.splitlines())


def test_the_tutorial_makes_a_table_of_a_dataset_on_disk(tiny_run, tmp_path, monkeypatch, capsys):
    """Every command as it stands there, with a tiny base in place of the one that ships."""
    from metavad.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tiny").symlink_to(tiny_run)
    for program, *arguments in command_lines(TUTORIAL):
        if program == "rm":
            (tmp_path / arguments[0]).unlink()
        else:
            assert program == "metavad"
            assert main(arguments) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "camera-001: 2 normal and 6 test videos, labelled" in printed
    assert "first.json: matches" in printed
    table = (tmp_path / "table.tex").read_text()
    assert "camera-001 & position" in table
    assert table.startswith("% With 2 normal clips each, metavad reaches ")
    assert r"95\,\%" in table
    assert {path.suffix for path in (tmp_path / "plots").iterdir()} == {".svg", ".pdf"}


def test_our_rows_beside_published_figures_are_those_of_the_records():
    page = (ROOT / "docs" / "explanation" / "published-protocols.md").read_text(encoding="utf-8")
    for frames, name in ((16, "real-ped2-umn"), (5, "real-ped2-umn-5-frames")):
        record = read_record(ROOT / "benchmarks" / f"{name}.json", BenchmarkRecord)
        rows = {row.shots: row for row in record.rows if row.suite == "ped2" and row.method in ("zero-shot", "adapted")}
        cells = [_cell(rows.get(shots)) for shots in (0, 1, 5, 10)]
        line = f"| | metavad, clips of {frames} frames | no camera of these sets | {' | '.join(cells)} |"
        assert line.replace("|  |", "| |") in page, line


def _cell(row):
    if row is None:
        return ""
    spread = "" if row.micro_auc_std is None else f" ±{100 * row.micro_auc_std:.1f}"
    return f"{100 * row.micro_auc:.1f}{spread}"


def test_the_bibtex_is_the_citation_file():
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    known = dict(re.findall(r"^(title|version|license): \"?(.*?)\"?$", cff, re.MULTILINE))
    assert known["version"] == metavad.__version__
    bibtex = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8").partition("```bibtex")[2]
    for field, value in known.items():
        assert re.search(rf"{field} *= {{{re.escape(value)}}}", bibtex), field
    (author,) = re.findall(r"- name: (.*)", cff)
    assert f"{{{{{author}}}}}" in bibtex
