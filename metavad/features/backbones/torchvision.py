"""Video models of torchvision by name, each with the preprocessing that its weights were trained with."""

import sys
import warnings
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from metavad.errors import ConfigError
from metavad.features.backbones.backbone import Backbone, preprocessing_of, seeded
from metavad.features.networks.weights import load_weights, weights_of

__all__ = ["imported", "names", "torchvision_backbone"]

HEADS = ("fc", "head", "classifier")
"""What torchvision calls the layers that tell classes apart; they go."""
LAYERS = ("layer1", "layer2", "layer3", "layer4")
"""What it calls the layers of a residual network, each of which is several blocks."""


@lru_cache(maxsize=1)
def imported() -> Any:
    """``torchvision.models``, also where torchvision's compiled operators do not load beside this torch.

    Its models need none of them: declaring the two schemas that its import looks up is enough. Raises
    :class:`ConfigError` where there is no torchvision at all.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on image codecs, which nothing here uses
        try:
            import torchvision.models
        except RuntimeError:
            _declare_operators()
            import torchvision.models
        except ImportError as error:
            raise ConfigError(
                f"expected the package torchvision, could not import it ({error}); install the one of your torch"
            ) from error
    return torchvision.models


_DECLARED: list[torch.library.Library] = []
"""Kept alive: schemas go with their library object."""


def _declare_operators() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    _DECLARED.append(library)


def names() -> list[str]:
    """Every video model that this torchvision has."""
    models = imported()
    return list(models.list_models(module=models.video))


def torchvision_backbone(name: str, weights: str) -> Backbone:
    """A video model without its head; ``weights`` is a file, ``default`` or ``random``."""
    with torch.device("meta"):  # no memory, no random numbers: only to see how wide it is
        network = imported().get_model(name, weights=None)
        head = _head(network)
    wide = next(part for part in head.modules() if hasattr(part, "in_features") or hasattr(part, "in_channels"))
    dimension = int(getattr(wide, "in_features", 0) or getattr(wide, "in_channels", 0))
    blocks = _blocks if all(hasattr(network, part) for part in ("stem", *LAYERS)) else None
    return Backbone(name, dimension, preprocessing_of(name), weights, partial(_made, name, weights), blocks)


def _blocks(network: Any) -> list[nn.Module]:
    """Of a residual network: its stem, then its residual blocks; pooling goes with the last."""
    blocks = [block for layer in LAYERS for block in getattr(network, layer)]
    return [network.stem, *blocks[:-1], nn.Sequential(blocks[-1], network.avgpool, nn.Flatten(1))]


def _head(network: nn.Module) -> nn.Module:
    return next(part for name, part in network.named_children() if name in HEADS)


def _made(name: str, weights: str) -> nn.Module:
    network = seeded(partial(imported().get_model, name, weights=None))
    if weights != "random":
        load_weights(network, weights_of(name, weights), "embedding.weights", spare=HEADS)
    head = next(part for part, _ in network.named_children() if part in HEADS)
    setattr(network, head, nn.Identity())
    return network.eval()
