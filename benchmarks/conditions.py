"""What is told of the whole picture on ordinary real footage, and where something happens to it on purpose.

    python benchmarks/conditions.py --data DIR --json benchmarks/conditions.json

Ordinary footage is watched as `metavad watch` does: 23 fixed cameras, the training clips of Ped2, the first 300 frames
of each UMN clip, and four times one minute of five hours of an office. What is shorter than half a minute is played
back and forth until then. What begins there is false.

Then the same cameras look at the middle of their pictures, so that there is something beside it. After twelve ordinary
seconds the light changes, the view shakes or is moved, the lens is covered, the picture freezes, or something large
comes into view, which is none of it. No label, no score and no base is read.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from record import begin, options, record_of, write

from metavad.live.conditions import PictureConditions
from metavad.live.types import Condition, ConditionKind
from metavad.scenes.scene import Scene, Video
from metavad.scenes.video import probe, read_frames, tick_frames
from metavad.types import ByteArray
from metavad.workflows.suites import open_suite

RATE, SHORT_SIDE = 10.0, 172
"""Ticks a second as of the default preset, and a short side of which the inner part is what is looked at."""
SHORTEST = 30.0
"""Seconds up to which a short clip is played back and forth."""
HOURS, MINUTES, LASTS = ("02", "08", "12", "16", "20"), (5, 20, 35, 50), 60.0
"""Of the office's first day: files, minutes at which a piece begins, seconds of a piece."""
PLANTED_IN = ("ped2/01", "lawn/Trim1", "indoor/Trim3", "plaza/Trim9", "office/02:05", "office/12:05", "office/20:05")
"""Cameras beside the 23 in which conditions are planted."""
INNER = 0.7
"""Share of each side that is the view where conditions are planted."""
AT, LATEST = 12.0, 8.0
"""Seconds at which something is planted, and within which it is found."""
FROZEN_FOR = 90.0
EVENT = 1.0
"""Seconds of an event that might be withheld."""

Picture: TypeAlias = ByteArray
Clip: TypeAlias = Sequence[tuple[Picture, float]]
Change: TypeAlias = Callable[[Picture, float, Picture], Picture]
"""From a whole picture, the seconds since it began and another camera's picture: what is seen then."""


@dataclass(frozen=True)
class Planted:
    """Something that happens to the picture, and what it is to be told as; none: as nothing."""

    kind: ConditionKind | None
    change: Change
    seconds: float = LATEST


def main() -> None:
    """Watch, print, write the record."""
    given = begin(arguments())
    quiet, planted, other = list[dict[str, Any]](), list[dict[str, Any]](), np.zeros((SHORT_SIDE, SHORT_SIDE), np.uint8)
    for name, clip in ordinary(given.data):
        quiet.append(watched(name, clip))
        if name.startswith("normal/") or name in PLANTED_IN:
            planted += planted_in(name, clip, other)
            other = clip[0][0]
        print(quiet[-1], *(each for each in planted if each["clip"] == name and is_wrong(each)), sep="\n  ")
    rows = {"ordinary": by_group(quiet), "planted": by_plant(planted)}
    for row in [*rows["ordinary"], *rows["planted"]]:
        print(row)
    write(given.json, record_of(rows, base=None, clips=quiet, wrong=[each for each in planted if is_wrong(each)]))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = options(__doc__, base=False)
    parser.add_argument("--data", type=Path)
    return parser


# Footage


def ordinary(data: Path | None) -> Iterator[tuple[str, Clip]]:
    """Every clip of ordinary footage by its name, as working pictures with their times."""
    suites = Path(__file__).parent / "suites"
    for scene in open_suite(str(suites / "normal.toml"), data).scenes:
        yield f"normal/{scene.name}", back_and_forth(read(scene, scene.normal[0]))
    for suite in ("ped2", "umn"):
        for scene in open_suite(suite, data).scenes:
            for video in scene.normal:
                yield f"{scene.name}/{video.name}", back_and_forth(read(scene, video))
    (office,) = open_suite(str(suites / "office.toml"), data).scenes
    for video in office.normal:
        for minute in MINUTES if video.name in HOURS else ():
            yield f"office/{video.name}:{minute:02d}", list(read(office, video, 60.0 * minute, LASTS))


def read(scene: Scene, video: Video, start: float = 0.0, lasts: float = np.inf) -> Iterator[tuple[Picture, float]]:
    """The ticks of a piece of a video; of a test video only those that may be shown."""
    facts = probe(video, scene.crop)
    ticks = tick_frames(facts.seconds, RATE)
    first, stop = scene.shown(video) or (0, facts.frames)
    inside = (
        (facts.seconds[ticks] >= start) & (facts.seconds[ticks] < start + lasts) & (ticks >= first) & (ticks < stop)
    )
    for frame in read_frames(video, short_side=SHORT_SIDE, crop=scene.crop, every=ticks[inside]):
        yield frame.image, float(facts.seconds[frame.index]) - start


