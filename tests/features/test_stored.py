"""Clips as they are stored come back as they were, or are refused."""

import numpy as np
import pytest
import torch

from metavad.features.stored import StoredClip, stored_tensors, unstored


def clip(ticks, looks, seed=0):
    rows = {"frames": np.random.default_rng(seed).integers(0, 256, (ticks, 3, 4)).astype(np.uint8)}
    return StoredClip(rows, np.arange(ticks) / 10, looks)


CLIPS = (clip(3, {0: b"first", 2: b"last"}), clip(2, {}, 1), clip(4, {3: b"x"}, 2))


def test_clips_and_their_looks_come_back():
    back = unstored(stored_tensors(CLIPS, ["frames"]))
    assert [each.looks for each in back] == [each.looks for each in CLIPS]
    for one, other in zip(back, CLIPS, strict=True):
        assert np.array_equal(one.rows["frames"], other.rows["frames"])
        assert one.seconds.tolist() == other.seconds.tolist()
    assert CLIPS[0].bytes == clip(3, {}).bytes + 9


def test_clips_without_looks_are_as_before():
    assert set(stored_tensors([clip(3, {})], ["frames"])) == {"rows.frames", "seconds", "ticks"}


@pytest.mark.parametrize("look", [(0, 3, 5), (3, 0, 5), (0, 0, 99), (-1, 0, 5), (0, 0, 0)])
def test_a_look_that_is_of_no_clip_is_refused(look):
    tensors = stored_tensors(CLIPS, ["frames"])
    tensors["looks.of"][0] = torch.tensor(look)
    with pytest.raises(ValueError, match="bytes of looks"):
        unstored(tensors)
