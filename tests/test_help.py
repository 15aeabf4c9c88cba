"""Every ``--help`` loads nothing heavy, so that it answers at once, and shows an example."""

import re
import subprocess
import sys

import pytest

COMMANDS = [
    [],
    ["demo"],
    ["meta-train"],
    ["adapt"],
    ["score"],
    ["events"],
    ["threshold"],
    ["feedback"],
    ["detector"],
    *(["detector", name] for name in ("history", "rollback")),
    ["benchmark"],
    ["report"],
    ["show"],
    ["data"],
    ["networks"],
    *(["networks", name] for name in ("list", "fetch", "check")),
    *(["data", name] for name in ("synthesize", "list", "fetch", "check", "import", "label")),
]
HEAVY = ("torch", "cv2", "av", "matplotlib", "scipy", "sklearn", "numpy")
PROGRAM = """
import sys
from metavad.cli import main
code = main({arguments!r})
print("loaded", [name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


def _run(arguments):
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    loaded = done.stderr.strip().splitlines()[-1].split(" ", 1)[1]
    return done, loaded


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "metavad")
def test_help_is_light(command):
    done, loaded = _run([*command, "--help"])
    assert done.returncode == 0
    assert loaded == "[]"
    assert f"Usage: {' '.join(['metavad', *command])} " in done.stdout
    assert "Example: metavad" in done.stdout or command in ([], ["data"], ["detector"], ["networks"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "metavad")
def test_help_names_no_type_of_python_and_cuts_no_sentence(command):
    done, _ = _run([*command, "--help"])
    assert re.findall(r"<(?:list|str|int|Path|path)\b|\w\.\.\.$", done.stdout, re.MULTILINE) == []


def test_version():
    from metavad import __version__

    done, loaded = _run(["--version"])
    assert (done.returncode, done.stdout.strip(), loaded) == (0, f"metavad {__version__}", "[]")


def test_unknown_commands_are_one_line():
    done, _ = _run(["adpt"])
    assert done.returncode == 2
    assert done.stderr.startswith("metavad: No such command 'adpt'")


def test_no_command_is_the_help():
    done, _ = _run([])
    assert done.returncode == 2
    assert "Begin with: metavad demo" in done.stdout


def test_python_runs_it_as_a_module():
    done = subprocess.run([sys.executable, "-m", "metavad", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, "meta-train" in done.stdout) == (0, True)
