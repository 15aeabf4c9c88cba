"""The adapter: a base and K clips of a camera to a model of that camera's normality."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from metavad.calibration.accumulation import strongest
from metavad.calibration.fusion import compress, fuse, heard, weight_at
from metavad.calibration.tails import BaseTail, PlaceTail, Strengths, place_tail, surprise
from metavad.config import CalibrationConfig, Config
from metavad.errors import NonFiniteError
from metavad.experts.base import Memory, Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.base import grid_of
from metavad.features.library import features_of
from metavad.features.sample import Sample, chosen
from metavad.meta.base import Base
from metavad.meta.evaluate import compiled
from metavad.meta.inner import StepSizes, inner_loop
from metavad.meta.objective import support_loss
from metavad.progress import SILENT, Progress, Task
from metavad.threads import one_thread, workers

__all__ = [
    "Method",
    "Normality",
    "Surprise",
    "adapt",
    "adapted",
    "fine_tune",
    "judges",
    "leading",
    "learn",
    "lookback",
    "louder",
    "refit",
    "said",
    "speaks",
    "strengths_of",
    "surprises",
    "together",
    "usual_frames",
]


Found = TypeVar("Found")


@dataclass(frozen=True)
class Method:
    """One way to learn a camera from its shots; the rows of the protocol differ only in this."""

    experts: ExpertSet
    params: Parameters
    step_sizes: StepSizes
    steps: int
    tails: Mapping[str, BaseTail]
    weights: Mapping[str, Tensor]
    config: Config
    strengths: Strengths | None
    """How the shots' own scores are shrunk; ``None``: no memory of the shots, only gradient steps."""
    compile: bool = False
    """Score by ``torch.compile``: minutes at first, then a little faster; for long footage."""


@dataclass(frozen=True)
class Normality:
    """What is normal at one camera: adapted parameters, memory, and tails by place."""

    method: Method
    shots: int
    evidence: float
    """Times of the camera that the shots show (see ``Sample.moments``): what they count for."""
    params: Parameters
    memory: Memory
    places: Mapping[str, PlaceTail]
    loudness: Mapping[str, Tensor]
    """For each expert the frame scores (K, T) of the shots, each left out in turn; NaN where not known."""
    frame_surprise: Tensor
    """The same of all experts together."""

    @cached_property
    def louder(self) -> dict[str, float]:
        """By how much each expert is louder here than at other cameras: :func:`louder`."""
        return louder(self.method, self.evidence, self.loudness)


@dataclass(frozen=True)
class Surprise:
    """Scores of B clips: each expert's map and the fused one (B, T, h, w) in nats; known (B, T)."""

    maps: Mapping[str, Tensor]
    fused: Tensor
    known: Tensor


def adapted(base: Base) -> Method:
    """The base: learned initialisation and step sizes, memory, tails by place."""
    return Method(
        base.experts,
        base.params,
        base.step_sizes,
        base.config.adaptation.steps,
        base.tails,
        base.weights,
        base.config,
        strengths_of(base.config.calibration),
    )


def fine_tune(base: Base) -> Method:
    """The jointly trained control: gradient steps on the shots, its step size chosen on training scenes."""
    return Method(
        base.experts,
        base.control.params,
        base.control.step_sizes,
        base.config.adaptation.steps,
        base.control.tails,
        base.weights,
        base.config,
        None,
    )


def refit(base: Base, seed: int) -> Method:
    """Fitted on the shots alone: random networks trained on them, tails without a prior."""
    generator = torch.Generator().manual_seed(seed)
    params = {name: _scrambled(tensor, generator) for name, tensor in sorted(base.control.params.items())}
    sizes = {name: torch.tensor(REFIT_STEP) for name in base.experts.adaptable}
    none = Strengths(1e-3, 1e-3, base.config.calibration.width_down, base.config.calibration.width_across)
    tails = {name: tail for name, tail in base.control.tails.items() if not name.startswith("frame:")}
    return Method(base.experts, params, sizes, REFIT_STEPS, tails, base.weights, base.config, none)


REFIT_STEPS, REFIT_STEP = 8, 0.003


