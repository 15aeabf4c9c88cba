"""Normalizing flow over local optical flow, of which half believes in perspective."""

import math
from typing import ClassVar

import torch
import zuko
from torch import Tensor, nn
from zuko.transforms import ComposedTransform

from metavad.config import Config, FlowDensityConfig
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.distinct import distinct_speeds, looked_up
from metavad.experts.resampling import is_plain
from metavad.experts.shown import cell_at, fastest
from metavad.features.sample import Sample

__all__ = ["FlowDensity"]

STILL = 0.01
"""Heights/second under which motion is noise."""
MOVING = 0.03
"""Heights/second from which a cell counts as moving."""
BINS = 8
"""Pieces of each spline."""


class FlowDensity(Expert):
    """Density of (log speed, direction right, direction down) of a cell's motion.

    Autoregressive spline flows (Durkan et al. 2019, https://arxiv.org/abs/1906.04032) in two factors, the speed and
    the direction given the speed, so that the speed's latent gives its exact tail. The speed is an even mixture of
    two: one given how far down the frame the cell is, since on most cameras what is lower is nearer and faster, and
    one the same everywhere, since on some it is not. Score: minus the log probability of moving at least this fast,
    in nats (higher = more anomalous).
    """

    name: ClassVar[str] = "flow_density"
    reads: ClassVar[tuple[str, ...]] = ("flow",)
    head: ClassVar[tuple[str, ...]] = ("anywhere.*", "*.hyper.4.*")
    zero_shot: ClassVar[bool] = True
    initial_weight: ClassVar[float] = 2.0

    def __init__(self, settings: FlowDensityConfig, horizon: float) -> None:
        super().__init__()
        self.history = horizon
        self.cells = settings.cells
        shape = {
            "transforms": 1,
            "bins": BINS,
            "hidden_features": (settings.hidden,) * 2,
            "activation": nn.SiLU,
        }
        self.speed = zuko.flows.NSF(features=1, context=1, **shape)
        self.anywhere = zuko.flows.NSF(features=1, **shape)
        self.direction = zuko.flows.NSF(features=2, context=2, **shape)

    @classmethod
    def build(cls, config: Config) -> "FlowDensity":
        """From the section ``flow_density``, with the horizon of the flow."""
        return cls(config.flow_density, config.flow.horizon)

    def condition(self, support: Sample) -> Memory:
        """{"fastest": (K, h, w)}: the highest speed of each shot near a cell, to explain by.

        The density itself is not given what was shown: that comes in by gradient steps, and by place in the tails.
        A network that reads it too trusts a few clips of a strange camera far more than they say.
        """
        return {"fastest": fastest(support)}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Negative log-likelihood in nats, for the speed the mean of both halves'; still cells count a tenth."""
        values, down, weight = self._drawn(sample)
        speed, direction = values[..., :1], values[..., 1:]
        likelihood = (self.speed(down).log_prob(speed) + self.anywhere().log_prob(speed)) / 2
        likelihood = likelihood + self.direction(torch.cat([down, speed], dim=-1)).log_prob(direction)
        loss: Tensor = -(likelihood * weight).sum() / weight.sum().clamp_min(1e-6)
        return loss

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats of surprise at the speed (B, T, h, w); the floor where no motion is known yet."""
        here, anywhere = self._log_tails(sample["flow"][:, :, 2])
        surprise = math.log(2) - torch.logaddexp(here, anywhere)
        known = sample.known["flow"][:, :, None, None]
        return torch.where(known, surprise, surprise.new_tensor(self.floor))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason:
        """Its speed there against the highest speed that the shots showed near there."""
        speeds = sample["flow"][0, -1, 2]
        row, column = cell_at(speeds, place)
        speed = float(speeds[row, column])
        shown = memory["fastest"][:, row, column] if "fastest" in memory else speeds.new_zeros(0)
        return Reason(_sentence(speed, shown), tuple((shown - speed).abs().tolist()))

    def _log_tails(self, speeds: Tensor) -> tuple[Tensor, Tensor]:
        """Log probability (B, T, h, w) of more than each speed, in a row of the picture and anywhere."""
        values = _standardised(speeds)[..., None]
        # The context has no time: the spline of a row is made once, whatever the length.
        here, anywhere = self.speed(_down(values)).transform, self.anywhere().transform
        few = distinct_speeds(speeds) if is_plain(speeds) else None
        if few is not None:
            once = values.new_zeros(len(few.values)).scatter_(0, few.place.flatten(), values.flatten())
            if _is_of_rows(here) and torch.equal(few.spread(once), values[..., 0]):
                return _of_rows(here, once, few.place), few.spread(_log_tail(anywhere(once[:, None])))
        return _log_tail(here(values)), _log_tail(anywhere(values))

    def _drawn(self, sample: Sample) -> tuple[Tensor, Tensor, Tensor]:
        """Every n-th cell, so that a loss costs the same whatever the sample's length."""
        batch, ticks, _, height, width = sample["flow"].shape
        step = max(1, batch * ticks * height * width // self.cells)
        step += step % 2 == 0  # odd, so that rows of even length do not give the same column again and again
        number = torch.arange(0, batch * ticks * height * width, step, device=sample["flow"].device)
        tick, cell = number // (height * width), number % (height * width)
        flow = sample["flow"][tick // ticks, tick % ticks, :, cell // width, cell % width]
        down = _down(sample["flow"].movedim(2, -1)).flatten(0, 1)[cell]
        known = sample.known["flow"].flatten()[tick]
        weight = torch.where(flow[:, 2] > MOVING, 1.0, 0.1) * known
        return _variables(flow), down, weight.to(flow)


def _down(values: Tensor) -> Tensor:
    """(h, w, 1) for values (..., h, w, C): how far down a cell is, -1 to 1."""
    height, width = values.shape[-3:-1]
    return torch.linspace(-1, 1, height).to(values)[:, None, None].expand(height, width, 1)


def _is_of_rows(transform: ComposedTransform) -> bool:
    """Whether all cells of a row have the same spline, to the last bit."""
    (spline,) = (each.base for each in transform.transforms)
    knots = spline.horizontal, spline.vertical, spline.derivatives
    return all(torch.equal(each, each[:, :1].expand_as(each)) for each in knots)


def _of_rows(transform: ComposedTransform, once: Tensor, place: Tensor) -> Tensor:
    """Log tails of values ``once[place]`` (B, T, h, w) under splines (h, w) of rows: each of a row, in a cell of it."""
    height, width = place.shape[-2:]
    number = place + len(once) * torch.arange(height)[:, None]
    occurs = torch.zeros(height * len(once), dtype=torch.bool).index_fill_(0, number.flatten(), True)
    row, value = occurs.reshape(height, -1).nonzero().T
    rank = (occurs.reshape(height, -1).cumsum(1) - 1)[row, value]
    cells = once.new_zeros((int(rank.max()) // width + 1, height, width))
    cells[rank // width, row, rank % width] = once[value]
    found = _log_tail(transform(cells[..., None]))
    tails = once.new_zeros(height * len(once))
    tails[row * len(once) + value] = found[rank // width, row, rank % width]
    return looked_up(tails, number)


def _log_tail(latent: Tensor) -> Tensor:
    """Log probability (...) of more than a standard normal latent (..., 1)."""
    log_tail: Tensor = torch.special.log_ndtr(-latent)[..., 0]
    return log_tail


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
    return torch.cat([_standardised(speed), 2.0 * direction], dim=-1)


def _standardised(speed: Tensor) -> Tensor:
    return ((speed + STILL).log() + 3.5) / 1.2
