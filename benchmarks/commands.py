"""`metavad` in a process of its own, timed: what the scripts that measure whole commands share."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["HERE", "metavad", "timed"]

HERE = Path(__file__).resolve().parent
START = "import sys; from metavad.cli import main; sys.exit(main(sys.argv[1:]))"


def metavad(*arguments: object) -> list[str]:
    """The command line of `metavad`, with this interpreter."""
    return [sys.executable, "-P", "-c", START, *map(str, arguments)]


def timed(command: list[str], environment: Mapping[str, str], checkout: Path = HERE.parent) -> dict[str, float]:
    """Wall-clock and CPU seconds and peak memory (MiB) of that checkout's command; a failure ends the script."""
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())} | environment
    started = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if child.returncode:
            raise SystemExit(errors.read().decode())
    return {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}
