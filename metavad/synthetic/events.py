"""What does not belong: how each kind of event is played.

Rules for what begins as ordinary: somebody who stands counts as loitering after :data:`PATIENCE` seconds, a thing put
down counts as left once its owner has been gone for :data:`PATIENCE` seconds, a walker is out of place
beyond :data:`MARGIN` metres from every route and place.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metavad.synthetic.actors import Actor, shapes
from metavad.synthetic.bodies import posture
from metavad.synthetic.camera import CameraSpec
from metavad.synthetic.life import (
    Act,
    Path,
    Stage,
    driver,
    everyday,
    make_way,
    passer,
    person,
    ramp,
    stroll,
    throwing,
    thrown_ball,
    travel,
    turned,
)
from metavad.synthetic.plan import VideoPlan, abnormal_kinds, strange_vehicles
from metavad.synthetic.props import free_spot, off_routes, things
from metavad.types import BoolArray, FloatArray

__all__ = ["MARGIN", "PATIENCE", "perform"]


PATIENCE = 2.0
"""Seconds that standing still, or a thing without its owner, stays ordinary."""


MARGIN = 0.8
"""Metres beside a way that still belong to it."""


ATTEMPTS = 10


def perform(spec: CameraSpec, video: VideoPlan) -> list[Actor]:
    """Everyone in one video, with their tracks numbered; events that nobody would see are played again."""
    stage = Stage(spec, video.frames, spec.generator(video.stream, video.number, 0))
    cast = everyday(stage)
    if video.event is not None:
        cast = _with_event(spec, video, cast, video.event)
    cast = [actor for actor in cast if len(actor.position) > 1]
    make_way(cast)
    for track, actor in enumerate(cast):
        actor.track = track
    return cast


def _with_event(spec: CameraSpec, video: VideoPlan, cast: list[Actor], wanted: str) -> list[Actor]:
    """The cast with an event in it: the wanted kind, or another where that one does not fit in."""
    instead = [kind for kind in abnormal_kinds(spec) if kind != wanted]
    for attempt, kind in enumerate([wanted] * ATTEMPTS + instead):
        stage = Stage(spec, video.frames, spec.generator(video.stream, video.number, 1 + attempt))
        others = cast if kind == "scattering" else _without_one(stage, cast, video.start + video.seconds / 2)
        played = EVENTS[kind](stage, video.start, video.start + video.seconds, others)
        if played is not None and _seen(spec, played) >= min(max(0.7 * spec.fps, 3), video.frames / 3):
            for actor in played:
                actor.event = kind if actor.abnormal.any() else None
            return played
    return cast


def _without_one(stage: Stage, cast: list[Actor], second: float) -> list[Actor]:
    """The cast less one who passes by at that moment: an event must not show in how many people there are."""
    frame = int(np.clip(second * stage.fps, 0, stage.frames - 1))
    there = [number for number, actor in enumerate(cast) if actor.passing and _present(stage, actor, frame)]
    if not there:
        return cast
    gone = there[int(stage.rng.integers(len(there)))]
    return cast[:gone] + cast[gone + 1 :]


def _seen(spec: CameraSpec, cast: list[Actor]) -> int:
    """Frames in which something abnormal is inside the frame."""
    frames: set[int] = set()
    for actor in cast:
        if actor.abnormal.any():
            boxes = shapes(actor, spec.lens, None).boxes
            size = np.array([spec.lens.width, spec.lens.height])
            shown = np.minimum(boxes[:, 2:], size) - np.maximum(boxes[:, :2], 0)
            big = (shown > 2.0).all(-1) & actor.abnormal
            frames |= set((actor.first + np.flatnonzero(big)).tolist())
    return len(frames)


# ---------------------------------------------------------------- pieces of a performance


def _within(stage: Stage, path: Path | Actor, start: float, end: float) -> BoolArray:
    count = len(path.spots if isinstance(path, Path) else path.position)
    times = (path.first + np.arange(count)) / stage.fps
    return (times >= start) & (times < end)


def _aimed(stage: Stage, second: float, pace: float | None = None) -> tuple[FloatArray, float, float, float] | None:
    """A walkway with a visible distance on it: line, pace, that distance, and when its start is passed."""
    line, usual = stage.walkway()
    pace = pace or usual * float(stage.rng.uniform(0.85, 1.15))
    seen = stage.seen(line)
    if not len(seen):
        return None
    spot = float(stage.rng.choice(seen))
    return line, pace, spot, second - spot / pace


def _middle(stage: Stage, start: float, end: float) -> float:
    """The middle of an event, within the video: when who only passes by has to be seen."""
    return float(np.clip((start + end) / 2, 0.4, stage.seconds - 0.4))


def _profile(
    stage: Stage, line: FloatArray, pace: float, entry: float, extra: float
) -> tuple[int, FloatArray, FloatArray]:
    """First frame, times (n,) and steady speeds (n,) for a walk that starts at ``entry`` and takes ``extra`` more."""
    length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
    first, frames = int(np.floor(entry * stage.fps)), int((length / pace + extra) * stage.fps) + 2
    return first, (first + np.arange(frames)) / stage.fps, np.full(frames, pace)


def _stopping(stage: Stage, start: float, end: float) -> tuple[Path, FloatArray] | None:
    """A walker who stands still from ``start`` to ``end``: path and its times."""
    aimed = _aimed(stage, start)
    if aimed is None:
        return None
    line, pace, spot, entry = aimed
    first, times, speed = _profile(stage, line, pace, entry, end - start)
    speed *= 1 - ramp(times, start - 0.3, end + 0.3, 0.3)
    path = stroll(stage, line, speed, first, (int(start * stage.fps) - first, spot))
    return path, path.times(stage.fps)


# ---------------------------------------------------------------- kinds of event


def _fast(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody runs where nobody does; half of them walk before."""
    pace = float(stage.rng.uniform(3.0, 5.0))
    sudden = bool(stage.rng.random() < 0.5)
    aimed = _aimed(stage, start if sudden else _middle(stage, start, end), None if sudden else pace)
    if aimed is None:
        return None
    line, usual, spot, entry = aimed
    if not sudden:
        actor = passer(stage, line, pace, entry)
        actor.abnormal[:] = True
        return [*cast, actor]
    first, times, speed = _profile(stage, line, usual, entry, 0.0)
    speed += (pace - usual) * ramp(times, start, end, 0.5)
    path = stroll(stage, line, speed, first, (int(start * stage.fps) - first, spot))
    actor = person(stage, path, stage.appearance(), [])
    actor.abnormal = path.speed > 2.2
    return [*cast, actor]