def adapt(base: Base, support: Sample, progress: Progress = SILENT) -> Normality:
    """Get used to a camera: the base after its inner steps on the K clips (B = K; B = 0 is zero-shot)."""
    return learn(adapted(base), support, progress=progress)


@one_thread()
def learn(
    method: Method, support: Sample, grid: tuple[int, int] | None = None, progress: Progress = SILENT
) -> Normality:
    """What a method makes of the shots. Their own scores are cross-fitted: no clip judges itself.

    ``grid`` (h, w) is the camera's where the shots are another camera's. Raises :class:`NonFiniteError` where the
    inner steps ran away.
    """
    if grid is not None:
        support = _regridded(support, grid, method.config)
    grid, evidence = _grid_of(support, method.config), support.moments(method.config.adaptation.apart)
    if support.clips == 0 or method.strengths is None:
        params, memory = _fit(method, support)
        places = {name: _anywhere(grid) for name, _ in method.experts.each()}
        return Normality(method, support.clips, evidence, params, memory, places, {}, torch.zeros(0, 1))
    each = evidence / support.clips
    params, memory, nats, known = _fitted(method, support, grid, progress)
    _stop_unless_finite(nats, support.clips)
    places = {name: place_tail(nats[name], known[name], method.strengths.against(each)) for name in nats}
    # The memory of one map at a time: what surprises takes the place of base surprise.
    maps = {name: _left_out(method, nats.pop(name), known[name], each) for name in places}
    loudness = {name: _frames(method, found, known[name]) for name, found in maps.items()}
    frame = _shown_frames(method, maps, loudness, known, each)
    return Normality(method, support.clips, evidence, params, memory, places, loudness, frame)


@one_thread()
def surprises(model: Normality, sample: Sample, since: int = 0) -> Surprise:
    """Nats by which each place of each tick from ``since`` on surprises (B, T - since, h, w), by expert and fused.

    Of the ticks before, every expert reads no more than it looks back on (:func:`lookback`).
    """
    with torch.no_grad():
        known = {name: expert.known(sample)[:, since:] for name, expert in model.method.experts.each()}
        maps = {name: _silence(model, name, flags) for name, flags in known.items()}
        for name, score in _scores(model, sample, since).items():
            maps[name] = _placed(model, name, score, known[name])
    return Surprise(maps, together(model, maps), torch.stack(list(known.values())).all(0))


def lookback(model: Normality) -> dict[str, int]:
    """Ticks before one that each expert's score of it may depend on."""
    rate = model.method.config.data.rate
    return {name: round(expert.history * rate) for name, expert in model.method.experts.each()}


def together(model: Normality, maps: Mapping[str, Tensor]) -> Tensor:
    """The fused map of these experts' maps; that of all is the sum of each alone."""
    return _fused(model.method, model.evidence, model.evidence, said(model, maps))


