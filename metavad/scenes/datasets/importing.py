"""A first suite file for footage that has none: which folders are which side, and where their labels are."""

import glob
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from metavad.errors import DataError
from metavad.scenes.array_files import ArrayError, mapped_array
from metavad.scenes.formats.reading import table_rows
from metavad.scenes.listing import frame_files, is_junk, matching_videos, natural, videos_under
from metavad.scenes.scene import Video
from metavad.scenes.video import probe

__all__ = ["IN_FRAMES", "Unit", "import_folder"]

IN_FRAMES = "frames counted from 0, the end excluded"
"""What a table of intervals that metavad has written says of its numbers."""

Unit: TypeAlias = Literal["frames", "seconds"]
"""What intervals are counted in."""

_Ask: TypeAlias = Callable[[Path], Unit | None]
_Groups: TypeAlias = dict[str, list[Path]]
"""Videos by the folder they lie in, relative to the scene's."""
_Side: TypeAlias = Literal["normal", "test", "neither"]
_Word: TypeAlias = Literal["train", "test", "normal", "abnormal", "neither", ""]

_SPLITS = re.compile("(test|train)(ing|ings|s|ed|set|data|videos?|frames?|clips?|images?|imgs?|vols?|folder|footage)?")
"""Words that say which side a folder is on: ``testing``, ``trainset``; not ``contest``."""
_PLAIN = frozenset({"video", "videos", "frame", "frames", "clip", "clips", "part", "set", "data", "images", "of"})
"""Words that say nothing about a folder: a name of these and of sides alone is no camera's."""
_LABELS = ("mask", "masks", "label", "labels", "truth", "annotation", "annotations", "annot")
_LEVELS = ["/".join(["*"] * level) for level in range(1, 6)]
_SLOWEST = 5.0  # frames a second of a folder of frames at the least: what its intervals are held against
_PEEK = 1 << 16  # bytes of a table that are looked at


def import_folder(folder: Path, ask: _Ask = lambda table: None, fps: float | None = None) -> str:
    """A guess at the suite file of the footage in ``folder``: text to save there as ``suite.toml`` and mend.

    Folders called train, normal, ... are the normal side, those called test, abnormal, ... the test side;
    folders side by side that have both are scenes. ``ask`` is asked for the unit of a table of intervals that may be
    of frames and of seconds; where it does not know, the table is named and not used. ``fps`` are the frames a second
    of folders of frames, where that is known. Raises :class:`DataError` where there is no video.
    """
    videos_under(folder, _LEVELS, 1.0)  # names what is left out
    scenes = _scenes(folder)
    if not scenes:
        raise DataError(f"{folder}: expected videos or folders of frames, found none; name another folder")
    tables = "\n".join(_scene_text(folder, scene, groups, ask, fps) for scene, groups in scenes.items())
    return f"title = {_quoted(folder.absolute().name)}\n\n{tables}"


def _scenes(folder: Path) -> dict[Path, _Groups]:
    """The folder itself, or those in it where they are cameras: with sides of their own, or without any side."""
    groups = _groups(folder)
    inside: dict[str, _Groups] = {}
    for group, paths in groups.items():
        first, *rest = Path(group).parts or (".",)
        inside.setdefault(first, {})["/".join(rest) or "."] = paths
    cameras = {folder / name: inside[name] for name in sorted(inside, key=natural)}
    if not groups or "." in inside or any(_is_plain(name) and _side(name) for name in inside):
        return {folder: groups} if groups else {}
    if any({"normal", "test"} <= set(_sides(own).values()) for own in inside.values()):
        return cameras
    return {folder: groups} if any(map(_side, inside)) else cameras


def _groups(folder: Path) -> _Groups:
    """Videos by folder; labels that look like videos left out."""
    groups: _Groups = {}
    for path in matching_videos(folder, _LEVELS):
        parent = path.parent.relative_to(folder)
        if not any(map(_of_labels, parent.parts)) and not (path.is_dir() and _of_labels(path.name)):
            groups.setdefault(parent.as_posix(), []).append(path)
    return {group: _without_labels(paths) for group, paths in groups.items()}


def _without_labels(paths: Sequence[Path]) -> list[Path]:
    """The same without files that are called as another and a word for labels: ``01_gt.avi`` beside ``01.avi``."""
    stems = {path.stem for path in paths}
    bases = [re.sub(r"[_\-. ]+[^\W\d_]+$", "", path.stem) for path in paths]
    return [path for path, base in zip(paths, bases, strict=True) if base not in stems or not _marks(path.stem, base)]


# --- what names say ------------------------------------------------------------------------------------------


def _words(name: str) -> list[str]:
    """Its words in lower case: ``Test001_gtMasks`` has test, gt and masks; ``washington`` has no gt."""
    return [word.lower() for word in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))]


def _of_labels(name: str) -> bool:
    return any(word == "gt" or word.endswith(_LABELS) for word in _words(name))