def _vehicle(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """A bicycle or a car where none belongs."""
    strange = strange_vehicles(stage.spec)
    kind = strange[int(stage.rng.integers(len(strange)))]
    pace = float(stage.rng.uniform(2.5, 5.5)) if not stage.spec.indoor else float(stage.rng.uniform(2, 3))
    aimed = _aimed(stage, _middle(stage, start, end), pace)
    if aimed is None:
        return None
    line, _, _, entry = aimed
    actor = driver(stage, line, pace, entry) if kind == "car" else passer(stage, line, pace, entry, cyclist=True)
    actor.abnormal[:] = True
    return [*cast, actor]


def _wrong_way(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody goes against the one direction that everybody takes: all the way, or turning back a while."""
    aimed = _aimed(stage, (start + end) / 2)
    if aimed is None:
        return None
    line, pace, spot, entry = aimed
    if stage.rng.random() < 0.35:
        length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
        actor = passer(stage, line[::-1], pace * 1.1, (start + end) / 2 - (length - spot) / pace)
        actor.abnormal[:] = True
        return [*cast, actor]
    first, times, speed = _profile(stage, line, pace, entry, 2 * (end - start) + 1)
    speed *= 1 - 2.15 * ramp(times, start - 0.3, end + 0.3, 0.6)
    path = stroll(stage, line, speed, first, (int((start + end) / 2 * stage.fps) - first, spot))
    actor = person(stage, path, stage.appearance(), [])
    actor.abnormal = _within(stage, path, start, end)
    return [*cast, actor]


def _wrong_place(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody leaves the way, goes where nobody walks, and comes back; some go far."""
    line, pace = stage.walkway()
    spot = free_spot(stage.spec, stage.rng, MARGIN + 0.6, [], (0.1, 0.9), (0.3, 0.95))
    seen = stage.seen(line)
    if spot is None or not len(seen):
        return None
    ways = travel(line, seen)[0]
    leaves = int(np.argmin(np.linalg.norm(ways - np.array(spot), axis=1)))
    leaves = int(np.clip(leaves + stage.rng.integers(-4, 5), 0, len(seen) - 1))
    out = np.array(spot) - ways[leaves]
    reach = float(np.linalg.norm(out))
    if stage.rng.random() < 0.75:  # no farther than the time allows
        reach = min(reach, MARGIN + 1.0 + pace * (end - start) / 2)
    goal = ways[leaves] + out * reach / max(float(np.linalg.norm(out)), 1e-6)
    back = ways[min(leaves + 3, len(seen) - 1)]
    detour = np.stack([line[0], ways[leaves], goal, back, line[-1]])
    mark = float(np.linalg.norm(ways[leaves] - line[0])) + reach
    middle = (start + end) / 2
    first, _, speed = _profile(stage, detour, pace, middle - mark / pace, 1.0)
    path = stroll(stage, detour, speed, first, (int(middle * stage.fps) - first, mark))
    actor = person(stage, path, stage.appearance(), [])
    actor.abnormal = np.asarray(off_routes(stage.spec, path.spots) > MARGIN)
    return [*cast, actor]


def _lying(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody stumbles, falls, lies, and perhaps gets up again."""
    up = bool(stage.rng.random() < 0.7)
    stop = _stopping(stage, start, end if up else stage.seconds + 5)
    if stop is None:
        return None
    path, times = stop
    actor = person(stage, path, stage.appearance(), [Act("stagger", ramp(times, start - 0.3, start + 0.7, 0.25))])
    rise = 1.1 if up else 0.5
    fall = np.clip((times - start) / 0.7, 0, 1) ** 1.6
    if up:
        fall = np.minimum(fall, np.clip((end - times) / rise, 0, 1))
    assert actor.angles is not None
    folded = np.sin(np.pi * fall) ** 0.7
    actor.angles += folded[:, None] * (posture("crouch", times, 0.0) - actor.angles)
    actor.angles += fall[:, None] ** 2 * (posture("lie", times, float(stage.rng.uniform(0, 6))) - actor.angles)
    actor.tip, actor.side = np.pi / 2 * fall, float(stage.rng.uniform(0, 2 * np.pi))
    actor.abnormal = _within(stage, path, start, end if up else stage.seconds + 5)
    return [*cast, actor]


def _loitering(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody stands where nobody ever stands; abnormal once it has lasted for ``PATIENCE``."""
    stop = _stopping(stage, start - PATIENCE, end)
    if stop is None:
        return None
    path, times = stop
    where = path.spots[np.argmin(path.speed)] if len(path.spots) else np.zeros(2)
    if any((place.x - where[0]) ** 2 + (place.y - where[1]) ** 2 < 2.5**2 for place in stage.spec.habits.places):
        return None
    act = Act(str(stage.rng.choice(["stand", "phone"])), ramp(times, start - PATIENCE, end, 0.5))
    look = turned(path.heading, path.heading + 1.2 * np.sin(0.9 * times), act.weight)
    actor = person(stage, path, stage.appearance(), [act], facing=look)
    actor.abnormal = _within(stage, path, start, end)
    return [*cast, actor]


def _close(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody comes up to the lens (on a ladder where it hangs high) and stays in front of it."""
    lens, rng = stage.spec.lens, stage.rng
    depth, across = float(rng.uniform(0.7, 1.3)), float(rng.uniform(-0.25, 0.25))
    # the head comes to the height of the optical axis at that depth, a little under it
    axis = lens.altitude - depth * np.sin(lens.tilt)
    look = stage.appearance()
    base = max(float(axis - look.build.stature + rng.uniform(0.0, 0.25)), 0.0)
    frames = int((end - start + 1.6) * stage.fps) + 2
    first = int(np.floor((start - 0.8) * stage.fps))
    times = (first + np.arange(frames)) / stage.fps
    near = ramp(times, start - 0.8, end + 0.8, 0.8)
    side = float(rng.choice([-1.0, 1.0]))
    spots = np.column_stack([across + side * 2.2 * (1 - near), np.full(frames, depth / np.cos(lens.tilt) * 0.95)])
    spots += 0.06 * np.stack([np.sin(1.7 * times), np.sin(1.1 * times + 1)], -1)
    keep = slice(max(-first, 0), max(min(stage.frames - first, frames), 0))
    heading = turned(np.where(near < 1, np.pi * (side > 0), 0.0), -np.pi / 2, near)
    speed = np.abs(np.gradient(spots[:, 0])) * stage.fps
    path = Path(max(first, 0), spots[keep], heading[keep], np.minimum(speed, 2.0)[keep])
    acts = [Act("reach", 0.9 * near[keep])] if rng.random() < 0.5 else []
    actor = person(stage, path, look, acts)
    actor.position[:, 2] += base
    actor.abnormal[:] = True
    return [*cast, actor]


def _climbing(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody climbs on a thing, or up the wall at the back."""
    props = [prop for prop in things(stage.spec) if 0.6 <= prop.height <= 2.5]
    spots = [(prop.x, prop.y, prop.height) for prop in props]
    spots.append((float(stage.rng.uniform(-0.3, 0.3)) * stage.spec.back * 0.5, stage.spec.back - 0.25, 1.6))
    visible = [spot for spot in spots if stage.inside(np.array([spot[:2]]))[0] or spot[2] == 1.6]
    x, y, height = visible[int(stage.rng.integers(len(visible)))]
    foot = np.array([x, y - 0.05])
    line, pace = stage.walkway()
    reach = float(np.linalg.norm(foot - line[0]))
    way = np.stack([line[0], foot, line[-1]])
    first, times, speed = _profile(stage, way, pace, start - reach / pace, end - start)
    speed *= 1 - ramp(times, start - 0.3, end + 0.3, 0.3)
    path = stroll(stage, way, speed, first, (int((start + end) / 2 * stage.fps) - first, reach))
    times = path.times(stage.fps)
    rise = min(1.2, (end - start) / 2.2)
    up = ramp(times, start, end, rise)
    moving = ramp(times, start - 0.2, end + 0.2, 0.2) * np.where((up >= 1) & (height < 1.5), 0.15, 1.0)
    heading = turned(path.heading, np.pi / 2, ramp(times, start - 0.3, end + 0.3, 0.3))
    actor = person(stage, path, stage.appearance(), [Act("climb", moving)], facing=heading)
    actor.position[:, 2] += height * up
    actor.abnormal = _within(stage, path, start, end)
    return [*cast, actor]


def _scattering(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Everybody in view suddenly runs, away from one spot."""
    fear = int(np.clip(round(start * stage.fps), 0, stage.frames - 3))
    missing = int(stage.rng.integers(5, 9)) - sum(_present(stage, actor, fear) for actor in cast)
    crowd = [
        passer(stage, aimed[0], aimed[1], aimed[3]) for _ in range(max(missing, 0)) if (aimed := _aimed(stage, start))
    ]
    everybody = [*cast, *crowd]
    seen = [actor.position[fear - actor.first, :2] for actor in everybody if _present(stage, actor, fear)]
    if len(seen) < 3:
        return None
    centre = np.mean(seen, axis=0) + stage.rng.normal(0, 0.3, 2)
    seconds = max(end - start, 2.0)
    return [
        _fleeing(stage, actor, fear, centre, seconds) if _present(stage, actor, fear) else actor for actor in everybody
    ]


def _present(stage: Stage, actor: Actor, frame: int) -> bool:
    there = actor.kind == "person" and actor.first <= frame < actor.last
    return there and bool(stage.inside(actor.position[frame - actor.first, :2][None], 0.0)[0])


def _fleeing(stage: Stage, actor: Actor, fear: int, centre: FloatArray, seconds: float) -> Actor:
    known = fear - actor.first + 1
    frames = max(min(int((seconds + 3) * stage.fps), stage.frames - fear - 1), 1)
    away = actor.position[known - 1, :2] - centre
    course = float(np.arctan2(away[1], away[0]) + stage.rng.normal(0, 0.35))
    if stage.spec.kind == "corridor":  # there are only two ways to run
        course = float(np.sign(np.sin(course)) * np.pi / 2)
    times = np.arange(1, frames + 1) / stage.fps
    delay = float(stage.rng.uniform(0, 0.35))
    speed = float(stage.rng.uniform(3.2, 5.2)) * np.clip((times - delay) / 0.6, 0, 1)
    steps = (np.cumsum(speed) / stage.fps)[:, None] * np.array([np.cos(course), np.sin(course)])
    heading = turned(np.full(frames, actor.heading[known - 1]), course, np.clip((times - delay) / 0.3, 0, 1))
    path = Path(fear + 1, actor.position[known - 1, :2] + steps, heading, speed)
    run = person(stage, path, actor.appearance, [])
    assert actor.angles is not None and run.angles is not None
    blend = np.clip(times / 0.4, 0, 1)[:, None]
    angles = actor.angles[known - 1] * (1 - blend) + run.angles * blend
    tip = actor.tip[known - 1] * np.clip(1 - times / 0.5, 0, 1)
    joined = Actor(
        "person", actor.first, np.concatenate([actor.position[:known], run.position]),
        np.concatenate([actor.heading[:known], run.heading]), actor.appearance,
        np.concatenate([actor.angles[:known], angles]), np.concatenate([actor.tip[:known], tip]), actor.side,
    )  # fmt: skip
    joined.abnormal[known:] = True
    return joined


def _thrown(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody stops and throws things; the thrower and what flies are abnormal."""
    stop = _stopping(stage, start - 0.7, end)
    if stop is None or not len(stop[0].spots):
        return None
    path, times = stop
    course = float(stage.rng.uniform(0, 2 * np.pi))
    weight = ramp(times, start - 1.0, end, 0.3)
    actor = person(stage, path, stage.appearance(), [], facing=turned(path.heading, course, weight))
    origin = path.spots[int(np.argmin(np.abs(times - (start + 0.7))))]
    aim = np.array([np.cos(course), np.sin(course)])
    things: list[Actor] = []
    for second in np.arange(start + 0.7, max(end - 0.3, start + 0.8), 1.3):
        acted = throwing(stage, actor, float(second))
        actor.abnormal = actor.abnormal | (acted > 0)
        flight = float(stage.rng.uniform(0.7, 1.0))
        things += thrown_ball(
            stage, origin, origin + aim * float(stage.rng.uniform(3, 7)), float(second), flight=flight
        )
    for thing in things:
        thing.abnormal[:] = True
    return [*cast, actor, *things]


def _left(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Somebody puts a bag down and goes; it counts ``PATIENCE`` seconds later, until it is fetched."""
    down = start - PATIENCE - 0.8
    aimed = _aimed(stage, down)
    if aimed is None:
        return None
    line, pace, spot, entry = aimed
    first, times, speed = _profile(stage, line, pace, entry, 1.2)
    speed *= 1 - ramp(times, down - 0.6, down + 0.8, 0.3)
    path = stroll(stage, line, speed, first, (int(down * stage.fps) - first, spot))
    look = replace(stage.appearance(), carries="nothing")
    owner = person(stage, path, look, [Act("bend", ramp(path.times(stage.fps), down - 0.6, down + 0.7, 0.4))])
    place = travel(line, np.array([spot + 0.3]))[0][0]
    fetched = end if stage.rng.random() < 0.6 else stage.seconds + 1
    others = [owner, *_fetching(stage, place, fetched)]
    bag = _bag(stage, place, down, fetched, others)
    bag.abnormal = _within(stage, bag, start, fetched)
    return [*cast, *others, bag]


def _bag(stage: Stage, place: FloatArray, down: float, fetched: float, people: list[Actor]) -> Actor:
    """A bag that hangs from its owner's hand, stands at ``place``, and leaves in another hand."""
    times = np.arange(stage.frames) / stage.fps
    position = np.tile([*place, 0.0], (stage.frames, 1))
    shown = (times >= down) & (times < fetched)
    for actor, second, sign in zip(people, (down, fetched), (-1, 1), strict=False):
        frames = np.arange(actor.first, actor.last)
        held = frames[(frames / stage.fps - second) * sign > 0]
        beside = np.stack([np.sin(actor.heading), -np.cos(actor.heading)], -1) * 0.3
        weight = np.clip(np.abs(held / stage.fps - second) / 0.5, 0, 1)[:, None]
        hand = np.column_stack([actor.position[:, :2] + beside, np.full(len(frames), 0.3)])[held - actor.first]
        position[held] += weight * (hand - position[held])
        shown[held] = True
    frames = np.flatnonzero(shown)
    begin, stop = (int(frames[0]), int(frames[-1]) + 1) if len(frames) else (0, 0)
    heading = np.full(stop - begin, float(stage.rng.uniform(0, 3)))
    return Actor("bag", begin, position[begin:stop], heading, stage.appearance())


def _fetching(stage: Stage, place: FloatArray, second: float) -> list[Actor]:
    if second >= stage.seconds + 1:
        return []
    line, pace = stage.walkway()
    way = np.stack([line[0], place + 0.05, line[-1]])
    reach = float(np.linalg.norm(place - line[0]))
    first, times, speed = _profile(stage, way, pace, second - reach / pace, 1.0)
    speed *= 1 - ramp(times, second - 0.6, second + 0.5, 0.3)
    path = stroll(stage, way, speed, first, (int(second * stage.fps) - first, reach - 0.3))
    if not len(path.spots):
        return []
    bend = Act("bend", ramp(path.times(stage.fps), second - 0.6, second + 0.5, 0.4))
    return [person(stage, path, replace(stage.appearance(), carries="nothing"), [bend])]


def _fighting(stage: Stage, start: float, end: float, cast: list[Actor]) -> list[Actor] | None:
    """Two or three people come to blows."""
    stop = _stopping(stage, start, end)
    if stop is None or not len(stop[0].spots):
        return None
    path, times = stop
    centre = path.spots[int(np.argmin(np.abs(times - (start + end) / 2)))]
    course = float(stage.rng.uniform(0, 2 * np.pi))
    fighters = []
    for number in range(2 if stage.rng.random() < 0.75 else 3):
        angle = course + number * (np.pi if number < 2 else 0.5 * np.pi)
        fighters.append(_fighter(stage, centre, angle, start, end))
    return [*cast, *(fighter for fighter in fighters if fighter is not None)]


def _fighter(stage: Stage, centre: FloatArray, angle: float, start: float, end: float) -> Actor | None:
    rng = stage.rng
    line, pace = stage.walkway()
    home = centre + 0.36 * np.array([np.cos(angle), np.sin(angle)])
    way = np.stack([line[0], home, line[-1]])
    reach = float(np.linalg.norm(home - line[0]))
    first, times, speed = _profile(stage, way, pace, start - reach / pace, end - start)
    speed *= 1 - ramp(times, start - 0.3, end + 0.3, 0.3)
    path = stroll(stage, way, speed, first, (int((start + end) / 2 * stage.fps) - first, reach))
    times = path.times(stage.fps)
    if not len(times):
        return None
    act = ramp(times, start - 0.2, end + 0.2, 0.3)
    push = 0.16 * np.sin(5.3 * times + rng.uniform(0, 6)) + 0.1 * np.sin(2.1 * times)
    drift = 0.3 * np.stack([np.sin(1.1 * times), np.cos(1.3 * times)], -1)
    shove = (push[:, None] * np.array([np.cos(angle), np.sin(angle)]) + drift) * act[:, None]
    heading = turned(path.heading, angle + np.pi + 0.3 * np.sin(3 * times), act)
    moved = Path(path.first, path.spots + shove, heading, path.speed)
    actor = person(stage, moved, stage.appearance(), [Act("fight", act)])
    actor.abnormal = _within(stage, path, start, end)
    return actor


Play = Callable[[Stage, float, float, list[Actor]], list[Actor] | None]


EVENTS: dict[str, Play] = {
    "fast": _fast, "wrong-way": _wrong_way, "wrong-place": _wrong_place, "vehicle": _vehicle, "lying": _lying,
    "loitering": _loitering, "close": _close, "climbing": _climbing, "scattering": _scattering,
    "thrown": _thrown, "left": _left, "fighting": _fighting,
}  # fmt: skip
