"""What many cameras say about normal scores: the base's tails, after the networks are trained.

Every camera's normal footage is cut in two. K shots come from one half, the scores from windows of the other, as
long as a slow expert looks back: so the tables say how surprising normal life is to a detector that was shown K
clips, which is the more the fewer it was shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metavad.adaptation.adapt import Method, Normality, adapted, learn, speaks, surprises
from metavad.adaptation.weights import Case, fit_weights
from metavad.calibration.accumulation import smooth, strongest
from metavad.calibration.fusion import compress
from metavad.calibration.tails import BaseTail
from metavad.episodes import Clip, Reel, draw_shots
from metavad.errors import NonFiniteError
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample
from metavad.meta.base import Base
from metavad.progress import SILENT, Progress, along

__all__ = ["first_weights", "fit_prior", "halves", "windows"]

Resolve = Callable[[Sequence[Clip]], Sample]
Cases = Callable[[int], Sequence[Case]]
"""K to labelled generated cameras after K shots."""
CELLS = 4000
"""Scores kept of one scene, number of shots and expert."""


@dataclass(frozen=True)
class _Known:
    """A scene's shots, and windows of its other footage, each a sample of one clip."""

    scene: str
    support: Sample
    windows: tuple[Sample, ...]


def fit_prior(
    base: Base,
    reels: Mapping[str, Sequence[Reel]],
    resolve: Resolve,
    *,
    cases: Cases | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Base:
    """The base with its experts' tails, fusion weights (where there are labelled cases) and frame tail.

    ``reels`` are the normal videos of meta-training scenes; ``base.config.prior`` says for which K. Raises
    :class:`NonFiniteError` naming the scene where adapting or scoring leaves the finite numbers.
    """
    shots = base.config.prior.shots
    total = 3 * len(shots) + 2 + (len(base.config.prior.weigh) if cases else 0)
    with progress.task("Normal scores over cameras", total) as task:
        known = {count: _all_known(base, reels, resolve, count, seed) for count in shots}
        raw = {}
        for count in shots:
            scenes = along(progress, "Scenes", known[count])
            raw[count] = [_raw_scores(adapted(base), each) for each in scenes]
            task.advance(note=f"K = {count}")
        plain = [_raw_scores(_of_control(base), each) for each in along(progress, "Scenes", known[shots[0]])]
        task.advance(note="control")
        tails = {name: BaseTail.fit([_pooled(raw[count], name) for count in shots], shots) for name in base.weights}
        control = {name: BaseTail.fit([_pooled(plain, name)], [0]) for name in base.weights}
        base = replace(base, tails=tails, control=replace(base.control, tails=control))
        learned = {}
        for count in shots:
            scenes = along(progress, "Scenes", known[count])
            learned[count] = [(learn(adapted(base), each.support), each.windows) for each in scenes]
            task.advance(note=f"tails, K = {count}")
        base = _with_loudness(base, learned, known[shots[0]])
        task.advance(note="loudness")
        if cases is not None:
            labelled: list[Case] = []
            for count in base.config.prior.weigh:
                labelled += cases(count)
                task.advance(note=f"labelled, K = {count}")
            base = fit_weights(base, labelled)
        frames = []
        for count in shots:
            frames.append(torch.cat([_frame_scores(_again(model, base), seen) for model, seen in learned[count]]))
            task.advance(note=f"frames, K = {count}")
    facts = {**base.facts, "normal_ticks": min(len(each) for each in frames)}
    return replace(base, tails={**base.tails, "frame": BaseTail.fit(frames, shots)}, facts=facts)


def _with_loudness(
    base: Base, learned: Mapping[int, Sequence[tuple[Normality, Sequence[Sample]]]], unseen: Sequence[_Known]
) -> Base:
    """The base with the tail of each expert's own frame scores, under ``"frame:<expert>"``.

    Those of an expert that is silent after little was shown begin where it speaks; of one that never speaks nothing
    is known, and a score is its own surprise.
    """
    loud = {count: [_loudness(model, seen) for model, seen in each] for count, each in learned.items()}
    plain = _of_control(base)
    unadapted = [_loudness(learn(plain, each.support.select([])), each.windows) for each in unseen]
    spoken = {name: [count for count in loud if any(name in each for each in loud[count])] for name in base.weights}
    tails = {
        f"frame:{name}": BaseTail.fit([_pooled(loud[count], name) for count in counts], counts)
        for name, counts in spoken.items()
        if counts
    }
    control = {f"frame:{name}": BaseTail.fit([_pooled(unadapted, name)], [0]) for name in unadapted[0]}
    return replace(
        base,
        tails={**base.tails, **tails},
        control=replace(base.control, tails={**base.control.tails, **control}),
    )


def _loudness(model: Normality, seen: Sequence[Sample]) -> dict[str, Tensor]:
    """Frame scores on ordinary footage of each expert that speaks, by itself, in compressed nats."""
    found = [surprises(model, window) for window in seen]
    top = model.method.config.scoring.top
    return {
        name: torch.cat([strongest(compress(each.maps[name]), top)[each.known] for each in found])
        for name in model.method.weights
        if speaks(model.method, name, model.evidence)
    }


def _again(model: Normality, base: Base) -> Normality:
    """What was learned of a camera, with the base's present weights and levels."""
    return replace(model, method=adapted(base))


def first_weights(experts: ExpertSet) -> dict[str, Tensor]:
    """Fusion weights where they start: each expert's own voice, for every K."""
    return {name: torch.tensor([math.log(math.expm1(expert.voice)), 0.0]) for name, expert in experts.each()}


def _all_known(
    base: Base, reels: Mapping[str, Sequence[Reel]], resolve: Resolve, shots: int, seed: int
) -> list[_Known]:
    found = []
    for number, scene in enumerate(sorted(reels)):
        for turn in range(base.config.prior.rounds):
            shown, other = halves(reels[scene], (turn + number) % 2)
            parts = windows(other, base.config.prior.windows, base.config.prior.seconds)
            available = sum(len(reel.clips(base.config.data.clip_frames)) for reel in shown)
            count = min(max(shots, 1), available)
            if not parts or count == 0:
                continue
            support = resolve(draw_shots(shown, count, base.config.data.clip_frames, seed + turn).clips)
            samples = tuple(resolve([window]) for window in parts)
            found.append(_Known(scene, support if shots else support.select([]), samples))
    return found


def halves(reels: Sequence[Reel], turn: int) -> tuple[list[Reel], list[Reel]]:
    """Every other video; a single one is cut in the middle, with a second between."""
    if len(reels) > 1:
        parts = list(reels[0::2]), list(reels[1::2])
    else:
        reel = reels[0]
        middle = (reel.first + reel.frames) // 2
        parts = [replace(reel, frames=middle)], [replace(reel, first=middle + round(reel.rate))]
    return parts if turn == 0 else (parts[1], parts[0])


def windows(reels: Sequence[Reel], count: int, seconds: float) -> list[Clip]:
    """Windows that share no frame, evenly spread."""
    found = []
    for reel in reels:
        end = reel.first
        for clip in reel.whole(round(seconds * reel.rate)):
            if clip.first >= end:
                found.append(clip)
                end = clip.end
    if not found:
        return [
            max(reel.clips(round(seconds * reel.rate)), key=lambda clip: clip.length)
            for reel in reels[:1]
            if reel.clips(round(seconds * reel.rate))
        ]
    picked = sorted({round(place) for place in torch.linspace(0, len(found) - 1, min(count, len(found))).tolist()})
    return [found[place] for place in picked]


def _raw_scores(method: Method, each: _Known) -> dict[str, Tensor]:
    """Some scores of the windows, by expert; evenly spread over ticks and cells.

    Raises :class:`NonFiniteError` with the scene: of NaN no table can be made.
    """
    try:
        found = _window_scores(method, each)
    except NonFiniteError as error:
        raise NonFiniteError(f"scene {each.scene!r}: {error}") from None
    for name, values in found.items():
        if not values.isfinite().all():
            raise NonFiniteError(
                f"scene {each.scene!r}: expected finite scores of {name!r} after {each.support.clips} clips, found "
                "NaN or infinity; try a smaller meta.step_size, or look at the scene's videos"
            )
    return {name: _spread(values, CELLS) for name, values in found.items()}


def _window_scores(method: Method, each: _Known) -> dict[str, Tensor]:
    model = learn(replace(method, strengths=None), each.support)
    shown = each.support if method.strengths is not None else each.support.select([])
    values: dict[str, list[Tensor]] = {name: [] for name in method.weights}
    with torch.no_grad():
        memory = under(method.experts, model.params, ExpertSet.condition, shown)
        for window in each.windows:
            scores = under(method.experts, model.params, ExpertSet.score, window, memory)
            for name, expert in method.experts.each():
                values[name].append(scores[name][expert.known(window)].flatten())
    return {name: torch.cat(parts) for name, parts in values.items()}


def _spread(values: Tensor, count: int) -> Tensor:
    """At most ``count`` of them; a stride that shares no factor with the grid's width sees all columns."""
    if len(values) <= count:
        return values
    return values[torch.linspace(0, len(values) - 1, count).long()]


def _pooled(scores: Sequence[Mapping[str, Tensor]], name: str) -> Tensor:
    return torch.cat([each[name] for each in scores if name in each])


def _frame_scores(model: Normality, seen: Sequence[Sample]) -> Tensor:
    """Frame scores of the windows, as a detector would give them."""
    settings = model.method.config.scoring
    parts = []
    for window in seen:
        found = surprises(model, window)
        scores = torch.where(found.known, strongest(found.fused, settings.top), torch.nan)[0]
        if found.known.any():
            parts.append(smooth(scores.numpy(), window.seconds[0].numpy(), settings.past, settings.ahead))
    return torch.cat([torch.from_numpy(part).float() for part in parts])


def _of_control(base: Base) -> Method:
    return replace(adapted(base), params=base.control.params, steps=0, strengths=None)
