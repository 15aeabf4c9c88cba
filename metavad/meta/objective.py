"""What the inner loop descends on the support, and what the outer loop asks of the adapted experts."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from metavad.experts.base import Expert
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample

__all__ = ["clip_scores", "query_losses", "separation_loss", "separation_losses", "support_loss", "total"]


def support_loss(experts: ExpertSet, support: Sample) -> Tensor:
    """Loss of K shots as new to the experts as a query is: each half under the memory of the other half.

    With K = 1 the clip stands under the memory of nothing. An expert without memory takes all clips at once.
    """
    return torch.stack([_crossed(expert, support) for _, expert in experts.each()]).sum()


def query_losses(experts: ExpertSet, query: Sample, support: Sample) -> dict[str, Tensor]:
    """Each expert's loss on clips it has not seen, under the memory of the whole support."""
    return experts.losses(query, experts.condition(support))


def separation_losses(experts: ExpertSet, normal: Sample, abnormal: Sample, support: Sample) -> dict[str, Tensor]:
    """Each expert's :func:`separation_loss` between two sets of clips, under the memory of the support."""
    memory = experts.condition(support)
    low, high = experts.score(normal, memory), experts.score(abnormal, memory)
    return {name: separation_loss(clip_scores(low[name]), clip_scores(high[name])) for name in low}


def separation_loss(normal: Tensor, abnormal: Tensor) -> Tensor:
    """Mean softplus(normal - abnormal) over all pairs of clip scores (N,) and (M,): a smooth 1 - AUC.

    Differences are measured in standard deviations of all scores together (held constant), so that experts
    with different units weigh the same. Yan et al. 2003,
    https://cdn.aaai.org/ICML/2003/ICML03-110.pdf.
    """
    spread = torch.cat([normal, abnormal]).detach().std(correction=0).clamp_min(1e-6)
    return functional.softplus((normal[:, None] - abnormal[None, :]) / spread).mean()


def clip_scores(scores: Tensor, top: float = 0.01) -> Tensor:
    """Score maps (B, T, h, w) to clip scores (B,): the mean of the highest ``top`` share of the cells."""
    cells = scores.flatten(1)
    return cells.topk(max(1, round(top * cells.shape[1])), dim=1).values.mean(1)


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """The experts' losses added up."""
    return torch.stack(list(losses.values())).sum()


def _crossed(expert: Expert, support: Sample) -> Tensor:
    clips = range(support.clips)
    even, odd = support.select(clips[0::2]), support.select(clips[1::2])
    memory = expert.condition(odd)
    if not memory:
        return expert.loss(support, memory)
    loss = expert.loss(even, memory)
    if odd.clips == 0:
        return loss
    return (even.clips * loss + odd.clips * expert.loss(odd, expert.condition(even))) / support.clips
