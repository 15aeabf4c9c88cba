"""Support and query clip references: the MAML task sampler. Pure Python, no tensors.

An episode is a pure function of (seed, n), so that a run can be resumed, sharded and repeated.
"""

import itertools
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from metavad.config import LONGEST_SHOT, MOST_SHOTS
from metavad.errors import DataError, ShotsError, UsageError

__all__ = ["Clip", "Episode", "EpisodeSampler", "Shots", "VideoSpan", "check_shots", "draw_shots"]

GAP = 1.0
"""Seconds between support and query clips of one video."""


@dataclass(frozen=True, order=True)
class Clip:
    """``length`` consecutive frames of one video, from frame ``first`` on, as a reference."""

    scene: str
    video: str
    first: int
    length: int
    side: str = "normal"

    @property
    def end(self) -> int:
        """The first frame after the clip."""
        return self.first + self.length


@dataclass(frozen=True)
class VideoSpan:
    """What the sampler knows of one video: its ticks (frame numbers) between which clips may lie."""

    scene: str
    video: str
    frames: int
    rate: float
    starts: tuple[int, ...]
    """Frames at which a clip may begin, ascending: ticks of the working rate."""
    first: int = 0
    """Clips lie in the frames [first, frames)."""
    side: str = "normal"
    recordings: tuple[int, ...] = ()
    """Frames at which a recording begins, ascending: no clip reaches over the gap before it."""
    abnormal: tuple[tuple[int, int], ...] = ()
    """Known abnormal intervals (generated cameras), for episodes that ask to rank them."""

    def begun(self, share: float) -> "VideoSpan":
        """The span with the first ``share`` of its footage; never less than two frames."""
        return replace(self, frames=min(self.frames, self.first + max(2, round(share * (self.frames - self.first)))))

    def clips(self, length: int) -> list[Clip]:
        """Every clip of this length; where all recordings are shorter than that, each is one shorter clip."""
        short = [self._clip(start, stop - start) for start, stop in self._parts() if stop - start > 1]
        return self.whole(length) or short

    def whole(self, length: int) -> list[Clip]:
        """Every clip of this length and no other."""
        starts = self.starts
        inside = [starts[bisect_left(starts, a) : bisect_right(starts, b - length)] for a, b in self._parts()]
        return [self._clip(start, length) for start in itertools.chain.from_iterable(inside)]

    def around(self, frame: int, length: int) -> Clip:
        """The clip of this length whose middle is nearest to a frame."""
        return min(self.clips(length), key=lambda clip: abs(clip.first + clip.length // 2 - frame))

    def _parts(self) -> Iterator[tuple[int, int]]:
        """The recordings, as far as clips may lie in them."""
        within = (start for start in self.recordings if self.first < start < self.frames)
        return itertools.pairwise([self.first, *within, self.frames])

    def _clip(self, start: int, length: int) -> Clip:
        return Clip(self.scene, self.video, start, length, self.side)


@dataclass(frozen=True)
class Shots:
    """K clips, and how many of them share no frame with an earlier one."""

    clips: tuple[Clip, ...]
    independent: int

    def without(self, numbers: Sequence[int]) -> "Shots":
        """The others, where some clips (numbers from 1) turned out not to be normal; raises :class:`UsageError`."""
        wrong = [number for number in numbers if not 1 <= number <= len(self.clips)]
        if wrong:
            raise UsageError(
                f"--leave-out {wrong[0]}: expected the number of a shot, 1 to {len(self.clips)}; "
                "`metavad adapt` names those that do not belong"
            )
        kept = tuple(clip for number, clip in enumerate(self.clips, 1) if number not in numbers)
        return Shots(kept, _independent(kept))

    def also(self, clips: Sequence[Clip]) -> "Shots":
        """These and others that are to be shown whatever was drawn; each once."""
        every = tuple(dict.fromkeys((*self.clips, *clips)))
        return Shots(every, _independent(every))


@dataclass(frozen=True)
class Episode:
    """Support and query clips of one scene, disjoint in time; ``abnormal``: clips with a true anomaly."""

    number: int
    scene: str
    support: tuple[Clip, ...]
    query: tuple[Clip, ...]
    abnormal: tuple[Clip, ...] = ()


def check_shots(shots: Sequence[int], length: int) -> None:
    """Raises :class:`UsageError` for numbers of shots, or of frames in one, that nobody has use for."""
    if not shots or min(shots) < 0 or max(shots) > MOST_SHOTS or not 2 <= length <= LONGEST_SHOT:
        raise UsageError(
            f"expected shots >= 0 and <= {MOST_SHOTS}, of shot-frames >= 2 and <= {LONGEST_SHOT}, found "
            f"{', '.join(map(str, shots)) or 'none'} of {length}"
        )


def draw_shots(spans: Sequence[VideoSpan], shots: int, length: int, seed: int) -> Shots:
    """K normal clips of one scene, spread over the footage, disjoint while the footage allows.

    The pool of all clips is cut into K equal stretches and one clip is drawn of each; where that overlaps, a
    free neighbour is taken instead, and an overlapping clip only when nothing is free. Raises
    :class:`ShotsError` when fewer than ``shots`` distinct clips exist.
    """
    pool = [clip for span in spans for clip in span.clips(length)]
    if len(pool) < shots:
        raise ShotsError(
            f"{spans[0].scene if spans else 'scene'}: expected normal footage for {shots} distinct clips of "
            f"{length} frames, found {len(pool)}; give more footage or fewer --shots"
        )
    generator = random.Random(f"shots-{seed}-{shots}-{length}")
    room = _Room(pool)
    chosen = [room.take(generator.sample(part, len(part))) for part in _stretches(len(pool), shots)]
    return Shots(tuple(chosen), _independent(chosen))


class EpisodeSampler:
    """Episodes of many scenes; ``sampler(n)`` is a pure function of (seed, n)."""

    def __init__(
        self,
        spans: Mapping[str, Sequence[VideoSpan]],
        *,
        seed: int,
        shots: tuple[int, int],
        queries: int,
        length: int,
        gap: float = GAP,
        abnormal: Mapping[str, Sequence[VideoSpan]] | None = None,
    ) -> None:
        self.scenes = tuple(sorted(spans))
        if not self.scenes:
            raise DataError("meta-training: expected at least one scene with normal videos, found none")
        self._spans, self._abnormal = dict(spans), dict(abnormal or {})
        self._seed, self._shots, self._queries = seed, shots, queries
        self._length, self._gap = length, gap
        self._pools: dict[str, list[tuple[VideoSpan, Clip]]] = {}

    def __call__(self, number: int) -> Episode:
        generator = random.Random(f"episode-{self._seed}-{number}")
        scene = self._scene(number)
        shots = generator.randint(*self._shots)
        for support in self._supports(scene, shots, generator):
            query = self._apart(scene, support, generator)
            if query:
                return Episode(number, scene, support, query, self._anomalies(scene, generator))
        raise DataError(
            f"{scene}: expected normal footage for two clips of {self._length} frames, {self._gap:g} s apart, "
            "found less; give more footage, or leave the scene out of meta-training"
        )

    def _supports(self, scene: str, shots: int, generator: random.Random) -> Iterator[tuple[Clip, ...]]:
        """The support as drawn; where footage leaves no query beside it, fewer shots, then one at either end."""
        pool = self._pool(scene)
        drawn = self._draw(pool, shots, generator)
        yield from (drawn[:count] for count in range(len(drawn), 0, -1))
        yield from ((clip,) for _, clip in (pool[0], pool[-1]))

    def _scene(self, number: int) -> str:
        """Scenes in a new random order each round, so that all come equally often."""
        turn, place = divmod(number, len(self.scenes))
        order = random.Random(f"order-{self._seed}-{turn}").sample(self.scenes, len(self.scenes))
        return order[place]

    def _pool(self, scene: str) -> list[tuple[VideoSpan, Clip]]:
        if scene not in self._pools:
            self._pools[scene] = [(span, clip) for span in self._spans[scene] for clip in span.clips(self._length)]
        return self._pools[scene]

    def _draw(self, pool: list[tuple[VideoSpan, Clip]], count: int, generator: random.Random) -> tuple[Clip, ...]:
        if not pool:
            raise DataError("meta-training: expected normal videos of at least one clip, found shorter ones")
        drawn = generator.sample(pool, min(count, len(pool)))
        return tuple(clip for _, clip in drawn)

    def _apart(self, scene: str, support: Sequence[Clip], generator: random.Random) -> tuple[Clip, ...]:
        """Query clips away from the support; in long footage by trial, without looking at every clip of it."""
        pool = self._pool(scene)
        tried = generator.sample(pool, min(_TRIALS * self._queries, len(pool)))
        free = [clip for span, clip in tried if not self._near(span, clip, support)]
        if len(free) < self._queries and len(tried) < len(pool):
            rest = [clip for span, clip in pool if not self._near(span, clip, support)]
            free = generator.sample(rest, min(self._queries, len(rest)))
        return tuple(free[: self._queries])

    def _near(self, span: VideoSpan, clip: Clip, others: Sequence[Clip]) -> bool:
        gap = round(self._gap * span.rate)
        return any(
            clip.video == other.video and clip.first < other.end + gap and other.first < clip.end + gap
            for other in others
        )

    def _anomalies(self, scene: str, generator: random.Random) -> tuple[Clip, ...]:
        pool = [
            clip
            for span in self._abnormal.get(scene, ())
            for clip in span.clips(self._length)
            if any(clip.first < end and start < clip.end for start, end in span.abnormal)
        ]
        return tuple(generator.sample(pool, min(self._queries, len(pool))))


def _stretches(total: int, parts: int) -> list[range]:
    edges = [0, *(round(total * part / parts) for part in range(1, parts + 1))]
    return [range(start, max(end, start + 1)) for start, end in itertools.pairwise(edges)]


class _Room:
    """Clips of a pool, in the order of videos and time, as they are taken."""

    def __init__(self, pool: Sequence[Clip]) -> None:
        self._pool = pool
        self._free = list(range(len(pool)))
        """Numbers of those that share no frame with one that was taken, ascending."""
        self._taken: set[int] = set()

    def take(self, drawn: Sequence[int]) -> Clip:
        """The first drawn clip that is free, else the free one nearest to the first, else one not taken yet."""
        number = next(filter(self._is_free, drawn), None)
        if number is None and self._free:
            number = self._nearest(drawn[0])
        if number is None:
            every = itertools.chain(drawn, range(len(self._pool)))
            number = next(each for each in every if each not in self._taken)
        self._taken.add(number)
        self._occupy(number)
        return self._pool[number]

    def _is_free(self, number: int) -> bool:
        place = bisect_left(self._free, number)
        return place < len(self._free) and self._free[place] == number

    def _nearest(self, middle: int) -> int:
        """Of two as near, the earlier one."""
        place = bisect_left(self._free, middle)
        return min(self._free[max(0, place - 1) : place + 1], key=lambda number: abs(number - middle))

    def _occupy(self, number: int) -> None:
        """What shares a frame with it lies beside it in the pool."""
        pool, first, last = self._pool, number, number
        while first > 0 and _overlap(pool[first - 1], pool[number]):
            first -= 1
        while last + 1 < len(pool) and _overlap(pool[last + 1], pool[number]):
            last += 1
        del self._free[bisect_left(self._free, first) : bisect_left(self._free, last + 1)]


def _overlap(one: Clip, other: Clip) -> bool:
    return one.video == other.video and one.first < other.end and other.first < one.end


def _independent(clips: Sequence[Clip]) -> int:
    """How many share no frame with an earlier one of those that count."""
    kept: dict[str, list[tuple[int, int]]] = {}
    for clip in clips:
        spans = kept.setdefault(clip.video, [])
        place = bisect_left(spans, (clip.first, clip.end))
        beside = spans[max(0, place - 1) : place + 1]
        if not any(first < clip.end and clip.first < end for first, end in beside):
            spans.insert(place, (clip.first, clip.end))
    return sum(map(len, kept.values()))


_TRIALS = 8
"""Clips drawn for each query clip wanted, before all of a scene's clips are looked at."""