def back_and_forth(pictures: Iterator[tuple[Picture, float]]) -> Clip:
    """The same clip, over and over until it is long enough; no picture follows one that it is not beside."""
    clip = list(pictures)
    return extended(clip, max(SHORTEST, clip[-1][1]))


def extended(clip: Clip, seconds: float) -> Clip:
    """A clip that lasts so long, played back and forth."""
    there = [*range(len(clip)), *range(len(clip) - 2, 0, -1)]
    step = (clip[-1][1] - clip[0][1]) / (len(clip) - 1)
    if clip[-1][1] >= seconds:
        return [each for each in clip if each[1] < seconds]
    return [(clip[there[n % len(there)]][0], n * step) for n in range(int(seconds / step))]


# What is told of it


def watched(name: str, clip: Clip) -> dict[str, Any]:
    """What begins in an ordinary clip, and for how long an event would not be told."""
    conditions, found, withheld = PictureConditions(), list[Condition](), 0
    for picture, seconds in clip:
        found += conditions.push(picture, seconds)
        withheld += conditions.during(seconds - EVENT, seconds) is not None
    begun = [{"kind": each.kind, "start": round(each.start, 1)} for each in found if each.end is None]
    share = withheld / len(clip)
    return {"clip": name, "seconds": round(clip[-1][1], 1), "withheld": round(share * clip[-1][1], 1), "begun": begun}


def planted_in(name: str, clip: Clip, other: Picture) -> Iterator[dict[str, Any]]:
    """What is told of each thing that is planted in a camera."""
    whole = extended(clip, AT + FROZEN_FOR)
    before = PictureConditions()
    for picture, seconds in whole:
        if seconds < AT:
            before.push(view(picture), seconds)
    for what, plant in PLANTED.items():
        yield {"clip": name, "planted": what, **reported_of(plant, deepcopy(before), whole, other)}


def reported_of(plant: Planted, conditions: PictureConditions, clip: Clip, other: Picture) -> dict[str, Any]:
    """The seconds until it is told, none where it is not, and what else is until then."""
    reported: dict[str, float] = {}
    for picture, seconds in clip:
        if AT <= seconds < AT + plant.seconds and plant.kind not in reported:
            seen = plant.change(picture, seconds - AT, other)
            for each in conditions.push(seen, seconds):
                if each.end is None:
                    reported.setdefault(each.kind, round(seconds - AT, 1))
    delay = reported.pop(plant.kind, None) if plant.kind else None
    return {"kind": plant.kind, "delay": delay, "else": sorted(reported)}


# What is planted


def view(picture: Picture, down: float = 0.0, across: float = 0.0, angle: float = 0.0) -> Picture:
    """The inner part of a picture, from a place so many heights of it further, turned by degrees."""
    height, width = (round(INNER * side) for side in picture.shape)
    middle = (picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, angle, 1.0)
    matrix[:, 2] -= middle[0] - (width - 1) / 2 + across * height, middle[1] - (height - 1) / 2 + down * height
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def light(gain: float = 1.0, gamma: float = 1.0, over: float = 0.0) -> Planted:
    """All gets brighter or darker, at once or over some seconds."""

    def change(picture: Picture, since: float, other: Picture) -> Picture:
        part = 1.0 if not over else min(1.0, since / over)
        grey = 255 * (view(picture) / 255) ** (gamma**part) * gain**part
        return np.asarray(np.clip(np.round(grey), 0, 255), np.uint8)

    return Planted("light", change)


def moved(down: float, across: float, angle: float = 0.0) -> Planted:
    """The camera is turned, for good."""
    return Planted("moved", lambda picture, since, other: view(picture, down, across, angle))


def shaking(spread: float) -> Planted:
    """Each picture is from a place of its own: a standard deviation in heights, each way."""

    def change(picture: Picture, since: float, other: Picture) -> Picture:
        return view(picture, *np.random.default_rng(round(100 * since)).normal(0, spread, 2))

    return Planted("shaking", change)


def swaying(far: float, hertz: float) -> Planted:
    """Back and forth as a pole does."""

    def change(picture: Picture, since: float, other: Picture) -> Picture:
        return view(picture, 0.2 * far * np.sin(9 * since), far * np.sin(2 * np.pi * hertz * since))

    return Planted("shaking", change)


