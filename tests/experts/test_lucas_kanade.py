"""The small flow against pictures that were moved by a known amount."""

import pytest
import torch

from metavad.experts.lucas_kanade import displacement, flow_difference


def pictures(right=0.0, down=0.0, size=40):
    """Smooth waves, moved by so many pixels."""
    rows, columns = torch.meshgrid(torch.arange(size) - down, torch.arange(size) - right, indexing="ij")
    return (0.5 + 0.2 * torch.sin(columns / 3) + 0.2 * torch.cos(rows / 2.5 + columns / 9))[None].double()


@pytest.mark.parametrize(("right", "down"), [(0.3, 0.0), (0.0, -0.3), (0.2, 0.4)])
def test_it_finds_small_shifts(right, down):
    found = displacement(pictures(), pictures(right, down) - pictures())[0, :, 8:-8, 8:-8]
    assert found[0].median().item() == pytest.approx(right, abs=0.06)
    assert found[1].median().item() == pytest.approx(down, abs=0.06)


def test_flat_places_do_not_move():
    flat = torch.full((1, 20, 20), 0.5)
    assert displacement(flat, torch.full_like(flat, 0.2)).abs().max() == 0


def test_a_right_prediction_moves_as_the_truth_and_a_wrong_one_does_not():
    last, true = pictures(), pictures(1.0)
    off = [flow_difference(last, pictures(shift), true).item() for shift in (1.0, 0.5, 0.0, -1.0)]
    assert off[0] == 0
    assert off == sorted(off)


def test_the_level_of_light_does_not_matter():
    last, true = pictures(), pictures(1.0)
    torch.testing.assert_close(
        flow_difference(last + 0.1, pictures() + 0.1, true + 0.1), flow_difference(last, pictures(), true)
    )
