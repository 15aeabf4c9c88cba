"""``--device``: checked before anything else, in one line, by every command that computes."""

import pytest
import torch

from tests.footage import write_video

COMMANDS = {
    "meta-train": ["--scenes", "nothing.toml"],
    "adapt": ["--normal", "nothing.mp4", "--shots", "3"],
    "score": ["nothing.mp4", "--detector", "nothing"],
    "benchmark": ["--target", "nothing.toml"],
    "demo": ["--out", "demo"],
    "watch": ["nothing.mp4", "--detector", "nothing", "--out", "watched"],
    "feedback": ["nothing:1", "--normal"],
}


@pytest.fixture
def torch_with(monkeypatch):
    """A torch built for a CUDA version, or none, and no GPU."""

    def build(cuda):
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    return build


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_stops_first(metavad, torch_with, tmp_path, command):
    torch_with(None)
    result = metavad(command, *COMMANDS[command], "--device", "cuda")
    assert result.code == 2
    assert "--device cuda: expected a torch built for CUDA, found" in result.line
    assert "or leave --device out" in result.line
    torch_with("12.8")
    result = metavad(command, *COMMANDS[command], "--device", "cuda")
    assert "--device cuda: expected a GPU that torch can use, found none for CUDA 12.8" in result.line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_nobody_knows_stops_first(metavad, command):
    result = metavad(command, *COMMANDS[command], "--device", "gpu")
    assert (result.code, "expected auto, cpu or cuda, found 'gpu'" in result.line) == (2, True)


def test_the_processor_by_name_gives_the_same_detector_and_scores(metavad, tiny_run, tmp_path):
    video = write_video(tmp_path / "normal.mp4", range(40), size=(48, 64))
    found = {}
    for device in ("auto", "cpu"):
        given = ["--normal", video, "--shots", 2, "--shot-frames", 8, "--base", tiny_run, "--device", device]
        assert metavad("adapt", *given, "--out", device).code == 0
        scored = metavad("score", video, "--detector", device, "--device", device, "--out", f"scores-{device}")
        assert scored.code == 0, scored.err
        tensors = (tmp_path / device / "detector.safetensors").read_bytes()
        found[device] = tensors, (tmp_path / f"scores-{device}" / "normal" / "scores.csv").read_text()
    assert found["auto"] == found["cpu"]