def elsewhere(picture: Picture, since: float, other: Picture) -> Picture:
    """What another camera shows."""
    seen = view(picture)
    return np.asarray(cv2.resize(other, seen.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def black(picture: Picture, since: float, other: Picture) -> Picture:
    """A cap on the lens, with the noise of a sensor."""
    noise = np.random.default_rng(round(100 * since)).normal(5, 1.5, view(picture).shape)
    return np.clip(np.round(noise), 0, 255).astype(np.uint8)


def hand(picture: Picture, since: float, other: Picture) -> Picture:
    """Close before the lens: a dark blur."""
    seen = view(picture)
    return np.asarray(cv2.GaussianBlur(seen, (0, 0), len(seen) / 6) * 0.5, np.uint8)


def passing(share: float, seconds: float) -> Planted:
    """Something large crosses the view, such as a lorry: so wide, and three quarters as high as the view."""

    def change(picture: Picture, since: float, other: Picture) -> Picture:
        seen = view(picture)
        height, width = seen.shape
        wide, top = round(share * width), height // 8
        thing = cv2.resize(other, (wide, height - 2 * top), interpolation=cv2.INTER_AREA)
        left = round(min(since / seconds, 1.0) * (width + wide)) - wide
        first, last = max(left, 0), min(left + wide, width)
        if first < last:
            seen[top : height - top, first:last] = thing[:, first - left : last - left]
        return seen

    return Planted(None, change)


def lamp(picture: Picture, since: float, other: Picture) -> Picture:
    """It lights the left third."""
    seen = view(picture).astype(np.float32)
    seen[:, : seen.shape[1] // 3] *= 1.5
    return np.clip(seen, 0, 255).astype(np.uint8)


def frozen() -> Planted:
    """The first picture, again and again."""
    kept: dict[int, Picture] = {}

    def change(picture: Picture, since: float, other: Picture) -> Picture:
        kept[0] = view(picture) if since < 0.2 else kept[0]
        return kept[0]

    return Planted("frozen", change, FROZEN_FOR)


PLANTED: Mapping[str, Planted] = {
    "light: a gain of 0.6": light(gain=0.6),
    "light: a gain of 0.8": light(gain=0.8),
    "light: a gain of 1.25": light(gain=1.25),
    "light: a gain of 1.6": light(gain=1.6),
    "light: a gamma of 0.6": light(gamma=0.6),
    "light: a gamma of 1.5": light(gamma=1.5),
    "light: to 0.6 in 3 s": light(gain=0.6, over=3.0),
    "shaking: 0.003 heights": shaking(0.003),
    "shaking: 0.006 heights": shaking(0.006),
    "shaking: 0.012 heights": shaking(0.012),
    "shaking: 0.03 heights": shaking(0.03),
    "swaying: 0.02 heights, 0.7 a second": swaying(0.02, 0.7),
    "moved by 0.01 heights": moved(0.007, 0.007),
    "moved by 0.02 heights": moved(0.014, 0.014),
    "moved by 0.05 heights": moved(0.03, 0.04),
    "moved by 0.2 heights": moved(0.1, -0.17),
    "turned by 8 degrees": moved(0, 0, 8.0),
    "another view": Planted("moved", elsewhere),
    "covered: black": Planted("covered", black),
    "covered: a hand": Planted("covered", hand),
    "frozen": frozen(),
    "none: a lamp on a third": Planted(None, lamp),
    "none: a lorry in 3 s": passing(0.4, 3.0),
    "none: a lorry in 7 s": passing(0.4, 7.0),
}


# Figures


def by_group(quiet: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """False conditions of each group of cameras, by kind."""
    groups = {each["clip"].partition("/")[0]: list[Mapping[str, Any]]() for each in quiet}
    for each in quiet:
        groups[each["clip"].partition("/")[0]].append(each)
    rows = [{"group": name, **counted(clips)} for name, clips in groups.items()]
    return [*rows, {"group": "all", **counted(quiet)}]


def counted(clips: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of some clips."""
    kinds = Counter(each["kind"] for clip in clips for each in clip["begun"])
    seconds = sum(clip["seconds"] for clip in clips)
    withheld = sum(clip["withheld"] for clip in clips)
    return {
        "clips": len(clips),
        "minutes": round(seconds / 60, 1),
        "false": dict(kinds),
        "an hour": round(3600 * kinds.total() / seconds, 1),
        "clips with one": sum(bool(clip["begun"]) for clip in clips),
        "withheld %": round(100 * withheld / seconds, 2),
    }


def by_plant(planted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In how many cameras each thing is found, how late, and what else is told."""
    rows = []
    for what, plant in PLANTED.items():
        mine = [each for each in planted if each["planted"] == what]
        delays = [each["delay"] for each in mine if each["delay"] is not None]
        late = {"median s": float(np.median(delays)), "last s": max(delays)} if delays else {}
        found = {"found": len(delays)} if plant.kind else {}
        other = Counter(kind for each in mine for kind in each["else"])
        rows.append({"planted": what, "cameras": len(mine), **found, **late, "else": dict(other)})
    return rows


def is_wrong(each: Mapping[str, Any]) -> bool:
    """Not found, or taken for something else."""
    return (each["kind"] is not None and each["delay"] is None) or bool(each["else"])


if __name__ == "__main__":
    main()
