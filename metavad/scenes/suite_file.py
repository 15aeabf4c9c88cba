"""The TOML file of a suite as it is written: its tables, and what is wrong with one in a line."""

import tomllib
from pathlib import Path, PurePath
from reprlib import Repr
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from metavad.errors import SuiteError, nearest
from metavad.scenes.encoding import text_of
from metavad.scenes.formats import FORMATS, MASK_FORMATS, TRACK_FORMATS
from metavad.scenes.scene import RATES, ROLES, Archive, Crop, Expect, GeneratedCameras, Labels, Role, Table, Template

__all__ = ["LayoutTable", "SceneTable", "SuiteTable", "table_of"]


def _pattern(text: str) -> str:
    """What :meth:`pathlib.Path.glob` takes, and .. where a path begins."""
    parts = PurePath(text).parts
    rest = parts[next((n for n, part in enumerate(parts) if part != ".."), len(parts)) :]
    if not rest or rest == (PurePath(text).anchor,) or ".." in rest or "\0" in text:
        raise ValueError("expected a pattern of file names such as 'normal/*.mp4', with .. at its beginning only")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError("expected ** as a folder of its own, as in 'normal/**/*.mp4'")
    return text


_Pattern = Annotated[str, AfterValidator(_pattern)]
_Rate = Annotated[float, Field(ge=RATES[0], le=RATES[1])]


_READ = {"intervals": {"unit", "first", "inclusive"}, "ur-fall": {"abnormal"}}
"""Settings that only some formats of labels read."""


def _readable(labels: Labels) -> Labels:
    """A setting that a format does not read would be believed in, and do nothing."""
    known = FORMATS.keys() | MASK_FORMATS.keys() | TRACK_FORMATS.keys()
    if labels.format not in known:
        raise ValueError(f"expected a known format; {nearest(labels.format, known)}")
    idle = set().union(*_READ.values()) - _READ.get(labels.format, set())
    if unread := labels.model_fields_set & idle:
        raise ValueError(f"expected {min(unread)!r} only with a format that reads it; leave it out")
    if labels.unit == "seconds" and (unread := labels.model_fields_set & {"first", "inclusive"}):
        raise ValueError(f"expected {min(unread)!r} only beside unit = 'frames', found 'seconds'; leave it out")
    return labels


_Labels = Annotated[Labels, AfterValidator(_readable)]


class SceneTable(Table):
    name: str = Field(min_length=1)
    root: str = "."
    pattern: str | None = None
    normal: tuple[_Pattern, ...] = ()
    test: tuple[_Pattern, ...] = ()
    normal_list: tuple[str, ...] = ()
    test_list: tuple[str, ...] = ()
    labels: _Labels | None = None
    pixel_masks: _Labels | None = None
    tracks: _Labels | None = None
    keypoints: Template | None = None
    crop: Crop = Crop()
    normal_frames: tuple[int, int] | None = None
    fps: _Rate | None = None
    roles: tuple[Role, ...] = ROLES
    label_set: str | None = None
    expect: Expect = Expect()

    @field_validator("normal_frames")
    @classmethod
    def _a_span(cls, span: tuple[int, int] | None) -> tuple[int, int] | None:
        """Frames that count backwards would be shown and scored as well."""
        if span is not None and not 0 <= span[0] < span[1]:
            raise ValueError("expected [first, last) with 0 <= first < last")
        return span

    @model_validator(mode="after")
    def _lists_choose(self) -> "SceneTable":
        """A list takes some of the videos that patterns match."""
        for side, listings, patterns in (
            ("normal", self.normal_list, self.normal),
            ("test", self.test_list, self.test),
        ):
            if listings and not patterns:
                raise ValueError(f"expected {side} = [...] beside {side}_list, which chooses from it")
        return self


class LayoutTable(Table):
    name: str
    scenes: tuple[SceneTable, ...] = Field(min_length=1)
    label_set: str | None = None


class RecognitionTable(Table):
    root: str = "."
    train: str = "."
    test: str = "."
    allowed: tuple[str, ...] = ()
    accept: float = Field(default=0.9, gt=0, lt=1)
    fps: _Rate | None = None


class SuiteTable(Table):
    title: str = ""
    reference: str = ""
    terms: str = ""
    get: str = ""
    note: str = ""
    label_set: str | None = None
    scenes: tuple[SceneTable, ...] = ()
    layouts: tuple[LayoutTable, ...] = ()
    generate: tuple[GeneratedCameras, ...] = ()
    recognition: RecognitionTable | None = None
    archives: tuple[Archive, ...] = ()
    expect: Expect = Expect()


def table_of(path: Path) -> SuiteTable:
    """What a suite's file says; raises :class:`SuiteError` where it is none."""
    try:
        table = SuiteTable.model_validate(tomllib.loads(text_of(path)))
    except ValidationError as error:
        raise SuiteError(f"{path}: {_first_mistake(error)}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, tables of thousands of levels
        raise SuiteError(f"{path}: expected TOML, found a mistake: {error}") from error
    if sum(map(bool, (table.scenes, table.layouts, table.generate, table.recognition))) != 1:
        raise SuiteError(
            f"{path}: expected one of [[scenes]], [[layouts]], [[generate]], [recognition], found none or several"
        )
    return table


_TABLES: dict[str, type[Table]] = {
    "scenes": SceneTable,
    "layouts": LayoutTable,
    "generate": GeneratedCameras,
    "archives": Archive,
    "recognition": RecognitionTable,
    "labels": Labels,
    "pixel_masks": Labels,
    "tracks": Labels,
    "crop": Crop,
    "expect": Expect,
}


_EXPECTED = {
    "tuple_type": "expected a list in [ ]",
    "model_type": "expected a table in { }",
    "string_type": "expected a string in quotes",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
}
"""Where values and tables were mistaken for each other; elsewhere pydantic's words do."""
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors()[0]
    where = [str(part) for part in mistake["loc"]]
    if mistake["type"] != "extra_forbidden":
        message = _EXPECTED.get(mistake["type"]) or mistake["msg"].removeprefix("Value error, ").lower()
        return f"{'.'.join(where)}: {message}, found {_SHORT.repr(mistake['input'])}"
    tables = [_TABLES[part] for part in where[:-1] if part in _TABLES]
    known = (tables[-1] if tables else SuiteTable).model_fields
    return f"expected known keys, found {'.'.join(where)!r}; {nearest(where[-1], known)}"
