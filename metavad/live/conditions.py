"""What happens to the whole picture, told from pictures alone: light, shaking, another view, a covered or frozen lens.

Each picture is compared with a slow mean of those before it, the *view*, in blocks of a tenth of the height. What is in
the scene changes some blocks. What happens to the camera, or to its light, changes nearly all of them:

- *light*: most blocks are brighter or darker than two seconds ago, and show the same detail;
- *displaced*: the detail is that of the view, shifted by phase correlation (Kuglin and Hines 1975). Back and forth it
  is *shaking*; for good the camera was *moved*;
- *changed*: most blocks show another detail; for good the camera was *moved* too;
- *covered*: the detail is gone, or all is one grey;
- *frozen*: the very same picture again and again.

All is causal, and takes about a millisecond for a picture.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from metavad.live.types import Condition, ConditionKind
from metavad.recordings import Gaps
from metavad.scenes.video.black_or_frozen import Frozen, is_even, thinned
from metavad.types import BoolArray, ByteArray, FloatArray

__all__ = ["PictureConditions"]

SHORT_SIDE = 120
"""Pixels of what is compared."""
BLOCKS = 10
"""Blocks of the short side."""
MOST = 0.6
"""Share of blocks that is nearly all: what is in the scene covers less."""
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
BRIGHTER = 5.0, 0.07
"""Grey levels, and share of its own level, by which a block is brighter or darker in other light."""
SHIFTED = 0.006
"""Heights of the picture by which a view is displaced."""
JERK = 0.003
"""Heights from one picture to the next, on average, of a camera that shakes."""
TAU, WARM = 60.0, 3.0
"""Seconds of pictures that the view is the mean of, and from which on it is compared with."""
USUAL = 10.0
"""Seconds over which the usual correlation of a block is the mean."""
LOOKBACK = 2.0
"""Seconds between pictures whose light is compared."""
SHAKING_FROM, LASTING = 0.8, 2.0
"""Seconds until shaking is known, and until something that has stopped is over."""
COVERED_FROM, MOVED_FROM = 3.0, 4.0
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


@dataclass(frozen=True)
class _Look:
    """A picture, made small: its grey, its detail, and the level and texture of its blocks."""

    grey: FloatArray
    detail: FloatArray
    level: FloatArray
    texture: FloatArray

    @classmethod
    def at(cls, grey: FloatArray) -> "_Look":
        """Detail is what is between two scales: finer is noise, coarser is light."""
        finest = cv2.GaussianBlur(grey, (0, 0), FINEST * grey.shape[0])
        detail = finest - cv2.GaussianBlur(grey, (0, 0), COARSEST * grey.shape[0])
        return cls(grey, detail, _blocks(grey), np.sqrt(np.maximum(_blocks(detail * detail), 0)))


class PictureConditions:
    """One camera's pictures, as they come; a :class:`~metavad.live.types.Conditions`."""

    def __init__(self) -> None:
        self._view: _Look | None = None
        self._usual: FloatArray | None = None
        self._seen = 0.0
        self._recent = deque[tuple[float, _Look]]()
        self._shifts = deque[tuple[float, tuple[float, float]]]()
        self._frozen, self._gaps, self._last = Frozen(), Gaps(), 0.0
        self._since: dict[_State, float] = {}
        self._open: dict[ConditionKind, Condition] = {}
        self._active_until: dict[ConditionKind, float] = {}
        self._over = deque[Condition]()

    def push(self, picture: ByteArray, seconds: float) -> list[Condition]:
        """The next picture (H, W), grey; the conditions that begin (their end is none) or are over with it."""
        found = self._gap(seconds) if self._gaps.last is not None and self._gaps.is_before(seconds) else []
        self._gaps.add(seconds)
        look, is_blank = _Look.at(_small(picture)), is_even(thinned(picture))
        self._frozen.add(thinned(picture), seconds)
        state, shift = (None, None) if self._view is None else self._state(self._view, look)
        state = "covered" if is_blank else state
        self._note(state, shift, seconds)
        active = self._active(state, look, seconds)
        found += self._changes(active, seconds)
        if state is None:
            self._learn(look, seconds, is_blank)
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

    def _state(self, view: _Look, look: _Look) -> tuple[_State | None, tuple[float, float] | None]:
        """What a picture is against the view, and by how many heights it is shifted where that is known."""
        if self._usual is None or np.mean(self._usual > STEADY) < FEWEST:  # there is nothing to compare with
            return None, None
        steady = self._usual > STEADY
        if _share((look.texture < GONE * view.texture)[steady]) > (1 + MOST) / 2:
            return "covered", None
        here = (_correlation(view, look) / self._usual)[steady]
        if _share(here > SAME) >= 0.5:
            return None, _fine_shift(view, look, steady)
        shift, is_certain = _shift(view.detail, look.detail)
        back = _moved_back(look, shift) if is_certain else look
        there = (_correlation(view, back) / self._usual)[steady]
        if is_certain and np.hypot(*shift) > SHIFTED and _share(there > SAME) >= 0.5:
            fine = _fine_shift(view, back, steady)
            return "displaced", (shift[0] + fine[0], shift[1] + fine[1])
        return ("changed", None) if _share(np.minimum(here, there) < OTHER) >= MOST else (None, None)

    def _note(self, state: _State | None, shift: tuple[float, float] | None, seconds: float) -> None:
        """Since when a state lasts, and the last shifts."""
        self._since = {} if state is None else {state: self._began(state, seconds)}
        if shift is not None:
            self._shifts.append((seconds, shift))
        while self._shifts and self._shifts[0][0] < seconds - 1.0:
            self._shifts.popleft()
        while self._recent and self._recent[0][0] < seconds - LOOKBACK:
            self._recent.popleft()

    def _began(self, state: _State, seconds: float) -> float:
        """One that is displaced, and then changed, is one that lasts."""
        same = ("covered",) if state == "covered" else ("displaced", "changed")
        return min([seconds, *(since for each, since in self._since.items() if each in same)])

    def _active(self, state: _State | None, look: _Look, seconds: float) -> dict[ConditionKind, float]:
        """The conditions that hold now, and since when."""
        found: dict[ConditionKind, float] = {}
        shakes = self._shakes(seconds)
        if shakes is not None:
            found["shaking"] = shakes
        since = min(self._since.values(), default=seconds)
        if state == "covered" and (seconds - since >= COVERED_FROM or "covered" in self._open):
            found["covered"] = since
        is_long = seconds - since >= MOVED_FROM or "moved" in self._open
        if state in ("displaced", "changed") and shakes is None and is_long:
            found["moved"] = since
        if state is None and self._is_other_light(look):
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
        least = JERK if not self._since else 2 * JERK  # a large shift is known less exactly
        if lengths.mean() <= least or net >= lengths.mean() / 2:
            return None
        return self._shifts[int(np.argmax(lengths > least))][0]

    def _is_other_light(self, look: _Look) -> bool:
        """Whether most blocks are brighter or darker, all of them one way, than a while ago."""
        if self._usual is None or not self._recent:
            return False
        before = self._recent[0][1].level
        change = look.level - before
        large = np.abs(change) > np.maximum(BRIGHTER[0], BRIGHTER[1] * before)
        return max(_share(large & (change > 0)), _share(large & (change < 0))) >= MOST

    def _learn(self, look: _Look, seconds: float, is_blank: bool) -> None:
        """A picture becomes part of the view."""
        if is_blank or self._open.keys() & {"moved", "covered", "shaking"}:
            return
        if self._view is None:
            self._view, self._seen = look, seconds
            return
        age = seconds - self._seen
        if age >= WARM:
            now = _correlation(self._view, look)
            share = min(1.0, (seconds - self._last) / USUAL)
            self._usual = now if self._usual is None else self._usual + np.float32(share) * (now - self._usual)
        share = min(0.5, max(0.0, seconds - self._last) / min(TAU, max(0.1, age)))
        self._view = _Look.at(np.float32(1 - share) * self._view.grey + np.float32(share) * look.grey)

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


