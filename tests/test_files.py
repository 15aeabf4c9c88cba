"""Whole or not there; what the dead left goes, what the living are at stays."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from metavad.errors import FullDiskError, OutputError
from metavad.files import (
    atomic_directory,
    atomic_path,
    claimed,
    is_free,
    is_full_disk,
    unfinished_directory,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def writer():
    """Starts another process that is in the middle of writing, and gives it."""
    started = []

    def start(block: str):
        program = f"""
            import sys
            from pathlib import Path
            from metavad.files import atomic_directory, atomic_path, claimed
            with {block} as beside:
                if beside is not None and beside.is_dir():
                    (beside / "half").write_text("half")
                print("ready", flush=True)
                sys.stdin.read()
        """
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], **pipes, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def killed(process):
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_file_is_whole_or_not_there(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "one")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "deep" / "a.txt") as beside:
        beside.write_text("two")
        raise RuntimeError
    assert (tmp_path / "deep" / "a.txt").read_text() == "one"
    assert names(tmp_path / "deep") == ["a.txt"]


def test_a_link_stays_one_and_a_pipe_is_written_into(tmp_path):
    (tmp_path / "file").write_text("one")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "two"
    os.mkfifo(tmp_path / "pipe")
    got = list[str]()
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", "three")
    reader.join(10)
    assert got == ["three"]
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["file", "link", "pipe"]


def test_folders_that_were_made_for_nothing_go(tmp_path):
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert names(tmp_path) == []


def test_what_somebody_else_wrote_meanwhile_is_left_alone(tmp_path):
    message = "what somebody else wrote meanwhile; name another"
    with pytest.raises(OutputError, match=message), atomic_directory(tmp_path / "a") as beside:
        (beside / "mine").touch()
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "theirs").touch()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["theirs"]


@pytest.mark.parametrize("kind", ["directory", "path"])
def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path, writer, kind):
    place = tmp_path / "monday.csv"
    killed(writer(f"atomic_{kind}(Path({str(place)!r}))"))
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".monday.csv.unfinished-")
    (tmp_path / "tuesday.csv").touch()
    (tmp_path / ".monday.csv.swp").touch()  # an editor's
    (tmp_path / f"{left.name.replace('monday', 'sunday')}").touch()  # of another place
    with atomic_directory(place) if kind == "directory" else atomic_path(place):
        assert not left.exists()
    assert set(names(tmp_path)) == {
        "monday.csv", "tuesday.csv", ".monday.csv.swp", left.name.replace("monday", "sunday")
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["directory", "path"])
def test_what_a_living_run_is_at_is_not_swept(tmp_path, writer, kind):
    place = tmp_path / "monday.csv"
    process = writer(f"atomic_{kind}(Path({str(place)!r}))")
    (theirs,) = tmp_path.iterdir()
    with atomic_directory(place) if kind == "directory" else atomic_path(place) as beside:
        assert theirs.exists()
        if kind == "directory":
            (beside / "whole").touch()
    assert names(tmp_path) == sorted([theirs.name, "monday.csv"])
    process.communicate("")
    assert process.returncode == (1 if kind == "directory" else 0)  # the place is taken, and it says so
    assert names(tmp_path) == ["monday.csv"]


def test_the_same_place_twice_in_one_process(tmp_path):
    """Two threads, say: neither sweeps the other's."""
    with atomic_path(tmp_path / "a") as one, atomic_path(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"
    assert names(tmp_path) == ["a"]


def test_a_place_is_claimed_once(tmp_path, writer):
    place = tmp_path / "deep" / "place"
    process = writer(f"claimed(Path({str(place)!r}))")
    message = r"deep/place: expected nobody else .* another run of metavad"
    with pytest.raises(OutputError, match=message), claimed(place):
        raise AssertionError
    with claimed(tmp_path / "deep" / "other"):
        pass
    process.communicate("")
    with claimed(place):
        assert names(place.parent) == [".place.lock"]
    assert names(place.parent) == []


def test_a_claim_ends_with_the_process_however_that_ends(tmp_path, writer):
    killed(writer(f"claimed(Path({str(tmp_path / 'place')!r}))"))
    assert names(tmp_path) == [".place.lock"]
    with claimed(tmp_path / "place"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_no_free_place_and_that_is_reported_before_the_work(tmp_path, there):
    """A folder cannot take its place; that was found after the work."""
    if there:
        (tmp_path / "real").mkdir()
    (tmp_path / "place").symlink_to("real")
    with pytest.raises(OutputError, match="found a link"), atomic_directory(tmp_path / "place"):
        raise AssertionError


def test_a_folder_that_takes_no_files_is_not_waited_for(tmp_path, monkeypatch):
    """As /proc, or one that is removed again and again."""
    opened = os.open

    def missing(path, flags, *rest, **named):
        if flags & os.O_CREAT:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", str(path))
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", missing)
    message = "expected a folder to write to, found one that takes no files"
    with pytest.raises(OutputError, match=message), claimed(tmp_path / "place"):
        raise AssertionError


def test_a_claim_may_wait(tmp_path, writer):
    process = writer(f"claimed(Path({str(tmp_path / 'place')!r}))")
    program = f"""
        from pathlib import Path
        from metavad.files import claimed
        print("waiting", flush=True)
        with claimed(Path({str(tmp_path / "place")!r}), wait=True):
            print("mine", flush=True)
    """
    waiting = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert waiting.stdout.readline() == "waiting\n"
    assert waiting.poll() is None
    process.communicate("")
    assert waiting.communicate()[0] == "mine\n"
    assert names(tmp_path) == []


def test_the_folder_one_is_in_can_be_claimed(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with claimed(Path()), pytest.raises(OutputError), claimed(tmp_path / "here"):
        raise AssertionError
    assert names(tmp_path) == ["here"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_one_line_about_the_place_that_was_asked_for(tmp_path, number):
    with (
        pytest.raises(FullDiskError) as error,
        unfinished_directory(tmp_path / "monday") as beside,
        atomic_path(beside / "scores.csv"),
    ):
        raise OSError(number, os.strerror(number))
    assert str(error.value).startswith(f"{tmp_path / 'monday' / 'scores.csv'}: ")
    assert "\n" not in str(error.value)
    assert "again" not in str(error.value)  # the caller knows how to go on
    assert is_full_disk(error.value)
    assert is_full_disk(OSError(number, ""))
    assert not is_full_disk(OutputError("taken"))
    assert names(tmp_path) == []


def test_an_empty_folder_is_a_free_place(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert [is_free(tmp_path / name) for name in ("nothing", "empty", "folder", "file")] == [True, True, False, False]
