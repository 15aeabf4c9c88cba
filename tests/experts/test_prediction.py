"""The future-frame predictor: which windows its loss and score look at."""

from typing import Any

import pytest
import torch

from metavad.config import PredictionConfig
from metavad.experts.prediction import Prediction
from metavad.features.sample import Sample


def small() -> Prediction:
    torch.manual_seed(0)
    return Prediction(PredictionConfig(channels=4, windows=1000), rows=6)


def clips(count: int, ticks: int, seed: int = 0) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(count, ticks, 12, 16, generator=generator)
    return Sample({"frames": frames}, {"frames": torch.ones(count, ticks, dtype=torch.bool)}, torch.zeros(count, ticks))


def test_the_loss_evaluates_only_windows_with_a_whole_past() -> None:
    expert, seen = small(), []
    expert.enter.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    expert.loss(clips(5, 7), {})
    assert seen == [5 * (7 - expert.past)]


def test_the_loss_is_the_mean_over_clips_and_ticks_with_a_whole_past() -> None:
    expert, sample = small(), clips(3, 6)
    frames = sample["frames"]
    each = []
    for clip in range(3):
        for tick in range(expert.past, 6):
            part = frames[clip : clip + 1, tick - expert.past : tick + 1]
            one = Sample({"frames": part}, {"frames": torch.ones(1, part.shape[1], dtype=torch.bool)}, part[..., 0, 0])
            each.append(expert.loss(one, {}))
    torch.testing.assert_close(expert.loss(sample, {}), torch.stack(each).mean())


def test_of_a_clip_shorter_than_the_past_the_last_tick_is_judged() -> None:
    expert = small()
    scores = expert.score(clips(1, 3), {})
    assert (scores[:, :2] == expert.floor).all() and (scores[:, 2] > expert.floor).all()
    assert torch.isfinite(expert.loss(clips(1, 3), {}))


def test_unknown_frames_do_not_count() -> None:
    expert, sample = small(), clips(2, 6)
    sample.known["frames"][1, 5] = False
    spoilt = Sample({"frames": sample["frames"].clone()}, sample.known, sample.seconds)
    spoilt.features["frames"][1, 5] = 0.0
    assert float(expert.loss(sample, {}).detach()) == float(expert.loss(spoilt, {}).detach())


@pytest.mark.parametrize("settings", [{}, {"prototypes": 4}, {"attention": "channel"}, {"attention": "self"}])
def test_scores_of_some_windows_at_a_time_are_those_of_all_at_once(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    expert = Prediction(PredictionConfig(channels=8, **settings), rows=6)
    for ticks in (5, 6, 12, 13, 20, 21, 36):
        with torch.no_grad():
            found = expert.score(clips(1, ticks), {})
        with torch.enable_grad():
            assert torch.equal(found, expert.score(clips(1, ticks), {})), ticks


def test_a_few_windows_at_a_time_are_foreseen_and_never_one_alone_of_several() -> None:
    expert, seen = small(), list[int]()
    expert.enter.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    with torch.no_grad():
        expert.score(clips(1, expert.past + 33), {})
    assert seen == [8, 8, 8, 9]
