"""What happened in a run: one JSON object a step, TensorBoard where asked for, curves as a picture."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from metavad.errors import DataError, UsageError
from metavad.files import atomic_path, write_text
from metavad.meta.train import MetaStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RunLog", "draw_curves", "read_log"]

LOG, CURVES = "steps.jsonl", "curves.png"


class RunLog:
    """Writes ``steps.jsonl`` into a run folder, a line a step, and TensorBoard events beside it where asked for.

    ``done`` is the step that a resumed run goes on from: lines of later steps, which a killed run wrote and
    did not save, are dropped, since those steps are taken again. Raises :class:`UsageError` where TensorBoard
    is asked for and not installed.
    """

    def __init__(self, folder: Path, *, done: int = 0, tensorboard: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOG
        kept = [record for record in read_log(folder) if record["step"] <= done] if path.exists() else []
        write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
        self._board = _board(folder / "tensorboard", done) if tensorboard else None
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: MetaStep) -> None:
        """Add one step."""
        record = record_of(step)
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in _scalars(record):
                self._board.add_scalar(name, value, step.step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def record_of(step: MetaStep) -> dict[str, Any]:
    """The line of one step."""
    return {
        "step": step.step,
        "loss": step.loss,
        "gradient_norm": step.gradient_norm,
        "validation": step.validation,
        "step_sizes": step.step_sizes,
        "scenes": [dataclasses.asdict(scene) for scene in step.scenes],
    }


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of ``steps.jsonl``; a last line that a kill cut short is left out."""
    lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise DataError(
                    f"{folder / LOG}: expected one JSON object a line, found something else in line {number}; "
                    "remove that line"
                ) from None
    return records


def draw_curves(folder: Path) -> Path:
    """Write ``curves.png``: a row an expert, query loss before and after adapting by scene, and step sizes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    records = read_log(folder)
    experts = list(records[0]["scenes"][0]["after"]) if records else []
    figure = Figure(figsize=(11, 3.2 * max(1, len(experts))), layout="constrained")
    FigureCanvasAgg(figure)
    for row, expert in enumerate(experts):
        _draw_losses(figure.add_subplot(len(experts), 2, 2 * row + 1), records, expert)
        _draw_step_sizes(figure.add_subplot(len(experts), 2, 2 * row + 2), records, expert)
    with atomic_path(folder / CURVES) as beside:
        figure.savefig(beside, format="png", dpi=110)
    return folder / CURVES


def _draw_losses(axes: "Axes", records: Sequence[Mapping[str, Any]], expert: str) -> None:
    """Solid after, dashed before; a scene keeps its colour."""
    for number, (scene, points) in enumerate(sorted(_by_scene(records, expert).items())):
        steps, before, after = zip(*points, strict=True)
        colour = f"C{number % 10}"
        axes.plot(steps, after, color=colour, label=scene, linewidth=1)
        measured = [(step, loss) for step, loss in zip(steps, before, strict=True) if loss is not None]
        if measured:
            axes.plot(*zip(*measured, strict=True), color=colour, linestyle="--", linewidth=0.8)
    held = [(record["step"], record["validation"][expert]) for record in records if record["validation"]]
    if held:
        axes.plot(*zip(*held, strict=True), color="black", marker="o", label="validation")
    axes.set(title=f"{expert}: query loss (dashed: before adapting)", xlabel="outer step", ylabel="loss")
    if len(axes.get_lines()) <= 24:
        axes.legend(fontsize="x-small")


def _draw_step_sizes(axes: "Axes", records: Sequence[Mapping[str, Any]], expert: str) -> None:
    steps = [record["step"] for record in records]
    for name in (name for name in records[0]["step_sizes"] if name.partition(".")[0] == expert):
        axes.plot(steps, [record["step_sizes"][name] for record in records], linewidth=1, label=name)
    axes.set(title=f"{expert}: step sizes", xlabel="outer step", ylabel="step size", yscale="log")


def _by_scene(records: Sequence[Mapping[str, Any]], expert: str) -> Mapping[str, list[tuple[int, float | None, float]]]:
    points: dict[str, list[tuple[int, float | None, float]]] = defaultdict(list)
    for record in records:
        for scene in record["scenes"]:
            before = scene["before"][expert] if scene["before"] else None
            points[scene["scene"]].append((record["step"], before, scene["after"][expert]))
    return points


def _scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    yield "loss", record["loss"]
    yield "gradient_norm", record["gradient_norm"]
    for expert, loss in (record["validation"] or {}).items():
        yield f"validation/{expert}", loss
    for name, size in record["step_sizes"].items():
        yield f"step_sizes/{name}", size
    for scene in record["scenes"]:
        for when in ("before", "after"):
            for expert, loss in (scene[when] or {}).items():
                yield f"query/{expert}/{scene['scene']}/{when}", loss


def _board(folder: Path, done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard: expected the package tensorboard, found none; pip install metavad[tensorboard]"
        ) from None
    return SummaryWriter(str(folder), purge_step=done + 1)
