"""Cameras and the files that hold them: one TOML file is a suite, a suite is a set of scenes.

A suite is data: adding a dataset is a file in ``tasks/`` or anywhere else, in the same format.
"""

import fnmatch
import os
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from metavad.errors import SuiteError, UsageError, VideoError, nearest
from metavad.progress import SILENT, Progress
from metavad.shipped import shipped

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Archive",
    "Crop",
    "Expect",
    "LabelSource",
    "Role",
    "Scene",
    "Suite",
    "Video",
    "about",
    "frame_files",
    "is_junk",
    "load_suite",
    "natural",
    "scene_of_files",
    "select_scenes",
    "videos_under",
]

Role = Literal["meta-train", "meta-test"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
"""What counts as a frame in a folder of frames."""
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"}
    | {".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
)
"""What a pattern of a suite takes for a video file."""


ROLES: tuple[Role, ...] = ("meta-train", "meta-test")


@dataclass(frozen=True)
class Crop:
    """Pixels of the picture, as shown, that are cut off at each side before anything else."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def apply(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        """``picture`` (H, W, ...) without the borders; a view."""
        height, width = picture.shape[:2]
        return picture[self.top : height - self.bottom, self.left : width - self.right]


@dataclass(frozen=True)
class Video:
    """A file or a folder of frames. ``fps`` is given for folders, whose frames carry no times; ``keypoints`` is the
    file of its people's poses, where the suite names one."""

    name: str
    path: Path
    fps: float | None = None
    keypoints: Path | None = None


@dataclass(frozen=True)
class LabelSource:
    """Where labels are and how they are written.

    ``path`` lies under ``root`` and may hold ``{video}`` (the name of the video), ``{number}`` (the last
    number in it, without leading zeros), ``{parent}`` (the folder the video lies in) and ``{scene}``.
    ``first`` is the number of the first frame in the file, ``inclusive`` whether ends belong to intervals,
    ``abnormal`` the values that count as abnormal where a format has several. A video without labels whose
    name matches the glob ``normal_if_missing`` is normal throughout.
    """

    format: str
    path: str
    root: Path
    unit: Literal["frames", "seconds"] = "frames"
    first: int = 0
    inclusive: bool = False
    abnormal: tuple[int, ...] = (1,)
    normal_if_missing: str = ""
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
        path = re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], match[0]), self.path)
        return self.root / path

    def normal_throughout(self, video: "Video") -> bool:
        """Whether the absence of labels says that ``video`` is normal."""
        absent = not self.of(video).exists()
        return absent and fnmatch.fnmatchcase(video.name, self.normal_if_missing)


@dataclass(frozen=True)
class Expect:
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

    ``normal_frames`` is the part [first, last) of every normal video that support may come from; where a
    normal video is also a test video, these frames are never scored (:meth:`scored_from`).
    """

    suite: str
    name: str
    root: Path
    normal: tuple[Video, ...] = ()
    test: tuple[Video, ...] = ()
    labels: LabelSource | None = None
    pixel_masks: LabelSource | None = None
    tracks: LabelSource | None = None
    crop: Crop = Crop()
    normal_frames: tuple[int, int] | None = None
    roles: frozenset[str] = frozenset(ROLES)
    layout: str | None = None
    label_set: str | None = None
    expect: Expect = field(default=Expect(), compare=False)

    @property
    def key(self) -> str:
        """``"suite:scene"``, as selections and records write it."""
        return f"{self.suite}:{self.name}"

    def shown(self, video: Video) -> tuple[int, int] | None:
        """Frames [first, last) of test video ``video`` that support may come from: never scored."""
        normal = {other.path for other in self.normal}
        return self.normal_frames if video.path in normal else None


@dataclass(frozen=True)
class Archive:
    """A public archive: its address, its digest, and the folder under the data root it unpacks to."""

    url: str
    sha256: str
    creates: str


@dataclass(frozen=True)
class Suite:
    """A named set of scenes, where it is from (``reference``, ``get``) and under which ``terms``.

    ``layout`` is the form its files are in, ``label_set`` which of several labellings; ``missing`` names
    scenes whose files are not there, one line each.
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
    expect: Expect = Expect()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _LabelTable(_Strict):
    format: str
    path: str
    unit: Literal["frames", "seconds"] = "frames"
    first: int = 0
    inclusive: bool = False
    abnormal: tuple[int, ...] = (1,)
    normal_if_missing: str = ""


