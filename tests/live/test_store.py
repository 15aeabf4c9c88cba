"""The folder of what was watched: events with their clips, and what a full disk, a locked file or a kill leaves."""

import errno
import itertools
import math
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from metavad.errors import OutputError
from metavad.live import index as index_module
from metavad.live import store as store_module
from metavad.live.index import INDEX, Index, Session
from metavad.live.records import watched_event
from metavad.live.rules import Rules
from metavad.live.store import EventStore
from metavad.live.types import Condition
from tests.live.conftest import BEGAN, SIZE, event, picture, scored, snapshot


@pytest.fixture
def make(tmp_path, session):
    """Stores of one folder, on a clock that goes a second with every look; closed in the end."""
    made = []

    def new(**more):
        ticks = itertools.count()
        made.append(EventStore(tmp_path / "watched", session, size=SIZE, now=lambda: float(next(ticks)), **more))
        return made[-1]

    yield new
    for each in made:
        if each.trouble is None:
            each.close()


def play(store, *, after=20):
    """An event from 10 to 12 s, as watch gives it."""
    store.frames(list(scored(0, 10.4, high=(10, 12))))
    store.opened(event(end=10.3), snapshot(10.2))
    store.frames(list(scored(10.4, 11.5, high=(10, 12))))
    store.ongoing(event(end=11.4), snapshot(11))
    store.frames(list(scored(11.5, 13, high=(10, 12))))
    store.closed(event(), None)
    store.frames(list(scored(13, after)))


def pictures(path, form="bgr24"):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format=form)) for frame in container.decode(video=0)]


def test_an_event_is_kept_with_snapshot_clip_and_frames(make, tmp_path):
    play(make(targets=["somebody"]))
    with Index(tmp_path / "watched") as index:
        (stored,) = index.events()
    assert stored.event == event(is_over=True)
    assert (stored.size, stored.announced, stored.withheld, stored.missing) == (SIZE, BEGAN + 10.3, None, None)
    folder = tmp_path / "watched"
    assert cv2.imread(str(folder / stored.snapshot)).shape == (240, 320, 3), "enlarged"
    clip = pictures(folder / stored.clip)
    assert clip[0][0] == 0
    assert clip[-1][0] == pytest.approx(12.0, abs=0.2), "five seconds before, two of the event, five after"
    assert len(clip) == pytest.approx(120, abs=2)
    assert list((folder / "events" / stored.event.id).glob(".*")) == []


def test_patches_are_kept_beside_the_snapshot(make, tmp_path):
    store, sheet = make(), np.full((60, 90, 3), 7, np.uint8)
    store.frames(list(scored(0, 10.4, high=(10, 12))))
    store.opened(event(end=10.3), replace(snapshot(10.2), patches=sheet))
    folder = tmp_path / "watched"
    with Index(folder) as index:
        (stored,) = index.events()
    assert (cv2.imread(str(folder / stored.patches)) == 7).all()
    assert f'src="{stored.patches}"' in (folder / "events.html").read_text()
    assert watched_event(stored).patches == stored.patches
    store.ongoing(event(end=11.4), snapshot(11))  # a moment that is not about patches
    with Index(folder) as index:
        assert index.events()[0].patches is None


def test_an_index_from_before_there_were_patches_is_brought_up_to_date(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "MIGRATIONS", index_module.MIGRATIONS[:-1])
        with Index(tmp_path, make=True) as index:
            index.put_event(event())
    with Index(tmp_path, make=True) as index:
        (stored,) = index.events()
    assert (stored.event, stored.patches) == (event(), None)


def test_the_box_is_drawn_while_it_alarms(make, tmp_path):
    play(make())
    (path,) = (tmp_path / "watched").glob("events/*/clip.mp4")
    clip = pictures(path)
    redness = [float((frame[:, :, 2].astype(int) - frame[:, :, 0])[50:210, 30:130].max()) for _, frame in clip]
    assert max(redness[:45]) < 40 < min(redness[52:68])
    assert max(redness[75:]) < 40


