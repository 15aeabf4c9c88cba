"""Versions of a detector: the first one is the folder itself, later ones lie in it, and one file says which is used.

::

    lobby/detector.json ...               version 1, as it was made
    lobby/versions/2/detector.json ...    each later one, whole by itself
    lobby/versions.json                   all of them, and the one that is used; not there while there is but one
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metavad.errors import BundleError, UsageError
from metavad.files import claimed, write_text

__all__ = [
    "Version",
    "VersionKind",
    "current",
    "current_folder",
    "history",
    "place_of",
    "pointed",
    "rollback",
    "stamp",
    "version_of_now",
]

VersionKind: TypeAlias = Literal["made", "normal", "abnormal"]
"""What a version was made for: the first one by adapting, others because somebody said so of an event."""
POINTER = "versions.json"
FIRST = "detector.safetensors"
FACTS = "detector.json"


@dataclass(frozen=True)
class Version:
    """One version of a detector."""

    number: Annotated[int, Field(ge=1)]
    date: datetime
    """In UTC."""
    kind: VersionKind
    about: str = ""
    """Of what, for people."""
    after: int | None = None
    """The version that it was made of."""


class _Pointer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    current: int
    versions: tuple[Version, ...]

    @model_validator(mode="after")
    def _has_it(self) -> Self:
        numbers = [version.number for version in self.versions]
        if numbers != list(range(1, len(numbers) + 1)) or self.current not in numbers:
            raise ValueError("expected versions from 1 on, and one of them in use")
        return self


def version_of_now(number: int, kind: VersionKind, about: str, after: int) -> Version:
    """One that is made now."""
    return Version(number, datetime.now(UTC).replace(microsecond=0), kind, about, after)


def history(folder: Path) -> tuple[Version, ...]:
    """All versions of a detector, the first one first; raises :class:`BundleError` where that cannot be told."""
    found = _pointer(folder)
    if found is not None:
        return found.versions
    made = (folder / FIRST).stat().st_mtime if (folder / FIRST).exists() else 0.0
    return (Version(1, datetime.fromtimestamp(int(made), UTC), "made"),)


def current(folder: Path) -> int:
    """The number of the version that is used."""
    found = _pointer(folder)
    return 1 if found is None else found.current


def current_folder(folder: Path) -> Path:
    """Where the version lies that is used."""
    return place_of(folder, current(folder))


def place_of(folder: Path, number: int) -> Path:
    """Where a version lies."""
    return folder if number == 1 else folder / "versions" / str(number)


def pointed(folder: Path, versions: Sequence[Version], number: int) -> None:
    """Write which versions there are, and which one is used, in one step."""
    write_text(folder / POINTER, _Pointer(current=number, versions=tuple(versions)).model_dump_json(indent=1) + "\n")


def rollback(folder: str | Path, to: int | None = None) -> Version:
    """Use an earlier version again, or a later one: by its number, else the one that the version in use was made of.

    Nothing is removed. Raises :class:`UsageError` for a version that is not there.
    """
    folder = Path(folder)
    with claimed(folder, wait=True):
        known, now = history(folder), current(folder)
        number = known[now - 1].after if to is None else to
        if number is None:
            raise UsageError(f"{folder}: expected an earlier version to go back to, found the first one in use")
        if not 1 <= number <= len(known):
            raise UsageError(f"{folder}: expected a version from 1 to {len(known)}, found {number}")
        pointed(folder, known, number)
    return known[number - 1]


def stamp(folder: Path) -> tuple[object, ...]:
    """Another one once another version is used, or its facts have changed; nothing is opened but the pointer."""
    places = {folder}
    with suppress(BundleError, OSError):
        places.add(current_folder(folder))
    return tuple(_written_when(path) for path in (folder / POINTER, *(place / FACTS for place in sorted(places))))


def _written_when(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _pointer(folder: Path) -> _Pointer | None:
    try:
        return _Pointer.model_validate_json((folder / POINTER).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise BundleError(
            f"{folder / POINTER}: expected the versions of a detector, found something else "
            f"({error.errors()[0]['msg'].lower()}); remove it to use the first version"
        ) from None