class _CropTable(_Strict):
    top: int = Field(default=0, ge=0)
    bottom: int = Field(default=0, ge=0)
    left: int = Field(default=0, ge=0)
    right: int = Field(default=0, ge=0)


class _ExpectTable(_Strict):
    normal_videos: int = 0
    normal_frames: int = 0
    test_videos: int = 0
    test_frames: int = 0
    abnormal_frames: int = 0
    normal_lengths: tuple[int, ...] = ()
    test_lengths: tuple[int, ...] = ()
    unverified: bool = False


class _SceneTable(_Strict):
    name: str
    root: str = "."
    pattern: str | None = None
    normal: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    normal_list: tuple[str, ...] = ()
    test_list: tuple[str, ...] = ()
    labels: _LabelTable | None = None
    pixel_masks: _LabelTable | None = None
    tracks: _LabelTable | None = None
    keypoints: str | None = None
    crop: _CropTable = _CropTable()
    normal_frames: tuple[int, int] | None = None
    fps: float | None = Field(default=None, gt=0)
    roles: tuple[Role, ...] = ROLES
    label_set: str | None = None
    expect: _ExpectTable = _ExpectTable()

    @field_validator("normal_frames")
    @classmethod
    def _a_span(cls, span: tuple[int, int] | None) -> tuple[int, int] | None:
        """Frames that count backwards would be shown and scored as well."""
        if span is not None and not 0 <= span[0] < span[1]:
            raise ValueError("expected [first, last) with 0 <= first < last")
        return span


class _LayoutTable(_Strict):
    name: str
    scenes: tuple[_SceneTable, ...] = Field(min_length=1)
    label_set: str | None = None


class _GenerateTable(_Strict):
    root: str
    scenes: int = Field(ge=1)
    seed: int
    size: Literal["tiny", "small", "full"] = "small"
    roles: tuple[Role, ...] = ROLES


class _ArchiveTable(_Strict):
    url: str = Field(pattern="^https?://")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    creates: str


class _RecognitionTable(_Strict):
    root: str = "."
    train: str = "."
    test: str = "."
    allowed: tuple[str, ...] = ()
    accept: float = Field(default=0.9, gt=0, lt=1)
    fps: float | None = Field(default=None, gt=0)


class _SuiteTable(_Strict):
    title: str = ""
    reference: str = ""
    terms: str = ""
    get: str = ""
    note: str = ""
    label_set: str | None = None
    scenes: tuple[_SceneTable, ...] = ()
    layouts: tuple[_LayoutTable, ...] = ()
    generate: tuple[_GenerateTable, ...] = ()
    recognition: _RecognitionTable | None = None
    archives: tuple[_ArchiveTable, ...] = ()
    expect: _ExpectTable = _ExpectTable()


