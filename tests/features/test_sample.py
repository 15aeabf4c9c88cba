"""What clips of one camera count for."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from metavad.features.sample import Sample, join


def clips(*origins):
    """A sample of clips that begin at (video, second)."""
    count = len(origins)
    where = torch.tensor(origins).reshape(count, 2) if origins else None
    return Sample(
        {"x": torch.zeros(count, 3)}, {"x": torch.ones(count, 3, dtype=torch.bool)}, torch.zeros(count, 3), where
    )


def test_clips_of_one_moment_are_one_and_of_many_videos_many():
    assert clips((0.0, 7.0), (0.0, 7.0)).effective_sample_size(5.0) == 1.0
    assert clips((0.0, 0.0), (1.0, 0.0), (2.0, 0.0)).effective_sample_size(5.0) == 3.0
    assert clips((0.0, 0.0), (0.0, 1.0), (0.0, 2.0)).effective_sample_size(5.0) == 1.4
    assert clips((0.0, 0.0), (0.0, 60.0)).effective_sample_size(5.0) == 2.0


def test_unknown_times_count_each_and_nothing_counts_nothing():
    sample = Sample({"x": torch.zeros(4, 3)}, {"x": torch.ones(4, 3, dtype=torch.bool)}, torch.zeros(4, 3))
    assert sample.effective_sample_size(5.0) == 4.0
    assert sample.select([]).effective_sample_size(5.0) == 0.0


def test_choosing_and_joining_keep_where_clips_come_from():
    sample = clips((0.0, 0.0), (0.0, 1.0), (1.0, 0.0))
    assert sample.select([0, 2]).effective_sample_size(5.0) == 2.0
    assert join([clips((0.0, 0.0)), clips((0.0, 1.0))]).effective_sample_size(5.0) == 1.2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), min_size=1, max_size=12), st.floats(0.5, 20.0))
def test_more_clips_never_count_less_and_never_more_than_one_each(origins, apart):
    some = [(float(video), float(second)) for video, second in origins]
    found = [clips(*some[:count]).effective_sample_size(apart) for count in range(1, len(some) + 1)]
    assert found == sorted(found)
    assert found[-1] <= len(some)
