"""What work runs on: the device that is asked for, and what records say of the machine."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from metavad.errors import UsageError
from metavad.threads import one_thread

__all__ = ["describe_machine", "device_of"]


def device_of(name: str) -> str:
    """``auto`` to ``cuda`` where there is a GPU, else ``cpu``; raises :class:`UsageError` where it is not there."""
    there = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device: expected auto, cpu or cuda, found {name!r}")
    if name == "cuda" and torch.version.cuda is None:
        raise UsageError(
            f"--device cuda: expected a torch built for CUDA, found {torch.__version__}, built without; install one "
            "from https://pytorch.org/get-started/locally/, or leave --device out"
        )
    if name == "cuda" and not there:
        raise UsageError(
            f"--device cuda: expected a GPU that torch can use, found none for CUDA {torch.version.cuda}; look at what "
            "nvidia-smi says, or leave --device out"
        )
    return "cuda" if there and name != "cpu" else "cpu"


@one_thread()
def describe_machine(device: str) -> dict[str, Any]:
    """Versions, threads of one computation and device, for records."""
    names = ("torch", "numpy", "opencv-python", "av", "zuko", "scipy")
    versions = {"python": platform.python_version(), **{name: _version(name) for name in names}}
    shown = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU"
    return {"device": shown, "threads": torch.get_num_threads(), "versions": versions}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
