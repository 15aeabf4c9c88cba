import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from metavad.errors import DataError
from metavad.features.flow.storage import FASTEST, compress, decoded, encoded, expand, from_linear, to_linear


@given(some.floats(-20, 20), some.floats(0.5, 20))
def test_the_linear_law_s_error_is_the_stated_one(value, largest):
    back = float(from_linear(to_linear(np.array([value]), largest), largest)[0])
    assert abs(back - np.clip(value, -largest, largest)) <= largest / 254 * (1 + 1e-5)


@given(some.floats(-FASTEST, FASTEST))
def test_the_root_law_s_error_is_the_stated_one(speed):
    back = float(expand(compress(np.array([speed])))[0])
    assert abs(back - speed) <= np.sqrt(abs(speed) * FASTEST) / 127.5 + FASTEST / 127.5**2


@pytest.mark.parametrize("codec", ["raw", "png"])
def test_lossless_is_lossless(codec):
    planes = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(encoded(planes, codec), codec, planes.shape), planes)


def test_jpeg_is_smaller_the_lower_the_quality_and_off_by_little():
    ramp = np.tile(np.linspace(60, 200, 120, dtype=np.uint8), (2, 80, 1))
    sizes = [len(encoded(ramp, "jpeg", quality)) for quality in (95, 50)]
    assert ramp.size > sizes[0] > sizes[1]
    assert np.abs(decoded(encoded(ramp, "jpeg", 95), "jpeg", ramp.shape).astype(int) - ramp).max() <= 4


def test_other_data_is_refused():
    planes = np.zeros((2, 8, 8), np.uint8)
    with pytest.raises(DataError, match="expected planes"):
        decoded(encoded(planes, "png"), "png", (2, 8, 9))
    with pytest.raises(DataError, match="expected planes"):
        decoded(b"nothing", "jpeg", (2, 8, 8))
