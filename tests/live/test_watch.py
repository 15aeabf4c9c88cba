"""One camera, watched: the events of `score`, each once, whatever the stream and the process go through."""

import time
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest

import metavad
from metavad.errors import BundleError, FullDiskError, OutputError, VideoError
from metavad.live.health import Health
from metavad.live.page import when
from metavad.live.reader import Backlog, Reader
from metavad.live.rules import is_local
from metavad.live.sources import FileSource
from metavad.live.state import load_state
from metavad.live.watch import Watch
from metavad.normality.model import SceneModel
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe
from metavad.scoring.events import EventMerger, in_events
from tests.footage import retimed
from tests.live.given import Given, Kept, passed_by


@pytest.fixture(scope="module")
def scene(cameras):
    return load_suite(str(cameras)).scenes[0]


@pytest.fixture(scope="module")
def detector(scene, tiny_base, turns):
    """One with a threshold that the footage passes every four seconds."""
    return passed_by(metavad.adapt(tiny_base, scene, shots=3, alarms_per_day=10), 0.25, turns)


@pytest.fixture(scope="module")
def path(scene, tmp_path_factory):
    """Ten frames a second, and a gap of a minute."""
    times = [100 * each + 60_000 * (each >= 90) for each in range(140)]
    return retimed(scene.test[0].path, tmp_path_factory.mktemp("watch") / "joined.mkv", times)


@pytest.fixture(scope="module")
def given(path):
    """Frames of the file, and the time of each."""
    with av.open(str(path)) as container:
        return list(zip(container.decode(video=0), probe(Video("joined", path)).seconds.tolist(), strict=True))


def events_of(detector, frames):
    """The events of these frames, as `score` finds them."""
    merger = EventMerger(detector.model.scoring.merge)
    seconds = np.array([each[1] for each in frames])
    assert list(in_events(metavad.score(detector, iter(frames)), merger, seconds))
    return [found.event for found in merger.events]


def watched(detector, source, sink, folder, **more):
    health = Health("lobby")
    Watch(detector, source, sink, folder, camera="lobby", health=health, **more).run()
    return health


def times(events):
    return [(each.start, each.end, each.peak, each.score, each.box, each.reason) for each in events]


def test_a_file_gives_the_very_events_of_score(detector, path, given, tmp_path):
    sink, notes = Kept(), []
    health = watched(detector, FileSource(path, fast=True), sink, tmp_path, notes=notes.append)
    expected = events_of(detector, given)
    assert len(expected) >= 3
    assert times(sink.events.values()) == times(expected)
    assert [each.is_over for each in sink.events.values()] == [True] * len(expected)
    assert [name for what, name in sink.calls if what == "opened"] == list(sink.events)
    assert [(each.seconds, each.score) for each in sink.frames_of] == [
        (each.seconds, each.score) for each in metavad.score(detector, path)
    ]
    assert (health.frames, health.dropped, health.refused, health.events) == (len(given), 0, 0, len(expected))
    assert sum(health.delays) == len(given)
    assert [note.kind for note in notes if note.kind.startswith("event")][:2] == ["event_opened", "event_closed"]


def test_an_event_in_a_condition_says_so_and_whether_it_lies_in_one_place(detector, path, tmp_path):
    class Light:
        def push(self, picture, seconds):
            return []

        def during(self, start, end):
            return "light"

    sink, without = Kept(), Kept()
    watched(detector, FileSource(path, fast=True), sink, tmp_path / "with", conditions=Light())
    watched(detector, FileSource(path, fast=True), without, tmp_path / "without")
    assert {each.condition for each in sink.events.values()} == {"light"}
    for name, event in sink.events.items():
        assert event.is_local == is_local(sink.snapshots[name][-1].heat)
        assert without.events[name] == replace(event, condition=None, is_local=False)


