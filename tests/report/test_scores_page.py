"""The page about what was found: one file, links that lead somewhere, times and places that agree with the record."""

import json
import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from metavad.errors import MetavadWarning
from metavad.report import scores_page
from metavad.report.scores_page import Introduction, write_scores_page
from metavad.scoring.frames import FrameScore
from metavad.scoring.results import ANNOTATED, EventRecord, EventsRecord, PeakRecord, write_stream
from tests.footage import write_video

START = datetime(2026, 11, 30, 7, 59, 50, tzinfo=timezone(timedelta(hours=1)))
SECONDS = np.arange(200) / 10


class Page(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.source = [], "", path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag, **wanted):
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]

    @property
    def data(self):
        return json.loads(re.search(r'<script type="application/json">(.*?)</script>', self.source)[1])


def scores_of(folder, *, seconds=SECONDS, events=((5.0, 8.0),), start=None, threshold=2.0, file=None, name=None):
    """A folder as ``metavad score`` writes it."""
    folder.mkdir(parents=True)
    inside = [any(begin <= second < end for begin, end in events) for second in seconds]
    frames = [FrameScore(n, float(seconds[n]), 4.0 if on else 1.0, on, None) for n, on in enumerate(inside)]
    write_stream(folder / "scores.csv", frames, seconds=seconds, merge=0.2, start=start)
    for kind, count in (("events", len(events)), ("highest", 0 if events else 3)):
        (folder / kind).mkdir()
        for number in range(count):
            (folder / kind / f"{number:03d}.jpg").write_bytes(b"\xff\xd8picture")
    record = EventsRecord(
        schema=1,
        video=name or folder.name,
        detector="d",
        threshold=threshold,
        promise=None,
        events=tuple(
            EventRecord(start=begin, end=end, peak=begin, score=4.0, box=None, reason="something <moves>", shares={},
                        nearest_shot=None, picture=f"events/{number:03d}.jpg")
            for number, (begin, end) in enumerate(events)
        ),
        highest=() if events else tuple(
            PeakRecord(second=6.0 + n, score=1.0, alarms_per_day=120.0, box=None, picture=f"highest/{n:03d}.jpg")
            for n in range(3)
        ),
        start_time=start,
        start_time_source=None if start is None else "file",
        file=file,
    )  # fmt: skip
    (folder / "events.json").write_text(record.model_dump_json(by_alias=True))
    return folder


def page_of(tmp_path, *folders, introduction=None):
    write_scores_page(tmp_path / "index.html", folders, introduction)
    return Page(tmp_path / "index.html")


def test_one_file_holds_all_but_the_video(tmp_path):
    folder = scores_of(tmp_path / "monday")
    (folder / ANNOTATED).write_bytes(b"mp4")
    page = page_of(tmp_path, folder)
    assert "1 event in 1 video" in page.text
    assert [image["src"][:23] for image in page.all("img")] == ["data:image/jpeg;base64,"]
    assert not page.all("link")
    assert [script for script in page.all("script") if "src" in script] == []
    assert "http" not in page.source
    assert "something <moves>" in page.text
    (player,) = page.all("video")
    assert player["src"] == "monday/annotated.mp4#t=0.01"
    for link in page.all("a"):
        assert (tmp_path / unquote(link["href"].partition("#")[0])).is_file()


def test_a_click_goes_to_a_second_before_the_event(tmp_path):
    folder = scores_of(tmp_path / "monday", events=((0.5, 2.0), (5.0, 8.0)))
    (folder / ANNOTATED).write_bytes(b"mp4")
    page = page_of(tmp_path, folder)
    assert [float(link["data-at"]) for link in page.all("a") if "data-at" in link] == [0.0, 4.0]
    bands = [(float(each["x"]), float(each["width"])) for each in page.all("rect")]
    assert bands == [pytest.approx((25, 75), abs=1), pytest.approx((250, 150), abs=1)]
    data = page.data
    assert {len(values) for values in data.values()} == {len(SECONDS)}
    np.testing.assert_allclose(data["at"], SECONDS, atol=1e-3)
    np.testing.assert_allclose(data["place"], SECONDS / 20, atol=3e-3)
    assert (max(data["score"]), data["when"][60]) == (4.0, "0:06")


