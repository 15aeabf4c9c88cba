"""Times of frames from the stamps of their packets: kept where they can be, mended where they cannot.

A stamp is a whole number in units of the stream, ``UNKNOWN`` where a packet has none. Frames come in the order in which
they are shown, so stamps must rise. Cost follows frames, never the span of their times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from metavad.durations import spelled
from metavad.types import BoolArray, FloatArray, IntArray

__all__ = ["UNKNOWN", "frame_seconds", "in_shown_order"]

UNKNOWN = -(2**63)
"""The stamp of what has none: FFmpeg's AV_NOPTS_VALUE."""

LONGEST_GAP = 30 * 3600.0
"""Seconds. A longer jump is a clock that was set, no gap in the recording; FFmpeg draws the line here too."""

MOST = 16
"""Frames in a row with wrong stamps. Where more disagree with those before them, time begins anew."""

_FARTHEST = 2**61  # a larger stamp is nonsense, and differences would not fit into 64 bits
_WRAP = 2**33  # MPEG transport streams count this far
_WRAPPED = 10.0  # seconds after which at most time goes on behind a wrap
_CROWDED = 20.0  # units between two frames from which frames one unit apart are nonsense
_MOSTLY = 0.9  # share of stamps from which those of presentation do
_FALLS = 0.1  # share of stamps below the one before from which they are not those of the order of showing


def in_shown_order(stamps: IntArray) -> bool:
    """Whether ``stamps`` (T,), given in the order of decoding, can be those of frames shown in their order.

    A frame stamped seconds off sorts far from where it is decoded, or between two others that leave no room for it.
    """
    order = np.argsort(stamps, kind="stable")
    moved = np.abs(order - np.arange(len(order)))
    if not moved.any():
        return True
    if moved.max() > MOST:
        return False
    times = stamps[order]
    steps, room = np.diff(times), times[2:] - times[:-2]
    return not bool((room[1:-1] <= 1.25 * np.minimum(steps[:-3], steps[3:])).any())


def frame_seconds(pts: IntArray, dts: IntArray, time_base: float, period: float) -> tuple[FloatArray, tuple[str, ...]]:
    """Seconds since the first frame (T,), rising, and what is to be said of them.

    ``pts`` (T,) are stamps of presentation, ``dts`` (T,) those of decoding, of the packet after which a frame came
    out. A frame whose stamp is missing or cannot be gets its time from ``dts``, else from its neighbours, else from
    ``period`` (seconds of a frame, a guess). Gaps stay; a jump back, or over :data:`LONGEST_GAP`, is closed.
    """
    pts, dts = (_uncrowded(_plausible(stamps), period / time_base) for stamps in (pts, dts))
    stamps = _source(pts, dts)
    known = np.flatnonzero(stamps != UNKNOWN)
    if not len(known):
        return _assumed(len(pts), period)
    lines = _lines(known[_first_of_equal(stamps[known])], stamps, LONGEST_GAP / time_base)
    step = _usual_step(lines, time_base, period)
    times, jumps = _joined(lines, time_base, step)
    seconds = _filled(lines.frames, times, step, np.where(dts == UNKNOWN, np.nan, dts * time_base))
    if (np.diff(seconds) <= 0).any():  # closer than numbers can tell
        return _assumed(len(pts), period)
    # frames that come out after the last packet have no stamp of decoding
    mended = np.setdiff1d(np.arange(len(pts) if stamps is pts else int(known[-1]) + 1), lines.frames)
    notes = _order_note(pts, stamps), _mended_note(mended, len(pts)), _jumps_note(jumps, seconds)
    return seconds - seconds[0], tuple(text for text in notes if text)


@dataclass(frozen=True)
class _Lines:
    """Frames (N,) whose ``stamps`` (N,) are believed: each rises from the one before, or ``begins`` time anew."""

    frames: IntArray
    stamps: IntArray
    begins: BoolArray


def _plausible(stamps: IntArray) -> IntArray:
    return np.where((stamps > _FARTHEST) | (stamps < -_FARTHEST), UNKNOWN, stamps)


def _uncrowded(stamps: IntArray, usual: float) -> IntArray:
    """Without runs of frames one unit apart where ``usual`` units lie between two.

    Where a clock is set, the length of a sample overflows in MP4, and all that follows is stamped as fast as can be.
    """
    if usual < _CROWDED or len(stamps) <= MOST:
        return stamps
    close = np.concatenate([[False], np.abs(np.diff(stamps)) <= 1, [False]]).astype(int)
    edges = np.diff(close)
    kept = stamps.copy()
    for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        if stop - start >= MOST:
            kept[start + 1 : stop + 1] = UNKNOWN
    return kept


def _source(pts: IntArray, dts: IntArray) -> IntArray:
    """The stamps to go by: those of presentation, but where those of decoding are in better order."""
    shown, decoded = _usable(pts), _usable(dts)
    if max(shown, decoded) <= 0:
        return np.full_like(pts, UNKNOWN)
    return pts if shown >= min(_MOSTLY, decoded) else dts


def _usable(stamps: IntArray) -> float:
    """Share of frames whose stamp is there and not below the one before; 0 where too many are below."""
    values = stamps[stamps != UNKNOWN]
    falls = int(np.count_nonzero(np.diff(values) < 0))
    return (len(values) - falls) / len(stamps) if falls <= 1 + _FALLS * len(values) else 0.0


