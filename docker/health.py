"""Whether the container's metavad is well: while it watches with `--metrics`, it answers there.

A camera that gives no frames is no fault of the container: metavad opens it again, and its metrics say so. Any other
command is well while it runs.
"""

import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path


def address(words: Sequence[str]) -> str | None:
    """Where a command serves its metrics; none where it does not.

    >>> address(["metavad", "watch", "--metrics", "0.0.0.0:9108"]), address(["metavad", "watch", "--metrics=9108"])
    ('http://127.0.0.1:9108/metrics', 'http://127.0.0.1:9108/metrics')
    """
    given = [after for word, after in zip(words, [*words[1:], ""], strict=True) if word == "--metrics"]
    given += [word.partition("=")[2] for word in words if word.startswith("--metrics=")]
    if "watch" not in words or not given:
        return None
    host, _, port = given[-1].rpartition(":")
    return f"http://{'127.0.0.1' if host in ('', '0.0.0.0') else host}:{port}/metrics"


def main(process: Path = Path("/proc/1/cmdline")) -> None:
    """Ends with 0 where all is well."""
    place = address(process.read_text(encoding="utf-8").split("\0"))
    if place is None:
        return
    try:
        with urllib.request.urlopen(place, timeout=8) as answer:
            answer.read()
    except OSError as error:
        sys.exit(f"{place}: expected an answer, found {error}")


if __name__ == "__main__":
    main()
