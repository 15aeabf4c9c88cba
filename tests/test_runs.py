import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import UsageError
from metavad.runs import runs

rows = st.lists(st.booleans(), max_size=40).map(lambda row: np.array(row, bool))


def step_by_step(over, merge):
    """Frame by frame, as one would do with a pencil."""
    found = []
    for frame in np.flatnonzero(over):
        if found and frame - found[-1][1] <= merge:
            found[-1][1] = frame + 1
        else:
            found.append([frame, frame + 1])
    return found


@given(rows, st.integers(0, 4))
def test_agrees_with_frame_by_frame(over, merge):
    intervals = runs(over, merge=merge)
    assert intervals.shape[1:] == (2,)
    assert intervals.tolist() == step_by_step(over, merge)


@given(rows)
def test_without_merging_the_runs_are_the_row(over):
    again = np.zeros_like(over)
    for start, end in runs(over):
        again[start:end] = True
    assert (again == over).all()


def test_another_shape_is_an_error():
    with pytest.raises(UsageError, match="2 axes"):
        runs(np.zeros((2, 2), bool))
    with pytest.raises(UsageError, match="merge"):
        runs(np.zeros(2, bool), merge=-1)
