"""``metavad benchmark``: the record, the report, the formats."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from metavad.benchmark.protocol import MEASURED
from metavad.cli.tables import difference_lines
from tests.records import difference_of, record_of

ASKED = ["--shots", "0,1", "--draws", "1", "--methods", "position,motion,zero-shot,adapted"]


def test_record_report_and_table(metavad, cameras, tiny_run, tmp_path):
    target = f"{cameras}:camera-000,{cameras}:camera-001"
    asked = ["benchmark", "--target", target, "--base", tiny_run, *ASKED]
    result = metavad(*asked, "--json", "results.json", "--html", "report.html")
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "results.json").read_text())
    assert {row["method"] for row in record["rows"]} == {"position", "motion", "zero-shot", "adapted"}
    assert {"threads", "device", "versions"} <= set(record)
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg") >= 4  # a frame and a shot of each camera
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "camera-000" in result.out
    assert str(tiny_run / "base") in result.out

    again = metavad(*asked, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(again.out)))
    leading = [
        row["value"] for row in rows if (row["figure"], row["unit"], row["minus"]) == ("micro_auc", "videos", "")
    ]
    assert leading == [str(row["micro_auc"]) for row in record["rows"]]
    fresh = metavad(*asked, "--format", "markdown", "--fresh")
    assert fresh.out.startswith("| scene | method |")
    assert fresh.out.splitlines() == metavad(*asked, "--format", "markdown").out.splitlines()


def test_every_figure_plot_and_score(metavad, cameras, tiny_run, tmp_path):
    asked = ["benchmark", "--target", f"{cameras}:camera-000,{cameras}:camera-001", "--base", tiny_run, *ASKED]
    result = metavad(*asked, "--figures", "all", "--plots", "plots", "--scores", "scores.npz", "--json", "r.json")
    assert result.code == 0, result.err
    for title in ("micro AUC in %", "pixel AUC in %", "RBDC in %", "TBDC in %", "false alarms per hour", "in s, lower"):
        assert title in result.out
    names = ("camera-000", "camera-001", "mean")
    plots = [tmp_path / "plots" / f"{name}{suffix}" for name in names for suffix in (".svg", ".pdf")]
    assert set((tmp_path / "plots").iterdir()) == set(plots)
    assert all("<svg" in path.read_text()[:200] for path in plots if path.suffix == ".svg")
    assert all(path.read_bytes().startswith(b"%PDF-") for path in plots if path.suffix == ".pdf")
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    row = next(row for row in rows if row["scene"] == "camera-000" and row["method"] == "adapted")
    with np.load(tmp_path / "scores.npz") as file:
        labels = {name.rpartition("/")[0]: file[name] for name in file if name.endswith("/labels")}
        mine = [name for name in labels if ":camera-000/" in name]
        scores = np.concatenate([file[f"{name}/adapted/1/0"] for name in mine])
    assert roc_auc_score(np.concatenate([labels[name] for name in mine]), scores) == pytest.approx(row["micro_auc"])
    latex = metavad(*asked, "--format", "latex", "--figures", "micro_auc,rbdc")
    # Of each figure; and of micro AUC the differences.
    assert latex.out.count(r"\begin{tabular}") == latex.out.count(r"\bottomrule") == 3


def test_names_are_never_cut(metavad, cameras, tiny_run, tmp_path):
    long = "a-camera-with-a-name-that-is-much-longer-than-any-terminal-is-wide-" + "x" * 60
    text = f'[[scenes]]\nname = "{long}"\nroot = "{cameras.parent}/camera-000"\nnormal = ["normal/*.mp4"]\n'
    text += 'test = ["test/*.mp4"]\nlabels = { format = "npy", path = "labels/{video}.npy" }\n'
    (tmp_path / "long.toml").write_text(text)
    result = metavad("benchmark", "--target", "long.toml", "--base", tiny_run, "--methods", "motion", "--shots", "0")
    assert result.code == 0, result.err
    assert long in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--target"),
        (["--target", "SITE", "--methods", "adaptd"], 2, "did you mean 'adapted'"),
        (["--target", "SITE", "--shots", "1,x"], 2, "whole numbers"),
        (["--target", "SITE", "--shots", "5000"], 1, "5000 distinct clips"),
        (["--target", "SITE", "--shots", "999999"], 2, "<= 10000"),
        (["--target", "SITE", "--shots", "9" * 30], 2, "whole numbers"),
        (["--target", "SITE", "--shots", "²"], 2, "whole numbers"),
        (["--target", "SITE", "--draws", "0"], 2, "draws >= 1"),
        (["--target", "SITE", "--draws", "999999999"], 2, "draws >= 1 and <= 1000"),
        (["--target", "SITE", "--shot-frames", "999999"], 2, "<= 1000"),
        (["--target", "SITE", "--jobs", "0"], 2, "--jobs"),
        (["--target", "SITE", "--seed", "-1"], 2, "--seed"),
        (["--target", "SITE", "--format", "latx"], 2, "did you mean 'latex'"),
        (["--target", "SITE", "--figures", "rbcd"], 2, "did you mean 'rbdc'"),
        (["--target", "SITE:camera-9"], 2, "did you mean"),
        (["--target", "ped2", "--data", "nowhere"], 1, "ped2"),
        (["--target", "odd.toml"], 1, "did you mean 'labels'"),
        (["--target", "void.toml"], 1, "void"),
    ],
)
def test_refused(metavad, cameras, tiny_run, tmp_path, arguments, code, message):
    (tmp_path / "odd.toml").write_text('[[scenes]]\nname = "a"\nlabls = 3\n')
    (tmp_path / "void.toml").write_text('[[scenes]]\nname = "a"\nroot = "x"\nnormal = ["*.mp4"]\n')
    given = [text.replace("SITE", str(cameras)) for text in arguments]
    result = metavad("benchmark", *given, "--base", tiny_run, "--json", "out.json")
    assert result.code == code, result.err
    assert message in result.line
    assert not (tmp_path / "out.json").exists()


def rewritten(path, change):
    """A copy of a record with something changed."""
    record = json.loads(path.read_text())
    change(record)
    other = path.with_name("other.json")
    other.write_text(json.dumps(record))
    return other


def test_a_record_of_everything_can_be_made_again(metavad, cameras, tiny_run, tmp_path):
    """All methods, several cameras, shots and draws, two processes, masks, the published shot and columns."""
    target = f"{cameras}:camera-000,{cameras}:camera-001"
    asked = ["--shots", "0,2", "--draws", "2", "--shot-frames", "5", "--seed", "7", "--paper-protocol", "--jobs", "2"]
    made = metavad("benchmark", "--target", target, "--base", tiny_run, *asked, "--json", "all.json")
    assert made.code == 0, made.err
    assert "LOOKS AT THE TEST SET" in made.out
    record = json.loads((tmp_path / "all.json").read_text())
    assert len(record["rows"]) == 2 * (3 + 4)
    assert all(row["rbdc"] is not None for row in record["rows"] if row["method"] != "position")
    beside = metavad("benchmark", "--reproduce", "all.json", "--html", "page.html")
    assert (beside.code, "--html: expected nothing beside --reproduce" in beside.line) == (2, True)
    again = metavad("benchmark", "--reproduce", "all.json")
    assert (again.code, "all.json: matches, 14 rows" in again.out) == (0, True), again.out + again.err


CHANGES = {
    "a figure": (lambda r: r["rows"][1].update(micro_auc=0.123), "camera-000 motion K=0: micro_auc was 0.123, is"),
    "a figure that was undefined": (lambda r: r["rows"][0].update(rbdc=0.5), "position K=0: rbdc was 0.5, is None"),
    "a row that is no more": (
        lambda r: r["rows"].append({**r["rows"][0], "shots": 9}),
        "camera-000 position K=9: was there, is not",
    ),
    "a row that is new": (lambda r: r["rows"].pop(), "camera-000 adapted K=1: was not there, is"),
    "an interval": (
        lambda r: r["differences"][0].update(low=-0.9),
        "camera-000 position K=0 minus zero-shot: low was -0.9",
    ),
    "what is certain": (lambda r: r["differences"][-1].update(certain=True), "certain was True, is False"),
    "the base": (lambda r: r.update(base="abc"), "base: was abc, is"),
    "the footage": (lambda r: r["scenes"][0].update(data="abc"), "site:camera-000: other footage than before"),
    "the labels": (lambda r: r["scenes"][0].update(truth="abc"), "site:camera-000: other labels than before"),
    "the seed": (lambda r: r.update(seed=1), "camera-000 adapted K=1: macro_auc was"),
}


@pytest.fixture(scope="module")
def record(cameras, tiny_run, tmp_path_factory):
    """A record on disk; its parts come from what other tests have made."""
    from metavad.cli import main

    path = tmp_path_factory.mktemp("record") / "a.json"
    target = ["--target", f"{cameras}:camera-000", "--base", str(tiny_run), *ASKED]
    assert main(["benchmark", *target, "--json", str(path)]) == 0
    return path


@pytest.mark.parametrize("what", CHANGES)
def test_what_differs_is_named(metavad, record, what):
    change, message = CHANGES[what]
    other = rewritten(record, change)
    result = metavad("benchmark", "--reproduce", other)
    assert result.code == 1
    assert message in result.out
    assert "other.json: does not match" in result.out


def test_time_and_machine_are_not_compared(metavad, record):
    def change(found):
        found["rows"][2].update(fps=1.0, adapt_seconds=1e9, latency_seconds=7.0)
        found.update(threads=99, device="another", versions={})

    result = metavad("benchmark", "--reproduce", rewritten(record, change))
    assert (result.code, "matches, 4 rows" in result.out) == (0, True), result.out


def test_labels_and_footage_that_changed_since_are_named(metavad, cameras, tiny_run, tmp_path):
    site = shutil.copytree(cameras.parent, tmp_path / "site")
    target = ["--target", "site:camera-000", "--base", tiny_run, "--shots", "0", "--methods", "motion"]
    assert metavad("benchmark", *target, "--json", "a.json").code == 0
    assert metavad("benchmark", "--reproduce", "a.json").code == 0
    path = site / "camera-000" / "labels" / "test-00.npy"
    np.save(path, 1 - np.load(path))
    other = metavad("benchmark", "--reproduce", "a.json")
    assert (other.code, "other labels than before" in other.out) == (1, True)
    (site / "camera-000" / "test" / "test-00.mp4").unlink()
    other = metavad("benchmark", "--reproduce", "a.json")
    assert (other.code, "other footage than before" in other.out) == (1, True)


@pytest.mark.parametrize("content", ["[]", "no json", "{}", '{"rows": []}', "\udcff"])
def test_what_is_no_record_is_refused(metavad, tmp_path, content):
    (tmp_path / "c.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    result = metavad("benchmark", "--reproduce", "c.json")
    assert (result.code, "expected a record" in result.line) == (1, True)


BROKEN = {
    "scenes as text": lambda r: r.update(scenes="lobby"),
    "a scene without a name": lambda r: r["scenes"][0].pop("scene"),
    "rows that are none": lambda r: r["rows"].append([]),
    "a row of many methods": lambda r: r["rows"][0].update(method=["position"]),
    "a row without shots": lambda r: r["rows"][0].pop("shots"),
    "shots that are none": lambda r: r.update(shots=[{}]),
    "draws as text": lambda r: r.update(draws="many"),
    "no base": lambda r: r.update(base=None),
    "a difference of nothing": lambda r: r["differences"].append(None),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_record_that_cannot_be_is_refused(metavad, record, what):
    result = metavad("benchmark", "--reproduce", rewritten(record, BROKEN[what]))
    assert (result.code, "expected a record" in result.line) == (1, True)


def test_two_processes_give_what_one_gives(metavad, cameras, tiny_run, tmp_path):
    asked = ["benchmark", "--target", cameras, "--base", tiny_run, *ASKED, "--format", "csv", "--fresh"]
    one, two = (list(csv.DictReader(io.StringIO(metavad(*asked, "--jobs", jobs).out))) for jobs in (1, 2))
    rows = [[row for row in each if row["figure"] not in MEASURED] for each in (one, two)]
    assert rows[0] == rows[1]
    assert len([row for row in one if (row["figure"], row["unit"], row["minus"]) == ("micro_auc", "videos", "")]) == 12


@pytest.mark.parametrize("style", ["markdown", "latex", "table", "csv"])
def test_columns_that_look_at_the_test_set_are_printed_and_say_so(metavad, cameras, tiny_run, style):
    asked = ["benchmark", "--target", f"{cameras}:camera-000", "--base", tiny_run, *ASKED, "--format", style]
    message = "looks_at_test_set_micro_auc" if style == "csv" else "micro AUC that LOOKS AT THE TEST SET"
    assert message in metavad(*asked, "--paper-protocol").out.replace("Micro", "micro")
    assert message not in metavad(*asked).out.replace("Micro", "micro")


def test_a_test_video_that_cannot_be_read_is_one_line(metavad, cameras, tiny_run, tmp_path):
    site = shutil.copytree(cameras.parent, tmp_path / "site")
    (site / "camera-000" / "test" / "test-01.mp4").write_bytes(b"broken")
    result = metavad("benchmark", "--target", "site", "--base", tiny_run, *ASKED, "--jobs", "2", "--json", "a.json")
    assert (result.code, "test-01.mp4" in result.line) == (1, True)
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("low", "certain", "message"),
    [(0.002, False, "(too few)"), (-0.002, False, "(not certain)"), (0.002, True, "scenes")],
)
def test_an_interval_above_zero_over_too_few_scenes_is_called_so(low, certain, message):
    numbers = {"value": 0.01, "low": low, "high": 0.02}
    one = difference_of("adapted", 10, "zero-shot", certain=certain, suite="", scene="mean", scenes=4, **numbers)
    (line,) = difference_lines([one])
    assert line.endswith(message)


def test_another_base_is_a_change():
    from metavad.cli.reproduce import changes

    before, after = record_of([], base="a"), record_of([], base="b")
    assert changes(before, before) == []
    assert changes(before, after) == ["base: was a, is b"]


def test_a_record_that_python_made_of_its_own_scenes_cannot_be_asked_for_again(metavad, tmp_path):
    from metavad.benchmark.record import write_record

    write_record(tmp_path / "a.json", record_of([], target=None))
    result = metavad("benchmark", "--reproduce", "a.json")
    assert (result.code, "expected a record of scenes named by --target" in result.line) == (1, True)
