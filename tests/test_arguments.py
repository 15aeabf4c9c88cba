"""Arguments of another type than annotated are one line; all others pass."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import metavad
from metavad.arguments import checked
from metavad.errors import UsageError
from metavad.progress import SILENT, Progress
from metavad.types import FloatArray


@checked
def plain(
    path: str | Path | None = None,
    count: int = 0,
    share: float = 0.0,
    flag: bool = False,
    names: Sequence[str] = (),
    times: Sequence[tuple[str, float]] = (),
    facts: Mapping[str, Any] | None = None,
    size: Literal["small", "large"] = "small",
    values: FloatArray | None = None,
    progress: Progress = SILENT,
) -> str:
    """Takes everything."""
    return "taken"


@pytest.mark.parametrize(
    "given",
    [
        {"path": "a"},
        {"path": Path("a")},
        {"path": None},
        {"count": np.int64(3)},
        {"share": 3},
        {"share": np.float32(0.5)},
        {"names": ["a", "b"]},
        {"times": [("a", 1), ("b", 2.5)]},
        {"facts": {"a": 1.5}},
        {"size": "medium"},
        {"values": np.zeros(3)},
        {"values": [0.5, 1.0]},
    ],
    ids=str,
)
def test_what_fits_passes(given):
    assert plain(**given) == "taken"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": 3}, "expected text, a Path or None as path, found 3"),
        ({"count": "10"}, "expected a whole number as count, found '10'"),
        ({"count": True}, "expected a whole number as count, found True"),
        ({"count": 1.5}, "expected a whole number as count, found 1.5"),
        ({"share": "0.5"}, "expected a number as share, found '0.5'"),
        ({"flag": 1}, "expected True or False as flag, found 1"),
        ({"names": "abc"}, "expected a list of text as names, found 'abc'"),
        ({"names": ["a", 1]}, "expected a list of text as names, found a list"),
        ({"times": [("a",)]}, "expected a list of (text, a number) as times, found a list"),
        ({"facts": [1]}, "expected a dict or None as facts, found a list"),
        ({"size": 3}, "expected 'small' or 'large' as size, found 3"),
        ({"values": "0.5"}, "expected an array or None as values, found '0.5'"),
        ({"progress": print}, "expected a Progress as progress, found a builtin_function_or_method"),
    ],
    ids=str,
)
def test_what_does_not_is_a_line_that_says_so(given, message):
    with pytest.raises(UsageError) as raised:
        plain(**given)
    assert str(raised.value) == f"plain: {message}; see help(metavad.plain)"


def test_missing_and_unknown_arguments_are_python_s():
    with pytest.raises(TypeError, match="unexpected keyword"):
        plain(colour="red")
    with pytest.raises(TypeError, match="missing"):
        metavad.save_detector("a")


def test_the_checked_function_is_still_itself():
    assert (plain.__name__, plain.__doc__) == ("plain", "Takes everything.")


FUNCTIONS = [name for name in metavad.__all__ if name not in ("Detector", "MetavadError")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_checked(name):
    with pytest.raises(UsageError, match=f"{name}: expected .* found an? object; ") as raised:
        getattr(metavad, name)(*_objects(name))
    assert "\n" not in str(raised.value)


def _objects(name):
    """One for each argument that has to be given by place, at least one."""
    parameters = inspect.signature(getattr(metavad, name)).parameters.values()
    needed = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty]
    return [object() for _ in needed] or [object()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metavad.load_detector(3), "load_detector: expected text or a Path as folder, found 3"),
        (lambda: metavad.score("a.mp4", "detectors/lobby"), "expected a Detector as detector, found 'a.mp4'"),
        (
            lambda: metavad.scene_of_files("a.mp4"),
            "expected a list of text or Paths as paths, found 'a.mp4'",
        ),
        (
            lambda: metavad.adapt("base", "lobby"),
            "a Base as base, found 'base'; metavad.load_base() opens one",
        ),
        (lambda: metavad.run_benchmark("ped2", "base"), "expected a list of Scenes as scenes, found 'ped2'"),
    ],
)
def test_what_is_easily_mixed_up(call, message):
    with pytest.raises(UsageError) as raised:
        call()
    assert message in str(raised.value)
