"""Flow methods behind one seam, against motion that is known."""

import cv2
import numpy as np
import pytest
import torch

from metavad.config import FlowConfig
from metavad.errors import ConfigError
from metavad.features.feature import grid_of
from metavad.features.flow import FlowFeature, FlowFieldFeature, flow_method
from metavad.features.flow.methods import raft_of


def texture(height=96, width=128, seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 4, width // 4)).astype(np.float32)
    return cv2.GaussianBlur(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5)


def shifted(picture, right, down):
    turn = np.array([[1, 0, right], [0, 1, down]], np.float64)
    size = picture.shape[1], picture.shape[0]
    return (
        cv2.warpAffine(picture, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        .clip(0, 255)
        .astype(np.uint8)
    )


@pytest.mark.parametrize("name", ["dis", "dis-fast", "farneback"])
def test_a_shift_is_found(name):
    picture = texture()
    flow = flow_method(name)(picture.astype(np.uint8), shifted(picture, 2.5, -1.0))
    assert flow.shape == (96, 128, 2)
    inner = flow[20:-20, 20:-20]
    np.testing.assert_allclose(np.median(inner, (0, 1)), [2.5, -1.0], atol=0.2)


def test_raft_takes_any_size_and_weights_from_a_file(tmp_path):
    from metavad.features.backbones.torchvision import imported

    network = imported().optical_flow.raft_small()
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    picture = texture(36, 52)
    flows = [
        method(picture.astype(np.uint8), shifted(picture, 1, 0))
        for method in (flow_method("raft-small", str(tmp_path / "raft.pth")), raft_of(network.state_dict()))
    ]
    assert flows[0].shape == (36, 52, 2)
    np.testing.assert_array_equal(*flows)


def test_raft_without_weights_is_refused():
    with pytest.raises(ConfigError, match=r"flow.weights: expected a file .* found none"):
        flow_method("raft-small")


def test_unknown_methods_are_met_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'farneback'"):
        flow_method("farnback")


def test_the_default_is_what_caches_know():
    """Arrays that were computed before there was a choice are still those of the default."""
    assert FlowFeature(30).key() == {
        "feature": "flow", "version": 2, "method": "dis-medium", "horizon": 0.2, "rows": 30,
    }  # fmt: skip
    keys = [
        FlowFeature(30, FlowConfig(method="farneback")).key(),
        FlowFeature(30, FlowConfig(steady="mean")).key(),
    ]
    assert len({str(sorted(key.items())) for key in [*keys, FlowFeature(30).key()]}) == 3


def test_the_default_row_is_that_of_plain_dis_flow():
    """Written out: DIS flow, heights/second, blur over three cells, the grid, bytes."""
    picture = texture()
    before, after = picture.astype(np.uint8), shifted(picture, 3, 1)
    stream = FlowFeature(12).start()
    stream(before, 0.0)
    row = stream(after, 0.2)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(before, after, None) / (96 * 0.2)
    channels = np.dstack([flow, cv2.magnitude(flow[..., 0], flow[..., 1])])
    grid = cv2.resize(cv2.blur(channels, (24, 24), borderType=cv2.BORDER_REFLECT), (16, 12)).transpose(2, 0, 1)
    signed = np.sign(grid[:2]) * np.sqrt(np.minimum(np.abs(grid[:2]) / 3.0, 1.0))
    expected = [np.round(127.5 + 127.5 * signed), np.round(np.sqrt(np.minimum(grid[2:] / 3.0, 1.0)) * 255)]
    np.testing.assert_array_equal(row, np.concatenate(expected).astype(np.uint8))


def test_a_picture_that_stands_still_in_most_places_has_no_speed_there():
    """Running sums of a blur leave tiny negative numbers beside what moves."""
    flow = np.zeros((96, 128, 2), np.float32)
    flow[30:50, 40:60] = 0.38
    row = FlowFeature(12).row(flow)
    assert row[2, -1].max() <= 1
    assert row[2, 4, 6] > 50


def test_the_field_is_flow_since_the_last_tick_forwards_and_back():
    feature = FlowFieldFeature(10.0, 12, scale=4, both=True)
    picture = texture()
    stream = feature.start()
    rows = np.stack([stream(shifted(picture, 2 * tick, 0), tick / 10) for tick in range(3)])
    found = feature.tensor(rows)
    assert found.shape == (3, 4, 24, 32) == (3, *feature.shape(96, 128))
    assert found[0].abs().max() < 1e-3
    means = found[2, :, 6:-6, 6:-6].flatten(1).median(1).values
    torch.testing.assert_close(means, torch.tensor([20 / 96, 0.0, -20 / 96, 0.0]), atol=0.02, rtol=0)


@pytest.mark.parametrize("rows", [8, 30])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_field_has_the_frame_s_grid(scale, rows):
    """Whatever the shape: maps of experts that read it must meet all others."""
    feature = FlowFieldFeature(10.0, rows, scale=scale)
    for width in range(240, 500):
        for size in ((240, width), (width, 240)):
            assert grid_of(*feature.shape(*size)[1:], rows) == grid_of(*size, rows)


@pytest.mark.parametrize("name", ["dis", "dis-fast"])
def test_a_picture_that_comes_again_has_the_motion_that_the_search_finds(name):
    picture = np.random.default_rng(0).integers(0, 255, (48, 64), dtype=np.uint8)
    preset = {"dis": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, "dis-fast": cv2.DISOPTICAL_FLOW_PRESET_FAST}[name]
    found = flow_method(name)(picture, picture.copy())
    np.testing.assert_array_equal(found, cv2.DISOpticalFlow.create(preset).calc(picture, picture.copy(), None))
    assert not np.signbit(found).any()