def test_gaps_are_left_out_of_the_axis_and_of_an_annotated_video_only(tmp_path):
    seconds = np.concatenate([np.arange(100) / 10, 3600 + np.arange(100) / 10])
    folder = scores_of(tmp_path / "joined", seconds=seconds, events=((3604.0, 3606.0),), file="../joined.mp4")
    write_video(tmp_path / "joined.mp4", range(2))
    page = page_of(tmp_path, folder)
    assert [float(link["data-at"]) for link in page.all("a") if "data-at" in link] == [3603.0]
    assert float(page.all("rect")[0]["x"]) == pytest.approx(700, abs=2)
    assert page.all("video")[0]["src"].startswith("joined.mp4#")
    (folder / ANNOTATED).write_bytes(b"mp4")
    page = page_of(tmp_path, folder)
    assert [float(link["data-at"]) for link in page.all("a") if "data-at" in link] == [13.0]
    assert (page.data["at"][150], page.data["when"][150]) == (15.0, "1:00:05")


def test_times_of_the_day_where_they_are_known(tmp_path):
    page = page_of(tmp_path, scores_of(tmp_path / "monday", start=START))
    assert "07:59:55 to 07:59:58" in page.text
    assert "begins 2026-11-30 07:59:50, as the file says" in page.text
    marks = re.search(r'<div class="marks".*?</div>', page.source)[0]
    places, texts = zip(*re.findall(r'left: ([\d.]+)%">([\d:]+)<', marks), strict=True)
    assert texts == ("07:59:50", "07:59:55", "08:00:00", "08:00:05")
    np.testing.assert_allclose([float(place) for place in places], [0, 25, 50, 75], atol=0.5)


def test_without_an_event_the_highest_scores_and_what_a_threshold_there_would_mean(tmp_path):
    page = page_of(tmp_path, scores_of(tmp_path / "quiet", events=(), threshold=40.0))
    assert "No event in 1 video" in page.text
    assert page.text.count("A threshold here would mean about 120 alarms a day.") == 3
    assert len(page.all("img")) == 3
    assert "threshold 40.0, far above this plot" in page.text
    assert page.all("line", **{"class": "level"}) == []


def test_without_any_video_nothing_seeks(tmp_path):
    page = page_of(tmp_path, scores_of(tmp_path / "frames", file="../gone.mp4"))
    assert page.all("video") == []
    assert not any("data-at" in link for link in page.all("a"))
    assert page.all("div", **{"class": "both alone"})


def test_names_are_data_and_addresses_are_quoted(tmp_path):
    odd = 'a #1 50%"</script><b>'.replace("/", "-")
    folder = scores_of(tmp_path / odd, name='x\n</script><script>alert("1")</script>')
    (folder / ANNOTATED).write_bytes(b"mp4")
    page = page_of(tmp_path, folder)
    assert page.source.count("<script") == 2
    assert '?</script><script>alert("1")</script>' in page.text
    assert (tmp_path / unquote(page.all("video")[0]["src"].removesuffix("#t=0.01"))).is_file()


def test_videos_come_in_the_order_of_their_times_else_of_their_names(tmp_path):
    folders = [scores_of(tmp_path / name) for name in ("cam10", "cam2")]
    names = re.compile(r"<h2>(\w+)</h2>")
    assert names.findall(page_of(tmp_path, *folders).source) == ["cam2", "cam10"]
    timed = [scores_of(tmp_path / name, start=START + timedelta(hours=n)) for n, name in enumerate(["z", "y"])]
    page = page_of(tmp_path, *reversed(timed))
    assert names.findall(page.source) == ["z", "y"]
    assert [link["href"] for link in page.all("a")][:2] == ["#video-0", "#video-1"]


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path):
    good, bad = scores_of(tmp_path / "good"), scores_of(tmp_path / "bad")
    (bad / "events.json").write_text("{")
    with pytest.warns(MetavadWarning, match="bad.*the page leaves it out"):
        assert "1 event in 1 video" in page_of(tmp_path, good, bad).text


def test_many_pictures_stay_in_their_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(scores_page, "EMBEDDED", 1)
    page = page_of(tmp_path, scores_of(tmp_path / "busy", events=((1.0, 2.0), (5.0, 6.0), (9.0, 10.0))))
    assert [image["src"][:10] for image in page.all("img")] == ["data:image", "busy/event", "busy/event"]
    assert all(image["loading"] == "lazy" for image in page.all("img"))


def test_an_introduction_stands_above(tmp_path):
    above = Introduction("A vehicle", ["It was found."], [("figures", "report.html")])
    page = page_of(tmp_path, scores_of(tmp_path / "monday"), introduction=above)
    assert "A vehicle" in page.text
    assert page.all("a")[0]["href"] == "report.html"
