"""Shots that do not belong among the shots: somebody fell while the normal clips were taken."""

import torch
from torch import Tensor

from metavad.adaptation.adapt import Normality, judges

__all__ = ["odd_shots"]

RARE = 6.9
"""Nats of the base's frame tail, one ordinary window in a thousand, from which a shot may be odd."""
APART = 3.0
"""How many times as much as the others it must surprise, but for one of them where there are four or more: at a
lively camera every shot surprises."""


FEWEST = 3
"""Shots of which one can be told from the others."""


def odd_shots(model: Normality) -> tuple[int, ...]:
    """Numbers (from 0) of shots that surprise a detector made of the other shots as no ordinary clip does.

    The mean frame score of the clip, left out, must be rare under the base's tail and stand apart from all other
    clips' (of five and more shots, but for one, which may be as odd). With fewer than three shots nobody can tell
    which is the odd one: none.
    """
    means = _means(model.frame_surprise)
    if model.shots < FEWEST or means.isnan().all():
        return ()
    nats = model.method.tails["frame"].nats(means.nan_to_num(0.0), judges(model))
    return tuple(number for number in range(len(means)) if nats[number] > RARE and _apart(means, number))


def _means(frames: Tensor) -> Tensor:
    """Mean over the known ticks of each clip (K,); NaN where none is."""
    return torch.nanmean(frames, dim=1)


def _apart(means: Tensor, number: int) -> bool:
    others = torch.cat([means[:number], means[number + 1 :]]).nan_to_num(0.0).sort(descending=True).values
    return bool(means[number] > APART * others[min(1, len(others) // 4)])
