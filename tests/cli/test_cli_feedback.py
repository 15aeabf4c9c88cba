"""``metavad feedback`` and ``metavad detector``: as an operator corrects what ``score`` and ``watch`` have found."""

import json
import shutil
from pathlib import Path

import pytest

from metavad.live.clips import frames_begin, write_frames
from metavad.live.index import Index, Session
from metavad.live.types import CameraEvent
from metavad.live.watch import Watch
from metavad.normality.detector import load_detector, save_detector, save_version
from metavad.normality.versions import current, place_of
from metavad.scenes.cache import content_digest
from metavad.scenes.listing import scene_of_files
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite
from metavad.scenes.video import read_frames
from metavad.workflows.few_shot import adapt
from tests.planted import planted_camera

CLOCK = 1_780_000_000.0


@pytest.fixture(scope="module")
def site(cameras, tiny_base, tmp_path_factory):
    """A detector, and scores of a video in which a disc comes twice and a block once."""
    from metavad.cli import main

    site = tmp_path_factory.mktemp("site")
    planted = {"normal": (40, []), "monday": (14, [("disc", 1.5), ("block", 6), ("disc", 10.5)])}
    planted["tuesday"] = (26, [("disc", 1.5), ("disc", 16), ("block", 22)])
    videos = planted_camera(site, load_suite(str(cameras)).scenes[0], planted)
    detector = adapt(tiny_base, Scene("", "lobby", site, normal=(videos["normal"],)), shots=8, shot_frames=8)
    save_detector(site / "detectors" / "lobby", detector.with_threshold(3.7))
    given = [videos["monday"].path, "--detector", site / "detectors" / "lobby", "--out", site / "scores"]
    assert main(["score", *map(str, given)]) == 0
    return site


@pytest.fixture
def copy(site, tmp_path, monkeypatch, metavad):
    """A copy to change, in the working directory."""
    shutil.copytree(site / "detectors", tmp_path / "detectors")
    shutil.copytree(site / "scores", tmp_path / "scores")
    return tmp_path


@pytest.fixture
def base(tiny_run):
    return ("--base", tiny_run)


def test_a_false_alarm_is_corrected_and_taken_back(metavad, copy, base):
    events = json.loads((copy / "scores/monday/events.json").read_text())["events"]
    for again in ([], ["--threshold", 3.7]):
        lines = metavad("events", "scores", *again).out.splitlines()
        assert lines[0] == "monday: 3 events over 3.70"
        assert [line.split()[0] for line in lines[1:]] == ["1.", "2.", "3."]
    assert len(events) == 3
    before = load_detector("detectors/lobby")
    block = metavad("feedback", "scores/monday/events/001.jpg", "--abnormal")  # learns nothing: no base is needed
    assert block.code == 0, block.err
    assert "never taken as normal from now on; detectors/lobby is at version 2" in block.out
    assert "what is like it, near its place, scores up to" in block.out
    result = metavad("feedback", "scores/monday:1", "--normal", *base)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].endswith("normal from now on; detectors/lobby is at version 3")
    assert "  of the last day's 3 alarms 2 go:" in lines
    assert "  the confirmed event alarms" in lines
    assert lines[-1] == "  not what you meant? metavad detector rollback detectors/lobby"
    history = metavad("detector", "history", "detectors/lobby")
    assert [line.split()[0] for line in history.out.splitlines()] == ["version", "1", "2", "3"]
    assert history.out.splitlines()[-1].endswith("in use")
    assert metavad("detector", "rollback", "detectors/lobby", "--to", 1).code == 0
    assert load_detector("detectors/lobby").digest == before.digest
    forward = metavad("detector", "rollback", "detectors/lobby", "--to", 3)
    assert "back to the other one? metavad detector rollback detectors/lobby --to 1" in forward.out
    refused = metavad("feedback", "scores/monday:2", "--normal", *base)
    assert (refused.code, "was confirmed as abnormal" in refused.line) == (2, True)
    assert metavad("score", "scores", "--detector", "detectors/lobby").code == 1  # no videos there; the detector opens


def test_a_confirmed_event_is_not_lost_without_a_word(metavad, copy, base, monkeypatch):
    from metavad.workflows import feedback as module

    assert metavad("feedback", "scores/monday:2", "--abnormal", *base).code == 0
    lost = module.RescoredEvent("a block", 5.0, 1.0, False, is_lost=True)
    monkeypatch.setattr(module, "_rescored_event", lambda *_: lost)
    refused = metavad("feedback", "scores/monday:1", "--normal", *base)
    assert (refused.code, "a block would not (score 1.0" in refused.line) == (1, True)
    assert not (copy / "detectors/lobby/versions/3").exists()
    done = metavad("feedback", "scores/monday:1", "--normal", "--anyway", *base)
    assert (done.code, "  confirmed, and lost: a block, score now 1.0" in done.out) == (0, True)


