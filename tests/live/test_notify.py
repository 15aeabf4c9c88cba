"""Whom to tell: a webhook, a broker, a command; kept until it has arrived, whatever fails or is killed in between."""

import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from metavad.cli.watch import note_left
from metavad.errors import UsageError
from metavad.live.index import Index
from metavad.live.notify import Notifier, target_of

BODY = {"schema": 1, "kind": "event", "what": "began", "event": {"id": "lobby-1"}}


class Server(ThreadingHTTPServer):
    """Answers with these codes in turn, then with 200; keeps what came."""

    daemon_threads = True

    def __init__(self, *codes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.codes, self.came = list(codes), []

    @property
    def url(self):
        return f"http://user:secret@127.0.0.1:{self.server_port}/alarm?token=hidden"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = self.server.codes.pop(0) if self.server.codes else 200
        self.server.came.append((self.headers["Idempotency-Key"], self.headers["Authorization"], body, code))
        self.send_response(code)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def given(folder, target, *keys):
    index = Index(folder, make=True)
    for key in keys:
        index.put_message(target.name, key, {**BODY, "key": key}, 1000.0)
    return index


def test_a_webhook_that_fails_is_tried_again_later_and_later(tmp_path, clock):
    troubles = []
    with serving(Server(500, 503, 404, 301)) as server:
        target = target_of(server.url)
        notifier = Notifier(tmp_path, [target], now=clock, on_trouble=lambda *each: troubles.append(each))
        with given(tmp_path, target, "a") as index:
            waits = []
            for _ in range(10):
                if notifier.deliver(index):
                    break
                start = clock.now
                while not index.due(target.name, clock.now):
                    clock.now += 1.0
                waits.append(clock.now - start)
            assert waits == [1, 2, 4, 8]
            assert index.waiting() == 0
            assert notifier.deliver(index) == 0
    assert [each[3] for each in server.came] == [500, 503, 404, 301, 200]
    assert {each[0] for each in server.came} == {"a"}
    assert server.came[0][2] == {**BODY, "key": "a"}
    assert server.came[0][1].startswith("Basic ")
    assert [why for _, why in troubles] == ["answered 500", "answered 503", "answered 404", "answered 301"]
    assert "secret" not in str(troubles) + target.name
    assert "hidden" not in str(troubles) + target.name


def test_nobody_there_holds_all_messages_and_a_refusal_only_its_own(tmp_path, clock):
    with serving(Server(404)) as server:
        target = target_of(server.url)
        with given(tmp_path, target, "a", "b", "c") as index:
            assert Notifier(tmp_path, [target], now=clock).deliver(index) == 2
            assert index.waiting() == 1
    with given(tmp_path, target, "d", "e") as index:
        clock.now += 10
        notifier = Notifier(tmp_path, [target], now=clock)
        assert notifier.deliver(index) == 0
        assert index.waiting() == 3
        clock.now += 400
        assert [message.key for message in index.due(target.name, clock.now)] == ["a", "d", "e"]


def test_what_comes_while_a_target_is_away_does_not_overtake_what_waits(tmp_path, clock):
    with serving(Server(503, 503, 503)) as server:
        target = target_of(server.url)
        notifier = Notifier(tmp_path, [target], now=clock)
        with given(tmp_path, target, "began") as index:
            for seconds in (0, 1, 2):
                clock.now += seconds
                assert notifier.deliver(index) == 0
            given(tmp_path, target, "ended").close()
            clock.now += 1
            assert notifier.deliver(index) == 0
            clock.now += 10
            assert notifier.deliver(index) == 2
    assert [key for key, _, _, code in server.came if code == 200] == ["began", "ended"]


def test_a_name_in_any_letters_is_delivered(tmp_path, clock):
    with serving(Server()) as server:
        target = target_of(server.url)
        with given(tmp_path, target, "入口/1/began") as index:
            assert Notifier(tmp_path, [target], now=clock).deliver(index) == 1
    ((key, _, body, _),) = server.came
    assert (key, body["key"]) == ("%E5%85%A5%E5%8F%A3/1/began", "入口/1/began")


def test_what_nobody_foresaw_at_one_target_does_not_silence_the_others(tmp_path, clock):
    class Odd:
        name = "odd"

        def deliver(self, message):
            raise KeyError("secret")

    troubles = []
    with serving(Server()) as server:
        target = target_of(server.url)
        given(tmp_path, Odd, "a").close()
        with given(tmp_path, target, "a") as index:
            notifier = Notifier(tmp_path, [Odd(), target], now=clock, on_trouble=lambda *each: troubles.append(each))
            assert notifier.deliver(index) == 1
    assert troubles == [("odd", "KeyError")]


def test_a_program_that_hangs_is_tried_no_further(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("metavad.live.notify.COMMAND_TIMEOUT", 0.2)
    target, troubles = target_of("run:sleep 30"), []
    with given(tmp_path, target, "a", "b", "c") as index:
        Notifier(tmp_path, [target], now=clock, on_trouble=lambda *each: troubles.append(each)).deliver(index)
    assert troubles == [(target.name, "did not end within 0.2 s")]


def test_another_password_is_no_other_target():
    one, other = (target_of(f"https://user:{word}@example.org/alarm") for word in ("old", "new"))
    assert one.name == other.name
    assert target_of("https://user:old@example.org/else").name != one.name


def test_what_waits_is_due_when_it_begins_and_a_clock_that_is_set_back_holds_nothing(tmp_path, clock):
    with serving(Server(503)) as server:
        target = target_of(server.url)
        with given(tmp_path, target, "a") as index:
            notifier = Notifier(tmp_path, [target], now=clock)
            assert notifier.deliver(index) == 0
            clock.now -= 3600
            assert notifier.deliver(index) == 0
            index.put_message(target.name, "b", {"key": "b"}, clock.now)
            assert notifier.deliver(index) == 1
        with Notifier(tmp_path, [target], now=clock):
            pass
    assert [key for key, _, _, code in server.came if code == 200] == ["b", "a"]


def test_who_is_not_named_any_more_is_reported_at_the_start(tmp_path):
    given(tmp_path, target_of("https://example.org/before"), "a", "b").close()
    notes = []
    note_left(tmp_path, {"other"}, notes.append)
    (note,) = notes
    assert note.text.startswith("https://example.org-")
    assert "2 messages wait for it, and it is not named any more" in note.text
    note_left(tmp_path / "new", set(), notes.append)
    assert len(notes) == 1


@pytest.mark.parametrize("text", ["https://user:pa/ss@host/x", "mqtt://user:pa/ss@broker/topic", "https://host:99999/"])
def test_an_address_that_does_not_hold_together_is_one_line(text):
    with pytest.raises(UsageError, match="does not hold together; in a password write / as %2F") as caught:
        target_of(text)
    assert "pa" not in str(caught.value).replace("password", "")


def test_a_message_is_tried_for_as_long_as_it_takes(tmp_path, clock):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = target_of(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with given(tmp_path, target, "a") as index:
            notifier = Notifier(tmp_path, [target], now=clock)
            for _ in range(30):
                notifier.deliver(index)
                clock.now += 300
            assert index.due(target.name, clock.now)[0].attempts == 30


def test_what_is_put_twice_is_delivered_once(tmp_path, clock):
    with serving(Server()) as server:
        target = target_of(server.url)
        notifier = Notifier(tmp_path, [target], now=clock)
        with given(tmp_path, target, "a", "a") as index:
            notifier.deliver(index)
        with given(tmp_path, target, "a") as index:
            notifier.deliver(index)
    assert len(server.came) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from metavad.live.index import Index
from metavad.live.notify import Notifier, target_of
target = target_of(sys.argv[2])
index = Index(Path(sys.argv[1]), make=True)
index.put_message(target.name, "a", {"key": "a"}, 0.0)
index.put_message(target.name, "b", {"key": "b"}, 0.0)
index.delivered = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # it has arrived, and nobody has noted that
Notifier(Path(sys.argv[1]), [target]).deliver(index)
"""


def test_a_kill_in_between_loses_nothing_and_keys_tell_what_came_twice(tmp_path):
    with serving(Server(500)) as server:
        for _ in range(2):
            words = [sys.executable, "-c", KILLED, str(tmp_path), server.url]
            done = subprocess.run(words, check=False, cwd=Path(__file__).parents[2])
            if done.returncode == -signal.SIGKILL:
                break
            with Index(tmp_path) as index:
                index._execute("UPDATE outbox SET due = 0")
        assert done.returncode == -signal.SIGKILL
        target = target_of(server.url)
        with Notifier(tmp_path, [target]) as notifier:
            notifier.wake()
            for _ in range(500):
                with Index(tmp_path) as index:
                    if not index.waiting():
                        break
                threading.Event().wait(0.02)
    arrived = [key for key, _, _, code in server.came if code == 200]
    assert arrived == ["a", "a", "b"]
    assert list(dict.fromkeys(arrived)) == ["a", "b"]


def test_a_command_gets_json_and_key_and_no_shell(tmp_path, clock):
    program = tmp_path / "tell me.py"
    program.write_text(
        "import json, os, sys\n"
        f"with open({str(tmp_path / 'came')!r}, 'a') as file:\n"
        "    file.write(json.dumps([sys.argv[1:], os.environ['METAVAD_KEY'], json.load(sys.stdin)]) + '\\n')\n"
        "sys.exit(0 if 'fail' not in sys.argv else 3)\n"
    )
    target = target_of(f"run:{sys.executable} '{program}' '$HOME; rm'")
    with given(tmp_path, target, "a") as index:
        assert Notifier(tmp_path, [target], now=clock).deliver(index) == 1
    assert json.loads((tmp_path / "came").read_text()) == [["$HOME; rm"], "a", {**BODY, "key": "a"}]
    for text, why in (
        (f"run:{sys.executable} '{program}' fail", "ended with 3"),
        ("run:nobody-has-this", "did not run (FileNotFoundError)"),
    ):
        failing, troubles = target_of(text), []
        with given(tmp_path, failing, "b") as index:
            Notifier(tmp_path, [failing], now=clock, on_trouble=lambda *each: troubles.append(each[1])).deliver(index)  # noqa: B023
        assert troubles == [why]


class Broker(socketserver.ThreadingTCPServer):
    """Takes MQTT 3.1.1 connections and messages of quality 1."""

    daemon_threads, allow_reuse_address = True, True


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        while (first := self.rfile.read(1)) and first[0] >> 4 != 14:
            size, shift = 0, 0
            while (byte := self.rfile.read(1)[0]) & 128:
                size, shift = size | (byte & 127) << shift, shift + 7
            body = self.rfile.read(size | byte << shift)
            if first[0] >> 4 == 1:
                self.server.known.append(body[10:])
                self.wfile.write(bytes([32, 2, 0, 0 if self.server.is_open else 5]))
            elif first[0] >> 4 == 3:
                (length,) = struct.unpack(">H", body[:2])
                self.server.came.append(
                    (body[2 : 2 + length].decode(), json.loads(body[4 + length :]), first[0] >> 1 & 3)
                )
                self.wfile.write(bytes([64, 2]) + body[2 + length : 4 + length])


def test_a_broker_gets_it_with_a_receipt(tmp_path, clock):
    pytest.importorskip("paho.mqtt", reason="MQTT is in the extra live")
    broker, troubles = Broker(("127.0.0.1", 0), Session), []
    broker.came, broker.known, broker.is_open = [], [], True
    with serving(broker):
        target = target_of(f"mqtt://me:secret%20word@127.0.0.1:{broker.server_address[1]}/cameras/lobby")
        notifier = Notifier(tmp_path, [target], now=clock, on_trouble=lambda *each: troubles.append(each))
        with given(tmp_path, target, "a", "b") as index:
            assert notifier.deliver(index) == 2
            assert broker.came == [("cameras/lobby", {**BODY, "key": key}, 1) for key in "ab"]
            assert b"secret word" in broker.known[0]
            broker.is_open = False
            index.put_message(target.name, "c", BODY, 1000.0)
            assert notifier.deliver(index) == 0
            assert index.waiting() == 1
    assert len(troubles) == 1
    assert "secret" not in str(troubles) + repr(target)


def test_targets_are_read_and_refused_without_repeating_a_password(monkeypatch):
    monkeypatch.setenv("HOOK", "https://user:secret@example.org/x")
    monkeypatch.setenv("LOOP", "env:LOOP")
    assert target_of("env:HOOK") == target_of(os.environ["HOOK"])
    assert target_of("https://a.org/x").name != target_of("https://a.org/y").name
    for text, message in (
        ("ftp://user:secret@example.org", "found ftp://..."),
        ("secret@example.org", "found something else"),
        ("https://", "found no host"),
        ("run:", "found no command"),
        ("run:'secret", "found no command"),
        ("env:NOTHING_THERE", "found none"),
        ("env:LOOP", "found none"),
        ("mqtt://user:secret@broker", "mqtt://host/topic"),
        ("mqtt://broker/a/#", "mqtt://host/topic"),
    ):
        with pytest.raises(UsageError, match="--notify: expected") as error:
            target_of(text)
        assert message in str(error.value)
        assert "secret" not in str(error.value)