def test_an_unknown_light_is_a_note_with_its_time(detector, long, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.scoring.unknown_light.UnknownLight.add", lambda self, frame: self._tell(frame.seconds))
    notes = []
    watched(detector, Given(long[:12]), Kept(), tmp_path, notes=notes.append)
    note = next(each for each in notes if each.kind == "unknown_light")
    assert note.text.startswith(f"from {when(1_000_000.0, 'utc')} on, the light is one that no normal footage")
    assert (note.level, note.facts["seconds"]) == ("warning", 1_000_000.0)


def test_snapshots_show_what_surprises_most(detector, path, tmp_path):
    sink = Kept()
    watched(detector, FileSource(path, fast=True), sink, tmp_path)
    for event in sink.events.values():
        last = sink.snapshots[event.id][-1]
        assert event.start - 1 <= last.seconds <= event.end
        assert last.box == event.box
        assert last.heat.shape == (8, 11)
        assert last.jpeg.startswith(b"\xff\xd8")
        assert last.size == (72, 96)
    ticks = [frame for frame in sink.frames_of if frame.jpeg]
    assert len(ticks) == len(sink.frames_of)
    assert {frame.working.shape for frame in ticks} == {(48, 64)}


# --- breaks --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def turns(given):
    """Half a minute, with an event every four seconds."""
    frames = [frame for frame, _ in given[:37]]
    return [(frames[number % 37], 1_000_000.0 + number / 10) for number in range(300)]


@pytest.fixture
def long(turns):
    """The same, for one test to change."""
    return list(turns)


GAPS = [(20, 32), (66, 67), (84, 95), (156, 190), (241, 252)]
"""Frames that do not arrive: where nothing happens, too few to matter, and in the middle of events."""


def cut(frames, gaps):
    """What arrives, connection by connection."""
    edges = [0, *(edge for gap in gaps for edge in gap), len(frames)]
    return [frames[first:end] for first, end in zip(edges[::2], edges[1::2], strict=True)]


def test_five_breaks_lose_no_event_double_none_and_link_those_that_they_cut(detector, long, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.live.reader.BACKOFF", (0.01, 0.02))
    parts, sink, notes = cut(long, GAPS), Kept(), []
    broken = [[*parts[0], VideoError("given: the cable is out")], *parts[1:]]
    health = watched(detector, Given(*broken), sink, tmp_path, notes=notes.append)
    found = list(sink.events.values())
    arrived = [frame for part in parts for frame in part]
    assert (health.frames, health.refused, health.breaks, health.connections) == (len(arrived), 0, 6, 6)
    expected = events_of(detector, long)
    whole = [each for each in expected if arrives(each, arrived)]
    assert len(whole) >= 4
    assert [len(overlapping(found, each)) for each in whole] == [1] * len(whole)
    assert all(overlapping(expected, each) for each in found)
    linked = [each for each in found if each.linked_to]
    assert linked
    assert health.linked == len(linked)
    for each in linked:
        before = sink.events[each.linked_to]
        assert before.is_cut
        assert before.end < each.start < before.end + 10
    assert [note.level for note in notes if note.kind == "disconnected"] == ["warning"] * 5
    assert "the cable is out; opening it again in 0.01 s" in next(n.text for n in notes if n.kind == "disconnected")


def test_an_event_that_a_late_gap_cuts_is_linked(detector, long, tmp_path, monkeypatch):
    """Ten seconds have gone by since the last gap, and another one cuts an event."""
    monkeypatch.setattr("metavad.live.reader.BACKOFF", (0.01, 0.02))
    event = next(each for each in events_of(detector, long) if each.start > long[100][1])
    middle = next(n for n, (_, seconds) in enumerate(long) if seconds >= (event.start + event.end) / 2)
    sink = Kept()
    watched(detector, Given(long[:middle], long[middle + 12 :]), sink, tmp_path)
    before = next(each for each in sink.events.values() if each.is_cut)
    if after := [each for each in sink.events.values() if 0 < each.start - long[middle + 12][1] <= 5]:
        assert after[0].linked_to == before.id
    (restored,) = [each for each in sink.events.values() if each.linked_to] or [None]
    assert restored is not None


def arrives(event, frames):
    """Whether all frames of an event are there."""
    inside = [seconds for _, seconds in frames if event.start - 1e-6 <= seconds <= event.end + 1e-6]
    return len(inside) >= 10 * (event.end - event.start)


def overlapping(events, event):
    return [each for each in events if each.start <= event.end and event.start <= each.end]


@pytest.mark.parametrize(("count", "apart"), [(25, 0.1), (1, 4.0)])
def test_a_camera_that_sends_late_is_waited_for_once_that_is_known(detector, long, tmp_path, monkeypatch, count, apart):
    """Its frames come in parts, a minute of waiting apart, though none is missing; or each by itself."""
    now, health, sink = [0.0], Health("lobby"), Kept()
    monkeypatch.setattr("metavad.live.watch.time.monotonic", lambda: now[0])
    take, empty = Backlog.take, []

    def watched_take(backlog, timeout):
        item = take(backlog, timeout)
        if item is None:
            empty.append(timeout)
        return item

    monkeypatch.setattr(Backlog, "take", watched_take)

    class Late(Given):
        def frames(self, taken=None):
            for number, shown in enumerate(super().frames(taken)):
                if number and number % count == 0:
                    until(lambda: health.frames == number)  # noqa: B023
                    now[0] += 60.0
                    until(lambda: number > count or len(sink.frames_of) == count)  # noqa: B023
                    looked = len(empty)
                    until(lambda: len(empty) > looked + 1)  # noqa: B023
                yield shown

    source = Late([(frame, 1_000_000.0 + apart * number) for number, (frame, _) in enumerate(long[: 4 * count])])
    source.patience = 30.0
    Watch(detector, source, sink, tmp_path, camera="lobby", health=health).run()
    assert [frame.recording for frame in sink.frames_of] == [0] * count + [1] * (3 * count)


def until(holds):
    """Wait, half a minute at most."""
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")  # in the reader's thread, which ends the watch


class KillError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("call", [2, 5, 9, 14])
def test_a_kill_loses_no_event_that_was_scored_and_doubles_none(detector, long, tmp_path, call):
    """The process ends as the sink returns from its n-th call; then the same command goes on, 3 seconds later.

    What the last frames before that show, which were not wholly dealt with, is lost with it.
    """
    sink, taken = Kept(), list[float]()

    class Dying(Kept):
        def _put(self, what, event, snapshot):
            super()._put(what, event, snapshot)
            if len(self.calls) == call:
                raise KillError

        def frames(self, frames):
            taken.append(self.frames_of[-1].seconds if self.frames_of else 0.0)
            super().frames(frames)

    dying = Dying()
    dying.__dict__ |= sink.__dict__
    with pytest.raises(KillError):
        watched(detector, Given(long), dying, tmp_path)
    later = [frame for frame in long if frame[1] > sink.frames_of[-1].seconds + 3]
    watched(detector, Given(later), sink, tmp_path)
    found = list(sink.events.values())
    assert all(each.is_over for each in found)
    assert len({each.id for each in found}) == len(found)
    scored = [frame for frame in long if frame[1] <= taken[-1]]
    expected = events_of(detector, long)
    whole = [each for each in expected if arrives(each, scored) or arrives(each, later)]
    assert [len(overlapping(found, each)) for each in whole] == [1] * len(whole)
    assert all(overlapping(expected, each) for each in found)
    for one, other in pairwise(found):
        assert one.end < other.start
        if one.is_cut and other.start - later[0][1] <= 5:
            assert other.linked_to == one.id


def test_what_a_killed_process_has_kept_is_not_scored_again(detector, long, tmp_path):
    """Its state is two seconds old, its scores are not."""
    sink = Kept()
    watched(detector, Given(long[:100]), sink, tmp_path)
    sink.known = long[149][1]
    health = watched(detector, Given(long[100:]), sink, tmp_path)
    assert (health.refused, health.frames) == (50, 150)


@pytest.mark.parametrize(("early", "is_live", "noted"), [(7200, True, 1), (-7200, True, 0), (7200, False, 0)])
def test_times_beyond_the_machine_s_clock_are_noted_once(detector, long, tmp_path, monkeypatch, early, is_live, noted):
    """It was set back; a pipe that is read as fast as it comes has a clock of its own."""
    monkeypatch.setattr("metavad.live.watch.time.time", lambda: long[0][1] - early)
    monkeypatch.setattr("metavad.live.timeline.Timeline.seconds", lambda self, stream, *, ago=0.0: stream)
    notes, source = [], Given(long[:30], is_dated=False)
    source.is_live = is_live
    watched(detector, source, Kept(), tmp_path, notes=notes.append)
    found = [note for note in notes if note.kind == "clock"]
    assert len(found) == noted
    assert all(note.text.startswith("events are dated 2 h ahead of this machine's clock") for note in found)


def test_a_state_that_cannot_be_written_stops_nothing_and_is_noted_once(detector, long, tmp_path, monkeypatch):
    def full(*_):
        raise FullDiskError("state.json: the disk is full")

    monkeypatch.setattr("metavad.live.watch.save_state", full)
    monkeypatch.setattr("metavad.live.watch.SAVED", 0.0)
    notes, sink = [], Kept()
    watched(detector, Given(long[:60]), sink, tmp_path, notes=notes.append)
    assert len(sink.frames_of) == 60
    assert [note.level for note in notes if note.kind == "not_written"] == ["error"]


def test_frames_that_come_again_after_a_restart_are_left_out(detector, long, tmp_path):
    sink = Kept()
    watched(detector, Given(long[:150]), sink, tmp_path)
    health = watched(detector, Given(long[100:]), sink, tmp_path)
    assert (health.refused, health.frames) == (50, 150)
    assert [each.seconds for each in sink.frames_of] == [seconds for _, seconds in long]
    starts = [each.start for each in sink.events.values()]
    assert starts == sorted(set(starts))


def test_an_event_that_goes_on_is_updated_now_and_then(detector, long, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.live.watch.UPDATED", 0.0)
    sink = Kept()
    watched(replace(detector, threshold=-1.0), Given(long), sink, tmp_path)
    assert [what for what, _ in sink.calls].count("ongoing") > 2
    assert len(sink.events) == 1


@pytest.mark.parametrize("is_live", [True, False])
def test_a_live_source_is_opened_once_scoring_is_warm(detector, long, tmp_path, monkeypatch, is_live):
    """What is loaded with the first score would have frames wait, and be dropped."""
    scored, score, start, sink = [], SceneModel.score, Reader.start, Kept()

    def counted(model, *given):
        scored.append(1)
        return score(model, *given)

    def started(reader):
        scored.append("open")
        start(reader)

    monkeypatch.setattr(SceneModel, "score", counted)
    monkeypatch.setattr(Reader, "start", started)
    source = Given(long[:20])
    source.is_live = is_live
    watched(detector, source, sink, tmp_path)
    assert (scored[0] == 1) == is_live
    assert "open" in scored[:3]
    assert [each.seconds for each in sink.frames_of] == [seconds for _, seconds in long[:20]]


# --- another version of the detector -------------------------------------------------------------------------


class Latest:
    """A folder in which something else is in use once it was asked so often."""

    def __init__(self, **after):
        self.after, self.asked, self.folder, self.number = after, 0, "detectors/lobby", 2

    def changed(self):
        self.asked += 1
        found = self.after.get(f"at_{self.asked}")
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture(scope="module")
def newer(scene, tiny_base, turns):
    """Another version: of fewer shots, and with another threshold."""
    return passed_by(metavad.adapt(tiny_base, scene, shots=2, alarms_per_day=10), 0.3, turns)


def scores_of(detector, frames):
    """As those of a stream, whose gaps raise no alarm."""
    live = metavad.Live(detector, gaps_alarm=False)
    return [score for frame, seconds in frames for score in live.push(frame, seconds)] + live.flush()


def test_a_corrected_detector_is_used_without_a_break(detector, newer, long, tmp_path):
    """Frames are scored by the one or the other, whose events they are; the one that goes on then is one event."""
    sink, notes = Kept(), []
    health = watched(detector, Given(long), sink, tmp_path, notes=notes.append, latest=Latest(at_100=newer))
    ((first, digest, threshold),) = sink.versions
    assert (digest, threshold, health.threshold) == (newer.scores_digest, newer.threshold, newer.threshold)
    assert 80 < first < 150
    scores = [scores_of(each, long) for each in (detector, newer)]
    expected = [*scores[0][:first], *scores[1][first:]]
    assert [(each.seconds, each.score) for each in sink.frames_of] == [(each.seconds, each.score) for each in expected]
    merger = EventMerger(detector.model.scoring.merge)
    assert list(in_events(iter(expected), merger, np.array([each[1] for each in long])))
    events = list(sink.events.values())
    assert times(events) == times([each.event for each in merger.events])
    assert [what for what, _ in sink.calls].count("opened") == len(events)
    assert {each.is_cut for each in events} == {False}
    began = long[first][1]
    assert [each.detector for each in events] == [
        detector.scores_digest if each.start < began else newer.scores_digest for each in events
    ]
    assert {each.threshold for each in events} == {detector.threshold, newer.threshold}
    (note,) = [note for note in notes if note.kind == "version"]
    over = f"over {newer.threshold:.2f}: at most 10 false alarms"
    assert note.text.startswith(f"detectors/lobby: version 2 is used from now on, {over}")
    assert (note.facts["detector"], note.facts["before"]) == (newer.scores_digest, detector.scores_digest)
    assert (note.facts["version"], note.facts["threshold"]) == (2, round(newer.threshold, 3))
    opened = [note.facts["detector"] for note in notes if note.kind == "event_opened"]
    assert opened == [each.detector for each in events]


def test_what_is_no_version_is_named_once_and_the_one_that_was_used_stays(detector, long, tmp_path):
    sink, notes = Kept(), []
    latest = Latest(at_20=BundleError("detectors/lobby: damaged"), at_60=replace(detector, scene="yard"))
    watched(detector, Given(long), sink, tmp_path, notes=notes.append, latest=latest)
    assert [each.score for each in sink.frames_of] == [each.score for each in scores_of(detector, long)]
    assert {each.detector for each in sink.events.values()} == {detector.scores_digest}
    found = [note for note in notes if note.kind.startswith("version")]
    assert [(note.kind, note.level) for note in found] == [("version_refused", "warning")] * 2
    assert found[0].text == "detectors/lobby: damaged; the version that was used is used on"
    assert "found one of yard (96x72); the version that was used is used on" in found[1].text
    assert sink.versions == []


def test_a_version_that_was_taken_back_before_it_was_used_is_not(detector, newer, long, tmp_path):
    sink = Kept()
    watched(detector, Given(long), sink, tmp_path, latest=Latest(at_33=newer, at_34=replace(detector)))
    assert sink.versions == []


# --- what does not fit ---------------------------------------------------------------------------------------


def test_pictures_of_another_size_are_brought_to_the_camera_s_or_refused_once(detector, long, tmp_path, monkeypatch):
    monkeypatch.setattr("metavad.live.reader.BACKOFF", (0.01, 0.02))
    large = [(frame.reformat(width=192, height=144), seconds) for frame, seconds in long[:30]]
    square = [(frame.reformat(width=72, height=72), seconds) for frame, seconds in long[40:60]]
    notes = []
    health = watched(detector, Given(large, square, long[70:100]), Kept(), tmp_path, notes=notes.append)
    assert (health.frames, health.refused) == (60, 20)
    refused = [note for note in notes if note.kind == "refused"]
    assert [note.level for note in refused] == ["error"]
    assert "expected frames of the detector's camera (96x72), found 72x72" in refused[0].text


def test_a_folder_of_another_camera_is_left_alone(detector, long, tmp_path):
    watched(detector, Given(long[:30]), Kept(), tmp_path)
    before = load_state(tmp_path)
    watch = Watch(detector, Given(long[:30]), Kept(), tmp_path, camera="yard")
    with pytest.raises(OutputError, match=r"expected the events of yard \(given\), found those of lobby \(given\)"):
        watch.run()
    assert load_state(tmp_path) == before
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(OutputError, match="remove it to begin anew"):
        load_state(tmp_path)
    (tmp_path / "state.json").write_bytes(b"\0" * 8)
    assert load_state(tmp_path) is None


def test_an_error_of_the_source_ends_it_once_all_is_written(detector, long, tmp_path):
    source, sink = Given([*long[:50], VideoError("given: gone")]), Kept()
    with pytest.raises(VideoError, match="given: gone"):
        watched(detector, source, sink, tmp_path)
    assert len(sink.frames_of) == 50
    assert not sink.unfinished()
