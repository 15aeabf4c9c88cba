"""Arguments of public functions against their annotations: one of another type is an error of one line."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from metavad.errors import UsageError, printable

__all__ = ["checked"]

Given = ParamSpec("Given")
Result = TypeVar("Result")

_MADE = {
    "Base": "metavad.load_base() opens one",
    "Config": "metavad.load_config() opens one",
    "Detector": "metavad.adapt() makes one, metavad.load_detector() opens one",
    "Scene": "metavad.scene_of_files() makes one",
    "Video": "a scene holds them, as normal or test",
}
"""Where what is no plain value comes from."""
_LONGEST = 40
"""Letters of a value that are quoted."""


def checked(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The function, but that it raises :class:`UsageError` for an argument of another type than annotated.

    What annotations say of containers is checked element by element; a protocol by its methods. Missing and unknown
    arguments stay Python's own :class:`TypeError`.
    """

    @wraps(function)
    def call(*arguments: Given.args, **named: Given.kwargs) -> Result:
        _check(function, arguments, named)
        return function(*arguments, **named)

    return call


def _check(function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    annotations, signature = _annotations(function)
    try:
        given = signature.bind_partial(*arguments, **named).arguments
    except TypeError:
        return  # as Python says it
    for name, value in given.items():
        if name in annotations and not _fits(value, annotations[name]):
            called = _called(function)
            made = [_MADE[each.__name__] for each in _classes(annotations[name]) if each.__name__ in _MADE]
            mend = made[0] if made else f"see help(metavad.{called})"
            raise UsageError(f"{called}: expected {_words(annotations[name])} as {name}, found {_found(value)}; {mend}")


def _called(function: Callable[..., Any]) -> str:
    """What a caller writes: of a constructor, the name of its class."""
    name = function.__qualname__.removesuffix(".__init__")
    return name.rpartition(".")[2]


@cache
def _annotations(function: Callable[..., Any]) -> tuple[dict[str, Any], inspect.Signature]:
    return get_type_hints(function), inspect.signature(function)


def _fits(value: object, annotation: Any) -> bool:
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inside)
    if origin is Literal:
        return isinstance(value, type(inside[0]))  # which of them is a question of the function's own
    if origin in _CONTAINERS:
        return _CONTAINERS[origin](value, inside)
    return _is_a(value, annotation if origin is None else origin)


def _is_a(value: object, kind: Any) -> bool:
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if getattr(kind, "__name__", "") == "ndarray":  # whatever numpy makes an array of
        return isinstance(value, kind) or (isinstance(value, Sequence) and not isinstance(value, str | bytes))
    if getattr(kind, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(kind) if not name.startswith("_"))
    return isinstance(value, kind)


def _is_sequence(value: object, inside: tuple[Any, ...]) -> bool:
    is_one = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return is_one and all(_fits(each, inside[0]) for each in value)  # type: ignore[attr-defined]


def _is_tuple(value: object, inside: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple) or len(value) != len(inside):
        return False
    return all(_fits(each, kind) for each, kind in zip(value, inside, strict=True))


def _is_mapping(value: object, inside: tuple[Any, ...]) -> bool:
    return isinstance(value, Mapping) and all(_fits(key, inside[0]) and _fits(value[key], inside[1]) for key in value)


_CONTAINERS: dict[Any, Callable[[object, tuple[Any, ...]], bool]] = {
    Sequence: _is_sequence,
    tuple: _is_tuple,
    Mapping: _is_mapping,
}


def _classes(annotation: Any) -> list[type]:
    """The classes that an annotation names."""
    inside = [found for each in get_args(annotation) for found in _classes(each)]
    return inside if get_args(annotation) else [annotation] if isinstance(annotation, type) else []


def _words(annotation: Any) -> str:
    """An annotation for people.

    >>> _words(str | bool | None), _words(Sequence[int]), _words(Sequence[tuple[str, float]])
    ('text, True or False or None', 'a list of whole numbers', 'a list of (text, a number)')
    """
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _listed([_words(each) for each in inside])
    if origin is Sequence:
        return f"a list of {_plural(inside[0])}"
    if origin is tuple:
        return f"({', '.join(_words(each) for each in inside)})"
    if origin is Literal:
        return _listed([repr(each) for each in inside])
    name = getattr(origin or annotation, "__name__", "")
    return _PLAIN.get(name, f"a {name}")


_PLAIN = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "NoneType": "None",
    "Mapping": "a dict",
    "ndarray": "an array",
    "Iterable": "an iterable",
}


def _plural(annotation: Any) -> str:
    if get_origin(annotation) in (Union, types.UnionType):
        return _listed([_plural(each) for each in get_args(annotation)])
    words = _words(annotation)
    return f"{words.removeprefix('a ')}s" if words.startswith("a ") else words


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _found(value: object) -> str:
    """A value for people: a plain one as it is written, else its type."""
    name = type(value).__name__
    if isinstance(value, str | int | float) or value is None:
        return printable(repr(value)[:_LONGEST])
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