def test_an_event_over_another_threshold_finds_its_detector(metavad, copy, site, base):
    """Of `score --threshold`, and of scores from before the threshold was moved."""
    given = [site / "monday.mkv", "--detector", "detectors/lobby", "--out", "lower", "--threshold", 3]
    assert metavad("score", *given).code == 0
    assert metavad("threshold", "detectors/lobby", "--threshold", 3.2).code == 0
    for folder in ("lower", "scores"):
        done = metavad("feedback", f"{folder}/monday:1", "--normal", *base)
        assert done.code == 0, done.err
        assert metavad("detector", "rollback", "detectors/lobby", "--to", 1).code == 0
    assert "of the last day's" in done.out


def test_scores_beside_it_that_say_nothing_are_left_out(metavad, copy, base):
    shutil.copytree(copy / "scores" / "monday", copy / "scores" / "sunday")
    result = json.loads((copy / "scores" / "sunday" / "result.json").read_text())
    (copy / "scores" / "sunday" / "result.json").write_text(json.dumps({**result, "path": ""}))
    corrected = metavad("feedback", "scores/monday:1", "--normal", *base)
    assert corrected.code == 0, corrected.err
    assert "sunday: expected scores that name their video, found none" in corrected.err
    assert "of the last day's 3 alarms" in corrected.out


def test_a_new_video_is_scored_beside_one_of_the_version_before(metavad, copy, site):
    assert metavad("threshold", "detectors/lobby", "--threshold", 5.0).code == 0
    given = ["--detector", "detectors/lobby", "--out", "scores"]
    videos = {path.stem: path for path in site.rglob("*.mkv")}
    alone = metavad("score", videos["monday"], *given)
    assert (alone.code, "another detector, version or threshold" in alone.line) == (1, True)
    before = (copy / "scores/monday/events.json").read_bytes()
    both = metavad("score", videos["monday"], videos["tuesday"], *given)
    assert both.code == 0, both.err
    assert "monday: scored before, by another detector, version or threshold; it stays as it is" in both.out
    assert (copy / "scores/monday/events.json").read_bytes() == before
    assert (copy / "scores/tuesday/events.json").is_file()


def test_an_event_below_the_threshold_may_be_confirmed(metavad, copy, base):
    """It alarmed by another threshold; nothing is lost."""
    assert metavad("threshold", "detectors/lobby", "--threshold", 1000).code == 0
    done = metavad("feedback", "scores/monday:2", "--abnormal", "--detector", "detectors/lobby", *base)
    assert done.code == 0, done.err
    assert "  confirmed, and below the threshold: monday, " in done.out
    assert "  confirmed, and lost" not in done.out


def test_of_two_corrections_at_once_one_is_refused(metavad, copy, base, monkeypatch):
    """It was made of a version that is no longer in use, and would forget the other one."""
    from metavad.workflows import feedback as module

    feedback = module.feedback

    def meanwhile(*given, **named):
        assert metavad("threshold", "detectors/lobby", "--threshold", 4.25).code == 0
        return feedback(*given, **named)

    monkeypatch.setattr(module, "feedback", meanwhile)
    refused = metavad("feedback", "scores/monday:2", "--abnormal", *base)
    assert refused.code == 1
    assert "somebody has changed the detector meanwhile; nothing was changed; say it again" in refused.line
    assert load_detector("detectors/lobby").threshold == 4.25
    assert not (copy / "detectors/lobby/versions/2").exists()


@pytest.mark.parametrize(
    ("given", "message", "code"),
    [
        (["scores/monday:1"], "found both or neither", 2),
        (["scores/monday:1", "--normal", "--abnormal"], "found both or neither", 2),
        (["scores/monday", "--normal"], "expected DIR:NUMBER", 2),
        (["scores/monday:9", "--normal"], "an event from 1 to 3", 2),
        (["scores/monday:0", "--normal"], "an event from 1 to 3", 2),
        (["nowhere:1", "--normal"], "score again", 1),
        (["scores/monday:1", "--normal", "--base", "nowhere"], "expected a base", 1),
        (["scores/monday:1", "--normal", "--detector", "nowhere"], "expected a detector", 1),
    ],
)
def test_feedback_refuses(metavad, copy, given, message, code):
    result = metavad("feedback", *given)
    assert (result.code, message in result.line) == (code, True), result.err
    assert not (copy / "detectors/lobby/versions.json").exists()


