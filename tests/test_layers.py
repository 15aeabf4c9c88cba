"""Who may import whom: the imports of every module against the graph of the design."""

import ast
import sys
from pathlib import Path

import pytest

import metavad

PACKAGE = Path(metavad.__file__).parent

OPEN = {"", "bundle", "config", "errors", "files", "progress", "recordings", "runs", "shipped", "threads", "types"}
"""Open to all; "" is the package itself (its version)."""

MAY_IMPORT = {
    "": set(),  # public names are loaded lazily, by name
    "bundle": set(),
    "config": set(),
    "errors": set(),
    "files": set(),
    "progress": set(),
    "recordings": set(),
    "runs": set(),
    "shipped": set(),
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
}
"""Beside the open ones. ``cli`` may import everything, and nothing imports it."""

HEAVY = {"torch", "zuko", "sklearn"}


def _modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)


def _part(dotted: str) -> str:
    """``metavad.scenes.suite`` to ``scenes``."""
    return dotted.split(".")[1] if "." in dotted else ""


def _dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path):
    """Absolute names of everything imported, anywhere in the file, with the line."""
    package = _dotted(path) if path.name == "__init__.py" else _dotted(path).rpartition(".")[0]
    return _imported(path.read_text(encoding="utf-8"), package)


def _imported(text: str, package: str):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def _ours(path: Path):
    for name, line in _imports(path):
        if name == "metavad" or name.startswith("metavad."):
            dotted = name if name.count(".") != 1 or _is_module(name) else "metavad"
            yield _part(dotted), line


def _is_module(name: str) -> bool:
    place = PACKAGE / name.split(".")[1]
    return place.is_dir() or place.with_suffix(".py").is_file()


@pytest.mark.parametrize("path", _modules(), ids=_dotted)
def test_imports_follow_the_graph(path):
    part = _part(_dotted(path))
    if part in ("", "cli"):  # public names are named for type checkers, and loaded when they are first used
        return
    wrong = [
        f"{path.name}:{line} imports {target}"
        for target, line in _ours(path)
        if target != part and target not in OPEN | MAY_IMPORT[part]
    ]
    assert not wrong, wrong


def test_every_part_is_in_the_graph():
    parts = {_part(_dotted(path)) for path in _modules()}
    assert parts <= MAY_IMPORT.keys() | {"cli"}


def test_the_graph_has_no_cycle():
    done: set[str] = set()
    waiting = dict(MAY_IMPORT)
    while waiting:
        ready = [part for part, targets in waiting.items() if targets <= done]
        assert ready, f"a cycle among {sorted(waiting)}"
        done |= set(ready)
        for part in ready:
            del waiting[part]


@pytest.mark.parametrize("part", ["evaluation", "scenes", "report"])
def test_no_model_where_figures_and_pixels_are(part):
    for path in (PACKAGE / part).rglob("*.py"):
        heavy = {name.split(".")[0] for name, _ in _imports(path)} & HEAVY
        assert not heavy, f"{path.name} imports {heavy}"


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
    """The test itself: relative, aliased and local imports are all seen."""
    assert "files" in {part for part, _ in _ours(PACKAGE / "scenes" / "cache.py")}
    text = "import os as system\ndef f():\n    from a.b import c\nfrom . import d\nfrom ..e import f\n"
    assert list(_imported(text, "p.q")) == [("os", 1), ("p.q.d", 4), ("p.e.f", 5), ("a.b.c", 3)]
