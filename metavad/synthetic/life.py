"""Ordinary life before a generated camera: who comes, by which way, how fast, and where they stay."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from metavad.synthetic.actors import Actor, Appearance, sample_appearance
from metavad.synthetic.bodies import cadence, cycling, gait, posture
from metavad.synthetic.camera import CameraSpec, Place, Route
from metavad.synthetic.props import entrances, roaming_spots
from metavad.types import FloatArray

__all__ = [
    "Act",
    "Path",
    "Stage",
    "driver",
    "everyday",
    "make_way",
    "passer",
    "person",
    "ramp",
    "stroll",
    "throwing",
    "thrown_ball",
    "travel",
    "turned",
]

REACH = 0.8  # metres within which walkers step aside for one another
RAMP = 0.4  # seconds in which a movement begins or ends
LONGEST = 25.0  # seconds that somebody who stops on the way takes longer for it, at most by and large
EYE = 0.9  # metres above the ground at which visibility of a walker is judged


@dataclass(frozen=True)
class Stage:
    """One video of one camera: its frames and its source of chance."""

    spec: CameraSpec
    frames: int
    rng: np.random.Generator

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.spec.fps

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.frames / self.spec.fps

    def appearance(self) -> Appearance:
        """Clothes of somebody new."""
        return sample_appearance(self.rng, self.spec.habits.carrying)

    def walkway(self) -> tuple[FloatArray, float]:
        """A walking route as people may use it, shifted sideways: corner points (P, 2), metres/second."""
        routes = [route for route in self.spec.habits.routes if route.mover == "walker"]
        route = routes[int(self.rng.integers(len(routes)))]
        return self.line(route), route.speed

    def line(self, route: Route) -> FloatArray:
        """One arrival's own line along a route."""
        points = np.array(route.points)
        if route.both_ways and self.rng.random() < 0.5:
            points = points[::-1]
        if route.both_ways and route.mover == "car":
            points = aside(points, -1.3)  # they keep to the right
        return aside(points, float(np.clip(self.rng.normal(0, 0.45), -0.9, 0.9)) * route.spread)

    def seen(self, line: FloatArray) -> FloatArray:
        """Distances in metres along a line at which a walker is well inside the frame."""
        distances = np.arange(0.0, max(_length(line), 0.5), 0.2)
        spots = travel(line, distances)[0]
        return np.asarray(distances[self.inside(spots)])

    def inside(self, spots: FloatArray, margin: float = 0.05) -> FloatArray:
        """Which ground points (N, 2) show a person standing there."""
        lens = self.spec.lens
        pixels, depth = lens.project(np.column_stack([spots, np.full(len(spots), EYE)]))
        size = np.array([lens.width, lens.height])
        within = ((pixels > margin * size) & (pixels < (1 - margin) * size)).all(-1)
        return np.asarray(within & (depth > 0.5) & (spots[:, 1] < self.spec.back - 0.2))


@dataclass(frozen=True)
class Path:
    """Where somebody goes: frames from ``first``, position (n, 2), heading (n,), metres/second (n,)."""

    first: int
    spots: FloatArray
    heading: FloatArray
    speed: FloatArray

    def times(self, fps: float) -> FloatArray:
        """Seconds since the video began (n,)."""
        return (self.first + np.arange(len(self.spots))) / fps


@dataclass(frozen=True)
class Act:
    """A posture taken with weights (n,) between 0 and 1."""

    posture: str
    weight: FloatArray


def aside(line: FloatArray, offset: float) -> FloatArray:
    """A polyline (P, 2) moved to its left by ``offset`` metres."""
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], -1)
    return np.asarray(line + offset * normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9))


