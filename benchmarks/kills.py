"""kill -9 at 50 random moments of meta-training: the end has the same bits, and no state is unreadable.

    python benchmarks/kills.py --kills 50 --seed 0 --json benchmarks/kills.json

Each life of a small run (the experts and scenes of tests/meta) is killed at a call of a random function of
metavad (in an inner step, saving, evaluating, anywhere); the next life goes on from what is on disk.
"""

import argparse
import json
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

from record import begin, options, record_of, write

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "meta"))

from meta_toys import die_at, forked, killed_and_resumed, train_in, warm

from metavad.meta.checkpoint import latest, load_state

PHASES = (("*", 1500), ("inner_gradients", 8), ("_flush", 4), ("_drop", 1), ("_validate", 1), ("descend", 2))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> None:
    """Kill, compare, count; exit code 1 where a run ended with other bits or a state could not be read."""
    given = begin(arguments())
    generator, killed, differing, unreadable, runs = random.Random(given.seed), 0, 0, 0, 0
    warm()
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        whole.mkdir()
        killed_and_resumed(whole, [])
        wanted = json.loads((whole / "digest.json").read_text())
        while killed < given.kills:
            folder = Path(place) / f"run {runs}"
            folder.mkdir()
            runs += 1
            while not (folder / "digest.json").exists():
                function, most = generator.choice(PHASES)
                status = forked(partial(life, folder, function, generator.randint(1, most)))
                killed += status == -9
                unreadable += not readable(folder)
            differing += json.loads((folder / "digest.json").read_text()) != wanted
    print(f"{killed} kills in {runs} runs: {differing} ended otherwise, {unreadable} unreadable states")
    rows = {"kills": killed, "runs": runs, "ended with other bits": differing, "unreadable states": unreadable}
    write(given.json, record_of(rows, base=None, seed=given.seed))
    sys.exit(differing + unreadable > 0)


def life(folder: Path, function: str, occurrence: int) -> None:
    die_at(function, occurrence)
    train_in(folder)


def readable(folder: Path) -> bool:
    newest = latest(folder)
    if newest is not None:
        load_state(newest)
    return all((state / "state.json").exists() for state in folder.glob("state-*"))


if __name__ == "__main__":
    main()
