"""Damaged inputs: what each command says of files that are broken in a random way.

    python benchmarks/fuzz.py --count 2000 --seed 0 --jobs 2 --json benchmarks/fuzz.json

Case N of seed S is always the same: a good input of one kind (`fuzz_inputs.py`), damaged (`damage.py`), and a command
that reads it, run in a process and a folder of its own, with limits on memory, processor time and time. It must end by
itself with exit code 0, 1 or 2, with one line that says why where that is not 0, without a traceback, without calling
anybody, and leave nothing behind but what it was asked for: nothing beside it, nothing half-written, nothing on
failure. `--case N --keep DIR` runs one again and keeps its folder.
"""

import argparse
import csv
import hashlib
import importlib
import json
import math
import os
import pkgutil
import re
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from fuzz_inputs import KINDS, Case, Corpus, Kind, make_corpus
from record import begin, options, record_of, write

MEMORY = 4 << 30
"""Bytes that a command may ask for beyond what it begins with."""
PROCESSOR, PATIENCE = 60, 300
"""Seconds of the processor and of the clock after which a command hangs."""
LARGEST_FILE = 256 << 20
GOOD = {0, 1, 2}
ESCAPED = 99
"""Exit code of a process that an exception left."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case; ``problem`` is empty where all is well."""

    case: int
    kind: str
    damage: str
    command: str
    code: int
    seconds: float
    printed: str
    problem: str


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--count", type=int, default=2000, help="how many cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of %(default)s")
    parser.add_argument("--run", type=Path, help="a run whose base is used, else a small one is trained")
    parser.add_argument("--case", type=int, help="this case alone, and all that it says")
    parser.add_argument("--keep", type=Path, help="keep the folders of cases that fail there")
    return parser


def main() -> None:
    """Damage, run, look, count; exit code 1 where anything is not as it must be."""
    given = begin(arguments())
    kinds = given.kinds.split(",")
    _warm()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        scratch = Path(place)
        os.environ["METAVAD_CACHE"] = str(scratch / "cache-of-all")
        if _forked(lambda: make_corpus(scratch / "corpus", kinds, given.run), scratch / "made.txt"):
            sys.exit((scratch / "made.txt").read_text())
        _whole_inputs_are_read(kinds, scratch)
        good = _listing(scratch / "corpus")
        outcomes = _all(range(given.count) if given.case is None else [given.case], given, scratch)
        if _listing(scratch / "corpus") != good:
            sys.exit("expected the good inputs as they were, found them changed")
    rows = {kind: _counted([each for each in outcomes if each.kind == kind]) for kind in kinds}
    rows["all"] = _counted(outcomes)
    failures = [asdict(outcome) for outcome in outcomes if outcome.problem]
    limits = {"memory": MEMORY, "processor_seconds": PROCESSOR, "seconds": PATIENCE}
    write(given.json, record_of(rows, base=None, seed=given.seed, limits=limits, failures=failures))
    if given.case is not None:
        print(f"metavad {outcomes[0].command}\n{outcomes[0].printed}")
    for kind, row in rows.items():
        print(f"{kind}: {', '.join(f'{value} {name}' for name, value in row.items())}")
    sys.exit(bool(failures))


def _warm() -> None:
    """Import everything once, as the command line does, so that a case costs a fork; no thread is begun."""
    import metavad
    from metavad.cli import main as command_line

    command_line(["--version"])
    for module in pkgutil.walk_packages(metavad.__path__, "metavad."):
        with suppress(ImportError):  # what is optional
            importlib.import_module(module.name)
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg", "scipy.io", "pooch", "rich.table", "joblib"):
        importlib.import_module(name)


# --- many cases ---------------------------------------------------------------------------------------------------


def _all(numbers: Sequence[int], given: argparse.Namespace, scratch: Path) -> list[Outcome]:
    """Outcomes in order; each job is a process that takes every so manieth case."""
    jobs = max(1, min(given.jobs, len(numbers)))
    parts = [scratch / f"part-{job}.jsonl" for job in range(jobs)]
    workers = []
    for job, part in enumerate(parts):
        if (pid := os.fork()) == 0:
            _work(numbers[job::jobs], given, scratch, part)
        workers.append(pid)
    for pid in workers:
        os.waitpid(pid, 0)
    lines = [line for part in parts for line in part.read_text().splitlines()]
    outcomes = sorted((Outcome(**json.loads(line)) for line in lines), key=lambda outcome: outcome.case)
    if len(outcomes) != len(numbers):
        sys.exit(f"expected {len(numbers)} outcomes, found {len(outcomes)}")
    return outcomes


