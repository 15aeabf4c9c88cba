"""A light that no normal footage of a camera showed: said once, as what it is."""

import warnings

from metavad.errors import FootageWarning
from metavad.normality.regimes import UNKNOWN
from metavad.scoring.frames import FrameScore

__all__ = ["LASTING", "UnknownLight"]

LASTING = 30.0
"""Seconds that an unknown light lasts before it is said: who stands before the lens is none."""


class UnknownLight:
    """Watches the frames of one video or camera, and warns once; ``what`` is its name."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun: tuple[int, float] | None = None
        self._has_warned = False

    def add(self, frame: FrameScore) -> None:
        """The next frame; a :class:`FootageWarning` where the light has been unknown for ``LASTING`` seconds."""
        if frame.regime != UNKNOWN:
            self._begun = None
            return
        if self._begun is None or self._begun[0] != frame.recording:
            self._begun = frame.recording, frame.seconds
        if not self._has_warned and frame.seconds - self._begun[1] >= LASTING:
            self._has_warned = True
            warnings.warn(
                f"{self._what}: from {self._begun[1]:.1f} s on, the light is one that no normal footage of this camera "
                "showed, and nothing is promised of its alarms; adapt again with footage of this light too",
                FootageWarning,
                stacklevel=2,
            )
