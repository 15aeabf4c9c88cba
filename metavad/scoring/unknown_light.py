"""A light that no normal footage of a camera showed: said once, as what it is."""

import warnings
from collections.abc import Callable

from metavad.errors import FootageWarning
from metavad.normality.regimes import UNKNOWN
from metavad.scoring.frames import FrameScore

__all__ = ["LASTING", "UNKNOWN_LIGHT", "UnknownLight", "warning_of"]

LASTING = 30.0
"""Seconds that an unknown light lasts before it is said: who stands before the lens is none."""
UNKNOWN_LIGHT = (
    "the light is one that no normal footage of this camera showed, and nothing is promised of its alarms; adapt again "
    "with footage of this light too"
)


class UnknownLight:
    """Watches the frames of one video or camera, and tells once from which second on the light was unknown."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._begun: tuple[int, float] | None = None
        self._is_done = False

    def add(self, frame: FrameScore) -> None:
        """The next frame; that is told where the light has been unknown for ``LASTING`` seconds."""
        if frame.regime != UNKNOWN:
            self._begun = None
            return
        if self._begun is None or self._begun[0] != frame.recording:
            self._begun = frame.recording, frame.seconds
        if not self._is_done and frame.seconds - self._begun[1] >= LASTING:
            self._is_done = True
            self._tell(self._begun[1])


def warning_of(what: str) -> Callable[[float], None]:
    """A :class:`FootageWarning` about a video or camera of this name."""

    def warn(seconds: float) -> None:
        warnings.warn(f"{what}: from {seconds:.1f} s on, {UNKNOWN_LIGHT}", FootageWarning, stacklevel=3)

    return warn