def _work(numbers: Sequence[int], given: argparse.Namespace, scratch: Path, part: Path) -> None:
    """Cases one after the other, a line for each; never returns."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as nobody, part.open("w") as file:
            nobody.setblocking(False)
            corpus = Corpus(scratch / "corpus", nobody.getsockname()[1])
            for number in numbers:
                outcome = _case(number, given, corpus, scratch / f"case-{number}", nobody)
                file.write(json.dumps(asdict(outcome)) + "\n")
                file.flush()
                if outcome.problem:
                    print(f"case {number}, {outcome.kind}: {_plain(outcome.problem)}", flush=True)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


WHOLE = {"video": 0, "folder": 0, "labels": 0, "site": 0, "suite": 0, "list": 0, "detector": 0, "base": 0}
WHOLE |= {"run": 0, "cache": 0, "archive": 0, "poses": 0, "record": 0, "config": 2}
"""Exit codes of commands whose inputs are good; a configuration is tried on a suite that is not there."""


def _whole_inputs_are_read(kinds: list[str], scratch: Path) -> None:
    """Where good inputs are refused, breaking them tests nothing."""
    corpus = Corpus(scratch / "corpus", whole=True)
    for kind in WHOLE.keys() & set(kinds):
        place = scratch / f"whole-{kind}"
        case = _laid_out(KINDS[kind], corpus, place, np.random.default_rng(0))
        code = _forked(lambda case=case, place=place: _command(case, place), place / "printed.txt", limited=True)
        if code != WHOLE[kind]:
            sys.exit(
                f"{kind}: expected good input to end with {WHOLE[kind]}, found {code}; {case.arguments}\n"
                + (place / "printed.txt").read_text()
            )


def _laid_out(kind: Kind, corpus: Corpus, place: Path, random: np.random.Generator) -> Case:
    """A folder for one case, with more around it that must stay as it is."""
    for name in ("work", "cache", "home", "tmp", "sibling"):
        (place / name).mkdir(parents=True)
    shutil.copyfile(corpus / "good.mp4", place / "sibling" / "secret.mp4")
    return kind.case(corpus, place / "work", random)


def _kind(random: np.random.Generator, names: Sequence[str]) -> str:
    shares = np.array([KINDS[name].share for name in names], float)
    return names[int(random.choice(len(names), p=shares / shares.sum()))]


def _case(number: int, given: argparse.Namespace, corpus: Corpus, place: Path, nobody: socket.socket) -> Outcome:
    """Make the folder of a case, run its command, and look at what is there then."""
    random = np.random.default_rng([given.seed, number])
    kind = _kind(random, given.kinds.split(","))
    case = _laid_out(KINDS[kind], corpus, place, random)
    before, start = _listing(place), time.monotonic()
    code = _forked(lambda: _command(case, place), place / "printed.txt", limited=True)
    seconds = time.monotonic() - start
    printed = (place / "printed.txt").read_text(encoding="utf-8", errors="backslashreplace")
    problem = _problem(case, code, printed, before, place) or _called(nobody)
    if problem and given.keep:
        shutil.copytree(place, given.keep / f"case-{number}", symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    printed = printed.replace(str(place), "CASE").replace(str(corpus.root), "CORPUS")
    command = " ".join(case.arguments).replace(str(corpus.root), "CORPUS")
    return Outcome(
        number, kind, *map(_plain, (case.damage, command)), code, round(seconds, 2), printed[-2000:], problem
    )


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


# --- one command --------------------------------------------------------------------------------------------------


def _command(case: Case, place: Path) -> int:
    """The command as a shell would run it."""
    from metavad.cli import main as metavad

    os.chdir(place / "work")
    os.environ.pop("METAVAD_DATA", None)
    changed = {"METAVAD_CACHE": "cache", "HOME": "home", "TMPDIR": "tmp"}
    os.environ.update({name: str(place / folder) for name, folder in changed.items()})
    tempfile.tempdir = None
    sys.argv = ["metavad", *case.arguments]
    code = metavad(case.arguments)
    threading._shutdown()  # what the interpreter does at its end: threads are waited for
    return code


def _forked(work, output: Path, *, limited: bool = False) -> int:  # noqa: ANN001
    """Exit code of ``work`` in a process of its own whose words go to a file; negative: the signal that ended it."""
    if (pid := os.fork()) == 0:
        _child(work, output, limited)
    deadline = time.monotonic() + PATIENCE * (1 if limited else 10)
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.003)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it has left behind
    return os.waitstatus_to_exitcode(ended[1])


def _child(work, output: Path, limited: bool) -> None:  # noqa: ANN001
    code = ESCAPED
    try:
        os.setsid()
        with output.open("wb") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 0)
        if limited:
            _limit()
        result = work()
        code = result if isinstance(result, int) else 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
        print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# --- what must hold afterwards ------------------------------------------------------------------------------------


def _problem(case: Case, code: int, printed: str, before: dict[str, str], place: Path) -> str:
    """What is wrong, in a few words, or nothing."""
    after = _listing(place)
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    written = [place / name for name in changed if name in after and not code]
    kept = [name for name in changed if code and after.get(name, "folder") != "folder"]
    return _ended(code, printed) or _line(case, code, printed) or _left(case, changed, kept) or _whole(written)


def _ended(code: int, printed: str) -> str:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "hangs"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if "Traceback" in printed or code == ESCAPED:
        return "a traceback"
    if "a mistake of metavad's" in printed:
        return "a mistake of metavad's"
    return "" if code in GOOD else f"exit code {code}"


def _line(case: Case, code: int, printed: str) -> str:
    """One line on failure, warnings of one line, and nothing that a terminal would obey."""
    ours = [line for line in printed.splitlines() if line.startswith("metavad: ")]
    errors = [line for line in ours if not line.startswith("metavad: warning: ")]
    found = case.arguments[:2] == ["data", "check"] or "--reproduce" in case.arguments  # which say what they find
    helped = code == 2 and "Usage:" in printed
    if code == 0 and errors:
        return "an error with exit code 0"
    if code and len(errors) != 1 and not (found and not errors) and not helped:
        return f"{len(errors)} lines of error"
    if any(line.startswith("metavad: a file: ") for line in errors):
        return "an error that names no file"
    if odd := re.search(r"[^\x20-\x7e\n\u00a0-\U0010ffff]", printed):
        return f"an unprintable character, {odd[0]!r}"
    noise = [line for line in printed.splitlines() if re.match(_NOISE, line)]
    return f"noise of a library: {noise[0]}" if noise else ""


_NOISE = r"\[ ?(WARN|ERROR|INFO)|\[\w+ @ 0x|lib\w+ (error|warning)|Corrupt JPEG|Premature end|TIFF\w+:|.*Warning: "
"""How libraries begin what they write past us."""


def _left(case: Case, changed: list[str], kept: list[str]) -> str:
    """Nothing but the outputs is changed, nothing half-written stays, and nothing is ``kept`` on failure."""
    own = [f"work/{output}" for output in case.outputs]
    for name in changed:
        if name in ("printed.txt", "work") or (name.startswith(ALLOWED) and not _beside(name)):
            continue
        if not any(name == output or name.startswith(f"{output}/") for output in own):
            return f"changed outside its output: {name!r}"
        if _beside(name):
            return f"left half-written: {name!r}"
        if name in kept and case.arguments[0] != "meta-train":  # whose runs are gone on with
            return f"left on failure: {name!r}"
    return ""


ALLOWED = ("cache", "tmp/torchinductor_")
"""What may appear beside: metavad's cache, and a folder that torch makes."""