def _marks(name: str, video: str) -> str:
    """``name`` with ``{video}`` for the video's, where all else in it are words for labels; else nothing."""
    rest = name.removeprefix(video) if name.startswith(video) else name.removesuffix(video)
    words = _words(rest)
    of_labels = rest != name and words and not re.search(r"\d", rest) and all(map(_of_labels, words))
    return name.replace(video, "{video}", 1) if of_labels else ""


def _is_plain(name: str) -> bool:
    """Whether a name is of words for sides alone: ``Testing_Normal_Videos``, not ``train station``."""
    return all(_meaning(word) or word in _PLAIN for word in _words(name))


def _meaning(word: str) -> _Word:
    if match := _SPLITS.fullmatch(word):
        return "train" if match[1] == "train" else "test"
    if word.startswith(("abnormal", "anomal")) or word == "query":
        return "abnormal"
    if word in ("val", "valid", "validation"):
        return "neither"
    return "normal" if word.startswith("normal") or word == "support" else ""


def _meanings(group: str) -> list[_Word]:
    """What a folder's path says of sides; by names of such words alone where there are any."""
    parts = [part for part in Path(group).parts if any(map(_meaning, _words(part)))]
    decisive = [part for part in parts if _is_plain(part)] or parts
    return [meaning for part in decisive for word in _words(part) if (meaning := _meaning(word))]


def _side(group: str) -> _Side | None:
    """The side that a folder's path says; what training has that is not normal is on neither."""
    meanings = _meanings(group)
    kinds = [word for word in meanings if word in ("normal", "abnormal")]
    abnormal = kinds[:1] == ["abnormal"]
    if "neither" in meanings or ("train" in meanings and "test" not in meanings and abnormal):
        return "neither"
    if "test" in meanings or abnormal:
        return "test"
    return "normal" if meanings else None


def _sides(groups: _Groups) -> dict[str, _Side]:
    """The side of each folder.

    Where a part of training is called normal, the rest of it is on neither side; where any folder is a normal one,
    so is what says nothing; else that is normal.
    """
    sides = {group: _side(group) for group in groups}
    called = [group for group in groups if sides[group] == "normal" and "normal" in _meanings(group)]
    strict = any("train" in _meanings(group) for group in called)
    silent: _Side = "neither" if "normal" in sides.values() else "normal"
    return {
        group: "neither" if strict and side == "normal" and group not in called else side or silent
        for group, side in sides.items()
    }


# --- the text ------------------------------------------------------------------------------------------------


def _scene_text(folder: Path, scene: Path, groups: _Groups, ask: _Ask, fps: float | None) -> str:
    sides = _sides(groups)
    patterns: dict[_Side, list[str]] = {"normal": [], "test": [], "neither": []}
    for group, paths in groups.items():
        patterns[sides[group]] += _patterns(scene, group, paths)
    root = scene.relative_to(folder).as_posix()
    lines = ["[[scenes]]", f"name = {_quoted(scene.absolute().name)}", f"root = {_quoted(root)}"]
    lines += [f"{side} = [{', '.join(map(_quoted, found))}]" for side, found in list(patterns.items())[:2] if found]
    for group in (group for group in groups if sides[group] == "neither"):
        lines.append(f"# left out, neither normal nor test by name: {_quoted(group)}, {len(groups[group])} videos")
    lines += _labels_text(scene, videos_under(scene, patterns["test"], 1.0), ask)
    if any(path.is_dir() for paths in groups.values() for path in paths):
        guess = "fps = 25  # a guess: folders of frames do not say; put the true rate here"
        lines.append(guess if fps is None else f"fps = {fps:g}")
    return "\n".join([*lines, ""])


def _patterns(scene: Path, group: str, paths: Sequence[Path]) -> list[str]:
    """The shortest patterns that match these videos and no other: by suffix, by digits, else their names."""
    start = "" if group == "." else f"{glob.escape(group)}/"
    suffixes = sorted({"*" if path.is_dir() else f"*{glob.escape(path.suffix)}" for path in paths})
    digits = sorted({re.sub(r"\d", "[0-9]", glob.escape(path.name)) for path in paths})
    for patterns in ([start + end for end in suffixes], [start + end for end in digits]):
        if set(matching_videos(scene, patterns)) == set(paths):
            return patterns
    return [start + glob.escape(path.name) for path in paths]


# --- labels --------------------------------------------------------------------------------------------------


def _labels_text(scene: Path, tests: Sequence[Video], ask: _Ask) -> list[str]:
    """Labels whose files go by the names of the test videos, a table of intervals, or what is to be done."""
    if not tests:
        return []
    arrays, tables, lists, folders = _label_files(scene, tests)
    lines = []
    if flat := [path for path, axes in arrays.items() if axes == 1]:
        lines.append(_source_text("labels", "npy", flat[0]))
    elif lists:
        lines.append(_source_text("labels", "ucsd-m", lists[0]))
    elif tables:
        lines.append(_intervals_text(scene, tables[0], tests, ask))
    if masks := _masks_text(scene, tests, folders):
        lines.append(masks)
    elif solid := [path for path, axes in arrays.items() if axes == 3]:
        lines.append(_source_text("pixel_masks", "npy-masks", solid[0]))
    return lines or [
        '# no labels found; for example: labels = { format = "intervals", path = "intervals.csv", unit = "frames" }'
    ]


