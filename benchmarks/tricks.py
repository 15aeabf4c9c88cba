"""What each evaluation trick of the field would add to our own figures, from the scores of a recorded run.

Nothing is run anew: a benchmark with ``--scores`` and ``--json`` is read, and its frame scores are treated as published
code treats them. The figures of this script look at the test set; that is their point, and nothing is chosen by them.

    metavad benchmark --target ped2,umn,umn-banner,benchmarks/suites/umn-uncropped.toml --scores tricks.npz ...
    python benchmarks/tricks.py tricks.npz --write docs/protocol.md --write benchmarks/tricks.md
"""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy import ndimage

from metavad.evaluation import macro_auc, micro_auc
from metavad.types import BoolArray, FloatArray

WIDTHS = (1, 2, 4, 7, 10, 15, 20, 30)
"""Standard deviations, in frames, that published code was seen to choose from."""
BEGIN, END = "<!-- effect table -->", "<!-- end of effect table -->"


@dataclass(frozen=True)
class Case:
    """One method on one scene: for each draw the scores (T,) of all test videos."""

    labels: list[BoolArray]
    smoothed: list[list[FloatArray]]
    raw: list[list[FloatArray]]
    seconds: list[FloatArray]


Trick: TypeAlias = Callable[[Case], float]
"""The figure that a paper with this habit would print, in [0, 1]."""


