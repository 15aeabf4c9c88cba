"""A torch module over the frames of a video: the same bits however many come at once, on any number of threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from metavad.features.networks.pictures import pictures_of
from metavad.features.networks.registry import Input
from metavad.threads import one_thread, workers
from metavad.types import ByteArray

__all__ = ["TorchRunner", "side_by_side"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class TorchRunner:
    """``runner(frames)``: what a module (B, 3, H, W) -> outputs (B, ...) gives of frames of one size.

    On the processor every frame goes through by itself, which is as fast as several at a time, on one thread inside;
    so many frames side by side as the caller allows torch threads, or ``threads``. On a GPU there are ``batch`` at a
    time, always as many (the last ones are filled up), by the algorithms that give the same bits every time and none
    in TF32.
    """

    def __init__(self, module: nn.Module, wanted: Input, *, device: str = "cpu", batch: int = 16) -> None:
        self.device, self.wanted, self.batch = torch.device(device), wanted, batch
        self.module = module.to(self.device).eval()

    def __call__(self, frames: Sequence[ByteArray], threads: int | None = None) -> tuple[Tensor, ...]:
        """Outputs of at least one frame, grey (H, W) or RGB (H, W, 3), one after the other, on the runner's device."""
        if self.device.type == "cpu":
            parts = side_by_side(lambda frame: self._run(torch.from_numpy(frame)[None]), frames, threads)
        else:
            starts = range(0, len(frames), self.batch)
            parts = [self._filled(np.stack(frames[start : start + self.batch])) for start in starts]
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))

    def _filled(self, frames: ByteArray) -> tuple[Tensor, ...]:
        """Of at most ``batch`` frames, in a batch of that size."""
        whole = np.zeros((self.batch, *frames.shape[1:]), np.uint8)
        whole[: len(frames)] = frames
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
            return tuple(output[: len(frames)] for output in self._run(torch.from_numpy(whole).to(self.device)))

    def _run(self, frames: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            found = self.module(pictures_of(frames, self.wanted))
        return found if isinstance(found, tuple) else (found,)


def side_by_side(work: Callable[[_Item], _Result], items: Sequence[_Item], threads: int | None = None) -> list[_Result]:
    """``work`` of each item, in order, torch on one thread inside each; at most ``threads`` at a time.

    By default as many as the caller allows torch.
    """
    many = min(workers() if threads is None else threads, len(items))
    with one_thread():
        if many < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(many) as pool:
            return list(pool.map(work, items))
