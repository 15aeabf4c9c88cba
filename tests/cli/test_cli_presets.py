"""Every preset beside the default: meta-train, adapt, score and benchmark, end to end."""

import csv
import json

import numpy as np
import pytest

from metavad.normality.base import load_base
from tests.conftest import TINY

SAYS = {
    "adversarial": "adapts 3,665 of 6,042 parameters",  # all but the discriminator
    "attributes": "adapts",
    "dissociation": "(100.0%)",
    "embedding": "adapts",
    "flow-levels": "adapts",
    "flow-patches": "adapts",
    "patches": "adapts",
    "pose": "adapts",
    "prototypes": "adapts 228 of 3,636 parameters (6.3%)",
    "shaking": "(100.0%)",
    "velocity-deep-pose": "adapts",
}
"""What meta-training says of the parameters that the inner steps move."""
SMALLER = {
    "embedding": ["embedding.hidden=8", "embedding.code=4"],
    "flow-levels": [
        "flow_patches.hidden=4",
        "flow_patches.patches=16",
        "flow_patches.steps=1",
        "flow_patches.stack=2",
        "flow_patches.patch=[24,24]",
        "data.clip_frames=16",
    ],
    "flow-patches": ["flow_patches.hidden=4", "flow_patches.patches=16", "flow_patches.steps=1"],
    "patches": ["patches.short_side=48", "patches.cells=16"],
}
METHODS = ["zero-shot", "fine-tune", "refit", "wrong-scene", "adapted"]


@pytest.mark.parametrize("preset", SAYS)
def test_from_cameras_to_a_table(metavad, cameras, preset, tmp_path):
    sets = [part for text in [*TINY, *SMALLER.get(preset, [])] for part in ("--set", text)]
    made = metavad("meta-train", "--scenes", cameras, "--config", preset, *sets, "--out", "run")
    assert made.code == 0, made.err
    assert SAYS[preset] in made.out
    base = load_base(tmp_path / "run" / "base")
    assert base.control.step_sizes.keys() == base.step_sizes.keys()  # fine-tuning changes what adapting changes

    camera = cameras.parent / "camera-000"
    adapted = metavad("adapt", "--normal", camera / "normal", "--shots", 3, "--base", "run", "--out", "gate")
    assert adapted.code == 0, adapted.err
    scored = metavad("score", camera / "test" / "test-00.mp4", "--detector", "gate")
    assert scored.code == 0, scored.err
    with (tmp_path / "scores" / "test-00" / "scores.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) == len(np.load(camera / "labels" / "test-00.npy"))
    assert min(scores) >= 0

    asked = ["--shots", "0,1", "--draws", "1", "--methods", ",".join(METHODS)]
    table = metavad("benchmark", "--target", f"{cameras}:camera-001", "--base", "run", *asked, "--json", "found.json")
    assert table.code == 0, table.err
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert {row["method"] for row in rows} == set(METHODS)


def test_no_preset_is_left_out():
    from metavad.shipped import shipped

    assert set(shipped("configs")) - {"default", "quick"} == set(SAYS)
