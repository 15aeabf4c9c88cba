"""``metavad demo``, made small: everything that it promises is there."""

import json

import pytest

from metavad.cli import demo


@pytest.fixture
def small(monkeypatch, tiny_config):
    """Fewer cameras, shorter videos, a tiny base."""
    from metavad import config

    footage = {"size": "tiny", "normal_videos": 2, "test_videos": 1, "normal_seconds": 3.0, "test_seconds": 4.0}
    for name, value in {"TRAIN": 2, "UNSEEN": 1, "SHOTS": (0, 1), "DRAWS": 1, "FOOTAGE": footage}.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(config, "load_config", lambda name: tiny_config)


def test_the_whole_way(small, metavad, tmp_path):
    result = metavad("demo", "--out", "d", "--seed", 1)
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "d" / "record.json").read_text())
    assert len(record["rows"]) == 7
    page = (tmp_path / "d" / "report.html").read_text()
    assert "camera-002" in page
    assert "metavad adapt --normal" in result.out.splitlines()[-3]
    again = metavad("demo", "--out", "d")
    assert (again.code, "name another --out" in again.line) == (1, True)


def test_what_the_demo_promises():
    assert demo.TRAIN >= 8
    assert demo.UNSEEN >= 6
    assert demo.SHOTS == (0, 1, 5, 10)
    assert demo.DRAWS == 2
