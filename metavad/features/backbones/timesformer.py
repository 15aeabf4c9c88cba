"""TimeSformer, attention alone over space and time, from the package transformers.

Bertasius, Wang and Torresani 2021, https://arxiv.org/abs/2102.05095.
"""

from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from metavad.errors import ConfigError, DataError
from metavad.features.backbones.backbone import Backbone, preprocessing_of, seeded
from metavad.features.networks.registry import Hub, network_named
from metavad.features.networks.weights import load_weights, read_weights

__all__ = ["timesformer_backbone"]

DIMENSION = 768


def timesformer_backbone(weights: str) -> Backbone:
    """TimeSformer-base over 8 frames: 768 numbers a clip; ``weights`` is a file, ``default`` or ``random``.

    Raises :class:`ConfigError` where transformers is not installed.
    """
    _transformers()
    settings = preprocessing_of("timesformer")
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
        return _Clip(_fetched(library)).eval()
    network = seeded(lambda: cast(nn.Module, library.TimesformerModel(library.TimesformerConfig())))
    if weights != "random":
        state = read_weights(Path(weights), "embedding.weights")
        # Files of the classifier hold the model under its name, beside the head.
        inner = {name.removeprefix("timesformer."): tensor for name, tensor in state.items()}
        load_weights(network, inner, "embedding.weights", spare=("classifier",))
    return _Clip(network).eval()


def _fetched(library: Any) -> nn.Module:
    """With the weights that the library keeps or fetches; raises :class:`DataError` in a line where it cannot."""
    source = network_named("timesformer").source
    assert isinstance(source, Hub)
    try:
        return cast(nn.Module, library.TimesformerModel.from_pretrained(source.name))
    except (OSError, RuntimeError) as error:  # no network, no room, or not what was published
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise DataError(
            f"embedding.weights=default: expected to fetch weights of timesformer, could not ({reason}); fetch "
            f"https://huggingface.co/{source.name} where there is a network and give the file: embedding.weights=FILE"
        ) from None


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise ConfigError(
            "embedding.backbone=timesformer: expected the package transformers, found none; "
            "pip install 'metavad[transformers]', or name another backbone"
        ) from None
    return transformers