def said(model: Normality, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is heard of these experts' maps, in nats of what they say of ordinary frames: :func:`heard`."""
    return _said(model.method, model.evidence, maps, model.louder)


def louder(method: Method, evidence: float, loudness: Mapping[str, Tensor]) -> dict[str, float]:
    """By how many compressed nats each expert is louder on this camera's ordinary footage than on other cameras'.

    A high quantile of what it says of the shots left out in turn, less that of the base's cameras after as many shots;
    the more of it, the more times of the camera the shots show.
    """
    return {name: _louder(method, name, evidence, loudness.get(name)) for name, _ in method.experts.each()}


def usual_frames(method: Method, name: str) -> BaseTail:
    """The tail of an expert's own frame scores on ordinary footage of the base's cameras."""
    return method.tails.get(f"frame:{name}") or BaseTail.unit()


def leading(experts: ExpertSet) -> frozenset[str]:
    """Names of the experts that speak from the first; where none leads, the first one does."""
    names = [name for name, _ in experts.each()]
    return frozenset([name for name, expert in experts.each() if expert.leads] or names[:1])


def strengths_of(settings: CalibrationConfig) -> Strengths:
    """The config's strengths."""
    return Strengths(settings.place_strength, settings.scene_strength, settings.width_down, settings.width_across)


def _fit(method: Method, support: Sample) -> tuple[Parameters, Memory]:
    """Inner steps and memory on these clips; raises :class:`NonFiniteError` where the steps ran away."""
    params = method.params
    if support.clips and method.steps:
        params = inner_loop(
            lambda at, shown: under(method.experts, at, support_loss, shown),
            params,
            method.step_sizes,
            support,
            steps=method.steps,
            order=1,
        )
    params = {name: tensor.detach() for name, tensor in params.items()}
    _stop_unless_finite(params, support.clips)
    shown = support if method.strengths is not None else support.select([])
    with torch.no_grad():
        return params, under(method.experts, params, ExpertSet.condition, shown)


def _stop_unless_finite(found: Mapping[str, Tensor], clips: int) -> None:
    for name, tensor in found.items():
        if not tensor.isfinite().all():
            raise NonFiniteError(
                f"expected finite numbers after {clips} clips, found NaN or infinity in {name}; leave odd clips out, "
                "or meta-train with a smaller meta.step_size"
            )


@dataclass(frozen=True)
class _CrossFit:
    """By expert the base surprise (K, T, h, w) of every shot by a model that did not see it, and known (K, T)."""

    support: Sample
    grid: tuple[int, int]
    nats: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    task: Task

    def whole(self, method: Method) -> tuple[Parameters, Memory]:
        """Inner steps and memory on all shots."""
        found = _fit(method, self.support)
        self.task.advance(self.support.clips)
        return found

    def fold(self, held: range, rest: Sequence[int], method: Method) -> None:
        """Those held out, by a model of the rest."""
        shown, place = self.support.select(rest), held.start
        params, memory = _fit(method, shown)
        self.task.advance(len(rest))
        for part in self.support.select(held).parts(PART // self.support.seconds.shape[1]):
            nats, known = _base_nats(method, params, memory, shown, part, self.grid)
            for name, into in self.nats.items():
                into[place : place + part.clips] = nats[name]
                self.known[name][place : place + part.clips] = known[name]
            place += part.clips
            self.task.advance(part.clips)


def _fitted(
    method: Method, support: Sample, grid: tuple[int, int], progress: Progress
) -> tuple[Parameters, Memory, dict[str, Tensor], dict[str, Tensor]]:
    """Inner steps and memory on all shots; their base surprise, cross-fitted, and known, by expert."""
    shape, folds = support.seconds.shape, _folds(support.clips, method.config)
    nats = {name: torch.empty(*shape, *grid) for name, _ in method.experts.each()}
    known = {name: torch.empty(shape, dtype=torch.bool) for name in nats}
    with progress.task("Learning", 2 * support.clips + sum(len(rest) for _, rest in folds)) as task:
        work = _CrossFit(support, grid, nats, known, task)
        params, memory = _each_alone(method, work.whole, [partial(work.fold, *fold) for fold in folds])
    return params, memory, nats, known


def _each_alone(method: Method, first: Callable[[Method], Found], others: Sequence[Callable[[Method], None]]) -> Found:
    """Jobs side by side, each on one core and with experts of its own, in whose place it puts other parameters."""
    with ThreadPoolExecutor(min(workers(), 1 + len(others))) as pool:
        pending = pool.submit(first, _copied(method))
        for done in [pool.submit(job, _copied(method)) for job in others]:
            done.result()
        return pending.result()


def _copied(method: Method) -> Method:
    return replace(method, experts=copy.deepcopy(method.experts))


PART = 64
"""Ticks that are scored at once."""


def _folds(clips: int, config: Config) -> list[tuple[range, Sequence[int]]]:
    """Clips held out, and the rest, for each fold.

    A fold is a stretch of time: what comes tomorrow is not between the clips but after them, so a clip must not be
    judged by its neighbours on both sides.
    """
    count = max(1, min(config.adaptation.folds, clips))
    edges = [clips * fold // count for fold in range(count + 1)]
    held = [range(first, last) for first, last in pairwise(edges)]
    return [(part, _others(part, clips)) for part in held]


def _others(part: range, clips: int) -> Sequence[int]:
    """All but a stretch; in one stretch where it is at one end."""
    before, after = range(part.start), range(part.stop, clips)
    return after if not before else before if not after else [*before, *after]


def judges(model: Normality) -> float:
    """How many times of the camera a left-out shot was judged by, at least."""
    least = min((len(rest) for _, rest in _folds(model.shots, model.method.config)), default=0)
    return least * model.evidence / max(model.shots, 1)


def _base_nats(
    method: Method, params: Parameters, memory: Memory, support: Sample, held: Sample, grid: tuple[int, int]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Base surprise (B, T, h, w) of clips after the support, and known (B, T), by expert."""
    with torch.no_grad():
        scores = under(method.experts, params, ExpertSet.score, held, memory)
    evidence = support.moments(method.config.adaptation.apart)
    nats = {name: method.tails[name].nats(_on(grid, score), evidence) for name, score in scores.items()}
    # What an expert says that has seen nothing is no evidence of what is normal here.
    told = {name: support.clips > 0 or not expert.blind for name, expert in method.experts.each()}
    return nats, {name: expert.known(held) & told[name] for name, expert in method.experts.each()}


def _anywhere(grid: tuple[int, int]) -> PlaceTail:
    """The base tail at every place."""
    return place_tail(torch.zeros(0, 1, *grid), torch.zeros(0, 1, dtype=torch.bool), Strengths(1.0, 1.0, 0.1, 0.1))


def _grid_of(sample: Sample, config: Config) -> tuple[int, int]:
    height, width = next(iter(sample.features.values())).shape[-2:]
    return grid_of(int(height), int(width), config.data.rows)


def _regridded(sample: Sample, grid: tuple[int, int], config: Config) -> Sample:
    """A sample of another camera, its pictures stretched to this one's grid; lists of things stay as they are."""
    height, width = _grid_of(sample, config)
    features = features_of(config, tuple(sample.features))

    def stretched(tensor: Tensor) -> Tensor:
        size = round(tensor.shape[-2] * grid[0] / height), round(tensor.shape[-1] * grid[1] / width)
        flat = tensor.reshape(-1, 1, *tensor.shape[-2:])
        back: Tensor = functional.interpolate(flat, size=size, mode="bilinear", align_corners=False)
        return back.reshape(*tensor.shape[:-2], *size)

    if (height, width) == grid:
        return sample
    fitted = {name: stretched(tensor) if features[name].picture else tensor for name, tensor in sample.features.items()}
    return replace(sample, features=fitted)


def _on(grid: tuple[int, int], score: Tensor) -> Tensor:
    """A score map on the camera's grid; a finer one gives each cell its highest score."""
    if score.shape[-2:] == grid:
        return score
    pooled: Tensor = functional.adaptive_max_pool2d(score, grid)
    return pooled


def _scores(model: Normality, sample: Sample, since: int) -> dict[str, Tensor]:
    """Scores of the ticks from ``since`` on by the experts that speak; what is not heard is not computed."""
    experts = dict(model.method.experts.each())
    speaking = ExpertSet([experts[name] for name in experts if speaks(model.method, name, model.evidence)])
    mine = {name: tensor for name, tensor in model.params.items() if name.partition(".")[0] in speaking}
    run: Callable[..., dict[str, Tensor]] = compiled if model.method.compile else under
    starts = {name: max(0, since - ticks) for name, ticks in lookback(model).items()}
    scores = run(speaking, mine, ExpertSet.score, sample, model.memory, starts)
    return {name: score[:, since - starts[name] :] for name, score in scores.items()}


def _silence(model: Normality, name: str, known: Tensor) -> Tensor:
    """The map (B, T, h, w) of an expert that does not speak."""
    return torch.zeros(*known.shape, *model.places[name].log_tail.shape[-2:], device=known.device)


def _placed(model: Normality, name: str, score: Tensor, known: Tensor) -> Tensor:
    place = model.places[name]
    score = _on((int(place.log_tail.shape[-2]), int(place.log_tail.shape[-1])), score)
    nats = model.method.tails[name].nats(score, model.evidence if model.method.strengths else 0)
    return torch.where(known[:, :, None, None], surprise(nats, place), nats.new_zeros(()))


def speaks(method: Method, name: str, evidence: float) -> bool:
    """Whether an expert may speak after so many times of the camera: until it was checked, only what leads.

    To one that knows only what it was shown, everything else is new; and how loud one that predicts pixels is at a
    camera of another kind, with other noise and texture, only shots can say that it was not shown. A method without
    memory of the shots is never checked.
    """
    checked = method.strengths is not None and evidence >= ENOUGH
    return checked or name in leading(method.experts)


ENOUGH = 4
"""Times of a camera from which leaving some out says how an expert does on the others."""


def _left_out(method: Method, nats: Tensor, known: Tensor, evidence: float) -> Tensor:
    """An expert's surprise (K, T, h, w) of every shot under the tails of the others; ``evidence`` of one shot."""
    assert method.strengths is not None  # the caller's branch
    found = torch.empty_like(nats)
    for held, rest in _folds(len(nats), method.config):
        tail = place_tail(chosen(nats, rest), chosen(known, rest), method.strengths.against(evidence))
        for into, part in zip(*(_parts(chosen(each, held)) for each in (found, nats)), strict=True):
            into[:] = surprise(part, tail)
    return found


def _parts(maps: Tensor) -> tuple[Tensor, ...]:
    """Maps (K, T, h, w) of some clips at a time."""
    return torch.split(maps, max(1, PART // maps.shape[1]))


def _frames(method: Method, maps: Tensor, known: Tensor) -> Tensor:
    """An expert's frame scores (K, T) of its maps, in compressed nats; NaN where not known."""
    scores = torch.cat([strongest(compress(part), method.config.scoring.top) for part in _parts(maps)])
    return torch.where(known, scores, torch.nan)


def _louder(method: Method, name: str, evidence: float, loudness: Tensor | None) -> float:
    own = torch.zeros(0) if loudness is None else loudness[~loudness.isnan()]
    if len(own) == 0 or method.strengths is None:
        return 0.0
    level = method.config.calibration.level
    common = usual_frames(method, name).score(-math.log1p(-level), evidence)
    trust = evidence / (evidence + float(method.strengths.scene))
    return trust * (float(own.quantile(level, interpolation="higher")) - common)


def _said(method: Method, shots: float, maps: Mapping[str, Tensor], by: Mapping[str, float]) -> dict[str, Tensor]:
    usual = shots if method.strengths else 0
    return {name: heard(each, usual_frames(method, name), usual, by[name]) for name, each in maps.items()}


def _fused(method: Method, shots: float, evidence: float, found: Mapping[str, Tensor]) -> Tensor:
    """The fused map after ``shots`` times of the camera, of those experts that speak after ``evidence`` of them."""
    return fuse(
        found, {name: weight_at(method.weights[name], shots) * speaks(method, name, evidence) for name in found}
    )


def _shown_frames(
    method: Method,
    maps: Mapping[str, Tensor],
    loudness: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    evidence: float,
) -> Tensor:
    """Frame score (K, T) of every shot by the tails and levels of the other shots; NaN where not known."""
    flags = torch.stack(list(known.values()))
    some = flags.any(2).any(1)  # an expert that knows nothing here has no part in it
    sure = flags[some].all(0) & some.any()
    frames = torch.full(sure.shape, torch.nan)
    for held, rest in _folds(len(sure), method.config):
        seen = len(rest) * evidence
        by = louder(method, seen, {name: chosen(each, rest) for name, each in loudness.items()})
        shown = {name: _parts(chosen(each, held)) for name, each in maps.items()}
        scores = []
        for part in zip(*shown.values(), strict=True):
            said = _said(method, seen, dict(zip(shown, part, strict=True)), by)
            fused = _fused(method, seen, len(sure) * evidence, said)
            scores.append(strongest(fused, method.config.scoring.top))
        frames[held.start : held.stop] = torch.cat(scores)
    return torch.where(sure, frames, torch.nan)


def _scrambled(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Fresh random weights of the usual scale; vectors (gains, offsets) start where a new layer's do."""
    if tensor.ndim < 2:
        return torch.full_like(tensor, float(tensor.ndim == 1 and tensor.mean() > 0.5))
    bound = 1.0 / max(1, tensor[0].numel()) ** 0.5
    uniform: Tensor = (torch.rand(tensor.shape, generator=generator) * 2 - 1) * bound
    return uniform.to(tensor)
