"""``metavad demo``, made small: everything that it promises is there."""

import json

import pytest

from metavad.cli import demo
from metavad.synthetic import abnormal_kinds, plan_videos, sample_camera


@pytest.fixture
def small(monkeypatch, tiny_config):
    """Fewer cameras, shorter videos, a tiny base."""
    from metavad import config

    footage = {"size": "tiny", "normal_videos": 2, "test_videos": 1, "normal_seconds": 3.0, "test_seconds": 4.0}
    small = {"TRAIN": 2, "UNSEEN": 1, "FULL_SHOTS": (0, 1), "DRAWS": 1, "TO_LEARN": footage, "TO_TEST": footage}
    for name, value in small.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(config, "load_config", lambda name: tiny_config)


@pytest.fixture
def short(monkeypatch, tiny_base):
    """A tiny camera and one more, and a tiny base in place of the one that ships."""
    from metavad.normality import base

    camera = {"size": "tiny", "normal_videos": 2, "test_videos": 4, "normal_seconds": 3.0, "test_seconds": 4.0}
    small = {"CAMERA": camera, "OTHER": camera | {"test_videos": 2}, "OTHERS": 1, "HIGH": 72, "SHOTS": 2}
    for name, value in small.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(base, "load_base", lambda: tiny_base)


def test_the_short_way(short, metavad, tmp_path):
    result = metavad("demo", "--out", "d")
    assert result.code == 0, result.err
    number, video = demo.first_readable(0)
    assert f"d/camera/camera-{number:03d}" in result.out.splitlines()[0]
    events = json.loads((tmp_path / "d" / "scores" / video / "events.json").read_text())["events"]
    assert ("Found, from" in result.out) != ("Missed: no alarm" in result.out)
    pictures = [line.split()[-1] for line in result.out.splitlines() if "its picture" in line]
    assert all((tmp_path / picture).is_file() for picture in pictures)
    assert len(pictures) <= len(events)
    page = (tmp_path / "d" / "index.html").read_text()
    assert f'src="scores/{video}/annotated.mp4' in page
    assert ("Found: a vehicle" in page) == ("Found, from" in result.out)
    assert 'href="report.html"' in page
    shown = [line.split()[-1] for line in result.out.splitlines() if line.startswith(("  its video", "  the page"))]
    assert [(tmp_path / path).is_file() for path in shown] == [True, True]
    record = json.loads((tmp_path / "d" / "record.json").read_text())
    assert [row["method"] for row in record["rows"]] == ["zero-shot", "adapted"] * 2
    table = result.out.splitlines()
    head = next(place for place, line in enumerate(table) if line.startswith("camera "))
    assert [line.split()[0] for line in table[head + 1 : head + 4]] == [f"camera-{number:03d}", "camera-200", "mean"]
    assert "Open d/report.html" in result.out
    assert "camera-200" in (tmp_path / "d" / "report.html").read_text()
    again = metavad("demo", "--out", "d")
    assert (again.code, "name another --out" in again.line) == (1, True)


def test_the_whole_way(small, metavad, tmp_path):
    result = metavad("demo", "--full", "--out", "d", "--seed", 1)
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "d" / "record.json").read_text())
    assert len(record["rows"]) == 7
    page = (tmp_path / "d" / "report.html").read_text()
    assert "camera-002" in page
    assert "metavad adapt --normal" in result.out.splitlines()[-3]


@pytest.mark.parametrize(
    ("start", "end", "box", "is_right"),
    [(2.0, 5.0, (0, 0, 20, 20), True), (2.0, 5.0, (40, 0, 20, 20), False), (6.0, 8.0, (0, 0, 20, 20), False),
     (2.0, 5.0, None, False)],
)  # fmt: skip
def test_an_alarm_is_right_at_the_time_and_the_place(start, end, box, is_right):
    from metavad.scoring.pixel_box import PixelBox
    from metavad.scoring.results import EventRecord

    place = None if box is None else PixelBox(x=box[0], y=box[1], width=box[2], height=box[3])
    event = EventRecord(start=start, end=end, peak=3.0, score=5.0, box=place, reason="", shares={}, nearest_shot=None,
                        picture=None)  # fmt: skip
    boxes = [(2.5, (10.0, 10.0, 30.0, 30.0)), (4.5, (40.0, 0.0, 60.0, 20.0))]
    assert demo._is_right(event, [(2.5, 4.0)], boxes) == is_right


@pytest.mark.parametrize("seed", range(4))
def test_the_camera_is_the_first_that_keeps_the_rule(seed):
    """By what the generator plans, before anything is drawn."""
    counts = [demo.CAMERA[key] for key in ("normal_videos", "test_videos", "normal_seconds", "test_seconds")]

    def video(number):
        spec = sample_camera(seed, number, "full")
        if spec.kind != "plaza" or spec.look.night or spec.look.grey or spec.lens.height < 240:
            return None
        if spec.habits.includes & {"running", "cycling", "driving"}:
            return None
        assert "vehicle" in abnormal_kinds(spec)
        return next((each.name for each in plan_videos(spec, *counts)[1] if each.event == "vehicle"), None)

    number, name = demo.first_readable(seed)
    assert number >= demo.FIRST
    assert [video(each) for each in range(demo.FIRST, number + 1)] == [None] * (number - demo.FIRST) + [name]


@pytest.mark.parametrize(
    ("value", "certain", "text"),
    [
        (0.1, True, "The clips help"),
        (-0.1, True, "The clips do harm"),
        (0.1, False, "not certain"),
        (None, False, "un"),
    ],
)
def test_no_gain_is_claimed_that_is_not_certain(value, certain, text):
    from metavad.benchmark.record import Difference

    gain = Difference.model_construct(value=value, certain=certain)
    assert text in demo._verdict(gain)
    assert ("help" in demo._verdict(gain)) == bool(certain and value > 0)


def test_what_the_demo_promises():
    assert (demo.SHOTS, demo.OTHERS) == (10, 5)
    assert demo.TRAIN >= 8
    assert demo.UNSEEN >= 6
    assert demo.FULL_SHOTS == (0, 1, 5, 10)
    assert demo.DRAWS == 2
