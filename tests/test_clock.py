"""When footage was taken, and what times in it are called."""

import doctest
from datetime import UTC, datetime, timedelta, timezone

import pytest

from metavad import clock
from metavad.clock import given_start_time, is_plausible, time_at, when_text
from metavad.errors import UsageError

ONE = timezone(timedelta(hours=1))


def test_the_examples():
    assert doctest.testmod(clock).failed == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-30T08:00+01:00", datetime(2026, 11, 30, 8, tzinfo=ONE)),
        ("2026-11-30 08:00:01.5Z", datetime(2026, 11, 30, 8, 0, 1, 500_000, UTC)),
        ("2026-11-30T08:00", datetime(2026, 11, 30, 8).astimezone()),
        ("lobby_%Y%m%d_%H%M%S", datetime(2026, 11, 30, 8, 15).astimezone()),
    ],
)
def test_a_time_with_a_zone_or_of_this_machine(text, expected):
    found = given_start_time(text, "lobby_20261130_081500")
    assert (found.time, found.source) == (expected, "given")
    assert found.time.tzinfo is not None


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-11-30", "08:00", "", "1066-10-14T09:00", "gate_%Y", "%", "%Q", "9999-12-31T23:59"]
)
def test_what_is_no_time_is_refused_in_one_line(text):
    with pytest.raises(UsageError, match="--start-time: expected") as error:
        given_start_time(text, "lobby_20261130")
    assert "\n" not in str(error.value)


def test_times_beyond_all_dates_are_not_known():
    start = datetime(2026, 11, 30, 8, tzinfo=ONE)
    assert time_at(start, 1e15) is None
    assert time_at(None, 1.0) is None
    assert when_text(1e15, start) == f"{1e15:.1f} s"
    assert time_at(start, 90.0) == start + timedelta(seconds=90)


def test_a_clock_that_was_never_set_is_not_believed():
    assert is_plausible(datetime(2020, 1, 1, tzinfo=UTC))
    assert not is_plausible(datetime(1970, 1, 1, tzinfo=UTC))
    assert not is_plausible(datetime.now(UTC) + timedelta(days=3))
