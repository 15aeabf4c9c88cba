"""What is computed once for each distinct motion is what is computed of every cell, to the last bit."""

import numpy as np
import pytest
import torch

from metavad.config import FlowConfig, FlowDensityConfig
from metavad.experts.base import Expert
from metavad.experts.direction import Direction
from metavad.experts.distinct import distinct_speeds, distinct_ways
from metavad.experts.flow_density import FlowDensity
from metavad.features.flow import FlowFeature
from metavad.features.sample import Sample

FLOW = FlowConfig()


def bytes_of(ticks: int, height: int, width: int) -> np.ndarray:
    """Stored flow (T, 3, h, w), most of it nearly still, the rest of any speed."""
    generator = np.random.default_rng(ticks + width)
    still = generator.integers(125, 131, (ticks, 3, height, width))
    moving = generator.integers(0, 256, still.shape)
    rows = np.where(generator.random((ticks, 1, height, width)) < 0.1, moving, still)
    rows[:, 2] = np.where(rows[:, 2] < 131, rows[:, 2] // 40, rows[:, 2])
    return rows.astype(np.uint8)


def clip(ticks: int, height: int, width: int) -> Sample:
    flow = FlowFeature(height, FLOW).tensor(bytes_of(ticks, height, width))[None]
    return Sample({"flow": flow}, {"flow": torch.ones(1, ticks, dtype=torch.bool)}, torch.zeros(1, ticks))


def direction() -> Expert:
    return Direction(0.2)


def flow_density() -> Expert:
    torch.manual_seed(3)
    return FlowDensity(FlowDensityConfig(hidden=8), 0.2)


def test_values_are_put_together_again_from_the_distinct_ones() -> None:
    flow = clip(9, 5, 7)["flow"]
    ways, speeds = distinct_ways(flow[:, :, :2].movedim(2, -1)), distinct_speeds(flow[:, :, 2])
    assert ways is not None and speeds is not None
    assert torch.equal(ways.spread(ways.values), flow[:, :, :2].movedim(2, -1))
    assert torch.equal(speeds.spread(speeds.values), flow[:, :, 2])
    for each in (ways, speeds):
        assert len(each.values) == len(each.values.unique(dim=0)) < each.place.numel()


def test_every_byte_and_nothing_are_distinct() -> None:
    flow = FlowFeature(1, FLOW).tensor(np.arange(256, dtype=np.uint8)[None, None, None].repeat(3, 1))
    still = torch.zeros(1, 2, 1, 256)
    ways = distinct_ways(torch.cat([flow[:, :2], still]).movedim(1, -1))
    speeds = distinct_speeds(torch.cat([flow[:, 2], still[:, 0]]))
    assert ways is not None and speeds is not None
    assert len(ways.values) == 257  # no byte of a direction stands for nothing
    assert len(speeds.values) == 256


def test_motion_that_was_never_stored_has_none() -> None:
    assert distinct_ways(torch.full((1, 2), 0.1234)) is None
    assert distinct_speeds(torch.full((2,), 0.1234)) is None
    assert distinct_speeds(torch.tensor([float("nan"), -1.0, 1e9])) is None


@pytest.mark.parametrize("make", [direction, flow_density])
@pytest.mark.parametrize(("height", "width"), [(8, 16), (7, 5), (6, 1)])
def test_scores_are_those_of_every_cell_by_itself(make, height: int, width: int) -> None:
    expert, sample = make(), clip(34, height, width)
    memory = {name: tensor.detach() for name, tensor in expert.condition(clip(6, height, width)).items()}
    invented = Sample({"flow": torch.rand(1, 5, 3, height, width)}, clip(5, height, width).known, torch.zeros(1, 5))
    for each in (sample, sample.until(19).lasting(34), sample.select([0, 0]), sample.select([]), invented):
        with torch.enable_grad():
            expected = expert.score(each, memory)
        with torch.no_grad():
            assert torch.equal(expert.score(each, memory), expected)
