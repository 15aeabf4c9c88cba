"""Work side by side: the same results in the same order, and nothing lost on the way."""

import os
import warnings
from functools import partial
from pathlib import Path

import pytest

from metavad.errors import FootageWarning, VideoError
from metavad.side_by_side import side_by_side


@pytest.fixture
def piece():
    """Who did it, and where. A process of its own cannot import the tests, so it is none of theirs."""

    def work(number):
        if number == 3:
            raise VideoError("three is broken")
        warnings.warn(f"{number} is dark", FootageWarning, stacklevel=1)
        return number, os.getpid(), Path.cwd()

    return work


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_in_order_with_their_warnings(piece, tmp_path, monkeypatch, jobs):
    list(side_by_side([Path.cwd] * 4, jobs))  # processes that are left know another folder
    monkeypatch.chdir(tmp_path)
    with pytest.warns(FootageWarning) as caught:
        found = list(side_by_side([partial(piece, number) for number in (2, 0, 1)], jobs))
    assert [number for number, *_ in found] == [2, 0, 1]
    assert [str(each.message) for each in caught] == ["2 is dark", "0 is dark", "1 is dark"]
    assert {place for *_, place in found} == {tmp_path}
    assert (os.getpid() in {process for _, process, _ in found}) == (jobs == 1)


@pytest.mark.filterwarnings("ignore::metavad.errors.FootageWarning")
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_raised_comes_after_what_was_done_before(piece, jobs):
    found = []
    with pytest.raises(VideoError, match="three is broken"):
        found.extend(number for number, *_ in side_by_side([partial(piece, number) for number in (1, 3)], jobs))
    assert found in ([1], [])
    assert jobs == 2 or found == [1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopping_early_says_nothing(recwarn, jobs):
    results = side_by_side([partial(abs, -number) for number in range(50)], jobs)
    assert next(results) == 0
    results.close()
    assert not recwarn.list
