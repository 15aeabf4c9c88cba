"""Finer and coarser maps are torch's to the last bit, with gradients and without."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from metavad.experts.resampling import enlarged, halved, means_around, pixels_to_channels


def maps(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(("height", "width"), [(30, 64), (6, 8), (7, 8), (6, 9), (15, 33), (16, 32), (16, 33)])
def test_they_are_those_of_torch(height: int, width: int, grad: bool) -> None:
    coarse, fine, twice = maps(3, 16, height, width), (2 * height, 2 * width), maps(3, 4, 2 * height, 2 * width)
    with torch.set_grad_enabled(grad):
        assert torch.equal(halved(coarse), functional.avg_pool2d(coarse, 2, ceil_mode=True))
        expected = functional.interpolate(coarse, size=fine, mode="bilinear", align_corners=False)
        assert torch.equal(enlarged(coarse, fine), expected)
        around = functional.avg_pool2d(coarse[:, :1], 5, 1, 2, count_include_pad=False)[:, 0]
        assert torch.equal(means_around(coarse[:, 0], 2), around)
        assert torch.equal(pixels_to_channels(twice), functional.pixel_unshuffle(twice, 2))


def test_without_gradients_nothing_given_is_changed() -> None:
    given = maps(2, 3, 6, 8)
    before = given.clone()
    with torch.no_grad():
        halved(given), enlarged(given, (12, 16)), means_around(given[:, 0], 2), pixels_to_channels(given)
    assert torch.equal(given, before)
