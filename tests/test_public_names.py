"""The public surface: a dozen names, loaded when they are used."""

import subprocess
import sys
from pathlib import Path

import pytest

import metavad

NAMES = [
    "Detector",
    "MetavadError",
    "adapt",
    "check",
    "find_events",
    "load_base",
    "load_config",
    "load_detector",
    "meta_train",
    "run_benchmark",
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


CLIENT = """
from pathlib import Path

import metavad

base = metavad.load_base()
lobby = metavad.scene_of_files(["lobby.mp4", Path("lobby2.mp4")], name="lobby")
detector = metavad.adapt(base, lobby, shots=10, alarms_per_day=5)
metavad.save_detector("detectors/lobby", detector)
scores = [frame.score for frame in metavad.score(metavad.load_detector("detectors/lobby"), lobby.normal[0])]
"""


def test_a_type_checker_knows_every_public_name(tmp_path):
    from mypy import api

    asked = "".join(f"reveal_type(metavad.{name})\n" for name in metavad.__all__)
    (tmp_path / "client.py").write_text(CLIENT + "reveal_type(scores)\n" + asked)
    options = [
        "--strict",
        "--follow-imports=silent",
        "--ignore-missing-imports",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    out, err, code = api.run([*options, str(tmp_path / "client.py")])
    assert (code, err) == (0, ""), out + err
    said = [line for line in out.splitlines() if "Revealed type" in line]
    assert len(said) == len(metavad.__all__) + 1
    assert not [line for line in said if line.endswith(('"Any"', '"builtins.object"'))], out
    assert "list[float]" in said[0] or "list[builtins.float]" in said[0], said[0]


def test_the_base_that_ships_is_opened_without_a_folder():
    assert metavad.load_base().digest == metavad.load_base(Path(__file__).parents[1] / "base").digest
