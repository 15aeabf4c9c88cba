"""Torch on one thread: sums in another order round otherwise, and bits would depend on the number of cores.

Of what metavad computes only torch's operations depend on their threads (full reductions, the gradients of
convolutions, products of large matrices). OpenCV, PyAV and NumPy give the same bits on any number of theirs, so these
keep theirs, and whole pieces of work may go side by side.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event, Thread

__all__ = ["begun", "one_thread", "workers"]

_GIVEN: ContextVar[int | None] = ContextVar("given", default=None)
"""Torch's threads of the caller, while one is used."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, every operation of torch in this thread, and in threads that first use it meanwhile, runs on one core.

    Afterwards the caller has as many as before. Also a decorator of functions (not of generators).
    """
    import torch

    before = torch.get_num_threads()
    token = _GIVEN.set(workers())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _GIVEN.reset(token)


def begun(work: Callable[[], None]) -> Thread:
    """A thread at work in which torch has one thread for as long as it lives, whatever the caller's has."""
    import torch

    ready = Event()

    def run() -> None:
        torch.get_num_threads()  # a thread takes on what holds when it first asks
        ready.set()
        work()

    thread = Thread(target=run, daemon=True)
    with one_thread():
        thread.start()
        ready.wait()
    return thread


def workers() -> int:
    """Pieces of work that may go side by side: torch's threads, as many as the caller allowed it."""
    import torch

    return _GIVEN.get() or torch.get_num_threads()
