"""The two streams and their clusters: what each may see, and what the score is made of."""

import pytest
import torch

from metavad.config import Config
from metavad.experts.dissociation import Dissociation
from metavad.features.sample import Sample

SMALL = {"channels": 4, "code": 4, "clusters": 3}


def expert(**options):
    torch.manual_seed(0)
    return Dissociation(Config.model_validate({"dissociation": SMALL | options}).dissociation, rows=6)


def clips(count=2, ticks=7, size=(12, 18), seed=0):
    generator = torch.Generator().manual_seed(seed)
    known = {"frames": torch.ones(count, ticks, dtype=torch.bool)}
    return Sample({"frames": torch.rand(count, ticks, *size, generator=generator)}, known, torch.zeros(count, ticks))


def test_the_picture_knows_the_first_frame_and_the_change_all_but_the_last():
    model, sample = expert(), clips(ticks=5)
    plain = model._seen(model._clips(sample, 4, 1))
    for tick in range(5):
        clip = model._clips(sample, 4, 1)
        clip[:, tick] = -clip[:, tick]
        picture, change, distance = model._seen(clip)
        assert torch.equal(picture, plain[0]) == (tick != 0)
        assert torch.equal(change, plain[1]) == (tick == 4)
        assert torch.equal(distance, plain[2]) == (tick == 4)


def test_drawn_clips_are_the_frames_that_end_at_their_tick():
    model, sample = expert(), clips()
    drawn = model._clips(sample, 4, 2)  # ticks 4, 6 of the first clip, 5 of the second
    for number, (clip, tick) in enumerate([(0, 4), (0, 6), (1, 5)]):
        frames = sample["frames"][clip, tick - 4 : tick + 1]
        torch.testing.assert_close(drawn[number], frames - frames[:-1].mean())


def test_the_loss_is_the_sum_of_three():
    sample = clips()
    parts = [
        expert(difference_weight=0, cluster_weight=0).loss(sample, {}),
        expert(difference_weight=2, cluster_weight=0).loss(sample, {}),
        expert(difference_weight=0, cluster_weight=3).loss(sample, {}),
    ]
    whole = expert(difference_weight=2, cluster_weight=3).loss(sample, {})
    assert whole.item() == pytest.approx((parts[1] + parts[2] - parts[0]).item(), rel=1e-5)


def test_the_score_is_error_times_distance():
    """Ten times the error of every pixel is 20 decibels, four times the squared distance is 6."""
    model, sample = expert(), clips(count=1)
    clip = model._clips(sample, 4, 1)
    torch.manual_seed(1)
    error, distance = torch.randn(len(clip), 12, 18), torch.rand(len(clip), 3, 5) + 0.5

    def scored(times, far):
        model._seen = lambda given: (clip[:, -1] - times * error, torch.zeros_like(error), far * distance)
        return model.score(sample, {})[:, 4:]

    plain = scored(1, 1)
    torch.testing.assert_close(scored(10, 1), plain + 20, atol=1e-3, rtol=0)
    torch.testing.assert_close(scored(1, 4), plain + 6.0206, atol=1e-3, rtol=0)


def test_a_brighter_picture_is_the_same_picture():
    model, sample = expert(), clips()
    brighter = Sample({"frames": sample["frames"] + 0.3}, sample.known, sample.seconds)
    torch.testing.assert_close(model.score(brighter, {}), model.score(sample, {}), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("size", [(12, 18), (14, 16), (10, 10)])
def test_any_even_size_of_frame(size):
    model, sample = expert(), clips(size=size)
    assert model.score(sample, {}).shape[:3] == (2, 7, 6)
    assert torch.isfinite(model.loss(sample, {}))


def test_of_a_sample_shorter_than_a_clip_the_last_tick_is_judged():
    model, sample = expert(), clips(ticks=3)
    scores = model.score(sample, {})
    assert (scores[:, :2] == model.floor).all()
    assert (scores[:, 2] > model.floor).all()


def test_unknown_frames_do_not_count():
    model, sample = expert(), clips()
    sample.known["frames"][1, 6] = False
    assert torch.equal(model.loss(sample, {}), model.loss(_spoilt(sample), {}))


def _spoilt(sample):
    frames = sample["frames"].clone()
    frames[1, 6] = 0
    return Sample({"frames": frames}, sample.known, sample.seconds)
