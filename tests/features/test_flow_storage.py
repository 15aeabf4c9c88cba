import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from metavad.features.flow.storage import FASTEST, compress, expand


@given(some.floats(-FASTEST, FASTEST))
def test_the_root_law_s_error_is_the_stated_one(speed):
    back = float(expand(compress(np.array([speed])))[0])
    assert abs(back - speed) <= np.sqrt(abs(speed) * FASTEST) / 127.5 + FASTEST / 127.5**2
