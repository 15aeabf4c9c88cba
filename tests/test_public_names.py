"""The public surface: a dozen names, loaded when they are used."""

import subprocess
import sys

import pytest

import metavad

NAMES = [
    "Detector",
    "MetavadError",
    "adapt",
    "benchmark",
    "check",
    "find_events",
    "load_base",
    "load_config",
    "load_detector",
    "meta_train",
    "save_detector",
    "scene_of_files",
    "score",
    "select_scenes",
    "write_suite",
]


def test_the_inventory():
    assert metavad.__all__ == NAMES == sorted(NAMES)
    assert set(NAMES) <= set(dir(metavad))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_documented(name):
    assert getattr(metavad, name).__doc__
    assert getattr(metavad, name).__module__.startswith("metavad.")


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="nonsense"):
        metavad.nonsense  # noqa: B018


def test_importing_costs_nothing():
    program = "import sys, metavad; print([n for n in ('torch', 'numpy', 'cv2', 'pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert version("metavad") == metavad.__version__
