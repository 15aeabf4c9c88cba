"""How commands say how far they are: on standard error, by ``--progress``."""

import io
import json

import pytest
import typer

from metavad.cli import app
from metavad.cli.terminal import progress_of
from metavad.errors import UsageError
from metavad.progress import SILENT, LineProgress, RichProgress

LONG = ["adapt", "score", "benchmark", "meta-train", "demo", "data synthesize", "data fetch", "data check"]
SYNTHESIZE = ["data", "synthesize", "--scenes", 2, "--size", "tiny", "--normal-videos", 1, "--normal-seconds", 0.5]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("name", LONG)
def test_long_commands_take_the_option(name):
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    assert [option.name for option in command.params if "--progress" in option.opts] == ["progress"]


def test_bars_on_a_terminal_and_lines_where_it_is_piped(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(progress_of("auto"), LineProgress)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(progress_of("auto"), RichProgress)
    assert progress_of("none") is SILENT
    with pytest.raises(UsageError, match="did you mean 'json'"):
        progress_of("jsno")


def test_json_lines_are_all_that_stands_on_standard_error(metavad):
    result = metavad(*SYNTHESIZE, "--test-videos", 0, "--out", "cameras", "--progress", "json")
    assert result.code == 0, result.err
    records = [json.loads(line) for line in result.err.splitlines()]
    assert [(records[0]["task"], records[0]["state"]), (records[-1]["state"], records[-1]["done"])] == [
        ("generate cameras", "begun"),
        ("over", 2),
    ]


@pytest.mark.parametrize("kind", ["none", "line", "auto"])
def test_short_work_says_nothing_where_it_is_piped(metavad, kind):
    result = metavad(*SYNTHESIZE, "--test-videos", 0, "--out", "cameras", "--progress", kind)
    assert (result.code, result.err) == (0, "")


def test_an_unknown_kind_is_one_line(metavad):
    result = metavad(*SYNTHESIZE, "--out", "cameras", "--progress", "bars")
    assert (result.code, result.line) == (
        2,
        "metavad: --progress: expected a known kind, found 'bars'; did you mean 'bar'?",
    )
