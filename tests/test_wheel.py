"""What an installation finds: the suites and presets of a wheel, not of the checkout beside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from metavad.shipped import shipped

TOP = Path(__file__).parent.parent
PARTS = ("metavad", "tasks", "configs", "networks", "base", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The content of a wheel built from a copy of the checkout."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (TOP / part).is_dir():
            shutil.copytree(TOP / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif (TOP / part).exists():
            shutil.copy(TOP / part, copy / part)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(build, cwd=copy, check=True, capture_output=True)
    with zipfile.ZipFile(next(target.glob("*.whl"))) as wheel:
        wheel.extractall(target / "site")
    return target / "site"


def run(installed: Path, code: str) -> str:
    """Python in another folder, with the wheel's content first on its path."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=installed, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["tasks", "configs", "networks"])
def test_a_wheel_carries_what_ships(installed, kind):
    code = (
        f"from metavad.shipped import shipped; print(*sorted(shipped({kind!r})), *map(str, shipped({kind!r}).values()))"
    )
    words = run(installed, code).split()
    assert words[: len(words) // 2] == sorted(shipped(kind))
    assert all(Path(path).is_relative_to(installed) for path in words[len(words) // 2 :])


def test_a_wheel_is_typed_and_small(installed):
    assert (installed / "metavad" / "py.typed").exists()
    assert (installed / "metavad" / "report" / "page.html.j2").exists()
    size = sum(path.stat().st_size for path in installed.rglob("*") if path.is_file())
    assert size < 10_000_000


def test_an_editable_install_finds_the_checkout():
    assert all(path.parent.parent == TOP for path in shipped("tasks").values())
