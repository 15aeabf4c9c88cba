"""Clips of a camera to its scene model: inner steps, memory, and calibration by clips that are held out in turn.

Cross-fitting: each fold of the clips is scored by a model of the others, and all these scores calibrate the model of
all clips, as in cross-conformal prediction (Vovk 2015, https://arxiv.org/abs/1208.0806).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from metavad.errors import NonFiniteError
from metavad.experts.base import Memory, Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample, chosen
from metavad.meta.inner import inner_loop
from metavad.meta.objective import support_loss
from metavad.normality.accumulation import strongest
from metavad.normality.calibration import Calibration, compress, fuse, on_grid, weight_after
from metavad.normality.distribution import ScoreDistribution, location_distribution, population_everywhere
from metavad.normality.methods import Method
from metavad.normality.model import SceneModel, SupportScores, counted, initially_active
from metavad.progress import SILENT, Progress, Task
from metavad.threads import one_thread, workers

__all__ = ["Uncalibrated", "calibrate", "fit", "fit_parameters", "uncalibrated"]

Found = TypeVar("Found")

OFFSET_LEVEL = 0.98
"""Quantile of an expert's frame scores from which a camera's offset is taken."""
CHECKED_FROM = 4
"""Effective sample size from which holding some clips out says how an expert does on the others."""


@one_thread()
def fit(
    method: Method,
    support: Sample,
    grid: tuple[int, int],
    progress: Progress = SILENT,
    *,
    corrections: Sequence[int] = (),
) -> SceneModel:
    """The scene model of a camera from its K clips (B = K; B = 0 is zero-shot), its maps on a ``grid`` (h, w).

    The clips' own scores are cross-fitted: none is scored by a model that was shown it. ``corrections`` are numbers,
    from 0, of clips that were chosen because they scored high: they say what is normal at their places, but not how
    high this camera scores as a rule. Raises :class:`NonFiniteError` where the inner steps ran away.
    """
    return calibrate(method, replace(uncalibrated(method, support, grid, progress), corrections=tuple(corrections)))


@dataclass(frozen=True)
class Uncalibrated:
    """What a method makes of K clips before anything is calibrated: the costly part of fitting."""

    params: Parameters
    memory: Memory
    grid: tuple[int, int]
    clips: int
    """K."""
    sample_size: float
    """Effective sample size: clips of one moment count as one."""
    surprises: Mapping[str, Tensor]
    """Of each clip (K, T, h, w) under the population, by a model that was not shown it; empty where none is kept."""
    known: Mapping[str, Tensor]
    """(K, T)."""
    corrections: tuple[int, ...] = ()
    """Clips that were chosen because they scored high."""

    @property
    def drawn(self) -> Tensor:
        """The other clips (K, 1)."""
        flags = torch.ones(self.clips, 1, dtype=torch.bool)
        flags[list(self.corrections)] = False
        return flags


@one_thread()
def uncalibrated(method: Method, support: Sample, grid: tuple[int, int], progress: Progress = SILENT) -> Uncalibrated:
    """Parameters and memory from all clips, and the surprise of each clip held out."""
    size, support = _sample_size(method, support), support.on(method.base.device)
    if method.remembered(support).clips:
        params, memory, surprises, known = _cross_fitted(method, support, grid, progress)
        _stop_unless_finite(surprises, support.clips)
        return Uncalibrated(params, memory, grid, support.clips, size, surprises, known)
    return Uncalibrated(*fit_parameters(method, support), grid, support.clips, size, {}, {})


@one_thread()
def calibrate(method: Method, found: Uncalibrated) -> SceneModel:
    """The scene model of what :func:`uncalibrated` found, under the population as the method's base has it."""
    if found.surprises:
        calibrations, frames = _by_clips(method, found)
    else:
        calibrations, frames = _by_population(method, found), torch.zeros(0, 1)
    held_out = _held_out_size(method, found.clips, found.sample_size)
    support = SupportScores(found.clips, found.sample_size, held_out, frames)
    base, config = method.base, method.base.config
    return SceneModel(
        base.experts,
        found.params,
        found.memory,
        calibrations,
        base.frames,
        support,
        config.scoring,
        config.data.rate,
        base.device,
    )


@one_thread()
def fit_parameters(method: Method, support: Sample) -> tuple[Parameters, Memory]:
    """Inner steps on these clips and, of a method that remembers, memory of them."""
    start, experts, support = method.start, method.experts, support.on(method.base.device)
    params = start.params
    if support.clips and start.steps:
        params = inner_loop(
            lambda at, shown: under(experts, at, support_loss, shown),
            params,
            start.step_sizes,
            support,
            steps=start.steps,
            order=1,
        )
    params = {name: tensor.detach() for name, tensor in params.items()}
    _stop_unless_finite(params, support.clips)
    remembered = method.remembered(support)
    with torch.no_grad():
        return params, under(experts, params, ExpertSet.condition, remembered)


