"""Suites: the cameras that a TOML file names, with the files that are there.

A suite is data: adding a dataset is a file in ``tasks/`` or anywhere else, in the same format.
"""

import glob
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metavad.errors import MissingDataError, SuiteError, UsageError, nearest
from metavad.scenes.encoding import spelt
from metavad.scenes.listing import name_of, natural, videos_under
from metavad.scenes.regex import matched_groups
from metavad.scenes.scene import Labels, LabelSource, Scene, Suite, Video, filled, words_of
from metavad.scenes.suite_file import LayoutTable, SceneTable, SuiteTable, table_of
from metavad.scenes.video_lists import chosen_by
from metavad.shipped import shipped

__all__ = ["Place", "about", "described", "load_suite", "place_of", "roots_of"]


@dataclass(frozen=True)
class Place:
    """Where a suite was asked for: its name, its file, and the folders its roots may lie under."""

    name: str
    path: Path
    roots: tuple[Path, ...]
    beside: Path | None = None


def load_suite(name_or_path: str, data: Path | None = None) -> Suite:
    """A shipped suite by name, or one's own by the path of its TOML file (or the folder that holds it).

    Roots of scenes lie under ``data``, else, for one's own file, beside it, else under ``METAVAD_DATA``: the
    first of these where anything matches. Generated cameras are named in ``Suite.generate`` and not made.
    Raises :class:`UsageError` for an unknown name and :class:`SuiteError` for what the file says wrong or
    for files that are not there.
    """
    place = place_of(name_or_path, data)
    table = table_of(place.path)
    if table.recognition:
        raise UsageError(
            f"{place.name}: expected cameras, found folders of classes; they are for `metavad benchmark --target` alone"
        )
    if table.generate:
        return about(name_or_path)
    there, failures = _there(place, table)
    if not there:
        raise failures[0]
    return _suite(place, table, *next((part for part in there if _labelled(part[1])), there[0]))


def about(name_or_path: str) -> Suite:
    """What the file of a suite says about it, without looking for its videos: no scenes."""
    place = place_of(name_or_path, None)
    return _suite(place, table_of(place.path), LayoutTable.model_construct(name="", scenes=(), label_set=None), [], [])


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
    name = spelt(beside.name if path.name == "suite.toml" else path.stem)
    return Place(name, path, (*given, beside, *around), beside)


def _layouts(table: SuiteTable) -> tuple[LayoutTable, ...]:
    if table.layouts:
        return table.layouts
    return (LayoutTable.model_construct(name="", scenes=table.scenes, label_set=None),)


_Found = tuple[LayoutTable, list[Scene], list[str]]


def _there(place: Place, table: SuiteTable) -> tuple[list[_Found], list[SuiteError]]:
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
        halves.append(_nothing(place, nothing[0], [layout.name for layout in layouts]))
    return found, halves


def _scenes(place: Place, layout: LayoutTable) -> tuple[list[Scene], list[str]]:
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


def _found(place: Place, layout: LayoutTable, table: SceneTable) -> list[Scene]:
    root, normal, test = _sides(place, table)
    groups = _grouped(place, table, normal, test)
    return [_scene(place, layout, table, root, *group) for group in groups]


def _sides(place: Place, table: SceneTable) -> tuple[Path, tuple[Video, ...], tuple[Video, ...]]:
    """The first root under which the normal or the test side of a scene has videos."""
    patterns = [*table.normal, *table.test]
    if not patterns:
        raise SuiteError(f"{place.path}: scene {table.name!r}: expected normal = [...] or test = [...]")
    roots = roots_of(place, table.root)
    for root in roots:
        normal = _listed(root, table.normal_list, _matching_videos(root, table.normal, table.fps))
        test = _listed(root, table.test_list, _matching_videos(root, table.test, table.fps))
        if normal or test:
            _both_sides(place, table, root, normal, test)
            return root, normal, test
    listings = table.normal_list if table.normal else table.test_list
    name = "" if table.pattern else f"{table.name}: "  # of a pattern, a name is a form to be filled in
    raise _NothingThereError(f"{name}{_why_nothing(roots[0], table.normal or table.test, listings)}")


