"""Meta-training as a generator: the caller owns the loop, saves, logs and decides when to stop."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Adam

from metavad.bundle import misfit
from metavad.config import Config, MetaConfig, first_difference
from metavad.episodes import Clip, Episode
from metavad.errors import BundleError, NonFiniteError, UsageError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample, join
from metavad.meta.checkpoint import Best, TrainingState
from metavad.meta.distributed import ALONE, Group, share
from metavad.meta.engines.choice import engine_of
from metavad.meta.outer import (
    Engine,
    Initialisation,
    Plan,
    SceneGradient,
    Task,
    initialise,
    plan_at,
)
from metavad.threads import one_thread

__all__ = ["Episodes", "MetaStep", "Resolve", "SceneRecord", "meta_train"]

Episodes: TypeAlias = Callable[[int], Episode]
"""Episode n, as a pure function; an ``EpisodeSampler`` is one."""
Resolve: TypeAlias = Callable[[Sequence[Clip]], Sample]
"""Clip references to tensors."""


@dataclass(frozen=True)
class SceneRecord:
    """Query losses of one episode by expert, after adapting, and before where it was measured."""

    scene: str
    episode: int
    after: dict[str, float]
    before: dict[str, float] | None = None


@dataclass(frozen=True)
class MetaStep:
    """One outer step that is done."""

    step: int
    """Outer steps done, this one included."""
    scenes: tuple[SceneRecord, ...]
    gradient_norm: float
    """Of the meta-gradient, before it was clipped."""
    step_sizes: dict[str, float]
    """The mean step size of each tensor that adapts."""
    state: Callable[[], TrainingState]
    """What to save; raises :class:`UsageError` once the next step has been taken."""
    validation: dict[str, float] | None = None
    """Each expert's validation loss, on the steps where it was measured."""

    @property
    def loss(self) -> float:
        """Mean adapted query loss over scenes, summed over experts."""
        return math.fsum(sum(scene.after.values()) for scene in self.scenes) / len(self.scenes)


def meta_train(
    experts: ExpertSet,
    episodes: Episodes,
    resolve: Resolve,
    config: Config,
    *,
    validation: Episodes | None = None,
    resume: TrainingState | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    group: Group = ALONE,
    engine: Engine | None = None,
    corrupt: Resolve | None = None,
) -> Iterator[MetaStep]:
    """Meta-train by ``config.meta`` and give each outer step once it is done; the experts are not changed.

    Step n takes the episodes n S ... n S + S - 1, S = ``scenes_per_step``, shared out over the ranks of
    ``group``; ``engine`` is that of ``meta.engine`` unless given. ``corrupt`` makes pseudo-abnormal clips of
    query clips, for ``separation``. With ``resume`` the steps go on as if there had been no break. Raises
    :class:`NonFiniteError` naming scene, episode and step, :class:`BundleError` when ``resume`` was made with
    other settings.
    """
    engine = engine or engine_of(config.meta)
    if torch.device(device).type != "cpu":  # their buffers, which are no parameters, belong there too
        experts = copy.deepcopy(experts).to(device)
    source = _Source(episodes, resolve, torch.device(device), config.meta, corrupt)
    learner = _Learner(experts, config, seed, torch.device(device), resume)
    held_out = None if validation is None else replace(source, episodes=validation)
    for step in range(learner.step, config.meta.outer_steps):
        yield _outer_step(engine, experts, learner, source, held_out, config.meta, step, group)


@one_thread()
def _outer_step(
    engine: Engine,
    experts: ExpertSet,
    learner: "_Learner",
    source: "_Source",
    held_out: "_Source | None",
    settings: MetaConfig,
    step: int,
    group: Group,
) -> MetaStep:
    plan = plan_at(settings, step, before=step % settings.before_every == 0)
    numbers = range(step * settings.scenes_per_step, (step + 1) * settings.scenes_per_step)
    scenes, gradient = _shared_gradient(engine, experts, learner.start, source, numbers, plan, group)
    norm = learner.descend(gradient)
    losses = None
    if held_out is not None and _is_due(settings, step + 1):
        losses = _validate(engine, experts, learner.start, held_out, plan, group)
        learner.keep_best(losses)
    return MetaStep(step + 1, scenes, norm, learner.step_sizes(), partial(learner.state, step + 1), losses)


@dataclass(frozen=True)
class _Source:
    """Where tasks come from."""

    episodes: Episodes
    resolve: Resolve
    device: torch.device
    settings: MetaConfig
    corrupt: Resolve | None = None

    def task(self, number: int, dtype: torch.dtype) -> Task:
        episode = self.episodes(number)
        support, query = (self.resolve(clips).to(self.device, dtype) for clips in (episode.support, episode.query))
        abnormal = self._abnormal(episode)
        return Task(episode, support, query, None if abnormal is None else abnormal.to(self.device, dtype))

    def _abnormal(self, episode: Episode) -> Sample | None:
        if not self.settings.separation:
            return None
        made = [] if self.corrupt is None else [self.corrupt(episode.query)]
        true = [self.resolve(episode.abnormal)] if episode.abnormal else []
        return join([*true, *made]) if true or made else None


