"""The script that measures evaluation tricks, and the page that shows what they do."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocol.md"


@pytest.fixture(scope="module")
def tricks():
    spec = importlib.util.spec_from_file_location("tricks", ROOT / "benchmarks" / "tricks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["tricks"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["tricks"]


@pytest.fixture
def arrays():
    """Two videos that are ranked perfectly by themselves and lie on different levels; the second draw is noise."""
    generator = np.random.default_rng(0)
    found = {}
    for name, level in (("a", 0.0), ("b", 5.0)):
        labels = (np.arange(60) >= 40).astype(np.float32)
        found |= {f"s:c/{name}/labels": labels, f"s:c/{name}/seconds": np.arange(60) / 10}
        for draw, scores in enumerate((level + labels, generator.normal(size=60))):
            found |= {f"s:c/{name}/adapted/10/{draw}": scores, f"s:c/{name}/adapted/10/{draw}/raw": scores}
    return found


def test_tricks_do_what_they_are_called(tricks, arrays):
    case = tricks.case_of(arrays, "s:c", "adapted/10")
    assert (len(case.labels), len(case.smoothed)) == (2, 2)
    alone = tricks.Case(case.labels, case.smoothed[:1], case.raw[:1], case.seconds)
    plain = tricks.treated()(alone)
    assert plain == pytest.approx(0.75)
    assert tricks.treated(tricks.stretch)(alone) == 1.0
    assert tricks.averaged(padded=False)(alone) == 1.0
    assert tricks.best_draw(case) == pytest.approx(0.75)
    assert tricks.treated()(case) < 0.75
    assert tricks.noise(alone) > 0.5
    for trick in tricks.TRICKS.values():
        assert 0 <= trick(case) <= 1


def test_the_table_goes_between_its_marks(tricks, arrays, tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "scores.npz", **arrays)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{tricks.BEGIN}\nold\n{tricks.END}\nafter\n")
    monkeypatch.setattr(sys, "argv", ["tricks.py", str(tmp_path / "scores.npz"), "--write", str(page)])
    tricks.main()
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| per-video min-max |" in text
    assert "| per-video min-max |" in capsys.readouterr().out


def test_the_page_holds_the_measured_effects_and_all_its_pictures(tricks):
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition(tricks.BEGIN)[2].partition(tricks.END)[0]
    assert all(f"| {name} |" in table for name in tricks.TRICKS)
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", text)
    assert len(set(pictures)) == len(pictures) >= 15
    assert all((PAGE.parent / picture).is_file() for picture in pictures)
