"""Normalizing flow over local optical flow, conditioned on place and on what was shown there."""

from typing import ClassVar

import torch
import zuko
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, FlowDensityConfig
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.shown import cell_at, fastest
from metavad.features.sample import Sample

__all__ = ["FlowDensity"]

STILL = 0.01
"""Heights/second under which motion is noise."""
MOVING = 0.03
"""Heights/second from which a cell counts as moving."""


class FlowDensity(Expert):
    """Density of (log speed, direction right, direction down) of a cell's motion, given its place.

    An autoregressive spline flow (Durkan et al. 2019, https://arxiv.org/abs/1906.04032) in two factors, the speed
    and the direction given the speed, so that the speed's latent gives its exact tail at this place. Score: minus
    the log probability of moving at least this fast here, in nats (higher = more anomalous).
    """

    name: ClassVar[str] = "flow_density"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    voice: ClassVar[float] = 1.0
    whisper: ClassVar[float] = 0.03

    def __init__(self, settings: FlowDensityConfig) -> None:
        super().__init__()
        self.history = settings.horizon
        self.cells = settings.cells
        self.evidence = nn.Parameter(torch.zeros(()))
        """Log of the clips that the prior of a place's statistics counts for."""
        shape = {
            "transforms": 1,
            "bins": settings.bins,
            "hidden_features": (settings.hidden,) * 2,
            "activation": nn.SiLU,
        }
        self.speed = zuko.flows.NSF(features=1, context=_CONTEXT, **shape)
        self.direction = zuko.flows.NSF(features=2, context=_CONTEXT + 1, **shape)

    @classmethod
    def build(cls, config: Config) -> "FlowDensity":
        """From the section ``flow_density``."""
        return cls(config.flow_density)

    def condition(self, support: Sample) -> Memory:
        """{"shown": (5, h, w)}: evidence, and shrunk means of speed, moving share and direction near a cell.

        {"fastest": (K, h, w)}: the highest speed of each shot near a cell, to explain by.
        """
        values = _variables(support["flow"].movedim(2, -1))
        moving = (support["flow"][:, :, 2] > MOVING).to(values)
        known = support.known["flow"].to(values)[:, :, None, None]
        directions = (values[..., 1:] * moving[..., None]).unbind(-1)
        summed = torch.stack([values[..., 0], moving, *directions])
        weight = known / known.sum(1, keepdim=True).clamp_min(1)
        near = _blur((summed * weight).sum((1, 2)))
        clips = (known.sum((1, 2, 3)) > 0).sum().to(values)
        shrunk = near / (clips + self.evidence.exp())
        known_of = torch.cat([torch.log1p(clips).expand(1, *near.shape[1:]), shrunk])
        return {"shown": known_of, "fastest": fastest(support)}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Negative log-likelihood in nats; still cells count a tenth."""
        values, context, weight = self._drawn(sample, memory)
        speed, direction = values[..., :1], values[..., 1:]
        likelihood = self.speed(context).log_prob(speed)
        likelihood = likelihood + self.direction(torch.cat([context, speed], dim=-1)).log_prob(direction)
        loss: Tensor = -(likelihood * weight).sum() / weight.sum().clamp_min(1e-6)
        return loss

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats of surprise at the speed (B, T, h, w); the floor where no motion is known yet."""
        speed = _variables(sample["flow"].movedim(2, -1))[..., :1]
        # The context has no time: the spline of a place is made once, whatever the length.
        latent = self.speed(self._context(memory)).transform(speed)[..., 0]
        surprise = -torch.special.log_ndtr(-latent)
        known = sample.known["flow"][:, :, None, None]
        return torch.where(known, surprise, surprise.new_tensor(self.floor))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason:
        """Its speed there against the highest speed that the shots showed near there."""
        speeds = sample["flow"][0, -1, 2]
        row, column = cell_at(speeds, place)
        speed = float(speeds[row, column])
        shown = memory["fastest"][:, row, column] if "fastest" in memory else speeds.new_zeros(0)
        return Reason(_sentence(speed, shown), tuple((shown - speed).abs().tolist()))

    def _context(self, memory: Memory) -> Tensor:
        """(h, w, D): where a cell is and what was shown there."""
        shown = memory["shown"]
        height, width = shown.shape[1:]
        down = torch.linspace(-1, 1, height).to(shown)[:, None].expand(height, width)
        across = torch.linspace(-1, 1, width).to(shown)[None].expand(height, width)
        return torch.stack([down, across, across**2, *shown], dim=-1)

    def _drawn(self, sample: Sample, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Every n-th cell, so that a loss costs the same whatever the sample's length."""
        batch, ticks, _, height, width = sample["flow"].shape
        step = max(1, batch * ticks * height * width // self.cells)
        step += step % 2 == 0  # odd, so that rows of even length do not give the same column again and again
        flow = sample["flow"].movedim(2, -1).flatten(0, -2)[::step]
        tick, cell = self._places(len(flow), step, height * width, flow.device)
        context = self._context(memory).flatten(0, 1)[cell]
        known = sample.known["flow"].flatten()[tick]
        weight = torch.where(flow[:, 2] > MOVING, 1.0, 0.1) * known
        return _variables(flow), context, weight.to(flow)

    @staticmethod
    def _places(count: int, step: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tick and cell of every drawn value."""
        number = torch.arange(count, device=device) * step
        return number // cells, number % cells


_CONTEXT = 8


FASTER = 1.05
"""Ratio of speeds from which one is faster than another."""


def _sentence(speed: float, shown: Tensor) -> str:
    """A speed against the highest of each shot (K,), heights/second."""
    if len(shown) == 0:
        return "moves faster than is usual at such a place on other cameras"
    most = float(shown.max())
    if most < MOVING:
        return "moves where nothing shown ever moved"
    if speed < FASTER * most:
        return "moves faster than is usual at this place, though no faster than all that was shown"
    return f"moves {speed / most:.1f} times as fast as anything shown at this place"


def _variables(flow: Tensor) -> Tensor:
    """(..., 3) motion to standardised log speed and direction; still cells have no direction."""
    speed = flow[..., 2:]
    direction = flow[..., :2] / (speed + STILL)
    return torch.cat([((speed + STILL).log() + 3.5) / 1.2, 2.0 * direction], dim=-1)


def _blur(maps: Tensor) -> Tensor:
    """(C, h, w) averaged over a tenth of the height and a quarter of it across."""
    rows = maps.shape[1]
    down, across = max(1, round(rows * 0.1)) | 1, max(1, round(rows * 0.25)) | 1
    return functional.avg_pool2d(
        maps, (down, across), stride=1, padding=(down // 2, across // 2), count_include_pad=False
    )
