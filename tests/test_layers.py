"""Who may import whom: the imports of every module against the graph of the design, lazy ones included."""

import ast
import sys
from pathlib import Path

import pytest

import metavad

PACKAGE = Path(metavad.__file__).parent

OPEN = {
    "",
    "arguments",
    "bundle",
    "clock",
    "config",
    "durations",
    "errors",
    "files",
    "heat",
    "progress",
    "recordings",
    "runs",
    "shipped",
    "side_by_side",
    "threads",
    "types",
}
"""Open to all; "" is the package itself (its version)."""

MAY_IMPORT = {
    "": set(),  # public names are loaded lazily, by name
    "arguments": set(),
    "bundle": set(),
    "clock": set(),
    "config": set(),
    "durations": set(),
    "errors": set(),
    "files": set(),
    "heat": set(),
    "progress": set(),
    "recordings": set(),
    "runs": set(),
    "shipped": set(),
    "side_by_side": set(),
    "threads": set(),
    "types": set(),
    "evaluation": set(),
    "scenes": set(),
    "synthetic": {"scenes"},
    "episodes": {"scenes"},
    "features": {"scenes", "episodes"},
    "experts": {"features"},
    "meta": {"experts", "features", "episodes", "scenes"},
    "normality": {"meta", "experts", "features", "episodes", "scenes"},
    "scoring": {"normality", "experts", "features", "scenes"},
    "workflows": {"synthetic", "scoring", "normality", "meta", "experts", "features", "episodes", "scenes"},
    "benchmark": {
        "workflows",
        "scoring",
        "normality",
        "evaluation",
        "meta",
        "experts",
        "features",
        "episodes",
        "scenes",
        "synthetic",
    },
    "report": set(),
    "recognition": {"report", "normality", "experts", "features", "evaluation", "scenes"},
    "testing": {"meta", "experts", "features", "episodes", "scenes"},
    "live": {"workflows", "scoring", "normality", "meta", "experts", "features", "episodes", "scenes"},
}
"""Beside the open ones. ``cli`` may import everything, and nothing imports it."""

RECORDS = {
    "report": {"metavad.benchmark.protocol", "metavad.benchmark.record", "metavad.scoring.results"},
    "recognition": {
        "metavad.benchmark.head",
        "metavad.benchmark.protocol",
        "metavad.benchmark.record",
        "metavad.benchmark.settings",
    },
}
"""Typed records with what they name, the only modules that are read of what made them."""

FEWER_OPEN = {"evaluation": {"errors", "types", "recordings", "runs"}}
"""Arrays in, figures out: of the open ones only those that are arrays in, arrays out themselves."""

COMMANDS = {"cli", "__main__"}
"""May import everything, and nothing imports them."""
MODELS = {"torch", "zuko"}


def _part(dotted: str) -> str:
    """``metavad.scenes.suite`` to ``scenes``."""
    return dotted.split(".")[1] if "." in dotted else ""


def _dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_dotted(path): path for path in sorted(PACKAGE.rglob("*.py")) if "_shipped" not in path.parts}
EVERY = pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())


def _parsed(path: Path):
    """The file, and the package that its relative imports begin at."""
    package = _dotted(path) if path.name == "__init__.py" else _dotted(path).rpartition(".")[0]
    return ast.parse(path.read_text(encoding="utf-8")), package


def _imports(path: Path):
    """Absolute names of everything imported, anywhere in the file, with the line."""
    return [(name, line) for name, line, _ in _imported(*_parsed(path))]


def _imported(tree: ast.AST, package: str):
    """The same, with what the name is called in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno, alias.asname or alias.name) for alias in node.names)


def _module_of(name: str) -> str:
    """The module that an absolute name is, or is in: ``metavad.files.claimed`` is in ``metavad.files``."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def _ours(path: Path):
    """Our modules that a file imports, with the line."""
    for name, line in _imports(path):
        if name.split(".")[0] == "metavad":
            yield _module_of(name), line


@EVERY
def test_imports_follow_the_graph(path):
    part = _part(_dotted(path))
    if part in {"", *COMMANDS}:  # public names are named for type checkers, and loaded when they are first used
        return
    may = {part} | FEWER_OPEN.get(part, OPEN) | MAY_IMPORT[part]
    wrong = [
        f"{path.name}:{line} imports {target}"
        for target, line in _ours(path)
        if _part(target) not in may and target not in RECORDS.get(part, ())
    ]
    assert not wrong, wrong


def test_every_part_is_in_the_graph():
    parts = {_part(module) for module in MODULES}
    assert parts <= MAY_IMPORT.keys() | COMMANDS


def test_the_graph_has_no_circle():
    assert _circles(MAY_IMPORT) == []


def test_modules_import_each_other_in_no_circle():
    """Between packages and within them, ``__init__`` included; the package itself stands for its version."""
    graph = {module: {target for target, _ in _ours(path)} - {module} for module, path in MODULES.items()}
    del graph["metavad"]
    assert _circles(graph) == []


def _circles(graph) -> list[str]:
    """What is on a circle, or leads to one."""
    waiting = {node: set(targets) & graph.keys() for node, targets in graph.items()}
    while ready := [node for node, targets in waiting.items() if not targets & waiting.keys()]:
        for node in ready:
            del waiting[node]
    return sorted(waiting)


def _public(path: Path) -> set[str]:
    """The names in ``__all__`` of a module; of the package itself, its version."""
    if path == MODULES["metavad"]:
        return {"__version__"}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@EVERY
def test_only_what_a_module_names_is_imported_from_it(path):
    """No private names, and none that a module has merely imported itself."""
    if path == MODULES["metavad"]:  # public names, for type checkers
        return
    wrong = [
        f"{path.name}:{line} imports {name}"
        for name, line in _used(path)
        if name not in MODULES and name.rpartition(".")[2] not in _public(MODULES[_module_of(name)])
    ]
    assert not wrong, wrong


def _used(path: Path):
    """Names of ours that a file imports, or reads from a module of ours that it has imported."""
    tree, package = _parsed(path)
    modules = {}
    for name, line, alias in _imported(tree, package):
        if name.split(".")[0] == "metavad":
            yield name, line
            if name in MODULES:
                modules[alias] = name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{modules[node.value.id]}.{node.attr}", node.lineno


@pytest.mark.parametrize("part", ["evaluation", "scenes", "report"])
def test_no_model_where_figures_and_pixels_are(part):
    for path in (PACKAGE / part).rglob("*.py"):
        models = {name.split(".")[0] for name, _ in _imports(path)} & MODELS
        assert not models, f"{path.name} imports {models}"


def _at_module_level(path: Path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.name)
def test_commands_load_nothing_heavy(path):
    allowed = ("metavad.cli", "metavad", "typer", "typer.core")
    light = sys.stdlib_module_names
    found = [name for name in _at_module_level(path) if name not in allowed and not name.startswith("metavad.cli")]
    assert [name for name in found if name.split(".")[0] not in light] == []


def test_the_reader_sees_what_is_imported():
    """The test itself: relative, aliased and local imports are all seen, and circles found."""
    assert "metavad.files" in {module for module, _ in _ours(MODULES["metavad.scenes.cache"])}
    text = "import os as system\ndef f():\n    from a.b import c\nfrom . import d\nfrom ..e import f\n"
    found = list(_imported(ast.parse(text), "p.q"))
    assert found == [("os", 1, "system"), ("p.q.d", 4, "d"), ("p.e.f", 5, "f"), ("a.b.c", 3, "c")]
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
