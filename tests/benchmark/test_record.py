"""One way to write and read a record; one list of methods and figures."""

import json
import subprocess
import sys

import pytest

from metavad.benchmark.protocol import FIGURES, METHODS, PROPOSED, REFERENCES
from metavad.benchmark.record import BenchmarkRecord, Row, defined, read_record, write_record
from metavad.errors import DataError
from metavad.recognition.record import FIGURES as CLIP_FIGURES
from metavad.recognition.record import ClipRow
from tests.records import difference_of, record_of, row_of, scene_of


@pytest.fixture
def record():
    differences = [difference_of("adapted", 1, "zero-shot", certain=True, videos=3)]
    return record_of([row_of("lawn", "adapted", 1, 0.5)], differences, [scene_of("held-out:lawn")])


@pytest.fixture
def written(record, tmp_path):
    """A function that writes the record with changes, and gives the path."""

    def write(**changes):
        write_record(tmp_path / "a.json", record)
        content = json.loads((tmp_path / "a.json").read_text()) | changes
        (tmp_path / "a.json").write_text(json.dumps(content))
        return tmp_path / "a.json"

    return write


def test_what_is_written_is_read(record, written):
    path = written()
    assert read_record(path, BenchmarkRecord) == record
    (difference,) = json.loads(path.read_text())["differences"]
    assert difference["videos"] == 3
    assert "scenes" not in difference  # of one scene, not of the mean


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"schema_version": 2},
            "expected a record of schema 1 .* found kind 'benchmark' of schema 2",
        ),
        ({"kind": "recognition"}, "found kind 'recognition' of schema 1"),
        ({"schema_version": 3}, "of schema 3; read it with the version of metavad that wrote it"),
        ({"schema_version": None}, "found a file that does not say both; make it again"),
        ({"new": 1}, "found new: extra inputs are not permitted"),
        ({"draws": "5"}, "found draws: input should be a valid integer"),
        ({"seed": float("nan")}, "found seed"),
        ({"methods": ["adaptd"]}, "found methods.0: value error, expected a known method, found 'adaptd'"),
    ],
)
def test_another_schema_is_one_line(written, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        read_record(written(**changes), BenchmarkRecord)
    assert "\n" not in str(caught.value)


def test_a_record_does_not_change_and_holds_no_other_name(record):
    with pytest.raises(ValueError, match="frozen"):
        record.seed = 8
    with pytest.raises(ValueError, match="finite"):
        row_of("lawn", "adapted", 1, float("nan"))
    assert defined(float("inf")) is None


def test_every_figure_is_a_field_of_a_row():
    others = {"suite", "scene", "method", "shots", "draws", "frames", "labels", "interval_level"}
    others |= {"micro_auc_std", "micro_auc_low", "micro_auc_high"}
    assert Row.model_fields.keys() - others == FIGURES.keys()
    spreads = {f"{name}_std" for name in CLIP_FIGURES}
    others = {"method", "score", "shots", "draws", "threshold", "flagged", "adapt_seconds"}
    assert ClipRow.model_fields.keys() - others == CLIP_FIGURES.keys() | spreads


def test_the_list_of_methods():
    assert list(METHODS)[-1] == PROPOSED
    assert REFERENCES == ("zero-shot", "fine-tune")
    needs = [method.needs_shots for method in METHODS.values()]
    assert needs == sorted(needs)  # those that stand once come first


@pytest.mark.parametrize("module", ["benchmark.record", "recognition.record", "report.page", "recognition.table"])
def test_records_and_reports_load_no_model(module):
    program = f"import sys, metavad.{module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
