"""Several records as one, where they are of the same base, by the same protocol, on the same labels."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from metavad.benchmark.means import mean_differences, mean_figures
from metavad.benchmark.protocol import MEASURED, METHODS
from metavad.benchmark.record import MEAN, BenchmarkRecord, Difference, Frozen, Row, SceneFacts
from metavad.errors import DataError, UsageError, nearest

__all__ = ["merged", "narrowed"]

PROTOCOL = {"shot_frames": "frames in a shot", "draws": "draws", "seed": "seed", "paper_protocol": "--paper-protocol"}
"""Settings without which figures are not of the same kind."""
FOOTAGE = {"layout": "layout", "labels": "set of labels", "truth": "labels", "data": "footage"}

Table = TypeVar("Table", bound=Frozen)


def merged(records: Sequence[tuple[str, BenchmarkRecord]]) -> BenchmarkRecord:
    """One record of all scenes, methods and shots of ``records``, each with a name for messages.

    Means over scenes, and their intervals, are made anew over all of them. Raises :class:`DataError` where a base, the
    protocol, or the footage or labels of a scene are not the same, or where a figure stands in two records with two
    values: one line that says what differs.
    """
    head = records[0][1]
    for number, (name, record) in enumerate(records):
        for earlier, one in records[:number]:
            _check_alike(earlier, one, name, record)
    each = [record for _, record in records]
    rows = _joined(records, lambda record: record.rows, lambda row: row.name, MEASURED)
    apart = _joined(records, _of_scenes, lambda difference: difference.name, ())
    changes = {
        "metavad": _listed(record.metavad for record in each),
        "command": " && ".join(dict.fromkeys(record.command for record in each)),
        "target": None if any(record.target is None for record in each) else _listed(_targets(each), ","),
        "device": _listed(record.device for record in each),
        "methods": tuple(name for name in METHODS if any(name in record.methods for record in each)),
        "shots": tuple(sorted({shots for record in each for shots in record.shots})),
        "scenes": tuple(_scenes(each)),
    }
    return _with_rows(head.model_copy(update=changes), rows, apart)


def narrowed(record: BenchmarkRecord, *, methods: Sequence[str] = (), shots: Sequence[int] = ()) -> BenchmarkRecord:
    """Only these methods and numbers of shots, of each all where none is named.

    Methods that need no shots stay for any. Raises :class:`UsageError` for what the record does not hold.
    """
    for name in methods:
        if name not in record.methods:
            raise UsageError(f"--methods: expected methods of the record, found {name!r}; {_known(name, record)}")
    for number in shots:
        if number not in record.shots:
            known = ", ".join(map(str, record.shots))
            raise UsageError(f"--shots: expected numbers of clips that the record has, found {number}; known: {known}")

    def stays(each: Row | Difference) -> bool:
        known = not shots or each.shots in shots or not METHODS[each.method].needs_shots
        return known and (not methods or each.method in methods)

    rows = [row for row in record.rows if stays(row)]
    return _with_rows(record, rows, [each for each in _of_scenes(record) if stays(each)])


def _known(name: str, record: BenchmarkRecord) -> str:
    return nearest(name, record.methods)


def _with_rows(record: BenchmarkRecord, rows: Sequence[Row], apart: Sequence[Difference]) -> BenchmarkRecord:
    changes = {
        "rows": tuple(rows),
        "differences": (*apart, *mean_differences(apart, record.seed)),
        "means": tuple(mean_figures(rows, record.seed)),
    }
    return record.model_copy(update=changes)


def _of_scenes(record: BenchmarkRecord) -> tuple[Difference, ...]:
    return tuple(each for each in record.differences if each.suite or each.scene != MEAN)


def _check_alike(first: str, one: BenchmarkRecord, name: str, other: BenchmarkRecord) -> None:
    """Raises :class:`DataError` where two records are not of the same base and protocol."""
    if one.base != other.base:
        raise _apart(first, "base", one.base, name, other.base)
    for field, what in PROTOCOL.items():
        if getattr(one, field) != getattr(other, field):
            raise _apart(first, what, getattr(one, field), name, getattr(other, field))
    known = {scene.scene: scene for scene in one.scenes}
    for scene in other.scenes:
        for field, what in FOOTAGE.items():
            before = known.get(scene.scene, scene)
            if getattr(before, field) != getattr(scene, field):
                of = f"{what} of {scene.scene}"
                raise _apart(first, of, getattr(before, field), name, getattr(scene, field))


def _apart(first: str, what: str, one: object, name: str, other: object) -> DataError:
    return DataError(
        f"{name}: expected the same {what} as {first} has, {one}, found {other}; make a table of each record, or run "
        "one of the benchmarks again as the other"
    )


def _joined(
    records: Sequence[tuple[str, BenchmarkRecord]],
    tables: Callable[[BenchmarkRecord], Iterable[Table]],
    name_of: Callable[[Table], str],
    measured: Sequence[str],
) -> list[Table]:
    """What all records hold, once; raises :class:`DataError` where two hold different values."""
    found: dict[str, tuple[str, Table]] = {}
    for file, record in records:
        for each in tables(record):
            before, known = found.setdefault(name_of(each), (file, each))
            for field in (known.model_fields_set & each.model_fields_set) - set(measured):
                one, other = getattr(known, field), getattr(each, field)
                if one != other:
                    raise _apart(before, f"{field} of {name_of(each)}", one, file, other)
    return [each for _, each in found.values()]


def _scenes(records: Sequence[BenchmarkRecord]) -> list[SceneFacts]:
    found: dict[str, SceneFacts] = {}
    for record in records:
        for scene in record.scenes:
            before = found.get(scene.scene)
            shots = {**(before.independent_shots if before else {}), **scene.independent_shots}
            found[scene.scene] = (before or scene).model_copy(update={"independent_shots": shots})
    return list(found.values())


def _targets(records: Sequence[BenchmarkRecord]) -> Iterable[str]:
    return (part for record in records for part in (record.target or "").split(","))


def _listed(texts: Iterable[str], between: str = ", ") -> str:
    return between.join(dict.fromkeys(texts))
