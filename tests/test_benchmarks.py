"""Benchmarks are in order: one head for every record, of the base that ships, each in the index, its command alive."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from metavad.benchmark.record import BenchmarkRecord, read_record
from metavad.normality.base import load_base

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
RECORDS = sorted(FOLDER.glob("*.json"))
SHARED = ("record.py", "commands.py", "labelled_videos.py", "damage.py", "fuzz_inputs.py")
"""Of several scripts, or of one: no command of their own."""
EARLIER = "36f4797c6df1"
"""The base before the one that ships."""
SCRIPTS = [path for path in sorted(FOLDER.glob("*.py")) if path.name not in SHARED]


@pytest.fixture(scope="module")
def scripts():
    """What each script defines, by its name, without a run of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield {path.name: runpy.run_path(str(path), run_name="imported") for path in [*SCRIPTS, FOLDER / "record.py"]}


def read(path, scripts):
    """Written by `metavad benchmark` or by a script, in the same way."""
    return read_record(path, BenchmarkRecord, scripts["record.py"]["ScriptRecord"])


def commands_of(record):
    found = [record.command] if isinstance(record.command, str) else record.command
    return [[word for word in shlex.split(each) if not re.fullmatch(r"[A-Z_]+=\S+", word)] for each in found]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_read_and_its_command_still_parses(path, scripts):
    record = read(path, scripts)
    first, *rest = commands_of(record)
    assert all(each[:2] == first[:2] for each in rest)
    if isinstance(record, BenchmarkRecord):
        assert first[:2] in (["metavad", "benchmark"], ["metavad", "demo"])
        return
    for python, script, *options in [first, *rest]:
        assert python == "python"
        given = scripts[Path(script).name]["arguments"]().parse_args(options)
        assert given.json.name == path.name


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_of_the_base_that_ships_or_of_none(path, scripts):
    """What measures code has none; the page of all records names those of the base before."""
    alone = path.stem.startswith(("bits", "engine-", "fuzz", "kills", "flow", "soak", "conditions", "tick-cost"))
    named = re.search(r"of the base before: (.*)", (FOLDER / "README.md").read_text("utf-8"))
    earlier = named is not None and f"`{path.name}`" in named[1]
    expected = EARLIER if earlier else load_base(ROOT / "base").digest
    assert read(path, scripts).base == (None if alone else expected)


def test_the_index_names_everything_that_is_there_and_nothing_else():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+\.(?:py|json|png))`", index))
    there = {path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".json", ".png")}
    assert there - named == set()
    assert {name for name in named if not (FOLDER / name).exists() and not (ROOT / name).exists()} == set()
    pages = set(re.findall(r"\]\((\w+\.md)", index))
    assert {path.name for path in FOLDER.glob("*.md")} - {"README.md"} == pages


def test_every_finding_has_its_figure_and_its_commit():
    rows = [line for line in (FOLDER / "findings.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    found = [line.strip("| ").split(" | ") for line in rows if not line.startswith(("| finding", "|:-"))]
    assert len(found) > 40
    for finding, figure, source in found:
        assert finding
        assert re.search(r"\d", figure)
        assert re.match(r"[0-9a-f]{7} `|by hand", source), finding


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_has_the_same_head(path, scripts):
    """Its docstring is its page, and says how it is called."""
    script = scripts[path.name]
    parser = script["arguments"]()
    assert parser.description == script["__doc__"]
    assert f"python benchmarks/{path.name}" in parser.description
    assert "ArgumentParser(" not in path.read_text(encoding="utf-8")


def test_a_record_of_a_script_is_read_as_it_was_written(scripts, monkeypatch, tmp_path):
    shared = scripts["record.py"]
    monkeypatch.setattr("sys.argv", ["benchmarks/some.py", "--json", "a b.json"])
    record = shared["record_of"]({"speed": {10: 1.5}}, base=None, cores=2, compared=(1, 2))
    assert record.command == "python benchmarks/some.py --json 'a b.json'"
    assert record.facts == {"cores": 2, "compared": [1, 2]}
    shared["write"](tmp_path / "some.json", record)
    assert read(tmp_path / "some.json", scripts) == record
    assert list(json.loads((tmp_path / "some.json").read_text()))[-1] == "rows"
    assert shared["with_rows"](record, [(1, 2)]).rows == [[1, 2]]
    shared["write"](None, record)
