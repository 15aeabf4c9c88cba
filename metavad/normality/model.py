"""The scene model: what is normal at one camera, ready to score."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metavad.config import ScoringConfig
from metavad.experts.base import Memory, Parameters, Reason
from metavad.experts.set import ExpertSet, memory_of, under
from metavad.features.sample import Sample
from metavad.normality.calibration import Calibration, contributions, fuse
from metavad.normality.distribution import PopulationScores
from metavad.normality.likeness import NOTHING, Likeness
from metavad.threads import one_thread

__all__ = ["SceneModel", "SupportScores", "Surprise", "counted", "initially_active"]


@dataclass(frozen=True)
class Surprise:
    """Scores of B clips: each expert's map and the fused one (B, T, h, w) in nats.

    A tick counts, ``known`` (B, T), where all experts know it that are active without clips. One that needs more of the
    past than there is adds nothing to it until it knows (``known_by``), and blinds no other.
    """

    maps: Mapping[str, Tensor]
    fused: Tensor
    known: Tensor
    known_by: Mapping[str, Tensor]
    raised: Tensor | None = None
    """What of the fused one is there for being like what was confirmed as abnormal (B, T, h, w); none where nothing
    was."""


@dataclass(frozen=True)
class SupportScores:
    """What the K clips that a model was shown are worth, and what they score when they are held out."""

    clips: int
    """K."""
    sample_size: float
    """Effective sample size: clips of one moment count as one."""
    held_out_size: float
    """Effective sample size of the clips by which a held-out clip was scored, at least."""
    frames: Tensor
    """Frame scores (K, T) of each clip, held out; NaN where not known."""


@dataclass(frozen=True)
class SceneModel:
    """Adapted parameters, memory and calibration of one camera."""

    experts: ExpertSet
    params: Parameters
    memory: Memory
    calibrations: Mapping[str, Calibration]
    frames: PopulationScores
    """Of fused frame scores on normal footage of the base's cameras."""
    support: SupportScores
    scoring: ScoringConfig
    rate: float
    """Ticks per second."""
    device: str | None = None
    """Where the experts compute: the CPU where none is named. Surprise is on the CPU always."""
    ignored: Tensor | None = None
    """Cells (h, w) that surprise nobody, whatever happens there; no part of what is saved."""
    likeness: Likeness = NOTHING
    """What was confirmed as abnormal: it raises scores, and never lowers any."""

    def on(self, device: str | None) -> "SceneModel":
        """The same whose experts compute on ``device``."""

        def moved(tensors: Memory) -> Memory:
            return {name: tensor.to(device or "cpu") for name, tensor in tensors.items()}

        experts = copy.deepcopy(self.experts).to(device or "cpu")
        return replace(self, experts=experts, params=moved(self.params), memory=moved(self.memory), device=device)

    @one_thread()
    def score(self, sample: Sample, since: int = 0) -> Surprise:
        """Nats by which each place of each tick from ``since`` on surprises (B, T - since, h, w), by expert and fused.

        Of the ticks before, every expert reads no more than its :attr:`lookback`.
        """
        with torch.no_grad():
            raised = self.likeness.raised(sample.since(since), next(iter(self.calibrations.values())).grid)
            sample = sample.on(self.device)
            known = {name: expert.known(sample)[:, since:].cpu() for name, expert in self.experts.each()}
            maps = {name: self._nothing(name, flags) for name, flags in known.items()}
            for name, score in self._scores(sample, since).items():
                nats = self.calibrations[name].surprise(score)
                maps[name] = torch.where(known[name][:, :, None, None], nats, nats.new_zeros(()))
        fused = fuse(self.calibrations, maps, {name: flags[:, :, None, None] for name, flags in known.items()})
        both = fused if raised is None else fused + raised
        both = both if self.ignored is None else both.masked_fill(self.ignored, 0.0)
        return Surprise(maps, both, counted(self.experts, known), known, raised)

    @property
    def lookback(self) -> dict[str, int]:
        """Ticks before one that each expert's score of it may depend on."""
        return {name: round(expert.history * self.rate) for name, expert in self.experts.each()}

    def contributions(self, found: Surprise, tick: int, cell: tuple[int, int]) -> dict[str, float]:
        """What each expert adds to the fused surprise at a cell of a tick of one clip.

        They sum to it, but for what is :attr:`~Surprise.raised`.
        """
        here = {name: each[0, tick, cell[0], cell[1]] for name, each in found.maps.items()}
        known = {name: flags[0, tick] for name, flags in found.known_by.items()}
        return {name: float(each) for name, each in contributions(self.calibrations, here, known).items()}

    def explain(self, name: str, sample: Sample, place: tuple[float, float]) -> Reason | None:
        """What one expert says about the last tick of a sample of one clip at a place (shares of height, width)."""
        with torch.no_grad():
            return under(self.experts, self.params, _reason, name, sample.on(self.device), self.memory, place)

    def _nothing(self, name: str, known: Tensor) -> Tensor:
        """The map (B, T, h, w) of an expert that is not active."""
        return torch.zeros(*known.shape, *self.calibrations[name].grid)

    def _scores(self, sample: Sample, since: int) -> dict[str, Tensor]:
        """Score maps of the ticks from ``since`` on; those of experts that are not active are not computed."""
        active = ExpertSet([expert for name, expert in self.experts.each() if self.calibrations[name].is_active])
        params = {name: tensor for name, tensor in self.params.items() if name.partition(".")[0] in active}
        starts = {name: max(0, since - ticks) for name, ticks in self.lookback.items()}
        scores = under(active, params, ExpertSet.score, sample, self.memory, starts)
        return {name: score[:, since - starts[name] :].cpu() for name, score in scores.items()}


def counted(experts: ExpertSet, known: Mapping[str, Tensor]) -> Tensor:
    """Which ticks count, from the flags of those that each expert knows: all that work without clips know them."""
    return torch.stack([known[name] for name in initially_active(experts)]).all(0)


def initially_active(experts: ExpertSet) -> frozenset[str]:
    """Names of the experts that are active without support; where none is, the first one."""
    names = [name for name, _ in experts.each()]
    return frozenset([name for name, expert in experts.each() if expert.zero_shot] or names[:1])


def _reason(experts: ExpertSet, name: str, sample: Sample, memory: Memory, place: tuple[float, float]) -> Reason | None:
    return dict(experts.each())[name].explain(sample, memory_of(name, memory), place)
