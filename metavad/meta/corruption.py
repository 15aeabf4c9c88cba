"""Pseudo-abnormal clips out of normal ones, for bases that must rank what is odd above what is not.

Time that jumps, runs backwards or too fast, and pieces of picture where they do not belong (Georgescu et al. 2021,
https://arxiv.org/abs/2011.07491; Astrid et al. 2021, https://arxiv.org/abs/2110.09768).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from metavad.episodes import Clip, VideoSpan
from metavad.features.library import Library
from metavad.features.sample import Sample, join
from metavad.types import ByteArray

__all__ = ["CORRUPTIONS", "Corrupter"]

Pictures: TypeAlias = list[ByteArray]
"""The working frames (H, W) of a clip's ticks."""


@dataclass(frozen=True)
class Corrupter:
    """Query clips to pseudo-abnormal ones, each a pure function of its clip; a ``corrupt`` of ``meta_train``.

    Pictures are changed and features computed anew, so that every expert that reads pictures sees the change.
    """

    library: Library
    spans: Mapping[str, Sequence[VideoSpan]]
    """Of all scenes that pieces may come from."""
    kinds: tuple[str, ...]
    """Of :data:`CORRUPTIONS`; each clip draws one."""

    def __call__(self, clips: Sequence[Clip]) -> Sample:
        """One sample of all clips, corrupted."""
        return join([self._corrupted(clip) for clip in clips])

    def _corrupted(self, clip: Clip) -> Sample:
        generator = random.Random(f"corrupt-{clip}")
        kind = generator.choice(self.kinds)
        own, ticks = self.library.pictures(clip)
        other = self.library.pictures(self._other(clip, kind, generator))[0]
        made = CORRUPTIONS[kind](own, other, generator)
        return self.library.of_pictures(clip, made, ticks[: len(made)])

    def _other(self, clip: Clip, kind: str, generator: random.Random) -> Clip:
        """Where the rest of the pictures comes from: a longer clip there, another scene, or the clip itself."""
        if kind in ("skipped", "faster"):
            span = next(span for span in self.spans[clip.scene] if span.video == clip.video)
            length = min(2 * clip.length, span.frames - span.first)
            return Clip(clip.scene, clip.video, min(clip.first, span.frames - length), length, clip.side)
        others = sorted(set(self.spans) - {clip.scene})
        if kind == "foreign" and others:
            spans = self.spans[generator.choice(others)]
            return generator.choice(generator.choice(list(spans)).clips(clip.length) or [clip])
        return clip


def skipped(own: Pictures, longer: Pictures, generator: random.Random) -> Pictures:
    """The first half of the clip, then what comes a clip's length later."""
    half = len(own) // 2
    return [*longer[:half], *longer[len(longer) - (len(own) - half) :]]


def faster(own: Pictures, longer: Pictures, generator: random.Random) -> Pictures:
    """Twice as fast; shorter where the video ends."""
    return longer[::2][: len(own)]


def backwards(own: Pictures, other: Pictures, generator: random.Random) -> Pictures:
    """From the last picture to the first."""
    return own[::-1]


def patched(own: Pictures, other: Pictures, generator: random.Random) -> Pictures:
    """A piece of every picture, a quarter to a half of its sides, from another place or another scene."""
    (height, width), (rows, columns) = own[0].shape[:2], other[0].shape[:2]
    down, across = (
        max(1, round(min(pair) * generator.uniform(0.25, 0.5))) for pair in ((height, rows), (width, columns))
    )
    to = generator.randint(0, height - down), generator.randint(0, width - across)
    source = generator.randint(0, rows - down), generator.randint(0, columns - across)
    made = [np.array(picture) for picture in own]
    for number, picture in enumerate(made):
        piece = other[min(number, len(other) - 1)][source[0] : source[0] + down, source[1] : source[1] + across]
        picture[to[0] : to[0] + down, to[1] : to[1] + across] = piece
    return made


CORRUPTIONS: dict[str, Callable[[Pictures, Pictures, random.Random], Pictures]] = {
    "skipped": skipped,
    "reversed": backwards,
    "faster": faster,
    "moved": patched,
    "foreign": patched,
}
"""Every way by name."""
