"""The pages have every public name, docstrings say what goes in and what is raised, and the pages build as a site."""

import ast
import inspect
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

import metavad
from metavad import errors, testing

ROOT = Path(__file__).parents[1]
PAGES = "python-interface.md", "expert-interface.md"
NAMES = [
    name
    for page in PAGES
    for name in re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
]
OURS = {name for name in errors.__all__ if inspect.isclass(getattr(errors, name))}


def value_of(name):
    """What a dotted name stands for."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def callables(name):
    """A function, or a class and its public methods: (label, what takes arguments, docstring)."""
    value = value_of(name)
    if not inspect.isclass(value):
        return [(name, inspect.unwrap(value), inspect.getdoc(value))] if inspect.isfunction(value) else []
    if "__origin__" in dir(value):
        return []  # an alias
    own = {method: getattr(given, "__func__", given) for method, given in vars(value).items() if method[0] != "_"}
    made = inspect.unwrap(vars(value).get("__init__", lambda self: None))
    taken = made if made.__module__ == value.__module__ and "Args:" in (value.__doc__ or "") else lambda self: None
    methods = {method: inspect.unwrap(each) for method, each in own.items() if inspect.isfunction(each)}
    return [
        (name, taken, inspect.getdoc(value)),
        *((f"{name}.{method}", each, inspect.getdoc(each)) for method, each in methods.items()),
    ]


def documented(path):
    """Names that a file gives a value, with a string below."""
    body = ast.parse(Path(path).read_text(encoding="utf-8")).body
    for node, below in pairwise(body):
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            for target in getattr(node, "targets", [getattr(node, "target", None)]):
                yield getattr(target, "id", None)


@cache
def functions(path):
    """The functions and methods of a file by name."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def raised(function, path, known=frozenset()):
    """Names of our errors that a function raises, by itself or through functions of its own file."""
    there = functions(path)
    if function not in there or function in known:
        return set()
    names = set()
    for node in ast.walk(there[function]):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            names |= {node.exc.func.id} & OURS
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names |= raised(node.func.id, path, known | {function})
    return names


ALL = [case for name in NAMES for case in callables(name)]


def test_the_pages_have_every_public_name():
    public = {f"metavad.{name}" for name in metavad.__all__} | {f"metavad.testing.{name}" for name in testing.__all__}
    assert public - set(NAMES) == set()
    assert len(NAMES) == len(set(NAMES))
    assert {f"metavad.errors.{name}" for name in OURS - {"MetavadError"}} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_docstring(name):
    if not callables(name):
        module, _, constant = name.rpartition(".")
        assert constant in documented(import_module(module).__file__)
    assert all(doc for _, _, doc in callables(name))


@pytest.mark.parametrize(("name", "function", "doc"), ALL, ids=[name for name, *_ in ALL])
def test_every_argument_is_described(name, function, doc):
    assert doc
    described = re.findall(r"^    (\w+): ", doc.partition("Args:\n")[2].partition("\n\n")[0], re.MULTILINE)
    taken = [each for each in inspect.signature(function).parameters if each not in ("self", "cls")]
    assert described == taken


@pytest.mark.parametrize(("name", "function", "doc"), ALL, ids=[name for name, *_ in ALL])
def test_every_error_is_named(name, function, doc):
    """By its own name or that of what it inherits."""
    named = set(re.findall(r"\w+Error", doc))
    for error in raised(function.__name__, inspect.getsourcefile(function)):
        assert named & {base.__name__ for base in getattr(errors, error).__mro__}, f"{name} raises {error}"


def test_errors_that_are_raised_are_found(tmp_path):
    """The test itself."""
    (tmp_path / "a.py").write_text(
        "def f():\n    g()\ndef g():\n    raise DataError('x') from None\ndef h():\n    raise ValueError('x')\n"
    )
    assert [raised(name, tmp_path / "a.py") for name in "fgh"] == [{"DataError"}, {"DataError"}, set()]


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed: pip install '.[docs]'")
def test_the_site_is_built_without_a_warning(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "docs" / "python-interface" / "index.html").read_text(encoding="utf-8")
    assert [name for name in metavad.__all__ if f'id="metavad.{name}"' not in page] == []
    assert ":class:" not in page
    assert (tmp_path / "site" / "benchmarks" / "bits.json").is_file()  # a page links to it
