"""What happens to the whole picture, told from pictures alone: light, shaking, another view, a covered or frozen lens.

Each picture is compared with a slow mean of those before it, the *view*, in blocks of a tenth of the height. What is in
the scene changes some blocks, and a crowd or a belt many. What happens to the camera, or to its light, shows in those
that usually stay as they are, and in every quarter of the picture that has some:

- *light*: most blocks are brighter or darker than two seconds ago, all of them one way, also those whose detail is the
  same as then;
- *displaced*: each block is better explained by one common shift than by none: a small one by least squares (Lucas and
  Kanade 1981), a large one by phase correlation (Kuglin and Hines 1975). Back and forth it is *shaking*; for good the
  camera was *moved*;
- *changed*: most blocks show another detail; for good the camera was *moved* too;
- *covered*: the detail is gone, or all is one grey;
- *frozen*: the very same picture again and again.

All is causal, and takes a few milliseconds for a picture.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from metavad.live.types import Condition, ConditionKind
from metavad.recordings import Gaps
from metavad.scenes.video.black_or_frozen import Frozen, is_even, thinned
from metavad.types import BoolArray, ByteArray, FloatArray

__all__ = ["PictureConditions"]

BLOCKS, BLOCK = 10, 12
"""Blocks of the short side, and pixels of one: what is compared has 120 on its short side."""
MOST, HALF = 0.6, 0.5
"""Share of blocks that is nearly all, and of those of each quarter of the picture: what is in the scene covers less."""
FEW = 3
"""Blocks of a quarter that tell something, below which it is not asked."""
STEADY = 0.6
"""Usual correlation of a block's detail with that of the view from which the block tells anything."""
FEWEST = 0.1
"""Share of blocks that tell something, below which nothing is said of the view."""
FINEST, COARSEST = 0.01, 0.04
"""Heights of the picture between which detail lies."""
GONE = 0.3
"""Share of its detail that a covered block has left at most."""
SAME, OTHER = 0.6, 0.4
"""Share of its usual correlation from which a block's detail is the same, and below which it is another."""
STAYED = 0.75
"""Correlation of a block's detail with that of a while ago, from which nothing has moved in it since."""
LEAST = 5.0
"""Grey levels by which a block is brighter or darker in other light."""
GAIN, OFTEN = 0.16, 2.0
"""Change of the light, as a logarithm: one of a sixth tells, and so many times what is usual at this camera."""
RARE, QUIET, FORGOTTEN = 0.05, 20.0, 600.0
"""Share of the time in which the light changes by more than is usual; seconds of steady light that are taken for
granted at the beginning, and until what was seen counts a third."""
ALIKE = 0.8
"""Share of the blocks in which nothing has moved that are so, in other light."""
AGREES = 0.6
"""Share of its squared difference that a common shift leaves of a block that is shifted, at most."""
VISIBLE = 2.0
"""Times the noise of a block, over which a shift shows in it."""
STEPS, CLOSE = 4, 0.1
"""Steps to a shift at most, and pixels of the last one."""
SHIFTED = 0.02
"""Heights of the picture by which a view is displaced."""
JERK = 0.003
"""Heights from one picture to the next, usually, of a camera that shakes."""
TAU, WARM = 60.0, 5.0
"""Seconds of pictures that the view is the mean of, and from which on it is compared with."""
USUAL = 10.0
"""Seconds over which the usual correlation of a block is the mean."""
LOOKBACK = 2.0
"""Seconds between pictures whose light is compared."""
SHAKING_FROM, LASTING = 0.8, 2.0
"""Seconds until shaking is known, and until something that has stopped is over."""
COVERED_FROM, MOVED_FROM = 3.0, 4.0
UNSURE = 0.5
"""Seconds without a sign of a moved or covered camera, after which it is the view again."""
FROZEN_FROM = 75.0
"""Seconds of the same picture: a still room that is compressed much looks so for a minute, and then drifts."""
EARLY, AFTER = 1.0, 2.0
"""Seconds before and after a condition in which an event of it may lie: what scores look back on, and ahead."""
KEPT = 600.0
"""Seconds that conditions which are over are remembered."""

