"""What many cameras say about normal scores: the base's population, after the networks are trained.

Every camera's normal footage is cut in two. K shots come from one half, the scores from windows of the other, as
long as a slow expert looks back: so the tables say how surprising normal life is to a detector that was shown K
clips, which is the more the fewer it was shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metavad.episodes import Clip, VideoSpan, draw_shots
from metavad.errors import NonFiniteError
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample
from metavad.normality.accumulation import smooth, strongest
from metavad.normality.base import Base, ExpertPopulation
from metavad.normality.calibration import compress
from metavad.normality.distribution import PopulationScores
from metavad.normality.fit import Uncalibrated, calibrate, fit, fit_parameters, uncalibrated
from metavad.normality.fusion import Case, fit_weights
from metavad.normality.methods import Adapted, FineTuned, Method
from metavad.normality.model import SceneModel
from metavad.progress import SILENT, Progress, along

__all__ = ["fit_population", "halves", "initial_weights", "windows"]

Resolve = Callable[[Sequence[Clip]], Sample]
Cases = Callable[[int], Sequence[Case]]
"""K to labelled generated cameras after K shots."""
CELLS = 4000
"""Scores kept of one scene, number of shots and expert."""


@dataclass(frozen=True)
class _Camera:
    """A scene's shots, and windows of its other footage, each a sample of one clip."""

    scene: str
    support: Sample
    grid: tuple[int, int]
    windows: tuple[Sample, ...]


_Learned = tuple[Uncalibrated, Sequence[Sample]]
"""What was learned of a camera, and the windows of its other footage."""


