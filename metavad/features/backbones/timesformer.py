"""TimeSformer, attention alone over space and time, from the package transformers.

Bertasius, Wang and Torresani 2021, https://arxiv.org/abs/2102.05095.
"""

from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from metavad.errors import ConfigError
from metavad.features.backbones.base import Backbone, Preprocessing, seeded
from metavad.features.backbones.weights import load_weights, read_weights

__all__ = ["timesformer_backbone"]

MODEL = "facebook/timesformer-base-finetuned-k400"
DIMENSION = 768


def timesformer_backbone(weights: str) -> Backbone:
    """TimeSformer-base over 8 frames: 768 numbers a clip; ``weights`` is a file, ``default`` or ``random``.

    Raises :class:`ConfigError` where transformers is not installed.
    """
    _transformers()
    settings = Preprocessing(8, 224, (0.45,) * 3, (0.225,) * 3)
    return Backbone("timesformer", DIMENSION, settings, weights, partial(_made, weights))


class _Clip(nn.Module):
    """The first token of the last layer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, clips: Tensor) -> Tensor:
        found = self.inner(pixel_values=clips.movedim(2, 1))
        return cast(Tensor, found.last_hidden_state[:, 0])


def _made(weights: str) -> nn.Module:
    library = _transformers()
    if weights == "default":
        from metavad.features.backbones.torchvision import fetched

        source = f"https://huggingface.co/{MODEL}"
        return _Clip(fetched(partial(library.TimesformerModel.from_pretrained, MODEL), "timesformer", source)).eval()
    network = seeded(lambda: cast(nn.Module, library.TimesformerModel(library.TimesformerConfig())))
    if weights != "random":
        state = read_weights(Path(weights), "embedding.weights")
        # Files of the classifier hold the model under its name, beside the head.
        inner = {name.removeprefix("timesformer."): tensor for name, tensor in state.items()}
        load_weights(network, inner, "embedding.weights", spare=("classifier",))
    return _Clip(network).eval()


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise ConfigError(
            "embedding.backbone=timesformer: expected the package transformers, found none; "
            "pip install 'metavad[transformers]', or name another backbone"
        ) from None
    return transformers
