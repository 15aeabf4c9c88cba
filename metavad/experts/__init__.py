"""Models of normality. Registering one is one file and one line here."""

from collections.abc import Mapping

from torch import Tensor

from metavad.config import Config
from metavad.errors import ConfigError, nearest
from metavad.experts.appearance import Appearance
from metavad.experts.base import Expert
from metavad.experts.direction import Direction
from metavad.experts.dissociation import Dissociation
from metavad.experts.embedding import Embedding, EmbeddingMemory
from metavad.experts.flow_density import FlowDensity
from metavad.experts.flow_patches import FlowPatches
from metavad.experts.patches import Patches
from metavad.experts.pose import Pose, PosePrediction
from metavad.experts.prediction import Prediction
from metavad.experts.presence import Presence, Stillness
from metavad.experts.set import ExpertSet
from metavad.experts.velocity import Velocity

__all__ = ["EXPERTS", "build_experts"]

EXPERTS: dict[str, type[Expert]] = {
    expert.name: expert
    for expert in (
        Prediction,
        Dissociation,
        FlowDensity,
        FlowPatches,
        Embedding,
        EmbeddingMemory,
        Direction,
        Presence,
        Stillness,
        Patches,
        Velocity,
        Appearance,
        Pose,
        PosePrediction,
    )
}
"""Every registered expert by name."""


def build_experts(config: Config, buffers: Mapping[str, Tensor] | None = None) -> ExpertSet:
    """The experts that the config names, with its settings; raises :class:`ConfigError` on an unknown name.

    ``buffers`` are those that others were trained with; without them they are drawn anew, like the parameters.
    """
    for name in config.experts:
        if name not in EXPERTS:
            raise ConfigError(f"experts: unknown expert {name!r}; {nearest(name, EXPERTS)}")
    experts = ExpertSet([EXPERTS[name].build(config) for name in config.experts])
    if buffers:
        experts.load_state_dict(dict(buffers), strict=False)
    return experts