class _Learner:
    """The state that outer steps change."""

    def __init__(
        self,
        experts: ExpertSet,
        config: Config,
        seed: int,
        device: torch.device,
        resume: TrainingState | None,
    ) -> None:
        fresh = initialise(experts, config.meta)
        self.settings = _what_matters(config)
        self._seed, self._clip = seed, config.meta.clip_norm
        if resume is not None:
            _check(resume, fresh, self.settings, seed)
        self.step = 0 if resume is None else resume.step
        self.best = None if resume is None else resume.best
        self.start = _placed(fresh, resume, device)
        self._adam = _adam(self.start, config.meta, resume)

    def descend(self, gradient: Parameters) -> float:
        """One step of Adam, clipped for each expert by itself; gives the norm over all."""
        norms: dict[str, Tensor] = {}
        for name, part in gradient.items():
            expert = _expert_of(name)
            norms[expert] = norms.get(expert, part.new_zeros(())) + part.square().sum()
        for name, leaf in self.start.leaves().items():
            norm = norms[_expert_of(name)].sqrt()
            leaf.grad = gradient[name] * (self._clip / norm.clamp_min(self._clip))
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        self.step += 1
        return float(torch.stack(list(norms.values())).sum().sqrt())

    def keep_best(self, losses: Mapping[str, float]) -> None:
        """Note each expert's tensors where its validation loss is the lowest so far."""
        old = self.best or Best({}, {}, {}, {})
        better = {name for name, loss in losses.items() if loss < old.losses.get(name, math.inf)}
        params, free = _copied(self.start.params), _copied(self.start.free)
        self.best = Best(
            old.losses | {name: losses[name] for name in better},
            old.steps | dict.fromkeys(better, self.step),
            old.params | {name: tensor for name, tensor in params.items() if _expert_of(name) in better},
            old.free | {name: tensor for name, tensor in free.items() if _expert_of(name) in better},
        )

    def step_sizes(self) -> dict[str, float]:
        return {name: float(size.mean()) for name, size in self.start.step_sizes.items()}

    def state(self, step: int) -> TrainingState:
        if step != self.step:
            raise UsageError(
                f"state of step {step}: expected to be asked for before the next step, found step {self.step} done; "
                "call state() inside the loop"
            )
        moments = {
            f"{kind}/{name}": self._adam.state[leaf][kind].detach().cpu().clone()
            for name, leaf in self.start.leaves().items()
            for kind in ("exp_avg", "exp_avg_sq")
        }
        params, free = _copied(self.start.params), _copied(self.start.free)
        return TrainingState(self.step, params, free, moments, self._seed, self.settings, self.best)


def _shared_gradient(
    engine: Engine,
    experts: ExpertSet,
    start: Initialisation,
    source: _Source,
    numbers: Sequence[int],
    plan: Plan,
    group: Group,
) -> tuple[tuple[SceneRecord, ...], Parameters]:
    """The mean meta-gradient over all scenes of a step, and what happened on each; one all-reduce."""
    dtype = next(iter(start.params.values())).dtype
    mine = share(numbers, group)
    outcomes = engine(experts, start, [source.task(number, dtype) for _, number in mine], plan)
    leaves, names = start.leaves() if plan.gradient else {}, [name for name, _ in experts.each()]
    table = torch.zeros(len(numbers), 1 + 2 * len(names), dtype=dtype, device=source.device)
    gradients = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    for (place, _), outcome in zip(mine, outcomes, strict=True):
        table[place] = _row(outcome, names)
        gradients = {name: summed + outcome.gradient[name] for name, summed in gradients.items()}
    flat = group.sum(torch.cat([table.flatten(), *(part.flatten() for part in gradients.values())]))
    records = _records(flat[: table.numel()].reshape(table.shape), names, source, numbers, plan)
    parts = torch.split(flat[table.numel() :], [leaf.numel() for leaf in leaves.values()])
    return records, {
        name: part.reshape(leaf.shape) / len(numbers) for (name, leaf), part in zip(leaves.items(), parts, strict=True)
    }


def _row(outcome: SceneGradient, names: Sequence[str]) -> Tensor:
    """(1 + 2 experts,): zero or NaN for the gradient as a whole, losses after, losses before."""
    after = [outcome.losses[name] for name in names]
    nothing = torch.zeros_like(after[0])
    whole = torch.stack([nothing, *(part.sum() for part in outcome.gradient.values())]).sum()
    before = [outcome.before.get(name, nothing) for name in names]
    return torch.stack([0.0 * whole, *after, *before])


