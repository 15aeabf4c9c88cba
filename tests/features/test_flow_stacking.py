"""Stacks against the definitions, place by place."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from metavad.features.flow import bidirectional_stack, plain_stack, trajectory_stack


def flows(length=3, height=5, width=7, seed=0):
    return torch.randn(length, 2, height, width, generator=torch.Generator().manual_seed(seed))


def test_x_and_y_alternate():
    stack = plain_stack(flows())
    assert stack.shape == (6, 5, 7)
    for number in range(3):
        assert torch.equal(stack[2 * number], flows()[number, 0])
        assert torch.equal(stack[2 * number + 1], flows()[number, 1])


def read(field, x, y):
    """Between pixels, by hand; outside, the nearest pixel."""
    height, width = field.shape[-2:]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    a, b = x - left, y - top
    part = field[:, top : top + 2, left : left + 2]
    return (
        (1 - b) * ((1 - a) * part[:, 0, 0] + a * part[:, 0, 1]) + b * ((1 - a) * part[:, 1, 0] + a * part[:, 1, 1])
    ).tolist()


@settings(max_examples=20)
@given(some.integers(0, 1000), some.integers(1, 5))
def test_displacements_along_the_way(seed, length):
    fields = flows(length, seed=seed)
    stack = trajectory_stack(fields)
    for down, across in ((0, 0), (2, 3), (4, 6)):
        x, y = float(across), float(down)
        for number in range(length):
            right, below = read(fields[number], x, y)
            assert stack[2 * number, down, across].item() == pytest.approx(right, abs=1e-4)
            assert stack[2 * number + 1, down, across].item() == pytest.approx(below, abs=1e-4)
            x, y = x + right, y + below


def test_what_moves_alone_keeps_its_displacement_along_the_way_only():
    """A square that moves two pixels a frame: at one place it is gone, along its way it is always there."""
    fields = torch.zeros(4, 2, 10, 20)
    for number in range(4):
        fields[number, 0, 4:6, 2 + 2 * number : 4 + 2 * number] = 2.0
    assert trajectory_stack(fields)[0::2, 4, 2].tolist() == [2.0] * 4
    assert plain_stack(fields)[0::2, 4, 2].tolist() == [2.0, 0.0, 0.0, 0.0]


def test_half_of_it_looks_back():
    forward, backward = flows(4, seed=1), flows(4, seed=2)
    stack = bidirectional_stack(forward, backward).unflatten(0, (4, 2))
    assert torch.equal(stack[:2], forward[2:])
    assert torch.equal(stack[2:], backward[[1, 0]])


@pytest.mark.parametrize("stack", [plain_stack, trajectory_stack, lambda fields: bidirectional_stack(fields, fields)])
def test_batches_are_stacked_one_by_one(stack):
    batch = torch.stack([torch.stack([flows(seed=number + 3 * turn) for number in range(3)]) for turn in range(2)])
    together = stack(batch)
    assert together.shape == (2, 3, 6, 5, 7)
    torch.testing.assert_close(together[1, 2], stack(batch[1, 2]))
