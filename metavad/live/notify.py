"""Whom to tell of events: a webhook, an MQTT broker, or a command; what is told waits in the index until it arrives.

Each message has a key, the same in every try. It may come twice, where an answer is lost or the process is killed in
between; whoever gets it knows by its key that it has it already.
"""

import hashlib
import json
import math
import os
import re
import shlex
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from metavad.errors import MetavadError, UsageError
from metavad.live.index import Index, Message, is_passing

__all__ = ["Command", "Mqtt", "Notifier", "Refused", "Target", "Unreachable", "Webhook", "target_of"]

TIMEOUT = 10.0
"""Seconds that a target may take to answer."""
COMMAND_TIMEOUT = 60.0
PAUSE, LONGEST = 1.0, 300.0
"""Seconds until a message is tried again: at first, then twice as long each time, and at most."""
_ASCII = "".join(map(chr, range(32, 127)))
"""What stands in a header as it is."""
IDLE = 1.0
"""Seconds between two looks for what waits."""


class Unreachable(Exception):
    """A target that does not answer: nothing else need be tried there now."""


class Refused(Exception):
    """A target that answers, and does not take this message."""


class Target(Protocol):
    """Whom to tell; raises :class:`Unreachable` or :class:`Refused`."""

    @property
    def name(self) -> str:
        """By which its messages are kept: without password, the same in every run."""

    def deliver(self, message: Message) -> None:
        """Returns when the message has arrived."""