TEXTS: dict[ConditionKind, str] = {
    "light": "the light changed everywhere",
    "shaking": "the camera shakes; fasten it, or give clips in which it shakes",
    "moved": "the camera shows another view than before; turn it back, or show new clips of the view as it is now",
    "covered": "the lens is covered, or there is no light; nothing can be seen",
    "frozen": "the picture is frozen, the same again and again; restart the camera",
}

_State: TypeAlias = Literal["displaced", "changed", "covered"]
_Quarter: TypeAlias = tuple[slice, slice]


@dataclass(frozen=True)
class _Reduced:
    """A picture, made small: its grey, its detail, and the level and texture of its blocks."""

    grey: FloatArray
    detail: FloatArray
    level: FloatArray
    texture: FloatArray

    @classmethod
    def at(cls, grey: FloatArray) -> "_Reduced":
        """Detail is what is between two scales: finer is noise, coarser is light."""
        finest = cv2.GaussianBlur(grey, (0, 0), FINEST * grey.shape[0])
        detail = finest - cv2.GaussianBlur(grey, (0, 0), COARSEST * grey.shape[0])
        return cls(grey, detail, _blocks(grey), np.sqrt(np.maximum(_blocks(detail * detail), 0)))


@dataclass(frozen=True)
class _Usual:
    """How much of the view each block shows where nothing has happened to the picture."""

    correlation: FloatArray
    """With the view's detail."""
    noise: FloatArray
    """Mean square of the difference to it."""

    def towards(self, now: "_Usual", share: float) -> "_Usual":
        """Nearer to what is now."""
        rest, part = np.float32(1 - share), np.float32(share)
        return _Usual(rest * self.correlation + part * now.correlation, rest * self.noise + part * now.noise)


@dataclass(frozen=True)
class _Sight:
    """What a picture is against the view."""

    state: _State | None
    """None: the view, or nobody knows."""
    shift: tuple[float, float] | None
    """Heights (right, down); none where it is not known."""
    is_here: bool
    """Most of it is as in the view."""