@dataclass(frozen=True)
class Place:
    """Where a suite was asked for: its name, its file, and the folders its roots may lie under."""

    name: str
    path: Path
    roots: tuple[Path, ...]
    beside: Path | None = None


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts 2 before 10.

    >>> sorted(["10.jpg", "2.jpg"], key=natural)
    ['2.jpg', '10.jpg']
    """
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts)


def is_junk(path: Path) -> bool:
    """Whether a file is what desktops and editors leave behind (``.DS_Store``, ``._a.jpg``, ``a.m~``)."""
    return path.name.startswith(".") or path.name.endswith("~")


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder in natural order; junk and other files left out; may be empty."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in files if not is_junk(path)), key=lambda path: natural(path.name))


def load_suite(name_or_path: str, data: Path | None = None, progress: Progress = SILENT) -> Suite:
    """A shipped suite by name, or one's own by the path of its TOML file (or the folder that holds it).

    Roots of scenes lie under ``data``, else, for one's own file, beside it, else under ``METAVAD_DATA``: the
    first of these where anything matches.
    Raises :class:`UsageError` for an unknown name and :class:`SuiteError` for what the file says wrong or
    for files that are not there.
    """
    place = place_of(name_or_path, data)
    return _loaded(place, table_of(place.path), progress)


def _loaded(place: Place, table: _SuiteTable, progress: Progress) -> Suite:
    if table.recognition:
        raise UsageError(
            f"{place.name}: expected cameras, found folders of classes; they are for `metavad benchmark --target` alone"
        )
    if table.generate:
        return _generated(place, table, progress)
    there, failures = _there(place, table)
    if not there:
        raise failures[0]
    return _suite(place, table, *next((part for part in there if _labelled(part[1])), there[0]))


def about(name_or_path: str) -> Suite:
    """What the file of a suite says about it, without looking for its videos: no scenes."""
    place = place_of(name_or_path, None)
    return _suite(place, table_of(place.path), _LayoutTable.model_construct(name="", scenes=(), label_set=None), [], [])


def select_scenes(spec: str, data: Path | None = None, *, role: Role, progress: Progress = SILENT) -> tuple[Scene, ...]:
    """Scenes by a selection such as ``"synthetic,mysite.toml:lobby,umn:*"``, in that order, each once.

    A suite alone means its scenes that have ``role``; a named scene must have it.
    """
    chosen: dict[str, Scene] = {}
    for part in filter(None, (part.strip() for part in spec.split(","))):
        name, wanted = _split(part)
        suite = load_suite(name, data, progress)
        for scene in _matching(suite, wanted, role):
            if (other := chosen.setdefault(scene.key, scene)).root != scene.root:
                raise UsageError(
                    f"{scene.key}: expected suites with different names, found one in {other.root} and one in "
                    f"{scene.root}; rename a suite's file or folder"
                )
    if not chosen:
        raise UsageError(f"scenes: expected suites such as 'ped2' or 'site.toml:lobby', found {spec!r}")
    return tuple(chosen.values())


def scene_of_files(paths: Sequence[Path], name: str | None = None, fps: float | None = None) -> Scene:
    """A scene whose normal videos are files, folders of frames (at ``fps``), or folders of videos."""
    videos = [video for path in paths for video in _videos_at(Path(path), fps)]
    if not videos:
        raise VideoError("expected at least one video, found none; name video files or folders of frames")
    root = Path(os.path.commonpath([video.path.resolve().parent for video in videos]))
    title = name or (videos[0].name if len(videos) == 1 else root.name)
    return Scene("files", title, root, normal=_unique(videos, root))


def videos_under(root: Path, patterns: Iterable[str], fps: float | None = None) -> tuple[Video, ...]:
    """Videos that match glob ``patterns`` under ``root``, in natural order, junk left out, each once."""
    found = {path: None for pattern in patterns for path in _glob(root, pattern)}
    paths = sorted(found, key=lambda path: natural(path.relative_to(root).as_posix()))
    return _unique([Video(_name(path), path, fps if path.is_dir() else None) for path in paths], root)


def place_of(name_or_path: str, data: Path | None) -> Place:
    known = shipped("tasks")
    ambient = os.environ.get("METAVAD_DATA")
    given = () if data is None else (data.expanduser().absolute(),)
    around = (Path(ambient).expanduser().absolute(),) if ambient else ()
    if name_or_path in known:
        return Place(name_or_path, known[name_or_path], given or around)
    path = Path(name_or_path).expanduser()
    path = path / "suite.toml" if path.is_dir() else path
    if not path.is_file():
        what = "a suite by name or the path of a TOML file"
        raise UsageError(f"expected {what}, found {name_or_path!r}; {nearest(name_or_path, known)}")
    beside = path.absolute().parent
    return Place(beside.name if path.name == "suite.toml" else path.stem, path, (*given, beside, *around), beside)


def table_of(path: Path) -> _SuiteTable:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        table = _SuiteTable.model_validate(raw)
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
    "scenes": _SceneTable,
    "layouts": _LayoutTable,
    "generate": _GenerateTable,
    "archives": _ArchiveTable,
    "recognition": _RecognitionTable,
    "labels": _LabelTable,
    "pixel_masks": _LabelTable,
    "tracks": _LabelTable,
    "crop": _CropTable,
    "expect": _ExpectTable,
}


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors()[0]
    where = [str(part) for part in mistake["loc"]]
    if mistake["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {mistake['msg'].lower()}, found {mistake['input']!r}"
    tables = [_TABLES[part] for part in where[:-1] if part in _TABLES]
    known = (tables[-1] if tables else _SuiteTable).model_fields
    return f"expected known keys, found {'.'.join(where)!r}; {nearest(where[-1], known)}"


def _layouts(table: _SuiteTable) -> tuple[_LayoutTable, ...]:
    if table.layouts:
        return table.layouts
    return (_LayoutTable.model_construct(name="", scenes=table.scenes, label_set=None),)


_Found = tuple[_LayoutTable, list[Scene], list[str]]


def _there(place: Place, table: _SuiteTable) -> tuple[list[_Found], list[SuiteError]]:
    """Layouts that have scenes here, and what is wrong with the others: half a layout tells more than none."""
    found: list[_Found] = []
    halves: list[SuiteError] = []
    nothing: list[str] = []
    layouts = _layouts(table)
    for layout in layouts:
        try:
            scenes, missing = _scenes(place, layout)
        except _HalfThereError as half:
            halves.append(half)
            continue
        found += [(layout, scenes, missing)] if scenes else []
        nothing += missing
    if nothing:
        halves.append(SuiteError(_nothing(place, nothing[0], [layout.name for layout in layouts])))
    return found, halves


def _scenes(place: Place, layout: _LayoutTable) -> tuple[list[Scene], list[str]]:
    """Scenes whose files are there, and a line for each that is not."""
    scenes: list[Scene] = []
    missing: list[str] = []
    for table in layout.scenes:
        try:
            scenes += _found(place, layout, table)
        except _NothingThereError as nothing:
            missing.append(str(nothing))
    names = [scene.name for scene in scenes]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SuiteError(f"{place.path}: expected scenes with different names, found {min(twice)!r} twice")
    return scenes, missing


class _NothingThereError(Exception):
    """No pattern of a scene matched; the message is a whole line."""


class _HalfThereError(SuiteError):
    """One side of a scene is there, and the other is not."""


def _found(place: Place, layout: _LayoutTable, table: _SceneTable) -> list[Scene]:
    root, normal, test = _sides(place, table)
    groups = _grouped(place, table, normal, test)
    return [_scene(place, layout, table, root, *group) for group in groups]


def _sides(place: Place, table: _SceneTable) -> tuple[Path, tuple[Video, ...], tuple[Video, ...]]:
    """The first root under which the normal or the test side of a scene has videos."""
    patterns = [*table.normal, *table.test]
    if not patterns:
        raise SuiteError(f"{place.path}: scene {table.name!r}: expected normal = [...] or test = [...]")
    roots = roots_of(place, table.root)
    for root in roots:
        normal = _listed(root, table.normal_list, videos_under(root, table.normal, table.fps))
        test = _listed(root, table.test_list, videos_under(root, table.test, table.fps))
        if normal or test:
            _both_sides(place, table, root, normal, test)
            return root, normal, test
    raise _NothingThereError(f"{table.name}: {patterns[0]!r} matched nothing under {roots[0]}")


def roots_of(place: Place, given: str) -> list[Path]:
    """Where files may lie, best first; without a root of their own they lie beside the suite's file, if anywhere."""
    root = Path(given).expanduser()
    if root.is_absolute():
        return [root]
    if not place.roots:
        raise SuiteError(f"{place.name}: expected to know where the data is, found nothing; set --data or METAVAD_DATA")
    first = [place.beside] if place.beside and root == Path() else []
    return [under / root for under in dict.fromkeys([*first, *place.roots])]


