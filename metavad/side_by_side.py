"""Pieces of work side by side, each in a process of its own."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, closing
from pathlib import Path
from typing import TypeVar

from joblib import Parallel, delayed

__all__ = ["side_by_side"]

Found = TypeVar("Found")


def side_by_side(work: Iterable[Callable[[], Found]], jobs: int) -> Iterator[Found]:
    """What each gives, in their order; with one job one after the other, in this process.

    Warnings of the other processes are this one's. What is raised in them is raised here. A caller that stops early
    stops them.
    """
    if jobs == 1:
        yield from (each() for each in work)
        return
    here = Path.cwd()  # a process may be one that is left from work begun elsewhere
    calls = (delayed(_with_warnings)(each, here) for each in work)
    with closing(Parallel(n_jobs=jobs, return_as="generator", max_nbytes=None)(calls)) as finished:
        try:
            for found, caught in finished:
                for each in caught:
                    warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
                yield found
        except BaseException:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there was work left
                finished.close()
            raise


def _with_warnings(work: Callable[[], Found], here: Path) -> tuple[Found, list[warnings.WarningMessage]]:
    with chdir(here), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return work(), caught
