"""``metavad events`` over what was watched: listed, filtered, exported, and found again with another threshold."""

import contextlib
import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from metavad.live.again import watched_again
from metavad.live.index import INDEX, Index, Session
from metavad.live.page import render_page, when
from metavad.live.records import WatchedEvents
from metavad.live.rules import Rules
from metavad.live.store import EventStore
from metavad.live.types import Condition
from metavad.scoring.events import find_events
from tests.live.conftest import BEGAN, SIZE, event, scored, snapshot

TIMES = np.arange(0, 60, 0.1)
SCORES = np.where((TIMES >= 10) & (TIMES < 12), 9.0, 1.0) + np.where((TIMES >= 40) & (TIMES < 41), 3.0, 0.0)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Two cameras: an event of the first at 10 s, one of the second at 20 s, too short to tell; a moved camera."""
    folder = tmp_path_factory.mktemp("watched")
    store = EventStore(folder, Session("lobby", "utc", "d" * 64, 5.0, 1.0, 300.0), size=SIZE)
    for frame, score in zip(scored(0, 60, high=(10, 12)), SCORES, strict=True):
        store.frames([replace(frame, score=float(score))])
        if frame.seconds == BEGAN + 10.3:
            store.opened(event(end=10.3), snapshot(10.2))
        if frame.seconds == BEGAN + 13:
            store.closed(event(), None)
    store.condition(Condition("moved", BEGAN + 50, None, "the camera shows another view than before"))
    store.close()
    rules = Rules(minimum=2.0)
    store = EventStore(folder, Session("yard", "utc", "e" * 64, 5.0, 1.0, 300.0), size=SIZE, rules=rules)
    other = event(20, 21, id="yard-1", camera="yard", score=6.0, box=(44.0, 30.0, 60.0, 46.0), reason="=evil, <b>")
    store.opened(other, None)
    store.closed(other, None)
    store.close()
    return folder


@pytest.fixture
def metavad(tmp_path, monkeypatch):
    from metavad.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(each) for each in arguments])
        return code, out.getvalue(), err.getvalue()

    return run


def listed(metavad, watched, *options):
    """The ids of the events that are shown."""
    code, out, err = metavad("events", watched, "--time-zone", "UTC", *options)
    assert code == 0, err
    return [line.split()[-1] for line in out.splitlines() if line.split()[-1] in (event().id, "yard-1")]


def test_a_list_for_people(metavad, watched):
    code, out, _ = metavad("events", watched, "--time-zone", "Europe/Berlin")
    lines = out.splitlines()
    assert code == 0
    assert "2026-05-28 22:26:50" in lines[1]
    assert "9.0" in lines[1]
    assert "too short" in lines[2]
    assert lines[3] == f"2 events, 1 of them told; {watched / 'events.html'}"
    assert lines[4].endswith("still: the camera shows another view than before")


def test_filters(metavad, watched):
    lobby, yard = event().id, "yard-1"
    assert listed(metavad, watched) == [lobby, yard]
    assert listed(metavad, watched, "--camera", "yard") == [yard]
    assert listed(metavad, watched, "--score", "8") == [lobby]
    assert listed(metavad, watched, "--place", "bottom right") == [yard]
    assert listed(metavad, watched, "--place", "0,0 0.5,0 0.5,1 0,1") == [lobby]
    assert listed(metavad, watched, "--since", "2026-05-28T20:26:55") == [yard]
    assert listed(metavad, watched, "--until", "2026-05-28T20:26:55") == [lobby]
    assert listed(metavad, watched, "--since", "2026-05-28T22:26:55+02:00") == [yard]


def test_exports(metavad, watched, tmp_path):
    listed(metavad, watched, "--json", "all.json", "--csv", "all.csv")
    found = WatchedEvents.model_validate_json((tmp_path / "all.json").read_text())
    first, second = found.events
    assert (first.id, first.start, first.seconds, first.score) == (
        event().id,
        "2026-05-28T20:26:50.000+00:00",
        2.0,
        9.0,
    )
    assert (first.box.x, first.box.width, first.place) == (8, 16, "left")
    assert (first.announced, second.announced, second.withheld) == ("2026-05-28T20:26:50.300+00:00", None, "short")
    assert (watched / first.clip).is_file()
    assert [(each.camera, each.kind, each.end) for each in found.conditions] == [("lobby", "moved", None)]
    assert json.loads((tmp_path / "all.json").read_text())["schema"] == 1
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [event().id, "yard-1"]
    assert (rows[0]["x"], rows[0]["reason"], rows[0]["detector"]) == ("8", event().reason, event().detector)
    assert rows[1]["reason"] == "'=evil, <b>", "no spreadsheet computes it"


def test_another_threshold_on_the_scores_that_were_kept(metavad, watched, tmp_path):
    code, out, _ = metavad("events", watched, "--threshold", 3.5, "--camera", "lobby", "--json", "low.json")
    assert (code, "2 events over 3.50" in out, "not among the events that were found" in out) == (0, True, True)
    events = json.loads((tmp_path / "low.json").read_text())["events"]
    assert [each["id"] for each in events] == [event().id, ""]
    assert (events[0]["reason"], events[0]["threshold"]) == (event().reason, 3.5)
    assert metavad("events", watched, "--threshold", 20)[1].startswith("0 events over 20.00")


@pytest.mark.parametrize("threshold", [0.5, 2.0, 3.5, 5.0, 8.9])
def test_the_events_are_those_of_the_scores(watched, threshold):
    expected = find_events(SCORES.astype(np.float32).astype(float), BEGAN + TIMES, threshold, merge=1.0)
    with Index(watched) as index:
        found = [each.event for each in watched_again(index, threshold, camera="lobby")]
    for name in ("start", "end", "peak", "score"):
        np.testing.assert_allclose(
            [getattr(each, name) for each in found], [getattr(each, name) for each in expected], rtol=0, atol=1e-5
        )
    assert len(found) == len(expected) >= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--camera", "lobbi"], "did you mean 'lobby'"),
        (["--since", "yesterday"], "--since: expected a time"),
        (["--since", "0001-01-01"], "--since: expected a time"),
        (["--since", "99999999h"], "--since: expected a time"),
        (["--place", "botom left"], "did you mean 'bottom left'"),
        (["--place", "0,0 2,2"], "three corners or more"),
        (["--score", "nan"], "expected a score"),
        (["--time-zone", "Mars/Olympus"], "expected a name such as Europe/Berlin"),
    ],
)
def test_what_cannot_be_asked(metavad, watched, options, message):
    code, _, err = metavad("events", watched, *options)
    assert (code, err.count("\n"), message in err) == (2, 1, True), err


def test_filters_are_for_what_was_watched(metavad, tmp_path):
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "scores.csv").write_text("frame,seconds,score,alarm\n")
    code, _, err = metavad("events", "scores", "--threshold", 3, "--camera", "lobby")
    assert (code, "--camera: expected a folder of `metavad watch`" in err) == (2, True)
    code, _, err = metavad("events", "scores", "--time-zone", "Europe/Berlin")
    assert (code, "--time-zone: expected a folder of `metavad watch`" in err) == (2, True)


def test_a_file_has_no_dates_to_ask_for(metavad, tmp_path):
    with Index(tmp_path / "out", make=True) as index:
        index.begin(Session("lobby", "file", "d", 1.0, 1.0, 300.0))
    code, _, err = metavad("events", tmp_path / "out", "--since", "24h")
    assert (code, "expected a camera, found a file, whose events have no date" in err) == (2, True)


def test_the_page_has_pictures_and_clips_and_acts_on_no_name(watched):
    page = (watched / "events.html").read_text()
    assert f'src="events/{event().id}/clip.mp4" poster="events/{event().id}/snapshot.jpg"' in page
    assert "=evil, &lt;b&gt;" in page
    assert "not told: too short" in page
    assert "the camera shows another view than before" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "None yet" in render_page([])


def test_times_of_a_file_are_seconds_in_it():
    assert when(3725.04, "file") == "62:05.0"
    assert when(59.98, "file") == "1:00.0"


def test_a_folder_of_a_newer_form_is_one_line(metavad, watched, tmp_path):
    with Index(tmp_path / "newer", make=True) as index:
        index._execute("PRAGMA user_version = 99")
    code, _, err = metavad("events", tmp_path / "newer")
    assert (code, err.count("\n"), "use the newer metavad" in err, INDEX in err) == (1, 1, True, True)
