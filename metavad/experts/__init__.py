"""Models of normality. Registering one is one file and one line here, or an entry point of another package."""

from collections.abc import Mapping

from torch import Tensor

from metavad.config import Config, plugin_settings
from metavad.errors import ConfigError, nearest
from metavad.experts.appearance import Appearance
from metavad.experts.base import Expert
from metavad.experts.direction import Direction
from metavad.experts.dissociation import Dissociation
from metavad.experts.embedding import Embedding, EmbeddingMemory
from metavad.experts.flow_density import FlowDensity
from metavad.experts.flow_patches import FlowPatches
from metavad.experts.patches import Patches
from metavad.experts.plugins import loaded, plugins
from metavad.experts.pose import Pose, PosePrediction
from metavad.experts.prediction import Prediction
from metavad.experts.presence import Presence, Stillness
from metavad.experts.set import ExpertSet
from metavad.experts.velocity import Velocity

__all__ = ["EXPERTS", "build_experts", "expert_type", "with_plugin_settings"]

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
"""Every expert that ships, by name."""


def expert_type(name: str) -> type[Expert]:
    """The expert of this name, of this package or another; raises :class:`ConfigError` where there is none."""
    if name in EXPERTS:
        return EXPERTS[name]
    found = plugins(taken=EXPERTS)
    if name not in found:
        raise ConfigError(f"experts: unknown expert {name!r}; {nearest(name, [*EXPERTS, *found])}")
    return loaded(found[name])


def with_plugin_settings(config: Config) -> Config:
    """The config with all settings of its experts from other packages, defaults too, checked by their own models.

    What is saved then holds them whatever a later version of the package has for a default. Raises
    :class:`ConfigError` on a wrong one, and on a table ``[plugins.name]`` of an expert that the config does not use.
    """
    chosen = {name: expert_type(name) for name in config.experts if name not in EXPERTS}
    for name in config.plugins:
        if name not in chosen:
            raise ConfigError(
                f"plugins.{name}: expected the settings of an expert from another package that experts names; "
                f"{nearest(name, chosen)}"
            )
    settings = {name: plugin_settings(config, name, kind.settings_model) for name, kind in chosen.items()}
    return config.model_copy(
        update={"plugins": {name: each.model_dump(mode="json") for name, each in settings.items()}}
    )


def build_experts(config: Config, buffers: Mapping[str, Tensor] | None = None) -> ExpertSet:
    """The experts that the config names, with its settings; raises :class:`ConfigError` on an unknown name.

    ``buffers`` are those that others were trained with; without them they are drawn anew, like the parameters.
    """
    types = [expert_type(name) for name in config.experts]
    whole = with_plugin_settings(config)
    experts = ExpertSet([kind.build(whole) for kind in types])
    if buffers:
        experts.load_state_dict(dict(buffers), strict=False)
    return experts
