"""Experts from other packages: what they declare under the entry point ``metavad.experts``."""

import inspect
from collections.abc import Container
from importlib.metadata import EntryPoint, entry_points

from metavad.errors import ConfigError
from metavad.experts.base import Expert

__all__ = ["GROUP", "loaded", "package_of", "plugins"]

GROUP = "metavad.experts"
"""The group of entry points; an entry point's name is that of its expert."""


def plugins(taken: Container[str] = ()) -> dict[str, EntryPoint]:
    """Entry points of installed packages by the expert's name; nothing of them is imported.

    Raises :class:`ConfigError` where two packages have an expert of one name, or one has a name that is ``taken``.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in taken or point.name in found:
            other = package_of(found[point.name]) if point.name in found else "metavad itself"
            raise ConfigError(
                f"expert {point.name!r} of {package_of(point)}: expected a name of its own, found that of one of "
                f"{other}; remove one of the packages, or rename its expert"
            )
        found[point.name] = point
    return dict(sorted(found.items()))


def package_of(point: EntryPoint) -> str:
    """Name and version of the package that an entry point comes from."""
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def loaded(point: EntryPoint) -> type[Expert]:
    """The expert; raises :class:`ConfigError` unless it is a class of one, of the entry point's name."""
    where = f"expert {point.name!r} of {package_of(point)}"
    try:
        kind = point.load()
    except Exception as error:  # the package is not ours: whatever it raises
        raise ConfigError(
            f"{where}: expected {point.value} to be there, found {type(error).__name__}: {error}; mend or remove it"
        ) from error
    if not (inspect.isclass(kind) and issubclass(kind, Expert) and not inspect.isabstract(kind)):
        raise ConfigError(f"{where}: expected a whole subclass of metavad.experts.base.Expert, found {kind!r}")
    if getattr(kind, "name", None) != point.name or not point.name.isidentifier():
        raise ConfigError(
            f"{where}: expected the entry point to have the expert's name, an identifier, "
            f"found {getattr(kind, 'name', None)!r}"
        )
    return kind
