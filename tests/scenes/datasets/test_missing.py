"""A dataset that is not here is one message: what, how to get it, terms, and the files that are expected."""

import pytest

from metavad.errors import MissingDataError
from metavad.scenes.suite import about, load_suite
from metavad.shipped import shipped

SUITES = [name for name in shipped("tasks") if not about(name).generate]


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("somewhere", [True, False])
def test_every_suite_says_how_it_is_had(name, somewhere, tmp_path, monkeypatch):
    monkeypatch.delenv("METAVAD_DATA", raising=False)
    with pytest.raises(MissingDataError) as missing:
        load_suite(name, tmp_path if somewhere else None)
    line, suite = str(missing.value), about(name)
    assert line.startswith(f"{name}: expected ")
    assert "{" not in line  # a form with gaps says nothing to a reader
    assert "say where with --data DIR or METAVAD_DATA" in line
    place = tmp_path if somewhere else "DIR"
    assert (f"`metavad data fetch {name} --data {place}`" in line) == bool(suite.archives)
    details = missing.value.details
    assert details[0] == suite.title
    assert {f"get: {suite.get}", f"terms: {suite.terms}", f"cite: {suite.reference}"} <= set(details)
    expected = next(n for n, text in enumerate(details) if text.startswith("Expected under the data root"))
    assert "/" in "".join(details[expected:])  # paths


def test_a_file_of_one_s_own_names_what_matched_nothing(tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[[scenes]]\nname = "{camera}"\npattern = "(?P<camera>[^/]+)"\nnormal = ["*.mp4"]\n'
    )
    with pytest.raises(Exception, match=r"mine: expected videos, but '\*\.mp4' matched nothing under"):
        load_suite(str(tmp_path / "mine.toml"))
