import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from metavad.config import PatchesConfig
from metavad.errors import ConfigError
from metavad.features import patches
from metavad.features.networks.registry import network_named
from metavad.features.patches import CHANNELS, STEPS, PatchesFeature, average_patches

SMALL = PatchesConfig(short_side=48)


@pytest.fixture
def frames():
    """Twelve frames (48, 64) that differ."""
    temple = cv2.cvtColor(load_sample_images().images[0], cv2.COLOR_RGB2GRAY)
    return [
        np.ascontiguousarray(cv2.resize(temple, (96, 72))[tick : tick + 48, tick : tick + 64]) for tick in range(12)
    ]


def rows_of(feature, frames, rate=10):
    stream = feature.start()
    return np.stack([stream(frame, tick / rate) for tick, frame in enumerate(frames)])


class Counting:
    """In place of the network: keeps what it was shown, and gives its mean."""

    def __init__(self):
        self.shown = []

    def __call__(self, frames):
        self.shown += frames
        height, width = frames[0].shape
        return (torch.full((1, CHANNELS, height // 16, width // 16), float(frames[0].mean()) / 100),)


@pytest.fixture
def network(monkeypatch):
    counting = Counting()
    monkeypatch.setattr(patches, "_runner", lambda device: counting)
    return counting


def test_rows_are_signed_bytes_of_every_patch(frames):
    feature = PatchesFeature(SMALL)
    rows = rows_of(feature, frames)
    assert rows.dtype == np.uint8
    assert rows.shape == (12, *feature.shape(48, 64)) == (12, CHANNELS, 3, 4)
    found = feature.tensor(rows)
    assert found.dtype == torch.int8
    assert feature.tensor(rows[:0]).shape == (0, CHANNELS, 3, 4)
    np.testing.assert_array_equal(rows_of(feature, frames), rows)  # the same bits every time


def test_a_real_picture_has_about_the_spread_that_the_table_states():
    picture = cv2.resize(cv2.cvtColor(load_sample_images().images[0], cv2.COLOR_RGB2GRAY), (360, 240))
    feature = PatchesFeature()
    values = feature.tensor(rows_of(feature, [picture]))[0].float() / STEPS
    assert values.mean((1, 2)).abs().median() < 1
    assert 0.5 < values.std((1, 2)).median() < 1.5
    assert (values.abs() > 6).float().mean() < 1e-3


def test_rows_are_causal_and_hold_between_two_looks(frames):
    feature = PatchesFeature(SMALL)
    rows = rows_of(feature, frames)
    np.testing.assert_array_equal(rows_of(feature, [*frames[:7], *frames[:5]])[:7], rows[:7])
    assert all((rows[tick] == rows[tick - tick % 2]).all() for tick in range(12))
    assert all((rows[tick] != rows[tick - 2]).any() for tick in range(2, 12, 2))


def test_the_network_looks_five_times_a_second(network, frames):
    rows_of(PatchesFeature(SMALL), frames, rate=10)
    assert len(network.shown) == 6
    network.shown.clear()
    rows_of(PatchesFeature(SMALL), frames, rate=4)
    assert len(network.shown) == 12


def test_a_repeated_frame_is_not_looked_at_again(network, frames):
    rows = rows_of(PatchesFeature(SMALL), [frames[0]] * 6 + [frames[0] // 2] * 6)
    assert len(network.shown) == 2
    assert (rows[:6] == rows[0]).all()
    assert (rows[6:] != rows[0]).all()
    almost = [frames[0].copy() for _ in range(3)]
    almost[2][20, 20] ^= 1
    network.shown.clear()
    rows_of(PatchesFeature(SMALL), almost)
    assert len(network.shown) == 2


def test_the_network_sees_no_more_than_the_working_frame_and_its_rows_have_the_same_shape(network, frames):
    feature = PatchesFeature(PatchesConfig(short_side=160))
    assert rows_of(feature, frames).shape == (12, *feature.shape(48, 64)) == (12, CHANNELS, 10, 13)
    assert {frame.shape for frame in network.shown} == {(48, 64)}


@pytest.mark.parametrize(("height", "width"), [(240, 360), (360, 240), (240, 1000), (48, 64), (17, 16)])
def test_the_longer_side_is_bounded(height, width):
    down, across = PatchesFeature().shape(height, width)[1:]
    assert max(down, across) <= 28
    assert min(down, across) <= 15
    if max(height, width) < 1.8 * min(height, width):
        assert down / across == pytest.approx(height / width, rel=0.05)


def test_the_border_is_averaged_over_what_is_inside():
    found = average_patches(torch.ones(1, 40, 6, 8), torch.full((1, 112, 3, 4), 2.0))
    assert found.shape == (1, CHANNELS, 3, 4)
    assert found[:, :40].allclose(torch.tensor(1.0))
    assert found[:, 40:].allclose(torch.tensor(2.0))
    one = torch.zeros(1, 112, 3, 4)
    one[0, 0, 0, 0] = 36.0
    assert average_patches(torch.zeros(1, 40, 6, 8), one)[0, 40, :2, :2].tolist() == [[9.0, 6.0], [6.0, 4.0]]


def test_what_changes_a_row_changes_the_key():
    feature = PatchesFeature(SMALL)
    assert len(str(feature.key()["network"])) == 64
    others = [PatchesFeature(), PatchesFeature(replace_setting(rate=2.5))]
    assert all(other.key() != feature.key() for other in others)
    assert PatchesFeature(replace_setting(memory=7)).key() == feature.key()


def replace_setting(**settings):
    return SMALL.model_copy(update=settings)


def test_a_table_without_statistics_is_refused():
    output = network_named("efficientnet-lite0").output
    with pytest.raises(
        ConfigError, match=r"expected output\.mean and output\.deviation of 152 channels, found 0 and 152"
    ):
        patches._Standardised(torch.nn.Identity(), output.model_copy(update={"mean": ()}))
