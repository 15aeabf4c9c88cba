"""Records of `metavad benchmark` as the short file that ships beside a base and that `metavad show base` prints.

    python benchmarks/base_figures.py benchmarks/real-ped2-umn.json --base base --made-by "metavad meta-train ..."

Writes BASE/figures.json: micro AUC of `zero-shot` and `adapted` by scene and K. Refuses a record of another base.
"""

import argparse
import sys
from pathlib import Path

from record import parser_of

from metavad.benchmark.record import SCHEMA, BaseFigures, BenchmarkRecord, SceneFigures, read_record, write_record
from metavad.normality.base import load_base


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--base", type=Path, default=Path("base"))
    parser.add_argument("--made-by", action="append", required=True, help="a line of the commands that made it")
    return parser


def main() -> None:
    """Read, check, write."""
    given = arguments().parse_args()
    record, base = read_record(given.record, BenchmarkRecord), load_base(given.base)
    if record.base != base.digest:
        sys.exit(f"{given.record}: expected one of base {base.digest}, found base {record.base}; run it again")
    scenes: dict[str, dict[str, float | None]] = {}
    for row in record.rows:
        if row.method in ("zero-shot", "adapted"):
            scenes.setdefault(f"{row.suite}:{row.scene}", {})[str(row.shots)] = row.micro_auc
    rows = tuple(SceneFigures(scene=scene, micro_auc=figures) for scene, figures in scenes.items())
    figures = BaseFigures(
        schema_version=SCHEMA,
        kind="base-figures",
        base=base.digest,
        made_by=given.made_by,
        command=record.command,
        rows=rows,
    )
    write_record(given.base / "figures.json", figures)


if __name__ == "__main__":
    main()
