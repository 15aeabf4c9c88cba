"""What a camera is: its videos, its labels, and the suite that it belongs to. Values, no files are opened."""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from metavad.errors import UsageError, nearest

__all__ = [
    "MOST_CAMERAS",
    "RATES",
    "ROLES",
    "Archive",
    "CameraSize",
    "Crop",
    "Expect",
    "GeneratedCameras",
    "LabelSource",
    "Labels",
    "Role",
    "Scene",
    "Suite",
    "Table",
    "Template",
    "Video",
    "filled",
    "words_of",
]


Role = Literal["meta-train", "meta-test"]


ROLES: tuple[Role, ...] = ("meta-train", "meta-test")


CameraSize: TypeAlias = Literal["tiny", "small", "full"]
"""Of a generated camera."""


_WORDS = ("video", "number", "parent", "scene")
_BRACES = re.compile(r"\{\{|\}\}|\{(\w+)\}|[{}]")


def filled(text: str, words: Mapping[str, str]) -> str:
    """``text`` with what its words in braces stand for; two braces are one, and nothing else in it is acted on.

    >>> filled("{video}-{{1}}.csv", {"video": "monday"})
    'monday-{1}.csv'
    """

    def meaning(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else words.get(match[1], match[0])

    return _BRACES.sub(meaning, text)


def words_of(text: str) -> list[str]:
    """The words in braces; raises :class:`ValueError` for a brace that has no other."""
    found = list(_BRACES.finditer(text))
    if any(match[0] in ("{", "}") for match in found):
        raise ValueError("expected words in braces, such as {video}, and two braces for one that stands for itself")
    return [match[1] for match in found if match[1]]


RATES = 1e-4, 1000.0
"""Frames a second that a folder of frames may have: from one in hours on."""
MOST_CAMERAS = 100_000
"""Generated ones of one suite."""


class Table(BaseModel):
    """A table of a suite's file: keys that it does not know are refused, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Crop(Table):
    """Pixels of the picture, as shown, that are cut off at each side before anything else."""

    top: int = Field(default=0, ge=0)
    bottom: int = Field(default=0, ge=0)
    left: int = Field(default=0, ge=0)
    right: int = Field(default=0, ge=0)

    @property
    def sides(self) -> list[int]:
        """Top, bottom, left, right."""
        return [self.top, self.bottom, self.left, self.right]

    def apply(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        """A picture without the borders; a view.

        Args:
            picture: (H, W, ...).
        """
        height, width = picture.shape[:2]
        return picture[self.top : height - self.bottom, self.left : width - self.right]


@dataclass(frozen=True)
class Video:
    """A video file, or a folder of frames."""

    name: str
    path: Path
    fps: float | None = None
    """Frames a second, of folders, whose frames carry no times, and of files whose times are not to be believed."""
    keypoints: Path | None = None
    """The file of its people's poses, where the suite names one."""


def _template(text: str) -> str:
    if unknown := [word for word in words_of(text) if word not in _WORDS]:
        raise ValueError(f"expected known words in braces, found {unknown[0]!r}; {nearest(unknown[0], _WORDS)}")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""A path for each video, with words in braces that :class:`LabelSource` explains."""


class Labels(Table):
    """How labels are written, and where under the root of a scene.

    ``unit`` is what intervals count (``None``: nobody says, and they are refused), ``first`` the number of the
    first frame in the file, ``inclusive`` whether ends belong to intervals, ``abnormal`` the values that count as
    abnormal where a format has several. A video without labels whose name matches the glob ``normal_if_missing``
    is normal throughout.
    """

    format: str
    path: Template
    unit: Literal["frames", "seconds"] | None = None
    first: int = 0
    inclusive: bool = False
    abnormal: tuple[int, ...] = (1,)
    normal_if_missing: str = ""


class LabelSource(Labels):
    """The labels of one scene.

    ``path`` lies under ``root`` and may hold ``{video}`` (the name of the video), ``{number}`` (the last
    number in it, without leading zeros), ``{parent}`` (the folder the video lies in) and ``{scene}``.
    """

    root: Path
    scene: str = ""

    def of(self, video: "Video") -> Path:
        """The file or folder that labels ``video``."""
        numbers = re.findall(r"\d+", video.name)
        parent = Path(os.path.relpath(video.path.parent, self.root)).as_posix()
        words = {
            "video": video.name,
            "number": str(int(numbers[-1])) if numbers else video.name,
            "parent": parent,
            "scene": self.scene,
        }
        return self.root / filled(self.path, words)

    def normal_throughout(self, video: "Video") -> bool:
        """Whether the absence of labels says that ``video`` is normal."""
        absent = not self.of(video).exists()
        return absent and fnmatch.fnmatchcase(video.name, self.normal_if_missing)


class Expect(Table):
    """What a dataset is known to hold; zero or empty: not known. Checked by ``data check``.

    ``unverified`` counts were read about, not counted in the files: what differs is then no error.
    """

    normal_videos: int = 0
    normal_frames: int = 0
    test_videos: int = 0
    test_frames: int = 0
    abnormal_frames: int = 0
    normal_lengths: tuple[int, ...] = ()
    test_lengths: tuple[int, ...] = ()
    unverified: bool = False


@dataclass(frozen=True)
class Scene:
    """One fixed camera: normal videos, perhaps test videos with labels.

    :func:`metavad.scene_of_files` makes one of files, :func:`metavad.select_scenes` opens those of suites.

    Raises:
        UsageError: two videos of one side have the same name.
    """

    suite: str
    """Its suite's name; empty for files that are in none."""
    name: str
    root: Path
    """The folder that its paths begin at."""
    normal: tuple[Video, ...] = ()
    """Support comes from these only."""
    test: tuple[Video, ...] = ()
    labels: LabelSource | None = None
    """Which frames of test videos are abnormal."""
    pixel_masks: LabelSource | None = None
    """Which pixels are."""
    tracks: LabelSource | None = None
    """Boxes of each abnormal event, frame by frame."""
    crop: Crop = field(default_factory=Crop)
    normal_frames: tuple[int, int] | None = None
    """First and last + 1 of the frames of every normal video that support may come from; where one is also a test
    video, these frames are never scored."""
    roles: frozenset[str] = frozenset(ROLES)
    """What it may be used for."""
    layout: str | None = None
    """Which of a dataset's layouts was found."""
    label_set: str | None = None
    """Which of several sets of labels is used."""
    expect: Expect = field(default_factory=Expect, compare=False)
    """How much there should be of it."""

    def __post_init__(self) -> None:
        """Videos are looked up by name on their side: raises :class:`UsageError` where two have one."""
        for videos in (self.normal, self.test):
            twice = [name for name, count in Counter(video.name for video in videos).items() if count > 1]
            if twice:
                raise UsageError(f"{self.key}: expected videos of different names, found {twice[0]!r} twice")

    @property
    def key(self) -> str:
        """``"suite:scene"``, as selections and records write it; the name alone where it is of no suite."""
        return f"{self.suite}:{self.name}" if self.suite else self.name

    def shown(self, video: Video) -> tuple[int, int] | None:
        """First and last + 1 of the frames of a test video that support may come from: never scored.

        Args:
            video: one of ``test``.
        """
        normal = {os.path.realpath(other.path) for other in self.normal}
        return self.normal_frames if os.path.realpath(video.path) in normal else None


class Archive(Table):
    """A public archive: its address, its digest, and the folder under the data root it unpacks to."""

    url: str = Field(pattern="^https?://")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    creates: str

    @field_validator("creates")
    @classmethod
    def _inside(cls, name: str) -> str:
        """A folder under the data root, on any system."""
        parts = PurePosixPath(name).parts
        odd = any(letter in "\\:" or not letter.isprintable() for letter in name)
        if not parts or odd or name.startswith("/") or ".." in parts:
            raise ValueError("expected a folder under the data root, such as 'ped2'")
        return name


class GeneratedCameras(Table):
    """Cameras that are written when they are first used, unless they lie in the folder ``root`` of the data root."""

    root: str
    scenes: int = Field(ge=1, le=MOST_CAMERAS)
    seed: int = Field(ge=0)
    size: CameraSize = "small"
    roles: tuple[Role, ...] = ROLES


@dataclass(frozen=True)
class Suite:
    """A named set of scenes, where it is from (``reference``, ``get``) and under which ``terms``.

    ``layout`` is the form its files are in, ``label_set`` which of several labellings; ``missing`` names
    scenes whose files are not there, one line each. A suite of generated cameras names them in ``generate`` and has
    no scenes until they are made.
    """

    name: str
    title: str
    scenes: tuple[Scene, ...]
    reference: str = ""
    terms: str = ""
    get: str = ""
    note: str = ""
    layout: str | None = None
    label_set: str | None = None
    path: Path | None = None
    missing: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    expect: Expect = field(default_factory=Expect)
    generate: tuple[GeneratedCameras, ...] = ()
