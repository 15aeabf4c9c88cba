"""What an experiment was asked for, and the parts that it falls into."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from metavad.benchmark.protocol import METHODS
from metavad.episodes import check_shots
from metavad.errors import UsageError, nearest

__all__ = ["MOST_DRAWS", "Part", "Settings", "checked_settings"]

MOST_DRAWS = 1000


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
    """Ascending, each once."""
    draws: int
    methods: tuple[str, ...]
    """In the order of tables."""
    shot_frames: int
    seed: int
    paper: bool = False

    @cached_property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """(method, K, draw) of every part of one scene."""
        once = [(method, 0, 0) for method in self.methods if not METHODS[method].needs_shots]
        shown = [
            (method, shots, draw)
            for shots in self.shots
            if shots
            for method in self.methods
            if METHODS[method].needs_shots
            for draw in range(self.draws)
        ]
        return (*once, *shown)

    @property
    def shows_clips(self) -> bool:
        """Whether any method is shown clips."""
        return any(METHODS[method].needs_shots for method in self.methods)

    def draw_seed(self, draw: int) -> int:
        """The seed of one draw."""
        return self.seed * 1000 + draw


def checked_settings(
    shots: Sequence[int], draws: int, methods: Sequence[str], shot_frames: int, seed: int, *, paper: bool = False
) -> Settings:
    """Settings in their order; raises :class:`UsageError` for what cannot be asked for."""
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"--methods: expected known methods, found {method!r}; {nearest(method, METHODS)}")
    check_shots(shots, shot_frames)
    if not 1 <= draws <= MOST_DRAWS:
        raise UsageError(f"expected draws >= 1 and <= {MOST_DRAWS}, found {draws}")
    chosen = tuple(method for method in METHODS if method in methods)
    return Settings(tuple(sorted(set(shots))), draws, chosen, shot_frames, seed, paper)