def _first_of_equal(stamps: IntArray) -> BoolArray:
    """Which stamps (N,) to look at: of three and more that are equal, as clocks of whole seconds write them, the first.

    Of two, either may be the right one.
    """
    again = np.append(False, np.diff(stamps) == 0)
    after = np.append(again[1:], False)
    before = np.append(False, again[:-1])
    return np.asarray(~(again & (before | after)))


def _lines(known: IntArray, stamps: IntArray, longest: float) -> _Lines:
    """Which of the ``known`` frames to believe: where stamps fall, the fewest go that let the others rise."""
    values = stamps[known].tolist()
    kept: list[int] = list(range(len(values))) if (np.diff(stamps[known]) > 0).all() else []
    begins = [0]  # places in ``kept``
    for place, value in enumerate(values[len(kept) :]):
        line = kept[max(begins[-1], len(kept) - MOST - 1) :]
        if not line or value > values[line[-1]]:
            kept.append(place)
            continue
        high = _leading(values[other] >= value for other in reversed(line))
        low = _leading(following <= values[line[-1]] for following in values[place : place + MOST + 1])
        if min(high, low) > MOST:
            begins.append(len(kept))
        elif high < low or (high == low == 1 and _first_is_odd(known, values, line, place)):
            del kept[-high:]
        else:
            continue
        kept.append(place)
    found = stamps[known[kept]]
    new = np.append(True, np.diff(found) > longest)
    new[begins] = True
    return _Lines(known[kept], found, new)


def _leading(flags: Iterable[bool]) -> int:
    """How many are true before the first that is not."""
    return sum(1 for _ in takewhile(bool, flags))


def _first_is_odd(known: IntArray, values: Sequence[int], line: Sequence[int], second: int) -> bool:
    """Of two neighbours that contradict each other, whether time runs more evenly without the first."""
    if len(line) < 2 or second + 1 == len(values):
        return False
    before, first, after = line[-2], line[-1], second + 1

    def unevenness(kept: int) -> float:
        past, coming = (values[kept] - values[before]), (values[after] - values[kept])
        return abs(float(past / (known[kept] - known[before]) - coming / (known[after] - known[kept])))

    return unevenness(second) < unevenness(first)


def _usual_step(lines: _Lines, time_base: float, period: float) -> float:
    """Seconds from frame to frame, as most are apart."""
    steps = np.diff(lines.stamps) / np.diff(lines.frames)
    inside = steps[~lines.begins[1:]]
    return float(np.median(inside)) * time_base if len(inside) else period


def _joined(lines: _Lines, time_base: float, step: float) -> tuple[FloatArray, list[tuple[int, float]]]:
    """Seconds of the frames (N,), line after line, and the jumps between lines: frame, seconds."""
    starts = np.flatnonzero(lines.begins)
    number = np.cumsum(lines.begins) - 1
    inside = (lines.stamps - lines.stamps[starts][number]) * time_base
    offset, offsets, jumps = 0.0, [0.0], []
    for start in starts[1:].tolist():
        jump = int(lines.stamps[start] - lines.stamps[start - 1])
        wrapped = (jump + _WRAP) * time_base
        if not 0 < wrapped <= _WRAPPED:
            wrapped = step * float(lines.frames[start] - lines.frames[start - 1])
            jumps.append((int(lines.frames[start]), jump * time_base))
        offset += float(inside[start - 1]) + wrapped
        offsets.append(offset)
    return inside + np.array(offsets)[number], jumps


def _filled(frames: IntArray, times: FloatArray, step: float, hints: FloatArray) -> FloatArray:
    """Seconds of all frames (T,) from ``times`` (N,) of some; ``hints`` (T,) are seconds of another clock or NaN."""
    seconds = np.full(len(hints), np.nan)
    seconds[frames] = times
    seconds[: frames[0]] = times[0] - step * np.arange(int(frames[0]), 0, -1)
    for index in np.flatnonzero(np.isnan(seconds)).tolist():
        after = int(np.searchsorted(frames, index))
        before, ended = int(frames[after - 1]), after == len(frames)
        ceiling = np.inf if ended else float(times[after])
        hint = float(seconds[before] + (hints[index] - hints[before]))
        even = step if ended else (ceiling - seconds[index - 1]) / float(frames[after] - index + 1)
        likely = seconds[index - 1] + (even if even <= 2 * step else step)
        seconds[index] = hint if seconds[index - 1] < hint < min(ceiling, likely + LONGEST_GAP) else likely
    return seconds


def _assumed(count: int, period: float) -> tuple[FloatArray, tuple[str, ...]]:
    return np.arange(count) * period, (
        f"holds no times that can be used; {1 / period:g} frames a second are assumed, --fps says otherwise",
    )


def _order_note(pts: IntArray, stamps: IntArray) -> str:
    if stamps is pts or (pts == UNKNOWN).all():
        return ""
    return "its times of presentation are out of order; those of decoding are used"


def _mended_note(mended: IntArray, count: int) -> str:
    if not len(mended):
        return ""
    where = f"{len(mended)} of {count} frames (the first: frame {mended[0]})"
    return f"holds no usable time for {where}; it is guessed from the frames around"


def _jumps_note(jumps: Sequence[tuple[int, float]], seconds: FloatArray) -> str:
    if not jumps:
        return ""
    frame, jump = jumps[0]
    more = f", and {len(jumps) - 1} times more" if len(jumps) > 1 else ""
    return (
        f"its clock jumps {'back' if jump < 0 else 'ahead'} by {spelled(abs(jump))} at frame {frame} "
        f"({seconds[frame] - seconds[0]:.1f} s){more}; time is taken to go on there without a gap"
    )
