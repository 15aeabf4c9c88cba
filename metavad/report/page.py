"""A benchmark record as one HTML file: every picture inside, nothing fetched, light and dark."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import jinja2
from markupsafe import Markup, escape

from metavad.benchmark.protocol import FIGURES, METHODS, PROPOSED
from metavad.benchmark.record import MEAN, BenchmarkRecord, Row, SceneExample
from metavad.errors import printable
from metavad.report.formats import DASH
from metavad.report.grid import (
    Grid,
    caption,
    gains,
    gains_caption,
    interval_text,
    pivot,
    points_text,
    sources,
    span_text,
    summary,
)
from metavad.report.plots import INK, auc_over_shots, heat_overlay, timeline
from metavad.types import ByteArray

__all__ = ["headline", "render_page"]

_MOST_SHOTS = 12
_ROOT = re.compile(r'<svg([^>]*?) width="[^"]*" height="[^"]*"')
_FONT = re.compile(r"font-family: [^;\"]*")
_STYLE = re.compile(r"<defs>\s*<style.*?</defs>", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')


def headline(record: BenchmarkRecord) -> str:
    """What was done and what it gained over zero-shot, in one sentence of what the record says."""
    grid = pivot(record)
    cameras = len([scene for scene, _ in grid.groups if scene != MEAN])
    some = "" if grid.averaged == cameras else f"{grid.averaged} of "  # the others have no such figure
    whose = f"{some}{cameras} new cameras" if cameras > 1 else f"the camera {grid.groups[0][0]}"
    best, before = _final(grid, PROPOSED), _final(grid, "zero-shot")
    if best is None or before is None:
        return f"metavad on {whose}: the record does not hold both adapted and zero-shot figures."
    (shots, after), (_, none) = best, before
    clips = f"{shots} normal clip{'s' * (shots != 1)}{' each' * (cameras > 1)}"
    sure = _sureness(record, shots, several=cameras > 1)
    change = f"against the same base without clips {100 * (after - none):+.1f}{sure}"
    return f"With {clips}, metavad reaches {100 * after:.1f} % AUC on {whose}; {change}."


def _sureness(record: BenchmarkRecord, shots: int, *, several: bool) -> str:
    """The interval of the gain over zero-shot, where the record has one, and whether it leaves out 0."""
    for each in record.differences:
        if (each.method, each.minus, each.shots) == (PROPOSED, "zero-shot", shots) and bool(each.scenes) is several:
            if each.low is None or each.high is None or each.level is None:
                break
            span = f"{100 * each.level:.0f} %: {100 * each.low:+.1f} to {100 * each.high:+.1f}"
            few = f": too few {'cameras' if several else 'test videos'}" if each.low > 0 or each.high < 0 else ""
            return f" ({span})" if each.certain else f" ({span}), not certain{few}"
    return " (no interval), not certain"


def _final(grid: Grid, method: str) -> tuple[int, float] | None:
    """The figure of a method with the most shots, from the mean or else the only scene."""
    cells = next((line.cells for line in grid.groups[-1][1] if line.method == method), ())
    found = [(k, cell.value) for k, cell in zip(grid.shots, cells, strict=False) if cell and cell.value is not None]
    return found[-1] if found else None


def render_page(record: BenchmarkRecord, examples: Sequence[SceneExample] = ()) -> str:
    """The page as HTML text: sentence, table, curves, cameras, glossary, and how it was made."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_on_one_line
    )
    template = environment.from_string(Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8"))
    grid, rows = pivot(record), [row.model_dump(exclude_unset=True) for row in record.rows]
    return template.render(
        headline=headline(record),
        tiles=_tiles(record, grid),
        grid=grid,
        caption=caption(grid),
        interval=interval_text,
        gains=(found := gains(record)),
        gains_caption=gains_caption(found) if found else "",
        points=points_text,
        span=span_text,
        summary=summary(record),
        titles=FIGURES,
        methods=METHODS,
        proposed=PROPOSED,
        curves=_curves(record, grid),
        examples=[_example(example, grid, number) for number, example in enumerate(examples)],
        glossary={method: METHODS[method].meaning for method in _methods(grid)},
        columns=list(dict.fromkeys(name for row in rows for name in row)),
        rows=rows,
        shown=_shown,
        facts=_facts(record),
        record=escape(json.dumps(record.model_dump(mode="json", exclude={"rows"}), indent=2)),
        suites=", ".join(dict.fromkeys(row.suite for row in record.rows)),
    )


def _curves(record: BenchmarkRecord, grid: Grid) -> list[tuple[str, Markup]]:
    """AUC over K of the mean first, then of each scene; none where there is one number of clips, which is a point."""
    names = [scene for scene, _ in grid.groups]
    if sum(shots > 0 for shots in grid.shots) < 2:
        return []
    return [
        (name, _themed(auc_over_shots(record, name), f"c{n}", f"AUC over K, {name}"))
        for n, name in enumerate([*names[-1:], *names[:-1]] if len(names) > 1 else names)
    ]


def _on_one_line(value: object) -> object:
    """Names of files as they can be shown; what is HTML already stays."""
    return printable(value) if type(value) is str else value


def _methods(grid: Grid) -> list[str]:
    return list(dict.fromkeys(line.method for _, lines in grid.groups for line in lines))


@dataclass(frozen=True)
class _Tile:
    label: str
    value: str
    unit: str
    note: str


def _tiles(record: BenchmarkRecord, grid: Grid) -> list[_Tile]:
    best, before, control = (_final(grid, method) for method in (PROPOSED, "zero-shot", "fine-tune"))
    tiles = []
    if before:
        tiles.append(_Tile("without clips", f"{100 * before[1]:.1f}", "%", "AUC of the base, zero-shot"))
    if best:
        note = f"fine-tuning on the same clips: {100 * control[1]:.1f} %" if control else "AUC, adapted"
        tiles.append(_Tile(f"with {best[0]} clip{'s' * (best[0] != 1)}", f"{100 * best[1]:.1f}", "%", note))
        rows = [row for row in record.rows if row.method == PROPOSED and row.shots == best[0]]
        tiles += _speed(rows, "adapt_seconds", "adapting takes", "s", "median over cameras")
        tiles += _speed(rows, "fps", "scoring runs at", "frames/s", record.device)
    return tiles


def _speed(rows: Iterable[Row], figure: str, label: str, unit: str, note: str) -> list[_Tile]:
    values = [value for row in rows if (value := row.figure(figure)) is not None]
    return [_Tile(label, f"{median(values):.3g}", unit, note)] if values else []


@dataclass(frozen=True)
class _Example:
    example: SceneExample
    figures: str
    timeline: Markup
    top: str
    shots: list[str]
    more: int
    nearest: int | None


def _example(example: SceneExample, grid: Grid, number: int) -> _Example:
    threshold, alarms = example.threshold, example.alarms
    drawn = timeline(example.seconds, example.scores, labels=example.labels, threshold=threshold, alarms=alarms)
    chosen = _shown_shots(len(example.shots), example.nearest)
    return _Example(
        example,
        _change(grid, example.scene),
        _themed(drawn, f"t{number}", f"scores over time, {example.video}"),
        _embedded(heat_overlay(example.top_frame, example.heat), 900),
        [_embedded(example.shots[number], 300) for number in chosen],
        len(example.shots) - len(chosen),
        None if example.nearest is None or example.nearest not in chosen else chosen.index(example.nearest),
    )


def _shown_shots(count: int, nearest: int | None) -> list[int]:
    """The first shots, and the nearest one among them."""
    first = list(range(min(count, _MOST_SHOTS)))
    if nearest is not None and first and nearest not in first and nearest < count:
        first[-1] = nearest
    return first


def _change(grid: Grid, scene: str) -> str:
    """Such as ``AUC 97.2 % without clips, 98.9 % with 10``; empty when the record has no such scene."""
    lines = {line.method: line for name, group in grid.groups if name == scene for line in group}
    only = Grid(grid.figure, grid.shots, ((scene, tuple(lines.values())),), 1)
    before, after = _final(only, "zero-shot"), _final(only, PROPOSED)
    if not before or not after:
        return ""
    return f"AUC {100 * before[1]:.1f} % without clips, {100 * after[1]:.1f} % with {after[0]}"


def _embedded(image: ByteArray, widest: int) -> str:
    """A picture as a data address: JPEG, since photographs as PNG are ten times as large."""
    height, width = image.shape[:2]
    if width > widest:
        image = cv2.resize(image, (widest, round(height * widest / width)), interpolation=cv2.INTER_AREA)
    data = bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])[1])
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _themed(svg: str, prefix: str, title: str) -> Markup:
    """A plot for the page: scales with it, takes its colours and font, and shares no id with another plot."""
    svg = _FONT.sub("font-family: inherit", _STYLE.sub("", svg))
    svg = _ID.sub(partial(_kept_id, svg, prefix), svg).replace('="#', f'="#{prefix}').replace("url(#", f"url(#{prefix}")
    for name, colour in INK.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    label = escape(printable(title))
    return Markup(_ROOT.sub(lambda root: f'<svg{root[1]} role="img" aria-label="{label}"', svg, count=1))


def _kept_id(svg: str, prefix: str, match: re.Match[str]) -> str:
    name = match.group(1)
    return f' id="{prefix}{name}"' if f'="#{name}"' in svg or f"url(#{name})" in svg else ""


def _facts(record: BenchmarkRecord) -> list[tuple[str, str]]:
    """How it was made, one line each; what is a structure stands in the full record below."""
    plain = {name: value for name, value in record if isinstance(value, str | int | float)}
    plain["versions"] = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    if sources(record):
        plain["labels"] = "; ".join(sources(record))
    return [(name.replace("_", " "), str(value)) for name, value in plain.items()]


def _shown(value: object) -> str:
    """A figure of the full table: at most four digits, a dash where undefined."""
    return DASH if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
