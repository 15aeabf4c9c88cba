"""Pictures of a benchmark: SVG text for curves, PNG bytes for photographs.

Colours are those of Okabe and Ito 2008 (https://jfly.uni-koeln.de/color/), told apart by colour-blind eyes; every
method also has its own marker and its name beside its line. Matplotlib is used as objects: no global figure.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import ndimage

from metavad.benchmark.protocol import LEADING, PROPOSED
from metavad.benchmark.record import BenchmarkRecord
from metavad.errors import DataError
from metavad.heat import warmed, warmth
from metavad.recordings import recordings, without_gaps
from metavad.report.grid import Cell, Line, pivot
from metavad.runs import runs
from metavad.types import BoolArray, ByteArray, FloatArray, IntArray

__all__ = ["INK", "auc_over_shots", "auc_over_shots_pdf", "heat_overlay", "timeline"]

INK = {
    "ink": "#1b2430",
    "muted": "#5d6878",
    "line": "#d4dae3",
    "adapted": "#0072b2",
    "fine-tune": "#d55e00",
    "refit": "#009e73",
    "wrong-scene": "#b0528f",
    "zero-shot": "#1b2431",
    "motion": "#5d6879",
    "position": "#8791a0",
    "truth": "#e69f00",
    "alarm": "#c0392b",
}
"""Colours by what they stand for; a page replaces them by its own for light and dark."""

MARKERS = {"adapted": "o", "fine-tune": "s", "refit": "^", "wrong-scene": "X"}
DASHES = {"zero-shot": (0, (6, 2)), "motion": (0, (2, 2)), "position": (0, (1, 3))}


def auc_over_shots(record: BenchmarkRecord, scene: str) -> str:
    """Curves over K with their spread over draws, methods without shots as level lines; SVG text.

    Where a level line, or ``wrong-scene``, lies far under the others it is named at the foot, so that they keep their
    room.
    """
    return _svg(_curves_of(record, scene))


def auc_over_shots_pdf(record: BenchmarkRecord, scene: str) -> bytes:
    """The same as a PDF of one page, for a paper; the same bytes for the same record."""
    content = io.BytesIO()
    with mpl.rc_context({"pdf.fonttype": 42}):
        _curves_of(record, scene).savefig(content, format="pdf", metadata={"CreationDate": None, "Creator": None})
    return content.getvalue()


def _curves_of(record: BenchmarkRecord, scene: str) -> Figure:
    grid = pivot(record, LEADING)
    lines = dict(grid.groups).get(scene)
    if lines is None:
        raise DataError(f"expected a scene of the record, found {scene!r}; known: {', '.join(dict(grid.groups))}")
    shots = [k for k in grid.shots if k > 0]
    curves = {x.method: _curve(x, grid.shots) for x in lines}
    picture = Figure(figsize=(4.6, 3.1), layout="constrained")
    axes = picture.subplots()
    _bare(axes)
    low, high = _window(curves)
    for method, curve in curves.items():
        _draw_curve(axes, method, curve, shots)
    _shot_axis(axes, shots, (low, high))
    _name_lines(axes, curves, max(len(shots) - 1, 0), (low, high))
    return picture


@dataclass(frozen=True)
class _Curve:
    """Figures in per cent of one method: over shots, or one level."""

    level: float | None
    points: Mapping[int, Cell]

    @property
    def last(self) -> float | None:
        values = [100 * cell.value for cell in self.points.values() if cell.value is not None]
        return values[-1] if values else self.level


def _curve(line: Line, shots: Sequence[int]) -> _Curve:
    cells = {k: cell for k, cell in zip(shots, line.cells, strict=True) if cell and cell.value is not None}
    level = cells.pop(0, None)
    return _Curve(None if level is None or level.value is None else 100 * level.value, cells)


def _extent(curve: _Curve) -> list[float]:
    spreads = [(cell.value or 0, cell.spread or 0) for cell in curve.points.values()]
    return [100 * (value + sign * spread) for value, spread in spreads for sign in (-1, 1)]


def _window(curves: Mapping[str, _Curve]) -> tuple[float, float]:
    """The range of the figure axis: all curves and zero-shot, and what else is near them.

    Level lines and ``wrong-scene``, a curve that is meant to fall, may lie far under the others, which keep their room.
    """
    found = {name: [*_extent(curve), *([] if curve.level is None else [curve.level])] for name, curve in curves.items()}
    points = {name: values for name, values in found.items() if values}
    levels = {name for name, curve in curves.items() if not curve.points and name != "zero-shot"}
    core = [value for name, values in points.items() if name not in levels | {"wrong-scene"} for value in values]
    if not any(curve.points for curve in curves.values()) or not core:
        core = [value for values in points.values() for value in values] or [0.0, 100.0]
    room = max(max(core) - min(core), MIN_ROOM)
    near = [min(values) for values in points.values() if min(values) > min(core) - room / 2]
    near += [max(values) for name, values in points.items() if name in levels and max(values) > min(core) - room / 2]
    low, high = min([*core, *near]), max([*core, *near])
    short = max(MIN_ROOM - (high - low), 0.0) / 2
    return max(low - short - 0.12 * room, -0.4), min(high + short + 0.12 * room, 100.4)


MIN_ROOM = 2.0
"""Points of AUC that an axis spans at least: a tenth of a point is no mountain."""


def _draw_curve(axes: Axes, method: str, curve: _Curve, shots: Sequence[int]) -> None:
    colour = INK.get(method, INK["muted"])
    if curve.level is not None:
        axes.axhline(curve.level, color=colour, lw=1.2, ls=DASHES.get(method, (0, (4, 4))), zorder=1)
    if not curve.points:
        return
    places = np.array([shots.index(k) for k in curve.points])
    values = np.array([100 * (cell.value or 0) for cell in curve.points.values()])
    spread = np.array([100 * (cell.spread or 0) for cell in curve.points.values()])
    leading = method == PROPOSED
    axes.fill_between(places, values - spread, values + spread, color=colour, alpha=0.14, lw=0, zorder=2)
    axes.plot(
        places,
        values,
        color=colour,
        lw=2.4 if leading else 1.5,
        marker=MARKERS.get(method, "D"),
        ms=6 if leading else 4.5,
        markeredgewidth=0,
        zorder=4 if leading else 3,
    )


def _shot_axis(axes: Axes, shots: Sequence[int], window: tuple[float, float]) -> None:
    axes.set_xticks(range(len(shots)), [str(k) for k in shots])
    axes.set_xlim(-0.15 * max(len(shots) - 1, 1), max(len(shots) - 1, 0.5) * 1.02)
    axes.set_ylim(*window)
    axes.set_xlabel("K, clips shown" if shots else "no clips shown", color=INK["muted"])
    axes.set_ylabel("AUC, %", color=INK["muted"])


def _name_lines(axes: Axes, curves: Mapping[str, _Curve], right: float, window: tuple[float, float]) -> None:
    """Names at the right end of each line, pushed apart; lines under the window at its foot."""
    low, high = window
    ends = {name: curve.last for name, curve in curves.items() if curve.last is not None}
    order = sorted(ends, key=lambda name: ends[name] or 0.0)
    gap = (high - low) / 13
    heights = _apart([max(ends[name] or 0.0, low) for name in order], gap, low + gap / 2, high - gap / 4)
    for name, height in zip(order, heights, strict=True):
        below = (ends[name] or 0.0) < low
        axes.annotate(
            f"{name} {ends[name]:.1f}{' ↓' if below else ''}",
            (1.02, height),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            fontweight="bold" if name == PROPOSED else "normal",
            color=INK.get(name, INK["muted"]),
            annotation_clip=False,
        )


def _apart(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending heights moved as little as it takes to lie a gap apart: what collides is spread about its middle."""
    blocks: list[tuple[float, int]] = []  # lowest place and size of names that touch
    for height in heights:
        start, size = min(max(height, low), high), 1
        while blocks and blocks[-1][0] + blocks[-1][1] * gap > start:
            below, count = blocks.pop()
            start = (below * count + (start - count * gap) * size) / (count + size)
            size += count
            start = min(max(start, low), max(high - (size - 1) * gap, low))
        blocks.append((start, size))
    return [start + n * gap for start, size in blocks for n in range(size)]


