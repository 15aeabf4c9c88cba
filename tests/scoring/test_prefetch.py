"""Work done ahead keeps order, errors and bounds."""

import threading
from itertools import count, islice

import pytest

from metavad.scoring.prefetch import prefetch


def test_the_same_items_in_their_order():
    assert list(prefetch(range(100), 3)) == list(range(100))
    assert list(prefetch([], 3)) == []


def test_no_more_than_asked_is_prefetched():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    taken = prefetch(items(), 4)
    assert next(taken) == 0
    for _ in range(50):
        if len(made) == 6:  # one given out, four in line, one in hand
            break
        threading.Event().wait(0.02)
    assert len(made) <= 6
    taken.close()
    assert len(made) <= 7


def test_an_error_comes_after_what_was_made_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    taken = prefetch(items(), 8)
    assert list(islice(taken, 2)) == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(taken)


def test_who_stops_early_stops_the_thread():
    before = threading.active_count()
    taken = prefetch(count(), 2)
    assert list(islice(taken, 5)) == [0, 1, 2, 3, 4]
    taken.close()
    assert threading.active_count() == before