def _both_sides(
    place: Place, table: _SceneTable, root: Path, normal: tuple[Video, ...], test: tuple[Video, ...]
) -> None:
    for patterns, videos in ((table.normal, normal), (table.test, test)):
        if patterns and not videos:
            raise _HalfThereError(
                f"{place.path.name}: scene {table.name!r}: {patterns[0]!r} matched nothing under {root}, "
                "the other side did; complete the folder or mend the pattern"
            )


def _listed(root: Path, listings: Sequence[str], videos: tuple[Video, ...]) -> tuple[Video, ...]:
    """Videos named in text files of names, with or without suffix; where a file is missing: none."""
    if not listings:
        return videos
    if not all((root / listing).is_file() for listing in listings):
        return ()
    words = [word for listing in listings for word in (root / listing).read_text(encoding="utf-8").split()]
    names = {Path(word).stem if Path(word).suffix in VIDEO_SUFFIXES else word for word in words}
    return tuple(video for video in videos if video.path.stem in names)


_Group = tuple[str, tuple[Video, ...], tuple[Video, ...]]


def _grouped(place: Place, table: _SceneTable, normal: tuple[Video, ...], test: tuple[Video, ...]) -> list[_Group]:
    """One scene, or with ``pattern`` one for each different name it makes of the videos' names."""
    if table.pattern is None:
        return [(table.name, normal, test)]
    pattern = _compiled(place, table)
    sides: dict[str, tuple[list[Video], list[Video]]] = {}
    for side, videos in enumerate((normal, test)):
        for video in videos:
            if match := pattern.match(_name(video.path)):
                name = table.name.format(**match.groupdict("")).replace("/", "-")
                sides.setdefault(name, ([], []))[side].append(video)
    if not sides:
        raise SuiteError(
            f"{place.path}: pattern {table.pattern!r}: expected names such as "
            f"{(*normal, *test)[0].name!r} to match, none of {len(normal) + len(test)} did"
        )
    return [(name, tuple(sides[name][0]), tuple(sides[name][1])) for name in sorted(sides, key=natural)]


