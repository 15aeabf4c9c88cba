"""Ranks that share the scenes of an outer step, started by ``torchrun`` and nothing else."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

__all__ = ["ALONE", "Group", "joined", "share"]

Item = TypeVar("Item")


class Group(Protocol):
    """The ranks that train together."""

    @property
    def rank(self) -> int:
        """This process' number; rank 0 writes."""

    @property
    def size(self) -> int:
        """How many there are."""

    def sum(self, flat: Tensor) -> Tensor:
        """The sum over all ranks of a vector of the same length on each; the same bits on all of them."""


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def sum(self, flat: Tensor) -> Tensor:
        """The vector itself."""
        return flat


ALONE: Group = Alone()
"""No other ranks."""


@dataclass(frozen=True)
class Ranks:
    """The processes that torchrun started."""

    rank: int
    size: int

    def sum(self, flat: Tensor) -> Tensor:
        """One all-reduce."""
        summed = flat.clone()
        distributed.all_reduce(summed)
        return summed


@contextmanager
def joined(device: torch.device | str = "cpu") -> Iterator[Group]:
    """The group that ``torchrun`` started this process in; :data:`ALONE` where it did not.

    gloo on CPUs, NCCL on GPUs; the group is left when the block ends.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    backend = "nccl" if torch.device(device).type == "cuda" else "gloo"
    if backend == "nccl":  # each rank of a machine has a GPU of its own
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    store, rank, size = next(rendezvous("env://"))
    distributed.init_process_group(backend, store=PrefixStore(_life(), store), rank=rank, world_size=size)
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def _life() -> str:
    """What the ranks of this start, and no earlier one, have in common.

    torchrun keeps one store over restarts, where the addresses of killed ranks still stand; a new rank may read
    them before they are overwritten. With several agents the count is not common to all, and torchrun is to be
    run with ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`` instead.
    """
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if os.environ.get("GROUP_WORLD_SIZE") == "1" else "0"


def share(items: Sequence[Item], group: Group) -> list[tuple[int, Item]]:
    """This rank's part of a list that all ranks know, with the places in that list."""
    return list(enumerate(items))[group.rank :: group.size]
