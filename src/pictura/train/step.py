"""One training step: what a loop does between two looks at the clock."""

import contextlib
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pictura.core.errors import TrainingError
from pictura.train.distributed import Process
from pictura.train.materials import Materials
from pictura.train.optim import make_optimizers, rate_factor
from pictura.train.recipe import STEPPERS, Recipe
from pictura.train.task import Task


class Stepper(Protocol):
    """Changes the module of a task, one step a call."""

    optimizers: list[torch.optim.Optimizer]

    def step(self, number: int, spent: float) -> dict[str, float]:
        """Take step `number`, from 0, when the share `spent` of the minutes is gone.

        Returns:
            Numbers for the log: `loss`, `grad_norm`, `rate` and `images` always.

        Raises:
            TrainingError: the run cannot go on; the step is not to be saved.
        """
        ...


class Supervised:
    """One loss, all parameters at once: gradient descent."""

    def __init__(self, recipe: Recipe, task: Task, materials: Materials, process: Process) -> None:
        self.recipe, self.task, self.materials, self.process = recipe, task, materials, process
        self.optimizers = make_optimizers(task.module, recipe.training, process)

    def step(self, number: int, spent: float) -> dict[str, float]:
        """Take a step; see `Stepper`."""
        settings, process = self.recipe.training, self.process
        factor = set_rate(self.optimizers, rate_factor(number, settings, spent=spent))
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

        total = torch.zeros((), device=process.device)
        for micro in range(settings.accumulate):
            position = (number * settings.accumulate + micro) * process.num_processes + process.rank
            inputs = self.inputs(position)
            last = micro == settings.accumulate - 1
            with self._no_sync(wanted=not last), autocast(process, bf16=settings.bf16):
                loss = self._module(*inputs).mean() / settings.accumulate
            loss.backward()
            total += loss.detach()

        grad_norm = nn.utils.clip_grad_norm_(self.task.module.parameters(), settings.max_grad_norm)
        check_numbers(number, total, grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        images = settings.batch_size * settings.accumulate * process.num_processes
        return {"loss": float(total), "grad_norm": float(grad_norm), "rate": factor, "images": float(images)}

    def inputs(self, position: int) -> tuple[Tensor, ...]:
        """What the module is given for batch number `position`."""
        batch = self.materials.train.batch(position, self.recipe.training.batch_size)
        return self.task.inputs(batch, rng_of(self.recipe, position))

    @cached_property
    def _module(self) -> nn.Module:
        module: Any = self.task.module
        if self.recipe.training.compile:
            module = torch.compile(module, dynamic=False)
        if self.process.num_processes > 1:
            module = DistributedDataParallel(module)
        return module

    def _no_sync(self, *, wanted: bool) -> contextlib.AbstractContextManager[Any]:
        skip = wanted and isinstance(self._module, DistributedDataParallel)
        return self._module.no_sync() if skip else contextlib.nullcontext()  # type: ignore[operator]


def set_rate(optimizers: list[torch.optim.Optimizer], factor: float) -> float:
    """Set each group's rate to `factor` of its full one; return the factor."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
    return factor


def rng_of(recipe: Recipe, position: int) -> np.random.Generator:
    """Whatever is drawn for batch number `position` comes from this."""
    return np.random.default_rng([recipe.seed, position])


def autocast(process: Process, *, bf16: bool = False) -> contextlib.AbstractContextManager[Any]:
    """bf16 on CUDA; on a CPU only if asked for."""
    kind = process.device.type
    on = bf16 or kind == "cuda"
    return torch.autocast(kind, torch.bfloat16) if on else contextlib.nullcontext()


def check_numbers(number: int, loss: Tensor, grad_norm: Tensor, rate: str = "training.learning_rate") -> None:
    """Refuse a step that would spoil the weights; `rate` is the setting to lower.

    Raises:
        TrainingError: the loss or the gradient is not a number.
    """
    if not (torch.isfinite(loss) and torch.isfinite(grad_norm)):
        raise TrainingError(
            f"Step {number}: loss {loss.item():.3g} and gradient norm {grad_norm.item():.3g} must be "
            f"numbers. Lower {rate} and run again; earlier checkpoints are kept."
        )


def build_stepper(recipe: Recipe, task: Task, materials: Materials, process: Process) -> Stepper:
    """What takes the steps of a recipe's task."""
    if recipe.task not in STEPPERS:
        return Supervised(recipe, task, materials, process)
    module, _, name = STEPPERS[recipe.task].partition(":")
    return getattr(import_module(module), name)(recipe, task, materials, process)
