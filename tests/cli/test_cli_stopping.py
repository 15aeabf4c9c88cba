"""Stopped by Ctrl-C or by a signal, out of room, or twice at once: one line, which says truly how to go on."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

from metavad.cli import main
from metavad.files import claimed
from metavad.scoring.results import folders_of_scores

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def _signals_as_in_a_terminal():
    """Where tests run in the background, Ctrl-C is ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    assert {number: signal.getsignal(number) for number in usual} == usual
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def stop(request):
    return request.param


@pytest.fixture(scope="module")
def camera(cameras):
    return cameras.parent / "camera-000"


@pytest.fixture(scope="module")
def detector(tiny_run, camera, tmp_path_factory):
    out = tmp_path_factory.mktemp("detectors") / "one"
    arguments = ["adapt", "--normal", camera / "normal", "--shots", 2, "--base", tiny_run, "--out", out]
    assert main([str(argument) for argument in arguments]) == 0
    return out


@pytest.fixture
def videos(camera, tmp_path):
    for name in "abc":
        shutil.copy(camera / "test" / f"test-0{'abc'.index(name) % 2}.mp4", tmp_path / f"{name}.mp4")
    return [f"{name}.mp4" for name in "abc"]


def after(monkeypatch, module, name, calls, what):
    """``what`` happens once the function was called so many times."""
    kept, count = getattr(module, name), []

    def counted(*arguments, **options):
        found = kept(*arguments, **options)
        count.append(1)
        if len(count) == calls:
            what()
        return found

    monkeypatch.setattr(module, name, counted)
    return count