def _beside(name: str) -> bool:
    """Whether a file is called as what is written beside, before it takes its place."""
    return any(part.startswith((".", "tmp")) for part in Path(name).parts[1:] if not part.startswith("torchind"))


def _whole(written: list[Path]) -> str:
    """What was written on success can be read, and its numbers are numbers."""
    try:
        for path in written:
            _read(path)
    except (ValueError, KeyError) as error:
        return f"writes what cannot be read: {error}"
    return ""


def _read(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    elif path.name == "scores.csv":
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if not rows or not all(math.isfinite(float(row[name])) for row in rows for name in ("seconds", "score")):
            raise ValueError("scores that are none")
    elif path.name == "suite.toml":
        tomllib.loads(path.read_text(encoding="utf-8"))


def _no_number(text: str) -> None:
    raise ValueError(text)


def _called(nobody: socket.socket) -> str:
    with suppress(BlockingIOError):
        nobody.accept()[0].close()
        return "called an address of the network"
    return ""


def _listing(place: Path) -> dict[str, str]:
    """What is there, by its name under ``place``: a folder, where a link leads, or the digest of a file."""
    found = {}
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = Path(folder) / name
            found[str(path.relative_to(place))] = _content(path)
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def _counted(outcomes: list[Outcome]) -> dict[str, float]:
    codes = Counter(outcome.code for outcome in outcomes)
    return {
        "cases": len(outcomes),
        "read": codes[0],
        "refused": codes[1],
        "refused as usage": codes[2],
        "failures": sum(bool(outcome.problem) for outcome in outcomes),
        "seconds at most": max((outcome.seconds for outcome in outcomes), default=0.0),
    }


if __name__ == "__main__":
    main()
