"""Prefetching by a thread: what is read next while the last is being scored."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event
from typing import TypeVar

from metavad.threads import begun

__all__ = ["prefetch"]

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The items in their order, up to ``depth`` of them made beforehand in a thread of their own.

    What is raised while they are made is raised here, after the items before it. A consumer that stops early
    stops the thread. It gains where making them leaves the interpreter free (decoding, optical flow).
    """
    line: Queue[tuple[Item | None, BaseException | None, bool]] = Queue(depth)
    stopped = Event()

    def make() -> None:
        try:
            for item in items:
                if not _put(line, (item, None, False), stopped):
                    return
            _put(line, (None, None, True), stopped)
        except BaseException as error:
            _put(line, (None, error, True), stopped)

    thread = begun(make)
    try:
        while True:
            item, error, over = line.get()
            if error is not None:
                raise error
            if over:
                return
            yield item  # type: ignore[misc]  # an item where it is not over
    finally:
        stopped.set()
        _empty(line)
        thread.join()


def _put(line: "Queue[Item]", entry: Item, stopped: Event) -> bool:
    """False where nobody waits for it any more."""
    while not stopped.is_set():
        with suppress(Full):
            line.put(entry, timeout=0.1)
            return True
    return False


def _empty(line: "Queue[Item]") -> None:
    with suppress(Empty):
        while True:
            line.get_nowait()