def _small(picture: ByteArray) -> FloatArray:
    height, width = picture.shape
    scale = min(1.0, SHORT_SIDE / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _blocks(values: FloatArray) -> FloatArray:
    """The mean of each block."""
    height, width = values.shape
    step = min(height, width) / BLOCKS
    return np.asarray(cv2.resize(values, (round(width / step), round(height / step)), interpolation=cv2.INTER_AREA))


def _correlation(view: _Look, look: _Look) -> FloatArray:
    """Of the detail of each block, -1 to 1; 0 where there is none."""
    product = _blocks(view.detail * look.detail)
    return np.asarray(product / np.maximum(view.texture * look.texture, 0.25))


def _shift(view: FloatArray, now: FloatArray) -> tuple[tuple[float, float], bool]:
    """By how many heights (right, down) a picture is shifted against the view, and whether that is certain."""
    window = cv2.createHanningWindow(view.shape[::-1], cv2.CV_32F)
    (right, down), response = cv2.phaseCorrelate(view * window, now * window)  # given a window, it writes to its input
    return (right / view.shape[0], down / view.shape[0]), response > 0.1


def _fine_shift(view: _Look, look: _Look, steady: BoolArray) -> tuple[float, float]:
    """A shift of about a pixel, in heights (right, down): by least squares over what is steady.

    From the picture's gradient (Lucas and Kanade 1981), twice, the second time without what does not agree.
    """
    height, width = view.detail.shape
    weight = cv2.resize(steady.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    slopes = [cv2.Sobel(view.detail, cv2.CV_32F, *order, ksize=3, scale=1 / 8).ravel() for order in ((1, 0), (0, 1))]
    slope, change = np.stack(slopes), (view.detail - look.detail).ravel()
    found, used = np.zeros(2), weight.ravel()
    for _ in range(3):
        weighted = slope * used
        found = np.linalg.lstsq(weighted @ slope.T, weighted @ change, rcond=None)[0]
        error = np.abs(change - found @ slope)
        used = weight.ravel() * (error <= 2 * max(float(np.median(error)), 1e-3))
    return float(found[0]) / height, float(found[1]) / height


def _moved_back(look: _Look, shift: tuple[float, float]) -> _Look:
    height, width = look.grey.shape
    matrix = np.array([[1, 0, -shift[0] * height], [0, 1, -shift[1] * height]], np.float32)
    return _Look.at(cv2.warpAffine(look.grey, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))


def _share(flags: BoolArray) -> float:
    return float(np.mean(flags)) if flags.size else 0.0
