"""Pieces of work side by side, each in a process of its own."""

import os
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool

from metavad.errors import ProcessError

__all__ = ["side_by_side"]

Found = TypeVar("Found")


def side_by_side(work: Iterable[Callable[[], Found]], jobs: int) -> Generator[Found, None, None]:
    """What each gives, in their order; with one job one after the other, in this process.

    Warnings of the other processes are this one's. What is raised in one is raised here, after what was before it. A
    caller that stops early stops them, and so does the end of this process, whatever ended it. Raises
    :class:`ProcessError` where one of them is killed.
    """
    if jobs == 1:
        yield from (each() for each in work)
        return
    known: dict[str | tuple[str, type[Warning], int], int] = {}
    calls = (delayed(_tried)(each, Path.cwd(), os.getpid()) for each in work)
    finished = Parallel(n_jobs=jobs, return_as="generator", max_nbytes=None)(calls)
    try:
        for done in finished:
            for message, category, file, line in done.warned:
                warnings.warn_explicit(message, category, file, line, registry=known)
            if done.error is not None:
                raise done.error
            yield done.found
    except BrokenProcessPool as error:
        raise ProcessError(
            "expected processes to end by themselves, found one that was killed, as systems do for want of memory; "
            "start again with fewer side by side"
        ) from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there was work left
            finished.close()


class _Done(NamedTuple, Generic[Found]):
    """What came of one piece."""

    found: Found
    error: Exception | None
    warned: list[tuple[Warning | str, type[Warning], str, int]]


def _tried(work: Callable[[], Found], here: Path, parent: int) -> _Done[Found | None]:
    """In a process of its own, which may be one that is left from work begun elsewhere."""
    _end_with(parent)
    os.chdir(here)
    found, error = None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = work()
        except Exception as raised:
            error = raised
    return _Done(found, error, [(each.message, each.category, each.filename, each.lineno) for each in caught])


@cache
def _end_with(parent: int) -> None:
    """End this process once its parent is gone: nobody waits for what it does."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