def test_the_base_and_the_detector_are_named_where_they_are_not_found(metavad, copy):
    (other,) = [metavad("feedback", "scores/monday:1", "--normal")]
    assert (other.code, "give it with --base" in other.line) == (1, True)
    shutil.move("detectors", "elsewhere")
    result = metavad("feedback", "scores/monday:1", "--normal")
    assert (result.code, "name it: --detector DIR" in result.line) == (2, True)


def test_rollback_refuses(metavad, copy):
    for given, message in (([], "found the first one in use"), (["--to", 7], "a version from 1 to 1, found 7")):
        result = metavad("detector", "rollback", "detectors/lobby", *given)
        assert result.code in (1, 2)
        assert message in result.line
    assert "expected a detector" in metavad("detector", "history", "nowhere").line


def test_rollback_does_not_put_a_damaged_version_to_use(metavad, copy):
    folder = Path("detectors/lobby")
    found = load_detector(folder)
    for name in ("one", "two"):
        save_version(folder, found, "abnormal", name)
    (place_of(folder, 2) / "detector.safetensors").write_bytes(b"damaged")
    refused = metavad("detector", "rollback", folder)
    assert (refused.code, "found a damaged one" in refused.line, current(folder)) == (1, True, 3)
    (place_of(folder, 1) / "detector.safetensors").write_bytes(b"damaged")
    assert metavad("detector", "rollback", folder, "--to", 3).code == 0


def test_an_event_that_was_watched_is_corrected(metavad, copy, site, base):
    """Its working pictures are what is shown; the index says what was ruled."""
    detector = load_detector("detectors/lobby")
    (monday,) = scene_of_files([site / "monday.mkv"]).normal
    size = detector.config.data.short_side
    pictures = [(CLOCK + frame.index / 10, frame.image) for frame in read_frames(monday, short_side=size)]
    watched = copy / "watched"
    with Index(watched, make=True) as index:
        index.begin(Session("gate", "utc", detector.scores_digest, detector.threshold, 1.0, 300.0))
        for id, start in (("e1", 1.7), ("e2", 10.7)):
            seconds = CLOCK + start
            event = CameraEvent(
                id,
                "gate",
                detector.scores_digest,
                "utc",
                seconds,
                seconds + 1.4,
                seconds + 0.6,
                4.5,
                3.7,
                None,
                "",
                is_over=True,
            )
            index.put_event(event)
            place = watched / "events" / id / "frames.mkv"
            place.parent.mkdir(parents=True)
            around = [each for each in pictures if abs(each[0] - seconds) < 4]
            write_frames(place, around)
            index.note(id, frames=f"events/{id}/frames.mkv", announced=seconds)
    assert frames_begin(place) == around[0][0]
    result = metavad("feedback", "watched:e1", "--normal", *base)
    assert result.code == 0, result.err
    assert "gate, 2026-05-28" in result.out
    assert "  of the last day's 2 alarms 2 go:" in result.out.splitlines()
    with Index(watched) as index:
        assert index.event("e1").verdict == "normal"
    after = load_detector("detectors/lobby")
    assert {after.shots[number].video for number in after.corrections} == {"e1"}
    assert "expected the id of an event" in metavad("feedback", "watched:e9", "--normal", *base).line
    assert content_digest(monday) not in after.sources.values()


def test_what_is_corrected_while_it_is_watched_alarms_no_more(metavad, copy, site, base, monkeypatch):
    """Without a restart; what was not corrected is found by the version that is used by then."""
    push, asked = Watch._push, []

    def corrected(watch, taken):
        push(watch, taken)
        if taken.seconds == pytest.approx(10.0):
            with Index(copy / "lobby") as index:
                (stored,) = index.events()
            asked.append(metavad("feedback", f"lobby:{stored.event.id}", "--normal", *base))

    monkeypatch.setattr(Watch, "_push", corrected)
    monkeypatch.setattr("metavad.live.latest.EVERY", 0.0)
    before = load_detector("detectors/lobby")
    given = ["--detector", "detectors/lobby", "--out", "lobby", "--fast", "--no-conditions", "--log", "json"]
    watched = metavad("watch", site / "tuesday.mkv", *given)
    assert (watched.code, [result.code for result in asked]) == (0, [0]), watched.err
    after = load_detector("detectors/lobby")
    rows = list(map(json.loads, watched.out.splitlines()))
    (version,) = [row for row in rows if row["kind"] == "version"]
    assert (version["version"], version["before"], version["detector"]) == (
        2,
        before.scores_digest,
        after.scores_digest,
    )
    with Index(copy / "lobby") as index:
        events = [stored.event for stored in index.events()]
    assert [(round(event.start), event.detector, event.threshold) for event in events] == [
        (2, before.scores_digest, 3.7),
        (22, after.scores_digest, after.threshold),
    ]
