"""How likely is this piece of motion? A Glow over patches of stacked optical flow."""

import math
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from metavad.config import Config, FlowPatchesConfig
from metavad.errors import ConfigError
from metavad.experts.base import Expert, Memory
from metavad.experts.glow import Glow
from metavad.features.feature import grid_of
from metavad.features.flow import SCALE, bidirectional_stack, plain_stack, trajectory_stack
from metavad.features.sample import Sample

__all__ = ["FlowPatches"]

SPEED, SPREAD = 0.05, 1.5
"""Heights/second from which the scale is logarithmic, and what it is divided by: asinh(v / SPEED) / SPREAD."""
MOVING = 0.03
"""Heights/second from which a patch counts as moving."""
IMPOSSIBLE = 5.0
"""Nats per dimension from which a patch says no more to the loss than that it is impossible."""
NOISE, PATTERNS = 0.05, 16
"""Deviation, in the flow's own scale, of the noise that stands in for what bytes round away; and how many are drawn."""


class FlowPatches(Expert):
    """A normalizing flow in Glow's manner over patches of flow, stacked over several ticks.

    Steps of Kingma and Dhariwal 2018, https://arxiv.org/abs/1807.03039 (:mod:`metavad.experts.glow`); stacks of
    Simonyan and Zisserman 2014, https://arxiv.org/abs/1406.2199. One density for all places: what is usual where is
    left to the adapted weights and to the tails by place. Score: minus the log-likelihood of the patch around each
    cell, in nats per dimension (higher = more anomalous).
    """

    name: ClassVar[str] = "flow_patches"
    reads: ClassVar[tuple[str, ...]] = ("flow_field",)
    head: ClassVar[tuple[str, ...]] = ("*.network.4.*",)
    floor: float = -4.0

    noise: Tensor

    def __init__(self, settings: FlowPatchesConfig, *, rate: float = 10.0, rows: int = 30) -> None:
        super().__init__()
        self.settings, self.past, self.rate, self.rows = settings, settings.stack, rate, rows
        self.history = settings.stack / rate
        self.width, self.height = _sides(settings)
        channels = 2 * settings.stack
        self.glow = Glow(channels, steps=settings.steps, levels=settings.levels, hidden=settings.hidden)
        drawn = torch.randn(PATTERNS, channels, self.height, self.width, generator=torch.Generator().manual_seed(0))
        # The same noise every time: a loss must be a function of its arguments.
        self.register_buffer("noise", NOISE * drawn, persistent=False)

    @classmethod
    def build(cls, config: Config) -> "FlowPatches":
        """From the section ``flow_patches``."""
        return cls(config.flow_patches, rate=config.data.rate, rows=config.data.rows)

    def condition(self, support: Sample) -> Memory:
        """Nothing: what it learns of a scene is in its weights."""
        return {}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Negative log-likelihood in nats per dimension; patches that do not move count a tenth, and what is
        impossible counts by its logarithm: one patch must not throw the inner steps off.

        Noise stands in for what bytes rounded away: without it, a density over repeated values has no bound.
        """
        start = self.first(sample)
        patches = self._patches(self._stacked(sample)[:, start:])
        count = patches[0].shape[0] * len(patches)
        step = max(1, count // self.settings.patches) | 1
        drawn = patches.flatten(0, 1)[::step]
        weight = torch.where(_moving(drawn), 1.0, 0.1)
        weight = weight * self._flags(sample, start, patches.shape[1])[::step]
        nats = _forgiving(self._nats(drawn + self.noise[torch.arange(len(drawn)) % PATTERNS]))
        loss: Tensor = (nats * weight).sum() / weight.sum().clamp_min(1e-6)
        return loss

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats per dimension (B, T, h, w) of the patch around each cell; the floor where the stack is not whole.

        A patch in which nothing moves counts as one of no motion at all: most are, and cost nothing then.
        """
        batch, ticks = sample.seconds.shape
        height, width = sample["flow_field"].shape[-2:]
        down, across = self._origins(height, width)
        patches = self._patches(self._stacked(sample))
        nats = self._surprises(patches.flatten(0, 1)).reshape(batch, ticks, len(down), len(across))
        grid = grid_of(height, width, self.rows)
        rows = between(_middles(down, self.height), grid[0], height).to(nats)
        columns = between(_middles(across, self.width), grid[1], width).to(nats)
        maps = rows @ nats @ columns.T
        return torch.where(self.known(sample)[:, :, None, None], maps, maps.new_tensor(self.floor))

    def _flags(self, sample: Sample, start: int, each: int) -> Tensor:
        """Whether each patch's tick is known (N,)."""
        flags = sample.known["flow_field"][:, start:].to(sample["flow_field"])
        return flags.flatten().repeat_interleave(each)

    def _stacked(self, sample: Sample) -> Tensor:
        """(B, T, 2 L, H, W), scaled; before the first flow stands the first flow."""
        fields = sample["flow_field"]
        first = fields[:, min(1, fields.shape[1] - 1)][:, None]
        before = first.expand(-1, self.settings.stack - 1, -1, -1, -1)
        stacks = torch.cat([before, fields], dim=1).unfold(1, self.settings.stack, 1).movedim(-1, 2)
        forward, backward = stacks[..., :2, :, :], stacks[..., 2:, :, :]
        if self.settings.stacking == "bidirectional":
            return _scaled(bidirectional_stack(forward, backward))
        if self.settings.stacking == "trajectory":
            pixels = min(fields.shape[-2:]) / self.rate
            return _scaled(trajectory_stack(forward * pixels) / pixels)
        return _scaled(plain_stack(forward))

    def _patches(self, stacks: Tensor) -> Tensor:
        """(B, T, C, H, W) to (B T, n, C, a, b): patches that half overlap, the last ones at the edge."""
        flat = stacks.flatten(0, 1)
        missing = max(0, self.width - flat.shape[-1]), max(0, self.height - flat.shape[-2])
        flat = functional.pad(flat, (0, missing[0], 0, missing[1]), mode="replicate") if any(missing) else flat
        down, across = self._origins(flat.shape[-2], flat.shape[-1])
        rows = torch.tensor(down)[:, None] + torch.arange(self.height)
        columns = torch.tensor(across)[:, None] + torch.arange(self.width)
        cut = flat[:, :, rows[:, :, None, None], columns[None, None]]
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)

    def _origins(self, height: int, width: int) -> tuple[list[int], list[int]]:
        share = 2 if self.settings.overlap else 1
        return starts(height, self.height, share), starts(width, self.width, share)

    def _surprises(self, patches: Tensor) -> Tensor:
        """Nats per dimension (N,); what stands still is evaluated only where gradients are wanted."""
        moving = _moving(patches)
        still = self._nats(torch.zeros_like(patches[:1]))
        if torch.is_grad_enabled():
            return torch.where(moving, self._nats(patches), still)
        nats = still.repeat(len(patches))
        if moving.any():
            nats[moving] = self._nats(patches[moving])
        return nats

    def _nats(self, patches: Tensor) -> Tensor:
        """(N, C, a, b) to nats per dimension (N,)."""
        return -self.glow.log_prob(patches) / self.noise[0].numel()