class PictureConditions:
    """One camera's pictures, as they come; a :class:`~metavad.live.types.Conditions`."""

    def __init__(self) -> None:
        self._view: _Reduced | None = None
        self._usual: _Usual | None = None
        self._seen = 0.0
        self._recent = deque[tuple[float, _Reduced]]()
        self._exposure = _Exposure()
        self._shifts = deque[tuple[float, tuple[float, float]]]()
        self._frozen, self._gaps, self._last = Frozen(), Gaps(), 0.0
        self._since: dict[_State, float] = {}
        self._until = -np.inf
        self._open: dict[ConditionKind, Condition] = {}
        self._active_until: dict[ConditionKind, float] = {}
        self._over = deque[Condition]()

    def push(self, picture: ByteArray, seconds: float) -> list[Condition]:
        """The next picture (H, W), grey; the conditions that begin (their end is none) or are over with it."""
        found = self._gap(seconds) if self._gaps.last is not None and self._gaps.is_before(seconds) else []
        self._gaps.add(seconds)
        look, is_blank = _Reduced.at(_small(picture)), is_even(thinned(picture))
        self._frozen.add(thinned(picture), seconds)
        sight = _Sight("covered", None, False) if is_blank else self._sight(look)
        self._note(sight, seconds)
        found += self._changes(self._active(look, seconds), seconds)
        if not self._since:
            self._learn(look, seconds, is_sure=sight.is_here)
        self._recent.append((seconds, look))
        self._last = seconds
        return found

    def during(self, start: float, end: float) -> ConditionKind | None:
        """What explains an event of this time, where something does: it lasts no longer than that.

        What is not certain yet counts too: whether a camera was moved is only known after a while.
        """
        suspected = [
            Condition("covered" if state == "covered" else "moved", since, None, "")
            for state, since in self._since.items()
        ]
        for each in [*self._open.values(), *suspected, *reversed(self._over)]:
            until = np.inf if each.end is None else each.end
            if each.kind != "frozen" and each.start - EARLY <= start and end <= until + AFTER:
                return each.kind
        return None

    # One picture

    def _sight(self, look: _Reduced) -> _Sight:
        """What a picture is against the view."""
        view, usual = self._view, self._usual
        if view is None or usual is None or np.mean(usual.correlation > STEADY) < FEWEST:
            return _Sight(None, None, True)  # there is nothing to compare with
        steady = usual.correlation > STEADY
        if _share((look.texture < GONE * view.texture)[steady]) > (1 + MOST) / 2:
            return _Sight("covered", None, False)
        here = _correlation(view, look) / np.maximum(usual.correlation, STEADY)
        is_here = _share((here > SAME)[steady]) >= HALF
        shift = _shift(view, look, usual, near=(0.0, 0.0)) if is_here else None
        if shift is None:
            shift = _shift(view, look, usual, near=_large_shift(view, look))
        if shift is not None and np.hypot(*shift) > SHIFTED:
            return _Sight("displaced", shift, False)
        is_other = not is_here and shift is None and _is_other(view, look, usual)
        return _Sight("changed" if is_other else None, shift, is_here)

    def _note(self, sight: _Sight, seconds: float) -> None:
        """Since when a state lasts, and the last shifts."""
        if sight.state is not None:
            self._since, self._until = {sight.state: self._began(sight.state, seconds)}, seconds
        elif seconds - self._until > UNSURE:
            self._since = {}
        if sight.shift is not None:
            self._shifts.append((seconds, sight.shift))
        while self._shifts and self._shifts[0][0] < seconds - 1.0:
            self._shifts.popleft()
        while self._recent and self._recent[0][0] < seconds - LOOKBACK:
            self._recent.popleft()

    def _began(self, state: _State, seconds: float) -> float:
        """One that is displaced, and then changed, is one that lasts."""
        same = ("covered",) if state == "covered" else ("displaced", "changed")
        return min([seconds, *(since for each, since in self._since.items() if each in same)])

    def _active(self, look: _Reduced, seconds: float) -> dict[ConditionKind, float]:
        """The conditions that hold now, and since when."""
        found: dict[ConditionKind, float] = {}
        state = next(iter(self._since), None)
        shakes = self._shakes(seconds)
        if shakes is not None:
            found["shaking"] = shakes
        since = min(self._since.values(), default=seconds)
        if state == "covered" and (seconds - since >= COVERED_FROM or "covered" in self._open):
            found["covered"] = since
        is_long = seconds - since >= MOVED_FROM or "moved" in self._open
        if state in ("displaced", "changed") and shakes is None and is_long:
            found["moved"] = since
        if state is None and self._is_other_light(look, seconds):
            found["light"] = self._last
        frozen = self._frozen.since
        if frozen is not None and seconds - frozen >= FROZEN_FROM:
            found["frozen"] = frozen
        return found

    def _shakes(self, seconds: float) -> float | None:
        """Since when the camera shakes, where it does: its shift goes back and forth."""
        if len(self._shifts) < 5 or self._shifts[-1][0] - self._shifts[0][0] < SHAKING_FROM * 0.75:
            return None
        steps = np.diff(np.array([shift for _, shift in self._shifts]), axis=0)
        lengths = np.hypot(*steps.T)
        net = float(np.hypot(*steps.sum(0))) / len(steps)  # one way is no shaking
        if np.median(lengths) <= JERK or net >= lengths.mean() / 2:
            return None
        return self._shifts[int(np.argmax(lengths > JERK))][0]

    def _is_other_light(self, look: _Reduced, seconds: float) -> bool:
        """Whether most blocks are brighter or darker than a while ago, one way, also where nothing has moved since."""
        if self._usual is None or not self._recent:
            return False
        before = self._recent[0][1]
        stayed = (_correlation(before, look) > STAYED) & (self._usual.correlation > STEADY)
        if np.mean(stayed) < FEWEST:
            return False
        gain = np.log(np.maximum(look.level, 1) / np.maximum(before.level, 1))
        middle = min(float(np.median(gain)), float(np.median(gain[stayed])), key=abs)
        least = self._exposure.least
        self._exposure.add(abs(middle), seconds - self._last)
        alike = (np.sign(middle) * gain > least / 2) & (np.abs(look.level - before.level) > LEAST)
        is_alike = _share(alike) >= MOST and _share(alike[stayed]) >= ALIKE and _is_everywhere(alike, stayed)
        return abs(middle) > least and is_alike

    def _learn(self, look: _Reduced, seconds: float, *, is_sure: bool) -> None:
        """A picture becomes part of the view; slowly, where little of it is as it was."""
        if self._open.keys() & {"moved", "covered", "shaking"}:
            return
        if self._view is None:
            self._view, self._seen = look, seconds
            return
        age = seconds - self._seen
        if age >= WARM:
            share = min(1.0, (seconds - self._last) / USUAL)
            now = _Usual(_correlation(self._view, look), _difference(self._view.detail, look.detail))
            self._usual = now if self._usual is None else self._usual.towards(now, share)
        share = min(0.5, max(0.0, seconds - self._last) / (min(TAU, max(0.1, age)) if is_sure else TAU))
        self._view = _Reduced.at(np.float32(1 - share) * self._view.grey + np.float32(share) * look.grey)

    # What begins and what is over

    def _changes(self, active: dict[ConditionKind, float], seconds: float) -> list[Condition]:
        found = list[Condition]()
        for kind, since in active.items():
            self._active_until[kind] = seconds
            if kind not in self._open:
                self._open[kind] = Condition(kind, since, None, TEXTS[kind])
                found.append(self._open[kind])
        for kind in [each for each in self._open if each not in active]:
            if seconds - self._active_until[kind] >= LASTING:
                found.append(self._closed(kind, self._active_until[kind]))
        return found

    def _closed(self, kind: ConditionKind, end: float) -> Condition:
        closed = replace(self._open.pop(kind), end=end)
        self._over.append(closed)
        while self._over[0].end is not None and self._over[0].end < end - KEPT:
            self._over.popleft()
        return closed

    def _gap(self, seconds: float) -> list[Condition]:
        """What went on before a gap is over; the view stays, since a camera may be moved in a gap."""
        found = [self._closed(kind, self._last) for kind in list(self._open)]
        self._recent.clear()
        self._shifts.clear()
        self._since, self._frozen = {}, Frozen()
        self._seen += seconds - self._last
        return found