def tree(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def hidden(folder):
    return list(folder.rglob(".*"))


def test_any_command_ends_alike(monkeypatch, capsys, stop):
    monkeypatch.setattr("metavad.cli.app", lambda *_, **__: signal.raise_signal(stop))
    assert main(["show", "suites"]) == SIGNALS[stop]
    assert capsys.readouterr().err == "metavad: interrupted; the same command starts over\n"


def test_what_is_ignored_stays_ignored(monkeypatch):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    seen = []
    monkeypatch.setattr("metavad.cli.app", lambda *_, **__: seen.append(signal.getsignal(signal.SIGHUP)))
    assert main(["show", "suites"]) == 0
    assert seen == [signal.SIG_IGN] == [signal.getsignal(signal.SIGHUP)]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_scoring_goes_on_with_what_is_left(metavad, detector, videos, tmp_path, monkeypatch, stop):
    from metavad.scoring import results

    arguments = ["score", *videos, "--detector", detector]
    with monkeypatch.context() as patched:
        after(patched, results, "write_stream", 2, lambda: signal.raise_signal(stop))
        stopped = metavad(*arguments)
    assert stopped.code == SIGNALS[stop]
    assert stopped.line.endswith("interrupted; the same command goes on with the videos that are left")
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["a"]
    first = tree(tmp_path / "scores" / "a")

    scored = after(monkeypatch, results, "write_stream", 0, None)
    again = metavad(*arguments)
    assert again.code == 0, again.err
    assert len(scored) == 2
    assert "a: scored already; scores/a" in again.out
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["a", "b", "c", "index.html"]
    assert tree(tmp_path / "scores" / "a") == first
    whole = metavad(*arguments, "--out", "whole")
    assert whole.code == 0
    for video in "abc":
        for name in ("scores.csv", "events.json", "result.json"):
            one, other = ((tmp_path / place / video / name).read_bytes() for place in ("scores", "whole"))
            assert one == other


@pytest.mark.parametrize("stop", [signal.SIGTERM], indirect=True, ids=lambda number: number.name)
def test_several_side_by_side_stop_and_go_on_as_one_by_one(metavad, detector, videos, tmp_path, stop):
    """A signal to the command alone, once the first video is done; those beside it are no one's half work."""
    arguments = [*map(str, ["score", *videos, "--detector", detector, "--jobs", "2", "--progress", "none"])]
    program = """
import os, signal, sys
from metavad.cli import main, terminal
def say(*lines):
    os.kill(os.getpid(), int(os.environ["STOP"]))
terminal.say = say
sys.exit(main(sys.argv[1:]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        env=os.environ | {"STOP": str(int(stop))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == SIGNALS[stop], done.stderr
    assert done.stderr.splitlines() == ["metavad: interrupted; the same command goes on with the videos that are left"]
    unfinished = tmp_path / "scores" / ".b.unfinished-1"
    shutil.copytree(tmp_path / "scores" / "a", unfinished)  # as a process that was stopped leaves it
    assert {path.name for path in folders_of_scores(tmp_path / "scores")} <= {"a", "b", "c"}
    shutil.rmtree(unfinished)
    first = tree(tmp_path / "scores" / "a")
    again = metavad(*arguments)
    assert again.code == 0, again.err
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["a", "b", "c", "index.html"]
    assert tree(tmp_path / "scores" / "a") == first


def test_a_killed_run_leaves_nothing_for_good(detector, videos, tmp_path):
    """kill -9 while the first video is scored; the same command sweeps up and finishes."""
    program = """
import os, signal, sys
from metavad.cli import main
from metavad.scoring import results
kept = results.write_stream
def write_stream(*arguments, **options):
    kept(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
results.write_stream = write_stream
main(sys.argv[1:])
"""
    arguments = ["score", videos[0], "--detector", str(detector), "--out", str(tmp_path / "scores")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(path.name.split("-")[0] for path in (tmp_path / "scores").iterdir())
    assert left == [".a.lock", ".a.unfinished"]
    os.chdir(tmp_path)
    assert main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == ["a", "index.html"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("detector", "those of another detector"),
        ("video", "those of another video of this name"),
        ("fps", "those of another --fps"),
        ("file", "found something"),
        ("damage", "found something"),
    ],
)
def test_scores_of_something_else_are_taken(metavad, camera, detector, tiny_run, tmp_path, change, message):
    import cv2

    from metavad.scenes.scene import Video
    from metavad.scenes.video import read_colour

    (tmp_path / "a").mkdir()
    for number in range(12):
        picture = read_colour(Video("v", camera / "test" / "test-00.mp4"), number)
        cv2.imwrite(str(tmp_path / "a" / f"{number:03d}.png"), picture)
    arguments = ["score", "a", "--detector", detector]
    assert metavad(*arguments).code == 0
    if change == "detector":
        shots = ["--normal", camera / "normal", "--shots", 1, "--base", tiny_run]
        assert metavad("adapt", *shots, "--out", "other").code == 0
        arguments = ["score", "a", "--detector", "other"]
    elif change == "video":
        shutil.copy(tmp_path / "a" / "000.png", tmp_path / "a" / "011.png")
    elif change == "fps":
        arguments += ["--fps", 7]
    elif change == "file":
        (tmp_path / "scores" / "a" / "result.json").unlink()
    else:
        (tmp_path / "scores" / "a" / "result.json").write_text("{")
    before = tree(tmp_path / "scores")
    taken = metavad(*arguments)
    assert (taken.code, "free place for scores" in taken.line, message in taken.line) == (1, True, True)
    assert tree(tmp_path / "scores") == before


def test_sizes_are_compared_before_anything_is_scored(metavad, detector, videos, tmp_path, monkeypatch):
    import av
    import numpy as np

    from metavad.scoring import results

    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 72, 128, "yuv420p"
        for _ in range(12):
            picture = av.VideoFrame.from_ndarray(np.full((72, 128, 3), 90, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    scored = after(monkeypatch, results, "write_stream", 0, None)
    result = metavad("score", *videos, "wide.mp4", "--detector", detector)
    assert (result.code, "128x72" in result.line) == (1, True)
    assert (scored, (tmp_path / "scores").exists()) == ([], False)


def test_two_at_one_place_are_one_line_for_the_second(metavad, camera, cameras, detector, videos, tiny_run, tmp_path):
    commands = {
        "scores/a": ["score", videos[0], "--detector", detector],
        "made": ["adapt", "--normal", camera / "normal", "--shots", 1, "--base", tiny_run, "--out", "made"],
        "site": ["data", "synthesize", "--scenes", 1, "--size", "tiny", "--out", "site"],
        "run": ["meta-train", "--scenes", cameras, "--config", "quick", "--out", "run"],
        "demo": ["demo"],
    }
    for place, arguments in commands.items():
        with claimed(tmp_path / place):
            result = metavad(*arguments)
        assert (result.code, f"{place}: expected nobody else" in result.line) == (1, True), result.err
        assert not (tmp_path / place).exists()
    assert not hidden(tmp_path)


def test_adapting_starts_over(metavad, camera, tiny_run, tmp_path, monkeypatch, stop):
    from metavad.workflows import few_shot

    arguments = ["adapt", "--normal", camera / "normal", "--shots", 1, "--base", tiny_run, "--out", "made"]
    with monkeypatch.context() as patched:
        after(patched, few_shot, "make_detector", 1, lambda: signal.raise_signal(stop))
        stopped = metavad(*arguments)
    assert stopped.code == SIGNALS[stop]
    assert stopped.line.endswith("interrupted; the same command starts over")
    assert not list(tmp_path.iterdir())
    assert metavad(*arguments).code == 0


def test_adapting_several_says_which_are_left(metavad, cameras, tiny_run, tmp_path, monkeypatch):
    from metavad.workflows import few_shot

    arguments = ["adapt", "--shots", 1, "--base", tiny_run, "--out", "made", "--target"]
    with monkeypatch.context() as patched:
        after(patched, few_shot, "make_detector", 2, lambda: signal.raise_signal(signal.SIGTERM))
        stopped = metavad(*arguments, cameras)
    assert stopped.code == 143
    assert "1 of 3 detectors are done" in stopped.line
    assert "camera-000" not in stopped.line
    left = [f"{cameras}:{name}" for name in ("camera-001", "camera-002") if name in stopped.line]
    assert metavad(*arguments, ",".join(left)).code == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["camera-000", "camera-001", "camera-002"]


def test_before_a_run_is_begun_it_cannot_be_resumed(metavad, cameras, tmp_path, monkeypatch):
    from metavad.workflows import meta_train

    with monkeypatch.context() as patched:
        after(patched, meta_train, "shown_digest", 1, lambda: signal.raise_signal(signal.SIGTERM))
        stopped = metavad("meta-train", "--scenes", cameras, "--config", "quick", "--out", "run")
    assert (stopped.code, stopped.line) == (143, "metavad: interrupted; the same command starts over")
    assert not list(tmp_path.iterdir())


def test_a_fresh_benchmark_keeps_nothing(metavad, cameras, tiny_run, monkeypatch):
    from metavad.benchmark import experiment

    asked = ["benchmark", "--target", cameras, "--base", tiny_run, "--shots", 0, "--methods", "position,motion"]
    for options, message in (([], "goes on where it stopped"), (["--fresh"], "starts over")):
        with monkeypatch.context() as patched:
            after(patched, experiment, "scored_part", 1, lambda: signal.raise_signal(signal.SIGTERM))
            stopped = metavad(*asked, *options)
        assert (stopped.code, stopped.line) == (143, f"metavad: interrupted; the same command {message}")


def full_after(monkeypatch, files, number=errno.ENOSPC):
    """No room on the disk once so many files were written."""
    flush, flushed = os.fsync, []

    def full(handle):
        flushed.append(handle)
        if len(flushed) > files:
            raise OSError(number, os.strerror(number))
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)


ROOM = {
    "score": (["score", "a.mp4", "b.mp4", "--detector", "DETECTOR"], 10, "goes on with the videos that are left"),
    "adapt": (["adapt", "--normal", "NORMAL", "--shots", 1, "--base", "BASE"], 0, "starts over"),
    "label": (["data", "label", "a.mp4", "--out", "labels.csv"], 0, "starts over"),
    "cameras": (["data", "synthesize", "--scenes", 1, "--size", "tiny", "--out", "site"], 0, "keeps the cameras that"),
}


@pytest.mark.parametrize("name", ROOM)
def test_out_of_room_says_what_is_true(metavad, camera, detector, videos, tiny_run, tmp_path, monkeypatch, name):
    """What the line advises works once there is room."""
    given, files, message = ROOM[name]
    words = {"DETECTOR": detector, "NORMAL": camera / "normal", "BASE": tiny_run}
    arguments = [words.get(word, word) for word in given]
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patched:
        full_after(patched, files)
        result = metavad(*arguments)
    assert (result.code, f"make room, then the same command {message}" in result.line) == (1, True), result.line
    assert "run the same command again" not in result.line
    assert not hidden(tmp_path)
    assert sorted(tmp_path.iterdir()) == before or name == "score"
    again = metavad(*arguments)
    assert again.code == 0, again.err
    assert ("a: scored already" in again.out) == (name == "score")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_any_want_of_room_is_the_same_line(metavad, videos, monkeypatch, number):
    full_after(monkeypatch, 0, number)
    result = metavad("data", "label", videos[0], "--out", "labels.csv")
    assert result.code == 1
    assert result.line.startswith("metavad: labels.csv: ")
    assert result.line.endswith("; make room, then the same command starts over")


def test_a_run_without_room_goes_on_by_resume(metavad, cameras, tiny_config, tmp_path, monkeypatch):
    from metavad.errors import FullDiskError
    from metavad.workflows import meta_train

    def full(*_, **__):
        raise FullDiskError("run/maml/state-1: the disk is full; make room")

    sets = [part for text in ("meta.outer_steps=1", "meta.control_steps=1") for part in ("--set", text)]
    with monkeypatch.context() as patched:
        patched.setattr(meta_train, "save_state", full)
        result = metavad("meta-train", "--scenes", cameras, "--config", "quick", *sets, "--out", "run")
    assert result.code == 1
    assert result.line.endswith("make room, then go on with the same command and --resume --out run")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_what_is_closed_stops_nothing(detector, videos, tmp_path, closed):
    """As services start commands; files that were opened got the number of standard error."""
    program = "from metavad.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "score", videos[0], "--detector", detector, "--out", "out"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *map(str, command)], cwd=tmp_path, check=False, capture_output=True
    )
    assert done.returncode == 0
    assert (tmp_path / "out" / "a" / "scores.csv").is_file()