def starts(length: int, side: int, share: int = 2) -> list[int]:
    """Where patches of a side begin along a length, at most ``side / share`` apart; the last one ends where it ends.

    >>> starts(20, 8), starts(8, 8), starts(5, 8)
    ([0, 4, 8, 12], [0], [0])
    """
    last = max(0, length - side)
    count = -(-last // max(1, side // share)) + 1
    return [round(last * number / max(1, count - 1)) for number in range(count)]


def between(middles: list[float], cells: int, length: int) -> Tensor:
    """(cells, n): how much each of n values, known at ``middles``, counts at the middle of each cell; rows sum to 1.

    >>> between([2.0, 6.0], 4, 8)
    tensor([[1.0000, 0.0000],
            [0.7500, 0.2500],
            [0.2500, 0.7500],
            [0.0000, 1.0000]])
    """
    places = (torch.arange(cells) + 0.5) * (length / cells)
    weights = torch.zeros(cells, len(middles))
    if len(middles) == 1:
        return weights + 1.0
    places = places.clamp(middles[0], middles[-1])
    for number, (left, right) in enumerate(pairwise(middles)):
        inside = (places >= left) & (places <= right)
        share = (places - left) / (right - left)
        weights[inside, number] = 1 - share[inside]
        weights[inside, number + 1] = share[inside]
    return weights


def _middles(origins: list[int], side: int) -> list[float]:
    return [origin + side / 2 for origin in origins]


def _sides(settings: FlowPatchesConfig) -> tuple[int, int]:
    """Cells along a patch's sides; raises :class:`ConfigError` where the levels do not divide them."""
    unit = SCALE * 2**settings.levels
    if any(side % unit for side in settings.patch):
        raise ConfigError(
            f"flow_patches.patch: expected sides that are multiples of {unit} pixels ({SCALE} to a cell, "
            f"{settings.levels} levels), found {list(settings.patch)}; change patch or levels"
        )
    return settings.patch[0] // SCALE, settings.patch[1] // SCALE


def _forgiving(nats: Tensor) -> Tensor:
    """The same below :data:`IMPOSSIBLE`, growing like a logarithm above, and smooth."""
    over = functional.softplus(nats - IMPOSSIBLE)
    return nats - over + torch.log1p(over)


def _moving(patches: Tensor) -> Tensor:
    """Whether anything moves in patches (N, C, a, b) of scaled flow: (N,)."""
    return patches.abs().amax((1, 2, 3)) > math.asinh(MOVING / SPEED) / SPREAD


def _scaled(flow: Tensor) -> Tensor:
    """Heights/second, linear while slow, logarithmic while fast."""
    return torch.asinh(flow / SPEED) / SPREAD