class _Exposure:
    """By how much the light of a camera usually changes: one with automatic exposure does so all the time."""

    def __init__(self) -> None:
        self._seconds = np.zeros(100)
        self._seconds[0] = QUIET

    @property
    def least(self) -> float:
        """The change (logarithm of the gain, without a sign) over which it is other light."""
        usual = np.searchsorted(np.cumsum(self._seconds), (1 - RARE) * self._seconds.sum())
        return max(GAIN, OFTEN * float(usual) / 50)

    def add(self, change: float, seconds: float) -> None:
        """The light has changed by so much, for so long."""
        self._seconds *= np.exp(-seconds / FORGOTTEN)
        self._seconds[min(int(50 * change), 99)] += min(seconds, 1.0)


def _small(picture: ByteArray) -> FloatArray:
    """So that each side is of whole blocks."""
    step = min(picture.shape) / BLOCKS
    height, width = (BLOCK * max(1, round(side / step)) for side in picture.shape)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _blocks(values: FloatArray) -> FloatArray:
    """The mean of each block."""
    height, width = values.shape
    return np.asarray(cv2.resize(values, (width // BLOCK, height // BLOCK), interpolation=cv2.INTER_AREA))


def _correlation(view: _Reduced, look: _Reduced) -> FloatArray:
    """Of the detail of each block, -1 to 1; 0 where there is none."""
    product = _blocks(view.detail * look.detail)
    return np.asarray(product / np.maximum(view.texture * look.texture, 0.25))


def _large_shift(view: _Reduced, look: _Reduced) -> tuple[float, float]:
    """By how many pixels (right, down) a picture is shifted against the view, most likely."""
    window = cv2.createHanningWindow(view.detail.shape[::-1], cv2.CV_32F)
    # Windowed here: given a window, it writes to its input.
    (right, down), _ = cv2.phaseCorrelate(view.detail * window, look.detail * window)
    return right, down


def _shift(view: _Reduced, look: _Reduced, usual: _Usual, near: tuple[float, float]) -> tuple[float, float] | None:
    """A shift near that many pixels, in heights (right, down); not known where the blocks do not agree on one.

    By least squares from the picture's gradient (Lucas and Kanade 1981) over what is steady, then over the blocks that
    it explains. What moves by itself, such as a belt, leaves the blocks beside it as they are. A block in which such a
    shift would change no more than noise does has no vote.
    """
    steady = usual.correlation > STEADY
    right, down = (cv2.Sobel(view.detail, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    rr, rd, dd = _blocks(right * right), _blocks(right * down), _blocks(down * down)
    before, moved = _difference(view.detail, look.detail), _moved_back(look.detail, near)
    found, used, agree = np.array(near), steady, steady
    for _ in range(STEPS):
        change = view.detail - moved
        normal = np.array([[rr[used].sum(), rd[used].sum()], [rd[used].sum(), dd[used].sum()]])
        wanted = np.array([_blocks(right * change)[used].sum(), _blocks(down * change)[used].sum()])
        step = np.linalg.lstsq(normal, wanted, rcond=None)[0]
        found = found + step
        if np.hypot(*found) < JERK * len(view.detail):
            return 0.0, 0.0
        moved = _moved_back(look.detail, found)
        agree = _difference(view.detail, moved) < AGREES * before
        used = steady & agree
        if not used.any() or np.hypot(*step) < CLOSE:
            break
    expected = np.minimum(found[0] ** 2 * rr + 2 * found[0] * found[1] * rd + found[1] ** 2 * dd, view.texture**2)
    asked = steady & (expected > VISIBLE * usual.noise)
    if np.mean(asked) < FEWEST or not _is_everywhere(agree, asked):
        return None
    return float(found[0]) / len(view.detail), float(found[1]) / len(view.detail)


def _is_other(view: _Reduced, look: _Reduced, usual: _Usual) -> bool:
    """Whether the picture, and all of its quarters but one, show another detail than the view."""
    steady = usual.correlation > STEADY
    product = _blocks(view.detail * look.detail)

    def correlation(quarter: _Quarter) -> float:
        used = steady[quarter]
        energy = np.sum(view.texture[quarter][used] ** 2) * np.sum(look.texture[quarter][used] ** 2)
        return float(np.sum(product[quarter][used]) / max(float(np.sqrt(energy)), 0.25))

    parts = [np.s_[:, :], *_quarters(steady)]
    usually = [OTHER * float(np.mean(usual.correlation[each][steady[each]])) for each in parts]
    other = [correlation(each) < least for each, least in zip(parts, usually, strict=True)]
    return other[0] and sum(other[1:]) >= len(other) - 2


def _moved_back(detail: FloatArray, shift: Sequence[float] | FloatArray) -> FloatArray:
    """By so many pixels (right, down)."""
    matrix = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float32)
    return np.asarray(cv2.warpAffine(detail, matrix, detail.shape[::-1], borderMode=cv2.BORDER_REPLICATE))


def _share(flags: BoolArray) -> float:
    return float(np.mean(flags)) if flags.size else 0.0


def _is_everywhere(flags: BoolArray, counted: BoolArray) -> bool:
    """Whether it is so in nearly all blocks (h, w) that count, and in half of those of each quarter of the picture."""
    return _share(flags[counted]) >= MOST and all(
        _share(flags[each][counted[each]]) >= HALF for each in _quarters(counted)
    )


def _quarters(counted: BoolArray) -> list[_Quarter]:
    """Those of the picture in which some blocks (h, w) count."""
    down, across = counted.shape[0] // 2, counted.shape[1] // 2
    found = [(rows, columns) for rows in (np.s_[:down], np.s_[down:]) for columns in (np.s_[:across], np.s_[across:])]
    return [each for each in found if counted[each].sum() >= FEW]


def _difference(one: FloatArray, other: FloatArray) -> FloatArray:
    """Mean square of each block."""
    return _blocks(np.square(one - other))
