"""Weights of networks that others trained: read without running anything that the file holds."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metavad.errors import BundleError, ConfigError
from metavad.features.networks.registry import required_file

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["load_weights", "read_weights", "weights_of"]

WRAPPERS = ("state_dict", "model_state", "model")
"""Keys under which training scripts put the tensors."""


_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError)
"""What torch's reader raises for bytes that are no pickle, as it comes."""


def weights_of(name: str, weights: str) -> dict[str, "Tensor"]:
    """Tensors of a known network over clips: of its own file (``default``), or of one that the user names.

    Raises what :func:`read_weights` and :func:`metavad.features.networks.registry.required_file` raise.
    """
    return read_weights(required_file(name) if weights == "default" else Path(weights), "embedding.weights")


def read_weights(path: Path, setting: str) -> dict[str, "Tensor"]:
    """Tensors by name, of a safetensors file or of what ``torch.save`` wrote; code in the file is not run.

    Raises :class:`ConfigError` where there is no such file and :class:`BundleError` where it holds something else.
    """
    if not path.is_file():
        raise ConfigError(f"{setting}: expected a file with weights, found none at {path}; check the path")
    from safetensors import SafetensorError

    try:
        found = _read(path)
    except (SafetensorError, pickle.UnpicklingError, *_UNREADABLE) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise BundleError(
            f"{path}: expected weights (safetensors, or tensors saved by torch), could not read any ({reason}); "
            "fetch the file again"
        ) from None
    for key in WRAPPERS:
        found = found.get(key, found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not found or not all(hasattr(each, "shape") for each in found.values()):
        raise BundleError(f"{path}: expected tensors by name, found something else; save the network's state_dict()")
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def load_weights(network: "nn.Module", state: dict[str, Any], setting: str, *, spare: tuple[str, ...] = ()) -> None:
    """Put weights into a network; those whose names begin with ``spare`` are not needed, all others are.

    Raises :class:`BundleError` naming the first that is missing, unknown or of another shape.
    """
    wanted = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if not name.startswith(spare) or name in wanted}
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    other = [name for name in given if name in wanted and given[name].shape != wanted[name].shape]
    for what, names in (("is missing", missing), ("is unknown", unknown), ("has another shape", other)):
        if names:
            raise BundleError(
                f"{setting}: expected weights of {type(network).__name__}, found others "
                f"({names[0]} {what}, {len(names)} such); name a file of this network"
            )
    network.load_state_dict(given, strict=False)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)
