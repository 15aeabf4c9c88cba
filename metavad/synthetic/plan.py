"""Plans of videos: which kinds of event are abnormal on a camera, and when each is played.

A kind is abnormal on a camera only where its habits do not include it (:func:`abnormal_kinds`).
"""

from dataclasses import dataclass

import numpy as np

from metavad.synthetic.camera import CameraSpec

__all__ = ["EVENT_KINDS", "VideoPlan", "abnormal_kinds", "plan_videos", "strange_vehicles"]


@dataclass(frozen=True)
class VideoPlan:
    """One video to render: ``event`` (or ``None``) is planned from ``start`` for ``seconds``."""

    name: str
    stream: int
    number: int
    frames: int
    event: str | None = None
    start: float = 0.0
    seconds: float = 0.0


PREVALENCE = {
    "fast": 0.85, "wrong-way": 0.48, "wrong-place": 0.4, "vehicle": 0.95, "lying": 0.85, "loitering": 0.32,
    "close": 0.9, "climbing": 1.0, "scattering": 0.85, "thrown": 0.9, "left": 1.0, "fighting": 1.0,
}  # fmt: skip
"""Share of cameras on which a kind is abnormal, roughly: rarer ones are drawn more often where they are."""


EVENT_KINDS = tuple(PREVALENCE)


CROWDED_ROOMS = frozenset({"room", "shop"})


def abnormal_kinds(spec: CameraSpec) -> tuple[str, ...]:
    """The kinds of event that this camera's normality does not include."""
    includes = spec.habits.includes
    habits = {"fast": "running", "lying": "lying", "close": "close", "thrown": "throwing"}
    habits |= {"loitering": "pausing", "wrong-place": "roaming"}
    normal = {kind for kind, habit in habits.items() if habit in includes}
    if not strange_vehicles(spec):
        normal.add("vehicle")
    if "one-way" not in includes:
        normal.add("wrong-way")
    if spec.kind in CROWDED_ROOMS:
        normal |= {"loitering", "wrong-place"}
    if spec.kind in ("corridor", "room"):
        normal |= {"wrong-place", "scattering"} if spec.kind == "room" else {"wrong-place"}
    return tuple(kind for kind in EVENT_KINDS if kind not in normal)


def strange_vehicles(spec: CameraSpec) -> list[str]:
    strange = [] if "cycling" in spec.habits.includes else ["cyclist"]
    if not spec.indoor and "driving" not in spec.habits.includes:
        strange.append("car")
    return strange


def plan_videos(
    spec: CameraSpec, normal: int, test: int, normal_seconds: float, test_seconds: float
) -> tuple[list[VideoPlan], list[VideoPlan]]:
    """Plans of the normal and of the test videos; at least a fifth of the latter has no event."""
    rng = spec.generator(2)
    frames = max(round(normal_seconds * spec.fps), 8)
    ordinary = [VideoPlan(f"normal-{number:02d}", 3, number, frames) for number in range(normal)]
    kinds = _order(spec, rng)
    quiet = set(rng.permutation(test)[: -(-test // 5) if test > 1 else 0].tolist())
    tests, used = [], 0
    for number in range(test):
        length = test_seconds * float(rng.uniform(0.75, 1.25))
        start, seconds = _window(rng, length)
        event = None if number in quiet else kinds[used % len(kinds)]
        used += event is not None
        count = max(round(length * spec.fps), 8)
        tests.append(VideoPlan(f"test-{number:02d}", 4, number, count, event, start, seconds))
    return ordinary, tests


def _order(spec: CameraSpec, rng: np.random.Generator) -> list[str]:
    kinds = abnormal_kinds(spec)
    weights = np.array([1 / PREVALENCE[kind] ** 1.5 for kind in kinds])
    ranks = np.log(weights) + rng.gumbel(size=len(kinds))
    return [kinds[number] for number in np.argsort(-ranks)]


def _window(rng: np.random.Generator, length: float) -> tuple[float, float]:
    """Start and duration: every moment of a video is equally likely to be within, its edges included."""
    longest = max(0.7 * length, 1.2)
    seconds = float(rng.uniform(4, 8) if rng.random() < 0.15 else rng.uniform(1.2, 4))
    seconds = min(seconds, longest)
    return float(rng.uniform(0.4 - seconds, length - 0.4)), seconds