def _length(line: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def travel(line: FloatArray, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Position (n, 2) and heading (n,) at ``distance`` (n,) metres along a polyline; corners are rounded."""
    marks = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])

    def at(metres: FloatArray) -> FloatArray:
        inner = np.stack([np.interp(metres, marks, line[:, axis]) for axis in (0, 1)], -1)
        ends = np.minimum(metres, 0)[:, None] * _unit(line[1] - line[0])
        return np.asarray(inner + ends + np.maximum(metres - marks[-1], 0)[:, None] * _unit(line[-1] - line[-2]))

    before, after = at(distance - 0.5), at(distance + 0.5)
    along = after - before
    return (before + after) / 2, np.unwrap(np.arctan2(along[:, 1], along[:, 0]))


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def ramp(times: FloatArray, start: float, end: float, rise: float = RAMP) -> FloatArray:
    """1 between ``start`` and ``end`` seconds, 0 outside, rising over ``rise`` seconds within."""
    return np.asarray(np.clip(np.minimum(times - start, end - times) / rise, 0, 1))


def stroll(stage: Stage, line: FloatArray, speed: FloatArray, first: int, pinned: tuple[int, float]) -> Path:
    """Move along a line at signed ``speed`` (n,) m/s from frame ``first``; cut to the video.

    ``pinned`` = (index, metres): how far along the line somebody is at that index. Negative speed turns back.
    """
    distance = np.cumsum(speed) / stage.fps
    distance += pinned[1] - distance[int(np.clip(pinned[0], 0, len(speed) - 1))]
    spots, heading = travel(line, distance)
    half = max(int(0.22 * stage.fps), 1)
    back = np.convolve(
        np.pad(speed < 0, half, mode="edge").astype(float), np.full(2 * half + 1, 1 / (2 * half + 1)), "valid"
    )
    keep = slice(max(-first, 0), max(min(stage.frames - first, len(speed)), 0))
    return Path(max(first, 0), spots[keep], (heading + np.pi * back)[keep], np.abs(speed)[keep])


def person(
    stage: Stage,
    path: Path,
    look: Appearance,
    acts: list[Act],
    *,
    cyclist: bool = False,
    facing: FloatArray | None = None,
) -> Actor:
    """Somebody on a path, walking as fast as it moves, with postures laid over."""
    times, phase = path.times(stage.fps), float(stage.rng.uniform(0, 6.28))
    cycle = phase + 2 * np.pi * np.cumsum(cadence(path.speed) * np.clip(path.speed / 0.3, 0, 1)) / stage.fps
    if cyclist:
        angles = cycling(phase + np.cumsum(path.speed) / stage.fps * 1.4)
    else:
        angles = gait(path.speed, cycle, 0.5 * look.build.stature)
        acts = [Act("stand", np.clip(1 - path.speed / 0.45, 0, 1)), *acts]
    for act in acts:
        angles += act.weight[:, None] * (posture(act.posture, times, phase) - angles)
    if look.carries in ("handbag", "suitcase") and not cyclist:
        angles[:, 7] *= 0.2
    bounce = 0.05 * np.clip((path.speed - 2) / 1.5, 0, 1) * np.abs(np.sin(cycle)) * (not cyclist)
    position = np.column_stack([path.spots, bounce])
    heading = path.heading if facing is None else facing
    return Actor("cyclist" if cyclist else "person", path.first, position, heading, look, angles)


def make_way(cast: list[Actor]) -> None:
    """Everyday walkers step aside for one another, and for whatever happens; in place."""
    people = [actor for actor in sorted(cast, key=lambda actor: actor.first) if actor.kind == "person"]
    for number, one in enumerate(people):
        for other in people[number + 1 :]:
            if other.first >= one.last:
                break
            _pass_by(one, other)


def _pass_by(one: Actor, other: Actor) -> None:
    """Push two apart across the line on which they approach, by a smooth bump around the meeting."""
    start, end = other.first, min(one.last, other.last)
    here, there = slice(start - one.first, end - one.first), slice(0, end - start)
    if end - start < 3:
        return
    gap = one.position[here, :2] - other.position[there, :2]
    nearest = int(np.argmin((gap**2).sum(-1)))
    closing = gap[min(nearest + 1, len(gap) - 1)] - gap[max(nearest - 1, 0)]
    if np.linalg.norm(gap[nearest]) > REACH or np.linalg.norm(closing) < 1e-3:
        return
    across = _unit(np.array([-closing[1], closing[0]]))
    side = 1.0 if gap[nearest] @ across >= 0 else -1.0
    bump = 0.5 * np.exp(-((gap**2).sum(-1)) / 0.45**2)[:, None] * across * side
    for actor, part, sign in ((one, here, 1.0), (other, there, -1.0)):
        if not actor.abnormal.any():
            actor.position[part, :2] += sign * bump * _moving(actor)[part, None]


def _moving(actor: Actor) -> FloatArray:
    """1 where somebody walks, 0 where they stand (n,), smoothly between."""
    steps = np.linalg.norm(np.gradient(actor.position[:, :2], axis=0), axis=1)
    usual = max(float(steps.max()), 1e-6)
    return np.asarray(np.clip(steps / usual * 1.4 - 0.2, 0, 1) * (usual > 0.01))


def turned(heading: FloatArray, towards: float | FloatArray, weight: FloatArray) -> FloatArray:
    """Headings (n,) turned by the short way to ``towards`` where ``weight`` (n,) is 1."""
    gap = np.angle(np.exp(1j * (np.asarray(towards) - heading)))
    return np.asarray(heading + weight * gap)


# ---------------------------------------------------------------- passers-by


def everyday(stage: Stage) -> list[Actor]:
    """Everyone whom this camera sees on a day like any other."""
    cast: list[Actor] = []
    for route in stage.spec.habits.routes:
        for second in _arrivals(stage, route):
            cast += _passers(stage, route, second)
    for place in stage.spec.habits.places:
        for arrival, leaving in _visits(stage, place):
            cast += _visitors(stage, place, arrival, leaving)
    return [actor for actor in cast if len(actor.position) > 1]


def _arrivals(stage: Stage, route: Route) -> Iterator[float]:
    dwelling = LONGEST if stage.spec.habits.pausing or stage.spec.habits.roaming else 0.0
    second = -_length(np.array(route.points)) / route.speed - dwelling
    apart = 2.5 if route.mover == "car" else 0.0
    while (second := second + apart + float(stage.rng.exponential(1 / route.rate))) < stage.seconds:
        yield second


def _passers(stage: Stage, route: Route, second: float) -> list[Actor]:
    line, rng = stage.line(route), stage.rng
    pace = route.speed * float(np.clip(rng.normal(1, 0.1), 0.75, 1.3))
    if route.mover == "car":
        return [driver(stage, line, route.speed, second)]
    count = 1
    if route.mover == "walker" and (legs := _unhurried(stage, route, line)):
        return [wanderer(stage, legs, pace, second)]
    if route.mover == "walker" and rng.random() < stage.spec.habits.grouped:
        count = int(rng.integers(2, 4))
    gap = min(0.62, 0.3 + route.spread / 2)
    return [
        passer(stage, aside(line, (number - (count - 1) / 2) * gap), pace, second + 0.25 * number * float(rng.random()),
               cyclist=route.mover == "cyclist")
        for number in range(count)
    ]  # fmt: skip


def passer(stage: Stage, line: FloatArray, pace: float, second: float, *, cyclist: bool = False) -> Actor:
    """Somebody who goes along a line from its start at ``second``."""
    first, frames = int(np.floor(second * stage.fps)), int(_length(line) / pace * stage.fps) + 2
    wobble = 1 + 0.06 * np.sin(np.arange(frames) / stage.fps * float(stage.rng.uniform(0.6, 1.4)) + first)
    path = stroll(stage, line, pace * wobble, first, (0, 0.0))
    acts = []
    if not cyclist and pace < 2 and stage.rng.random() < 0.12:
        acts = [Act("phone", np.full(len(path.spots), 0.9) * np.array(1.0))]
        acts[0].weight[path.speed > 0] = 0.0
    actor = person(stage, path, stage.appearance(), acts, cyclist=cyclist)
    actor.passing = not cyclist
    return actor


def _by_way_of(line: FloatArray, spots: FloatArray) -> list[FloatArray]:
    """The legs of a way along a line (P, 2) that leaves it for spots (N, 2) one after another and comes back to it."""
    marks = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    every = np.arange(0.0, marks[-1], 0.2)
    near = [float(every[np.argmin(np.linalg.norm(travel(line, every)[0] - spot, axis=1))]) for spot in spots[[0, -1]]]
    before, after = line[marks < near[0] - 1.0], line[marks > near[1] + 1.0]
    first = np.concatenate([before if len(before) else line[:1], spots[:1]])
    last = np.concatenate([spots[-1:], after if len(after) else line[-1:]])
    return [first, *(np.stack(pair) for pair in pairwise(spots)), last]


def _unhurried(stage: Stage, route: Route, line: FloatArray) -> list[FloatArray] | None:
    """The legs of somebody who walks from spot to spot or stops on the way; ``None`` for one who just passes."""
    rng, habits = stage.rng, stage.spec.habits
    if rng.random() < habits.roaming:
        return _by_way_of(line, roaming_spots(stage.spec, rng, int(rng.integers(1, 4))))
    if rng.random() >= habits.pausing:
        return None
    seen = stage.seen(line)
    if not len(seen):
        return None
    legs = _by_way_of(line, travel(line, rng.choice(seen, 1))[0])
    back = route.both_ways and rng.random() < 0.15
    return [legs[0], legs[0][::-1]] if back else legs


def wanderer(stage: Stage, legs: list[FloatArray], pace: float, second: float) -> Actor:
    """Somebody who goes along legs (P, 2) from ``second`` and stops for a while between them, most of the time."""
    rng, fps = stage.rng, stage.fps
    speed, stays, marks = [], [], 0
    for number, leg in enumerate(legs):
        walked = max(int(_length(leg) / pace * fps), 1)
        speed.append(np.full(walked, _length(leg) / walked * fps))
        marks += walked
        if number < len(legs) - 1:
            stay = float(rng.uniform(2.5, 14.0)) if rng.random() < 0.8 else 0.0
            doing = str(rng.choice(["stand", "phone", "bend", "talk"], p=[0.45, 0.3, 0.1, 0.15]))
            stays.append((marks / fps, marks / fps + stay, doing))
            speed.append(np.zeros(int(stay * fps)))
            marks += int(stay * fps)
    half = max(int(0.25 * fps), 1)
    box = np.full(2 * half + 1, 1 / (2 * half + 1))
    smooth = np.convolve(np.pad(np.concatenate(speed), half, mode="edge"), box, "valid")
    line = np.concatenate([legs[0], *(leg[1:] for leg in legs[1:])])
    first = int(np.floor(second * fps))
    path = stroll(stage, line, smooth, first, (0, 0.0))
    now = path.times(fps) - first / fps
    acts = [Act(doing, ramp(now, start - 0.1, end + 0.1, 0.5)) for start, end, doing in stays if end > start]
    look = path.heading + sum(
        (act.weight * 1.2 * np.sin(float(rng.uniform(0.3, 0.9)) * now + number) for number, act in enumerate(acts)),
        np.zeros(len(now)),
    )
    actor = person(stage, path, stage.appearance(), acts, facing=look)
    actor.passing = True
    return actor


def driver(stage: Stage, line: FloatArray, pace: float, second: float) -> Actor:
    """A car that goes along a line from its start at ``second``."""
    first, frames = int(np.floor(second * stage.fps)), int(_length(line) / pace * stage.fps) + 2
    path = stroll(stage, line, np.full(frames, pace), first, (0, 0.0))
    position = np.column_stack([path.spots, np.zeros(len(path.spots))])
    return Actor("car", path.first, position, path.heading, stage.appearance())


# ---------------------------------------------------------------- those who stay


def _visits(stage: Stage, place: Place) -> Iterator[tuple[float, float]]:
    rng = stage.rng
    pause = place.stay * (1 - place.taken) / max(place.taken, 0.05)
    second = -place.stay * float(rng.uniform(0, 1)) if rng.random() < place.taken else pause * float(rng.random())
    while second < stage.seconds:
        stay = place.stay * float(rng.uniform(0.6, 1.5))
        yield second, second + stay
        second += stay + pause * float(rng.uniform(0.5, 1.5)) + 1.0


def _visitors(stage: Stage, place: Place, arrival: float, leaving: float) -> list[Actor]:
    forward = np.array([np.cos(place.facing), np.sin(place.facing)])
    spot = np.array([place.x, place.y])
    if place.posture == "hug":
        return [visitor(stage, spot + side * 0.24 * forward, place.facing + np.pi * (side > 0), arrival, leaving, "hug")
                for side in (-1, 1)]  # fmt: skip
    if place.posture == "talk":
        return [visitor(stage, spot + side * 0.45 * forward, place.facing + np.pi * (side > 0), arrival, leaving,
                        "talk") for side in (-1, 1)]  # fmt: skip
    if place.posture == "play":
        return _ball_game(stage, spot, forward, arrival, leaving)
    return [visitor(stage, spot, place.facing, arrival, leaving, place.posture)]


def visitor(stage: Stage, spot: FloatArray, facing: float, arrival: float, leaving: float, doing: str) -> Actor:
    """Somebody who comes to a spot, does something there from ``arrival`` to ``leaving``, and goes."""
    rng, pace = stage.rng, float(stage.rng.uniform(0.95, 1.35))
    doors = entrances(stage.spec, *spot)
    come, go = (np.array(doors[int(rng.integers(len(doors)))]) for _ in range(2))
    way_in, way_out = float(np.linalg.norm(spot - come)), float(np.linalg.norm(go - spot))
    first = int(np.floor((arrival - way_in / pace) * stage.fps))
    frames = int((leaving - arrival + (way_in + way_out) / pace) * stage.fps) + 2
    times = (first + np.arange(frames)) / stage.fps
    speed = pace * (1 - ramp(times, arrival - RAMP, leaving + RAMP, 0.6))
    # a small bend keeps the line from folding back on itself where it comes and goes by the same way
    line = np.stack([come, spot, go + rng.normal(0, 0.2, 2)])
    path = stroll(stage, line, speed, first, (int((arrival + leaving) / 2 * stage.fps) - first, way_in))
    now = path.times(stage.fps)
    weight = ramp(now, arrival - 0.2, leaving + 0.2, 0.7)
    spots = path.spots + weight[:, None] * (spot - path.spots)
    path = Path(path.first, spots, turned(path.heading, facing, weight), path.speed)
    actor = person(stage, path, stage.appearance(), [] if doing == "lie" else [Act(doing, weight)])
    return laid_down(actor, now, arrival, leaving) if doing == "lie" else actor


def laid_down(actor: Actor, now: FloatArray, arrival: float, leaving: float) -> Actor:
    """Somebody lies down slowly (a lawn, a beach), unlike a fall."""
    weight = ramp(now, arrival, leaving, 1.8)
    assert actor.angles is not None
    actor.angles += np.sin(np.pi * weight)[:, None] * (posture("crouch", now, 0.0) - actor.angles)
    settled = np.clip(2 * weight - 1, 0, 1)[:, None]
    actor.angles += settled * (posture("lie", now, 0.0) - actor.angles)
    actor.tip, actor.side = np.pi / 2 * np.clip(1.6 * weight - 0.6, 0, 1), float(np.pi)
    return actor


def _ball_game(stage: Stage, spot: FloatArray, forward: FloatArray, arrival: float, leaving: float) -> list[Actor]:
    facing = float(np.arctan2(forward[1], forward[0]))
    ends = [spot + side * 2.0 * forward for side in (-1, 1)]
    players = [
        visitor(stage, end, facing + np.pi * number, arrival, leaving, "stand") for number, end in enumerate(ends)
    ]
    balls: list[Actor] = []
    for number, second in enumerate(np.arange(arrival + 1.0, leaving - 1.5, 1.9)):
        throwing(stage, players[number % 2], float(second))
        balls += thrown_ball(stage, ends[number % 2], ends[(number + 1) % 2], float(second), rolls=False)
    return players + balls


def throwing(stage: Stage, actor: Actor, second: float) -> FloatArray:
    """Lay a throw over an actor's angles; the hand lets go at ``second``. Gives the act's weights (n,)."""
    times = (actor.first + np.arange(len(actor.position))) / stage.fps
    assert actor.angles is not None
    for name, start, end in (("wind-up", second - 0.7, second + 0.05), ("release", second - 0.08, second + 0.6)):
        weight = ramp(times, start, end, 0.25)[:, None]
        actor.angles += weight * (posture(name, times, 0.0) - actor.angles)
    return ramp(times, second - 0.7, second + 0.6, 0.1)


def thrown_ball(
    stage: Stage, start: FloatArray, end: FloatArray, second: float, *, rolls: bool = True, flight: float = 0.9
) -> list[Actor]:
    """A thing that flies from hand height at ``start`` to ``end`` (ground points), then rolls on."""
    total = flight + (0.9 if rolls else 0.0)
    first, frames = int(np.ceil(second * stage.fps)), max(int(total * stage.fps), 2)
    keep = np.arange(max(first, 0), min(first + frames, stage.frames))
    if len(keep) < 2:
        return []
    now = keep / stage.fps - second
    share = np.clip(now / flight, 0, 1)
    slide = np.where(now > flight, 1 - np.exp(-2.5 * (now - flight)), 0.0)
    spots = start + share[:, None] * (end - start) + slide[:, None] * 0.25 * (end - start)
    rest = 0.1 if rolls else 1.3
    height = 1.7 + (rest - 1.7) * share + 4.905 * flight**2 * share * (1 - share)
    position = np.column_stack([spots, np.where(now > flight, rest, height)])
    return [Actor("ball", int(keep[0]), position, np.zeros(len(keep)), stage.appearance())]
