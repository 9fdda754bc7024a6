"""One process or several under ``torchrun``: who am I, and where do I compute."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from pictura.core.errors import DeviceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process among its fellows."""

    rank: int
    num_processes: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """True for the one process that writes files and talks."""
        return self.rank == 0


@contextmanager
def join(device: str = "auto", *, threads: int = 0) -> Iterator[Process]:
    """Join the process group that ``torchrun`` describes in the environment; alone without it.

    Args:
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads of this process; 0 leaves torch's choice.

    Raises:
        DeviceError: `cuda` was asked for and there is none.
    """
    if threads:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("The device 'cuda' was asked for, but torch sees no CUDA device. Use --device cpu.")
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    local = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if use_cuda else torch.device("cpu")
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if num_processes == 1:
        yield Process(rank=0, num_processes=1, device=local)
        return
    torch.distributed.init_process_group("nccl" if use_cuda else "gloo")
    try:
        yield Process(rank=torch.distributed.get_rank(), num_processes=num_processes, device=local)
    finally:
        torch.distributed.destroy_process_group()


def agree(flag: bool, process: Process) -> bool:
    """True in every process as soon as it is true in one."""
    if process.num_processes == 1:
        return flag
    votes = torch.tensor([float(flag)], device=process.device)
    torch.distributed.all_reduce(votes)
    return bool(votes.item() > 0)
