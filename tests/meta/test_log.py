import json
import sys

import pytest
from meta_toys import resolve, sampler, toy_config, toy_experts

from metavad.errors import DataError, UsageError
from metavad.meta.log import RunLog, draw_curves, read_log
from metavad.meta.train import meta_train


@pytest.fixture(scope="module")
def steps():
    return [*meta_train(toy_experts(), sampler(), resolve, toy_config(), validation=sampler(1, ["pier"]))]


def test_a_line_a_step_holds_what_happened(tmp_path, steps):
    with RunLog(tmp_path) as log:
        for step in steps:
            log.write(step)
            assert len(read_log(tmp_path)) == step.step  # at once, not when the run ends
    records = read_log(tmp_path)
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    first = records[0]
    assert set(first) == {"step", "loss", "gradient_norm", "validation", "step_sizes", "scenes"}
    assert first["scenes"][0]["after"] == steps[0].scenes[0].after
    assert first["scenes"][0]["before"] == steps[0].scenes[0].before
    assert first["step_sizes"] == steps[0].step_sizes
    assert records[2]["validation"] == steps[2].validation


def test_a_resumed_run_has_every_step_once(tmp_path, steps):
    """The killed run had logged two steps more than it had saved, and half of a third."""
    with RunLog(tmp_path) as log:
        for step in steps[:4]:
            log.write(step)
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    with RunLog(tmp_path, done=2) as log:
        for step in steps[2:]:
            log.write(step)
    assert [record["step"] for record in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    (tmp_path / "steps.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(DataError, match="in line 2"):
        read_log(tmp_path)


def test_curves_are_a_picture_in_the_run_folder(tmp_path, steps):
    from matplotlib.image import imread

    with RunLog(tmp_path) as log:
        for step in steps:
            log.write(step)
    picture = imread(draw_curves(tmp_path))
    assert picture.shape[0] > 300
    assert len({tuple(pixel) for pixel in picture[::3, ::3].reshape(-1, picture.shape[2])}) > 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "steps.jsonl"]


def test_tensorboard_gets_the_same_figures(tmp_path, steps):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with RunLog(tmp_path, tensorboard=True) as log:
        for step in steps[:2]:
            log.write(step)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([step.loss for step in steps[:2]])
    scene = steps[0].scenes[0]
    (event, *_) = events.Scalars(f"query/level/{scene.scene}/before")
    assert event.value == pytest.approx(scene.before["level"])


def test_without_tensorboard_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install metavad\[tensorboard\]"):
        RunLog(tmp_path, tensorboard=True)


def test_lines_are_plain_json(tmp_path, steps):
    with RunLog(tmp_path) as log:
        log.write(steps[0])
    lines = (tmp_path / "steps.jsonl").read_text().splitlines()
    assert len(lines) == 1
    for line in lines:
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