def main() -> None:
    """Print the table, or put it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--method", default="adapted/10", metavar="METHOD/K")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", action="append", default=[], help=f"put it between {BEGIN} and {END}"
    )
    asked = parser.parse_args()
    with np.load(asked.scores) as file:
        arrays = {name: file[name] for name in file}
    scenes = list(dict.fromkeys(name.split("/")[0] for name in arrays))
    shown = [scene for scene in scenes if not scene.startswith(tuple(f"umn{suffix}:" for suffix in OTHERS))]
    text = table({scene: case_of(arrays, scene, asked.method) for scene in shown}, asked.method)
    text += others(arrays, scenes, asked.method)
    whole = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    for page in asked.write:
        before = page.read_text(encoding="utf-8")
        page.write_text(whole.sub(lambda _: f"{BEGIN}\n{text}{END}", before), encoding="utf-8")
    print(text)


def case_of(arrays: dict[str, FloatArray], scene: str, method: str) -> Case:
    """What the file holds of one method on one scene."""
    videos = [name.removesuffix("/labels") for name in arrays if name.startswith(f"{scene}/") and "/labels" in name]
    draws = sum(re.fullmatch(rf"{re.escape(videos[0])}/{method}/\d+", name) is not None for name in arrays)
    return Case(
        [arrays[f"{video}/labels"] > 0.5 for video in videos],
        [[arrays[f"{video}/{method}/{draw}"] for video in videos] for draw in range(draws)],
        [[arrays[f"{video}/{method}/{draw}/raw"] for video in videos] for draw in range(draws)],
        [arrays[f"{video}/seconds"] for video in videos],
    )


# ---------------------------------------------------------------- tricks


def smooth(width: float) -> Callable[[FloatArray], FloatArray]:
    """A centred Gaussian: it sees the future."""
    return lambda row: np.asarray(ndimage.gaussian_filter1d(row.astype(float), width) if width else row)


def stretch(row: FloatArray) -> FloatArray:
    """To [0, 1] by the extremes of the test video itself."""
    low, high = float(row.min()), float(row.max())
    return np.asarray((row - low) / max(high - low, 1e-12))


def standard(row: FloatArray) -> FloatArray:
    """By mean and deviation of the test video itself."""
    return np.asarray((row - row.mean()) / max(float(row.std()), 1e-12))


def treated(*steps: Callable[[FloatArray], FloatArray], raw: bool = False) -> Trick:
    """Micro AUC, mean over draws, after doing this to every test video."""

    def figure(case: Case) -> float:
        return float(np.mean([micro_auc([_after(row, steps) for row in draw], case.labels) for draw in of(case)]))

    def of(case: Case) -> list[list[FloatArray]]:
        return [[np.nan_to_num(row) for row in draw] for draw in case.raw] if raw else case.smoothed

    return figure


def _after(row: FloatArray, steps: Sequence[Callable[[FloatArray], FloatArray]]) -> FloatArray:
    for step in steps:
        row = step(row)
    return row


def chosen(*tricks: Trick) -> Trick:
    """The best of several by the figure that is then reported."""
    return lambda case: max(trick(case) for trick in tricks)


def averaged(padded: bool) -> Trick:
    """Macro AUC instead of micro."""
    return lambda case: float(np.mean([macro_auc(draw, case.labels, padded=padded) for draw in case.smoothed]))


def best_draw(case: Case) -> float:
    """One run instead of a mean: the one that came out best."""
    return max(micro_auc(draw, case.labels) for draw in case.smoothed)


def without_first(frames: int) -> Trick:
    """The first frames of every video do not count."""

    def figure(case: Case) -> float:
        labels = [row[frames:] for row in case.labels]
        return float(np.mean([micro_auc([row[frames:] for row in draw], labels) for draw in case.smoothed]))

    return figure


def told_where(case: Case) -> float:
    """Standardised over the test set, plus closeness to the middle of the clip."""
    found = []
    for draw in case.smoothed:
        spread = max(float(np.concatenate(draw).std()), 1e-12)
        found.append(micro_auc([row / spread + middle(len(row)) for row in draw], case.labels))
    return float(np.mean(found))


def middle(frames: int) -> FloatArray:
    """1 in the middle of a clip, 0 at its ends."""
    return 1 - np.abs(2 * np.arange(frames) / max(frames - 1, 1) - 1)


def noise(case: Case) -> float:
    """What padding gives to scores that know nothing."""
    generator = np.random.default_rng(0)
    draws = [[generator.normal(size=len(row)) for row in case.labels] for _ in range(20)]
    return float(np.mean([macro_auc(draw, case.labels, padded=True) for draw in draws]))


TRICKS: dict[str, Trick] = {
    "no smoothing at all": treated(raw=True),
    "per-video min-max": treated(stretch),
    "per-video mean and deviation": treated(standard),
    "centred Gaussian, 7 frames": treated(smooth(7)),
    "both: Gaussian, then min-max": treated(smooth(7), stretch),
    "Gaussian of the width that is best on the test set": chosen(*(treated(smooth(width)) for width in (0, *WIDTHS))),
    "the same with min-max": chosen(*(treated(smooth(width), stretch) for width in (0, *WIDTHS))),
    "the best draw instead of the mean": best_draw,
    "the first 16 frames of each video left out": without_first(16),
    "closeness to the middle of the clip added": told_where,
    "macro AUC (skipped) instead of micro": averaged(padded=False),
    "macro AUC, padded": averaged(padded=True),
}


# ---------------------------------------------------------------- the page


def table(cases: dict[str, Case], method: str) -> str:
    """Points that each trick adds to the micro AUC of the protocol, scene by scene."""
    plain = {scene: treated()(case) for scene, case in cases.items()}
    heads = [scene.split(":")[-1] if scene.split(":")[0] == scene.split(":")[-1] else scene for scene in cases]
    lines = [f"| `{method}` | {' | '.join(heads)} | mean |", "|:--|" + "--:|" * (len(cases) + 1)]
    lines.append(_line("**the protocol, micro AUC in %**", [100 * value for value in plain.values()], "{:.1f}"))
    for name, trick in TRICKS.items():
        gains = [100 * (trick(case) - plain[scene]) for scene, case in cases.items()]
        lines.append(_line(name, gains, "{:+.1f}"))
    lines.append(
        _line("padded macro AUC of pure noise, in %", [100 * noise(case) for case in cases.values()], "{:.1f}")
    )
    return "\n".join(lines) + "\n\n"


def _line(name: str, values: Sequence[float], form: str) -> str:
    defined = [value for value in values if np.isfinite(value)]
    cells = [form.format(value) if np.isfinite(value) else "–" for value in values]
    mean = form.format(float(np.mean(defined))) if defined else "–"
    return f"| {name} | {' | '.join(cells)} | {mean} |"


OTHERS = {
    "-banner": "The same scores under the other labels of UMN, by its banner instead of by the intervals",
    "-uncropped": "UMN by its banner, with the banner left in the picture instead of cropped away",
}
"""What another suite of the same footage changes, against ``umn`` and against ``umn-banner``."""


def others(arrays: dict[str, FloatArray], scenes: Sequence[str], method: str) -> str:
    """What changes with the labels alone, and what with a label in the picture."""
    text = ""
    for suffix, said in OTHERS.items():
        pairs = [(f"umn{'-banner' if suffix == '-uncropped' else ''}:{name}", f"umn{suffix}:{name}") for name in UMN]
        lines = [_moved(arrays, *pair, method) for pair in pairs if set(pair) <= set(scenes)]
        text += f"{said}: {', '.join(lines)}.\n\n" if lines else ""
    return text


UMN = ("lawn", "indoor", "plaza")


def _moved(arrays: dict[str, FloatArray], scene: str, other: str, method: str) -> str:
    before, after = (100 * treated()(case_of(arrays, each, method)) for each in (scene, other))
    return f"{scene.split(':')[1]} {before:.1f} to {after:.1f} ({after - before:+.1f})"


if __name__ == "__main__":
    main()
