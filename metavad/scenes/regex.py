"""Regular expressions of others, in a process of their own: one that backtracks for ever ends when its time is up."""

import json
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["matched_groups"]

PATIENCE = 10.0
"""Seconds for all names; an honest expression takes milliseconds."""

_CHILD = """
import json, re, sys
pattern, names = json.load(sys.stdin)
try:
    compiled = re.compile(pattern)
    matches = [compiled.match(name) for name in names]
    found = [None if match is None else match.groupdict("") for match in matches]
    answer = {"groups": list(compiled.groupindex), "found": found}
except Exception as error:
    answer = {"error": str(error)}
json.dump(answer, sys.stdout)
"""


def matched_groups(pattern: str, names: Sequence[str]) -> tuple[list[str], list[dict[str, str] | None]]:
    """The named groups of a regular expression, and what they hold of the beginning of each name that it matches.

    Raises :class:`ValueError`, in words, where it is none, or takes longer than :data:`PATIENCE`.
    """
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    asked = json.dumps([pattern, list(names)])
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except subprocess.TimeoutExpired:
        raise ValueError(f"it backtracks for more than {PATIENCE:g} s on {len(names)} names") from None
    except subprocess.CalledProcessError:
        raise ValueError("it needs more memory than there is") from None
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["groups"], answer["found"]