def test_the_working_pictures_around_the_peak_lose_no_bit(make, tmp_path):
    play(make())
    (path,) = (tmp_path / "watched").glob("events/*/frames.mkv")
    kept = pictures(path, "gray")
    first = 0  # twelve seconds before the peak at 11 s there was nothing; until five seconds after the end
    assert len(kept) == 172
    for number, (seconds, frame) in enumerate(kept):
        assert seconds == pytest.approx(number / 10, abs=1e-3)
        np.testing.assert_array_equal(frame, picture(first + number, (24, 32)))


def test_scores_are_kept_by_the_hour_and_joined(make, tmp_path, monkeypatch):
    store = make()
    times = 3600 * 400_000 + np.arange(0, 8000, 4.0)
    values = np.random.default_rng(0).gamma(2, 1, len(times))
    for place in range(0, len(times), 50):
        frames = list(scored(0, 0.1))[:1]
        store.frames(
            [
                replace(frames[0], seconds=float(second), score=float(value))
                for second, value in zip(times[place : place + 50], values[place : place + 50], strict=True)
            ]
        )
    store.close()
    with Index(tmp_path / "watched") as index:
        ((session, parts),) = index.scores()
        assert session == Session("lobby", "utc", "d" * 64, 5.0, 1.0, 300.0)
        within = list(index.scores(since=float(times[100]), until=float(times[130])))
    whole = [np.concatenate(each) for each in zip(*(part.arrays() for part in parts), strict=True)]
    np.testing.assert_allclose(whole[0], times, atol=1e-6)
    np.testing.assert_allclose(whole[1], values, rtol=1e-6)
    assert len([part for part in parts if part.hour == 400_000]) == 1
    assert 1 <= len(within[0][1]) <= 2


@pytest.mark.parametrize("is_locked", [False, True])
def test_scores_of_two_versions_of_a_detector_are_kept_apart(make, tmp_path, is_locked):
    store = make()
    store._index.wait(0.01)
    other = sqlite3.connect(tmp_path / "watched" / INDEX, isolation_level=None)
    store.frames(list(scored(0, 5)))
    if is_locked:
        other.execute("BEGIN IMMEDIATE")
    store.version("e" * 64, 4.0)
    store.frames(list(scored(5, 17)))
    other.close()
    store.close()
    with Index(tmp_path / "watched") as index:
        found = [
            (session.detector[0], session.threshold, sum(part.count for part in parts))
            for session, parts in index.scores(camera="lobby")
        ]
    assert found == [("d", 5.0, 50), ("e", 4.0, 120)]


class FullDisk:
    """Room ends at the nth statement that writes, and is there again when somebody has made some."""

    def __init__(self, monkeypatch, at):
        self.count, self.at, self.is_full = 0, at, True
        execute = Index._execute

        def maybe(index, text, values=()):
            writes = text.lstrip().startswith(("INSERT", "UPDATE", "COMMIT", "DELETE"))
            self.count += writes
            if writes and self.is_full and self.count > self.at:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return execute(index, text, values)

        monkeypatch.setattr(Index, "_execute", maybe)


def waiting(folder):
    with sqlite3.connect(folder / INDEX) as connection:
        return {json for (json,) in connection.execute("SELECT key FROM outbox")}


def ids(folder):
    with sqlite3.connect(folder / INDEX) as connection:
        return {each for (each,) in connection.execute("SELECT id FROM events")}


@pytest.mark.parametrize("at", range(2, 24, 3))
def test_a_disk_that_is_full_from_any_step_on_loses_no_event(make, tmp_path, monkeypatch, at):
    """Whoever was told can look it up, at every step; all is there once there is room again."""
    store = make(targets=["somebody"])
    disk = FullDisk(monkeypatch, at)
    place = tmp_path / "watched"
    store.frames(list(scored(10, 10.4, high=(10, 12))))
    store.opened(event(end=10.3), snapshot(10.2))
    assert {key.split("/")[1] for key in waiting(place)} <= ids(place)
    store.closed(event(), None)
    assert {key.split("/")[1] for key in waiting(place)} <= ids(place)
    store.frames(list(scored(13, 14)))
    disk.is_full = False
    for frame in scored(14, 15):
        store.frames([frame])
    store.close()
    assert store.trouble is None
    with Index(place) as index:
        (stored,) = index.events()
    assert stored.event == event(is_over=True)
    assert waiting(place) == {f"lobby/{event().id}/began", f"lobby/{event().id}/ended"}


