"""What is odd but no error: one line on standard error, once, and the work goes on."""

import re
import subprocess
import sys
import warnings

import pytest

from metavad.cli import main
from metavad.errors import FootageWarning, printable
from tests.footage import write_frames


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


@pytest.mark.parametrize(("options", "lines"), [([], 0), (["--debug"], 1)])
def test_libraries_write_nothing_past_us(tmp_path, options, lines):
    """libpng says of a damaged picture what it likes; we say it in our words, and all of it with --debug."""
    folder = write_frames(tmp_path / "today", 3)
    damaged = bytearray((folder / "001.png").read_bytes())
    damaged[damaged.index(b"IDAT") + 12] ^= 255
    (folder / "001.png").write_bytes(damaged)
    (tmp_path / "site.toml").write_text('[[scenes]]\nname = "x"\nnormal = ["today"]\nfps = 10\n')
    command = [sys.executable, "-c", "import sys; from metavad.cli import main; sys.exit(main())"]
    given = ["data", "check", "site.toml", *options]
    result = subprocess.run([*command, *given], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, "001.png: expected an image" in result.stdout) == (1, True), result.stderr
    assert len(re.findall("^libpng error", result.stderr, re.MULTILINE)) == lines, result.stderr
