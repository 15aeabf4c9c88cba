"""A label file to fill in, and the suite file that names it."""

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from metavad.errors import MetavadError, SuiteError
from metavad.files import write_text
from metavad.scenes.encoding import text_of
from metavad.scenes.scene import Scene
from metavad.scenes.suite import load_suite

__all__ = ["Place", "labels_line", "name_labels", "places_of", "with_labels"]

_HEADER = re.compile(r"\[\[?[^\[\]]+\]\]?\s*(#.*)?")
_UNNAMED = re.compile(r"#\s*(no labels found|labels\s*=)")


@dataclass(frozen=True)
class Place:
    """A scene that videos are of, and the suite file above them that says so."""

    suite: Path
    scene: Scene


def places_of(videos: Sequence[Path]) -> list[Place]:
    """The scenes of these videos in the suite files of the folders above them, each once; the nearest suite counts."""
    found: dict[tuple[Path, str], Place] = {}
    for video in videos:
        place = _place_of(video.absolute())
        if place is not None:
            found.setdefault((place.suite, place.scene.name), place)
    return list(found.values())


def _place_of(video: Path) -> Place | None:
    for folder in video.parents:
        file = folder / "suite.toml"
        if not file.is_file():
            continue
        try:
            scenes = load_suite(str(folder)).scenes
        except MetavadError:
            continue
        for scene in scenes:
            if video in {each.path.absolute() for each in (*scene.normal, *scene.test)}:
                return Place(file, scene)
    return None


def labels_line(labels: Path, root: Path | None) -> str:
    """What names a table of intervals in frames in a suite: its path from the scene's root."""
    path = labels.name if root is None else Path(os.path.relpath(labels.absolute(), root.absolute())).as_posix()
    return f'labels = {{ format = "intervals", path = "{path}", unit = "frames" }}'


def name_labels(place: Place, labels: Path) -> bool:
    """Complete the suite file of a scene that names no labels; false where it names some already.

    Raises :class:`SuiteError` where the file is written in a way that cannot be completed, with the line to put there.
    """
    if place.scene.labels is not None:
        return False
    line = labels_line(labels, place.scene.root)
    text = with_labels(text_of(place.suite), place.scene.name, line)
    if text is None:
        raise SuiteError(
            f"{place.suite}: expected a table [[scenes]] whose name is {place.scene.name!r}, found none; put it there "
            f"yourself: {line}"
        )
    write_text(place.suite, text)
    return True


def with_labels(text: str, scene: str, line: str) -> str | None:
    """The text of a suite with one more line in the scene of this name, or in place of the remark that it lacks labels.

    None where the scene is not written out as a table of its own.
    """
    lines = text.splitlines()
    starts = [n for n, each in enumerate(lines) if _HEADER.fullmatch(each.strip())]
    for begin, end in pairwise([*starts, len(lines)]):
        if _name_in("\n".join(lines[begin:end])) == scene:
            whole = "\n".join([*lines[:begin], *_completed(lines[begin:end], line), *lines[end:], ""])
            return whole if _is_labelled(whole, scene) else None
    return None


def _name_in(block: str) -> str | None:
    """The scene that a table of the file is about; none where it is about something else."""
    try:
        tables = tomllib.loads(block).get("scenes")
    except tomllib.TOMLDecodeError:
        return None
    return str(tables[0].get("name")) if isinstance(tables, list) else None


def _completed(block: Sequence[str], line: str) -> list[str]:
    remarks = [n for n, each in enumerate(block) if _UNNAMED.match(each.strip())]
    if remarks:
        return [*block[: remarks[0]], line, *block[remarks[0] + 1 :]]
    last = max(n for n, each in enumerate(block) if each.strip())
    return [*block[: last + 1], line, *block[last + 1 :]]


def _is_labelled(text: str, scene: str) -> bool:
    try:
        tables = tomllib.loads(text)["scenes"]
    except tomllib.TOMLDecodeError:
        return False
    return any(table.get("name") == scene and "labels" in table for table in tables)