def _matching_videos(root: Path, patterns: Sequence[str], fps: float | None) -> tuple[Video, ...]:
    """Videos that match under ``root``, or where a pattern leads out of it: absolute, or with .. in front."""
    if not any(Path(pattern).is_absolute() or Path(pattern).parts[0] == ".." for pattern in patterns):
        return videos_under(root, patterns, fps)
    begun = [_begun(root, pattern) for pattern in patterns]
    top = Path(os.path.commonpath([folder for folder, _ in begun]))
    under = [glob.escape(os.path.relpath(folder, top)) for folder, _ in begun]
    joined = [Path(folder, rest).as_posix() for folder, (_, rest) in zip(under, begun, strict=True)]
    return videos_under(top, joined, fps)


def _begun(root: Path, pattern: str) -> tuple[str, str]:
    """The folder that a pattern names before its first wildcard, and the rest."""
    parts = Path(pattern).parts
    plain = next((n for n, part in enumerate(parts[:-1]) if glob.has_magic(part)), len(parts) - 1)
    return os.path.normpath(root.absolute().joinpath(*parts[:plain])), str(Path(*parts[plain:]))


def _why_nothing(root: Path, patterns: Sequence[str], listings: Sequence[str]) -> str:
    lost = next((listing for listing in listings if not (root / listing).is_file()), None)
    if lost is not None and _matching_videos(root, patterns, None):
        return f"the list {lost!r} is not under {root}"
    under = "" if Path(patterns[0]).is_absolute() else f" under {root}"
    return f"{patterns[0]!r} matched nothing{under}"


def roots_of(place: Place, given: str) -> list[Path]:
    """Where files may lie, best first; without a root of their own they lie beside the suite's file, if anywhere."""
    root = Path(given).expanduser()
    if root.is_absolute():
        return [root]
    if not place.roots:
        raise _missing(place, "expected a folder of datasets, found none named", "DIR")
    first = [place.beside] if place.beside and root == Path() else []
    return [under / root for under in dict.fromkeys([*first, *place.roots])]


def _both_sides(
    place: Place, table: SceneTable, root: Path, normal: tuple[Video, ...], test: tuple[Video, ...]
) -> None:
    sides = (table.normal, table.normal_list, normal), (table.test, table.test_list, test)
    scene = "scenes" if table.pattern else f"scene {table.name!r}"
    for patterns, listings, videos in sides:
        if patterns and not videos:
            raise _HalfThereError(
                f"{place.path.name}: {scene}: {_why_nothing(root, patterns, listings)}, "
                "the other side is there; complete the folder or mend the suite"
            )


def _listed(root: Path, listings: Sequence[str], videos: tuple[Video, ...]) -> tuple[Video, ...]:
    """The videos that text files name, in the order of the videos; where such a file is missing: none."""
    if not listings or not videos:
        return videos
    if not all((root / listing).is_file() for listing in listings):
        return ()
    named = {video.path for listing in listings for video in chosen_by(root / listing, videos)}
    return tuple(video for video in videos if video.path in named)


_Group = tuple[str, tuple[Video, ...], tuple[Video, ...]]


def _grouped(place: Place, table: SceneTable, normal: tuple[Video, ...], test: tuple[Video, ...]) -> list[_Group]:
    """One scene, or with ``pattern`` one for each different name it makes of the videos' names."""
    if table.pattern is None:
        return [(table.name, normal, test)]
    sides: dict[str, tuple[list[Video], list[Video]]] = {}
    names = _names_made(place, table, [name_of(video.path) for video in (*normal, *test)])
    for number, (video, name) in enumerate(zip((*normal, *test), names, strict=True)):
        if name is not None:
            sides.setdefault(name, ([], []))[number >= len(normal)].append(video)
    if not sides:
        raise SuiteError(
            f"{place.path}: pattern {table.pattern!r}: expected names such as "
            f"{(*normal, *test)[0].name!r} to match, none of {len(normal) + len(test)} did"
        )
    return [(name, tuple(sides[name][0]), tuple(sides[name][1])) for name in sorted(sides, key=natural)]


def _names_made(place: Place, table: SceneTable, videos: Sequence[str]) -> list[str | None]:
    """The name of the scene that each video belongs to, by the groups of the pattern; none where it does not match."""
    try:
        groups, found = matched_groups(table.pattern or "", videos)
    except ValueError as error:
        raise SuiteError(f"{place.path}: pattern {table.pattern!r}: expected a regex, {error}") from error
    try:
        wanted = words_of(table.name)
    except ValueError as error:
        raise SuiteError(f"{place.path}: name {table.name!r}: {error}") from error
    for group in wanted:
        if group not in groups:
            raise SuiteError(
                f"{place.path}: name {table.name!r}: expected {{{group}}} to be a group of the pattern, found "
                f"none of that name; {nearest(group, groups)}"
            )
    return [None if words is None else filled(table.name, words).replace("/", "-") for words in found]


