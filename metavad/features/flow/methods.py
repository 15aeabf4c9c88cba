"""Flow methods behind one seam: two grey pictures to the motion of every pixel of the first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from metavad.errors import ConfigError, nearest
from metavad.types import ByteArray, FloatArray

__all__ = ["METHODS", "FlowMethod", "flow_method"]

FlowMethod: TypeAlias = Callable[[ByteArray, ByteArray], FloatArray]
"""Pictures (H, W) before and after to displacements (H, W, 2), right and down, in pixels."""


def dis(weights: Path | None = None) -> FlowMethod:
    """Dense inverse search (Kroeger et al. 2016, https://arxiv.org/abs/1603.03590)."""
    return _searched(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def dis_fast(weights: Path | None = None) -> FlowMethod:
    """Dense inverse search without variational refinement, on a coarser finest scale."""
    return _searched(cv2.DISOPTICAL_FLOW_PRESET_FAST)


def _searched(preset: int) -> FlowMethod:
    """Between equal pictures it finds no motion at all, to the last bit: a picture that comes again costs nothing."""
    search = cv2.DISOpticalFlow.create(preset)

    def between(before: ByteArray, after: ByteArray) -> FloatArray:
        if np.array_equal(before, after):
            return np.zeros((*after.shape, 2), np.float32)
        return np.asarray(search.calc(before, after, None))

    return between


def farneback(weights: Path | None = None) -> FlowMethod:
    """Polynomial expansion (Farnebäck 2003, https://doi.org/10.1007/3-540-45103-X_50)."""
    return lambda before, after: np.asarray(
        cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 4, 15, 3, 5, 1.2, 0), dtype=np.float32
    )


def raft_small(weights: Path | None = None) -> FlowMethod:
    """Recurrent all-pairs field transforms, small (Teed and Deng 2020, https://arxiv.org/abs/2003.12039).

    The network is torchvision's; its weights are a file of the user's.
    """
    from metavad.features.networks.weights import read_weights

    if weights is None:
        raise ConfigError(
            "flow.weights: expected a file with weights of torchvision's raft_small, found none; "
            "name one, or take flow.method=dis"
        )
    return raft_of(read_weights(weights, "flow.weights"))


def raft_of(state: dict[str, Any] | None) -> FlowMethod:
    """RAFT-small with these weights; ``None``: random ones, which say nothing (for tests of shapes and speed)."""
    import torch

    from metavad.features.backbones.torchvision import imported
    from metavad.features.networks.weights import load_weights

    network = imported().optical_flow.raft_small()
    if state is not None:
        load_weights(network, state, "flow.weights")
    network.eval()

    def between(before: ByteArray, after: ByteArray) -> FloatArray:
        pictures = torch.stack([torch.from_numpy(np.ascontiguousarray(each)) for each in (before, after)])
        padded, (height, width) = _padded(pictures.float() / 127.5 - 1.0)
        with torch.no_grad():
            flow = network(padded[:1], padded[1:], num_flow_updates=UPDATES)[-1]
        return np.ascontiguousarray(flow[0, :, :height, :width].permute(1, 2, 0).numpy())

    def _padded(pictures: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """RGB, sides that are multiples of 8 and at least 128, as the network wants them."""
        height, width = pictures.shape[-2:]
        right, below = max(128, -(-width // 8) * 8) - width, max(128, -(-height // 8) * 8) - height
        wide = torch.nn.functional.pad(pictures[:, None], (0, right, 0, below), mode="replicate")
        return wide.expand(-1, 3, -1, -1), (height, width)

    return between


UPDATES = 12
"""Refinements that RAFT takes."""

METHODS: dict[str, Callable[[Path | None], FlowMethod]] = {
    "dis": dis,
    "dis-fast": dis_fast,
    "farneback": farneback,
    "raft-small": raft_small,
}
"""Every method by name."""


def flow_method(name: str = "dis", weights: str = "") -> FlowMethod:
    """The method of this name, with the weights of a file where it needs any; raises :class:`ConfigError`."""
    if name not in METHODS:
        raise ConfigError(f"flow.method: unknown method {name!r}; {nearest(name, METHODS)}")
    return METHODS[name](Path(weights) if weights else None)
