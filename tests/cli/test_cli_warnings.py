"""What is odd but no error: one line on standard error, once, and the work goes on."""

import warnings

import pytest

from metavad.cli import main
from metavad.errors import FootageWarning, printable


def _warn_twice(*_, **__):
    for _ in range(2):
        warnings.warn("a\x1b[31m.mp4: two video streams; the larger one is read", FootageWarning, stacklevel=2)


def test_warnings_are_one_line_each(monkeypatch, capsys):
    monkeypatch.setattr("metavad.cli.app", _warn_twice)
    assert main(["score"]) == 0
    assert capsys.readouterr().err == "metavad: warning: a?[31m.mp4: two video streams; the larger one is read\n"


@pytest.mark.parametrize(("text", "shown"), [("a b", "a b"), ("a\nb", "a?b"), ("\x1b]0;x\x07é", "?]0;x?é")])
def test_names_of_files_are_data(text, shown):
    assert printable(text) == shown