def timeline(
    seconds: FloatArray,
    scores: FloatArray,
    *,
    labels: BoolArray,
    threshold: float,
    alarms: IntArray,
) -> str:
    """Scores (T,) of a video over its seconds (T,), higher = more anomalous; SVG text.

    Bands where ``labels`` (T,) are true, a line at the threshold where it is finite, and a bar at the foot for each of
    the ``alarms`` (N, 2), half-open frames. A gap between recordings takes no room, but a line stands there.
    """
    lengths = {len(row) for row in (seconds, scores, labels)}
    if len(lengths) != 1 or lengths == {0}:
        raise DataError(
            f"expected a time, a score and a label for each frame, found rows of {sorted(lengths)} frames; "
            "pass all frames of one video"
        )
    picture = Figure(figsize=(9.2, 2.3), layout="constrained")
    axes = picture.subplots()
    _bare(axes)
    scores = np.nan_to_num(np.asarray(scores, dtype=float))
    low, high = _room(scores, threshold)
    clock, parts = without_gaps(np.asarray(seconds, dtype=float)), recordings(seconds)
    for start, end in _spans(runs(np.asarray(labels, dtype=bool)), clock):
        axes.axvspan(start, end, color=INK["truth"], alpha=0.28, lw=0, zorder=0)
    for number, (start, end) in enumerate(parts):
        axes.plot(*_envelope(clock[start:end], scores[start:end]), color=INK["adapted"], lw=1.3, zorder=3)
        if number:
            axes.axvline(clock[start], color=INK["muted"], lw=0.7, zorder=1)
    if np.isfinite(threshold):
        axes.axhline(threshold, color=INK["alarm"], lw=1.1, ls=(0, (5, 3)), zorder=2)
        bars = [(start, end - start) for start, end in _spans(alarms, clock)]
        axes.broken_barh(bars, (low, 0.035 * (high - low)), color=INK["alarm"], lw=0, zorder=4)
    axes.set_ylim(low, high)
    axes.set_xlim(float(clock[0]), _ends(clock)[-1])
    axes.set_xlabel("seconds" if len(parts) == 1 else "seconds of pictures", color=INK["muted"])
    axes.set_ylabel("score", color=INK["muted"])
    return _svg(picture)


