"""The TOML file of a suite as it is written: its tables, and what is wrong with one in a line."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from metavad.errors import SuiteError, nearest
from metavad.scenes.scene import MOST_CAMERAS, RATES, ROLES, Role

__all__ = ["GenerateTable", "LabelTable", "LayoutTable", "SceneTable", "SuiteTable", "table_of"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LabelTable(_Strict):
    format: str
    path: str
    unit: Literal["frames", "seconds"] = "frames"
    first: int = 0
    inclusive: bool = False
    abnormal: tuple[int, ...] = (1,)
    normal_if_missing: str = ""


class CropTable(_Strict):
    top: int = Field(default=0, ge=0)
    bottom: int = Field(default=0, ge=0)
    left: int = Field(default=0, ge=0)
    right: int = Field(default=0, ge=0)


class ExpectTable(_Strict):
    normal_videos: int = 0
    normal_frames: int = 0
    test_videos: int = 0
    test_frames: int = 0
    abnormal_frames: int = 0
    normal_lengths: tuple[int, ...] = ()
    test_lengths: tuple[int, ...] = ()
    unverified: bool = False


class SceneTable(_Strict):
    name: str
    root: str = "."
    pattern: str | None = None
    normal: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    normal_list: tuple[str, ...] = ()
    test_list: tuple[str, ...] = ()
    labels: LabelTable | None = None
    pixel_masks: LabelTable | None = None
    tracks: LabelTable | None = None
    keypoints: str | None = None
    crop: CropTable = CropTable()
    normal_frames: tuple[int, int] | None = None
    fps: float | None = Field(default=None, ge=RATES[0], le=RATES[1])
    roles: tuple[Role, ...] = ROLES
    label_set: str | None = None
    expect: ExpectTable = ExpectTable()

    @field_validator("normal_frames")
    @classmethod
    def _a_span(cls, span: tuple[int, int] | None) -> tuple[int, int] | None:
        """Frames that count backwards would be shown and scored as well."""
        if span is not None and not 0 <= span[0] < span[1]:
            raise ValueError("expected [first, last) with 0 <= first < last")
        return span


class LayoutTable(_Strict):
    name: str
    scenes: tuple[SceneTable, ...] = Field(min_length=1)
    label_set: str | None = None


class GenerateTable(_Strict):
    root: str
    scenes: int = Field(ge=1, le=MOST_CAMERAS)
    seed: int = Field(ge=0)
    size: Literal["tiny", "small", "full"] = "small"
    roles: tuple[Role, ...] = ROLES


class ArchiveTable(_Strict):
    url: str = Field(pattern="^https?://")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    creates: str


class RecognitionTable(_Strict):
    root: str = "."
    train: str = "."
    test: str = "."
    allowed: tuple[str, ...] = ()
    accept: float = Field(default=0.9, gt=0, lt=1)
    fps: float | None = Field(default=None, ge=RATES[0], le=RATES[1])


class SuiteTable(_Strict):
    title: str = ""
    reference: str = ""
    terms: str = ""
    get: str = ""
    note: str = ""
    label_set: str | None = None
    scenes: tuple[SceneTable, ...] = ()
    layouts: tuple[LayoutTable, ...] = ()
    generate: tuple[GenerateTable, ...] = ()
    recognition: RecognitionTable | None = None
    archives: tuple[ArchiveTable, ...] = ()
    expect: ExpectTable = ExpectTable()


def table_of(path: Path) -> SuiteTable:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        table = SuiteTable.model_validate(raw)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: expected TOML, found a mistake: {error}") from error
    except ValidationError as error:
        raise SuiteError(f"{path}: {_first_mistake(error)}") from error
    if sum(map(bool, (table.scenes, table.layouts, table.generate, table.recognition))) != 1:
        raise SuiteError(
            f"{path}: expected one of [[scenes]], [[layouts]], [[generate]], [recognition], found none or several"
        )
    return table


_TABLES: dict[str, type[_Strict]] = {
    "scenes": SceneTable,
    "layouts": LayoutTable,
    "generate": GenerateTable,
    "archives": ArchiveTable,
    "recognition": RecognitionTable,
    "labels": LabelTable,
    "pixel_masks": LabelTable,
    "tracks": LabelTable,
    "crop": CropTable,
    "expect": ExpectTable,
}


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors()[0]
    where = [str(part) for part in mistake["loc"]]
    if mistake["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {mistake['msg'].lower()}, found {mistake['input']!r}"
    tables = [_TABLES[part] for part in where[:-1] if part in _TABLES]
    known = (tables[-1] if tables else SuiteTable).model_fields
    return f"expected known keys, found {'.'.join(where)!r}; {nearest(where[-1], known)}"