def _sample_size(method: Method, support: Sample) -> float:
    return support.effective_sample_size(method.adaptation.apart)


def _is_active(method: Method, name: str, size: float) -> bool:
    """Whether an expert takes part after clips of this effective sample size.

    To one that knows only what it was shown, everything else is new; and how high one that predicts pixels scores at a
    camera of another kind, with other noise and texture, only clips can say that it was not shown. Until those are
    enough, only what works zero-shot is active; a method that remembers no clips never checks any.
    """
    return method.calibrated_by(size) >= CHECKED_FROM or name in initially_active(method.experts)


def _calibration(
    method: Method, name: str, location: ScoreDistribution, size: float, offset: float, active: bool
) -> Calibration:
    """One expert's calibration after clips of this effective sample size."""
    population, seen = method.population[name], method.calibrated_by(size)
    weight = weight_after(method.base.weights[name], size)
    return Calibration(population.scores.after(seen), location, population.frames.after(seen), offset, weight, active)


def _by_population(method: Method, found: Uncalibrated) -> dict[str, Calibration]:
    location, size = population_everywhere(found.grid), found.sample_size
    return {
        name: _calibration(method, name, location, size, 0.0, _is_active(method, name, size))
        for name in method.population
    }


def _by_clips(method: Method, found: Uncalibrated) -> tuple[dict[str, Calibration], Tensor]:
    """Calibrations from all clips, and the fused frame scores (K, T) of each under those from the others."""
    size, known = found.sample_size, found.known
    clip = size / found.clips
    shrinkage = method.shrinkage.against(clip)
    maps = {name: _surprises_of_others(method, each, known[name], clip) for name, each in found.surprises.items()}
    frames = {name: _frames(method, each, known[name] & found.drawn) for name, each in maps.items()}
    calibrations = {}
    for name, surprises in found.surprises.items():
        location = location_distribution(surprises, known[name], shrinkage)
        offset = _offset(method, name, size, frames[name])
        calibrations[name] = _calibration(method, name, location, size, offset, _is_active(method, name, size))
    scores = _held_out_frames(method, maps, frames, known, calibrations, clip)
    return calibrations, torch.where(found.drawn, scores, torch.nan)


