"""One word for one thing: words that stand for nothing in this field name nothing here.

Looked for in identifiers (functions, classes, variables, attributes, parameters), names of files, settings, and terms
of docstrings (what stands in double backticks). In plain sentences they are English.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from metavad.config import load_config

ROOT = Path(__file__).parents[1]
FOLDERS = ("metavad", "benchmarks", "tests")
WORDS = {
    *("heard", "said", "speaks", "voice", "louder", "leads", "blind", "judges", "told", "moment", "moments", "reel"),
    *("stranger", "strangers", "ahead"),
}
GRADIENTS = {"moments", "first_moment"}
"""What Adam keeps, in :mod:`metavad.meta`: the word's meaning there."""


def parts(name: str) -> list[str]:
    """The words of an identifier, split at underscores and capitals.

    >>> parts("read_ahead"), parts("ReelOfTime"), parts("HTTPServer2")
    (['read', 'ahead'], ['reel', 'of', 'time'], ['http', 'server', '2'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name that a module gives or uses."""
    for node in ast.walk(tree):
        for field in ("name", "id", "attr", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def terms(tree: ast.AST) -> Iterator[str]:
    """What docstrings, and the strings below an attribute, have in double backticks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from re.findall(r"``([^`]+)``", node.value.value)


def wrong(names: Iterator[str]) -> list[str]:
    return sorted({name for name in names if WORDS & set(parts(name))})


def modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_identifiers_and_terms_are_the_field_s(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = GRADIENTS if "meta" in path.parts else set()
    assert wrong(name for name in identifiers(tree) if name not in allowed) == []
    assert wrong(terms(tree)) == []


def test_files_are_named_in_the_field_s_words():
    folders = (*FOLDERS, "docs", "configs", "tasks", "networks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    assert len(files) > 300
    assert wrong(str(path.relative_to(ROOT)) for path in files) == []


def test_settings_are_named_in_the_field_s_words():
    settings = load_config().model_dump()
    keys = [*settings, *(key for section in settings.values() if isinstance(section, dict) for key in section)]
    assert "inner_steps" in keys
    assert wrong(iter(keys)) == []


def test_the_reader_sees_every_kind_of_name():
    """The test itself."""
    text = '''
def told(strangers, *, ahead): "Of ``moments``."
class Reel:
    voice: int
    """Of ``the_blind``."""
x.heard = said(louder=1)
'''
    tree = ast.parse(text)
    found = wrong(identifiers(tree))
    assert found == ["Reel", "ahead", "heard", "louder", "said", "strangers", "told", "voice"]
    assert wrong(terms(tree)) == ["moments", "the_blind"]
