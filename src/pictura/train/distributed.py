"""One process or several under ``torchrun``: who am I, where do I compute, when do we stop."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

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
        if not use_cuda:
            # Gloo's threads let go of a collective's tensors after it returned, and take the interpreter's
            # lock for that: a process that ends meanwhile is aborted (seen with torch 2.13).
            torch.distributed.barrier()
            time.sleep(0.3)
    finally:
        torch.distributed.destroy_process_group()


def largest(numbers: Sequence[float], process: Process) -> list[float]:
    """Of each number the largest that any of the processes says, in every one of them."""
    if process.num_processes == 1:
        return list(numbers)
    table = torch.tensor(numbers, dtype=torch.float64, device=process.device)
    torch.distributed.all_reduce(table, op=torch.distributed.ReduceOp.MAX)
    return table.tolist()


def summed(numbers: Tensor, process: Process) -> Tensor:
    """The sum of a tensor over all processes, in each of them, on the device where it is."""
    if process.num_processes == 1:
        return numbers
    table = numbers.to(process.device, copy=True)
    torch.distributed.all_reduce(table)
    return table.to(numbers.device)


def gathered(rows: Tensor, process: Process) -> Tensor:
    """The rows of all processes below each other, in each of them; all have the same shape."""
    if process.num_processes == 1:
        return rows
    mine = rows.to(process.device).contiguous()
    tables = [torch.empty_like(mine) for _ in range(process.num_processes)]
    torch.distributed.all_gather(tables, mine)
    return torch.cat(tables).to(rows.device)


def average_gradients(weights: Sequence[nn.Parameter], process: Process) -> None:
    """Replace the gradient of each weight by its mean over all processes; one that has none counts as 0."""
    if process.num_processes == 1:
        return
    gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
    flat = summed(torch.cat([gradient.flatten() for gradient in gradients]), process) / process.num_processes
    for weight, row in zip(weights, flat.split([weight.numel() for weight in weights]), strict=True):
        weight.grad = row.view_as(weight)


class StopSignals:
    """Ctrl-C and the wish to terminate, noted instead of obeyed, so that a step ends before the run does.

    A second Ctrl-C is obeyed at once.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