@dataclass(frozen=True)
class _CrossFit:
    """By expert the population surprise (K, T, h, w) of every clip by a model that did not see it, and known (K, T)."""

    support: Sample
    grid: tuple[int, int]
    surprises: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    task: Task

    def whole(self, method: Method) -> tuple[Parameters, Memory]:
        """Inner steps and memory on all clips."""
        found = fit_parameters(method, self.support)
        self.task.advance(self.support.clips)
        return found

    def fold(self, held: range, rest: Sequence[int], method: Method) -> None:
        """Those held out, by a model of the rest."""
        shown, place = self.support.select(rest), held.start
        params, memory = fit_parameters(method, shown)
        self.task.advance(len(rest))
        for part in self.support.select(held).parts(PART // self.support.seconds.shape[1]):
            surprises, known = _scored_by(method, params, memory, shown, part, self.grid)
            for name, into in self.surprises.items():
                into[place : place + part.clips] = surprises[name]
                self.known[name][place : place + part.clips] = known[name]
            place += part.clips
            self.task.advance(part.clips)


PART = 64
"""Ticks that are scored at once."""


def _cross_fitted(
    method: Method, support: Sample, grid: tuple[int, int], progress: Progress
) -> tuple[Parameters, Memory, dict[str, Tensor], dict[str, Tensor]]:
    """Inner steps and memory on all clips; their population surprise, cross-fitted, and known, by expert."""
    shape, folds = support.seconds.shape, _folds(method, support.clips)
    surprises = {name: torch.empty(*shape, *grid) for name, _ in method.experts.each()}
    known = {name: torch.empty(shape, dtype=torch.bool) for name in surprises}
    with progress.task("Learning", 2 * support.clips + sum(len(rest) for _, rest in folds)) as task:
        work = _CrossFit(support, grid, surprises, known, task)
        params, memory = _side_by_side(method, work.whole, [partial(work.fold, *fold) for fold in folds])
    return params, memory, surprises, known


def _side_by_side(
    method: Method,
    first: Callable[[Method], Found],
    others: Sequence[Callable[[Method], None]],
) -> Found:
    """Jobs at the same time, each on one core and with experts of its own, in whose place it puts other parameters."""
    with ThreadPoolExecutor(min(workers(), 1 + len(others))) as pool:
        pending = pool.submit(first, _copied(method))
        for done in [pool.submit(job, _copied(method)) for job in others]:
            done.result()
        return pending.result()


def _copied(method: Method) -> Method:
    return replace(method, base=replace(method.base))


def _folds(method: Method, clips: int) -> list[tuple[range, Sequence[int]]]:
    """Clips held out, and the rest, for each fold.

    A fold is a stretch of time: what comes tomorrow is not between the clips but after them, so a clip must not be
    scored by its neighbours on both sides.
    """
    count = max(1, min(method.adaptation.folds, clips))
    edges = [clips * fold // count for fold in range(count + 1)]
    return [(range(first, last), _others(range(first, last), clips)) for first, last in pairwise(edges)]


def _others(part: range, clips: int) -> Sequence[int]:
    """All but a stretch; in one stretch where it is at one end."""
    before, after = range(part.start), range(part.stop, clips)
    return after if not before else before if not after else [*before, *after]


def _held_out_size(method: Method, clips: int, size: float) -> float:
    """Effective sample size of the clips that a held-out clip is scored by, at least."""
    least = min((len(rest) for _, rest in _folds(method, clips)), default=0)
    return least * size / max(clips, 1)


def _scored_by(
    method: Method,
    params: Parameters,
    memory: Memory,
    support: Sample,
    held: Sample,
    grid: tuple[int, int],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Population surprise (B, T, h, w) of clips after the support, and known (B, T), by expert."""
    experts = method.experts
    with torch.no_grad():
        scores = under(experts, params, ExpertSet.score, held, memory)
    size = _sample_size(method, support)
    surprises = {
        name: method.population[name].scores.after(size).surprise(on_grid(score, grid).cpu())
        for name, score in scores.items()
    }
    # What an expert scores that needs support and has none says nothing of what is normal here.
    usable = {name: support.clips > 0 or not expert.needs_support for name, expert in experts.each()}
    return surprises, {name: expert.known(held).cpu() & usable[name] for name, expert in experts.each()}


def _surprises_of_others(method: Method, surprises: Tensor, known: Tensor, clip: float) -> Tensor:
    """An expert's surprise (K, T, h, w) of every clip under the locations' distributions from the other clips."""
    found = torch.empty_like(surprises)
    for held, rest in _folds(method, len(surprises)):
        others = location_distribution(chosen(surprises, rest), chosen(known, rest), method.shrinkage.against(clip))
        for into, part in zip(*(_parts(chosen(each, held)) for each in (found, surprises)), strict=True):
            into[:] = others.surprise(part)
    return found


def _parts(maps: Tensor) -> tuple[Tensor, ...]:
    """Maps (K, T, h, w) of some clips at a time."""
    return torch.split(maps, max(1, PART // maps.shape[1]))


def _frames(method: Method, maps: Tensor, known: Tensor) -> Tensor:
    """An expert's frame scores (K, T) of its maps, in compressed nats; NaN where not known."""
    scores = torch.cat([strongest(compress(part), method.scoring.top) for part in _parts(maps)])
    return torch.where(known, scores, torch.nan)


def _offset(method: Method, name: str, size: float, frames: Tensor) -> float:
    """By how many compressed nats an expert's frame scores (K, T) are higher here than at the base's cameras.

    A high quantile of those of the clips held out, less that of the population after as many clips; the more of it,
    the more the clips are worth. Few clips say little of how lively a camera is: nothing until they are enough.
    """
    own = frames[~frames.isnan()]
    if len(own) == 0 or method.calibrated_by(size) < CHECKED_FROM:
        return 0.0
    common = method.population[name].frames.after(size).value(-math.log1p(-OFFSET_LEVEL))
    trust = size / (size + method.shrinkage.camera)
    return trust * (float(own.quantile(OFFSET_LEVEL, interpolation="higher")) - common)


def _held_out_frames(
    method: Method,
    maps: Mapping[str, Tensor],
    frames: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    calibrations: Mapping[str, Calibration],
    clip: float,
) -> Tensor:
    """Fused frame score (K, T) of every clip under the calibrations of the other clips; NaN where not known."""
    sure = counted(method.experts, known)
    found = torch.full(sure.shape, torch.nan)
    for held, rest in _folds(method, len(sure)):
        seen = len(rest) * clip
        others = {}
        for name, calibration in calibrations.items():
            offset = _offset(method, name, seen, chosen(frames[name], rest))
            others[name] = _calibration(method, name, calibration.location, seen, offset, calibration.is_active)
        shown = {name: chosen(each, held) for name, each in maps.items()}
        flags = {name: chosen(each, held)[:, :, None, None] for name, each in known.items()}
        for part in torch.split(torch.arange(len(held)), max(1, PART // sure.shape[1])):
            fused = fuse(others, *({name: each[part] for name, each in of.items()} for of in (shown, flags)))
            found[held.start + part] = strongest(fused, method.scoring.top)
    return torch.where(sure, found, torch.nan)


def _stop_unless_finite(found: Mapping[str, Tensor], clips: int) -> None:
    for name, tensor in found.items():
        if not tensor.isfinite().all():
            raise NonFiniteError(
                f"expected finite numbers after {clips} clips, found NaN or infinity in {name}; leave odd clips out, "
                "or meta-train with a smaller meta.step_size"
            )
