"""What is there that was never there: foreground by place, how large, and how long it stays."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config
from metavad.experts.background import background_of, residual
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.parts import by_parts
from metavad.experts.shown import cell_at, largest, share_word
from metavad.features.feature import grid_of
from metavad.features.sample import Sample

__all__ = ["Presence", "Stillness"]

FRAMES = 24
"""Frames drawn of a sample for one evaluation of the loss."""


class _Foreground(Expert):
    """Foreground against the background of the shots: a Laplace density of the distance at each pixel."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    head: ClassVar[tuple[str, ...]] = ("noise",)
    needs_support: ClassVar[bool] = True

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.noise = nn.Parameter(torch.tensor(-1.0))
        """Log of the distance that is noise everywhere."""
        self.trust = nn.Parameter(torch.tensor(0.5))
        """Log of what the spread seen at a pixel counts for."""

    def condition(self, support: Sample) -> Memory:
        """The background; nothing while nothing was shown. {"most": (h, w)}: the highest scores near a cell."""
        memory = background_of(support)
        with torch.no_grad():
            most = torch.stack(by_parts(lambda part: self._highest(part, memory), support)).amax(0)
            return memory | {"most": largest(most[None])[0]}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Negative log-likelihood of the distances under the Laplace density; of many frames, every n-th counts."""
        count, ticks = sample.seconds.numel(), sample.seconds.shape[1]
        number = torch.arange(0, count, max(1, count // FRAMES), device=sample.seconds.device)
        frames, known = (each["frames"][number // ticks, number % ticks] for each in (sample, sample.known))
        scale = self._scale(memory)
        each = (torch.log(2 * scale) + residual(frames, memory) / scale).mean((-1, -2))
        return (each * known).sum() / known.sum().clamp_min(1)

    def foreground(self, sample: Sample, memory: Memory) -> Tensor:
        """How surely a cell is foreground (B, T, h, w), 0 to 1."""
        beyond = functional.softplus(residual(sample["frames"], memory) / self._scale(memory) - 2.5, beta=4.0)
        sure = 1 - torch.exp(-beyond)
        grid = grid_of(sure.shape[-2], sure.shape[-1], self.rows)
        return functional.adaptive_avg_pool2d(sure, grid)

    def _highest(self, part: Sample, memory: Memory) -> Tensor:
        """The highest scores (h, w), at least 0."""
        scores = self.score(part, memory).flatten(0, 1)
        none = scores.new_zeros((1, *scores.shape[1:]))
        return torch.cat([none, scores]).amax(0)

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """Its score there against the highest that the shots had near there."""
        if "most" not in memory or not memory["clips"] > 0:
            return None
        scores = self.score(sample, memory)[0, -1].detach()
        at = cell_at(scores, place)
        return Reason(self.sentence(float(scores[at]), float(memory["most"][at].detach())))

    @staticmethod
    def sentence(now: float, most: float) -> str:
        """What is to be said of a share, and of the highest shown."""
        raise NotImplementedError

    def _scale(self, memory: Memory) -> Tensor:
        return self.noise.exp() + self.trust.exp() * memory["spread"]


class Presence(_Foreground):
    """How much of the neighbourhood is covered by what is not background (higher = more anomalous).

    Neighbourhoods of a third of the height: what comes close to the lens, or stands where the view is free.
    """

    name: ClassVar[str] = "presence"

    @classmethod
    def build(cls, config: Config) -> "Presence":
        """On the config's grid."""
        return cls(config.data.rows)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Share of the neighbourhood that is foreground (B, T, h, w)."""
        sure = self.foreground(sample, memory)
        reach = 2 * (self.rows // 6) + 1
        share = functional.avg_pool2d(sure, reach, 1, reach // 2, count_include_pad=False)
        return torch.where(sample.known["frames"][:, :, None, None], share, share.new_tensor(self.floor))

    @staticmethod
    def sentence(now: float, most: float) -> str:
        """Of the neighbourhood that is covered."""
        if now > most + NOTABLE:
            shown = f"nothing shown did over more than {share_word(most)}"
            return f"differs from the background over {share_word(now)} of the view here, where {shown}"
        return f"differs from the background over {share_word(now)} of the view here"


class Stillness(_Foreground):
    """How long something that is not background has been standing still (higher = more anomalous).

    Share of the last 20 ticks (of what was seen of them; two seconds at ten a second) in which a cell was foreground
    and did not move: what was left, who lies, who waits where nobody waits.
    """

    name: ClassVar[str] = "stillness"
    reads: ClassVar[tuple[str, ...]] = ("frames", "flow")

    def __init__(self, rows: int, rate: float) -> None:
        super().__init__(rows)
        self.history = 2.0
        self.ticks = max(1, round(self.history * rate))
        self.slow = nn.Parameter(torch.tensor(-3.0))
        """Log of the speed, heights/second, that counts half as still."""

    @classmethod
    def build(cls, config: Config) -> "Stillness":
        """On the config's grid and rate."""
        return cls(config.data.rows, config.data.rate)

    def known(self, sample: Sample) -> Tensor:
        """From the first frame on; before two seconds it knows less."""
        return sample.known["frames"]

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Share of two seconds (B, T, h, w)."""
        sure = self.foreground(sample, memory)
        speed = sample["flow"][:, :, 2]
        still = sure / (1 + (speed / self.slow.exp()).square()) * sample.known["flow"][:, :, None, None]
        # Of a short clip, the share of what was seen of it: shots must be able to show that waiting is normal here.
        seen = sample.known["flow"].to(still)[:, :, None, None].expand_as(still)
        share = _last(still, self.ticks) / _last(seen, self.ticks).clamp_min(1.0)
        return torch.where(sample.known["frames"][:, :, None, None], share, share.new_tensor(self.floor))

    @staticmethod
    def sentence(now: float, most: float) -> str:
        """Of two seconds in which something stood still."""
        if most < NEVER:
            return "stays where nothing ever stayed"
        if now > most + NOTABLE:
            return "stays longer than anything shown here"
        return "stays where little was seen to stay"


NOTABLE, NEVER = 0.05, 0.1
"""Shares by which one is more than another, and under which it is nothing."""


def _last(values: Tensor, ticks: int) -> Tensor:
    """(B, T, ...) summed over the last ``ticks`` ticks."""
    padded = torch.cat([values.new_zeros((len(values), ticks, *values.shape[2:])), values], dim=1).cumsum(1)
    return padded[:, ticks:] - padded[:, :-ticks]
