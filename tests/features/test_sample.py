"""What clips of one camera count for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metavad.features.sample import Sample, gathered, join


def clips(*origins):
    """A sample of clips that begin at (video, second)."""
    count = len(origins)
    where = torch.tensor(origins).reshape(count, 2) if origins else None
    return Sample(
        {"x": torch.zeros(count, 3)}, {"x": torch.ones(count, 3, dtype=torch.bool)}, torch.zeros(count, 3), where
    )


def test_clips_of_one_time_are_one_and_of_many_videos_many():
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


def test_clips_of_a_range_are_those_of_the_list():
    sample = Sample({"x": torch.arange(18.0).reshape(6, 3)}, {"x": torch.ones(6, 3) > 0}, torch.zeros(6, 3))
    for numbers in (range(1, 4), range(0, 6, 2), range(1, 6, 2), range(3, 3)):
        assert torch.equal(sample.select(numbers)["x"], sample.select(list(numbers))["x"])


def test_samples_are_gathered_as_they_come():
    short = Sample({"x": torch.ones(2, 2, 4)}, {"x": torch.ones(2, 2) > 0}, torch.ones(2, 2))
    long = Sample({"x": torch.ones(1, 3, 4)}, {"x": torch.ones(1, 3) > 0}, torch.ones(1, 3))
    found = gathered(iter([short, long]), 3, 3)
    assert found["x"].sum(2).tolist() == [[4.0, 4.0, 0.0], [4.0, 4.0, 0.0], [4.0, 4.0, 4.0]]
    assert found.known["x"].tolist() == [[True, True, False], [True, True, False], [True, True, True]]
    assert found.origins is None
    with pytest.raises(ValueError, match="at least one sample"):
        gathered([], 0, 1)
