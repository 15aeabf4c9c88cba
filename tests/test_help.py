"""Every ``--help`` answers at once, without torch, and shows an example."""

import subprocess
import sys

import pytest

COMMANDS = [
    [],
    ["demo"],
    ["meta-train"],
    ["adapt"],
    ["score"],
    ["benchmark"],
    ["show"],
    ["data"],
    *(["data", name] for name in ("synthesize", "list", "fetch", "check", "import", "label")),
]
HEAVY = ("torch", "cv2", "av", "matplotlib", "scipy", "sklearn", "numpy")
PROGRAM = """
import sys, time
started = time.process_time()
from metavad.cli import main
code = main({arguments!r})
print("seconds", time.process_time() - started, file=sys.stderr)
print("loaded", [name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


def _run(arguments):
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    seconds, loaded = (line.split(" ", 1)[1] for line in done.stderr.strip().splitlines()[-2:])
    return done, float(seconds), loaded


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "metavad")
def test_help_is_light(command):
    done, _, loaded = _run([*command, "--help"])
    assert done.returncode == 0
    assert loaded == "[]"
    assert f"Usage: {' '.join(['metavad', *command])} " in done.stdout
    assert "Example: metavad" in done.stdout or command in ([], ["data"])


def test_help_is_fast():
    """At most 0.3 s of the processor, at best of several: machines are shared."""
    times = []
    while len(times) < 5 and min(times, default=9.0) >= 0.3:
        times.append(_run(["benchmark", "--help"])[1])
    assert min(times) < 0.3, times


def test_version():
    from metavad import __version__

    done, _, loaded = _run(["--version"])
    assert (done.returncode, done.stdout.strip(), loaded) == (0, f"metavad {__version__}", "[]")


def test_unknown_commands_are_one_line():
    done, _, _ = _run(["adpt"])
    assert done.returncode == 2
    assert done.stderr.startswith("metavad: No such command 'adpt'")


def test_no_command_is_the_help():
    done, _, _ = _run([])
    assert done.returncode == 2
    assert "Begin with: metavad demo" in done.stdout
