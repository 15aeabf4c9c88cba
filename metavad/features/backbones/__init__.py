"""Networks over clips of frames that others trained, or that are trained here, each with its own preprocessing."""

from functools import lru_cache

from metavad.errors import ConfigError, nearest
from metavad.features.backbones.backbone import Backbone, Cut, Preprocessing, clip_of, cut
from metavad.features.networks.registry import digest_of

__all__ = ["Backbone", "Cut", "Preprocessing", "backbone_of", "clip_of", "cut_of"]


def backbone_of(name: str, weights: str) -> Backbone:
    """The backbone of this name; ``weights`` is a file, ``default``, ``random``, or empty where some ship.

    Raises :class:`ConfigError` on an unknown name, and where weights are needed and none are named: random ones say
    little, and nobody should get them by accident.
    """
    if name == "tiny":
        from metavad.features.backbones.tiny import tiny_backbone

        return tiny_backbone(weights)
    if name == "slowfast_r50":
        from metavad.features.backbones.slowfast import slowfast_backbone

        return slowfast_backbone(_named(name, weights))
    if name == "timesformer":
        from metavad.features.backbones.timesformer import timesformer_backbone

        return timesformer_backbone(_named(name, weights))
    from metavad.features.backbones.torchvision import names, torchvision_backbone

    known = ["tiny", "slowfast_r50", "timesformer", *names()]
    if name not in known:
        raise ConfigError(f"embedding.backbone: unknown backbone {name!r}; {nearest(name, known)}")
    return torchvision_backbone(name, _named(name, weights))


def cut_of(name: str, weights: str, unfrozen: int) -> Cut:
    """The backbone of this name before and after the start of its last ``unfrozen`` blocks; not to be changed.

    Raises what :func:`backbone_of` and :func:`metavad.features.backbones.backbone.cut` raise.
    """
    backbone = backbone_of(name, weights)
    return _cut(name, weights, unfrozen, digest_of(backbone.weights))


@lru_cache(maxsize=2)
def _cut(name: str, weights: str, unfrozen: int, digest: str) -> Cut:
    return cut(backbone_of(name, weights), unfrozen)


def _named(name: str, weights: str) -> str:
    if not weights:
        raise ConfigError(
            f"embedding.weights: expected weights for {name}, found none; name a file, or default (the "
            "published ones: metavad networks), or random"
        )
    return weights
