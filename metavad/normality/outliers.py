"""Shots that do not belong among the shots: somebody fell while the normal clips were taken."""

import torch
from torch import Tensor

from metavad.normality.model import SceneModel

__all__ = ["outlying_shots"]

RARE = 6.9
"""Nats of the population's frame scores, one ordinary window in a thousand, from which a shot may be an outlier."""
APART = 3.0
"""How many times as much as the others it must surprise, but for one of them where there are four or more: at a
lively camera every shot surprises."""
FEWEST = 3
"""Shots of which one can be told from the others."""


def outlying_shots(model: SceneModel) -> tuple[int, ...]:
    """Numbers (from 0) of shots that surprise a detector made of the other shots as no ordinary clip does.

    The mean frame score of the clip, held out, must be rare in the population and stand apart from all other
    clips' (of five and more shots, but for one, which may be as odd). With fewer than three shots nobody can tell
    which is the odd one: none.
    """
    support = model.support
    means = torch.nanmean(support.frames, dim=1)
    if support.clips < FEWEST or means.isnan().all():
        return ()
    nats = model.frames.after(support.held_out_size).surprise(means.nan_to_num(0.0))
    return tuple(number for number in range(len(means)) if nats[number] > RARE and _stands_apart(means, number))


def _stands_apart(means: Tensor, number: int) -> bool:
    others = torch.cat([means[:number], means[number + 1 :]]).nan_to_num(0.0).sort(descending=True).values
    return bool(means[number] > APART * others[min(1, len(others) // 4)])