def _scene(
    place: Place,
    layout: LayoutTable,
    table: SceneTable,
    root: Path,
    name: str,
    normal: tuple[Video, ...],
    test: tuple[Video, ...],
) -> Scene:
    has = {"meta-train": bool(normal), "meta-test": bool(test)}
    if table.normal_frames is None:
        _stop_if_shown(place, name, normal, test)
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
        crop=table.crop,
        normal_frames=table.normal_frames,
        roles=frozenset(role for role in table.roles if has[role]),
        layout=layout.name or None,
        label_set=table.label_set or layout.label_set,
        expect=table.expect,
        **sources,
    )


def _stop_if_shown(place: Place, name: str, normal: tuple[Video, ...], test: tuple[Video, ...]) -> None:
    """Raises :class:`SuiteError` where footage to be tested would be shown as normal."""
    paths = {os.path.realpath(video.path) for video in normal}
    both = [video.name for video in test if os.path.realpath(video.path) in paths]
    if both:
        raise SuiteError(
            f"{place.name}: scene {name!r}: expected normal and test videos apart, found {both[0]} on both sides "
            f"({len(both)} in all); mend the patterns, or say with normal_frames which part may be shown"
        )


def _posed(pattern: str | None, videos: tuple[Video, ...], root: Path, scene: str) -> tuple[Video, ...]:
    """The videos, each with the file of its poses where the suite names a ``pattern`` of them."""
    if pattern is None:
        return videos
    source = LabelSource(format="keypoints", path=pattern, root=root, scene=scene)
    return tuple(replace(video, keypoints=source.of(video)) for video in videos)


def _source(labels: Labels | None, root: Path, scene: str) -> LabelSource | None:
    return None if labels is None else LabelSource(**labels.model_dump(), root=root, scene=scene)


def _suite(place: Place, table: SuiteTable, layout: LayoutTable, scenes: list[Scene], missing: list[str]) -> Suite:
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
        archives=table.archives,
        expect=table.expect,
        generate=table.generate,
    )


def _labelled(scenes: list[Scene]) -> bool:
    """Whether the labels that a layout speaks of are there, as far as the first test videos tell."""
    sides = [(scene.labels, scene.test[0]) for scene in scenes if scene.labels and scene.test]
    return all(labels.of(test).exists() or labels.normal_throughout(test) for labels, test in sides)


def _nothing(place: Place, failure: str, layouts: list[str]) -> SuiteError:
    others = f" (nor do the layouts {', '.join(layouts[1:])})" if len(layouts) > 1 else ""
    if place.beside is None and place.roots:
        return _missing(place, f"expected its videos, but {failure}{others}", str(place.roots[0]))
    return SuiteError(
        f"{place.name}: expected videos, but {failure}{others}; "
        "put them there, or say where they are with --data or METAVAD_DATA"
    )


def _missing(place: Place, what: str, root: str) -> MissingDataError:
    """Of a suite that ships: what is missing, how to get it, under which terms, and the files that are expected."""
    table = table_of(place.path)
    have = "if you have it, say where with --data DIR or METAVAD_DATA"
    fetch = f"`metavad data fetch {place.name} --data {root}`" if table.archives else "by hand, as below"
    return MissingDataError(f"{place.name}: {what}; {have}, else get it: {fetch}", described(place.path))


def described(path: Path) -> list[str]:
    """Title, source, terms and reference of a suite that ships, and the files that its comments say are expected."""
    table, text = table_of(path), path.read_text(encoding="utf-8").splitlines()
    begin = next((n for n, line in enumerate(text) if line.startswith("# Expected under")), len(text))
    expected = itertools.takewhile(lambda line: line.startswith("#"), text[begin:])
    facts = {"get": table.get, "terms": table.terms, "cite": table.reference}
    lines = [f"{key}: {value}" for key, value in facts.items() if value]
    return [table.title or path.stem, *lines, *(line.removeprefix("#").removeprefix(" ") for line in expected)]
