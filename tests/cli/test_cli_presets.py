"""Presets of further lines of work: meta-train, adapt, score and benchmark just work."""

import json

import pytest

SMALLER = [
    "data.short_side=48",
    "data.rows=8",
    "meta.outer_steps=1",
    "meta.control_steps=1",
    "meta.scenes_per_step=1",
    "meta.shots=[1,2]",
    "meta.queries=1",
    "meta.validation_scenes=0",
    "adaptation.folds=2",
    "prior.shots=[0,2]",
    "prior.weigh=[0]",
    "prior.windows=1",
    "prior.seconds=2",
]
OWN = {
    "flow-patches": ["flow_patches.hidden=4", "flow_patches.patches=16", "flow_patches.steps=1"],
    "embedding": ["embedding.hidden=8", "embedding.code=4"],
}


@pytest.mark.parametrize("preset", OWN)
def test_a_preset_from_cameras_to_figures(metavad, cameras, preset, tmp_path):
    sets = [part for text in [*SMALLER, *OWN[preset]] for part in ("--set", text)]
    trained = metavad("meta-train", "--scenes", cameras, "--config", preset, *sets, "--out", "run")
    assert trained.code == 0, trained.err
    footage = sorted((cameras.parent / "camera-000" / "normal").glob("*.mp4"))
    adapted = metavad("adapt", "--normal", *footage, "--base", "run", "--shots", 3, "--out", "detector")
    assert adapted.code == 0, adapted.err
    video = next((cameras.parent / "camera-000" / "test").glob("*.mp4"))
    scored = metavad("score", video, "--detector", "detector")
    assert scored.code == 0, scored.err
    assert (tmp_path / "scores" / video.stem / "scores.csv").is_file()
    target = f"{cameras}:camera-000"
    figures = metavad(
        "benchmark", "--target", target, "--base", "run", "--shots", "0,2", "--draws", 1, "--json", "record.json"
    )
    assert figures.code == 0, figures.err
    rows = json.loads((tmp_path / "record.json").read_text())["rows"]
    assert {row["method"] for row in rows} >= {"adapted", "zero-shot", "wrong-scene", "motion"}