def _compiled(place: Place, table: _SceneTable) -> re.Pattern[str]:
    """The pattern of a scene, once it is sure that it has the groups that the name asks for."""
    try:
        pattern = re.compile(table.pattern or "")
    except re.error as error:
        raise SuiteError(f"{place.path}: pattern {table.pattern!r}: expected a regex, {error}") from error
    for group in re.findall(r"\{(.*?)\}", table.name):
        if group not in pattern.groupindex:
            raise SuiteError(
                f"{place.path}: name {table.name!r}: expected {{{group}}} to be a group of the pattern, found "
                f"none of that name; {nearest(group, pattern.groupindex)}"
            )
    return pattern


def _scene(
    place: Place,
    layout: _LayoutTable,
    table: _SceneTable,
    root: Path,
    name: str,
    normal: tuple[Video, ...],
    test: tuple[Video, ...],
) -> Scene:
    has = {"meta-train": bool(normal), "meta-test": bool(test)}
    sources = {
        side: _source(getattr(table, side), root, name)
        for side, source in (
            ("labels", table.labels),
            ("pixel_masks", table.pixel_masks),
            ("tracks", table.tracks),
        )
    }
    return Scene(
        suite=place.name,
        name=name,
        root=root,
        normal=_posed(table.keypoints, normal, root, name),
        test=_posed(table.keypoints, test, root, name),
        crop=Crop(**table.crop.model_dump()),
        normal_frames=table.normal_frames,
        roles=frozenset(role for role in table.roles if has[role]),
        layout=layout.name or None,
        label_set=table.label_set or layout.label_set,
        expect=Expect(**table.expect.model_dump()),
        **sources,
    )


def _posed(pattern: str | None, videos: tuple[Video, ...], root: Path, scene: str) -> tuple[Video, ...]:
    """The videos, each with the file of its poses where the suite names a ``pattern`` of them."""
    if pattern is None:
        return videos
    source = LabelSource("keypoints", pattern, root, scene=scene)
    return tuple(replace(video, keypoints=source.of(video)) for video in videos)


def _source(table: _LabelTable | None, root: Path, scene: str) -> LabelSource | None:
    return None if table is None else LabelSource(**table.model_dump(), root=root, scene=scene)


def _suite(place: Place, table: _SuiteTable, layout: _LayoutTable, scenes: list[Scene], missing: list[str]) -> Suite:
    label_set = layout.label_set or table.label_set
    return Suite(
        name=place.name,
        title=table.title or place.name,
        scenes=tuple(replace(scene, label_set=scene.label_set or label_set) for scene in scenes),
        reference=table.reference,
        terms=table.terms,
        get=table.get,
        note=table.note,
        layout=layout.name or None,
        label_set=label_set,
        path=place.path,
        missing=tuple(missing),
        archives=tuple(Archive(**archive.model_dump()) for archive in table.archives),
        expect=Expect(**table.expect.model_dump()),
    )


def _labelled(scenes: list[Scene]) -> bool:
    """Whether the labels that a layout speaks of are there, as far as the first test videos tell."""
    sides = [(scene.labels, scene.test[0]) for scene in scenes if scene.labels and scene.test]
    return all(labels.of(test).exists() or labels.normal_throughout(test) for labels, test in sides)