def _room(scores: FloatArray, threshold: float) -> tuple[float, float]:
    shown = [*scores, *([threshold] if np.isfinite(threshold) else [])]
    low, high = float(np.min(shown)), float(np.max(shown))
    span = high - low or 1.0
    return low - 0.1 * span, high + 0.08 * span


def _ends(seconds: FloatArray) -> FloatArray:
    """When each frame ends: where the next begins, the last after a median frame."""
    gap = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    return np.append(np.asarray(seconds, dtype=float)[1:], float(seconds[-1]) + gap)


def _spans(intervals: IntArray, seconds: FloatArray) -> list[tuple[float, float]]:
    ends = _ends(seconds)
    return [(float(seconds[start]), float(ends[end - 1])) for start, end in intervals]


def _envelope(seconds: FloatArray, scores: FloatArray, most: int = 1500) -> tuple[FloatArray, FloatArray]:
    """Long videos thinned to lowest and highest of each stretch, so that no peak is lost."""
    stretch = -(-len(scores) // most)
    if stretch < 3:
        return seconds, scores
    starts = np.arange(0, len(scores), stretch)
    pairs = np.stack([np.minimum.reduceat(scores, starts), np.maximum.reduceat(scores, starts)], axis=1)
    return np.repeat(seconds[starts], 2), pairs.ravel()


def heat_overlay(frame: ByteArray, heat: FloatArray) -> ByteArray:
    """A frame (H, W, 3) in RGB under its score map (h, w), with the highest region boxed; (H, W, 3).

    Colour and cover grow with the score, from nothing at the map's median to the most at its peak. Boxed is the region
    around the peak over half its height.
    """
    if np.ndim(frame) != 3 or np.shape(frame)[2] != 3 or np.ndim(heat) != 2:
        raise DataError(f"expected a frame (H, W, 3) and a map (h, w), found {np.shape(frame)} and {np.shape(heat)}")
    mixed = np.ascontiguousarray(warmed(frame[..., ::-1], heat)[..., ::-1])
    corners = _peak_box(warmth(heat), frame.shape[:2])
    return mixed if corners is None else _boxed(mixed, corners)


def _peak_box(warm: FloatArray, size: tuple[int, ...]) -> tuple[float, ...] | None:
    """The box in pixels of the connected cells over half the peak that hold it; none on a flat map."""
    if not warm.any():
        return None
    labels, _ = ndimage.label(warm >= 0.5, structure=np.ones((3, 3)))
    rows, columns = ndimage.find_objects(labels)[labels.flat[np.argmax(warm)] - 1]
    down, across = size[0] / warm.shape[0], size[1] / warm.shape[1]
    return columns.start * across, rows.start * down, columns.stop * across, rows.stop * down


def _boxed(image: ByteArray, box: Iterable[float]) -> ByteArray:
    """A white box with a dark rim: seen on bright and on dark ground."""
    x0, y0, x1, y1 = (round(value) for value in box)
    stroke = max(1, round(image.shape[0] / 180))
    for colour, width in (((20, 20, 20), 3 * stroke), ((255, 255, 255), stroke)):
        image = cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), colour, width)
    return image


def _bare(axes: Axes) -> None:
    """Only what carries meaning: no frame, light level lines, small grey ticks."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK["line"])
    axes.grid(axis="y", color=INK["line"], lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK["muted"], labelsize=8.5, length=0, pad=5)
    axes.patch.set_visible(False)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)


def _svg(picture: Figure) -> str:
    """SVG text without a header, the same for the same figure; its words stay words."""
    text = io.StringIO()
    picture.patch.set_visible(False)
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "metavad"}):
        picture.savefig(text, format="svg", metadata=nothing)
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), count=1, flags=re.DOTALL)
