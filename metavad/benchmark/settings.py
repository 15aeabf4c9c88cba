"""What an experiment was asked for, and the parts that it falls into."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from metavad.episodes import check_shots
from metavad.errors import UsageError, nearest

__all__ = ["MEASURED", "METHODS", "MOST_DRAWS", "ONCE", "SHOWN", "Part", "Settings", "checked_settings"]

ONCE = ("position", "motion", "zero-shot")
"""Stand once for each scene: K = 0, one draw."""
SHOWN = ("fine-tune", "refit", "wrong-scene", "adapted")
"""Stand for each K >= 1, in every draw."""
METHODS = (*ONCE, *SHOWN)
MOST_DRAWS = 1000
MEASURED = ("adapt_seconds", "fps", "latency_seconds")
"""Columns that depend on the machine and its load, not on the experiment."""


@dataclass(frozen=True)
class Part:
    """One method on one scene, with so many shots, in one draw."""

    scene: str
    method: str
    shots: int
    draw: int


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    shots: tuple[int, ...]
    draws: int
    methods: tuple[str, ...]
    shot_frames: int
    seed: int
    paper: bool = False

    @cached_property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """(method, K, draw) of every part of one scene."""
        once = [(method, 0, 0) for method in ONCE if method in self.methods]
        shown = [
            (method, shots, draw)
            for shots in sorted(set(self.shots) - {0})
            for method in SHOWN
            if method in self.methods
            for draw in range(self.draws)
        ]
        return (*once, *shown)

    def draw_seed(self, draw: int) -> int:
        """The seed of one draw."""
        return self.seed * 1000 + draw


def checked_settings(
    shots: Sequence[int], draws: int, methods: Sequence[str], shot_frames: int, seed: int, *, paper: bool = False
) -> Settings:
    """Settings in their usual order; raises :class:`UsageError` for what cannot be asked for."""
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"--methods: expected known methods, found {method!r}; {nearest(method, METHODS)}")
    check_shots(shots, shot_frames)
    if not 1 <= draws <= MOST_DRAWS:
        raise UsageError(f"expected draws >= 1 and <= {MOST_DRAWS}, found {draws}")
    chosen = tuple(method for method in METHODS if method in methods)
    return Settings(tuple(sorted(set(shots))), draws, chosen, shot_frames, seed, paper)
