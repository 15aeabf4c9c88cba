"""The presets of things (velocity, appearance, poses): meta-train, adapt, score and benchmark, end to end."""

import csv
import json

import numpy as np
import pytest

from tests.conftest import TINY


@pytest.fixture(params=["attributes", "pose", "velocity-deep-pose"])
def preset(request):
    return request.param


def test_from_cameras_to_a_table(metavad, cameras, preset, tmp_path):
    sets = [part for text in TINY for part in ("--set", text)]
    made = metavad("meta-train", "--scenes", cameras, "--config", preset, *sets, "--out", "run")
    assert made.code == 0, made.err
    base = json.loads((tmp_path / "run" / "base" / "base.json").read_text())
    assert "velocity" in base["config"]["experts"]

    camera = cameras.parent / "camera-000"
    adapted = metavad("adapt", "--normal", camera / "normal", "--shots", 3, "--base", "run", "--out", "gate")
    assert adapted.code == 0, adapted.err
    video = camera / "test" / "test-00.mp4"
    scored = metavad("score", video, "--detector", "gate")
    assert scored.code == 0, scored.err
    with (tmp_path / "scores" / "test-00" / "scores.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) == len(np.load(camera / "labels" / "test-00.npy"))
    assert min(scores) >= 0

    asked = ["--shots", "0,1", "--draws", "1", "--methods", "zero-shot,wrong-scene,adapted"]
    table = metavad("benchmark", "--target", f"{cameras}:camera-001", "--base", "run", *asked, "--json", "found.json")
    assert table.code == 0, table.err
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert {row["method"] for row in rows} == {"zero-shot", "wrong-scene", "adapted"}
