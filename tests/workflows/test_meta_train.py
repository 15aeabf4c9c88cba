"""What meta-training draws its episodes from, and which of its steps is kept."""

import math

import pytest
import torch

from metavad.errors import UsageError
from metavad.meta.checkpoint import Best, TrainingState
from metavad.meta.distributed import ALONE, Ranks
from metavad.progress import SILENT
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite
from metavad.workflows import meta_train as training
from metavad.workflows.meta_train import Run, _begin, _held_out, best, training_footage


def test_a_share_of_the_footage_is_the_beginning_of_each_video(cameras, tiny_config):
    scenes = load_suite(str(cameras)).scenes
    half = tiny_config.model_copy(update={"meta": tiny_config.meta.model_copy(update={"footage": 0.5})})
    whole, part = (training_footage(scenes, config, Store(), 0, SILENT).all for config in (tiny_config, half))
    assert part.keys() == whole.keys()
    for key, spans in whole.items():
        assert [span.frames for span in part[key]] == [round(span.frames / 2) for span in spans]
        assert [span.starts for span in part[key]] == [span.starts for span in spans]


@pytest.mark.parametrize(("scenes", "wanted", "count"), [(2, 2, 0), (3, 2, 1), (9, 2, 2), (9, 0, 0), (30, 4, 4)])
def test_scenes_are_held_out_by_the_seed_and_never_more_than_a_third(scenes, wanted, count):
    keys = [f"site:{number}" for number in range(scenes)]
    held = _held_out(keys, wanted, 0)
    assert len(set(held)) == len(held) == count
    assert set(held) <= set(keys)
    assert held == _held_out(keys, wanted, 0)
    assert count == 0 or len({_held_out(keys, wanted, seed) for seed in range(20)}) > 1


def test_the_ranks_of_torchrun_begin_by_the_command_that_goes_on(cameras, tiny_config, tmp_path):
    """They are started again by it, and one command must do."""
    scenes, run = load_suite(str(cameras)).scenes, tmp_path / "run"
    asked = {"scenes": scenes, "config": tiny_config, "seed": 0, "resume": True}
    with pytest.raises(UsageError, match="begin one without --resume"):
        _begin(run, **asked, group=ALONE)
    _begin(run, **asked, group=Ranks(1, 2))
    assert not run.exists(), "rank 0 writes"
    _begin(run, **asked, group=Ranks(0, 2))
    assert [path.name for path in run.iterdir()] == ["run.json"]
    _begin(run, **asked, group=Ranks(0, 2))
    (run / "run.json").rename(run / "mine.txt")
    with pytest.raises(UsageError, match="found none"):
        _begin(run, **asked, group=Ranks(0, 2))


class Enough(Exception):
    """Seen what there was to see."""


@pytest.mark.parametrize(("name", "function"), [("maml", "train"), ("control", "joint_train")])
def test_what_chooses_the_step_is_never_trained_on(name, function, cameras, tiny_config, tmp_path, monkeypatch):
    """Of the scenes that were given, and of no other, each is on one side of the split."""
    footage = training_footage(load_suite(str(cameras)).scenes, tiny_config, Store(), 0, SILENT)
    drawn = []

    def look(experts, episodes, resolve, config, *, validation, **options):
        for source in (episodes, validation):
            clips = [clip for n in range(50) for clip in (*source(n).support, *source(n).query)]
            drawn.append({clip.scene for clip in clips})
        raise Enough

    monkeypatch.setattr(training, function, look)
    with pytest.raises(Enough):
        Run(tmp_path, tiny_config, 0, footage, "cpu", ALONE).stage(name, None)
    trained, validated = drawn
    assert len(validated) == 1
    assert not trained & validated
    assert trained | validated == {scene.key for scene in load_suite(str(cameras)).scenes}


def test_what_is_kept_is_the_step_with_the_lowest_validation_loss_of_each_expert():
    """``one`` was best at step 3 and ``two`` at step 6 of 9; without a finite loss, the last step."""
    last = {"one.weight": torch.tensor(3.0), "two.weight": torch.tensor(3.0)}
    early = {"one.weight": torch.tensor(1.0), "two.weight": torch.tensor(2.0)}

    def kept(losses):
        kept_best = None if losses is None else Best(losses, {"one": 3, "two": 6}, early, early)
        params, sizes = best(TrainingState(9, last, last, {}, 0, best=kept_best))
        assert sizes == {name: torch.nn.functional.softplus(tensor) for name, tensor in params.items()}
        return params

    assert kept({"one": 0.5, "two": 0.25}) == early
    assert kept(None) == kept({"one": 0.5, "two": math.nan}) == last
