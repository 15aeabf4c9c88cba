import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from metavad.benchmark.protocol import METHODS
from metavad.benchmark.record import SceneExample
from metavad.report.page import headline, render_page
from tests.records import changed, difference_of, only_rows, record_of, row_of, with_rows

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """What a browser would make of it: balanced tags, attributes, table cells, text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.rows, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        self.text += data
        if {"td", "th"} & set(self.open[-2:]):
            self.rows[-1][-1] += data

    def named(self, *names):
        return [value for _, name, value in self.attributes if name in names]


@pytest.fixture
def example():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=60)
    picture = generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return SceneExample(
        scene="ped_2",
        video="Test <01>.avi",
        seconds=np.arange(60) / 10,
        scores=scores,
        threshold=1.0,
        alarms=np.array([[3, 5]]),
        labels=scores > 1.5,
        top_frame=picture,
        heat=generator.random((6, 8)),
        shots=(picture,) * 15,
        text="at most 10 false alarms a day & night",
        reason="something moves faster than shown & lies",
        nearest=13,
    )


def test_nothing_is_fetched(record, example):
    text = render_page(record, [example])
    page = Page(text)
    sources = page.named("src", "href", "xlink:href", "srcset", "poster", "data", "action")
    assert sources
    assert all(value.startswith(("data:", "#")) for value in sources)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "script" not in {tag for tag, _, _ in page.attributes}
    # The only addresses are the names of the SVG vocabulary.
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


def test_every_row_of_the_record_stands_in_the_page(record):
    page = Page(render_page(record))
    shown = [row[:5] for row in page.rows]
    for row in record.rows:
        assert [row.suite, row.scene, row.method, str(row.shots), str(row.draws)] in shown
    undefined = [row for row in page.rows if row[0] == "held-out"]
    assert all("–" in row for row in undefined)


def test_the_table_of_the_page_is_the_grid(record):
    page = Page(render_page(record))
    cells = [[cell.strip() for cell in row] for row in page.rows]
    assert ["scene", "method", "K = 0", "K = 1", "K = 10"] in cells
    assert ["adapted", "", "94.0 ±1.0", "98.0 ±1.0"] in cells
    assert ["mean", "position", "55.0", "", ""] in cells


def test_the_headline_says_what_the_record_says(record):
    assert (
        headline(record)
        == "With 10 normal clips each, metavad reaches 93.0 % AUC on 2 new cameras; against the same base without "
        "clips +8.0 (no interval), not certain."
    )
    worse = with_rows(record, lambda row: row.method == "adapted", micro_auc=0.7)
    assert "70.0 % AUC" in headline(worse)
    assert "without clips -15.0 (no interval)" in headline(worse)
    undefined = with_rows(record, lambda row: row.scene == "lawn", micro_auc=None)
    assert "With 10 normal clips each, metavad reaches 98.0 % AUC on 1 of 2 new cameras;" in headline(undefined)
    assert "does not hold" in headline(only_rows(record, lambda row: row.method != "adapted"))


@pytest.mark.parametrize(
    ("certain", "low", "end"),
    [
        (True, 0.02, "without clips +8.0 (95 %: +2.0 to +18.0)."),
        (False, -0.02, "without clips +8.0 (95 %: -2.0 to +18.0), not certain."),
        (False, 0.02, "without clips +8.0 (95 %: +2.0 to +18.0), not certain: too few cameras."),
    ],
)
def test_the_headline_has_the_interval_and_says_what_is_not_certain(record, certain, low, end):
    gain = difference_of("adapted", 10, "zero-shot", certain, suite="", scene="mean", scenes=4, low=low, high=0.18)
    others = difference_of("adapted", 1, "zero-shot", certain, suite="", scene="mean", scenes=4, low=0.5, high=0.6)
    assert headline(changed(record, differences=(others, gain))).endswith(end)


def test_the_headline_of_one_camera_has_its_own_interval(record):
    """A camera that is called mean is not the mean."""
    one = record_of([row_of("mean", "zero-shot", 0, 0.5), row_of("mean", "adapted", 10, 0.6)])
    gain = difference_of("adapted", 10, "zero-shot", certain=False, scene="mean", low=0.01, high=0.2)
    assert headline(changed(one, differences=(gain,))).endswith("+20.0), not certain: too few test videos.")


def test_intervals_stand_in_columns_of_their_own_and_differences_in_a_table(record):
    record = with_rows(
        record, lambda row: row.shots == 10, micro_auc_low=0.81, micro_auc_high=0.99, interval_level=0.95
    )
    gain = difference_of("adapted", 10, "zero-shot", certain=True, value=0.08, low=0.01, high=0.2)
    page = Page(render_page(changed(record, differences=(gain,))))
    cells = [[cell.strip() for cell in row] for row in page.rows]
    assert ["scene", "method", "K = 0", "K = 1", "K = 10", "95 %"] in cells
    assert ["adapted", "", "94.0 ±1.0", "98.0 ±1.0", "81.0 to 99.0"] in cells
    assert ["scene", "adapted minus", "K = 10", "95 %"] in cells
    assert ["lawn", "zero-shot", "+8.0", "+1.0 to +20.0"] in cells


def test_one_number_of_clips_is_no_curve(record):
    assert "How much each clip brings" in render_page(record)
    one = changed(only_rows(record, lambda row: row.shots != 1), shots=(0, 10))
    assert "How much each clip brings" not in render_page(one)


def test_examples_show_timeline_frame_and_shots(record, example):
    page = Page(render_page(record, [example]))
    pictures = page.named("src")
    assert len(pictures) == 1 + 12
    assert "(and 3 more)" in page.text
    assert "Test <01>.avi" in page.text
    assert "Something moves faster than shown & lies." in page.text
    assert "At most 10 false alarms a day & night." in page.text
    nearest = [value for value in page.named("alt") if value.endswith("nearest to that frame")]
    assert nearest == ["clip 12 shown of ped_2, nearest to that frame"]
    assert "AUC 90.0 % without clips, 98.0 % with 10" in page.text
    data = base64.b64decode(pictures[0].split(",", 1)[1])
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_text_of_others_is_escaped(record):
    text = render_page(record)
    assert "held-out <b>" not in text
    assert "held-out &lt;b&gt;" in text
    assert "held-out <b>" in Page(text).text


def test_ids_are_unique_and_references_resolve(record, example):
    page = Page(render_page(record, [example, example]))
    identities = page.named("id")
    assert len(identities) == len(set(identities))
    used = {value[1:] for value in page.named("xlink:href")}
    used |= {match for value in page.named("clip-path") for match in re.findall(r"url\(#(.*?)\)", value)}
    assert used <= set(identities)


def test_plots_take_the_colours_of_the_page(record):
    text = render_page(record)
    curves = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--adapted" in curves
    for name in set(re.findall(r"var\(--([\w-]+)", text)):
        assert text.count(f"--{name}: ") >= 2  # light and dark
    assert "prefers-color-scheme: dark" in text


def test_how_it_was_made_and_what_rows_mean(record):
    page = Page(render_page(record))
    for fact in ("0.1.0", "base-1", "7", "torch 2.13.0", '"rate": 10'):
        assert fact in page.text
    for method in {row.method for row in record.rows}:
        assert METHODS[method].meaning in page.text
    assert METHODS["refit"].meaning not in page.text  # not in this record
