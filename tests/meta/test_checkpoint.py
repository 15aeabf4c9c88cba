import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from meta_toys import digest, resolve, sampler, toy_config, toy_experts, whole_digest

from metavad.errors import BundleError
from metavad.meta.checkpoint import Best, TrainingState, latest, load_state, save_state
from metavad.meta.train import meta_train

PROGRAM = str(Path(__file__).parent / "meta_toys.py")


def state_at(step, best=True):
    tensors = {"level.prior": torch.tensor(float(step)), "level.net.0.weight": torch.randn(2, 3)}
    kept = Best({"level": 0.5}, {"level": 1}, {"level.prior": torch.ones(())}, {}) if best else None
    moments = {"exp_avg/params/level.prior": torch.rand(())}
    return TrainingState(step, tensors, {"level.prior": torch.tensor(-4.6)}, moments, 7, {"meta": {"a": [1]}}, kept)


@pytest.mark.parametrize("best", [False, True])
def test_a_state_comes_back_bit_by_bit(tmp_path, best):
    state = state_at(3, best)
    found = load_state(save_state(tmp_path, state))
    for kind in ("params", "free", "moments"):
        wanted, read = getattr(state, kind), getattr(found, kind)
        assert wanted.keys() == read.keys()
        assert all(torch.equal(wanted[name], read[name]) for name in wanted)
    assert (found.step, found.seed, found.settings) == (3, 7, {"meta": {"a": [1]}})
    assert (found.best is None) == (not best)
    if found.best is not None:
        assert (found.best.losses, found.best.steps) == ({"level": 0.5}, {"level": 1})
        assert torch.equal(found.best.params["level.prior"], torch.ones(()))


def test_the_newest_two_states_stay_and_the_latest_is_found(tmp_path):
    assert latest(tmp_path) is None
    for step in (1, 2, 9, 10, 100):
        save_state(tmp_path, state_at(step))
    assert [folder.name for folder in sorted(tmp_path.iterdir())] == ["state-00000010", "state-00000100"]
    assert latest(tmp_path).name == "state-00000100"


def test_a_step_that_is_taken_again_is_written_again(tmp_path):
    save_state(tmp_path, state_at(4))
    second = state_at(4)
    assert digest(load_state(save_state(tmp_path, second)).params) == digest(second.params)


def test_what_a_kill_left_is_swept_up(tmp_path):
    (tmp_path / ".state-00000001.abc").mkdir()
    save_state(tmp_path, state_at(1))
    assert [folder.name for folder in tmp_path.iterdir()] == ["state-00000001"]


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove"])
def test_any_damage_is_one_line(tmp_path, name, damage):
    folder = save_state(tmp_path, state_at(1))
    path = folder / name
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    elif damage == "flip":
        middle = len(content) // 2 if name.endswith("safetensors") else content.index(b'"digest": "') + 12
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(BundleError, match=r"expected a training state.*remove it to go on") as error:
        load_state(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, stop):
    def states(resume=None):
        run = meta_train(
            toy_experts(), sampler(), resolve, toy_config(), validation=sampler(1, ["pier"]), resume=resume
        )
        for step in run:
            yield step.state()

    whole = [*states()]
    folder = save_state(tmp_path, whole[stop - 1])
    *_, resumed = states(load_state(folder))
    assert whole_digest(resumed) == whole_digest(whole[-1])
    assert digest(resumed.best.params) == digest(whole[-1].best.params)
    assert resumed.best.losses == whole[-1].best.losses


def program(*arguments):
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=True).stdout


def test_killed_at_any_time_a_run_ends_with_the_same_bits(tmp_path):
    """kill -9 in an inner step, in an outer step, saving (flushing, dropping an old state) and evaluating."""
    generator = random.Random(11)
    kills = [("*", generator.randint(500, 3000)), ("inner_gradients", 5), ("descend", 2), ("_flush", 3)]
    kills += [("_validate", 1), ("_drop", 1)]
    program("killed", str(tmp_path), json.dumps({"killed": kills, "whole": []}))
    statuses, ends = (
        [json.loads((tmp_path / run / f"{name}.json").read_text()) for run in ("killed", "whole")]
        for name in ("statuses", "digest")
    )
    assert statuses == [[-9] * len(kills) + [0], [0]]
    assert ends[0] == ends[1] == {"digest": ends[0]["digest"], "step": 6}
    for folder in (tmp_path / "killed").glob("state-*"):
        load_state(folder)