def _label_files(scene: Path, tests: Sequence[Video]) -> tuple[dict[Path, int], list[Path], list[Path], list[Path]]:
    """Relative to ``scene``: arrays by the name of the first test video with their axes, tables of intervals, lists
    of UCSD, and folders of pictures that are called labels. Folders of labels come first; links are not followed."""
    arrays: dict[Path, int] = {}
    tables, lists, folders = list[Path](), list[Path](), list[Path]()
    for top, below, names in os.walk(scene):
        below.sort(key=natural)
        place = Path(top).relative_to(scene)
        if any(map(_of_labels, place.parts[-2:])) and frame_files(scene / place):
            folders.append(place)
        for path in (place / name for name in sorted(names, key=natural) if not is_junk(Path(name))):
            if path.name == f"{tests[0].name}.npy" and (axes := _axes(scene / path)):
                arrays[place / "{video}.npy"] = axes
            elif path.suffix == ".csv" and _is_intervals(scene / path):
                tables.append(path)
            elif path.suffix == ".m" and "gt_frame" in _beginning(scene / path):
                lists.append(path)
    first = sorted(arrays, key=lambda path: not any(map(_of_labels, path.parts[:-1])))
    return {path: arrays[path] for path in first}, tables, lists, folders


def _axes(path: Path) -> int:
    """How many axes an array of numbers has; 0 where it is none."""
    try:
        array = mapped_array(path)
    except (ArrayError, OSError):
        return 0
    return array.ndim if array.dtype.kind in "biuf" else 0


def _masks_text(scene: Path, tests: Sequence[Video], folders: Sequence[Path]) -> str:
    """Folders of masks by the names of test videos, beside them or in a folder of labels."""
    for video in tests:
        for folder in folders:
            inside = "{video}" if folder.name == video.name else _marks(folder.name, video.name)
            if inside:
                named = folder.with_name(inside).as_posix()
                suffix = frame_files(scene / folder)[0].suffix
                have = sum((scene / named.replace("{video}", each.name)).is_dir() for each in tests)
                more = "" if have == len(tests) else f"  # of {have} of {len(tests)} test videos"
                return _source_text("pixel_masks", "bmp" if suffix == ".bmp" else "png", Path(named)) + more
    return ""


def _intervals_text(scene: Path, table: Path, tests: Sequence[Video], ask: _Ask) -> str:
    unit = _unit(scene / table, tests) or ask(scene / table)
    if unit:
        return _source_text("labels", "intervals", table, unit)
    line = _source_text("labels", "intervals", table, "seconds")
    return f"# {line}  # frames or seconds? they may be both: put the right one here, and take the first # away"


def _unit(table: Path, tests: Sequence[Video]) -> Unit | None:
    """The unit of a table of intervals: seconds where a number is no whole one, frames where seconds would lie past
    the end; ``None`` where it may be both."""
    try:
        found = table_rows(table, ["start", "end"])
        rows = [(row.cells.get("video", ""), float(row["start"]), float(row["end"])) for row in found]
    except (DataError, ValueError, KeyError):
        return None
    if any(number % 1 for _, *numbers in rows for number in numbers):
        return "seconds"
    if IN_FRAMES in _beginning(table):
        return "frames"
    named = {name: video for video in tests for name in (video.name, video.path.name)}
    for name, _, end in rows:
        video = named.get(name) or (tests[0] if not name and len(tests) == 1 else None)
        if video is not None and end > _longest(video) + 1:
            return "frames"
    return None


def _longest(video: Video) -> float:
    """Seconds that a video has at the most; without end where it cannot be read."""
    try:
        facts = probe(replace(video, fps=_SLOWEST) if video.path.is_dir() else video)
    except (DataError, OSError):
        return math.inf
    return facts.frames / facts.rate


def _source_text(key: str, form: str, path: Path, unit: Unit | None = None) -> str:
    unit_text = f", unit = {_quoted(unit)}" if unit else ""
    return f"{key} = {{ format = {_quoted(form)}, path = {_quoted(path.as_posix())}{unit_text} }}"


def _is_intervals(path: Path) -> bool:
    lines = _beginning(path).splitlines()
    header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return {"start", "end"} <= {word.strip().lower() for word in header.split(",")}


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_PEEK).decode("utf-8-sig", errors="replace")


def _quoted(text: str) -> str:
    """A string of TOML; raises :class:`DataError` for a name that is no text."""
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DataError(f"{text}: expected a name in UTF-8, found other bytes; rename it")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