@dataclass(frozen=True)
class Webhook:
    """JSON by HTTP POST; any answer from 200 to 299 is an arrival. The key stands in ``Idempotency-Key``."""

    url: str
    name: str

    def deliver(self, message: Message) -> None:
        """Redirections are refused: what is posted there would be lost."""
        import requests

        headers = {"Idempotency-Key": quote(message.key, safe=_ASCII), "User-Agent": "metavad"}
        try:
            answer = requests.post(
                self.url, json=dict(message.body), headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unreachable(f"no answer ({type(error).__name__})") from None  # its text has the address
        if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
            raise Unreachable(f"answered {answer.status_code}")
        if not 200 <= answer.status_code < 300:
            raise Refused(f"answered {answer.status_code}")


@dataclass(frozen=True)
class Mqtt:
    """JSON to a topic of an MQTT broker, with quality of service 1: at least once. Needs the extra ``live``."""

    host: str
    port: int
    topic: str
    name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    is_secure: bool = False

    def deliver(self, message: Message) -> None:
        """Connect, publish, wait for the broker's receipt, and leave."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        answered, answers = threading.Event(), list[str]()

        def on_connect(client: object, data: object, flags: object, reason: object, more: object) -> None:
            answers.append(str(reason))
            answered.set()

        client = Client(CallbackAPIVersion.VERSION2)
        client.on_connect = on_connect
        if self.user:
            client.username_pw_set(self.user, self.password)
        if self.is_secure:
            client.tls_set_context(ssl.create_default_context())
        try:
            client.connect(self.host, self.port, keepalive=60)
            client.loop_start()
            if not answered.wait(TIMEOUT):
                raise Unreachable("no answer to the connection")
            if answers[0] != "Success":
                raise Unreachable(f"no connection ({answers[0]})")
            sent = client.publish(self.topic, json.dumps(dict(message.body)), qos=1)
            sent.wait_for_publish(TIMEOUT)
            if not sent.is_published():
                raise Unreachable("no receipt")
        except (OSError, RuntimeError, ValueError) as error:
            raise Unreachable(f"no connection ({error})") from None
        finally:
            client.disconnect()
            client.loop_stop()


@dataclass(frozen=True)
class Command:
    """A program of this machine, not in a shell: the JSON on its standard input, the key in ``METAVAD_KEY``."""

    words: tuple[str, ...]
    name: str

    def deliver(self, message: Message) -> None:
        """An exit code of 0 is an arrival."""
        try:
            done = subprocess.run(
                self.words,
                input=json.dumps(dict(message.body)).encode(),
                env={**os.environ, "METAVAD_KEY": message.key},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unreachable(f"did not end within {COMMAND_TIMEOUT:g} s") from None
        except OSError as error:
            raise Refused(f"did not run ({type(error).__name__})") from None
        if done.returncode:
            raise Refused(f"ended with {done.returncode}")


def target_of(text: str) -> Target:
    """``https://...``, ``mqtt://host/topic``, ``mqtts://...``, ``run:COMMAND``, or ``env:NAME`` of a variable with one.

    Raises :class:`UsageError` on anything else, without repeating what may hold a password.
    """
    if text.startswith("env:"):
        value = os.environ.get(text[4:])
        if not value or value.startswith("env:"):
            raise UsageError(f"--notify: expected a target in the variable {text[4:]!r}, found none")
        return target_of(value)
    if text.startswith("run:"):
        return _command(text[4:])
    kinds: dict[str, Callable[[str], Target]] = {"http": _webhook, "https": _webhook, "mqtt": _mqtt, "mqtts": _mqtt}
    scheme = re.match(r"(\w+)://", text)
    if scheme is None or scheme[1] not in kinds:
        raise UsageError(
            "--notify: expected https://..., mqtt://host/topic, run:COMMAND or env:NAME, found "
            f"{scheme[1] + '://...' if scheme else 'something else'}"
        )
    try:
        return kinds[scheme[1]](text)
    except UsageError:
        raise
    except ValueError:  # of a port that is no number
        raise UsageError(
            f"--notify: expected {scheme[1]}://host, found an address that does not hold together; in a password write "
            "/ as %2F, # as %23, ? as %3F"
        ) from None


def _webhook(text: str) -> Webhook:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    if not host:
        raise UsageError(
            "--notify: expected the address of a webhook, such as https://example.org/alarm, found no host"
        )
    return Webhook(text, _name(text))


def _mqtt(text: str) -> Mqtt:
    import importlib.util

    if importlib.util.find_spec("paho") is None:
        raise UsageError("--notify: expected paho-mqtt for MQTT, found none; pip install 'metavad[live]'")
    parts = urlsplit(text)
    topic = unquote(parts.path.lstrip("/"))
    if not parts.hostname or not topic or set("+#") & set(text.partition("://")[2]):
        raise UsageError(
            "--notify: expected mqtt://host/topic, such as mqtt://broker/cameras/lobby, found another form"
        )
    is_secure = parts.scheme == "mqtts"
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    port = parts.port or (8883 if is_secure else 1883)
    return Mqtt(parts.hostname, port, topic, _name(text), user, password, is_secure)


def _command(text: str) -> Command:
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        words = ()
    if not words:
        raise UsageError("--notify: expected run:COMMAND, such as 'run:/usr/local/bin/alarm --loud', found no command")
    return Command(words, f"run:{Path(words[0]).name}-{_digest(text)}")


def _name(url: str) -> str:
    """An address without what may be secret (user, password, query), and a digest that tells it from others.

    A password that is changed makes no other address of it: what waits is told by the new one.
    """
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    whole = url if parts.password is None else url.replace(f":{parts.password}@", "@", 1)
    return f"{urlunsplit((parts.scheme, host, '', '', ''))}-{_digest(whole)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Notifier:
    """Delivers what waits in the index of a folder, on a thread of its own; at first all of it, whenever it is due.

    Messages of one target go in order. One that does not arrive is tried again after one second, then two, up to five
    minutes, for as long as it takes; while a target does not answer at all, its other messages wait for it.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[Target],
        *,
        now: Callable[[], float] = time.time,
        on_trouble: Callable[[str, str], None] = lambda name, why: None,
    ) -> None:
        """``now`` gives seconds since 1970; ``on_trouble`` learns the name of a target and what was wrong there."""
        self._folder, self._targets, self._now, self._on_trouble = folder, tuple(targets), now, on_trouble
        self._wake, self._is_over = threading.Event(), False
        self._held, self._is_begun = dict[str, float](), False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to deliver."""
        self._thread = threading.Thread(target=self._run, name="metavad notify", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Try once more what waits, and end; what is left is delivered by the next run."""
        self._is_over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(2 * TIMEOUT)

    def wake(self) -> None:
        """Something waits."""
        self._wake.set()

    def deliver(self, index: Index) -> int:
        """Try what is due once; how many messages arrived."""
        return sum(self._deliver_to(index, target) for target in self._targets)

    def _deliver_to(self, index: Index, target: Target) -> int:
        arrived = 0
        if 0 < self._held.get(target.name, -math.inf) - self._now() <= LONGEST:  # more: the clock was set back
            return 0
        for message in index.due(target.name, self._now()):
            try:
                target.deliver(message)
            except Exception as error:  # whatever it is, the other targets are told
                why = str(error) if isinstance(error, Unreachable | Refused) else type(error).__name__
                due = self._now() + min(LONGEST, PAUSE * 2.0 ** min(message.attempts, 20))
                index.postpone(message.number, due, why)
                self._on_trouble(target.name, why)
                if isinstance(error, Unreachable):
                    self._held[target.name] = due  # its other messages wait too, so that they come in order
                    break
            else:
                index.delivered(message.number, self._now())
                arrived += 1
        return arrived

    def _run(self) -> None:
        """Until it is over; what cannot be written down now is tried again, and may be delivered twice."""
        index: Index | None = None
        while True:
            is_last = self._is_over
            try:
                index = index or Index(self._folder, make=True)
                if not self._is_begun:
                    index.release(self._now())
                    self._is_begun = True
                self.deliver(index)
            except MetavadError as error:
                self._on_trouble("the index", str(error))
            except Exception as error:
                if not is_passing(error):
                    raise
                self._on_trouble("the index", str(error))
            if is_last:
                break
            self._wake.wait(IDLE)
            self._wake.clear()
        if index is not None:
            with suppress(Exception):
                index.close()
