"""How people hold themselves and move their limbs: densities over windows of poses."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import zuko
from torch import Tensor, nn
from torch.nn import functional

from metavad.config import Config, PoseConfig
from metavad.experts.appearance import spread_choice
from metavad.experts.base import Expert, Memory, Reason
from metavad.experts.placing import cells_of, place, thing_at
from metavad.experts.state_space import StateSpace
from metavad.features.poses import FACTS, JOINTS, STEP
from metavad.features.sample import Sample

__all__ = ["Pose", "PosePrediction"]

PATTERNS = 16
SHAKE = 0.02
"""Sizes of the person: deviation of the noise on joints while learning; still people are no spike."""
ENOUGH = 0.25, 0.5
"""Share of a window that must be there, and over which its weight rises to 1."""
STATES = 4
"""Of each channel of the state-space layers."""
STRETCH = 2.0
"""Joints are within about half a size: doubled, they have deviation 1."""


@dataclass(frozen=True)
class _Windows:
    """Poses (B, T, N, S, 34), which steps are known (B, T, N, S), boxes (B, T, N, 4), weight (B, T, N) 0 to 1."""

    poses: Tensor
    known: Tensor
    boxes: Tensor
    weight: Tensor


class Pose(Expert):
    """Density of a window of poses, by a normalizing flow over joints and time.

    Affine couplings (Dinh et al. 2017, https://arxiv.org/abs/1605.08803) whose networks are convolutions over time,
    as normalizing flows over poses do (Hirschorn and Avidan 2023, https://arxiv.org/abs/2211.10946, over a graph of
    joints). The latent's mean and deviation move towards the shots, shrunk by what the prior counts for. Score of a
    cell: nats per number of the person that covers it (higher = more anomalous).
    """

    name: ClassVar[str] = "pose"
    reads: ClassVar[tuple[str, ...]] = ("frames", "poses")
    head: ClassVar[tuple[str, ...]] = ("couplings.*.leave.*",)
    floor: float = -5.0

    noise: Tensor

    def __init__(self, settings: PoseConfig, rows: int) -> None:
        super().__init__()
        self.settings, self.rows, self.history = settings, rows, settings.seconds
        self.couplings = nn.ModuleList(_Coupling(step, settings.hidden) for step in range(settings.flow_steps))
        self.log_prior_count = nn.Parameter(torch.zeros(()))
        """Log of the clips that the latent's prior counts for."""
        self.register_buffer("noise", _noise(settings), persistent=False)

    @classmethod
    def build(cls, config: Config) -> "Pose":
        """From the section ``pose``."""
        return cls(config.pose, config.data.rows)

    def condition(self, support: Sample) -> Memory:
        """{"mean", "deviation": (S, 34)} of the latents after the shots; 0 and 1 before any."""
        windows = _windows(support, self.settings)
        clips = windows.weight / windows.weight.sum((1, 2), keepdim=True).clamp_min(1.0)
        chosen = spread_choice(clips.flatten(), 2 * self.settings.windows)
        latents, _ = self._latents(windows.poses.flatten(0, 2)[chosen])
        held = clips.flatten()[chosen]
        held = held * (clips.sum() / held.sum().clamp_min(1e-6))
        prior = self.log_prior_count.exp()
        total = held.sum() + prior
        mean = torch.einsum("n,nsc->sc", held, latents) / total
        spread = torch.einsum("n,nsc->sc", held, (latents - mean).square()) + prior * (1 + mean.square())
        return {"mean": mean, "deviation": (spread / total).sqrt()}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Negative log-likelihood in nats per number, of windows drawn evenly."""
        windows = _windows(sample, self.settings)
        chosen = spread_choice(windows.weight.flatten(), self.settings.windows)
        weight = windows.weight.flatten()[chosen]
        drawn = windows.poses.flatten(0, 2)[chosen]
        nats = self._nats(drawn + self.noise[torch.arange(len(drawn)) % PATTERNS], memory)
        return (nats * weight).sum() / weight.sum().clamp_min(1e-3)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Nats per number (B, T, h, w) of who is there; the floor where nobody is."""
        windows = _windows(sample, self.settings)
        return _placed(self, sample, windows, self._nats(windows.poses, memory))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """That somebody there stands or moves oddly, where somebody is."""
        return _reason(sample, place, "stands or moves its limbs in an unusual way")

    def _latents(self, poses: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (..., S, 34) and log volumes (...,)."""
        if poses.numel() == 0:  # nothing was shown: torch's transforms take no empty batch
            return poses, poses.sum((-1, -2))
        couplings = cast(Iterable[_Coupling], self.couplings)
        steps = [part for coupling in couplings for part in coupling.transforms(poses.shape[-2])]
        latents, volume = zuko.transforms.ComposedTransform(*steps).call_and_ladj(poses.flatten(-2))
        return latents.reshape(poses.shape), volume

    def _nats(self, poses: Tensor, memory: Memory) -> Tensor:
        """Nats per number (...,) of poses (..., S, 34)."""
        latents, volume = self._latents(poses)
        apart = (latents - memory["mean"]) / memory["deviation"]
        logs = -0.5 * apart.square() - memory["deviation"].log() - 0.5 * math.log(2 * math.pi)
        return -(logs.sum((-1, -2)) + volume) / (poses.shape[-1] * poses.shape[-2])


class _Coupling(nn.Module):
    """A scale for each number, then an affine coupling: half the numbers of a pose change the other half."""

    def __init__(self, step: int, hidden: int) -> None:
        super().__init__()
        numbers = torch.arange(2 * JOINTS)
        self.kept = ((numbers // 2 + numbers + step) % 2 == 0).tolist()
        """Joints and coordinates by turns, as on a chess board."""
        self.scale = nn.Parameter(torch.zeros(2 * JOINTS))
        self.shift = nn.Parameter(torch.zeros(2 * JOINTS))
        self.enter = nn.Conv1d(JOINTS, hidden, 5, padding=2)
        self.leave = nn.Conv1d(hidden, 2 * JOINTS, 5, padding=2)
        nn.init.normal_(self.leave.weight, std=0.01)  # begins near the identity

    def transforms(self, steps: int) -> list[torch.distributions.Transform]:
        """Of flat windows (..., S x 34)."""
        shift, scale = self.shift.repeat(steps), self.scale.repeat(steps)
        mask = torch.tensor(self.kept * steps, device=self.shift.device)
        return [_affine(shift, scale), zuko.transforms.CouplingTransform(self._given, mask)]

    def _given(self, kept: Tensor) -> torch.distributions.Transform:
        """The affine transform of one half (..., S x 17), given the other."""
        series = kept.reshape(-1, kept.shape[-1] // JOINTS, JOINTS).mT
        found = self.leave(functional.silu(self.enter(series))).mT
        shift, scale = found.reshape(*kept.shape[:-1], -1, 2, JOINTS).unbind(-2)
        return _affine(shift.flatten(-2), scale.flatten(-2))


class PosePrediction(Expert):
    """What cannot be foreseen of a person's next pose, by diagonal state-space layers.

    Two layers (S4D, Gu et al. 2022, https://arxiv.org/abs/2206.11893), each followed by a gate, foresee every step
    of the window from those before it; the error of the newest half counts. Score of a cell: log of the squared error
    of the person that covers it, in nats (higher = more anomalous).
    """

    name: ClassVar[str] = "pose_prediction"
    reads: ClassVar[tuple[str, ...]] = ("frames", "poses")
    head: ClassVar[tuple[str, ...]] = ("leave.*",)
    floor: float = -10.0

    def __init__(self, settings: PoseConfig, rows: int) -> None:
        super().__init__()
        self.settings, self.rows, self.history = settings, rows, settings.seconds
        self.enter = nn.Linear(2 * JOINTS + 2, settings.channels)
        self.layers = nn.ModuleList(StateSpace(settings.channels, STATES) for _ in range(2))
        self.mixes = nn.ModuleList(nn.Linear(settings.channels, 2 * settings.channels) for _ in range(2))
        self.leave = nn.Linear(settings.channels, 2 * JOINTS)

    @classmethod
    def build(cls, config: Config) -> "PosePrediction":
        """From the section ``pose``."""
        return cls(config.pose, config.data.rows)

    def condition(self, support: Sample) -> Memory:
        """Nothing: what it learns of a scene is in its weights."""
        return {}

    def loss(self, sample: Sample, memory: Memory) -> Tensor:
        """Mean huber error of the next pose, in steps of a twentieth of the person's size."""
        windows = _windows(sample, self.settings)
        chosen = spread_choice(windows.weight.flatten(), self.settings.windows)
        weight = windows.weight.flatten()[chosen]
        error, counted = self._errors(windows.poses.flatten(0, 2)[chosen], windows.known.flatten(0, 2)[chosen])
        huber = (torch.sqrt(1 + (error / 0.05).square()) - 1).mean(-1)
        each = (huber * counted).sum(-1) / counted.sum(-1).clamp_min(1)
        return (each * weight).sum() / weight.sum().clamp_min(1e-3)

    def score(self, sample: Sample, memory: Memory) -> Tensor:
        """Log error (B, T, h, w) of who is there; the floor where nobody is."""
        windows = _windows(sample, self.settings)
        shape = windows.weight.shape
        error, counted = self._errors(windows.poses.flatten(0, 2), windows.known.flatten(0, 2))
        counted = counted * (torch.arange(counted.shape[-1], device=counted.device) >= counted.shape[-1] // 2)
        mean = (error.square().mean(-1) * counted).sum(-1) / counted.sum(-1).clamp_min(1)
        return _placed(self, sample, windows, (mean + 1e-4).log().reshape(shape))

    def explain(self, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
        """That somebody there moves in no foreseen way, where somebody is."""
        return _reason(sample, place, "moves its limbs in a way that could not be foreseen")

    def _errors(self, poses: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Next pose minus what was foreseen (n, S - 1, 34), and which steps count (n, S - 1)."""
        steps = poses.diff(dim=1)
        middle = _middle(poses)
        moved = functional.pad(middle.diff(dim=1), (0, 0, 1, 0))
        series = self.enter(torch.cat([poses - middle.repeat(1, 1, JOINTS), 10.0 * moved], dim=-1))[:, :-1]
        for layer, mix in zip(self.layers, self.mixes, strict=True):
            series = series + functional.glu(mix(functional.silu(layer(series))), dim=-1)
        return steps - 0.1 * self.leave(series), known[:, 1:] * known[:, :-1]


def _windows(sample: Sample, settings: PoseConfig) -> _Windows:
    """Windows as far as the sample reaches: steps before its first tick are not known, and repeat the first known."""
    people = sample["poses"]
    table = torch.unflatten(people[..., FACTS:], -1, (settings.steps, STEP))
    age = torch.linspace(settings.seconds, 0, settings.steps).to(table)
    within = age <= sample.seconds[..., None] + 1e-3
    known = table[..., 0] * within[:, :, None]
    first = known.argmax(-1, keepdim=True)
    place = torch.maximum(torch.arange(settings.steps).to(first), first)
    poses = torch.gather(table[..., 1:], -2, place[..., None].expand(*place.shape, 2 * JOINTS))
    whole = ((known.mean(-1) - ENOUGH[0]) / ENOUGH[1]).clamp(0, 1)
    weight = people[..., 0] * whole * sample.known["poses"].to(people)[..., None]
    return _Windows(STRETCH * poses, known, people[..., 1:5], weight)


def _placed(expert: Pose | PosePrediction, sample: Sample, windows: _Windows, nats: Tensor) -> Tensor:
    """Map of people's scores (B, T, N); who is hardly known counts as little."""
    sure = expert.floor + (nats - expert.floor).clamp_min(0) * windows.weight
    return place(sure, windows.boxes, expert.floor, cells_of(sample, expert.rows))


def _reason(sample: Sample, where: tuple[float, float], text: str) -> Reason | None:
    people = sample["poses"][0, -1]
    one = thing_at(sample, people[:, 1:5], people[:, 0], where)
    return Reason(text) if one is not None and float(people[one, 0]) > 0 else None


def _middle(poses: Tensor) -> Tensor:
    """Mean of the joints (..., 2) of poses (..., 34)."""
    return torch.unflatten(poses, -1, (JOINTS, 2)).mean(-2)


def _affine(shift: Tensor, scale: Tensor) -> torch.distributions.Transform:
    """y = exp(scale) x + shift, the scale bounded softly."""
    affine = zuko.transforms.MonotonicAffineTransform(shift, scale, slope=STEEPEST)
    dependent: torch.distributions.Transform = zuko.transforms.DependentTransform(affine, 1)
    return dependent


def _noise(settings: PoseConfig) -> Tensor:
    """The same noise every time (``PATTERNS``, S, 34): a loss must be a function of its arguments."""
    shape = PATTERNS, settings.steps, 2 * JOINTS
    return STRETCH * SHAKE * torch.randn(shape, generator=torch.Generator().manual_seed(0))


STEEPEST = 0.05
"""Smallest scale of one coupling: the largest is its inverse."""
