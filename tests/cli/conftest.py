"""Commands run in this process, with what they write and their exit code."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.footage import write_video


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error: nothing else, no traceback."""
        message = [line for line in self.err.splitlines() if line.startswith("metavad: ")]
        lines = [line for line in message if not line.startswith("metavad: warning: ")] or message
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def metavad(tmp_path, monkeypatch) -> Callable[..., Result]:
    """``metavad("adapt", "--shots", 3)`` in an empty folder."""
    from metavad.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METAVAD_DATA", raising=False)

    def run(*arguments: object) -> Result:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
        return Result(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")
def detector(tiny_run, tmp_path_factory):
    """Of a camera of 48 x 64 pixels, made on the command line. A test file may bring another."""
    from metavad.cli import main

    place = tmp_path_factory.mktemp("camera")
    video = write_video(place / "normal.mp4", range(40), size=(48, 64))
    given = ["--normal", video, "--shots", 2, "--shot-frames", 8, "--base", tiny_run, "--out", place / "made"]
    assert main(["adapt", *map(str, given)]) == 0
    return place / "made"