def fit_population(
    base: Base,
    spans: Mapping[str, Sequence[VideoSpan]],
    grids: Mapping[str, tuple[int, int]],
    resolve: Resolve,
    *,
    cases: Cases | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Base:
    """The base with its experts' populations, fusion weights (where there are labelled cases) and frame scores.

    ``spans`` are the normal videos of meta-training scenes, ``grids`` the cells (h, w) of their score maps;
    ``base.config.population`` says for which K. The control was shown nothing (K = 0), whatever K is. Raises
    :class:`NonFiniteError` naming the scene where adapting or scoring leaves the finite numbers.
    """
    settings = base.config.population
    total = 3 * len(settings.shots) + 2 + (len(settings.weigh) if cases else 0)
    with progress.task("Normal scores over cameras", total) as task:
        cameras = {count: _cameras(base, spans, grids, resolve, count, seed) for count in settings.shots}
        raw = {}
        for count in settings.shots:
            raw[count] = [_raw_scores(Adapted(base), each) for each in along(progress, "Scenes", cameras[count])]
            task.advance(note=f"K = {count}")
        unseen = [replace(each, support=each.support.select([])) for each in cameras[settings.shots[0]]]
        plain = [_raw_scores(FineTuned(base), each) for each in along(progress, "Scenes", unseen)]
        base = _with_scores(base, raw, plain)
        task.advance(note="control")
        fitted: dict[int, list[_Learned]] = {}
        for count in settings.shots:
            scenes = along(progress, "Scenes", cameras[count])
            fitted[count] = [(uncalibrated(Adapted(base), each.support, each.grid), each.windows) for each in scenes]
            task.advance(note=f"locations, K = {count}")
        base = _with_frames_of_experts(base, fitted, unseen)
        task.advance(note="experts' frames")
        if cases is not None:
            labelled: list[Case] = []
            for count in settings.weigh:
                labelled += cases(count)
                task.advance(note=f"labelled, K = {count}")
            base = fit_weights(base, labelled)
        frames = []
        for count in settings.shots:
            frames.append(torch.cat([_frame_scores(base, *each) for each in fitted[count]]))
            task.advance(note=f"frames, K = {count}")
    facts = {**base.facts, "normal_ticks": min(len(each) for each in frames)}
    return replace(base, frames=PopulationScores.fit(frames, settings.shots), facts=facts)


def _with_scores(
    base: Base, raw: Mapping[int, Sequence[Mapping[str, Tensor]]], plain: Sequence[Mapping[str, Tensor]]
) -> Base:
    """The base with the distributions of its experts' scores, and the control's."""
    counts = tuple(raw)
    population = {
        name: ExpertPopulation(PopulationScores.fit([_pooled(raw[count], name) for count in counts], counts))
        for name in base.weights
    }
    control = {name: ExpertPopulation(PopulationScores.fit([_pooled(plain, name)], [0])) for name in base.weights}
    return replace(base, population=population, control=replace(base.control, population=control))


def _with_frames_of_experts(base: Base, fitted: Mapping[int, Sequence[_Learned]], unseen: Sequence[_Camera]) -> Base:
    """The base with the distribution of each expert's own frame scores.

    Those of an expert that is not active after few clips begin where it is; of one that never is nothing is known, and
    a score is its own surprise.
    """
    found = {
        count: [_expert_frames(base, calibrate(Adapted(base), learned), seen) for learned, seen in each]
        for count, each in fitted.items()
    }
    plain = [_expert_frames(base, fit(FineTuned(base), each.support, each.grid), each.windows) for each in unseen]
    population = {}
    for name, known in base.population.items():
        counts = [count for count in found if any(name in each for each in found[count])]
        parts = [_pooled(found[count], name) for count in counts]
        population[name] = replace(known, frames=PopulationScores.fit(parts, counts)) if counts else known
    control = {
        name: replace(each, frames=PopulationScores.fit([_pooled(plain, name)], [0])) if name in plain[0] else each
        for name, each in base.control.population.items()
    }
    return replace(base, population=population, control=replace(base.control, population=control))


def _expert_frames(base: Base, model: SceneModel, seen: Sequence[Sample]) -> dict[str, Tensor]:
    """Frame scores on ordinary footage of each expert that is active, by itself, in compressed nats."""
    found = [model.score(window) for window in seen]
    top = base.config.scoring.top
    return {
        name: torch.cat([strongest(compress(each.maps[name]), top)[each.known] for each in found])
        for name in base.weights
        if model.calibrations[name].is_active
    }


def initial_weights(experts: ExpertSet) -> dict[str, Tensor]:
    """Fusion weights where they start: each expert's own, for every K."""
    return {name: torch.tensor([math.log(math.expm1(expert.initial_weight)), 0.0]) for name, expert in experts.each()}


def _cameras(
    base: Base,
    spans: Mapping[str, Sequence[VideoSpan]],
    grids: Mapping[str, tuple[int, int]],
    resolve: Resolve,
    shots: int,
    seed: int,
) -> list[_Camera]:
    found, settings, length = [], base.config.population, base.config.data.clip_frames
    for number, scene in enumerate(sorted(spans)):
        shown, other = halves(spans[scene], number % 2)
        parts = windows(other, settings.windows, settings.seconds)
        available = sum(len(span.clips(length)) for span in shown)
        count = min(max(shots, 1), available)
        if not parts or count == 0:
            continue
        support = resolve(draw_shots(shown, count, length, seed).clips)
        samples = tuple(resolve([window]) for window in parts)
        found.append(_Camera(scene, support if shots else support.select([]), grids[scene], samples))
    return found


def halves(spans: Sequence[VideoSpan], turn: int) -> tuple[list[VideoSpan], list[VideoSpan]]:
    """Every other video; a single one is cut in the middle, with a second between."""
    if len(spans) > 1:
        parts = list(spans[0::2]), list(spans[1::2])
    else:
        span = spans[0]
        middle = (span.first + span.frames) // 2
        parts = [replace(span, frames=middle)], [replace(span, first=middle + round(span.rate))]
    return parts if turn == 0 else (parts[1], parts[0])


def windows(spans: Sequence[VideoSpan], count: int, seconds: float) -> list[Clip]:
    """Windows that share no frame, evenly spread."""
    found = []
    for span in spans:
        end = span.first
        for clip in span.whole(round(seconds * span.rate)):
            if clip.first >= end:
                found.append(clip)
                end = clip.end
    if not found:
        return [
            max(span.clips(round(seconds * span.rate)), key=lambda clip: clip.length)
            for span in spans[:1]
            if span.clips(round(seconds * span.rate))
        ]
    picked = sorted({round(place) for place in torch.linspace(0, len(found) - 1, min(count, len(found))).tolist()})
    return [found[place] for place in picked]


def _raw_scores(method: Method, each: _Camera) -> dict[str, Tensor]:
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


def _window_scores(method: Method, each: _Camera) -> dict[str, Tensor]:
    params, memory = fit_parameters(method, each.support)
    experts = method.base.experts
    values: dict[str, list[Tensor]] = {name: [] for name in method.base.weights}
    with torch.no_grad():
        for window in each.windows:
            scores = under(experts, params, ExpertSet.score, window, memory)
            for name, expert in experts.each():
                values[name].append(scores[name][expert.known(window)].flatten())
    return {name: torch.cat(parts) for name, parts in values.items()}


def _spread(values: Tensor, count: int) -> Tensor:
    """At most ``count`` of them; a stride that shares no factor with the grid's width sees all columns."""
    if len(values) <= count:
        return values
    return values[torch.linspace(0, len(values) - 1, count).long()]


def _pooled(scores: Sequence[Mapping[str, Tensor]], name: str) -> Tensor:
    return torch.cat([each[name] for each in scores if name in each])


def _frame_scores(base: Base, learned: Uncalibrated, seen: Sequence[Sample]) -> Tensor:
    """Frame scores of the windows, as a detector would give them."""
    settings, model = base.config.scoring, calibrate(Adapted(base), learned)
    parts = []
    for window in seen:
        found = model.score(window)
        scores = torch.where(found.known, strongest(found.fused, settings.top), torch.nan)[0]
        if found.known.any():
            parts.append(smooth(scores.numpy(), window.seconds[0].numpy(), settings.past, settings.future))
    return torch.cat([torch.from_numpy(part).float() for part in parts])
