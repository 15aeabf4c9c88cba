"""What is said of long work, word by word; the clock is the tests'."""

import io
import json
import subprocess
import sys
from threading import Event

import pytest
from rich.console import Console

from metavad.progress import SILENT, JsonProgress, LineProgress, RichProgress, along


class Clock:
    """Seconds that the test sets."""

    now = 0.0

    def __call__(self):
        return self.now


NEVER = 3600.0
"""Seconds between two looks of the thread's own: the test looks."""


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(clock):
    """A display of lines, and what it wrote so far."""
    stream = io.StringIO()
    return LineProgress(stream, clock, pulse=NEVER), lambda: stream.getvalue().splitlines()


def test_a_line_every_half_minute_says_what_how_far_and_how_long_still(lines, clock):
    progress, written = lines
    with progress.task("Benchmark", 8) as task:
        for clock.now in (10, 20, 29):
            task.advance(note="lobby K=1")
        assert written() == []
        clock.now = 31
        task.advance()
        clock.now = 60
        task.advance()
        assert written() == ["Benchmark: 4 of 8 (lobby K=1), 31 s so far, about 28 s still"]
        clock.now = 62
        progress.beat()
        assert written()[1:] == ["Benchmark: 5 of 8 (lobby K=1), 62 s so far, about 44 s still"]
    assert len(written()) == 2  # it was stopped before it was done


def test_what_takes_less_than_half_a_minute_says_nothing(lines, clock):
    progress, written = lines
    for clock.now in (5, 12, 29):
        with progress.task("Decoding", 1) as task:
            task.advance()
    assert written() == []


def test_short_tasks_one_after_the_other_are_not_silent_for_ever(lines, clock):
    progress, written = lines
    for number in range(5):
        with progress.task(f"Scoring {number}", 2) as task:
            for _ in range(2):
                clock.now += 5
                task.advance()
    assert written() == ["Scoring 2: 2 of 2, 10 s so far, about 0 s still"]


def test_long_work_says_when_it_is_done(lines, clock):
    progress, written = lines
    with progress.task("Meta-training", 2) as task:
        clock.now = 300
        task.advance(2)
    assert written()[-1] == "Meta-training: done in 5 min"


def test_where_nothing_advances_a_line_still_comes(lines, clock):
    progress, written = lines
    with progress.task("unpack frames.zip", None) as task:
        task.advance(1234, note="a/b.txt")
        for clock.now in (15, 30, 45, 7300):
            progress.beat()
    assert written() == [
        "unpack frames.zip: 1,234 (a/b.txt), 30 s so far",
        "unpack frames.zip: 1,234 (a/b.txt), 2 h so far",
        "unpack frames.zip: done in 2 h",
    ]


def test_the_thread_of_the_display_looks_by_itself(clock):
    written = Event()

    class Stream(io.StringIO):
        def write(self, text):
            written.set()
            return super().write(text)

    progress = LineProgress(Stream(), clock, pulse=0.001)
    with progress.task("Scoring", 10):
        clock.now = 31
        assert written.wait(60)


def test_the_estimate_of_the_outermost_task_counts_what_is_done_inside_of_it(lines, clock):
    progress, written = lines
    with progress.task("Scoring", 4) as outer:
        for video, end in (("monday", 40), ("tuesday", 80)):
            with progress.task(f"Scoring {video}", 10) as inner:
                for step in range(5):
                    clock.now = end - 40 + 8 * (step + 1)
                    inner.advance(2)
            if video == "monday":
                outer.advance()
    assert written() == [
        "Scoring: 0 of 4 > Scoring monday: 8 of 10, 32 s so far, about 2.1 min still",
        "Scoring: 1 of 4 > Scoring tuesday: 6 of 10, 64 s so far, about 96 s still",
    ]


def test_several_tasks_within_a_step_are_shares_of_it_once_a_step_has_shown_how_many_there_are(clock):
    stream = io.StringIO()
    progress = LineProgress(stream, clock, every=5, pulse=NEVER)
    with progress.task("Cameras", 2) as outer:
        for _ in range(2):
            for part in ("decode", "learn"):
                with progress.task(part, 2) as inner:
                    for _ in range(2):
                        clock.now += 5
                        inner.advance()
            outer.advance()
    assert stream.getvalue().splitlines()[-4:] == [
        "Cameras: 1 of 2 > decode: 2 of 2, 30 s so far, about 10 s still",
        "Cameras: 1 of 2 > learn: 1 of 2, 35 s so far, about 5 s still",
        "Cameras: 1 of 2 > learn: 2 of 2, 40 s so far, about 0 s still",
        "Cameras: done in 40 s",
    ]


