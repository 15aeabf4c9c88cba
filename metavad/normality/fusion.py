"""Fusion weights learned over cameras: the adapted scene model is asked to rank true anomalies above normal life.

Only the weights are learned here, two numbers an expert, on generated cameras whose labels are exact; by the
ranking of frame scores after adapting, not by likelihood.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metavad.features.sample import Sample
from metavad.meta.objective import separation_loss
from metavad.normality.base import Base
from metavad.normality.calibration import weight_after
from metavad.normality.fit import fit
from metavad.normality.methods import Adapted

__all__ = ["Case", "fit_weights"]

STEPS, RATE = 150, 0.05
TICKS = 60
"""Normal and abnormal ticks kept of one case, each."""
BORROWED = 10
"""Abnormal ticks of one case that cases without any are held against."""
CELLS = 64
PULL = 0.5
"""Weight of staying near where the weights start."""


@dataclass(frozen=True)
class Case:
    """A camera's shots, and whole test videos with a label for each tick (true = abnormal)."""

    support: Sample
    grid: tuple[int, int]
    shots: int
    videos: tuple[tuple[Sample, Tensor], ...]


@dataclass(frozen=True)
class _Ranked:
    """Calibrated surprises (N, experts, cells) of normal and of abnormal ticks after K shots.

    Only a tick's ``CELLS`` most surprising cells are kept: the others cannot be among the highest.
    """

    shots: int
    normal: Tensor
    abnormal: Tensor
    count: int
    """Cells that make a frame's score."""


def fit_weights(base: Base, cases: Iterable[Case], *, steps: int = STEPS) -> Base:
    """The base with fusion weights that rank the cases' abnormal ticks above their normal ones.

    Minimises the smooth 1 - AUC of single ticks, mean over cases, with a pull towards the weights it has. Normal
    life of a camera without anomalies (real ones) is held against the anomalies of all others after as many
    shots: what alarms on ordinary footage loses its weight.
    """
    ranked = _paired([_collect(base, case) for case in cases])
    if not ranked:
        return base
    names = list(base.weights)
    start = torch.stack([base.weights[name] for name in names])
    free = start.clone().requires_grad_()
    adam = torch.optim.Adam([free], lr=RATE)
    for _ in range(steps):
        loss = torch.stack([_loss(free, each) for each in ranked]).mean()
        (free.grad,) = torch.autograd.grad(loss + PULL * (free - start).square().sum(), free)
        adam.step()
    return replace(base, weights=dict(zip(names, free.detach(), strict=True)))


def _paired(found: Sequence[_Ranked]) -> list[_Ranked]:
    """Cases with both kinds of tick; those without an anomaly borrow the others' after as many shots."""
    anomalies = {
        shots: _some([each.abnormal[:BORROWED] for each in found if each.shots == shots])
        for shots in {each.shots for each in found if len(each.abnormal)}
    }
    both = [
        each if len(each.abnormal) else replace(each, abnormal=anomalies[each.shots])
        for each in found
        if len(each.abnormal) or each.shots in anomalies
    ]
    return [each for each in both if len(each.normal)]


def _collect(base: Base, case: Case) -> _Ranked:
    model = fit(Adapted(base), case.support, case.grid)
    normal: list[Tensor] = []
    abnormal: list[Tensor] = []
    for sample, labels in case.videos:
        found = model.score(sample)
        calibrated = [
            model.calibrations[name].rarity(found.maps[name][0]) * model.calibrations[name].is_active
            for name in base.weights
        ]
        maps = torch.stack(calibrated, dim=1).flatten(2)
        count = max(1, round(base.config.scoring.top * maps.shape[-1]))
        maps = _highest(maps, max(CELLS, 2 * count))
        known = found.known[0]
        normal.append(maps[known & ~labels])
        abnormal.append(maps[known & labels])
    return _Ranked(case.shots, _some(normal), _some(abnormal), count)


def _some(parts: Sequence[Tensor]) -> Tensor:
    """At most ``TICKS``, evenly spread."""
    ticks = torch.cat(list(parts))
    if len(ticks) <= TICKS:
        return ticks
    return ticks[torch.linspace(0, len(ticks) - 1, TICKS).long()]


def _highest(maps: Tensor, cells: int) -> Tensor:
    """(T, experts, cells) at the cells where one of the experts is most surprised."""
    best = maps.amax(1).topk(min(cells, maps.shape[-1]), dim=-1).indices
    return maps.gather(2, best[:, None].expand(-1, maps.shape[1], -1))


def _loss(free: Tensor, ranked: _Ranked) -> Tensor:
    weights = torch.stack([weight_after(pair, ranked.shots) for pair in free])
    weights = weights / weights.sum()  # ranking knows no scale: without this the weights drift
    low, high = (
        (maps * weights[:, None]).sum(1).topk(ranked.count, dim=-1).values.mean(-1)
        for maps in (ranked.normal, ranked.abnormal)
    )
    return separation_loss(low, high)
