"""``metavad watch`` with whom to tell: what was kept, what was told, and what the same scores give again."""

import contextlib
import io
import json
import sys

import av
import numpy as np
import pytest

import metavad
from metavad.live.again import watched_again
from metavad.live.index import Index
from metavad.scenes.scene import Video
from metavad.scenes.suite import load_suite
from metavad.scenes.video import probe, read_frames, tick_frames

TAKE = """
import pathlib, sys
with open(pathlib.Path(sys.argv[0]).with_name("came.jsonl"), "a") as file:
    file.write(sys.stdin.read() + "\\n")
"""


@pytest.fixture(scope="module")
def site(cameras, tiny_base, tmp_path_factory):
    """A detector, a video of its camera, and a program that takes what it is told."""
    scene, place = load_suite(str(cameras)).scenes[0], tmp_path_factory.mktemp("told")
    metavad.save_detector(place / "detector", metavad.adapt(tiny_base, scene, shots=2, alarms_per_day=10))
    (place / "take.py").write_text(TAKE)
    (place / "today.mp4").symlink_to(scene.test[0].path)
    return place


def run(site, *options):
    from metavad.cli import main

    out, err = io.StringIO(), io.StringIO()
    given = ["watch", site / "today.mp4", "--fast", "--detector", site / "detector", "--out", site / "kept", *options]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(each) for each in given])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def threshold(site):
    """It was watched over this threshold."""
    scores = [frame.score for frame in metavad.score(metavad.load_detector(site / "detector"), site / "today.mp4")]
    threshold = float(np.quantile(scores, 0.8))
    target = f"run:'{sys.executable}' '{site / 'take.py'}'"
    code, _, err = run(site, "--threshold", threshold, "--notify", target, "--ignore", "0,0 0.02,0 0.02,0.02 0,0.02")
    assert code == 0, err
    return threshold


def test_what_is_kept_announced_and_found_again(site, threshold):
    with Index(site / "kept") as index:
        kept = index.events()
        again = watched_again(index, threshold)
        assert index.waiting() == 0
    assert kept
    assert [each.event.is_over for each in kept] == [True] * len(kept)
    np.testing.assert_allclose(
        [[each.event.start, each.event.end, each.event.score] for each in again],
        [[each.event.start, each.event.end, each.event.score] for each in kept],
        atol=1e-5,
    )
    assert [each.event.id for each in again] == [each.event.id for each in kept]
    came = [json.loads(line) for line in (site / "came.jsonl").read_text().splitlines()]
    expected = [(each.event.id, what) for each in kept if each.announced is not None for what in ("began", "ended")]
    assert [(each["event"]["id"], each["what"]) for each in came] == expected
    assert len({each["key"] for each in came}) == len(came)


def test_what_is_kept_of_an_event_becomes_the_very_working_pictures(site, threshold):
    """The frames of an event, read as a video, are those that the detector has read."""
    with Index(site / "kept") as index:
        stored = next(each for each in index.events() if each.frames)
    with av.open(str(site / "kept" / stored.frames)) as container:
        kept = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    detector = metavad.load_detector(site / "detector")
    video = Video("today", site / "today.mp4")
    ticks = tick_frames(probe(video).seconds, detector.model.rate)
    read = [frame.image for frame in read_frames(video, short_side=detector.config.data.short_side, every=ticks)]
    starts = [place for place in range(len(read)) if np.array_equal(read[place], kept[0])]
    assert any(
        all(np.array_equal(one, other) for one, other in zip(read[place:], kept, strict=False)) for place in starts
    )
    assert len(kept) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--notify", "ftp://me:secret@example.org"], "--notify: expected https://..."),
        (["--schedule", "always"], "--schedule: expected days and times"),
        (["--time-zone", "Mars/Olympus"], "--time-zone: expected a name"),
        (["--ignore", "0,0"], "--ignore: expected three corners"),
        (["--ignore", "0,0 1,0 1,1 0,1"], "found all of it ignored"),
        (["--cooldown", "soon"], "--cooldown: expected a length"),
        (["--keep", "-3"], "--keep: expected days"),
        (["--keep", "3"], "--keep: expected a camera, found"),
    ],
)
def test_what_cannot_be_asked_is_one_line(site, options, message):
    code, _, err = run(site, *options)
    assert (code, err.count("\n"), message in err, "secret" in err) == (2, 1, True, False), err
