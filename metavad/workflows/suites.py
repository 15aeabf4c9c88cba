"""Suites with their generated cameras made, and the selection of scenes by text."""

import fnmatch
from dataclasses import replace
from pathlib import Path

from metavad.arguments import checked
from metavad.errors import UsageError, nearest
from metavad.files import claimed
from metavad.progress import SILENT, Progress
from metavad.scenes.cache import cache_folder
from metavad.scenes.scene import CameraSize, GeneratedCameras, Role, Scene, Suite
from metavad.scenes.suite import load_suite, place_of
from metavad.synthetic import VERSION, write_suite

__all__ = ["generated_suite", "open_suite", "select_scenes"]


def open_suite(name_or_path: str, data: Path | None = None, progress: Progress = SILENT) -> Suite:
    """A suite as :func:`~metavad.scenes.suite.load_suite` reads it, with its generated cameras made.

    They are used from the data root where they are there, else written once, into the cache.
    """
    suite = load_suite(name_or_path, data)
    if not suite.generate:
        return suite
    roots = place_of(name_or_path, data).roots
    scenes: dict[str, Scene] = {}
    for cameras in suite.generate:
        for scene in load_suite(str(_folder(cameras, roots, progress))).scenes:
            name = scene.name if scene.name not in scenes else f"{scene.name}-{cameras.seed}"
            roles = scene.roles & frozenset(cameras.roles)
            scenes[name] = replace(scene, suite=suite.name, name=name, roles=roles)
    return replace(suite, scenes=tuple(scenes.values()))


def _folder(cameras: GeneratedCameras, roots: tuple[Path, ...], progress: Progress) -> Path:
    made = next((root / cameras.root for root in roots if (root / cameras.root / "suite.toml").is_file()), None)
    return made or generated_suite(cameras.scenes, cameras.seed, size=cameras.size, progress=progress)


def generated_suite(
    scenes: int, seed: int, *, size: CameraSize, test_videos: int | None = None, progress: Progress = SILENT
) -> Path:
    """The folder of ``scenes`` generated cameras in the cache, which is written once; it is a suite.

    ``test_videos`` of each camera, else as many as its ``size`` has.
    """
    counts = "" if test_videos is None else f"-{test_videos}"
    folder = cache_folder() / "suites" / f"synthetic-{VERSION}-{size}-{scenes}-{seed}{counts}"
    if not (folder / "suite.toml").is_file():
        with claimed(folder, wait=True):  # whoever comes second finds it written
            write_suite(folder, scenes=scenes, seed=seed, size=size, test_videos=test_videos, progress=progress)
    return folder


@checked
def select_scenes(
    spec: str | Path, data: str | Path | None = None, *, role: Role, progress: Progress = SILENT
) -> tuple[Scene, ...]:
    """Scenes of suites, by a selection such as ``"synthetic,mysite.toml:lobby,umn:*"``, in that order, each once.

    Args:
        spec: suites that ship, or paths of suite files, parted by commas; ``suite:scene`` is one scene, ``*`` stands
            for any letters. A suite alone means its scenes that have ``role``. A ``Path`` is one suite file.
        data: the folder that holds the datasets; by default ``METAVAD_DATA``.
        role: ``"meta-train"`` or ``"meta-test"``, what the scenes are for; a scene that is named must have it.
        progress: is told how far the work is; silent by default.

    Raises:
        UsageError: nothing is selected, or a scene that the suite does not have, or that has not this role.
        SuiteError: a suite file that is not as expected, or whose footage is not there.
    """
    chosen: dict[str, Scene] = {}
    root = None if data is None else Path(data)
    parts = [str(spec)] if isinstance(spec, Path) else spec.split(",")
    for part in filter(None, (part.strip() for part in parts)):
        name, wanted = _split(part)
        suite = open_suite(name, root, progress)
        for scene in _matching(suite, wanted, role):
            if (other := chosen.setdefault(scene.key, scene)).root != scene.root:
                raise UsageError(
                    f"{scene.key}: expected suites with different names, found one in {other.root} and one in "
                    f"{scene.root}; rename a suite's file or folder"
                )
    if not chosen:
        raise UsageError(f"scenes: expected suites such as 'ped2' or 'site.toml:lobby', found {str(spec)!r}")
    return tuple(chosen.values())


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