def test_a_small_file_makes_way_for_the_index(make, tmp_path):
    store = make(targets=["somebody"])
    place = tmp_path / "watched"
    assert (place / ".reserve").stat().st_size == store_module.RESERVE_BYTES
    real, failed = store._index._execute, []

    def full_while_it_is_there(text, values=()):
        if text.startswith("INSERT") and (place / ".reserve").exists():
            failed.append(text)
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return real(text, values)

    store._index._execute = full_while_it_is_there
    store.opened(event(), None)
    assert len(failed) == 1
    assert ids(place) == {event().id}
    assert (store.trouble, (place / ".reserve").exists()) == (None, False)
    store._index._execute = real


def test_scores_are_known_up_to_those_of_the_last_run(make):
    """An earlier one may have been of another clock."""
    store = make()
    assert store.known_until() == -math.inf
    for first in (1000, 10):
        store.frames(list(scored(first, first + 12)))
        store.close()
        store = make()
        assert store.known_until() == pytest.approx(BEGAN + first + 12, abs=0.2, rel=0)


def test_without_any_room_it_does_not_begin_and_says_so(make, tmp_path, monkeypatch):
    make().close()
    (tmp_path / "watched" / ".reserve").write_bytes(b"room")
    FullDisk(monkeypatch, 0)
    with pytest.raises(OutputError, match=r"watched: expected to write down what is found, could not \(database or"):
        make()
    assert not (tmp_path / "watched" / ".reserve").exists()