def _nothing(place: Place, failure: str, layouts: list[str]) -> str:
    others = f" (nor do the layouts {', '.join(layouts[1:])})" if len(layouts) > 1 else ""
    return (
        f"{place.name}: expected videos, but {failure}{others}; "
        "put them there, or say where they are with --data or METAVAD_DATA"
    )


def _generated(place: Place, table: _SuiteTable, progress: Progress) -> Suite:
    """Scenes of generated cameras: from the data root where they are, else made once, in the cache."""
    scenes: dict[str, Scene] = {}
    for block in table.generate:
        folder = _generated_folder(place, block, progress)
        inner = Place(place.name, folder / "suite.toml", (folder,), folder)
        for scene in _loaded(inner, table_of(inner.path), progress).scenes:
            name = scene.name if scene.name not in scenes else f"{scene.name}-{block.seed}"
            roles = scene.roles & frozenset(block.roles)
            scenes[name] = replace(scene, name=name, roles=roles)
    layout = _LayoutTable.model_construct(name="", scenes=(), label_set=None)
    return _suite(place, table, layout, list(scenes.values()), [])


def _generated_folder(place: Place, block: _GenerateTable, progress: Progress) -> Path:
    from metavad.scenes import synthetic
    from metavad.scenes.store import cache_folder

    made = [root / block.root for root in place.roots if (root / block.root / "suite.toml").is_file()]
    name = f"synthetic-{synthetic.VERSION}-{block.size}-{block.scenes}-{block.seed}"
    folder = made[0] if made else cache_folder() / "suites" / name
    if not (folder / "suite.toml").is_file():
        synthetic.write_suite(folder, scenes=block.scenes, seed=block.seed, size=block.size, progress=progress)
    return folder


def _split(part: str) -> tuple[str, str | None]:
    """Suite and scene of ``suite:scene``; a colon inside a path is part of the path."""
    name, colon, scene = part.rpartition(":")
    return (name, scene) if colon and not set(scene) & set("/\\") else (part, None)


def _matching(suite: Suite, wanted: str | None, role: Role) -> list[Scene]:
    if wanted is None:
        scenes = [scene for scene in suite.scenes if role in scene.roles]
        if not scenes:
            raise UsageError(f"{suite.name}: expected scenes to {role} on, found none; choose another suite")
        return scenes
    scenes = [scene for scene in suite.scenes if fnmatch.fnmatchcase(scene.name, wanted)]
    if not scenes:
        lost = next((line for line in suite.missing if line.startswith(f"{wanted}:")), None)
        hint = lost or nearest(wanted, [scene.name for scene in suite.scenes])
        raise UsageError(f"{suite.name}: expected a scene of this suite, found {wanted!r}; {hint}")
    if any(role not in scene.roles for scene in scenes):
        roles = ", ".join(sorted(scenes[0].roles)) or "nothing"
        raise UsageError(f"{suite.name}:{wanted}: expected a scene to {role} on, found one to {roles} on")
    return scenes


def _glob(root: Path, pattern: str) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in root.glob(pattern) if not _hidden(path, root) and _is_video(path)]


def _hidden(path: Path, root: Path) -> bool:
    return any(is_junk(Path(part)) for part in path.relative_to(root).parts)


def _is_video(path: Path) -> bool:
    return _has_frames(path) if path.is_dir() else path.suffix.lower() in VIDEO_SUFFIXES


def _has_frames(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        names = (Path(entry.name) for entry in entries)
        return any(name.suffix.lower() in IMAGE_SUFFIXES and not is_junk(name) for name in names)


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _videos_at(path: Path, fps: float | None) -> list[Video]:
    if path.is_dir():
        return [Video(path.name, path, fps)] if _has_frames(path) else list(videos_under(path, ["*"], fps))
    if not path.exists():
        raise VideoError(f"{path}: expected a video or a folder of frames, found nothing; check the path")
    return [Video(path.stem, path)]


def _unique(videos: Sequence[Video], root: Path) -> tuple[Video, ...]:
    """The same videos; where names are taken twice, their path under ``root`` tells them apart."""
    names = [video.name for video in videos]
    return tuple(
        replace(video, name=_long_name(video, root)) if names.count(video.name) > 1 else video for video in videos
    )


def _long_name(video: Video, root: Path) -> str:
    path = Path(os.path.relpath(video.path.absolute(), root.absolute()))
    return (path if video.path.is_dir() else path.with_suffix("")).as_posix()
