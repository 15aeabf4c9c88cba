"""Work side by side: the same results in the same order, and nothing lost on the way."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from metavad.errors import FootageWarning, ProcessError, VideoError
from metavad.side_by_side import side_by_side


@pytest.fixture
def piece():
    """Who did it, and where. A process of its own cannot import the tests, so it is none of theirs."""

    def work(number):
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


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_raised_comes_after_what_was_before_it(jobs, tmp_path):
    def work(number):
        if number == 3:
            warnings.warn("three is dark", FootageWarning, stacklevel=1)
            raise VideoError("three is broken")
        time.sleep(0.5)
        return number

    found = []
    with (
        pytest.warns(FootageWarning, match="three is dark"),
        pytest.raises(VideoError, match="three is broken"),
        closing(side_by_side([partial(work, number) for number in (1, 2, 3)], jobs)) as results,
    ):
        for number in results:
            found.append(number)
    assert found == [1, 2]


def test_a_warning_may_be_about_what_cannot_be_sent():
    def work():
        open(os.devnull)  # noqa: SIM115, PTH123 - forgotten on purpose
        return 1

    with pytest.warns(ResourceWarning, match="unclosed file"):
        assert list(side_by_side([work, work], 2)) == [1, 1]


def test_a_process_that_is_killed_is_one_line():
    def work():
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ProcessError, match="one that was killed"):
        list(side_by_side([work, work], 2))


def test_no_process_is_left_where_this_one_is_killed(tmp_path):
    program = """
import os, sys, time
from functools import partial
from pathlib import Path
from metavad.side_by_side import side_by_side

def work(name):
    Path(name).write_text(str(os.getpid()))
    time.sleep(600)

list(side_by_side([partial(work, name) for name in "ab"], 2))
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as command:
        while not all((tmp_path / name).is_file() and (tmp_path / name).read_text() for name in "ab"):
            assert command.poll() is None
            time.sleep(0.1)
        command.kill()
    processes = [int((tmp_path / name).read_text()) for name in "ab"]
    for _ in range(600):
        if not any(is_alive(process) for process in processes):
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {processes}")


def is_alive(process):
    """Until nothing of it is left, but for what a parent that does not wait has not taken away."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "zombie" not in status.read_text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopping_early_says_nothing(recwarn, jobs):
    results = side_by_side([partial(abs, -number) for number in range(50)], jobs)
    assert next(results) == 0
    results.close()
    assert not recwarn.list