def test_room_that_cannot_be_held_is_not_half_taken(make, tmp_path, monkeypatch):
    write = Path.write_bytes

    def half(path, content):
        if path.name != ".reserve":
            return write(path, content)
        write(path, content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    make()
    assert not (tmp_path / "watched" / ".reserve").exists()


@pytest.mark.parametrize("step", ["open", "add", "finish", "frames", "snapshot"])
def test_pictures_and_clips_are_given_up_before_an_event_is(make, tmp_path, monkeypatch, step):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = store_module.ClipWriter
    {
        "open": lambda: monkeypatch.setattr(writer, "__post_init__", full),
        "add": lambda: monkeypatch.setattr(writer, "add", full),
        "finish": lambda: monkeypatch.setattr(writer, "finish", full),
        "frames": lambda: monkeypatch.setattr(store_module, "write_frames", full),
        "snapshot": lambda: monkeypatch.setattr(store_module, "write_snapshot", full),
    }[step]()
    store = make(targets=["somebody"])
    play(store)
    with Index(tmp_path / "watched") as index:
        (stored,) = index.events()
    assert stored.event == event(is_over=True)
    assert "no space left on device" in stored.missing
    assert store.given_up >= 1
    assert (stored.clip is None) == (step in ("open", "add", "finish"))
    assert len(waiting(tmp_path / "watched")) == 2
    assert [path.name for path in (tmp_path / "watched").glob("events/*/.*")] == []


def test_what_little_room_is_left_is_for_the_index(make, tmp_path, monkeypatch):
    store = make(targets=["somebody"])
    usage = store_module.disk_usage(tmp_path)
    monkeypatch.setattr(store_module, "disk_usage", lambda _: usage._replace(free=store_module.ROOM - 1))
    play(store)
    with Index(tmp_path / "watched") as index:
        (stored,) = index.events()
    assert stored.event == event(is_over=True)
    assert (stored.clip, stored.frames, stored.snapshot) == (None, None, None)
    assert "no space left on device" in stored.missing
    assert len(waiting(tmp_path / "watched")) == 2


def test_a_file_that_somebody_has_locked_loses_no_event(make, tmp_path):
    store = make(targets=["somebody"])
    store._index.wait(0.01)
    other = sqlite3.connect(tmp_path / "watched" / INDEX, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    play(store, after=16)
    assert "locked" in store.trouble
    assert ids(tmp_path / "watched") == set()
    other.execute("ROLLBACK")
    other.close()
    for frame in scored(16, 20):
        store.frames([frame])
    assert store.trouble is None
    with Index(tmp_path / "watched") as index:
        (stored,) = index.events()
    assert (stored.event, stored.clip is not None) == (event(is_over=True), True)
    assert len(waiting(tmp_path / "watched")) == 2


def test_an_event_that_goes_on_while_nothing_can_be_written_waits_once(make, tmp_path):
    """Its last state is written, with the picture that came before."""
    store = make(targets=["somebody"])
    store._index.wait(0.01)
    other = sqlite3.connect(tmp_path / "watched" / INDEX, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.opened(event(end=10.3), snapshot(10.2))
    for second in range(40):
        store.ongoing(event(end=11.0 + second), None)
    assert len(store._works) == 1
    other.execute("ROLLBACK")
    other.close()
    for frame in scored(60, 64):
        store.frames([frame])
    with Index(tmp_path / "watched") as index:
        (stored,) = index.events()
    assert (stored.event, stored.snapshot is not None) == (event(end=50.0), True)
    assert waiting(tmp_path / "watched") == {f"lobby/{event().id}/began"}


def test_what_cannot_be_written_to_the_end_is_an_error_of_one_line(make, tmp_path):
    store = make()
    other = sqlite3.connect(tmp_path / "watched" / INDEX, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._index.wait(0.01)
    store.opened(event(), None)
    with pytest.raises(OutputError, match=r"expected to write 1 changes of events, could not: .*locked"):
        store.close()
    other.close()


def test_a_mistake_in_a_statement_is_not_waited_for(make, monkeypatch):
    store = make()
    with pytest.raises(ValueError, match="unknown"):
        store._index.note("x", unknown=3)
    monkeypatch.setattr(store._index, "put_event", lambda _: store._index._execute("INSERT INTO missing VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        store.opened(event(), None)
    store._works.clear()


KILLED = """
import os, signal, sys
sys.path.insert(0, "tests/live")
from pathlib import Path
from metavad.live.index import Session
from metavad.live.store import EventStore
from conftest import SIZE, event, scored, snapshot
store = EventStore(Path(sys.argv[1]), Session("lobby", "utc", "d" * 64, 5.0, 1.0, 300.0), size=SIZE, targets=["a"])
store.frames(list(scored(0, 10.4, high=(10, 12))))
store.opened(event(end=10.3), snapshot(10.2))
store.frames(list(scored(10.4, 18, high=(10, 18))))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_its_event_and_the_clip_as_far_as_it_came(make, tmp_path):
    place = tmp_path / "watched"
    done = subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    store = make(targets=["a"])
    (left,) = store.unfinished()
    assert left == event(end=10.3)
    with Index(place) as index:
        stored = index.event(left.id)
    assert len(pictures(place / stored.clip)) >= 60
    store.closed(replace(left, is_over=True, is_cut=True), None)
    store.frames(list(scored(30, 40, recording=1)))
    assert store.unfinished() == []
    assert waiting(place) == {f"lobby/{left.id}/began", f"lobby/{left.id}/ended"}


def test_a_link_is_not_announced_again(make, tmp_path):
    store = make(targets=["somebody"])
    store.opened(event(), None)
    store.closed(event(is_cut=True), None)
    more = event(14, 16, id="lobby-20260528-000014", linked_to=event().id)
    store.opened(more, None)
    store.closed(more, None)
    with Index(tmp_path / "watched") as index:
        assert [each.withheld for each in index.events()] == [None, "linked"]
    assert {key.split("/")[1] for key in waiting(tmp_path / "watched")} == {event().id}


def test_rules_hold_and_are_asked_again_while_an_event_goes_on(make, tmp_path):
    store = make(targets=["somebody"], rules=Rules(minimum=2.0))
    short = event(0, 1, id="lobby-0")
    store.opened(short, None)
    store.closed(short, None)
    store.opened(event(end=10.5), None)
    assert waiting(tmp_path / "watched") == set()
    store.ongoing(event(end=12.5), None)
    assert waiting(tmp_path / "watched") == {f"lobby/{event().id}/began"}
    with Index(tmp_path / "watched") as index:
        assert [each.withheld for each in index.events()] == ["short", None]


def test_what_happens_to_the_picture_is_announced_as_what_it_is(make, tmp_path):
    store = make(targets=["somebody"])
    store.condition(Condition("moved", BEGAN, None, "the camera was moved"))
    store.condition(Condition("light", BEGAN + 5, BEGAN + 6, "the light changed"))
    explained = event(condition="moved")
    store.opened(explained, None)
    store.closed(explained, None)
    assert waiting(tmp_path / "watched") == {f"lobby/moved/{BEGAN:.3f}/began"}
    with Index(tmp_path / "watched") as index:
        assert [each.withheld for each in index.events()] == ["moved"]
        assert [each.kind for _, each in index.conditions()] == ["moved", "light"]


def test_what_a_process_left_open_is_over_where_its_scores_end(make, tmp_path):
    store = make(targets=["somebody"])
    store.condition(Condition("covered", BEGAN, None, "the lens is covered"))
    store.frames(list(scored(0, 30)))
    store.close()
    make(targets=["somebody"])
    with Index(tmp_path / "watched") as index:
        ((_, found),) = index.conditions()
    assert (found.kind, found.end) == ("covered", BEGAN + 29.9)
    assert waiting(tmp_path / "watched") == {f"lobby/covered/{BEGAN:.3f}/{what}" for what in ("began", "ended")}
    make()
    with Index(tmp_path / "watched") as index:
        assert [each for _, each in index.conditions()] == [found]


def test_nothing_goes_of_a_file_whose_seconds_are_no_dates(tmp_path, session):
    store = EventStore(tmp_path, replace(session, clock="file"), size=SIZE, keep=10.0)
    play(store)
    store._forget()
    store.condition(Condition("covered", 3.0, 5.0, "the lens is covered"))
    store.close()
    with Index(tmp_path) as index:
        assert [each.event.id for each in index.events()] == [event().id]
        assert index.clocks() == {"lobby": "file"}
    page = (tmp_path / "events.html").read_text()
    assert "0:03.0 to 0:05.0: the lens is covered" in page
    assert "1970" not in page


def test_what_is_old_goes_but_for_what_somebody_ruled_on(make, tmp_path):
    store = make(keep=10.0)
    play(store)
    kept = event(20, 21, id="lobby-kept")
    store.opened(kept, None)
    store.closed(kept, None)
    store._index.note(kept.id, verdict="normal")
    store._now = lambda: BEGAN + 1e6
    store._forget()
    with Index(tmp_path / "watched") as index:
        assert [each.event.id for each in index.events()] == ["lobby-kept"]
    assert not (tmp_path / "watched" / "events" / event().id).exists()


def test_an_older_form_is_brought_up_to_date_and_a_newer_one_refused(tmp_path, monkeypatch, session):
    with Index(tmp_path, make=True) as index:
        index.put_event(event())
        index.begin(session)
    more = "ALTER TABLE events ADD COLUMN weather TEXT", "UPDATE events SET weather = '?'"
    steps = (*index_module.MIGRATIONS, more)
    with monkeypatch.context() as newer:
        newer.setattr(index_module, "MIGRATIONS", steps)
        with Index(tmp_path) as index:
            assert index._execute("SELECT weather FROM events").fetchone()[0] == "?"
            assert index.events()[0].event == event()
    ours, newest = len(steps) - 1, len(steps)
    with pytest.raises(OutputError, match=f"expected an index of form {ours} or older, found form {newest}"):
        Index(tmp_path)


def test_a_migration_that_fails_leaves_the_form_before(tmp_path, monkeypatch):
    Index(tmp_path, make=True).close()
    steps = (*index_module.MIGRATIONS, ("CREATE TABLE one (a)", "CREATE TABLE events (a)"))
    with monkeypatch.context() as newer:
        newer.setattr(index_module, "MIGRATIONS", steps)
        with pytest.raises(OutputError):
            Index(tmp_path)
    with Index(tmp_path) as index:
        assert index._execute("SELECT count(*) FROM sqlite_master WHERE name = 'one'").fetchone()[0] == 0


def test_what_is_no_index_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"found no events\.sqlite"):
        Index(tmp_path)
    (tmp_path / INDEX).write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="expected an index of events"):
        Index(tmp_path)
