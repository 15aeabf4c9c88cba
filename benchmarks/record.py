"""What every script here begins and ends with: its page and options, its threads, and the record that it writes.

A record is one JSON object, the same whichever script wrote it; what only that script says stands in ``facts``, and
``rows``, what was measured, comes last. It is written and read as those of `metavad benchmark` are, which have the same
names for the same things, and more.
"""

import argparse
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import cv2
import torch
from pydantic import JsonValue
from scipy import stats

from metavad.benchmark.record import SCHEMA, Frozen, write_record
from metavad.workflows.machine import describe_machine

__all__ = [
    "ScriptRecord",
    "begin",
    "busy",
    "command_line",
    "interval",
    "options",
    "parser_of",
    "record_of",
    "with_rows",
    "write",
]


class ScriptRecord(Frozen):
    """What a script measured."""

    schema_version: Literal[1]
    kind: Literal["script"]
    what: str
    """First line of the script's docstring."""
    command: str | list[str]
    """As it was typed, from the top of the checkout; a list where several went on with one record."""
    date: str
    device: str
    threads: int
    versions: dict[str, str]
    base: str | None
    """Digest of the base that was measured; none where none was."""
    seed: int | None
    facts: dict[str, JsonValue]
    rows: JsonValue


def interval(count: int) -> tuple[float, float, float]:
    """A count between the ends of its 95 % interval (Poisson, exact)."""
    low = float(stats.chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(count), float(stats.chi2.ppf(0.975, 2 * count + 2)) / 2


def parser_of(page: str | None) -> argparse.ArgumentParser:
    """A parser with a script's docstring as its page, for a script that writes no record."""
    return argparse.ArgumentParser(description=page, formatter_class=argparse.RawDescriptionHelpFormatter)


def options(page: str | None, *, base: bool = True, threads: int = 1) -> argparse.ArgumentParser:
    """The same with the options of every script that writes one."""
    parser = parser_of(page)
    if base:
        parser.add_argument("--base", type=Path, default=Path("base"), help="the base that is measured")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--json", type=Path, help="write the record here")
    return parser


def begin(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for, with as many threads as were."""
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    return given


def record_of(rows: Any, *, base: str | None, seed: int | None = 0, device: str = "cpu", **facts: Any) -> ScriptRecord:
    """The record of the script that is running; ``base`` is the digest of the base that was measured."""
    return ScriptRecord(
        schema_version=SCHEMA,
        kind="script",
        what=(sys.modules["__main__"].__doc__ or "").partition("\n")[0],
        command=command_line(),
        date=datetime.now(UTC).date().isoformat(),
        **describe_machine(device),
        base=base,
        seed=seed,
        facts=_as_read(facts),
        rows=_as_read(rows),
    )


def with_rows(record: ScriptRecord, rows: Any) -> ScriptRecord:
    """The same with what was measured by now."""
    return record.model_copy(update={"rows": _as_read(rows)})


def _as_read(value: Any) -> Any:
    """As JSON has it: tuples are lists, keys are texts."""
    return json.loads(json.dumps(value))


def command_line() -> str:
    """As it was typed, from the top of the checkout."""
    return f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".strip()


def busy() -> dict[str, Any]:
    """What times depend on beside the machine: its cores, and how much else runs on them."""
    return {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}


def write(path: Path | None, record: ScriptRecord) -> None:
    """To the file that was asked for, if one was."""
    if path:
        write_record(path, record)
