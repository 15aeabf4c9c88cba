"""The public surface: a dozen names, loaded when they are used."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import metavad

ROOT = Path(__file__).parents[1]

NAMES = [
    "Detector",
    "EventClip",
    "Live",
    "MetavadError",
    "adapt",
    "calibrate",
    "feedback",
    "find_events",
    "load_base",
    "load_config",
    "load_detector",
    "meta_train",
    "run_benchmark",
    "save_detector",
    "save_version",
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

import numpy as np

import metavad

base = metavad.load_base()
lobby = metavad.scene_of_files(["lobby.mp4", Path("lobby2.mp4")], name="lobby")
scenes = metavad.select_scenes(metavad.write_suite("cameras", scenes=3, seed=1), "data", role="meta-train")
trained = metavad.meta_train(scenes, metavad.load_config("quick"), run="runs/one")
record = metavad.run_benchmark(scenes, trained, parts="parts")
detector = metavad.adapt(base, lobby, shots=10, alarms_per_day=5)
calibrated = metavad.calibrate(detector, lobby, budget=3600).detector
metavad.save_detector("detectors/lobby", calibrated)
frames = list(metavad.score(metavad.load_detector("detectors/lobby"), lobby.normal[0]))
scores = [frame.score for frame in frames]
boxes = [frame.box for frame in frames]
events = metavad.find_events(np.array(scores), np.array([frame.seconds for frame in frames]), detector.threshold)
reasons = [(event.start, event.reason, event.box) for event in events]
threshold = calibrated.with_alarms_per_day(3).threshold
alarm = metavad.EventClip(lobby.normal[0], events[0].start, events[0].end, events[0].peak)
correction = metavad.feedback(calibrated, alarm, "normal", base=base)
version = metavad.save_version("detectors/lobby", correction.detector).number
"""
SHOWN = (
    *("base", "lobby", "scenes", "trained", "record"),
    *("calibrated", "scores", "boxes", "events", "reasons", "threshold"),
    *("correction", "version"),
)


PAGES = ("README.md", "docs/how-to/use-from-python.md", "docs/how-to/write-an-expert.md")


def pages(folder):
    """The Python of pages as files."""
    for page in PAGES:
        code = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        file = folder / f"{Path(page).stem.lower().replace('-', '_')}.py"
        file.write_text("\n".join(code).replace("from brightness import Brightness\n", ""))
        yield str(file)


def test_a_type_checker_knows_every_public_name_and_what_pages_read_of_a_value(tmp_path):
    from mypy import api

    asked = [*SHOWN, *(f"metavad.{name}" for name in metavad.__all__)]
    (tmp_path / "client.py").write_text(CLIENT + "".join(f"reveal_type({name})\n" for name in asked))
    options = [
        "--strict",
        "--follow-imports=silent",
        "--ignore-missing-imports",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    out, err, code = api.run([*options, str(tmp_path / "client.py"), *pages(tmp_path)])
    assert (code, err) == (0, ""), out + err
    revealed = [line for line in out.splitlines() if "Revealed type" in line]
    types = dict(zip(asked, (line.partition(": note: Revealed type is ")[2] for line in revealed), strict=True))
    assert not [name for name, text in types.items() if text in ('"Any"', '"builtins.object"')], types
    assert not [name for name in SHOWN if "Any" in types[name]], types
    assert "float]" in types["scores"]
    assert all("def (" in types[f"metavad.{name}"] for name in metavad.__all__), types


def test_the_base_that_ships_is_opened_without_a_folder():
    assert metavad.load_base().digest == metavad.load_base(Path(__file__).parents[1] / "base").digest


def test_the_citation_is_of_this_version_and_licence():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"version: {metavad.__version__}" in lines
    assert f"license: {project['license']}" in lines


def test_the_extra_all_is_every_extra_for_users_and_each_is_in_the_docs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    assert everything == f"metavad[{','.join(sorted(extras.keys() - {'all', 'docs', 'test'}))}]"
    page = (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")
    assert [name for name in extras if f"| `{name}` |" not in page] == []
