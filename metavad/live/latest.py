"""A detector that somebody may correct while it watches: the version of its folder that is in use by now."""

import time
from collections.abc import Callable
from pathlib import Path

from metavad.errors import BundleError
from metavad.normality.detector import Detector
from metavad.normality.versions import current, stamp

__all__ = ["EVERY", "LatestDetector"]

EVERY = 2.0
"""Seconds between two looks at the folder."""


class LatestDetector:
    """Looks at the folder of a detector now and then; ``load`` opens what lies there, as it is to be used.

    What has changed since the last look is opened at the next one, when nobody writes to it any more.
    """

    def __init__(
        self, folder: Path, load: Callable[[], Detector], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self._load, self._now = folder, load, now
        self.number = 0
        """Of the version that was opened last."""
        self._known = self._seen = stamp(folder)
        self._next = now() + EVERY

    def changed(self) -> Detector | None:
        """What is in use there by now; none where that is as before. A cheap question.

        Raises :class:`MetavadError` where it cannot be opened: once, until it changes again.
        """
        if self._now() < self._next:
            return None
        before, self._seen, self._next = self._seen, stamp(self.folder), self._now() + EVERY
        if self._seen == self._known or self._seen != before:
            return None
        self._known = self._seen
        try:
            self.number = current(self.folder)
            return self._load()
        except OSError as error:
            reason = str(error.strerror or type(error).__name__).lower()
            raise BundleError(f"{self.folder}: expected a detector, found what cannot be read ({reason})") from None