def _records(
    table: Tensor, names: Sequence[str], source: _Source, numbers: Sequence[int], plan: Plan
) -> tuple[SceneRecord, ...]:
    records = []
    for number, (whole, *losses) in zip(numbers, table.tolist(), strict=True):
        episode = source.episodes(number)
        if not all(math.isfinite(value) for value in (whole, *losses)):
            raise _not_finite(episode, number // source.settings.scenes_per_step, whole, losses)
        after, before = losses[: len(names)], losses[len(names) :]
        measured = plan.before or plan.kind == "joint"
        records.append(
            SceneRecord(
                episode.scene,
                number,
                dict(zip(names, after, strict=True)),
                dict(zip(names, before, strict=True)) if measured else None,
            )
        )
    return tuple(records)


def _validate(
    engine: Engine,
    experts: ExpertSet,
    start: Initialisation,
    source: _Source,
    plan: Plan,
    group: Group,
) -> dict[str, float]:
    """Mean adapted query loss of each expert on the same held-out episodes every time."""
    numbers = range(source.settings.validation_episodes)
    measured = replace(plan, order=1, before=False, separation=0.0, gradient=False)
    records, _ = _shared_gradient(engine, experts, start, source, numbers, measured, group)
    return {name: math.fsum(record.after[name] for record in records) / len(records) for name in records[0].after}


def _is_due(settings: MetaConfig, done: int) -> bool:
    return done % settings.validate_every == 0 or done == settings.outer_steps


def _not_finite(episode: Episode, step: int, whole: float, losses: Sequence[float]) -> NonFiniteError:
    what = "loss" if not all(math.isfinite(value) for value in losses) else "gradient"
    return NonFiniteError(
        f"{what} of scene {episode.scene!r}, episode {episode.number}, outer step {step}: expected finite numbers, "
        f"found NaN or infinity; try smaller meta.step_size or meta.learning_rate, or look at the scene's videos"
    )


def _placed(fresh: Initialisation, resume: TrainingState | None, device: torch.device) -> Initialisation:
    params = fresh.params if resume is None else resume.params
    free = fresh.free if resume is None else resume.free
    return Initialisation(
        {name: params[name].detach().clone().to(device).requires_grad_() for name in fresh.params},
        {
            name: free[name].detach().clone().to(device).requires_grad_(tensor.requires_grad)
            for name, tensor in fresh.free.items()
        },
    )


STEP_SIZE_RATE = 1e-2
"""Learning rate of the step sizes' logarithms, nearly: of the free tensors under their softplus."""


def _adam(start: Initialisation, settings: MetaConfig, resume: TrainingState | None) -> Adam:
    leaves = start.leaves()
    rates = {"params": settings.learning_rate, "free": STEP_SIZE_RATE}
    adam = Adam([{"params": [leaf], "lr": rates[name.partition("/")[0]]} for name, leaf in leaves.items()])
    if resume is not None:
        for name, leaf in leaves.items():
            moments = {kind: resume.moments[f"{kind}/{name}"] for kind in ("exp_avg", "exp_avg_sq")}
            adam.state[leaf] = {kind: tensor.clone().to(leaf) for kind, tensor in moments.items()}
            adam.state[leaf]["step"] = torch.tensor(float(resume.step))
    return adam


def _expert_of(name: str) -> str:
    """``"params/flow_density.net.weight"`` or ``"flow_density.net.weight"`` to ``"flow_density"``."""
    return name.rpartition("/")[2].partition(".")[0]


def _copied(tensors: Mapping[str, Tensor]) -> Parameters:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


_MAY_CHANGE = {"outer_steps", "control_steps", "before_every"}
_LATER = {"population", "adaptation", "scoring"}
"""Sections that nothing reads before the networks are trained."""


def _what_matters(config: Config) -> dict[str, Any]:
    """The settings that a resumed run must share with the one it continues."""
    settings = config.model_dump(mode="json", exclude=_LATER)
    return settings | {"meta": {key: value for key, value in settings["meta"].items() if key not in _MAY_CHANGE}}


def _check(resume: TrainingState, fresh: Initialisation, settings: dict[str, Any], seed: int) -> None:
    begun = {"seed": resume.seed, **resume.settings}
    found = first_difference(begun, {"seed": seed, **settings}) or _misfit(resume, fresh)
    if found is not None:
        raise BundleError(
            f"resume: expected a state made with the same settings, seed and experts, found {found}; "
            "resume with the command that began the run, or begin a new one with another --out"
        )


def _misfit(resume: TrainingState, fresh: Initialisation) -> str | None:
    """What is wrong with the first tensor of a state that is none of these experts'."""
    moments = {f"{kind}/{name}": leaf for name, leaf in fresh.leaves().items() for kind in ("exp_avg", "exp_avg_sq")}
    pairs = [(resume.params, fresh.params), (resume.free, fresh.free), (resume.moments, moments)]
    if resume.best is not None:  # of an expert that was never measured nothing is kept
        for found, wanted in ((resume.best.params, fresh.params), (resume.best.free, fresh.free)):
            pairs.append((found, {name: wanted[name] for name in found.keys() & wanted.keys()}))
    return next((what for found, wanted in pairs if (what := misfit(found, wanted))), None)
