"""Commands run in this process, with what they write and their exit code."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error: nothing else, no traceback."""
        said = [line for line in self.err.splitlines() if line.startswith("metavad: ")]
        lines = [line for line in said if not line.startswith("metavad: warning: ")] or said
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
