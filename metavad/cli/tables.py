"""What the commands that show figures of records share: which figures, on a terminal, as plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metavad.benchmark.record import BenchmarkRecord, Difference

__all__ = ["asked_figures", "check_figures", "difference_lines", "names", "print_tables", "write_plots"]


def names(asked: str) -> list[str]:
    """``"rbdc, tbdc"`` to names."""
    return [name.strip() for name in asked.split(",") if name.strip()]


def check_figures(asked: str) -> None:
    """Raises :class:`UsageError` for a figure that nobody knows."""
    from metavad.benchmark.protocol import FIGURES
    from metavad.errors import UsageError, nearest

    for name in names(asked):
        if name not in {*FIGURES, "all"}:
            raise UsageError(f"--figures: expected known ones, found {name!r}; {nearest(name, [*FIGURES, 'all'])}")


def asked_figures(record: "BenchmarkRecord", asked: str) -> list[str]:
    """Those asked for, and those that look at the test set, which nobody may miss."""
    from metavad.report.grid import known_figures

    known = known_figures(record)
    found = known if "all" in names(asked) else names(asked)
    return [*found, *(name for name in known if name.startswith("looks_at_test_set") and name not in found)]


def print_tables(record: "BenchmarkRecord", figures: str) -> None:
    """Tables for a terminal, and how far apart the methods are."""
    from metavad.cli.terminal import console, say
    from metavad.report.grid import sources
    from metavad.report.table import terminal_table

    for figure in asked_figures(record, figures):
        console().print(terminal_table(record, figure))
    say(*sources(record), *difference_lines(record.differences))


def difference_lines(differences: "Sequence[Difference]") -> list[str]:
    """At the most shots of each scene: adapted against zero-shot and fine-tune, with intervals."""
    from metavad.benchmark.protocol import PROPOSED

    ours = [each for each in differences if each.method == PROPOSED and each.low is not None]
    most = max((each.shots for each in ours), default=0)
    return [_difference(each) for each in ours if each.shots == most]


def _difference(each: "Difference") -> str:
    value, low, high = (100 * (number or 0.0) for number in (each.value, each.low, each.high))
    units = f"{each.videos} videos" if each.scenes is None else f"{each.scenes} scenes"
    doubt = "" if each.certain else "  (too few)" if low > 0 or high < 0 else "  (not certain)"
    what = f"{each.scene}: {each.method}, K = {each.shots}, minus {each.minus}"
    return f"{what}: {value:+.1f}, 95 % from {low:+.1f} to {high:+.1f} over {units}{doubt}"


def write_plots(record: "BenchmarkRecord", folder: Path) -> None:
    """AUC over K with its spread, of each scene and of their mean: as SVG for a page, as PDF for a paper."""
    from metavad.files import atomic_path, folder_name, write_text
    from metavad.report.grid import pivot
    from metavad.report.plots import auc_over_shots, auc_over_shots_pdf

    scenes = [scene for scene, _ in pivot(record).groups]
    plain = [scene.replace("/", "-") for scene in scenes]  # as of ``suite/scene``
    for scene, name in zip(scenes, plain, strict=True):
        file = folder_name(name if plain.count(name) == 1 else scene)
        write_text(folder / f"{file}.svg", auc_over_shots(record, scene))
        with atomic_path(folder / f"{file}.pdf") as beside:
            beside.write_bytes(auc_over_shots_pdf(record, scene))