def test_what_an_earlier_run_did_makes_no_false_hope(lines, clock):
    progress, written = lines
    with progress.task("Meta-training", 200) as task:
        task.advance(100)
        for clock.now in (10, 20, 30):
            task.advance()
    assert written() == ["Meta-training: 103 of 200, 30 s so far, about 16 min still"]


def test_bytes_are_shares(lines, clock):
    progress, written = lines
    with progress.task("fetch ped2", 4_000_000) as task:
        clock.now = 31
        task.advance(1_000_000)
    assert written() == ["fetch ped2: 25 %, 31 s so far, about 93 s still"]


def test_json_says_begun_going_and_over(clock):
    stream = io.StringIO()
    progress = JsonProgress(stream, clock)
    with progress.task("Scoring", 2) as outer:
        with progress.task("Scoring monday", 4) as inner:
            for clock.now in (0.5, 1.5, 1.9, 4):
                inner.advance(note="x")
        outer.advance()
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["task"], line["state"], line["done"]) for line in records] == [
        ("Scoring", "begun", 0),
        ("Scoring monday", "begun", 0),
        ("Scoring monday", "going", 2),
        ("Scoring monday", "going", 4),
        ("Scoring monday", "over", 4),
        ("Scoring", "going", 1),
        ("Scoring", "over", 1),
    ]
    assert records[2] == {
        "task": "Scoring monday",
        "within": ["Scoring"],
        "state": "going",
        "done": 2,
        "total": 4,
        "note": "x",
        "seconds": 1.5,
        "left": 2.0,
    }


@pytest.mark.parametrize("name", ["[/x]", "[bold]", "{a}", "a\x1b[31m\nb"])
def test_names_are_data_in_every_display(name, clock):
    text, json_text, bars = io.StringIO(), io.StringIO(), io.StringIO()
    console = Console(file=bars, force_terminal=True, width=120, color_system=None)
    for progress in (
        LineProgress(text, clock, every=0, pulse=NEVER),
        JsonProgress(json_text, clock),
        RichProgress(console, clock),
    ):
        with progress.task(f"Scoring {name}", 2) as task:
            task.advance(note=f"in {name}")
    shown = name.replace("\x1b", "?").replace("\n", "?")
    assert text.getvalue() == f"Scoring {shown}: 1 of 2 (in {shown}), 0 s so far\n"
    assert all("\x1b[31m" not in written for written in (json_text.getvalue(), bars.getvalue()))
    assert f"Scoring {shown}" in bars.getvalue()
    assert f"in {shown}" in bars.getvalue()


def test_bars_have_our_estimate(clock):
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, color_system=None)
    with RichProgress(console, clock).task("Scoring", 4) as task:
        clock.now = 60
        task.advance()
    assert "about 3 min" in written.getvalue()


REDIRECTED = """
from rich.console import Console
from metavad.cli.terminal import say
from metavad.progress import RichProgress, along
for each in along(RichProgress(Console(stderr=True, force_terminal=True)), "Scoring", [1, 2]):
    say(f"line {each}")
"""


def test_what_is_printed_meanwhile_reaches_the_file_that_it_is_to_go_to():
    done = subprocess.run([sys.executable, "-c", REDIRECTED], capture_output=True, text=True, check=True)
    assert done.stdout == "line 1\nline 2\n"
    assert "line 1" not in done.stderr


def test_items_are_steps_and_a_single_one_is_not_counted(clock):
    stream = io.StringIO()
    progress = JsonProgress(stream, clock)
    assert list(along(progress, "Scoring", ["a"])) == ["a"]
    assert stream.getvalue() == ""
    assert list(along(progress, "Scoring", ["a", "b"])) == ["a", "b"]
    assert json.loads(stream.getvalue().splitlines()[-1])["done"] == 2


def test_silence(capfd):
    with SILENT.task("anything", 2) as task:
        task.advance(note="x")
    assert capfd.readouterr() == ("", "")
