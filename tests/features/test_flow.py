"""Flow of pictures whose motion is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from metavad.features.flow import FASTEST, FlowFeature, compress, expand
from metavad.features.flow.feature import speed_of


def texture(shift, height=120, width=160, seed=0):
    """A smooth random texture, moved right by ``shift`` pixels."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 255, (height // 8, width // 8 + 8))
    fine = np.kron(coarse, np.ones((8, 8)))
    kernel = np.ones(9) / 9
    fine = np.apply_along_axis(lambda row: np.convolve(row, kernel, "same"), 1, fine)
    fine = np.apply_along_axis(lambda column: np.convolve(column, kernel, "same"), 0, fine)
    return np.ascontiguousarray(fine[:, 32 - shift : 32 - shift + width]).astype(np.uint8)


def rows_of(feature, frames, seconds):
    stream = feature.start()
    return np.stack([stream(frame, time) for frame, time in zip(frames, seconds, strict=True)])


def test_speed_is_in_heights_per_second_over_the_horizon():
    feature = FlowFeature(12)
    frames = [texture(3 * tick) for tick in range(5)]
    flow = feature.tensor(rows_of(feature, frames, np.arange(5) / 10))
    right, down, speed = flow[3, :, 3:9, 4:12].flatten(1).median(1).values
    assert right == pytest.approx(30 / 120, rel=0.1)
    assert abs(down) < 0.02
    assert speed == pytest.approx(30 / 120, rel=0.1)


def test_the_first_tick_is_still():
    feature = FlowFeature(12)
    flow = feature.tensor(rows_of(feature, [texture(0)], [0.0]))
    assert flow.abs().max() < 1e-3


def test_a_row_depends_on_the_past_alone():
    feature = FlowFeature(12)
    frames, seconds = [texture(2 * tick) for tick in range(6)], np.arange(6) / 10
    np.testing.assert_array_equal(
        rows_of(feature, frames, seconds)[:4], rows_of(feature, [*frames[:4], frames[0], frames[1]], seconds)[:4]
    )


def test_the_same_motion_has_the_same_speed_at_other_frame_rates():
    feature = FlowFeature(12)
    slow = feature.tensor(rows_of(feature, [texture(3 * tick) for tick in range(5)], np.arange(5) / 10))
    fast = feature.tensor(rows_of(feature, [texture(2 * tick) for tick in range(7)], np.arange(7) / 15))
    assert slow[4, 2, 3:9, 4:12].median() == pytest.approx(float(fast[6, 2, 3:9, 4:12].median()), rel=0.1)


@given(some.floats(-FASTEST, FASTEST))
def test_bytes_keep_speeds_within_the_law_s_step(speed):
    back = float(expand(compress(np.array([speed])))[0])
    assert abs(back - speed) <= 0.5 / 127.5 * 2 * np.sqrt(abs(speed) * FASTEST) + FASTEST / 127.5**2


@pytest.mark.parametrize(("height", "width"), [(240, 360), (240, 427), (360, 240), (240, 240)])
def test_cells_are_square(height, width):
    channels, rows, columns = FlowFeature(30).shape(height, width)
    assert (channels, min(rows, columns)) == (3, 30)
    assert columns / rows == pytest.approx(width / height, rel=0.02)


def test_tensor_is_float_on_any_length():
    feature = FlowFeature(12)
    assert feature.tensor(np.zeros((0, 3, 12, 16), np.uint8)).dtype == torch.float32


def test_speeds_are_rounded_alike_wherever_they_lie_in_memory():
    generator = np.random.default_rng(0)
    right, down = generator.normal(size=(2, 240, 480)).astype(np.float32)
    found = [speed_of(right, down) for _ in range(20)]  # all kept, so that each has a place of its own
    assert {each.ctypes.data % 64 for each in found} == {0}
    assert len({each.tobytes() for each in found}) == 1
    np.testing.assert_allclose(found[0], np.hypot(right, down), rtol=1e-6)


@pytest.mark.parametrize("size", [(60, 128), (61, 83), (48, 48)])
def test_a_picture_that_comes_again_is_stored_as_what_its_motion_would_be(size):
    """Nothing moves, and nothing is computed; the bytes are those of a motion of zero."""
    feature, picture = FlowFeature(8), np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)
    computed, row = [], feature.start()
    feature.row = lambda flow: computed.append(flow) or FlowFeature.row(feature, flow)
    row(picture, 0.0)
    again = row(picture.copy(), 0.2)
    assert not computed
    assert np.array_equal(again, FlowFeature.row(feature, np.zeros((*size, 2), np.float32)))
