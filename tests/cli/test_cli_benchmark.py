"""``metavad benchmark``: the record, the report, the formats."""

import csv
import io
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

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
    assert [row["micro_auc"] for row in rows] == [str(row["micro_auc"]) for row in record["rows"]]
    fresh = metavad(*asked, "--format", "markdown", "--fresh")
    assert fresh.out.startswith("| scene | method |")
    assert fresh.out.splitlines() == metavad(*asked, "--format", "markdown").out.splitlines()


def test_every_figure_plot_and_score(metavad, cameras, tiny_run, tmp_path):
    asked = ["benchmark", "--target", f"{cameras}:camera-000,{cameras}:camera-001", "--base", tiny_run, *ASKED]
    result = metavad(*asked, "--figures", "all", "--plots", "plots", "--scores", "scores.npz", "--json", "r.json")
    assert result.code == 0, result.err
    for title in ("micro AUC in %", "pixel AUC in %", "RBDC in %", "TBDC in %", "false alarms per hour", "in s, lower"):
        assert title in result.out
    names = {"camera-000.svg", "camera-001.svg", "mean.svg"}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == names
    assert all("<svg" in path.read_text()[:200] for path in (tmp_path / "plots").iterdir())
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    row = next(row for row in rows if row["scene"] == "camera-000" and row["method"] == "adapted")
    with np.load(tmp_path / "scores.npz") as file:
        labels = {name.rpartition("/")[0]: file[name] for name in file if name.endswith("/labels")}
        mine = [name for name in labels if ":camera-000/" in name]
        scores = np.concatenate([file[f"{name}/adapted/1/0"] for name in mine])
    assert roc_auc_score(np.concatenate([labels[name] for name in mine]), scores) == pytest.approx(row["micro_auc"])
    latex = metavad(*asked, "--format", "latex", "--figures", "micro_auc,rbdc")
    assert latex.out.count(r"\begin{tabular}") == latex.out.count(r"\bottomrule") == 2


def test_names_are_never_cut(metavad, cameras, tiny_run, tmp_path):
    long = "a-camera-with-a-name-that-is-much-longer-than-any-terminal-is-wide-" + "x" * 60
    text = f'[[scenes]]\nname = "{long}"\nroot = "{cameras.parent}/camera-000"\nnormal = ["normal/*.mp4"]\n'
    text += 'test = ["test/*.mp4"]\nlabels = { format = "npy", path = "labels/{video}.npy" }\n'
    (tmp_path / "long.toml").write_text(text)
    result = metavad("benchmark", "--target", "long.toml", "--base", tiny_run, "--methods", "motion", "--shots", "0")
    assert result.code == 0, result.err
    assert long in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--target"),
        (["--target", "SITE", "--methods", "adaptd"], 2, "did you mean 'adapted'"),
        (["--target", "SITE", "--shots", "1,x"], 2, "whole numbers"),
        (["--target", "SITE", "--shots", "5000"], 1, "5000 distinct clips"),
        (["--target", "SITE", "--format", "latx"], 2, "did you mean 'latex'"),
        (["--target", "SITE", "--figures", "rbcd"], 2, "did you mean 'rbdc'"),
        (["--target", "SITE:camera-9"], 2, "did you mean"),
        (["--target", "ped2", "--data", "nowhere"], 1, "ped2"),
        (["--target", "odd.toml"], 1, "did you mean 'labels'"),
        (["--target", "void.toml"], 1, "void"),
    ],
)
def test_refused(metavad, cameras, tiny_run, tmp_path, arguments, code, said):
    (tmp_path / "odd.toml").write_text('[[scenes]]\nname = "a"\nlabls = 3\n')
    (tmp_path / "void.toml").write_text('[[scenes]]\nname = "a"\nroot = "x"\nnormal = ["*.mp4"]\n')
    given = [text.replace("SITE", str(cameras)) for text in arguments]
    result = metavad("benchmark", *given, "--base", tiny_run, "--json", "out.json")
    assert result.code == code, result.err
    assert said in result.line
    assert not (tmp_path / "out.json").exists()


def test_a_record_can_be_made_again(metavad, cameras, tiny_run, tmp_path):
    target = f"{cameras}:camera-000"
    assert metavad("benchmark", "--target", target, "--base", tiny_run, *ASKED, "--json", "a.json").code == 0
    same = metavad("benchmark", "--reproduce", "a.json")
    assert (same.code, "a.json: matches, 4 rows" in same.out) == (0, True), same.err
    record = json.loads((tmp_path / "a.json").read_text())
    record["rows"][1]["micro_auc"] += 0.01
    (tmp_path / "b.json").write_text(json.dumps(record))
    other = metavad("benchmark", "--reproduce", "b.json")
    assert (other.code, "camera-000 motion K=0: micro_auc was" in other.out) == (1, True)
    (tmp_path / "c.json").write_text("[]")
    assert metavad("benchmark", "--reproduce", "c.json").code == 1
