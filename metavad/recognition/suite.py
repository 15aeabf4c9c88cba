"""Whole clips in folders of classes, some of which are allowed: what clip-level recognition is tried on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metavad.errors import SuiteError, VideoError, nearest
from metavad.scenes.encoding import spelt
from metavad.scenes.listing import is_junk, natural, videos_under
from metavad.scenes.scene import Video
from metavad.scenes.suite import Place, place_of, roots_of
from metavad.scenes.suite_file import table_of

__all__ = ["ClassSuite", "ClipClass", "class_suite_of"]


@dataclass(frozen=True)
class ClipClass:
    """One folder of clips: what may be shown, and what is tested; never the same clip."""

    name: str
    allowed: bool
    train: tuple[Video, ...]
    """Empty for a forbidden class: nobody has shown it."""
    test: tuple[Video, ...]


@dataclass(frozen=True)
class ClassSuite:
    """Allowed classes, and all others: forbidden. ``accept`` is the share of allowed clips to be accepted."""

    name: str
    title: str
    root: Path
    classes: tuple[ClipClass, ...]
    accept: float

    def side(self, *, allowed: bool) -> tuple[ClipClass, ...]:
        """The allowed classes, or the forbidden ones."""
        return tuple(each for each in self.classes if each.allowed == allowed)


def class_suite_of(name_or_path: str, data: Path | None = None) -> ClassSuite | None:
    """The classes of a suite with the table ``[recognition]``; none where the suite is of cameras.

    Roots are looked for as those of scenes are. Raises :class:`SuiteError` where a class that is named is not
    there, is empty, or no class is allowed or forbidden.
    """
    place = place_of(name_or_path, data)
    table = table_of(place.path)
    if table.recognition is None:
        return None
    allowed = tuple(dict.fromkeys(table.recognition.allowed))
    if not allowed:
        raise SuiteError(f"{place.path}: recognition.allowed: expected at least one class, found none; name folders")
    sides = (table.recognition.train, table.recognition.test)
    root = _root(place, table.recognition.root, sides)
    classes = _classes(root, sides, allowed, table.recognition.fps, place)
    return ClassSuite(place.name, table.title or place.name, root, classes, table.recognition.accept)


def _root(place: Place, given: str, sides: tuple[str, str]) -> Path:
    """The first root that has both folders."""
    if len({side == "." for side in sides}) == 2:
        raise SuiteError(f"{place.path}: recognition: expected train and test, or neither, found one; name both")
    roots = roots_of(place, given)
    for root in roots:
        if all((root / side).is_dir() for side in sides):
            return root
    raise SuiteError(
        f"{place.name}: expected folders of classes under {roots[0] / sides[0]}, found no such folder; "
        "put them there, or say where they are with root, --data or METAVAD_DATA"
    )


def _classes(
    root: Path, sides: tuple[str, str], allowed: tuple[str, ...], fps: float | None, place: Place
) -> tuple[ClipClass, ...]:
    train, test = (_folders(root / side) for side in sides)
    for name in allowed:
        for folders in (train, test):
            if name not in folders:
                hint = nearest(name, folders)
                raise SuiteError(f"{place.path}: recognition.allowed: expected a folder, found no {name!r}; {hint}")
    if not set(test) - set(allowed):
        raise SuiteError(f"{place.path}: recognition: expected a class that is not allowed, found none; add its folder")
    shown = {name: _clips(root, train[name], fps) for name in allowed}
    tested = {name: _clips(root, folder, fps) for name, folder in test.items()}
    if train == test:
        halves = {name: _halves(name, clips) for name, clips in shown.items()}
        shown = {name: first for name, (first, _) in halves.items()}
        tested |= {name: second for name, (_, second) in halves.items()}
    return tuple(ClipClass(name, name in shown, shown.get(name, ()), clips) for name, clips in tested.items())


def _folders(root: Path) -> dict[str, Path]:
    """Class folders by name, in natural order."""
    found = [path for path in root.iterdir() if path.is_dir() and not is_junk(path)]
    return {spelt(path.name): path for path in sorted(found, key=lambda path: natural(path.name))}


def _clips(root: Path, folder: Path, fps: float | None) -> tuple[Video, ...]:
    """Video files and folders of frames of a class, each named by where it lies; at least one."""
    found = videos_under(folder, ["*"], fps)
    if not found:
        raise VideoError(f"{folder}: expected clips of a class, found none; add video files, or take the folder away")
    return tuple(replace(video, name=video.path.relative_to(root).as_posix()) for video in found)


def _halves(name: str, clips: Sequence[Video]) -> tuple[tuple[Video, ...], tuple[Video, ...]]:
    """In natural order, so that clips which were cut of one video mostly stay on one side."""
    if len(clips) < 2:
        raise VideoError(f"class {name!r}: expected two clips, one to show and one to test, found one; add some")
    return tuple(clips[: len(clips) // 2]), tuple(clips[len(clips) // 2 :])
