import random

import numpy as np
import pytest
import torch

from metavad.episodes import Clip
from metavad.experts import build_experts
from metavad.features.library import Library, features_of
from metavad.meta.corruption import CORRUPTIONS, Corrupter
from metavad.scenes.cache import Store
from metavad.scenes.suite import load_suite

PICTURES = [np.full((12, 16), tick, np.uint8) for tick in range(8)]
LONGER = [np.full((12, 16), tick, np.uint8) for tick in range(16)]


def levels(pictures):
    return [int(picture[0, 0]) for picture in pictures]


def test_time_jumps_runs_backwards_or_twice_as_fast():
    generator = random.Random(0)
    assert levels(CORRUPTIONS["skipped"](PICTURES, LONGER, generator)) == [0, 1, 2, 3, 12, 13, 14, 15]
    assert levels(CORRUPTIONS["reversed"](PICTURES, PICTURES, generator)) == [*range(7, -1, -1)]
    assert levels(CORRUPTIONS["faster"](PICTURES, LONGER, generator)) == [*range(0, 16, 2)]


@pytest.mark.parametrize("shape", [(12, 16), (9, 30)])
def test_a_piece_of_fixed_place_and_size_comes_from_elsewhere(shape):
    foreign = [np.full(shape, 200, np.uint8)] * 3
    made = CORRUPTIONS["foreign"](PICTURES, foreign, random.Random(1))
    places = [picture == 200 for picture in made]
    assert all((places[0] == place).all() for place in places)
    assert 4 <= places[0].sum() <= 6 * 8
    assert levels(PICTURES) == [*range(8)]  # what was given is not changed


@pytest.fixture(scope="module")
def corrupted(cameras, tiny_config):
    features = features_of(tiny_config, build_experts(tiny_config).reads)
    library = Library(load_suite(str(cameras)).scenes, tiny_config.data, features, Store())
    spans = {scene: library.spans(scene) for scene in library.scenes}
    clip = spans[next(iter(spans))][0].clips(8)[3]
    return library, spans, clip


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_clip_keeps_its_shape_and_changes_as_its_number_says(corrupted, kind):
    library, spans, clip = corrupted
    corrupter = Corrupter(library, spans, (kind,))
    plain, made, again = library.sample([clip]), corrupter([clip]), corrupter([clip])
    for name, feature in made.features.items():
        assert feature.shape[2:] == plain[name].shape[2:]
        assert torch.equal(feature, again[name])
    assert any(not torch.equal(feature, plain[name][:, : feature.shape[1]]) for name, feature in made.features.items())


def test_at_the_end_of_a_video_a_longer_clip_begins_earlier(corrupted):
    library, spans, clip = corrupted
    last = Clip(clip.scene, clip.video, spans[clip.scene][0].frames - 8, 8)
    assert Corrupter(library, spans, ("skipped", "faster"))([last]).clips == 1
