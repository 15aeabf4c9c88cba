"""A record of ``metavad benchmark`` against the same experiment run again."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from metavad.benchmark.record import BenchmarkRecord, Difference, Frozen, RecordHead, Row, SceneFacts
    from metavad.recognition.record import ClipRow, RecognitionRecord

    Table = TypeVar("Table", bound=Frozen)

__all__ = ["changes", "changes_of_classes"]


def changes(before: "BenchmarkRecord", after: "BenchmarkRecord") -> list[str]:
    """A line for each source, figure and difference that is not the same; what is measured is not compared."""
    return [
        *_other_base(before, after),
        *_other_scenes(before.scenes, after.scenes),
        *_other_rows(before.rows, after.rows),
        *_other_differences(before.differences, after.differences),
    ]


def changes_of_classes(before: "RecognitionRecord", after: "RecognitionRecord") -> list[str]:
    """The same for a suite of classes."""
    clips = [] if before.data == after.data else [f"{after.suite}: other footage than before"]
    return [*_other_base(before, after), *clips, *_other_rows(before.rows, after.rows)]


def _other_base(before: "RecordHead", after: "RecordHead") -> list[str]:
    """The base, and with it the settings."""
    return [] if before.base == after.base else [f"base: was {before.base}, is {after.base}"]


def _other_scenes(before: Sequence["SceneFacts"], after: Sequence["SceneFacts"]) -> Iterator[str]:
    """Footage and labels."""
    names = {"data": "footage", "truth": "labels", "layout": "layout", "wrong_scene": "wrong scene"}
    for name, was, now in _pairs([(scene.scene, scene) for scene in before], [(scene.scene, scene) for scene in after]):
        if was is None or now is None:
            yield f"{name}: {_ONE_SIDE[was is None]}"
        else:
            changed = _changed(was, now)
            yield from (f"{name}: other {what} than before" for field, what in names.items() if field in changed)


def _other_rows(before: Sequence["Row | ClipRow"], after: Sequence["Row | ClipRow"]) -> Iterator[str]:
    from metavad.benchmark.protocol import MEASURED

    return _compared(_pairs(*([(row.name, row) for row in rows] for rows in (before, after))), MEASURED)


def _other_differences(before: Sequence["Difference"], after: Sequence["Difference"]) -> Iterator[str]:
    return _compared(_pairs(*([(each.name, each) for each in found] for found in (before, after))), ())


def _compared(pairs: "Iterable[tuple[str, Table | None, Table | None]]", measured: Sequence[str]) -> Iterator[str]:
    for where, was, now in pairs:
        if was is None or now is None:
            yield f"{where}: {_ONE_SIDE[was is None]}"
        else:
            changed = _changed(was, now)
            yield from (f"{where}: {name} was {a}, is {b}" for name, (a, b) in changed.items() if name not in measured)


_ONE_SIDE = {True: "was not there, is", False: "was there, is not"}


def _pairs(
    before: "Iterable[tuple[str, Table]]", after: "Iterable[tuple[str, Table]]"
) -> "Iterator[tuple[str, Table | None, Table | None]]":
    """What has the same name on both sides; none where it is on one side only."""
    one, other = dict(before), dict(after)
    return ((name, one.get(name), other.get(name)) for name in {**one, **other})


def _changed(was: "Frozen", now: "Frozen") -> dict[str, tuple[object, object]]:
    """Fields with both values where they are not the same."""
    known = ((name, value) for name, value in was if name in was.model_fields_set)  # older records have fewer
    return {name: (value, getattr(now, name)) for name, value in known if not _same(value, getattr(now, name))}


def _same(one: object, other: object) -> bool:
    """Equal, or numbers that agree to six digits: other machines round differently."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-6
    return one == other
