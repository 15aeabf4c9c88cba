"""Some damaged inputs of each kind, as `benchmarks/fuzz.py` tries thousands of."""

import json
import re
import subprocess
import sys
from pathlib import Path

from metavad.scenes.formats import FORMATS, MASK_FORMATS, TRACK_FORMATS
from metavad.shipped import shipped

ROOT = Path(__file__).resolve().parent.parent
QUICK = "video,folder,labels,site,suite,list,detector,base,archive,config,names,options"
"""Kinds that need no training."""


def fuzzed(run, *options):
    given = ["--jobs", "1", "--run", run, *options]
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "fuzz.py", *map(str, given)], capture_output=True, text=True, check=False
    )


def test_damaged_inputs_are_refused_in_a_line_or_read(tiny_run):
    result = fuzzed(tiny_run, "--count", 24, "--seed", 1, "--kinds", QUICK)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^all: 24 cases, .* 0 failures", result.stdout, re.MULTILINE)


BROKEN = {
    "raise RuntimeError('no')": "a traceback",
    "print('metavad: KeyError: 1 (a mistake of metavad\\'s)'); sys.exit(1)": "a mistake of metavad's",
    "os.kill(os.getpid(), signal.SIGSEGV)": "killed by SIGSEGV",
    "resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\nwhile True: pass": "hangs",
    "os.system('sleep 99 &'); sys.exit(0)": "",
    "open('../sibling/out', 'w')": "changed outside its output: 'sibling/out'",
    "open('kept', 'a').write('more')": "changed outside its output: 'work/kept'",
    "open('out', 'w')": "",
    "open('out', 'w'); sys.exit(1)": "0 lines of error",
    "open('out', 'w'); print('metavad: no'); sys.exit(1)": "left on failure: 'work/out'",
    "os.mkdir('out'); open('out/.tmp1', 'w')": "left half-written: 'work/out/.tmp1'",
    "os.mkdir('out'); open('out/events.json', 'w').write('[NaN]')": "writes what cannot be read: NaN",
    "print('metavad: one'); print('metavad: two'); sys.exit(2)": "2 lines of error",
    "print('metavad: a file: no such file'); sys.exit(1)": "an error that names no file",
    "print('metavad: warning: one')": "",
    "print('metavad: no')": "an error with exit code 0",
    "print('\\x1b[31m')": "an unprintable character, '\\x1b'",
    "sys.exit(7)": "exit code 7",
}
"""What a command may do, as Python, and what is found wrong with it."""

PROBLEMS = """
import json, os, resource, signal, sys
from pathlib import Path

sys.path.insert(0, {benchmarks!r})
import fuzz

def done(what):
    os.chdir(place / "work")
    exec(what, dict(os=os, resource=resource, signal=signal, sys=sys))

found = {{}}
for number, what in enumerate({broken!r}):
    place = Path({place!r}) / str(number)
    for name in ("work", "sibling"):
        (place / name).mkdir(parents=True)
    (place / "work" / "kept").write_text("as it was")
    before = fuzz._listing(place)
    code = fuzz._forked(lambda: done(what), place / "printed.txt", limited=True)
    words = (place / "printed.txt").read_text()
    found[what] = fuzz._problem(fuzz.Case(["score"], ("out",)), code, words, before, place)
print(json.dumps(found))
"""


def test_what_must_not_be_is_found(tmp_path):
    """The checks can fail: a command that does what none may do is named."""
    text = PROBLEMS.format(benchmarks=str(ROOT / "benchmarks"), broken=list(BROKEN), place=str(tmp_path))
    result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert json.loads(result.stdout or "{}") == BROKEN, result.stderr


def test_labels_of_every_format_are_damaged():
    from tests.layouts import LAYOUTS

    suites = {suite for suite, _ in LAYOUTS.values()}
    texts = [shipped("tasks")[suite].read_text(encoding="utf-8") for suite in suites]
    texts.append((ROOT / "benchmarks" / "fuzz_inputs.py").read_text(encoding="utf-8"))
    named = set(re.findall(r'format = "([\w-]+)"', "\n".join(texts)))
    assert {*FORMATS, *MASK_FORMATS, *TRACK_FORMATS} - named == set()
