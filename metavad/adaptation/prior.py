"""What many cameras say about normal scores: the base tails, after the networks are trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from metavad.adaptation.adapt import Method, adapted, learn, surprises
from metavad.calibration.accumulation import smooth, strongest
from metavad.calibration.tails import BaseTail, levels
from metavad.config import Config
from metavad.episodes import Clip, EpisodeSampler
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet, under
from metavad.features.sample import Sample
from metavad.meta.base import Base, Control
from metavad.progress import SILENT, Progress

__all__ = ["Draw", "fit_prior"]

Resolve = Callable[[Sequence[Clip]], Sample]
Draw = Callable[[int], EpisodeSampler]
"""K to the sampler of episodes with exactly K shots."""
CELLS = 4000
"""Scores kept of one episode and expert."""


@dataclass(frozen=True)
class _Known:
    support: Sample
    query: Sample


def fit_prior(
    config: Config,
    experts: ExpertSet,
    params: Parameters,
    step_sizes: Parameters,
    control: Parameters,
    control_sizes: Parameters,
    draw: Draw,
    resolve: Resolve,
    *,
    shots: Sequence[int] = (0, 1, 3, 10),
    rounds: int = 2,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> Base:
    """Score query clips of every training scene after adapting with K shots; the pooled tails make the base."""
    weights = {name: torch.tensor([0.5413, 0.0]) for name, _ in experts.each()}  # softplus(0.5413) = 1
    blank = {name: _unit_tail() for name, _ in experts.each()}
    base = Base(config, params, step_sizes, blank, weights, Control(control, control_sizes, blank), dict(facts or {}))
    with progress.task("Normal scores over cameras", len(shots) * 2 + 1) as task:
        episodes = {}
        for count in shots:
            episodes[count] = [_known(episode, resolve, count) for episode in _episodes(draw(max(count, 1)), rounds)]
        tails = {}
        collected = []
        for count in shots:
            collected.append([_raw_scores(adapted(base), each) for each in episodes[count]])
            task.advance()
        for name, _ in experts.each():
            pooled = [torch.cat([scores[name] for scores in each]) for each in collected]
            tails[name] = BaseTail.fit(pooled, shots)
        plain = [_raw_scores(_of_control(base), each) for each in episodes[0]]
        control_tails = {name: BaseTail.fit([torch.cat([s[name] for s in plain])], [0]) for name in tails}
        task.advance()
        base = replace(base, tails=tails, control=Control(control, control_sizes, control_tails))
        frames = []
        for count in shots:
            frames.append(torch.cat([_frame_scores(adapted(base), each) for each in episodes[count]]))
            task.advance()
    ticks = min(len(each) for each in frames)
    return replace(
        base, tails={**tails, "frame": BaseTail.fit(frames, shots)}, facts={**base.facts, "normal_ticks": ticks}
    )


def _episodes(sampler: EpisodeSampler, rounds: int) -> list[tuple[Sequence[Clip], Sequence[Clip]]]:
    episodes = [sampler(number) for number in range(rounds * len(sampler.scenes))]
    return [(episode.support, episode.query) for episode in episodes]


def _known(episode: tuple[Sequence[Clip], Sequence[Clip]], resolve: Resolve, shots: int) -> _Known:
    support, query = resolve(episode[0]), resolve(episode[1])
    return _Known(support if shots else support.select([]), query)


def _raw_scores(method: Method, each: _Known) -> dict[str, Tensor]:
    """Some scores of the query clips, by expert; evenly spread over clips, ticks and cells."""
    model = learn(replace(method, strengths=None), each.support)
    shown = each.support if method.strengths is not None else each.support.select([])
    with torch.no_grad():
        memory = under(method.experts, model.params, ExpertSet.condition, shown)
        scores = under(method.experts, model.params, ExpertSet.score, each.query, memory)
    found = {}
    for name, expert in method.experts.each():
        values = scores[name][expert.known(each.query)].flatten()
        found[name] = values[torch.linspace(0, len(values) - 1, CELLS).long()]
    return found


def _frame_scores(method: Method, each: _Known) -> Tensor:
    """Frame scores of the query clips, as a detector would give them."""
    model, settings = learn(method, each.support), method.config.scoring
    found = surprises(model, each.query)
    scores = strongest(found.fused, settings.top)
    seconds = each.query.seconds
    parts = [
        smooth(score[sure].numpy(), time[sure].numpy(), settings.past, settings.ahead)
        for score, sure, time in zip(scores, found.known, seconds, strict=True)
        if sure.any()
    ]
    return torch.cat([torch.from_numpy(part).float() for part in parts])


def _of_control(base: Base) -> Method:
    method = adapted(base)
    return replace(method, params=base.control.params, steps=0, strengths=None)


def _unit_tail() -> BaseTail:
    return BaseTail(torch.tensor([0]), levels()[None])
