import pytest
import torch

from metavad.features.octants import NAMES, OCTANTS, octant, octants_apart


@pytest.mark.parametrize(
    ("right", "down", "name"),
    [
        (1, 0, "right"),
        (1, 1, "down and right"),
        (0, 2, "down"),
        (-1, 0.1, "left"),
        (0, -1, "up"),
        (1, -1, "up and right"),
    ],
)
def test_an_octant_is_named_as_the_picture_shows_it(right, down, name):
    assert NAMES[int(octant(torch.tensor(float(right)), torch.tensor(float(down))))] == name


def test_octants_lie_on_a_circle():
    apart = [[octants_apart(one, other) for other in range(OCTANTS)] for one in range(OCTANTS)]
    assert apart[0] == [0, 1, 2, 3, 4, 3, 2, 1]
    assert all(row == apart[0][-n:] + apart[0][:-n] for n, row in enumerate(apart) if n)
