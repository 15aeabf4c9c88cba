"""What can go wrong, as one tree.

::

    MetavadError                      catch this for everything that metavad raises on purpose
    ├── UsageError (ValueError)       asked for what does not exist or does not fit; exit code 2
    │   └── ConfigError               a setting that is unknown or out of range
    ├── DataError (ValueError)        footage, labels or a suite not as expected; exit code 1
    │   ├── VideoError                a video that cannot be read, or has another shape
    │   ├── LabelError                labels of the wrong length or with wrong values
    │   ├── SuiteError                a suite file that says something unknown or matches nothing
    │   │   └── MissingDataError      a dataset that is not here: with where to get it, and the files that are expected
    │   └── ShotsError                fewer distinct normal clips than shots asked for
    ├── BundleError (ValueError)      a base, detector or checkpoint that is damaged or made otherwise
    ├── OutputError (OSError)         an output folder that is taken or written by another run; nothing was changed
    │   └── FullDiskError             no room for a file; nothing half-written stays
    └── NonFiniteError (ArithmeticError)   NaN or infinity in training or adapting; nothing bad was saved

What is odd but no error is a :class:`MetavadWarning`, given by :func:`warnings.warn`; the command line prints it as
one line, once.

Every message is one line: what was expected, what was found, how to mend it. Messages are built by
:func:`nearest` where a name was mistyped; names that come from files are written by :func:`printable`.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "BundleError",
    "ConfigError",
    "DataError",
    "FootageWarning",
    "FullDiskError",
    "LabelError",
    "MetavadError",
    "MetavadWarning",
    "MissingDataError",
    "NonFiniteError",
    "OutputError",
    "ProcessError",
    "ShotsError",
    "SuiteError",
    "UsageError",
    "VideoError",
    "nearest",
    "printable",
]


class MetavadError(Exception):
    """Everything that metavad raises on purpose: one line of what was expected, what was found, and how to mend it."""

    exit_code = 1
    """What the command line ends with."""


class UsageError(MetavadError, ValueError):
    """Asked for something that does not exist or does not fit together."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting that is unknown or out of range."""


class DataError(MetavadError, ValueError):
    """Footage, labels or a suite are not what was expected."""


class VideoError(DataError):
    """A video that cannot be read, or whose shape is not the expected one."""


class LabelError(DataError):
    """Labels of the wrong length or with wrong values."""


class SuiteError(DataError):
    """A suite file that says something unknown or matches nothing."""


class MissingDataError(SuiteError):
    """A dataset that is not here; ``details`` are lines that say what it is, its terms, and the files expected."""

    def __init__(self, message: str, details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class ShotsError(DataError):
    """Fewer distinct normal clips than shots asked for."""


class BundleError(MetavadError, ValueError):
    """A base, detector or checkpoint that is damaged or was made with other settings."""


class OutputError(MetavadError, OSError):
    """An output folder that is taken, or that another run is writing to; nothing was changed."""


class FullDiskError(OutputError):
    """No room for a file: nothing half-written stays."""


class NonFiniteError(MetavadError, ArithmeticError):
    """NaN or infinity in training or adapting; nothing bad was saved."""


class ProcessError(MetavadError, RuntimeError):
    """A process of metavad's own ended before its work was done."""


class MetavadWarning(UserWarning):
    """Something odd that a caller should know of; the work goes on."""


class FootageWarning(MetavadWarning):
    """Footage or labels that were read, but not quite as their file says."""


def printable(text: object) -> str:
    """``text`` on one line without control characters: names of files are data, never escape codes.

    >>> printable("a\\x1b[31m\\nb")
    'a?[31m?b'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message about a mistyped name.

    >>> nearest("ped22", ["avenue", "ped2"])
    "did you mean 'ped2'?"
    >>> nearest("xyz", ["avenue", "ped2"])
    'known: avenue, ped2'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"
